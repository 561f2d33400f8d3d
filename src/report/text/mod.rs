//! The terminal report: verdict first, then checks, latencies, loads, and what the instrument says against itself.
//!
//! Every line fits the width of its [`Style`]; meaning is carried by words and marks, colour only repeats it; nothing that
//! came from the network reaches a terminal unescaped.

mod checks;
mod figures;
mod latency;
mod page;
mod spark;
mod style;

pub(in crate::report) use checks::who;
pub(in crate::report) use figures::figures;
pub(in crate::report) use latency::metric_name;
pub(in crate::report) use spark::bins;
pub use style::Style;

use super::number::{count, group};
use super::{Report, escape, headline};
use crate::base::Span;
use crate::check::Outcome;
use crate::event::Phase;
use page::Page;

/// The whole report as text, ending in a line feed.
#[must_use]
pub fn render(report: &Report, style: &Style) -> String {
    page_of(style, |page| {
        page.verdict(report.verdict, &headline(report));
        setting(page, report);
        checks::render(page, &report.findings);
        latency::render(page, &report.summary);
        for (title, rows) in figures(report).groups {
            page.heading(title);
            rows.iter().for_each(|(label, values)| page.pairs(label, values));
        }
    })
}

/// A page of another kind in the same dress.
pub(super) fn page_of(style: &Style, write: impl FnOnce(&mut Page)) -> String {
    let mut page = Page::new(*style);
    write(&mut page);
    page.finish()
}

/// What ran, against whom, with which seed.
fn setting(page: &mut Page, report: &Report) {
    page.blank();
    if let Some(description) = &report.scenario.description {
        page.paragraph(2, &escape(description));
        page.blank();
    }
    let plan = &report.plan;
    let target = if report.target.built_in { "the built-in reference server, " } else { "" };
    page.pairs("target", &[format!("{target}{}", escape(&report.target.url))]);
    let mut planned = vec![
        count(plan.connections.into(), "client", "clients"),
        count(plan.publishers.into(), "publisher", "publishers"),
        count(plan.publications, "publication", "publications"),
        format!("{} copies owed", group(plan.copies_owed)),
    ];
    planned.push(Span::from_nanos(plan.planned_ns).to_string());
    page.pairs("plan", &planned);
    let phases: Vec<_> = report
        .summary
        .phases
        .iter()
        .filter(|phase| phase.phase != Phase::Done)
        .map(|phase| format!("{} {}", phase_name(phase.phase), Span::from_nanos(phase.took_ns)))
        .collect();
    page.pairs("phases", &phases);
    page.pairs(
        "run",
        &[
            format!("seed {}", report.seed.0),
            format!("id {:08x}", report.run_id.0),
            escape(&report.started_at).into_owned(),
            format!("wsbench {}", escape(&report.wsbench_version)),
        ],
    );
}

/// A phase as people say it.
pub(super) const fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Ramp => "ramp",
        Phase::WarmUp => "warm-up",
        Phase::Steady => "steady",
        Phase::Drain => "drain",
        Phase::Close => "close",
        Phase::Done => "done",
    }
}

/// An outcome as the word every format uses.
pub(super) const fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "pass",
        Outcome::Inconclusive => "inconclusive",
        Outcome::Fail => "fail",
    }
}
