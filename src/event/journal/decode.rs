//! Bytes → events: the mirror of `encode`. Any bytes at all give events or an end, never a panic.

use super::super::{Closure, Copy, Event, Flaws, Health, Mishap, PingLevel};
use super::code::{COPY, KNOWN_PUBLICATION, NEXT_CONN, NEXT_PUBLICATION, Numbered, SAME_CONN, SAME_PUBLICATION, failure_from, head};
use super::memory::{Memory, Publication};
use crate::base::varint::Cursor;
use crate::base::{ConnId, Instant, PublisherId, Seq, Span};

/// What stands next in a block.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Entry<'a> {
    /// An event.
    Event(Event<'a>),
    /// The shard's books were settled at this instant.
    Settled(Instant),
}

/// How far the reading of a block has come; offsets, so that it can stand beside the bytes it reads.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    heads: usize,
    heads_end: usize,
    times: usize,
    times_end: usize,
    rest: usize,
}

impl Place {
    /// The beginning of a block's contents; `None` when they have no columns.
    pub(super) fn begin(bytes: &[u8]) -> Option<Self> {
        let mut cursor = Cursor(bytes);
        let (heads, times) = (usize::try_from(cursor.number()?).ok()?, usize::try_from(cursor.number()?).ok()?);
        let begin = bytes.len() - cursor.0.len();
        let heads_end = begin.checked_add(heads)?;
        let times_end = heads_end.checked_add(times)?;
        (times_end <= bytes.len()).then_some(Self { heads: begin, heads_end, times: heads_end, times_end, rest: times_end })
    }

    /// Whether all heads were read.
    pub(super) const fn at_end(&self) -> bool {
        self.heads == self.heads_end
    }

    /// Whether every column was read to its end.
    pub(super) const fn is_clean(&self, length: usize) -> bool {
        self.at_end() && self.times == self.times_end && self.rest == length
    }
}

/// Reads what stands next; `None` when it makes no sense.
#[inline]
pub(super) fn next<'a>(bytes: &'a [u8], place: &mut Place, memory: &mut Memory) -> Option<Entry<'a>> {
    let mut decoder = Decoder {
        memory,
        heads: Cursor(bytes.get(place.heads..place.heads_end)?),
        times: Cursor(bytes.get(place.times..place.times_end)?),
        rest: Cursor(bytes.get(place.rest..)?),
    };
    let entry = decoder.entry();
    place.heads = place.heads_end - decoder.heads.0.len();
    place.times = place.times_end - decoder.times.0.len();
    place.rest = bytes.len() - decoder.rest.0.len();
    entry
}

struct Decoder<'a, 'm> {
    memory: &'m mut Memory,
    heads: Cursor<'a>,
    times: Cursor<'a>,
    rest: Cursor<'a>,
}

