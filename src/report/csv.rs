//! CSV (RFC 4180, one header row, a point as the decimal mark): a row per second, and a percentile table.

use super::{Report, escape};
use crate::measure::{Distribution, PERCENTILES};
use crate::scenario::model::Metric;

/// `timeline.csv`: one row for each row of the timeline. Empty fields have no sample.
#[must_use]
pub fn timeline(report: &Report) -> String {
    const HEADER: [&str; 23] = [
        "at_ns",
        "row_ns",
        "open",
        "opened",
        "lost",
        "sent",
        "copies",
        "missing",
        "faults",
        "beats",
        "pongs",
        "delivery_p50_ns",
        "delivery_p99_ns",
        "delivery_max_ns",
        "send_lag_max_ns",
        "loop_lag_max_ns",
        "pong_p50_ns",
        "pong_p99_ns",
        "pong_max_ns",
        "beat_min_ns",
        "beat_p50_ns",
        "beat_max_ns",
        "phase",
    ];
    let summary = &report.summary;
    let some = |value: Option<u64>| value.map_or_else(String::new, |ns| ns.to_string());
    let rows = summary.timeline.rows.iter().map(|row| {
        let phase = summary.phases.iter().rev().find(|phase| phase.began_ns <= row.at_ns).map(|phase| phase.phase);
        let mut fields: Vec<String> = [
            row.at_ns,
            summary.timeline.row_ns,
            row.open,
            row.opened,
            row.lost,
            row.sent,
            row.copies,
            row.missing,
            row.faults,
            row.beats,
            row.pongs,
        ]
        .iter()
        .map(u64::to_string)
        .collect();
        fields.extend(
            [
                row.delivery_p50_ns,
                row.delivery_p99_ns,
                row.delivery_max_ns,
                row.send_lag_max_ns,
                row.loop_lag_max_ns,
                row.pong_p50_ns,
                row.pong_p99_ns,
                row.pong_max_ns,
                row.beat_min_ns,
                row.beat_p50_ns,
                row.beat_max_ns,
            ]
            .map(some),
        );
        fields.push(phase.map_or("", super::text::phase_name).to_owned());
        fields
    });
    write(&HEADER, rows)
}

/// `percentiles.csv`: one row for each distribution and percentile, the receivers per publication included.
#[must_use]
pub fn percentiles(report: &Report) -> String {
    let rows = distributions(report).into_iter().flat_map(|(name, distribution)| {
        PERCENTILES.iter().filter_map(move |&p| {
            let value = distribution.percentile(p)?;
            Some(vec![name.to_owned(), format!("{p}"), value.to_string(), distribution.count().to_string()])
        })
    });
    write(&["metric", "percentile", "value_ns", "samples"], rows)
}

/// Every distribution of a report with its name, in the order they are told.
pub(super) fn distributions(report: &Report) -> Vec<(&'static str, &Distribution)> {
    let summary = &report.summary;
    let mut all: Vec<_> = summary.latency.iter().map(|(metric, distribution)| (metric_id(*metric), distribution)).collect();
    let spread = &summary.spread;
    all.extend([
        ("first_receiver", &spread.first),
        ("median_receiver", &spread.median),
        ("last_receiver", &spread.last),
        ("spread", &spread.spread),
    ]);
    all.retain(|(_, distribution)| distribution.count() > 0);
    all
}

/// The name a metric has in every machine-readable output: as in the scenario and in `report.json`.
pub(super) const fn metric_id(metric: Metric) -> &'static str {
    match metric {
        Metric::SendLag => "send_lag",
        Metric::Transit => "transit",
        Metric::Delivery => "delivery",
        Metric::Pong => "pong",
        Metric::HeartbeatInterval => "heartbeat_interval",
        Metric::Connect => "connect",
        Metric::Publish => "publish",
        Metric::Spread => "spread",
    }
}

fn write(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    // Writing to memory has no way to fail, and every row is as long as the header.
    let done = writer.write_record(header).and_then(|()| {
        for row in rows {
            writer.write_record(row.iter().map(|field| escape(field).into_owned()))?;
        }
        Ok(())
    });
    debug_assert!(done.is_ok(), "rows are as long as their header: {done:?}");
    writer.into_inner().ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
}
