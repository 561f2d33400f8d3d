//! The permutation test over repeats: exact where the splits can be counted out, all metrics at once.

use super::MOST_SPLITS;
use crate::base::Seed;

/// One metric's values over the runs, as logarithms or as they are, oriented so that greater is worse.
pub(super) struct Sample {
    /// Of the base runs, the allowed regression already added.
    pub(super) base: Vec<f64>,
    /// Of the new runs.
    pub(super) new: Vec<f64>,
}

/// For each metric the adjusted p-value of *new is greater than base*: the share of splits in which the **largest** statistic
/// of any metric is at least this metric's observed one. All samples have the same numbers of runs.
pub(super) fn adjusted_p(samples: &[Sample]) -> Vec<f64> {
    let Some(first) = samples.first() else { return Vec::new() };
    let (n, m) = (first.base.len(), first.new.len());
    let pooled: Vec<Vec<f64>> = samples.iter().map(|sample| sample.base.iter().chain(&sample.new).copied().collect()).collect();
    let observed_split: Vec<bool> = (0..n + m).map(|i| i >= n).collect();
    let observed: Vec<f64> = pooled.iter().map(|values| statistic(values, &observed_split)).collect();
    let mut reached = vec![0_u64; samples.len()];
    let mut splits = 0_u64;
    for_each_split(n, m, |split| {
        let most = pooled.iter().map(|values| statistic(values, split)).fold(f64::NEG_INFINITY, f64::max);
        splits += 1;
        for (reached, observed) in reached.iter_mut().zip(&observed) {
            // A hair below, so that the observed split always reaches itself.
            *reached += u64::from(most >= observed - 1e-9 * observed.abs());
        }
    });
    #[expect(clippy::cast_precision_loss, reason = "at most MOST_SPLITS")]
    reached.iter().map(|&reached| reached as f64 / splits.max(1) as f64).collect()
}

/// Welch's t of the runs marked new against the rest; `values` and `split` are of one length.
#[expect(clippy::cast_precision_loss, reason = "a handful of runs")]
fn statistic(values: &[f64], split: &[bool]) -> f64 {
    let moments = |side: bool| {
        let of = || values.iter().zip(split).filter(|&(_, &new)| new == side).map(|(value, _)| *value);
        let n = of().count() as f64;
        let mean = of().sum::<f64>() / n;
        let variance = of().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
        (mean, variance / n)
    };
    let ((base, base_error), (new, new_error)) = (moments(false), moments(true));
    // The floor keeps identical runs (a count of zero in all) from dividing by nothing.
    (new - base) / (base_error + new_error + 1e-18).sqrt()
}

/// Every way to mark `m` of `n + m` runs as new, or [`MOST_SPLITS`] of them from a fixed seed with the observed one first.
pub(super) fn for_each_split(n: usize, m: usize, mut each: impl FnMut(&[bool])) {
    let total = n + m;
    if ways(total, m) <= MOST_SPLITS {
        let mut chosen: Vec<usize> = (0..m).collect();
        loop {
            let mut split = vec![false; total];
            chosen.iter().for_each(|&i| split[i] = true);
            each(&split);
            // The next combination in lexicographic order.
            let Some(at) = (0..m).rev().find(|&i| chosen[i] < total - m + i) else { return };
            chosen[at] += 1;
            for i in at + 1..m {
                chosen[i] = chosen[i - 1] + 1;
            }
        }
    }
    let mut split: Vec<bool> = (0..total).map(|i| i >= n).collect();
    each(&split);
    let mut rng = Seed(0x7773_6265_6e63_6800).rng();
    for _ in 1..MOST_SPLITS {
        for i in (1..total).rev() {
            let j = usize::try_from(rng.below(i as u64 + 1)).unwrap_or(0);
            split.swap(i, j);
        }
        each(&split);
    }
}

/// How many ways there are to choose `m` of `total`, saturating.
pub(super) fn ways(total: usize, m: usize) -> u64 {
    let mut ways = 1_u128;
    for i in 0..m.min(total - m) {
        ways = ways * (total - i) as u128 / (i + 1) as u128;
        if ways > u128::from(u64::MAX) {
            return u64::MAX;
        }
    }
    u64::try_from(ways).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_splits_are_counted_once() {
        let mut seen = std::collections::BTreeSet::new();
        for_each_split(5, 5, |split| assert!(seen.insert(split.to_vec())));
        assert_eq!((seen.len() as u64, ways(10, 5), ways(8, 4)), (252, 252, 70));
    }

    #[test]
    fn a_plain_difference_has_the_least_p_there_is() {
        let sample = Sample { base: vec![1.0, 1.1, 0.9, 1.05, 0.95], new: vec![2.0, 2.1, 1.9, 2.05, 1.95] };
        let p = adjusted_p(&[sample]);
        assert!((p[0] - 1.0 / 252.0).abs() < 1e-9, "{p:?}");
    }

    #[test]
    fn alike_runs_are_rarely_called_different() {
        // 12 metrics, five runs a side, no difference: some metric below 5 % in about 5 % of comparisons, not in 46 %.
        let rounds = 300;
        let mut alarms = 0;
        for round in 0..rounds {
            let mut rng = Seed(round).rng();
            let samples: Vec<_> = (0..12)
                .map(|_| {
                    let mut draw = || (0..5).map(|_| rng.unit() + rng.unit()).collect::<Vec<_>>();
                    Sample { base: draw(), new: draw() }
                })
                .collect();
            alarms += u32::from(adjusted_p(&samples).iter().any(|&p| p <= 0.05));
        }
        assert!(alarms <= 36, "{alarms} of {rounds}; 5 % are 15, and 36 are beyond five standard deviations more");
    }

    #[test]
    fn identical_runs_divide_by_nothing_safely() {
        let p = adjusted_p(&[Sample { base: vec![0.0; 5], new: vec![0.0; 5] }]);
        assert!((p[0] - 1.0).abs() < 1e-9, "{p:?}");
    }
}
