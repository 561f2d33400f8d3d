//! The numbers of a run as plain data, every one with its unit in its name. This is also the shape of `summary` in
//! `report.json`; a field added here is a minor version of the schema, one removed or changed a major one.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::Phase;
use crate::scenario::model::Metric;

/// Everything measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// When each phase began and how long it took, in order.
    pub phases: Vec<PhaseSpan>,
    /// Connections.
    pub connections: ConnectionNumbers,
    /// Publications.
    pub publications: PublicationNumbers,
    /// Copies, over warm-up and steady state together.
    pub copies: CopyNumbers,
    /// Rates over the steady state.
    pub rates: RateNumbers,
    /// Distributions by metric, steady state only (send lag, transit, delivery) or whole run (pong, heartbeat, connect, publish).
    pub latency: BTreeMap<Metric, Distribution>,
    /// Per publication: first, median and last receiver after the planned instant, and last − first.
    pub spread: SpreadNumbers,
    /// Pings by level.
    pub pong: PongNumbers,
    /// The server's heartbeat.
    pub heartbeat: HeartbeatNumbers,
    /// The server's own broadcasts, where it makes any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feed: Option<FeedNumbers>,
    /// What the run cost the instrument, and how well it kept its own time.
    pub instrument: InstrumentNumbers,
    /// One row per second (folded to longer rows on long runs; `row_ns` tells).
    pub timeline: Timeline,
}

/// A phase as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PhaseSpan {
    /// Which.
    pub phase: Phase,
    /// Since the epoch.
    pub began_ns: u64,
    /// How long it took.
    pub took_ns: u64,
}

/// Connections.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct ConnectionNumbers {
    /// Planned.
    pub planned: u64,
    /// WebSocket handshakes completed.
    pub opened: u64,
    /// Became members (greeting seen or script done).
    pub ready: u64,
    /// Failed attempts by cause: `refused`, `timeout`, `http_503`, …
    pub failed: BTreeMap<String, u64>,
    /// Ended unasked, before the close phase.
    pub lost: u64,
    /// Greetings seen.
    pub greetings: u64,
    /// The first greeting, escaped and cut, if any.
    pub greeting_sample: Option<String>,
    /// Close codes received, `none` where there was none.
    pub close_codes: BTreeMap<String, u64>,
    /// Close handshakes that ended in order.
    pub closed_clean: u64,
    /// Agreed on permessage-deflate (RFC 7692), where it was offered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compressed: Option<u64>,
}

/// Publications.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct PublicationNumbers {
    /// Due by the timetable.
    pub planned: u64,
    /// Sent.
    pub sent: u64,
    /// Of those sent, the ones planned in the steady state.
    pub sent_steady: u64,
    /// Never sent, by cause.
    pub dropped: BTreeMap<String, u64>,
    /// Payload bytes sent.
    pub bytes: u64,
    /// Answers to publications sent over HTTP, by status; `none` where none came. Any but 2xx is a rejection, owed to nobody.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub statuses: BTreeMap<String, u64>,
}

/// Copies. `owed = on_time + late + missing`;
/// `received = on_time + late + contested_received + duplicate + stray_copies`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct CopyNumbers {
    /// Owed.
    pub owed: u64,
    /// Arrived within the limit.
    pub on_time: u64,
    /// Arrived beyond the limit.
    pub late: u64,
    /// Of the late ones, those that would have been on time had we sent on time.
    pub late_by_us: u64,
    /// Never arrived.
    pub missing: u64,
    /// Neither owed nor wrong: a join, leave or disconnect overlaps.
    pub contested: u64,
    /// Of those, the ones that arrived.
    pub contested_received: u64,
    /// Second and further arrivals.
    pub duplicate: u64,
    /// Arrived behind a later publication of the same publisher.
    pub out_of_order: u64,
    /// Pairs of clients and publications that contradict one total order (only when asked).
    pub out_of_total_order: u64,
    /// Arrived damaged, by kind: `opcode`, `length`, `bytes`, `unreadable`.
    pub damaged: BTreeMap<String, u64>,
    /// Copies of this run that should never have come (echo, other room, unknown).
    pub stray_copies: u64,
    /// Frames by stray kind, copies included.
    pub stray: BTreeMap<String, u64>,
    /// All frames that carried a readable stamp of this run.
    pub received: u64,
    /// Distinct owed copies delivered ÷ owed; absent when none was owed.
    pub delivery_ratio: Option<f64>,
}

