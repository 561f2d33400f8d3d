//! The rows of all shards put together: which rows are of one broadcast, who was first, what the majority saw. Everything here is a
//! function of the merged log alone, so every shard comes to the same answer, whatever the order of merging.

use std::collections::HashMap;

use super::EDGE;
use super::log::{FeedLog, FeedRow, RoomRows};
use super::stream::{Place, Seen, Stream};
use crate::base::{Instant, Span};

/// What is asked of the scenario.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) unique: bool,
    pub(super) horizon: Span,
    pub(super) within: Span,
}

/// What a broadcast turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// One: owed to everybody who was there.
    Real,
    /// A second copy that only a minority got.
    Duplicate,
    /// An old one for somebody who had just come, perhaps: neither owed nor wrong.
    Doubtful,
}

/// A broadcast as the whole run saw it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Broadcast {
    pub(super) key: u64,
    /// When the first client of the run had it.
    pub(super) first: Instant,
    pub(super) standing: Standing,
    /// Its number in the shard that asks, if that saw it.
    pub(super) own: Option<u32>,
    /// How much later than the run that shard first had it.
    pub(super) shift: Span,
    /// Of that shard's copies, those that came against the order the majority saw.
    pub(super) out_of_order: u32,
    /// Most had it behind a later one.
    pub(super) mostly_behind: bool,
    /// Where that shard first saw a later one before it: its number there.
    pub(super) overtaker: Option<u32>,
}

/// Whether so many `of` an audience are most of it.
pub(super) fn are_most(n: u32, of: u32) -> bool {
    u64::from(n) * 2 > u64::from(of)
}

/// One shard's part of a broadcast.
#[derive(Debug, Clone, Copy)]
struct Sight {
    shard: u32,
    number: u32,
    first: Instant,
    /// Clients of which the order is asked.
    receivers: u32,
    /// Copies that came behind a later broadcast, by the run's numbers.
    behind: u32,
    /// The number of the later one that the shard saw before it, if it did.
    overtaker: Option<u32>,
}

/// A shard on its way through the rows.
#[derive(Debug, Default)]
struct Walk {
    seen: Seen,
    /// The broadcast with the highest number it saw so far.
    top: usize,
    /// When the first of its members became one.
    there_from: Instant,
}

/// The merged log, and one shard's own, which may know more of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Logs<'a> {
    pub(super) all: &'a FeedLog,
    pub(super) own: &'a FeedLog,
    pub(super) shard: u32,
}

impl<'a> Logs<'a> {
    /// A shard's own alone.
    pub(super) const fn alone(own: &'a FeedLog, shard: u32) -> Self {
        Self { all: own, own, shard }
    }

    /// Every shard's part of a room, each once.
    pub(super) fn parts(self, room: usize) -> impl Iterator<Item = (u32, &'a RoomRows)> {
        let others = self.all.parts.iter().filter(move |(shard, _)| **shard != self.shard);
        let own = self.own.parts.get_key_value(&self.shard);
        others.chain(own).filter_map(move |(shard, part)| Some((*shard, part.rooms.get(room)?)))
    }

    /// Whether a room had fewer than two members: then nobody can be compared with anybody.
    pub(super) fn is_alone(self, room: usize) -> bool {
        self.parts(room).map(|(_, rows)| u64::from(rows.members)).sum::<u64>() < 2
    }
}

