//! Scripts, answers, ignore rules, last words; dialect, rooms and feeder.

use super::super::error::At;
use super::super::feeder::{Feeder, FeederOrder, Rows};
use super::super::model::{Behaviour, Carrier, Dialect, Encoding, HttpStep, Reply, Rooms, RoomsBy, ScriptStep, Trigger};
use super::super::schema::session::{HttpTable, ReplyTable, RoomsTyped, StepTable};
use super::super::schema::{self};
use super::super::template::{Names, Template};
use super::super::typed::{Reader, Spot};
use super::clients::bare;
use super::language::{captures, named, send, template, text_body};
use super::matcher::matcher;
use super::value;
use crate::base::Span;

/// How long a step waits when it does not say.
const WITHIN: Span = Span::from_secs(5);

pub(super) fn behaviour(document: &schema::Document, group: &schema::Clients, names: &Names, r: &mut Reader) -> Option<Behaviour> {
    let script = group.script.as_ref().or(document.script.as_ref());
    let on_close = group.on_close.as_ref().or(document.on_close.as_ref());
    let mut known: Vec<usize> = Vec::new();
    let mut steps = Vec::new();
    for spot in script.map_or(&[][..], |s| &s.value[..]) {
        let step = step(spot, names, r)?;
        captured_before(&step, &mut known, &spot.at, names, r);
        steps.push(step);
    }
    let mut last_words = Vec::new();
    for spot in on_close.map_or(&[][..], |s| &s.value[..]) {
        let body = send(&spot.value, &spot.at, false, names, r)?;
        needs(body.templates(), &known, &spot.at, names, r);
        last_words.push(body);
    }
    let mut replies = Vec::new();
    for spot in document.reply.iter().chain(&group.reply).flat_map(|list| &list.value) {
        let answer = reply(spot, names, r)?;
        // Captured by the script, or out of the very message that is answered.
        let with_own: Vec<usize> = known.iter().copied().chain(answer.captures.iter().map(|c| c.slot)).collect();
        needs(answer.send.templates(), &with_own, &spot.at, names, r);
        needs(answer.when.templates(), &known, spot.when.as_ref().map_or(&spot.at, |when| &when.at), names, r);
        replies.push(answer);
    }
    let mut ignore = Vec::new();
    for spot in document.ignore.iter().chain(&group.ignore).flat_map(|list| &list.value) {
        let rule = matcher(&spot.value.0, &spot.at, false, names, r)?;
        needs(rule.templates(), &known, &spot.at, names, r);
        ignore.push(rule);
    }
    Some(Behaviour { script: steps, on_close: last_words, replies, ignore })
}

fn step(spot: &Spot<StepTable>, names: &Names, r: &mut Reader) -> Option<ScriptStep> {
    let given = [spot.send.is_some(), spot.expect.is_some(), spot.wait.is_some(), spot.http.is_some()];
    if given.iter().filter(|g| **g).count() != 1 {
        r.fail(&spot.at, "a step does one thing", "exactly one of: send, expect, wait, http");
        return None;
    }
    let stray = spot.within.as_ref().map(|s| &s.at).or(spot.capture.as_ref().map(|s| &s.at));
    if let (Some(at), None, None) = (stray, &spot.expect, &spot.http) {
        r.fail(at, "`within` and `capture` go with `expect` and `http`", "leave it out, or put it into the step that waits");
        return None;
    }
    let within = value(&spot.within).unwrap_or(WITHIN);
    let captures = captures(spot.capture.as_ref(), names, r);
    if let Some(body) = &spot.send {
        return send(body, &body.at, false, names, r).map(ScriptStep::Send);
    }
    if let Some(expect) = &spot.expect {
        let timed = if let schema::Match::Table(table) = &expect.value { value(&table.within) } else { None };
        let matches = matcher(expect, &expect.at, true, names, r)?;
        return Some(ScriptStep::Expect { matches, within: timed.unwrap_or(within), captures });
    }
    if let Some(wait) = &spot.wait {
        return Some(ScriptStep::Wait(wait.value));
    }
    let table = spot.http.as_ref()?;
    http(table, within, names, r).map(|step| ScriptStep::Http(HttpStep { captures, ..step }))
}

