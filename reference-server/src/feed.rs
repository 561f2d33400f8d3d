//! The server's own broadcasts: nobody publishes them, a timer does. Must never know who receives.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::fault::{Act, Argument, Kind as Fault};
use crate::frame::{Kind, Message};
use crate::shard::Shared;

/// Who sends them: no client.
pub(crate) const SENDER: u64 = u64::MAX;

/// Broadcasts every `period` by a timetable: broadcast n is due n + 1 periods after the start, however late others were.
pub(crate) async fn run(shared: Arc<Shared>, period: Duration) {
    let began = shared.clock.now();
    let mut due = began;
    let mut n: u64 = 0;
    while !shared.stopping.load(Ordering::Acquire) {
        due += period;
        shared.clock.until(due).await;
        let late = shared.faults.strike(Fault::TickLate, SENDER, n, shared.clock.now());
        if let Some(Argument::Span(span, _)) = late {
            shared.book.write(Fault::TickLate, &Act::new(Fault::TickLate, SENDER, shared.clock.now()));
            shared.clock.until(due + span).await;
        }
        let uptime = shared.clock.now().as_millis();
        let text = format!("{{\"type\":\"tick\",\"seq\":{n},\"uptime_ms\":{uptime}}}");
        shared.publish(SENDER, None, Message::new(Kind::Text, text.as_bytes()));
        n += 1;
    }
}
