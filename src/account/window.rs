//! What one client has seen of one publisher, in sixteen bytes: where the sequence stands and which of the last 64
//! publications arrived. What falls out of the window unseen is kept as ranges beside it ([`Gaps`]).

use super::ranges::Ranges;

/// How far behind the first publication seen a window begins, so that reordering around a join is not taken for
/// anything else.
const BEFORE_FIRST: u32 = 32;

/// A window trailing the highest sequence number seen (as RFC 4303's anti-replay window): bit *i* of `mask` tells whether
/// `next` − 1 − *i* arrived. An empty mask is a window that has seen nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Window {
    /// One above the highest seen.
    pub(super) next: u32,
    /// Where the books of this pair begin; what arrives below is kept in [`Gaps::early`].
    pub(super) first: u32,
    mask: u64,
}

/// What an arrival was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// The first of this publication, in its place or beyond.
    Ahead,
    /// The first of this publication, behind a later one.
    Behind,
    /// Seen before.
    Again,
    /// Below the window: the gaps know.
    Below,
}

impl Window {
    /// The one road nearly every copy takes: the next in order, with nothing missing at the window's far end.
    #[inline]
    pub(super) const fn in_order(&mut self, seq: u32) -> bool {
        if seq == self.next && (self.mask >> 63 == 1 || self.next - self.first < 64) {
            self.mask = self.mask << 1 | 1;
            self.next = seq.wrapping_add(1);
            true
        } else {
            false
        }
    }

    /// Any arrival; `seq` below `u32::MAX`. Runs that fall out of the window unseen are told to `gap` as `[from, to)`.
    pub(super) fn arrive(&mut self, seq: u32, mut gap: impl FnMut(u32, u32)) -> Arrival {
        if self.in_order(seq) {
            return Arrival::Ahead;
        }
        if self.mask == 0 {
            self.first = seq.saturating_sub(BEFORE_FIRST);
            self.next = seq + 1;
            self.mask = 1;
            return Arrival::Ahead;
        }
        if seq < self.next {
            let age = self.next - 1 - seq;
            if seq < self.first || age >= 64 {
                return Arrival::Below;
            }
            let bit = 1 << age;
            if self.mask & bit != 0 {
                return Arrival::Again;
            }
            self.mask |= bit;
            return Arrival::Behind;
        }
        self.slide(seq, &mut gap);
        Arrival::Ahead
    }

    /// Moves the window up so that `seq` is its newest, telling `gap` what falls out unseen.
    fn slide(&mut self, seq: u32, gap: &mut impl FnMut(u32, u32)) {
        let floor = (seq + 1).saturating_sub(64).max(self.first);
        let shift = seq + 1 - self.next;
        let mut open: Option<u32> = None;
        for old in self.low()..floor.min(self.next) {
            match (self.seen(old), open) {
                (false, None) => open = Some(old),
                (true, Some(from)) => {
                    gap(from, old);
                    open = None;
                }
                _ => {}
            }
        }
        if floor > self.next {
            gap(open.unwrap_or(self.next), floor);
        } else if let Some(from) = open {
            gap(from, floor);
        }
        self.mask = if shift >= 64 { 1 } else { self.mask << shift | 1 };
        self.next = seq + 1;
    }

    /// The lowest sequence number the mask speaks of.
    pub(super) const fn low(&self) -> u32 {
        let low = self.next.saturating_sub(64);
        if low > self.first { low } else { self.first }
    }

    /// Whether the mask says that `seq`, within `[low, next)`, arrived.
    pub(super) const fn seen(&self, seq: u32) -> bool {
        self.mask >> (self.next - 1 - seq) & 1 == 1
    }

    /// All of `[0, count)` and nothing else arrived, as far as the window alone can tell (gaps must be asked too).
    pub(super) const fn holds_all_of(&self, count: u32) -> bool {
        let full = if count >= 64 { u64::MAX } else { (1 << count) - 1 };
        self.next == count && self.first == 0 && self.mask == full
    }
}

/// What did not fit the window of one pair.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Gaps {
    /// Fell out of the window unseen: missing, unless they still come.
    pub(super) holes: Ranges,
    /// Arrived below the window's beginning.
    pub(super) early: Ranges,
    /// Holes that could not be kept because the table was full.
    pub(super) forgotten: u32,
}

/// Tells `tell` the unseen ranges of a pair within `[from, to)`, ascending.
pub(super) fn unseen(window: &Window, gaps: Option<&Gaps>, from: u32, to: u32, mut tell: impl FnMut(u32, u32)) {
    let mut told = |from: u32, to: u32| {
        if from < to {
            tell(from, to);
        }
    };
    let mut at = from;
    for (a, b) in gaps.iter().flat_map(|gaps| gaps.early.overlaps(from, to.min(window.first))) {
        told(at, a);
        at = b;
    }
    told(at, to.min(window.first));
    for (a, b) in gaps.iter().flat_map(|gaps| gaps.holes.overlaps(from.max(window.first), to)) {
        told(a, b);
    }
    let mut open = None;
    for seq in window.low().max(from)..window.next.min(to) {
        match (window.seen(seq), open) {
            (false, None) => open = Some(seq),
            (true, Some(start)) => {
                told(start, seq);
                open = None;
            }
            _ => {}
        }
    }
    if let Some(start) = open {
        told(start, window.next.min(to));
    }
    told(window.next.max(from), to);
}

