//! `delivery`: every owed copy arrives, in time.

use super::evidence::{Draft, Evidence, witnesses};
use super::words::{count, listed, percent, sentences, several};
use super::{Check, Finding, Outcome, feed};
use crate::account::Copies;

/// The share of contested copies, in per cent, beyond which a run proves too little of what it set out to prove. Three of eight clients
/// lost in the middle of five seconds (as `wsbench prove` has it) contest a tenth, and the rest still speaks for the whole. Copies of
/// rejected publications do not count: `publish` tells of them.
const MOST_CONTESTED: u64 = 20;
/// The same where the server broadcasts by itself: what comes in a client's first half second is contested, in a short run much of it all.
const MOST_CONTESTED_OF_A_FEED: u64 = 50;

/// The same for copies contested by the plan's own disruptions. They are no surprise, and what they leave was meant to be enough; but
/// where they are more than all the rest together, delivery is judged on the lesser part.
const MOST_PLANNED: u64 = 50;

pub(super) static CHECK: Check = Check {
    id: "delivery",
    claim: "Every copy of every publication reaches every client it is owed to, within the limit.",
    needs: "At least one publication sent while a client was a member, and the client still there when its limit ran out. Copies that overlap a join, a leave or a disconnect are contested: neither owed nor wrong; where they are more than a fifth of all (of a server's own broadcasts, and where the scenario's own disruptions contest them: more than half), the finding is inconclusive.",
    proves: "Each client's books were kept for each publication, so a duplicate cannot hide a loss. Missing copies did not come before the drain ended; late ones came, but more than `within` after they were due. A pass says nothing about clients that were not connected. Where the server broadcasts by itself, what one client got is owed to all that were there, and the limit runs from the first of them.",
    examine,
};

fn examine(check: &Check, evidence: &Evidence<'_>) -> Vec<Finding> {
    let Some(asked) = evidence.plan.scenario.checks.delivery.filter(|_| evidence.copies_due()) else { return Vec::new() };
    let copies = &evidence.account.copies;
    // A frame too damaged to be read did arrive; it is held against the server once, by `integrity`.
    let unreadable = if evidence.plan.scenario.checks.integrity { copies.missing_unreadable } else { 0 };
    let missing = copies.missing - unreadable;
    let all = copies.owed + copies.contested.saturating_sub(copies.contested_rejected);
    let planned = copies.contested_planned;
    let overlapped = (all - copies.owed).saturating_sub(planned);
    let mut draft = Draft {
        population: copies.owed,
        unit: "owed copies",
        expected: format!(
            "every one of {} within {}{}",
            several(copies.owed, "owed copy", "owed copies"),
            asked.within,
            if evidence.feeds() { " of the first client to have it" } else { "" }
        ),
        observed: observed(copies),
        violations: missing + copies.late,
        timing: copies.late,
        witnesses: witnesses(if missing > 0 {
            vec![&copies.missing_sightings, &copies.late_sightings]
        } else {
            vec![&copies.late_sightings]
        }),
        empty: if evidence.feeds() { feed::NOBODY_TO_COMPARE } else { "no client was a member while anything was published" },
        ..Draft::default()
    };
    if copies.late > 0 && copies.late_by_us == copies.late {
        draft.excuse = Some("All late copies would have been in time had they been sent in time: the lateness is the instrument's.".into());
    }
    draft.excuse(evidence, asked.within, |standstill| standstill.copies);
    draft.note = vec![
        hint(evidence, missing),
        (unreadable > 0).then(|| {
            format!("{} besides arrived damaged beyond reading: see integrity.", several(unreadable, "missing copy", "missing copies"))
        }),
        (overlapped > 0)
            .then(|| format!("{} contested (a join, leave or disconnect overlaps).", several(overlapped, "copy is", "copies are"))),
        (planned > 0).then(|| {
            let of = several(planned, "copy is", "copies are");
            format!("{of} contested by the scenario's own disruptions ({}).", percent(planned, all))
        }),
        (copies.contested_rejected > 0).then(|| {
            let of = several(copies.contested_rejected, "copy is", "copies are");
            format!("{of} of publications that the server rejected, and owed to nobody: see publish.")
        }),
    ];
    let mut finding = draft.conclude(check, evidence);
    // Nothing is wrong with what could be judged, but too little could be.
    let most = if evidence.feeds() { MOST_CONTESTED_OF_A_FEED } else { MOST_CONTESTED };
    if finding.outcome == Outcome::Pass
        && let Some(why) = too_little(overlapped, planned, all, most)
    {
        finding.outcome = Outcome::Inconclusive;
        finding.note = sentences([Some(why), Some(finding.note)]);
    }
    vec![finding]
}

