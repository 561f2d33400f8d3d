//! What a single run tells about its own drift: a percentile over the first half of the timeline and over the second.

use crate::measure::TimelineRow;
use crate::report::Report;

/// The relative half-width that drift within the run alone accounts for: how far the mean of the rows' percentile in either
/// half lies from their common mean. 0 where rows carry no such number.
pub(super) fn drift(report: &Report, metric: &str) -> f64 {
    let of: fn(&TimelineRow) -> Option<u64> = match metric.split_once('.') {
        Some(("delivery" | "transit" | "last_receiver" | "median_receiver", "p50")) => |row| row.delivery_p50_ns,
        Some(("delivery" | "transit" | "last_receiver" | "median_receiver", _)) => |row| row.delivery_p99_ns,
        Some(("pong", "p50")) => |row| row.pong_p50_ns,
        Some(("pong", _)) => |row| row.pong_p99_ns,
        _ => return 0.0,
    };
    #[expect(clippy::cast_precision_loss, reason = "nanoseconds of an hour are exact")]
    let values: Vec<f64> = report.summary.timeline.rows.iter().filter_map(of).map(|ns| ns as f64).collect();
    if values.len() < 4 {
        return 0.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "rows of a run")]
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (first, second) = values.split_at(values.len() / 2);
    let whole = mean(&values);
    if whole > 0.0 { (mean(first) - whole).abs().max((mean(second) - whole).abs()) / whole } else { 0.0 }
}
