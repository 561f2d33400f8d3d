//! `[checks]`, and matchers wherever they stand.

use serde_json::Value;

use super::super::error::At;
use super::super::matcher::Pattern;
use super::super::model::{
    ApplicationPing, Beat, Checks, ConnectCheck, DeliveryCheck, HeartbeatCheck, InstrumentCheck, LatencyLimit, Matcher, Metric, OrderScope,
    Phases, PongCheck,
};
use super::super::node::Kind;
use super::super::schema;
use super::super::typed::{Reader, Spot, Toggle};
use super::{delivery_limit, value};
use crate::base::Span;

pub(super) fn resolve(document: &schema::Document, publishes: bool, phases: &Phases, r: &mut Reader) -> Option<Checks> {
    let empty = schema::Checks::default();
    let typed = document.checks.as_ref().map_or(&empty, |c| &c.value);
    nothing_published(typed, publishes, r);
    let pong = match &typed.pong {
        Some(spot) => Some(pong(spot, r)?),
        None => None,
    };
    let heartbeat = match &typed.heartbeat {
        Some(spot) => Some(heartbeat(spot, phases, r)?),
        None => None,
    };
    let latency = latency(typed, publishes, pong.is_some(), r);
    let order = match &typed.order {
        Some(Spot { value: schema::Order::Off, .. }) => None,
        Some(Spot { value: schema::Order::Total, .. }) => Some(OrderScope::Total),
        _ => Some(OrderScope::Publisher),
    };
    Some(Checks {
        delivery: delivery_limit(document, publishes).map(|(within, _)| DeliveryCheck { within }).filter(|d| positive(typed, d.within, r)),
        duplicate: publishes && value(&typed.duplicate).unwrap_or(true),
        order: order.filter(|_| publishes),
        integrity: publishes && value(&typed.integrity).unwrap_or(true),
        stray: value(&typed.stray).unwrap_or(true),
        latency,
        pong,
        heartbeat,
        survival: value(&typed.survival).unwrap_or(true),
        connect: connect(typed),
        instrument: instrument(typed, r),
    })
}

/// A check on publications where nothing is published could only ever be inconclusive: refused at once.
fn nothing_published(typed: &schema::Checks, publishes: bool, r: &mut Reader) {
    if publishes {
        return;
    }
    let asked = [
        ("delivery", typed.delivery.as_ref().and_then(|d| matches!(d.value, Toggle::On(_)).then_some(&d.at))),
        ("duplicate", typed.duplicate.as_ref().and_then(|d| d.value.then_some(&d.at))),
        ("order", typed.order.as_ref().and_then(|d| (!matches!(d.value, schema::Order::Off)).then_some(&d.at))),
        ("integrity", typed.integrity.as_ref().and_then(|d| d.value.then_some(&d.at))),
    ];
    for (check, at) in asked {
        if let Some(at) = at {
            r.fail(at, format!("`{check}` is asked, but nothing is published"), "add `[publish]`, or leave the check out");
        }
    }
}

fn positive(typed: &schema::Checks, within: Span, r: &mut Reader) -> bool {
    if within.is_zero()
        && let Some(spot) = &typed.delivery
    {
        r.fail(&spot.at, "no copy arrives in no time", "write a limit such as \"1s\"");
    }
    true
}

fn latency(typed: &schema::Checks, publishes: bool, pings: bool, r: &mut Reader) -> Vec<LatencyLimit> {
    let Some(table) = &typed.latency else { return Vec::new() };
    let mut limits: Vec<LatencyLimit> = Vec::new();
    for (metric, percentile, limit) in &table.limits {
        let of_copies = matches!(metric, Metric::Delivery | Metric::Transit | Metric::SendLag);
        if of_copies && !publishes {
            r.fail(&limit.at, "a limit on copies, but nothing is published", "add `[publish]`, or leave the limit out");
        } else if *metric == Metric::Pong && !pings {
            r.fail(&limit.at, "a limit on pongs, but nobody pings", "add `[checks.pong]`, or leave the limit out");
        } else if limits.iter().any(|l| l.metric == *metric && (l.percentile - percentile).abs() < 1e-9) {
            r.fail(&limit.at, "the same percentile is limited twice", "leave one out");
        } else {
            limits.push(LatencyLimit { metric: *metric, percentile: *percentile, at_most: limit.value });
        }
    }
    limits.sort_by(|a, b| a.metric.cmp(&b.metric).then(a.percentile.total_cmp(&b.percentile)));
    limits
}