fn http(table: &Spot<HttpTable>, within: Span, names: &Names, r: &mut Reader) -> Option<HttpStep> {
    let Some(url) = &table.url else {
        r.fail(&table.at, "where is the request sent?", "write `url = \"http://…\"`");
        return None;
    };
    let body = match &table.body {
        Some(body) => Some(text_body(body, names, r)?),
        None => None,
    };
    let method = value(&table.method).unwrap_or_else(|| if body.is_some() { "POST".into() } else { "GET".into() });
    let method = http_method(&method, table.method.as_ref().map_or(&table.at, |m| &m.at), r)?;
    Some(HttpStep {
        method,
        url: http_url(url, names, r)?,
        headers: named(table.headers.as_ref(), names, r),
        body,
        within,
        captures: Vec::new(),
    })
}

/// A method, in capitals.
pub(super) fn http_method(method: &str, at: &At, r: &mut Reader) -> Option<String> {
    let method = method.to_ascii_uppercase();
    if http::Method::from_bytes(method.as_bytes()).is_err() {
        r.fail(at, format!("`{method}` is not an HTTP method"), "write GET, POST, PUT, …");
        return None;
    }
    Some(method)
}

/// An `http://` or `https://` URL; one that begins with a variable is believed until it has its value.
pub(super) fn http_url(spot: &Spot<String>, names: &Names, r: &mut Reader) -> Option<Template> {
    let text = spot.value.as_str();
    if !(text.starts_with("http://") || text.starts_with("https://") || text.starts_with('{')) {
        r.fail(&spot.at, format!("`{}` is not an HTTP URL", bare(text)), "write `http://host:port/path` or `https://…`");
        return None;
    }
    template(spot, names, r)
}

fn reply(spot: &Spot<ReplyTable>, names: &Names, r: &mut Reader) -> Option<Reply> {
    let when = match (&spot.when, &spot.every) {
        (Some(when), None) => Trigger::Message(matcher(when, &when.at, false, names, r)?),
        (None, Some(every)) if every.is_zero() => {
            r.fail(&every.at, "a message every 0s", "write how often, such as \"30s\"");
            return None;
        }
        (None, Some(every)) => Trigger::Every(every.value),
        _ => {
            r.fail(&spot.at, "a reply is given to a message or by the clock", "write `when = …` or `every = …`");
            return None;
        }
    };
    if let (Some(capture), Trigger::Every(_)) = (&spot.capture, &when) {
        r.fail(&capture.at, "there is no message to capture from", "capture goes with `when`");
        return None;
    }
    let Some(body) = &spot.send else {
        r.fail(&spot.at, "what is sent?", "write `send = …`; to send nothing, use [[ignore]]");
        return None;
    };
    Some(Reply { when, captures: captures(spot.capture.as_ref(), names, r), send: send(body, &body.at, false, names, r)? })
}

/// A step may use what earlier steps captured, and nothing else.
fn captured_before(step: &ScriptStep, known: &mut Vec<usize>, at: &At, names: &Names, r: &mut Reader) {
    match step {
        ScriptStep::Send(body) => needs(body.templates(), known, at, names, r),
        ScriptStep::Http(http) => {
            let templates = [&http.url].into_iter().chain(&http.body).chain(http.headers.iter().map(|(_, value)| value)).collect();
            needs(templates, known, at, names, r);
            known.extend(http.captures.iter().map(|c| c.slot));
        }
        ScriptStep::Expect { matches, captures, .. } => {
            needs(matches.templates(), known, at, names, r);
            known.extend(captures.iter().map(|c| c.slot));
        }
        ScriptStep::Wait(_) => {}
    }
}

