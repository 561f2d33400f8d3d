//! What a connection remembers of its conversation, and what it does with each message: tells the books, answers pings, follows
//! its script. The bytes are the link's.

use std::io;
use std::rc::Rc;

use crate::base::{ConnId, Flaws, Instant, Rng, Seq};
use crate::event::{ClosedBy, Closure, Copy, Event, PingLevel};
use crate::scenario::model::{Dialect, Encoder, Greeting, OwnMatchers};
use crate::scenario::session::Claim;
use crate::wire::close;
use crate::wire::frame::{self, Opcode};
use crate::wire::reader::Message;
use crate::wire::stamp::Stamp;
use crate::wire::violation::{self, Violation};

use super::classify::{Kind, Part};
use super::deflating::Deflating;
use super::link::Io;
use super::shard::Shard;
use super::talk::{Talk, Todo};

/// Longest sample of an unexpected message kept.
const SAMPLE: usize = 256;
/// Protocol pings of ours carry this and a number, so that their pongs are known.
pub(super) const PING_TAG: [u8; 4] = *b"wsbp";

/// How far a connection's life has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Open, but the greeting has not come.
    Waiting,
    /// A member.
    Ready,
    /// It answers nothing and hears only a Close: disrupted, as planned.
    Deaf,
    /// Our Close is out (or the server's answered); waiting for the end.
    Closing,
    /// Over.
    Ended,
}

/// What a connection remembers of its conversation.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) conn: ConnId,
    pub(super) state: State,
    pub(super) group: u16,
    pub(super) first: bool,
    /// Sent by us, by level.
    pub(super) pings: [u32; 2],
    /// Application pings answered.
    pub(super) pongs: u32,
    pub(super) next_seq: Seq,
    pub(super) mask: Rng,
    pub(super) close_received: Option<Option<u16>>,
    pub(super) closed_by: ClosedBy,
    /// Script and answers, where the scenario has any.
    pub(super) talk: Option<Box<Talk>>,
    /// How this connection's publications are written, where they are more than their payload.
    pub(super) encoder: Option<Box<Encoder>>,
    /// Where compression was agreed.
    pub(super) deflating: Option<Box<Deflating>>,
}

impl Session {
    pub(super) fn close(&mut self, io: &mut Io, code: u16, by: ClosedBy) {
        if matches!(self.state, State::Waiting | State::Ready) {
            self.state = State::Closing;
            self.closed_by = by;
            let mask = self.next_mask();
            frame::write_client(&mut io.out, Opcode::Close, &code.to_be_bytes(), mask);
            io.flush();
            // The reading task may sleep; it must see the new state.
            io.waker.wake_by_ref();
        }
    }

    /// What ends the connection from here on is our own doing.
    pub(super) fn cut_off(&mut self) {
        if matches!(self.state, State::Waiting | State::Ready | State::Deaf) {
            self.state = State::Closing;
            self.closed_by = ClosedBy::Us;
        }
    }

    pub(super) fn send(&mut self, io: &mut Io, bytes: &[u8], text: bool) {
        let mask = self.next_mask();
        let opcode = if text { Opcode::Text } else { Opcode::Binary };
        match &self.deflating {
            Some(deflating) => deflating.write(&mut io.out, opcode, bytes, mask),
            None => frame::write_client(&mut io.out, opcode, bytes, mask),
        }
        io.flush();
    }

    /// Answers a ping, or keeps it in mind where the server does not read what it is sent.
    fn answer(&mut self, io: &mut Io, bytes: &[u8]) {
        if io.is_blocked() {
            io.pong_due = Some(bytes.into());
            return;
        }
        let mask = self.next_mask();
        frame::write_client(&mut io.out, Opcode::Pong, bytes, mask);
        io.flush();
    }

    /// Answers the newest of the pings that came while the server did not read.
    #[cold]
    pub(super) fn answer_late(&mut self, io: &mut Io) {
        if !io.is_blocked()
            && let Some(bytes) = io.pong_due.take()
            && matches!(self.state, State::Waiting | State::Ready)
        {
            self.answer(io, &bytes);
        }
    }

    /// A server that asks and asks and does not read the answers: they may not pile up without bound.
    #[cold]
    fn give_up(&mut self, shard: &Shard, io: &Io, at: Instant) {
        self.end(shard, at, None, "given up: the server does not read what this client answers, and 4 MiB of it wait");
        io.waker.wake_by_ref();
    }

