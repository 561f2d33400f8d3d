//! A distribution drawn in a dozen characters.

use crate::measure::Distribution;

/// Samples in `n` bins between the least and the greatest value: logarithmic where the values span more than a factor of
/// four, even otherwise. A histogram bucket wider than a bin is shared out evenly, so that resolution does not look like
/// gaps. Empty when there is no sample; one bin when all samples are the same.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "places on a drawing, n small")]
pub(in crate::report) fn bins(distribution: &Distribution, n: usize) -> Vec<f64> {
    let histogram = &distribution.histogram;
    if distribution.count() == 0 || n == 0 {
        return Vec::new();
    }
    let (min, max) = (histogram.min().max(1), histogram.max());
    if min >= max || n == 1 {
        return vec![distribution.count() as f64];
    }
    let mut bins = vec![0.0; n];
    let bin = |value: u64| ((place(value.clamp(min, max), min, max) * n as f64) as usize).min(n - 1);
    for bucket in histogram.iter_recorded() {
        let value = bucket.value_iterated_to();
        let (from, to) = (bin(histogram.lowest_equivalent(value)), bin(histogram.highest_equivalent(value)));
        let share = bucket.count_since_last_iteration() as f64 / (to - from + 1) as f64;
        bins[from..=to].iter_mut().for_each(|height| *height += share);
    }
    bins
}

/// Where a value lies between the least (0) and the greatest (1), on the axis [`bins`] uses.
#[expect(clippy::cast_precision_loss, reason = "a place on a drawing")]
fn place(value: u64, min: u64, max: u64) -> f64 {
    let (value, min, max) = (value as f64, min as f64, max as f64);
    if max / min > 4.0 { (value / min).ln() / (max / min).ln() } else { (value - min) / (max - min) }
}

/// The bins as blocks whose height grows with the square root of the count, so that a thin tail is seen beside a tall
/// middle. An empty bin is a blank; any sample at all is drawn.
pub(super) fn draw(bins: &[f64], unicode: bool) -> String {
    const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    const LETTERS: [char; 9] = [' ', '.', ':', '-', '=', '+', '*', '%', '#'];
    let most = bins.iter().copied().fold(0.0, f64::max);
    let levels = if unicode { BLOCKS } else { LETTERS };
    let level = |&n: &f64| {
        if n <= 0.0 {
            return levels[0];
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 8")]
        let height = ((n / most).sqrt() * 8.0).ceil() as usize;
        levels[height.clamp(1, 8)]
    };
    bins.iter().map(level).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_straggler_is_seen() {
        let mut distribution = Distribution::default();
        (0..10_000).for_each(|_| distribution.record(1_000));
        distribution.record(1_000_000);
        let bins = bins(&distribution, 10);
        assert_eq!((bins[0], bins[9], bins.iter().sum::<f64>()), (10_000.0, 1.0, 10_001.0));
        assert_eq!(draw(&bins, true), "█        ▁");
        assert_eq!(draw(&bins, false), "#        .");
    }

    #[test]
    fn nothing_and_one_value_are_drawn_as_they_are() {
        assert_eq!(draw(&bins(&Distribution::default(), 10), true), "");
        let mut distribution = Distribution::default();
        distribution.record(5);
        assert_eq!(draw(&bins(&distribution, 10), true), "█");
    }
}
