//! Waiting for an instant. The runtime's own timers are good to a millisecond, which would show as send lag; on Linux a
//! timer descriptor is good to some ten microseconds. Elsewhere the runtime's timer serves.

use std::io;

use crate::base::Instant;

use super::clock::Clock;

#[cfg(target_os = "linux")]
mod imp {
    use std::io;
    use std::os::fd::OwnedFd;

    use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime};
    use tokio::io::unix::AsyncFd;

    use crate::base::Instant;
    use crate::drive::clock::Clock;

    pub(super) struct Inner(AsyncFd<OwnedFd>);

    impl Inner {
        pub(super) fn new() -> io::Result<Self> {
            let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
            #[expect(
                deprecated,
                reason = "its successor is unsafe for descriptors that may be closed elsewhere; an OwnedFd moved in cannot be"
            )]
            let fd = AsyncFd::new(fd)?;
            Ok(Self(fd))
        }

        pub(super) async fn until(&self, clock: Clock, at: Instant) -> io::Result<()> {
            let nanos = clock.epoch_nanos().saturating_add(at.as_nanos()).min(i64::MAX as u64).max(1);
            #[expect(clippy::cast_possible_wrap, reason = "bounded above")]
            let value = Timespec { tv_sec: (nanos / 1_000_000_000) as i64, tv_nsec: (nanos % 1_000_000_000) as _ };
            let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
            timerfd_settime(&self.0, TimerfdTimerFlags::ABSTIME, &once)?;
            loop {
                let mut ready = self.0.readable().await?;
                match rustix::io::read(&self.0, &mut [0_u8; 8]) {
                    Ok(_) => return Ok(()),
                    Err(error) if error == rustix::io::Errno::AGAIN => ready.clear_ready(),
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::io;

    use crate::base::Instant;
    use crate::drive::clock::Clock;

    pub(super) struct Inner;

    impl Inner {
        pub(super) fn new() -> io::Result<Self> {
            Ok(Self)
        }

        pub(super) async fn until(&self, clock: Clock, at: Instant) -> io::Result<()> {
            tokio::time::sleep(at.since(clock.now()).to_std()).await;
            Ok(())
        }
    }
}

/// One waiter's alarm clock.
pub(super) struct Alarm {
    inner: imp::Inner,
    clock: Clock,
}

impl Alarm {
    /// An alarm on the current runtime.
    pub(super) fn new(clock: Clock) -> io::Result<Self> {
        Ok(Self { inner: imp::Inner::new()?, clock })
    }

    /// Waits until `at`; returns the instant of waking, which is never before it.
    pub(super) async fn until(&self, at: Instant) -> io::Result<Instant> {
        let mut now = self.clock.now();
        while now < at {
            self.inner.until(self.clock, at).await?;
            now = self.clock.now();
        }
        Ok(now)
    }
}
