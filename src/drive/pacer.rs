//! Publications and pings on their planned instants. The n-th instant comes from the plan, never from the previous send, so
//! lateness cannot accumulate or hide; what is late is sent at once and its lag recorded.

use std::cell::RefCell;
use std::rc::Rc;

use tokio::task::{spawn_local, yield_now};

use crate::base::{ConnId, Instant, PublisherId, STAMP_LEN, Seq, Span};
use crate::event::{DropCause, Event, PingLevel};
use crate::scenario::model::Request;
use crate::scenario::model::{Body, Encoding, HttpPublish, Pace, Via};
use crate::scenario::template::{MissingValue, Vars};
use crate::wire::frame::Opcode;
use crate::wire::payload;
use crate::wire::stamp::Stamp;

use super::alarm::Alarm;
use super::link::Link;
use super::session::State;
use super::shard::Shard;

/// How many sends may follow one another before the receiving side gets its turn.
const TURN: u32 = 32;
/// Closed loop: how long a publisher that is not connected waits before its next attempt, which is dropped and counted as the last was.
const RETRY: Span = Span::from_millis(100);

/// Starts publishing and pinging from `at`.
pub(super) fn start(shard: &Rc<Shard>, at: Instant) -> std::io::Result<()> {
    let scenario = &shard.plan.scenario;
    let end = at + scenario.phases.warm_up + scenario.phases.steady;
    match scenario.publish.as_ref().map(|p| &p.pace) {
        Some(Pace::Closed { rate }) => {
            let gap = rate.map_or(Span::ZERO, |r| r.nth(u64::from(shard.plan.publishers)));
            spawn_local(closed(shard.clone(), Alarm::new(shard.clock)?, at, end, gap));
        }
        Some(_) => {
            spawn_local(open(shard.clone(), Alarm::new(shard.clock)?, at, end));
        }
        None => {
            spawn_local(idle(shard.clone(), Alarm::new(shard.clock)?, end));
        }
    }
    if let Some(pong) = &scenario.checks.pong {
        // No ping whose answer could not come before the drain: it would prove nothing.
        let last = end.before(pong.within);
        if let Some(application) = &pong.application {
            let body = Some(application.send.clone());
            spawn_local(ping(shard.clone(), Alarm::new(shard.clock)?, at, last, PingLevel::Application, body));
        }
        if pong.protocol {
            spawn_local(ping(shard.clone(), Alarm::new(shard.clock)?, at, last, PingLevel::Protocol, None));
        }
    }
    Ok(())
}

/// Nothing is published: the phases pass all the same.
async fn idle(shard: Rc<Shard>, alarm: Alarm, end: Instant) {
    if alarm.until(end).await.is_ok() {
        shard.gauge.set_published();
    }
}

/// Open loop: the timetable, whatever the server does.
async fn open(shard: Rc<Shard>, alarm: Alarm, start: Instant, end: Instant) {
    let mut turn = 0;
    let mut queued = Queued::default();
    for planned in shard.plan.timetable().share(shard.share.index, shard.share.of).iter() {
        let at = start + planned.after;
        if shard.clock.now() < at {
            turn = 0;
            queued.send(&shard);
            if alarm.until(at).await.is_err() {
                break;
            }
        } else if turn == TURN {
            turn = 0;
            queued.send(&shard);
            yield_now().await;
        }
        if shard.stopped.get() {
            break;
        }
        turn += 1;
        publish(&shard, planned.publisher, at);
        queued.add(shard.plan.connection_of(planned.publisher));
    }
    queued.send(&shard);
    if !shard.stopped.get() {
        let _ = alarm.until(end).await;
    }
    shard.gauge.set_published();
}

