//! The ledger's slower half: what happens to a connection besides copies.

use super::bottom::shown;
use super::copies::Seat;
use super::ledger::{Ledger, stray_name};
use crate::base::{ConnId, Instant};
use crate::event::{ClosedBy, Event, Phase, PingLevel, StrayKind};

impl Ledger {
    /// An event of one connection.
    pub(super) fn of_connection(&mut self, event: Event<'_>) {
        let Some((conn, slot)) = conn_of(&event).and_then(|conn| Some((conn, self.slot(conn)?))) else { return };
        match event {
            Event::Connecting { .. } => self.lives.attempt(slot),
            Event::ConnectFailed { at, cause, detail, .. } => self.lives.failed(slot, conn, at, cause, detail),
            Event::Opened { at, handshake, .. } => {
                self.reopen(slot);
                self.lives.opened(slot, at, handshake);
                if self.plan.group_of(conn).is_some_and(|(group, _)| !group.subprotocols.is_empty()) {
                    self.lives.sums.offering += 1;
                }
                self.rows.at(at).opened += 1;
            }
            Event::Greeting { at, text, .. } => self.lives.greeting(conn, at, text),
            Event::Ready { at, .. } => {
                self.lives.ready(slot, at);
                if self.lives.lives[slot].is_member() {
                    self.seats[slot].owed_from = at;
                    self.seats[slot].sit(self.limits.publishers);
                    self.last_ready = self.last_ready.max(at);
                    self.feed_ready(slot, at);
                    self.back(slot, conn, at);
                }
            }
            Event::NoSubprotocol { at, .. } => {
                self.lives.sums.unchosen += 1;
                self.lives.sums.unchosen_sightings.note(at, Some(conn), None, || "opened with none of the subprotocols offered".into());
            }
            Event::Compressed { .. } => self.lives.sums.compressed += 1,
            Event::NotReady { at, detail, .. } => self.lives.not_ready(slot, conn, at, detail),
            Event::Disrupted { at, strike, .. } => self.struck(slot, at, strike),
            Event::Restored { at, blind, .. } => self.restored(slot, conn, at, blind),
            Event::AfterClose { at, publisher, seq, .. } => self.after_close(slot, conn, at, (publisher, seq)),
            Event::Leaving { at, .. } => {
                self.lives.sums.left += 1;
                self.leave(slot, conn, at);
            }
            Event::Closed { at, closure, detail, .. } => {
                let closing = self.phases.get(&Phase::Close).is_some_and(|close| *close <= at);
                let asked = closing || self.lives.lives[slot].left < Instant::FAR;
                if !closing {
                    self.leave(slot, conn, at);
                }
                if self.lives.lives[slot].is_open() {
                    self.rows.at(at).ended += 1;
                }
                let publisher = self.plan.publisher_of(conn).is_some();
                if matches!(closure.by, ClosedBy::Server | ClosedBy::Network) && !closing {
                    self.noticed(slot, conn, at, closure);
                }
                if self.lives.closed(slot, conn, (at, closure, detail), asked, publisher) {
                    self.rows.at(at).lost += 1;
                    if self.isolation.is_asked && self.plan.strikes.spares(conn) {
                        self.isolation.lost(at, conn);
                    }
                }
            }
            Event::Item { at, key, .. } => self.item(slot, at, key),
            Event::Stray { at, kind, sample, .. } => self.stray(slot, conn, at, kind, sample),
            other => self.signal(slot, conn, other),
        }
    }

    /// Pings, pongs and beats; none counts once the client has left.
    fn signal(&mut self, slot: usize, conn: ConnId, event: Event<'_>) {
        let life = self.lives.lives[slot];
        if life.left < Instant::FAR {
            return;
        }
        // Looked up before the books move on: the row wants the interval that this beat ends.
        if let Event::Beat { at, .. } | Event::ServerPing { at, .. } = event
            && let Some(interval) = self.pulse.interval(slot, at, matches!(event, Event::ServerPing { .. }))
        {
            self.rows.at(at).beat(interval);
        }
        match event {
            Event::PingSent { level, nonce, at, .. } => self.pings(level).ping(slot, conn, nonce, at),
            Event::Pong { level, nonce, at, .. } => {
                self.rows.at(at).pongs += 1;
                if let Some(took) = self.pings(level).pong(slot, conn, nonce, at) {
                    self.rows.at(at).pong.absorb_one(took.as_nanos());
                }
            }
            Event::AlienPong { at, sample, .. } => {
                self.rows.at(at).pongs += 1;
                self.protocol.alien(slot, conn, at, sample);
            }
            Event::Beat { at, .. } => {
                self.rows.at(at).beats += 1;
                self.pulse.beat(slot, conn, life.opened, at);
            }
            Event::ServerPing { at, .. } => {
                let is_beat = self.pulse.server_ping(slot, conn, life.opened, at);
                self.rows.at(at).beats += u64::from(is_beat);
            }
            _ => {}
        }
    }

