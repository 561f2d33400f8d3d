//! Which charts a run gets, and what each is made of.

use std::cmp::Ordering;

use super::chart::{Chart, Kind, Series};
use super::lanes;
use super::page::Page;
use super::scale::Scale;
use super::setting::heartbeat_promise;
use crate::event::Phase;
use crate::measure::{Distribution, PublicationSpread, TimelineRow};
use crate::report::Report;
use crate::report::number::span;
use crate::report::text::phase_name;
use crate::scenario::model::Metric;

/// Publications drawn at most: more cannot be told apart on a screen.
const MOST_PUBLICATIONS: usize = 600;

type Of = fn(&TimelineRow) -> Option<u64>;

/// All of them that have data.
pub(super) fn render(page: &mut Page, report: &Report) {
    let charts = all(report);
    if charts.iter().all(Chart::is_empty) && !lanes::has_events(report) {
        return;
    }
    page.section("charts", "The run", |page| {
        page.raw("<p class=\"hint\">Point at a chart, or focus it and use the arrow keys, to read values.</p><div class=\"grid\">\n");
        for chart in charts.iter().filter(|chart| !chart.is_empty()) {
            chart.render(page);
        }
        lanes::render(page, report);
        page.raw("</div>\n");
    });
}

fn all(report: &Report) -> Vec<Chart> {
    // Rows last a second, and longer in runs beyond twenty minutes.
    let row = match report.summary.timeline.row_ns {
        1_000_000_000 => "second".to_owned(),
        ns => span(ns),
    };
    let mut charts = vec![
        times(
            report,
            "delivery-time",
            "Delivery latency over time",
            "Planned instant to receipt, of the copies of each row. Where p99 leaves p50, some clients wait.",
            &[("p50", 0, |row| row.delivery_p50_ns), ("p99", 1, |row| row.delivery_p99_ns), ("max", 2, |row| row.delivery_max_ns)],
        ),
        percentiles(
            "latency-percentiles",
            "Latency by percentile",
            "Delivery counts from the planned instant, transit from the send. A gap between them is time that copies waited for us: \
             what a closed loop would have hidden (coordinated omission).",
            &[
                ("delivery (planned)", report.summary.latency.get(&Metric::Delivery)),
                ("transit (sent)", report.summary.latency.get(&Metric::Transit)),
            ],
        ),
        spread(report),
        counts(report, "open", "Open connections", &format!("At the end of each {row}."), &[("open", 0, |row| Some(row.open))]),
        counts(
            report,
            "copies",
            &format!("Copies per {row}"),
            &format!("Received in each {row}."),
            &[("copies", 0, |row| Some(row.copies))],
        ),
        heartbeat(report),
        times(
            report,
            "pong-time",
            "Pong round trip",
            "Ping to its answer, of the answers of each row.",
            &[("p50", 0, |row| row.pong_p50_ns), ("p99", 1, |row| row.pong_p99_ns), ("max", 2, |row| row.pong_max_ns)],
        ),
        times(
            report,
            "instrument",
            "The instrument",
            "Its own lateness, the largest of each row: a publication sent late, an event loop that woke late. High values here put \
             the latencies above in doubt.",
            &[("send lag max", 0, |row| row.send_lag_max_ns), ("loop lag max", 1, |row| row.loop_lag_max_ns)],
        ),
    ];
    charts.retain(|chart| !chart.x.is_empty());
    charts
}

#[expect(clippy::cast_precision_loss, reason = "places on a chart")]
fn over_time(report: &Report, id: &str, title: &str, says: &str, kind: Kind, lines: &[(&str, usize, Of)]) -> Chart {
    let timeline = &report.summary.timeline;
    let series: Vec<_> = lines
        .iter()
        .map(|&(name, ink, of)| Series {
            name: name.into(),
            ink,
            values: timeline.rows.iter().map(|row| of(row).map(|value| value as f64)).collect(),
        })
        .collect();
    let values = || series.iter().flat_map(|series| series.values.iter().copied().flatten());
    let y_scale = if kind == Kind::Time { Scale::log(values()) } else { Scale::from_zero(values()) };
    let x: Vec<f64> = timeline.rows.iter().map(|row| row.at_ns as f64).collect();
    let end = x.last().copied().unwrap_or(0.0).max(1.0);
    Chart {
        id: id.into(),
        title: title.into(),
        says: says.into(),
        x_name: "at".into(),
        x_kind: Kind::Clock,
        x_scale: Scale::Linear(0.0, end),
        x,
        y_kind: kind,
        y_scale,
        series,
        band: None,
        marks: phases(report, end),
        dots: false,
    }
}

fn times(report: &Report, id: &str, title: &str, says: &str, lines: &[(&str, usize, Of)]) -> Chart {
    over_time(report, id, title, says, Kind::Time, lines)
}

fn counts(report: &Report, id: &str, title: &str, says: &str, lines: &[(&str, usize, Of)]) -> Chart {
    over_time(report, id, title, says, Kind::Count, lines)
}

