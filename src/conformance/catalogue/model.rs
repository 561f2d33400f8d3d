//! What a case is, as a value. Must never know a socket, nor how the catalogue is written down.

use super::payload::Payload;
use crate::conformance::wire::frame::{LengthForm, Masking};
use crate::conformance::wire::link::Delivery;

/// How strongly the RFC wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Level {
    /// MUST: breaking it fails.
    Must,
    /// SHOULD: breaking it is NON-STRICT, and fails with `--strict`.
    Should,
    /// MAY, or undefined: either is right; what was seen is told.
    May,
    /// No sentence of an RFC: a server that breaks it can be taken down.
    Robustness,
}

impl Level {
    /// As written in the catalogue and in reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Must => "MUST",
            Self::Should => "SHOULD",
            Self::May => "MAY",
            Self::Robustness => "robustness",
        }
    }
}

/// What a case needs of the server to be asked at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// The server sends a message back to its sender (or to an observer).
    pub echo: bool,
    /// The server sends a message to every other client.
    pub broadcast: bool,
    /// The URL is `wss://`.
    pub tls: bool,
}

/// When a case may run beside others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Beside anything.
    Light,
    /// Beside its like only: it measures time.
    Timing,
    /// Few at a time: it moves megabytes.
    Heavy,
    /// Alone: it may take the server down, or needs the whole of it.
    Alone,
}

/// One case.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// `6.4.1`, `H.2.3`.
    pub id: String,
    /// The group's number or letter and name: `6 UTF-8 handling`.
    pub group: String,
    /// The section's id and name: `6.4 fail-fast`; the group again where there are no sections.
    pub section: String,
    /// The RFC and its sections.
    pub rfc: String,
    /// How strongly it is wanted.
    pub level: Level,
    /// What is sent, in words.
    pub sends: String,
    /// What a correct server does, in words.
    pub expects: String,
    /// What it needs.
    pub needs: Needs,
    /// When it may run.
    pub pace: Pace,
    /// Whether 1008 or 1009 is a stated policy here rather than a failure.
    pub limits: bool,
    /// What is done and how it is judged.
    pub ask: Ask,
}

/// What is done and how it is judged.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// A script judged by Autobahn's rules.
    Autobahn(Autobahn),
    /// A script judged by one of our verifiers.
    Script(Script),
    /// An opening handshake judged by its answer.
    Handshake(Handshake),
    /// A procedure by name, for what no script can say.
    Procedure {
        /// Its name.
        name: String,
        /// Its arguments.
        arguments: Vec<String>,
        /// The extension offered.
        offer: Option<String>,
        /// Skip unless the agreement lets the client keep its context.
        takeover: bool,
    },
}

/// One step of a script.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// A frame, malformed on request.
    Frame {
        /// FIN, RSV, opcode.
        first: u8,
        /// Its payload.
        payload: Payload,
        /// Its masking.
        masking: Masking,
        /// Its length's form.
        form: LengthForm,
        /// A length declared that is not the payload's.
        declared: Option<u64>,
        /// How it leaves.
        delivery: Delivery,
    },
    /// A message in fragments of `by` octets; a multiple of it ends in an empty frame.
    Message {
        /// Opcode 2.
        binary: bool,
        /// Its payload.
        payload: Payload,
        /// The fragment size.
        by: Option<usize>,
    },
    /// The header of a frame whose payload follows in parts.
    Head {
        /// FIN, RSV, opcode.
        first: u8,
        /// Its length.
        declared: u64,
    },
    /// A part of the payload a `Head` declared.
    Octets(Payload),
    /// Our Close: from here on we are closing.
    Close(Vec<u8>),
    /// Wait; with a marker, record that the connection is still open, or stop.
    Wait {
        /// Seconds.
        seconds: f64,
        /// The marker.
        marker: Option<char>,
    },
    /// A message, its echo, and again.
    RoundTrips {
        /// How often.
        count: usize,
        /// Opcode 2.
        binary: bool,
        /// What is sent.
        payload: Payload,
    },
    /// Windows of a generated corpus, compressed, one after the other's echo.
    Corpus {
        /// How often.
        count: usize,
        /// Opcode 2.
        binary: bool,
        /// Which corpus.
        corpus: crate::conformance::corpus::Kind,
        /// Characters of text or octets of binary in each.
        len: usize,
        /// The fragment size of the compressed payload.
        by: Option<usize>,
    },
    /// Octets that are no frame.
    Raw(Vec<u8>),
    /// End our writing side.
    Shut,
}

/// Something received, or a marker passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// A message.
    Message {
        /// Opcode 2.
        binary: bool,
        /// Its octets.
        payload: Payload,
    },
    /// A pong.
    Pong(Payload),
    /// Still open at this marker.
    Open(char),
}

/// What Autobahn's behaviour verdict compares with.
#[derive(Debug, Clone, PartialEq)]
pub enum Expectation {
    /// Lists of events: OK, and NON-STRICT where there is one.
    Events {
        /// Gives OK.
        ok: Vec<Expected>,
        /// Gives NON-STRICT.
        lax: Option<Vec<Expected>>,
    },
    /// One echo of the same kind and length.
    SameSize,
    /// The loop judges itself.
    Echoes,
}

