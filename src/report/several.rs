//! Several runs side by side, as text and Markdown; the tables are shared with the HTML page.

use super::markdown as md;
use super::metric::{METRICS, listed};
use super::number::span;
use super::text::{Style, outcome_word, page_of};
use super::{Report, escape, headline, repeats};
use crate::check::Outcome;

/// Rows of a label and one cell a run.
pub(super) type Table = Vec<(String, Vec<String>)>;

/// What stands first in a comparison of runs; the metric table has the rest.
pub(super) const SHOWN: [&str; 16] = [
    "delivery.ratio",
    "delivery.missing",
    "delivery.late",
    "delivery.p50",
    "delivery.p99",
    "delivery.p99.9",
    "delivery.max",
    "transit.p50",
    "transit.p99",
    "last_receiver.p99",
    "pong.p99",
    "connect.p99",
    "copies.per_second",
    "instrument.late_share",
    "instrument.cpu",
    "instrument.bytes_per_connection",
];

/// `A`, `B`, … with the scenario's name; `run 1`, `run 2`, … of repeats.
pub(super) fn names(reports: &[Report]) -> Vec<String> {
    if repeats::are_repeats(reports) {
        return (1..=reports.len()).map(|n| format!("run {n}")).collect();
    }
    let letter =
        |n: usize| u8::try_from(n).ok().filter(|n| *n < 26).map_or_else(|| format!("#{}", n + 1), |n| char::from(b'A' + n).to_string());
    reports.iter().enumerate().map(|(n, report)| format!("{} {}", letter(n), escape(&report.scenario.name))).collect()
}

/// The worst outcome of every check.
pub(super) fn checks(reports: &[Report]) -> Table {
    let mut ids: Vec<&str> = Vec::new();
    for finding in reports.iter().flat_map(|report| &report.findings) {
        if !ids.contains(&finding.check.as_str()) {
            ids.push(&finding.check);
        }
    }
    ids.into_iter()
        .map(|id| {
            let of = |report: &Report| report.findings.iter().filter(|finding| finding.check == id).map(|finding| finding.outcome).max();
            (id.to_owned(), reports.iter().map(|report| of(report).map_or("", outcome_word).to_owned()).collect())
        })
        .collect()
}

/// The figures that have data in any run.
pub(super) fn figures(reports: &[Report]) -> Table {
    let metrics: Vec<_> = listed(METRICS).collect();
    SHOWN
        .iter()
        .filter_map(|shown| metrics.iter().find(|(name, _)| name == shown))
        .map(|(name, metric)| {
            let cell = |report: &Report| metric.read(report).map_or_else(String::new, |reading| metric.unit().show(reading.value));
            (name.clone(), reports.iter().map(cell).collect::<Vec<_>>())
        })
        .filter(|(_, cells)| cells.iter().any(|cell| !cell.is_empty()))
        .collect()
}

/// Repeats for a terminal: a row a run, what did not pass, what varies.
fn repeats_text(reports: &[Report], style: &Style) -> String {
    page_of(style, |page| {
        let worst = reports.iter().map(|report| report.verdict).max().unwrap_or(Outcome::Inconclusive);
        page.verdict(worst, &repeats::headline(reports));
        page.heading("Runs");
        let (columns, rows) = repeats::rows(reports);
        let head: Vec<&str> = ["", "verdict"].into_iter().chain(columns.iter().map(String::as_str)).collect();
        let numbers: Vec<bool> = (0..head.len()).map(|n| n > 1).collect();
        let rows: Vec<Vec<String>> = rows
            .into_iter()
            .map(|(verdict, mut cells)| {
                cells.insert(1, outcome_word(verdict).to_owned());
                cells
            })
            .collect();
        page.table(&head, &numbers, &rows);
        let broken: Vec<_> = repeats::broken(reports).collect();
        if !broken.is_empty() {
            page.heading("What did not pass");
            for (n, finding) in broken {
                let (check, outcome) = (escape(&finding.check), outcome_word(finding.outcome));
                let (expected, observed) = (escape(&finding.expected), escape(&finding.observed));
                page.paragraph(2, &format!("run {n}: {check} {outcome}: expected {expected}; observed {observed}"));
            }
        }
        page.heading("Between runs");
        let head: Vec<&str> = std::iter::once("").chain(repeats::BETWEEN).collect();
        let rows: Vec<_> =
            repeats::between(reports).into_iter().map(|(label, cells)| std::iter::once(label).chain(cells).collect()).collect();
        page.table(&head, &[false, true, true, true, true], &rows);
    })
}

