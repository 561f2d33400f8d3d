//! The scenario as meant: every default filled in, every contradiction refused. Types here cannot be wrong.

use serde::Serialize;

use crate::base::{ByteSize, Rate, Span};

pub use super::address::Address;
pub use super::behaviour::{Behaviour, HttpStep, Reply, Request, Step as ScriptStep, Trigger};
pub use super::body::{Body, Count, Encoder, Piece};
pub use super::capture::{Capture, Extract};
pub use super::connection::{Auth, Connection, Handshake, Proxy, unix_socket};
pub use super::dialect::{Carrier, Dialect, Role};
pub use super::disrupt::{
    BackOff, Chosen, DeadPeerCheck, Disruption, DisruptionChecks, IsolationCheck, Malformation, RecoveryCheck, Resume,
    StrayAfterLeaveCheck, Verb, Which,
};
pub use super::feed::{Feed, FeedCheck, key_name};
pub use super::feeder::{Feeder, FeederOrder};
pub use super::matcher::Pattern;
pub use super::own::{OwnMatchers, Place};
pub use super::template::Template;
pub use super::wanted::{Own, Varying, Wanted};

/// A whole scenario.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scenario {
    /// Its name, for reports.
    pub name: String,
    /// What it teaches or checks, in a sentence.
    pub description: Option<String>,
    /// Whom it runs against.
    pub target: Target,
    /// The clients, in the order of their connection ids. At least one group, at least one client each.
    pub groups: Vec<ClientGroup>,
    /// What is published; `None` for a scenario that only listens, pings or idles.
    pub publish: Option<Publish>,
    /// How long each phase lasts.
    pub phases: Phases,
    /// What is asked of the server.
    pub checks: Checks,
    /// How the server speaks; plain relay by default.
    pub dialect: Dialect,
    /// What the server sends by itself when nobody publishes; `None` when it only relays. Never beside `publish`.
    pub feed: Option<Feed>,
    /// How the server's heartbeat looks, whether or not it is checked: beats are never stray.
    pub beat: Option<Beat>,
    /// How clients are divided; `None`: all are in one room.
    pub rooms: Option<Rooms>,
    /// Rows of values for the clients.
    pub feeder: Option<Feeder>,
    /// Variables defined by the scenario, in order.
    pub vars: Vec<Variable>,
    /// What is done to clients on purpose, in the order written.
    pub disrupt: Vec<Disruption>,
}

/// A variable of `[vars]`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its text, or the text it is computed from.
    pub of: Template,
    /// What is computed, if anything.
    pub compute: Option<Compute>,
}

/// A computation over a text; its result is written in hexadecimal.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Compute {
    /// RFC 1321.
    Md5,
    /// FIPS 180-4.
    Sha256,
    /// RFC 2104 with SHA-256, under this key.
    HmacSha256(Template),
}

/// How clients are divided over rooms. A publication is owed to its publisher's room only.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rooms {
    /// How many; at least 1. With [`RoomsBy::Column`] it is 0: the feeder says.
    pub count: u32,
    /// Which client is where.
    pub by: RoomsBy,
}

/// Which client is in which room.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum RoomsBy {
    /// Client n in room n mod count: rooms of equal size.
    RoundRobin,
    /// Few large rooms and many small ones: room k (from 1) has a weight of 1 / k^skew; by the seed.
    Zipf {
        /// Above 0; 1 is the classic.
        skew: f64,
    },
    /// The room named in this column of the feeder.
    Column(String),
}

/// Whom the run is against.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Target {
    /// The reference server, started inside the process on a free loopback port.
    BuiltIn,
    /// A server somewhere.
    Url(Address),
}

/// Clients that are alike.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClientGroup {
    /// Its name in reports; `clients` when there is only one.
    pub name: String,
    /// How many; at least 1.
    pub count: u32,
    /// How fast they connect.
    pub connect_rate: Rate,
    /// Limit for TCP + TLS + WebSocket handshake together.
    pub connect_timeout: Span,
    /// What the server is expected to say first.
    pub greeting: Greeting,
    /// Address, headers, credentials, TLS, proxy: see [`Connection::handshake`].
    pub connection: Connection,
    /// Script, answers, timed messages, what is ignored.
    pub behaviour: Behaviour,
    /// Whether publications are owed to these clients; false for clients that only publish.
    pub receives: bool,
    /// Subprotocols offered, in order of preference.
    pub subprotocols: Vec<String>,
    /// Take any TLS certificate.
    pub insecure: bool,
}

