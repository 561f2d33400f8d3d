//! The scenario as resolved, as TOML: every default written out, and it reads back to an equal scenario. This is
//! `results/scenario.toml`, and what workers of a run over several processes are given.

use serde_json::json;
use toml::{Table, Value};

use super::model::{
    Audience, Beat, Checks, ClientGroup, Encoding, Greeting, Matcher, Metric, OrderScope, Pace, Phases, PongCheck, Publish, Scenario,
    Target,
};
use super::schema::METRICS;
use crate::base::{ByteSize, Rate, Span};

impl Scenario {
    /// This scenario as TOML text that [`parse`](super::parse)s to an equal one.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut document = Table::new();
        document.insert("name".into(), text(&self.name));
        if let Some(description) = &self.description {
            document.insert("description".into(), text(description));
        }
        if let Target::Url(url) = &self.target {
            document.insert("target".into(), table([("url", text(url))]));
        }
        document.insert("clients".into(), Value::Array(self.groups.iter().map(group).collect()));
        if let Some(publish) = &self.publish {
            document.insert("publish".into(), publishing(publish));
        }
        document.insert("phases".into(), phases(&self.phases));
        document.insert("checks".into(), checks(&self.checks, self.publish.is_some()));
        document.to_string()
    }
}

fn table<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Table(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn text(text: &str) -> Value {
    Value::String(text.into())
}

/// A span exactly, in the largest unit that divides it.
pub(super) fn span(span: Span) -> String {
    let ns = span.as_nanos();
    match ns {
        0 => "0s".into(),
        _ if ns.is_multiple_of(1_000_000_000) => format!("{}s", ns / 1_000_000_000),
        _ if ns.is_multiple_of(1_000_000) => format!("{}ms", ns / 1_000_000),
        _ if ns.is_multiple_of(1_000) => format!("{}us", ns / 1_000),
        _ => format!("{ns}ns"),
    }
}

fn time(of: Span) -> Value {
    Value::String(span(of))
}

fn rate(rate: Rate) -> Value {
    Value::String(rate.to_string())
}

fn bytes(size: ByteSize) -> Value {
    Value::String(format!("{}B", size.0))
}

fn group(group: &ClientGroup) -> Value {
    let mut out = Table::new();
    out.insert("name".into(), text(&group.name));
    out.insert("count".into(), i64::from(group.count).into());
    out.insert("connect_rate".into(), rate(group.connect_rate));
    out.insert("connect_timeout".into(), time(group.connect_timeout));
    match &group.greeting {
        Greeting::Any => {}
        Greeting::None => drop(out.insert("greeting".into(), false.into())),
        Greeting::Expected { matches, within } => {
            let mut greeting = matcher(matches);
            greeting.insert("within".into(), time(*within));
            out.insert("greeting".into(), Value::Table(greeting));
        }
    }
    if !group.headers.is_empty() {
        out.insert("headers".into(), Value::Table(group.headers.iter().map(|(name, value)| (name.clone(), text(value))).collect()));
    }
    if !group.subprotocols.is_empty() {
        out.insert("subprotocols".into(), Value::Array(group.subprotocols.iter().map(|s| text(s)).collect()));
    }
    if group.insecure {
        out.insert("insecure".into(), true.into());
    }
    Value::Table(out)
}

fn matcher(matcher: &Matcher) -> Table {
    let (kind, value) = match matcher {
        Matcher::Exact(t) => ("exact", t.clone()),
        Matcher::Contains(t) => ("contains", t.clone()),
        Matcher::Prefix(t) => ("prefix", t.clone()),
        Matcher::Regex(pattern) => ("regex", pattern.as_str().to_owned()),
        // As text: TOML has no null, and no way to keep 1.0 apart from 1 inside every kind of list.
        Matcher::Json(value) => ("json", value.to_string()),
    };
    Table::from_iter([(kind.to_owned(), Value::String(value))])
}

fn publishing(publish: &Publish) -> Value {
    table([
        ("publishers", i64::from(publish.publishers).into()),
        ("pace", pace(&publish.pace)),
        (
            "size",
            if publish.size.min == publish.size.max {
                bytes(publish.size.min)
            } else {
                table([("min", bytes(publish.size.min)), ("max", bytes(publish.size.max))])
            },
        ),
        ("encoding", text(if publish.encoding == Encoding::Binary { "binary" } else { "text" })),
        ("audience", text(if publish.audience == Audience::Others { "others" } else { "all" })),
    ])
}

fn pace(pace: &Pace) -> Value {
    match pace {
        Pace::Constant { rate: r } => table([("rate", rate(*r))]),
        Pace::Ramp { from, to } => table([("ramp", table([("from", rate(*from)), ("to", rate(*to))]))]),
        Pace::Steps { steps } => {
            let steps = steps.iter().map(|s| table([("rate", rate(s.rate)), ("for", time(s.span))])).collect();
            table([("steps", Value::Array(steps))])
        }
        Pace::Burst { size, every } => table([("burst", i64::from(*size).into()), ("every", time(*every))]),
        Pace::Poisson { rate: r } => table([("poisson", rate(*r))]),
        Pace::Closed { rate: None } => table([("closed", true.into())]),
        Pace::Closed { rate: Some(r) } => table([("closed", true.into()), ("rate", rate(*r))]),
    }
}

fn phases(phases: &Phases) -> Value {
    table([
        ("warm_up", time(phases.warm_up)),
        ("steady", time(phases.steady)),
        ("drain", time(phases.drain)),
        ("ramp_limit", time(phases.ramp_limit)),
    ])
}

fn checks(checks: &Checks, publishes: bool) -> Value {
    let mut out = Table::new();
    if publishes {
        out.insert("delivery".into(), checks.delivery.map_or(false.into(), |d| table([("within", time(d.within))])));
        out.insert("duplicate".into(), checks.duplicate.into());
        out.insert(
            "order".into(),
            match checks.order {
                None => false.into(),
                Some(OrderScope::Publisher) => text("publisher"),
                Some(OrderScope::Total) => text("total"),
            },
        );
        out.insert("integrity".into(), checks.integrity.into());
    }
    out.insert("stray".into(), checks.stray.into());
    out.insert("survival".into(), checks.survival.into());
    if !checks.latency.is_empty() {
        out.insert("latency".into(), latency(checks));
    }
    if let Some(check) = &checks.pong {
        out.insert("pong".into(), pong(check));
    }
    if let Some(check) = &checks.heartbeat {
        let (key, beat) = match &check.beat {
            Beat::Message(matches) => ("expect", Value::Table(matcher(matches))),
            Beat::ProtocolPing => ("protocol", true.into()),
        };
        out.insert("heartbeat".into(), table([(key, beat), ("every", time(check.every)), ("tolerance", time(check.tolerance))]));
    }
    out.insert(
        "connect".into(),
        match &checks.connect {
            None => false.into(),
            Some(check) => {
                let mut connect = Table::from_iter([("min_share".to_owned(), Value::Float(check.min_share))]);
                connect.extend(check.within.map(|within| ("within".to_owned(), time(within))));
                Value::Table(connect)
            }
        },
    );
    out.insert(
        "instrument".into(),
        table([
            ("late_send", time(checks.instrument.late_send)),
            ("max_late_share", Value::Float(checks.instrument.max_late_share)),
            ("max_loop_lag", time(checks.instrument.max_loop_lag)),
        ]),
    );
    Value::Table(out)
}

fn latency(checks: &Checks) -> Value {
    let mut out = Table::new();
    for (name, metric) in METRICS {
        let limits: Table = checks
            .latency
            .iter()
            .filter(|l| l.metric == metric)
            .map(|l| (if l.percentile >= 100.0 { "max".into() } else { format!("p{}", percentile(l.percentile)) }, time(l.at_most)))
            .collect();
        match metric {
            _ if limits.is_empty() => {}
            Metric::Delivery => out.extend(limits),
            _ => drop(out.insert(name.into(), Value::Table(limits))),
        }
    }
    Value::Table(out)
}

/// With a point whenever a bare number would be read as `p999` is.
fn percentile(p: f64) -> String {
    json!(p).to_string().trim_end_matches(".0").to_owned()
}

fn pong(check: &PongCheck) -> Value {
    let mut out = Table::from_iter([("every".to_owned(), time(check.every)), ("within".to_owned(), time(check.within))]);
    if let Some(application) = &check.application {
        out.insert("send".into(), text(&application.send));
        out.insert("expect".into(), Value::Table(matcher(&application.expect)));
    }
    if check.protocol {
        out.insert("protocol".into(), true.into());
    }
    Value::Table(out)
}
