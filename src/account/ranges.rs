//! Sets of sequence numbers as sorted, disjoint, non-touching half-open ranges.

use serde::{Deserialize, Serialize};

/// A set of `u32`, small when its members lie together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ranges(Vec<(u32, u32)>);

impl Ranges {
    /// How many ranges it takes.
    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether `n` is in.
    pub(super) fn contains(&self, n: u32) -> bool {
        let i = self.0.partition_point(|r| r.1 <= n);
        self.0.get(i).is_some_and(|r| r.0 <= n)
    }

    /// Adds `[from, to)`.
    pub(super) fn insert(&mut self, from: u32, to: u32) {
        if from >= to {
            return;
        }
        let first = self.0.partition_point(|r| r.1 < from);
        let last = self.0.partition_point(|r| r.0 <= to);
        if first == last {
            self.0.insert(first, (from, to));
        } else {
            let joined = (self.0[first].0.min(from), self.0[last - 1].1.max(to));
            self.0.splice(first..last, [joined]);
        }
    }

    /// Adds `n` without taking another range: whatever lies between it and its neighbour comes in too.
    pub(super) fn widen(&mut self, n: u32) {
        let i = self.0.partition_point(|r| r.1 <= n);
        match (i.checked_sub(1).and_then(|before| self.0.get(before)), self.0.get(i)) {
            (Some(&(_, end)), _) => self.insert(end, n + 1),
            (None, Some(&(start, _))) => self.insert(n, start),
            (None, None) => self.insert(n, n + 1),
        }
    }

    /// How many members there are.
    pub(super) fn count(&self) -> u64 {
        self.0.iter().map(|(from, to)| u64::from(to - from)).sum()
    }

    /// Takes `n` out; false when it was not in.
    pub(super) fn remove(&mut self, n: u32) -> bool {
        let i = self.0.partition_point(|r| r.1 <= n);
        let Some(&(from, to)) = self.0.get(i).filter(|r| r.0 <= n) else { return false };
        let rest: &[(u32, u32)] = &[(from, n), (n + 1, to)];
        self.0.splice(i..=i, rest.iter().copied().filter(|r| r.0 < r.1));
        true
    }

    /// Takes out everything below `n`.
    pub(super) fn cut_below(&mut self, n: u32) {
        let first = self.0.partition_point(|r| r.1 <= n);
        self.0.drain(..first);
        if let Some(range) = self.0.first_mut() {
            range.0 = range.0.max(n);
        }
    }

    /// How many members lie in `[from, to)`.
    #[cfg(test)]
    pub(super) fn count_in(&self, from: u32, to: u32) -> u64 {
        self.overlaps(from, to).map(|(a, b)| u64::from(b - a)).sum()
    }

    /// The parts of the set within `[from, to)`.
    pub(super) fn overlaps(&self, from: u32, to: u32) -> impl Iterator<Item = (u32, u32)> + '_ {
        let start = self.0.partition_point(|r| r.1 <= from);
        self.0[start..].iter().take_while(move |r| r.0 < to).map(move |r| (r.0.max(from), r.1.min(to))).filter(|r| r.0 < r.1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn widening_takes_the_nearest_range_along() {
        for (ranges, n, expected) in [
            (vec![], 5, vec![(5, 6)]),
            (vec![(2, 4)], 7, vec![(2, 8)]),
            (vec![(9, 12)], 7, vec![(7, 12)]),
            (vec![(2, 4), (9, 12)], 7, vec![(2, 8), (9, 12)]),
            (vec![(2, 4), (9, 12)], 8, vec![(2, 12)]),
        ] {
            let mut wide = Ranges(ranges);
            wide.widen(n);
            assert_eq!(wide, Ranges(expected), "by {n}");
        }
    }

    proptest! {
        #[test]
        fn ranges_are_a_set(steps in prop::collection::vec((any::<bool>(), 0_u32..60, 0_u32..8), 0..60)) {
            let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
            for (add, from, len) in steps {
                if add {
                    ranges.insert(from, from + len);
                    set.extend(from..from + len);
                } else {
                    prop_assert_eq!(ranges.remove(from), set.remove(&from));
                }
                prop_assert_eq!(ranges.count(), set.len() as u64);
                prop_assert!(ranges.0.windows(2).all(|w| w[0].1 < w[1].0), "sorted and apart: {:?}", ranges);
            }
            let mut cut = ranges.clone();
            cut.cut_below(30);
            for n in 0..70 {
                prop_assert_eq!(cut.contains(n), n >= 30 && set.contains(&n));
            }
            let mut wide = ranges.clone();
            wide.widen(33);
            prop_assert!(wide.contains(33) && wide.len() <= ranges.len().max(1));
            for n in 0..70 {
                prop_assert!(wide.contains(n) || !ranges.contains(n));
                prop_assert_eq!(ranges.contains(n), set.contains(&n));
                prop_assert_eq!(ranges.count_in(n, n + 9), set.range(n..n + 9).count() as u64);
            }
        }
    }
}
