//! How long after the first receiver the others had a broadcast: kept apart until it is known who was first of all shards.

use super::super::tally::{Tally, bucket_of, value_of};
use crate::base::Span;

/// Buckets of the histogram that share one here: delays are good to 1.6 %, the longest exactly.
const SHIFT: u32 = 4;

/// The delays of one broadcast's copies, in few bytes.
#[derive(Debug, Clone, Default)]
pub(super) struct Delays {
    counts: Vec<(u16, u32)>,
    longest: Span,
    shortest_is_zero: u32,
}

impl Delays {
    /// One more copy, so long after the first that this shard saw.
    pub(super) fn record(&mut self, delay: Span) {
        if delay.is_zero() {
            self.shortest_is_zero += 1;
            return;
        }
        self.longest = self.longest.max(delay);
        let bucket = u16::try_from(bucket_of(delay.as_nanos().min(super::super::HIGHEST_NS)) >> SHIFT).unwrap_or(u16::MAX);
        match self.counts.binary_search_by_key(&bucket, |(b, _)| *b) {
            Ok(place) => self.counts[place].1 += 1,
            Err(place) => self.counts.insert(place, (bucket, 1)),
        }
    }

    /// The delays, each with its number of copies, when the first of all shards was `shift` before this shard's.
    fn shifted(&self, shift: Span) -> impl Iterator<Item = (Span, u32)> + '_ {
        let middle = |bucket: u16| value_of((usize::from(bucket) << SHIFT) + (1 << (SHIFT - 1)));
        let of = move |(bucket, n): &(u16, u32)| (Span::from_nanos(middle(*bucket)).min(self.longest) + shift, *n);
        [(shift, self.shortest_is_zero)].into_iter().filter(|(_, n)| *n > 0).chain(self.counts.iter().map(of))
    }

    /// Enters them in the run's, but for the first of all, which is behind nobody.
    pub(super) fn pour(&self, shift: Span, into: &mut Tally) {
        for (delay, n) in self.shifted(shift) {
            let others = u64::from(n) - u64::from(delay.is_zero());
            if others > 0 {
                into.record_n(delay.as_nanos(), others);
            }
        }
        if self.longest > Span::ZERO {
            into.reach((self.longest + shift).as_nanos());
        }
    }

    /// How many lie beyond `limit`.
    pub(super) fn beyond(&self, limit: Span, shift: Span) -> u64 {
        self.shifted(shift).filter(|(delay, _)| *delay > limit).map(|(_, n)| u64::from(n)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_kept_well_enough() {
        let mut delays = Delays::default();
        for ms in 0..1_000 {
            delays.record(Span::from_millis(ms));
        }
        assert!(delays.counts.len() < 700, "{} entries", delays.counts.len());
        let mut tally = Tally::default();
        delays.pour(Span::from_millis(100), &mut tally);
        assert_eq!((tally.count(), tally.max()), (1_000, 1_099_000_000));
        let median = tally.percentile(50.0).expect("samples");
        assert!((590_000_000..612_000_000).contains(&median), "{median}");
        assert_eq!(delays.beyond(Span::from_millis(2_000), Span::ZERO), 0);
        assert_eq!(delays.beyond(Span::from_millis(50), Span::from_millis(100)), 1_000);
    }

    #[test]
    fn a_delay_comes_out_within_half_a_bucket() {
        for micros in (20..400_000).step_by(37) {
            let (mut delays, delay) = (Delays::default(), Span::from_micros(micros));
            delays.record(delay);
            delays.record(Span::from_secs(1));
            let (told, n) = delays.shifted(Span::ZERO).next().expect("two");
            // Sixteen of the 1,024 buckets of an octave share one here: half of that is 8 of 1,024.
            assert_eq!(n, 1);
            assert!(told.abs_diff(delay).times(1_024) <= delay.times(8), "{delay} came out as {told}");
        }
    }

    #[test]
    fn the_longest_is_exact_and_the_first_of_all_is_behind_nobody() {
        for ns in [1_000_001, 1_015_000, 1_023_999] {
            let (mut delays, mut tally) = (Delays::default(), Tally::default());
            delays.record(Span::from_nanos(ns));
            delays.pour(Span::from_millis(3), &mut tally);
            assert_eq!((tally.count(), tally.max()), (1, ns + 3_000_000));
        }
        // One receiver, who was the first; and a broadcast of which no copy counts here.
        let (mut first, mut tally) = (Delays::default(), Tally::default());
        first.record(Span::ZERO);
        first.pour(Span::ZERO, &mut tally);
        Delays::default().pour(Span::from_millis(100), &mut tally);
        assert_eq!(tally, Tally::default());
    }

    #[test]
    fn a_delay_of_just_the_limit_is_not_beyond_it() {
        let mut delays = Delays::default();
        delays.record(Span::ZERO);
        let beyond = |shift| delays.beyond(Span::from_millis(100), Span::from_nanos(shift));
        assert_eq!([beyond(99_999_999), beyond(100_000_000), beyond(100_000_001)], [0, 0, 1]);
    }
}