/// Rates over the steady state.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct RateNumbers {
    /// Planned publications per second.
    pub offered_per_s: f64,
    /// Sent publications per second.
    pub achieved_per_s: f64,
    /// Copies received per second.
    pub copies_per_s: f64,
    /// Connections opened per second over the ramp.
    pub connects_per_s: f64,
    /// Copies owed per publication, mean.
    pub fan_out: f64,
}

/// A distribution in nanoseconds with its whole histogram.
#[derive(Debug, Clone, PartialEq)]
pub struct Distribution {
    /// Three significant digits, 1 ns to an hour. What was clamped is in `clamped`.
    pub histogram: hdrhistogram::Histogram<u64>,
    /// Samples above the histogram's range, recorded as its maximum.
    pub clamped: u64,
}

/// First, median and last receiver per publication.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SpreadNumbers {
    /// Publications in the sample (all of them up to 2,048, then a uniform sample by hash).
    pub sampled: u64,
    /// Publications that could have been.
    pub of: u64,
    /// Planned → first receiver.
    pub first: Distribution,
    /// Planned → median receiver.
    pub median: Distribution,
    /// Planned → last receiver.
    pub last: Distribution,
    /// Last − first.
    pub spread: Distribution,
    /// The worst by spread, up to eight.
    pub worst: Vec<PublicationSpread>,
    /// Every sampled publication in the order planned, thinned to at most 2,000 for charts.
    pub series: Vec<PublicationSpread>,
}

/// One publication's way to its audience.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PublicationSpread {
    /// Whose.
    pub publisher: u32,
    /// Which.
    pub seq: u32,
    /// When it was due, since the epoch.
    pub planned_ns: u64,
    /// Receivers.
    pub receivers: u32,
    /// Planned → first.
    pub first_ns: u64,
    /// Planned → median.
    pub median_ns: u64,
    /// Planned → last.
    pub last_ns: u64,
}

/// Pings of ours.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct PongNumbers {
    /// By level: `application`, `protocol`.
    pub levels: BTreeMap<String, PongLevelNumbers>,
}

/// Pings of one level.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct PongLevelNumbers {
    /// Sent and judged (the connection outlived the limit).
    pub sent: u64,
    /// Answered within the limit.
    pub on_time: u64,
    /// Answered later.
    pub late: u64,
    /// Never answered.
    pub unanswered: u64,
    /// Answers beyond the first, or to nobody's ping.
    pub unsolicited: u64,
    /// Protocol pongs whose payload was not ours.
    pub wrong_payload: u64,
    /// Sent, but the connection ended or the run closed before the limit.
    pub contested: u64,
}

/// The server's heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct HeartbeatNumbers {
    /// Beats seen.
    pub beats: u64,
    /// Beats due over all members' lives.
    pub due: u64,
    /// Intervals within the tolerance, first beats included.
    pub in_time: u64,
    /// Too short: early, doubled or in a burst.
    pub early: u64,
    /// Too long, though the beat came.
    pub late: u64,
    /// Never came.
    pub missed: u64,
    /// Clients that never saw a beat though one was due.
    pub silent_clients: u64,
    /// Largest deviation from the cadence.
    pub worst_jitter_ns: u64,
    /// Mean deviation from the cadence.
    pub mean_jitter_ns: u64,
    /// Protocol pings from the server.
    pub server_pings: u64,
}

/// A server that broadcasts by itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct FeedNumbers {
    /// Broadcasts seen, over all rooms.
    pub broadcasts: u64,
    /// Broadcasts due at the promised cadence; 0 where none is promised, as all that follow.
    pub due: u64,
    /// Intervals within the tolerance.
    pub in_time: u64,
    /// Too short: early, or doubled.
    pub early: u64,
    /// Too long, though the broadcast came.
    pub late: u64,
    /// Never came.
    pub missed: u64,
    /// Largest deviation from the cadence.
    pub worst_jitter_ns: u64,
    /// Broadcasts compared among the clients of each shard only.
    pub retired: u64,
}

