//! The scenario as typed: every key a user may write, with the sentence that documents it (editors show it, from the JSON
//! Schema). Nothing is decided here: what an absent key means is said once, in `resolve`.

use serde_json::{Value, json};

mod checks;
mod disrupt;
pub(super) mod session;

use super::error::nearest;
use super::node::{Kind, Node};
use super::typed::{Any, Named, OneOrMany, Reader, Spot, Typed, table};
use crate::base::{ByteSize, Rate, Span};
use session::connected;

pub use checks::metric_name;
pub(super) use checks::{Checks, Delivery, Heartbeat, Instrument, METRICS, Order, Pong};
pub(super) use disrupt::{BackOffTable, DeadPeer, Disrupt, Isolation, Recovery, Resumes, StrayAfterLeave, Verbs};

table! {
    /// A wsbench scenario: whom to test, with how many clients, what they publish, and what is asked of the server.
    Document {
        /// The scenario's name, for reports. Default: the file's name.
        name: String,
        /// What it teaches or checks, in a sentence.
        description: String,
        /// Presets this scenario builds on: names from `wsbench presets`, or files.
        r#use: OneOrMany<String>,
        /// Variables for the templates: texts, or { hmac_sha256 = …, key = … }, { sha256 = … }, { md5 = … }.
        vars: Named<session::VarTyped>,
        /// How clients are divided over rooms: a number, or { count, by, skew }, or { column }.
        rooms: session::RoomsTyped,
        /// Rows of values for the clients.
        feeder: session::FeederTable,
        /// How the server speaks: how a publication becomes a message, and which messages are copies.
        dialect: session::DialectTable,
        /// What every client does on opening, step by step; it is ready when this is done.
        script: Vec<Spot<session::StepTable>>,
        /// What every client sends before it closes.
        on_close: Vec<Spot<session::SendTyped>>,
        /// What every client answers by itself, or sends by the clock.
        reply: Vec<Spot<session::ReplyTable>>,
        /// Messages that mean nothing: join and leave notices, presence, acknowledgements.
        ignore: Vec<Spot<session::IgnoreRule>>,
        /// How the server's heartbeat looks, checked or not; what [checks.heartbeat] leaves out is taken from here.
        heartbeat: Heartbeat,
        /// How its application ping looks; what [checks.pong] leaves out is taken from here.
        ping: session::PingTable,
        /// Whom the run is against; without a url the built-in reference server.
        target: Target,
        /// Who connects: one table, or several groups with [[clients]].
        clients: OneOrMany<Clients>,
        /// What is published, by whom, how fast. Left out: nothing is published.
        publish: Publish,
        /// How long each phase lasts.
        phases: Phases,
        /// What is done to some of the clients on purpose, while the others go on.
        disrupt: OneOrMany<Disrupt>,
        /// What is asked of the server. Checks that cost nothing are on by themselves.
        checks: Checks,
    }
}

connected! {
    /// Whom the run is against, and how every client connects.
    Target {
        /// A ws:// or wss:// URL, or ws+unix:///path/of/socket:/path; may have variables, in front of the path {env.NAME} only. Left out: the built-in reference server on a free loopback port.
        url: String,
        /// How often the built-in server broadcasts by itself, with publish.via = "server". Default: as checks.feed expects, or 100ms.
        feed: Span,
    }
}

connected! {
    /// Clients that are alike.
    Clients {
        /// The group's name in reports. Default: clients, or clients-1, clients-2, …
        name: String,
        /// How many connections. At least 1.
        count: u32,
        /// Another URL than that of [target]; may have variables.
        url: String,
        /// How fast they connect. Default: 500/s.
        connect_rate: Rate,
        /// What the server says first: a text, { json = … }, or false for nothing at all. Left out: anything is allowed.
        greeting: Greeting,
        /// What these clients do on opening, instead of the scenario's script.
        script: Vec<Spot<session::StepTable>>,
        /// What these clients send before they close, instead of the scenario's.
        on_close: Vec<Spot<session::SendTyped>>,
        /// Answers besides the scenario's.
        reply: Vec<Spot<session::ReplyTable>>,
        /// Ignore rules besides the scenario's.
        ignore: Vec<Spot<session::IgnoreRule>>,
        /// These clients are the ones that publish. Default: the first clients of all.
        publish: bool,
        /// Whether copies are owed to these clients. Default: true.
        receives: bool,
        /// How clients are divided over rooms (the same as `rooms` of the scenario).
        rooms: session::RoomsTyped,
    }
}

table! {
    /// What is published, by whom, how fast.
    Publish {
        /// How publications reach the server: on the socket, over http, or not at all because the server broadcasts by itself. Default: socket.
        via: Word<session::Vias>,
        /// How many clients publish: the first ones. Default: 1, or all of a group with publish = true.
        publishers: u32,
        /// The group of clients that publishes.
        group: String,
        /// When publications leave, over all publishers together.
        pace: Pace,
        /// Size of a payload, the 64-byte stamp included: "128B" or { min, max }. Default: 128B.
        size: Size,
        /// The kind of message sent. Default: text.
        encoding: Word<Encodings>,
        /// Who is owed a copy: all clients, or all others than the sender. Default: all.
        audience: Word<Audiences>,
        /// Over http: the method. Default: POST.
        method: String,
        /// Over http: the URL; may have variables.
        url: String,
        /// Over http: headers; may have variables.
        headers: Named<String>,
        /// Over http: the body, with {stamp} in it. Default: {stamp}.
        body: session::TextBody,
        /// Over http: the longest the answer may take. Default: 10s.
        within: Span,
        /// By the server: where a broadcast's id stands. Default: its whole content is its id.
        id: session::ExtractTyped,
        /// By the server: no id comes twice, so that a second copy is a duplicate even when everybody gets one. Default: false.
        unique: bool,
        /// By the server: only messages that match are broadcasts; the same as dialect.match.
        r#match: Match,
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
    /// When a message is the one meant. Exactly one of exact, contains, prefix, regex, json; all may have variables.
    MatchTable {
        /// Exactly this text.
        exact: String,
        /// Has this text somewhere.
        contains: String,
        /// Begins with this text.
        prefix: String,
        /// Matches this regular expression somewhere; a variable's value is itself in it.
        regex: String,
        /// Is JSON with at least these members; a key that begins with / is a JSON pointer. A text is read as JSON. A value that is
        /// one variable matches a number too.
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

/// The JSON Schema (draft 2020-12) of a scenario file, for editors: they complete, explain and check as one types.
#[must_use]
pub fn json_schema() -> Value {
    let mut schema = json!({ "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "wsbench scenario" });
    if let (Value::Object(out), Value::Object(document)) = (&mut schema, Document::schema()) {
        out.extend(document);
    }
    schema
}
