//! In which order a shard first saw the publications: four bytes for each, so that shards are compared over all of a long run and
//! not over a sample, in which two neighbours are seldom together.

use serde::{Deserialize, Serialize};

use super::room;
use super::spread::Spreads;
use crate::base::{Instant, PublisherId, Seq};

/// Publications whose rank is kept, over all publishers: 4 MiB a shard.
pub const RANKED: usize = 1 << 20;

/// What every publisher may keep however many there are.
const LEAST: usize = 64;

/// The rank of each publication in the order of first receipts on one shard.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Firsts {
    /// By publisher and sequence number: rank + 1; 0 where the shard saw none.
    ranks: Vec<Vec<u32>>,
    /// Sequence numbers kept of each publisher.
    room: usize,
    /// Whether there were more.
    beyond: bool,
}

/// A publication that two shards saw in different order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Overtaken {
    /// When the second of the shards first saw it, or the last publication before it of which that is known.
    pub first: Instant,
    /// Whose.
    pub publisher: PublisherId,
    /// Which.
    pub seq: Seq,
}

impl Firsts {
    pub(super) fn new(publishers: u32) -> Self {
        let room = (RANKED / publishers.max(1) as usize).max(LEAST);
        Self { ranks: vec![Vec::new(); publishers as usize], room, beyond: false }
    }

    /// Takes the room that so many publications of each publisher need now.
    pub(super) fn take_room(&mut self, publications: u64) {
        let most = self.room;
        self.ranks.iter_mut().for_each(|ranks| room::take(ranks, publications, most, u32::MAX));
    }

    /// Notes the rank at which a publication was first seen. One beyond the room is not kept.
    pub(super) fn note(&mut self, publisher: PublisherId, seq: Seq, rank: u64) {
        let (at, Some(ranks)) = (seq.0 as usize, self.ranks.get_mut(publisher.index())) else { return };
        let Some(rank) = u32::try_from(rank).ok().and_then(|rank| rank.checked_add(1)).filter(|_| at < self.room) else {
            self.beyond = true;
            return;
        };
        if at >= ranks.len() {
            ranks.resize(at + 1, 0);
        }
        ranks[at] = rank;
    }

    /// The rank, if it is kept.
    pub(super) fn rank(&self, publisher: PublisherId, seq: Seq) -> Option<u64> {
        let rank = *self.ranks.get(publisher.index())?.get(seq.0 as usize)?;
        (rank > 0).then(|| u64::from(rank) - 1)
    }
}

impl Spreads {
    /// Publications that somebody received; `None` where there were more than is kept of.
    #[must_use]
    pub fn reached(&self) -> Option<u64> {
        let publishers = self.firsts.values().map(|shard| shard.ranks.len()).max().unwrap_or(0);
        let of = |publisher: usize| self.firsts.values().filter_map(move |shard| shard.ranks.get(publisher));
        let reached = |publisher: usize| {
            let most = of(publisher).map(Vec::len).max().unwrap_or(0);
            (0..most).filter(|seq| of(publisher).any(|ranks| ranks.get(*seq).is_some_and(|rank| *rank > 0))).count() as u64
        };
        (!self.firsts.values().any(|shard| shard.beyond)).then(|| (0..publishers).map(reached).sum())
    }

    /// Publications that one shard first saw behind another publication, and its neighbour before it. Two shards whose clients all
    /// see one order first see publications in that order. Each shard is compared with the next, so that with every publication
    /// seen everywhere all pairs are covered; what only one shard saw contradicts nobody.
    #[must_use]
    pub fn contradictions(&self) -> Vec<Overtaken> {
        let shards: Vec<(&u32, &Firsts)> = self.firsts.iter().collect();
        let mut found = Vec::new();
        for (one, other) in shards.iter().zip(shards.iter().skip(1)) {
            let mut ordered = Vec::new();
            for (publisher, ranks) in (0..).map(PublisherId).zip(&one.1.ranks) {
                for (seq, rank) in (0..).map(Seq).zip(ranks).filter(|(_, rank)| **rank > 0) {
                    ordered.extend(other.1.rank(publisher, seq).map(|theirs| (*rank, theirs, publisher, seq)));
                }
            }
            ordered.sort_unstable();
            let known = self.known_instants(*other.0);
            let mut highest = 0;
            for (_, theirs, publisher, seq) in ordered {
                if theirs < highest {
                    let before = known.partition_point(|(rank, _)| *rank <= theirs);
                    let first = before.checked_sub(1).map_or(Instant::EPOCH, |at| known[at].1);
                    found.push(Overtaken { first, publisher, seq });
                }
                highest = highest.max(theirs);
            }
        }
        found.sort_unstable();
        found
    }

