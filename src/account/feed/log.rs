//! What each shard's clients saw of the server's own broadcasts, broadcast by broadcast. Handed in with the send log and merged, it is
//! what every shard settles its own clients against: who saw a broadcast first, and who never did, nobody knows alone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::base::Instant;

/// The broadcasts of all shards that have spoken. `merge` is commutative and associative: a shard writes its own part only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::account) struct FeedLog {
    pub(super) parts: BTreeMap<u32, Part>,
}

/// One shard's part, room by room.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::account) struct Part {
    pub(super) rooms: Vec<RoomRows>,
}

/// What one shard's clients in one room saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RoomRows {
    /// Clients that became members.
    pub(super) members: u32,
    /// From when on the first of them was owed anything.
    pub(super) since: Instant,
    /// Broadcasts already judged by what this shard saw alone, to make room.
    pub(super) retired: u32,
    /// The first sight of the last of them; the epoch when there is none.
    pub(super) retired_until: Instant,
    /// The rest, in the order of their numbers.
    pub(super) rows: Vec<FeedRow>,
}

/// One broadcast as one shard saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FeedRow {
    /// Its identity, which it may share with others before and after it.
    pub(super) key: u64,
    /// When the first client of the shard had it.
    pub(super) first: Instant,
    /// Clients that got it.
    pub(super) receivers: u32,
    /// Of those, the ones that had a later one before.
    pub(super) behind: u32,
    /// Another with this key was on its way when it came.
    pub(super) repeat: bool,
    /// Its first receiver was new, and may have been given an old one.
    pub(super) doubt: bool,
}

impl FeedRow {
    pub(super) const fn new(key: u64, first: Instant, repeat: bool, doubt: bool) -> Self {
        Self { key, first, receivers: 0, behind: 0, repeat, doubt }
    }
}

impl Part {
    pub(super) fn new(rooms: u32) -> Self {
        let empty = RoomRows { members: 0, since: Instant::FAR, retired: 0, retired_until: Instant::EPOCH, rows: Vec::new() };
        Self { rooms: vec![empty; rooms as usize] }
    }

    /// How much it says; a later word of the same shard says more.
    fn said(&self) -> (u64, u64) {
        let rows = self.rooms.iter().map(|r| u64::from(r.retired) + r.rows.len() as u64).sum();
        let receivers = self.rooms.iter().flat_map(|r| &r.rows).map(|row| u64::from(row.receivers)).sum();
        (rows, receivers)
    }
}

impl FeedLog {
    /// The log of one shard that has seen nothing yet.
    pub(in crate::account) fn new(shard: u32, rooms: u32) -> Self {
        Self { parts: BTreeMap::from([(shard, Part::new(rooms))]) }
    }

    /// The shard's own part, to write on.
    pub(in crate::account) fn own(&mut self, shard: u32) -> Option<&mut Part> {
        self.parts.get_mut(&shard)
    }

    /// Takes over what `other` knows.
    pub(in crate::account) fn merge(&mut self, other: &Self) {
        for (shard, theirs) in &other.parts {
            match self.parts.get_mut(shard) {
                Some(mine) if mine.said() >= theirs.said() => {}
                Some(mine) => mine.clone_from(theirs),
                None => drop(self.parts.insert(*shard, theirs.clone())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a shard says that retired so many rows and keeps one for so many receivers each.
    fn word(retired: u32, receivers: &[u32]) -> FeedLog {
        let row = |receivers: &u32| FeedRow { receivers: *receivers, ..FeedRow::new(7, Instant::EPOCH, false, false) };
        let mut log = FeedLog::new(0, 1);
        let rows = &mut log.own(0).expect("its own").rooms[0];
        (rows.retired, rows.rows) = (retired, receivers.iter().map(row).collect());
        log
    }

    #[test]
    fn the_later_word_of_a_shard_stands_whichever_comes_first() {
        let mut words = vec![word(0, &[]), word(0, &[1]), word(0, &[2]), word(0, &[2, 1]), word(0, &[3, 3, 3])];
        // Later words say less of what has retired.
        words.extend([word(2, &[3, 1]), word(2, &[3, 3, 3, 3]), word(4, &[3, 3, 1]), word(6, &[3, 3])]);
        for (earlier, later) in words.iter().zip(&words[1..]) {
            for (first, second) in [(earlier, later), (later, earlier)] {
                let mut merged = FeedLog::default();
                [first, second].into_iter().for_each(|word| merged.merge(word));
                assert_eq!(&merged, later);
            }
        }
    }
}
