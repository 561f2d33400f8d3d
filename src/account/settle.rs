//! Closing the books: what was owed to whom is known only now, from the merged send log and each client's membership.

use super::books::{Account, Bounds};
use super::copies::{Copies, Seat};
use super::disruptions::Gap;
use super::feed::{self, Feed};
use super::isolation::IsolationBook;
use super::ledger::Ledger;
use super::lives::Life;
use super::rows::Rows;
use super::send_log::{Boundary, SendLog};
use super::window::{Gaps, Window, seen_in, unseen};
use crate::base::{ConnId, Instant, PublisherId, Seq};
use crate::event::{Phase, StrayKind};
use crate::plan::Plan;

/// What one client was owed of one publisher: certain between `lo.to` and `hi.from`; where the log was thinned, what lies
/// within a boundary is owed if it came and contested if it did not.
#[derive(Debug, Clone, Copy)]
struct Owed {
    /// Sent since the connection opened.
    open: Boundary,
    /// Sent since it was a member.
    lo: Boundary,
    /// Outlived.
    hi: Boundary,
    /// Sent before it left.
    end: Boundary,
    /// Sent at all.
    count: u32,
}

/// A client's sums.
#[derive(Debug, Default)]
struct Sums {
    owed: u64,
    missing: u64,
    /// Arrived within the certain range.
    arrived: u64,
    /// Arrived beyond it: contested.
    beyond: u64,
    /// Arrived, and never sent.
    never_sent: u64,
    /// Arrived from a publisher whose log is lost.
    unattested: u64,
    /// Contested and never arrived.
    absent: u64,
    /// Contested because the server rejected the publication.
    rejected: u64,
    /// Contested because the plan disrupted the client.
    planned: u64,
    /// Missing, of a publication whose number is not kept.
    unplaced: u64,
}

/// What settling knows of the run.
struct Closing<'a> {
    log: &'a SendLog,
    /// For each publisher: whether its log came, and how much it sent.
    counts: Vec<(bool, u32)>,
    first_sent: Instant,
    /// Where an interrupted run stopped waiting; [`Instant::FAR`] for one that drained in order.
    cut: Instant,
    within: crate::base::Span,
    /// The plan, where not everyone is owed everything.
    some: Option<&'a Plan>,
}

impl Closing<'_> {
    /// Whether this client is not owed this publisher's publications: another room, or a client that only publishes.
    fn elsewhere(&self, publisher: usize, conn: ConnId) -> bool {
        self.some.is_some_and(|plan| !is_owed(plan, publisher, conn))
    }

    /// There from before the first publication to the end.
    fn is_static(&self, life: &Life) -> bool {
        life.ready <= self.first_sent && life.left == Instant::FAR && self.cut == Instant::FAR
    }

    fn owed(&self, life: &Life, publisher: usize, count: u32) -> Owed {
        let from = |at: Instant| if at <= self.first_sent { Boundary::exact(0) } else { self.log.sent_from(publisher, at) };
        let (open, lo) = (from(life.opened), from(life.ready));
        let left = life.left.min(self.cut);
        let (hi, end) = if left == Instant::FAR {
            (Boundary::exact(count), Boundary::exact(count))
        } else {
            (self.log.outlived(publisher, self.within, left.min(life.unheard_since)), from(left))
        };
        let hi = hi.max(lo);
        Owed { open, lo, hi, end: end.max(hi), count }
    }
}

impl Ledger {
    /// Whether every copy owed so far to this shard's open members, by the merged `log`, has arrived: the drain may end.
    /// Costs nothing while nobody joined late or left; otherwise the pairs are walked, and again only when as many copies
    /// have come as were outstanding.
    #[must_use]
    pub fn all_in(&self, log: &SendLog) -> bool {
        if let (Some(feed), Some(drain)) = (&self.feed, self.phases.get(&Phase::Drain)) {
            return feed.all_in(&log.feed, &self.log.feed, *drain);
        }
        let total = log.total();
        let members = u64::from(self.lives.members);
        if members == 0 || total == 0 {
            return true;
        }
        let first_sent = log.first_sent();
        let rejections = log.rejections();
        if self.limits.everyone && !self.somebody_left && self.last_ready <= first_sent && rejections == 0 {
            let own: u64 = if self.limits.others {
                let own = |(seat, life): (&Seat, &Life)| (life.is_member()).then(|| log.count(PublisherId(seat.own)));
                self.seats.iter().zip(&self.lives.lives).filter_map(own).map(u64::from).sum()
            } else {
                0
            };
            return self.taken() >= members * total - own;
        }
        let taken = self.taken();
        if let Some((at_total, at_taken, outstanding)) = self.walked.get()
            && at_total == total + rejections
            && taken < at_taken + outstanding
        {
            return false;
        }
        let outstanding = self.outstanding(log);
        self.walked.set(Some((total + rejections, taken, outstanding)));
        outstanding == 0
    }

