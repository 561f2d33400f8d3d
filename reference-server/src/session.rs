//! An open client's task: reads its messages, keeps its heartbeat, and sees it out.
//!
//! The phases are open, closing (our Close is sent, or one of ours is on its way as an answer), and parting (nothing
//! more to say: what is queued leaves, the writing side is shut, the peer's end of stream is awaited). Only an open
//! client is in the shard's list; its timers exist only in this value and end with it.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures::{Sink, Stream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message as Heard, Role, WebSocketConfig};

use crate::clock::Wait;
use crate::config::{Fanout, PING_TEXT};
use crate::counters;
use crate::fault::{self, Dead, Trouble};
use crate::frame::{Kind, Message};
use crate::inlet::{Inlet, Violation};
use crate::logline;
use crate::peer::{Offered, Order, Peer};
use crate::shard::Shard;
use crate::wire::Wire;

/// Octets the engine reads at a time, and keeps per client: small, because most clients only listen.
const READ_BUFFER: usize = 512;
/// Messages handled before other clients get their turn.
const TURN: usize = 64;
/// A client with more than this waiting for it is not read until it has taken some: its own requests (pings, echoes,
/// broadcasts) must not fill memory faster than it reads the answers.
const BACKLOG: usize = 256 * 1024;

/// How long a client is not read when deliveries are behind.
const REST: Duration = Duration::from_millis(2);

/// How far a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    Closing,
    Parting,
    Shut,
}

/// One client's task.
pub(crate) struct Session {
    shard: Rc<Shard>,
    peer: Rc<Peer>,
    engine: WebSocketStream<Wire>,
    phase: Phase,
    opened: Duration,
    next_beat: Option<Duration>,
    next_ping: Option<Duration>,
    /// The number in the protocol ping not yet answered.
    unanswered: Option<u64>,
    pings: u64,
    deadline: Option<Duration>,
    timer: Option<(Duration, Wait)>,
    /// When a client that takes nothing is given up, and what it had taken when that was decided.
    stuck: Option<(Duration, u64)>,
    /// Until when it is not read because deliveries are behind.
    rest: Option<Duration>,
    /// When more is due from the client's lane, where the server has faults.
    next_out: Option<Duration>,
    trouble: Option<Box<Trouble>>,
    /// No longer read, as a fault.
    deaf: bool,
}

