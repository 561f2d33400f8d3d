//! The live books of one shard: one event after another, nothing shared, and a copy's road as short as it can be.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::books::Publications;
use super::bottom::reason;
use super::condition::Readings;
use super::copies::{Copies, Place, RangeRoom, Seat, flaw_names, publication};
use super::disruptions::DisruptionBook;
use super::feed::FeedBook;
use super::isolation::IsolationBook;
use super::limits::Limits;
use super::lives::{Life, Lives};
use super::pings::PingBook;
use super::pulse::PulseBook;
use super::rejected::{LateCopy, LateOf};
use super::rows::{Interval, Rows};
use super::send_log::SendLog;
use super::share::{Share, Slots};
use super::spread::InFlight;
use super::standstill::Standstills;
use super::tally::{HIGHEST_NS, Tally};
use crate::base::{ConnId, Instant, PublisherId, Seq, Span};
use crate::event::{Copy, Event, Flaws, Phase, StrayKind};
use crate::plan::Plan;

/// The books of one shard while the run lasts. Events of one connection must come in the order they happened; between
/// connections order does not matter.
#[derive(Debug)]
pub struct Ledger {
    pub(super) plan: Arc<Plan>,
    pub(super) slots: Slots,
    pub(super) limits: Limits,
    /// What is planned from here on belongs to the steady state.
    pub(super) steady_at: Instant,
    /// What arrives from here on is contested: an interrupted run is closing.
    pub(super) refuse_from: Instant,
    pub(super) phases: BTreeMap<Phase, Instant>,
    pub(super) interrupted: Option<String>,
    pub(super) seats: Vec<Seat>,
    pub(super) lives: Lives,
    pub(super) room: RangeRoom,
    pub(super) copies: Copies,
    pub(super) interval: Interval,
    pub(super) rows: Rows,
    pub(super) delivery: Tally,
    pub(super) transit: Tally,
    pub(super) send_lag: Tally,
    pub(super) requests: Tally,
    pub(super) late_of: LateOf,
    pub(super) in_flight: InFlight,
    pub(super) log: SendLog,
    pub(super) publications: Publications,
    pub(super) application: PingBook,
    pub(super) protocol: PingBook,
    pub(super) pulse: PulseBook,
    /// The server's own broadcasts, where the scenario expects any.
    pub(super) feed: Option<Box<FeedBook>>,
    pub(super) readings: Readings,
    pub(super) standstills: Standstills,
    pub(super) disrupted: DisruptionBook,
    pub(super) isolation: IsolationBook,
    /// When the last member became one.
    pub(super) last_ready: Instant,
    /// Memberships that ended with a connection that then opened again: (place, its books, its life).
    pub(super) past: Vec<(usize, Seat, Life)>,
    /// Somebody left or was lost while publishing.
    pub(super) somebody_left: bool,
    /// Copies of open members known to be outstanding when last walked, and how many had come by then.
    pub(super) walked: Cell<Option<(u64, u64, u64)>>,
}

impl Ledger {
    /// Empty books for the connections of `share`.
    #[must_use]
    pub fn new(plan: Arc<Plan>, share: Share) -> Self {
        let limits = Limits::of(&plan);
        let size = share.size(plan.connections);
        let own = |slot| match plan.publisher_of(share.conn(slot)) {
            Some(publisher) if limits.others => publisher.0,
            _ => u32::MAX,
        };
        let checks = &plan.scenario.checks;
        let pong = checks.pong.as_ref();
        let slots = size as usize;
        Self {
            slots: Slots::new(share),
            steady_at: Instant::FAR,
            refuse_from: Instant::FAR,
            phases: BTreeMap::new(),
            interrupted: None,
            seats: (0..size).map(|slot| Seat::new(own(slot))).collect(),
            lives: Lives::new(slots, plan.connections),
            room: RangeRoom::default(),
            copies: Copies::default(),
            interval: Interval::new(),
            rows: Rows::default(),
            delivery: Tally::default(),
            transit: Tally::default(),
            send_lag: Tally::default(),
            requests: Tally::default(),
            late_of: LateOf::default(),
            in_flight: InFlight::expecting(plan.publishers, share.index, plan.publications_each()),
            log: SendLog::new(&plan, share),
            publications: Publications::default(),
            application: PingBook::new(pong.filter(|p| p.application.is_some()).map(|p| p.within), slots),
            protocol: PingBook::new(pong.filter(|p| p.protocol).map(|p| p.within), slots),
            pulse: PulseBook::new(checks.heartbeat.as_ref(), slots),
            feed: FeedBook::new(&plan, share.index, limits.within, (0..size).map(|slot| share.conn(slot))),
            readings: Readings::default(),
            standstills: Standstills::new(checks.instrument),
            disrupted: DisruptionBook::default(),
            isolation: IsolationBook::new(&plan),
            last_ready: Instant::EPOCH,
            past: Vec::new(),
            somebody_left: false,
            walked: Cell::new(None),
            limits,
            plan,
        }
    }