/// What the server says first on a connection.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Greeting {
    /// Not stated: a first message without a stamp is taken for a greeting, shown, and not judged.
    Any,
    /// Nothing may come unasked; a greeting is stray.
    None,
    /// The client is ready when this has come; until then it is owed nothing.
    Expected {
        /// What it must be.
        matches: Wanted,
        /// How long to wait for it before the client counts as not ready.
        within: Span,
    },
}

/// When a received message is the one meant, without variables.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Matcher {
    /// Exactly this text.
    Exact(String),
    /// Has this text somewhere.
    Contains(String),
    /// Begins with this text.
    Prefix(String),
    /// Matches this expression somewhere.
    Regex(Pattern),
    /// Is JSON and has at least these members with these values, at any depth given;
    /// a key that begins with `/` is a JSON pointer (RFC 6901).
    Json(serde_json::Value),
}

/// What is published, by whom, how fast.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Publish {
    /// How many of the clients publish: the first `publishers` connections of the group. Between 1 and its number of clients.
    pub publishers: u32,
    /// The group whose clients publish, as an index into the scenario's groups; `None`: the first clients of all.
    pub group: Option<u32>,
    /// How a publication reaches the server.
    pub via: Via,
    /// When.
    pub pace: Pace,
    /// How large a payload is, stamp included; never less than the stamp.
    pub size: PayloadSize,
    /// Text or binary messages.
    pub encoding: Encoding,
    /// Whether the publisher's own connection is owed its copy.
    pub audience: Audience,
}

/// How a publication reaches the server.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Via {
    /// On the publisher's WebSocket.
    Socket,
    /// By an HTTP request made for the publisher's connection, with its variables. The publisher itself is owed a copy unless
    /// the audience leaves it out. An answer other than 2xx: rejected, owed to nobody.
    Http(HttpPublish),
}

/// `[publish] via = "http"`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HttpPublish {
    /// `POST` unless stated.
    pub method: String,
    /// An `http://` or `https://` URL.
    pub url: Template,
    /// Headers, in order.
    pub headers: Vec<(String, Template)>,
    /// The body; it or the URL holds `{stamp}`.
    pub body: Template,
    /// The longest the answer may take.
    pub within: Span,
}

/// When publications leave. One timetable for the whole run: publication *n* leaves at an instant computed from *n*,
/// on publisher *n* mod `publishers`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Pace {
    /// Evenly spaced.
    Constant {
        /// Publications per second over all publishers.
        rate: Rate,
    },
    /// Rising or falling evenly from one rate to another over the publishing phases.
    Ramp {
        /// At the start.
        from: Rate,
        /// At the end.
        to: Rate,
    },
    /// One rate after another; the last one holds to the end.
    Steps {
        /// Each with its length.
        steps: Vec<Step>,
    },
    /// `size` publications at once, every `every`.
    Burst {
        /// How many leave at the same planned instant.
        size: u32,
        /// From burst to burst.
        every: Span,
    },
    /// Independent arrivals with this mean rate from the seed: a Poisson process given its count in each phase, so that how
    /// much is published does not depend on the seed.
    Poisson {
        /// The mean.
        rate: Rate,
    },
    /// Closed loop: a publisher sends when its previous publication has come back (or been given up), at most at `rate`.
    Closed {
        /// The ceiling, if any.
        rate: Option<Rate>,
    },
}

/// One step of [`Pace::Steps`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// Publications per second.
    pub rate: Rate,
    /// For how long.
    pub span: Span,
}

/// How large payloads are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PayloadSize {
    /// The smallest, in bytes.
    pub min: ByteSize,
    /// The largest; equal to `min` for a fixed size, otherwise uniform between them by the seed.
    pub max: ByteSize,
}

/// The opcode publications are sent with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Text frames.
    Text,
    /// Binary frames.
    Binary,
}

/// To whom a publication is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Audience {
    /// Every open client, the sender included.
    All,
    /// Every open client but the sender; a copy to the sender is stray.
    Others,
}

/// How long each phase lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Phases {
    /// Publishing that is checked but not measured.
    pub warm_up: Span,
    /// Publishing that is checked and measured; above zero.
    pub steady: Span,
    /// The longest wait for outstanding copies after the last publication; never shorter than the delivery limit.
    pub drain: Span,
    /// The longest the ramp may take beyond its timetable before the run is given up as inconclusive.
    pub ramp_limit: Span,
}

