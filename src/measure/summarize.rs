//! From the books to the numbers.

use std::collections::BTreeMap;

use super::spread::spread;
use super::summary::{
    ConnectionNumbers, CopyNumbers, Distribution, FeedNumbers, HeartbeatNumbers, InstrumentNumbers, PhaseSpan, PongLevelNumbers,
    PongNumbers, PublicationNumbers, RateNumbers, Summary, Timeline, TimelineRow,
};
use crate::account::{Account, Bounds, Pings, Row, SAMPLE, Sketch, Tally, stray_name};
use crate::base::Span;
use crate::event::{DropCause, Phase, StrayKind};
use crate::plan::Plan;
use crate::scenario::model::{Metric, Target};

/// All numbers of a run. What only the edge can know stays at its default and is filled in there: processes, CPU of whole
/// processes, memory, steal time.
#[must_use]
pub fn summarize(plan: &Plan, account: &Account) -> Summary {
    Summary {
        phases: phases(account),
        connections: connections(plan, account),
        publications: publications(account),
        copies: copies(account),
        rates: rates(account),
        latency: latency(account),
        spread: spread(account),
        pong: pong(account),
        heartbeat: heartbeat(account),
        feed: plan.scenario.feed.as_ref().map(|_| feed(account)),
        instrument: instrument(plan, account),
        timeline: timeline(account),
    }
}

fn phases(account: &Account) -> Vec<PhaseSpan> {
    let began: Vec<_> = account.phases.iter().map(|(phase, at)| (*phase, *at)).collect();
    let ends = began.iter().skip(1).map(|(_, at)| *at).chain([account.ended]);
    let span = |((phase, began), end): ((Phase, crate::base::Instant), crate::base::Instant)| PhaseSpan {
        phase,
        began_ns: began.as_nanos(),
        took_ns: end.since(began).as_nanos(),
    };
    began.iter().copied().zip(ends).map(span).collect()
}

fn connections(plan: &Plan, account: &Account) -> ConnectionNumbers {
    let sums = &account.connections;
    ConnectionNumbers {
        planned: sums.planned,
        opened: sums.opened,
        ready: sums.ready,
        failed: sums.failed.clone(),
        lost: sums.lost_total(),
        greetings: sums.greetings,
        greeting_sample: sums.greeting.as_slice().first().map(|greeting| greeting.what.clone()),
        close_codes: sums.close_codes.clone(),
        closed_clean: sums.closed_clean,
        compressed: plan.scenario.groups.iter().any(|group| group.connection.deflate).then_some(sums.compressed),
    }
}

/// A drop's name in reports.
pub(crate) const fn drop_name(cause: DropCause) -> &'static str {
    match cause {
        DropCause::NotOpen => "not_open",
        DropCause::BackPressure => "back_pressure",
        DropCause::Ending => "ending",
    }
}

fn publications(account: &Account) -> PublicationNumbers {
    let sums = &account.publications;
    PublicationNumbers {
        planned: sums.sent + sums.dropped_total(),
        sent: sums.sent,
        sent_steady: sums.sent_steady,
        dropped: sums.dropped.iter().map(|(cause, n)| (drop_name(*cause).into(), *n)).collect(),
        bytes: sums.bytes,
        statuses: sums.statuses.iter().map(|(status, n)| (if *status == 0 { "none".into() } else { status.to_string() }, *n)).collect(),
    }
}

