//! What was published while a client was away, and whether it came when it was back.

use super::copies::Seat;
use super::disruptions::Gap;
use super::lives::Life;
use super::send_log::SendLog;
use super::settle::{gaps_of, is_owed, is_own};
use super::window::{seen_in, unseen};
use crate::base::{ConnId, PublisherId, Seq};
use crate::plan::Plan;

/// Enters the gap before the membership `life`, whose books are `seat`. Rejected publications are nobody's.
pub(super) fn settle(seat: &Seat, life: &Life, conn: ConnId, (log, some): (&SendLog, Option<&Plan>), into: &mut Gap) {
    into.returns += 1;
    for (publisher, window) in seat.windows.iter().enumerate() {
        if is_own(seat, publisher) || some.is_some_and(|plan| !is_owed(plan, publisher, conn)) {
            continue;
        }
        // Where the log was thinned, only what was certainly sent in between counts.
        let (from, to) = (log.sent_from(publisher, life.away_since).to, log.sent_from(publisher, life.ready).from);
        let name = PublisherId(u32::try_from(publisher).unwrap_or(u32::MAX));
        let asked = log.sent_from(publisher, life.asked).from;
        let gaps = gaps_of(seat, publisher);
        let mut at = from;
        for (a, b) in log.rejected(publisher, from, to).chain([(to, to)]) {
            let (a, b) = (a.clamp(at, to.max(at)), b.clamp(at, to.max(at)));
            into.sent += u64::from(a - at);
            into.replayed += seen_in(window, gaps, at, a);
            let returning = asked.clamp(at, a);
            into.returning += u64::from(a - returning);
            into.returning_came += seen_in(window, gaps, returning, a);
            let mut next = at;
            unseen(window, gaps, at, a, |lost, end| {
                note(into, log, conn, name, next, lost.min(asked), true);
                note(into, log, conn, name, lost, end, false);
                next = end;
            });
            note(into, log, conn, name, next, a.min(asked), true);
            at = b;
        }
    }
}

/// Witnesses: the first few of a run of publications that all came, or all did not.
fn note(into: &mut Gap, log: &SendLog, conn: ConnId, publisher: PublisherId, from: u32, to: u32, came: bool) {
    let sightings = if came { &mut into.replayed_sightings } else { &mut into.lost_sightings };
    let few = u32::try_from(super::bottom::WITNESSES).unwrap_or(8);
    for seq in (from..to).take(few as usize) {
        let Some((_, sent)) = log.instants(publisher, Seq(seq)) else { continue };
        let what = if came { "was replayed" } else { "was never replayed" };
        sightings.note(sent, Some(conn), Some((publisher, Seq(seq))), || format!("sent at {sent} while the client was away, {what}"));
    }
}
