//! `stray_after_leave`: who has left is sent nothing more.

use super::evidence::{Draft, Evidence, witnesses};
use super::words::{count, several};
use super::{Check, Finding};
use crate::account::Disrupted;

pub(super) static CHECK: Check = Check {
    id: "stray_after_leave",
    claim: "A client that has left is sent nothing more: no publication sent well after its Close frame, and nothing behind the server's own.",
    needs: "Clients that leave by a closing handshake (`close`, `churn`) while anything is published.",
    proves: "Each such connection was read to its end. Copies of publications sent within the limit of our Close are on their way and fine, later ones are not; and behind a server's Close frame nothing may stand (RFC 6455 section 5.5.1).",
    examine,
};

fn examine(check: &Check, evidence: &Evidence<'_>) -> Vec<Finding> {
    let scenario = &evidence.plan.scenario;
    let Some(asked) = scenario.checks.disruption.stray_after_leave else { return Vec::new() };
    let left: Vec<&Disrupted> = (0..)
        .zip(&scenario.disrupt)
        .filter(|(_, d)| d.verb.says_goodbye())
        .filter_map(|(n, _)| evidence.account.disruptions.of(n))
        .collect();
    let leaves = left.iter().map(|d| d.struck).sum();
    let strays = left.iter().map(|d| d.strays).sum::<u64>();
    let draft = Draft {
        population: leaves,
        unit: "leaves",
        expected: format!("nothing sent more than {} after any of {}", asked.within, several(leaves, "leave", "leaves")),
        observed: match strays {
            0 => "nothing came".into(),
            n => format!("{} came for clients that had left", several(n, "copy", "copies")),
        },
        violations: strays,
        witnesses: witnesses(left.iter().map(|d| &d.stray_sightings)),
        empty: "nobody left",
        note: vec![(strays > 0).then(|| format!("The server still has them in its list: {} for nobody.", count(strays)))],
        ..Draft::default()
    };
    vec![draft.conclude(check, evidence)]
}
