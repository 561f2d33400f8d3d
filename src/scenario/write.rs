//! The scenario as resolved, as TOML: every default written out, and it reads back to an equal scenario. This is
//! `results/scenario.toml`, and what workers of a run over several processes are given.

mod disrupt;
mod session;

use serde_json::json;
use toml::{Table, Value};

use super::model::{
    Audience, Beat, Checks, ClientGroup, Encoding, FirstBeat, Greeting, Matcher, Metric, OrderScope, Pace, Phases, PongCheck, Publish,
    Scenario, Target, Template, Varying, Via, Wanted,
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
        match (&self.target, &self.feed) {
            (Target::Url(url), _) => drop(document.insert("target".into(), table([("url", text(url.as_str()))]))),
            (Target::BuiltIn, Some(feed)) => drop(document.insert("target".into(), table([("feed", time(feed.built_in))]))),
            (Target::BuiltIn, None) => {}
        }
        if let Some(rooms) = &self.rooms {
            document.insert("rooms".into(), session::rooms(rooms));
        }
        if let Some(feeder) = &self.feeder {
            document.insert("feeder".into(), session::feeder(feeder));
        }
        if !self.vars.is_empty() {
            document.insert("vars".into(), session::vars(&self.vars));
        }
        document.insert("dialect".into(), session::dialect(&self.dialect));
        if let Some(beat) = &self.beat {
            let (key, beat) = looks(beat);
            document.insert("heartbeat".into(), table([(key, beat)]));
        }
        document.insert("clients".into(), Value::Array(self.groups.iter().map(group).collect()));
        if let Some(publish) = &self.publish {
            document.insert("publish".into(), self.publishing(publish));
        }
        if let Some(feed) = &self.feed {
            let mut out = Table::from_iter([("via".to_owned(), text("server"))]);
            out.extend(feed.id.as_ref().map(|id| ("id".to_owned(), session::extract(id))));
            out.insert("unique".into(), feed.unique.into());
            document.insert("publish".into(), Value::Table(out));
        }
        document.insert("phases".into(), phases(&self.phases));
        if !self.disrupt.is_empty() {
            document.insert("disrupt".into(), disrupt::disruptions(&self.disrupt, &self.groups));
        }
        document.insert("checks".into(), self.checks());
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
    session::group(&mut out, group);
    if !group.subprotocols.is_empty() {
        out.insert("subprotocols".into(), Value::Array(group.subprotocols.iter().map(|s| text(s)).collect()));
    }
    if group.insecure {
        out.insert("insecure".into(), true.into());
    }
    Value::Table(out)
}

fn matcher(wanted: &Wanted) -> Table {
    let plain = |text: &str| Template::escape(text, false);
    let (kind, value) = match wanted {
        Wanted::Fixed(Matcher::Exact(t)) => ("exact", plain(t)),
        Wanted::Fixed(Matcher::Contains(t)) => ("contains", plain(t)),
        Wanted::Fixed(Matcher::Prefix(t)) => ("prefix", plain(t)),
        Wanted::Fixed(Matcher::Regex(pattern)) => ("regex", Template::escape(pattern.as_str(), true)),
        // As text: TOML has no null, and no way to keep 1.0 apart from 1 inside every kind of list.
        Wanted::Fixed(Matcher::Json(value)) => ("json", escaped(value).to_string()),
        Wanted::WithVariables(Varying::Exact(t)) => ("exact", t.as_str().to_owned()),
        Wanted::WithVariables(Varying::Contains(t)) => ("contains", t.as_str().to_owned()),
        Wanted::WithVariables(Varying::Prefix(t)) => ("prefix", t.as_str().to_owned()),
        Wanted::WithVariables(Varying::Regex(t)) => ("regex", t.as_str().to_owned()),
        Wanted::WithVariables(Varying::Json(shape)) => ("json", shape.written().to_string()),
    };
    Table::from_iter([(kind.to_owned(), Value::String(value))])
}

/// JSON whose texts and keys are read as what they are, and not as variables.
fn escaped(value: &serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::String(text) => Template::escape(text, false).into(),
        serde_json::Value::Array(items) => items.iter().map(escaped).collect(),
        serde_json::Value::Object(members) => members.iter().map(|(key, value)| (Template::escape(key, false), escaped(value))).collect(),
        other => other.clone(),
    }
}

