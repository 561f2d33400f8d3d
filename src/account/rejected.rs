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
