//! The verdict in one line that can be pasted into a chat.

use super::number::{count, group, span};
use super::{Report, escape};
use crate::check::Outcome;
use crate::scenario::model::Metric;

/// `FAIL broadcast · delivery, heartbeat failed · latency inconclusive · 1,000 clients · 499,985 of 500,000 copies · p99 84.2ms`.
/// One line, no control characters, no colour.
#[must_use]
pub fn headline(report: &Report) -> String {
    let mut parts = vec![format!("{} {}", word(report.verdict), escape(&report.scenario.name))];
    for (outcome, says) in [(Outcome::Fail, "failed"), (Outcome::Inconclusive, "inconclusive")] {
        let mut names: Vec<_> = report.with_outcome(outcome).map(|finding| escape(&finding.check)).collect();
        names.dedup();
        if !names.is_empty() {
            parts.push(format!("{} {says}", names.join(", ")));
        }
    }
    if report.findings.is_empty() {
        parts.push("no check was asked".into());
    }
    parts.push(count(report.plan.connections.into(), "client", "clients"));
    let copies = &report.summary.copies;
    if copies.owed > 0 {
        parts.push(format!("{} of {} copies", group(copies.on_time + copies.late), group(copies.owed)));
    }
    if let Some(p99) = report.summary.latency.get(&Metric::Delivery).and_then(|delivery| delivery.percentile(99.0)) {
        parts.push(format!("p99 {}", span(p99)));
    }
    parts.join(" · ")
}

/// The verdict as a word that is seen.
pub(super) const fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "PASS",
        Outcome::Inconclusive => "INCONCLUSIVE",
        Outcome::Fail => "FAIL",
    }
}
