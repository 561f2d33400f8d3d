//! Closing a feed's books: each client against what the whole run saw, or, where room was short, against what its own shard saw.

use super::super::books::Bounds;
use super::super::copies::Copies;
use super::super::rows::Rows;
use super::book::{FeedBook, Seat, SeatSums};
use super::log::{FeedLog, Part};
use super::matching::{self, Broadcast, Logs, Standing};
use super::{EDGE, Feed};
use crate::base::{Instant, Span};
use crate::scenario::model::key_name;

/// When a run was over for a feed.
#[derive(Debug, Clone, Copy)]
pub(in crate::account) struct Closing {
    /// What is first seen from here on belongs to the steady state.
    pub(in crate::account) steady: Instant,
    /// Where the clients were closed.
    pub(in crate::account) closed: Instant,
}

/// What settling writes on.
struct Sheet<'a> {
    copies: &'a mut Copies,
    rows: &'a mut Rows,
    late: &'a mut u64,
    feed: &'a mut Feed,
}

/// The broadcasts of a room that are to be judged, looked up by this shard's numbers.
struct Docket<'a> {
    /// Real ones, by time.
    real: Vec<&'a Broadcast>,
    /// This shard's numbers from `low` on: how many real ones lie below each.
    below: Vec<u32>,
    low: u32,
    /// Real ones that this shard never saw.
    elsewhere: u64,
    within: Span,
    cut: Instant,
    /// Nobody of the room had anybody to be compared with.
    alone: bool,
}

impl<'a> Docket<'a> {
    fn new(list: &'a [Broadcast], cut: Instant, within: Span, alone: bool) -> Self {
        let real: Vec<&Broadcast> = list.iter().filter(|b| b.standing == Standing::Real && b.first < cut).collect();
        let numbers = || list.iter().filter_map(|b| b.own);
        let low = numbers().min().unwrap_or(0);
        let high = numbers().max().map_or(low, |n| n + 1);
        let mut below = vec![0_u32; (high - low) as usize + 1];
        real.iter().filter_map(|b| b.own).for_each(|n| below[(n - low) as usize + 1] = 1);
        for i in 1..below.len() {
            below[i] += below[i - 1];
        }
        let elsewhere = real.iter().filter(|b| b.own.is_none()).count() as u64;
        Self { real, below, low, elsewhere, within, cut, alone }
    }

    /// Real ones of this shard's with numbers in `[from, to)`.
    fn real_in(&self, from: u32, to: u32) -> u64 {
        let at = |n: u32| self.below[(n.clamp(self.low, self.high()) - self.low) as usize];
        u64::from(at(to.max(from)) - at(from))
    }

    fn high(&self) -> u32 {
        self.low + u32::try_from(self.below.len() - 1).unwrap_or(u32::MAX)
    }

    /// One client's sums. `lost` is told each missing broadcast.
    fn judge(&self, seat: &Seat, mut lost: impl FnMut(&Broadcast)) -> SeatSums {
        let mut sums = SeatSums::default();
        if seat.ready == Instant::FAR {
            return sums;
        }
        let owed_from = if self.alone { Instant::FAR } else { seat.owed_from() };
        let until = if seat.left == Instant::FAR { self.cut } else { self.cut.min(seat.left.before(self.within)) };
        let (first, last) = (self.real.first().map_or(Instant::FAR, |b| b.first), self.real.last().map_or(Instant::EPOCH, |b| b.first));
        if owed_from <= first && last < until {
            let high = self.high();
            let gaps: u64 = seat.seen.missing.overlaps(self.low, high).map(|(a, b)| self.real_in(a, b)).sum();
            sums.missing = self.elsewhere + gaps + self.real_in(seat.seen.next.max(self.low), high);
            sums.owed = self.real.len() as u64;
            if sums.missing == 0 {
                return sums;
            }
            sums = SeatSums::default();
        }
        let end = self.cut.min(seat.left);
        for broadcast in &self.real {
            let has = broadcast.own.is_some_and(|n| n >= seat.seen.base && seat.seen.has(n));
            if broadcast.first >= owed_from && broadcast.first < until {
                sums.owed += 1;
                if !has {
                    sums.missing += 1;
                    lost(broadcast);
                }
            } else if has {
                sums.contested += 1;
                let here = broadcast.shift > self.within && broadcast.first + broadcast.shift >= owed_from;
                let taken_for_late = here || broadcast.own.is_some_and(|n| seat.late.contains(&n));
                sums.not_late += u64::from(taken_for_late && broadcast.first < owed_from);
            } else if broadcast.first >= seat.ready && broadcast.first < end {
                sums.absent += 1;
            }
        }
        sums
    }
}