/// Which end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The tester.
    Us,
    /// The server (or the client under test).
    Them,
}

/// What the timer does when it runs out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timer {
    /// Fail the connection: Close(1001), or drop TCP when closing.
    Fail,
    /// Send an empty Close.
    Close,
}

/// A case of Autobahn's catalogue.
#[derive(Debug, Clone, PartialEq)]
pub struct Autobahn {
    /// The extension offered.
    pub offer: Option<String>,
    /// What is sent.
    pub steps: Vec<Step>,
    /// What is expected.
    pub expectation: Expectation,
    /// What the timer does.
    pub timer: Timer,
    /// Seconds from the last step.
    pub seconds: f64,
    /// Who closes first.
    pub initiator: Side,
    /// Codes accepted in the server's Close.
    pub codes: Vec<u16>,
    /// Whether the close must be clean.
    pub clean: bool,
    /// Whether the wrong side closing first fails the behaviour too.
    pub party_fails: bool,
    /// Whether a wrong code fails the behaviour too.
    pub code_fails: bool,
    /// Whether we close with the first accepted code once the events are complete.
    pub auto_close: bool,
    /// Whether both verdicts are INFORMATIONAL whatever happens.
    pub informational: bool,
}

/// A script of ours.
#[derive(Debug, Clone, PartialEq)]
pub struct Script {
    /// The extension offered.
    pub offer: Option<String>,
    /// Skip unless the agreement lets the client keep its context.
    pub takeover: bool,
    /// What is sent.
    pub steps: Vec<Step>,
    /// Seconds to wait for the outcome.
    pub seconds: f64,
    /// How it is judged.
    pub verifier: Verifier,
}

/// How a script is judged.
#[derive(Debug, Clone, PartialEq)]
pub enum Verifier {
    /// Exactly these events, the connection still open, then a clean close.
    Echo(Vec<Expected>),
    /// The server fails the connection, without a message beyond `before`.
    Fails {
        /// Codes that are right.
        codes: Vec<u16>,
        /// Codes that are tolerated: NON-STRICT.
        lax: Vec<u16>,
        /// Whether dropping TCP without a Close is as good.
        drop: bool,
        /// Whether carrying on as if nothing were wrong is NON-STRICT instead of FAIL.
        lenient: bool,
        /// Messages that were complete before the violation, allowed to arrive.
        before: Vec<Expected>,
    },
    /// The server answers our Close: one Close, its code among these (or none when `empty`), nothing after it, TCP closed.
    Answers {
        /// Codes that are right.
        codes: Vec<u16>,
        /// Whether an empty Close is right.
        empty: bool,
        /// Whether dropping TCP instead is right.
        drop: bool,
    },
}

/// An edited opening handshake.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Handshake {
    /// Edits, one per line of the catalogue.
    pub edits: Vec<Edit>,
    /// Answers that are right.
    pub ok: Vec<Answer>,
    /// Answers that are tolerated.
    pub lax: Vec<Answer>,
    /// Seconds within which the answer must come.
    pub seconds: u64,
    /// A text that must be echoed afterwards.
    pub echo: bool,
}

/// One change to the correct request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Replace a field: name, value.
    Set(String, String),
    /// Replace a field by raw octets behind its name.
    SetRaw(String, Vec<u8>),
    /// Another field of the name.
    Add(String, String),
    /// Without the field.
    Drop(String),
    /// A space between the field's name and its colon.
    Spaced(String),
    /// All names in lower case.
    Lower,
    /// All names in upper case.
    Upper,
    /// Another method.
    Method(String),
    /// The HTTP version.
    Version(String),
    /// Absolute-form target.
    Absolute,
    /// A query behind the path.
    Query(String),
    /// Octets before the request.
    Lead(Vec<u8>),
    /// LF instead of CRLF.
    BareLf,
    /// This instead of the request line.
    Line(String),
    /// This many numbered fields more.
    Flood(usize),
    /// Octets behind the request, in the same write.
    Behind(Vec<u8>),
    /// A text frame `hello` behind the request: this many of its octets at once, the rest 200 ms later.
    Frame(usize),
    /// Written octet by octet.
    Dribble,
    /// Written in three parts inside the final CRLFCRLF, 50 ms apart.
    Split,
    /// A second valid request behind the first.
    Twice,
    /// Only the first half, then silence.
    Half,
}

/// What an answer can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A correct 101.
    Upgraded,
    /// A correct 101 without an extension.
    Plain,
    /// This status.
    Status(u16),
    /// This status with `Sec-WebSocket-Version: 13`.
    WithVersion(u16),
    /// This class of status (4 for 4xx).
    Class(u16),
    /// Any final status but 101.
    NotUpgraded,
    /// TCP closed without an answer.
    Dropped,
    /// No answer, and TCP left open.
    Silent,
}
