//! Markdown for a pull request: the tally, a line a section, the failures. Several servers make one table.

use std::fmt::Write as _;

use super::{Report, Row, sections};
use crate::conformance::verdict::Outcome;

/// Text safe inside a table cell.
fn cell(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect::<String>()
        .replace('\\', "\\\\")
        .replace('|', "\\|")
        .replace('<', "&lt;")
}

/// One report, or several side by side.
#[must_use]
pub fn render(reports: &[Report]) -> String {
    let mut out = String::from("## WebSocket conformance\n\n| target | cases |");
    let outcomes: Vec<Outcome> = Outcome::ALL.into_iter().filter(|o| reports.iter().any(|r| r.count(*o) > 0)).collect();
    outcomes.iter().for_each(|o| {
        let _ = write!(out, " {} |", o.word());
    });
    out.push_str("\n|---|---:|");
    outcomes.iter().for_each(|_| out.push_str("---:|"));
    out.push('\n');
    for report in reports {
        let _ = write!(out, "| {} | {} |", cell(&report.target), report.cases.len());
        outcomes.iter().for_each(|o| {
            let _ = write!(out, " {} |", report.count(*o));
        });
        out.push('\n');
    }
    for report in reports {
        one(&mut out, report);
    }
    out
}

fn one(out: &mut String, report: &Report) {
    let _ =
        writeln!(out, "\n### {} ({})\n\n| section | passed | of | not passed |\n|---|---:|---:|---|", cell(&report.target), report.kind);
    for rows in sections(&report.cases) {
        let passed = rows.iter().filter(|r| matches!(r.outcome(), Outcome::Pass | Outcome::Info)).count();
        let rest: Vec<String> = rows
            .iter()
            .filter(|r| !matches!(r.outcome(), Outcome::Pass | Outcome::Info | Outcome::Skipped))
            .take(8)
            .map(|r| format!("{} {}", r.id, r.outcome))
            .collect();
        let name = rows.first().map_or("", |r| r.section.as_str());
        let _ = writeln!(out, "| {} | {passed} | {} | {} |", cell(name), rows.len(), cell(&rest.join(", ")));
    }
    let failures: Vec<&Row> = report.failures().collect();
    if failures.is_empty() {
        return;
    }
    let _ =
        writeln!(out, "\n<details><summary>{} failures</summary>\n\n| case | RFC | expected | actual |\n|---|---|---|---|", failures.len());
    for row in failures {
        let _ = writeln!(out, "| {} | {} {} | {} | {} |", row.id, row.level, cell(&row.rfc), cell(&row.expected), cell(&row.actual));
    }
    out.push_str("\n</details>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_stand_side_by_side_and_cells_stay_cells() {
        let two = [super::super::tests::sample(), super::super::tests::sample()];
        let text = render(&two);
        assert_eq!(text.matches("| ws://h/ | 8 |").count(), 2);
        assert!(text.contains("6.4.6 FAIL") && text.contains("it carried &lt;on>"));
        let columns = |line: &str| line.replace("\\|", "").matches('|').count();
        let table: Vec<&str> = text.lines().filter(|l| l.starts_with("| 6.4")).collect();
        assert!(table.iter().all(|l| columns(l) == 5), "{table:?}");
    }
}
