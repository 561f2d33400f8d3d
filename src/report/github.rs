//! GitHub workflow commands: an error for each failed check, a warning for each inconclusive one, the headline as a notice.

use std::fmt::Write as _;

use super::text::who;
use super::{Report, escape, headline};
use crate::base::Instant;
use crate::check::{Finding, Outcome};

/// Lines for the standard output of a workflow step. Nothing but the notice when all passed.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut out = annotations(&report.findings);
    let _ = writeln!(out, "::notice title=wsbench::{}", message(&headline(report)));
    out
}

/// One line for each finding that did not pass.
pub(super) fn annotations(findings: &[Finding]) -> String {
    let mut out = String::new();
    for finding in findings {
        let level = match finding.outcome {
            Outcome::Pass => continue,
            Outcome::Fail => "error",
            Outcome::Inconclusive => "warning",
        };
        let word = super::text::outcome_word(finding.outcome);
        let mut text = format!("expected {}; observed {}", escape(&finding.expected), escape(&finding.observed));
        if !finding.note.is_empty() {
            let _ = write!(text, "\n{}", escape(&finding.note));
        }
        for witness in &finding.witnesses {
            let _ = write!(text, "\n{} {}: {}", Instant::from_nanos(witness.at_ns), who(witness), escape(&witness.what));
        }
        let title = property(&format!("wsbench: {} {word}", escape(&finding.check)));
        let _ = writeln!(out, "::{level} title={title}::{}", message(&text));
    }
    out
}

/// As the runner's own toolkit escapes a message.
pub(super) fn message(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// As the runner's own toolkit escapes a property.
fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_can_end_its_line_or_its_property() {
        assert_eq!(message("50% late\n::error::x"), "50%25 late%0A::error::x");
        assert_eq!(property("a: b, c"), "a%3A b%2C c");
    }
}
