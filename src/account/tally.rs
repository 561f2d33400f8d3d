//! Histograms as plain counts, in the bucket layout of HdrHistogram with three significant digits from 1 ns to an hour, so
//! that recording on the hot path is two shifts and an addition, and the end of the run can turn them into the real thing
//! without loss.

use hdrhistogram::Histogram;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest span kept exactly: an hour. What is longer is clamped and counted.
pub const HIGHEST_NS: u64 = 3_600_000_000_000;

/// Buckets: 2,048 for the lowest octaves, 1,024 for each of the 31 above.
pub(super) const BUCKETS: usize = 33 * 1024;

/// The bucket of `ns`, which must not exceed [`HIGHEST_NS`].
#[inline]
pub(super) const fn bucket_of(ns: u64) -> usize {
    let octave = 53 - (ns | 2047).leading_zeros() as usize;
    (octave << 10) + (ns >> octave) as usize
}

/// The lowest value of bucket `index`.
pub(super) const fn value_of(index: usize) -> u64 {
    if index < 2048 {
        index as u64
    } else {
        let octave = (index >> 10) - 1;
        (((index & 1023) + 1024) as u64) << octave
    }
}

/// A mergeable histogram of spans in nanoseconds. Takes no room until something is recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    counts: Vec<u64>,
    count: u64,
    clamped: u64,
    sum: u128,
    max: u64,
}

impl Tally {
    /// Records one span.
    pub fn record(&mut self, ns: u64) {
        if ns > HIGHEST_NS {
            self.clamped += 1;
        }
        self.add(bucket_of(ns.clamp(1, HIGHEST_NS)), 1);
        self.max = self.max.max(ns);
    }

    /// Records `n` spans of the same length.
    pub(super) fn record_n(&mut self, ns: u64, n: u64) {
        if ns > HIGHEST_NS {
            self.clamped += n;
        }
        self.add(bucket_of(ns.clamp(1, HIGHEST_NS)), n);
        self.max = self.max.max(ns);
    }

    /// Notes the longest of values recorded with less precision, exactly.
    pub(super) fn reach(&mut self, ns: u64) {
        self.max = self.max.max(ns);
    }

    /// Adds `n` to a bucket.
    pub(super) fn add(&mut self, bucket: usize, n: u64) {
        if self.counts.is_empty() {
            self.counts = vec![0; BUCKETS];
        }
        self.counts[bucket] += n;
        self.count += n;
        self.sum += u128::from(value_of(bucket)) * u128::from(n);
    }

    /// Notes values recorded through [`Tally::add`]: their exact maximum, and how many were clamped.
    pub(super) fn raise(&mut self, max: u64, clamped: u64) {
        self.max = self.max.max(max);
        self.clamped += clamped;
    }

    /// Adds another tally to this one.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, &n) in other.counts.iter().enumerate().filter(|(_, n)| **n > 0) {
            self.add(bucket, n);
        }
        self.raise(other.max, other.clamped);
    }

    /// Samples.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Samples longer than [`HIGHEST_NS`], recorded as that.
    #[must_use]
    pub const fn clamped(&self) -> u64 {
        self.clamped
    }

    /// The longest, exactly; 0 when there is none.
    #[must_use]
    pub const fn max(&self) -> u64 {
        self.max
    }

    /// The mean in ns, within the buckets' precision; 0 when there is no sample.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a mean for display")]
    pub fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum as f64 / self.count as f64 }
    }

    /// Buckets in use with their counts.
    pub(super) fn buckets(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        self.counts.iter().copied().enumerate().filter(|(_, n)| *n > 0)
    }

    /// Samples in a range of buckets.
    pub(super) fn count_of(&self, buckets: std::ops::Range<usize>) -> u64 {
        self.counts.get(buckets).map_or(0, |counts| counts.iter().sum())
    }

    /// The value at `percentile` (0..=100) in ns: the highest of its bucket, as HdrHistogram gives it; `None` without samples.
    #[must_use]
    pub fn percentile(&self, percentile: f64) -> Option<u64> {
        percentile_of(self.buckets(), self.count, percentile)
    }

    /// The number of samples in buckets wholly above `ns`.
    #[must_use]
    pub fn count_above(&self, ns: u64) -> u64 {
        self.buckets().filter(|(bucket, _)| value_of(*bucket) > ns).map(|(_, n)| n).sum()
    }

    /// The same counts as an HdrHistogram.
    #[must_use]
    pub fn to_histogram(&self) -> Histogram<u64> {
        let mut histogram = Histogram::new_with_bounds(1, HIGHEST_NS, 3).expect("constant bounds are valid");
        for (bucket, n) in self.buckets() {
            histogram.saturating_record_n(value_of(bucket), n);
        }
        histogram
    }
}

