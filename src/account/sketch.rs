//! The distribution of one row of the timeline: a sparse histogram, coarse enough that one can be kept for every second of a run,
//! and packed when nothing is expected to be added to it any more.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::tally;
use crate::base::varint::{self, Cursor};

/// A small sparse histogram with two significant digits (256 sub-buckets an octave pair, as HdrHistogram lays them out):
/// precise enough for a line in a chart, small enough to be kept for every second.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sketch {
    counts: Counts,
    count: u64,
    /// Exact.
    max: u64,
}

/// (bucket, count), buckets ascending.
#[derive(Debug, Clone)]
enum Counts {
    /// Open for more.
    Open(Vec<(u16, u32)>),
    /// Each bucket as its count, doubled, and one more where others lie between it and the one before; then so many do: one to
    /// two bytes an entry instead of eight, since delays crowd.
    Packed(Box<[u8]>),
}

/// The entries of either.
enum Entries<'a> {
    Open(std::slice::Iter<'a, (u16, u32)>),
    Packed { rest: Cursor<'a>, next: u16 },
}

const fn coarse(ns: u64) -> usize {
    let octave = 56 - (ns | 255).leading_zeros() as usize;
    (octave << 7) + (ns >> octave) as usize
}

const fn coarse_value(index: usize) -> u64 {
    if index < 256 {
        index as u64
    } else {
        let octave = (index >> 7) - 1;
        (((index & 127) + 128) as u64) << octave
    }
}

impl Sketch {
    /// Adds fine buckets (of a [`super::tally::Tally`]'s layout, ascending) and the exact maximum among them.
    pub(super) fn absorb(&mut self, fine: impl Iterator<Item = (usize, u32)>, max: u64) {
        let mut added: Vec<(u16, u32)> = Vec::new();
        for (bucket, n) in fine {
            #[expect(clippy::cast_possible_truncation, reason = "fewer than 65,536 buckets")]
            let bucket = coarse(tally::value_of(bucket)) as u16;
            match added.last_mut().filter(|last| last.0 == bucket) {
                Some(last) => last.1 = last.1.saturating_add(n),
                None => added.push((bucket, n)),
            }
        }
        self.join(added.into_iter());
        self.max = self.max.max(max);
    }

    /// Adds one value.
    pub(super) fn absorb_one(&mut self, ns: u64) {
        self.absorb(std::iter::once((tally::bucket_of(ns.clamp(1, tally::HIGHEST_NS)), 1)), ns);
    }

    fn join(&mut self, added: impl Iterator<Item = (u16, u32)>) {
        let counts = self.counts.open();
        if counts.is_empty() {
            counts.reserve_exact(added.size_hint().0);
        }
        for (bucket, n) in added {
            self.count += u64::from(n);
            match counts.binary_search_by_key(&bucket, |entry| entry.0) {
                Ok(i) => counts[i].1 = counts[i].1.saturating_add(n),
                Err(i) => counts.insert(i, (bucket, n)),
            }
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.join(other.counts.entries());
        self.max = self.max.max(other.max);
    }

    /// Takes as little room as it can. What is added later opens it again.
    pub(super) fn pack(&mut self) {
        self.counts.pack();
    }

    /// What it takes in memory besides itself.
    pub(super) fn bytes(&self) -> usize {
        match &self.counts {
            Counts::Open(counts) => counts.capacity() * size_of::<(u16, u32)>(),
            Counts::Packed(bytes) => bytes.len(),
        }
    }

    /// Samples.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The longest, exactly; `None` without samples.
    #[must_use]
    pub fn max(&self) -> Option<u64> {
        (self.count > 0).then_some(self.max)
    }

    /// The value at a percentile within one per cent; never above the maximum.
    #[must_use]
    pub fn percentile(&self, percentile: f64) -> Option<u64> {
        let mut below = 0;
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank")]
        let rank = ((percentile.clamp(0.0, 100.0) / 100.0 * self.count as f64).ceil() as u64).max(1);
        let found = self.counts.entries().find(|(_, n)| {
            below += u64::from(*n);
            below >= rank
        });
        found.map(|(bucket, _)| (coarse_value(usize::from(bucket) + 1) - 1).min(self.max))
    }

    /// The buckets as (representative value in ns, count), ascending: for interval logs.
    pub fn values(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.counts.entries().map(|(bucket, n)| (coarse_value(usize::from(bucket)), u64::from(n)))
    }
}

impl Counts {
    fn entries(&self) -> Entries<'_> {
        match self {
            Self::Open(counts) => Entries::Open(counts.iter()),
            Self::Packed(bytes) => Entries::Packed { rest: Cursor(bytes), next: 0 },
        }
    }

    fn open(&mut self) -> &mut Vec<(u16, u32)> {
        if let Self::Packed(_) = self {
            *self = Self::Open(self.entries().collect());
        }
        match self {
            Self::Open(counts) => counts,
            Self::Packed(_) => unreachable!("opened above"),
        }
    }

    fn pack(&mut self) {
        let Self::Open(counts) = self else { return };
        let (mut bytes, mut next) = (Vec::with_capacity(counts.len() * 3), 0);
        for (bucket, n) in counts.iter() {
            let between = bucket - next;
            varint::put(&mut bytes, u64::from(*n) << 1 | u64::from(between > 0));
            if between > 0 {
                varint::put(&mut bytes, u64::from(between));
            }
            next = bucket + 1;
        }
        *self = Self::Packed(bytes.into_boxed_slice());
    }
}

impl Iterator for Entries<'_> {
    type Item = (u16, u32);

    fn next(&mut self) -> Option<(u16, u32)> {
        match self {
            Self::Open(counts) => counts.next().copied(),
            Self::Packed { rest, next } => {
                let number = rest.number()?;
                let between = if number & 1 == 1 { u16::try_from(rest.number()?).ok()? } else { 0 };
                let bucket = *next + between;
                *next = bucket + 1;
                Some((bucket, u32::try_from(number >> 1).ok()?))
            }
        }
    }
}

