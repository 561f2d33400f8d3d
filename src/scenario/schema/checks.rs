//! `[checks]` as typed.

use serde_json::{Value, json};

use super::super::node::{Kind, Node};
use super::super::typed::{Keys, Reader, Share, Spot, Toggle, Typed, table, unknown_key};
use super::{Match, session};
use crate::base::Span;
use crate::scenario::model::Metric;

table! {
    /// What is asked of the server.
    Checks {
        /// Every owed copy arrives in time. On when anything is published.
        delivery: Toggle<Delivery>,
        /// No copy arrives twice. On when anything is published.
        duplicate: bool,
        /// Copies arrive in the order sent: true for each publisher's own, "total" for one order seen by all clients.
        order: Order,
        /// Bytes and opcode are those sent. On when anything is published.
        integrity: bool,
        /// Nothing unexpected arrives. On by itself.
        stray: bool,
        /// Limits on latencies: p50, p99, p99.9, max.
        latency: LatencyTable,
        /// Pings are answered.
        pong: Toggle<Pong>,
        /// The server's heartbeat keeps its cadence.
        heartbeat: Toggle<Heartbeat>,
        /// No connection ends unasked. On by itself.
        survival: bool,
        /// Connections open. On by itself.
        connect: Toggle<Connect>,
        /// The server chose a subprotocol that was offered. On when any is offered.
        subprotocol: bool,
        /// Publications over http are accepted. On when they go over http.
        publish: bool,
        /// The server's own broadcasts keep their cadence. With publish.via = "server".
        feed: Feed,
        /// When the instrument calls itself unfit and the run inconclusive.
        instrument: Instrument,
    }
}

table! {
    /// Every owed copy arrives in time.
    Delivery {
        /// The limit from the planned instant to the receipt. Default: 5s.
        within: Span,
    }
}

table! {
    /// Application and protocol pings, and their answers.
    Pong {
        /// How often each client pings. Default: 1s.
        every: Span,
        /// The longest an answer may take. Default: half of every, at most 5s.
        within: Span,
        /// The application ping.
        send: session::SendTyped,
        /// What answers it.
        expect: Match,
        /// Send protocol pings (RFC 6455 section 5.5.2) too.
        protocol: bool,
    }
}

table! {
    /// The server's heartbeat.
    Heartbeat {
        /// What a beat is.
        expect: Match,
        /// Beats are the server's protocol pings.
        protocol: bool,
        /// The promised cadence per connection.
        every: Span,
        /// How far an interval may be off. Default: a twentieth of every, at least 100ms.
        tolerance: Span,
        /// When the first beat is due: one "period" after opening (default), or at "any" time within it, where one timer of the
        /// server's beats for all.
        first: super::Word<session::FirstBeats>,
    }
}

table! {
    /// The cadence of a server that broadcasts by itself.
    Feed {
        /// From broadcast to broadcast.
        every: Span,
        /// How far an interval may be off. Default: a twentieth of every, at least 100ms.
        tolerance: Span,
    }
}

table! {
    /// Connections open.
    Connect {
        /// The share of clients that must open. Default: 100%.
        min_share: Share,
        /// The longest a handshake may take.
        within: Span,
    }
}

table! {
    /// When the instrument calls itself unfit.
    Instrument {
        /// A publication sent later than this after its planned instant is a late send. Default: 50ms.
        late_send: Span,
        /// The share of late sends that makes the run inconclusive. Default: 5%.
        max_late_share: Share,
        /// The event-loop lag (p99) that makes the run inconclusive. Default: 250ms.
        max_loop_lag: Span,
    }
}

/// `checks.order`.
#[derive(Debug, Clone, Copy)]
pub(in crate::scenario) enum Order {
    /// Not asked.
    Off,
    /// Each publisher's own.
    Publisher,
    /// One order for all.
    Total,
}

impl Typed for Order {
    fn read(node: &Node, r: &mut Reader) -> Option<Self> {
        match &node.kind {
            Kind::Bool(false) => Some(Self::Off),
            Kind::Bool(true) => Some(Self::Publisher),
            Kind::Text(s) if s == "publisher" => Some(Self::Publisher),
            Kind::Text(s) if s == "total" => Some(Self::Total),
            _ => {
                r.fail(&node.at, format!("expected an order, found {}", node.describe()), "write true, false, \"publisher\" or \"total\"");
                None
            }
        }
    }
    fn schema() -> Value {
        json!({ "enum": [true, false, "publisher", "total"] })
    }
}