impl FeedBook {
    /// Whether every broadcast that was seen before the drain has reached all members, as far as this shard can tell by the merged
    /// `log`: then the drain may end.
    pub(in crate::account) fn all_in(&self, all: &FeedLog, own: &FeedLog, drain: Instant) -> bool {
        let logs = Logs { all, own, shard: self.shard };
        let after = drain.before(self.rules.within + EDGE);
        (0..self.rooms.len()).all(|room| {
            let list = matching::broadcasts(logs, room, after, self.rules);
            let docket = Docket::new(&list, drain, self.rules.within, logs.is_alone(room));
            // Only the members there now are waited for.
            let here = self.seats.iter().filter(|seat| seat.room == room && seat.left == Instant::FAR);
            here.map(|seat| docket.judge(seat, |_| {})).all(|sums| sums.missing == 0)
        })
    }

    /// Makes room: the older half of a room's broadcasts is judged by what this shard saw of it.
    #[cold]
    pub(super) fn retire(&mut self, part: &mut Part, room: usize) {
        let rows = &mut part.rooms[room];
        let half = rows.rows.len() / 2;
        let standings = matching::standings(&rows.rows);
        let numbered = (rows.retired..).zip(&rows.rows).zip(standings).take(half);
        let list: Vec<Broadcast> = numbered
            .map(|((n, row), standing)| {
                let mostly_behind = matching::are_most(row.behind, row.receivers);
                let out_of_order = if mostly_behind { row.receivers - row.behind } else { row.behind };
                let (key, first, own, overtaker) = (row.key, row.first, Some(n), None);
                Broadcast { key, first, standing, own, shift: Span::ZERO, out_of_order, mostly_behind, overtaker }
            })
            .collect();
        let mut retired = std::mem::take(&mut self.retired);
        let mut feed = std::mem::take(&mut self.sums);
        let mut sheet = Sheet { copies: &mut retired.copies, rows: &mut retired.rows, late: &mut retired.late, feed: &mut feed };
        self.judge(part, room, &list, Instant::EPOCH, self.cut, false, &mut sheet);
        feed.retired += half as u64;
        self.retired = retired;
        self.sums = feed;
        let rows = &mut part.rooms[room];
        rows.retired_until = rows.rows[half - 1].first;
        rows.rows.drain(..half);
        rows.retired += u32::try_from(half).unwrap_or(u32::MAX);
        self.rooms[room].extras.drain(..half);
        let from = rows.retired;
        self.disorders.retain(|d| d.room != room || d.number >= from);
        for seat in self.seats.iter_mut().chain(&mut self.past).filter(|seat| seat.room == room) {
            seat.seen.cut_below(from);
        }
        self.gaps = self.seats.iter().chain(&self.past).map(|seat| seat.seen.missing.len()).sum();
    }