impl Default for Counts {
    fn default() -> Self {
        Self::Open(Vec::new())
    }
}

/// Equal when the entries are, packed or not.
impl PartialEq for Counts {
    fn eq(&self, other: &Self) -> bool {
        self.entries().eq(other.entries())
    }
}

impl Eq for Counts {}

impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.entries())
    }
}

impl<'de> Deserialize<'de> for Counts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::Open)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn packing_loses_nothing_and_what_is_added_later_counts(
            before in prop::collection::vec(1_u64..10_000_000_000, 0..80),
            after in prop::collection::vec(1_u64..10_000_000_000, 0..20),
        ) {
            let (mut packed, mut open) = (Sketch::default(), Sketch::default());
            for ns in &before {
                packed.absorb_one(*ns);
                open.absorb_one(*ns);
            }
            packed.pack();
            prop_assert_eq!(&packed, &open);
            prop_assert!(packed.values().eq(open.values()));
            prop_assert!(packed.bytes() <= 4 * before.len(), "{} bytes", packed.bytes());
            let through: Sketch = serde_json::from_str(&serde_json::to_string(&packed).expect("writes")).expect("reads");
            prop_assert_eq!(&through, &open);
            let mut merged = Sketch::default();
            merged.merge(&packed);
            prop_assert_eq!(&merged, &open);
            for ns in &after {
                packed.absorb_one(*ns);
                open.absorb_one(*ns);
            }
            prop_assert_eq!(packed.count(), (before.len() + after.len()) as u64);
            prop_assert_eq!(packed, open);
        }
    }

    #[test]
    fn sketches_of_as_many_and_as_long_spans_are_not_the_same_for_that() {
        let of = |values: [u64; 3], packed: bool| {
            let mut sketch = Sketch::default();
            values.iter().for_each(|ns| sketch.absorb_one(*ns));
            if packed {
                sketch.pack();
            }
            sketch
        };
        for (one, other) in [(false, false), (false, true), (true, true)] {
            assert_eq!(of([5, 9, 100], one), of([9, 5, 100], other));
            assert_ne!(of([5, 9, 100], one), of([5, 8, 100], other));
        }
    }

    #[test]
    fn delays_that_crowd_take_a_byte_or_two_each_when_packed() {
        for (count, bytes) in [(63, 1_000), (8_191, 2_000)] {
            let mut sketch = Sketch::default();
            sketch.join((2_000..3_000).map(|bucket| (bucket, count)));
            sketch.pack();
            assert!((bytes..bytes + 4).contains(&sketch.bytes()), "{} bytes", sketch.bytes());
            assert_eq!(sketch.values().count(), 1_000);
        }
    }

    #[test]
    fn a_sketch_is_within_one_per_cent() {
        let mut sketch = Sketch::default();
        let values: Vec<u64> = (1..=1000).map(|n| n * 1_234).collect();
        sketch.absorb(values.iter().map(|v| (tally::bucket_of(*v), 1)), 1_234_000);
        for p in [1.0, 50.0, 99.0] {
            let (got, want) = (sketch.percentile(p).expect("samples"), 1_234.0 * 10.0 * p);
            #[expect(clippy::cast_precision_loss, reason = "a test")]
            let off = (got as f64 - want).abs() / want;
            assert!(off < 0.01, "p{p}: {got} for {want}");
        }
        assert_eq!((sketch.percentile(100.0), sketch.max(), sketch.count()), (Some(1_234_000), Some(1_234_000), 1000));
    }
}
