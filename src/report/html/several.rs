//! Several runs as one page, side by side.

use std::fmt::Write as _;

use super::chart::{Chart, Kind, Series};
use super::charts::percentiles;
use super::comparison::changes;
use super::page::{Page, badge, text};
use super::scale::Scale;
use crate::check::Outcome;
use crate::report::Report;
use crate::report::compare::Comparison;
use crate::report::repeats;
use crate::report::several::{Table, checks, figures, names};
use crate::report::text::outcome_word;
use crate::scenario::model::Metric;

/// The page of several runs: verdicts, checks and figures a column a run, latencies a line a run; of repeats what varies
/// between them; of runs that were compared with a baseline what changed.
#[must_use]
pub fn render(reports: &[Report], comparison: Option<&Comparison>) -> String {
    let title = format!("{} runs", reports.len());
    let mut page = Page::new(&format!("wsbench: {title}"));
    let names = names(reports);
    let verdicts = reports.iter().map(|report| report.verdict).chain(comparison.map(|comparison| comparison.verdict));
    let worst = verdicts.max().unwrap_or(Outcome::Inconclusive);
    page.raw(&format!(
        "<header class=\"verdict {}\"><h1>{}<span class=\"what\">{title}, the worst counts</span></h1></header>\n",
        outcome_word(worst),
        badge(worst)
    ));
    page.section("runs", "Runs", |page| page.raw(&runs(reports, &names)));
    page.section("checks", "Checks", |page| page.raw(&table(&checks(reports), &names)));
    if repeats::broken(reports).next().is_some() {
        page.section("broken", "What did not pass", |page| page.raw(&broken(reports, &names)));
    }
    if let Some(comparison) = comparison {
        page.section("changes", "Against the baseline", |page| {
            page.raw(&changes(comparison));
            page.raw(&format!("<p class=\"hint\">{}</p>\n", text(&comparison.method)));
        });
    }
    if repeats::are_repeats(reports) {
        let columns = repeats::BETWEEN.map(str::to_owned);
        page.section("between", "Between runs", |page| page.raw(&table(&repeats::between(reports), &columns)));
    }
    page.section("figures", "Figures", |page| page.raw(&table(&figures(reports), &names)));
    page.section("charts", "The runs", |page| charts(page, reports, &names));
    page.finish(reports.first().map_or("", |report| &report.wsbench_version))
}

/// Most runs that are drawn; of more, some: lines beyond that are told apart by nobody, and the page stays small.
const MOST_DRAWN: usize = 12;

fn charts(page: &mut Page, reports: &[Report], names: &[String]) {
    let every = reports.len().div_ceil(MOST_DRAWN).max(1);
    let (drawn, names): (Vec<&Report>, Vec<String>) =
        reports.iter().zip(names).step_by(every).map(|(report, name)| (report, name.clone())).unzip();
    if every > 1 {
        page.raw(&format!("<p class=\"hint\">{} of the {} runs are drawn.</p>\n", drawn.len(), reports.len()));
    }
    page.raw("<div class=\"grid\">\n");
    for (metric, name) in
        [(Metric::Delivery, "Delivery"), (Metric::Transit, "Transit"), (Metric::Pong, "Pong"), (Metric::Connect, "Connect")]
    {
        let lines: Vec<_> = drawn.iter().zip(&names).map(|(report, name)| (name.as_str(), report.summary.latency.get(&metric))).collect();
        let id = format!("percentiles-{}", name.to_lowercase());
        let chart = percentiles(&id, &format!("{name} latency by percentile"), "A line a run.", &lines);
        if !chart.is_empty() {
            chart.render(page);
        }
    }
    for chart in [over_time(&drawn, &names, true), over_time(&drawn, &names, false)] {
        if !chart.is_empty() {
            chart.render(page);
        }
    }
    page.raw("</div>\n");
}

