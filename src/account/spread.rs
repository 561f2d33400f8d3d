//! First, median and last receiver of each publication. What is in flight is kept in a small ring per publisher; what is over
//! becomes a row in a sample chosen by hash, so that every shard samples the same publications without talking to the others.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::firsts::Firsts;
use crate::base::{Instant, PublisherId, Seed, Seq};

/// Publications kept. Up to here the sample is everything; half a megabyte a shard, taken when the run begins, so that a soak does
/// not grow with the publications it sends.
pub const SAMPLE: usize = 4_096;

/// Marks a row keeps of its way to the last receiver: eighths of the shard's audience.
const MARKS: usize = 8;

/// Ring entries over all publishers: under 3 MiB a shard, so that many publishers cost little more than their windows.
const RING: usize = 1 << 14;

/// Ring entries of one publisher: its publications on their way at once, a burst or a stalled server's queue. What is more leaves
/// the ring and comes back by a slow road.
const DEEPEST: usize = 4096;

/// One shard's view of one publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Spread {
    hash: u64,
    /// Whose.
    pub publisher: PublisherId,
    /// Which.
    pub seq: Seq,
    /// Which shard saw it so.
    pub shard: u32,
    /// When it was due.
    pub planned: Instant,
    /// Receivers on this shard.
    pub receivers: u32,
    /// Its place in the order in which this shard first saw publications.
    pub rank: u64,
    /// Its first receiver.
    pub first: Instant,
    /// Its last receiver.
    pub last: Instant,
    /// How many receivers there were to be when it began to arrive.
    audience: u32,
    /// When a k-th eighth (k = 1..=8) of the audience had it; the epoch where it never came to that.
    marks: [Instant; MARKS],
}

impl Spread {
    fn begin(publisher: PublisherId, seq: Seq, planned: Instant, at: Instant, shard: u32, rank: u64, audience: u32) -> Self {
        let hash = Seed(u64::from(publisher.0) << 32 | u64::from(seq.0)).nth(0).0;
        Self {
            hash,
            publisher,
            seq,
            shard,
            planned,
            receivers: 0,
            rank,
            first: at,
            last: at,
            audience: audience.max(1),
            marks: [Instant::EPOCH; MARKS],
        }
    }

    const fn key(&self) -> (u64, PublisherId, Seq) {
        (self.hash, self.publisher, self.seq)
    }

    /// The receiver number at which the `k`-th mark is set.
    #[expect(clippy::cast_possible_truncation, reason = "at most the audience, a u32")]
    const fn threshold(audience: u32, k: usize) -> u32 {
        (audience as u64 * k as u64).div_ceil(MARKS as u64) as u32
    }

    /// Points (receivers so far, instant) of this shard's way from the first receiver to the last.
    pub(crate) fn curve(&self) -> impl Iterator<Item = (u32, Instant)> + '_ {
        let marks = (1..=MARKS)
            .map(|k| (Self::threshold(self.audience, k), self.marks[k - 1]))
            .filter(move |(n, at)| *n > 1 && *n < self.receivers && *at > Instant::EPOCH);
        std::iter::once((1, self.first)).chain(marks).chain((self.receivers > 1).then_some((self.receivers, self.last)))
    }
}

/// A ring slot: a publication and the receiver number at which its next mark is due.
#[derive(Debug, Clone, Copy)]
struct Slot {
    spread: Spread,
    next_mark: u32,
    k: usize,
}

/// The publications on their way.
#[derive(Debug)]
pub(super) struct InFlight {
    slots: Vec<Option<Slot>>,
    depth: u32,
    shard: u32,
    ranks: u64,
    firsts: Firsts,
    done: Sample,
}

/// What is over and has one of the lowest hashes so far.
#[derive(Debug)]
struct Sample {
    places: BTreeMap<(u64, PublisherId, Seq), usize>,
    /// As many as there are places; what lies beyond is filler.
    rows: Box<[Spread]>,
}

impl Sample {
    fn new() -> Self {
        let filler = Spread::begin(PublisherId(0), Seq(0), Instant::EPOCH, Instant::EPOCH, 0, 0, 0);
        Self { places: BTreeMap::new(), rows: vec![filler; SAMPLE].into_boxed_slice() }
    }

    fn get_mut(&mut self, key: &(u64, PublisherId, Seq)) -> Option<&mut Spread> {
        self.places.get(key).map(|place| &mut self.rows[*place])
    }

    /// Takes a publication that is not in it, unless all that are have lower hashes.
    fn insert(&mut self, spread: Spread) {
        let place = if self.places.len() < SAMPLE {
            self.places.len()
        } else {
            let Some(last) = self.places.last_entry().filter(|last| *last.key() > spread.key()) else { return };
            last.remove()
        };
        self.rows[place] = spread;
        let twice = self.places.insert(spread.key(), place);
        debug_assert!(twice.is_none(), "a publication leaves the ring once");
    }

    fn into_rows(self) -> Vec<Spread> {
        self.places.into_values().map(|place| self.rows[place]).collect()
    }
}

