//! Disruptions on their planned instants: what the plan says is done to clients, and how they come back. The instants and the
//! clients are the plan's, the same for every shard of every process; each shard strikes its own.

use std::cell::RefCell;
use std::process::Stdio;
use std::rc::{Rc, Weak};

use tokio::task::{spawn_local, yield_now};

use crate::base::{ConnId, Instant, Span};
use crate::event::Event;
use crate::scenario::model::{BackOff, Malformation, Verb};

use super::alarm::Alarm;
use super::link::Link;
use super::session::State;
use super::shard::Shard;

/// How many clients are struck before the receiving side gets its turn.
const TURN: usize = 32;
/// From portion to portion of a client that reads slowly.
const PORTION: Span = Span::from_millis(20);

/// Starts disrupting; publishing begins at `start`.
pub(super) fn start(shard: &Rc<Shard>, start: Instant) -> std::io::Result<()> {
    if !shard.plan.strikes.as_slice().is_empty() {
        spawn_local(strikes(shard.clone(), Alarm::new(shard.clock)?, start));
    }
    Ok(())
}

async fn strikes(shard: Rc<Shard>, alarm: Alarm, start: Instant) {
    for (nth, strike) in (0_u32..).zip(shard.plan.strikes.as_slice()) {
        if let Some((_, Verb::Server { command, back_off, .. })) = shard.plan.strike(nth) {
            if alarm.until(start + strike.at).await.is_err() || shard.stopped.get() {
                return;
            }
            restart(&shard, nth, command, start + strike.until, *back_off);
            continue;
        }
        let own = strike.conns.iter().copied().filter(|conn| shard.share.owns(*conn));
        for (n, conn) in own.enumerate() {
            if alarm.until(start + strike.at).await.is_err() || shard.stopped.get() {
                return;
            }
            if let Some((_, verb)) = shard.plan.strike(nth) {
                hit(&shard, conn, nth, verb, start + strike.until);
            }
            if n % TURN == TURN - 1 {
                yield_now().await;
            }
        }
    }
}

/// Strikes one client, unless the server has ended its connection already: that is not the plan's doing, and told as what it is.
fn hit(shard: &Rc<Shard>, conn: ConnId, strike: u32, verb: &Verb, back_at: Instant) {
    let Some(link) = shard.link(conn).filter(|link| link.borrow().state() == State::Ready) else { return };
    let at = shard.clock.now();
    shard.disrupted.borrow_mut().insert(conn);
    shard.observe(Event::Disrupted { conn, at, strike });
    shard.observe(Event::Leaving { conn, at });
    match verb {
        Verb::Close | Verb::Churn { .. } => link.borrow_mut().leave(shard, at),
        Verb::Kill | Verb::Offline { .. } | Verb::Reconnect { .. } => shard.reset(conn, at),
        Verb::HalfOpen { .. } => {
            link.borrow_mut().fall_silent();
            spawn_local(cut_off(shard.clone(), Rc::downgrade(&link), conn, strike, back_at));
        }
        Verb::Malformed { what } => {
            let place = shard.plan.strike(strike).and_then(|(s, _)| s.conns.iter().position(|c| *c == conn)).unwrap_or(0);
            let what = what.unwrap_or(Malformation::ALL[place % Malformation::ALL.len()]);
            link.borrow_mut().misbehave(what);
            link.borrow_mut().fall_silent();
            spawn_local(cut_off(shard.clone(), Rc::downgrade(&link), conn, strike, back_at));
        }
        // Strikes nobody by itself.
        Verb::Server { .. } => {}
        Verb::SlowReader { per_second, .. } => {
            link.borrow_mut().slow_down();
            spawn_local(dole_out(shard.clone(), Rc::downgrade(&link), (conn, strike), per_second.0, back_at));
        }
    }
    if let Some(back_off) = verb.back_off() {
        spawn_local(come_back(shard.clone(), conn, strike, back_at, back_off));
    }
}

