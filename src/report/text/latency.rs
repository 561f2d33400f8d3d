//! The latency table: percentiles with a small drawing each, and the receivers of a publication in the same columns.

use super::page::{Page, left, right};
use super::spark::{bins, draw};
use super::style::Ink;
use crate::base::Instant;
use crate::measure::{Distribution, Summary};
use crate::report::number::{count, group, span};
use crate::scenario::model::Metric;

const NAME: usize = 15;
const VALUE: usize = 7;
const SHOWN: [(&str, f64); 5] = [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9), ("max", 100.0)];

pub(super) fn render(page: &mut Page, summary: &Summary) {
    let rows: Vec<_> = metrics(summary).collect();
    if rows.is_empty() {
        return;
    }
    page.heading("Latency");
    let samples = rows.iter().map(|(_, d)| group(d.count()).len()).max().unwrap_or(0).max(7);
    head(page, samples);
    for (name, distribution) in rows {
        row(page, name, distribution, samples);
    }
    spread(page, summary, samples);
}

/// Distributions with a sample, in the order of the way a copy takes.
fn metrics(summary: &Summary) -> impl Iterator<Item = (&'static str, &Distribution)> {
    const ORDER: [Metric; 8] = [
        Metric::SendLag,
        Metric::Publish,
        Metric::Transit,
        Metric::Delivery,
        Metric::Spread,
        Metric::Pong,
        Metric::HeartbeatInterval,
        Metric::Connect,
    ];
    ORDER
        .into_iter()
        .filter_map(|metric| Some((metric_name(metric), summary.latency.get(&metric)?)))
        .filter(|(_, distribution)| distribution.count() > 0)
}

/// A metric as people say it.
pub(in crate::report) const fn metric_name(metric: Metric) -> &'static str {
    match metric {
        Metric::SendLag => "send lag",
        Metric::Transit => "transit",
        Metric::Delivery => "delivery",
        Metric::Pong => "pong",
        Metric::HeartbeatInterval => "heartbeat",
        Metric::Connect => "connect",
        Metric::Publish => "publish",
        Metric::Spread => "spread",
    }
}

/// What fits beside the names.
struct Room {
    /// The percentiles: all, or on a narrow page the three that matter most.
    shown: Vec<(&'static str, f64)>,
    /// Whether there is a samples column.
    samples: bool,
    /// Columns for the drawing; none below six.
    drawing: usize,
}

fn room(page: &Page, samples: usize) -> Room {
    let width = page.style().width;
    let fixed = |n: usize| 2 + NAME + n * (VALUE + 1);
    let narrow = width < fixed(SHOWN.len());
    let shown: Vec<_> = SHOWN.into_iter().filter(|(name, _)| !narrow || matches!(*name, "p50" | "p99" | "max")).collect();
    let with_samples = width > fixed(shown.len()) + samples;
    let rest = width.saturating_sub(fixed(shown.len()) + 2 + if with_samples { samples + 1 } else { 0 });
    Room { shown, samples: with_samples, drawing: if rest < 6 { 0 } else { rest.min(24) } }
}

fn head(page: &mut Page, samples: usize) {
    let room = room(page, samples);
    let mut line = format!("  {}", left("", NAME));
    if room.samples {
        line.push_str(&format!(" {}", right("samples", samples)));
    }
    for (name, _) in room.shown {
        line.push_str(&format!(" {}", right(name, VALUE)));
    }
    if room.drawing >= 10 {
        line.push_str("  min to max");
    }
    let line = page.ink(Ink::Faint, &line);
    page.line(&line);
}

fn row(page: &mut Page, name: &str, distribution: &Distribution, samples: usize) {
    let room = room(page, samples);
    let mut line = format!("  {}", left(name, NAME));
    if room.samples {
        line.push_str(&page.ink(Ink::Faint, &format!(" {}", right(&group(distribution.count()), samples))));
    }
    for (_, p) in room.shown {
        let value = distribution.percentile(p).map_or_else(|| "-".into(), span);
        line.push_str(&format!(" {}", right(&value, VALUE)));
    }
    if room.drawing > 0 {
        line.push_str("  ");
        line.push_str(&draw(&bins(distribution, room.drawing), page.style().unicode));
    }
    page.line(&line);
}

fn spread(page: &mut Page, summary: &Summary, samples: usize) {
    let spread = &summary.spread;
    if spread.first.count() == 0 {
        return;
    }
    page.heading("Receivers per publication");
    head(page, samples);
    for (name, distribution) in [
        ("first receiver", &spread.first),
        ("median receiver", &spread.median),
        ("last receiver", &spread.last),
        ("last − first", &spread.spread),
    ] {
        row(page, name, distribution, samples);
    }
    if let Some(worst) = spread.worst.first() {
        page.pairs(
            "widest",
            &[
                format!("publication {}#{} at {}", worst.publisher, worst.seq, Instant::from_nanos(worst.planned_ns)),
                format!("first {}", span(worst.first_ns)),
                format!("median {}", span(worst.median_ns)),
                format!("last {}", span(worst.last_ns)),
                count(worst.receivers.into(), "receiver", "receivers"),
            ],
        );
    }
    if spread.sampled < spread.of {
        page.pairs("sample", &[format!("{} of {} publications, uniform", group(spread.sampled), group(spread.of))]);
    }
}
