//! The numbers of a report by name: one table from which thresholds, comparison, JUnit properties and the documentation all
//! follow. A row is the whole cost of a new metric.

use super::Report;
use super::number;
use crate::base::{ByteSize, Rate, Span};
use crate::measure::Distribution;
use crate::scenario::model::Metric as Latency;

/// What a number counts, which decides how a literal of it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds inside; written `250ms`.
    Time,
    /// 0 to 1 inside; written `1%` or `0.01`.
    Share,
    /// Written as a plain number.
    Count,
    /// Events per second; written `50/s` or as a plain number.
    PerSecond,
    /// Written `64MiB` or as a plain number.
    Bytes,
}

impl Unit {
    /// A literal of this unit, or what one looks like.
    ///
    /// # Errors
    /// When the text is no number in this unit; the error says how one is written.
    #[expect(clippy::cast_precision_loss, reason = "a limit a person wrote is far below 2⁵³")]
    pub fn parse(self, text: &str) -> Result<f64, String> {
        let plain = || text.parse::<f64>().ok().filter(|value| value.is_finite());
        match self {
            Self::Time => text.parse::<Span>().map(|span| span.as_nanos() as f64).map_err(|error| error.to_string()),
            Self::Share => text
                .strip_suffix('%')
                .map_or_else(plain, |number| number.trim().parse::<f64>().ok().filter(|value| value.is_finite()).map(|value| value / 100.0))
                .ok_or_else(|| format!("`{text}` is not a share: write `1%` or `0.01`")),
            Self::Count => plain().ok_or_else(|| format!("`{text}` is not a number: write `12`")),
            Self::PerSecond => plain()
                .or_else(|| text.parse::<Rate>().ok().map(Rate::as_per_second))
                .ok_or_else(|| format!("`{text}` is not a rate: write `50/s`")),
            Self::Bytes => text.parse::<ByteSize>().map(|size| size.0 as f64).map_err(|error| error.to_string()),
        }
    }

    /// For people.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "never negative; a display value")]
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Time => number::span(value.round() as u64),
            Self::Share => number::percent(value),
            Self::Count => number::quantity(value),
            Self::PerSecond => number::per_second(value),
            Self::Bytes => number::bytes(value.round() as u64),
        }
    }

    /// For machines: the value in the base unit, no unit beside it.
    #[must_use]
    pub fn plain(self, value: f64) -> String {
        match self {
            Self::Time | Self::Bytes => format!("{value:.0}"),
            Self::Share | Self::Count | Self::PerSecond => value.to_string(),
        }
    }

    /// How a literal is written, for the documentation.
    #[must_use]
    pub const fn written(self) -> &'static str {
        match self {
            Self::Time => "`250ms`",
            Self::Share => "`1%` or `0.01`",
            Self::Count => "`12`",
            Self::PerSecond => "`50/s`",
            Self::Bytes => "`64MiB`",
        }
    }
}

/// A number read from a report.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// In the base unit.
    pub value: f64,
    /// How many cases it rests on; never 0.
    pub population: u64,
}

/// A row of the table: a scalar, or a family of them over a distribution.
pub struct Row {
    /// Its name, or the name before the dot.
    pub name: &'static str,
    /// What it is, in a sentence.
    pub says: &'static str,
    /// How it is read.
    pub source: Source,
}

/// Where a number comes from.
pub enum Source {
    /// One number; `None` when there is no data.
    Scalar(Unit, fn(&Report) -> Option<Reading>),
    /// A distribution of times; its statistics are `min`, `mean`, `max`, `stdev`, `samples` and `p50`, `p99.9`, ….
    Times(fn(&Report) -> Option<&Distribution>),
}

/// What is read of a distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Statistic {
    /// The least.
    Min,
    /// The mean.
    Mean,
    /// The standard deviation.
    Stdev,
    /// The greatest.
    Max,
    /// How many samples.
    Samples,
    /// A percentile, 0 < p ≤ 100.
    Percentile(f64),
}

/// A metric a name was resolved to.
#[derive(Clone, Copy)]
pub struct Metric {
    row: &'static Row,
    statistic: Option<Statistic>,
}

impl Metric {
    /// The unit of its value.
    #[must_use]
    pub const fn unit(&self) -> Unit {
        match (&self.row.source, self.statistic) {
            (Source::Scalar(unit, _), _) => *unit,
            (Source::Times(_), Some(Statistic::Samples)) => Unit::Count,
            (Source::Times(_), _) => Unit::Time,
        }
    }