/// All broadcasts of `room` first seen after `after`, in the order in which the run first saw them.
pub(super) fn broadcasts(logs: Logs<'_>, room: usize, after: Instant, rules: Rules) -> Vec<Broadcast> {
    let own = logs.shard;
    let mut rows: Vec<(Instant, u32, u32, FeedRow)> = Vec::new();
    let mut walks: HashMap<u32, Walk> = HashMap::new();
    for (shard, part) in logs.parts(room) {
        let numbered = (part.retired..).zip(&part.rows).filter(|(_, row)| row.first >= after.before(rules.horizon));
        rows.extend(numbered.map(|(n, row)| (row.first, shard, n, *row)));
        walks.insert(shard, Walk { there_from: part.since.before(EDGE + EDGE), ..Walk::default() });
    }
    rows.sort_unstable_by_key(|(first, shard, n, _)| (*first, *shard, *n));
    let mut stream = Stream::new(rules.unique, rules.horizon);
    let mut merged: Vec<FeedRow> = Vec::new();
    let mut sights: Vec<Vec<Sight>> = Vec::new();
    for (first, shard, number, row) in rows {
        let walk = walks.entry(shard).or_default();
        let n = match stream.place(&walk.seen, row.key, first, &merged, 0) {
            Place::At(n) => n,
            Place::New { .. } | Place::Again(_) | Place::Before => {
                let repeat = !matches!(stream.place(&Seen::default(), row.key, first, &merged, 0), Place::New { repeat: false, .. });
                let n = stream.begin(row.key, first, &merged, 0);
                merged.push(FeedRow::new(row.key, first, repeat || row.repeat, row.doubt));
                sights.push(Vec::new());
                n
            }
        };
        let (mut behind, mut overtaker) = (row.behind, None);
        if walk.seen.enter(n) {
            // The shard first saw a later one: who had both in the run's order is marked there, and the others here.
            let later = sights[walk.top].iter_mut().find(|s| s.shard == shard).map(|s| (s.number, std::mem::take(&mut s.behind)));
            overtaker = later.map(|(number, _)| number);
            behind = row.receivers.saturating_sub(later.map_or(0, |(_, in_order)| in_order));
        } else {
            walk.top = n as usize;
        }
        let broadcast = &mut merged[n as usize];
        broadcast.receivers += row.receivers;
        broadcast.doubt &= row.doubt;
        // What the run had before any of the shard's clients was there is an old one to them all: it has no place in their order.
        let (receivers, behind) = if broadcast.first < walk.there_from { (0, 0) } else { (row.receivers, behind) };
        sights[n as usize].push(Sight { shard, number, first, receivers, behind, overtaker });
    }
    let standings = standings(&merged);
    let of = |((row, sights), standing): ((&FeedRow, &Vec<Sight>), Standing)| {
        let behind: u32 = sights.iter().map(|s| s.behind).sum();
        let mine = sights.iter().find(|s| s.shard == own);
        // Where most had it behind a later one, they had it in its place, and the others too early.
        let mostly_behind = are_most(behind, row.receivers);
        let against = |s: &Sight| if mostly_behind { s.receivers - s.behind } else { s.behind };
        Broadcast {
            key: row.key,
            first: row.first,
            standing,
            own: mine.map(|s| s.number),
            shift: mine.map_or(Span::ZERO, |s| s.first.since(row.first)),
            out_of_order: mine.map_or(0, against),
            mostly_behind,
            overtaker: mine.and_then(|s| s.overtaker),
        }
    };
    merged.iter().zip(&sights).zip(standings).map(of).filter(|broadcast| broadcast.first > after || after == Instant::EPOCH).collect()
}

/// What each of these is: a second occurrence of a key that only a minority of those got who had the one before is a duplicate. Where
/// exactly half got it, it is one when it came in less than half the time there usually is between broadcasts.
pub(super) fn standings(rows: &[FeedRow]) -> Vec<Standing> {
    let usual = match rows {
        [first, .., last] => last.first.since(first.first).as_nanos() / (rows.len() as u64 - 1),
        _ => 0,
    };
    // What came before the first rows has retired: then the best known audience stands in for the one before.
    let most = rows.iter().map(|row| row.receivers).max().unwrap_or(0);
    let mut before: HashMap<u64, (u32, Instant)> = HashMap::new();
    let mut standings = Vec::with_capacity(rows.len());
    for row in rows {
        let one_before = before.get(&row.key).copied().unwrap_or((most, Instant::EPOCH));
        let standing = match one_before {
            (receivers, first) if row.repeat => match (u64::from(row.receivers) * 2).cmp(&receivers.into()) {
                std::cmp::Ordering::Less | std::cmp::Ordering::Equal if row.doubt => Standing::Doubtful,
                std::cmp::Ordering::Less => Standing::Duplicate,
                std::cmp::Ordering::Equal if row.first.since(first).as_nanos() < usual / 2 => Standing::Duplicate,
                _ => Standing::Real,
            },
            _ => Standing::Real,
        };
        if standing == Standing::Real {
            before.insert(row.key, (row.receivers, row.first));
        }
        standings.push(standing);
    }
    standings
}

#[cfg(test)]
mod tests {
    use super::super::super::history::ms;
    use super::*;

    #[test]
    fn half_of_the_audience_makes_a_duplicate_of_what_comes_too_soon() {
        // Three rows in 200 ms: one each 100 ms is usual, and less than half of that is too soon.
        for (at, receivers, standing) in [
            (49, 2, Standing::Duplicate),
            (50, 2, Standing::Real),
            (99, 2, Standing::Real),
            (49, 3, Standing::Real),
            (99, 1, Standing::Duplicate),
        ] {
            let row = |key, at, receivers, repeat| FeedRow { receivers, ..FeedRow::new(key, ms(at), repeat, false) };
            let rows = [row(7, 0, 4, false), row(7, at, receivers, true), row(8, 200, 4, false)];
            assert_eq!(standings(&rows), [Standing::Real, standing, Standing::Real], "{receivers} of 4 after {at} ms");
        }
    }
}
