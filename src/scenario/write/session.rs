//! The part of the language that fits any server, written out.

use toml::{Table, Value};

use super::super::body::{Body, Count, Piece};
use super::super::capture::{Capture, Extract};
use super::super::model::{
    Auth, Behaviour, Carrier, ClientGroup, Compute, Dialect, Encoding, Feeder, FeederOrder, HttpPublish, HttpStep, Proxy, Reply, Rooms,
    RoomsBy, ScriptStep, Template, Trigger, Variable,
};
use super::{matcher, table, text, time};

fn template(template: &Template) -> Value {
    text(template.as_str())
}

fn named(pairs: &[(String, Template)]) -> Value {
    Value::Table(pairs.iter().map(|(name, value)| (name.clone(), template(value))).collect())
}

pub(super) fn body(body: &Body) -> Value {
    match body {
        Body::Text(t) => template(t),
        Body::Binary(parts) => table([("binary", pieces(parts))]),
    }
}

fn pieces(list: &[Piece]) -> Value {
    let piece = |piece: &Piece| match piece {
        Piece::Text(t) => template(t),
        Piece::Bytes(bytes) => table([("hex", Value::String(bytes.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" ")))]),
        Piece::Counted(count, inner) => {
            let key = Count::ALL.iter().find(|(_, c)| c == count).map_or("u8", |(key, _)| key);
            table([(key, pieces(inner))])
        }
    };
    Value::Array(list.iter().map(piece).collect())
}

pub(super) fn extract(extract: &Extract) -> Value {
    match extract {
        Extract::Json(pointer) => table([("json", text(pointer))]),
        Extract::Regex(pattern) => table([("regex", text(pattern.as_str()))]),
        Extract::Bytes(from, to) => {
            let index = |i: &usize| Value::Integer(i64::try_from(*i).unwrap_or(i64::MAX));
            table([("bytes", Value::Array(vec![index(from), index(to)]))])
        }
    }
}

fn captures(out: &mut Table, captures: &[Capture]) {
    if !captures.is_empty() {
        out.insert("capture".into(), Value::Table(captures.iter().map(|c| (c.name.clone(), extract(&c.from))).collect()));
    }
}

/// Puts a group's connection and behaviour into its table.
pub(super) fn group(out: &mut Table, group: &ClientGroup) {
    let connection = &group.connection;
    let texts = [("url", &connection.url), ("path", &connection.path), ("origin", &connection.origin)];
    out.extend(texts.into_iter().filter_map(|(key, t)| Some((key.to_owned(), template(t.as_ref()?)))));
    let tables = [("query", &connection.query), ("headers", &connection.headers), ("cookies", &connection.cookies)];
    out.extend(tables.into_iter().filter(|(_, pairs)| !pairs.is_empty()).map(|(key, pairs)| (key.to_owned(), named(pairs))));
    let plain = [("host", &connection.host), ("sni", &connection.sni), ("tls_roots", &connection.tls_roots)];
    out.extend(plain.into_iter().filter_map(|(key, t)| Some((key.to_owned(), text(t.as_ref()?)))));
    if let Some((cert, key)) = &connection.tls_client {
        out.insert("tls_cert".into(), text(cert));
        out.insert("tls_key".into(), text(key));
    }
    match &connection.auth {
        None => {}
        Some(Auth::Bearer(token)) => drop(out.insert("auth".into(), table([("bearer", template(token))]))),
        Some(Auth::Basic { user, password }) => {
            out.insert("auth".into(), table([("basic", Value::Array(vec![template(user), template(password)]))]));
        }
    }
    if connection.deflate {
        out.insert("deflate".into(), true.into());
    }
    match &connection.proxy {
        Proxy::None => {}
        Proxy::Environment => drop(out.insert("proxy".into(), text("env"))),
        Proxy::Url(url) => drop(out.insert("proxy".into(), text(url))),
    }
    if !group.receives {
        out.insert("receives".into(), false.into());
    }
    behaviour(out, &group.behaviour);
}

fn behaviour(out: &mut Table, behaviour: &Behaviour) {
    let lists = [
        ("script", behaviour.script.iter().map(step).collect::<Vec<_>>()),
        ("on_close", behaviour.on_close.iter().map(body).collect()),
        ("reply", behaviour.replies.iter().map(reply).collect()),
        ("ignore", behaviour.ignore.iter().map(|m| Value::Table(matcher(m))).collect()),
    ];
    out.extend(lists.into_iter().filter(|(_, list)| !list.is_empty()).map(|(key, list)| (key.to_owned(), Value::Array(list))));
}