    /// (rank, first receipt) of the sampled publications of a shard, by rank.
    fn known_instants(&self, shard: u32) -> Vec<(u64, Instant)> {
        let mut known: Vec<_> = self.rows().iter().filter(|row| row.shard == shard).map(|row| (row.rank, row.first)).collect();
        known.sort_unstable();
        known
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::super::spread::{InFlight, SAMPLE};
    use super::*;

    /// What a shard makes of publications of two publishers, first received in this order, a microsecond apart.
    fn saw(shard: u32, order: impl IntoIterator<Item = (u32, u32)>) -> Spreads {
        let mut in_flight = InFlight::new(2, shard);
        for (n, (publisher, seq)) in (1_u64..).zip(order) {
            in_flight.receive(PublisherId(publisher), Seq(seq), Instant::EPOCH, Instant::from_nanos(n * 1_000), || 1);
        }
        in_flight.finish()
    }

    fn both(mut one: Spreads, other: Spreads) -> Spreads {
        one.merge(other);
        one
    }

    #[test]
    fn one_pair_out_of_order_is_found_among_far_more_publications_than_the_sample_holds() {
        let all = || (0..50_000).map(|n| (n % 2, n / 2));
        let mut swapped: Vec<_> = all().collect();
        swapped.swap(41_000, 41_001);
        let spreads = both(saw(0, all()), saw(1, swapped.clone()));
        assert_eq!(spreads.publications().count(), SAMPLE);
        assert_eq!(both(saw(0, all()), saw(1, all())).contradictions(), []);
        let found = spreads.contradictions();
        assert_eq!(found.iter().map(|o| (o.publisher.0, o.seq.0)).collect::<Vec<_>>(), [(1, 20_500)]);
        let (at, about) = (found[0].first.as_nanos(), 41_001_000);
        assert!(at <= about && about - at < 1_000_000, "{at} is not shortly before {about}");
        assert_eq!(both(saw(1, swapped), saw(0, all())), spreads, "whichever is merged into which");
    }

    #[test]
    fn what_only_one_shard_saw_contradicts_nobody_and_was_reached() {
        let spreads = both(saw(0, [(0, 0), (0, 1), (1, 0)]), saw(1, [(0, 1), (1, 5)]));
        assert_eq!((spreads.contradictions(), spreads.reached()), (Vec::new(), Some(4)));
        assert_eq!(Spreads::default().reached(), Some(0));
    }

    #[test]
    fn when_is_told_by_the_shard_that_saw_it_out_of_order() {
        let mut late = InFlight::new(1, 1);
        for (n, seq) in [(1_001, 1), (1_002, 0)] {
            late.receive(PublisherId(0), Seq(seq), Instant::EPOCH, Instant::from_nanos(n * 1_000), || 1);
        }
        let found = both(saw(0, [(0, 0), (0, 1)]), late.finish()).contradictions();
        assert_eq!(found, [Overtaken { first: Instant::from_nanos(1_001_000), publisher: PublisherId(0), seq: Seq(1) }]);
    }

    #[test]
    fn the_room_taken_at_the_start_changes_nothing_and_suffices() {
        let mut firsts = Firsts::new(2);
        firsts.take_room(1_000);
        assert_eq!(firsts, Firsts::new(2));
        let room: Vec<usize> = firsts.ranks.iter().map(Vec::capacity).collect();
        (0..1_000).for_each(|n| firsts.note(PublisherId(n % 2), Seq(n), u64::from(n)));
        assert_eq!(firsts.ranks.iter().map(Vec::capacity).collect::<Vec<_>>(), room);
        firsts.take_room(u64::MAX);
        assert!(firsts.ranks.iter().all(|ranks| ranks.capacity() <= RANKED), "bounded whatever is planned");
    }

    #[test]
    fn beyond_the_room_nothing_is_claimed() {
        let room = u32::try_from(RANKED / 2).expect("small");
        let spreads = saw(0, [(0, room - 1), (0, room), (1, 3)]);
        assert_eq!(spreads.reached(), None);
        assert_eq!(saw(0, [(0, room - 1), (1, 3)]).reached(), Some(2));
    }

    #[test]
    fn a_copy_that_comes_when_its_publication_has_left_the_ring_keeps_its_rank() {
        let mut in_flight = InFlight::new(1, 0);
        let mut receive = |seq| in_flight.receive(PublisherId(0), Seq(seq), Instant::EPOCH, Instant::EPOCH, || 2);
        let ranks: Vec<u64> = (0..20_000).map(&mut receive).collect();
        assert_eq!(ranks[19_999], 19_999);
        assert!((0..20_000).step_by(7).all(|seq| receive(seq) == u64::from(seq)));
    }

    #[test]
    fn a_rank_is_kept_where_there_is_room_and_said_to_be_beyond_where_there_is_none() {
        let highest = u64::from(u32::MAX) - 1;
        for (publishers, publisher, seq, rank, kept, beyond) in [
            (1, 0, 0, 0, true, false),
            (1, 0, 7, highest, true, false),
            (1, 0, 7, highest + 1, false, true),
            (1, 0, 7, u64::MAX, false, true),
            (1, 0, (1 << 20) - 1, 5, true, false),
            (1, 0, 1 << 20, 5, false, true),
            (4, 3, (1 << 18) - 1, 5, true, false),
            (4, 3, 1 << 18, 5, false, true),
            (1 << 16, 65_535, 63, 5, true, false),
            (1 << 16, 65_535, 64, 5, false, true),
            // A publisher nobody has heard of is not one too many.
            (4, 4, 0, 5, false, false),
        ] {
            let mut firsts = Firsts::new(publishers);
            firsts.note(PublisherId(publisher), Seq(seq), rank);
            let place = format!("publisher {publisher} of {publishers}, number {seq}, rank {rank}");
            assert_eq!(firsts.rank(PublisherId(publisher), Seq(seq)), kept.then_some(rank), "{place}");
            assert_eq!(firsts.beyond, beyond, "{place}");
            let neighbours = [seq.saturating_sub(1), seq + 1].into_iter().filter(|other| *other != seq);
            assert!(neighbours.into_iter().all(|other| firsts.rank(PublisherId(publisher), Seq(other)).is_none()), "{place}");
        }
    }

    #[test]
    fn who_was_overtaken_is_named_with_the_instant_it_was_seen_at() {
        // The later shard sees one publication a microsecond, from the first on; the expected are (µs, number).
        for (one, other, expected) in [
            (&[0, 1, 2, 3][..], &[0, 1, 2, 3][..], &[][..]),
            (&[0, 1, 2, 3], &[0, 2, 1, 3], &[(2, 2)]),
            (&[0, 1, 2, 3], &[3, 0, 1, 2], &[(1, 3)]),
            (&[3, 0, 1, 2], &[0, 1, 2, 3], &[(1, 0), (2, 1), (3, 2)]),
            (&[0, 1, 2, 3], &[3, 2, 1, 0], &[(1, 3), (2, 2), (3, 1)]),
            (&[0, 2], &[2, 1, 0], &[(1, 2)]),
            (&[], &[1, 0], &[]),
        ] {
            let of = |order: &[u32]| order.iter().map(|seq| (0, *seq)).collect::<Vec<_>>();
            let found = both(saw(3, of(one)), saw(7, of(other))).contradictions();
            let found: Vec<_> = found.iter().map(|o| (o.first.as_nanos() / 1_000, o.seq.0)).collect();
            assert_eq!(found, expected, "{one:?} and {other:?}");
        }
    }

    /// The orders in which three shards first saw some of twelve publications of two publishers.
    fn orders() -> impl Strategy<Value = Vec<Vec<(u32, u32)>>> {
        let order = Just((0..12).map(|n| (n % 2, n / 2)).collect::<Vec<_>>()).prop_shuffle();
        let some = (order, 0_usize..13).prop_map(|(order, many)| order.into_iter().take(many).collect());
        prop::collection::vec(some, 3)
    }

    proptest! {
        #[test]
        fn contradictions_are_those_that_comparing_every_pair_finds(orders in orders(), turn in 0_usize..3) {
            let mut naive = Vec::new();
            for pair in orders.windows(2) {
                let place = |shard: usize, publication| pair[shard].iter().position(|seen| seen == publication);
                let common: Vec<_> = pair[0].iter().filter_map(|p| Some((p, place(0, p)?, place(1, p)?))).collect();
                let overtaken = common.iter().filter(|(_, one, other)| common.iter().any(|(_, a, b)| a < one && b > other));
                naive.extend(overtaken.map(|(p, _, other)| (1_000 * (*other as u64 + 1), p.0, p.1)));
            }
            naive.sort_unstable();
            let mut shards: Vec<_> = (0..).zip(&orders).map(|(shard, order)| saw(shard, order.iter().copied())).collect();
            shards.rotate_left(turn);
            let spreads = shards.into_iter().fold(Spreads::default(), both);
            let found: Vec<_> = spreads.contradictions().iter().map(|o| (o.first.as_nanos(), o.publisher.0, o.seq.0)).collect();
            prop_assert_eq!(found, naive);
            let reached: BTreeSet<_> = orders.iter().flatten().collect();
            prop_assert_eq!(spreads.reached(), Some(reached.len() as u64));
        }
    }
}
