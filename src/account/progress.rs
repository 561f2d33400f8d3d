//! How the run goes: cheap figures for a progress line and live metrics.

use serde::{Deserialize, Serialize};

use super::ledger::Ledger;
use super::rows::running_percentile;
use crate::event::Phase;

/// A shard's figures so far; merged over shards they are the run's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The phase last begun.
    pub phase: Option<Phase>,
    /// Connections open.
    pub open: u64,
    /// Members.
    pub ready: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Connections lost.
    pub lost: u64,
    /// Publications sent.
    pub sent: u64,
    /// Publications never sent.
    pub dropped: u64,
    /// Frames with a stamp of this run.
    pub received: u64,
    /// First arrivals of copies sent since the client was a member.
    pub taken: u64,
    /// Arrived too late.
    pub late: u64,
    /// Arrived again.
    pub duplicate: u64,
    /// Arrived behind a later one.
    pub out_of_order: u64,
    /// Arrived damaged.
    pub damaged: u64,
    /// Frames that should not have come.
    pub stray: u64,
    /// Beats seen.
    pub beats: u64,
    /// Pongs on time or late.
    pub pongs: u64,
    /// 99th percentile of delivery so far in the steady state; of several shards the greatest.
    pub p99_ns: Option<u64>,
}

impl Progress {
    /// Adds another shard's figures.
    pub fn merge(&mut self, other: &Self) {
        self.phase = self.phase.max(other.phase);
        self.open += other.open;
        self.ready += other.ready;
        self.failed += other.failed;
        self.lost += other.lost;
        self.sent += other.sent;
        self.dropped += other.dropped;
        self.received += other.received;
        self.taken += other.taken;
        self.late += other.late;
        self.duplicate += other.duplicate;
        self.out_of_order += other.out_of_order;
        self.damaged += other.damaged;
        self.stray += other.stray;
        self.beats += other.beats;
        self.pongs += other.pongs;
        self.p99_ns = self.p99_ns.max(other.p99_ns);
    }

    /// Copies sent to members and not arrived, those on their way included; right while nobody joins or leaves, a guess then.
    #[must_use]
    pub const fn outstanding(&self) -> u64 {
        (self.sent * self.ready).saturating_sub(self.taken)
    }
}

impl Ledger {
    /// Figures so far. Costs some 30 µs (a percentile over a histogram), so ask a few times a second.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let copies = &self.copies;
        Progress {
            phase: self.phases.keys().next_back().copied(),
            open: self.lives.open.into(),
            ready: self.lives.members.into(),
            failed: self.lives.sums.failed_total(),
            lost: self.lives.sums.lost_total(),
            sent: self.publications.sent,
            dropped: self.publications.dropped_total(),
            received: copies.received,
            taken: copies.received - copies.contested_received - copies.duplicate - copies.stray_copies,
            late: copies.late,
            duplicate: copies.duplicate,
            out_of_order: copies.out_of_order,
            damaged: copies.damaged,
            stray: copies.stray.values().sum(),
            beats: self.pulse.beats(),
            pongs: self.application.answered() + self.protocol.answered(),
            p99_ns: running_percentile(&self.delivery, &self.interval, 99.0),
        }
    }
}
