//! HdrHistogram's own text forms: the interval log (`.hlog`) and the percentile table (`.hgrm`) that the usual plotters read.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2DeflateSerializer};

use super::Report;
use super::csv::metric_id;
use crate::event::Phase;
use crate::measure::Distribution;

/// Values are recorded in nanoseconds; both forms show them divided by this, in milliseconds.
const NS_PER_MS: f64 = 1e6;

/// The interval log, version 1.3: one line a second and metric, tagged with the metric. A report without histograms per row
/// gives one interval a metric, over the steady state.
#[must_use]
pub fn hlog(report: &Report) -> String {
    let (unix_s, unix_ms) = (report.started_at_unix_ms / 1_000, report.started_at_unix_ms % 1_000);
    let mut out = format!(
        "#[wsbench {}: values in nanoseconds, Interval_Max in milliseconds]\n\
         #[Histogram log format version 1.3]\n\
         #[StartTime: {unix_s}.{unix_ms:03} (seconds since epoch), {}]\n\
         #[BaseTime: {unix_s}.{unix_ms:03} (seconds since epoch)]\n\
         \"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n",
        super::escape(&report.wsbench_version),
        super::escape(&report.started_at)
    );
    let timeline = &report.summary.timeline;
    let mut lines = 0;
    for row in &timeline.rows {
        for (metric, base64) in &row.histograms {
            // Decoded rather than copied: a line that no reader could open is worse than none.
            if let Some(histogram) = decode(base64) {
                line(&mut out, metric_id(*metric), row.at_ns, timeline.row_ns, &histogram);
                lines += 1;
            }
        }
    }
    if lines == 0 {
        let steady = report.summary.phases.iter().find(|phase| phase.phase == Phase::Steady);
        let (began, took) = steady.map_or((0, 0), |phase| (phase.began_ns, phase.took_ns));
        for (metric, distribution) in report.summary.latency.iter().filter(|(_, distribution)| distribution.count() > 0) {
            line(&mut out, metric_id(*metric), began, took, &distribution.histogram);
        }
    }
    out
}

fn line(out: &mut String, tag: &str, at_ns: u64, length_ns: u64, histogram: &Histogram<u64>) {
    let mut bytes = Vec::new();
    if V2DeflateSerializer::new().serialize(histogram, &mut bytes).is_err() {
        return;
    }
    #[expect(clippy::cast_precision_loss, reason = "shown with three decimals")]
    let max = histogram.max() as f64 / NS_PER_MS;
    let (at, length) = (seconds(at_ns), seconds(length_ns));
    let _ = writeln!(out, "Tag={tag},{at},{length},{max:.3},{}", STANDARD.encode(bytes));
}

fn decode(base64: &str) -> Option<Histogram<u64>> {
    let bytes = STANDARD.decode(base64).ok()?;
    Deserializer::new().deserialize(&mut bytes.as_slice()).ok()
}

fn seconds(ns: u64) -> String {
    format!("{}.{:03}", ns / 1_000_000_000, ns / 1_000_000 % 1_000)
}

/// The percentile table of one distribution, values in milliseconds, five rows to each halving of the distance to 100 %.
#[must_use]
pub fn hgrm(distribution: &Distribution) -> String {
    let histogram = &distribution.histogram;
    let mut out = String::from("       Value     Percentile TotalCount 1/(1-Percentile)\n\n");
    let mut total = 0;
    for point in histogram.iter_quantiles(5) {
        total += point.count_since_last_iteration();
        #[expect(clippy::cast_precision_loss, reason = "shown with three decimals")]
        let value = point.value_iterated_to().min(histogram.max()) as f64 / NS_PER_MS;
        let quantile = point.quantile_iterated_to();
        if quantile < 1.0 {
            let _ = writeln!(out, "{value:12.3} {quantile:.12} {total:10} {:14.2}", 1.0 / (1.0 - quantile));
        } else {
            let _ = writeln!(out, "{value:12.3} {quantile:.12} {total:10}");
        }
    }
    let (mean, deviation) = if distribution.count() > 0 { (histogram.mean(), histogram.stdev()) } else { (0.0, 0.0) };
    #[expect(clippy::cast_precision_loss, reason = "shown with three decimals")]
    let max = histogram.max() as f64 / NS_PER_MS;
    let (buckets, sub_buckets) = (histogram.buckets(), (2 * 10_u32.pow(histogram.sigfig().into())).next_power_of_two());
    let _ = writeln!(
        out,
        "#[Mean    = {:12.3}, StdDeviation   = {:12.3}]\n#[Max     = {max:12.3}, Total count    = {:12}]\n#[Buckets = {buckets:12}, SubBuckets     = {sub_buckets:12}]",
        mean / NS_PER_MS,
        deviation / NS_PER_MS,
        histogram.len()
    );
    out
}
