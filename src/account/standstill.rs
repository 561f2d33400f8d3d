//! When the loop of a shard stood still: what its connections saw of that time, they saw too late, and a server may have given
//! them up meanwhile because they neither read nor answered.

use crate::base::{Instant, Span};
use crate::scenario::model::InstrumentCheck;

/// Standstills remembered; with so many, a run is past excusing.
const MOST: usize = 256;

/// From reading to reading: a standstill may have ended so long before the one that tells of it.
const READING: Span = Span::from_millis(100);

/// Those of one shard.
#[derive(Debug)]
pub(super) struct Standstills {
    limits: InstrumentCheck,
    /// (from, to), as they came.
    spans: Vec<(Instant, Instant)>,
}

impl Standstills {
    pub(super) const fn new(limits: InstrumentCheck) -> Self {
        Self { limits, spans: Vec::new() }
    }

    /// At `at` the loop's timer was found to have woken so late.
    pub(super) fn read(&mut self, at: Instant, lag: Span) {
        if lag > self.limits.longest_lag() && self.spans.len() < MOST {
            self.spans.push((at.before(lag + READING), at));
        }
    }

    /// When the standstill began in which `at` lies, or in whose wake: for as long as it lasted, what had piled up is being read.
    pub(super) fn began_before(&self, at: Instant) -> Option<Instant> {
        self.spans.iter().find(|(from, to)| *from <= at && at <= *to + (*to - *from)).map(|(from, _)| *from)
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::{ms, scenario};
    use super::*;

    #[test]
    fn a_standstill_covers_itself_and_as_long_again() {
        let mut all = Standstills::new(scenario(1, 1).checks.instrument);
        all.read(ms(1_000), Span::from_millis(250));
        all.read(ms(10_000), Span::from_millis(1_900));
        for (at, began) in [(900, None), (7_999, None), (8_000, Some(8_000)), (10_000, Some(8_000)), (12_000, Some(8_000)), (12_001, None)]
        {
            assert_eq!(all.began_before(ms(at)), began.map(ms), "at {at} ms");
        }
    }

    #[test]
    fn so_many_are_remembered_and_no_more() {
        let mut all = Standstills::new(scenario(1, 1).checks.instrument);
        (1..=1_000).for_each(|n| all.read(ms(n * 10_000), Span::from_secs(1)));
        assert_eq!(all.spans.len(), MOST);
        assert!(all.began_before(ms(10_000)).is_some() && all.began_before(ms(10_000_000)).is_none());
    }
}
