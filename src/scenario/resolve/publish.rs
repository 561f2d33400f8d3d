//! `[publish]`.

use super::super::error::At;
use super::super::model::{Audience, ClientGroup, Dialect, Feed, HttpPublish, Pace, PayloadSize, Phases, Publish, Step, Via};
use super::super::schema;
use super::super::template::Names;
use super::super::typed::{Reader, Spot};
use super::language::{named, template_at, text_body};
use super::{behaviour, feed, value};
use crate::base::{ByteSize, STAMP_LEN, Span};

/// The largest payload: 64 MiB. Beyond it a plan measures memory, not delivery.
const LARGEST: u64 = 64 << 20;

/// What is published by us, or by the server itself: never both.
pub(super) fn resolve(
    document: &schema::Document,
    groups: &[ClientGroup],
    dialect: &mut Dialect,
    names: &Names,
    r: &mut Reader,
) -> Option<(Option<Publish>, Option<Feed>)> {
    let Some(typed) = &document.publish else { return Some((None, None)) };
    let via = typed.via.as_ref().map_or("socket", |v| v.word);
    // A preset may say how publications are made; whether any are is the scenario's to say.
    if typed.at.source != 0 && typed.pace.is_none() && via != "server" {
        return Some((None, None));
    }
    if via == "server" {
        return feed::resolve(document, typed, dialect, groups, names, r).map(|feed| (None, Some(feed)));
    }
    if feed::none(typed, r).is_some() {
        return None;
    }
    let via = match via {
        "http" => Some(Via::Http(http(typed, dialect, names, r)?)),
        _ => only_with_http(typed, r).then_some(Via::Socket),
    };
    let clients: u32 = groups.iter().map(|g| g.count).fold(0, u32::saturating_add);
    let group = publishing_group(document, typed, groups, r)?;
    let in_group = group.and_then(|g| groups.get(g as usize)).map_or(clients, |g| g.count);
    let publishers = publishers(typed, in_group, group.is_some(), r);
    let pace = match &typed.pace {
        Some(spot) => pace(&spot.value.0, &spot.at, r),
        None => {
            r.fail(&typed.at, "when are publications sent?", "write `pace = { rate = \"50/s\" }`");
            None
        }
    };
    let size = size(typed, r);
    let others = typed.audience.as_ref().is_some_and(|a| a.word == "others");
    someone_is_owed(typed, groups, clients, others, r)?;
    if let (Some(Pace::Closed { .. }), true, Some(spot)) = (&pace, others, &typed.pace) {
        r.fail(
            &spot.at,
            "a closed pace waits for the publisher's own copy, and audience = \"others\" says it gets none",
            "use an open pace such as { rate = \"50/s\" }",
        );
        return None;
    }
    let publish = Publish {
        publishers: publishers?,
        group,
        via: via?,
        pace: pace?,
        size: size?,
        encoding: behaviour::encoding(document, dialect.publish.as_ref()),
        audience: if others { Audience::Others } else { Audience::All },
    };
    Some((Some(publish), None))
}

/// A publication nobody is owed could prove nothing.
fn someone_is_owed(typed: &Spot<schema::Publish>, groups: &[ClientGroup], clients: u32, others: bool, r: &mut Reader) -> Option<()> {
    if !groups.iter().any(|g| g.receives) {
        r.fail(&typed.at, "no group of clients receives: nothing would be owed to anybody", "leave `receives = false` out of one of them");
        return None;
    }
    match &typed.audience {
        Some(spot) if others && clients == 1 => {
            let what = "with one client there are no others: nothing would be owed to anybody";
            r.fail(&spot.at, what, "raise `clients.count`, or write audience = \"all\"");
            None
        }
        _ => Some(()),
    }
}

/// Which group publishes: the one named, or the one that says so of itself.
fn publishing_group(
    document: &schema::Document,
    typed: &Spot<schema::Publish>,
    groups: &[ClientGroup],
    r: &mut Reader,
) -> Option<Option<u32>> {
    let typed_groups = document.clients.as_ref().map_or(&[][..], |c| &c.0[..]);
    let saying: Vec<(u32, &Spot<bool>)> =
        (0..).zip(typed_groups).filter_map(|(i, g)| Some((i, g.publish.as_ref().filter(|p| p.value)?))).collect();
    match (&typed.group, &saying[..]) {
        (Some(name), []) => {
            let found = (0..).zip(groups).find(|(_, g)| g.name == name.value).map(|(i, _)| i);
            if found.is_none() {
                let known: Vec<&str> = groups.iter().map(|g| g.name.as_str()).collect();
                r.fail(&name.at, format!("no group of clients is called `{}`", name.value), format!("one of: {}", known.join(", ")));
                return None;
            }
            Some(found)
        }
        (None, []) => Some(None),
        (None, [(i, _)]) => Some(Some(*i)),
        (Some(name), [(_, spot), ..]) => {
            r.fail(&spot.at, format!("[publish] already says that `{}` publishes", name.value), "leave one of the two out");
            None
        }
        (None, [_, (_, second), ..]) => {
            r.fail(&second.at, "a second group that publishes", "publishers are all of one group: put them together");
            None
        }
    }
}