impl Session {
    /// Opens a client: from here on it is owed what is broadcast.
    pub(crate) async fn open(shard: Rc<Shard>, peer: Rc<Peer>, inlet: Inlet, read_ahead: Bytes) -> Self {
        let config = &shard.shared.config;
        let limits = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(config.max_message))
            .max_frame_size(None);
        let wire = Wire::new(Rc::clone(&shard), Rc::clone(&peer), inlet, read_ahead);
        let engine = WebSocketStream::from_raw_socket(wire, Role::Server, Some(limits)).await;
        let opened = shard.shared.clock.now();
        if let Some(greeting) = &shard.greeting {
            peer.say(&shard, greeting.frame().clone());
        }
        shard.replay(&peer);
        let mut trouble = Trouble::ahead(&shard, peer.index, opened);
        let next_beat = config.heartbeat.map(|period| match &mut trouble {
            None => opened + period,
            Some(trouble) => trouble.next_beat(&shard, peer.index, opened, period),
        });
        let next_ping = config.protocol_ping.map(|period| opened + period);
        shard.join(&peer);
        Self {
            shard,
            peer,
            engine,
            phase: Phase::Open,
            opened,
            next_beat,
            next_ping,
            unanswered: None,
            pings: 0,
            deadline: None,
            timer: None,
            stuck: None,
            rest: None,
            next_out: None,
            trouble,
            deaf: false,
        }
    }

    /// Runs until the client is gone.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.peer.remember(cx.waker());
        loop {
            if self.obey() || self.poll_timers(cx) {
                return Poll::Ready(());
            }
            let before = (self.phase, self.next_out, self.stuck, self.rest);
            if matches!(self.phase, Phase::Open | Phase::Closing) && !self.deaf {
                self.poll_messages(cx);
            }
            self.next_out = self.shard.let_out(&self.peer);
            match self.peer.poll_drain(cx) {
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(())) => {
                    self.stuck = None;
                    if self.trouble.is_some() {
                        self.shard.go_on_without(&self.peer);
                    }
                    if self.phase == Phase::Parting && self.next_out.is_none() && self.peer.poll_shutdown(cx).is_ready() {
                        self.phase = Phase::Shut;
                    }
                    if self.phase == Phase::Shut && self.poll_end(cx).is_ready() {
                        return Poll::Ready(());
                    }
                }
                Poll::Pending => self.note_stuck(),
            }
            // For a new deadline the timer is not set yet.
            if (self.phase, self.next_out, self.stuck, self.rest) == before {
                return Poll::Pending;
            }
        }
    }

    /// Does what the shard asked for; true when the client is to be dropped.
    fn obey(&mut self) -> bool {
        match self.peer.order.get() {
            None => false,
            Some(Order::Drop) => true,
            Some(_) if self.phase != Phase::Open => false,
            Some(Order::CloseSlow) => {
                let dropped = self.peer.drop_unsent();
                counters::add(&self.shard.shared.counters.copies_dropped, dropped);
                self.close(CloseCode::Again, "too slow");
                false
            }
            Some(Order::CloseStopping) => {
                self.close(CloseCode::Away, "server going away");
                false
            }
        }
    }

    /// Starts the closing handshake; the client gets nothing but our Close from here on.
    fn close(&mut self, code: CloseCode, reason: &'static str) {
        self.shard.leave(&self.peer);
        self.phase = Phase::Closing;
        self.deadline = Some(self.shard.shared.clock.now() + self.shard.shared.config.close_timeout);
        let close = CloseFrame { code, reason: reason.into() };
        // An engine that already sent or answered a Close has nothing to add.
        let _ = Pin::new(&mut self.engine).start_send(Heard::Close(Some(close)));
    }

    /// Nothing more to hear or say: see the queue off and wait for the peer to hang up.
    fn part(&mut self) {
        if self.phase == Phase::Open {
            self.shard.settle();
        }
        self.shard.leave(&self.peer);
        self.phase = Phase::Parting;
        let deadline = self.shard.shared.clock.now() + self.shard.shared.config.close_timeout;
        self.deadline = Some(self.deadline.map_or(deadline, |known| known.min(deadline)));
    }

    /// Gives a client that has taken nothing since it was last looked at until the write timeout.
    fn note_stuck(&mut self) {
        let written = self.peer.written();
        if self.stuck.is_none_or(|(_, before)| before != written) {
            let shared = &self.shard.shared;
            self.stuck = Some((shared.clock.now() + shared.config.write_timeout, written));
        }
    }

    fn poll_messages(&mut self, cx: &mut Context<'_>) {
        if self.shard.shared.is_behind() {
            // One rest at a time: it ends in `poll_timers`, whence this is asked again.
            if self.rest.is_none() {
                self.rest = Some(self.shard.shared.clock.now() + REST);
            }
            return;
        }
        for _ in 0..TURN {
            if self.phase == Phase::Open && self.peer.queued() > BACKLOG && self.peer.poll_drain(cx).is_pending() {
                return;
            }
            match Pin::new(&mut self.engine).poll_next(cx) {
                Poll::Pending => return,
                Poll::Ready(Some(Ok(heard))) => self.hear(heard),
                Poll::Ready(Some(Err(error))) => return self.fail(&error),
                Poll::Ready(None) => return self.part(),
            }
        }
        cx.waker().wake_by_ref();
    }

    /// One message from the client.
    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Text(text) => self.receive(Kind::Text, text.as_str().as_bytes()),
            Heard::Binary(bytes) => self.receive(Kind::Binary, &bytes),
            Heard::Pong(payload) => {
                if self.unanswered.is_some_and(|number| payload[..] == number.to_be_bytes()) {
                    self.unanswered = None;
                }
            }
            // The engine has queued its Close in answer; the next read sends it and ends.
            Heard::Close(_) => {
                // What it sent before counts: it was open then.
                self.shard.settle();
                self.shard.leave(&self.peer);
                if self.phase == Phase::Open {
                    self.phase = Phase::Closing;
                    self.deadline = Some(self.shard.shared.clock.now() + self.shard.shared.config.close_timeout);
                }
            }
            // The engine answers pings itself.
            Heard::Ping(_) | Heard::Frame(_) => {}
        }
    }

    fn receive(&mut self, kind: Kind, payload: &[u8]) {
        if self.phase != Phase::Open {
            return;
        }
        let shared = &self.shard.shared;
        counters::count(&shared.counters.messages_in);
        counters::add(&shared.counters.bytes_in, payload.len() as u64);
        if let Some(log) = &shared.log {
            log(&logline::received(kind, payload));
        }
        if kind == Kind::Text && payload == PING_TEXT.as_bytes() {
            counters::count(&shared.counters.pongs);
            match &self.trouble {
                None => self.peer.queue(self.shard.pong.frame().clone()),
                Some(_) => self.shard.answer_ping(&self.peer, self.shard.pong.frame(), self.shard.wrong_pong.frame()),
            }
            return;
        }
        let message = Message::new(kind, payload);
        if shared.config.fanout == Fanout::Echo && self.trouble.is_none() {
            let frame = self.shard.frame_for(&message, self.peer.deflate);
            match self.peer.queue_within(frame, 1) {
                Offered::Taken => counters::count(&shared.counters.copies_out),
                Offered::Full => self.shard.overflow(&self.peer, 1),
            }
        } else {
            shared.publish(self.peer.index, self.peer.room.clone(), message);
        }
    }

    /// The client broke a rule or its stream broke.
    fn fail(&mut self, error: &Error) {
        let (code, reason) = match error {
            Error::Protocol(tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => return self.part(),
            Error::Protocol(_) => (CloseCode::Protocol, "protocol error"),
            Error::Utf8(_) => (CloseCode::Invalid, "invalid UTF-8"),
            Error::Capacity(CapacityError::MessageTooLong { .. }) => (CloseCode::Size, "message too big"),
            Error::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref::<Violation>()) {
                Some(Violation::Protocol(why)) => (CloseCode::Protocol, *why),
                Some(Violation::Payload(why)) => (CloseCode::Invalid, *why),
                Some(Violation::TooBig(why)) => (CloseCode::Size, *why),
                None => return self.peer.call(Order::Drop),
            },
            _ => return self.peer.call(Order::Drop),
        };
        if self.phase == Phase::Open {
            // What it sent before counts: it was open then.
            self.shard.settle();
            counters::count(&self.shard.shared.counters.closed_violation);
            self.close(code, reason);
        }
        self.part();
    }

    /// Does what is due; true when the client is to be dropped.
    fn poll_timers(&mut self, cx: &mut Context<'_>) -> bool {
        loop {
            let (beat, ping) = if self.phase == Phase::Open { (self.next_beat, self.next_ping) } else { (None, None) };
            let trouble = if self.phase == Phase::Open { self.trouble.as_ref().and_then(|trouble| trouble.next()) } else { None };
            let Some(next) =
                [beat, ping, self.deadline, self.next_out, trouble, self.rest, self.stuck.map(|(at, _)| at)].into_iter().flatten().min()
            else {
                self.timer = None;
                return false;
            };
            let clock = &self.shard.shared.clock;
            let now = clock.now();
            if next > now {
                let wait = match &mut self.timer {
                    Some((at, wait)) if *at == next => wait,
                    slot => &mut slot.insert((next, clock.until(next))).1,
                };
                if wait.as_mut().poll(cx).is_pending() {
                    return false;
                }
                self.timer = None;
            }
            if self.deadline == Some(next) {
                return true;
            }
            if self.stuck.is_some_and(|(at, _)| at == next) {
                counters::count(&self.shard.shared.counters.closed_dead);
                return true;
            }
            if self.rest == Some(next) {
                self.rest = None;
            }
            if self.next_out == Some(next) {
                self.next_out = None;
            }
            if trouble == Some(next) && self.suffer() {
                return true;
            }
            if beat == Some(next) {
                self.beat(now.max(next));
            }
            if ping == Some(next) {
                self.ping(now.max(next));
            }
        }
    }

    /// Sends a heartbeat. Beats are due at whole periods after the opening, so lateness never adds up; beats a stalled
    /// server could not send are left out, not sent in a burst.
    fn beat(&mut self, now: Duration) {
        if let Some(trouble) = &mut self.trouble {
            trouble.beat(&self.shard, &self.peer);
            let period = self.shard.shared.config.heartbeat;
            self.next_beat = period.map(|period| trouble.next_beat(&self.shard, self.peer.index, self.opened, period));
            return;
        }
        self.next_beat = self.shard.shared.config.heartbeat.map(|period| next_multiple(self.opened, period, now));
        match self.peer.queue_within(self.shard.beat.frame().clone(), 0) {
            Offered::Taken => counters::count(&self.shard.shared.counters.heartbeats),
            Offered::Full => self.shard.overflow(&self.peer, 0),
        }
    }

    /// Sends a protocol ping, or gives up a client that did not answer the last one: if it still hears, it is told why.
    fn ping(&mut self, now: Duration) {
        let dead = match &mut self.trouble {
            None if self.unanswered.is_some() => Dead::Close(CloseCode::Error.into()),
            None => Dead::Keep,
            Some(trouble) => trouble.dead(&self.shard, &self.peer, self.unanswered.is_some(), now),
        };
        match dead {
            Dead::Close(code) => {
                counters::count(&self.shard.shared.counters.closed_dead);
                self.close(CloseCode::from(code), "ping timeout");
                return self.part();
            }
            Dead::Wait(until) => {
                self.next_ping = Some(until);
                return;
            }
            Dead::Keep => {}
        }
        self.next_ping = self.shard.shared.config.protocol_ping.map(|period| next_multiple(self.opened, period, now));
        self.pings += 1;
        self.unanswered = Some(self.pings);
        counters::count(&self.shard.shared.counters.protocol_pings);
        let payload = Bytes::copy_from_slice(&self.pings.to_be_bytes());
        // The engine's writes go to the outbox and cannot fail while the client is open.
        let _ = Pin::new(&mut self.engine).start_send(Heard::Ping(payload));
    }

    /// What a faulty server does to a connection once; true when the client is to be dropped.
    fn suffer(&mut self) -> bool {
        let Some(trouble) = &mut self.trouble else { return false };
        match trouble.happen(&self.shard, &self.peer) {
            Some((fault::Kind::Close, fault::Argument::Count(code))) => {
                self.close(CloseCode::from(u16::try_from(code).unwrap_or(u16::MAX)), "as asked");
                false
            }
            Some((fault::Kind::HalfOpen, _)) => {
                self.deaf = true;
                false
            }
            Some(_) => true,
            None => false,
        }
    }

    /// Reads and forgets until the peer hangs up.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let read = ready!({
                let mut scratch = self.shard.scratch.borrow_mut();
                self.peer.poll_read(cx, &mut scratch)
            });
            if !matches!(read, Ok(1..)) {
                return Poll::Ready(());
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.shard.leave(&self.peer);
        self.shard.go_on_without(&self.peer);
    }
}

/// The first `opened + n × period` after `now`.
fn next_multiple(opened: Duration, period: Duration, now: Duration) -> Duration {
    let period = period.max(Duration::from_millis(1));
    let done = now.saturating_sub(opened).as_nanos() / period.as_nanos();
    let next = (done + 1).saturating_mul(period.as_nanos());
    opened + Duration::from_nanos(u64::try_from(next).unwrap_or(u64::MAX))
}