    /// What this shard's publishers sent so far; merged over all shards it is what [`Ledger::settle`] needs.
    #[must_use]
    pub const fn send_log(&self) -> &SendLog {
        &self.log
    }

    /// Enters one event. Inlined where the kind of event is known, so that a copy goes straight to its road.
    #[inline(always)]
    pub fn observe(&mut self, event: Event<'_>) {
        match event {
            Event::Copy(copy) => self.copy(&copy),
            other => self.other(other),
        }
    }

    /// Enters a copy: [`Ledger::observe`] for the one kind of event of which there are millions.
    #[inline(always)]
    pub fn copy(&mut self, copy: &Copy) {
        let slot = self.slots.of(copy.conn);
        let Some(seat) = self.seats.get_mut(slot) else { return self.foreign(copy) };
        if copy.publisher.0 == seat.own || copy.flaws != Flaws::NONE || copy.received >= self.refuse_from {
            return self.unusual(copy);
        }
        // The next in order, and owed: one look at the seat.
        let Some(window) = seat.windows.get_mut(copy.publisher.index()) else { return self.unusual(copy) };
        if copy.sent < seat.owed_from || !window.in_order(copy.seq.0) {
            return self.enter(copy);
        }
        self.copies.received += 1;
        seat.taken += 1;
        self.measure(copy, slot);
    }

    /// A copy whose place is in a window, and perhaps not at its end.
    #[cold]
    fn enter(&mut self, copy: &Copy) {
        self.copies.received += 1;
        let slot = self.slots.of(copy.conn);
        let seat = &mut self.seats[slot];
        match seat.enter(copy.publisher.0, copy.seq.0, &mut self.room) {
            Place::First => {}
            Place::Behind(highest) if copy.sent >= seat.owed_from => self.behind(copy, highest),
            Place::Behind(_) => {}
            Place::Again => return self.again(copy),
            Place::Unkept => return self.copies.contested_received += 1,
            Place::Absurd => {
                self.copies.received -= 1;
                return self.stray_copy(copy, StrayKind::Unknown);
            }
        }
        let seat = &mut self.seats[slot];
        if copy.sent < seat.owed_from {
            return self.overlaps(copy);
        }
        seat.taken += 1;
        self.measure(copy, slot);
    }

    /// A first arrival that is owed: in time or not, in which order, when.
    #[inline]
    fn measure(&mut self, copy: &Copy, slot: usize) {
        let delivery = copy.received - copy.planned;
        let transit = copy.received - copy.sent;
        if delivery > self.limits.within {
            self.late(copy, delivery, transit);
        }
        if self.isolation.is_asked && self.plan.strikes.spares(copy.conn) {
            self.isolation.arrived(copy.planned, delivery, delivery > self.limits.within);
        }
        let (members, others, slots, plan) = (self.lives.members, self.limits.others, self.slots, &self.plan);
        let rank = self.in_flight.receive(copy.publisher, copy.seq, copy.planned, copy.received, || {
            members - u32::from(others && members > 0 && slots.share().owns(plan.connection_of(copy.publisher)))
        });
        if self.limits.total_order && self.seats[slot].behind_rank(rank) {
            self.copies.out_of_total_order += 1;
            self.copies.total_order_sightings.note(copy.received, Some(copy.conn), publication(copy), || {
                "arrived behind a publication that another client saw after it".into()
            });
        }
        let steady = copy.planned >= self.steady_at;
        // The dense counts cannot say how many lie beyond what they keep exactly.
        let beyond = delivery.as_nanos() > HIGHEST_NS;
        if beyond || (!self.interval.covers(copy.received, steady) && !self.turn(copy.received, steady)) {
            return self.straggler(copy.received, delivery, transit, steady);
        }
        self.interval.record(delivery, transit);
    }

