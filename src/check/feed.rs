//! `feed`: a server that broadcasts by itself keeps the cadence of its broadcasts. And what the checks on copies say of such a server.

use super::evidence::{Draft, Evidence, witnesses};
use super::words::{count, listed, several};
use super::{Check, Finding};
use crate::account::Pulse;
use crate::base::Span;
use crate::scenario::model::FeedCheck;

pub(super) static CHECK: Check = Check {
    id: "feed",
    claim: "A server that broadcasts by itself does so at the promised cadence, in every room.",
    needs: "A client that listened longer than a period and its tolerance.",
    proves: "The instants at which the first client of all had each broadcast were compared with the promise: too short an interval is early, too long is late, whole periods left out are missed, also at the end of the run. One slow client says nothing here: what it missed is `delivery`'s, how far it was behind is the spread that `latency` limits.",
    examine,
};

fn examine(check: &Check, evidence: &Evidence<'_>) -> Vec<Finding> {
    let Some(asked) = evidence.plan.scenario.checks.feed else { return Vec::new() };
    let cadence = &evidence.account.feed.cadence;
    let violations = cadence.early + cadence.late + cadence.missed;
    let faults = listed([
        (cadence.missed, format!("{} missed", count(cadence.missed))),
        (cadence.late, format!("{} late", count(cadence.late))),
        (cadence.early, format!("{} early", count(cadence.early))),
    ]);
    let in_time = format!("{} of {} in time", count(cadence.in_time), several(cadence.due(), "broadcast due", "broadcasts due"));
    let worst = Span::from_nanos(cadence.jitter.max());
    let mut draft = Draft {
        population: cadence.due() + cadence.early,
        unit: "broadcasts",
        expected: format!("a broadcast every {} ± {}", asked.every, asked.tolerance),
        observed: match (faults.is_empty(), cadence.jitter.count()) {
            (true, 0) => in_time,
            (true, _) => format!("{in_time}, worst deviation {worst}"),
            (false, _) => format!("{in_time}, {faults}"),
        },
        violations,
        // A feed that never began is no matter of timing.
        timing: if cadence.silent > 0 { 0 } else { violations },
        witnesses: witnesses([&cadence.sightings]),
        empty: "nobody listened for a whole period: let the run last longer than the feed's period",
        ..Draft::default()
    };
    draft.excuse(evidence, asked.tolerance, |standstill| {
        let periods = (crate::account::ROW.as_nanos() / asked.every.as_nanos()).max(1);
        standstill.seconds.saturating_mul(3 * periods)
    });
    draft.note = vec![hint(cadence, asked, violations)];
    vec![draft.conclude(check, evidence)]
}

fn hint(cadence: &Pulse, asked: FeedCheck, violations: u64) -> Option<String> {
    if violations == 0 {
        return None;
    }
    if cadence.beats == 0 {
        return Some(
            "No broadcast ever came: does the server send any on this path, and do `match` and `id` in the scenario fit them?".into(),
        );
    }
    let median = Span::from_nanos(cadence.intervals.percentile(50.0)?);
    if cadence.early * 3 > cadence.beats && median + asked.tolerance < asked.every {
        return Some(format!("Broadcasts come every {median}: is the feed faster than promised, or does everything come twice?"));
    }
    if median > asked.every + asked.tolerance {
        return Some(format!("Broadcasts come every {median}: the feed is slower than promised."));
    }
    None
}

/// Why nothing can be said of the copies of a feed, if that is so: comparing takes two.
pub(super) const NOBODY_TO_COMPARE: &str =
    "no broadcast came that at least two clients were there for: the copies of one can only be compared with the others'";

/// What the pattern of a feed's missing copies looks like; `None` for the general hints.
pub(super) fn missing(evidence: &Evidence<'_>) -> Option<String> {
    let copies = &evidence.account.copies;
    let clients = copies.owed_clients;
    if clients > 2 && copies.missing >= copies.owed / clients * (clients - 1) {
        let what = "Each broadcast reached about one client only: are these answers to single clients rather than broadcasts? If so, say";
        return Some(format!("{what} by `match` what a broadcast is, or `ignore` the rest."));
    }
    None
}
