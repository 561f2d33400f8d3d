//! `[checks]`.

use super::super::error::At;
use super::super::model::{
    ApplicationPing, Beat, Checks, ClientGroup, ConnectCheck, DeliveryCheck, DisruptionChecks, FirstBeat, HeartbeatCheck, InstrumentCheck,
    LatencyLimit, Metric, OrderScope, Phases, PongCheck, Publish, Via,
};
use super::super::schema;
use super::super::template::Names;
use super::super::typed::{Reader, Spot, Toggle};
use super::language::send;
use super::matcher::matcher;
use super::{delivery_limit, feed, value};
use crate::base::Span;

/// The checks, and how the server's heartbeat looks.
pub(super) fn resolve(
    document: &schema::Document,
    publish: Option<&Publish>,
    feeds: bool,
    phases: &Phases,
    groups: &[ClientGroup],
    names: &Names,
    r: &mut Reader,
) -> Option<(Checks, Option<Beat>)> {
    let empty = schema::Checks::default();
    let typed = document.checks.as_ref().map_or(&empty, |c| &c.value);
    let publishes = publish.is_some() || feeds;
    nothing_published(typed, publishes, r);
    if let (true, Some(spot)) = (feeds, typed.integrity.as_ref().filter(|i| i.value)) {
        feed::no_integrity(&spot.at, r);
    }
    let looks = looks(document, names, r)?;
    let pong = match &typed.pong {
        Some(Spot { value: Toggle::On(table), at }) => Some(pong(document, table, at, names, r)?),
        _ => None,
    };
    let heartbeat = match &typed.heartbeat {
        Some(Spot { value: Toggle::On(table), at }) => Some(heartbeat(document, table, at, phases, names, r)?),
        _ => None,
    };
    let order = match &typed.order {
        Some(Spot { value: schema::Order::Off, .. }) => None,
        Some(Spot { value: schema::Order::Total, .. }) => Some(OrderScope::Total),
        _ => Some(OrderScope::Publisher),
    };
    let over_http = publish.is_some_and(|p| matches!(p.via, Via::Http(_)));
    let latency = latency(typed, publishes, pong.is_some(), over_http, feeds, r);
    let offered = groups.iter().any(|g| !g.subprotocols.is_empty());
    let beat = heartbeat.as_ref().map(|h| h.beat.clone()).or(looks);
    let checks = Checks {
        delivery: delivery_limit(document, publishes).map(|(within, _)| DeliveryCheck { within }).filter(|d| positive(typed, d.within, r)),
        duplicate: publishes && value(&typed.duplicate).unwrap_or(true),
        order: order.filter(|_| publishes),
        integrity: publish.is_some() && value(&typed.integrity).unwrap_or(true),
        stray: value(&typed.stray).unwrap_or(true),
        latency,
        pong,
        heartbeat,
        survival: value(&typed.survival).unwrap_or(true),
        connect: connect(typed),
        subprotocol: asked(&typed.subprotocol, offered, "no group of clients offers a subprotocol", r),
        publish: asked(&typed.publish, over_http, "publications do not go over http", r),
        feed: feed::check(typed, feeds, r)?,
        disruption: DisruptionChecks::default(),
        instrument: instrument(typed, r),
    };
    Some((checks, beat))
}

/// A check that is on by itself where it makes sense, and refused where it does not.
fn asked(spot: &Option<Spot<bool>>, sensible: bool, why_not: &str, r: &mut Reader) -> bool {
    if let (Some(spot), false) = (spot, sensible)
        && spot.value
    {
        r.fail(&spot.at, format!("this check has nothing to look at: {why_not}"), "leave it out");
    }
    sensible && value(spot).unwrap_or(true)
}

/// How the server's heartbeat looks by `[heartbeat]`.
fn looks(document: &schema::Document, names: &Names, r: &mut Reader) -> Option<Option<Beat>> {
    let Some(table) = &document.heartbeat else { return Some(None) };
    match (&table.expect, value(&table.protocol).unwrap_or(false)) {
        (Some(expect), false) => matcher(expect, &expect.at, false, names, r).map(|m| Some(Beat::Message(m))),
        (None, true) => Some(Some(Beat::ProtocolPing)),
        _ => {
            r.fail(&table.at, "what is a beat?", "write `expect = …`, or `protocol = true` for protocol pings");
            None
        }
    }
}

