//! A run in progress as Prometheus text (exposition format 0.0.4), names documented in one table.
//!
//! Times are in seconds, as Prometheus asks; histograms are classic, with fixed bounds, so that runs can be laid over one
//! another. Label values are escaped; there is no label whose number of values grows with the run.

use std::fmt::Write as _;

use super::csv::metric_id;
use super::escape;
use super::text::phase_name;
use crate::account::{self, BOUNDS_NS, Buckets};
use crate::base::RunId;
use crate::event::Phase;
use crate::measure::drop_name;

/// What the answer to a scrape says it is.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A run at one instant, as far as its samples go; everything is counted since it began.
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
    /// Publications due over the whole run; 0 where that cannot be known (closed loop).
    pub publications_planned: u64,
    /// Copies of publications sent that have not arrived, those on their way included.
    pub copies_outstanding: u64,
    /// Sampled from the books.
    pub books: account::Live,
    /// The largest event-loop lag of the last second, nanoseconds.
    pub loop_lag_ns: u64,
    /// CPU time of the instrument's processes so far, nanoseconds.
    pub cpu_ns: u64,
    /// Their resident memory, bytes.
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
    /// Histograms by label value.
    Histograms(&'static str, Vec<(&'static str, Buckets)>),
    /// The run's identity.
    Info(Vec<(&'static str, String)>),
}

const fn row(name: &'static str, kind: Kind, help: &'static str, samples: fn(&Live) -> Samples) -> Row {
    Row { name, kind, help, samples }
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus has floating-point numbers only")]
const fn one(n: u64) -> Samples {
    Samples::One(n as f64)
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus has floating-point numbers only")]
fn by<'a>(label: &'static str, counts: impl Iterator<Item = (&'a str, u64)>) -> Samples {
    Samples::By(label, counts.map(|(value, n)| (value.to_owned(), n as f64)).collect())
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
    row("wsbench_connections_open", Kind::Gauge, "Connections open now.", |live| one(live.books.progress.open)),
    row("wsbench_connections_opened_total", Kind::Counter, "WebSocket handshakes completed.", |live| one(live.books.opened)),
    row("wsbench_connections_failed_total", Kind::Counter, "Failed connection attempts by cause.", |live| {
        by("cause", live.books.failed.iter().map(|(cause, n)| (cause.as_str(), *n)))
    }),
    row("wsbench_connections_lost_total", Kind::Counter, "Connections that ended unasked.", |live| one(live.books.progress.lost)),
    row("wsbench_publications_planned", Kind::Gauge, "Publications due over the whole run; 0 in a closed loop.", |live| {
        one(live.publications_planned)
    }),
    row("wsbench_publications_sent_total", Kind::Counter, "Publications sent.", |live| one(live.books.progress.sent)),
    row("wsbench_publications_dropped_total", Kind::Counter, "Publications the instrument never sent, by cause.", |live| {
        by("cause", live.books.dropped.iter().map(|(cause, n)| (drop_name(*cause), *n)))
    }),
    row("wsbench_copies_received_total", Kind::Counter, "Copies received.", |live| one(live.books.progress.received)),
    row(
        "wsbench_copies_outstanding",
        Kind::Gauge,
        "Copies of what was sent that have not arrived, those on their way included; a guess while clients come and go.",
        |live| one(live.copies_outstanding),
    ),
    row("wsbench_copies_late_total", Kind::Counter, "Copies that arrived after the limit.", |live| one(live.books.progress.late)),
    row("wsbench_copies_duplicate_total", Kind::Counter, "Second and further arrivals.", |live| one(live.books.progress.duplicate)),
    row("wsbench_copies_out_of_order_total", Kind::Counter, "Arrivals behind a later publication of the same publisher.", |live| {
        one(live.books.progress.out_of_order)
    }),
    row("wsbench_copies_damaged_total", Kind::Counter, "Arrivals with a flaw.", |live| one(live.books.progress.damaged)),
    row("wsbench_frames_stray_total", Kind::Counter, "Frames that should never have come.", |live| one(live.books.progress.stray)),
    row("wsbench_beats_total", Kind::Counter, "Heartbeats seen.", |live| one(live.books.progress.beats)),
    row("wsbench_pings_total", Kind::Counter, "Pings sent.", |live| one(live.books.pings)),
    row("wsbench_pongs_total", Kind::Counter, "Answers to pings seen.", |live| one(live.books.progress.pongs)),
    row(
        "wsbench_latency_seconds",
        Kind::Histogram,
        "Latencies by metric: send_lag, transit, delivery (these of the steady state), pong, heartbeat_interval, connect, publish.",
        |live| Samples::Histograms("metric", live.books.latency.iter().map(|(metric, b)| (metric_id(*metric), *b)).collect()),
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
            Samples::Histograms(label, histograms) => {
                for (text, buckets) in histograms {
                    histogram(&mut out, row.name, &format!("{label}=\"{text}\""), &buckets);
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

#[expect(clippy::cast_precision_loss, reason = "bounds of some seconds")]
fn histogram(out: &mut String, name: &str, label: &str, buckets: &Buckets) {
    for (bound, at_most) in BOUNDS_NS.into_iter().zip(buckets.at_most) {
        let _ = writeln!(out, "{name}_bucket{{{label},le=\"{}\"}} {at_most}", bound as f64 / 1e9);
    }
    let Buckets { count, sum_seconds, .. } = buckets;
    let _ =
        writeln!(out, "{name}_bucket{{{label},le=\"+Inf\"}} {count}\n{name}_sum{{{label}}} {sum_seconds}\n{name}_count{{{label}}} {count}");
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
    use std::collections::BTreeMap;

    use super::*;
    use crate::event::DropCause;
    use crate::scenario::model::Metric;

    fn live() -> Live {
        let delivery = Buckets { at_most: [1, 1, 1, 2, 2, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4], count: 5, sum_seconds: 20.00895 };
        let books = account::Live {
            progress: account::Progress { open: 9, sent: 50, received: 450, ..account::Progress::default() },
            opened: 9,
            failed: BTreeMap::from([("refused".into(), 1)]),
            dropped: BTreeMap::from([(DropCause::BackPressure, 2)]),
            pings: 20,
            latency: BTreeMap::from([(Metric::Delivery, delivery), (Metric::Pong, Buckets::default())]),
        };
        Live {
            scenario: "a \"name\"\n\\".into(),
            run_id: RunId(7),
            phase: Phase::Steady,
            elapsed_ns: 1_500_000_000,
            connections_planned: 10,
            publications_planned: 100,
            copies_outstanding: 0,
            books,
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
        assert!(text.contains("wsbench_publications_dropped_total{cause=\"back_pressure\"} 2\n"));
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