    /// Does what the conversation asks for.
    pub(super) fn carry_out(&mut self, shard: &Shard, io: &mut Io, at: Instant, todo: Todo) {
        for (bytes, text) in &todo.send {
            if io.is_blocked() {
                return self.give_up(shard, io, at);
            }
            self.send(io, bytes, *text);
        }
        for errand in todo.errands {
            shard.run_errand(self.conn, errand);
        }
        if let Some(held) = todo.ready {
            // Without a script, answers and rules alone: then it is the greeting that makes a member, where one is expected.
            if !matches!(shard.greeting(self.group), Greeting::Expected { .. }) {
                self.ready(shard, at);
            }
            for message in held {
                self.unclaimed(shard, at, &message);
            }
        }
        if let Some(reason) = todo.failed {
            shard.observe(Event::NotReady { conn: self.conn, at, detail: &reason });
            if self.state == State::Waiting {
                shard.gauge.not_ready();
            }
            self.close(io, close::NORMAL, ClosedBy::Script);
        }
    }

    /// The connection's own matchers, where some have variables.
    pub(super) fn own(&self) -> Option<Rc<OwnMatchers>> {
        self.talk.as_ref()?.own()
    }

    pub(super) fn next_mask(&mut self) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "32 of 64 random bits")]
        let mask = self.mask.next_u64() as u32;
        mask
    }

    pub(super) fn ready(&mut self, shard: &Shard, at: Instant) {
        if self.state == State::Waiting {
            self.state = State::Ready;
            shard.gauge.ready();
            shard.disrupted.borrow_mut().remove(&self.conn);
            shard.observe(Event::Ready { conn: self.conn, at });
        }
    }

    #[inline]
    pub(super) fn on_message(&mut self, shard: &Shard, io: &mut Io, at: Instant, message: Message<'_>) -> Result<(), Violation> {
        match message {
            Message::Text(bytes) => self.on_data(shard, io, at, bytes, true),
            Message::Binary(bytes) => self.on_data(shard, io, at, bytes, false),
            Message::Deflated { text, payload } => self.on_deflated(shard, io, at, payload, text),
            Message::Ping(bytes) => {
                if self.state != State::Closing {
                    self.answer(io, bytes);
                }
                shard.observe(Event::ServerPing { conn: self.conn, at });
                Ok(())
            }
            Message::Pong(bytes) => {
                self.on_pong(shard, at, bytes);
                Ok(())
            }
            Message::Close(code, reason) => {
                self.on_close(shard, io, at, code, reason);
                Ok(())
            }
        }
    }

    /// Never inlined: connections without compression have none of it in their way.
    #[inline(never)]
    fn on_deflated(&mut self, shard: &Shard, io: &mut Io, at: Instant, payload: &[u8], text: bool) -> Result<(), Violation> {
        let Some(deflating) = &mut self.deflating else { return Err(Violation::ReservedBit) };
        let message = deflating.inflate(payload)?;
        self.on_data(shard, io, at, &message, text)
    }

    #[inline]
    pub(super) fn on_data(&mut self, shard: &Shard, io: &mut Io, at: Instant, bytes: &[u8], text: bool) -> Result<(), Violation> {
        if let Some(broadcasts) = &shard.expect.feed {
            return self.on_feed(broadcasts, shard, io, at, bytes, text);
        }
        if let Some(dialect) = shard.expect.dialect() {
            return self.on_dialect(dialect, shard, io, at, bytes, text);
        }
        let conn = self.conn;
        if shard.expect.intact_copy(&shard.plan, conn, bytes, text, |stamp| self.on_copy(shard, at, stamp, Flaws::NONE)) {
            return Ok(());
        }
        self.on_other(shard, io, at, bytes, text)
    }

    /// Anything but an intact copy, from a server that relays.
    #[cold]
    fn on_other(&mut self, shard: &Shard, io: &mut Io, at: Instant, bytes: &[u8], text: bool) -> Result<(), Violation> {
        if text {
            violation::check_text(bytes)?;
        }
        match shard.expect.copy(&shard.plan, self.conn, bytes, text) {
            Some(kind) => self.on_kind(shard, at, bytes, kind),
            None => drop(self.on_unstamped(shard, io, at, bytes)),
        }
        Ok(())
    }

    #[inline(always)]
    pub(super) fn on_copy(&mut self, shard: &Shard, at: Instant, stamp: &Stamp, flaws: Flaws) {
        self.first = false;
        let Stamp { publisher, seq, planned, sent, .. } = *stamp;
        shard.observe_copy(&Copy { conn: self.conn, publisher, seq, planned, sent, received: at, flaws });
        if shard.closed_loop {
            shard.came_back(publisher, seq);
        }
    }

    /// A frame of a server that does more than relay: several messages perhaps, payloads in envelopes, acknowledgements.
    pub(super) fn on_dialect(
        &mut self,
        dialect: &Dialect,
        shard: &Shard,
        io: &mut Io,
        at: Instant,
        bytes: &[u8],
        text: bool,
    ) -> Result<(), Violation> {
        if dialect.split.is_none() {
            if self.on_known(shard, at, bytes, text) {
                return Ok(());
            }
            if text {
                violation::check_text(bytes)?;
            }
            self.on_part(dialect, shard, io, at, (bytes, text));
            return Ok(());
        }
        if text {
            violation::check_text(bytes)?;
        }
        for message in dialect.messages(bytes) {
            if !self.on_known(shard, at, message, text) {
                self.on_part(dialect, shard, io, at, (message, text));
            }
        }
        Ok(())
    }

    /// A message that another client of this shard received before, perhaps; text that was known is known to be UTF-8.
    #[inline]
    fn on_known(&mut self, shard: &Shard, at: Instant, message: &[u8], text: bool) -> bool {
        let conn = self.conn;
        shard.expect.known_copy(&shard.plan, conn, message, text, |stamp| self.on_copy(shard, at, stamp, Flaws::NONE))
    }

    /// One message of such a frame (and whether that is text).
    fn on_part(&mut self, dialect: &Dialect, shard: &Shard, io: &mut Io, at: Instant, (message, text): (&[u8], bool)) {
        let (conn, own) = (self.conn, self.own());
        let stamped = shard.expect.copies(dialect, &shard.plan, conn, own.as_deref(), (message, text), |part| match part {
            Part::Copy(stamp, flaws) => self.on_copy(shard, at, stamp, flaws),
            Part::Other(kind) => self.on_kind(shard, at, message, kind),
        });
        if !stamped {
            let _ = self.on_unstamped(shard, io, at, message);
        }
    }

    /// A message without a payload: the conversation may account for it, a rule explain it.
    #[cold]
    pub(super) fn on_unstamped(&mut self, shard: &Shard, io: &mut Io, at: Instant, message: &[u8]) -> Claim {
        let claim = match &mut self.talk {
            None => Claim::Unclaimed,
            Some(talk) => {
                let (claim, todo) = talk.on_message(&shard.plan.scenario, &shard.vars(self.conn), message);
                self.carry_out(shard, io, at, todo);
                claim
            }
        };
        match claim {
            Claim::Unclaimed => self.unclaimed(shard, at, message),
            // Kept by the script, which hands back what it did not need.
            Claim::Held => {}
            // Answered or ignored, it may be the pong or a beat all the same.
            Claim::Script | Claim::Reply | Claim::Ignored => {
                let own = self.own();
                if self.is_owed_pong() && shard.expect.is_pong(message, own.as_deref()) {
                    self.on_kind(shard, at, message, Kind::Pong);
                } else if shard.expect.is_beat(message, own.as_deref()) {
                    self.on_kind(shard, at, message, Kind::Beat);
                }
            }
        }
        claim
    }

    /// Whether an application ping of ours has no answer yet. What answers a message of the conversation's own (a keep-alive that
    /// the scenario has ignored) may look like a pong, and answers no ping.
    fn is_owed_pong(&self) -> bool {
        self.pongs < self.pings[PingLevel::Application as usize]
    }

    pub(super) fn unclaimed(&mut self, shard: &Shard, at: Instant, message: &[u8]) {
        let greeting = (self.state == State::Waiting || self.first).then(|| shard.greeting(self.group));
        let kind = shard.expect.other(&shard.plan, self.conn, message, (greeting, self.first), self.own().as_deref());
        self.on_kind(shard, at, message, kind);
    }

    pub(super) fn on_kind(&mut self, shard: &Shard, at: Instant, message: &[u8], kind: Kind) {
        let conn = self.conn;
        let sample = &message[..message.len().min(SAMPLE)];
        match kind {
            Kind::Greeting => {
                self.first = false;
                shard.observe(Event::Greeting { conn, at, text: sample });
                self.ready(shard, at);
            }
            Kind::Pong => {
                self.pongs = self.pongs.saturating_add(1);
                shard.observe(Event::Pong { conn, level: PingLevel::Application, nonce: None, at });
            }
            Kind::Beat => shard.observe(Event::Beat { conn, at }),
            Kind::Stray(kind) => shard.observe(Event::Stray { conn, at, kind, sample }),
            Kind::Copy(stamp, flaws) => self.on_copy(shard, at, &stamp, flaws),
            Kind::Item(key) => self.on_item(shard, at, key),
            Kind::Nothing => {}
        }
    }

    pub(super) fn on_pong(&mut self, shard: &Shard, at: Instant, bytes: &[u8]) {
        let conn = self.conn;
        let nonce = bytes.strip_prefix(&PING_TAG).and_then(<[u8]>::first_chunk).map(|n| u32::from_be_bytes(*n));
        match nonce {
            Some(nonce) if bytes.len() == 8 && nonce < self.pings[PingLevel::Protocol as usize] => {
                shard.observe(Event::Pong { conn, level: PingLevel::Protocol, nonce: Some(nonce), at });
            }
            _ => shard.observe(Event::AlienPong { conn, at, sample: bytes }),
        }
    }

    pub(super) fn on_close(&mut self, shard: &Shard, io: &mut Io, at: Instant, code: Option<u16>, reason: &[u8]) {
        self.close_received = Some(code);
        if self.state == State::Closing {
            return;
        }
        // Unasked: answer with the same code (section 5.5.1); it is over for us, TCP is the server's to end.
        let mask = self.next_mask();
        let payload = code.unwrap_or(close::NORMAL).to_be_bytes();
        frame::write_client(&mut io.out, Opcode::Close, if code.is_some() { &payload } else { &[] }, mask);
        io.flush();
        self.closed_by = ClosedBy::Server;
        self.end(shard, at, None, &String::from_utf8_lossy(reason));
        self.state = State::Closing;
    }

    /// What stands behind the server's Close: nothing may. Told of clients that left as planned.
    #[cold]
    pub(super) fn after_close(&self, shard: &Shard, at: Instant, bytes: &[u8]) {
        if shard.disrupted.borrow().contains(&self.conn) {
            let conn = self.conn;
            shard.expect.stamps(bytes, |publisher, seq| shard.observe(Event::AfterClose { conn, at, publisher, seq }));
        }
    }

    /// A connection that ended before its script was done: what it waited for.
    pub(super) fn never_ready(&mut self, shard: &Shard, at: Instant, by: ClosedBy, detail: &str) {
        let code = self.close_received.flatten().map_or_else(|| "no code".to_owned(), |code| format!("code {code}"));
        let how = match by {
            ClosedBy::Server => format!("the server closed the connection ({code})"),
            ClosedBy::Network => "the connection broke".to_owned(),
            ClosedBy::Violation => "the server broke the protocol".to_owned(),
            ClosedBy::Us | ClosedBy::Script => return,
        };
        let how = if detail.is_empty() { how } else { format!("{how}: {detail}") };
        if let Some(reason) = self.talk.as_mut().and_then(|talk| talk.on_end(&shard.plan.scenario, &how)) {
            shard.observe(Event::NotReady { conn: self.conn, at, detail: &reason });
        }
    }

    /// Tells the books how the connection ended, once.
    pub(super) fn end(&mut self, shard: &Shard, at: Instant, error: Option<&io::Error>, detail: &str) {
        let before = self.state;
        self.state = State::Ended;
        if before == State::Ended || (before == State::Closing && self.closed_by == ClosedBy::Server) {
            return;
        }
        let by = if before == State::Closing || self.closed_by != ClosedBy::Us { self.closed_by } else { ClosedBy::Network };
        let clean = self.close_received.is_some() && error.is_none();
        let closure = Closure { by, code: self.close_received.flatten(), clean };
        shard.gauge.ended();
        if before == State::Waiting {
            shard.gauge.not_ready();
            self.never_ready(shard, at, by, detail);
        }
        if matches!(by, ClosedBy::Server | ClosedBy::Network) && matches!(before, State::Waiting | State::Ready) {
            shard.put_down_to_restart(self.conn, at);
        }
        shard.observe(Event::Closed { conn: self.conn, at, closure, detail });
    }
}