/// Notes every captured value that is used before it is there.
pub(super) fn needs(templates: Vec<&Template>, known: &[usize], at: &At, names: &Names, r: &mut Reader) {
    for slot in templates.into_iter().flat_map(Template::slots).filter(|slot| !known.contains(slot)) {
        let name = names.captures.get(slot).map_or("", String::as_str);
        let at = r.within(at, &format!("{{{name}"));
        r.fail(
            &at,
            format!("{{{name}}} is used here, but captured later or elsewhere"),
            "capture it in an earlier step of this client's script",
        );
    }
}

pub(super) fn dialect(document: &schema::Document, names: &Names, r: &mut Reader) -> Option<Dialect> {
    let Some(typed) = &document.dialect else { return Some(Dialect { receive: Some(encoding(document, None)), ..Dialect::default() }) };
    let publish = match &typed.publish {
        Some(body) => Some(send(&body.value, &body.at, true, names, r)?),
        None => None,
    };
    let carried = publish.as_ref().map(|body| body.templates().iter().find_map(|t| t.carries()));
    if let (Some(None), Some(spot)) = (carried, &typed.publish) {
        r.fail(&spot.at, "no {stamp} in it: a copy could not be told from anything else", "put {stamp} where the message's text goes");
        return None;
    }
    let carrier = match &typed.carrier {
        Some(word) => Carrier::ALL.iter().find(|(name, _)| *name == word.word).map_or(Carrier::Plain, |(_, c)| *c),
        None => carried.flatten().unwrap_or_default(),
    };
    let matches = match &typed.r#match {
        Some(spot) => Some(matcher(spot, &spot.at, false, names, r)?),
        None => None,
    };
    let ack = match &typed.ack {
        Some(spot) => Some(matcher(spot, &spot.at, false, names, r)?),
        None => None,
    };
    if let (Some(spot), true) = (&typed.ack, ack.is_some() && ack == matches) {
        r.fail(&spot.at, "the dialect is ambiguous: `ack` and `match` match the same messages", "make them differ: nothing could be both");
        return None;
    }
    if let (Some(spot), Some(ack), Some(matches)) = (&typed.ack, &ack, &matches)
        && ack.surely_matches_all_of(matches)
    {
        let what = "the dialect is ambiguous: whatever matches `match` matches `ack` too, and nothing would be a copy";
        r.fail(&spot.at, what, "say more in `ack`: what an acknowledgement has and a copy has not");
        return None;
    }
    if let Some(split) = typed.split.as_ref().filter(|s| s.is_empty()) {
        r.fail(&split.at, "an empty separator separates nothing", "write what stands between messages, such as \"\\n\"");
        return None;
    }
    if let (Some(super::super::body::Body::Binary(_)), Some(word)) = (&publish, document.publish.as_ref().and_then(|p| p.encoding.as_ref()))
        && word.word == "text"
    {
        r.fail(&word.at, "encoding = \"text\", but the dialect publishes binary messages", "leave `encoding` out");
        return None;
    }
    let over_http = document.publish.as_ref().and_then(|p| p.via.as_ref()).is_some_and(|v| v.word != "socket");
    let receive = match typed.receive.as_ref().map(|w| w.word) {
        Some("text") => Some(Encoding::Text),
        Some("binary") => Some(Encoding::Binary),
        Some(_) => None,
        None if over_http => None,
        None => Some(encoding(document, publish.as_ref())),
    };
    Some(Dialect { publish, carrier, matches, ack, split: value(&typed.split), receive })
}

/// The opcode publications are sent with.
pub(super) fn encoding(document: &schema::Document, body: Option<&super::super::body::Body>) -> Encoding {
    let stated = document.publish.as_ref().and_then(|p| p.encoding.as_ref()).is_some_and(|e| e.word == "binary");
    if stated || body.is_some_and(|b| !b.is_text()) { Encoding::Binary } else { Encoding::Text }
}

