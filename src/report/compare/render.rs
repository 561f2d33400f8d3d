//! A comparison as text, JSON, Markdown and workflow annotations.

use std::fmt::Write as _;

use super::judge::signed;
use super::{Change, Comparison, Judgement};
use crate::check::Outcome;
use crate::report::headline::word;
use crate::report::number::percent;
use crate::report::text::{Style, outcome_word, page_of};
use crate::report::{github as annotations, json as pretty, markdown as md};

/// The comparison as JSON.
#[must_use]
pub fn json(comparison: &Comparison) -> String {
    pretty::pretty(comparison)
}

/// One line that can be pasted: `PASS broadcast against its baseline · nothing worse · 3 better`.
#[must_use]
pub fn headline(comparison: &Comparison) -> String {
    let names = |judgement| {
        let names: Vec<_> =
            comparison.changes.iter().filter(|change| change.judgement == judgement).map(|change| change.metric.as_str()).collect();
        names.join(", ")
    };
    let (worse, better) = (names(Judgement::Worse), names(Judgement::Better));
    let lead = if comparison.limit.is_some() { word(comparison.verdict) } else { "COMPARED" };
    let mut parts = vec![format!("{lead} {} against its baseline", crate::report::escape(&comparison.scenario))];
    parts.push(if worse.is_empty() { "nothing worse beyond noise".into() } else { format!("worse: {worse}") });
    if !better.is_empty() {
        parts.push(format!("better: {better}"));
    }
    for change in &comparison.outcomes {
        parts.push(format!("{} {} → {}", change.check, outcome_word(change.base), outcome_word(change.new)));
    }
    parts.join(" · ")
}

/// The comparison for a terminal.
#[must_use]
pub fn text(comparison: &Comparison, style: &Style) -> String {
    page_of(style, |page| {
        page.verdict(comparison.verdict, &headline(comparison));
        page.blank();
        for (name, side) in [("base", &comparison.base), ("new", &comparison.new)] {
            let mut facts = vec![
                crate::report::number::count(side.runs as u64, "run", "runs"),
                crate::report::escape(side.started_at.first().map_or("", String::as_str)).into_owned(),
                crate::report::escape(&side.target).into_owned(),
            ];
            facts.push(format!("wsbench {}", crate::report::escape(&side.wsbench_version)));
            page.pairs(name, &facts);
        }
        page.heading("Changes");
        page.table(&["metric", "base", "new", "change", "noise", ""], &[false, true, true, true, true, false], &rows(comparison));
        if !comparison.distances.is_empty() {
            page.heading("Whole distributions: 0 alike, 1 apart");
            let rows: Vec<_> = comparison
                .distances
                .iter()
                .map(|d| {
                    let beyond = if d.distance > d.noise { "apart" } else { "within noise" };
                    vec![d.metric.clone(), format!("{:.3}", d.distance), format!("≤ {:.3}", d.noise), beyond.into()]
                })
                .collect();
            page.table(&["distribution", "distance", "noise", ""], &[false, true, true, false], &rows);
        }
        page.blank();
        page.paragraph(2, &comparison.method);
    })
}

fn rows(comparison: &Comparison) -> Vec<Vec<String>> {
    comparison
        .changes
        .iter()
        .map(|change| {
            vec![
                change.metric.clone(),
                change.base_text.clone(),
                change.new_text.clone(),
                change.change.map_or_else(String::new, signed),
                noise(change),
                says(change, comparison.limit).into(),
            ]
        })
        .collect()
}

/// What noise leaves open: the interval, or the p-value.
pub(in crate::report) fn noise(change: &Change) -> String {
    match (change.interval, change.p_worse) {
        (Some((low, high)), _) => format!("{:+.0} … {:+.0}%", low * 100.0, high * 100.0),
        (None, Some(p)) => format!("p = {p:.3}"),
        (None, None) => String::new(),
    }
}

/// The judgement in words.
pub(in crate::report) const fn says(change: &Change, limit: Option<f64>) -> &'static str {
    match (change.judgement, limit) {
        (Judgement::Worse, _) => "worse",
        (Judgement::MaybeWorse, _) => "within noise",
        (Judgement::Same, Some(_)) => "within limit",
        (Judgement::Same, None) => "same",
        (Judgement::Better, _) => "better",
        (Judgement::Unresolved, _) => "unresolved",
    }
}

/// The comparison for a step summary or a pull-request comment.
#[must_use]
pub fn markdown(comparison: &Comparison) -> String {
    let mark = if comparison.limit.is_some() { md::mark(comparison.verdict) } else { "📊" };
    let mut out = format!("### {mark} {}\n\n", md::text(&headline(comparison)));
    if let Some(limit) = comparison.limit {
        let _ = writeln!(out, "Allowed regression: {}\n", percent(limit));
    }
    out.push_str("| metric | base | new | change | noise | |\n|---|---:|---:|---:|---:|---|\n");
    for row in rows(comparison) {
        let _ = writeln!(out, "| {} |", row.iter().map(|cell| md::text(cell)).collect::<Vec<_>>().join(" | "));
    }
    let broken = comparison.findings.iter().filter(|finding| finding.outcome != Outcome::Pass);
    for (n, finding) in broken.enumerate() {
        let lead = if n == 0 { "\n" } else { "" };
        let _ = writeln!(
            out,
            "{lead}- {}: {}, observed {}",
            outcome_word(finding.outcome),
            md::text(&finding.expected),
            md::text(&finding.observed)
        );
    }
    let _ = writeln!(out, "\n<sub>{}</sub>", md::text(&comparison.method));
    out
}

/// Workflow annotations for what did not pass.
#[must_use]
pub fn github(comparison: &Comparison) -> String {
    let mut out = annotations::annotations(&comparison.findings);
    let _ = writeln!(out, "::notice title=wsbench compare::{}", annotations::message(&headline(comparison)));
    out
}
