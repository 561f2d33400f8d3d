//! One conversation: a script played against the other side, and what was observed of it, as a plain value.
//!
//! The state machine is Autobahn's, timer for timer (OPEN → CLOSING once our Close is out → CLOSED), so that verdicts are
//! equal; it knows no verdict itself. RFC 6455 5.5.1, 7.1.

use std::time::Duration;

use tokio::time::Instant;

use super::catalogue::model::{Expected, Step, Timer};
use super::looping::Looping;
use super::observation::{CloseSeen, Event, Observation, same};
use super::wire::assemble::{Fault, Incoming};
use super::wire::frame::{Frame, LengthForm, Role, close_payload, mask, random_key, write_header};
use super::wire::link::{Delivery, Link, Moved};
use super::wire::record::Speaker;

/// When the conversation is complete.
#[derive(Debug, Clone, Copy)]
pub enum Complete<'a> {
    /// When the events equal the list.
    Events(&'a [Expected]),
    /// At the first message, whatever it is; this kind and length conclude it well.
    SameSize(bool, usize),
    /// Never by itself.
    Never,
}

/// What to play.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    /// The script.
    pub steps: &'a [Step],
    /// When it is complete.
    pub complete: Complete<'a>,
    /// The code we close with then.
    pub auto_close: Option<u16>,
    /// What the timer does.
    pub timer: Timer,
    /// When, from the script's end.
    pub seconds: f64,
    /// Stretches every timer.
    pub scale: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Closing,
    Closed,
}

/// A conversation in progress.
pub struct Exchange<'a> {
    link: &'a mut Link,
    observer: Option<&'a mut Link>,
    plan: Plan<'a>,
    state: State,
    failed: bool,
    began: Instant,
    at_step: usize,
    waiting: Option<Instant>,
    timer: Option<Instant>,
    close_timer: Option<Instant>,
    drop_timer: Option<Instant>,
    cap: Option<Instant>,
    drop_when_flushed: bool,
    partial: Option<([u8; 4], usize)>,
    looping: Option<Looping>,
    seen: Observation,
}

impl<'a> Exchange<'a> {
    /// Plays a plan over an opened link; an observer's messages stand for the link's own.
    pub async fn play(link: &'a mut Link, observer: Option<&'a mut Link>, plan: Plan<'a>) -> Observation {
        let mut it = Self {
            link,
            observer,
            plan,
            state: State::Open,
            failed: false,
            began: Instant::now(),
            at_step: 0,
            waiting: None,
            timer: None,
            close_timer: None,
            drop_timer: None,
            cap: None,
            drop_when_flushed: false,
            partial: None,
            looping: None,
            seen: Observation::default(),
        };
        it.advance().await;
        it.converse().await;
        it.seen.took = it.began.elapsed();
        it.seen
    }

    async fn converse(&mut self) {
        loop {
            while self.state != State::Closed
                && let Some(incoming) = self.link.pop()
            {
                self.take(incoming);
            }
            self.observe();
            if self.state == State::Closed || (self.drop_when_flushed && self.link.flushed()) {
                return;
            }
            let until = [self.waiting, self.timer, self.close_timer, self.drop_timer, self.cap].into_iter().flatten().min();
            let moved = match self.observer.as_deref_mut().filter(|o| o.ended().is_none()) {
                None => self.link.step(until).await,
                Some(observer) => tokio::select! {
                    moved = self.link.step(until) => moved,
                    _ = observer.step(None) => Moved::Read,
                },
            };
            match moved {
                Moved::Read | Moved::Wrote => {}
                Moved::Ended(how) => {
                    self.seen.ended = Some((how, self.began.elapsed()));
                    self.observe_rest().await;
                    return;
                }
                Moved::Time => self.expire(Instant::now()).await,
            }
        }
    }

    /// What the observer has been sent so far counts as received.
    fn observe(&mut self) {
        loop {
            let Some(observer) = self.observer.as_deref_mut() else { return };
            match observer.pop() {
                None => return,
                Some(Incoming::Ping(payload)) => observer.say(0x8a, &payload),
                Some(Incoming::Message { binary, payload, .. }) => self.message(binary, payload),
                Some(_) => {}
            }
        }
    }

    /// What is still under way to the observer when the publisher's connection ends.
    async fn observe_rest(&mut self) {
        let until = Instant::now() + self.span(0.2);
        while let Some(observer) = self.observer.as_deref_mut() {
            if !matches!(observer.step(Some(until)).await, Moved::Read | Moved::Wrote) {
                return;
            }
            self.observe();
        }
    }