    /// Its value in `report`; `None` when there is no data.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "nanoseconds of an hour and counts below 2⁵³ are exact")]
    pub fn read(&self, report: &Report) -> Option<Reading> {
        match &self.row.source {
            Source::Scalar(_, read) => read(report).filter(|reading| reading.population > 0 && reading.value.is_finite()),
            Source::Times(of) => {
                let distribution = of(report).filter(|distribution| distribution.count() > 0)?;
                let histogram = &distribution.histogram;
                let value = match self.statistic? {
                    Statistic::Min => histogram.min() as f64,
                    Statistic::Mean => histogram.mean(),
                    Statistic::Stdev => histogram.stdev(),
                    Statistic::Max => histogram.max() as f64,
                    Statistic::Samples => distribution.count() as f64,
                    Statistic::Percentile(p) => distribution.percentile(p)? as f64,
                };
                Some(Reading { value, population: distribution.count() })
            }
        }
    }

    /// For a percentile, whether there are too few samples for it to be anything but the maximum.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a rule of thumb")]
    pub fn is_the_maximum(&self, population: u64) -> bool {
        matches!(self.statistic, Some(Statistic::Percentile(p)) if p < 100.0 && population as f64 * (1.0 - p / 100.0) < 1.0)
    }
}

/// Why a name is no metric.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no metric `{name}`{}", near.as_ref().map_or_else(String::new, |near| format!(": did you mean `{near}`?")))]
pub struct UnknownMetric {
    /// As written.
    pub name: String,
    /// The nearest one there is, if any is near.
    pub near: Option<String>,
}

/// Finds a metric by its name.
///
/// # Errors
/// When there is none of that name, with the nearest.
pub fn find(name: &str) -> Result<Metric, UnknownMetric> {
    if let Some(row) = METRICS.iter().find(|row| row.name == name && matches!(row.source, Source::Scalar(..))) {
        return Ok(Metric { row, statistic: None });
    }
    let of_distribution = || {
        let (stem, statistic) = name.split_once('.')?;
        let stem = if stem == "heartbeat" { "heartbeat_interval" } else { stem };
        let row = METRICS.iter().find(|row| row.name == stem && matches!(row.source, Source::Times(_)))?;
        Some(Metric { row, statistic: Some(parse_statistic(statistic)?) })
    };
    of_distribution().ok_or_else(|| UnknownMetric { name: super::escape(name).into_owned(), near: nearest(name) })
}

/// The distribution of that name in a report; `None` when it has no sample.
///
/// # Errors
/// When there is no distribution of that name, with the nearest.
pub fn distribution<'a>(report: &'a Report, name: &str) -> Result<Option<&'a Distribution>, UnknownMetric> {
    let stem = if name == "heartbeat" { "heartbeat_interval" } else { name };
    let row = METRICS.iter().find(|row| row.name == stem);
    if let Some(Row { source: Source::Times(of), .. }) = row {
        return Ok(of(report).filter(|distribution| distribution.count() > 0));
    }
    let near = METRICS.iter().filter(|row| matches!(row.source, Source::Times(_))).map(|row| row.name);
    let near =
        near.max_by(|a, b| strsim::normalized_damerau_levenshtein(stem, a).total_cmp(&strsim::normalized_damerau_levenshtein(stem, b)));
    Err(UnknownMetric { name: super::escape(name).into_owned(), near: near.map(str::to_owned) })
}

fn parse_statistic(text: &str) -> Option<Statistic> {
    Some(match text {
        "min" => Statistic::Min,
        "mean" => Statistic::Mean,
        "stdev" => Statistic::Stdev,
        "max" => Statistic::Max,
        "samples" => Statistic::Samples,
        _ => {
            let digits = text.strip_prefix('p')?;
            if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
                return None;
            }
            Statistic::Percentile(digits.parse().ok().filter(|&p| p > 0.0 && p <= 100.0)?)
        }
    })
}

