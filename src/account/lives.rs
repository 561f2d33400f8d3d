//! Connections: how each came to be, became a member, and ended.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::bottom::{Sightings, reason, shown};
use super::tally::Tally;
use crate::base::{ConnId, Instant, Span};
use crate::event::{ClosedBy, Closure, ConnectFailure};

/// What the connections of a shard, or of the whole run, came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connections {
    /// Planned.
    pub planned: u64,
    /// Attempts begun, one a client; those to come back are counted apart.
    pub attempts: u64,
    /// WebSocket handshakes completed, likewise.
    pub opened: u64,
    /// WebSocket handshakes completed by clients that were there before.
    pub returned: u64,
    /// Failed attempts to come back, by cause; `not_ready` for those that opened and never became members.
    pub returns_failed: BTreeMap<String, u64>,
    /// Became members, likewise the first time.
    pub ready: u64,
    /// Opened, but greeting or script did not come to their end.
    pub not_ready: u64,
    /// Failed attempts by cause.
    pub failed: BTreeMap<String, u64>,
    /// Attempts that failed by our own limits.
    pub failed_here: u64,
    /// Ended unasked before the close phase, by who ended them: `server`, `network`, `violation`.
    pub lost: BTreeMap<String, u64>,
    /// Lost connections that were publishers'.
    pub lost_publishers: u64,
    /// Lost connections that the server, or the network, may have given up because wsbench itself stood still.
    pub lost_unheard: u64,
    /// Left as planned before the close phase.
    pub left: u64,
    /// Close codes received, `none` where there was none.
    pub close_codes: BTreeMap<String, u64>,
    /// Close codes of lost connections.
    pub lost_codes: BTreeMap<String, u64>,
    /// Closing handshakes that ended in order.
    pub closed_clean: u64,
    /// Greetings seen.
    pub greetings: u64,
    /// The first greeting.
    pub greeting: Sightings,
    /// TCP + TLS + WebSocket handshake.
    pub handshakes: Tally,
    /// When the first and the last connection opened.
    pub opening: Option<(Instant, Instant)>,
    /// Opened by clients that offered subprotocols …
    pub offering: u64,
    /// … of which so many were given none of them.
    pub unchosen: u64,
    /// Agreed on permessage-deflate.
    pub compressed: u64,
    /// Connections that were given none of the subprotocols offered.
    pub unchosen_sightings: Sightings,
    /// Failed attempts.
    pub failures: Sightings,
    /// Clients that did not become ready.
    pub unready: Sightings,
    /// Lost connections.
    pub losses: Sightings,
}

fn add(into: &mut BTreeMap<String, u64>, from: BTreeMap<String, u64>) {
    for (key, n) in from {
        *into.entry(key).or_default() += n;
    }
}

impl Connections {
    /// Connections lost, by whomever.
    #[must_use]
    pub fn lost_total(&self) -> u64 {
        self.lost.values().sum()
    }

    /// Failed attempts, by whatever cause.
    #[must_use]
    pub fn failed_total(&self) -> u64 {
        self.failed.values().sum()
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.planned = self.planned.max(other.planned);
        self.attempts += other.attempts;
        self.returned += other.returned;
        add(&mut self.returns_failed, other.returns_failed);
        self.opened += other.opened;
        self.ready += other.ready;
        self.not_ready += other.not_ready;
        add(&mut self.failed, other.failed);
        self.failed_here += other.failed_here;
        add(&mut self.lost, other.lost);
        self.lost_publishers += other.lost_publishers;
        self.lost_unheard += other.lost_unheard;
        self.left += other.left;
        add(&mut self.close_codes, other.close_codes);
        add(&mut self.lost_codes, other.lost_codes);
        self.closed_clean += other.closed_clean;
        self.greetings += other.greetings;
        self.greeting.merge(other.greeting);
        self.handshakes.merge(&other.handshakes);
        self.opening = match (self.opening, other.opening) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (mine, theirs) => mine.or(theirs),
        };
        self.offering += other.offering;
        self.unchosen += other.unchosen;
        self.compressed += other.compressed;
        self.unchosen_sightings.merge(other.unchosen_sightings);
        self.failures.merge(other.failures);
        self.unready.merge(other.unready);
        self.losses.merge(other.losses);
    }
}

