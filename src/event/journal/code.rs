//! The numbers events and their parts go by in a journal. A number once given is never given again.

use super::super::{ClosedBy, ConnectFailure, DropCause, Phase, StrayKind};

/// The bit that makes a head the head of a copy: `1ppccfff`.
pub(super) const COPY: u8 = 0x80;
/// `pp`: the publication of the copy before.
pub(super) const SAME_PUBLICATION: u8 = 0;
/// `pp`: the one that came after it the time before.
pub(super) const NEXT_PUBLICATION: u8 = 1;
/// `pp`: one still remembered; its place follows.
pub(super) const KNOWN_PUBLICATION: u8 = 2;
/// `pp`: one not remembered; all of it follows.
pub(super) const NEW_PUBLICATION: u8 = 3;
/// `cc`: the connection of the copy before.
pub(super) const SAME_CONN: u8 = 0;
/// `cc`: the one that came after it the time before.
pub(super) const NEXT_CONN: u8 = 1;
/// `cc`: another; how far from the expected one follows.
pub(super) const OTHER_CONN: u8 = 2;

/// Heads of everything that is no copy.
pub(super) mod head {
    pub(in super::super) const PHASE: u8 = 0;
    pub(in super::super) const CONNECTING: u8 = 1;
    pub(in super::super) const CONNECT_FAILED: u8 = 2;
    pub(in super::super) const OPENED: u8 = 3;
    pub(in super::super) const GREETING: u8 = 4;
    pub(in super::super) const READY: u8 = 5;
    pub(in super::super) const NOT_READY: u8 = 6;
    pub(in super::super) const SENT: u8 = 7;
    pub(in super::super) const DROPPED: u8 = 8;
    pub(in super::super) const STRAY: u8 = 9;
    pub(in super::super) const PING_APPLICATION: u8 = 10;
    pub(in super::super) const PING_PROTOCOL: u8 = 11;
    pub(in super::super) const PONG_APPLICATION: u8 = 12;
    pub(in super::super) const PONG_APPLICATION_NAMED: u8 = 13;
    pub(in super::super) const PONG_PROTOCOL: u8 = 14;
    pub(in super::super) const PONG_PROTOCOL_NAMED: u8 = 15;
    pub(in super::super) const ALIEN_PONG: u8 = 16;
    pub(in super::super) const BEAT: u8 = 17;
    pub(in super::super) const SERVER_PING: u8 = 18;
    pub(in super::super) const CLOSED: u8 = 19;
    pub(in super::super) const HEALTH: u8 = 20;
    pub(in super::super) const INTERRUPTED: u8 = 21;
    /// No event: all flaws of the copy that follows, where three bits cannot hold them.
    pub(in super::super) const FLAWS: u8 = 22;
    /// No event: the shard's books were settled at this instant, and nothing follows.
    pub(in super::super) const SETTLED: u8 = 23;
    pub(in super::super) const LEAVING: u8 = 24;
    pub(in super::super) const ANSWERED: u8 = 25;
    pub(in super::super) const NO_SUBPROTOCOL: u8 = 26;
    pub(in super::super) const ITEM: u8 = 27;
    pub(in super::super) const COMPRESSED: u8 = 28;
    pub(in super::super) const DISRUPTED: u8 = 29;
    pub(in super::super) const RESTORED: u8 = 30;
    pub(in super::super) const AFTER_CLOSE: u8 = 31;
    pub(in super::super) const HOOK: u8 = 32;
    pub(in super::super) const MISHAP: u8 = 33;
}

/// A part of an event with a number.
pub(super) trait Numbered: Sized {
    fn number(&self) -> u8;
    fn from_number(number: u8) -> Option<Self>;
}

macro_rules! numbered {
    ($type:ident: $($variant:ident = $number:literal),+ $(,)?) => {
        impl Numbered for $type {
            fn number(&self) -> u8 {
                match self { $(Self::$variant => $number),+ }
            }

            fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

numbered!(Phase: Ramp = 0, WarmUp = 1, Steady = 2, Drain = 3, Close = 4, Done = 5);
numbered!(DropCause: NotOpen = 0, BackPressure = 1, Ending = 2, Disrupted = 3);
numbered!(StrayKind: Unexpected = 0, OtherRun = 1, OtherRoom = 2, Echo = 3, Unknown = 4, Unreadable = 5);
numbered!(ClosedBy: Us = 0, Server = 1, Network = 2, Violation = 3, Script = 4);

/// The number of [`ConnectFailure::HttpStatus`], whose status follows.
pub(super) const HTTP_STATUS: u8 = 4;

/// The number of a failure; the status of [`ConnectFailure::HttpStatus`] is written apart.
pub(super) const fn failure_number(failure: ConnectFailure) -> u8 {
    match failure {
        ConnectFailure::Refused => 0,
        ConnectFailure::Timeout => 1,
        ConnectFailure::Reset => 2,
        ConnectFailure::Dns => 3,
        ConnectFailure::HttpStatus(_) => HTTP_STATUS,
        ConnectFailure::BadUpgrade => 5,
        ConnectFailure::BadAccept => 6,
        ConnectFailure::Tls => 7,
        ConnectFailure::LocalLimit => 8,
        ConnectFailure::Io => 9,
        ConnectFailure::Proxy => 10,
    }
}

/// The failure of a number; `status` is asked for where there is one.
pub(super) fn failure_from(number: u8, status: impl FnOnce() -> Option<u16>) -> Option<ConnectFailure> {
    Some(match number {
        0 => ConnectFailure::Refused,
        1 => ConnectFailure::Timeout,
        2 => ConnectFailure::Reset,
        3 => ConnectFailure::Dns,
        HTTP_STATUS => ConnectFailure::HttpStatus(status()?),
        5 => ConnectFailure::BadUpgrade,
        6 => ConnectFailure::BadAccept,
        7 => ConnectFailure::Tls,
        8 => ConnectFailure::LocalLimit,
        9 => ConnectFailure::Io,
        10 => ConnectFailure::Proxy,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_its_number_and_every_number_its_failure() {
        let failures = [
            ConnectFailure::Refused,
            ConnectFailure::Timeout,
            ConnectFailure::Reset,
            ConnectFailure::Dns,
            ConnectFailure::HttpStatus(503),
            ConnectFailure::BadUpgrade,
            ConnectFailure::BadAccept,
            ConnectFailure::Tls,
            ConnectFailure::LocalLimit,
            ConnectFailure::Io,
            ConnectFailure::Proxy,
        ];
        for (number, failure) in (0..).zip(failures) {
            assert_eq!(failure_number(failure), number);
            assert_eq!(failure_from(number, || Some(503)), Some(failure));
        }
        assert_eq!((failure_from(HTTP_STATUS, || None), failure_from(11, || Some(1))), (None, None));
    }
}
