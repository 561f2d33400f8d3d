//! The shard's own condition, reading by reading.

use std::collections::BTreeMap;

use super::books::{Condition, Mishaps, ShardCpu};
use super::tally::Tally;
use crate::base::{Instant, Span};
use crate::event::{Health, Mishap, Phase};

/// Readings of one shard, boiled down as they come.
#[derive(Debug, Default)]
pub(super) struct Readings {
    loop_lag: Tally,
    backlog_max: u32,
    /// CPU at the first and the last reading of a stretch of the run.
    publishing: Option<Stretch>,
    steady: Option<Stretch>,
    mishaps: Mishaps,
}

#[derive(Debug, Clone, Copy)]
struct Stretch {
    first: (Instant, Span),
    last: (Instant, Span),
}

fn extend(stretch: &mut Option<Stretch>, at: Instant, cpu: Span) {
    let reading = (at, cpu);
    stretch.get_or_insert(Stretch { first: reading, last: reading }).last = reading;
}

impl Readings {
    pub(super) fn read(&mut self, at: Instant, reading: Health, phases: &BTreeMap<Phase, Instant>) {
        let reached = |phase| phases.range(phase..).any(|(_, began)| *began <= at);
        self.backlog_max = self.backlog_max.max(reading.backlog_bytes);
        if reached(Phase::WarmUp) && !reached(Phase::Close) {
            self.loop_lag.record(reading.loop_lag.as_nanos());
            extend(&mut self.publishing, at, reading.cpu);
        }
        if reached(Phase::Steady) && !reached(Phase::Drain) {
            extend(&mut self.steady, at, reading.cpu);
        }
    }

    /// Something befell the machine or the coordinator.
    pub(super) fn befell(&mut self, mishap: Mishap) {
        let Mishap { asleep, stood_still, wall_set_ns } = mishap;
        let times = u64::from(wall_set_ns != 0);
        self.mishaps.merge(Mishaps { asleep, stood_still, wall_set_ns, wall_set_times: times });
    }

    pub(super) fn finish(self, shard: u32) -> Condition {
        let cpu = |stretch: Option<Stretch>| stretch.map_or(Span::ZERO, |s| s.last.1.saturating_sub(s.first.1));
        let wall = |stretch: Option<Stretch>| stretch.map_or(Span::ZERO, |s| s.last.0 - s.first.0);
        let figures = ShardCpu { publishing: cpu(self.publishing), steady: cpu(self.steady), steady_wall: wall(self.steady) };
        Condition {
            loop_lag: self.loop_lag,
            backlog_max: self.backlog_max.into(),
            shards: BTreeMap::from([(shard, figures)]),
            mishaps: self.mishaps,
        }
    }
}
