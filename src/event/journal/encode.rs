//! Events → bytes. What is as expected costs nothing but its head: a copy of the same publication on the connection whose
//! turn it was is one byte and its instant.

use super::super::{Closure, Copy, Event, Health, Mishap, PingLevel};
use super::MAX_TEXT;
use super::code::{
    COPY, KNOWN_PUBLICATION, NEW_PUBLICATION, NEXT_CONN, NEXT_PUBLICATION, Numbered, OTHER_CONN, SAME_CONN, SAME_PUBLICATION,
    failure_number, head,
};
use super::memory::{Memory, Publication};
use crate::base::varint::{put, put_off};
use crate::base::{ConnId, Instant};
use crate::event::ConnectFailure;

/// The events of one block, in three columns: like lies beside like, which is what makes them small when compressed.
#[derive(Debug)]
pub(super) struct Encoder {
    memory: Memory,
    /// One byte an event: which it is and what of it is as expected.
    heads: Vec<u8>,
    /// One number an event: the nanoseconds since the event before.
    times: Vec<u8>,
    /// Whatever was not as expected.
    rest: Vec<u8>,
    events: u32,
}

impl Encoder {
    pub(super) fn new(stride: u32) -> Self {
        Self { memory: Memory::new(stride), heads: Vec::new(), times: Vec::new(), rest: Vec::new(), events: 0 }
    }

    /// Bytes so far.
    pub(super) const fn len(&self) -> usize {
        self.heads.len() + self.times.len() + self.rest.len()
    }

    /// Events so far.
    pub(super) const fn events(&self) -> u32 {
        self.events
    }

    /// Writes the block's contents to `out` and begins the next.
    pub(super) fn drain(&mut self, out: &mut Vec<u8>) {
        put(out, self.heads.len() as u64);
        put(out, self.times.len() as u64);
        for column in [&mut self.heads, &mut self.times, &mut self.rest] {
            out.append(column);
        }
        self.events = 0;
        self.memory.clear();
    }

    /// Takes one event.
    #[inline]
    pub(super) fn event(&mut self, event: &Event<'_>) {
        self.events += 1;
        if let Event::Copy(copy) = event { self.copy(copy) } else { self.other(event) }
    }

    /// Takes the shard's last word: when its books were settled.
    pub(super) fn settled(&mut self, at: Instant) {
        self.head(head::SETTLED, at);
    }

    #[inline]
    fn time(&mut self, at: Instant) {
        // Wrapping: the instants of a shard hardly ever go back, and one that does costs ten bytes.
        put(&mut self.times, at.as_nanos().wrapping_sub(self.memory.clock.as_nanos()));
        self.memory.clock = at;
    }

    fn head(&mut self, head: u8, at: Instant) {
        self.heads.push(head);
        self.time(at);
    }

    #[inline]
    fn copy(&mut self, copy: &Copy) {
        let mut flaws = copy.flaws.0;
        if flaws > 7 {
            self.heads.push(head::FLAWS);
            self.rest.push(flaws);
            flaws = 0;
        }
        let publication = self.publication(&Publication::of(copy));
        let conn = self.conn(copy.conn);
        self.heads.push(COPY | publication << 5 | conn << 3 | flaws);
        self.time(copy.received);
    }

    #[inline]
    fn publication(&mut self, publication: &Publication) -> u8 {
        let publications = &mut self.memory.publications;
        let place = publication.place();
        let code = if publications.at(place) != Some(publication) {
            let newest = publications.newest;
            put_off(&mut self.rest, publication.publisher.0.into(), newest.publisher.0.into());
            put_off(&mut self.rest, publication.seq.0.into(), u64::from(newest.seq.0.wrapping_add(1)));
            put_off(&mut self.rest, publication.planned.as_nanos(), newest.planned.as_nanos());
            put_off(&mut self.rest, publication.sent.as_nanos(), publication.planned.as_nanos());
            publications.learn(*publication);
            NEW_PUBLICATION
        } else if place == publications.last() {
            SAME_PUBLICATION
        } else if place == publications.expected() {
            NEXT_PUBLICATION
        } else {
            put(&mut self.rest, place.into());
            KNOWN_PUBLICATION
        };
        publications.came(place);
        code
    }

