//! How the run goes, for live metrics: more than a progress line needs, and small enough to be sampled and sent while it runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ledger::Ledger;
use super::progress::Progress;
use super::rows::Interval;
use super::tally::{self, Tally};
use crate::event::DropCause;
use crate::scenario::model::Metric;

/// Upper bounds of live histograms in nanoseconds: three to a decade from 100 µs to 10 s.
pub const BOUNDS_NS: [u64; 16] = [
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// Every latency that is known while a run lasts, in the order in which [`Live::sample`] renews them.
pub const LATENCIES: [Metric; 7] =
    [Metric::Delivery, Metric::Transit, Metric::SendLag, Metric::Pong, Metric::HeartbeatInterval, Metric::Connect, Metric::Publish];

/// A latency so far, boiled down to fixed bounds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Buckets {
    /// Samples not above each of [`BOUNDS_NS`]. A sample whose fine bucket reaches over a bound counts above it.
    pub at_most: [u64; BOUNDS_NS.len()],
    /// All samples.
    pub count: u64,
    /// Their sum in seconds, within the precision of the fine buckets.
    pub sum_seconds: f64,
}

impl Buckets {
    /// Adds another shard's.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.at_most.iter_mut().zip(other.at_most) {
            *mine += theirs;
        }
        self.count += other.count;
        self.sum_seconds += other.sum_seconds;
    }

    /// Of a tally, and of counts in the same layout that are not poured into it yet.
    #[expect(clippy::cast_precision_loss, reason = "Prometheus has floating-point numbers only")]
    fn of(tally: &Tally, running: Option<&[u32]>) -> Self {
        let mut buckets = Self { count: tally.count(), sum_seconds: tally.mean() * tally.count() as f64 / 1e9, ..Self::default() };
        let mut below = 0;
        let mut from = 0;
        for (bound, at_most) in BOUNDS_NS.into_iter().zip(&mut buckets.at_most) {
            // No bound is the last value of its bucket: whatever shares the bucket with it may lie above it.
            let to = tally::bucket_of(bound);
            below += tally.count_of(from..to);
            below += running.map_or(0, |counts| counts[from..to].iter().copied().map(u64::from).sum());
            *at_most = below;
            from = to;
        }
        for (bucket, &n) in running.unwrap_or(&[]).iter().enumerate().filter(|(_, n)| **n > 0) {
            buckets.count += u64::from(n);
            buckets.sum_seconds += tally::value_of(bucket) as f64 * f64::from(n) / 1e9;
        }
        buckets
    }
}

/// A shard's figures so far; merged over shards they are the run's. Samples, never evidence.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Live {
    /// Counts.
    pub progress: Progress,
    /// WebSocket handshakes completed.
    pub opened: u64,
    /// Failed attempts by cause.
    pub failed: BTreeMap<String, u64>,
    /// Publications never sent, by cause.
    pub dropped: BTreeMap<DropCause, u64>,
    /// Pings of ours sent, on either level.
    pub pings: u64,
    /// Latencies that have a sample; those of copies are of the steady state, as in the report.
    pub latency: BTreeMap<Metric, Buckets>,
}

impl Live {
    /// Takes a reading of a shard's books. Of the latencies one is renewed a reading, in turn, so that no reading costs more
    /// than some 30 µs.
    pub fn sample(&mut self, ledger: &Ledger, progress: Progress, turn: usize) {
        self.progress = progress;
        let sums = &ledger.lives.sums;
        self.opened = sums.opened;
        self.failed.clone_from(&sums.failed);
        self.dropped.clone_from(&ledger.publications.dropped);
        self.pings = ledger.application.sent() + ledger.protocol.sent();
        let metric = LATENCIES[turn % LATENCIES.len()];
        let buckets = ledger.latency(metric);
        if buckets.count > 0 {
            self.latency.insert(metric, buckets);
        }
    }

    /// Adds another shard's figures.
    pub fn merge(&mut self, other: &Self) {
        self.progress.merge(&other.progress);
        self.opened += other.opened;
        for (cause, n) in &other.failed {
            *self.failed.entry(cause.clone()).or_default() += n;
        }
        for (cause, n) in &other.dropped {
            *self.dropped.entry(*cause).or_default() += n;
        }
        self.pings += other.pings;
        for (metric, buckets) in &other.latency {
            self.latency.entry(*metric).or_default().merge(buckets);
        }
    }
}

