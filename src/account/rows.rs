//! The run second by second: rows that fold in pairs when there are too many or they take too much room, so that a long soak
//! takes no more than a short run.

use serde::{Deserialize, Serialize};

use super::sketch::Sketch;
use super::tally::{self, percentile_of};
use crate::base::{Instant, Span};

/// Rows kept before they are folded in pairs.
pub const MOST_ROWS: usize = 1_200;

/// Bytes that the distributions of a shard's rows may take before the rows are folded in pairs: a second in which very many
/// copies came with very different delays takes some three kilobytes when it is over, so that a loaded shard has taken all of
/// this about a minute after it began, and is flat from then on.
const ROOM: usize = 1 << 18;

/// Rows that are kept however large they are.
const LEAST_ROWS: usize = 48;

/// Length of a row before any folding.
pub const ROW: Span = Span::from_secs(1);

/// The timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    row: Span,
    rows: Vec<Row>,
}

/// What happened within one row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Connections opened.
    pub opened: u64,
    /// Connections ended, by whomever.
    pub ended: u64,
    /// Connections that ended unasked.
    pub lost: u64,
    /// Publications sent.
    pub sent: u64,
    /// Copies received.
    pub copies: u64,
    /// Duplicates, out-of-order, damaged and stray arrivals.
    pub faults: u64,
    /// Copies owed of the publications planned in this row that never arrived.
    pub missing: u64,
    /// Beats seen.
    pub beats: u64,
    /// Pongs seen.
    pub pongs: u64,
    /// Received − planned of the row's copies.
    pub delivery: Sketch,
    /// Received − sent of the row's copies.
    pub transit: Sketch,
    /// Ping to answer, of the row's pongs.
    pub pong: Sketch,
    /// Beat to beat, of the row's beats.
    pub beat: Sketch,
    /// The shortest of those, exactly.
    pub beat_min: Option<Span>,
    /// Largest send lag, if anything was sent.
    pub send_lag_max: Option<Span>,
    /// Largest event-loop lag, if it was read.
    pub loop_lag_max: Option<Span>,
}

impl Row {
    /// What it takes in memory besides itself.
    fn bytes(&self) -> usize {
        [&self.delivery, &self.transit, &self.pong, &self.beat].iter().map(|sketch| sketch.bytes()).sum()
    }

    fn pack(&mut self) {
        [&mut self.delivery, &mut self.transit, &mut self.pong, &mut self.beat].into_iter().for_each(Sketch::pack);
    }

    /// The interval that a beat ended.
    pub(super) fn beat(&mut self, interval: Span) {
        self.beat.absorb_one(interval.as_nanos());
        self.beat_min = self.beat_min.into_iter().chain([interval]).min();
    }

    fn merge(&mut self, other: &Self) {
        self.opened += other.opened;
        self.ended += other.ended;
        self.lost += other.lost;
        self.sent += other.sent;
        self.copies += other.copies;
        self.faults += other.faults;
        self.missing += other.missing;
        self.beats += other.beats;
        self.pongs += other.pongs;
        self.delivery.merge(&other.delivery);
        self.transit.merge(&other.transit);
        self.pong.merge(&other.pong);
        self.beat.merge(&other.beat);
        self.beat_min = self.beat_min.into_iter().chain(other.beat_min).min();
        self.send_lag_max = self.send_lag_max.max(other.send_lag_max);
        self.loop_lag_max = self.loop_lag_max.max(other.loop_lag_max);
    }
}

impl Default for Rows {
    fn default() -> Self {
        Self { row: ROW, rows: Vec::new() }
    }
}

impl Rows {
    /// The row `at` falls into, made if it is not there yet.
    pub(super) fn at(&mut self, at: Instant) -> &mut Row {
        let mut place = self.place(at);
        while place >= MOST_ROWS as u64 {
            self.fold();
            place = self.place(at);
        }
        #[expect(clippy::cast_possible_truncation, reason = "below MOST_ROWS")]
        let place = place as usize;
        if place >= self.rows.len() {
            // The newest may still be poured into; what is older is as good as over.
            let over = self.rows.len().saturating_sub(1);
            self.rows[..over].iter_mut().for_each(Row::pack);
            self.rows.resize_with(place + 1, Row::default);
            if self.rows.len() > LEAST_ROWS && self.rows.iter().map(Row::bytes).sum::<usize>() > ROOM {
                self.fold();
                return self.at(at);
            }
        }
        &mut self.rows[place]
    }