fn only_with_http(typed: &Spot<schema::Publish>, r: &mut Reader) -> bool {
    let over_http = [
        ("method", typed.method.as_ref().map(|s| &s.at)),
        ("url", typed.url.as_ref().map(|s| &s.at)),
        ("headers", typed.headers.as_ref().map(|s| &s.at)),
        ("body", typed.body.as_ref().map(|s| &s.at)),
        ("within", typed.within.as_ref().map(|s| &s.at)),
    ];
    let mut good = true;
    for (key, at) in over_http {
        if let Some(at) = at {
            r.fail(at, format!("`{key}` goes with via = \"http\""), "add `via = \"http\"`, or leave it out");
            good = false;
        }
    }
    good
}

fn http(typed: &Spot<schema::Publish>, dialect: &Dialect, names: &Names, r: &mut Reader) -> Option<HttpPublish> {
    let Some(url) = &typed.url else {
        r.fail(&typed.at, "where are publications posted?", "write `url = \"http://…\"`");
        return None;
    };
    if dialect.publish.is_some() {
        r.fail(&url.at, "a dialect with `publish`, and publications over http: which of the two?", "write the message as `publish.body`");
        return None;
    }
    let body = match &typed.body {
        Some(body) => text_body(body, names, r)?,
        None => template_at("{stamp}", &typed.at, names, r)?,
    };
    let address = behaviour::http_url(url, names, r)?;
    if body.carries().is_none() && address.carries().is_none() {
        let at = typed.body.as_ref().map_or(&typed.at, |b| &b.at);
        r.fail(at, "no {stamp} in it: a copy could not be told from anything else", "put {stamp} where the message's text goes");
        return None;
    }
    let method = value(&typed.method).unwrap_or_else(|| "POST".into());
    let method = behaviour::http_method(&method, typed.method.as_ref().map_or(&typed.at, |m| &m.at), r)?;
    let within = value(&typed.within).unwrap_or(Span::from_secs(10));
    Some(HttpPublish { method, url: address, headers: named(typed.headers.as_ref(), names, r), body, within })
}

fn publishers(typed: &Spot<schema::Publish>, clients: u32, of_group: bool, r: &mut Reader) -> Option<u32> {
    let Some(spot) = &typed.publishers else { return Some(if of_group { clients } else { 1 }) };
    if spot.value == 0 {
        r.fail(&spot.at, "zero publishers: nobody would publish", "write at least 1, or leave out [publish] to only listen");
        return None;
    }
    if spot.value > clients {
        let whose = if of_group { "clients in the group that publishes" } else { "clients: publishers are the first of the clients" };
        let what = format!("{} publishers, but only {clients} {whose}", spot.value);
        r.fail(&spot.at, what, format!("write at most {clients}, or raise `clients.count`"));
        return None;
    }
    Some(spot.value)
}

fn pace(typed: &schema::PaceTable, at: &At, r: &mut Reader) -> Option<Pace> {
    let closed = typed.closed.as_ref().is_some_and(|c| c.value);
    let kinds = [
        ("rate", typed.rate.is_some() && !closed),
        ("ramp", typed.ramp.is_some()),
        ("steps", typed.steps.is_some()),
        ("burst", typed.burst.is_some()),
        ("poisson", typed.poisson.is_some()),
        ("closed", closed),
    ];
    let named: Vec<_> = kinds.iter().filter(|(_, given)| *given).map(|(kind, _)| *kind).collect();
    let [kind] = named[..] else {
        let what =
            if named.is_empty() { "a pace of no kind".into() } else { format!("a pace is of one kind, not {}", named.join(" and ")) };
        r.fail(at, what, "exactly one of: rate, ramp, steps, burst with every, poisson, closed");
        return None;
    };
    if let (Some(every), true) = (&typed.every, kind != "burst") {
        r.fail(&every.at, format!("`every` goes with `burst`, not with `{kind}`"), "leave it out");
        return None;
    }
    match kind {
        "ramp" => ramp(typed.ramp.as_ref()?, r),
        "steps" => steps(typed.steps.as_ref()?, r),
        "burst" => burst(typed, at, r),
        "poisson" => Some(Pace::Poisson { rate: typed.poisson.as_ref()?.value }),
        "closed" => Some(Pace::Closed { rate: value(&typed.rate) }),
        _ => Some(Pace::Constant { rate: typed.rate.as_ref()?.value }),
    }
}

