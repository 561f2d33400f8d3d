//! Whole distributions, set apart by the greatest distance of their cumulative curves, and what noise makes of that distance.
//!
//! Of repeats the unit is the run, here too: a side's curve is the mean of its runs' curves, and what noise alone reaches is
//! read off the ways to split the runs, all distributions at once. Each distance is measured in units of its own mean over all
//! splits, so that a noisy distribution does not hide a quiet one; the 1 − ALPHA quantile of the largest is what noise stays
//! below (Westfall and Young 1993). Of single runs the bands of Dvoretzky, Kiefer and Wolfowitz are taken at effective sample
//! sizes, which know nothing of what varies from run to run.

use super::interval::{distance, distribution, effective_samples, noise_distance};
use super::permutation::for_each_split;
use super::{ALPHA, Distance};
use crate::measure::Distribution;
use crate::report::Report;

/// Distributions whose distance is shown.
const SHOWN: [&str; 6] = ["delivery", "transit", "pong", "heartbeat_interval", "connect", "last_receiver"];

/// Places at which curves of repeats are compared: as many quantiles of all runs together.
const PLACES: u64 = 200;

/// The distances of single runs.
pub(super) fn of_single_runs(base: &[Report], new: &[Report]) -> Vec<Distance> {
    let merged = |runs: &[Report], name: &str| {
        let mut all = Distribution::default();
        let mut samples = 0;
        for report in runs {
            let one = distribution(report, name)?;
            all.merge(one);
            samples += effective_samples(report, name, one);
        }
        Some((all, samples))
    };
    let pairs: Vec<_> = SHOWN.into_iter().filter_map(|name| Some((name, merged(base, name)?, merged(new, name)?))).collect();
    #[expect(clippy::cast_precision_loss, reason = "half a dozen distributions")]
    let alpha = ALPHA / pairs.len().max(1) as f64;
    pairs
        .into_iter()
        .map(|(name, (a, n), (b, m))| Distance { metric: name.into(), distance: distance(&a, &b), noise: noise_distance(n, m, alpha) })
        .collect()
}

/// The distances of repeats.
pub(super) fn of_repeats(base: &[Report], new: &[Report]) -> Vec<Distance> {
    let curves: Vec<(&str, Vec<Vec<f64>>)> = SHOWN
        .into_iter()
        .filter_map(|name| {
            let runs: Vec<&Distribution> =
                base.iter().chain(new).map(|report| distribution(report, name).filter(|one| one.count() > 0)).collect::<Option<_>>()?;
            Some((name, curves(&runs)))
        })
        .collect();
    let mut splits: Vec<Vec<f64>> = Vec::new();
    for_each_split(base.len(), new.len(), |split| splits.push(curves.iter().map(|(_, runs)| apart(runs, split)).collect()));
    let observed: Vec<bool> = (0..base.len() + new.len()).map(|run| run >= base.len()).collect();
    #[expect(clippy::cast_precision_loss, reason = "at most some twenty thousand splits")]
    let typical: Vec<f64> = (0..curves.len()).map(|n| splits.iter().map(|split| split[n]).sum::<f64>() / splits.len() as f64).collect();
    let unit = |n: usize, distance: f64| if typical[n] > 0.0 { distance / typical[n] } else { 0.0 };
    let mut largest: Vec<f64> = splits.iter().map(|split| (0..split.len()).map(|n| unit(n, split[n])).fold(0.0, f64::max)).collect();
    largest.sort_by(f64::total_cmp);
    let limit = quantile(&largest);
    curves
        .iter()
        .enumerate()
        .map(|(n, (name, runs))| Distance {
            metric: (*name).into(),
            distance: apart(runs, &observed),
            noise: (limit * typical[n]).min(1.0),
        })
        .collect()
}

/// The least value that is exceeded with a chance of at most [`ALPHA`] among ascending values; infinite when there are too few.
fn quantile(ascending: &[f64]) -> f64 {
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank")]
    let above = (ascending.len() as f64 * ALPHA).floor() as usize;
    ascending.len().checked_sub(above + 1).and_then(|rank| ascending.get(rank)).copied().unwrap_or(f64::INFINITY)
}

