//! What can be observed in a run. The only thing that crosses from the edge (`drive`, which waits) to the pure floors
//! (`account` and above, which judge); a journal is these events written down.
//!
//! Must never know a socket, a clock, or what anybody will conclude from an event.

pub mod journal;

use serde::{Deserialize, Serialize};

pub use crate::base::Flaws;
use crate::base::{ConnId, Instant, PublisherId, Seq, Span};

/// One observation. Instants are the instrument's own readings of one monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Event<'a> {
    /// A phase of the run began. Told to every shard.
    Phase { phase: Phase, at: Instant },
    /// A connection attempt began.
    Connecting { conn: ConnId, at: Instant },
    /// An attempt ended without an open WebSocket. `detail` is for people.
    ConnectFailed { conn: ConnId, at: Instant, cause: ConnectFailure, detail: &'a str },
    /// The WebSocket is open; `handshake` is TCP + TLS + HTTP together.
    Opened { conn: ConnId, at: Instant, handshake: Span },
    /// The server's first words, taken for (or matched as) its greeting.
    Greeting { conn: ConnId, at: Instant, text: &'a [u8] },
    /// The connection is a member: copies of publications sent from now on are owed to it.
    Ready { conn: ConnId, at: Instant },
    /// The greeting or script did not come to its end; the client never becomes a member.
    NotReady { conn: ConnId, at: Instant, detail: &'a str },
    /// A publication was handed to its connection. `sent` − `planned` is our own lag; what the socket holds back
    /// afterwards is transit.
    Sent { publisher: PublisherId, seq: Seq, planned: Instant, sent: Instant, bytes: u32 },
    /// A planned publication was never sent.
    Dropped { publisher: PublisherId, planned: Instant, at: Instant, cause: DropCause },
    /// A copy arrived: a frame carrying a stamp of this run, on a connection it may be owed to or not.
    Copy(Copy),
    /// A frame arrived that no copy, beat, pong or greeting explains.
    Stray { conn: ConnId, at: Instant, kind: StrayKind, sample: &'a [u8] },
    /// A ping of ours left. `nonce` numbers the pings of one connection and level from 0.
    PingSent { conn: ConnId, level: PingLevel, nonce: u32, at: Instant },
    /// An answer arrived. `nonce` is what the answer names: always for protocol pongs that echo our payload, never for
    /// application pongs (they answer the oldest outstanding ping).
    Pong { conn: ConnId, level: PingLevel, nonce: Option<u32>, at: Instant },
    /// A protocol pong whose payload is none of ours.
    AlienPong { conn: ConnId, at: Instant, sample: &'a [u8] },
    /// A heartbeat arrived (the scenario's, or, where none is asked for, this project's default shape).
    Beat { conn: ConnId, at: Instant },
    /// The server sent a protocol ping (answered at once, always).
    ServerPing { conn: ConnId, at: Instant },
    /// A publication sent over HTTP was answered. `status` 0: there was no answer, `detail` says why. Any status but 2xx: rejected,
    /// owed to nobody.
    Answered { publisher: PublisherId, seq: Seq, at: Instant, status: u16, took: Span, detail: &'a str },
    /// The server chose none of the subprotocols offered (RFC 6455 section 4.2.2).
    NoSubprotocol { conn: ConnId, at: Instant },
    /// permessage-deflate was agreed on at the handshake (RFC 7692).
    Compressed { conn: ConnId, at: Instant },
    /// A broadcast of the server's own arrived; `key` is its identity (a hash of its id, or of its whole content).
    Item { conn: ConnId, at: Instant, key: u64 },
    /// A planned disruption strikes this connection: `strike` is its place among the plan's strikes. What overlaps it is contested,
    /// and the end of the connection is not held against the server.
    Disrupted { conn: ConnId, at: Instant, strike: u32 },
    /// What a strike did to this connection is over: it reads again, or is cut off now. `blind`: it could not see what the server
    /// did meanwhile, since more came than a client that does not answer takes.
    Restored { conn: ConnId, at: Instant, strike: u32, blind: bool },
    /// A copy stood behind the server's Close frame, where nothing may stand (RFC 6455 section 5.5.1). Told of clients that left as
    /// planned; it is no [`Event::Copy`].
    AfterClose { conn: ConnId, at: Instant, publisher: PublisherId, seq: Seq },
    /// The command of a strike ended. `failed`: it could not be run, or said that it failed; `detail` says how, for people.
    Hook { strike: u32, at: Instant, took: Span, failed: bool, detail: &'a str },
    /// We begin to end a connection before the close phase, as planned (a leave, a kill): from here on nothing is owed to it.
    Leaving { conn: ConnId, at: Instant },
    /// The connection ended.
    Closed { conn: ConnId, at: Instant, closure: Closure, detail: &'a str },
    /// A reading of the shard's own condition, about ten a second.
    Health { at: Instant, reading: Health },
    /// Something befell the machine, or the process that coordinates the run; told by the first shard only.
    Mishap { at: Instant, mishap: Mishap },
    /// The run was cut short (Ctrl-C, a lost worker, a limit reached). `detail` is for people.
    Interrupted { at: Instant, detail: &'a str },
}

impl Event<'_> {
    /// When it was observed; for [`Event::Sent`] and [`Event::Copy`] when it was sent or received. A phase may be told ahead of its
    /// instant.
    #[must_use]
    #[inline]
    pub const fn at(&self) -> Instant {
        match *self {
            Self::Copy(Copy { received, .. }) => received,
            Self::Sent { sent, .. } => sent,
            Self::Phase { at, .. }
            | Self::Connecting { at, .. }
            | Self::ConnectFailed { at, .. }
            | Self::Opened { at, .. }
            | Self::Greeting { at, .. }
            | Self::Ready { at, .. }
            | Self::NotReady { at, .. }
            | Self::Dropped { at, .. }
            | Self::Stray { at, .. }
            | Self::PingSent { at, .. }
            | Self::Pong { at, .. }
            | Self::AlienPong { at, .. }
            | Self::Beat { at, .. }
            | Self::ServerPing { at, .. }
            | Self::Disrupted { at, .. }
            | Self::Hook { at, .. }
            | Self::Restored { at, .. }
            | Self::AfterClose { at, .. }
            | Self::Leaving { at, .. }
            | Self::Answered { at, .. }
            | Self::NoSubprotocol { at, .. }
            | Self::Compressed { at, .. }
            | Self::Item { at, .. }
            | Self::Closed { at, .. }
            | Self::Health { at, .. }
            | Self::Mishap { at, .. }
            | Self::Interrupted { at, .. } => at,
        }
    }
}

/// The run's phases, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Clients connect.
    Ramp,
    /// Publishing, checked, not measured.
    WarmUp,
    /// Publishing, checked and measured.
    Steady,
    /// Waiting for outstanding copies.
    Drain,
    /// Closing handshakes.
    Close,
    /// All over.
    Done,
}

/// A copy of a publication as received. All but `conn`, `received` and `flaws` was read from its stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copy {
    /// On which connection.
    pub conn: ConnId,
    /// Whose publication.
    pub publisher: PublisherId,
    /// Which of them.
    pub seq: Seq,
    /// When it was due.
    pub planned: Instant,
    /// When it was handed to the publisher's connection.
    pub sent: Instant,
    /// When the readable event that brought it was seen.
    pub received: Instant,
    /// What was wrong with it.
    pub flaws: Flaws,
}

/// Why an attempt to connect failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectFailure {
    /// Nobody listens there.
    Refused,
    /// Not open within the limit.
    Timeout,
    /// The connection broke before the handshake was done.
    Reset,
    /// The name does not resolve.
    Dns,
    /// An HTTP answer other than 101.
    HttpStatus(u16),
    /// A 101 that is no WebSocket handshake (missing or wrong header, unasked subprotocol or extension).
    BadUpgrade,
    /// `Sec-WebSocket-Accept` does not answer our key (RFC 6455 section 4.1).
    BadAccept,
    /// TLS failed or did not verify.
    Tls,
    /// Our own limit (descriptors, ports, memory): the server is not to blame.
    LocalLimit,
    /// The proxy on the way refused.
    Proxy,
    /// Anything else the system reported.
    Io,
}

/// Why a planned publication was never sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DropCause {
    /// The publisher's connection was not open.
    NotOpen,
    /// The publisher's outbox was full: the server does not read.
    BackPressure,
    /// The run was ending.
    Ending,
    /// The publisher was disrupted, as planned.
    Disrupted,
}

/// Why a frame is stray.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StrayKind {
    /// No stamp, and nothing else explains it.
    Unexpected,
    /// A stamp of another run.
    OtherRun,
    /// A publication of another room: a leak.
    OtherRoom,
    /// The sender's own publication, where senders are left out.
    Echo,
    /// A stamp of this run naming a publisher or sequence that does not exist.
    Unknown,
    /// A stamp damaged beyond reading: the copy cannot be attributed. Counted by `integrity`, not by `stray`.
    Unreadable,
}

/// On which level a ping was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PingLevel {
    /// A message the server answers with a message.
    Application,
    /// RFC 6455 section 5.5.2.
    Protocol,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Closure {
    /// Who ended it.
    pub by: ClosedBy,
    /// The code of the Close frame received, if one was.
    pub code: Option<u16>,
    /// Close frames went both ways and TCP ended in order.
    pub clean: bool,
}

/// Who ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClosedBy {
    /// We did, as planned.
    Us,
    /// The server sent a Close frame unasked.
    Server,
    /// TCP ended without a Close frame (end of stream or reset).
    Network,
    /// We did, because the server broke the protocol (RFC 6455 section 7.1.7).
    Violation,
    /// A step of the session never came, and the client was given up.
    Script,
}

/// A shard's own condition, read about ten times a second.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Health {
    /// How late the shard's own timer woke.
    pub loop_lag: Span,
    /// Unread bytes in the kernel's queue of the connection read last, before the read.
    pub backlog_bytes: u32,
    /// CPU time this shard's thread has used so far.
    pub cpu: Span,
    /// Connections open on this shard.
    pub open: u32,
}

/// What befell the machine, or the process that coordinates the run, since it was last looked at (about a second ago).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Mishap {
    /// So long the machine was suspended: no program of it ran, and the run's clock stood.
    pub asleep: Span,
    /// So long the coordinator, a process of its own, did not run though it should have.
    pub stood_still: Span,
    /// By so many nanoseconds the wall clock was set forward (or back, below zero).
    pub wall_set_ns: i64,
}