#[expect(clippy::cast_precision_loss, reason = "places on a chart")]
fn phases(report: &Report, end: f64) -> Vec<(f64, String)> {
    let told = report.summary.phases.iter().filter(|phase| phase.phase != Phase::Done && (phase.began_ns as f64) < end);
    told.map(|phase| (phase.began_ns as f64, phase_name(phase.phase).to_owned())).collect()
}

/// Beat to beat, with what the scenario promised as a band.
#[expect(clippy::cast_precision_loss, reason = "places on a chart")]
fn heartbeat(report: &Report) -> Chart {
    let mut chart = times(
        report,
        "heartbeat",
        "Heartbeat interval",
        "Beat to beat per client, of the beats of each row: shortest, median, longest.",
        &[("shortest", 0, |row| row.beat_min_ns), ("median", 1, |row| row.beat_p50_ns), ("longest", 2, |row| row.beat_max_ns)],
    );
    let promise = heartbeat_promise(report).map(|(every, tolerance)| (every.as_nanos() as f64, tolerance.as_nanos() as f64));
    let edges = promise.map(|(every, tolerance)| [every - tolerance, every + tolerance]).into_iter().flatten();
    chart.y_scale = Scale::around(chart.series.iter().flat_map(|series| series.values.iter().copied().flatten()).chain(edges));
    chart.band = promise.map(|(every, tolerance)| (every - tolerance, every + tolerance, "promised".into()));
    chart
}

/// The usual HdrHistogram plot: the x axis stretches towards 100 %.
#[expect(clippy::cast_precision_loss, reason = "places on a chart")]
pub(super) fn percentiles(id: &str, title: &str, says: &str, lines: &[(&str, Option<&Distribution>)]) -> Chart {
    let lines: Vec<_> =
        lines.iter().filter_map(|(name, distribution)| Some((*name, (*distribution)?))).filter(|(_, d)| d.count() > 0).collect();
    let samples = lines.iter().map(|(_, distribution)| distribution.count()).max().unwrap_or(1) as f64;
    // Five points to each halving of the distance to 100 %, as far as there are samples; the last sample is the maximum.
    let mut x: Vec<f64> = if lines.is_empty() {
        Vec::new()
    } else {
        (0..).map(|n| 2_f64.powf(f64::from(n) / 5.0)).take_while(|&inverse| inverse <= samples.max(2.0)).collect()
    };
    x.extend(lines.iter().map(|(_, distribution)| distribution.count() as f64));
    x.sort_by(f64::total_cmp);
    x.dedup();
    let series: Vec<_> = lines
        .iter()
        .enumerate()
        .map(|(ink, (name, distribution))| Series {
            name: (*name).into(),
            ink,
            values: x
                .iter()
                .map(|inverse| {
                    let p = match inverse.total_cmp(&(distribution.count() as f64)) {
                        Ordering::Less => 100.0 - 100.0 / inverse,
                        Ordering::Equal => 100.0,
                        Ordering::Greater => return None,
                    };
                    distribution.percentile(p).map(|ns| ns as f64)
                })
                .collect(),
        })
        .collect();
    let y_scale = Scale::log(series.iter().flat_map(|series| series.values.iter().copied().flatten()));
    let decades = samples.max(10.0).log10().ceil();
    Chart {
        id: id.into(),
        title: title.into(),
        says: says.into(),
        x_name: "percentile".into(),
        x_kind: Kind::Percentile,
        x_scale: Scale::Log(1.0, 10_f64.powf(decades)),
        x,
        y_kind: Kind::Time,
        y_scale,
        series,
        band: None,
        marks: Vec::new(),
        dots: false,
    }
}

/// First, median and last receiver of each publication.
#[expect(clippy::cast_precision_loss, reason = "places on a chart")]
fn spread(report: &Report) -> Chart {
    let all = &report.summary.spread.series;
    let every = all.len().div_ceil(MOST_PUBLICATIONS).max(1);
    let shown: Vec<&PublicationSpread> = all.iter().step_by(every).collect();
    let line = |name: &str, ink, of: fn(&PublicationSpread) -> u64| Series {
        name: name.into(),
        ink,
        values: shown.iter().map(|&publication| Some(of(publication) as f64)).collect(),
    };
    let series = vec![
        line("first receiver", 0, |publication| publication.first_ns),
        line("median receiver", 1, |publication| publication.median_ns),
        line("last receiver", 2, |publication| publication.last_ns),
    ];
    let x: Vec<f64> = shown.iter().map(|publication| publication.planned_ns as f64).collect();
    let (first, last) = (x.first().copied().unwrap_or(0.0), x.last().copied().unwrap_or(1.0));
    let thinned = if every > 1 { format!(" One in {every} publications is drawn.") } else { String::new() };
    Chart {
        id: "spread".into(),
        title: "Receivers per publication".into(),
        says: format!("Planned instant to the first, median and last client, publication by publication.{thinned}"),
        x_name: "planned at".into(),
        x_kind: Kind::Clock,
        x_scale: Scale::Linear(first, last.max(first + 1.0)),
        x,
        y_kind: Kind::Time,
        y_scale: Scale::log(series.iter().flat_map(|series| series.values.iter().copied().flatten())),
        series,
        band: None,
        marks: Vec::new(),
        dots: true,
    }
}