/// How many of `[from, to)` arrived at a pair.
pub(super) fn seen_in(window: &Window, gaps: Option<&Gaps>, from: u32, to: u32) -> u64 {
    let mut missing = 0;
    unseen(window, gaps, from, to, |a, b| missing += u64::from(b - a));
    u64::from(to.saturating_sub(from)) - missing
}

impl Gaps {
    /// How many ranges they take.
    pub(super) const fn len(&self) -> usize {
        self.holes.len() + self.early.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::super::copies::{Place, RangeRoom, Seat};
    use super::*;

    /// A window that saw these, and what it told to be gaps.
    fn seeing(seqs: impl IntoIterator<Item = u32>) -> (Window, Vec<(u32, u32)>) {
        let (mut window, mut gaps) = (Window::default(), Vec::new());
        for seq in seqs {
            window.arrive(seq, |from, to| gaps.push((from, to)));
        }
        (window, gaps)
    }

    #[test]
    fn the_first_publication_may_fall_out_of_the_window_unseen() {
        let (mut window, gaps) = seeing(1..64);
        assert_eq!((window.next, window.first, gaps), (64, 0, vec![]), "full, and the oldest place is empty");
        let mut told = Vec::new();
        assert_eq!(window.arrive(64, |from, to| told.push((from, to))), Arrival::Ahead);
        assert_eq!(told, [(0, 1)]);
        let (_, gaps) = seeing((0..64).chain([64, 65]));
        assert_eq!(gaps, [], "nothing is missing where it was seen");
    }

    #[test]
    fn what_slides_out_unseen_is_told_once_and_whole() {
        for (seqs, expected) in [
            (vec![0, 200], vec![(1, 137)]),
            (vec![0, 1, 3, 4, 7, 70], vec![(2, 3), (5, 7)]),
            (vec![0, 63, 127], vec![(1, 63)]),
            (vec![0, 63, 128], vec![(1, 63), (64, 65)]),
            (vec![0, 64], vec![]),
            (vec![0, 65], vec![(1, 2)]),
        ] {
            assert_eq!(seeing(seqs.clone()).1, expected, "{seqs:?}");
        }
    }

    #[test]
    fn all_of_so_many_means_neither_less_nor_more() {
        for count in [1, 2, 63, 64, 65, 200] {
            let (window, _) = seeing(0..count);
            assert!(window.holds_all_of(count), "{count}");
            assert!(!window.holds_all_of(count + 1) && !window.holds_all_of(count - 1), "{count}");
        }
        assert!(!seeing([0, 2]).0.holds_all_of(3), "one is missing");
        assert!(!seeing(40..104).0.holds_all_of(104), "the beginning was not seen");
    }

    #[test]
    fn the_next_in_order_takes_the_short_road_unless_something_falls_out_unseen() {
        // A window begins up to 32 before the first it sees, and holds 64.
        for (first_seen, falls_out) in [(0, None), (1, Some(64)), (31, Some(64)), (32, Some(64)), (33, Some(65)), (100, Some(132))] {
            let (mut window, _) = seeing([first_seen]);
            let next = falls_out.unwrap_or(500);
            assert!((first_seen + 1..next).all(|seq| window.in_order(seq)), "{first_seen} and on");
            let before = window;
            let refused = [next - 1, next + 1].into_iter().chain(falls_out);
            assert!(refused.into_iter().all(|seq| !window.in_order(seq)), "{first_seen} and on");
            assert_eq!(window, before, "what takes the long road is not entered yet");
            (next..next + 32).for_each(|seq| assert_eq!(window.arrive(seq, |_, _| {}), Arrival::Ahead));
            assert!((next + 32..next + 300).all(|seq| window.in_order(seq)), "{first_seen} and on");
        }
        let (mut window, _) = seeing([0, 1, 3]);
        assert!((4..66).all(|seq| window.in_order(seq)) && !window.in_order(66), "a hole holds nobody up until it falls out");
    }

    proptest! {
        #[test]
        fn what_was_not_seen_is_told_in_ranges(
            begin in prop_oneof![Just(0_u32), 1_u32..200],
            steps in prop::collection::vec((0_u32..90, 1_u32..40, 0_u32..90), 0..12),
            ends in prop::collection::vec((0_u32..1_000, 0_u32..1_000), 8),
        ) {
            let (mut seat, mut room, mut seen) = (Seat::new(u32::MAX), RangeRoom::default(), BTreeSet::new());
            seat.sit(1);
            let mut at = begin;
            for (ahead, many, back) in steps {
                at += ahead;
                for seq in at..at + many {
                    let place = seat.enter(0, seq, &mut room);
                    prop_assert_eq!(place == Place::Again, !seen.insert(seq), "{}", seq);
                }
                at = (at + many).saturating_sub(back);
            }
            for (from, to) in ends {
                let mut told = Vec::new();
                unseen(&seat.windows[0], seat.gaps.get(&0), from, to, |a, b| told.push((a, b)));
                prop_assert!(told.iter().all(|(a, b)| a < b) && told.windows(2).all(|w| w[0].1 <= w[1].0), "{:?}", told);
                let all: Vec<u32> = told.iter().flat_map(|(a, b)| *a..*b).collect();
                let naive: Vec<u32> = (from..to).filter(|seq| !seen.contains(seq)).collect();
                prop_assert_eq!(seen_in(&seat.windows[0], seat.gaps.get(&0), from, to), (from..to).len() as u64 - naive.len() as u64);
                prop_assert_eq!(all, naive);
            }
        }
    }
}
