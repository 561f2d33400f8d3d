//! The report as one HTML file: no network, no dependency, readable without script.
//!
//! Charts are SVG drawn here; the table behind each chart is the data its hover reads, so the two cannot differ. The script
//! only adds a cursor to the charts; without it everything is still there.

mod chart;
mod charts;
mod comparison;
mod findings;
mod lanes;
mod page;
mod scale;
mod setting;
mod several;
mod summary;

pub use comparison::render as comparison;
pub use several::render as several;

use super::{Report, headline};
use page::Page;

/// The page of one run.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut page = Page::new(&headline(report));
    page.verdict(report);
    findings::render(&mut page, &report.findings);
    summary::latency(&mut page, report);
    charts::render(&mut page, report);
    summary::figures_of(&mut page, report);
    setting::render(&mut page, report);
    page.finish(&report.wsbench_version)
}