fn copies(account: &Account) -> CopyNumbers {
    let sums = &account.copies;
    let mut damaged = sums.flaws.clone();
    let unreadable = sums.stray_of(StrayKind::Unreadable);
    if unreadable > 0 {
        damaged.insert("unreadable".into(), unreadable);
    }
    CopyNumbers {
        owed: sums.owed,
        on_time: sums.on_time,
        late: sums.late,
        late_by_us: sums.late_by_us,
        missing: sums.missing,
        contested: sums.contested,
        contested_received: sums.contested_received,
        duplicate: sums.duplicate,
        out_of_order: sums.out_of_order,
        out_of_total_order: sums.out_of_total_order,
        damaged,
        stray_copies: sums.stray_copies,
        stray: sums.stray.iter().map(|(kind, n)| (stray_name(*kind).into(), *n)).collect(),
        received: sums.received,
        delivery_ratio: ratio(sums.on_time + sums.late, sums.owed),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a ratio for display; the counts stand beside it")]
fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[expect(clippy::cast_precision_loss, reason = "a rate for display")]
fn per_second(n: u64, span: Span) -> f64 {
    if span.is_zero() { 0.0 } else { n as f64 / span.as_secs_f64() }
}

fn rates(account: &Account) -> RateNumbers {
    let steady = account.steady();
    let sums = &account.publications;
    let opening = account.connections.opening.map_or(Span::ZERO, |(first, last)| last - first);
    RateNumbers {
        offered_per_s: per_second(sums.sent_steady + sums.dropped_steady, steady),
        achieved_per_s: per_second(sums.sent_steady, steady),
        copies_per_s: per_second(account.delivery.count(), steady),
        connects_per_s: per_second(account.connections.opened.saturating_sub(1), opening),
        fan_out: ratio(account.copies.owed, sums.sent).unwrap_or(0.0),
    }
}

impl From<&Tally> for Distribution {
    fn from(tally: &Tally) -> Self {
        Self { histogram: tally.to_histogram(), clamped: tally.clamped() }
    }
}

fn latency(account: &Account) -> BTreeMap<Metric, Distribution> {
    let mut pong = account.application.round_trips.clone();
    pong.merge(&account.protocol.round_trips);
    [
        (Metric::SendLag, &account.send_lag),
        (Metric::Transit, &account.transit),
        (Metric::Delivery, &account.delivery),
        (Metric::Pong, &pong),
        (Metric::HeartbeatInterval, &account.pulse.intervals),
        (Metric::Connect, &account.connections.handshakes),
        (Metric::Publish, &account.requests),
        (Metric::Spread, &account.feed.spread),
    ]
    .into_iter()
    .filter(|(_, tally)| tally.count() > 0)
    .map(|(metric, tally)| (metric, tally.into()))
    .collect()
}

fn pong(account: &Account) -> PongNumbers {
    let level = |pings: &Pings| PongLevelNumbers {
        sent: pings.judged(),
        on_time: pings.on_time,
        late: pings.late,
        unanswered: pings.unanswered,
        unsolicited: pings.again + pings.unsolicited,
        wrong_payload: pings.wrong_payload,
        contested: pings.contested,
    };
    let levels = [("application", &account.application), ("protocol", &account.protocol)];
    let used = levels.into_iter().filter(|(_, pings)| **pings != Pings::default());
    PongNumbers { levels: used.map(|(name, pings)| (name.into(), level(pings))).collect() }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a mean of non-negative nanoseconds")]
fn heartbeat(account: &Account) -> HeartbeatNumbers {
    let pulse = &account.pulse;
    HeartbeatNumbers {
        beats: pulse.beats,
        due: pulse.due(),
        in_time: pulse.in_time,
        early: pulse.early,
        late: pulse.late,
        missed: pulse.missed,
        silent_clients: pulse.silent,
        worst_jitter_ns: pulse.jitter.max(),
        mean_jitter_ns: pulse.jitter.mean() as u64,
        server_pings: pulse.server_pings,
    }
}

fn feed(account: &Account) -> FeedNumbers {
    let cadence = &account.feed.cadence;
    FeedNumbers {
        broadcasts: account.feed.broadcasts,
        due: cadence.due(),
        in_time: cadence.in_time,
        early: cadence.early,
        late: cadence.late,
        missed: cadence.missed,
        worst_jitter_ns: cadence.jitter.max(),
        retired: account.feed.retired,
    }
}

fn instrument(plan: &Plan, account: &Account) -> InstrumentNumbers {
    let health = &account.health;
    let shard_cpu = health.shards.values().fold(Span::ZERO, |sum, cpu| sum + cpu.publishing);
    let lag = |percentile| health.loop_lag.percentile(percentile).unwrap_or(0).min(health.loop_lag.max());
    InstrumentNumbers {
        shards: u32::try_from(health.shards.len()).unwrap_or(u32::MAX),
        shard_cpu_ns: shard_cpu.as_nanos(),
        copies_per_cpu_s: per_second(account.copies.received, shard_cpu),
        late_sends: account.publications.late_sends,
        late_share: ratio(account.publications.late_sends, account.publications.sent).unwrap_or(0.0),
        loop_lag_p50_ns: lag(50.0),
        loop_lag_p99_ns: lag(99.0),
        loop_lag_max_ns: health.loop_lag.max(),
        busiest_shard: health.shards.values().map(crate::account::ShardCpu::busy).fold(0.0, f64::max),
        backlog_max_bytes: health.backlog_max,
        server_inside: plan.scenario.target == Target::BuiltIn,
        bounds_reached: bounds(&account.bounds, account),
        interrupted: account.interrupted.clone(),
        ..InstrumentNumbers::default()
    }
}

/// The bounds that were reached, each in a sentence.
fn bounds(bounds: &Bounds, account: &Account) -> Vec<String> {
    let mut reached = Vec::new();
    if bounds.holes_forgotten > 0 {
        reached.push(format!(
            "the table of missing copies was full: {} more were counted as missing, and would have been taken for duplicates had they come late",
            bounds.holes_forgotten
        ));
    }
    if bounds.early_forgotten > 0 {
        reached.push(format!("the table of early copies was full: {} more were counted as contested", bounds.early_forgotten));
    }
    if bounds.log_thinned {
        reached.push("the send log was thinned: copies close to a join or leave long ago are contested instead of judged".into());
    }
    if account.copies.missing_unplaced > 0 {
        reached.push(format!(
            "{} missing copies are in no row of the timeline: when they were due is no longer kept",
            account.copies.missing_unplaced
        ));
    }
    if account.feed.retired > 0 && account.health.shards.len() > 1 {
        reached.push(format!(
            "{} of the server's own broadcasts were compared among the clients of each shard only: for more, use fewer threads",
            account.feed.retired
        ));
    }
    if bounds.publishers_unknown > 0 {
        reached.push(format!("the send logs of {} publishers are lost: their copies are contested", bounds.publishers_unknown));
    }
    if account.publications.sent > SAMPLE as u64 {
        reached.push(format!(
            "first, median and last receivers were kept for a sample of {SAMPLE} of {} publications",
            account.publications.sent
        ));
    }
    if bounds.out_of_balance > 0 {
        reached.push("the books do not balance: this is a bug in wsbench, or somebody forges stamps".into());
    }
    reached
}

/// A row's latencies as whole histograms, for interval logs.
fn histograms(row: &Row) -> BTreeMap<Metric, String> {
    let sketches = [
        (Metric::Delivery, &row.delivery),
        (Metric::Transit, &row.transit),
        (Metric::Pong, &row.pong),
        (Metric::HeartbeatInterval, &row.beat),
    ];
    let encoded = |sketch: &Sketch| {
        let mut distribution = Distribution::default();
        sketch.values().for_each(|(ns, n)| distribution.histogram.saturating_record_n(ns.max(1), n));
        distribution.to_base64()
    };
    sketches.into_iter().filter(|(_, sketch)| sketch.count() > 0).filter_map(|(metric, sketch)| Some((metric, encoded(sketch)?))).collect()
}

fn timeline(account: &Account) -> Timeline {
    let row_ns = account.rows.row().as_nanos();
    let mut open = 0_u64;
    let rows = (0_u64..).zip(account.rows.as_slice()).map(|(i, row)| {
        open = (open + row.opened).saturating_sub(row.ended);
        TimelineRow {
            at_ns: i * row_ns,
            open,
            opened: row.opened,
            sent: row.sent,
            copies: row.copies,
            faults: row.faults,
            missing: row.missing,
            lost: row.lost,
            beats: row.beats,
            pongs: row.pongs,
            delivery_p50_ns: row.delivery.percentile(50.0),
            delivery_p99_ns: row.delivery.percentile(99.0),
            delivery_max_ns: row.delivery.max(),
            send_lag_max_ns: row.send_lag_max.map(Span::as_nanos),
            loop_lag_max_ns: row.loop_lag_max.map(Span::as_nanos),
            pong_p50_ns: row.pong.percentile(50.0),
            pong_p99_ns: row.pong.percentile(99.0),
            pong_max_ns: row.pong.max(),
            beat_min_ns: row.beat_min.map(Span::as_nanos),
            // The sketch is good to one per cent; the ends are exact, and the median lies between them.
            beat_p50_ns: row.beat.percentile(50.0).map(|ns| ns.max(row.beat_min.unwrap_or_default().as_nanos())),
            beat_max_ns: row.beat.max(),
            histograms: histograms(row),
        }
    });
    Timeline { row_ns, rows: rows.collect() }
}
