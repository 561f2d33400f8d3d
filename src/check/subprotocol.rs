//! `subprotocol`: the server chooses one of those offered.

use super::evidence::{Draft, Evidence, witnesses};
use super::words::{count, percent, several};
use super::{Check, Finding};

pub(super) static CHECK: Check = Check {
    id: "subprotocol",
    claim: "The server chooses one of the subprotocols that a client offers.",
    needs: "At least one connection opened by a client that offers any.",
    proves: "Sec-WebSocket-Protocol was read in every answer that opened a connection (RFC 6455 section 4.2.2). A server that chooses one that was not offered opens no connection at all: that is told by connect.",
    examine,
};

fn examine(check: &Check, evidence: &Evidence<'_>) -> Vec<Finding> {
    if !evidence.plan.scenario.checks.subprotocol {
        return Vec::new();
    }
    let sums = &evidence.account.connections;
    let chosen = sums.offering.saturating_sub(sums.unchosen);
    let mut offered: Vec<_> = evidence.plan.scenario.groups.iter().flat_map(|group| &group.subprotocols).map(String::as_str).collect();
    offered.sort_unstable();
    offered.dedup();
    let connections = several(sums.offering, "connection", "connections");
    let draft = Draft {
        population: sums.offering,
        unit: "connections",
        expected: format!("one of those offered ({}) on every one of {connections}", offered.join(", ")),
        observed: match sums.unchosen {
            0 => format!("chosen on {}", count(chosen)),
            n => format!("chosen on {}, none on {} ({})", count(chosen), count(n), percent(n, sums.offering)),
        },
        violations: sums.unchosen,
        witnesses: witnesses([&sums.unchosen_sightings]),
        empty: "no client that offers a subprotocol could connect",
        note: vec![
            (sums.unchosen > 0 && chosen == 0)
                .then(|| "The server may know none of them, or take the name from elsewhere: `subprotocols` says what is offered.".into()),
        ],
        ..Draft::default()
    };
    vec![draft.conclude(check, evidence)]
}
