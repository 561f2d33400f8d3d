//! The latency table with a drawn distribution to each row, and the other figures.

use std::fmt::Write as _;

use super::page::{Page, text};
use crate::measure::Distribution;
use crate::report::Report;
use crate::report::number::{group, span};
use crate::report::text::{bins, figures, metric_name};
use crate::scenario::model::Metric;

/// The latency table.
pub(super) fn latency(page: &mut Page, report: &Report) {
    let rows = rows(report);
    if !rows.is_empty() {
        page.section("latency", "Latency", |page| page.raw(&table(&rows)));
    }
}

/// Loads, counts and the instrument's own cost.
pub(super) fn figures_of(page: &mut Page, report: &Report) {
    page.section("figures", "Figures", |page| {
        page.raw("<div class=\"grid\">\n");
        for (title, rows) in figures(report).groups {
            let mut out = format!("<div><h3>{}</h3><dl>", text(title));
            for (label, values) in rows {
                let _ = write!(out, "<dt>{}</dt><dd>{}</dd>", text(label), text(&values.join(", ")));
            }
            out.push_str("</dl></div>\n");
            page.raw(&out);
        }
        page.raw("</div>\n");
    });
}

/// Every distribution with a sample, in the order of the way a copy takes, then the receivers of a publication.
fn rows(report: &Report) -> Vec<(&'static str, &Distribution)> {
    let summary = &report.summary;
    let metrics = [
        Metric::SendLag,
        Metric::Publish,
        Metric::Transit,
        Metric::Delivery,
        Metric::Spread,
        Metric::Pong,
        Metric::HeartbeatInterval,
        Metric::Connect,
    ];
    let mut rows: Vec<_> = metrics.into_iter().filter_map(|metric| Some((metric_name(metric), summary.latency.get(&metric)?))).collect();
    let spread = &summary.spread;
    rows.extend([
        ("first receiver", &spread.first),
        ("median receiver", &spread.median),
        ("last receiver", &spread.last),
        ("last − first", &spread.spread),
    ]);
    rows.retain(|(_, distribution)| distribution.count() > 0);
    rows
}

fn table(rows: &[(&str, &Distribution)]) -> String {
    let mut out = String::from(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Latency percentiles\"><table class=\"latency\"><thead><tr><th scope=\"col\"></th><th scope=\"col\" class=\"n\">samples</th>\
         <th scope=\"col\" class=\"n\">p50</th><th scope=\"col\" class=\"n\">p90</th><th scope=\"col\" class=\"n\">p99</th>\
         <th scope=\"col\" class=\"n\">p99.9</th><th scope=\"col\" class=\"n\">max</th><th scope=\"col\">min to max</th></tr></thead><tbody>\n",
    );
    for (name, distribution) in rows {
        let _ = write!(out, "<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td>", text(name), group(distribution.count()));
        for p in [50.0, 90.0, 99.0, 99.9, 100.0] {
            let ns = distribution.percentile(p).unwrap_or(0);
            let _ = write!(out, "<td class=\"n\" data-ns=\"{ns}\">{}</td>", span(ns));
        }
        let _ = writeln!(out, "<td class=\"drawn\">{}</td></tr>", drawn(distribution));
    }
    out.push_str("</tbody></table></div>\n");
    out
}

/// Bars whose height grows with the square root of the count, so that a thin tail is seen.
fn drawn(distribution: &Distribution) -> String {
    const BARS: usize = 40;
    let bins = bins(distribution, BARS);
    let most = bins.iter().copied().fold(0.0, f64::max);
    let mut path = String::new();
    for (n, height) in bins.iter().enumerate().filter(|(_, height)| **height > 0.0) {
        let _ = write!(path, "M{} 20v-{:.1}", n * 3 + 1, ((height / most).sqrt() * 18.0).max(1.5));
    }
    format!(
        "<svg class=\"bars\" viewBox=\"0 0 120 20\" role=\"img\" aria-label=\"from {} to {}\"><path d=\"{path}\"/></svg>",
        span(distribution.histogram.min()),
        span(distribution.histogram.max())
    )
}
