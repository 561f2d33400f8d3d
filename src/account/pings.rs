//! Our pings and the server's answers, client by client, on both levels.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::bottom::{Sightings, shown};
use super::tally::Tally;
use crate::base::{ConnId, Instant, Span};

/// Unanswered pings remembered per client; the oldest is given up as unanswered beyond that.
const OUTSTANDING: usize = 64;

/// What the pings of one level came to. Every ping is on time, late, unanswered or contested.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pings {
    /// Sent.
    pub sent: u64,
    /// Answered within the limit.
    pub on_time: u64,
    /// Answered later.
    pub late: u64,
    /// Never answered, though the connection outlived the limit.
    pub unanswered: u64,
    /// Of the unanswered, those during which a pong came whose payload was none of ours.
    pub wrong_payload: u64,
    /// Not answered when the connection or the run ended before the limit.
    pub contested: u64,
    /// Answers to a ping that was answered already.
    pub again: u64,
    /// Answers nobody asked for.
    pub unsolicited: u64,
    /// Our own ping text, received: the server handed it on like any message.
    pub passed_on: u64,
    /// Clients that pinged, and were owed an answer or got one.
    pub clients: u64,
    /// Of those, the ones that never got any.
    pub mute: u64,
    /// Ping to answer.
    pub round_trips: Tally,
    /// Late and unanswered pings, second answers, and so on.
    pub sightings: Sightings,
}

impl Pings {
    /// Pings that were judged.
    #[must_use]
    pub const fn judged(&self) -> u64 {
        self.on_time + self.late + self.unanswered
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.sent += other.sent;
        self.on_time += other.on_time;
        self.late += other.late;
        self.unanswered += other.unanswered;
        self.wrong_payload += other.wrong_payload;
        self.contested += other.contested;
        self.again += other.again;
        self.unsolicited += other.unsolicited;
        self.passed_on += other.passed_on;
        self.clients += other.clients;
        self.mute += other.mute;
        self.round_trips.merge(&other.round_trips);
        self.sightings.merge(other.sightings);
    }
}

#[derive(Debug, Clone, Copy)]
struct Outstanding {
    nonce: u32,
    at: Instant,
    /// A pong with foreign payload came while this was the oldest without an answer.
    alien: bool,
}

/// One client's pings.
#[derive(Debug, Clone, Default)]
struct Pinger {
    outstanding: VecDeque<Outstanding>,
    next: u32,
    answers: u32,
}

/// The fold of one shard and level.
#[derive(Debug)]
pub(super) struct PingBook {
    within: Span,
    pingers: Vec<Pinger>,
    sums: Pings,
}

impl PingBook {
    pub(super) fn new(within: Option<Span>, slots: usize) -> Self {
        let pingers = if within.is_some() { vec![Pinger::default(); slots] } else { Vec::new() };
        Self { within: within.unwrap_or_default(), pingers, sums: Pings::default() }
    }

    /// A connection opened again.
    pub(super) fn begin(&mut self, slot: usize) {
        if let Some(pinger) = self.pingers.get_mut(slot) {
            *pinger = Pinger::default();
        }
    }

    pub(super) fn ping(&mut self, slot: usize, conn: ConnId, nonce: u32, at: Instant) {
        let Some(pinger) = self.pingers.get_mut(slot) else { return };
        self.sums.sent += 1;
        pinger.next = nonce.saturating_add(1);
        pinger.outstanding.push_back(Outstanding { nonce, at, alien: false });
        if pinger.outstanding.len() > OUTSTANDING
            && let Some(oldest) = pinger.outstanding.pop_front()
        {
            give_up(&mut self.sums, self.within, conn, &oldest, Instant::FAR);
        }
    }