/// The highest value equivalent to the sample at `percentile` of `count` samples in ascending buckets.
pub(super) fn percentile_of(buckets: impl Iterator<Item = (usize, u64)>, count: u64, percentile: f64) -> Option<u64> {
    if count == 0 {
        return None;
    }
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank, as HdrHistogram computes it"
    )]
    let rank = ((percentile.clamp(0.0, 100.0) / 100.0 * count as f64).ceil() as u64).max(1);
    let mut below = 0;
    let mut last = 0;
    for (bucket, n) in buckets {
        below += n;
        last = bucket;
        if below >= rank {
            break;
        }
    }
    Some(if percentile > 0.0 { value_of(last + 1) - 1 } else { value_of(last) })
}

#[derive(Serialize, Deserialize)]
struct Sparse {
    counts: Vec<(u16, u64)>,
    clamped: u64,
    max: u64,
}

impl Serialize for Tally {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[expect(clippy::cast_possible_truncation, reason = "there are fewer than 65,536 buckets")]
        let counts = self.buckets().map(|(bucket, n)| (bucket as u16, n)).collect();
        Sparse { counts, clamped: self.clamped, max: self.max }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Tally {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let sparse = Sparse::deserialize(deserializer)?;
        let mut tally = Self::default();
        for (bucket, n) in sparse.counts {
            if usize::from(bucket) >= BUCKETS {
                return Err(serde::de::Error::custom("a histogram bucket beyond an hour"));
            }
            tally.add(usize::from(bucket), n);
        }
        tally.raise(sparse.max, sparse.clamped);
        Ok(tally)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn buckets_and_values_answer_each_other() {
        for bucket in 1..BUCKETS - 1 {
            assert_eq!(bucket_of(value_of(bucket)), bucket);
            assert_eq!(bucket_of(value_of(bucket + 1) - 1), bucket);
        }
        assert!(bucket_of(HIGHEST_NS) < BUCKETS);
    }

    #[test]
    fn a_limit_is_not_above_itself() {
        let mut tally = Tally::default();
        [4, 5, 6].into_iter().for_each(|ns| tally.record(ns));
        assert_eq!([3, 4, 5, 6].map(|ns| tally.count_above(ns)), [3, 2, 1, 0]);
        assert!((tally.mean() - 5.0).abs() < 1e-9);
        assert_eq!((tally.max(), Tally::default().mean().to_bits()), (6, 0));
    }

    #[test]
    fn a_percentile_is_the_highest_value_of_its_bucket_and_the_lowest_sample_that_of_its_own() {
        let mut tally = Tally::default();
        [5_000, 1_000_001].into_iter().for_each(|ns| tally.record(ns));
        // Buckets of 4 ns and of 512 ns.
        assert_eq!([0.0, 50.0, 50.1, 100.0].map(|p| tally.percentile(p)), [Some(5_000), Some(5_003), Some(1_000_447), Some(1_000_447)]);
        tally.reach(7_000_000);
        assert_eq!((tally.max(), tally.count(), tally.percentile(100.0)), (7_000_000, 2, Some(1_000_447)));
        tally.reach(3);
        assert_eq!(tally.max(), 7_000_000);
    }

    #[test]
    fn what_is_beyond_the_range_is_counted_as_clamped() {
        let mut tally = Tally::default();
        [HIGHEST_NS - 1, HIGHEST_NS, HIGHEST_NS + 1, HIGHEST_NS + 2].into_iter().for_each(|ns| tally.record(ns));
        assert_eq!(tally.clamped(), 2);
        let mut many = Tally::default();
        [(HIGHEST_NS, 5), (HIGHEST_NS + 1, 3), (HIGHEST_NS + 2, 4)].into_iter().for_each(|(ns, n)| many.record_n(ns, n));
        assert_eq!((many.clamped(), many.count()), (7, 12));
        let mut both = tally.clone();
        both.merge(&tally);
        assert_eq!((both.clamped(), both.count()), (4, 8));
    }

    proptest! {
        #[test]
        fn a_tally_is_an_hdr_histogram(values in prop::collection::vec((0_u32..44).prop_flat_map(|b| 0..1_u64 << b), 1..200), split in any::<prop::sample::Index>()) {
            let mut hdr = Histogram::<u64>::new_with_bounds(1, HIGHEST_NS, 3).expect("valid");
            let (mut tally, mut left, mut right) = (Tally::default(), Tally::default(), Tally::default());
            let cut = split.index(values.len());
            for (i, &v) in values.iter().enumerate() {
                hdr.saturating_record(v.clamp(1, HIGHEST_NS));
                tally.record(v);
                if i < cut { left.record(v) } else { right.record(v) }
            }
            prop_assert_eq!(&tally.to_histogram(), &hdr);
            for p in [0.0, 1.0, 25.0, 50.0, 90.0, 99.0, 99.9, 100.0] {
                prop_assert_eq!(tally.percentile(p), Some(hdr.value_at_percentile(p)), "p{}", p);
            }
            right.merge(&left);
            prop_assert_eq!(&right, &tally);
            let json = serde_json::to_string(&tally).expect("it serialises");
            prop_assert_eq!(serde_json::from_str::<Tally>(&json).expect("it reads back"), tally);
        }
    }
}