    const fn pings(&mut self, level: PingLevel) -> &mut super::pings::PingBook {
        match level {
            PingLevel::Application => &mut self.application,
            PingLevel::Protocol => &mut self.protocol,
        }
    }

    /// A connection that opens again begins new books; the old ones are kept to be settled.
    fn reopen(&mut self, slot: usize) {
        self.disrupted.reopened(slot);
        let life = self.lives.lives[slot];
        if !life.closed {
            return;
        }
        let fresh = Seat::new(self.seats[slot].own);
        let old = std::mem::replace(&mut self.seats[slot], fresh);
        if life.ready < Instant::FAR {
            self.past.push((slot, old, life));
        }
        if let Some(feed) = &mut self.feed {
            feed.reopen(slot);
        }
        self.pulse.begin(slot);
        self.application.begin(slot);
        self.protocol.begin(slot);
    }

    /// The client stops being owed anything: it begins to leave, or was lost.
    fn leave(&mut self, slot: usize, conn: ConnId, at: Instant) {
        if self.lives.lives[slot].left < Instant::FAR || self.lives.lives[slot].opened == Instant::FAR {
            return;
        }
        let opened = self.lives.lives[slot].opened;
        if self.lives.leave(slot, at) {
            self.somebody_left = true;
            // Its outstanding copies are waited for no longer: how many are must be found anew.
            self.walked.set(None);
        }
        self.seats[slot].leave();
        if let Some(feed) = &mut self.feed {
            feed.leave(slot, at);
        }
        self.pulse.end(slot, conn, opened, at);
        self.application.end(slot, conn, at);
        self.protocol.end(slot, conn, at);
    }

    fn feed_ready(&mut self, slot: usize, at: Instant) {
        if let (Some(feed), Some(part)) = (&mut self.feed, self.log.feed.own(self.slots.share().index)) {
            feed.ready(part, slot, at);
        }
    }

    /// A broadcast of the server's own.
    fn item(&mut self, slot: usize, at: Instant, key: u64) {
        let (Some(feed), Some(part)) = (&mut self.feed, self.log.feed.own(self.slots.share().index)) else { return };
        if feed.item(part, slot, at, key) {
            self.copies.received += 1;
            self.rows.at(at).copies += 1;
        }
    }

    fn stray(&mut self, slot: usize, conn: ConnId, at: Instant, kind: StrayKind, sample: &[u8]) {
        self.rows.at(at).faults += 1;
        if kind == StrayKind::Unexpected && self.limits.is_ping_text(sample) {
            return self.application.passed_on(conn, at);
        }
        let sums = &mut self.copies;
        *sums.stray.entry(kind).or_default() += 1;
        if matches!(kind, StrayKind::OtherRoom | StrayKind::Echo | StrayKind::Unknown) {
            sums.received += 1;
            sums.stray_copies += 1;
        }
        if kind == StrayKind::Unreadable {
            self.seats[slot].unreadable += 1;
            sums.damage_sightings.note(at, Some(conn), None, || format!("a stamp damaged beyond reading: {}", shown(sample)));
        } else {
            sums.stray_sightings.note(at, Some(conn), None, || format!("{}: {}", stray_name(kind), shown(sample)));
        }
    }
}

/// Which connection an event is about.
pub(crate) const fn conn_of(event: &Event<'_>) -> Option<ConnId> {
    match event {
        Event::Connecting { conn, .. }
        | Event::ConnectFailed { conn, .. }
        | Event::Opened { conn, .. }
        | Event::Greeting { conn, .. }
        | Event::Ready { conn, .. }
        | Event::NotReady { conn, .. }
        | Event::Disrupted { conn, .. }
        | Event::Restored { conn, .. }
        | Event::AfterClose { conn, .. }
        | Event::Leaving { conn, .. }
        | Event::NoSubprotocol { conn, .. }
        | Event::Compressed { conn, .. }
        | Event::Item { conn, .. }
        | Event::Stray { conn, .. }
        | Event::PingSent { conn, .. }
        | Event::Pong { conn, .. }
        | Event::AlienPong { conn, .. }
        | Event::Beat { conn, .. }
        | Event::ServerPing { conn, .. }
        | Event::Closed { conn, .. } => Some(*conn),
        Event::Copy(copy) => Some(copy.conn),
        Event::Phase { .. }
        | Event::Sent { .. }
        | Event::Answered { .. }
        | Event::Dropped { .. }
        | Event::Health { .. }
        | Event::Hook { .. }
        | Event::Mishap { .. }
        | Event::Interrupted { .. } => None,
    }
}
