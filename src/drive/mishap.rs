//! What befalls the machine in a run, and the coordinator: suspended, stopped, its wall clock set. Found by setting the system's clocks
//! side by side once a second.
//!
//! Pure: the clocks are read by whoever asks, so that what no test may do to a machine can be told of it.

use crate::base::{Instant, Span};
use crate::event::Mishap;

use super::clock::SideBySide;

/// From look to look at the clocks.
const EVERY: Span = Span::from_secs(1);
/// Clocks that part by less than this were not set, nor was the machine suspended: they are read one after the other.
const JUMP: u64 = 50_000_000;
/// A coordinator that wakes so much late stood still; told of with its span, and judged by the check.
const STILL: Span = Span::from_millis(250);

/// What was last known of the clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lookout {
    /// The coordinator is a process of its own: its standing still is not seen by any shard.
    apart: bool,
    last: Option<SideBySide>,
    due: Instant,
}

impl Lookout {
    /// A look-out that has seen nothing yet; `apart`: no shard runs in this process.
    pub(super) const fn new(apart: bool) -> Self {
        Self { apart, last: None, due: Instant::EPOCH }
    }

    /// What befell since the last look: `late` is how much later than meant the coordinator woke just now, `clocks` reads the clocks,
    /// once a second or when `late` is much.
    pub(super) fn look(&mut self, now: Instant, late: Span, clocks: impl FnOnce() -> Option<SideBySide>) -> Option<Mishap> {
        let stood_still = if self.apart && late >= STILL { late } else { Span::ZERO };
        let mut mishap = Mishap { stood_still, ..Mishap::default() };
        if now >= self.due || late >= STILL {
            self.due = now + EVERY;
            self.compare(clocks(), &mut mishap);
        }
        (mishap != Mishap::default()).then_some(mishap)
    }

    fn compare(&mut self, clocks: Option<SideBySide>, mishap: &mut Mishap) {
        let Some(clocks) = clocks else { return };
        let Some(last) = self.last.replace(clocks) else { return };
        // What was slept away is in the clock that goes on, and in the wall clock too: only the rest of that was set.
        let passed = clocks.awake_or_not.saturating_sub(last.awake_or_not);
        let asleep = parted(passed, clocks.monotonic.saturating_sub(last.monotonic));
        mishap.asleep = Span::from_nanos(asleep.max(0).unsigned_abs());
        mishap.wall_set_ns = parted(clocks.wall.wrapping_sub(last.wall), passed);
    }
}

/// By how much more one clock went on than the other; zero where it is too little to be more than the time between two readings.
const fn parted(one: u64, other: u64) -> i64 {
    let by = one.wrapping_sub(other).cast_signed();
    if by.unsigned_abs() < JUMP { 0 } else { by }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// A machine whose clocks are set by hand.
    struct Machine {
        lookout: Lookout,
        clocks: SideBySide,
        readings: u32,
    }

    impl Machine {
        fn on(apart: bool) -> Self {
            let clocks = SideBySide { monotonic: 7 * SECOND, awake_or_not: 90 * SECOND, wall: 1_700_000_000 * SECOND };
            let mut machine = Self { lookout: Lookout::new(apart), clocks, readings: 0 };
            assert_eq!(machine.passes(0, 0), None, "the first look compares nothing");
            machine
        }

        /// So many milliseconds later the coordinator wakes, so many of them late.
        fn passes(&mut self, ms: u64, late: u64) -> Option<Mishap> {
            for clock in [&mut self.clocks.monotonic, &mut self.clocks.awake_or_not, &mut self.clocks.wall] {
                *clock += ms * 1_000_000;
            }
            let (clocks, readings) = (self.clocks, &mut self.readings);
            let now = Instant::from_nanos(clocks.monotonic - 7 * SECOND);
            self.lookout.look(now, Span::from_millis(late), || {
                *readings += 1;
                Some(clocks)
            })
        }
    }

    #[test]
    fn an_undisturbed_machine_is_looked_at_once_a_second() {
        let mut machine = Machine::on(true);
        assert!((0..1_000).all(|_| machine.passes(10, 5).is_none()));
        assert_eq!(machine.readings, 11);
    }

    #[test]
    fn a_suspended_machine_slept_and_nobody_set_its_clock() {
        let mut machine = Machine::on(false);
        machine.clocks.awake_or_not += 3_600 * SECOND;
        machine.clocks.wall += 3_600 * SECOND;
        assert_eq!(machine.passes(1_000, 0), Some(Mishap { asleep: Span::from_secs(3_600), ..Mishap::default() }));
        assert_eq!(machine.passes(1_000, 0), None, "told once");
    }

    #[test]
    fn a_wall_clock_set_forward_or_back_is_told_with_its_way() {
        let mut machine = Machine::on(false);
        machine.clocks.wall += 3_600 * SECOND;
        assert_eq!(machine.passes(1_000, 0).map(|mishap| mishap.wall_set_ns), Some(3_600_000_000_000));
        machine.clocks.wall -= 2 * SECOND;
        assert_eq!(machine.passes(1_000, 0), Some(Mishap { wall_set_ns: -2_000_000_000, ..Mishap::default() }));
        // A clock that is disciplined drifts by far less.
        machine.clocks.wall += 500_000;
        assert_eq!(machine.passes(1_000, 0), None);
    }

    #[test]
    fn both_at_once_are_told_apart() {
        let mut machine = Machine::on(false);
        machine.clocks.awake_or_not += 60 * SECOND;
        machine.clocks.wall += 60 * SECOND - 5 * SECOND;
        let expected = Mishap { asleep: Span::from_secs(60), wall_set_ns: -5_000_000_000, ..Mishap::default() };
        assert_eq!(machine.passes(1_000, 0), Some(expected));
    }

    #[test]
    fn a_coordinator_that_stood_still_is_told_where_no_shard_would() {
        let stood_still = Span::from_secs(4);
        assert_eq!(Machine::on(true).passes(4_010, 4_000), Some(Mishap { stood_still, ..Mishap::default() }));
        assert_eq!(Machine::on(false).passes(4_010, 4_000), None, "a shard of the same process stood still too");
        assert_eq!(Machine::on(true).passes(210, 200), None);
    }

    #[test]
    fn clocks_that_cannot_be_read_together_are_left_alone() {
        let mut lookout = Lookout::new(true);
        assert_eq!(lookout.look(Instant::EPOCH, Span::ZERO, || None), None);
        assert_eq!(lookout.look(Instant::from_nanos(2 * SECOND), Span::ZERO, || None), None);
    }

    #[test]
    fn the_systems_own_clocks_can_be_set_side_by_side() {
        let read = || (0..1_000).find_map(|_| super::super::clock::Clock::side_by_side());
        let (Some(first), Some(then)) = (read(), read()) else { panic!("never undisturbed in a thousand attempts") };
        assert!(first.monotonic <= then.monotonic && first.awake_or_not <= then.awake_or_not && first.wall > 1_700_000_000 * SECOND);
    }
}