impl InFlight {
    pub(super) fn new(publishers: u32, shard: u32) -> Self {
        let depth = (RING / publishers.max(1) as usize).clamp(4, DEEPEST);
        let depth = 1 << depth.ilog2();
        let slots = vec![None; publishers as usize * depth as usize];
        Self { slots, depth, shard, ranks: 0, firsts: Firsts::new(publishers), done: Sample::new() }
    }

    /// A copy came to one more receiver; `audience` is asked when it is the first. Gives the publication's rank.
    #[inline]
    pub(super) fn receive(
        &mut self,
        publisher: PublisherId,
        seq: Seq,
        planned: Instant,
        at: Instant,
        audience: impl FnOnce() -> u32,
    ) -> u64 {
        let place = publisher.0 as usize * self.depth as usize + (seq.0 & (self.depth - 1)) as usize;
        match &mut self.slots[place] {
            Some(slot) if slot.spread.seq == seq => {
                let spread = &mut slot.spread;
                spread.receivers += 1;
                spread.first = spread.first.min(at);
                spread.last = spread.last.max(at);
                if spread.receivers >= slot.next_mark {
                    slot.mark(at);
                }
                slot.spread.rank
            }
            _ => self.other(place, publisher, seq, planned, at, audience()),
        }
    }

    /// The slot is empty or holds another publication.
    #[cold]
    fn other(&mut self, place: usize, publisher: PublisherId, seq: Seq, planned: Instant, at: Instant, audience: u32) -> u64 {
        let spread = Spread::begin(publisher, seq, planned, at, self.shard, self.ranks, audience);
        if self.slots[place].is_some_and(|slot| slot.spread.seq > seq) {
            return self.straggler(spread, at);
        }
        self.ranks += 1;
        self.firsts.note(publisher, seq, spread.rank);
        let mut slot = Slot { spread, next_mark: Spread::threshold(spread.audience, 1), k: 1 };
        slot.spread.receivers = 1;
        if slot.next_mark <= 1 {
            slot.mark(at);
        }
        if let Some(old) = self.slots[place].replace(slot) {
            self.done.insert(old.spread);
        }
        spread.rank
    }

    /// A copy of a publication that has left the ring, or was overtaken by all of it.
    fn straggler(&mut self, mut spread: Spread, at: Instant) -> u64 {
        if let Some(kept) = self.done.get_mut(&spread.key()) {
            kept.receivers += 1;
            kept.first = kept.first.min(at);
            kept.last = kept.last.max(at);
            return kept.rank;
        }
        spread.receivers = 1;
        if let Some(rank) = self.firsts.rank(spread.publisher, spread.seq) {
            spread.rank = rank;
        } else {
            self.ranks += 1;
            self.firsts.note(spread.publisher, spread.seq, spread.rank);
        }
        self.done.insert(spread);
        spread.rank
    }

    /// Everything, in flight or over.
    pub(super) fn finish(mut self) -> Spreads {
        for slot in std::mem::take(&mut self.slots).into_iter().flatten() {
            self.done.insert(slot.spread);
        }
        Spreads { rows: self.done.into_rows(), firsts: BTreeMap::from([(self.shard, self.firsts)]) }
    }
}

impl Slot {
    /// Sets every mark that is due.
    fn mark(&mut self, at: Instant) {
        while self.k <= MARKS && self.spread.receivers >= self.next_mark {
            self.spread.marks[self.k - 1] = at;
            self.k += 1;
            self.next_mark = if self.k > MARKS { u32::MAX } else { Spread::threshold(self.spread.audience, self.k) };
        }
    }
}

/// The sample: for each publication in it, one row per shard that saw it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spreads {
    /// Ordered by hash, publisher, sequence, shard.
    rows: Vec<Spread>,
    /// By shard.
    pub(super) firsts: BTreeMap<u32, Firsts>,
}

impl Spreads {
    /// Adds another shard's rows and keeps the publications with the lowest hashes.
    pub(super) fn merge(&mut self, other: Self) {
        self.firsts.extend(other.firsts);
        let mine = std::mem::take(&mut self.rows);
        let mut merged = Vec::with_capacity(mine.len() + other.rows.len());
        let (mut mine, mut theirs) = (mine.into_iter().peekable(), other.rows.into_iter().peekable());
        let mut publications = 0;
        let mut last = None;
        while let Some(row) = match (mine.peek(), theirs.peek()) {
            (Some(a), Some(b)) if b < a => theirs.next(),
            (Some(_), _) => mine.next(),
            (None, _) => theirs.next(),
        } {
            if last != Some(row.key()) {
                publications += 1;
                last = Some(row.key());
            }
            if publications > SAMPLE {
                break;
            }
            merged.push(row);
        }
        self.rows = merged;
    }

    /// The rows of one publication after another.
    pub fn publications(&self) -> impl Iterator<Item = &[Spread]> {
        self.rows.chunk_by(|a, b| a.key() == b.key())
    }

    /// All rows.
    #[must_use]
    pub fn rows(&self) -> &[Spread] {
        &self.rows
    }
}
