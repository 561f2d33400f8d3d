//! Account → Findings → Verdict. Pure: must never know a socket, a byte, a clock or a terminal.
//!
//! One file a check, each one row of the [`CATALOGUE`]: what it claims of the server, what it needs, what a pass proves.
//! Running, listing and explaining all read that table.

mod connect;
mod delivery;
mod duplicate;
mod evidence;
mod feed;
mod finding;
mod heartbeat;
mod instrument;
mod integrity;
mod latency;
mod order;
mod pong;
mod publish;
mod stray;
mod subprotocol;
mod survival;
mod words;

#[cfg(test)]
mod tests;

use crate::account::Account;
use crate::plan::Plan;
use evidence::Evidence;
pub use finding::{Finding, Outcome, Verdict, Witness};

/// A row of the catalogue.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// Its id: in findings, reports and `wsbench explain`.
    pub id: &'static str,
    /// What is claimed of the server (or, for `instrument`, of wsbench), in a sentence.
    pub claim: &'static str,
    /// What a run must have for the check to say anything.
    pub needs: &'static str,
    /// What a pass proves, and what it does not.
    pub proves: &'static str,
    /// The judgement: no finding when the check was not asked for.
    examine: fn(&Check, &Evidence<'_>) -> Vec<Finding>,
}

/// Every check, in the order in which findings are listed.
pub static CATALOGUE: [Check; 14] = [
    connect::CHECK,
    subprotocol::CHECK,
    survival::CHECK,
    publish::CHECK,
    delivery::CHECK,
    duplicate::CHECK,
    order::CHECK,
    integrity::CHECK,
    stray::CHECK,
    latency::CHECK,
    pong::CHECK,
    heartbeat::CHECK,
    feed::CHECK,
    instrument::CHECK,
];

/// The check with this id.
#[must_use]
pub fn find(id: &str) -> Option<&'static Check> {
    CATALOGUE.iter().find(|check| check.id == id)
}

/// One finding per check asked for (one per limit for `latency`), in the catalogue's order.
#[must_use]
pub fn judge(plan: &Plan, account: &Account) -> Vec<Finding> {
    let evidence = Evidence::new(plan, account);
    CATALOGUE.iter().flat_map(|check| (check.examine)(check, &evidence)).collect()
}

/// The greatest outcome of all findings; of none, Inconclusive: no evidence is never a pass.
#[must_use]
pub fn verdict(findings: &[Finding]) -> Verdict {
    findings.iter().map(|finding| finding.outcome).max().unwrap_or(Outcome::Inconclusive)
}