/// A tolerance that leaves something to fail; by default a twentieth of the period, at least 100ms.
pub(super) fn tolerance(stated: &Option<Spot<Span>>, every: &Spot<Span>, r: &mut Reader) -> Option<Span> {
    let Some(spot) = stated else {
        let half = Span::from_nanos(every.as_nanos() / 2);
        return Some(Span::from_nanos(every.as_nanos() / 20).max(Span::from_millis(100)).min(half));
    };
    if spot.value >= every.value {
        let what = format!("a tolerance of {} on something every {} allows anything", spot.value, every.value);
        r.fail(&spot.at, what, "make the tolerance shorter than `every`");
        return None;
    }
    Some(spot.value)
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

fn latency(typed: &schema::Checks, publishes: bool, pings: bool, over_http: bool, feeds: bool, r: &mut Reader) -> Vec<LatencyLimit> {
    let Some(table) = &typed.latency else { return Vec::new() };
    let mut limits: Vec<LatencyLimit> = Vec::new();
    for (metric, percentile, limit) in &table.limits {
        let of_copies = matches!(metric, Metric::Delivery | Metric::Transit | Metric::SendLag);
        if of_copies && !publishes {
            r.fail(&limit.at, "a limit on copies, but nothing is published", "add `[publish]`, or leave the limit out");
        } else if *metric == Metric::Pong && !pings {
            r.fail(&limit.at, "a limit on pongs, but nobody pings", "add `[checks.pong]`, or leave the limit out");
        } else if *metric == Metric::Publish && !over_http {
            r.fail(&limit.at, "a limit on requests, but publications do not go over http", "publish with via = \"http\", or leave it out");
        } else if let Some((what, help)) = feed::limit_on(*metric, feeds) {
            r.fail(&limit.at, what, help);
        } else if limits.iter().any(|l| l.metric == *metric && (l.percentile - percentile).abs() < 1e-9) {
            r.fail(&limit.at, "the same percentile is limited twice", "leave one out");
        } else {
            limits.push(LatencyLimit { metric: *metric, percentile: *percentile, at_most: limit.value });
        }
    }
    limits.sort_by(|a, b| a.metric.cmp(&b.metric).then(a.percentile.total_cmp(&b.percentile)));
    limits
}

fn pong(document: &schema::Document, typed: &schema::Pong, at: &At, names: &Names, r: &mut Reader) -> Option<PongCheck> {
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
    // What [ping] says of the server stands in for what is left out, unless only protocol pings are asked for.
    let ping = document.ping.as_ref().filter(|_| !protocol || typed.send.is_some() || typed.expect.is_some());
    let ping_send = typed.send.as_ref().or(ping.and_then(|p| p.send.as_ref()));
    let ping_expect = typed.expect.as_ref().or(ping.and_then(|p| p.expect.as_ref()));
    let application = match (ping_send, ping_expect) {
        (Some(body), Some(expect)) => {
            let body = send(&body.value, &body.at, false, names, r)?;
            Some(ApplicationPing { send: body, expect: matcher(expect, &expect.at, false, names, r)? })
        }
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
        r.fail(at, "nothing is sent to be answered", "write `send` and `expect`, or `protocol = true`, or both");
        return None;
    }
    Some(PongCheck { every, within, application, protocol })
}

fn heartbeat(
    document: &schema::Document,
    typed: &schema::Heartbeat,
    at: &At,
    phases: &Phases,
    names: &Names,
    r: &mut Reader,
) -> Option<HeartbeatCheck> {
    let shared = document.heartbeat.as_ref();
    let Some(every) = typed.every.as_ref().or(shared.and_then(|s| s.every.as_ref())) else {
        r.fail(at, "how often does the heart beat?", "write `every = \"5s\"`");
        return None;
    };
    if every.is_zero() {
        r.fail(&every.at, "a heartbeat every 0s", "write the promised cadence, such as \"5s\"");
        return None;
    }
    let own = typed.expect.is_some() || typed.protocol.is_some();
    let looks = if own { None } else { looks(document, names, r)? };
    let beat = match (looks, &typed.expect, value(&typed.protocol).unwrap_or(false)) {
        (Some(beat), ..) => beat,
        (_, Some(expect), false) => Beat::Message(matcher(expect, &expect.at, false, names, r)?),
        (_, None, true) => Beat::ProtocolPing,
        (_, Some(expect), true) => {
            r.fail(&expect.at, "a beat is a message or a protocol ping, not both", "leave out `expect` or `protocol`");
            return None;
        }
        (_, None, false) => {
            r.fail(at, "what is a beat?", "write `expect = …`, or `protocol = true` for protocol pings");
            return None;
        }
    };
    let stated = if typed.tolerance.is_some() { &typed.tolerance } else { shared.map_or(&None, |s| &s.tolerance) };
    let tolerance = tolerance(stated, every, r)?;
    let lives = phases.warm_up + phases.steady;
    if every.value + tolerance > lives {
        let what = format!("a beat every {}, but clients are there for {lives}: the check may see none and be inconclusive", every.value);
        r.warn(&every.at, what, format!("let `phases.steady` be at least \"{}\"", super::super::write::span(every.times(2) + tolerance)));
    }
    let first = typed.first.as_ref().or(shared.and_then(|s| s.first.as_ref())).map_or("period", |f| f.word);
    let first = if first == "any" { FirstBeat::Any } else { FirstBeat::Period };
    Some(HeartbeatCheck { beat, every: every.value, first, tolerance })
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
        late_send: value(&table.late_send).unwrap_or(Span::from_millis(50)),
        max_late_share: table.max_late_share.as_ref().map_or(0.05, |s| s.value.0),
        max_loop_lag: value(&table.max_loop_lag).unwrap_or(Span::from_millis(250)),
    }
}
