//! The one clock: the system's monotonic clock, counted from the run's epoch. The only file that reads it.

use rustix::time::{ClockId, clock_gettime};

use crate::base::{Instant, Span};

/// The run's clock. Copies of it, in other threads or processes of this machine, agree to the nanosecond, since all read
/// the same system clock.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    epoch: u64,
}

impl Clock {
    /// A clock whose epoch is now.
    #[must_use]
    pub fn start() -> Self {
        Self { epoch: read(ClockId::Monotonic) }
    }

    /// The clock with this epoch, as [`Clock::epoch_nanos`] of another process gave it.
    #[must_use]
    pub const fn with_epoch(nanos: u64) -> Self {
        Self { epoch: nanos }
    }

    /// The epoch in nanoseconds of the system's monotonic clock.
    #[must_use]
    pub const fn epoch_nanos(self) -> u64 {
        self.epoch
    }

    /// Now.
    #[inline]
    #[must_use]
    pub fn now(self) -> Instant {
        Instant::from_nanos(read(ClockId::Monotonic).saturating_sub(self.epoch))
    }

    /// CPU time the calling thread has used.
    #[must_use]
    pub fn thread_cpu() -> Span {
        Span::from_nanos(read(ClockId::ThreadCPUTime))
    }

    /// CPU time the process has used.
    #[must_use]
    pub fn process_cpu() -> Span {
        Span::from_nanos(read(ClockId::ProcessCPUTime))
    }

    /// The system's clocks beside each other; `None` when they could not be read at one moment (this thread was interrupted each time).
    #[must_use]
    pub fn side_by_side() -> Option<SideBySide> {
        (0..3).find_map(|_| {
            let before = read(ClockId::Monotonic);
            let (awake, wall) = (read(AWAKE_OR_NOT), read(ClockId::Realtime));
            let monotonic = read(ClockId::Monotonic);
            (monotonic - before < 1_000_000).then_some(SideBySide { monotonic, awake_or_not: awake, wall })
        })
    }

    /// The wall clock in milliseconds since 1970, for the report's date and nothing else.
    #[must_use]
    pub fn unix_millis() -> u64 {
        read(ClockId::Realtime) / 1_000_000
    }
}

/// A clock that goes on while the machine is suspended. Where there is none, suspension is not seen this way.
#[cfg(target_os = "linux")]
const AWAKE_OR_NOT: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const AWAKE_OR_NOT: ClockId = ClockId::Monotonic;

/// What the system's clocks said at one moment, each in nanoseconds from a beginning of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SideBySide {
    /// The run's own clock: it stands while the machine is suspended.
    pub monotonic: u64,
    /// Goes on while it is.
    pub awake_or_not: u64,
    /// Goes on too, and can be set.
    pub wall: u64,
}

#[inline]
#[expect(clippy::cast_sign_loss, reason = "these clocks do not run below zero")]
fn read(id: ClockId) -> u64 {
    let time = clock_gettime(id);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
