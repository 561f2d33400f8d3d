//! `stray`: nothing unexpected arrives.

use super::evidence::{Draft, Evidence, witnesses};
use super::words::{count, several};
use super::{Check, Finding};
use crate::account::stray_name;
use crate::event::StrayKind;

pub(super) static CHECK: Check = Check {
    id: "stray",
    claim: "Nothing arrives that should not: no echo where the sender is left out, no other room's or run's messages, nothing unexplained.",
    needs: "At least one client that listened.",
    proves: "Every frame received was a copy of this run, a beat, a pong or a greeting. Which messages are beats, pongs and greetings is the scenario's to say.",
    examine,
};

fn examine(check: &Check, evidence: &Evidence<'_>) -> Vec<Finding> {
    if !evidence.plan.scenario.checks.stray {
        return Vec::new();
    }
    let account = evidence.account;
    let copies = &account.copies;
    let kinds: Vec<_> = copies.stray.iter().filter(|(kind, _)| **kind != StrayKind::Unreadable).collect();
    let violations: u64 = kinds.iter().map(|(_, n)| **n).sum();
    let pongs = [&account.application, &account.protocol].map(|p| p.on_time + p.late + p.again + p.unsolicited).iter().sum::<u64>();
    let messages = copies.received - copies.stray_copies + violations + account.pulse.beats + pongs + account.connections.greetings;
    let (population, unit) =
        if messages > 0 { (messages, "received messages") } else { (account.connections.ready, "clients listened to") };
    let draft = Draft {
        population,
        unit,
        expected: "nothing but copies of this run, beats, pongs and greetings".into(),
        observed: match violations {
            0 => format!("{} {unit}, none stray", count(population)),
            n => {
                let kinds: Vec<_> = kinds.iter().map(|(kind, n)| format!("{} {}", stray_name(**kind), count(**n))).collect();
                format!("{}: {}", several(n, "stray message", "stray messages"), kinds.join(", "))
            }
        },
        violations,
        note: kinds.iter().map(|(kind, _)| Some(hint(**kind).into())).collect(),
        witnesses: witnesses([&copies.stray_sightings]),
        empty: "no client listened",
        ..Draft::default()
    };
    vec![draft.conclude(check, evidence)]
}

const fn hint(kind: StrayKind) -> &'static str {
    match kind {
        StrayKind::Echo => "The server sends publications back to their sender; if that is meant, say `audience = \"all\"`.",
        StrayKind::OtherRoom => "Publications leak from one room into another.",
        StrayKind::OtherRun => "Messages of another run arrive: is another wsbench using this server, or does it replay old messages?",
        StrayKind::Unknown => "Stamps of this run name publications that were never sent.",
        StrayKind::Unexpected => {
            "Messages that nothing explains (see the samples): a greeting, a beat or a pong the scenario does not describe?"
        }
        StrayKind::Unreadable => "",
    }
}
