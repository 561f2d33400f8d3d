//! Which broadcast a received message is a copy of. Messages with the same key are told apart by their occurrence: a copy belongs to
//! the oldest broadcast of its key that is still on its way and that its receiver has not had. A key that comes again and again at a
//! steady pace (a clock that always says the same) is waited for half its period, so that what one client lost is not made up for by
//! the next one.
//!
//! The members are the clients of a shard, and, when shards are compared, the shards of a run: the same rule decides both.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use super::super::ranges::Ranges;
use super::log::FeedRow;
use crate::base::{Instant, Span};

/// Broadcasts on their way at once; of more, the oldest are given up.
const MOST_LIVE: usize = 1 << 16;
/// Occurrences of a key from which a steady pace is believed.
const PACED: usize = 4;
/// Occurrences looked at for it.
const LOOKED_AT: usize = 8;
/// A pace faster than twice this is not told from a jitter.
const LEAST_WINDOW: Span = Span::from_millis(20);

/// What one member has had, by number.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// What was before its time.
    pub(super) base: u32,
    /// One past the highest it had.
    pub(super) next: u32,
    /// Below that, what it had not.
    pub(super) missing: Ranges,
}

impl Seen {
    pub(super) fn starting(at: u32) -> Self {
        Self { base: at, next: at, missing: Ranges::default() }
    }

    /// Whether it had number `n`, or was not there for it.
    pub(super) fn has(&self, n: u32) -> bool {
        n < self.next && !self.missing.contains(n)
    }

    /// What lies below `n` is over.
    pub(super) fn cut_below(&mut self, n: u32) {
        self.base = self.base.max(n);
        self.next = self.next.max(n);
        self.missing.cut_below(n);
    }

    /// Enters `n`; true when it comes behind a later one.
    pub(super) fn enter(&mut self, n: u32) -> bool {
        if n >= self.next {
            self.missing.insert(self.next, n);
            self.next = n + 1;
            return false;
        }
        self.missing.remove(n)
    }
}

/// Where a message belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// To this broadcast.
    At(u32),
    /// To one that nobody here had before. Another of its key may be on its way (`repeat`), which may have been sent before its
    /// receiver's time (`doubt`).
    New { repeat: bool, doubt: bool },
    /// To one its receiver had, where no key comes twice.
    Again(u32),
    /// To one from before its receiver's time, where no key comes twice.
    Before,
}

/// Keys are hashes already, or small numbers: one multiplication spreads both.
#[derive(Debug, Default)]
pub(super) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }
    fn write_u64(&mut self, n: u64) {
        let product = u128::from(self.0 ^ n) * 0x9e37_79b9_7f4a_7c15;
        #[expect(clippy::cast_possible_truncation, reason = "the two halves of a product, mixed")]
        let mixed = (product >> 64) as u64 ^ product as u64;
        self.0 = mixed;
    }
}

/// The broadcasts of one key that are on their way.
#[derive(Debug)]
struct Live {
    /// In the order in which they were first seen.
    numbers: VecDeque<u32>,
    /// How long a copy of one of them is waited for.
    window: Span,
}

/// The broadcasts of one room as its members see them. Rows are kept by whoever asks: number `n` is `rows[n - first]`.
#[derive(Debug)]
pub(super) struct Stream {
    unique: bool,
    /// How long a broadcast is waited for where its key tells it from all others.
    horizon: Span,
    live: HashMap<u64, Live, BuildHasherDefault<KeyHasher>>,
    /// All that are on their way, the oldest first.
    ages: VecDeque<(Instant, u64)>,
    /// How many there were.
    pub(super) count: u32,
}

impl Stream {
    pub(super) fn new(unique: bool, horizon: Span) -> Self {
        Self { unique, horizon, live: HashMap::default(), ages: VecDeque::new(), count: 0 }
    }

    /// Where a message with this key belongs that came at `at` to a member that had `seen`; `rows` are those from number `first` on.
    pub(super) fn place(&self, seen: &Seen, key: u64, at: Instant, rows: &[FeedRow], first: u32) -> Place {
        let row = |n: u32| n.checked_sub(first).and_then(|i| rows.get(i as usize));
        // The ordinary case: the newest broadcast, and nothing else is missing.
        if let Some(newest) = self.count.checked_sub(1).filter(|newest| *newest == seen.next)
            && let Some(row) = row(newest).filter(|row| row.key == key && !row.repeat && at.since(row.first) <= self.horizon)
        {
            debug_assert!(row.receivers < u32::MAX);
            return Place::At(newest);
        }
        let Some(live) = self.live.get(&key) else { return Place::New { repeat: false, doubt: false } };
        let oldest = live.numbers.front().copied().unwrap_or(0).max(seen.base);
        let unseen = seen.missing.overlaps(oldest, seen.next.max(oldest)).next().map_or(seen.next, |(from, _)| from);
        let from = live.numbers.partition_point(|n| *n < unseen);
        let eligible = |n: &u32| row(*n).is_some_and(|row| at.since(row.first) <= live.window);
        if let Some(n) = live.numbers.range(from..).copied().find(|n| !seen.has(*n) && eligible(n)) {
            return Place::At(n);
        }
        let Some(newest) = live.numbers.back().copied().filter(|n| row(*n).is_some_and(|row| at.since(row.first) <= self.horizon)) else {
            return Place::New { repeat: false, doubt: false };
        };
        match (self.unique, newest < seen.base) {
            (true, true) => Place::Before,
            (true, false) => Place::Again(newest),
            (false, doubt) => Place::New { repeat: true, doubt },
        }
    }

