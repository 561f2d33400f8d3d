//! A shard watching itself: how late its own timer wakes, what lies unread in the kernel, what CPU it uses. Ten readings a
//! second go into the books; the gauge is refreshed alongside.

use std::rc::Rc;

use crate::base::Span;
use crate::event::{Event, Health};

use super::alarm::Alarm;
use super::clock::Clock;
use super::live::Sampler;
use super::session::State;
use super::shard::Shard;

/// From look to look: a stall of the loop longer than this cannot go unseen.
const TICK: Span = Span::from_millis(20);
/// Looks per reading.
const PER_READING: u32 = 5;
/// Connections whose kernel queue is looked at per reading.
const SAMPLED: usize = 8;

/// Watches until the shard ends.
pub(super) async fn watch(shard: Rc<Shard>, alarm: Alarm) {
    let mut due = shard.clock.now() + TICK;
    let mut worst = Span::ZERO;
    let mut next = 0;
    let mut sampler = Sampler::default();
    for tick in 1_u32.. {
        let Ok(now) = alarm.until(due).await else { return };
        worst = worst.max(now - due);
        // The next look is planned from the plan, but looks that were missed are not made up for.
        due = (due + TICK).max(now);
        if let Some(log) = shard.log.borrow().as_ref() {
            shard.gauge.set_all_in(shard.with_ledger(|ledger| ledger.all_in(log)));
        }
        if tick % PER_READING == 0 {
            let (backlog_bytes, open) = backlog(&shard, &mut next);
            let reading = Health { loop_lag: worst, backlog_bytes, cpu: Clock::thread_cpu(), open };
            shard.observe(Event::Health { at: now, reading });
            let progress = shard.with_ledger(|ledger| ledger.progress());
            if let Some(board) = &shard.gauge.board {
                shard.with_ledger(|ledger| sampler.take(ledger, progress, worst, board));
            }
            worst = Span::ZERO;
            shard.gauge.sample(progress.sent, progress.taken, progress.p99_ns.unwrap_or(0));
        }
    }
}

/// The largest unread queue among the next few connections, and how many are open.
fn backlog(shard: &Shard, next: &mut usize) -> (u32, u32) {
    let links = shard.links.borrow();
    let mut worst = 0;
    for _ in 0..SAMPLED.min(links.len()) {
        *next = (*next + 1) % links.len();
        if let Some(link) = &links[*next]
            && let link = link.borrow()
            && link.state() != State::Ended
            && link.allowance.is_none()
        {
            worst = worst.max(rustix::io::ioctl_fionread(link.stream().socket()).unwrap_or(0));
        }
    }
    let mut progress = super::Progress::default();
    shard.gauge.add_to(&mut progress);
    (u32::try_from(worst).unwrap_or(u32::MAX), u32::try_from(progress.open).unwrap_or(u32::MAX))
}
