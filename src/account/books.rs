//! The account: everything a shard, or a whole run, came to. A plain value that merges in any order and crosses processes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::bottom::Sightings;
use super::copies::Copies;
use super::disruptions::Disruptions;
use super::feed::Feed;
use super::lives::Connections;
use super::pings::Pings;
use super::pulse::Pulse;
use super::rows::Rows;
use super::spread::Spreads;
use super::tally::Tally;
use crate::base::{Instant, Span};
use crate::event::{DropCause, Phase};
use crate::plan::Plan;

/// The settled books. `merge` is commutative and associative, with [`Account::empty`] as its neutral element.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// When each phase began.
    pub phases: BTreeMap<Phase, Instant>,
    /// When the books were closed.
    pub ended: Instant,
    /// Why the run was cut short, if it was.
    pub interrupted: Option<String>,
    /// Connections.
    pub connections: Connections,
    /// Publications.
    pub publications: Publications,
    /// Copies.
    pub copies: Copies,
    /// received − planned, steady state.
    pub delivery: Tally,
    /// received − sent, steady state.
    pub transit: Tally,
    /// sent − planned, steady state.
    pub send_lag: Tally,
    /// Request to answer of publications sent over HTTP, whole run.
    pub requests: Tally,
    /// First, median and last receiver per publication.
    pub spread: Spreads,
    /// Application pings.
    pub application: Pings,
    /// Protocol pings.
    pub protocol: Pings,
    /// The server's heartbeat.
    pub pulse: Pulse,
    /// The server's own broadcasts.
    pub feed: Feed,
    /// The instrument's condition.
    pub health: Condition,
    /// Planned disruptions.
    pub disruptions: Disruptions,
    /// Second by second.
    pub rows: Rows,
    /// Bounds that were reached.
    pub bounds: Bounds,
}

/// What became of the timetable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publications {
    /// Handed to their connections.
    pub sent: u64,
    /// Of those, planned in the steady state.
    pub sent_steady: u64,
    /// Never sent, by cause.
    pub dropped: BTreeMap<DropCause, u64>,
    /// Of those, planned in the steady state.
    pub dropped_steady: u64,
    /// Payload bytes sent.
    pub bytes: u64,
    /// Sent later than the scenario's limit.
    pub late_sends: u64,
    /// When the first and the last was sent.
    pub sending: Option<(Instant, Instant)>,
    /// Answers to publications sent over HTTP, by status; 0 where none came.
    pub statuses: BTreeMap<u16, u64>,
    /// Publications that were rejected: any answer but 2xx, or none.
    pub rejections: Sightings,
}

/// Whether an HTTP status says that a publication was taken.
#[must_use]
pub const fn is_accepted(status: u16) -> bool {
    200 <= status && status < 300
}

impl Publications {
    /// Never sent, by whatever cause.
    #[must_use]
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().sum()
    }

    /// Publications sent over HTTP that were answered, or given up.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.statuses.values().sum()
    }

    /// Of those, the ones that were not taken.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.statuses.iter().filter(|(status, _)| !is_accepted(**status)).map(|(_, n)| n).sum()
    }

    fn merge(&mut self, other: Self) {
        for (status, n) in other.statuses {
            *self.statuses.entry(status).or_default() += n;
        }
        self.rejections.merge(other.rejections);
        self.sent += other.sent;
        self.sent_steady += other.sent_steady;
        for (cause, n) in other.dropped {
            *self.dropped.entry(cause).or_default() += n;
        }
        self.dropped_steady += other.dropped_steady;
        self.bytes += other.bytes;
        self.late_sends += other.late_sends;
        self.sending = match (self.sending, other.sending) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (mine, theirs) => mine.or(theirs),
        };
    }
}

/// The instrument's condition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// How late the shards' timers woke.
    pub loop_lag: Tally,
    /// The largest unread backlog.
    pub backlog_max: u64,
    /// Each shard's CPU, by shard.
    pub shards: BTreeMap<u32, ShardCpu>,
    /// What befell the machine.
    pub mishaps: Mishaps,
}

/// What befell the machine, or the process that coordinates the run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mishaps {
    /// So long in all it was suspended.
    pub asleep: Span,
    /// So long at once, at most, the coordinator did not run, where it is a process of its own.
    pub stood_still: Span,
    /// By so many nanoseconds in all its wall clock was set forward (or back, below zero) …
    pub wall_set_ns: i64,
    /// … in so many steps.
    pub wall_set_times: u64,
}

impl Mishaps {
    /// One machine's, seen by one shard: sums, and the longest standstill.
    pub(super) fn merge(&mut self, other: Self) {
        self.asleep = self.asleep + other.asleep;
        self.stood_still = self.stood_still.max(other.stood_still);
        self.wall_set_ns = self.wall_set_ns.saturating_add(other.wall_set_ns);
        self.wall_set_times = self.wall_set_times.saturating_add(other.wall_set_times);
    }
}