/// The metrics by their keys in `[checks.latency.…]`.
pub(in crate::scenario) const METRICS: [(&str, Metric); 8] = [
    ("delivery", Metric::Delivery),
    ("transit", Metric::Transit),
    ("send_lag", Metric::SendLag),
    ("pong", Metric::Pong),
    ("heartbeat_interval", Metric::HeartbeatInterval),
    ("connect", Metric::Connect),
    ("publish", Metric::Publish),
    ("spread", Metric::Spread),
];

/// A metric as a user writes it: its key in `[checks.latency.…]`.
#[must_use]
pub fn metric_name(metric: Metric) -> &'static str {
    METRICS.iter().find(|(_, m)| *m == metric).map_or("latency", |(name, _)| name)
}

/// `[checks.latency]`: percentiles of delivery, and a table for each other metric.
#[derive(Debug, Clone, Default)]
pub(in crate::scenario) struct LatencyTable {
    /// As read, in the order written.
    pub(in crate::scenario) limits: Vec<(Metric, f64, Spot<Span>)>,
}

impl Typed for LatencyTable {
    fn read(node: &Node, r: &mut Reader) -> Option<Self> {
        Keys::of(node, "a table of percentiles such as p99 = \"250ms\"", r)?;
        let mut table = Self::default();
        read_limits(node, Metric::Delivery, true, &mut table, r);
        Some(table)
    }
    fn schema() -> Value {
        let limits = json!({ "^(p[0-9]+(\\.[0-9]+)?|max)$": Span::schema() });
        let metric = json!({ "type": "object", "patternProperties": limits, "additionalProperties": false });
        let metrics: serde_json::Map<_, _> = METRICS.iter().map(|(name, _)| ((*name).to_owned(), metric.clone())).collect();
        json!({ "type": "object", "properties": metrics, "patternProperties": limits, "additionalProperties": false })
    }
}

fn read_limits(node: &Node, metric: Metric, outer: bool, into: &mut LatencyTable, r: &mut Reader) {
    let Kind::Table(entries) = &node.kind else {
        r.wrong(node, "a table of percentiles such as p99 = \"250ms\"");
        return;
    };
    for entry in entries {
        let inner = METRICS.iter().find(|(name, _)| outer && *name == entry.key);
        match (percentile(&entry.key), &entry.node.kind, inner) {
            (_, _, Some((_, metric))) => read_limits(&entry.node, *metric, false, into, r),
            // `p99.9 = …` without quotes is TOML for a table p99 with a key 9; what is meant is plain.
            (Some(_), Kind::Table(tail), _) => {
                for part in tail {
                    match percentile(&format!("{}.{}", entry.key, part.key)) {
                        Some(p) => push(into, metric, p, &part.node, r),
                        None => r.wrong(&entry.node, "a time such as \"250ms\""),
                    }
                }
            }
            (Some(p), _, _) => push(into, metric, p, &entry.node, r),
            (None, _, _) => {
                let mut known = vec!["p50", "p90", "p99", "p99.9", "max"];
                known.extend(METRICS.iter().filter(|_| outer).map(|(name, _)| *name));
                unknown_key(entry, &known, r);
            }
        }
    }
}

fn push(into: &mut LatencyTable, metric: Metric, percentile: f64, node: &Node, r: &mut Reader) {
    if let Some(value) = Span::read(node, r) {
        into.limits.push((metric, percentile, Spot { value, at: node.at.clone() }));
    }
}

/// `p50`, `p99`, `p99.9`, `p999` (the same) and `max` as a percentile.
fn percentile(key: &str) -> Option<f64> {
    if key == "max" {
        return Some(100.0);
    }
    let digits = key.strip_prefix('p')?;
    if digits.is_empty() || !digits.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let number = if digits.len() > 2 && digits != "100" && !digits.contains('.') {
        format!("{}.{}", &digits[..2], &digits[2..])
    } else {
        digits.to_owned()
    };
    number.parse().ok().filter(|p| *p > 0.0 && *p <= 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_read_as_people_write_them() {
        for (key, p) in [
            ("p50", 50.0),
            ("p99", 99.0),
            ("p999", 99.9),
            ("p99.99", 99.99),
            ("p9999", 99.99),
            ("p5", 5.0),
            ("p100", 100.0),
            ("max", 100.0),
        ] {
            assert_eq!(percentile(key), Some(p), "{key}");
        }
        for key in ["p", "p0", "p101.0", "99", "px", "p9.9.9", "mean", "p99%"] {
            assert_eq!(percentile(key), None, "{key}");
        }
    }
}