pub(super) fn feeder(document: &schema::Document, rows: Option<Rows>, clients: u32, r: &mut Reader) -> Option<Feeder> {
    let typed = document.feeder.as_ref()?;
    let Some(file) = &typed.file else {
        r.fail(&typed.at, "where are the rows?", "write `file = \"users.csv\"`");
        return None;
    };
    let order = match typed.order.as_ref().map(|o| o.word) {
        Some("sequential") => FeederOrder::Sequential,
        Some("random") => FeederOrder::Random,
        _ => FeederOrder::Circular,
    };
    if let (FeederOrder::Sequential, Some(rows)) = (order, &rows)
        && (rows.len() as u64) < u64::from(clients)
    {
        let what = format!("{} has {} rows for {clients} clients", file.value, rows.len());
        r.fail(&file.at, what, "add rows, or write order = \"circular\"");
        return None;
    }
    Some(Feeder { file: file.value.clone(), order, rows })
}

pub(super) fn rooms(document: &schema::Document, clients: u32, rows: Option<&Rows>, r: &mut Reader) -> Option<Rooms> {
    let of_groups = document.clients.iter().flat_map(|c| &c.0).filter_map(|g| g.rooms.as_ref());
    let mut all = document.rooms.iter().chain(of_groups);
    let typed = all.next()?;
    if let Some(second) = all.next() {
        r.fail(&second.at, "rooms are given twice", "write `rooms` once: all groups share the same rooms");
        return None;
    }
    let rooms = match &typed.value {
        RoomsTyped::Count(count) => Some(Rooms { count: *count, by: RoomsBy::RoundRobin }),
        RoomsTyped::Table(table) => rooms_table(document, table, &typed.at, rows, r),
    }?;
    if rooms.count == 0 && !matches!(rooms.by, RoomsBy::Column(_)) {
        r.fail(&typed.at, "zero rooms: nobody would be anywhere", "write how many, at least 1, or leave it out");
        return None;
    }
    if rooms.count > clients {
        r.warn(&typed.at, format!("{} rooms for {clients} clients: some stay empty", rooms.count), "use fewer rooms, or more clients");
    }
    Some(rooms)
}

fn rooms_table(
    document: &schema::Document,
    table: &schema::session::RoomsTable,
    at: &At,
    rows: Option<&Rows>,
    r: &mut Reader,
) -> Option<Rooms> {
    if let Some(column) = &table.column {
        if table.count.is_some() || table.by.is_some() || table.skew.is_some() {
            r.fail(&column.at, "the column names the rooms: there is nothing to count or spread", "leave out `count`, `by` and `skew`");
            return None;
        }
        if document.feeder.is_none() {
            r.fail(&column.at, "a column, but there is no feeder", "add `[feeder]` with `file = …`");
            return None;
        }
        if let Some(rows) = rows.filter(|rows| !rows.columns().contains(&column.value)) {
            r.fail(
                &column.at,
                format!("the feeder has no column `{}`", column.value),
                format!("its columns: {}", rows.columns().join(", ")),
            );
            return None;
        }
        return Some(Rooms { count: 0, by: RoomsBy::Column(column.value.clone()) });
    }
    let Some(count) = &table.count else {
        r.fail(at, "how many rooms?", "write `count = 50`, or `column = \"room\"`");
        return None;
    };
    let zipf = table.by.as_ref().is_some_and(|by| by.word == "zipf");
    match &table.skew {
        Some(skew) if !zipf => {
            r.fail(&skew.at, "`skew` goes with by = \"zipf\"", "leave it out");
            None
        }
        Some(skew) if skew.value.0 <= 0.0 => {
            r.fail(&skew.at, "a skew is above 0", "1 is the classic; larger is more uneven");
            None
        }
        skew if zipf => Some(Rooms { count: count.value, by: RoomsBy::Zipf { skew: skew.as_ref().map_or(1.0, |s| s.value.0) } }),
        _ => Some(Rooms { count: count.value, by: RoomsBy::RoundRobin }),
    }
}
