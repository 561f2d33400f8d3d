//! A faulty server's fan-out: every copy by itself, through its client's lane. Slow, and only there when asked for.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Duration;

use super::act::Act;
use super::jam::Jam;
use super::lane::{Lane, Passed, Surroundings};
use super::spec::{Argument, Kind};
use crate::config::Fanout;
use crate::counters;
use crate::fanout::Publication;
use crate::handshake::Upgrade;
use crate::peer::Peer;
use crate::shard::Shard;

/// Publications a faulty server remembers, to replay them.
const REMEMBERED: usize = 1024;

/// What a faulty shard has broadcast lately.
#[derive(Default)]
pub(crate) struct Broadcast {
    recent: RefCell<VecDeque<Publication>>,
    /// What waits for a slow reader.
    pub(super) jam: Jam,
}

impl Broadcast {
    fn remember(&self, publication: &Publication) {
        let mut recent = self.recent.borrow_mut();
        if recent.len() == REMEMBERED {
            recent.pop_front();
        }
        recent.push_back(publication.clone());
    }

    /// The last `n` publications, the oldest first.
    fn last(&self, n: u64) -> Vec<Publication> {
        let recent = self.recent.borrow();
        let skip = recent.len().saturating_sub(usize::try_from(n).unwrap_or(usize::MAX));
        recent.iter().skip(skip).cloned().collect()
    }
}

/// Delivers a turn's publications to a shard's clients, as badly as asked.
pub(crate) fn deliver(shard: &Shard, publications: &[Publication]) {
    publications.iter().for_each(|publication| shard.queue_up(publication));
}

/// Sends a publication to whom it may concern.
pub(super) fn fan_out(shard: &Shard, publication: &Publication) {
    let (faults, book, now) = (&shard.shared.faults, &shard.shared.book, shard.shared.clock.now());
    shard.broadcast.remember(publication);
    let open = shard.open();
    if faults.strike(Kind::DropPublication, publication.from, publication.number, now).is_some() {
        let mut act = Act::new(Kind::DropPublication, publication.from, now).of(publication);
        act.copies = Some(open.iter().filter(|peer| is_owed(shard, peer, publication)).count() as u64);
        return book.write(Kind::DropPublication, &act);
    }
    for peer in open.iter().filter(|peer| peer.order.get().is_none()) {
        let owed = is_owed(shard, peer, publication);
        if !owed && faults.strike(Kind::WrongRoom, peer.index, publication.number, now).is_none() {
            continue;
        }
        if !owed {
            book.write(Kind::WrongRoom, &Act::new(Kind::WrongRoom, peer.index, now).of(publication));
        }
        pass(shard, peer, publication, now);
    }
}

/// Whether an honest server would send this client a copy.
pub(super) fn is_owed(shard: &Shard, peer: &Peer, publication: &Publication) -> bool {
    if publication.from == crate::feed::SENDER {
        return true;
    }
    let same_room = peer.room == publication.room;
    match shard.shared.config.fanout {
        Fanout::All => same_room,
        Fanout::Others => same_room && peer.index != publication.from,
        Fanout::Echo => peer.index == publication.from,
    }
}

/// Lets a copy into a client's lane.
fn pass(shard: &Shard, peer: &Peer, publication: &Publication, now: Duration) {
    let with = Surroundings { faults: &shard.shared.faults, book: &shard.shared.book, now };
    let passed = peer.lane.as_ref().map(|lane| lane.borrow_mut().pass(with, publication));
    if let Some(Passed::Reset(bytes)) = passed {
        peer.reset(&bytes);
    }
    peer.wake();
}