    /// First arrivals of owed copies so far, over all members of now and before.
    fn taken(&self) -> u64 {
        self.copies.received - self.copies.contested_received - self.copies.duplicate - self.copies.stray_copies
    }

    /// Whether this client is not owed this publisher's publications.
    fn hears_not(&self, seat: &Seat, conn: ConnId, publisher: usize) -> bool {
        is_own(seat, publisher) || (!self.limits.everyone && !is_owed(&self.plan, publisher, conn))
    }

    /// Copies sent to open members that have not arrived yet.
    fn outstanding(&self, log: &SendLog) -> u64 {
        let counts: Vec<_> = log.counts().collect();
        let first_sent = log.first_sent();
        let mut outstanding = 0;
        let members = self.seats.iter().zip(&self.lives.lives).enumerate();
        for (slot, (seat, life)) in members.filter(|(_, (_, life))| life.is_member()) {
            let conn = self.slots.conn(slot);
            for (publisher, window) in seat.windows.iter().enumerate() {
                let (_, count) = counts[publisher];
                let gaps = gaps_of(seat, publisher);
                if self.hears_not(seat, conn, publisher) || (gaps.is_none() && window.holds_all_of(count)) {
                    continue;
                }
                let lo = if life.ready <= first_sent { Boundary::exact(0) } else { log.sent_from(publisher, life.ready) };
                let mut at = lo.to;
                for (a, b) in log.rejected(publisher, lo.to, count).chain([(count, count)]) {
                    unseen(window, gaps, at, a, |from, to| outstanding += u64::from(to - from));
                    at = b;
                }
            }
        }
        outstanding
    }

    /// Closes the books. `log` is the merged send log of all shards, `end` the instant at which the run was over.
    #[must_use]
    pub fn settle(mut self, log: &SendLog, end: Instant) -> Account {
        self.pour();
        self.give_up();
        let closed_at = self.phases.get(&Phase::Close).copied().unwrap_or(end).min(end);
        let cut = if self.interrupted.is_some() { closed_at } else { Instant::FAR };
        let plan = self.plan.clone();
        let some = (!self.limits.everyone).then_some(&*plan);
        let closing = Closing { some, log, counts: log.counts().collect(), first_sent: log.first_sent(), cut, within: self.limits.within };
        let bounds = Bounds {
            holes_forgotten: self.room.holes_forgotten,
            early_forgotten: self.room.early_forgotten,
            log_thinned: log.is_thinned(),
            publishers_unknown: closing.counts.iter().filter(|(known, _)| !known).count() as u64,
            out_of_balance: 0,
        };
        let mut disruptions = self.settle_disruptions(closed_at);
        let isolation = std::mem::take(&mut self.isolation);
        let mut sheet = Sheet { copies: self.copies, rows: self.rows, bounds, isolation, gap: Gap::default(), plan: &plan };
        std::mem::take(&mut self.late_of).settle(log, &mut sheet.copies);
        let mut moved = Sums::default();
        for slot in 0..self.seats.len() {
            let (conn, life) = (self.slots.conn(slot), self.lives.lives[slot]);
            if life.opened < Instant::FAR && life.left == Instant::FAR {
                self.pulse.end(slot, conn, life.opened, closed_at);
                self.application.end(slot, conn, closed_at);
                self.protocol.end(slot, conn, closed_at);
            }
            let seat = std::mem::replace(&mut self.seats[slot], Seat::new(u32::MAX));
            moved.settle(seat, &life, conn, &closing, &mut sheet);
        }
        for (slot, seat, life) in std::mem::take(&mut self.past) {
            moved.settle(seat, &life, self.slots.conn(slot), &closing, &mut sheet);
        }
        moved.enter(&mut sheet.copies);
        let mut feed = Feed::default();
        if let Some(book) = self.feed.take() {
            let closing = feed::Closing { steady: self.steady_at, closed: closed_at };
            feed = book.settle(&log.feed, &self.log.feed, closing, (&mut sheet.copies, &mut sheet.rows, &mut sheet.bounds));
        }
        disruptions.isolation = sheet.isolation.sums;
        disruptions.resume = sheet.gap;
        if !sheet.copies.balance() {
            sheet.bounds.out_of_balance += 1;
        }
        let share = self.slots.share();
        let mut connections = self.lives.sums;
        connections.planned = self.plan.connections.into();
        Account {
            phases: self.phases,
            ended: end,
            interrupted: self.interrupted,
            connections,
            publications: self.publications,
            copies: sheet.copies,
            delivery: self.delivery,
            transit: self.transit,
            send_lag: self.send_lag,
            requests: self.requests,
            spread: self.in_flight.finish(),
            application: self.application.finish(),
            protocol: self.protocol.finish(),
            pulse: self.pulse.finish(),
            feed,
            health: self.readings.finish(share.index),
            disruptions,
            rows: sheet.rows,
            bounds: sheet.bounds,
        }
    }

