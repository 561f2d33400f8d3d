//! Repeats: several runs of one plan as one thing, with what varies between them. Shared by text, Markdown and HTML.

use super::metric::{METRICS, listed};
use super::number::{count, percent};
use super::several::{SHOWN, Table};
use super::text::outcome_word;
use super::{Report, escape, headline::word};
use crate::check::{Finding, Outcome};

/// Whether these are repeats: more than one run of one plan against one target (built-in servers take a port of their own).
pub(super) fn are_repeats(reports: &[Report]) -> bool {
    let [first, rest @ ..] = reports else { return false };
    let target = |report: &Report| if report.target.built_in { String::new() } else { report.target.url.clone() };
    let alike = |report: &Report| {
        report.plan.digest == first.plan.digest
            && report.seed == first.seed
            && report.target.built_in == first.target.built_in
            && target(report) == target(first)
    };
    !rest.is_empty() && rest.iter().all(alike)
}

/// `FAIL broadcast · 5 runs, 1 fail, 4 pass · 1,000 clients`.
pub(super) fn headline(reports: &[Report]) -> String {
    let worst = reports.iter().map(|report| report.verdict).max().unwrap_or(Outcome::Inconclusive);
    let mut runs = count(reports.len() as u64, "run", "runs");
    for outcome in [Outcome::Fail, Outcome::Inconclusive, Outcome::Pass] {
        let n = reports.iter().filter(|report| report.verdict == outcome).count();
        if n > 0 {
            runs.push_str(&format!(", {n} {}", outcome_word(outcome)));
        }
    }
    let Some(first) = reports.first() else { return word(worst).to_owned() };
    let clients = count(first.plan.connections.into(), "client", "clients");
    format!("{} {} · {runs} · {clients}", word(worst), escape(&first.scenario.name))
}

/// What a run is told by, a row a run: figures, and what stands above them.
const RUN_COLUMNS: [(&str, &str); 6] = [
    ("delivery.ratio", "delivered"),
    ("delivery.p50", "p50"),
    ("delivery.p99", "p99"),
    ("delivery.max", "max"),
    ("pong.p99", "pong p99"),
    ("copies.per_second", "copies"),
];

/// A row a run: its name, its verdict, its figures; columns that no run has data for are left out.
pub(super) fn rows(reports: &[Report]) -> (Vec<String>, Vec<(Outcome, Vec<String>)>) {
    let all: Vec<_> = listed(METRICS).collect();
    let metrics: Vec<_> = RUN_COLUMNS
        .iter()
        .filter_map(|(wanted, head)| all.iter().find(|(name, _)| name == wanted).map(|(_, metric)| (*head, metric)))
        .filter(|(_, metric)| reports.iter().any(|report| metric.read(report).is_some()))
        .collect();
    let cell = |report: &Report, metric: &super::metric::Metric| {
        metric.read(report).map_or_else(String::new, |reading| metric.unit().show(reading.value))
    };
    let rows = reports
        .iter()
        .enumerate()
        .map(|(n, report)| {
            let figures = metrics.iter().map(|(_, metric)| cell(report, metric));
            (report.verdict, std::iter::once(format!("run {}", n + 1)).chain(figures).collect())
        })
        .collect();
    (metrics.iter().map(|(head, _)| (*head).to_owned()).collect(), rows)
}

/// What did not pass, with the run it was seen in (from 1).
pub(super) fn broken(reports: &[Report]) -> impl Iterator<Item = (usize, &Finding)> {
    let all = reports.iter().enumerate().flat_map(|(n, report)| report.findings.iter().map(move |finding| (n + 1, finding)));
    all.filter(|(_, finding)| finding.outcome != Outcome::Pass)
}

/// What the columns of [`between`] are.
pub(super) const BETWEEN: [&str; 4] = ["median", "least", "most", "varies by"];

/// Each figure over the runs: median, least, most, and the standard deviation between runs as a share of their mean.
pub(super) fn between(reports: &[Report]) -> Table {
    let metrics: Vec<_> = listed(METRICS).collect();
    let row = |shown: &&str| {
        let (name, metric) = metrics.iter().find(|(name, _)| name == shown)?;
        let mut values: Vec<f64> = reports.iter().filter_map(|report| metric.read(report)).map(|reading| reading.value).collect();
        values.sort_by(f64::total_cmp);
        let show = |value: f64| metric.unit().show(value);
        let (least, most) = (values.first()?, values.last()?);
        let middle = values.len() / 2;
        let median = if values.len().is_multiple_of(2) { f64::midpoint(values[middle - 1], values[middle]) } else { values[middle] };
        Some((name.clone(), vec![show(median), show(*least), show(*most), varies(&values)]))
    };
    SHOWN.iter().filter_map(row).collect()
}

/// The sample's standard deviation as a share of its mean; nothing for fewer than two.
#[expect(clippy::cast_precision_loss, reason = "at most a hundred runs")]
fn varies(values: &[f64]) -> String {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    if values.len() < 2 {
        return String::new();
    }
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    if variance == 0.0 { "nothing".into() } else { format!("±{}", percent(variance.sqrt() / mean.abs().max(f64::MIN_POSITIVE))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_varies_is_the_sample_s_standard_deviation() {
        assert_eq!(varies(&[9.0, 10.0, 11.0]), "±10%");
        assert_eq!(varies(&[4.0, 4.0]), "nothing");
        assert_eq!(varies(&[4.0]), "");
    }
}
