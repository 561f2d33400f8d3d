//! `duplicate`: no copy arrives twice.

use super::evidence::{Draft, Evidence, witnesses};
use super::words::{percent, several};
use super::{Check, Finding, feed};

pub(super) static CHECK: Check = Check {
    id: "duplicate",
    claim: "No client receives a publication twice.",
    needs: "At least one copy received.",
    proves: "Every arrival was looked up in the books of its client and publisher, however long ago the first one came. Duplicates are counted apart and never stand in for a missing copy. Where the server broadcasts by itself, a second one is a duplicate when only a minority got it, or when `unique` says that none comes twice.",
    examine,
};

fn examine(check: &Check, evidence: &Evidence<'_>) -> Vec<Finding> {
    if !evidence.plan.scenario.checks.duplicate || !evidence.copies_due() {
        return Vec::new();
    }
    let copies = &evidence.account.copies;
    let arrivals = copies.received - copies.stray_copies;
    let unique = evidence.plan.scenario.feed.as_ref().is_some_and(|feed| feed.unique);
    let population = if unique || evidence.comparable() { arrivals } else { 0 };
    let distinct = arrivals - copies.duplicate;
    let draft = Draft {
        population,
        unit: "received copies",
        expected: "no copy a second time".into(),
        observed: match copies.duplicate {
            0 => format!("{}, each once", several(distinct, "copy", "copies")),
            n => format!(
                "{} ({} of {})",
                several(n, "duplicate", "duplicates"),
                percent(n, population),
                several(population, "arrival", "arrivals")
            ),
        },
        violations: copies.duplicate,
        note: vec![hint(copies.duplicate, distinct)],
        witnesses: witnesses([&copies.duplicate_sightings]),
        empty: if evidence.feeds() && arrivals > 0 { feed::NOBODY_TO_COMPARE } else { "no copy was received" },
        ..Draft::default()
    };
    vec![draft.conclude(check, evidence)]
}

fn hint(duplicate: u64, distinct: u64) -> Option<String> {
    let whole = distinct > 0 && duplicate >= distinct && duplicate.is_multiple_of(distinct);
    whole.then(|| {
        let times = duplicate / distinct + 1;
        format!("Every copy came {times} times: is the message handler registered {times} times, or each client listed {times} times?")
    })
}
