//! Does the feed keep its cadence? Broadcast after broadcast by their first receivers, so that one slow client says nothing.

use super::super::pulse::Pulse;
use crate::base::{Instant, Span};
use crate::scenario::model::FeedCheck;

/// The cadence of one room's broadcasts.
#[derive(Debug, Clone)]
pub(super) struct Cadence {
    every: Span,
    tolerance: Span,
    last: Option<Instant>,
    /// How much later than promised the last one came: the next one may be on the old timetable.
    behind: Span,
    sums: Pulse,
}

impl Cadence {
    pub(super) fn new(check: FeedCheck) -> Self {
        Self { every: check.every, tolerance: check.tolerance, last: None, behind: Span::ZERO, sums: Pulse::default() }
    }

    /// A broadcast was first seen at `at`. `since` is when somebody began to listen: the first may come at any time in the first
    /// period.
    pub(super) fn beat(&mut self, at: Instant, since: Instant) {
        self.sums.beats += 1;
        let Some(last) = self.last.replace(at) else {
            let waited = at.since(since);
            if waited <= self.every + self.tolerance {
                self.sums.in_time += 1;
            } else {
                self.late(at, waited, "the first broadcast came", "somebody listened");
            }
            return;
        };
        let interval = at.since(last);
        self.sums.intervals.record(interval.as_nanos());
        let every = self.every.as_nanos();
        let periods = ((interval.as_nanos() + every / 2) / every).max(1);
        let deviation = interval.abs_diff(self.every.times(periods));
        let back_on_time = interval + self.behind;
        let resumed = !self.behind.is_zero() && back_on_time.abs_diff(self.every) <= self.tolerance;
        self.behind = Span::ZERO;
        if resumed {
            self.sums.in_time += 1;
            return;
        }
        self.sums.jitter.record(deviation.as_nanos());
        if deviation <= self.tolerance {
            self.sums.in_time += 1;
            let (due, every) = (last + self.every, self.every);
            self.missed(periods - 1, due, || format!("no broadcast for {interval}, one every {every} is promised"));
        } else if interval < self.every {
            self.sums.early += 1;
            let text = || format!("a broadcast came {interval} after the one before, {} is promised", self.every);
            self.sums.sightings.note(at, None, None, text);
        } else {
            self.late(at, interval, "a broadcast came", "the one before");
        }
    }

    fn late(&mut self, at: Instant, interval: Span, what: &str, after: &str) {
        let periods = (interval.as_nanos() / self.every.as_nanos()).max(1);
        self.sums.late += 1;
        self.sums.missed += periods - 1;
        self.behind = interval.saturating_sub(self.every.times(periods));
        let every = self.every;
        self.sums.sightings.note(at, None, None, || format!("{what} {interval} after {after}, {every} is promised"));
    }

    fn missed(&mut self, n: u64, due: Instant, what: impl FnOnce() -> String) {
        self.sums.missed += n;
        if n > 0 {
            self.sums.sightings.note(due, None, None, what);
        }
    }

    /// Nobody looks any more from `end` on: what was due until then and never came. Nobody listened: `since` is beyond it.
    pub(super) fn end(mut self, since: Instant, end: Instant) -> Pulse {
        let from = self.last.unwrap_or(since);
        if from >= end {
            self.sums.clients = u64::from(self.last.is_some());
            return self.sums;
        }
        let waited = end.since(from);
        let missed = end.before(self.tolerance).since(from).as_nanos().saturating_sub(1) / self.every.as_nanos();
        let (due, every, never) = (from + self.every + self.tolerance, self.every, self.last.is_none());
        self.missed(missed, due, || {
            let after = if never { "since somebody listened" } else { "since the last one" };
            format!("no broadcast for {waited} {after}, one every {every} is promised")
        });
        self.sums.clients = u64::from(missed > 0 || !never);
        self.sums.silent = u64::from(missed > 0 && never);
        self.sums
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::history::ms;
    use super::*;

    fn pulse(times: &[u64], end: u64) -> Pulse {
        let check = FeedCheck { every: Span::from_millis(100), tolerance: Span::from_millis(20) };
        let mut cadence = Cadence::new(check);
        times.iter().for_each(|at| cadence.beat(ms(*at), ms(50)));
        cadence.end(ms(50), ms(end))
    }

    fn counts(times: &[u64], end: u64) -> [u64; 4] {
        let pulse = pulse(times, end);
        [pulse.in_time, pulse.early, pulse.late, pulse.missed]
    }

    #[test]
    fn every_broken_interval_counts_once() {
        for (times, end, [in_time, early, late, missed]) in [
            (&[100, 200, 300, 400][..], 450, [4, 0, 0, 0]),
            (&[100, 200, 315, 400], 450, [4, 0, 0, 0]),
            (&[100, 200, 400, 500], 550, [4, 0, 0, 1]),
            (&[100, 200, 700], 750, [3, 0, 0, 4]),
            // Ten early for the fourth, not ninety late for the third.
            (&[100, 200, 590], 640, [3, 0, 0, 3]),
            // One came late, and the next in its own time: one fault.
            (&[100, 200, 350, 400, 500], 550, [4, 0, 1, 0]),
            // One came late, and all others with it.
            (&[100, 200, 350, 450, 550], 600, [4, 0, 1, 0]),
            (&[100, 200, 450, 500], 550, [3, 0, 1, 1]),
            (&[100, 150, 200, 250], 300, [1, 3, 0, 0]),
            (&[400], 450, [0, 0, 1, 2]),
            (&[100, 200], 505, [2, 0, 0, 2]),
            (&[], 505, [0, 0, 0, 4]),
            (&[], 120, [0, 0, 0, 0]),
        ] {
            assert_eq!(counts(times, end), [in_time, early, late, missed], "{times:?} until {end}");
        }
    }

    #[test]
    fn what_was_missed_has_a_witness_where_it_was_due() {
        for (times, end, witnesses) in [
            (&[100, 200, 300][..], 350, vec![]),
            (&[100, 200, 400, 500], 550, vec![(300, "no broadcast for 200ms, one every 100ms is promised")]),
            (&[100, 200], 505, vec![(320, "no broadcast for 305ms since the last one, one every 100ms is promised")]),
            (&[], 505, vec![(170, "no broadcast for 455ms since somebody listened, one every 100ms is promised")]),
        ] {
            let sightings = pulse(times, end).sightings;
            let told: Vec<_> = sightings.as_slice().iter().map(|s| (s.at, s.what.as_str())).collect();
            assert_eq!(told, witnesses.into_iter().map(|(at, what)| (ms(at), what)).collect::<Vec<_>>(), "{times:?} until {end}");
        }
    }

    #[test]
    fn a_room_that_never_heard_anything_is_silent_only_once_something_was_due() {
        for (times, end, [rooms, silent]) in
            [(&[][..], 505, [1, 1]), (&[], 120, [0, 0]), (&[100, 200], 505, [1, 0]), (&[100, 200], 250, [1, 0]), (&[100], 100, [1, 0])]
        {
            let pulse = pulse(times, end);
            assert_eq!([pulse.clients, pulse.silent], [rooms, silent], "{times:?} until {end}");
        }
    }
}