/// Why what could be judged does not speak for the whole, if it does not.
fn too_little(overlapped: u64, planned: u64, all: u64, most: u64) -> Option<String> {
    let share = |n| percent(n, all);
    if overlapped * 100 > all * most {
        let most = format!("more than the {most} % up to which the rest speaks for the whole");
        return Some(format!("{} of the copies are contested, {most}.", share(overlapped)));
    }
    (planned * 100 > all * MOST_PLANNED).then(|| {
        let what = format!("{} of the copies are contested by the scenario's own disruptions", share(planned));
        format!("{what}, more than the {MOST_PLANNED} % they may be: disrupt fewer clients, or allow delivery less time.")
    })
}

fn observed(copies: &Copies) -> String {
    if copies.owed == 0 {
        return "no copy was owed".into();
    }
    let share = |n| percent(n, copies.owed);
    let faults = listed([
        (copies.missing, format!("{} missing ({})", count(copies.missing), share(copies.missing))),
        (copies.late, format!("{} late ({})", count(copies.late), share(copies.late))),
        (copies.late_by_us, format!("of which {} late by us", count(copies.late_by_us))),
    ]);
    let on_time = format!("{} on time", count(copies.on_time));
    if faults.is_empty() { on_time } else { format!("{on_time}, {faults}") }
}

/// What the pattern of missing copies looks like.
fn hint(evidence: &Evidence<'_>, missing: u64) -> Option<String> {
    if missing == 0 {
        return None;
    }
    let (account, plan) = (evidence.account, evidence.plan);
    let copies = &account.copies;
    if let Some(hint) = evidence.feeds().then(|| feed::missing(evidence)).flatten() {
        return Some(hint);
    }
    let sent = account.publications.sent - account.publications.rejected().min(account.publications.sent);
    let is_publisher = |conn| plan.publisher_of(conn).is_some();
    if copies.missing == sent
        && copies.missing_clients <= plan.publishers.into()
        && plan.connections > 1
        && copies.most_missing.iter().all(|(_, conn)| is_publisher(*conn))
    {
        return Some(
            "Exactly the senders' own copies are missing: the server leaves the sender out. If that is meant, say `audience = \"others\"`."
                .into(),
        );
    }
    if copies.missing == copies.owed {
        return Some("Not one copy arrived: does the server broadcast at all, and to this path?".into());
    }
    if let [(_, only)] = copies.most_missing[..] {
        let which = if only.0 + 1 == plan.connections { " (the last to connect)" } else { "" };
        let all = if copies.deaf_clients == 1 { ", which got none at all" } else { "" };
        return Some(format!("All missing copies are client {only}'s{which}{all}: does the server's loop leave one out?"));
    }
    if copies.deaf_clients == copies.missing_clients {
        return Some(format!("{} got nothing at all; the others got everything.", several(copies.deaf_clients, "client", "clients")));
    }
    let unseen = account.spread.reached().map_or(0, |reached| sent.saturating_sub(reached));
    if unseen > 0 {
        return Some(format!("{} reached nobody.", several(unseen, "publication", "publications")));
    }
    Some(format!("Missing at {} of {}.", count(copies.missing_clients), several(copies.owed_clients, "client", "clients")))
}