/// The cumulative curve of each run, at quantiles of all of them together.
fn curves(runs: &[&Distribution]) -> Vec<Vec<f64>> {
    let steps: Vec<Vec<(u64, u64)>> = runs
        .iter()
        .map(|run| run.histogram.iter_recorded().map(|b| (b.value_iterated_to(), b.count_since_last_iteration())).collect())
        .collect();
    let places = places(&steps);
    steps.iter().map(|steps| curve(steps, &places)).collect()
}

/// Quantiles of all runs together, ascending and each once.
fn places(runs: &[Vec<(u64, u64)>]) -> Vec<u64> {
    let mut all: Vec<(u64, u64)> = runs.iter().flatten().copied().collect();
    all.sort_unstable();
    let total: u64 = all.iter().map(|(_, n)| n).sum();
    let (mut places, mut below) = (Vec::with_capacity(PLACES as usize), 0);
    for (value, n) in all {
        let reached = |below: u64| below * PLACES / total.max(1);
        if reached(below + n) > reached(below) && places.last() != Some(&value) {
            places.push(value);
        }
        below += n;
    }
    places
}

/// The share of samples at or below each place, the places ascending.
#[expect(clippy::cast_precision_loss, reason = "shares of counts")]
fn curve(steps: &[(u64, u64)], places: &[u64]) -> Vec<f64> {
    let total = steps.iter().map(|(_, n)| n).sum::<u64>() as f64;
    let mut steps = steps.iter().peekable();
    let mut below = 0;
    let mut share = |place: &u64| {
        while let Some((_, n)) = steps.next_if(|(value, _)| value <= place) {
            below += n;
        }
        below as f64 / total
    };
    places.iter().map(&mut share).collect()
}

/// The greatest distance between the mean curve of the runs marked new and that of the rest.
fn apart(runs: &[Vec<f64>], split: &[bool]) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a handful of runs")]
    let size = |side: bool| split.iter().filter(|&&new| new == side).count().max(1) as f64;
    let (base, new) = (size(false), size(true));
    let places = runs.first().map_or(0, Vec::len);
    let difference =
        |place: usize| runs.iter().zip(split).map(|(run, &of_new)| if of_new { run[place] / new } else { -run[place] / base }).sum::<f64>();
    (0..places).map(|place| difference(place).abs()).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Seed;

    /// A run whose samples lie together, a little beside those of other runs: what varies is the run, not the sample.
    fn run(seed: u64, shift: u64) -> Distribution {
        let mut rng = Seed(seed).rng();
        let beside = rng.below(400_000);
        let mut distribution = Distribution::default();
        (0..5_000).for_each(|_| distribution.record(1_000_000 + shift + beside + rng.below(300_000)));
        distribution
    }

    fn noise(runs: &[&Distribution], n: usize) -> (f64, f64) {
        let curves = curves(runs);
        let mut all = Vec::new();
        for_each_split(n, runs.len() - n, |split| all.push(apart(&curves, split)));
        all.sort_by(f64::total_cmp);
        let observed: Vec<bool> = (0..runs.len()).map(|run| run >= n).collect();
        (apart(&curves, &observed), quantile(&all))
    }

    #[test]
    fn runs_that_differ_among_themselves_are_not_called_apart_and_shifted_ones_are() {
        let mut alarms = 0;
        for round in 0..40 {
            let runs: Vec<_> = (0..10).map(|n| run(round * 100 + n, 0)).collect();
            let (observed, limit) = noise(&runs.iter().collect::<Vec<_>>(), 5);
            alarms += u32::from(observed > limit);
        }
        assert!(alarms <= 7, "{alarms} of 40; 5 % are 2");
        let runs: Vec<_> = (0..10).map(|n| run(n, if n < 5 { 0 } else { 600_000 })).collect();
        let (observed, limit) = noise(&runs.iter().collect::<Vec<_>>(), 5);
        assert!(observed > limit, "{observed} {limit}");
        // The same samples taken for single runs would be called apart whatever they are.
        assert!(distance(&runs[0], &runs[1]) > noise_distance(5_000, 5_000, ALPHA));
    }

    #[test]
    fn too_few_splits_set_no_limit() {
        assert_eq!(quantile(&[]), f64::INFINITY);
        assert_eq!(quantile(&[1.0; 6]), 1.0);
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(quantile(&hundred), 95.0, "five of a hundred lie above");
    }
}
