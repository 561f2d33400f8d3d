//! The server's heartbeat, client by client: is each interval the promised one?

use serde::{Deserialize, Serialize};

use super::bottom::Sightings;
use super::tally::Tally;
use crate::base::{ConnId, Instant, Span};
use crate::scenario::model::{Beat, FirstBeat, HeartbeatCheck};

/// What the heartbeats of a shard, or of the whole run, came to. Every beat is in time, early or late; every beat that was due
/// came in time, came late, or was missed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulse {
    /// Beats seen.
    pub beats: u64,
    /// Of those, after an interval within the tolerance.
    pub in_time: u64,
    /// After too short an interval.
    pub early: u64,
    /// After too long an interval.
    pub late: u64,
    /// Due, and never came.
    pub missed: u64,
    /// Clients that lived long enough for a beat to be due, or saw one.
    pub clients: u64,
    /// Of those, the ones that never saw any.
    pub silent: u64,
    /// Beat to beat.
    pub intervals: Tally,
    /// Deviation of each interval (the first one, from opening to the first beat, included) from the nearest multiple of the
    /// promised period.
    pub jitter: Tally,
    /// Protocol pings from the server, whether they are the heartbeat or not.
    pub server_pings: u64,
    /// Intervals that broke the promise.
    pub sightings: Sightings,
}

impl Pulse {
    /// Beats that were due over all lives.
    #[must_use]
    pub const fn due(&self) -> u64 {
        self.in_time + self.late + self.missed
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.beats += other.beats;
        self.in_time += other.in_time;
        self.early += other.early;
        self.late += other.late;
        self.missed += other.missed;
        self.clients += other.clients;
        self.silent += other.silent;
        self.intervals.merge(&other.intervals);
        self.jitter.merge(&other.jitter);
        self.server_pings += other.server_pings;
        self.sightings.merge(other.sightings);
    }
}

/// One connection's last beat.
#[derive(Debug, Clone, Copy, Default)]
struct Last {
    at: Instant,
    seen: bool,
}

/// The fold of one shard.
#[derive(Debug)]
pub(super) struct PulseBook {
    promise: Option<(Span, Span)>,
    by_ping: bool,
    /// One timer beats for all: the first beat may come at any time within the period.
    first_any: bool,
    lasts: Vec<Last>,
    sums: Pulse,
}

impl PulseBook {
    pub(super) fn new(check: Option<&HeartbeatCheck>, slots: usize) -> Self {
        Self {
            promise: check.map(|c| (c.every, c.tolerance)),
            by_ping: check.is_some_and(|c| c.beat == Beat::ProtocolPing),
            first_any: check.is_some_and(|c| c.first == FirstBeat::Any),
            lasts: if check.is_some() { vec![Last::default(); slots] } else { Vec::new() },
            sums: Pulse::default(),
        }
    }

    /// A connection opened again.
    pub(super) fn begin(&mut self, slot: usize) {
        if let Some(last) = self.lasts.get_mut(slot) {
            *last = Last::default();
        }
    }

    /// A beat message. Where the promised heartbeat is the protocol ping, messages are only counted.
    pub(super) fn beat(&mut self, slot: usize, conn: ConnId, opened: Instant, at: Instant) {
        self.sums.beats += 1;
        if !self.by_ping {
            self.judge(slot, conn, opened, at);
        }
    }

    /// A protocol ping from the server; gives whether it is the promised heartbeat.
    pub(super) fn server_ping(&mut self, slot: usize, conn: ConnId, opened: Instant, at: Instant) -> bool {
        self.sums.server_pings += 1;
        if self.by_ping {
            self.sums.beats += 1;
            self.judge(slot, conn, opened, at);
        }
        self.by_ping
    }

    /// The interval that a beat at `at` would end, when beats of this kind are promised and one came before.
    pub(super) fn interval(&self, slot: usize, at: Instant, by_ping: bool) -> Option<Span> {
        self.promise.filter(|_| self.by_ping == by_ping)?;
        self.lasts.get(slot).filter(|last| last.seen).map(|last| at.since(last.at))
    }

    /// Beats so far.
    pub(super) const fn beats(&self) -> u64 {
        self.sums.beats
    }

