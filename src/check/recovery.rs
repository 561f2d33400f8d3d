//! `recovery`: clients that were away come back.

use super::evidence::{Draft, Evidence, witnesses};
use super::words::{count, listed, percent, sentences, several};
use super::{Check, Finding, Outcome};
use crate::account::Disrupted;
use crate::base::Span;

pub(super) static CHECK: Check = Check {
    id: "recovery",
    claim: "Every client that was cut off is a member again within the limit of its planned return.",
    needs: "A disruption after which clients come back (`offline`, `reconnect`, `churn`, `server`), and a run that goes on for as long as they may take.",
    proves: "Each client came back by a new handshake, and by greeting or script where there is one; its attempts followed its own back-off, so time to recover includes the waits between them. Attempts that failed by this machine's own limits are not held against the server. What was published while a client was away is owed to it by nobody: a pass does not say that it was replayed.",
    examine,
};

fn examine(check: &Check, evidence: &Evidence<'_>) -> Vec<Finding> {
    let scenario = &evidence.plan.scenario;
    let Some(asked) = scenario.checks.disruption.recovery else { return Vec::new() };
    let struck: Vec<&Disrupted> = (0..)
        .zip(&scenario.disrupt)
        .filter(|(_, d)| d.verb.back_off().is_some())
        .filter_map(|(n, _)| evidence.account.disruptions.of(n))
        .collect();
    let sum = |pick: fn(&Disrupted) -> u64| struck.iter().map(|d| pick(d)).sum::<u64>();
    let (away, undecided) = (sum(|d| d.struck), sum(|d| d.undecided));
    let (late, never) = (sum(|d| d.late_back), sum(|d| d.never_back));
    let clients = &evidence.account.connections;
    let mut draft = Draft {
        population: away - undecided.min(away),
        unit: "returns",
        expected: format!("every one of {} within {}", several(away, "return", "returns"), asked.within),
        observed: observed(&struck, away, late, never),
        violations: late + never,
        timing: late,
        note: vec![hint(evidence, never), hooks(&struck, evidence)],
        witnesses: witnesses(struck.iter().map(|d| &d.sightings)),
        empty: "nobody was there to be cut off",
        ..Draft::default()
    };
    // Failures of our own, where there were no others, may be why as many were late or never came.
    let ours = clients.returns_failed.get("local_limit").copied().unwrap_or(0);
    if ours == clients.returns_failed.values().sum::<u64>() && ours >= draft.violations {
        draft.timing = draft.violations;
        draft.excuse = Some("The attempts failed by this machine's own limits (descriptors, ports, memory), not by the server's.".into());
    }
    draft.excuse(evidence, asked.within, |_| u64::MAX);
    let mut finding = draft.conclude(check, evidence);
    // A restart that did not happen proves nothing; clients that did not come back did not, all the same.
    if let Some(why) = struck.iter().find_map(|d| d.hook_failed.as_ref()) {
        finding.outcome = finding.outcome.max(Outcome::Inconclusive);
        finding.note = sentences([Some(format!("The command that restarts the server failed: {why}.")), Some(finding.note)]);
    }
    vec![finding]
}

/// What restarting took, and what was lost on the way.
fn hooks(struck: &[&Disrupted], evidence: &Evidence<'_>) -> Option<String> {
    let commands: u64 = struck.iter().map(|d| d.hooks).sum();
    let longest = struck.iter().map(|d| d.hook_longest).max()?;
    let command = (commands > 0).then(|| format!("The restarting command took {longest}."));
    let gap = &evidence.account.disruptions.resume;
    let lost = gap.sent - gap.replayed.min(gap.sent);
    let missed = (gap.sent > 0).then(|| {
        let of = several(gap.sent, "copy was", "copies were");
        format!("{of} published while they were away; {} of them never came.", count(lost))
    });
    Some(sentences([command, missed])).filter(|note| !note.is_empty())
}

fn observed(struck: &[&Disrupted], away: u64, late: u64, never: u64) -> String {
    let mut back = crate::account::Tally::default();
    struck.iter().for_each(|d| back.merge(&d.back));
    let mut times = Vec::new();
    for share in [50, 95, 100] {
        // Of all that were cut off, not of those that came back: otherwise the fewer return, the better it looks.
        #[expect(clippy::cast_precision_loss, reason = "a rank among clients")]
        let rank = (away * share).div_ceil(100) as f64 / back.count().max(1) as f64 * 100.0;
        let at = back.percentile(rank).filter(|_| rank <= 100.0).map(|ns| Span::from_nanos(ns.min(back.max())));
        times.push(at.map_or_else(|| format!("{share} % never"), |at| format!("{share} % after {at}")));
    }
    let faults = listed([
        (late, format!("{} too late", count(late))),
        (never, format!("{} never returned ({})", count(never), percent(never, away))),
    ]);
    let back = format!("{} of {} back ({})", count(back.count()), count(away), times.join(", "));
    if faults.is_empty() { back } else { format!("{back}; {faults}") }
}

fn hint(evidence: &Evidence<'_>, never: u64) -> Option<String> {
    let failed = &evidence.account.connections.returns_failed;
    if failed.is_empty() {
        return (never > 0).then(|| "No attempt to come back failed, and yet they are not members.".into());
    }
    let causes: Vec<_> = failed.iter().map(|(cause, n)| format!("{cause} × {}", count(*n))).collect();
    Some(format!("Attempts that failed on the way: {}.", causes.join(", ")))
}
