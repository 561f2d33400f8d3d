//! Bystanders: delivery to the clients nothing is ever done to, while something is done to others and while nothing is.

use serde::{Deserialize, Serialize};

use super::bottom::Sightings;
use super::tally::Tally;
use crate::base::{ConnId, Instant, PublisherId, Seq, Span};
use crate::plan::Plan;

/// Bystanders with and without disruption, over the steady state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Isolation {
    /// Copies planned while nothing was done to anybody.
    pub calm: Stretch,
    /// Copies planned within a strike, or in its aftermath.
    pub disturbed: Stretch,
    /// What went wrong for bystanders within a strike or its aftermath.
    pub sightings: Sightings,
}

/// Bystanders' copies of one kind of stretch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// received − planned.
    pub delivery: Tally,
    /// Of those, the late ones.
    pub late: u64,
    /// Owed and never arrived.
    pub missing: u64,
    /// Connections lost unasked.
    pub lost: u64,
}

impl Stretch {
    /// Copies that were owed, arrived or not.
    #[must_use]
    pub const fn owed(&self) -> u64 {
        self.delivery.count() + self.missing
    }

    fn merge(&mut self, other: &Self) {
        self.delivery.merge(&other.delivery);
        self.late += other.late;
        self.missing += other.missing;
        self.lost += other.lost;
    }
}

impl Isolation {
    pub(super) fn merge(&mut self, other: Self) {
        self.calm.merge(&other.calm);
        self.disturbed.merge(&other.disturbed);
        self.sightings.merge(other.sightings);
    }
}

/// The fold of one shard.
#[derive(Debug, Default)]
pub(super) struct IsolationBook {
    /// Asked for at all.
    pub(super) is_asked: bool,
    /// From the strike to the end of its effect on others, ascending, apart from each other; after the beginning of publishing.
    stretches: Vec<(Span, Span)>,
    /// When publishing began.
    began: Instant,
    /// When the steady state did.
    steady: Instant,
    pub(super) sums: Isolation,
}

impl IsolationBook {
    pub(super) fn new(plan: &Plan) -> Self {
        let is_asked = plan.scenario.checks.disruption.isolation.is_some();
        let stretches = if is_asked { plan.strikes.stretches() } else { Vec::new() };
        Self { is_asked, stretches, began: Instant::FAR, steady: Instant::FAR, sums: Isolation::default() }
    }

    /// Publishing begins.
    pub(super) fn begin(&mut self, plan: &Plan, at: Instant) {
        self.began = self.began.min(at);
        self.steady = self.began + plan.scenario.phases.warm_up;
    }

    /// What was planned for `at` falls into; `None` before the steady state.
    fn stretch(&mut self, at: Instant) -> Option<(&mut Stretch, &mut Sightings, bool)> {
        if at < self.steady {
            return None;
        }
        let after = at - self.began;
        let next = self.stretches.partition_point(|(from, _)| *from <= after);
        let within = next.checked_sub(1).is_some_and(|last| after < self.stretches[last].1);
        let sums = &mut self.sums;
        Some((if within { &mut sums.disturbed } else { &mut sums.calm }, &mut sums.sightings, within))
    }

    /// A bystander's copy.
    pub(super) fn arrived(&mut self, planned: Instant, delivery: Span, late: bool) {
        if let Some((stretch, ..)) = self.stretch(planned) {
            stretch.delivery.record(delivery.as_nanos());
            stretch.late += u64::from(late);
        }
    }

    /// A copy that never reached a bystander.
    pub(super) fn missed(&mut self, planned: Instant, conn: ConnId, publication: (PublisherId, Seq)) {
        if let Some((stretch, sightings, within)) = self.stretch(planned) {
            stretch.missing += 1;
            if within {
                sightings.note(planned, Some(conn), Some(publication), || "never reached a bystander".into());
            }
        }
    }

    /// A bystander's connection was lost.
    pub(super) fn lost(&mut self, at: Instant, conn: ConnId) {
        if let Some((stretch, sightings, within)) = self.stretch(at) {
            stretch.lost += 1;
            if within {
                sightings.note(at, Some(conn), None, || "a bystander lost its connection".into());
            }
        }
    }
}