    /// Beat to beat, so far.
    pub(super) const fn intervals(&self) -> &Tally {
        &self.sums.intervals
    }

    fn judge(&mut self, slot: usize, conn: ConnId, opened: Instant, at: Instant) {
        let Some((every, tolerance)) = self.promise else { return };
        let Some(last) = self.lasts.get_mut(slot) else { return };
        let first = !last.seen;
        let since = if first { opened } else { last.at };
        *last = Last { at, seen: true };
        let interval = at.since(since);
        let sums = &mut self.sums;
        if !first {
            sums.intervals.record(interval.as_nanos());
        }
        if first && self.first_any && interval <= every + tolerance {
            sums.in_time += 1;
            return;
        }
        let periods = ((interval.as_nanos() + every.as_nanos() / 2) / every.as_nanos()).max(1);
        sums.jitter.record(interval.abs_diff(every.times(periods)).as_nanos());
        let subject = if first { "the first beat came" } else { "a beat came" };
        let reference = if first { "opening" } else { "the one before" };
        if interval + tolerance < every {
            sums.early += 1;
            sums.sightings.note(at, Some(conn), None, || format!("{subject} {interval} after {reference}, {every} is promised"));
        } else if interval <= every + tolerance {
            sums.in_time += 1;
        } else {
            sums.late += 1;
            sums.missed += periods - 1;
            sums.sightings.note(at, Some(conn), None, || format!("{subject} {interval} after {reference}, {every} is promised"));
        }
    }

    /// A life that ended, or was cut off by the end of the run, at `end`: what was due until then and never came.
    pub(super) fn end(&mut self, slot: usize, conn: ConnId, opened: Instant, end: Instant) {
        let Some((every, tolerance)) = self.promise else { return };
        let Some(last) = self.lasts.get(slot) else { return };
        let since = if last.seen { last.at } else { opened };
        let missed = end.before(tolerance).since(since).as_nanos().saturating_sub(1) / every.as_nanos();
        let sums = &mut self.sums;
        sums.missed += missed;
        if missed > 0 || last.seen {
            sums.clients += 1;
        }
        if missed > 0 {
            let never = !last.seen;
            sums.silent += u64::from(never);
            sums.sightings.note(since + every + tolerance, Some(conn), None, || {
                let since_what = if never { "since opening" } else { "since its last beat" };
                format!("no beat for {} {since_what}, {every} is promised", end.since(since))
            });
        }
    }

