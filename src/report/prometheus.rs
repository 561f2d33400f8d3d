//! A run in progress as Prometheus text (exposition format 0.0.4), names documented in one table.
//!
//! Times are in seconds, as Prometheus asks; histograms are classic, with fixed bounds, so that runs can be laid over one
//! another. Label values are escaped; there is no label whose number of values grows with the run.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::csv::metric_id;
use super::escape;
use super::text::phase_name;
use crate::base::RunId;
use crate::event::Phase;
use crate::measure::Distribution;
use crate::scenario::model::Metric;

/// What the answer to a scrape says it is.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A run at one instant: plain numbers, counted since it began.
#[derive(Debug, Clone, PartialEq)]
pub struct Live {
    /// The scenario's name.
    pub scenario: String,
    /// The run.
    pub run_id: RunId,
    /// The phase it is in.
    pub phase: Phase,
    /// Time since the epoch of the run, nanoseconds.
    pub elapsed_ns: u64,
    /// Connections planned.
    pub connections_planned: u64,
    /// Open now.
    pub connections_open: u64,
    /// Handshakes completed.
    pub connections_opened: u64,
    /// Failed attempts by cause.
    pub connections_failed: BTreeMap<String, u64>,
    /// Ended unasked.
    pub connections_lost: u64,
    /// Publications due over the whole run.
    pub publications_planned: u64,
    /// Sent.
    pub publications_sent: u64,
    /// Never sent, by cause.
    pub publications_dropped: BTreeMap<String, u64>,
    /// Copies received.
    pub copies_received: u64,
    /// Owed copies whose limit has passed without them.
    pub copies_missing: u64,
    /// Second and further arrivals.
    pub copies_duplicate: u64,
    /// Arrivals behind a later publication of the same publisher.
    pub copies_out_of_order: u64,
    /// Arrivals with a flaw.
    pub copies_damaged: u64,
    /// Frames that should never have come.
    pub frames_stray: u64,
    /// Beats seen.
    pub beats: u64,
    /// Pings of ours sent.
    pub pings: u64,
    /// Answers seen.
    pub pongs: u64,
    /// Latencies so far, by metric.
    pub latency: BTreeMap<Metric, Distribution>,
    /// The largest event-loop lag of the last second, nanoseconds.
    pub loop_lag_ns: u64,
    /// CPU time of the process so far, nanoseconds.
    pub cpu_ns: u64,
    /// Resident memory, bytes.
    pub resident_bytes: u64,
}

/// What kind of number a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes both ways.
    Gauge,
    /// Buckets, sum and count.
    Histogram,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A documented metric.
pub struct Row {
    /// Its name, as scraped.
    pub name: &'static str,
    /// What kind of number it is.
    pub kind: Kind,
    /// What it is, in a sentence.
    pub help: &'static str,
    samples: fn(&Live) -> Samples,
}