    /// An answer. An application pong names no ping: it answers the oldest that is still within its limit, and only when there
    /// is none the oldest beyond it, so that one lost answer does not make every later one late. Gives the round trip.
    pub(super) fn pong(&mut self, slot: usize, conn: ConnId, nonce: Option<u32>, at: Instant) -> Option<Span> {
        let Some(pinger) = self.pingers.get_mut(slot) else {
            self.sums.unsolicited += 1;
            return None;
        };
        let within = self.within;
        let place = match nonce {
            Some(nonce) => pinger.outstanding.iter().position(|ping| ping.nonce == nonce),
            None => {
                let alive = pinger.outstanding.iter().position(|ping| at.since(ping.at) <= within);
                alive.or(if pinger.outstanding.is_empty() { None } else { Some(0) })
            }
        };
        let sums = &mut self.sums;
        let Some(ping) = place.and_then(|i| pinger.outstanding.remove(i)) else {
            let again = nonce.map_or(pinger.answers > 0, |nonce| nonce < pinger.next);
            if again {
                sums.again += 1;
            } else {
                sums.unsolicited += 1;
            }
            sums.sightings.note(at, Some(conn), None, || {
                if again { "a second answer to a ping already answered".into() } else { "an answer to no ping of this client".into() }
            });
            return None;
        };
        pinger.answers += 1;
        let took = at.since(ping.at);
        sums.round_trips.record(took.as_nanos());
        if took <= within {
            sums.on_time += 1;
        } else {
            sums.late += 1;
            sums.sightings.note(at, Some(conn), None, || format!("answered after {took}"));
        }
        Some(took)
    }

    /// A pong whose payload is none of ours. RFC 6455 section 5.5.3 allows unsolicited pongs; it is wrong only if a ping of
    /// ours waits and is never answered properly.
    pub(super) fn alien(&mut self, slot: usize, conn: ConnId, at: Instant, sample: &[u8]) {
        let waiting = self.pingers.get_mut(slot).and_then(|pinger| pinger.outstanding.iter_mut().find(|ping| !ping.alien));
        match waiting {
            Some(ping) => {
                ping.alien = true;
                self.sums.sightings.note(at, Some(conn), None, || format!("a pong with a payload that is none of ours: {}", shown(sample)));
            }
            None => self.sums.unsolicited += 1,
        }
    }

    /// Our own ping text came to this client: the server passed it on instead of answering.
    pub(super) fn passed_on(&mut self, conn: ConnId, at: Instant) {
        self.sums.passed_on += 1;
        self.sums.sightings.note(at, Some(conn), None, || "a ping was passed on to this client like any message".into());
    }

    /// The client left, or the run closed, at `end`.
    pub(super) fn end(&mut self, slot: usize, conn: ConnId, end: Instant) {
        let Some(pinger) = self.pingers.get_mut(slot) else { return };
        let before = self.sums.unanswered;
        for ping in std::mem::take(&mut pinger.outstanding) {
            give_up(&mut self.sums, self.within, conn, &ping, end);
        }
        let unanswered = self.sums.unanswered > before;
        if unanswered || pinger.answers > 0 {
            self.sums.clients += 1;
            self.sums.mute += u64::from(pinger.answers == 0);
        }
    }

    pub(super) fn finish(self) -> Pings {
        self.sums
    }

    /// Pings answered so far.
    pub(super) const fn answered(&self) -> u64 {
        self.sums.on_time + self.sums.late
    }

    pub(super) const fn sent(&self) -> u64 {
        self.sums.sent
    }

    /// Ping to answer, so far.
    pub(super) const fn round_trips(&self) -> &Tally {
        &self.sums.round_trips
    }
}

fn give_up(sums: &mut Pings, within: Span, conn: ConnId, ping: &Outstanding, end: Instant) {
    if ping.at + within > end {
        sums.contested += 1;
        sums.unsolicited += u64::from(ping.alien);
        return;
    }
    sums.unanswered += 1;
    sums.wrong_payload += u64::from(ping.alien);
    sums.sightings.note(ping.at, Some(conn), None, || "a ping that was never answered".into());
}

#[cfg(test)]
mod tests {
    use super::super::history::ms;
    use super::*;

    const C: ConnId = ConnId(0);

    fn book() -> PingBook {
        PingBook::new(Some(Span::from_millis(100)), 1)
    }

    #[test]
    fn so_many_pings_may_wait_and_no_more() {
        let mut book = book();
        let waiting = u32::try_from(OUTSTANDING).expect("small");
        for nonce in 0..waiting {
            book.ping(0, C, nonce, ms(u64::from(nonce)));
        }
        assert_eq!((book.sent(), book.sums.unanswered), (waiting.into(), 0), "all of these can still be answered");
        (waiting..waiting + 3).for_each(|nonce| book.ping(0, C, nonce, ms(u64::from(nonce))));
        assert_eq!(book.sums.unanswered, 3, "the oldest are given up, one for one");
        assert_eq!(book.pong(0, C, Some(3), ms(60)), Some(Span::from_millis(57)));
        book.end(0, C, ms(10_000));
        assert_eq!((book.answered(), book.finish().unanswered), (1, u64::from(waiting) + 2));
    }

