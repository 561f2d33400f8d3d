//! What a shard lets others see while it runs: a few counters, written by one thread, read by the coordinator for the
//! progress display and the end of phases. Never evidence: findings come from the books alone.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use serde::{Deserialize, Serialize};

use crate::event::Phase;

use super::live::Board;

/// One shard's counters.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    attempted: AtomicU64,
    failed: AtomicU64,
    opened: AtomicU64,
    open: AtomicU64,
    ready: AtomicU64,
    not_ready: AtomicU64,
    sent: AtomicU64,
    copies: AtomicU64,
    p99: AtomicU64,
    published: AtomicBool,
    all_in: AtomicBool,
    lost: AtomicBool,
    broken: AtomicBool,
    /// Where samples for live metrics are left, when anybody asked for them.
    pub(super) board: Option<Board>,
}

/// A gauge as it crosses a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Reading {
    counts: [u64; 9],
    published: bool,
    all_in: bool,
}

/// A progress reading over all shards.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Progress {
    /// The phase.
    pub phase: Option<Phase>,
    /// Nanoseconds since the epoch.
    pub at_ns: u64,
    /// Connections planned.
    pub planned: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Connections opened.
    pub opened: u64,
    /// Open now.
    pub open: u64,
    /// Members.
    pub ready: u64,
    /// Gave up waiting for their greeting or script.
    pub not_ready: u64,
    /// Publications sent.
    pub sent: u64,
    /// Distinct copies received.
    pub copies: u64,
    /// Delivery latency so far, p99, nanoseconds.
    pub p99_ns: u64,
    /// Copies that should have come by now and have not, as far as one can tell while it runs.
    pub missing: u64,
}

impl Gauge {
    /// A gauge at zero; with a place for samples if `live`.
    pub(super) fn new(live: bool) -> Self {
        Self { board: live.then(Board::default), ..Self::default() }
    }

    fn counters(&self) -> [&AtomicU64; 9] {
        let Self { attempted, failed, opened, open, ready, not_ready, sent, copies, p99, .. } = self;
        [attempted, failed, opened, open, ready, not_ready, sent, copies, p99]
    }

    /// The sum of several gauges.
    pub(super) fn total(gauges: &[std::sync::Arc<Self>]) -> Reading {
        let mut counts = [0; 9];
        for gauge in gauges {
            for (count, counter) in counts.iter_mut().zip(gauge.counters()) {
                *count += counter.load(Relaxed);
            }
        }
        // The percentile is no sum: of several shards the greatest is shown.
        counts[8] = gauges.iter().map(|g| g.p99.load(Relaxed)).max().unwrap_or(0);
        Reading { counts, published: gauges.iter().all(|g| g.published()), all_in: gauges.iter().all(|g| g.all_in()) }
    }

    /// Shows what another process read.
    pub(super) fn show(&self, reading: &Reading) {
        for (counter, count) in self.counters().into_iter().zip(reading.counts) {
            counter.store(count, Relaxed);
        }
        self.published.store(reading.published, Relaxed);
        self.all_in.store(reading.all_in, Relaxed);
    }

    /// Nothing more is to be expected from whom this gauge stands for.
    pub(super) fn lose(&self) {
        self.lost.store(true, Relaxed);
    }

    /// The shard could not go on, and has said why.
    pub(super) fn break_off(&self) {
        self.broken.store(true, Relaxed);
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Relaxed)
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Relaxed)
    }

    pub(super) fn attempt(&self) {
        self.attempted.fetch_add(1, Relaxed);
    }

    pub(super) fn connect_failed(&self) {
        self.failed.fetch_add(1, Relaxed);
    }

    pub(super) fn opened(&self) {
        self.opened.fetch_add(1, Relaxed);
        self.open.fetch_add(1, Relaxed);
    }

    pub(super) fn ready(&self) {
        self.ready.fetch_add(1, Relaxed);
    }

    /// An open client will never be ready.
    pub(super) fn not_ready(&self) {
        self.not_ready.fetch_add(1, Relaxed);
    }

    pub(super) fn ended(&self) {
        self.open.fetch_sub(1, Relaxed);
    }

    pub(super) fn sample(&self, sent: u64, copies: u64, p99: u64) {
        self.sent.store(sent, Relaxed);
        self.copies.store(copies, Relaxed);
        self.p99.store(p99, Relaxed);
    }

    /// Publications sent by the last sample.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    pub(super) fn set_published(&self) {
        self.published.store(true, Relaxed);
    }

    pub(super) fn published(&self) -> bool {
        self.published.load(Relaxed)
    }

    pub(super) fn set_all_in(&self, all_in: bool) {
        self.all_in.store(all_in, Relaxed);
    }

    pub(super) fn all_in(&self) -> bool {
        self.all_in.load(Relaxed)
    }

    /// Adds this shard's counters to `progress`.
    pub(super) fn add_to(&self, progress: &mut Progress) {
        progress.failed += self.failed.load(Relaxed);
        progress.opened += self.opened.load(Relaxed);
        progress.open += self.open.load(Relaxed);
        progress.ready += self.ready.load(Relaxed);
        progress.not_ready += self.not_ready.load(Relaxed);
        progress.sent += self.sent.load(Relaxed);
        progress.copies += self.copies.load(Relaxed);
        progress.p99_ns = progress.p99_ns.max(self.p99.load(Relaxed));
    }
}