    /// A new second, or the steady state, begins; false for a copy of a second already poured out.
    #[cold]
    fn turn(&mut self, at: Instant, steady: bool) -> bool {
        if !self.interval.is_over(at, steady) {
            return false;
        }
        self.pour();
        self.interval.restart(at, steady);
        true
    }

    /// Pours the running second into its row and the totals.
    pub(super) fn pour(&mut self) {
        self.interval.pour(&mut self.rows, &mut self.delivery, &mut self.transit);
    }

    /// A copy that the running second does not count: of a second already poured out, or beyond an hour.
    #[cold]
    fn straggler(&mut self, at: Instant, delivery: Span, transit: Span, steady: bool) {
        let row = self.rows.at(at);
        row.copies += 1;
        row.delivery.absorb_one(delivery.as_nanos());
        row.transit.absorb_one(transit.as_nanos());
        if steady {
            self.delivery.record(delivery.as_nanos());
            self.transit.record(transit.as_nanos());
        }
    }

    #[cold]
    fn behind(&mut self, copy: &Copy, highest: u32) {
        self.copies.out_of_order += 1;
        self.rows.at(copy.received).faults += 1;
        self.copies
            .order_sightings
            .note(copy.received, Some(copy.conn), publication(copy), || format!("arrived behind number {highest} of the same publisher"));
    }

    #[cold]
    fn again(&mut self, copy: &Copy) {
        self.copies.duplicate += 1;
        self.rows.at(copy.received).faults += 1;
        let after = copy.received - copy.sent;
        self.copies
            .duplicate_sightings
            .note(copy.received, Some(copy.conn), publication(copy), || format!("arrived again, {after} after it was sent"));
    }

    #[cold]
    fn late(&mut self, copy: &Copy, delivery: Span, transit: Span) {
        self.copies.late += 1;
        let by_us = transit <= self.limits.within;
        self.copies.late_by_us += u64::from(by_us);
        let late = LateCopy { at: copy.received, conn: copy.conn, delivery, transit };
        if self.limits.over_http && self.late_of.keep((copy.publisher, copy.seq), late, by_us) {
            return;
        }
        self.copies.late_sightings.note(copy.received, Some(copy.conn), publication(copy), || late.told());
    }

    /// A copy that is damaged, or has no window, or should not have come.
    #[cold]
    fn unusual(&mut self, copy: &Copy) {
        let seat = &mut self.seats[self.slots.of(copy.conn)];
        if copy.publisher.0 >= self.limits.publishers {
            return self.stray_copy(copy, StrayKind::Unknown);
        }
        if copy.publisher.0 == seat.own {
            return self.stray_copy(copy, StrayKind::Echo);
        }
        let refused = seat.closed.is_some() || copy.received >= self.refuse_from;
        seat.sit(self.limits.publishers);
        if copy.flaws != Flaws::NONE {
            self.damaged(copy);
        }
        if refused {
            self.after_leave(copy);
            self.copies.received += 1;
            self.overlaps(copy);
        } else {
            self.enter(copy);
        }
    }

    /// A copy that overlaps a join, a leave or a disconnect.
    #[cold]
    fn overlaps(&mut self, copy: &Copy) {
        self.copies.contested_received += 1;
        self.copies.contested_planned += u64::from(self.lives.lives[self.slots.of(copy.conn)].planned);
    }

    /// A copy for a connection of another shard: the driver's mistake, but no reason to fall over.
    #[cold]
    fn foreign(&mut self, copy: &Copy) {
        self.stray_copy(copy, StrayKind::Unknown);
    }

    fn stray_copy(&mut self, copy: &Copy, kind: StrayKind) {
        self.copies.received += 1;
        self.copies.stray_copies += 1;
        *self.copies.stray.entry(kind).or_default() += 1;
        self.rows.at(copy.received).faults += 1;
        self.copies.stray_sightings.note(copy.received, Some(copy.conn), publication(copy), || stray_name(kind).into());
    }

