//! First, median and last receiver of each publication. What is in flight is kept in a small ring per publisher; what is over
//! becomes a row in a sample chosen by hash, so that every shard samples the same publications without talking to the others.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::firsts::Firsts;
use super::room;
use crate::base::{Instant, PublisherId, Seed, Seq};

/// Publications kept. Up to here the sample is everything; a quarter of a megabyte a shard, taken when the run begins, so that a soak does
/// not grow with the publications it sends.
pub const SAMPLE: usize = 2_048;

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
    /// Places in `rows`, ascending by the key of what stands there.
    order: Vec<usize>,
    /// As many as there are places; what lies beyond is filler.
    rows: Box<[Spread]>,
}

impl Sample {
    fn new() -> Self {
        let filler = Spread::begin(PublisherId(0), Seq(0), Instant::EPOCH, Instant::EPOCH, 0, 0, 0);
        let mut order = Vec::new();
        room::take(&mut order, SAMPLE as u64, SAMPLE, usize::MAX);
        Self { order, rows: vec![filler; SAMPLE].into_boxed_slice() }
    }

    /// Where in the order a publication stands, or would.
    fn find(&self, key: &(u64, PublisherId, Seq)) -> Result<usize, usize> {
        self.order.binary_search_by(|place| self.rows[*place].key().cmp(key))
    }

    fn get_mut(&mut self, key: &(u64, PublisherId, Seq)) -> Option<&mut Spread> {
        let found = self.find(key).ok()?;
        Some(&mut self.rows[self.order[found]])
    }

    /// Takes a publication that is not in it, unless all that are have lower hashes and there is room for no more.
    fn insert(&mut self, spread: Spread) {
        let mut place = self.order.len();
        if place == SAMPLE {
            let Some(last) = self.order.pop_if(|last| self.rows[*last].key() > spread.key()) else { return };
            place = last;
        }
        let before = self.find(&spread.key());
        debug_assert!(before.is_err(), "a publication leaves the ring once");
        self.rows[place] = spread;
        self.order.insert(before.unwrap_or_else(|at| at), place);
    }

    fn into_rows(self) -> Vec<Spread> {
        self.order.into_iter().map(|place| self.rows[place]).collect()
    }
}

impl InFlight {
    /// `each`: how many publications are expected of every publisher.
    pub(super) fn expecting(publishers: u32, shard: u32, each: u64) -> Self {
        let mut new = Self::new(publishers, shard);
        new.firsts.take_room(each);
        new
    }

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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const P: PublisherId = PublisherId(0);

    const fn us(us: u64) -> Instant {
        Instant::from_nanos(us * 1_000)
    }

    /// Gives one publication to receivers at these microseconds, of an audience of so many.
    fn reaches(in_flight: &mut InFlight, publication: (PublisherId, u32), audience: u32, times: &[u64]) {
        times.iter().for_each(|at| {
            in_flight.receive(publication.0, Seq(publication.1), us(1), us(*at), || audience);
        });
    }

    /// The points that a publication's way to its receivers is kept by.
    fn curve_of(spreads: &Spreads, seq: u32) -> Vec<(u32, Instant)> {
        spreads.rows().iter().find(|row| row.seq == Seq(seq)).expect("it is in the sample").curve().collect()
    }

    /// What the curve must be: the first receiver, the one that completes each eighth, and the last.
    fn naive_curve(audience: u32, times: &[u64]) -> Vec<(u32, Instant)> {
        let receivers = u32::try_from(times.len()).expect("small");
        let completes = |eighths: u32| (1..=audience).find(|n| 8 * n >= eighths * audience).expect("all are");
        let marks = (1..=8).map(completes).filter(|n| (2..receivers).contains(n));
        let points = [1].into_iter().chain(marks).chain((receivers > 1).then_some(receivers));
        points.map(|n| (n, us(times[n as usize - 1]))).collect()
    }

    #[test]
    fn an_eighth_is_completed_by_the_receiver_it_needs() {
        for (audience, eighths) in [
            (1, [1; 8]),
            (3, [1, 1, 2, 2, 2, 3, 3, 3]),
            (8, [1, 2, 3, 4, 5, 6, 7, 8]),
            (10, [2, 3, 4, 5, 7, 8, 9, 10]),
            (1_000, [125, 250, 375, 500, 625, 750, 875, 1_000]),
            (u32::MAX, [0x2000_0000, 0x4000_0000, 0x6000_0000, 0x8000_0000, 0xa000_0000, 0xc000_0000, 0xe000_0000, u32::MAX]),
        ] {
            assert_eq!([1, 2, 3, 4, 5, 6, 7, 8].map(|k| Spread::threshold(audience, k)), eighths, "of {audience}");
        }
    }

    proptest! {
        #[test]
        fn the_curve_goes_through_every_eighth_that_was_reached(
            audience in 1_u32..60,
            mut times in prop::collection::vec(2_u64..5_000, 1..80),
        ) {
            times.sort_unstable();
            let mut in_flight = InFlight::new(1, 0);
            reaches(&mut in_flight, (P, 0), audience, &times);
            let spreads = in_flight.finish();
            prop_assert_eq!(curve_of(&spreads, 0), naive_curve(audience, &times));
        }
    }