impl Shard {
    /// What lanes work with now.
    pub(crate) fn surroundings(&self) -> Surroundings<'_> {
        Surroundings { faults: &self.shared.faults, book: &self.shared.book, now: self.shared.clock.now() }
    }

    /// Whether a fault of the heartbeat's or the pong's strikes, written down.
    pub(crate) fn commit(&self, kind: Kind, client: u64, n: u64) -> Option<Argument> {
        let with = self.surroundings();
        let argument = with.faults.strike(kind, client, n, with.now)?;
        with.book.write(kind, &Act::new(kind, client, with.now));
        Some(argument)
    }

    /// Sends a client that has just opened what was broadcast before, if asked.
    pub(crate) fn replay(&self, peer: &Peer) {
        let with = self.surroundings();
        let Some(Argument::Count(n)) = with.faults.strike(Kind::Replay, peer.index, 0, with.now) else { return };
        let Some(lane) = &peer.lane else { return };
        for publication in self.broadcast.last(n) {
            with.book.write(Kind::Replay, &Act::new(Kind::Replay, peer.index, with.now).of(&publication));
            lane.borrow_mut().say(with, publication.message.frame().clone());
        }
    }

    /// Moves what is due from a client's lane to its outbox; returns when there is more.
    pub(crate) fn let_out(&self, peer: &Peer) -> Option<Duration> {
        let mut lane = peer.lane.as_ref()?.borrow_mut();
        for (bytes, copies) in lane.due(self.surroundings()) {
            match peer.queue_within(bytes, copies) {
                crate::peer::Offered::Taken => counters::add(&self.shared.counters.copies_out, copies.into()),
                crate::peer::Offered::Full => self.overflow(peer, copies.into()),
            }
        }
        lane.next()
    }

    /// A frame of the engine's own on its way to a client of a faulty server: pongs are faulty if asked, and a Close
    /// may not be the last word.
    pub(crate) fn engine_says(&self, peer: &Peer, frame: &[u8]) {
        match frame.first() {
            Some(0x8A) => self.answer_ping(peer, frame, &wrong_pong(frame)),
            Some(0x88) => {
                peer.say(self, bytes::Bytes::copy_from_slice(frame));
                let with = self.surroundings();
                if with.faults.strike(Kind::AfterClose, peer.index, 0, with.now).is_some() {
                    for publication in self.broadcast.last(1) {
                        with.book.write(Kind::AfterClose, &Act::new(Kind::AfterClose, peer.index, with.now).of(&publication));
                        peer.say(self, publication.message.frame().clone());
                    }
                }
            }
            _ => peer.say(self, bytes::Bytes::copy_from_slice(frame)),
        }
    }

    /// Answers a ping of either level, as badly as asked.
    pub(crate) fn answer_ping(&self, peer: &Peer, right: &[u8], wrong: &[u8]) {
        let n = peer.pings_answered.replace(peer.pings_answered.get() + 1);
        if self.commit(Kind::PongNone, peer.index, n).is_some() {
            return;
        }
        let wrong = self.commit(Kind::PongWrong, peer.index, n).map(|_| wrong);
        let frame = bytes::Bytes::copy_from_slice(wrong.unwrap_or(right));
        match self.commit(Kind::PongLate, peer.index, n) {
            Some(Argument::Span(span, _)) => peer.say_at(self.shared.clock.now() + span, frame.clone()),
            _ => peer.say(self, frame.clone()),
        }
        if self.commit(Kind::PongTwice, peer.index, n).is_some() {
            peer.say(self, frame.clone());
        }
        if self.commit(Kind::PongEveryone, peer.index, n).is_some() {
            for other in self.open().iter().filter(|other| other.index != peer.index) {
                other.say(self, frame.clone());
                other.wake();
            }
        }
    }
}

/// A protocol pong with another payload than the ping's.
fn wrong_pong(frame: &[u8]) -> Vec<u8> {
    let mut wrong = frame.to_vec();
    match wrong.as_mut_slice() {
        [_, 0] => wrong = vec![0x8A, 1, b'?'],
        [_, _, .., last] => *last ^= 1,
        _ => {}
    }
    wrong
}

/// The 101 of a faulty server.
pub(crate) fn tampered_response(shard: &Shard, index: u64, upgrade: &Upgrade) -> Vec<u8> {
    let mut upgrade = upgrade.clone();
    if shard.commit(Kind::WrongAccept, index, 0).is_some() {
        upgrade.accept = upgrade.accept.chars().rev().collect();
    }
    if upgrade.protocol.is_some() && shard.commit(Kind::SubprotocolNone, index, 0).is_some() {
        upgrade.protocol = None;
    }
    if let Some(Argument::Text(name)) = shard.commit(Kind::Subprotocol, index, 0) {
        upgrade.protocol = Some(name);
    }
    let response = upgrade.response();
    if shard.commit(Kind::NoUpgradeHeader, index, 0).is_some() {
        let text = String::from_utf8_lossy(&response);
        return text.replace("Upgrade: websocket\r\n", "").into_bytes();
    }
    response
}

/// A client of a faulty server.
pub(crate) fn with_lane(shard: &Shard, peer: Peer) -> Peer {
    let with = shard.surroundings();
    let silent = shard.commit(Kind::Silent, peer.index, 0).is_some();
    if with.faults.aims(Kind::HeadOfLine, peer.index) {
        peer.keep_little();
    }
    let dribbles = shard.commit(Kind::Dribble, peer.index, 0).is_some();
    let lane = Lane::new(peer.index, silent);
    peer.with_lane(lane, dribbles)
}