fn pong(typed: &Spot<schema::Pong>, r: &mut Reader) -> Option<PongCheck> {
    let every = value(&typed.every).unwrap_or(Span::from_secs(1));
    if let (Some(spot), true) = (&typed.every, every.is_zero()) {
        r.fail(&spot.at, "a ping every 0s", "write how often each client pings, such as \"1s\"");
        return None;
    }
    let within = value(&typed.within).unwrap_or_else(|| Span::from_nanos(every.as_nanos() / 2).min(Span::from_secs(5)));
    if let Some(spot) = &typed.within {
        if within >= every {
            let what = format!("an answer may take {within}, but the next ping leaves after {every}: answers could not be told apart");
            r.fail(&spot.at, what, "make `within` shorter than `every`");
            return None;
        }
        if within.is_zero() {
            r.fail(&spot.at, "no answer comes in no time", "write a limit such as \"500ms\"");
            return None;
        }
    }
    let protocol = value(&typed.protocol).unwrap_or(false);
    let application = match (&typed.send, &typed.expect) {
        (Some(send), Some(expect)) => Some(ApplicationPing { send: send.value.clone(), expect: matcher(expect, &expect.at, false, r)? }),
        (None, None) => None,
        (Some(send), None) => {
            r.fail(&send.at, "a ping is sent, but what answers it?", "add `expect = …`");
            return None;
        }
        (None, Some(expect)) => {
            r.fail(&expect.at, "an answer is expected, but no ping is sent", "add `send = \"ping\"`");
            return None;
        }
    };
    if application.is_none() && !protocol {
        r.fail(&typed.at, "nothing is sent to be answered", "write `send` and `expect`, or `protocol = true`, or both");
        return None;
    }
    Some(PongCheck { every, within, application, protocol })
}

fn heartbeat(typed: &Spot<schema::Heartbeat>, phases: &Phases, r: &mut Reader) -> Option<HeartbeatCheck> {
    let Some(every) = &typed.every else {
        r.fail(&typed.at, "how often does the heart beat?", "write `every = \"5s\"`");
        return None;
    };
    if every.is_zero() {
        r.fail(&every.at, "a heartbeat every 0s", "write the promised cadence, such as \"5s\"");
        return None;
    }
    let beat = match (&typed.expect, value(&typed.protocol).unwrap_or(false)) {
        (Some(expect), false) => Beat::Message(matcher(expect, &expect.at, false, r)?),
        (None, true) => Beat::ProtocolPing,
        (Some(expect), true) => {
            r.fail(&expect.at, "a beat is a message or a protocol ping, not both", "leave out `expect` or `protocol`");
            return None;
        }
        (None, false) => {
            r.fail(&typed.at, "what is a beat?", "write `expect = …`, or `protocol = true` for protocol pings");
            return None;
        }
    };
    let twentieth = Span::from_nanos(every.as_nanos() / 20).max(Span::from_millis(100)).min(Span::from_nanos(every.as_nanos() / 2));
    let tolerance = value(&typed.tolerance).unwrap_or(twentieth);
    if let Some(spot) = &typed.tolerance
        && tolerance >= every.value
    {
        let what = format!("a tolerance of {tolerance} on a beat every {} allows anything", every.value);
        r.fail(&spot.at, what, "make the tolerance shorter than `every`");
        return None;
    }
    let lives = phases.warm_up + phases.steady;
    if every.value + tolerance > lives {
        let what = format!("a beat every {}, but clients are there for {lives}: the check may see none and be inconclusive", every.value);
        r.warn(&every.at, what, format!("let `phases.steady` be at least \"{}\"", super::super::write::span(every.times(2) + tolerance)));
    }
    Some(HeartbeatCheck { beat, every: every.value, tolerance })
}

