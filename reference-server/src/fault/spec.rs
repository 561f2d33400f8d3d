//! The catalogue of faults and the way they are written: `drop,rate=1%,clients=3..5,from=2s,until=8s`.
//!
//! Must never know a client or a frame.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::units::{format_duration, parse_duration};

/// Argument of a fault.
#[derive(Debug, Clone, PartialEq)]
pub enum Argument {
    /// The fault takes none.
    None,
    /// A span of time, or a range from which one is drawn (both ends the same where it is fixed).
    Span(Duration, Duration),
    /// A number.
    Count(u64),
    /// A share of one.
    Share(f64),
    /// A text.
    Text(String),
}

macro_rules! faults {
    ($($kind:ident $name:literal $default:expr, $about:literal;)*) => {
        /// What can go wrong. Each delivery fault is decided once per copy unless it says otherwise.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Kind {
            $(#[doc = $about] $kind,)*
        }

        impl Kind {
            /// Every kind, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// Its name in specifications and logs.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }

            /// What it does, in a sentence.
            #[must_use]
            pub const fn about(self) -> &'static str {
                match self {
                    $(Self::$kind => $about,)*
                }
            }

            /// Its argument where none is given; also the type of argument it takes.
            fn default_argument(self) -> Argument {
                match self {
                    $(Self::$kind => $default,)*
                }
            }
        }
    };
}

const fn ms(n: u64) -> Argument {
    Argument::Span(Duration::from_millis(n), Duration::from_millis(n))
}

faults! {
    Drop "drop" Argument::None, "One copy is not sent";
    DropPublication "drop-publication" Argument::None, "A publication is sent to nobody; decided once per publication, clients= are senders";
    DropForever "drop-forever" Argument::None, "From a copy on, a client is sent no more copies";
    Duplicate "duplicate" Argument::None, "A copy is sent twice";
    Reorder "reorder" Argument::Count(1), "A copy is sent after the next n copies";
    Delay "delay" ms(100), "A copy is held back for a span, and those behind it with it";
    Stall "stall" ms(500), "Nothing at all is sent for a span, at from= and again every period=";
    WrongRoom "wrong-room" Argument::None, "A copy is sent to a client outside its audience";
    Replay "replay" Argument::Count(1), "A client that opens is sent the last n publications from before";
    AfterClose "after-close" Argument::None, "A client is sent a copy after the Close that answers its own";
    Truncate "truncate" Argument::Count(1), "The last n bytes of a copy are cut off";
    Flip "flip" Argument::Count(1), "The n-th byte from the end of a copy is changed";
    Swap "swap" Argument::None, "The later halves of two consecutive copies are exchanged";
    Opcode "opcode" Argument::None, "A text copy is sent as binary, a binary one as text where it is UTF-8";
    Fragment "fragment" Argument::Count(7), "A copy is sent in fragments of n bytes with an empty one first (legal)";
    Batch "batch" Argument::Count(2), "n copies are sent as one message, separated by line feeds";
    Reserialise "re-serialise" Argument::None, "A text copy is parsed and written again as JSON, or wrapped in it";
    BeatNever "beat-never" Argument::None, "A heartbeat is not sent; decided once per beat, as are all of the heartbeat";
    BeatLate "beat-late" ms(1000), "A heartbeat is sent late by a span";
    BeatEarly "beat-early" ms(1000), "A heartbeat is sent early by a span";
    BeatDrift "beat-drift" Argument::Share(0.1), "Each interval is longer than the one before by a share of the period";
    BeatDouble "beat-double" ms(1000), "A second timer sends every beat again after a span";
    BeatStop "beat-stop" Argument::Count(1), "No heartbeat is sent after the n-th";
    BeatText "beat-text" Argument::Text(r#"{"type":1,"message":"pong"}"#.into()), "A heartbeat has the wrong text";
    BeatStarved "beat-starved" Argument::None, "A heartbeat is left out when copies were sent since the last";
    TickLate "tick-late" ms(1000), "A broadcast of the server's own (--feed) is sent late by a span; decided once per broadcast";
    PongNone "pong-none" Argument::None, "A ping is not answered; application and protocol pings alike, as are all of the pong";
    PongLate "pong-late" ms(1000), "A ping is answered late by a span";
    PongWrong "pong-wrong" Argument::None, "A ping is answered with the wrong payload";
    PongTwice "pong-twice" Argument::None, "A ping is answered twice";
    PongEveryone "pong-everyone" Argument::None, "A ping's answer goes to every open client";
    PongUnsolicited "pong-unsolicited" ms(1000), "A client is sent application pongs it did not ask for, once a span";
    Refuse "refuse" Argument::Count(503), "An upgrade is refused with an HTTP status; clients= counts requests here";
    SlowHandshake "slow-handshake" ms(1000), "The answer to the upgrade is held back for a span";
    WrongAccept "wrong-accept" Argument::None, "The 101 has a wrong Sec-WebSocket-Accept";
    NoUpgradeHeader "no-upgrade-header" Argument::None, "The 101 has no Upgrade field";
    Subprotocol "subprotocol" Argument::Text("leaked".into()), "The 101 selects a sub-protocol nobody offered";
    SubprotocolNone "subprotocol-none" Argument::None, "The 101 selects none of the sub-protocols that were offered and are spoken";
    Close "close" Argument::Count(1011), "A client is closed with a code, at from= or when it opens";
    CloseSilent "close-silent" Argument::None, "A client's socket is closed without a Close frame, at from= or when it opens";
    Reset "reset" Argument::None, "A connection is reset in the middle of a copy's frame";
    HalfOpen "half-open" Argument::None, "A client is no longer read, at from= or when it opens; its socket stays";
    HeadOfLine "head-of-line" Argument::None, "While a client does not take what waits for it (its socket keeps little), nobody is sent the publications behind it";
    DeadKept "dead-kept" Argument::None, "A client that does not answer protocol pings (--protocol-ping) is kept all the same";
    DeadLate "dead-late" ms(5000), "A client that does not answer protocol pings is given up late by a span";
    DeadCode "dead-code" Argument::Count(1000), "A client that does not answer protocol pings is closed with another code than 1011";
    Silent "silent" Argument::None, "A client gets its 101 and never a word more";
    Masked "masked" Argument::None, "A copy's frame is masked";
    Rsv "rsv" Argument::Count(4), "A copy's frame has reserved bits set (4, 2 or 1, or their sum)";
    BadUtf8 "bad-utf8" Argument::None, "A text copy ends in an octet that is not UTF-8";
    Oversize "oversize" Argument::Count(1 << 40), "A copy's frame declares n bytes";
    FragmentedControl "fragmented-control" Argument::None, "A ping without FIN precedes a copy";
    Dribble "dribble" Argument::None, "Everything a client is sent leaves one byte per packet";
}

/// Which clients a fault is for. A client's index is the order in which its handshake was completed, from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clients {
    /// All of them.
    All,
    /// Those whose index is a multiple of n: `*/10`.
    Every(u64),
    /// Those in any of these ranges, both ends included: `3`, `3..5`, `1+4..6`.
    In(Vec<(u64, u64)>),
}

