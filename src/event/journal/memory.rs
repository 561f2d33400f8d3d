//! What writer and reader both remember of the events before, so that the expected need not be written. Both begin every
//! block with an empty memory: a block can be read whatever became of the one before it.

use super::super::{Copy, PingLevel};
use crate::base::{ConnId, Instant, PublisherId, Seq};

/// Places in the table of publications: power of two, a few times what is in flight.
const PUBLICATIONS: usize = 1 << 10;
/// Places in the table of who follows whom: 128 KiB. Where two connections share a place, only bytes are lost.
const FOLLOWERS_BITS: u32 = 15;

/// A publication as its copies name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Publication {
    pub(super) publisher: PublisherId,
    pub(super) seq: Seq,
    pub(super) planned: Instant,
    pub(super) sent: Instant,
}

impl Publication {
    pub(super) const NONE: Self =
        Self { publisher: PublisherId(u32::MAX), seq: Seq(u32::MAX), planned: Instant::EPOCH, sent: Instant::EPOCH };

    pub(super) const fn of(copy: &Copy) -> Self {
        Self { publisher: copy.publisher, seq: copy.seq, planned: copy.planned, sent: copy.sent }
    }

    /// Neighbours in a sequence have neighbouring places, so what is in flight does not collide.
    #[inline]
    pub(super) const fn place(&self) -> u16 {
        (self.publisher.0.wrapping_mul(0x9e37_79b1).wrapping_add(self.seq.0) % PUBLICATIONS as u32) as u16
    }
}

/// The publications seen last, and which came after which.
#[derive(Debug)]
pub(super) struct Publications {
    known: Box<[(Publication, u16)]>,
    last: u16,
    /// The last one, which the next new one is told against.
    pub(super) newest: Publication,
}

impl Publications {
    fn new() -> Self {
        Self { known: vec![(Publication::NONE, 0); PUBLICATIONS].into_boxed_slice(), last: 0, newest: Publication::NONE }
    }

    fn clear(&mut self) {
        self.known.fill((Publication::NONE, 0));
        self.last = 0;
        self.newest = Publication::NONE;
    }

    #[inline]
    pub(super) const fn last(&self) -> u16 {
        self.last
    }

    /// The place that came after the last one the time before.
    #[inline]
    pub(super) fn expected(&self) -> u16 {
        self.known[self.last as usize].1
    }

    #[inline]
    pub(super) fn at(&self, place: u16) -> Option<&Publication> {
        self.known.get(place as usize).map(|(publication, _)| publication)
    }

    /// Notes a publication never seen, or forgotten.
    pub(super) fn learn(&mut self, publication: Publication) {
        self.known[publication.place() as usize].0 = publication;
        self.newest = publication;
    }

    /// Notes that the publication at `place` came now.
    #[inline]
    pub(super) fn came(&mut self, place: u16) {
        if place != self.last {
            self.known[self.last as usize].1 = place;
            self.last = place;
        }
    }
}

/// The connection seen last, and who came after whom: servers walk their clients in the same order every time.
#[derive(Debug)]
pub(super) struct Trail {
    /// By place of a connection, how far its follower was from the neighbour, wrapping: 0 until told otherwise.
    followers: Box<[u32]>,
    stride: u32,
    pub(super) last: ConnId,
    /// Nobody has come yet.
    fresh: bool,
}

impl Trail {
    fn new(stride: u32) -> Self {
        Self { followers: vec![0; 1 << FOLLOWERS_BITS].into_boxed_slice(), stride, last: ConnId(0), fresh: true }
    }

    fn clear(&mut self) {
        // A quiet shard writes a block a second with no copy in it.
        if !self.fresh {
            self.followers.fill(0);
            self.last = ConnId(0);
            self.fresh = true;
        }
    }

    #[inline]
    const fn place(conn: ConnId) -> usize {
        (conn.0.wrapping_mul(0x9e37_79b1) >> (32 - FOLLOWERS_BITS)) as usize
    }

    #[inline]
    const fn neighbour(&self) -> u32 {
        self.last.0.wrapping_add(self.stride)
    }

    /// Who came after the last connection the time before; its neighbour in the shard, when nothing is known.
    #[inline]
    pub(super) fn expected(&self) -> ConnId {
        ConnId(self.neighbour().wrapping_add(self.followers[Self::place(self.last)]))
    }

    #[inline]
    pub(super) fn came(&mut self, conn: ConnId) {
        if conn != self.last {
            self.followers[Self::place(self.last)] = conn.0.wrapping_sub(self.neighbour());
            self.last = conn;
            self.fresh = false;
        }
    }
}

/// Everything remembered within a block.
#[derive(Debug)]
pub(super) struct Memory {
    /// The instant of the last event.
    pub(super) clock: Instant,
    pub(super) publications: Publications,
    pub(super) trail: Trail,
    pub(super) small: Small,
    stride: u32,
}

/// The rest: the last value of everything else that repeats itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Small {
    /// By kind of event.
    pub(super) conns: [u32; 32],
    pub(super) publisher: u32,
    /// By publisher, the number expected next.
    pub(super) seqs: [u32; 64],
    pub(super) bytes: u32,
    pub(super) nonces: [u32; 2],
    pub(super) cpu: u64,
    pub(super) open: u32,
}

impl Small {
    fn new(stride: u32) -> Self {
        Self { conns: [0_u32.wrapping_sub(stride); 32], publisher: 0, seqs: [0; 64], bytes: 0, nonces: [0; 2], cpu: 0, open: 0 }
    }

    /// The place of the number expected next from `publisher`.
    pub(super) const fn seq_of(&mut self, publisher: u32) -> &mut u32 {
        &mut self.seqs[publisher as usize % 64]
    }

    /// The place of the last nonce of a level.
    pub(super) const fn nonce_of(&mut self, level: PingLevel) -> &mut u32 {
        &mut self.nonces[level as usize]
    }
}

impl Memory {
    /// `stride`: from one connection of a shard to the next, the number of shards.
    pub(super) fn new(stride: u32) -> Self {
        Self { clock: Instant::EPOCH, publications: Publications::new(), trail: Trail::new(stride), small: Small::new(stride), stride }
    }

    /// Forgets everything: a new block begins.
    pub(super) fn clear(&mut self) {
        self.clock = Instant::EPOCH;
        self.publications.clear();
        self.trail.clear();
        self.small = Small::new(self.stride);
    }

    /// The connection expected in the next event of this kind; the place to note which it was.
    pub(super) const fn conn_of(&mut self, kind: usize) -> (u32, &mut u32) {
        let last = &mut self.small.conns[kind % 32];
        (last.wrapping_add(self.stride), last)
    }
}
