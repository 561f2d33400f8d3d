//! `resume`: what clients missed while they were away is replayed, or is not, as promised.

use super::evidence::{Draft, Evidence, witnesses};
use super::words::{count, percent, several};
use super::{Check, Finding};
use crate::scenario::model::Resume;

pub(super) static CHECK: Check = Check {
    id: "resume",
    claim: "What was published while a client was away is replayed to it when it is back; or, where nothing is promised, never comes.",
    needs: "Clients that come back, and publications sent while they were away.",
    proves: "Every publication sent between the end of a client's connection and its next membership was looked for on the new connection. Replayed copies may come in any order and at any time until the run ends; what was on its way when the connection ended is not judged. Where nothing is promised, neither is what was sent after the client had begun to connect again: it may have been let in before it knew.",
    examine,
};

fn examine(check: &Check, evidence: &Evidence<'_>) -> Vec<Finding> {
    let Some(asked) = evidence.plan.scenario.checks.disruption.resume else { return Vec::new() };
    let gap = &evidence.account.disruptions.resume;
    let replayed = asked == Resume::Replayed;
    // What was sent while a client was on its way back may have found it there already.
    let (sent, came) = match asked {
        Resume::Replayed => (gap.sent, gap.replayed),
        Resume::Nothing => (gap.sent - gap.returning, gap.replayed - gap.returning_came),
    };
    let of = several(sent, "copy", "copies");
    let draft = Draft {
        population: sent,
        unit: "missed copies",
        expected: if replayed { format!("every one of {of} replayed") } else { format!("none of {of} replayed") },
        observed: format!("{} replayed ({}) after {}", count(came), percent(came, sent), several(gap.returns, "return", "returns")),
        violations: if replayed { sent - came.min(sent) } else { came },
        witnesses: witnesses([if replayed { &gap.lost_sightings } else { &gap.replayed_sightings }]),
        empty: "nothing was published while anybody was away",
        ..Draft::default()
    };
    vec![draft.conclude(check, evidence)]
}