impl Scenario {
    fn publishing(&self, publish: &Publish) -> Value {
        let size = if publish.size.min == publish.size.max {
            bytes(publish.size.min)
        } else {
            table([("min", bytes(publish.size.min)), ("max", bytes(publish.size.max))])
        };
        let mut out: Table = [
            ("publishers", i64::from(publish.publishers).into()),
            ("pace", pace(&publish.pace)),
            ("size", size),
            ("encoding", text(if publish.encoding == Encoding::Binary { "binary" } else { "text" })),
            ("audience", text(if publish.audience == Audience::Others { "others" } else { "all" })),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
        let group = publish.group.and_then(|g| self.groups.get(g as usize));
        out.extend(group.map(|group| ("group".to_owned(), text(&group.name))));
        if let Via::Http(http) = &publish.via {
            session::http(&mut out, http);
        }
        Value::Table(out)
    }
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

fn looks(beat: &Beat) -> (&'static str, Value) {
    match beat {
        Beat::Message(matches) => ("expect", Value::Table(matcher(matches))),
        Beat::ProtocolPing => ("protocol", true.into()),
    }
}

impl Scenario {
    fn checks(&self) -> Value {
        let checks = &self.checks;
        let mut out = Table::new();
        if self.publish.is_some() || self.feed.is_some() {
            out.insert("delivery".into(), checks.delivery.map_or(false.into(), |d| table([("within", time(d.within))])));
            out.insert("duplicate".into(), checks.duplicate.into());
            let order = match checks.order {
                None => false.into(),
                Some(OrderScope::Publisher) => text("publisher"),
                Some(OrderScope::Total) => text("total"),
            };
            out.insert("order".into(), order);
            if self.publish.is_some() {
                out.insert("integrity".into(), checks.integrity.into());
            }
        }
        out.insert("stray".into(), checks.stray.into());
        out.insert("survival".into(), checks.survival.into());
        if self.groups.iter().any(|g| !g.subprotocols.is_empty()) {
            out.insert("subprotocol".into(), checks.subprotocol.into());
        }
        if self.publish.as_ref().is_some_and(|p| matches!(p.via, Via::Http(_))) {
            out.insert("publish".into(), checks.publish.into());
        }
        out.extend(checks.feed.map(|f| ("feed".to_owned(), table([("every", time(f.every)), ("tolerance", time(f.tolerance))]))));
        if !checks.latency.is_empty() {
            out.insert("latency".into(), latency(checks));
        }
        out.extend(checks.pong.as_ref().map(|check| ("pong".to_owned(), pong(check))));
        out.extend(checks.heartbeat.as_ref().map(|check| {
            let (key, beat) = looks(&check.beat);
            let mut out = table([(key, beat), ("every", time(check.every)), ("tolerance", time(check.tolerance))]);
            if let (FirstBeat::Any, Some(out)) = (check.first, out.as_table_mut()) {
                out.insert("first".into(), text("any"));
            }
            ("heartbeat".to_owned(), out)
        }));
        let connect = checks.connect.as_ref().map_or(false.into(), |check| {
            let mut connect = Table::from_iter([("min_share".to_owned(), Value::Float(check.min_share))]);
            connect.extend(check.within.map(|within| ("within".to_owned(), time(within))));
            Value::Table(connect)
        });
        out.insert("connect".into(), connect);
        disrupt::checks(&mut out, &self.disrupt, &checks.disruption, self.publish.is_some());
        let instrument = &checks.instrument;
        let limits = [
            ("late_send", time(instrument.late_send)),
            ("max_late_share", Value::Float(instrument.max_late_share)),
            ("max_loop_lag", time(instrument.max_loop_lag)),
        ];
        out.insert("instrument".into(), table(limits));
        Value::Table(out)
    }
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
        out.insert("send".into(), session::body(&application.send));
        out.insert("expect".into(), Value::Table(matcher(&application.expect)));
    }
    if check.protocol {
        out.insert("protocol".into(), true.into());
    }
    Value::Table(out)
}