    pub(super) fn finish(self) -> Pulse {
        self.sums
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::ms;
    use super::*;
    use crate::scenario::model::{Matcher, Wanted};

    /// One client's beats at these milliseconds, a second ± 100 ms promised, until `end`.
    fn beating(at: &[u64], end: u64) -> Pulse {
        let check = HeartbeatCheck {
            beat: Beat::Message(Wanted::Fixed(Matcher::Contains("ping".into()))),
            every: Span::from_secs(1),
            first: FirstBeat::Period,
            tolerance: Span::from_millis(100),
        };
        let mut book = PulseBook::new(Some(&check), 1);
        assert_eq!(book.interval(0, ms(500), false), None, "none came before");
        for at in at {
            book.beat(0, ConnId(0), ms(0), ms(*at));
            assert_eq!(book.interval(0, ms(*at + 7), false), Some(Span::from_millis(7)));
            assert_eq!(book.interval(0, ms(*at + 7), true), None, "of the other kind");
            assert!(!book.server_ping(0, ConnId(0), ms(0), ms(*at + 8)), "a ping is no beat here");
        }
        assert_eq!(book.beats(), at.len() as u64);
        book.end(0, ConnId(0), ms(0), ms(end));
        let pulse = book.finish();
        assert_eq!(pulse.server_pings, at.len() as u64);
        pulse
    }

    #[test]
    fn a_late_beat_stands_for_the_period_it_is_nearest_to() {
        for (late, missed, jitter) in [(1_100, 0, 100), (1_101, 0, 101), (1_499, 0, 499), (1_500, 1, 500), (1_800, 1, 200), (2_600, 2, 400)]
        {
            let pulse = beating(&[1_000, 1_000 + late], 1_001 + late);
            assert_eq!((pulse.late, pulse.missed), (u64::from(late > 1_100), missed), "{late}");
            assert_eq!(pulse.jitter.max(), jitter * 1_000_000, "{late}");
        }
    }

    #[test]
    fn what_is_due_when_the_life_ends_is_missed_only_after_its_tolerance() {
        for (end, missed) in [(2_100, 0), (2_101, 1), (3_100, 1), (3_101, 2)] {
            assert_eq!(beating(&[1_000], end).missed, missed, "until {end}");
        }
        let silent = beating(&[], 2_000);
        assert_eq!((silent.silent, silent.missed, silent.clients), (1, 1, 1));
        assert!(silent.sightings.as_slice()[0].what.contains("since opening"));
    }

    /// A book of `beat` every second ± 100 ms for one client.
    fn book_of(beat: Beat, first: FirstBeat) -> PulseBook {
        let check = HeartbeatCheck { beat, every: Span::from_secs(1), first, tolerance: Span::from_millis(100) };
        PulseBook::new(Some(&check), 1)
    }

    #[test]
    fn a_beat_at_the_edge_of_the_tolerance_is_in_time() {
        for (interval, [early, in_time, late]) in
            [(899, [1, 0, 0]), (900, [0, 1, 0]), (1_000, [0, 1, 0]), (1_100, [0, 1, 0]), (1_101, [0, 0, 1])]
        {
            let pulse = beating(&[1_000, 1_000 + interval], 1_001 + interval);
            assert_eq!([pulse.early, pulse.in_time - 1, pulse.late], [early, in_time, late], "after {interval} ms");
            assert_eq!(pulse.sightings.as_slice().len() as u64, early + late, "after {interval} ms");
            assert_eq!((pulse.intervals.count(), pulse.intervals.max()), (1, interval * 1_000_000), "the first has none before it");
        }
    }

    #[test]
    fn protocol_pings_are_the_heartbeat_where_they_are_promised() {
        let mut book = book_of(Beat::ProtocolPing, FirstBeat::Period);
        for at in [1_000, 2_000, 3_050] {
            assert!(book.server_ping(0, ConnId(0), ms(0), ms(at)));
            book.beat(0, ConnId(0), ms(0), ms(at + 500));
        }
        assert_eq!((book.beats(), book.intervals().count(), book.intervals().max()), (6, 2, 1_050_000_000), "messages are only counted");
        book.end(0, ConnId(0), ms(0), ms(3_100));
        let pulse = book.finish();
        assert_eq!((pulse.server_pings, pulse.in_time, pulse.missed, pulse.clients), (3, 3, 0, 1));
    }

    #[test]
    fn a_connection_that_opens_again_begins_its_own_rhythm() {
        let mut book = book_of(Beat::ProtocolPing, FirstBeat::Period);
        book.server_ping(0, ConnId(0), ms(0), ms(1_000));
        book.begin(0);
        assert_eq!(book.interval(0, ms(6_000), true), None);
        book.server_ping(0, ConnId(0), ms(5_000), ms(6_000));
        assert_eq!((book.sums.in_time, book.sums.late, book.intervals().count()), (2, 0, 0));
    }

    #[test]
    fn where_the_first_beat_may_come_any_time_each_client_has_one_in_time() {
        let mut book = book_of(Beat::ProtocolPing, FirstBeat::Any);
        for first in [3, 700, 1_100, 1_101] {
            book.begin(0);
            book.server_ping(0, ConnId(0), ms(0), ms(first));
        }
        assert_eq!((book.sums.in_time, book.sums.late, book.sums.early), (3, 1, 0));
    }

    #[test]
    fn a_life_too_short_for_a_beat_is_nobodys_silence() {
        for (end, clients) in [(500, 0), (1_100, 0), (1_101, 1)] {
            let pulse = beating(&[], end);
            let sums = [pulse.missed, pulse.clients, pulse.silent, pulse.sightings.as_slice().len() as u64];
            assert_eq!(sums, [clients; 4], "until {end}");
        }
        let seen = beating(&[1_000], 1_500);
        assert_eq!((seen.missed, seen.clients, seen.silent, seen.sightings.as_slice().len()), (0, 1, 0, 0));
    }
}
