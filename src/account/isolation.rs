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

#[cfg(test)]
mod tests {
    use super::super::history::{History, ms, scenario};
    use super::*;

    #[test]
    fn bystanders_are_looked_at_from_the_first_instant_of_the_steady_state_and_of_a_strike() {
        let mut scenario = scenario(2, 1);
        scenario.phases.warm_up = Span::from_millis(500);
        let plan = History::of(scenario).plan;
        // Publishing begins at 1 s, the steady state at 1.5 s; the strike lasts from 3 s to 4 s.
        for (at, calm, disturbed) in [(1_499, 0, 0), (1_500, 1, 0), (2_999, 1, 0), (3_000, 0, 1), (3_999, 0, 1), (4_000, 1, 0)] {
            let mut book = IsolationBook { stretches: vec![(Span::from_secs(2), Span::from_secs(3))], ..IsolationBook::new(&plan) };
            book.begin(&plan, ms(1_000));
            book.arrived(ms(at), Span::from_millis(5), false);
            book.arrived(ms(at), Span::from_secs(2), true);
            book.missed(ms(at), ConnId(0), (PublisherId(0), Seq(7)));
            book.missed(ms(at), ConnId(1), (PublisherId(0), Seq(7)));
            book.lost(ms(at), ConnId(1));
            for (stretch, times) in [(&book.sums.calm, calm), (&book.sums.disturbed, disturbed)] {
                let sums = [stretch.delivery.count(), stretch.late, stretch.missing, stretch.lost, stretch.owed()];
                assert_eq!(sums, [2 * times, times, 2 * times, times, 4 * times], "at {at}");
            }
            let told: Vec<_> = book.sums.sightings.as_slice().iter().map(|s| s.what.as_str()).collect();
            let all = ["never reached a bystander", "a bystander lost its connection", "never reached a bystander"];
            assert_eq!(told, all[..if disturbed > 0 { 3 } else { 0 }], "at {at}");
        }
    }

    #[test]
    fn before_publishing_begins_nobody_is_looked_at() {
        let plan = History::of(scenario(2, 1)).plan;
        let mut book = IsolationBook::new(&plan);
        book.lost(ms(1_000), ConnId(1));
        assert_eq!(book.sums, Isolation::default());
    }
}