/// Several runs for a terminal.
#[must_use]
pub fn text(reports: &[Report], style: &Style) -> String {
    if repeats::are_repeats(reports) {
        return repeats_text(reports, style);
    }
    let names = names(reports);
    page_of(style, |page| {
        for (report, name) in reports.iter().zip(&names) {
            page.verdict(report.verdict, &headline(report));
            let facts =
                [escape(&report.started_at).into_owned(), escape(&report.target.url).into_owned(), format!("took {}", took(report))];
            page.pairs(name.split(' ').next().unwrap_or_default(), &facts);
        }
        for (title, table) in [("Checks", checks(reports)), ("Figures", figures(reports))] {
            page.heading(title);
            let head: Vec<&str> = std::iter::once("").chain(names.iter().map(String::as_str)).collect();
            let numbers: Vec<bool> = (0..head.len()).map(|n| n > 0).collect();
            let rows: Vec<_> = table.into_iter().map(|(label, cells)| std::iter::once(label).chain(cells).collect()).collect();
            page.table(&head, &numbers, &rows);
        }
    })
}

/// Repeats for a pull request.
fn repeats_markdown(reports: &[Report]) -> String {
    let worst = reports.iter().map(|report| report.verdict).max().unwrap_or(Outcome::Inconclusive);
    let mut out = format!("### {} {}\n\n", md::mark(worst), md::text(&repeats::headline(reports)));
    let (columns, rows) = repeats::rows(reports);
    let columns: Vec<_> = columns.iter().map(|name| md::text(name)).collect();
    out.push_str(&format!("| | | {} |\n|---|---|{}\n", columns.join(" | "), "---:|".repeat(columns.len())));
    for (verdict, cells) in rows {
        let cells: Vec<_> = cells.iter().map(|cell| md::text(cell)).collect();
        out.push_str(&format!("| {} | {} |\n", md::mark(verdict), cells.join(" | ")));
    }
    for (at, (n, finding)) in repeats::broken(reports).enumerate() {
        let lead = if at == 0 { "\n" } else { "" };
        let (expected, observed) = (md::text(&finding.expected), md::text(&finding.observed));
        let (check, outcome) = (md::text(&finding.check), outcome_word(finding.outcome));
        out.push_str(&format!("{lead}- run {n}: {check} {outcome}: {expected}, observed {observed}\n"));
    }
    out.push_str(&format!("\n| between runs | {} |\n|---|{}\n", repeats::BETWEEN.join(" | "), "---:|".repeat(repeats::BETWEEN.len())));
    for (label, cells) in repeats::between(reports) {
        let cells: Vec<_> = cells.iter().map(|cell| md::text(cell)).collect();
        out.push_str(&format!("| {} | {} |\n", md::text(&label), cells.join(" | ")));
    }
    out
}

/// Several runs for a pull request.
#[must_use]
pub fn markdown(reports: &[Report]) -> String {
    if repeats::are_repeats(reports) {
        return repeats_markdown(reports);
    }
    let names = names(reports);
    let mut out = String::from("### wsbench: runs side by side\n\n");
    for (report, name) in reports.iter().zip(&names) {
        let letter = name.split(' ').next().unwrap_or_default();
        out.push_str(&format!("- **{letter}** {} {}\n", md::mark(report.verdict), md::text(&headline(report))));
    }
    for table in [checks(reports), figures(reports)] {
        let head: Vec<_> = names.iter().map(|name| md::text(name)).collect();
        out.push_str(&format!("\n| | {} |\n|---|{}\n", head.join(" | "), "---:|".repeat(names.len())));
        for (label, cells) in table {
            let cells: Vec<_> = cells.iter().map(|cell| md::text(cell)).collect();
            out.push_str(&format!("| {} | {} |\n", md::text(&label), cells.join(" | ")));
        }
    }
    out
}

fn took(report: &Report) -> String {
    span(report.summary.phases.iter().map(|phase| phase.took_ns).sum())
}