    #[test]
    fn an_answer_is_in_time_at_the_limit_and_a_ping_is_contested_short_of_it() {
        let mut book = book();
        (0..2).for_each(|nonce| book.ping(0, C, nonce, ms(0)));
        book.pong(0, C, Some(0), ms(100));
        book.pong(0, C, Some(1), ms(101));
        assert_eq!((book.sums.on_time, book.sums.late, book.answered()), (1, 1, 2));
        for (end, unanswered) in [(99, 0), (100, 1)] {
            let mut book = PingBook::new(Some(Span::from_millis(100)), 1);
            book.ping(0, C, 0, ms(0));
            book.end(0, C, ms(end));
            let sums = book.finish();
            assert_eq!((sums.unanswered, sums.contested, sums.mute), (unanswered, 1 - unanswered, unanswered), "gone at {end}");
        }
    }

    #[test]
    fn a_second_answer_is_told_from_one_to_no_ping() {
        let mut book = book();
        book.ping(0, C, 5, ms(0));
        book.pong(0, C, Some(5), ms(1));
        book.pong(0, C, Some(5), ms(2));
        book.pong(0, C, Some(6), ms(3));
        assert_eq!((book.sums.again, book.sums.unsolicited), (1, 1), "the sixth was never asked");
        book.begin(0);
        book.pong(0, C, None, ms(4));
        assert_eq!((book.sums.again, book.sums.unsolicited), (1, 2), "this connection has answered nothing yet");
        book.pong(9, C, None, ms(5));
        assert_eq!(book.sums.unsolicited, 3, "nor has one that is not there");
    }

    #[test]
    fn an_alien_pong_is_held_against_one_ping_only() {
        let mut book = book();
        (0..2).for_each(|nonce| book.ping(0, C, nonce, ms(0)));
        (0..3).for_each(|_| book.alien(0, C, ms(1), b"x"));
        assert_eq!(book.sums.unsolicited, 1, "two pings wait, the third answers none");
        book.end(0, C, ms(500));
        assert_eq!((book.sums.unanswered, book.sums.wrong_payload), (2, 2));
    }

    #[test]
    fn who_answered_is_a_client_and_who_only_did_not_is_mute() {
        for (answered, end, clients, mute) in [(true, 50, 1, 0), (true, 500, 1, 0), (false, 500, 1, 1), (false, 50, 0, 0)] {
            let mut book = book();
            book.ping(0, C, 0, ms(0));
            if answered {
                book.pong(0, C, Some(0), ms(10));
                book.ping(0, C, 1, ms(20));
            }
            book.end(0, C, ms(end));
            let sums = book.finish();
            assert_eq!((sums.clients, sums.mute), (clients, mute), "answered: {answered}, until {end}");
        }
    }

    #[test]
    fn an_alien_pong_to_a_ping_that_still_had_time_was_asked_for_by_nobody() {
        for (end, [contested, unanswered, wrong_payload, unsolicited]) in [(99, [1, 0, 0, 1]), (100, [0, 1, 1, 0])] {
            let mut book = book();
            book.ping(0, C, 0, ms(0));
            book.alien(0, C, ms(1), b"x");
            book.end(0, C, ms(end));
            let sums = book.finish();
            assert_eq!(
                [sums.contested, sums.unanswered, sums.wrong_payload, sums.unsolicited],
                [contested, unanswered, wrong_payload, unsolicited],
                "gone at {end}"
            );
        }
    }

    #[test]
    fn a_ping_that_is_passed_on_is_counted_and_told_of() {
        let mut book = book();
        (0..3).for_each(|n| book.passed_on(C, ms(n)));
        let sums = book.finish();
        let told: Vec<_> = sums.sightings.as_slice().iter().map(|s| (s.at, s.conn, s.what.as_str())).collect();
        let what = "a ping was passed on to this client like any message";
        assert_eq!((sums.passed_on, told), (3, (0..3).map(|n| (ms(n), Some(C), what)).collect()));
    }
}
