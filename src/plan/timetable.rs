//! Every publication of an open-loop run: which, whose, when. Streamed, never held.

use super::{Instants, Plan};
use crate::base::{ConnId, PublisherId, Seed, Span};
use crate::scenario::model::Pace;

/// A publication that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned {
    /// Its number over all publishers, from 0. Publication n is publisher n mod `publishers`'s.
    pub n: u64,
    /// Whose it is.
    pub publisher: PublisherId,
    /// When it is due, after the start of publishing (the start of the warm-up).
    pub after: Span,
}

/// The publications of a run, or of one share of its connections.
#[derive(Debug, Clone)]
pub struct Timetable {
    pace: Pace,
    warm_up: Span,
    steady: Span,
    seed: Seed,
    publishers: u32,
    first: ConnId,
    share: (u32, u32),
}

impl Timetable {
    pub(super) fn new(plan: &Plan) -> Self {
        let pace = plan.scenario.publish.as_ref().map_or(Pace::Closed { rate: None }, |p| p.pace.clone());
        let phases = plan.scenario.phases;
        Self {
            pace,
            warm_up: phases.warm_up,
            steady: phases.steady,
            seed: plan.seed,
            publishers: plan.publishers,
            first: plan.first_publisher,
            share: (0, 1),
        }
    }

    /// Only the publications whose publisher's connection belongs to share `index` of `of`: connection i belongs to i mod `of`.
    #[must_use]
    pub fn share(&self, index: u32, of: u32) -> Self {
        Self { share: (index, of.max(1)), ..self.clone() }
    }

    /// The publications in the order they are due.
    pub fn iter(&self) -> impl Iterator<Item = Planned> + use<> {
        let (publishers, first, (index, of)) = (u64::from(self.publishers.max(1)), self.first.0, self.share);
        (0..).zip(self.instants()).filter_map(move |(n, after)| {
            #[expect(clippy::cast_possible_truncation, reason = "less than the number of publishers")]
            let publisher = PublisherId((n % publishers) as u32);
            // As `Plan::connection_of`.
            let conn = first + publisher.0;
            (conn % of == index).then_some(Planned { n, publisher, after })
        })
    }

    /// How many publications the whole run has, not only this share.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.instants().total()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many of them are due in the warm-up. The rest belongs to the steady state.
    #[must_use]
    pub fn warm_up_len(&self) -> u64 {
        match &self.pace {
            Pace::Constant { rate } | Pace::Poisson { rate } => rate.count_within(self.warm_up),
            Pace::Ramp { .. } => self.instants().take_while(|after| *after < self.warm_up).count() as u64,
            pace => Instants::new(pace, self.warm_up, Span::ZERO, self.seed).total(),
        }
    }

    fn instants(&self) -> Instants {
        Instants::new(&self.pace, self.warm_up, self.steady, self.seed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::scenario::parse;

    fn timetable(pace: &str, publishers: u32) -> Timetable {
        let text = format!(
            "[clients]\ncount = 10\n[publish]\npublishers = {publishers}\npace = {pace}\n[phases]\nwarm_up = \"1s\"\nsteady = \"3s\"\n"
        );
        let scenario = parse(&text, "t.toml").unwrap_or_else(|e| panic!("{e}"));
        Plan::new(Arc::new(scenario), Seed(3)).timetable()
    }

    #[test]
    fn publications_go_round_the_publishers() {
        let list: Vec<_> =
            timetable("{ rate = \"2/s\" }", 3).iter().map(|p| (p.n, p.publisher.0, p.after.as_nanos() / 1_000_000)).collect();
        assert_eq!(list, [(0, 0, 0), (1, 1, 500), (2, 2, 1000), (3, 0, 1500), (4, 1, 2000), (5, 2, 2500), (6, 0, 3000), (7, 1, 3500)]);
    }

    #[test]
    fn a_hundred_thousand_a_second_is_cheap() {
        // No timing here; that it streams at all over an hour's worth without memory is the point.
        let table = timetable("{ rate = \"100000/s\" }", 4);
        assert_eq!(table.len(), 400_000);
        assert_eq!(table.iter().last().map(|p| p.n), Some(399_999));
    }

    #[test]
    fn a_publication_due_when_the_steady_state_begins_belongs_to_it() {
        for (pace, early) in [
            ("{ rate = \"2/s\" }", 2),
            // Due after t seconds: t + t².
            ("{ ramp = { from = \"1/s\", to = \"9/s\" } }", 2),
            ("{ burst = 3, every = \"500ms\" }", 6),
            ("{ steps = [{ rate = \"4/s\", for = \"500ms\" }, { rate = \"2/s\", for = \"1s\" }] }", 3),
        ] {
            let table = timetable(pace, 1);
            assert_eq!(table.iter().find(|p| p.n == early).map(|p| p.after), Some(Span::from_secs(1)), "{pace}");
            assert_eq!(table.warm_up_len(), early, "{pace}");
        }
    }

    proptest! {
        #[test]
        fn shares_are_a_partition(of in 1_u32..6, publishers in 1_u32..10, pace in prop::sample::select(vec![
            "{ rate = \"97/s\" }", "{ poisson = \"80/s\" }", "{ burst = 7, every = \"300ms\" }",
            "{ ramp = { from = \"5/s\", to = \"90/s\" } }", "{ steps = [{ rate = \"3/s\", for = \"700ms\" }, { rate = \"50/s\", for = \"1s\" }] }",
        ])) {
            let table = timetable(pace, publishers);
            let mut together: Vec<_> = (0..of).flat_map(|i| table.share(i, of).iter().collect::<Vec<_>>()).collect();
            together.sort_by_key(|p| p.n);
            let whole: Vec<_> = table.iter().collect();
            prop_assert_eq!(whole.len() as u64, table.len());
            prop_assert_eq!(whole.iter().filter(|p| p.after < Span::from_secs(1)).count() as u64, table.warm_up_len());
            prop_assert_eq!(together, whole);
        }
    }
}
