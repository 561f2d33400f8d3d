//! `integrity`: bytes and opcode are those sent.

use super::evidence::{Draft, Evidence, witnesses};
use super::words::{count, percent, several};
use super::{Check, Finding};
use crate::event::StrayKind;

pub(super) static CHECK: Check = Check {
    id: "integrity",
    claim: "Copies arrive with the bytes and the opcode they were sent with.",
    needs: "At least one copy received.",
    proves: "The padding of every payload follows from its stamp, so truncation and any changed byte are seen without keeping what was sent; text that became binary (or the other way round) is seen by the opcode. A stamp damaged beyond reading is counted here and not again as missing or stray.",
    examine,
};

fn examine(check: &Check, evidence: &Evidence<'_>) -> Vec<Finding> {
    if !evidence.plan.scenario.checks.integrity || !evidence.publishes() {
        return Vec::new();
    }
    let copies = &evidence.account.copies;
    let unreadable = copies.stray_of(StrayKind::Unreadable);
    let population = copies.received - copies.stray_copies + unreadable;
    let violations = copies.damaged + unreadable;
    let mut kinds: Vec<String> = copies.flaws.iter().map(|(flaw, n)| format!("{flaw} {}", count(*n))).collect();
    if unreadable > 0 {
        kinds.push(format!("unreadable {}", count(unreadable)));
    }
    let draft = Draft {
        population,
        unit: "received copies",
        expected: "the bytes and the opcode sent".into(),
        observed: match violations {
            0 => format!("{}, all intact", several(population, "copy", "copies")),
            n => format!("{} damaged ({}): {}", several(n, "copy", "copies"), percent(n, population), kinds.join(", ")),
        },
        violations,
        note: vec![hint(evidence, violations)],
        witnesses: witnesses([&copies.damage_sightings]),
        empty: "no copy was received",
        ..Draft::default()
    };
    vec![draft.conclude(check, evidence)]
}

fn hint(evidence: &Evidence<'_>, violations: u64) -> Option<String> {
    let copies = &evidence.account.copies;
    let only = |flaw: &str| copies.flaws.get(flaw) == Some(&violations) && copies.flaws.len() == 1;
    if only("opcode") {
        return Some(if copies.text_became_binary == violations {
            "Text became binary: the server forwards the received buffer instead of the text (in Node `ws`: send with `{ binary: isBinary }`).".into()
        } else {
            "Binary became text: the server turns the received bytes into a string.".into()
        });
    }
    if only("length") {
        return Some("Only the length differs: the server cuts or pads messages (a fixed buffer?).".into());
    }
    None
}