    /// Takes in a new broadcast and gives its number; its row must be put behind `rows` by the caller.
    pub(super) fn begin(&mut self, key: u64, at: Instant, rows: &[FeedRow], first: u32) -> u32 {
        while let Some((oldest, old)) = self.ages.front().copied()
            && (at.since(oldest) > self.horizon || self.ages.len() >= MOST_LIVE)
        {
            self.ages.pop_front();
            if let Some(live) = self.live.get_mut(&old) {
                live.numbers.pop_front();
                if live.numbers.is_empty() {
                    self.live.remove(&old);
                }
            }
        }
        let n = self.count;
        self.count += 1;
        self.ages.push_back((at, key));
        let horizon = self.horizon;
        let live = self.live.entry(key).or_insert_with(|| Live { numbers: VecDeque::with_capacity(1), window: horizon });
        live.numbers.push_back(n);
        live.window = window(live, at, rows, first).unwrap_or(horizon);
        n
    }
}

/// Half the longest of the last gaps between broadcasts of a key, where there were enough of them.
fn window(live: &Live, at: Instant, rows: &[FeedRow], first: u32) -> Option<Span> {
    if live.numbers.len() < PACED {
        return None;
    }
    let firsts = live.numbers.iter().rev().skip(1).take(LOOKED_AT).filter_map(|n| Some(rows.get(n.checked_sub(first)? as usize)?.first));
    let mut later = at;
    let mut longest = Span::ZERO;
    for earlier in firsts {
        longest = longest.max(later.since(earlier));
        later = earlier;
    }
    Some(Span::from_nanos(longest.as_nanos() / 2).max(LEAST_WINDOW))
}

#[cfg(test)]
mod tests {
    use super::super::super::history::ms;
    use super::*;

    /// A stream that waits ten seconds, and its rows.
    struct Run {
        stream: Stream,
        rows: Vec<FeedRow>,
    }

    impl Run {
        fn new() -> Self {
            Self { stream: Stream::new(false, Span::from_secs(10)), rows: Vec::new() }
        }

        fn begin(&mut self, key: u64, at: Instant) -> u32 {
            let (n, repeat) = (self.stream.begin(key, at, &self.rows, 0), self.rows.iter().any(|row| row.key == key));
            self.rows.push(FeedRow::new(key, at, repeat, false));
            n
        }

        /// Where a message belongs for a member that has had the first so many.
        fn place(&self, had: u32, key: u64, at: Instant) -> Place {
            let mut seen = Seen::default();
            (0..had).for_each(|n| assert!(!seen.enter(n)));
            self.stream.place(&seen, key, at, &self.rows, 0)
        }
    }

    const NANO: Span = Span::from_nanos(1);

    #[test]
    fn a_broadcast_is_waited_for_to_the_end_of_its_horizon() {
        let mut run = Run::new();
        run.begin(1, ms(0));
        let unheard_of = Place::New { repeat: false, doubt: false };
        assert_eq!([run.place(0, 1, ms(10_000)), run.place(0, 1, ms(10_000) + NANO)], [Place::At(0), unheard_of]);
        // That another one begins at that instant changes nothing.
        run.begin(2, ms(10_000));
        assert_eq!([run.place(0, 1, ms(10_000)), run.place(0, 1, ms(10_000) + NANO)], [Place::At(0), unheard_of]);
    }

    #[test]
    fn what_is_no_longer_waited_for_takes_no_room() {
        let mut run = Run::new();
        for n in 0..100 {
            run.begin(n, ms(1_000 * n));
        }
        assert_eq!((run.stream.ages.len(), run.stream.live.len()), (11, 11));
    }

    #[test]
    fn a_steady_key_is_waited_for_half_its_period_from_the_fourth_on() {
        let mut run = Run::new();
        let another = Place::New { repeat: true, doubt: false };
        for n in 0..6 {
            let (number, at) = (run.begin(7, ms(100 * n)), ms(100 * n));
            let half = at + Span::from_millis(50);
            assert_eq!(run.place(number, 7, half), Place::At(number), "of {}", n + 1);
            let due = if n < 3 { Place::At(number) } else { another };
            assert_eq!([run.place(number, 7, half + NANO), run.place(number, 7, ms(100 * n + 100))], [due, due], "of {}", n + 1);
        }
    }
}
