//! TAP 14: a test point a check, with a YAML block where there is something to say.

use std::fmt::Write as _;

use super::text::outcome_word;
use super::{Report, escape, headline};
use crate::check::Outcome;

/// The findings as a TAP stream. Inconclusive is `not ok`: no evidence is never a pass.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut out = format!("TAP version 14\n1..{}\n# {}\n", report.findings.len(), hash(&headline(report)));
    for (n, finding) in report.findings.iter().enumerate() {
        let ok = if finding.outcome == Outcome::Pass { "ok" } else { "not ok" };
        let _ = writeln!(out, "{ok} {} - {}: {}", n + 1, hash(&finding.check), hash(&finding.expected));
        if finding.outcome != Outcome::Pass {
            let _ = writeln!(out, "  ---\n  outcome: {}\n  report: |", outcome_word(finding.outcome));
            for line in super::junit::body(finding).lines() {
                let _ = writeln!(out, "    {line}");
            }
            out.push_str("  ...\n");
        }
    }
    out
}

/// `#` begins a directive unless escaped, and the escape itself must be.
fn hash(text: &str) -> String {
    escape(text).replace('\\', "\\\\").replace('#', "\\#")
}