/// The instrument's own condition.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct InstrumentNumbers {
    /// Threads that drove connections.
    pub shards: u32,
    /// Processes.
    pub processes: u32,
    /// CPU of the process (all worker processes) over the whole run; includes the built-in server when it ran inside.
    pub cpu_ns: u64,
    /// CPU of the client shards alone, from the first publication to the end of the drain.
    pub shard_cpu_ns: u64,
    /// Copies received per second of shard CPU.
    pub copies_per_cpu_s: f64,
    /// Peak resident memory in bytes, all processes.
    pub peak_memory_bytes: u64,
    /// Growth of resident memory over the ramp ÷ connections opened.
    pub bytes_per_connection: u64,
    /// Publications sent later than the limit.
    pub late_sends: u64,
    /// late_sends ÷ sent.
    pub late_share: f64,
    /// Event-loop lag, median, p99 and maximum over all shards.
    pub loop_lag_p50_ns: u64,
    /// See above.
    pub loop_lag_p99_ns: u64,
    /// See above.
    pub loop_lag_max_ns: u64,
    /// Busiest shard's share of one core during the steady state.
    pub busiest_shard: f64,
    /// Largest unread backlog seen before a read.
    pub backlog_max_bytes: u64,
    /// Share of CPU time stolen by the hypervisor during the run, where the system tells.
    pub steal_share: Option<f64>,
    /// The built-in reference server shared this process.
    pub server_inside: bool,
    /// Bounds that were reached, each with a sentence (sample tables full, witnesses cut, …).
    pub bounds_reached: Vec<String>,
    /// Set when the run was cut short.
    pub interrupted: Option<String>,
}

/// The run second by second.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Timeline {
    /// Length of a row.
    pub row_ns: u64,
    /// In order of time; the first row begins at the epoch.
    pub rows: Vec<TimelineRow>,
}

/// One row of the timeline.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct TimelineRow {
    /// Start, since the epoch.
    pub at_ns: u64,
    /// Connections open at the end of the row.
    pub open: u64,
    /// Connections opened during it.
    pub opened: u64,
    /// Publications sent.
    pub sent: u64,
    /// Copies received.
    pub copies: u64,
    /// Duplicates, out-of-order, damaged and stray arrivals together.
    pub faults: u64,
    /// Connections that ended unasked.
    pub lost: u64,
    /// Beats seen.
    pub beats: u64,
    /// Pongs seen.
    pub pongs: u64,
    /// Delivery latency of the row's copies: median, p99 and maximum; absent when there were none.
    pub delivery_p50_ns: Option<u64>,
    /// See above.
    pub delivery_p99_ns: Option<u64>,
    /// See above.
    pub delivery_max_ns: Option<u64>,
    /// Largest send lag.
    pub send_lag_max_ns: Option<u64>,
    /// Largest event-loop lag.
    pub loop_lag_max_ns: Option<u64>,
    /// Copies owed of the publications planned in this row that never arrived.
    #[serde(default)]
    pub missing: u64,
    /// Ping to answer, of the pongs seen in this row: median, p99 and maximum; absent when there were none.
    #[serde(default)]
    pub pong_p50_ns: Option<u64>,
    /// See above.
    #[serde(default)]
    pub pong_p99_ns: Option<u64>,
    /// See above.
    #[serde(default)]
    pub pong_max_ns: Option<u64>,
    /// Beat to beat, of the beats seen in this row: shortest, median and longest; absent when there were none.
    #[serde(default)]
    pub beat_min_ns: Option<u64>,
    /// See above.
    #[serde(default)]
    pub beat_p50_ns: Option<u64>,
    /// See above.
    #[serde(default)]
    pub beat_max_ns: Option<u64>,
    /// The row's whole histograms by metric, each in HdrHistogram's compressed base64 form (V2, deflate); what the `.hlog`
    /// output is made of. Metrics with no sample in the row are absent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub histograms: BTreeMap<Metric, String>,
}