/// Ends the connection of a client that does not answer, when its time is over.
async fn cut_off(shard: Rc<Shard>, link: Weak<RefCell<Link>>, conn: ConnId, strike: u32, at: Instant) {
    tokio::time::sleep(at.since(shard.clock.now()).to_std()).await;
    let now = shard.clock.now();
    let blind = link.upgrade().is_some_and(|link| link.borrow().is_full());
    shard.observe(Event::Restored { conn, at: now, strike, blind });
    shard.reset(conn, now);
}

/// Lets a client read so many bytes a second until its time is over, in portions, and then all it can.
async fn dole_out(shard: Rc<Shard>, link: Weak<RefCell<Link>>, (conn, strike): (ConnId, u32), per_second: u64, until: Instant) {
    let began = shard.clock.now();
    let mut given = 0;
    loop {
        tokio::time::sleep(PORTION.to_std()).await;
        let now = shard.clock.now();
        let Some(link) = link.upgrade().filter(|link| link.borrow().state() != State::Ended) else { return };
        if now >= until || shard.stopped.get() {
            link.borrow_mut().hurry_up();
            break;
        }
        // By the clock, so that portions that come late make up for it; in all, not per portion, so that a byte a second is possible.
        let due = u128::from(per_second) * u128::from((now - began).as_nanos()) / 1_000_000_000;
        let due = u64::try_from(due).unwrap_or(u64::MAX);
        link.borrow_mut().allow(usize::try_from(due - given).unwrap_or(usize::MAX));
        given = due;
    }
    shard.observe(Event::Restored { conn, at: shard.clock.now(), strike, blind: false });
}

/// The server is about to go: from here until `until`, every connection that ends comes back. One shard of all runs the command.
fn restart(shard: &Rc<Shard>, strike: u32, command: &[String], until: Instant, back_off: BackOff) {
    shard.restart.set(Some((strike, until)));
    spawn_local(bring_back(shard.clone(), strike, until, back_off));
    if let (0, Some((program, arguments))) = (shard.share.index, command.split_first()) {
        let mut command = tokio::process::Command::new(program);
        // A server started from here may hold its outputs for ever, and a worker's own are a pipe.
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        spawn_local(run_hook(shard.clone(), strike, command));
    }
}

async fn run_hook(shard: Rc<Shard>, strike: u32, mut command: tokio::process::Command) {
    let began = shard.clock.now();
    let (failed, detail) = match command.status().await {
        Ok(status) => (!status.success(), status.to_string()),
        Err(error) => (true, error.to_string()),
    };
    let at = shard.clock.now();
    shard.observe(Event::Hook { strike, at, took: at - began, failed, detail: &detail });
}

/// Lets everybody come back whose connection ends.
async fn bring_back(shard: Rc<Shard>, strike: u32, until: Instant, back_off: BackOff) {
    loop {
        let left = until.since(shard.clock.now()).to_std();
        let waited = tokio::time::timeout(left, shard.cut_off_waiting.notified()).await;
        while let Some(conn) = shard.cut_off.borrow_mut().pop_front() {
            spawn_local(come_back(shard.clone(), conn, strike, shard.clock.now(), back_off));
        }
        if waited.is_err() {
            return;
        }
    }
}

/// Connects a client again, at the planned instant and then as often as its back-off says, until it is in or the run closes.
async fn come_back(shard: Rc<Shard>, conn: ConnId, strike: u32, at: Instant, back_off: BackOff) {
    let mut rng = shard.plan.seed.derive("back-off").nth(strike.into()).nth(conn.0.into()).rng();
    let storm = matches!(shard.plan.strike(strike), Some((_, Verb::Reconnect { .. } | Verb::Server { .. })));
    let mut due = if storm { at + back_off.wait(0, rng.unit()) } else { at };
    for attempt in 0.. {
        tokio::time::sleep(due.since(shard.clock.now()).to_std()).await;
        if shard.stopped.get() {
            return;
        }
        // Its old connection may still wait for the end of the closing handshake: two at a time would be two clients.
        shard.reset(conn, shard.clock.now());
        let Ok(permit) = shard.dialling.clone().acquire_owned().await else { return };
        let opened = Box::pin(shard.clone().open(conn)).await;
        drop(permit);
        if opened {
            return;
        }
        due = shard.clock.now() + back_off.wait(attempt, rng.unit());
    }
}