    const fn place(&self, at: Instant) -> u64 {
        at.as_nanos() / self.row.as_nanos()
    }

    fn fold(&mut self) {
        self.row = self.row.times(2);
        let old = std::mem::take(&mut self.rows);
        let mut old = old.into_iter();
        while let Some(mut row) = old.next() {
            if let Some(second) = old.next() {
                row.merge(&second);
                row.pack();
            }
            self.rows.push(row);
        }
    }

    /// Adds another's rows, both folded to the longer of the two.
    pub(super) fn merge(&mut self, mut other: Self) {
        while self.row < other.row {
            self.fold();
        }
        while other.row < self.row {
            other.fold();
        }
        if self.rows.len() < other.rows.len() {
            self.rows.resize_with(other.rows.len(), Row::default);
        }
        for (mine, theirs) in self.rows.iter_mut().zip(&other.rows) {
            mine.merge(theirs);
        }
    }

    /// Length of a row.
    #[must_use]
    pub const fn row(&self) -> Span {
        self.row
    }

    /// The rows, the first beginning at the epoch.
    #[must_use]
    pub fn as_slice(&self) -> &[Row] {
        &self.rows
    }
}

/// The copies of the second now running, in dense counts: one record per copy and kind. At the end of the second they are
/// poured into the row and, when they belong to the steady state, into the totals.
#[derive(Debug)]
pub(super) struct Interval {
    start: u64,
    pub(super) steady: bool,
    delivery: Box<[u32]>,
    transit: Box<[u32]>,
    delivery_max: u64,
    transit_max: u64,
    copies: u64,
}

impl Interval {
    pub(super) fn new() -> Self {
        let empty = || vec![0; tally::BUCKETS].into_boxed_slice();
        Self { start: 0, steady: false, delivery: empty(), transit: empty(), delivery_max: 0, transit_max: 0, copies: 0 }
    }

    /// Whether a copy received at `at` belongs here.
    #[inline]
    pub(super) const fn covers(&self, at: Instant, steady: bool) -> bool {
        at.as_nanos().wrapping_sub(self.start) < ROW.as_nanos() && steady == self.steady
    }

    /// Whether `at` lies in a later second than this, or the steady state begins: time to pour out.
    pub(super) const fn is_over(&self, at: Instant, steady: bool) -> bool {
        at.as_nanos() >= self.start + ROW.as_nanos() || (steady && !self.steady)
    }

    /// Begins the second `at` lies in. Nothing may be left unpoured.
    pub(super) fn restart(&mut self, at: Instant, steady: bool) {
        self.start = at.as_nanos() / ROW.as_nanos() * ROW.as_nanos();
        self.steady = steady;
    }

    /// One copy.
    #[inline]
    pub(super) fn record(&mut self, delivery: Span, transit: Span) {
        let (delivery, transit) = (delivery.as_nanos(), transit.as_nanos());
        self.copies += 1;
        self.delivery_max = self.delivery_max.max(delivery);
        self.transit_max = self.transit_max.max(transit);
        self.delivery[tally::bucket_of(delivery.clamp(1, tally::HIGHEST_NS))] += 1;
        self.transit[tally::bucket_of(transit.clamp(1, tally::HIGHEST_NS))] += 1;
    }

    /// Pours everything into the row and the steady totals, and is empty again.
    pub(super) fn pour(&mut self, rows: &mut Rows, delivery: &mut tally::Tally, transit: &mut tally::Tally) {
        if self.copies == 0 {
            return;
        }
        let row = rows.at(Instant::from_nanos(self.start));
        row.copies += self.copies;
        for (counts, max, sketch, total) in [
            (&mut self.delivery, &mut self.delivery_max, &mut row.delivery, delivery),
            (&mut self.transit, &mut self.transit_max, &mut row.transit, transit),
        ] {
            sketch.absorb(counts.iter().copied().enumerate().filter(|(_, n)| *n > 0), *max);
            if self.steady {
                for (bucket, &n) in counts.iter().enumerate().filter(|(_, n)| **n > 0) {
                    total.add(bucket, u64::from(n));
                }
                total.raise(*max, 0);
            }
            counts.fill(0);
            *max = 0;
        }
        self.copies = 0;
    }

    /// The delivery counts not yet poured, for progress.
    pub(super) fn delivery(&self) -> &[u32] {
        &self.delivery
    }

    /// The transit counts not yet poured.
    pub(super) fn transit(&self) -> &[u32] {
        &self.transit
    }
}