fn step(step: &ScriptStep) -> Value {
    match step {
        ScriptStep::Send(b) => table([("send", body(b))]),
        ScriptStep::Wait(span) => table([("wait", time(*span))]),
        ScriptStep::Expect { matches, within, captures: list } => {
            let mut out = Table::from_iter([("expect".to_owned(), Value::Table(matcher(matches))), ("within".to_owned(), time(*within))]);
            captures(&mut out, list);
            Value::Table(out)
        }
        ScriptStep::Http(http) => request(http),
    }
}

fn request(http: &HttpStep) -> Value {
    let mut inner = Table::from_iter([("method".to_owned(), text(&http.method)), ("url".to_owned(), template(&http.url))]);
    if !http.headers.is_empty() {
        inner.insert("headers".into(), named(&http.headers));
    }
    inner.extend(http.body.as_ref().map(|b| ("body".to_owned(), template(b))));
    let mut out = Table::from_iter([("http".to_owned(), Value::Table(inner)), ("within".to_owned(), time(http.within))]);
    captures(&mut out, &http.captures);
    Value::Table(out)
}

fn reply(reply: &Reply) -> Value {
    let mut out = Table::new();
    match &reply.when {
        Trigger::Message(m) => out.insert("when".into(), Value::Table(matcher(m))),
        Trigger::Every(span) => out.insert("every".into(), time(*span)),
    };
    captures(&mut out, &reply.captures);
    out.insert("send".into(), body(&reply.send));
    Value::Table(out)
}

/// Puts the keys of a publication over HTTP into `[publish]`.
pub(super) fn http(out: &mut Table, http: &HttpPublish) {
    out.insert("via".into(), text("http"));
    out.insert("method".into(), text(&http.method));
    out.insert("url".into(), template(&http.url));
    if !http.headers.is_empty() {
        out.insert("headers".into(), named(&http.headers));
    }
    out.insert("body".into(), template(&http.body));
    out.insert("within".into(), time(http.within));
}

pub(super) fn dialect(dialect: &Dialect) -> Value {
    let mut out = Table::new();
    out.extend(dialect.publish.as_ref().map(|b| ("publish".to_owned(), body(b))));
    out.extend(dialect.matches.as_ref().map(|m| ("match".to_owned(), Value::Table(matcher(m)))));
    out.extend(dialect.ack.as_ref().map(|m| ("ack".to_owned(), Value::Table(matcher(m)))));
    out.extend(dialect.split.as_ref().map(|s| ("split".to_owned(), text(s))));
    let carrier = Carrier::ALL.iter().find(|(_, c)| *c == dialect.carrier).map_or("plain", |(key, _)| key);
    out.insert("carrier".into(), text(carrier));
    let receive = match dialect.receive {
        Some(Encoding::Text) => "text",
        Some(Encoding::Binary) => "binary",
        None => "any",
    };
    out.insert("receive".into(), text(receive));
    Value::Table(out)
}

pub(super) fn vars(list: &[Variable]) -> Value {
    let of = |v: &Variable| match &v.compute {
        None => template(&v.of),
        Some(Compute::Md5) => table([("md5", template(&v.of))]),
        Some(Compute::Sha256) => table([("sha256", template(&v.of))]),
        Some(Compute::HmacSha256(key)) => table([("hmac_sha256", template(&v.of)), ("key", template(key))]),
    };
    Value::Table(list.iter().map(|v| (v.name.clone(), of(v))).collect())
}

pub(super) fn rooms(rooms: &Rooms) -> Value {
    match &rooms.by {
        RoomsBy::RoundRobin => i64::from(rooms.count).into(),
        RoomsBy::Zipf { skew } => table([("count", i64::from(rooms.count).into()), ("by", text("zipf")), ("skew", Value::Float(*skew))]),
        RoomsBy::Column(column) => table([("column", text(column))]),
    }
}

pub(super) fn feeder(feeder: &Feeder) -> Value {
    let order = match feeder.order {
        FeederOrder::Sequential => "sequential",
        FeederOrder::Circular => "circular",
        FeederOrder::Random => "random",
    };
    table([("file", text(&feeder.file)), ("order", text(order))])
}