/// CPU time of one shard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardCpu {
    /// From the first publication to the end of the drain.
    pub publishing: Span,
    /// Within the steady state …
    pub steady: Span,
    /// … of which so much was covered by readings.
    pub steady_wall: Span,
}

impl ShardCpu {
    /// Share of one core during the steady state.
    #[must_use]
    pub fn busy(&self) -> f64 {
        if self.steady_wall.is_zero() { 0.0 } else { self.steady.as_secs_f64() / self.steady_wall.as_secs_f64() }
    }
}

impl Condition {
    fn merge(&mut self, other: Self) {
        self.loop_lag.merge(&other.loop_lag);
        self.backlog_max = self.backlog_max.max(other.backlog_max);
        self.mishaps.merge(other.mishaps);
        for (shard, cpu) in other.shards {
            let mine = self.shards.entry(shard).or_default();
            mine.publishing = mine.publishing + cpu.publishing;
            mine.steady = mine.steady + cpu.steady;
            mine.steady_wall = mine.steady_wall + cpu.steady_wall;
        }
    }
}

/// What could not be kept for lack of room; all zero in an ordinary run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// Missing copies that, had they come late, would have been taken for duplicates.
    pub holes_forgotten: u64,
    /// Arrivals far below a pair's beginning, counted as contested.
    pub early_forgotten: u64,
    /// The send log was thinned: boundaries of joins and leaves are contested more widely.
    pub log_thinned: bool,
    /// Publishers of which no send log came (their worker died): their copies are contested.
    pub publishers_unknown: u64,
    /// Settled books whose sums disagree: a bug in this program.
    pub out_of_balance: u64,
}

impl Bounds {
    fn merge(&mut self, other: &Self) {
        self.holes_forgotten += other.holes_forgotten;
        self.early_forgotten += other.early_forgotten;
        self.log_thinned |= other.log_thinned;
        self.publishers_unknown = self.publishers_unknown.max(other.publishers_unknown);
        self.out_of_balance += other.out_of_balance;
    }
}

impl Account {
    /// The account of nothing seen: what every merge begins with.
    #[must_use]
    pub fn empty(plan: &Plan) -> Self {
        Self {
            phases: BTreeMap::new(),
            ended: Instant::EPOCH,
            interrupted: None,
            connections: Connections { planned: plan.connections.into(), ..Connections::default() },
            publications: Publications::default(),
            copies: Copies::default(),
            delivery: Tally::default(),
            transit: Tally::default(),
            send_lag: Tally::default(),
            requests: Tally::default(),
            spread: Spreads::default(),
            application: Pings::default(),
            protocol: Pings::default(),
            pulse: Pulse::default(),
            feed: Feed::default(),
            health: Condition::default(),
            disruptions: Disruptions::default(),
            rows: Rows::default(),
            bounds: Bounds::default(),
        }
    }

    /// Adds another shard's account; the order does not matter.
    pub fn merge(&mut self, other: Self) {
        for (phase, at) in other.phases {
            self.phases.entry(phase).and_modify(|mine| *mine = (*mine).min(at)).or_insert(at);
        }
        self.ended = self.ended.max(other.ended);
        if let Some(why) = other.interrupted {
            self.interrupt(&why);
        }
        self.connections.merge(other.connections);
        self.publications.merge(other.publications);
        self.copies.merge(other.copies);
        self.delivery.merge(&other.delivery);
        self.transit.merge(&other.transit);
        self.send_lag.merge(&other.send_lag);
        self.requests.merge(&other.requests);
        self.spread.merge(other.spread);
        self.application.merge(other.application);
        self.protocol.merge(other.protocol);
        self.pulse.merge(other.pulse);
        self.feed.merge(other.feed);
        self.health.merge(other.health);
        self.disruptions.merge(other.disruptions);
        self.rows.merge(other.rows);
        self.bounds.merge(&other.bounds);
    }

    /// Notes that the run was cut short, as the coordinator knows it (a worker died, say). Of several reasons the least stays.
    pub fn interrupt(&mut self, why: &str) {
        if self.interrupted.as_deref().is_none_or(|mine| why < mine) {
            self.interrupted = Some(why.into());
        }
    }

    /// When a phase began.
    #[must_use]
    pub fn began(&self, phase: Phase) -> Option<Instant> {
        self.phases.get(&phase).copied()
    }

    /// From the beginning of the steady state to the beginning of the drain (or whatever came after); zero if it was never
    /// reached.
    #[must_use]
    pub fn steady(&self) -> Span {
        let Some(began) = self.began(Phase::Steady) else { return Span::ZERO };
        let end = self.phases.iter().find(|(phase, _)| **phase > Phase::Steady).map_or(self.ended, |(_, at)| *at);
        end.since(began)
    }

    /// Whether every sum that must hold does.
    #[must_use]
    pub const fn books_balance(&self) -> bool {
        self.bounds.out_of_balance == 0 && self.copies.balance()
    }
}
