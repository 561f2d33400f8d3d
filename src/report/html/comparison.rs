//! A comparison as a page: what changed and how sure that is, then the distributions laid over one another.

use std::fmt::Write as _;

use super::charts::percentiles;
use super::findings;
use super::page::{Page, badge, text};
use crate::report::Report;
use crate::report::compare::{Change, Comparison, Judgement, headline, noise, says};
use crate::report::text::outcome_word;
use crate::scenario::model::Metric;

/// The page of a comparison; `base` and `new` are the runs it was made of.
#[must_use]
pub fn render(comparison: &Comparison, base: &[Report], new: &[Report]) -> String {
    let line = headline(comparison);
    let mut page = Page::new(&line);
    // The first word of the headline is the verdict; with no limit nothing was judged, and it is no badge.
    let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
    let (class, lead) =
        if comparison.limit.is_some() { (outcome_word(comparison.verdict), badge(comparison.verdict)) } else { ("", text(word)) };
    page.raw(&format!(
        "<header class=\"verdict {class}\"><h1>{lead}<span class=\"what\">{}</span></h1><p class=\"meta\">{}</p></header>\n",
        text(rest),
        text(&sides(comparison))
    ));
    page.section("changes", "Changes", |page| {
        page.raw(&changes(comparison));
        page.raw(&format!("<p class=\"hint\">{}</p>\n", text(&comparison.method)));
    });
    if !comparison.findings.is_empty() {
        findings::render(&mut page, &comparison.findings);
    }
    page.section("charts", "Distributions", |page| {
        page.raw(&distances(comparison));
        page.raw("<div class=\"grid\">\n");
        for (metric, name) in
            [(Metric::Delivery, "Delivery"), (Metric::Transit, "Transit"), (Metric::Pong, "Pong"), (Metric::Connect, "Connect")]
        {
            let (before, after) = (merged(base, metric), merged(new, metric));
            let lines = [("base", before.as_ref()), ("new", after.as_ref())];
            let id = format!("percentiles-{}", name.to_lowercase());
            let chart = percentiles(&id, &format!("{name} latency by percentile"), "All runs of a side together.", &lines);
            if !chart.is_empty() {
                chart.render(page);
            }
        }
        page.raw("</div>\n");
    });
    page.finish(&comparison.new.wsbench_version)
}

fn merged(runs: &[Report], metric: Metric) -> Option<crate::measure::Distribution> {
    let mut all = crate::measure::Distribution::default();
    runs.iter().filter_map(|report| report.summary.latency.get(&metric)).for_each(|one| all.merge(one));
    (all.count() > 0).then_some(all)
}

fn sides(comparison: &Comparison) -> String {
    let side = |name: &str, side: &crate::report::compare::Side| {
        format!(
            "{name}: {}, {}, {}",
            crate::report::number::count(side.runs as u64, "run", "runs"),
            side.started_at.first().map_or("", String::as_str),
            side.target
        )
    };
    format!("{} · {}", side("base", &comparison.base), side("new", &comparison.new))
}

pub(super) fn changes(comparison: &Comparison) -> String {
    let mut out = String::from(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Changes\"><table><thead><tr><th scope=\"col\">metric</th>\
         <th scope=\"col\" class=\"n\">base</th><th scope=\"col\" class=\"n\">new</th><th scope=\"col\" class=\"n\">change</th>\
         <th scope=\"col\" class=\"n\">noise</th><th scope=\"col\">says</th></tr></thead><tbody>\n",
    );
    for change in &comparison.changes {
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td></tr>",
            text(&change.metric),
            text(&change.base_text),
            text(&change.new_text),
            change.change.map_or_else(String::new, crate::report::compare::signed),
            noise(change),
            judgement(change, comparison.limit)
        );
    }
    out.push_str("</tbody></table></div>\n");
    out
}

/// Coloured, but said in words.
fn judgement(change: &Change, limit: Option<f64>) -> String {
    let word = says(change, limit);
    match change.judgement {
        Judgement::Worse => format!("<span class=\"badge fail\">{word}</span>"),
        Judgement::Better => format!("<span class=\"badge pass\">{word}</span>"),
        Judgement::MaybeWorse | Judgement::Same | Judgement::Unresolved => word.to_owned(),
    }
}

fn distances(comparison: &Comparison) -> String {
    let mut out = String::from(
        "<p class=\"hint\">The greatest distance between cumulative curves: 0 alike, 1 apart.</p>\
         <div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Distances\"><table><thead><tr><th scope=\"col\">distribution</th><th scope=\"col\" class=\"n\">distance</th>\
         <th scope=\"col\" class=\"n\">noise alone</th><th scope=\"col\">says</th></tr></thead><tbody>\n",
    );
    for distance in &comparison.distances {
        let word = if distance.distance > distance.noise { "apart" } else { "within noise" };
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{}</th><td class=\"n\">{:.3}</td><td class=\"n\">≤ {:.3}</td><td>{word}</td></tr>",
            text(&distance.metric),
            distance.distance,
            distance.noise
        );
    }
    out.push_str("</tbody></table></div>\n");
    out
}