/// One connection's life; [`Instant::FAR`] is what has not happened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Life {
    /// When it was asked for: the beginning of its handshake.
    pub(super) asked: Instant,
    pub(super) opened: Instant,
    pub(super) ready: Instant,
    /// When copies stopped being owed: we began to leave, or it was lost.
    pub(super) left: Instant,
    pub(super) closed: bool,
    /// Ended unasked, by the server or the network.
    pub(super) lost: bool,
    /// From when on nobody listened until it was found lost: when that was, lies somewhere between.
    pub(super) unheard_since: Instant,
    /// It ends, or began, by a disruption of the plan's.
    pub(super) planned: bool,
    /// It is not the client's first.
    pub(super) again: bool,
    /// When the one before ended, as planned; [`Instant::FAR`] where there is none.
    pub(super) away_since: Instant,
}

impl Life {
    pub(super) const UNBORN: Self = Self {
        asked: Instant::FAR,
        opened: Instant::FAR,
        ready: Instant::FAR,
        left: Instant::FAR,
        closed: false,
        lost: false,
        unheard_since: Instant::FAR,
        planned: false,
        again: false,
        away_since: Instant::FAR,
    };

    pub(super) fn is_open(&self) -> bool {
        self.opened < Instant::FAR && !self.closed
    }

    pub(super) fn is_member(&self) -> bool {
        self.ready < Instant::FAR && self.left == Instant::FAR
    }
}

/// The fold of one shard.
#[derive(Debug)]
pub(super) struct Lives {
    pub(super) lives: Vec<Life>,
    /// Members now.
    pub(super) members: u32,
    /// Open now.
    pub(super) open: u32,
    pub(super) sums: Connections,
}

impl Lives {
    pub(super) fn new(slots: usize, planned: u32) -> Self {
        let sums = Connections { planned: planned.into(), ..Connections::default() };
        Self { lives: vec![Life::UNBORN; slots], members: 0, open: 0, sums }
    }

    pub(super) fn attempt(&mut self, slot: usize) {
        self.sums.attempts += u64::from(!self.lives[slot].closed);
    }

    pub(super) fn failed(&mut self, slot: usize, conn: ConnId, at: Instant, cause: ConnectFailure, detail: &str) {
        if self.lives[slot].closed {
            *self.sums.returns_failed.entry(failure_name(cause)).or_default() += 1;
            return;
        }
        *self.sums.failed.entry(failure_name(cause)).or_default() += 1;
        self.sums.failed_here += u64::from(cause == ConnectFailure::LocalLimit);
        self.sums.failures.note(at, Some(conn), None, || match detail {
            "" => failure_name(cause),
            detail => format!("{}: {}", failure_name(cause), reason(detail)),
        });
    }

    pub(super) fn opened(&mut self, slot: usize, at: Instant, handshake: Span) {
        let life = &mut self.lives[slot];
        if !life.is_open() {
            self.open += 1;
        }
        let again = life.closed;
        let planned = again && life.planned;
        // A client that never became a member in between has been away all along.
        let since = if life.away_since < Instant::FAR && life.ready == Instant::FAR { life.away_since } else { life.left };
        let asked = at.before(handshake);
        *life = Life { asked, opened: at, again, planned, away_since: if planned { since } else { Instant::FAR }, ..Life::UNBORN };
        if again {
            self.sums.returned += 1;
            return;
        }
        self.sums.opened += 1;
        self.sums.handshakes.record(handshake.as_nanos());
        let (first, last) = self.sums.opening.unwrap_or((at, at));
        self.sums.opening = Some((first.min(at), last.max(at)));
    }

