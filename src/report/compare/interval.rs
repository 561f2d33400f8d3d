//! Distribution-free intervals for a percentile, and how many independent samples there really are.

use crate::measure::{Distribution, PublicationSpread};
use crate::report::{Report, metric};

/// Ranks `(lower, upper)` out of `n` between whose order statistics the `p`-quantile lies, each end wrong with probability at
/// most `tail`. `None` for an end that `n` samples cannot bound.
pub(super) fn ranks(n: u64, p: f64, tail: f64) -> (Option<u64>, Option<u64>) {
    if n == 0 || !(0.0..1.0).contains(&p) {
        return (None, None);
    }
    // With K ~ Binomial(n, p) samples below the quantile: P(K < lower) ≤ tail and P(K ≥ upper) ≤ tail.
    #[expect(clippy::cast_precision_loss, reason = "n is at most a million")]
    let (count, odds) = (n as f64, p.ln() - (1.0 - p).ln());
    let mut log_mass = count * (1.0 - p).ln();
    let mut below = 0.0;
    let (mut lower, mut upper) = (None, None);
    for k in 0..=n {
        // `below` is P(K < k).
        if below <= tail && k > 0 {
            lower = Some(k);
        }
        if 1.0 - below <= tail && k > 0 {
            upper = Some(k);
            break;
        }
        below += log_mass.exp();
        #[expect(clippy::cast_precision_loss, reason = "k is at most a million")]
        let k = k as f64;
        log_mass += (count - k).ln() - (k + 1.0).ln() + odds;
    }
    (lower, upper)
}

/// The interval of a percentile (0 < p < 100) in nanoseconds at `n` effective samples. An end that cannot be bounded is the
/// edge of what can be: 0 or infinity.
pub(super) fn percentile(distribution: &Distribution, p: f64, n: u64, tail: f64) -> (f64, f64) {
    let (lower, upper) = ranks(n, p / 100.0, tail);
    #[expect(clippy::cast_precision_loss, reason = "nanoseconds of an hour and ranks are exact")]
    let at = |rank: u64| distribution.histogram.value_at_quantile(rank as f64 / n as f64) as f64;
    (lower.map_or(0.0, |rank| at(rank.saturating_sub(1))), upper.map_or(f64::INFINITY, at))
}

/// How many independent samples stand behind a distribution of `report`.
pub(super) fn effective_samples(report: &Report, name: &str, distribution: &Distribution) -> u64 {
    let summary = &report.summary;
    let publications = summary.spread.of.max(1).min(summary.publications.sent_steady.max(1));
    let per_publication = || independent_publications(publications, &summary.spread.series);
    let n = match name {
        "delivery" | "transit" | "send_lag" | "first_receiver" | "median_receiver" | "last_receiver" | "spread" => per_publication(),
        // The pings or beats of one client follow one another on one connection.
        "pong" | "heartbeat_interval" => summary.connections.opened.max(1),
        _ => distribution.count(),
    };
    n.min(distribution.count()).min(1_000_000)
}

/// As how many independent publications so many count, of which `series` is every n-th. How those in between hang together the
/// series does not tell, so they are taken to say nothing of their own: a long run is not made surer than it is.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a sample size")]
fn independent_publications(publications: u64, series: &[PublicationSpread]) -> u64 {
    let step = (publications as f64 / series.len().max(1) as f64).max(1.0);
    ((publications as f64 / (step * autocorrelation_time(series))) as u64).max(1)
}

/// The integrated autocorrelation time of the publications' median receivers, in steps of the series; at least 1. Lags are summed
/// while pairs stay positive (Geyer's initial positive sequence, 1992).
#[expect(clippy::cast_precision_loss, reason = "series of at most a few thousand")]
fn autocorrelation_time(series: &[PublicationSpread]) -> f64 {
    let values: Vec<f64> = series.iter().map(|publication| (publication.median_ns.max(1) as f64).ln()).collect();
    let n = values.len();
    if n < 8 {
        return 1.0;
    }
    let mean = values.iter().sum::<f64>() / n as f64;
    let covariance = |lag: usize| values[lag..].iter().zip(&values).map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>() / n as f64;
    let variance = covariance(0);
    if variance <= 0.0 {
        return 1.0;
    }
    let mut time = 1.0;
    let mut lag = 1;
    while lag + 1 < n / 2 {
        let pair = (covariance(lag) + covariance(lag + 1)) / variance;
        if pair <= 0.0 {
            break;
        }
        time += 2.0 * pair;
        lag += 2;
    }
    time.clamp(1.0, n as f64)
}