/// What is asked of the server. `None` or `false`: not asked, and no finding is made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Checks {
    /// Every owed copy arrives, within the limit from its planned instant. On when anything is published.
    pub delivery: Option<DeliveryCheck>,
    /// No copy arrives twice.
    pub duplicate: bool,
    /// Copies arrive in the order of sending.
    pub order: Option<OrderScope>,
    /// Bytes and opcode are those sent.
    pub integrity: bool,
    /// Nothing unexpected arrives.
    pub stray: bool,
    /// Percentile limits.
    pub latency: Vec<LatencyLimit>,
    /// Pings are answered.
    pub pong: Option<PongCheck>,
    /// The server's heartbeat keeps its cadence.
    pub heartbeat: Option<HeartbeatCheck>,
    /// No connection ends unasked.
    pub survival: bool,
    /// Connections open.
    pub connect: Option<ConnectCheck>,
    /// The server chose one of the subprotocols offered. On when any is.
    pub subprotocol: bool,
    /// Publications sent over HTTP are accepted. On when that is how they are sent.
    pub publish: bool,
    /// The server's own broadcasts keep their cadence.
    pub feed: Option<FeedCheck>,
    /// What is asked about disruptions.
    pub disruption: DisruptionChecks,
    /// The instrument itself can be believed.
    pub instrument: InstrumentCheck,
}

/// `[checks.delivery]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DeliveryCheck {
    /// The limit from planned to received; a copy beyond it is late.
    pub within: Span,
}

/// Over which publications order is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OrderScope {
    /// Each publisher's own publications, in the order sent.
    Publisher,
    /// Besides that, all clients see all publications in one and the same order.
    Total,
}

/// A latency that is measured and can be limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// sent − planned: ours.
    SendLag,
    /// received − sent.
    Transit,
    /// received − planned: the headline, free of coordinated omission.
    Delivery,
    /// Ping to its answer.
    Pong,
    /// Beat to beat.
    HeartbeatInterval,
    /// TCP + TLS + WebSocket handshake.
    Connect,
    /// A publication's HTTP request to its answer.
    Publish,
    /// Received − received by the first client: how far the copies of a broadcast of the server's own lie apart.
    Spread,
}

/// One limit of `[checks.latency]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LatencyLimit {
    /// Of which latency.
    pub metric: Metric,
    /// Which percentile, 0 < p ≤ 100 (100 is the maximum).
    pub percentile: f64,
    /// At most this.
    pub at_most: Span,
}

/// `[checks.pong]`: application-level and/or protocol pings. At least one of the two.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PongCheck {
    /// How often each client pings; clients are spread evenly over the period.
    pub every: Span,
    /// The longest an answer may take; shorter than `every`.
    pub within: Span,
    /// The application ping and its answer.
    pub application: Option<ApplicationPing>,
    /// Whether protocol pings are sent too.
    pub protocol: bool,
}

/// An application-level ping.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ApplicationPing {
    /// The message sent.
    pub send: Body,
    /// What answers it.
    pub expect: Wanted,
}

/// `[checks.heartbeat]`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HeartbeatCheck {
    /// What a beat is; `Protocol` counts the server's protocol pings.
    pub beat: Beat,
    /// The promised cadence per connection.
    pub every: Span,
    /// When the first beat is due.
    pub first: FirstBeat,
    /// How far an interval may be off.
    pub tolerance: Span,
}

/// When a connection's first beat is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FirstBeat {
    /// One period after the connection opened: each has a timer of its own.
    #[default]
    Period,
    /// At any time within the first period: one timer beats for all.
    Any,
}

/// What counts as a beat.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Beat {
    /// A message.
    Message(Wanted),
    /// A protocol ping from the server.
    ProtocolPing,
}

/// `[checks.connect]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ConnectCheck {
    /// The share of clients that must open, 0..=1.
    pub min_share: f64,
    /// The longest a handshake may take, if limited.
    pub within: Option<Span>,
}

/// `[checks.instrument]`: when the instrument calls itself unfit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct InstrumentCheck {
    /// A publication sent later than this after its planned instant is a late send.
    pub late_send: Span,
    /// The share of late sends beyond which the run is inconclusive, 0..=1.
    pub max_late_share: f64,
    /// The event-loop lag (p99) beyond which the run is inconclusive.
    pub max_loop_lag: Span,
}

impl InstrumentCheck {
    /// The longest single lag that is no standstill: a stop of seconds in a long run is less than one reading in a hundred, and
    /// spoils all that those seconds tell.
    #[must_use]
    pub const fn longest_lag(&self) -> Span {
        self.max_loop_lag.times(5)
    }
}
