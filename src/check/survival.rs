//! `survival`: no connection ends unasked.

use super::evidence::{Draft, Evidence, witnesses};
use super::words::{count, several};
use super::{Check, Finding};

pub(super) static CHECK: Check = Check {
    id: "survival",
    claim: "No connection that opened is closed, broken or made unusable by the server before the run closes it.",
    needs: "At least one connection that opened.",
    proves: "Every connection was watched until the close phase. Copies that overlap a lost connection are contested, so that one mistake is one finding.",
    examine,
};

fn examine(check: &Check, evidence: &Evidence<'_>) -> Vec<Finding> {
    if !evidence.plan.scenario.checks.survival {
        return Vec::new();
    }
    let sums = &evidence.account.connections;
    let lost = sums.lost_total();
    let how = sums.lost.iter().map(|(who, n)| {
        let n = count(*n);
        match who.as_str() {
            "server" => format!("{n} closed by the server"),
            "network" => format!("{n} broken without a Close frame"),
            _ => format!("{n} after the server broke the protocol"),
        }
    });
    let codes: Vec<_> = sums.lost_codes.iter().map(|(code, n)| format!("{code} × {}", count(*n))).collect();
    let draft = Draft {
        population: sums.opened,
        unit: "connections",
        expected: format!("none of {} ends unasked", several(sums.opened, "connection", "connections")),
        observed: match lost {
            0 => "none ended unasked".into(),
            n => format!("{} ended: {} (close codes: {})", count(n), how.collect::<Vec<_>>().join(", "), codes.join(", ")),
        },
        violations: lost,
        timing: sums.lost_unheard,
        excuse: (sums.lost_unheard > 0).then(|| {
            format!(
                "{} lost while wsbench itself stood still: a server may give up a client that neither reads nor answers.",
                several(sums.lost_unheard, "connection was", "connections were")
            )
        }),
        note: vec![hint(evidence, lost)],
        witnesses: witnesses([&sums.losses]),
        empty: "no connection opened",
    };
    vec![draft.conclude(check, evidence)]
}

fn hint(evidence: &Evidence<'_>, lost: u64) -> Option<String> {
    let sums = &evidence.account.connections;
    if lost == 0 {
        return None;
    }
    if sums.lost.len() == 1 && sums.lost.contains_key("violation") {
        return Some("The server sends what RFC 6455 forbids; the witnesses say what.".into());
    }
    if lost == sums.opened && lost > 1 {
        return Some("Every connection ended: did the server stop, or does one failing send take the others down?".into());
    }
    if sums.lost_codes.len() == 1 && sums.lost_codes.contains_key("1013") {
        return Some("All with code 1013 (try again later): the server gives up clients it finds too slow.".into());
    }
    None
}