    /// Judges a list of broadcasts of one room.
    #[expect(clippy::too_many_arguments, reason = "the two callers differ in each of them")]
    fn judge(&mut self, part: &Part, room: usize, list: &[Broadcast], steady: Instant, cut: Instant, alone: bool, sheet: &mut Sheet<'_>) {
        let docket = Docket::new(list, cut, self.rules.within, alone);
        let (mut seats, mut past) = (std::mem::take(&mut self.seats), std::mem::take(&mut self.past));
        for seat in seats.iter_mut().chain(&mut past).filter(|seat| seat.room == room) {
            let conn = seat.conn;
            let sums = docket.judge(seat, |broadcast| {
                sheet.rows.at(broadcast.first).missing += 1;
                let what = || format!("{} never arrived; the first to have it had it at {}", key_name(broadcast.key), broadcast.first);
                sheet.copies.missing_sightings.note(broadcast.first, Some(conn), None, what);
            });
            seat.sums.owed += sums.owed;
            seat.sums.missing += sums.missing;
            seat.sums.contested += sums.contested;
            seat.sums.absent += sums.absent;
            seat.sums.not_late += sums.not_late;
            sheet.feed.alone += u64::from(alone && seat.ready < Instant::FAR);
        }
        (self.seats, self.past) = (seats, past);
        for broadcast in list.iter().filter(|b| b.first < cut) {
            self.enter(part, room, broadcast, steady, sheet);
        }
        let since = part.rooms[room].since;
        if self.shard == 0 {
            sheet.feed.broadcasts += docket.real.len() as u64;
        }
        if let Some(cadence) = &mut self.rooms[room].cadence {
            docket.real.iter().for_each(|broadcast| cadence.beat(broadcast.first, since.min(broadcast.first)));
        }
    }

    /// A broadcast's own numbers: duplicates, order, lateness, spread.
    fn enter(&self, part: &Part, room: usize, broadcast: &Broadcast, steady: Instant, sheet: &mut Sheet<'_>) {
        let rows = &part.rooms[room];
        let Some(index) = broadcast.own.and_then(|n| n.checked_sub(rows.retired)).map(|i| i as usize) else { return };
        let (Some(row), Some(extra)) = (rows.rows.get(index), self.rooms[room].extras.get(index)) else { return };
        let copies = &mut *sheet.copies;
        match broadcast.standing {
            Standing::Real => {}
            Standing::Doubtful => {
                copies.contested_received += u64::from(row.receivers) + u64::from(extra.early);
                return;
            }
            Standing::Duplicate => {
                copies.contested_received += u64::from(extra.early);
                copies.duplicate += u64::from(row.receivers);
                sheet.rows.at(row.first).faults += u64::from(row.receivers);
                let what = || format!("{} arrived again, and most others had it once", key_name(row.key));
                copies.duplicate_sightings.note(row.first, Some(extra.first), None, what);
                return;
            }
        }
        let shift = broadcast.shift;
        *sheet.late += if shift.is_zero() { extra.late.into() } else { extra.delays.beyond(self.rules.within, shift) };
        if broadcast.first >= steady {
            extra.delays.pour(shift, &mut sheet.feed.spread);
        }
        if broadcast.out_of_order > 0 {
            copies.out_of_order += u64::from(broadcast.out_of_order);
            sheet.rows.at(row.first).faults += u64::from(broadcast.out_of_order);
            let what = || format!("{} arrived out of the order that most others saw", key_name(row.key));
            // The copies that came behind in this shard's own order are the wrong ones, unless the majority's came behind, or the
            // shard first saw the later one: then it is the first receiver who had that too early. Or both.
            let number = broadcast.overtaker.or(broadcast.own);
            if broadcast.overtaker.is_some() == broadcast.mostly_behind {
                let these = self.disorders.iter().filter(|d| d.room == room && Some(d.number) == number);
                these.for_each(|d| copies.order_sightings.note(d.at, Some(d.conn), None, what));
            } else {
                let index = number.map_or(index, |n| n.saturating_sub(rows.retired) as usize);
                let ahead = self.rooms[room].extras.get(index).unwrap_or(extra).first;
                copies.order_sightings.note(row.first, Some(ahead), None, what);
            }
        }
    }

