//! Publications sent over HTTP: how each was answered, and what becomes of the copies of those that were not taken.

use std::collections::BTreeMap;

use super::books::is_accepted;
use super::bottom::{WITNESSES, shown};
use super::copies::Copies;
use super::ledger::Ledger;
use super::send_log::SendLog;
use crate::base::{ConnId, Instant, PublisherId, Seq, Span};

/// Publications whose late copies are told apart; beyond, the late copies of a rejected one are judged like any other.
const MOST_LATE: usize = 1 << 16;

/// Late copies by publication, in case the publication turns out to have been rejected. Kept only where publications go over HTTP.
#[derive(Debug, Default)]
pub(super) struct LateOf(BTreeMap<(PublisherId, Seq), Late>);

/// The late copies of one publication.
#[derive(Debug, Default)]
struct Late {
    count: u64,
    by_us: u64,
    /// The first of them.
    first: Vec<LateCopy>,
}

/// One late copy, as a witness tells of it. Ordered by time first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LateCopy {
    pub(super) at: Instant,
    pub(super) conn: ConnId,
    pub(super) delivery: Span,
    pub(super) transit: Span,
}

impl LateCopy {
    /// What happened, in a few words.
    pub(super) fn told(&self) -> String {
        format!("arrived {} after it was due, {} after it was sent", self.delivery, self.transit)
    }
}

impl LateOf {
    /// Keeps a late copy, and whether the lateness was ours; false when there is no room.
    pub(super) fn keep(&mut self, publication: (PublisherId, Seq), copy: LateCopy, by_us: bool) -> bool {
        if self.0.len() >= MOST_LATE && !self.0.contains_key(&publication) {
            return false;
        }
        let late = self.0.entry(publication).or_default();
        late.count += 1;
        late.by_us += u64::from(by_us);
        let place = late.first.partition_point(|kept| *kept <= copy);
        if place < WITNESSES {
            late.first.insert(place, copy);
            late.first.truncate(WITNESSES);
        }
        true
    }

    /// Takes the late copies of rejected publications back (owed to nobody, they cannot be late); those of all others are witnesses.
    pub(super) fn settle(self, log: &SendLog, copies: &mut Copies) {
        let is_rejected = |(publisher, seq)| log.is_rejected(publisher, seq);
        copies.late_sightings.retain(|sighting| !sighting.publisher.zip(sighting.seq).is_some_and(is_rejected));
        for (publication, late) in self.0 {
            if is_rejected(publication) {
                copies.late = copies.late.saturating_sub(late.count);
                copies.late_by_us = copies.late_by_us.saturating_sub(late.by_us);
                continue;
            }
            for copy in late.first {
                copies.late_sightings.note(copy.at, Some(copy.conn), Some(publication), || copy.told());
            }
        }
    }
}

impl Ledger {
    /// The server's answer to a publication, or that none came (status 0).
    pub(super) fn answered(&mut self, (publisher, seq): (PublisherId, Seq), at: Instant, status: u16, took: Span, detail: &str) {
        let sums = &mut self.publications;
        *sums.statuses.entry(status).or_default() += 1;
        if status != 0 {
            self.requests.record(took.as_nanos());
        }
        if is_accepted(status) {
            return;
        }
        self.log.reject(publisher, seq);
        let conn = self.plan.connection_of(publisher);
        sums.rejections.note(at, Some(conn), Some((publisher, seq)), || match (status, detail) {
            (0, detail) => format!("no answer after {took}: {}", shown(detail.as_bytes())),
            (status, "") => format!("answered {status} after {took}"),
            (status, detail) => format!("answered {status} after {took}: {}", shown(detail.as_bytes())),
        });
        self.rows.at(at).faults += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::{History, ms, over_http, scenario};
    use super::*;

    fn late(at: u64) -> LateCopy {
        LateCopy { at: ms(at), conn: ConnId(0), delivery: Span::from_millis(1_500), transit: Span::from_millis(300) }
    }

    const fn publication(n: u32) -> (PublisherId, Seq) {
        (PublisherId(0), Seq(n))
    }

    #[test]
    fn the_first_late_copies_are_the_witnesses_whatever_the_order_they_came_in() {
        let ascending: Vec<u64> = (0..20).collect();
        for order in [ascending.clone(), ascending.iter().rev().copied().collect(), (0..20).map(|n| n * 7 % 20).collect()] {
            let mut of = LateOf::default();
            assert!(order.iter().all(|at| of.keep(publication(3), late(1_000 + at), false)));
            assert_eq!(of.0[&publication(3)].count, 20);
            let mut copies = Copies::default();
            of.settle(&SendLog::empty(&History::of(scenario(1, 1)).plan), &mut copies);
            let told: Vec<_> = copies.late_sightings.as_slice().iter().map(|s| (s.at, s.seq)).collect();
            assert_eq!(told, (0..8).map(|n| (ms(1_000 + n), Some(Seq(3)))).collect::<Vec<_>>(), "{order:?}");
            assert_eq!(copies.late_sightings.as_slice()[0].what, "arrived 1.5s after it was due, 300ms after it was sent");
        }
    }

    #[test]
    fn when_there_is_no_room_only_the_publications_known_are_told_apart() {
        let mut of = LateOf::default();
        let most = u32::try_from(MOST_LATE).expect("small");
        assert!((0..most).all(|n| of.keep(publication(n), late(1), false)));
        assert!(of.keep(publication(0), late(2), true) && of.keep(publication(most - 1), late(2), true));
        assert!(!of.keep(publication(most), late(2), true));
        assert_eq!((of.0.len(), of.0[&publication(0)].count, of.0[&publication(0)].by_us), (MOST_LATE, 2, 1));
    }

    #[test]
    fn late_copies_of_a_rejected_publication_are_taken_back_and_those_of_others_stay() {
        let mut scenario = scenario(3, 1);
        over_http(&mut scenario);
        let mut history = History::ordinary(scenario);
        // Sent 800 ms late: its copies would have been in time.
        let rejected = history.publishes_late(0, 200, 1_000);
        history.is_answered(0, rejected, 503, "too many");
        history.all_get(0, rejected, 1_300);
        let taken = history.publishes(0, 2_000);
        history.is_answered(0, taken, 200, "").gets(0, 0, taken, 2_005).gets(1, 0, taken, 3_200).gets(2, 0, taken, 2_005);
        history.closes(5_000, 5_100);
        let account = history.account();
        let copies = &account.copies;
        assert_eq!((copies.late, copies.late_by_us, copies.owed, copies.contested_rejected), (1, 0, 3, 3));
        let told: Vec<_> = copies.late_sightings.as_slice().iter().map(|s| (s.seq, s.what.as_str())).collect();
        assert_eq!(told, [(Some(Seq(taken)), "arrived 1.2s after it was due, 1.2s after it was sent")]);
        assert_eq!(account.publications.rejections.as_slice()[0].what, "answered 503 after 10ms: too many");
        assert!(account.books_balance());
    }
}