impl Clients {
    /// Whether a client is among them.
    #[must_use]
    pub fn contains(&self, index: u64) -> bool {
        match self {
            Self::All => true,
            Self::Every(n) => index.is_multiple_of(*n),
            Self::In(ranges) => ranges.iter().any(|(from, to)| (*from..=*to).contains(&index)),
        }
    }
}

/// One fault: what, and when it strikes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fault {
    /// What goes wrong.
    pub kind: Kind,
    /// How much of it.
    pub argument: Argument,
    /// Share of the occasions on which it strikes, 0 to 1.
    pub rate: f64,
    /// Strikes only on every n-th occasion of a client (the n-th, the 2n-th …), before `rate` is asked.
    pub every: u64,
    /// Whom it strikes.
    pub clients: Clients,
    /// Server time from which it strikes.
    pub from: Duration,
    /// Server time until which it strikes.
    pub until: Duration,
    /// For a stall: from the beginning of one to that of the next. `None`: there is only one.
    pub period: Option<Duration>,
}

/// Why a specification is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// No such kind.
    #[error("there is no fault `{name}`; did you mean `{nearest}`?")]
    Kind {
        /// What was written.
        name: String,
        /// The most similar name there is.
        nearest: &'static str,
    },
    /// No such key.
    #[error("there is no key `{0}`: use rate, every, clients, from, until, or period with stall")]
    Key(String),
    /// A value that does not fit.
    #[error("`{value}` does not fit `{key}`: {wanted}")]
    Value {
        /// The key, or the fault's name.
        key: String,
        /// What was written.
        value: String,
        /// What was wanted.
        wanted: &'static str,
    },
}

fn wrong(key: &str, value: &str, wanted: &'static str) -> SpecError {
    SpecError::Value { key: key.into(), value: value.into(), wanted }
}

impl FromStr for Kind {
    type Err = SpecError;