/// Kolmogorov and Smirnov's distance between two histograms.
#[expect(clippy::cast_precision_loss, reason = "shares of counts")]
pub(super) fn distance(a: &Distribution, b: &Distribution) -> f64 {
    let steps = |distribution: &Distribution| {
        let total = distribution.count() as f64;
        let mut below = 0;
        distribution
            .histogram
            .iter_recorded()
            .map(|bucket| {
                below += bucket.count_since_last_iteration();
                (bucket.value_iterated_to(), below as f64 / total)
            })
            .collect::<Vec<_>>()
    };
    let (a, b) = (steps(a), steps(b));
    let (mut i, mut j, mut at_a, mut at_b, mut most) = (0, 0, 0.0, 0.0, 0.0_f64);
    while i < a.len() && j < b.len() {
        let value = a[i].0.min(b[j].0);
        if a[i].0 == value {
            at_a = a[i].1;
            i += 1;
        }
        if b[j].0 == value {
            at_b = b[j].1;
            j += 1;
        }
        most = most.max((at_a - at_b).abs());
    }
    most
}

/// What two samples of one distribution stay below with probability 1 − `alpha`.
#[expect(clippy::cast_precision_loss, reason = "sample sizes")]
pub(super) fn noise_distance(n: u64, m: u64, alpha: f64) -> f64 {
    // Each curve keeps within its band with probability 1 − alpha/2; the bands add.
    let band = |n: u64| ((4.0 / alpha).ln() / (2.0 * n.max(1) as f64)).sqrt();
    (band(n) + band(m)).min(1.0)
}

/// The distribution of that name in a report, if it has a sample.
pub(super) fn distribution<'a>(report: &'a Report, name: &str) -> Option<&'a Distribution> {
    metric::distribution(report, name).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Seed;

    #[test]
    fn ranks_are_the_textbook_ones() {
        // Conover, Practical Nonparametric Statistics: n = 16, p = 0.75 needs ranks 9 and 16 at about 5 % and 1 %.
        let (lower, upper) = ranks(16, 0.75, 0.05);
        assert_eq!((lower, upper), (Some(9), Some(16)));
        assert_eq!(ranks(10, 0.99, 0.025).1, None, "ten samples say nothing about the top of a p99");
        assert_eq!(ranks(0, 0.5, 0.05), (None, None));
    }

    #[test]
    fn a_thinned_series_makes_no_run_surer_than_what_it_shows() {
        let mut rng = Seed(3).rng();
        let mut level = 500_000;
        // Each publication's delay hangs on that of the one before; the series for charts keeps every tenth.
        let all: Vec<PublicationSpread> = (0..20_000)
            .map(|seq| {
                level = (level * 9 + rng.below(1_000_000)) / 10;
                PublicationSpread { publisher: 0, seq, planned_ns: 0, receivers: 1, first_ns: level, median_ns: level, last_ns: level }
            })
            .collect();
        let whole = independent_publications(20_000, &all);
        assert!((500..2_500).contains(&whole), "{whole}: nineteen steps of memory");
        let thinned: Vec<_> = all.iter().step_by(10).copied().collect();
        let kept = independent_publications(20_000, &thinned);
        assert!((500..=2_000).contains(&kept), "{kept}: at most what the series has");
        let few: Vec<_> = all[..100].iter().step_by(20).copied().collect();
        assert_eq!(independent_publications(100, &few), 5, "too few to tell");
    }

    #[test]
    fn an_interval_covers_as_often_as_it_says() {
        let mut misses = 0;
        for round in 0..400 {
            let mut rng = Seed(round).rng();
            let mut distribution = Distribution::default();
            (0..200).for_each(|_| distribution.record(1_000 + rng.below(1_000_000)));
            let (low, high) = percentile(&distribution, 90.0, 200, 0.025);
            let truth = 1_000.0 + 900_000.0;
            // A bucket is a thousandth wide.
            misses += u32::from(truth < low * 0.999 || truth > high * 1.001);
        }
        assert!(misses <= 36, "{misses} of 400 missed; 5 % are 20, and 36 are beyond five standard deviations of less");
    }

    #[test]
    fn distance_tells_apart_and_noise_does_not() {
        let sample = |seed: u64, shift: u64| {
            let mut rng = Seed(seed).rng();
            let mut distribution = Distribution::default();
            (0..2_000).for_each(|_| distribution.record(1_000_000 + shift + rng.below(1_000_000)));
            distribution
        };
        let noise = noise_distance(2_000, 2_000, 0.05);
        assert!(distance(&sample(1, 0), &sample(2, 0)) < noise);
        assert!(distance(&sample(1, 0), &sample(2, 300_000)) > noise);
        assert!((distance(&sample(1, 0), &sample(1, 5_000_000)) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_slow_wave_counts_for_fewer_samples() {
        let series = |period: u64| -> Vec<_> {
            let mut rng = Seed(9).rng();
            let mut level = 0;
            (0..1_000_u32)
                .map(|n| {
                    if u64::from(n).is_multiple_of(period) {
                        level = rng.below(1_000_000);
                    }
                    PublicationSpread {
                        publisher: 0,
                        seq: n,
                        planned_ns: 0,
                        receivers: 1,
                        first_ns: 0,
                        median_ns: 1_000_000 + level,
                        last_ns: 0,
                    }
                })
                .collect()
        };
        let (fast, slow) = (autocorrelation_time(&series(1)), autocorrelation_time(&series(25)));
        assert!(fast < 2.0 && slow > 10.0, "{fast} {slow}");
    }
}