    #[inline]
    fn conn(&mut self, conn: ConnId) -> u8 {
        let trail = &mut self.memory.trail;
        let expected = trail.expected();
        let code = if conn == expected {
            NEXT_CONN
        } else if conn == trail.last {
            SAME_CONN
        } else {
            put_off(&mut self.rest, conn.0.into(), expected.0.into());
            OTHER_CONN
        };
        trail.came(conn);
        code
    }

    /// A head, an instant and a connection.
    fn on(&mut self, head: u8, at: Instant, conn: ConnId) {
        self.head(head, at);
        let (expected, last) = self.memory.conn_of(head.into());
        *last = conn.0;
        put_off(&mut self.rest, conn.0.into(), expected.into());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let bytes = &bytes[..bytes.len().min(MAX_TEXT)];
        put(&mut self.rest, bytes.len() as u64);
        self.rest.extend_from_slice(bytes);
    }

    fn text(&mut self, text: &str) {
        let mut end = text.len().min(MAX_TEXT);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.bytes(&text.as_bytes()[..end]);
    }

    fn other(&mut self, event: &Event<'_>) {
        match *event {
            Event::Phase { phase, at } => {
                self.head(head::PHASE, at);
                self.rest.push(phase.number());
            }
            Event::Connecting { conn, at } => self.on(head::CONNECTING, at, conn),
            Event::ConnectFailed { conn, at, cause, detail } => {
                self.on(head::CONNECT_FAILED, at, conn);
                self.rest.push(failure_number(cause));
                if let ConnectFailure::HttpStatus(status) = cause {
                    put(&mut self.rest, status.into());
                }
                self.text(detail);
            }
            Event::Opened { conn, at, handshake } => {
                self.on(head::OPENED, at, conn);
                put(&mut self.rest, handshake.as_nanos());
            }
            Event::Greeting { conn, at, text } => {
                self.on(head::GREETING, at, conn);
                self.bytes(text);
            }
            Event::Ready { conn, at } => self.on(head::READY, at, conn),
            Event::NotReady { conn, at, detail } => {
                self.on(head::NOT_READY, at, conn);
                self.text(detail);
            }
            Event::Copy(ref copy) => self.copy(copy),
            Event::Stray { conn, at, kind, sample } => {
                self.on(head::STRAY, at, conn);
                self.rest.push(kind.number());
                self.bytes(sample);
            }
            Event::Beat { conn, at } => self.on(head::BEAT, at, conn),
            Event::ServerPing { conn, at } => self.on(head::SERVER_PING, at, conn),
            Event::Hook { strike, at, took, failed, detail } => {
                self.head(head::HOOK, at);
                put(&mut self.rest, strike.into());
                put(&mut self.rest, took.as_nanos());
                self.rest.push(failed.into());
                self.text(detail);
            }
            Event::Mishap { at, mishap: Mishap { asleep, stood_still, wall_set_ns } } => {
                self.head(head::MISHAP, at);
                put(&mut self.rest, asleep.as_nanos());
                put(&mut self.rest, stood_still.as_nanos());
                put_off(&mut self.rest, wall_set_ns.cast_unsigned(), 0);
            }
            Event::Restored { conn, at, strike, blind } => {
                self.on(head::RESTORED, at, conn);
                put(&mut self.rest, strike.into());
                self.rest.push(blind.into());
            }
            Event::AfterClose { conn, at, publisher, seq } => {
                self.on(head::AFTER_CLOSE, at, conn);
                put(&mut self.rest, publisher.0.into());
                put(&mut self.rest, seq.0.into());
            }
            Event::Disrupted { conn, at, strike } => {
                self.on(head::DISRUPTED, at, conn);
                put(&mut self.rest, strike.into());
            }
            Event::Leaving { conn, at } => self.on(head::LEAVING, at, conn),
            Event::NoSubprotocol { conn, at } => self.on(head::NO_SUBPROTOCOL, at, conn),
            Event::Compressed { conn, at } => self.on(head::COMPRESSED, at, conn),
            Event::Item { conn, at, key } => {
                self.on(head::ITEM, at, conn);
                put(&mut self.rest, key);
            }
            Event::Answered { publisher, seq, at, status, took, detail } => {
                self.head(head::ANSWERED, at);
                self.publisher(publisher.0);
                put(&mut self.rest, seq.0.into());
                put(&mut self.rest, status.into());
                put(&mut self.rest, took.as_nanos());
                self.text(detail);
            }
            Event::AlienPong { conn, at, sample } => {
                self.on(head::ALIEN_PONG, at, conn);
                self.bytes(sample);
            }
            Event::Closed { conn, at, closure, detail } => {
                self.on(head::CLOSED, at, conn);
                self.closure(closure);
                self.text(detail);
            }
            Event::Health { at, reading } => self.health(at, &reading),
            Event::Interrupted { at, detail } => {
                self.head(head::INTERRUPTED, at);
                self.text(detail);
            }
            Event::Sent { .. } | Event::Dropped { .. } | Event::PingSent { .. } | Event::Pong { .. } => self.ours(event),
        }
    }