    fn damaged(&mut self, copy: &Copy) {
        self.copies.damaged += 1;
        for name in flaw_names(copy.flaws) {
            *self.copies.flaws.entry(name.into()).or_default() += 1;
        }
        self.copies.text_became_binary += u64::from(self.limits.text && copy.flaws.has(Flaws::OPCODE));
        self.rows.at(copy.received).faults += 1;
        self.copies.damage_sightings.note(copy.received, Some(copy.conn), publication(copy), || {
            let parts: Vec<_> = flaw_names(copy.flaws).collect();
            format!("{} differ from what was sent", parts.join(" and "))
        });
    }

    /// Everything that is not a copy.
    fn other(&mut self, event: Event<'_>) {
        match event {
            Event::Copy(copy) => self.copy(&copy),
            Event::Phase { phase, at } => self.phase(phase, at),
            Event::Sent { publisher, seq, planned, sent, bytes } => self.sent(publisher, seq, planned, sent, bytes),
            Event::Dropped { planned, cause, .. } => {
                *self.publications.dropped.entry(cause).or_default() += 1;
                self.publications.dropped_steady += u64::from(planned >= self.steady_at);
            }
            Event::Answered { publisher, seq, at, status, took, detail } => self.answered((publisher, seq), at, status, took, detail),
            Event::Health { at, reading } => {
                let row = self.rows.at(at);
                row.loop_lag_max = row.loop_lag_max.max(Some(reading.loop_lag));
                self.standstills.read(at, reading.loop_lag);
                self.readings.read(at, reading, &self.phases);
            }
            Event::Mishap { mishap, .. } => self.readings.befell(mishap),
            Event::Hook { strike, took, failed, detail, .. } => self.hook(strike, took, failed.then_some(detail)),
            Event::Interrupted { detail, .. } => {
                let why = reason(detail);
                if self.interrupted.as_ref().is_none_or(|mine| why < *mine) {
                    self.interrupted = Some(why);
                }
                self.refuse();
            }
            of_a_connection => self.of_connection(of_a_connection),
        }
    }

    fn phase(&mut self, phase: Phase, at: Instant) {
        self.phases.entry(phase).or_insert(at);
        if phase == Phase::WarmUp {
            self.isolation.begin(&self.plan, at);
        }
        if phase == Phase::Steady {
            self.steady_at = self.steady_at.min(at);
        }
        if let (Phase::Drain, Some(feed)) = (phase, &mut self.feed) {
            feed.drains(at);
        }
        self.refuse();
    }

    /// An interrupted run that closes is owed nothing more.
    fn refuse(&mut self) {
        if self.interrupted.is_some() {
            self.refuse_from = self.phases.get(&Phase::Close).copied().unwrap_or(Instant::FAR);
        }
    }

    fn sent(&mut self, publisher: PublisherId, seq: Seq, planned: Instant, sent: Instant, bytes: u32) {
        debug_assert_eq!(self.log.count(publisher), seq.0, "sequence numbers count publications actually sent");
        self.log.push(publisher, planned, sent);
        let lag = sent - planned;
        let sums = &mut self.publications;
        sums.sent += 1;
        sums.bytes += u64::from(bytes);
        sums.late_sends += u64::from(lag > self.limits.late_send);
        let (first, last) = sums.sending.unwrap_or((sent, sent));
        sums.sending = Some((first.min(sent), last.max(sent)));
        if planned >= self.steady_at {
            sums.sent_steady += 1;
            self.send_lag.record(lag.as_nanos());
        }
        let row = self.rows.at(sent);
        row.sent += 1;
        row.send_lag_max = row.send_lag_max.max(Some(lag));
    }
}

/// A stray kind's name in reports.
#[must_use]
pub const fn stray_name(kind: StrayKind) -> &'static str {
    match kind {
        StrayKind::Unexpected => "unexpected",
        StrayKind::OtherRun => "other_run",
        StrayKind::OtherRoom => "other_room",
        StrayKind::Echo => "echo",
        StrayKind::Unknown => "unknown",
        StrayKind::Unreadable => "unreadable",
    }
}

/// Where a connection's books are, if it is this shard's.
impl Ledger {
    pub(super) fn slot(&self, conn: ConnId) -> Option<usize> {
        let slot = self.slots.of(conn);
        (self.slots.share().owns(conn) && slot < self.seats.len()).then_some(slot)
    }
}