    /// A connection that was lost while the instrument stood still was lost some time in it, and nobody saw when: what was sent to it
    /// since the standstill began is contested.
    fn give_up(&mut self) {
        let now = self.lives.lives.iter_mut().enumerate().map(|(slot, life)| (Some(slot), life));
        for (slot, life) in now.chain(self.past.iter_mut().map(|(.., life)| (None, life))).filter(|(_, life)| life.lost) {
            let Some(began) = self.standstills.began_before(life.left) else { continue };
            life.unheard_since = began;
            self.lives.sums.lost_unheard += 1;
            if let (Some(feed), Some(slot)) = (&mut self.feed, slot) {
                feed.leave(slot, began);
            }
        }
    }
}

pub(super) fn is_owed(plan: &Plan, publisher: usize, conn: ConnId) -> bool {
    u32::try_from(publisher).is_ok_and(|p| plan.is_owed(PublisherId(p), conn))
}

pub(super) fn is_own(seat: &Seat, publisher: usize) -> bool {
    seat.own as usize == publisher
}

pub(super) fn gaps_of(seat: &Seat, publisher: usize) -> Option<&Gaps> {
    seat.gaps.get(&u32::try_from(publisher).ok()?)
}

/// One client over all publishers.
fn client(seat: &mut Seat, life: &Life, conn: ConnId, closing: &Closing<'_>, sheet: &mut Sheet<'_>) -> Sums {
    seat.sit(u32::try_from(closing.counts.len()).unwrap_or(u32::MAX));
    let mut sums = Sums::default();
    let always_there = closing.is_static(life);
    for (publisher, window) in seat.windows.iter().enumerate() {
        let (known, count) = closing.counts[publisher];
        if is_own(seat, publisher) || closing.elsewhere(publisher, conn) {
            continue;
        }
        let gaps = gaps_of(seat, publisher);
        let all_taken = closing.log.rejected(publisher, 0, count).next().is_none();
        if always_there && known && all_taken && gaps.is_none() && window.holds_all_of(count) {
            sums.owed += u64::from(count);
            sums.arrived += u64::from(count);
            continue;
        }
        if !known {
            sums.unattested += seen_in(window, gaps, 0, window.next);
            continue;
        }
        let owed = closing.owed(life, publisher, count);
        let rejected = closing.log.rejected(publisher, 0, count);
        let publisher = PublisherId(u32::try_from(publisher).unwrap_or(u32::MAX));
        let mut wanted = super::bottom::WITNESSES;
        pair(&mut sums, window, gaps, owed, rejected, |seq| {
            sheet.lost(closing, (publisher, Seq(seq)), (conn, life), &mut wanted);
        });
    }
    sums
}

/// What settling writes on.
struct Sheet<'a> {
    copies: Copies,
    rows: Rows,
    bounds: Bounds,
    isolation: IsolationBook,
    gap: Gap,
    plan: &'a Plan,
}

impl Sheet<'_> {
    /// One missing copy: in the row its publication was planned in, and a witness while so many are `wanted` of its pair.
    fn lost(&mut self, closing: &Closing<'_>, publication: (PublisherId, Seq), (conn, life): (ConnId, &Life), wanted: &mut usize) {
        let instants = closing.log.instants(publication.0, publication.1);
        match instants {
            Some((planned, _)) => {
                self.rows.at(planned).missing += 1;
                if self.isolation.is_asked && self.plan.strikes.spares(conn) {
                    self.isolation.missed(planned, conn, publication);
                }
            }
            None => self.copies.missing_unplaced += 1,
        }
        if *wanted == 0 {
            return;
        }
        let at = instants.map_or(life.ready, |(_, sent)| sent);
        if self.copies.missing_sightings.is_full_before(at) {
            *wanted = 0;
            return;
        }
        *wanted -= 1;
        self.copies.missing_sightings.note(at, Some(conn), Some(publication), || match instants {
            Some((_, sent)) => format!("sent at {sent}, never arrived"),
            None => "never arrived".into(),
        });
    }
}

