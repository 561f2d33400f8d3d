//! The terminal's form: a grid by section, then every failure with Expected, Actual and the RFC's section, then the tally.

use std::fmt::Write as _;

use super::{Report, Row, sections};
use crate::conformance::verdict::Outcome;

/// How text may look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Colours.
    pub colour: bool,
    /// Unicode.
    pub unicode: bool,
    /// Columns.
    pub width: usize,
}

const fn mark(outcome: Outcome, unicode: bool) -> (char, &'static str) {
    match outcome {
        Outcome::Pass => (if unicode { '●' } else { '.' }, "32"),
        Outcome::NonStrict => (if unicode { '◐' } else { 'n' }, "33"),
        Outcome::Limit => (if unicode { '◑' } else { 'l' }, "33"),
        Outcome::Info => (if unicode { '○' } else { 'i' }, "36"),
        Outcome::Unimplemented => ('u', "35"),
        Outcome::Skipped => (if unicode { '·' } else { '-' }, "90"),
        Outcome::Fail => (if unicode { '✗' } else { 'F' }, "31;1"),
        Outcome::Error => ('E', "31;1"),
    }
}

fn paint(text: &str, code: &str, look: Look) -> String {
    if look.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// The whole report; with `dialogues`, every conversation too.
#[must_use]
pub fn render(report: &Report, look: Look, dialogues: bool) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{}  {} ({})\n", paint("conformance", "1", look), report.target, report.kind);
    grid(&mut out, report, look);
    legend(&mut out, look);
    if dialogues {
        for row in &report.cases {
            case(&mut out, row, look, true);
        }
    } else {
        for row in report.failures() {
            case(&mut out, row, look, false);
        }
    }
    skipped(&mut out, report, look);
    #[expect(clippy::cast_precision_loss, reason = "seconds for people")]
    let seconds = report.took_ms as f64 / 1000.0;
    let failed = report.failures().count();
    let verdict = if failed == 0 { paint("passed", "32;1", look) } else { paint(&format!("{failed} failed"), "31;1", look) };
    let strict = if report.strict { " (strict)" } else { "" };
    let _ = writeln!(out, "{} cases in {seconds:.1} s: {}. {verdict}{strict}", report.cases.len(), report.tally());
    out
}

fn grid(out: &mut String, report: &Report, look: Look) {
    let name_width = 44.min(look.width / 2);
    let per_line = look.width.saturating_sub(name_width + 3).clamp(10, 90);
    let mut group = "";
    for rows in sections(&report.cases) {
        let Some(first) = rows.first() else { continue };
        if first.group != group {
            group = &first.group;
            let _ = writeln!(out, "{}", paint(group, "1", look));
        }
        let label = if first.section == first.group { String::new() } else { first.section.clone() };
        for (n, line) in rows.chunks(per_line).enumerate() {
            let label: String = if n == 0 { label.chars().take(name_width).collect() } else { String::new() };
            let _ = write!(out, "  {label:<name_width$} ");
            for same in line.chunk_by(|a, b| a.outcome == b.outcome) {
                let (mark, code) = mark(same[0].outcome(), look.unicode);
                out.push_str(&paint(&mark.to_string().repeat(same.len()), code, look));
            }
            out.push('\n');
        }
    }
    out.push('\n');
}

fn legend(out: &mut String, look: Look) {
    let words: Vec<String> = Outcome::ALL
        .into_iter()
        .map(|o| {
            let (mark, code) = mark(o, look.unicode);
            format!("{} {}", paint(&mark.to_string(), code, look), o.word())
        })
        .collect();
    let _ = writeln!(out, "{}\n", words.join("  "));
}

fn case(out: &mut String, row: &Row, look: Look, dialogue: bool) {
    let (_, code) = mark(row.outcome(), look.unicode);
    let rfc = if row.rfc.starts_with(|c: char| c.is_ascii_digit()) { format!("RFC {}", row.rfc) } else { row.rfc.clone() };
    let _ = writeln!(out, "{} {}  {} ({}, {rfc})", paint(&row.outcome, code, look), paint(&row.id, "1", look), row.section, row.level);
    let _ = writeln!(out, "  Sent      {}", row.sends);
    let _ = writeln!(out, "  Expected  {}", row.expected);
    let _ = writeln!(out, "  Actual    {}", row.actual);
    let _ = writeln!(out, "  Autobahn  behavior {}, close {}", row.behavior, row.behavior_close);
    if dialogue {
        for line in &row.dialogue {
            let _ = writeln!(out, "  {line}");
        }
    }
    out.push('\n');
}

/// Reasons for skipping, each once.
fn skipped(out: &mut String, report: &Report, look: Look) {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for row in report.cases.iter().filter(|r| r.outcome() == Outcome::Skipped) {
        match reasons.iter_mut().find(|(reason, _)| *reason == row.actual) {
            Some((_, ids)) => ids.push(&row.id),
            None => reasons.push((&row.actual, vec![&row.id])),
        }
    }
    for (reason, ids) in &reasons {
        let first = ids.iter().take(6).copied().collect::<Vec<_>>().join(" ");
        let more = if ids.len() > 6 { " …" } else { "" };
        let _ = writeln!(out, "{} {} cases ({first}{more}): {reason}", paint("SKIPPED", "90", look), ids.len());
    }
    if !reasons.is_empty() {
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_shows_each_outcome_and_failures_say_expected_and_actual() {
        let look = Look { colour: false, unicode: false, width: 100 };
        let text = render(&super::super::tests::sample(), look, false);
        assert!(text.contains("6.3 invalid") && text.contains(".nli\n"), "{text}");
        assert!(text.contains("6.4 fail-fast") && text.contains("u-FE\n"), "{text}");
        for wanted in ["FAIL 6.4.6", "Expected  Close 1007", "Actual    it carried <on>", "RFC 6455 8.1", "2 failed", "SKIPPED 1 cases"] {
            assert!(text.contains(wanted), "{wanted}: {text}");
        }
        assert!(!text.contains("> text"), "dialogues only on request");
        assert!(render(&super::super::tests::sample(), look, true).contains("> text"));
    }
}
