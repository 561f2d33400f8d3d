//! The scenario as typed: every key a user may write, with the sentence that documents it (editors show it, from the JSON
//! Schema). Nothing is decided here: what an absent key means is said once, in `resolve`.

use serde_json::{Value, json};

use super::error::nearest;
use super::node::{Kind, Node};
use super::typed::{Any, Keys, Named, OneOrMany, Reader, Share, Spot, Toggle, Typed, table, unknown_key};
use crate::base::{ByteSize, Rate, Span};
use crate::scenario::model::Metric;

table! {
    /// A wsbench scenario: whom to test, with how many clients, what they publish, and what is asked of the server.
    Document {
        /// The scenario's name, for reports. Default: the file's name.
        name: String,
        /// What it teaches or checks, in a sentence.
        description: String,
        /// Whom the run is against; without a url the built-in reference server.
        target: Target,
        /// Who connects: one table, or several groups with [[clients]].
        clients: OneOrMany<Clients>,
        /// What is published, by whom, how fast. Left out: nothing is published.
        publish: Publish,
        /// How long each phase lasts.
        phases: Phases,
        /// What is asked of the server. Checks that cost nothing are on by themselves.
        checks: Checks,
    }
}

table! {
    /// Whom the run is against.
    Target {
        /// A ws:// or wss:// URL. Left out: the built-in reference server on a free loopback port.
        url: String,
        /// Accept any TLS certificate.
        insecure: bool,
        /// Limit for TCP, TLS and WebSocket handshake together. Default: 10s.
        connect_timeout: Span,
    }
}

table! {
    /// Clients that are alike.
    Clients {
        /// The group's name in reports. Default: clients, or clients-1, clients-2, …
        name: String,
        /// How many connections. At least 1.
        count: u32,
        /// How fast they connect. Default: 500/s.
        connect_rate: Rate,
        /// Limit for TCP, TLS and WebSocket handshake together. Default: that of [target].
        connect_timeout: Span,
        /// What the server says first: a text, { json = … }, or false for nothing at all. Left out: anything is allowed.
        greeting: Greeting,
        /// Headers added to the handshake.
        headers: Named<String>,
        /// Subprotocols offered, in order of preference.
        subprotocols: Vec<Spot<String>>,
        /// Accept any TLS certificate. Default: that of [target].
        insecure: bool,
    }
}

table! {
    /// What is published, by whom, how fast.
    Publish {
        /// How many clients publish: the first ones. Default: 1.
        publishers: u32,
        /// When publications leave, over all publishers together.
        pace: Pace,
        /// Size of a payload, the 64-byte stamp included: "128B" or { min, max }. Default: 128B.
        size: Size,
        /// The kind of message sent. Default: text.
        encoding: Word<Encodings>,
        /// Who is owed a copy: all clients, or all others than the sender. Default: all.
        audience: Word<Audiences>,
    }
}

table! {
    /// Rising or falling evenly from one rate to another.
    Ramp {
        /// The rate at the start.
        from: Rate,
        /// The rate at the end.
        to: Rate,
    }
}

table! {
    /// One step of a pace.
    PaceStep {
        /// Publications per second.
        rate: Rate,
        /// For how long.
        r#for: Span,
    }
}

table! {
    /// When publications leave. Exactly one kind: rate, ramp, steps, burst with every, poisson, or closed.
    PaceTable {
        /// Evenly spaced.
        rate: Rate,
        /// From one rate to another over the publishing phases.
        ramp: Ramp,
        /// One rate after another; the last one holds to the end.
        steps: Vec<Spot<PaceStep>>,
        /// This many at once, every so often.
        burst: u32,
        /// From burst to burst.
        every: Span,
        /// Random arrivals with this mean rate.
        poisson: Rate,
        /// A publisher waits for its own copy before it sends the next; with `rate`, at most that fast.
        closed: bool,
    }
}

table! {
    /// Sizes spread evenly between two.
    SizeTable {
        /// The smallest payload, at least the 64 bytes of the stamp.
        min: ByteSize,
        /// The largest payload.
        max: ByteSize,
    }
}

table! {
    /// How long each phase lasts.
    Phases {
        /// Publishing that is checked but not measured. Default: 0s.
        warm_up: Span,
        /// Publishing that is checked and measured. Default: 10s.
        steady: Span,
        /// The longest wait for copies still owed; ends early when all are in. Default: as long as delivery allows.
        drain: Span,
        /// How much longer than planned connecting may take before the run is given up. Default: 30s.
        ramp_limit: Span,
    }
}

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
        pong: Pong,
        /// The server's heartbeat keeps its cadence.
        heartbeat: Heartbeat,
        /// No connection ends unasked. On by itself.
        survival: bool,
        /// Connections open. On by itself.
        connect: Toggle<Connect>,
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
        /// The text sent as application ping.
        send: String,
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
        /// A publication sent later than this after its planned instant is a late send. Default: 20ms.
        late_send: Span,
        /// The share of late sends that makes the run inconclusive. Default: 1%.
        max_late_share: Share,
        /// The event-loop lag (p99) that makes the run inconclusive. Default: 100ms.
        max_loop_lag: Span,
    }
}

table! {
    /// When a message is the one meant. Exactly one of exact, contains, prefix, regex, json.
    MatchTable {
        /// Exactly this text.
        exact: String,
        /// Has this text somewhere.
        contains: String,
        /// Begins with this text.
        prefix: String,
        /// Matches this regular expression somewhere.
        regex: String,
        /// Is JSON with at least these members; a key that begins with / is a JSON pointer. A text is read as JSON.
        json: Any,
        /// How long to wait for it (greetings only). Default: 5s.
        within: Span,
    }
}

