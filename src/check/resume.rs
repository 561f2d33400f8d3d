//! `resume`: what clients missed while they were away is replayed, or is not, as promised.

use super::evidence::{Draft, Evidence, witnesses};
use super::words::{count, percent, several};
use super::{Check, Finding};
use crate::scenario::model::Resume;

pub(super) static CHECK: Check = Check {
    id: "resume",
    claim: "What was published while a client was away is replayed to it when it is back; or, where nothing is promised, never comes.",
    needs: "Clients that come back, and publications sent while they were away.",
    proves: "Every publication sent between the end of a client's connection and its next membership was looked for on the new connection. Replayed copies may come in any order and at any time until the run ends; what was on its way when the connection ended is not judged.",
    examine,
};

fn examine(check: &Check, evidence: &Evidence<'_>) -> Vec<Finding> {
    let Some(asked) = evidence.plan.scenario.checks.disruption.resume else { return Vec::new() };
    let gap = &evidence.account.disruptions.resume;
    let lost = gap.sent - gap.replayed.min(gap.sent);
    let replayed = asked == Resume::Replayed;
    let of = several(gap.sent, "copy", "copies");
    let draft = Draft {
        population: gap.sent,
        unit: "missed copies",
        expected: if replayed { format!("every one of {of} replayed") } else { format!("none of {of} replayed") },
        observed: format!(
            "{} replayed ({}) after {}",
            count(gap.replayed),
            percent(gap.replayed, gap.sent),
            several(gap.returns, "return", "returns")
        ),
        violations: if replayed { lost } else { gap.replayed },
        witnesses: witnesses([if replayed { &gap.lost_sightings } else { &gap.replayed_sightings }]),
        empty: "nothing was published while anybody was away",
        ..Draft::default()
    };
    vec![draft.conclude(check, evidence)]
}