    fn span(&self, seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds * self.plan.scale)
    }

    /// Plays steps until one waits or the script ends; then the case's timer starts.
    async fn advance(&mut self) {
        while let Some(step) = self.plan.steps.get(self.at_step) {
            self.at_step += 1;
            if let Step::Wait { seconds, .. } = step {
                self.waiting = Some(Instant::now() + self.span(*seconds));
                return;
            }
            self.step(step).await;
        }
        if self.timer.is_none() {
            self.timer = Some(Instant::now() + self.span(self.plan.seconds));
        }
    }

    async fn step(&mut self, step: &Step) {
        match step {
            Step::Frame { first, payload, masking, form, declared, delivery } => {
                let octets = payload.octets();
                let frame = Frame { first: *first, payload: &octets, masking: *masking, form: *form, declared: *declared };
                self.link.frame(&frame, *delivery);
            }
            Step::Message { binary, payload, by } => self.link.fragments(*binary, 0, &payload.octets(), *by),
            Step::Head { first, declared } => {
                let key = (self.link.role == Role::Client).then(|| random_key(&mut self.link.rng));
                let mut octets = Vec::new();
                write_header(*first, *declared, LengthForm::Minimal, key, &mut octets);
                self.link.record.frame(Speaker::Us, *first, &[], &octets);
                self.link.queue(&octets, Delivery::Burst);
                self.link.midway = true;
                self.partial = Some((key.unwrap_or([0; 4]), 0));
            }
            Step::Octets(payload) => {
                let mut octets = payload.octets();
                self.link.record.octets(Speaker::Us, "payload continues", &octets);
                if let Some((key, sent)) = &mut self.partial {
                    mask(&mut octets, *key, *sent);
                    *sent += octets.len();
                }
                self.link.queue(&octets, Delivery::Burst);
            }
            Step::Close(payload) => self.close(&payload.clone(), true),
            Step::Raw(octets) => self.link.raw("octets", octets, Delivery::Burst),
            Step::Shut => {
                self.link.flush(Instant::now() + self.span(1.0)).await;
                self.link.shut().await;
            }
            Step::Wait { .. } => {}
            Step::RoundTrips { .. } | Step::Corpus { .. } => self.begin_loop(step),
        }
    }

    fn begin_loop(&mut self, step: &Step) {
        let Some(mut looping) = Looping::new(step, self.link) else {
            self.seen.unimplemented = true;
            self.close(&close_payload(Some(1000), b""), true);
            return;
        };
        looping.send(self.link);
        self.looping = Some(looping);
    }

    /// Sends a Close; ignored unless open. `ours` starts the wait for the answer.
    fn close(&mut self, payload: &[u8], ours: bool) {
        if self.state != State::Open {
            return;
        }
        self.link.say(0x88, payload);
        self.state = State::Closing;
        self.seen.closed_by_us = ours;
        if ours {
            self.close_timer = Some(Instant::now() + self.span(1.0));
        }
        // A connection nobody ends must not hold the run: well beyond every timer of Autobahn's.
        self.cap = Some(Instant::now() + self.span(6.0));
    }

    /// Fails the connection: Close when open, drop when closing already.
    fn fail(&mut self, code: u16, why: &str) {
        match self.state {
            State::Open => {
                let reason = &why.as_bytes()[..why.len().min(120)];
                let reason = std::str::from_utf8(reason).map_or(&b""[..], str::as_bytes);
                self.close(&close_payload(Some(code), reason), true);
            }
            State::Closing => self.drop_tcp("we drop TCP"),
            State::Closed => {}
        }
    }

    fn drop_tcp(&mut self, why: &str) {
        self.link.record.note(why);
        self.seen.dropped_by_us = true;
        self.state = State::Closed;
    }

    fn violation(&mut self, fault: &Fault) {
        self.link.record.note(format!("the other side broke a rule: {}", fault.why));
        self.seen.fault.get_or_insert_with(|| fault.clone());
        self.failed = true;
        self.fail(fault.code, &fault.why);
    }

    fn take(&mut self, incoming: Incoming) {
        if self.seen.their_close.is_some() {
            self.seen.after_close += 1;
        }
        match incoming {
            Incoming::Close { code, reason, fault } => self.their_close(code, reason, fault.as_ref()),
            Incoming::Broken(fault) => {
                self.violation(&fault);
                self.seen.events.extend(fault.pong.map(Event::Pong));
            }
            // A pong counts even after the other side broke a rule, a message does not: so it is with Autobahn.
            Incoming::Pong(payload) => {
                self.seen.events.push(Event::Pong(payload));
                self.complete();
            }
            _ if self.failed => {}
            Incoming::Ping(payload) => {
                if self.state == State::Open {
                    self.link.say(0x8a, &payload);
                }
            }
            Incoming::Message { .. } if self.observer.is_some() => {}
            Incoming::Message { binary, payload, .. } => self.message(binary, payload),
        }
    }

    fn message(&mut self, binary: bool, payload: Vec<u8>) {
        if let Some(looping) = &mut self.looping {
            if self.seen.concluded.is_some() {
                return;
            }
            match looping.check(binary, &payload) {
                Err(why) => self.conclude(Err(why)),
                Ok(false) => looping.send(self.link),
                Ok(true) => self.conclude(Ok(())),
            }
            return;
        }
        if let Complete::SameSize(kind, len) = self.plan.complete {
            if self.seen.concluded.is_none() {
                let same = binary == kind && payload.len() == len;
                let why = || format!("the echo is {} of {} octets", if binary { "binary" } else { "text" }, payload.len());
                self.conclude(if same { Ok(()) } else { Err(why()) });
            }
            return;
        }
        self.seen.events.push(Event::Message { binary, payload });
        self.complete();
    }

    fn conclude(&mut self, how: Result<(), String>) {
        self.seen.concluded = Some(how);
        self.close(&close_payload(Some(1000), b""), true);
    }

    fn complete(&mut self) {
        if let (Complete::Events(list), Some(code)) = (self.plan.complete, self.plan.auto_close)
            && same(&self.seen.events, list, self.observer.is_some())
        {
            self.close(&close_payload(Some(code), b""), true);
        }
    }

    fn their_close(&mut self, code: Option<u16>, reason: Vec<u8>, fault: Option<&Fault>) {
        let at = self.began.elapsed();
        self.seen.last_code = code;
        self.seen.their_close.get_or_insert(CloseSeen { code, reason, at });
        if let Some(fault) = fault {
            self.violation(fault);
        }
        match self.state {
            State::Closing => {
                self.close_timer = None;
                self.seen.clean = true;
                match self.link.role {
                    Role::Server => self.let_go(),
                    Role::Client => self.drop_timer = Some(Instant::now() + self.span(1.0)),
                }
            }
            State::Open => {
                self.seen.clean = true;
                self.close(&close_payload(Some(1000), b""), false);
                if self.link.role == Role::Server {
                    self.let_go();
                }
            }
            State::Closed => self.seen.clean = false,
        }
    }

    /// A server ends TCP itself once both Closes have passed.
    fn let_go(&mut self) {
        self.seen.dropped_by_us = true;
        self.drop_when_flushed = true;
    }

    async fn expire(&mut self, now: Instant) {
        // The one that was due first: a case's own timer, begun before the wait for the end of TCP, ends before it.
        let all = [self.close_timer, self.drop_timer, self.cap, self.waiting, self.timer];
        let first = all.into_iter().flatten().min().filter(|at| *at <= now);
        let due = |at: Option<Instant>| at.is_some() && at == first;
        if due(self.close_timer) {
            self.close_timer = None;
            self.seen.clean = false;
            self.drop_tcp("no Close in answer to ours in time: we drop TCP");
        } else if due(self.drop_timer) {
            self.drop_timer = None;
            self.seen.clean = false;
            self.drop_tcp("the server did not close TCP in time: we do");
        } else if due(self.cap) {
            self.cap = None;
            self.drop_tcp("nobody ended the connection: we drop TCP");
        } else if due(self.waiting) {
            self.waiting = None;
            self.resume().await;
        } else if due(self.timer) {
            self.timer = None;
            match self.plan.timer {
                Timer::Fail => {
                    self.link.record.note("the time is up");
                    self.fail(1001, "Going Away");
                }
                Timer::Close => self.close(&[], true),
            }
            self.timer = Some(now + Duration::from_secs(3600));
        }
    }

    async fn resume(&mut self) {
        if let Some(Step::Wait { marker: Some(marker), .. }) = self.plan.steps.get(self.at_step - 1) {
            if self.state != State::Open {
                self.at_step = self.plan.steps.len();
                return;
            }
            self.link.record.note(format!("still open at marker {marker}"));
            self.seen.events.push(Event::Open(*marker));
        }
        self.advance().await;
    }
}