    fn from_str(name: &str) -> Result<Self, SpecError> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name).ok_or_else(|| {
            let nearest = Self::ALL.iter().min_by_key(|kind| distance(name, kind.name())).map_or("drop", |kind| kind.name());
            SpecError::Kind { name: name.into(), nearest }
        })
    }
}

/// How many letters must be changed, put in or left out to make one name of the other.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

impl FromStr for Fault {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let mut parts = text.split(',');
        let head = parts.next().unwrap_or("").trim();
        let (name, argument) = match head.split_once('=') {
            Some((name, argument)) => (name.trim(), Some(argument.trim())),
            None => (head, None),
        };
        let kind: Kind = name.parse()?;
        let mut fault = Self {
            kind,
            argument: kind.default_argument(),
            rate: 1.0,
            every: 1,
            clients: Clients::All,
            from: Duration::ZERO,
            until: Duration::MAX,
            period: None,
        };
        if let Some(argument) = argument {
            fault.argument = parse_argument(kind, argument)?;
        }
        for part in parts {
            let (key, value) = part.split_once('=').ok_or_else(|| SpecError::Key(part.trim().into()))?;
            fault.set(key.trim(), value.trim())?;
            let every_time = (fault.rate - 1.0).abs() < f64::EPSILON && fault.every == 1;
            if kind == Kind::Stall && !every_time {
                return Err(wrong(key.trim(), value.trim(), "a stall strikes whenever its time comes; use from, until and period"));
            }
        }
        Ok(fault)
    }
}

impl Fault {
    /// Sets what a key of the specification sets.
    fn set(&mut self, key: &str, value: &str) -> Result<(), SpecError> {
        let span = |value| parse_duration(value).map_err(|_| wrong(key, value, "write `250ms` or `5s`"));
        match key {
            "rate" => self.rate = parse_share(value).ok_or_else(|| wrong(key, value, "write `1%` or `0.01`, at most 100%"))?,
            "every" => {
                self.every = value.parse().ok().filter(|n| *n > 0).ok_or_else(|| wrong(key, value, "write a whole number from 1"))?;
            }
            "clients" => {
                let wanted = "write `3`, `3..5`, `1+4..6`, `*/10` or `all`";
                self.clients = parse_clients(value).ok_or_else(|| wrong(key, value, wanted))?;
            }
            "from" => self.from = span(value)?,
            "until" => self.until = span(value)?,
            "period" if self.kind == Kind::Stall => match span(value)? {
                Duration::ZERO => return Err(wrong(key, value, "must be longer than nothing")),
                period => self.period = Some(period),
            },
            _ => return Err(SpecError::Key(key.into())),
        }
        Ok(())
    }
}

fn parse_argument(kind: Kind, text: &str) -> Result<Argument, SpecError> {
    let error = |wanted| wrong(kind.name(), text, wanted);
    match kind.default_argument() {
        Argument::None => Err(error("it takes no argument")),
        Argument::Text(_) => Ok(Argument::Text(text.into())),
        Argument::Share(_) => parse_share(text).map(Argument::Share).ok_or_else(|| error("write `10%`")),
        Argument::Count(_) => {
            let (fits, wanted) = counts(kind);
            text.parse().ok().filter(|n| fits.contains(n)).map(Argument::Count).ok_or_else(|| error(wanted))
        }
        Argument::Span(..) => {
            let (from, to) = text.split_once("..").unwrap_or((text, text));
            match (parse_duration(from), parse_duration(to)) {
                (Ok(Duration::ZERO), Ok(_)) if kind == Kind::PongUnsolicited => Err(error("must be longer than nothing")),
                (Ok(from), Ok(to)) if from <= to => Ok(Argument::Span(from, to)),
                _ => Err(error("write `100ms` or `10ms..50ms`")),
            }
        }
    }
}

/// The numbers that make sense for a kind, and what to write instead.
const fn counts(kind: Kind) -> (RangeInclusive<u64>, &'static str) {
    match kind {
        Kind::Rsv => (1..=7, "write 4, 2 or 1, or their sum"),
        Kind::Refuse => (300..=599, "write an HTTP status from 300 to 599"),
        Kind::Close | Kind::DeadCode => (1000..=4999, "write a close code from 1000 to 4999"),
        Kind::Oversize => (1 << 16..=u64::MAX >> 1, "write a whole number from 65536: more than any copy has"),
        _ => (1..=u64::MAX, "write a whole number from 1"),
    }
}

fn parse_share(text: &str) -> Option<f64> {
    let share = match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().ok()? / 100.0,
        None => text.parse::<f64>().ok()?,
    };
    (0.0..=1.0).contains(&share).then_some(share)
}