/// What did not pass, run by run; the witnesses are in each run's own report.
fn broken(reports: &[Report], names: &[String]) -> String {
    let mut out = String::from(
        "<div class=\"scroll\"><table class=\"checks\"><thead><tr><th scope=\"col\">run</th><th scope=\"col\">check</th><th scope=\"col\">outcome</th>\
         <th scope=\"col\">expected</th><th scope=\"col\">observed</th></tr></thead><tbody>\n",
    );
    for (n, finding) in repeats::broken(reports) {
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td data-label=\"expected\">{}</td><td data-label=\"observed\">{}</td></tr>",
            text(names.get(n - 1).map_or("", String::as_str)),
            text(&finding.check),
            badge(finding.outcome),
            text(&finding.expected),
            text(&finding.observed)
        );
    }
    out.push_str("</tbody></table></div>\n");
    out
}

fn runs(reports: &[Report], names: &[String]) -> String {
    let mut out = String::from(
        "<div class=\"scroll\"><table class=\"checks\"><thead><tr><th scope=\"col\">run</th><th scope=\"col\">verdict</th><th scope=\"col\">scenario</th>\
         <th scope=\"col\">target</th><th scope=\"col\">started</th><th scope=\"col\" class=\"n\">seed</th></tr></thead><tbody>\n",
    );
    for (report, name) in reports.iter().zip(names) {
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td data-label=\"scenario\">{}</td><td data-label=\"target\">{}</td>\
             <td data-label=\"started\">{}</td><td class=\"n\" data-label=\"seed\">{}</td></tr>",
            text(name),
            badge(report.verdict),
            text(&report.scenario.name),
            text(&report.target.url),
            text(&report.started_at),
            report.seed.0
        );
    }
    out.push_str("</tbody></table></div>\n");
    out
}

fn table(table: &Table, names: &[String]) -> String {
    let mut out = String::from("<div class=\"scroll\"><table class=\"latency\"><thead><tr><th scope=\"col\"></th>");
    for name in names {
        let _ = write!(out, "<th scope=\"col\" class=\"n\">{}</th>", text(name));
    }
    out.push_str("</tr></thead><tbody>\n");
    for (label, cells) in table {
        let _ = write!(out, "<tr><th scope=\"row\">{}</th>", text(label));
        for cell in cells {
            let outcome = matches!(cell.as_str(), "pass" | "fail" | "inconclusive");
            let cell = text(cell);
            let shown = if outcome { format!("<span class=\"badge {cell}\">{cell}</span>") } else { cell };
            let _ = write!(out, "<td class=\"n\">{shown}</td>");
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
    out
}

/// Delivery p99, or copies, of each run over time since its own beginning.
#[expect(clippy::cast_precision_loss, reason = "places on a chart")]
fn over_time(reports: &[&Report], names: &[String], latency: bool) -> Chart {
    // Rows of the finest run; the others fall on the nearest row at or before.
    let row_ns = reports.iter().map(|report| report.summary.timeline.row_ns).filter(|ns| *ns > 0).min().unwrap_or(1);
    let end = reports.iter().flat_map(|report| &report.summary.timeline.rows).map(|row| row.at_ns).max().unwrap_or(0);
    let x: Vec<f64> = (0..=end / row_ns).map(|n| (n * row_ns) as f64).collect();
    let series: Vec<_> = reports
        .iter()
        .zip(names)
        .enumerate()
        .map(|(ink, (report, name))| {
            let mut values = vec![None; x.len()];
            for row in &report.summary.timeline.rows {
                let at = usize::try_from(row.at_ns / row_ns).unwrap_or(usize::MAX);
                if let Some(value) = values.get_mut(at) {
                    *value = if latency { row.delivery_p99_ns.map(|ns| ns as f64) } else { Some(row.copies as f64) };
                }
            }
            Series { name: name.clone(), ink: ink % 6, values }
        })
        .collect();
    let values = || series.iter().flat_map(|series| series.values.iter().copied().flatten());
    let (id, title, kind, y_scale) = if latency {
        ("delivery-time", "Delivery p99 over time", Kind::Time, Scale::log(values()))
    } else {
        ("copies-time", "Copies over time", Kind::Count, Scale::from_zero(values()))
    };
    Chart {
        id: id.into(),
        title: title.into(),
        says: "A line a run, from its own beginning.".into(),
        x_name: "at".into(),
        x_kind: Kind::Clock,
        x_scale: Scale::Linear(0.0, (end as f64).max(1.0)),
        x,
        y_kind: kind,
        y_scale,
        series,
        band: None,
        marks: Vec::new(),
        dots: false,
    }
}