fn connect(typed: &schema::Checks) -> Option<ConnectCheck> {
    match typed.connect.as_ref().map(|c| &c.value) {
        Some(Toggle::Off) => None,
        Some(Toggle::On(table)) => {
            Some(ConnectCheck { min_share: table.min_share.as_ref().map_or(1.0, |s| s.value.0), within: value(&table.within) })
        }
        None => Some(ConnectCheck { min_share: 1.0, within: None }),
    }
}

fn instrument(typed: &schema::Checks, r: &mut Reader) -> InstrumentCheck {
    let empty = schema::Instrument::default();
    let table = typed.instrument.as_ref().map_or(&empty, |i| &i.value);
    for spot in [&table.late_send, &table.max_loop_lag].into_iter().flatten() {
        if spot.is_zero() {
            r.fail(&spot.at, "no instrument is never late", "write a limit such as \"20ms\"");
        }
    }
    InstrumentCheck {
        late_send: value(&table.late_send).unwrap_or(Span::from_millis(20)),
        max_late_share: table.max_late_share.as_ref().map_or(0.01, |s| s.value.0),
        max_loop_lag: value(&table.max_loop_lag).unwrap_or(Span::from_millis(100)),
    }
}

/// A matcher as meant. `timed`: whether a time limit makes sense here (greetings).
pub(super) fn matcher(typed: &schema::Match, at: &At, timed: bool, r: &mut Reader) -> Option<Matcher> {
    let table = match typed {
        schema::Match::Text(text) => return some_text(text, at, r).map(Matcher::Exact),
        schema::Match::Table(table) => table,
    };
    if let (Some(within), false) = (&table.within, timed) {
        r.fail(&within.at, "a time limit does not belong to this matcher", "write `within` beside `expect`");
        return None;
    }
    let kinds = [table.exact.is_some(), table.contains.is_some(), table.prefix.is_some(), table.regex.is_some(), table.json.is_some()];
    if kinds.iter().filter(|given| **given).count() != 1 {
        r.fail(at, "a matcher is of one kind", "exactly one of: exact, contains, prefix, regex, json");
        return None;
    }
    if let Some(text) = &table.exact {
        return Some(Matcher::Exact(text.value.clone()));
    }
    if let Some(text) = &table.contains {
        return some_text(text, &text.at, r).map(Matcher::Contains);
    }
    if let Some(text) = &table.prefix {
        return some_text(text, &text.at, r).map(Matcher::Prefix);
    }
    if let Some(text) = &table.regex {
        return match Pattern::new(text) {
            Ok(pattern) => Some(Matcher::Regex(pattern)),
            Err(error) => {
                let message = error.to_string();
                let reason = message.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                r.fail(&text.at, format!("not a regular expression: {reason}"), "backslashes need 'single quotes' in TOML");
                None
            }
        };
    }
    json(table.json.as_ref()?, r).map(Matcher::Json)
}

fn some_text(text: &str, at: &At, r: &mut Reader) -> Option<String> {
    if text.is_empty() {
        r.fail(at, "an empty text matches nothing in particular", "write the text meant; for an empty message { exact = \"\" }");
        return None;
    }
    Some(text.into())
}

/// JSON as a TOML value, or as JSON in a text.
fn json(spot: &Spot<super::super::typed::Any>, r: &mut Reader) -> Option<Value> {
    match &spot.value.0.kind {
        Kind::Text(text) => match serde_json::from_str(text) {
            Ok(value) => Some(value),
            Err(error) => {
                r.fail(
                    &spot.at,
                    format!("not JSON: {error}"),
                    "write a table such as { type = 0 }, or JSON in single quotes: '{\"type\":0}'",
                );
                None
            }
        },
        _ => Some(spot.value.0.to_json()),
    }
}