/// The value at a percentile over totals and the running second together.
pub(super) fn running_percentile(total: &tally::Tally, interval: &Interval, percentile: f64) -> Option<u64> {
    let count = total.count() + if interval.steady { interval.copies } else { 0 };
    let mut settled = vec![0_u64; tally::BUCKETS];
    for (bucket, n) in total.buckets() {
        settled[bucket] = n;
    }
    if interval.steady {
        for (sum, n) in settled.iter_mut().zip(interval.delivery()) {
            *sum += u64::from(*n);
        }
    }
    percentile_of(settled.into_iter().enumerate(), count, percentile)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_fold_in_pairs_and_lose_nothing() {
        let mut rows = Rows::default();
        for second in 0..5_000 {
            rows.at(Instant::from_nanos(second * 1_000_000_000)).copies += second;
        }
        assert!(rows.as_slice().len() <= MOST_ROWS);
        assert_eq!(rows.row(), Span::from_secs(8));
        assert_eq!(rows.as_slice().iter().map(|r| r.copies).sum::<u64>(), (0..5_000).sum::<u64>());
        assert_eq!(rows.as_slice()[1].copies, (8..16).sum::<u64>());
    }

    #[test]
    fn rows_that_take_much_room_fold_sooner_and_lose_nothing() {
        let mut rows = Rows::default();
        let wide =
            |row: &mut Row| row.delivery.absorb((0..60_000).step_by(16).map(|bucket| (tally::bucket_of(1 << 10 | bucket << 4), 1)), 1);
        let mut most = 0;
        for second in 0..2_000 {
            wide(rows.at(Instant::from_nanos(second * 1_000_000_000)));
            most = most.max(rows.as_slice().iter().map(Row::bytes).sum::<usize>());
        }
        assert!(rows.as_slice().len() >= LEAST_ROWS / 2 && rows.row() > Span::from_secs(2), "{} of {}", rows.as_slice().len(), rows.row());
        assert!(most < 2 * ROOM, "{most} bytes");
        assert_eq!(rows.as_slice().iter().map(|row| row.delivery.count()).sum::<u64>(), 2_000 * 3_750);
    }

    #[test]
    fn a_row_is_packed_when_the_next_but_one_begins() {
        let mut rows = Rows::default();
        let at = |second: u64| Instant::from_nanos(second * 1_000_000_000);
        for second in 0..10 {
            let row = rows.at(at(second));
            [&mut row.delivery, &mut row.transit, &mut row.pong, &mut row.beat]
                .into_iter()
                .for_each(|sketch| (1..=300).for_each(|n| sketch.absorb_one(n * 7_000)));
        }
        let bytes: Vec<usize> = rows.as_slice().iter().map(Row::bytes).collect();
        assert!(bytes[..8].iter().all(|packed| packed * 2 < bytes[9]), "{bytes:?}");
        let all: Vec<_> = rows.as_slice().iter().map(|row| row.delivery.count() + row.beat.count()).collect();
        assert_eq!(all, [600; 10]);
        rows.at(at(3)).beat(Span::from_millis(1));
        assert_eq!(rows.as_slice()[3].beat.count(), 301, "what comes late opens its row again");
    }

    #[test]
    fn rows_of_different_length_merge_either_way() {
        let (mut long, mut short) = (Rows::default(), Rows::default());
        long.at(Instant::from_nanos(3_000_000_000_000)).beats = 1;
        short.at(Instant::from_nanos(5_000_000_000)).beats = 2;
        let (mut a, mut b) = (long.clone(), short.clone());
        a.merge(short);
        b.merge(long);
        assert_eq!(a, b);
        assert_eq!(a.as_slice().iter().map(|r| r.beats).sum::<u64>(), 3);
    }

    #[test]
    fn a_row_keeps_the_shortest_beat_exactly_through_a_merge() {
        let row = |intervals: &[u64]| {
            let mut row = Row::default();
            intervals.iter().for_each(|ms| row.beat(Span::from_millis(*ms)));
            row
        };
        for (a, b, least) in [(vec![5_001, 4_999], vec![5_003], Some(4_999)), (vec![], vec![4_998], Some(4_998)), (vec![], vec![], None)] {
            let mut merged = row(&a);
            merged.merge(&row(&b));
            assert_eq!(merged.beat_min, least.map(Span::from_millis));
            assert_eq!(merged.beat.count(), (a.len() + b.len()) as u64);
            assert_eq!(merged.beat.max(), a.iter().chain(&b).max().map(|ms| ms * 1_000_000));
        }
    }
}