/// Closed loop: each publisher waits for its own publication to come back, or for the delivery limit.
async fn closed(shard: Rc<Shard>, alarm: Alarm, start: Instant, end: Instant, gap: Span) {
    let within = shard.plan.scenario.checks.delivery.map_or(Span::from_secs(5), |d| d.within);
    let mut publishers: Vec<Waiting> = (0..shard.plan.publishers)
        .map(PublisherId)
        .filter(|&p| shard.share.owns(shard.plan.connection_of(p)))
        .map(|publisher| Waiting { publisher, seq: None, next: start })
        .collect();
    while !shard.stopped.get() {
        let now = shard.clock.now();
        if now >= end {
            break;
        }
        while let Some((publisher, seq)) = shard.returned.borrow_mut().pop_front() {
            if let Some(w) = publishers.iter_mut().find(|w| w.publisher == publisher && w.seq == Some(seq)) {
                w.seq = None;
                w.next = (w.next + gap).max(now);
            }
        }
        let mut wake = end;
        for w in &mut publishers {
            // Given up: the next one is due when the limit of the last one passed.
            let due = if w.seq.is_some() { w.next + within } else { w.next };
            if due <= now {
                w.seq = publish(&shard, w.publisher, due);
                if let Some(link) = shard.link(shard.plan.connection_of(w.publisher)) {
                    link.borrow_mut().flush();
                }
                // A publisher that cannot send tries again after a while, not as fast as the loop turns.
                w.next = if w.seq.is_some() { due } else { now + gap.max(RETRY) };
                wake = now;
            }
            wake = wake.min(due);
        }
        if wake <= now {
            yield_now().await;
        } else {
            tokio::select! {
                _ = alarm.until(wake) => {}
                () = shard.returning.notified() => {}
            }
        }
    }
    shard.gauge.set_published();
}

/// A publisher of a closed loop.
struct Waiting {
    publisher: PublisherId,
    /// What it waits for; `None` when it may send.
    seq: Option<Seq>,
    /// When it may send next, or when it sent what it waits for.
    next: Instant,
}

/// Connections with publications that were due together and go out in one write each: a system call costs as much as making
/// twenty of them. Never waits for more to come due.
#[derive(Default)]
struct Queued(Vec<ConnId>);

impl Queued {
    fn add(&mut self, conn: ConnId) {
        if self.0.last() != Some(&conn) {
            self.0.push(conn);
        }
    }

    fn send(&mut self, shard: &Shard) {
        for conn in self.0.drain(..) {
            if let Some(link) = shard.link(conn) {
                link.borrow_mut().flush();
            }
        }
    }
}

/// Queues the publication planned for `planned` on its connection, to be flushed at once by the caller, or drops it with its cause.
fn publish(shard: &Rc<Shard>, publisher: PublisherId, planned: Instant) -> Option<Seq> {
    let conn = shard.plan.connection_of(publisher);
    let link = shard.link(conn).filter(|link| link.borrow().state() == State::Ready);
    let Some(link) = link else {
        let planned_so = shard.disrupted.borrow().contains(&conn);
        drop_one(shard, publisher, planned, if planned_so { DropCause::Disrupted } else { DropCause::NotOpen });
        return None;
    };
    if let Some(Via::Http(publish)) = shard.plan.scenario.publish.as_ref().map(|p| &p.via) {
        return over_http(shard, &link, publish, publisher, planned);
    }
    let mut link = link.borrow_mut();
    if link.is_blocked() {
        drop_one(shard, publisher, planned, DropCause::BackPressure);
        return None;
    }
    let text = shard.plan.scenario.publish.as_ref().is_none_or(|p| p.encoding == Encoding::Text);
    let seq = link.next_seq();
    let bytes = shard.plan.payload_len(publisher, u64::from(seq.0));
    let sent = shard.clock.now();
    let padding = bytes.saturating_sub(STAMP_LEN);
    let stamp = Stamp { run: shard.plan.run, publisher, seq, planned, sent, padding: padding.try_into().unwrap_or(u32::MAX) };
    let Some(body) = &shard.plan.scenario.dialect.publish else {
        let opcode = if text { Opcode::Text } else { Opcode::Binary };
        link.queue_with(opcode, STAMP_LEN + padding, |out| payload::write(out, &stamp, text));
        shard.observe(Event::Sent { publisher, seq, planned, sent, bytes: bytes.try_into().unwrap_or(u32::MAX) });
        return Some(seq);
    };
    let mut content = Vec::with_capacity(STAMP_LEN + padding);
    payload::write(&mut content, &stamp, text);
    let mut message = Vec::with_capacity(content.len() + 256);
    if link.encoder(shard).is_none() {
        drop_one(shard, publisher, planned, DropCause::NotOpen);
        return None;
    }
    link.encode(shard, conn, &content, seq, &mut message);
    let opcode = if body.is_text() { Opcode::Text } else { Opcode::Binary };
    link.queue_with(opcode, message.len(), |out| out.extend_from_slice(&message));
    shard.observe(Event::Sent { publisher, seq, planned, sent, bytes: bytes.try_into().unwrap_or(u32::MAX) });
    Some(seq)
}

