//! The server's time, as an argument: whoever starts the server says which clock it lives by.
//!
//! Readings are durations since the clock's own zero. Must never know what is timed with it.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::Instant;

/// A wait for an instant of a [`Clock`].
pub type Wait = Pin<Box<dyn Future<Output = ()>>>;

/// What a server needs to know about time.
pub trait Clock: Send + Sync + 'static {
    /// Time since this clock's zero; never goes back.
    fn now(&self) -> Duration;
    /// Ends once [`now`](Self::now) has reached `at`.
    fn until(&self, at: Duration) -> Wait;
}

/// The runtime's monotonic clock, counted from the moment this value was made. It follows a paused tokio clock, so a
/// test that pauses the runtime's time drives the server's time.
#[derive(Debug, Clone, Copy)]
pub struct RuntimeClock {
    zero: Instant,
}

impl RuntimeClock {
    /// A clock that reads zero now.
    #[must_use]
    pub fn starting_now() -> Self {
        Self { zero: Instant::now() }
    }
}

impl Clock for RuntimeClock {
    fn now(&self) -> Duration {
        self.zero.elapsed()
    }

    fn until(&self, at: Duration) -> Wait {
        match self.zero.checked_add(at) {
            Some(instant) => Box::pin(tokio::time::sleep_until(instant)),
            None => Box::pin(std::future::pending()),
        }
    }
}