impl<'a> Decoder<'a, '_> {
    #[inline]
    fn entry(&mut self) -> Option<Entry<'a>> {
        let mut head = self.heads.byte()?;
        let mut flaws = head & 7;
        if head == head::FLAWS {
            flaws = self.rest.byte()?;
            head = self.heads.byte().filter(|head| head & COPY != 0)?;
        }
        if head & COPY != 0 {
            return self.copy(head, flaws).map(Entry::Event);
        }
        let at = self.time()?;
        if head == head::SETTLED { Some(Entry::Settled(at)) } else { self.other(head, at).map(Entry::Event) }
    }

    #[inline]
    fn time(&mut self) -> Option<Instant> {
        let at = Instant::from_nanos(self.memory.clock.as_nanos().wrapping_add(self.times.number()?));
        self.memory.clock = at;
        Some(at)
    }

    #[inline]
    fn copy(&mut self, head: u8, flaws: u8) -> Option<Event<'a>> {
        let Publication { publisher, seq, planned, sent } = self.publication(head >> 5 & 3)?;
        let conn = self.trailing(head >> 3 & 3)?;
        let received = self.time()?;
        Some(Event::Copy(Copy { conn, publisher, seq, planned, sent, received, flaws: Flaws(flaws) }))
    }

    #[inline]
    fn publication(&mut self, code: u8) -> Option<Publication> {
        let publications = &mut self.memory.publications;
        let place = match code {
            SAME_PUBLICATION => publications.last(),
            NEXT_PUBLICATION => publications.expected(),
            KNOWN_PUBLICATION => self.rest.number()?.try_into().ok()?,
            _ => {
                let newest = publications.newest;
                let publisher = PublisherId(self.rest.off_small(newest.publisher.0)?);
                let seq = Seq(self.rest.off_small(newest.seq.0.wrapping_add(1))?);
                let planned = self.rest.off(newest.planned.as_nanos())?;
                let sent = Instant::from_nanos(self.rest.off(planned)?);
                let publication = Publication { publisher, seq, planned: Instant::from_nanos(planned), sent };
                publications.learn(publication);
                publication.place()
            }
        };
        let publication = *publications.at(place)?;
        publications.came(place);
        Some(publication)
    }

    #[inline]
    fn trailing(&mut self, code: u8) -> Option<ConnId> {
        let trail = &mut self.memory.trail;
        let conn = match code {
            SAME_CONN => trail.last,
            NEXT_CONN => trail.expected(),
            _ => ConnId(self.rest.off_small(trail.expected().0)?),
        };
        trail.came(conn);
        Some(conn)
    }

    fn conn(&mut self, head: u8) -> Option<ConnId> {
        let (expected, last) = self.memory.conn_of(head.into());
        *last = self.rest.off_small(expected)?;
        Some(ConnId(*last))
    }

    fn other(&mut self, head: u8, at: Instant) -> Option<Event<'a>> {
        Some(match head {
            head::PHASE => Event::Phase { phase: self.numbered()?, at },
            head::SENT => self.sent(at)?,
            head::DROPPED => {
                let publisher = self.publisher()?;
                let planned = self.planned(at)?;
                Event::Dropped { publisher, planned, at, cause: self.numbered()? }
            }
            head::HEALTH => Event::Health { at, reading: self.health()? },
            head::ANSWERED => {
                let publisher = self.publisher()?;
                let seq = Seq(self.rest.number()?.try_into().ok()?);
                let status = self.rest.number()?.try_into().ok()?;
                let took = Span::from_nanos(self.rest.number()?);
                Event::Answered { publisher, seq, at, status, took, detail: self.rest.text()? }
            }
            head::HOOK => {
                let (strike, took) = (self.rest.small()?, Span::from_nanos(self.rest.number()?));
                Event::Hook { strike, at, took, failed: self.rest.byte()? != 0, detail: self.rest.text()? }
            }
            head::MISHAP => {
                let (asleep, stood_still) = (Span::from_nanos(self.rest.number()?), Span::from_nanos(self.rest.number()?));
                Event::Mishap { at, mishap: Mishap { asleep, stood_still, wall_set_ns: self.rest.off(0)?.cast_signed() } }
            }
            head::INTERRUPTED => Event::Interrupted { at, detail: self.rest.text()? },
            _ => {
                let conn = self.conn(head)?;
                return self.on(head, at, conn);
            }
        })
    }

    fn on(&mut self, head: u8, at: Instant, conn: ConnId) -> Option<Event<'a>> {
        Some(match head {
            head::CONNECTING => Event::Connecting { conn, at },
            head::CONNECT_FAILED => {
                let number = self.rest.byte()?;
                let cause = failure_from(number, || self.rest.number()?.try_into().ok())?;
                Event::ConnectFailed { conn, at, cause, detail: self.rest.text()? }
            }
            head::OPENED => Event::Opened { conn, at, handshake: Span::from_nanos(self.rest.number()?) },
            head::GREETING => Event::Greeting { conn, at, text: self.rest.bytes()? },
            head::READY => Event::Ready { conn, at },
            head::NOT_READY => Event::NotReady { conn, at, detail: self.rest.text()? },
            head::STRAY => Event::Stray { conn, at, kind: self.numbered()?, sample: self.rest.bytes()? },
            head::PING_APPLICATION => self.ping(conn, PingLevel::Application, at)?,
            head::PING_PROTOCOL => self.ping(conn, PingLevel::Protocol, at)?,
            head::PONG_APPLICATION => Event::Pong { conn, level: PingLevel::Application, nonce: None, at },
            head::PONG_APPLICATION_NAMED => self.pong(conn, PingLevel::Application, at)?,
            head::PONG_PROTOCOL => Event::Pong { conn, level: PingLevel::Protocol, nonce: None, at },
            head::PONG_PROTOCOL_NAMED => self.pong(conn, PingLevel::Protocol, at)?,
            head::ALIEN_PONG => Event::AlienPong { conn, at, sample: self.rest.bytes()? },
            head::BEAT => Event::Beat { conn, at },
            head::SERVER_PING => Event::ServerPing { conn, at },
            head::RESTORED => Event::Restored { conn, at, strike: self.rest.small()?, blind: self.rest.byte()? != 0 },
            head::AFTER_CLOSE => Event::AfterClose { conn, at, publisher: PublisherId(self.rest.small()?), seq: Seq(self.rest.small()?) },
            head::DISRUPTED => Event::Disrupted { conn, at, strike: self.rest.small()? },
            head::LEAVING => Event::Leaving { conn, at },
            head::NO_SUBPROTOCOL => Event::NoSubprotocol { conn, at },
            head::COMPRESSED => Event::Compressed { conn, at },
            head::ITEM => Event::Item { conn, at, key: self.rest.number()? },
            head::CLOSED => Event::Closed { conn, at, closure: self.closure()?, detail: self.rest.text()? },
            _ => return None,
        })
    }

    fn numbered<T: Numbered>(&mut self) -> Option<T> {
        T::from_number(self.rest.byte()?)
    }

    fn sent(&mut self, sent: Instant) -> Option<Event<'a>> {
        let publisher = self.publisher()?;
        let expected = self.memory.small.seq_of(publisher.0);
        let seq = self.rest.off_small(*expected)?;
        *expected = seq.wrapping_add(1);
        let planned = self.planned(sent)?;
        let bytes = self.rest.off_small(self.memory.small.bytes)?;
        self.memory.small.bytes = bytes;
        Some(Event::Sent { publisher, seq: Seq(seq), planned, sent, bytes })
    }

    fn publisher(&mut self) -> Option<PublisherId> {
        let publisher = self.rest.off_small(self.memory.small.publisher)?;
        self.memory.small.publisher = publisher;
        Some(PublisherId(publisher))
    }

    /// How far `at` is from the planned instant stands there; the planned instant.
    fn planned(&mut self, at: Instant) -> Option<Instant> {
        let lag = self.rest.off(0)?;
        Some(Instant::from_nanos(at.as_nanos().wrapping_sub(lag)))
    }

    fn nonce(&mut self, level: PingLevel) -> Option<u32> {
        let last = self.memory.small.nonce_of(level);
        *last = self.rest.off_small(*last)?;
        Some(*last)
    }

    fn ping(&mut self, conn: ConnId, level: PingLevel, at: Instant) -> Option<Event<'a>> {
        Some(Event::PingSent { conn, level, nonce: self.nonce(level)?, at })
    }

    fn pong(&mut self, conn: ConnId, level: PingLevel, at: Instant) -> Option<Event<'a>> {
        Some(Event::Pong { conn, level, nonce: Some(self.nonce(level)?), at })
    }

    fn closure(&mut self) -> Option<Closure> {
        let byte = self.rest.byte()?;
        let by = Numbered::from_number(byte >> 2)?;
        let code = if byte & 2 == 0 { None } else { Some(self.rest.number()?.try_into().ok()?) };
        Some(Closure { by, code, clean: byte & 1 != 0 })
    }

    fn health(&mut self) -> Option<Health> {
        let loop_lag = Span::from_nanos(self.rest.number()?);
        let backlog_bytes = self.rest.small()?;
        let small = &mut self.memory.small;
        small.cpu = self.rest.off(small.cpu)?;
        small.open = self.rest.off_small(small.open)?;
        Some(Health { loop_lag, backlog_bytes, cpu: Span::from_nanos(small.cpu), open: small.open })
    }
}
