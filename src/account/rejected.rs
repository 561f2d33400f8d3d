//! Publications sent over HTTP: how each was answered, and what becomes of the copies of those that were not taken.

use std::collections::BTreeMap;

use super::books::is_accepted;
use super::bottom::shown;
use super::copies::Copies;
use super::ledger::Ledger;
use super::send_log::SendLog;
use crate::base::{Instant, PublisherId, Seq, Span};

/// Publications whose late copies are told apart; beyond, the late copies of a rejected one are judged like any other.
const MOST_LATE: usize = 1 << 18;

/// Late copies by publication, in case the publication turns out to have been rejected. Kept only where publications go over HTTP.
#[derive(Debug, Default)]
pub(super) struct LateOf(BTreeMap<(PublisherId, Seq), (u64, u64)>);

impl LateOf {
    /// Notes a late copy, and whether the lateness was ours.
    pub(super) fn note(&mut self, publication: (PublisherId, Seq), by_us: bool) {
        if self.0.len() < MOST_LATE || self.0.contains_key(&publication) {
            let late = self.0.entry(publication).or_default();
            late.0 += 1;
            late.1 += u64::from(by_us);
        }
    }

    /// Takes the late copies of rejected publications back: owed to nobody, they cannot be late.
    pub(super) fn forgive(self, log: &SendLog, copies: &mut Copies) {
        for ((publisher, seq), (late, by_us)) in self.0 {
            if log.is_rejected(publisher, seq) {
                copies.late = copies.late.saturating_sub(late);
                copies.late_by_us = copies.late_by_us.saturating_sub(by_us);
            }
        }
        if log.rejections() > 0 {
            copies.late_sightings.retain(|sighting| !sighting.publisher.zip(sighting.seq).is_some_and(|(p, s)| log.is_rejected(p, s)));
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
