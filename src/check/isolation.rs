//! `isolation`: the others do not notice what is done to some.

use super::evidence::{Draft, Evidence, witnesses};
use super::words::{count, listed, percent, several};
use super::{Check, Finding};
use crate::account::Stretch;
use crate::base::Span;
use crate::scenario::model::Verb;

/// Copies that must have been delivered in each stretch before two ninety-ninth percentiles are compared.
const ENOUGH: u64 = 100;

pub(super) static CHECK: Check = Check {
    id: "isolation",
    claim: "Clients that nothing is done to do not notice what is done to others: delivery to them is no slower, no worse, and they stay connected.",
    needs: "A disruption that leaves bystanders, and copies to them both within a strike (or its aftermath of a second) and outside of all strikes, at least a hundred each.",
    proves: "Delivery to the same clients in the same run, with and without the disruption, was set side by side: its 99th percentile, the share of late and missing copies, and lost connections. A pass speaks of the disruption that was planned, at the load that was offered: a slow reader may have to be slower, or watched for longer, before its server feels it.",
    examine,
};

fn examine(check: &Check, evidence: &Evidence<'_>) -> Vec<Finding> {
    let Some(asked) = evidence.plan.scenario.checks.disruption.isolation else { return Vec::new() };
    let isolation = &evidence.account.disruptions.isolation;
    let (calm, disturbed) = (&isolation.calm, &isolation.disturbed);
    let comparable = calm.delivery.count() >= ENOUGH && disturbed.delivery.count() >= ENOUGH;
    let limit = p99(calm).map(|p99| p99 + asked.slower);
    let slower = match (p99(disturbed), limit) {
        (Some(p99), Some(limit)) if comparable && p99 > limit => disturbed.delivery.count_above(limit.as_nanos()).max(1),
        _ => 0,
    };
    // What goes wrong all the time is not the disruption's doing: only more of it than before is.
    let faults = disturbed.late + disturbed.missing;
    let usual = calm.late + calm.missing;
    let worse = u128::from(faults) * u128::from(calm.owed()) > 2 * u128::from(usual) * u128::from(disturbed.owed());
    let (late, missing) = if worse { (disturbed.late, disturbed.missing) } else { (0, 0) };
    let faults = late + missing;
    // A copy that is both beyond the limit and late counts once: of two limits, whoever misses the longer one misses both.
    let behind = slower.max(late);
    let lost = if calm.lost == 0 { disturbed.lost } else { 0 };
    let shown = |stretch: &Stretch| p99(stretch).map_or_else(|| "nothing".to_owned(), |p99| format!("p99 {p99}"));
    let things = listed([
        (slower, format!("{} later than the limit", count(slower))),
        (faults, format!("{} late or missing ({})", count(faults), percent(faults, disturbed.owed()))),
        (lost, several(lost, "bystander lost", "bystanders lost")),
    ]);
    let observed = format!("{} with, {} without", shown(disturbed), shown(calm));
    let mut draft = Draft {
        population: if comparable { disturbed.owed() } else { 0 },
        unit: "bystanders' copies",
        expected: match limit {
            Some(limit) if comparable => format!("p99 of delivery at most {limit} ({} more than without)", asked.slower),
            _ => format!("p99 of delivery at most {} more than without", asked.slower),
        },
        observed: if things.is_empty() { observed } else { format!("{observed}; {things}") },
        violations: behind + missing + lost,
        timing: behind,
        witnesses: witnesses([&isolation.sightings]),
        empty: "too few copies for bystanders with or without disruption to compare (a hundred each)",
        note: vec![answers(evidence)],
        ..Draft::default()
    };
    draft.excuse(evidence, asked.slower, |standstill| standstill.copies);
    vec![draft.conclude(check, evidence)]
}

fn p99(stretch: &Stretch) -> Option<Span> {
    stretch.delivery.percentile(99.0).map(|ns| Span::from_nanos(ns.min(stretch.delivery.max())))
}

/// What the server answered to clients that broke the protocol: to know, not to judge (`wsbench conformance` judges it).
fn answers(evidence: &Evidence<'_>) -> Option<String> {
    let account = evidence.account;
    let malformed = (0..).zip(&evidence.plan.scenario.disrupt).filter(|(_, d)| matches!(d.verb, Verb::Malformed { .. }));
    let mut told = Vec::new();
    for sums in malformed.filter_map(|(n, _)| account.disruptions.of(n)) {
        told.extend(
            sums.ended.iter().map(|(code, n)| {
                if code == "none" { format!("no Close frame × {}", count(*n)) } else { format!("{code} × {}", count(*n)) }
            }),
        );
        told.extend((sums.unnoticed > 0).then(|| format!("left open × {}", count(sums.unnoticed))));
    }
    (!told.is_empty()).then(|| format!("Malformed frames were answered with: {}.", told.join(", ")))
}