/// One client and one publisher, whose `rejected` publications are given in ascending ranges; `lost` is told each missing one.
fn pair(
    sums: &mut Sums,
    window: &Window,
    gaps: Option<&Gaps>,
    owed: Owed,
    rejected: impl Iterator<Item = (u32, u32)>,
    mut lost: impl FnMut(u32),
) {
    let (from, to) = (owed.lo.to.min(owed.hi.from), owed.hi.from);
    let (mut length, mut told, mut at) = (0, 0, from);
    let within = rejected.map(|(a, b)| (a.clamp(from, to), b.clamp(from, to))).filter(|(a, b)| a < b);
    for (a, b) in within.chain([(to, to)]) {
        length += u64::from(a - at);
        unseen(window, gaps, at, a, |from, to| {
            told += u64::from(to - from);
            (from..to).for_each(&mut lost);
        });
        let seen = seen_in(window, gaps, a, b);
        let count = u64::from(b - a);
        sums.rejected += count;
        sums.beyond += seen;
        sums.absent += count - seen;
        at = b;
    }
    let missing = (told + gaps.map_or(0, |gaps| u64::from(gaps.forgotten))).min(length);
    sums.owed += length;
    sums.missing += missing;
    sums.unplaced += missing - told;
    sums.arrived += length - missing;
    let beyond = owed.hi.to.max(owed.lo.to).min(owed.count);
    sums.beyond += seen_in(window, gaps, beyond, owed.count);
    if window.next > owed.count {
        sums.never_sent += seen_in(window, gaps, owed.count, window.next);
    }
    for (a, b) in [(owed.open.to.min(from), from), (to, owed.end.from.max(to))] {
        sums.absent += u64::from(b - a) - seen_in(window, gaps, a, b);
    }
}

impl Sums {
    /// Settles one membership.
    fn settle(&mut self, mut seat: Seat, life: &Life, conn: ConnId, closing: &Closing<'_>, sheet: &mut Sheet<'_>) {
        if life.ready == Instant::FAR {
            return;
        }
        if let Some(windows) = seat.closed.take() {
            seat.windows = windows;
        }
        let mut sums = client(&mut seat, life, conn, closing, sheet);
        if life.away_since < Instant::FAR {
            super::gap::settle(&seat, life, conn, (closing.log, closing.some), &mut sheet.gap);
        }
        if life.planned {
            sums.planned = (sums.beyond + sums.absent).saturating_sub(sums.rejected);
        }
        let exact = !sheet.bounds.log_thinned && sums.unattested == 0 && sheet.bounds.early_forgotten == 0;
        self.add_client(&seat, sums, exact, conn, sheet);
    }

    /// Adds one client's sums to the shard's, and reconciles them with what was counted on arrival.
    fn add_client(&mut self, seat: &Seat, sums: Sums, exact: bool, conn: ConnId, Sheet { copies, bounds, .. }: &mut Sheet<'_>) {
        // Of what arrived as owed, what turns out not to have been.
        let not_owed = sums.beyond + sums.never_sent + sums.unattested;
        let never_sent = sums.never_sent.min(seat.taken.saturating_sub(sums.arrived + sums.beyond));
        let unattested = sums.unattested.min(seat.taken.saturating_sub(sums.arrived + sums.beyond + never_sent));
        // What arrived within a boundary blurred by thinning is owed because it came.
        let blurred = seat.taken.saturating_sub(sums.arrived + not_owed);
        if seat.taken < sums.arrived || (exact && seat.taken != sums.arrived + not_owed) {
            bounds.out_of_balance += 1;
        }
        self.owed += sums.owed + blurred;
        self.missing += sums.missing;
        self.arrived += sums.arrived + blurred;
        self.beyond += sums.beyond;
        self.never_sent += never_sent;
        self.unattested += unattested;
        self.absent += sums.absent;
        self.rejected += sums.rejected;
        self.planned += sums.planned;
        self.unplaced += sums.unplaced;
        copies.owed_clients += u64::from(sums.owed + blurred > 0);
        if sums.missing > 0 {
            copies.missing_clients += 1;
            copies.deaf_clients += u64::from(seat.taken == 0);
            copies.missing_unreadable += sums.missing.min(seat.unreadable.into());
            copies.note_missing(sums.missing, conn);
        }
    }

    /// Enters the shard's sums into its books.
    fn enter(self, copies: &mut Copies) {
        copies.owed = self.owed;
        copies.missing = self.missing;
        copies.late = copies.late.min(self.arrived);
        copies.late_by_us = copies.late_by_us.min(copies.late);
        copies.on_time = self.arrived - copies.late;
        copies.contested_received += self.beyond + self.unattested;
        copies.contested = copies.contested_received + self.absent;
        copies.contested_rejected = self.rejected;
        copies.contested_planned += self.planned;
        copies.missing_unplaced += self.unplaced;
        if self.never_sent > 0 {
            copies.stray_copies += self.never_sent;
            *copies.stray.entry(StrayKind::Unknown).or_default() += self.never_sent;
        }
    }
}