/// Sends a publication as an HTTP request on behalf of the publisher's connection. It counts as sent when the request leaves;
/// how it was answered is an event of its own.
fn over_http(shard: &Rc<Shard>, link: &Rc<RefCell<Link>>, publish: &HttpPublish, publisher: PublisherId, planned: Instant) -> Option<Seq> {
    let Ok(permit) = shard.requests_under_way.clone().try_acquire_owned() else {
        drop_one(shard, publisher, planned, DropCause::BackPressure);
        return None;
    };
    let text = shard.plan.scenario.publish.as_ref().is_none_or(|p| p.encoding == Encoding::Text);
    let conn = shard.plan.connection_of(publisher);
    let mut link = link.borrow_mut();
    let seq = link.next_seq();
    let bytes = shard.plan.payload_len(publisher, u64::from(seq.0));
    let padding = u32::try_from(bytes.saturating_sub(STAMP_LEN)).unwrap_or(u32::MAX);
    let sent = shard.clock.now();
    let mut content = Vec::with_capacity(bytes);
    payload::write(&mut content, &Stamp { run: shard.plan.run, publisher, seq, planned, sent, padding }, text);
    let vars = Vars { payload: &content, seq: u64::from(seq.0), ..link.vars(shard, conn) };
    let request = request_of(publish, &vars);
    drop(link);
    shard.observe(Event::Sent { publisher, seq, planned, sent, bytes: bytes.try_into().unwrap_or(u32::MAX) });
    let shard = shard.clone();
    spawn_local(async move {
        let answer = match &request {
            Ok(request) => shard.ask(request).await,
            Err(missing) => Err(missing.to_string()),
        };
        let at = shard.clock.now();
        let (status, detail) = match &answer {
            Ok((status, body)) => (*status, String::from_utf8_lossy(&body[..body.len().min(160)]).into_owned()),
            Err(reason) => (0, reason.clone()),
        };
        shard.observe(Event::Answered { publisher, seq, at, status, took: at - sent, detail: &detail });
        drop(permit);
    });
    Some(seq)
}

fn request_of(publish: &HttpPublish, vars: &Vars<'_>) -> Result<Request, MissingValue> {
    let body = publish.body.render(vars)?;
    let with_body = Vars { body: &body, ..*vars };
    let mut headers = Vec::with_capacity(publish.headers.len());
    for (name, value) in &publish.headers {
        headers.push((name.clone(), value.text(&with_body)?));
    }
    let url = publish.url.text(&with_body)?;
    Ok(Request { method: publish.method.clone(), url, headers, body, within: publish.within })
}

#[cold]
fn drop_one(shard: &Shard, publisher: PublisherId, planned: Instant, cause: DropCause) {
    shard.observe(Event::Dropped { publisher, planned, at: shard.clock.now(), cause });
}

/// Every client pings once a period, the clients spread evenly over it.
async fn ping(shard: Rc<Shard>, alarm: Alarm, start: Instant, last: Instant, level: PingLevel, body: Option<Body>) {
    let Some(every) = shard.plan.scenario.checks.pong.as_ref().map(|p| p.every) else { return };
    let mut order: Vec<(Span, ConnId)> = shard.connections().map(|c| (shard.plan.ping_offset(c), c)).collect();
    order.sort_unstable();
    let mut turn = 0;
    for round in 0.. {
        for &(offset, conn) in &order {
            let at = start + every.times(round) + offset;
            if at > last || shard.stopped.get() {
                return;
            }
            if shard.clock.now() < at {
                turn = 0;
                if alarm.until(at).await.is_err() {
                    return;
                }
            } else if turn == TURN {
                turn = 0;
                yield_now().await;
            }
            turn += 1;
            if let Some(link) = shard.link(conn).filter(|link| link.borrow().state() == State::Ready) {
                let sent = shard.clock.now();
                let nonce = link.borrow_mut().ping(&shard, level, body.as_ref());
                shard.observe(Event::PingSent { conn, level, nonce, at: sent });
            }
        }
        if order.is_empty() {
            return;
        }
    }
}