/// The samples of one metric.
enum Samples {
    /// One number without labels.
    One(f64),
    /// One number a label value.
    By(&'static str, Vec<(String, f64)>),
    /// Distributions by label value.
    Distributions(&'static str, Vec<(String, Distribution)>),
    /// The run's identity.
    Info(Vec<(&'static str, String)>),
}

/// Upper bounds of the histograms, nanoseconds: three to a decade from 100 µs to 10 s.
const BOUNDS_NS: [u64; 16] = [
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

const fn row(name: &'static str, kind: Kind, help: &'static str, samples: fn(&Live) -> Samples) -> Row {
    Row { name, kind, help, samples }
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus has floating-point numbers only")]
const fn one(n: u64) -> Samples {
    Samples::One(n as f64)
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus has floating-point numbers only")]
fn by(label: &'static str, map: &BTreeMap<String, u64>) -> Samples {
    Samples::By(label, map.iter().map(|(value, &n)| (value.clone(), n as f64)).collect())
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus has floating-point numbers only")]
const fn seconds(ns: u64) -> Samples {
    Samples::One(ns as f64 / 1e9)
}

/// Every metric there is, in the order they are written.
pub static METRICS: &[Row] = &[
    row("wsbench_run_info", Kind::Gauge, "Always 1; names the scenario, the run and the phase.", |live| {
        Samples::Info(vec![
            ("scenario", live.scenario.clone()),
            ("run", format!("{:08x}", live.run_id.0)),
            ("phase", phase_name(live.phase).to_owned()),
        ])
    }),
    row("wsbench_run_elapsed_seconds", Kind::Gauge, "Time since the run began.", |live| seconds(live.elapsed_ns)),
    row("wsbench_connections_planned", Kind::Gauge, "Connections planned.", |live| one(live.connections_planned)),
    row("wsbench_connections_open", Kind::Gauge, "Connections open now.", |live| one(live.connections_open)),
    row("wsbench_connections_opened_total", Kind::Counter, "WebSocket handshakes completed.", |live| one(live.connections_opened)),
    row("wsbench_connections_failed_total", Kind::Counter, "Failed connection attempts by cause.", |live| {
        by("cause", &live.connections_failed)
    }),
    row("wsbench_connections_lost_total", Kind::Counter, "Connections that ended unasked.", |live| one(live.connections_lost)),
    row("wsbench_publications_planned", Kind::Gauge, "Publications due over the whole run.", |live| one(live.publications_planned)),
    row("wsbench_publications_sent_total", Kind::Counter, "Publications sent.", |live| one(live.publications_sent)),
    row("wsbench_publications_dropped_total", Kind::Counter, "Publications the instrument never sent, by cause.", |live| {
        by("cause", &live.publications_dropped)
    }),
    row("wsbench_copies_received_total", Kind::Counter, "Copies received.", |live| one(live.copies_received)),
    row("wsbench_copies_missing", Kind::Gauge, "Owed copies whose limit has passed without them; a late one is taken off again.", |live| {
        one(live.copies_missing)
    }),
    row("wsbench_copies_duplicate_total", Kind::Counter, "Second and further arrivals.", |live| one(live.copies_duplicate)),
    row("wsbench_copies_out_of_order_total", Kind::Counter, "Arrivals behind a later publication of the same publisher.", |live| {
        one(live.copies_out_of_order)
    }),
    row("wsbench_copies_damaged_total", Kind::Counter, "Arrivals with a flaw.", |live| one(live.copies_damaged)),
    row("wsbench_frames_stray_total", Kind::Counter, "Frames that should never have come.", |live| one(live.frames_stray)),
    row("wsbench_beats_total", Kind::Counter, "Heartbeats seen.", |live| one(live.beats)),
    row("wsbench_pings_total", Kind::Counter, "Pings sent.", |live| one(live.pings)),
    row("wsbench_pongs_total", Kind::Counter, "Answers to pings seen.", |live| one(live.pongs)),
    row(
        "wsbench_latency_seconds",
        Kind::Histogram,
        "Latencies by metric: send_lag, transit, delivery, pong, heartbeat_interval, connect, publish.",
        |live| {
            let of = |(metric, distribution): (&Metric, &Distribution)| (metric_id(*metric).to_owned(), distribution.clone());
            Samples::Distributions("metric", live.latency.iter().map(of).collect())
        },
    ),
    row("wsbench_loop_lag_seconds", Kind::Gauge, "Largest event-loop lag of the instrument in the last second.", |live| {
        seconds(live.loop_lag_ns)
    }),
    row("wsbench_cpu_seconds_total", Kind::Counter, "CPU time of the instrument.", |live| seconds(live.cpu_ns)),
    row("wsbench_resident_memory_bytes", Kind::Gauge, "Resident memory of the instrument.", |live| one(live.resident_bytes)),
];

/// The answer to a scrape.
#[must_use]
pub fn render(live: &Live) -> String {
    let mut out = String::with_capacity(8 * 1024);
    for row in METRICS {
        let _ = writeln!(out, "# HELP {} {}\n# TYPE {} {}", row.name, row.help, row.name, row.kind.word());
        match (row.samples)(live) {
            Samples::One(value) => {
                let _ = writeln!(out, "{} {value}", row.name);
            }
            Samples::By(label, values) => {
                for (text, value) in values {
                    let _ = writeln!(out, "{}{{{label}=\"{}\"}} {value}", row.name, label_value(&text));
                }
            }
            Samples::Distributions(label, distributions) => {
                for (text, distribution) in distributions {
                    histogram(&mut out, row.name, &format!("{label}=\"{}\"", label_value(&text)), &distribution);
                }
            }
            Samples::Info(labels) => {
                let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", label_value(value))).collect();
                let _ = writeln!(out, "{}{{{}}} 1", row.name, labels.join(","));
            }
        }
    }
    out
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus has floating-point numbers only")]
fn histogram(out: &mut String, name: &str, label: &str, distribution: &Distribution) {
    let mut below = 0;
    let mut bounds = BOUNDS_NS.iter().peekable();
    // A bucket of the histogram counts below a bound when all of it does, so that counts only grow from scrape to scrape.
    for bucket in distribution.histogram.iter_recorded() {
        while let Some(bound) = bounds.next_if(|bound| bucket.value_iterated_to() > **bound) {
            let _ = writeln!(out, "{name}_bucket{{{label},le=\"{}\"}} {below}", *bound as f64 / 1e9);
        }
        below += bucket.count_since_last_iteration();
    }
    for bound in bounds {
        let _ = writeln!(out, "{name}_bucket{{{label},le=\"{}\"}} {below}", *bound as f64 / 1e9);
    }
    let count = distribution.count();
    let sum = if count > 0 { distribution.histogram.mean() * count as f64 / 1e9 } else { 0.0 };
    let _ = writeln!(out, "{name}_bucket{{{label},le=\"+Inf\"}} {count}\n{name}_sum{{{label}}} {sum}\n{name}_count{{{label}}} {count}");
}

/// The table as Markdown, for the documentation.
#[must_use]
pub fn docs() -> String {
    let mut out = String::from("| name | type | what it is |\n|---|---|---|\n");
    for row in METRICS {
        let _ = writeln!(out, "| `{}` | {} | {} |", row.name, row.kind.word(), row.help);
    }
    out
}

fn label_value(raw: &str) -> String {
    escape(raw).replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live() -> Live {
        let mut delivery = Distribution::default();
        [50_000, 900_000, 4_000_000, 4_000_000, 20_000_000_000].into_iter().for_each(|ns| delivery.record(ns));
        Live {
            scenario: "a \"name\"\n\\".into(),
            run_id: RunId(7),
            phase: Phase::Steady,
            elapsed_ns: 1_500_000_000,
            connections_planned: 10,
            connections_open: 9,
            connections_opened: 9,
            connections_failed: BTreeMap::from([("refused".into(), 1)]),
            connections_lost: 0,
            publications_planned: 100,
            publications_sent: 50,
            publications_dropped: BTreeMap::new(),
            copies_received: 450,
            copies_missing: 0,
            copies_duplicate: 0,
            copies_out_of_order: 0,
            copies_damaged: 0,
            frames_stray: 0,
            beats: 0,
            pings: 20,
            pongs: 20,
            latency: BTreeMap::from([(Metric::Delivery, delivery), (Metric::Pong, Distribution::default())]),
            loop_lag_ns: 61_000,
            cpu_ns: 400_000_000,
            resident_bytes: 1 << 20,
        }
    }

    #[test]
    fn every_metric_is_written_once_with_its_type() {
        let text = render(&live());
        for row in METRICS {
            assert_eq!(text.matches(&format!("# TYPE {} ", row.name)).count(), 1, "{}", row.name);
            assert_eq!(row.kind == Kind::Counter, row.name.ends_with("_total"), "{}", row.name);
        }
        assert!(text.contains("wsbench_connections_open 9\n"));
        assert!(text.contains("wsbench_connections_failed_total{cause=\"refused\"} 1\n"));
        assert!(text.contains(r#"wsbench_run_info{scenario="a \"name\"\\n\\",run="00000007",phase="steady"} 1"#), "{text}");
    }

    #[test]
    fn histograms_are_cumulative_and_end_in_their_count() {
        let text = render(&live());
        let counts: Vec<u64> = text
            .lines()
            .filter(|line| line.starts_with("wsbench_latency_seconds_bucket{metric=\"delivery\""))
            .map(|line| line.rsplit(' ').next().and_then(|n| n.parse().ok()).expect("a count"))
            .collect();
        assert_eq!(counts, [1, 1, 1, 2, 2, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 5]);
        assert!(text.contains("wsbench_latency_seconds_bucket{metric=\"delivery\",le=\"0.005\"} 4\n"));
        assert!(text.contains("wsbench_latency_seconds_count{metric=\"delivery\"} 5\n"));
        assert!(text.contains("wsbench_latency_seconds_sum{metric=\"pong\"} 0\n"));
    }

    #[test]
    fn no_line_is_malformed() {
        for line in render(&live()).lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').expect("name and value");
            assert!(value.parse::<f64>().is_ok(), "{line}");
            assert!(series.starts_with("wsbench_") && series.matches('{').count() == series.matches('}').count(), "{line}");
        }
    }
}
