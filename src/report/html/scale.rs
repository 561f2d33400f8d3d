//! Axes: where a value lies on a chart, and which values are worth a tick.

/// How values become places.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scale {
    /// Evenly from one value to the other.
    Linear(f64, f64),
    /// By factors; both ends above zero.
    Log(f64, f64),
}

impl Scale {
    /// An even scale from 0 to a round number at or above all `values`.
    pub(super) fn from_zero(values: impl Iterator<Item = f64>) -> Self {
        let most = values.fold(0.0, f64::max);
        let step = step(if most > 0.0 { most } else { 1.0 });
        Self::Linear(0.0, (most / step).ceil().max(1.0) * step)
    }

    /// An even scale around `values` with a margin.
    pub(super) fn around(values: impl Iterator<Item = f64>) -> Self {
        let (least, most) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), value| (a.min(value), b.max(value)));
        if !least.is_finite() || !most.is_finite() {
            return Self::Linear(0.0, 1.0);
        }
        let margin = ((most - least) * 0.15).max(most.abs() * 1e-3).max(1e-9);
        Self::Linear((least - margin).max(0.0), most + margin)
    }

    /// A scale by factors from a round number below all `values` to one above.
    pub(super) fn log(values: impl Iterator<Item = f64>) -> Self {
        let (least, most) =
            values.filter(|value| *value > 0.0).fold((f64::INFINITY, 0.0_f64), |(a, b), value| (a.min(value), b.max(value)));
        if !least.is_finite() {
            return Self::Log(1.0, 10.0);
        }
        let (low, high) = (round_down(least), round_up(most));
        Self::Log(low, if high <= low { low * 10.0 } else { high })
    }

    /// 0 at the low end, 1 at the high end, clamped.
    pub(super) fn place(self, value: f64) -> f64 {
        let at = match self {
            Self::Linear(low, high) => (value - low) / (high - low),
            Self::Log(low, high) => (value.max(low) / low).ln() / (high / low).ln(),
        };
        at.clamp(0.0, 1.0)
    }

    /// Values worth a tick, at most about six.
    pub(super) fn ticks(self) -> Vec<f64> {
        match self {
            Self::Linear(low, high) => {
                let step = step(high - low);
                let first = (low / step).ceil();
                (0..12).map(|n| (first + f64::from(n)) * step).take_while(|tick| *tick <= high + step * 1e-6).collect()
            }
            Self::Log(low, high) => {
                let decades = (high / low).log10();
                let factors: &[f64] = if decades <= 1.5 {
                    &[1.0, 2.0, 5.0]
                } else if decades <= 3.0 {
                    &[1.0, 3.0]
                } else {
                    &[1.0]
                };
                let every = (decades / 6.0).ceil().max(1.0);
                let mut ticks = Vec::new();
                let mut power = low.log10().floor();
                while power <= high.log10() + 1e-9 {
                    ticks.extend(factors.iter().map(|factor| factor * 10_f64.powf(power)));
                    power += every;
                }
                ticks.retain(|tick| *tick >= low * 0.999 && *tick <= high * 1.001);
                ticks
            }
        }
    }
}

/// Ticks at whole seconds, minutes or hours, for an axis of nanoseconds.
pub(super) fn clock_ticks(scale: Scale) -> Vec<f64> {
    const STEPS_S: [f64; 17] =
        [1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0, 28_800.0, 86_400.0];
    let Scale::Linear(low, high) = scale else { return scale.ticks() };
    if high - low < 4e9 {
        return scale.ticks();
    }
    let step = STEPS_S.into_iter().map(|s| s * 1e9).find(|step| (high - low) / step <= 6.0).unwrap_or(86_400e9 * 7.0);
    let first = (low / step).ceil();
    (0..12).map(|n| (first + f64::from(n)) * step).take_while(|tick| *tick <= high).collect()
}

/// 1, 2 or 5 times a power of ten, about a fourth of `span`.
fn step(span: f64) -> f64 {
    let rough = span / 4.0;
    let power = 10_f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= rough * 0.999).unwrap_or(10.0);
    factor * power
}

fn round_down(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    [5.0, 2.0, 1.0].into_iter().find(|factor| factor * power <= value).unwrap_or(1.0) * power
}

fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= value).unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_few_and_within() {
        for scale in [
            Scale::from_zero([3.0, 997.0].into_iter()),
            Scale::from_zero(std::iter::empty()),
            Scale::around([4.98e9, 5.03e9].into_iter()),
            Scale::around([5.0, 5.0].into_iter()),
            Scale::log([4e5, 1.2e9].into_iter()),
            Scale::log([9e6, 2.4e7].into_iter()),
            Scale::log([7.0].into_iter()),
            Scale::log(std::iter::empty()),
        ] {
            let ticks = scale.ticks();
            assert!((2..=8).contains(&ticks.len()), "{scale:?}: {ticks:?}");
            assert!(ticks.windows(2).all(|pair| pair[0] < pair[1]), "{ticks:?}");
            assert!(ticks.iter().all(|tick| (0.0..=1.0).contains(&scale.place(*tick))));
        }
    }

    #[test]
    fn a_clock_ticks_in_whole_units() {
        for (end_s, shown) in [(13.0, 3), (60.0, 7), (610.0, 6), (7_200.0, 5), (90_000.0, 4)] {
            let ticks = clock_ticks(Scale::Linear(0.0, end_s * 1e9));
            assert_eq!(ticks.len(), shown, "{end_s}: {ticks:?}");
            assert!(ticks.iter().all(|tick| (tick / 1e9).fract() == 0.0));
        }
    }

    #[test]
    fn places_are_where_they_should_be() {
        assert!((Scale::Log(1.0, 100.0).place(10.0) - 0.5).abs() < 1e-9);
        assert!((Scale::Linear(0.0, 8.0).place(2.0) - 0.25).abs() < 1e-9);
        assert!((Scale::Log(1.0, 100.0).place(0.0)).abs() < 1e-9, "below the scale is its edge");
    }
}