    pub(super) fn greeting(&mut self, conn: ConnId, at: Instant, text: &[u8]) {
        self.sums.greetings += 1;
        self.sums.greeting.note(at, Some(conn), None, || shown(text));
    }

    pub(super) fn ready(&mut self, slot: usize, at: Instant) {
        let life = &mut self.lives[slot];
        if life.ready == Instant::FAR && life.left == Instant::FAR {
            life.ready = at;
            self.sums.ready += u64::from(!life.again);
            self.members += 1;
        }
    }

    pub(super) fn not_ready(&mut self, slot: usize, conn: ConnId, at: Instant, detail: &str) {
        if self.lives[slot].again {
            *self.sums.returns_failed.entry("not_ready".into()).or_default() += 1;
            return;
        }
        self.sums.not_ready += 1;
        self.sums.unready.note(at, Some(conn), None, || reason(detail));
    }

    /// Copies stop being owed; true if it was a member until now.
    pub(super) fn leave(&mut self, slot: usize, at: Instant) -> bool {
        let life = &mut self.lives[slot];
        let was_member = life.is_member();
        if life.left == Instant::FAR {
            life.left = at;
        }
        if was_member {
            self.members -= 1;
        }
        was_member
    }

    /// The connection ended; `asked` when we ended it or the run's close phase has begun. Gives whether it was lost.
    pub(super) fn closed(&mut self, slot: usize, conn: ConnId, end: (Instant, Closure, &str), asked: bool, publisher: bool) -> bool {
        let (at, closure, detail) = end;
        let life = &mut self.lives[slot];
        if life.closed || life.opened == Instant::FAR {
            return false;
        }
        life.closed = true;
        self.open -= 1;
        let sums = &mut self.sums;
        let code = closure.code.map_or_else(|| "none".into(), |code| code.to_string());
        *sums.close_codes.entry(code.clone()).or_default() += 1;
        sums.closed_clean += u64::from(closure.clean);
        let who = match closure.by {
            ClosedBy::Us | ClosedBy::Script => None,
            ClosedBy::Violation => Some("violation"),
            _ if asked => None,
            ClosedBy::Server => Some("server"),
            ClosedBy::Network => Some("network"),
        };
        let Some(who) = who else { return false };
        // What its loss overlaps is the server's doing, not the plan's.
        life.planned = false;
        life.lost = closure.by != ClosedBy::Violation;
        *sums.lost.entry(who.into()).or_default() += 1;
        *sums.lost_codes.entry(code.clone()).or_default() += 1;
        sums.lost_publishers += u64::from(publisher);
        sums.losses.note(at, Some(conn), None, || {
            let how = match closure.by {
                ClosedBy::Server => format!("the server closed it unasked, code {code}"),
                ClosedBy::Violation => "closed by us because the server broke the protocol".into(),
                _ => "the connection broke without a Close frame".into(),
            };
            if detail.is_empty() { how } else { format!("{how}: {}", shown(detail.as_bytes())) }
        });
        true
    }
}

/// A failure's name in reports: `refused`, `http_503`, …
fn failure_name(cause: ConnectFailure) -> String {
    match cause {
        ConnectFailure::Refused => "refused".into(),
        ConnectFailure::Timeout => "timeout".into(),
        ConnectFailure::Reset => "reset".into(),
        ConnectFailure::Dns => "dns".into(),
        ConnectFailure::HttpStatus(status) => format!("http_{status}"),
        ConnectFailure::BadUpgrade => "bad_upgrade".into(),
        ConnectFailure::BadAccept => "bad_accept".into(),
        ConnectFailure::Tls => "tls".into(),
        ConnectFailure::LocalLimit => "local_limit".into(),
        ConnectFailure::Proxy => "proxy".into(),
        ConnectFailure::Io => "io".into(),
    }
}