impl Ledger {
    /// A latency so far.
    fn latency(&self, metric: Metric) -> Buckets {
        let running = |counts: fn(&Interval) -> &[u32]| self.interval.steady.then(|| counts(&self.interval));
        match metric {
            Metric::Delivery => Buckets::of(&self.delivery, running(Interval::delivery)),
            Metric::Transit => Buckets::of(&self.transit, running(Interval::transit)),
            Metric::SendLag => Buckets::of(&self.send_lag, None),
            Metric::HeartbeatInterval => Buckets::of(self.pulse.intervals(), None),
            Metric::Connect => Buckets::of(&self.lives.sums.handshakes, None),
            Metric::Publish => Buckets::of(&self.requests, None),
            // Known only when the books of all shards are merged.
            Metric::Spread => Buckets::default(),
            Metric::Pong => {
                let mut both = Buckets::of(self.application.round_trips(), None);
                both.merge(&Buckets::of(self.protocol.round_trips(), None));
                both
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn buckets_are_cumulative_and_merge_as_their_tallies_do(a in values(), b in values(), running in values()) {
            let tally = |values: &[u64]| {
                let mut tally = Tally::default();
                values.iter().for_each(|ns| tally.record(*ns));
                tally
            };
            let mut counts = vec![0_u32; tally::BUCKETS];
            running.iter().for_each(|ns| counts[tally::bucket_of(*ns)] += 1);
            let mut parts = Buckets::of(&tally(&a), None);
            parts.merge(&Buckets::of(&tally(&b), Some(&counts)));
            let all: Vec<u64> = a.into_iter().chain(b).chain(running).collect();
            let whole = Buckets::of(&tally(&all), None);
            prop_assert_eq!((parts.at_most, parts.count), (whole.at_most, whole.count));
            prop_assert!((parts.sum_seconds - whole.sum_seconds).abs() < 1e-6 * whole.sum_seconds.max(1.0));
            prop_assert!(whole.at_most.is_sorted() && whole.at_most[15] <= whole.count);
            for (bound, at_most) in BOUNDS_NS.into_iter().zip(whole.at_most) {
                let surely = all.iter().filter(|ns| **ns * 1_001 / 1_000 <= bound).count() as u64;
                let exactly = all.iter().filter(|ns| **ns <= bound).count() as u64;
                prop_assert!(surely <= at_most && at_most <= exactly, "{bound}: {surely} {at_most} {exactly}");
            }
        }
    }

    #[test]
    fn what_shares_a_bucket_with_a_bound_counts_above_it() {
        for (place, bound) in BOUNDS_NS.into_iter().enumerate() {
            let bucket = tally::bucket_of(bound);
            assert_eq!(bucket, tally::bucket_of(bound + 1), "{bound} is not the last of its bucket");
            let mut tally = Tally::default();
            [tally::value_of(bucket) - 1, bound, bound + 1].into_iter().for_each(|ns| tally.record(ns));
            let buckets = Buckets::of(&tally, None);
            assert_eq!((buckets.at_most[place], buckets.count), (1, 3), "only the first is known not to lie above {bound}");
        }
    }

    #[test]
    fn counts_not_poured_yet_weigh_as_often_as_they_are() {
        let mut counts = vec![0_u32; tally::BUCKETS];
        (counts[tally::bucket_of(2_000_000)], counts[tally::bucket_of(1_000_000_000)]) = (3, 1);
        let buckets = Buckets::of(&Tally::default(), Some(&counts));
        assert_eq!((buckets.count, buckets.at_most[4], buckets.at_most[12], buckets.at_most[13]), (4, 3, 3, 4));
        assert!((buckets.sum_seconds - 1.006).abs() < 0.002, "{}", buckets.sum_seconds);
    }

    fn values() -> impl Strategy<Value = Vec<u64>> {
        prop::collection::vec((0_u32..41).prop_flat_map(|b| 1..=1_u64 << b), 0..50)
    }
}