/// A matcher: a text, or a table of one kind.
#[derive(Debug, Clone)]
pub(super) enum Match {
    /// Exactly this text.
    Text(String),
    /// Some other way.
    Table(Box<MatchTable>),
}

impl Typed for Match {
    fn read(node: &Node, r: &mut Reader) -> Option<Self> {
        match &node.kind {
            Kind::Text(s) => Some(Self::Text(s.clone())),
            Kind::Table(_) => MatchTable::read(node, r).map(|t| Self::Table(Box::new(t))),
            _ => {
                r.wrong(node, "a text, or a table such as { json = { type = 0 } }");
                None
            }
        }
    }
    fn schema() -> Value {
        json!({ "anyOf": [{ "type": "string" }, MatchTable::schema()] })
    }
}

/// A greeting: a matcher, or `false`.
#[derive(Debug, Clone)]
pub(super) enum Greeting {
    /// Nothing may come.
    Nothing,
    /// This must come.
    Match(Match),
}

impl Typed for Greeting {
    fn read(node: &Node, r: &mut Reader) -> Option<Self> {
        match &node.kind {
            Kind::Bool(false) => Some(Self::Nothing),
            Kind::Bool(true) => {
                r.fail(
                    &node.at,
                    "`true` does not say which greeting",
                    "write the text expected, { regex = \".\" } for any, or leave the key out",
                );
                None
            }
            _ => Match::read(node, r).map(Self::Match),
        }
    }
    fn schema() -> Value {
        json!({ "anyOf": [{ "const": false }, Match::schema()] })
    }
}

/// A pace: a table of one kind, or only a rate.
#[derive(Debug, Clone)]
pub(super) struct Pace(pub(super) PaceTable);

impl Typed for Pace {
    fn read(node: &Node, r: &mut Reader) -> Option<Self> {
        match &node.kind {
            Kind::Table(_) => PaceTable::read(node, r).map(Self),
            Kind::Text(_) => {
                Rate::read(node, r).map(|value| Self(PaceTable { rate: Some(Spot { value, at: node.at.clone() }), ..PaceTable::default() }))
            }
            _ => {
                r.wrong(node, "a pace such as { rate = \"50/s\" }");
                None
            }
        }
    }
    fn schema() -> Value {
        json!({ "anyOf": [Rate::schema(), PaceTable::schema()] })
    }
}

/// A size: one, or a range.
#[derive(Debug, Clone)]
pub(super) enum Size {
    /// All payloads alike.
    One(ByteSize),
    /// Between two.
    Range(Box<SizeTable>),
}

impl Typed for Size {
    fn read(node: &Node, r: &mut Reader) -> Option<Self> {
        match &node.kind {
            Kind::Table(_) => SizeTable::read(node, r).map(|t| Self::Range(Box::new(t))),
            _ => ByteSize::read(node, r).map(Self::One),
        }
    }
    fn schema() -> Value {
        json!({ "anyOf": [ByteSize::schema(), SizeTable::schema()] })
    }
}

/// `checks.order`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Order {
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

/// A closed set of words.
pub(super) trait Words {
    /// All of them.
    const WORDS: &'static [&'static str];
}

/// `publish.encoding`.
#[derive(Debug, Clone)]
pub(super) struct Encodings;
impl Words for Encodings {
    const WORDS: &'static [&'static str] = &["text", "binary"];
}

/// `publish.audience`.
#[derive(Debug, Clone)]
pub(super) struct Audiences;
impl Words for Audiences {
    const WORDS: &'static [&'static str] = &["all", "others"];
}

/// One word of a closed set.
#[derive(Debug, Clone)]
pub(super) struct Word<W> {
    /// The word.
    pub(super) word: &'static str,
    of: std::marker::PhantomData<W>,
}

impl<W: Words> Typed for Word<W> {
    fn read(node: &Node, r: &mut Reader) -> Option<Self> {
        let Kind::Text(text) = &node.kind else {
            r.wrong(node, &format!("one of {}", W::WORDS.join(", ")));
            return None;
        };
        let word = W::WORDS.iter().find(|w| *w == text).copied();
        if word.is_none() {
            let near = nearest(text, W::WORDS.iter().copied()).map_or(String::new(), |n| format!("did you mean \"{n}\"? "));
            r.fail(&node.at, format!("{text:?} is none of {}", W::WORDS.join(", ")), near.trim());
        }
        word.map(|word| Self { word, of: std::marker::PhantomData })
    }
    fn schema() -> Value {
        json!({ "enum": W::WORDS })
    }
}

/// The metrics by their keys in `[checks.latency.…]`.
pub(super) const METRICS: [(&str, Metric); 6] = [
    ("delivery", Metric::Delivery),
    ("transit", Metric::Transit),
    ("send_lag", Metric::SendLag),
    ("pong", Metric::Pong),
    ("heartbeat_interval", Metric::HeartbeatInterval),
    ("connect", Metric::Connect),
];

/// A metric as a user writes it: its key in `[checks.latency.…]`.
#[must_use]
pub fn metric_name(metric: Metric) -> &'static str {
    METRICS.iter().find(|(_, m)| *m == metric).map_or("latency", |(name, _)| name)
}

/// `[checks.latency]`: percentiles of delivery, and a table for each other metric.
#[derive(Debug, Clone, Default)]
pub(super) struct LatencyTable {
    /// As read, in the order written.
    pub(super) limits: Vec<(Metric, f64, Spot<Span>)>,
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

/// The JSON Schema (draft 2020-12) of a scenario file, for editors: they complete, explain and check as one types.
#[must_use]
pub fn json_schema() -> Value {
    let mut schema = json!({ "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "wsbench scenario" });
    if let (Value::Object(out), Value::Object(document)) = (&mut schema, Document::schema()) {
        out.extend(document);
    }
    schema
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