fn ramp(typed: &Spot<schema::Ramp>, r: &mut Reader) -> Option<Pace> {
    match (&typed.from, &typed.to) {
        (Some(from), Some(to)) => Some(Pace::Ramp { from: from.value, to: to.value }),
        _ => {
            r.fail(&typed.at, "a ramp has two ends", "write `ramp = { from = \"10/s\", to = \"100/s\" }`");
            None
        }
    }
}

fn steps(typed: &Spot<Vec<Spot<schema::PaceStep>>>, r: &mut Reader) -> Option<Pace> {
    if typed.value.is_empty() {
        r.fail(&typed.at, "no step", "write `steps = [{ rate = \"10/s\", for = \"5s\" }, …]`");
        return None;
    }
    let mut steps = Vec::new();
    for step in &typed.value {
        match (&step.rate, &step.r#for) {
            (Some(rate), Some(span)) if !span.is_zero() => steps.push(Step { rate: rate.value, span: span.value }),
            (Some(_), Some(span)) => r.fail(&span.at, "a step of no length", "write how long it lasts, such as \"5s\""),
            _ => r.fail(&step.at, "a step has a rate and a length", "write `{ rate = \"10/s\", for = \"5s\" }`"),
        }
    }
    (steps.len() == typed.value.len()).then_some(Pace::Steps { steps })
}

fn burst(typed: &schema::PaceTable, at: &At, r: &mut Reader) -> Option<Pace> {
    let size = typed.burst.as_ref()?;
    if size.value == 0 {
        r.fail(&size.at, "a burst of nothing", "write how many are sent at once: at least 1");
        return None;
    }
    match &typed.every {
        Some(every) if every.is_zero() => {
            r.fail(&every.at, "bursts without a pause between them", "write the time from burst to burst, such as \"1s\"");
            None
        }
        Some(every) => Some(Pace::Burst { size: size.value, every: every.value }),
        None => {
            r.fail(at, "how often does a burst come?", format!("write `{{ burst = {}, every = \"1s\" }}`", size.value));
            None
        }
    }
}

fn size(typed: &Spot<schema::Publish>, r: &mut Reader) -> Option<PayloadSize> {
    let Some(spot) = &typed.size else { return Some(PayloadSize { min: ByteSize(128), max: ByteSize(128) }) };
    let (min, min_at, max, max_at) = match &spot.value {
        schema::Size::One(size) => (*size, &spot.at, *size, &spot.at),
        schema::Size::Range(table) => match (&table.min, &table.max) {
            (Some(min), Some(max)) => (min.value, &min.at, max.value, &max.at),
            _ => {
                r.fail(&spot.at, "a range of sizes has two ends", "write `size = { min = \"64B\", max = \"1KiB\" }`");
                return None;
            }
        },
    };
    if min.0 < STAMP_LEN as u64 {
        let what = format!("a payload of {} bytes cannot hold the stamp of {STAMP_LEN} bytes by which a copy is known", min.0);
        r.fail(min_at, what, format!("write at least \"{STAMP_LEN}B\""));
        return None;
    }
    if max < min {
        r.fail(max_at, format!("the largest size ({max}) is less than the smallest ({min})"), "exchange them");
        return None;
    }
    if max.0 > LARGEST {
        r.fail(max_at, format!("a payload of {max} is beyond the limit"), format!("write at most \"{}\"", ByteSize(LARGEST)));
        return None;
    }
    Some(PayloadSize { min, max })
}

/// What runs, but hardly as meant.
pub(super) fn doubts(document: &schema::Document, phases: &Phases, r: &mut Reader) {
    let Some(pace) = document.publish.as_ref().and_then(|p| p.pace.as_ref()) else { return };
    let publishing = phases.warm_up + phases.steady;
    if let Some(steps) = &pace.0.steps {
        let total = steps.value.iter().filter_map(|s| value(&s.r#for)).fold(Span::ZERO, |a, b| a + b);
        if total > publishing {
            let what = format!("the steps take {total}, but publishing lasts {publishing}: the end is cut");
            r.warn(&steps.at, what, "raise `phases.steady`, or shorten the steps");
        }
    }
    if let Some(every) = &pace.0.every
        && every.value > phases.steady
    {
        let what = format!("a burst every {}, but the steady state lasts {}: it may see none", every.value, phases.steady);
        r.warn(&every.at, what, "raise `phases.steady`, or burst more often");
    }
}
