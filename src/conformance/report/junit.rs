//! JUnit XML: a suite per section, a failure with Expected and Actual, skips with their reason.

use std::fmt::Write as _;

use super::{Report, Row, sections};
use crate::conformance::verdict::Outcome;

/// Text safe inside XML 1.0: markup escaped, forbidden control characters replaced.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[expect(clippy::cast_precision_loss, reason = "seconds for people")]
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

/// The whole report.
#[must_use]
pub fn render(report: &Report) -> String {
    let failed = |rows: &[Row]| rows.iter().filter(|r| r.outcome() != Outcome::Error && r.outcome().fails(report.strict)).count();
    let count = |rows: &[Row], outcome| rows.iter().filter(|r| r.outcome() == outcome).count();
    let all = &report.cases;
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        out,
        "<testsuites name=\"wsbench conformance {}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{:.3}\">",
        escape(&report.target),
        all.len(),
        failed(all),
        count(all, Outcome::Error),
        count(all, Outcome::Skipped),
        seconds(report.took_ms)
    );
    for rows in sections(all) {
        let name = rows.first().map_or("", |r| r.section.as_str());
        let _ = writeln!(
            out,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{:.3}\">",
            escape(name),
            rows.len(),
            failed(rows),
            count(rows, Outcome::Error),
            count(rows, Outcome::Skipped),
            seconds(rows.iter().map(|r| r.duration_ms).sum())
        );
        rows.iter().for_each(|row| case(&mut out, row, report.strict));
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

fn case(out: &mut String, row: &Row, strict: bool) {
    let _ = write!(
        out,
        "    <testcase classname=\"conformance.{}\" name=\"{}\" time=\"{:.3}\"",
        escape(row.group.split(' ').next().unwrap_or_default()),
        escape(&format!("{} {}", row.id, row.sends.chars().take(120).collect::<String>())),
        seconds(row.duration_ms)
    );
    let detail = || {
        escape(&format!(
            "Expected: {}\nActual: {}\nbehavior {}, close {}; {} RFC {}\n\n{}",
            row.expected,
            row.actual,
            row.behavior,
            row.behavior_close,
            row.level,
            row.rfc,
            row.dialogue.join("\n")
        ))
    };
    match row.outcome() {
        Outcome::Skipped => {
            let _ = writeln!(out, "><skipped message=\"{}\"/></testcase>", escape(&row.actual));
        }
        Outcome::Error => {
            let _ = writeln!(out, "><error message=\"{}\">{}</error></testcase>", escape(&row.actual), detail());
        }
        outcome if outcome.fails(strict) => {
            let _ =
                writeln!(out, "><failure message=\"{}\" type=\"{}\">{}</failure></testcase>", escape(&row.actual), row.outcome, detail());
        }
        Outcome::Pass => out.push_str("/>\n"),
        _ => {
            let _ = writeln!(out, "><system-out>{}: {}</system-out></testcase>", row.outcome, escape(&row.actual));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_has_a_name_and_nothing_breaks_the_xml() {
        let xml = render(&super::super::tests::sample());
        assert_eq!(xml.matches("<testcase ").count(), 8);
        assert_eq!(xml.matches(" name=\"6.").count(), 8 + 2, "a name for each case and each of two suites");
        assert!(xml.contains("failures=\"1\" errors=\"1\" skipped=\"1\""));
        assert!(!xml.contains('\u{1}') && !xml.contains("<on>") && xml.contains("&lt;on&gt;"));
    }
}