    /// Closes the books against the merged `log`.
    pub(in crate::account) fn settle(
        mut self,
        log: &FeedLog,
        own: &FeedLog,
        closing: Closing,
        (copies, rows, bounds): (&mut Copies, &mut Rows, &mut Bounds),
    ) -> Feed {
        let logs = Logs { all: log, own, shard: self.shard };
        // Without a drain, what was seen last had no time to come.
        let cut = if self.cut < Instant::FAR { self.cut } else { closing.closed.before(self.rules.within) };
        let retired = std::mem::take(&mut self.retired);
        let mut late = retired.late;
        let mut feed = std::mem::take(&mut self.sums);
        copies.merge(retired.copies);
        rows.merge(retired.rows);
        let empty = Part::default();
        let part = own.parts.get(&self.shard).unwrap_or(&empty);
        for room in 0..self.rooms.len().min(part.rooms.len()) {
            let floor = logs.parts(room).map(|(_, rows)| rows.retired_until).max().unwrap_or(Instant::EPOCH);
            let alone = logs.is_alone(room);
            let mut sheet = Sheet { copies: &mut *copies, rows: &mut *rows, late: &mut late, feed: &mut feed };
            // What other shards have judged alone, this one must too.
            let mut after = Instant::EPOCH;
            if floor > Instant::EPOCH && logs.parts(room).count() > 1 {
                after = floor + self.rules.horizon;
                let theirs = matching::broadcasts(logs, room, after, self.rules);
                let from = theirs.iter().filter_map(|b| b.own).min().unwrap_or(u32::MAX);
                let mut mine = matching::broadcasts(Logs::alone(own, self.shard), room, Instant::EPOCH, self.rules);
                mine.retain(|b| b.own.is_some_and(|n| n < from));
                sheet.feed.retired += mine.len() as u64;
                self.judge(part, room, &mine, closing.steady, cut, false, &mut sheet);
            }
            let list = matching::broadcasts(logs, room, after, self.rules);
            self.judge(part, room, &list, closing.steady, cut, alone, &mut sheet);
            let since = logs.parts(room).map(|(_, rows)| rows.since).min().unwrap_or(Instant::FAR);
            if let Some(cadence) = self.rooms[room].cadence.take() {
                feed.cadence.merge(cadence.end(since, cut));
            }
        }
        self.bounds(bounds);
        self.clients(copies, late);
        feed
    }

    /// Enters the clients' sums.
    fn clients(self, copies: &mut Copies, late: u64) {
        let (mut arrived, mut absent, mut not_late) = (0, 0, 0);
        for seat in self.seats.iter().chain(&self.past) {
            let forgotten = u64::from(seat.forgotten).min(seat.sums.owed - seat.sums.missing);
            let missing = seat.sums.missing + forgotten;
            copies.owed += seat.sums.owed;
            copies.missing += missing;
            copies.missing_unplaced += forgotten;
            copies.contested_received += seat.sums.contested;
            arrived += seat.sums.owed - missing;
            absent += seat.sums.absent;
            not_late += seat.sums.not_late;
            copies.owed_clients += u64::from(seat.sums.owed > 0);
            if missing > 0 {
                copies.missing_clients += 1;
                copies.deaf_clients += u64::from(missing == seat.sums.owed && seat.sums.contested == 0);
                copies.note_missing(missing, seat.conn);
            }
        }
        copies.late = late.saturating_sub(not_late).min(arrived);
        copies.on_time = arrived - copies.late;
        copies.contested_received += self.at_the_edge;
        copies.contested = copies.contested_received + absent;
        copies.duplicate += self.again;
        copies.duplicate_sightings.merge(self.again_sightings);
        copies.late_sightings.merge(self.late_sightings);
        copies.received = arrived + copies.contested_received + copies.duplicate + copies.stray_copies;
    }
}