    /// Publications and pings.
    fn ours(&mut self, event: &Event<'_>) {
        match *event {
            Event::Sent { publisher, seq, planned, sent, bytes } => {
                self.head(head::SENT, sent);
                self.publisher(publisher.0);
                let expected = self.memory.small.seq_of(publisher.0);
                put_off(&mut self.rest, seq.0.into(), (*expected).into());
                *expected = seq.0.wrapping_add(1);
                put_off(&mut self.rest, sent.as_nanos(), planned.as_nanos());
                put_off(&mut self.rest, bytes.into(), self.memory.small.bytes.into());
                self.memory.small.bytes = bytes;
            }
            Event::Dropped { publisher, planned, at, cause } => {
                self.head(head::DROPPED, at);
                self.publisher(publisher.0);
                put_off(&mut self.rest, at.as_nanos(), planned.as_nanos());
                self.rest.push(cause.number());
            }
            Event::PingSent { conn, level, nonce, at } => {
                let head = match level {
                    PingLevel::Application => head::PING_APPLICATION,
                    PingLevel::Protocol => head::PING_PROTOCOL,
                };
                self.on(head, at, conn);
                self.nonce(level, nonce);
            }
            Event::Pong { conn, level, nonce, at } => {
                let head = match (level, nonce) {
                    (PingLevel::Application, None) => head::PONG_APPLICATION,
                    (PingLevel::Application, Some(_)) => head::PONG_APPLICATION_NAMED,
                    (PingLevel::Protocol, None) => head::PONG_PROTOCOL,
                    (PingLevel::Protocol, Some(_)) => head::PONG_PROTOCOL_NAMED,
                };
                self.on(head, at, conn);
                if let Some(nonce) = nonce {
                    self.nonce(level, nonce);
                }
            }
            _ => self.other(event),
        }
    }

    fn publisher(&mut self, publisher: u32) {
        put_off(&mut self.rest, publisher.into(), self.memory.small.publisher.into());
        self.memory.small.publisher = publisher;
    }

    fn nonce(&mut self, level: PingLevel, nonce: u32) {
        let last = self.memory.small.nonce_of(level);
        put_off(&mut self.rest, nonce.into(), (*last).into());
        *last = nonce;
    }

    fn closure(&mut self, closure: Closure) {
        self.rest.push(closure.by.number() << 2 | u8::from(closure.code.is_some()) << 1 | u8::from(closure.clean));
        if let Some(code) = closure.code {
            put(&mut self.rest, code.into());
        }
    }

    fn health(&mut self, at: Instant, reading: &Health) {
        self.head(head::HEALTH, at);
        let Health { loop_lag, backlog_bytes, cpu, open } = *reading;
        put(&mut self.rest, loop_lag.as_nanos());
        put(&mut self.rest, backlog_bytes.into());
        let small = &mut self.memory.small;
        put_off(&mut self.rest, cpu.as_nanos(), small.cpu);
        put_off(&mut self.rest, open.into(), small.open.into());
        (small.cpu, small.open) = (cpu.as_nanos(), open);
    }
}