fn nearest(name: &str) -> Option<String> {
    listed(METRICS)
        .map(|(candidate, _)| (strsim::normalized_damerau_levenshtein(name, &candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.4)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// Every scalar, and the usual statistics of every distribution, by full name.
pub fn listed(rows: &'static [Row]) -> impl Iterator<Item = (String, Metric)> {
    const USUAL: [(&str, Statistic); 10] = [
        ("min", Statistic::Min),
        ("mean", Statistic::Mean),
        ("stdev", Statistic::Stdev),
        ("p50", Statistic::Percentile(50.0)),
        ("p90", Statistic::Percentile(90.0)),
        ("p95", Statistic::Percentile(95.0)),
        ("p99", Statistic::Percentile(99.0)),
        ("p99.9", Statistic::Percentile(99.9)),
        ("max", Statistic::Max),
        ("samples", Statistic::Samples),
    ];
    rows.iter().flat_map(|row| match row.source {
        Source::Scalar(..) => vec![(row.name.to_owned(), Metric { row, statistic: None })],
        Source::Times(_) => {
            USUAL.iter().map(|&(name, statistic)| (format!("{}.{name}", row.name), Metric { row, statistic: Some(statistic) })).collect()
        }
    })
}

/// The table as Markdown, for the documentation.
#[must_use]
pub fn docs() -> String {
    let mut out = String::from("| metric | written | what it is |\n|---|---|---|\n");
    for row in METRICS {
        let (name, written) = match &row.source {
            Source::Scalar(unit, _) => (format!("`{}`", row.name), unit.written()),
            Source::Times(_) => {
                (format!("`{}.p50` … `.p99.9`, `.min`, `.mean`, `.stdev`, `.max`, `.samples`", row.name), Unit::Time.written())
            }
        };
        out.push_str(&format!("| {name} | {written} | {} |\n", row.says));
    }
    out
}

const fn scalar(name: &'static str, unit: Unit, says: &'static str, read: fn(&Report) -> Option<Reading>) -> Row {
    Row { name, says, source: Source::Scalar(unit, read) }
}

const fn times(name: &'static str, says: &'static str, of: fn(&Report) -> Option<&Distribution>) -> Row {
    Row { name, says, source: Source::Times(of) }
}

/// A count out of a population; no data when the population is empty.
#[expect(clippy::cast_precision_loss, reason = "counts below 2⁵³ are exact")]
const fn out_of(count: u64, population: u64) -> Option<Reading> {
    if population == 0 { None } else { Some(Reading { value: count as f64, population }) }
}

/// The table.
pub static METRICS: &[Row] = &[
    times("send_lag", "planned instant to send: the instrument's own lateness", |r| r.summary.latency.get(&Latency::SendLag)),
    times("transit", "send to receipt, per copy", |r| r.summary.latency.get(&Latency::Transit)),
    times("delivery", "planned instant to receipt, per copy; free of coordinated omission", |r| r.summary.latency.get(&Latency::Delivery)),
    times("pong", "ping to its answer", |r| r.summary.latency.get(&Latency::Pong)),
    times("heartbeat_interval", "beat to beat, per client (also `heartbeat.…`)", |r| r.summary.latency.get(&Latency::HeartbeatInterval)),
    times("connect", "TCP, TLS and WebSocket handshake together", |r| r.summary.latency.get(&Latency::Connect)),
    times("publish", "request to answer, per publication over HTTP", |r| r.summary.latency.get(&Latency::Publish)),
    times("first_receiver", "planned instant to the first receiver, per publication", |r| Some(&r.summary.spread.first)),
    times("median_receiver", "planned instant to the median receiver, per publication", |r| Some(&r.summary.spread.median)),
    times("last_receiver", "planned instant to the last receiver, per publication", |r| Some(&r.summary.spread.last)),
    times("spread", "first receiver to last, per publication", |r| Some(&r.summary.spread.spread)),
    scalar("delivery.ratio", Unit::Share, "distinct owed copies delivered ÷ owed", |r| {
        Some(Reading { value: r.summary.copies.delivery_ratio?, population: r.summary.copies.owed })
    }),
    scalar("delivery.owed", Unit::Count, "copies owed", |r| out_of(r.summary.copies.owed, r.summary.publications.sent)),
    scalar("delivery.late", Unit::Count, "owed copies beyond the limit", |r| out_of(r.summary.copies.late, r.summary.copies.owed)),
    scalar("delivery.missing", Unit::Count, "owed copies that never came", |r| out_of(r.summary.copies.missing, r.summary.copies.owed)),
    scalar("copies.duplicate", Unit::Count, "second and further arrivals", |r| {
        out_of(r.summary.copies.duplicate, r.summary.copies.received)
    }),
    scalar("copies.out_of_order", Unit::Count, "arrivals behind a later publication of the same publisher", |r| {
        out_of(r.summary.copies.out_of_order, r.summary.copies.received)
    }),
    scalar("copies.damaged", Unit::Count, "arrivals with a flaw of any kind", |r| {
        out_of(r.summary.copies.damaged.values().sum(), r.summary.copies.received)
    }),
    scalar("copies.stray", Unit::Count, "frames that should never have come", |r| {
        out_of(r.summary.copies.stray.values().sum(), r.summary.connections.opened)
    }),
    scalar("copies.per_second", Unit::PerSecond, "copies received per second, steady state", |r| {
        Some(Reading { value: r.summary.rates.copies_per_s, population: r.summary.copies.received })
    }),
    scalar("publications.achieved", Unit::PerSecond, "publications sent per second, steady state", |r| {
        Some(Reading { value: r.summary.rates.achieved_per_s, population: r.summary.publications.planned })
    }),
    scalar("publications.dropped", Unit::Count, "publications the instrument never sent", |r| {
        out_of(r.summary.publications.dropped.values().sum(), r.summary.publications.planned)
    }),
    scalar("connect.ratio", Unit::Share, "connections opened ÷ planned", |r| {
        share(r.summary.connections.opened, r.summary.connections.planned)
    }),
    scalar("connect.failed", Unit::Count, "connection attempts that failed", |r| {
        out_of(r.summary.connections.failed.values().sum(), r.summary.connections.planned)
    }),
    scalar("connections.lost", Unit::Count, "connections that ended unasked", |r| {
        out_of(r.summary.connections.lost, r.summary.connections.opened)
    }),
    scalar("pong.ratio", Unit::Share, "pings answered in time ÷ sent, all levels", |r| {
        let levels = r.summary.pong.levels.values();
        let (on_time, sent) = levels.fold((0, 0), |(on_time, sent), level| (on_time + level.on_time, sent + level.sent));
        share(on_time, sent)
    }),
    scalar("heartbeat.missed", Unit::Count, "beats that never came", |r| out_of(r.summary.heartbeat.missed, r.summary.heartbeat.due)),
    scalar("heartbeat.in_time_ratio", Unit::Share, "beats in time ÷ due", |r| share(r.summary.heartbeat.in_time, r.summary.heartbeat.due)),
    scalar("heartbeat.worst_jitter", Unit::Time, "largest deviation from the cadence", |r| {
        out_of(r.summary.heartbeat.worst_jitter_ns, r.summary.heartbeat.beats.min(r.summary.heartbeat.due))
    }),
    scalar("instrument.late_share", Unit::Share, "publications sent late ÷ sent", |r| {
        Some(Reading { value: r.summary.instrument.late_share, population: r.summary.publications.sent })
    }),
    scalar("instrument.late_sends", Unit::Count, "publications sent late", |r| {
        out_of(r.summary.instrument.late_sends, r.summary.publications.sent)
    }),
    scalar("instrument.loop_lag_p99", Unit::Time, "event-loop lag of the instrument, p99", |r| {
        out_of(r.summary.instrument.loop_lag_p99_ns, r.summary.instrument.shards.into())
    }),
    scalar("instrument.busiest_shard", Unit::Share, "busiest shard's share of one core", |r| {
        Some(Reading { value: r.summary.instrument.busiest_shard, population: r.summary.instrument.shards.into() })
    }),
    scalar("instrument.cpu", Unit::Time, "CPU time of the whole run", |r| {
        out_of(r.summary.instrument.cpu_ns, r.summary.instrument.processes.into())
    }),
    scalar("instrument.peak_memory", Unit::Bytes, "peak resident memory", |r| {
        out_of(r.summary.instrument.peak_memory_bytes, r.summary.instrument.processes.into())
    }),
    scalar("instrument.bytes_per_connection", Unit::Bytes, "growth of resident memory over the ramp ÷ connections opened", |r| {
        out_of(r.summary.instrument.bytes_per_connection, r.summary.connections.opened)
    }),
];

#[expect(clippy::cast_precision_loss, reason = "counts below 2⁵³ are exact")]
const fn share(part: u64, whole: u64) -> Option<Reading> {
    if whole == 0 { None } else { Some(Reading { value: part as f64 / whole as f64, population: whole }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_resolve_and_near_misses_are_told() {
        for name in ["delivery.p99", "delivery.p99.9", "heartbeat.p50", "delivery.ratio", "connect.p95", "instrument.late_share"] {
            assert!(find(name).is_ok(), "{name}");
        }
        for (name, near) in [
            ("delivry.p99", Some("delivery.p99")),
            ("delivery.ration", Some("delivery.ratio")),
            ("instrument.late", Some("instrument.late_share")),
            ("zzzzzz", None),
            ("delivery.p101", Some("delivery.p50")),
        ] {
            let error = find(name).err().unwrap_or_else(|| panic!("{name} is no metric"));
            assert_eq!(error.near.is_some(), near.is_some(), "{name}: {error}");
            if name != "delivery.p101" && name != "instrument.late" {
                assert_eq!(error.near.as_deref(), near, "{name}");
            }
        }
    }

    #[test]
    fn names_are_unique_and_each_is_found() {
        let mut seen = std::collections::BTreeSet::new();
        for (name, _) in listed(METRICS) {
            assert!(find(&name).is_ok(), "{name}");
            assert!(seen.insert(name.clone()), "{name} twice");
        }
    }
}