fn parse_clients(text: &str) -> Option<Clients> {
    if text == "all" {
        return Some(Clients::All);
    }
    if let Some(n) = text.strip_prefix("*/") {
        return n.parse().ok().filter(|n| *n > 0).map(Clients::Every);
    }
    let range = |part: &str| {
        let (from, to) = part.split_once("..").unwrap_or((part, part));
        let (from, to) = (from.trim().parse::<u64>().ok()?, to.trim().parse::<u64>().ok()?);
        (from <= to).then_some((from, to))
    };
    text.split('+').map(range).collect::<Option<Vec<_>>>().map(Clients::In)
}

impl fmt::Display for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Every(n) => write!(f, "*/{n}"),
            Self::In(ranges) => {
                for (at, (from, to)) in ranges.iter().enumerate() {
                    let plus = if at == 0 { "" } else { "+" };
                    if from == to { write!(f, "{plus}{from}")? } else { write!(f, "{plus}{from}..{to}")? }
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::Span(from, to) if from == to => write!(f, "={}", format_duration(*from)),
            Self::Span(from, to) => write!(f, "={}..{}", format_duration(*from), format_duration(*to)),
            Self::Count(n) => write!(f, "={n}"),
            Self::Share(share) => write!(f, "={share}"),
            Self::Text(text) => write!(f, "={text}"),
        }
    }
}

impl fmt::Display for Fault {
    /// The specification, such that reading it gives the same fault.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{},rate={},every={},clients={}", self.kind.name(), self.argument, self.rate, self.every, self.clients)?;
        write!(f, ",from={}", format_duration(self.from))?;
        if let Some(period) = self.period {
            write!(f, ",period={}", format_duration(period))?;
        }
        if self.until < Duration::MAX { write!(f, ",until={}", format_duration(self.until)) } else { Ok(()) }
    }
}

impl TryFrom<String> for Fault {
    type Error = SpecError;

    fn try_from(text: String) -> Result<Self, SpecError> {
        text.parse()
    }
}

impl From<Fault> for String {
    fn from(fault: Fault) -> Self {
        fault.to_string()
    }
}

/// A file of faults: `faults = ["drop,rate=1%", "delay=50ms,clients=3"]`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultFile {
    /// The faults, as specifications.
    pub faults: Vec<Fault>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specifications_are_read_and_written_back() {
        for text in [
            "drop",
            "drop,rate=1%,clients=3..5,from=2s,until=8s",
            "delay=10ms..50ms,every=10,clients=*/7",
            "beat-drift=10%",
            "close=4999,clients=1+4..6",
            "stall=500ms,period=5s",
            "beat-text={\"type\":2}",
        ] {
            let fault: Fault = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(fault.to_string().parse(), Ok(fault), "{text}");
        }
        for kind in Kind::ALL {
            let fault: Fault = kind.name().parse().unwrap_or_else(|error| panic!("{}: {error}", kind.name()));
            assert_eq!((fault.kind, fault.rate, fault.every), (*kind, 1.0, 1));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, part) in [
            ("dorp", "did you mean `drop`"),
            ("duplicat,rate=1%", "did you mean `duplicate`"),
            ("drop,rat=1%", "`rat`"),
            ("drop,rate=101%", "`101%`"),
            ("drop,every=0", "`0`"),
            ("drop,clients=5..3", "`5..3`"),
            ("drop=3", "no argument"),
            ("rsv=8", "their sum"),
            ("refuse=99999", "HTTP status"),
            ("close=1", "close code"),
            ("dead-code=99999", "close code"),
            ("oversize=3", "65536"),
            ("pong-unsolicited=0s", "longer than nothing"),
            ("stall=1s,from=1s,rate=50%", "use from, until and period"),
            ("stall=1s,every=2", "use from, until and period"),
            ("delay=soon", "`soon`"),
            ("truncate=0", "`0`"),
            ("drop,from", "`from`"),
            ("drop,period=1s", "`period`"),
        ] {
            let error = text.parse::<Fault>().map(|fault| fault.to_string()).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn clients_are_sets() {
        let clients = |text| parse_clients(text).unwrap_or(Clients::In(Vec::new()));
        let hit = |text, upto: u64| (0..upto).filter(|index| clients(text).contains(*index)).collect::<Vec<_>>();
        assert_eq!(hit("3", 9), [3]);
        assert_eq!(hit("3..5", 9), [3, 4, 5]);
        assert_eq!(hit("0+7..8", 9), [0, 7, 8]);
        assert_eq!(hit("*/4", 9), [0, 4, 8]);
        assert_eq!(hit("all", 3), [0, 1, 2]);
    }
}