    #[test]
    fn shards_merge_to_the_publications_with_the_lowest_hashes() {
        let key = |publisher, seq| Spread::begin(publisher, seq, us(1), us(5), 0, 0, 1).key();
        // By shard: (publisher, from which number on, how many).
        for seen in [
            vec![vec![(0, 0, 100)], vec![(0, 50, 100)], vec![]],
            vec![vec![(0, 0, 3_000)], vec![(1, 0, 3_000)]],
            vec![vec![], vec![(0, 0, 6_000)], vec![(0, 2_000, 3_000), (1, 0, 5_000)], vec![(1, 4_000, 2_000)]],
        ] {
            let (mut merged, mut naive) = (Spreads::default(), BTreeSet::new());
            for (shard, runs) in (0_u32..).zip(&seen) {
                let mut in_flight = InFlight::new(2, shard);
                for (publisher, seq) in runs.iter().flat_map(|(p, from, many)| (*from..from + many).map(|seq| (PublisherId(*p), seq))) {
                    reaches(&mut in_flight, (publisher, seq), 1, &[5]);
                    naive.insert((key(publisher, Seq(seq)), shard));
                }
                merged.merge(in_flight.finish());
            }
            let keys: BTreeSet<_> = naive.iter().map(|(key, _)| *key).collect();
            let lowest: BTreeSet<_> = keys.into_iter().take(SAMPLE).collect();
            naive.retain(|(key, _)| lowest.contains(key));
            assert!(merged.rows().iter().map(|row| (row.key(), row.shard)).eq(naive), "{seen:?}");
            assert_eq!(merged.publications().count(), lowest.len(), "{seen:?}");
        }
    }

    #[test]
    fn one_receiver_is_one_point_and_two_are_two() {
        for audience in [0, 1, 2, 8, 100] {
            for times in [&[7][..], &[7, 30]] {
                let mut in_flight = InFlight::new(1, 0);
                reaches(&mut in_flight, (P, 0), audience, times);
                let due: Vec<_> = (1..).zip(times).map(|(n, at)| (n, us(*at))).collect();
                assert_eq!(curve_of(&in_flight.finish(), 0), due, "of {audience}");
            }
        }
    }

    #[test]
    fn who_joins_after_the_first_receipt_comes_after_the_last_mark() {
        let times: Vec<u64> = (0..12).map(|n| 10 + n * n).collect();
        let mut in_flight = InFlight::new(1, 0);
        reaches(&mut in_flight, (P, 0), 8, &times);
        let curve = curve_of(&in_flight.finish(), 0);
        assert_eq!(curve.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7, 8, 12]);
        assert_eq!((curve[7].1, curve[8].1), (us(59), us(131)));
    }

    #[test]
    fn receivers_that_come_when_a_publication_has_left_the_ring_count_and_leave_no_mark() {
        let mut in_flight = InFlight::new(1, 0);
        reaches(&mut in_flight, (P, 0), 8, &[10]);
        let depth = in_flight.depth;
        (1..=depth).for_each(|seq| reaches(&mut in_flight, (P, seq), 8, &[20, 21, 25]));
        // The publication in its place is still followed when one from before it comes again.
        reaches(&mut in_flight, (P, 0), 8, &[30, 9, 40, 41, 42, 43, 44]);
        reaches(&mut in_flight, (P, depth), 8, &[50]);
        let spreads = in_flight.finish();
        let row = |seq: u32| *spreads.rows().iter().find(|row| row.seq == Seq(seq)).expect("kept");
        assert_eq!((row(0).receivers, row(0).first, row(0).last, row(0).rank), (8, us(9), us(44), 0));
        assert_eq!(curve_of(&spreads, 0), [(1, us(9)), (8, us(44))]);
        assert_eq!((row(depth).receivers, row(depth).rank), (4, depth.into()));
        assert_eq!(curve_of(&spreads, depth), [(1, us(20)), (2, us(21)), (3, us(25)), (4, us(50))]);
    }

    #[test]
    fn one_that_was_overtaken_by_a_whole_ring_has_a_rank_of_its_own() {
        let mut in_flight = InFlight::new(1, 0);
        let depth = in_flight.depth;
        let mut receive = |seq, at| in_flight.receive(P, Seq(seq), us(1), us(at), || 2);
        assert_eq!((receive(depth, 10), receive(0, 20), receive(1, 30), receive(0, 40)), (0, 1, 2, 1));
        let spreads = in_flight.finish();
        let rows: BTreeSet<_> = spreads.rows().iter().map(|row| (row.seq.0, row.receivers, row.rank, row.last)).collect();
        assert_eq!(rows, [(0, 2, 1, us(40)), (1, 1, 2, us(30)), (depth, 1, 0, us(10))].into());
    }

    #[test]
    fn the_sample_is_drawn_from_the_whole_run_and_from_all_publishers_alike() {
        let mut in_flight = InFlight::new(2, 0);
        (0..8_192).for_each(|n| reaches(&mut in_flight, (PublisherId(n % 2), n / 2), 1, &[5]));
        let spreads = in_flight.finish();
        assert_eq!(spreads.rows().len(), SAMPLE);
        // A quarter of everything: a quarter of each part, and both of a pair one time in sixteen.
        let of = |within: &dyn Fn(&Spread) -> bool| spreads.rows().iter().filter(|row| within(row)).count();
        for (part, size) in [
            (of(&|row| row.publisher == P), 4_096),
            (of(&|row| row.seq < Seq(1_024)), 2_048),
            (of(&|row| row.seq >= Seq(3_072)), 2_048),
            (of(&|row| row.seq.0 % 2 == 0), 4_096),
        ] {
            assert!((size / 5..size * 3 / 10).contains(&part), "{part} of {size}");
        }
        let first: BTreeSet<_> = spreads.rows().iter().filter(|row| row.publisher == P).map(|row| row.seq).collect();
        let pairs = of(&|row| row.publisher != P && first.contains(&row.seq));
        assert!((175..350).contains(&pairs), "{pairs} pairs");
    }
}
