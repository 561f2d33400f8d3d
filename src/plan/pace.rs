//! When the n-th publication is due: pure arithmetic on n. Integer where a long run would drift otherwise.

use crate::base::{Rate, Rng, Seed, Span};
use crate::scenario::model::{Pace, Step};

/// One event in the unit the integer paces count in: (millionths of an event per second) × nanoseconds.
const EVENT: u128 = 1_000_000 * 1_000_000_000;

/// The due instants of one pace over the publishing phases, as spans after the start of publishing, never decreasing.
///
/// How many there are is ∫ rate dt over the phases: exact for rates, bursts and steps, within one for ramps and Poisson.
#[derive(Debug, Clone)]
pub struct Instants {
    state: State,
    next: u64,
    len: u64,
}

#[derive(Debug, Clone)]
enum State {
    Never,
    Stairs(Stairs),
    Ramp { from: f64, rise: f64, end: Span },
    Burst { size: u64, every: Span },
    Poisson { phases: [Shuffled; 2], current: usize },
}

impl Instants {
    /// The instants of `pace` over `warm_up` and `steady` together.
    #[must_use]
    pub fn new(pace: &Pace, warm_up: Span, steady: Span, seed: Seed) -> Self {
        let end = warm_up + steady;
        let (state, len) = match pace {
            Pace::Closed { .. } => (State::Never, 0),
            Pace::Constant { rate } => stairs(&[Step { rate: *rate, span: end }], end),
            Pace::Steps { steps } => stairs(steps, end),
            Pace::Ramp { from, to } => ramp(*from, *to, end),
            Pace::Burst { size, every } => {
                let bursts = end.as_nanos().div_ceil(every.as_nanos().max(1));
                (State::Burst { size: u64::from(*size).max(1), every: *every }, bursts.saturating_mul(u64::from(*size)))
            }
            Pace::Poisson { rate } => {
                let early = rate.count_within(warm_up);
                let late = rate.count_within(end) - early;
                let seed = seed.derive("pace");
                let phases = [Shuffled::new(early, Span::ZERO, warm_up, seed.nth(0)), Shuffled::new(late, warm_up, steady, seed.nth(1))];
                (State::Poisson { phases, current: 0 }, early + late)
            }
        };
        Self { state, next: 0, len }
    }

    /// How many there are in all, taken or not.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.len
    }
}

impl Iterator for Instants {
    type Item = Span;

    fn next(&mut self) -> Option<Span> {
        if self.next >= self.len {
            return None;
        }
        let n = self.next;
        self.next += 1;
        match &mut self.state {
            State::Never => None,
            State::Stairs(stairs) => Some(stairs.at(n)),
            State::Ramp { from, rise, end } => Some(ramp_at(*from, *rise, n).min(*end)),
            State::Burst { size, every } => Some(every.times(n / *size)),
            State::Poisson { phases, current } => loop {
                match phases.get_mut(*current)?.next() {
                    Some(at) => return Some(at),
                    None => *current += 1,
                }
            },
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::try_from(self.len - self.next).unwrap_or(usize::MAX);
        (left, Some(left))
    }
}

/// Constant rates one after another; the last holds. The integral is carried exactly from step to step.
#[derive(Debug, Clone)]
struct Stairs {
    /// Start in ns, events × [`EVENT`] due before it, rate in millionths a second.
    steps: Vec<(u64, u128, u128)>,
    current: usize,
}

fn stairs(steps: &[Step], end: Span) -> (State, u64) {
    let mut list = Vec::with_capacity(steps.len());
    let (mut start, mut due) = (0_u64, 0_u128);
    for step in steps {
        list.push((start, due, u128::from(step.rate.micro_per_second())));
        due += u128::from(step.span.as_nanos()) * u128::from(step.rate.micro_per_second());
        start = start.saturating_add(step.span.as_nanos());
    }
    let len = list.iter().rev().find(|(start, ..)| *start < end.as_nanos()).map_or(0, |(start, due, rate)| {
        let total = due + u128::from(end.as_nanos() - start) * rate;
        u64::try_from(total.div_ceil(EVENT)).unwrap_or(u64::MAX)
    });
    (State::Stairs(Stairs { steps: list, current: 0 }), len)
}

impl Stairs {
    /// The first nanosecond at which `n` events are due before the next one. `n` must not decrease from call to call.
    fn at(&mut self, n: u64) -> Span {
        let wanted = u128::from(n) * EVENT;
        while self.steps.get(self.current + 1).is_some_and(|(_, due, _)| *due <= wanted) {
            self.current += 1;
        }
        let (start, due, rate) = self.steps[self.current];
        let after = (wanted - due) / rate;
        Span::from_nanos(start.saturating_add(u64::try_from(after).unwrap_or(u64::MAX)))
    }
}

/// Rates in events per nanosecond; N(t) = from·t + rise·t², so that dN/dt goes evenly from `from` to `to` over `end`.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "runs are far below 2^53 ns and events"
)]
fn ramp(from: Rate, to: Rate, end: Span) -> (State, u64) {
    let (a, b, t) = (from.as_per_second() / 1e9, to.as_per_second() / 1e9, end.as_nanos() as f64);
    let len = ((a + b) / 2.0 * t - 1e-9).ceil().max(0.0) as u64;
    (State::Ramp { from: a, rise: (b - a) / (2.0 * t.max(1.0)), end }, len)
}

/// The root of rise·t² + from·t = n, in the form that does not cancel. Under the root nothing is negative for n < N(end), but
/// rounding at the very end may say so.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "as above")]
fn ramp_at(from: f64, rise: f64, n: u64) -> Span {
    let n = n as f64;
    let root = (from * from + 4.0 * rise * n).max(0.0).sqrt();
    Span::from_nanos((2.0 * n / (from + root)) as u64)
}

/// `count` instants uniform in a span, in order, drawn one by one (Bentley and Saxe, "Generating sorted lists of random
/// numbers", 1980): what a Poisson process looks like given how often it struck.
#[derive(Debug, Clone)]
struct Shuffled {
    left: u64,
    /// The part of the span not yet passed, 1 → 0.
    remaining: f64,
    start: Span,
    span: Span,
    rng: Rng,
}

impl Shuffled {
    fn new(count: u64, start: Span, span: Span, seed: Seed) -> Self {
        Self { left: count, remaining: 1.0, start, span, rng: seed.rng() }
    }

    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "runs are far below 2^53 ns")]
    fn next(&mut self) -> Option<Span> {
        if self.left == 0 {
            return None;
        }
        self.remaining *= (1.0 - self.rng.unit()).powf(1.0 / self.left as f64);
        self.left -= 1;
        let last = self.span.as_nanos().saturating_sub(1);
        let passed = ((1.0 - self.remaining) * self.span.as_nanos() as f64) as u64;
        Some(self.start + Span::from_nanos(passed.min(last)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn per_second(n: u32) -> Rate {
        Rate::per_second(n).expect("above 0")
    }

    fn all(pace: &Pace, warm_up_ms: u64, steady_ms: u64) -> Vec<u64> {
        let instants = Instants::new(pace, Span::from_millis(warm_up_ms), Span::from_millis(steady_ms), Seed(7));
        let len = instants.total();
        let mut begun = instants.clone();
        let (hint, first) = (instants.size_hint(), begun.next());
        let list: Vec<_> = instants.map(Span::as_nanos).collect();
        assert_eq!(hint, (list.len(), Some(list.len())), "the length is known before the first");
        assert_eq!(begun.size_hint().0 + usize::from(first.is_some()), list.len(), "and after it");
        assert_eq!(list.len() as u64, len, "the length is known beforehand");
        list
    }

    #[test]
    fn paces_as_tables() {
        let ms = |list: &[u64]| list.iter().map(|n| n * 1_000_000).collect::<Vec<_>>();
        assert_eq!(all(&Pace::Constant { rate: per_second(4) }, 0, 1000), ms(&[0, 250, 500, 750]));
        assert_eq!(all(&Pace::Burst { size: 2, every: Span::from_millis(400) }, 0, 1000), ms(&[0, 0, 400, 400, 800, 800]));
        let steps = vec![
            Step { rate: per_second(2), span: Span::from_secs(1) },
            Step { rate: per_second(4), span: Span::from_millis(500) },
            Step { rate: per_second(1), span: Span::from_secs(1) },
        ];
        assert_eq!(all(&Pace::Steps { steps }, 1000, 2000), ms(&[0, 500, 1000, 1250, 1500, 2500]), "the last step holds to the end");
        assert_eq!(all(&Pace::Closed { rate: None }, 0, 1000), ms(&[]));
        let ramp = all(&Pace::Ramp { from: per_second(1), to: per_second(3) }, 0, 2000);
        assert_eq!(ramp.len(), 4, "the mean of 1/s and 3/s over 2s");
        assert!(ramp.windows(3).all(|w| w[2] - w[1] < w[1] - w[0]), "ever closer together: {ramp:?}");
        // Due after t seconds: t + t²/2 on the way up, 3t - t²/2 on the way down.
        let in_ms = |list: &[u64]| list.iter().map(|n| n / 1_000_000).collect::<Vec<_>>();
        assert_eq!(in_ms(&ramp), [0, 732, 1236, 1645]);
        assert_eq!(in_ms(&all(&Pace::Ramp { from: per_second(3), to: per_second(1) }, 0, 2000)), [0, 354, 763, 1267]);
    }

    #[test]
    fn poisson_gaps_are_exponential() {
        let list = all(&Pace::Poisson { rate: per_second(1000) }, 0, 100_000);
        assert_eq!(list.len(), 100_000);
        let gaps: Vec<f64> = list.windows(2).map(|w| (w[1] - w[0]) as f64 / 1e6).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        let long = gaps.iter().filter(|g| **g > 1.0).count() as f64 / gaps.len() as f64;
        assert!((mean - 1.0).abs() < 0.01, "mean {mean}");
        assert!((variance - 1.0).abs() < 0.05, "an exponential's variance is its mean squared: {variance}");
        assert!((long - (-1.0_f64).exp()).abs() < 0.01, "P(gap > mean) is 1/e: {long}");
    }

    fn paces() -> impl Strategy<Value = Pace> {
        let rate = || (1_u32..2000).prop_map(per_second);
        prop_oneof![
            rate().prop_map(|rate| Pace::Constant { rate }),
            (rate(), rate()).prop_map(|(from, to)| Pace::Ramp { from, to }),
            prop::collection::vec((rate(), 1_u64..4000).prop_map(|(rate, ms)| Step { rate, span: Span::from_millis(ms) }), 1..5)
                .prop_map(|steps| Pace::Steps { steps }),
            rate().prop_map(|rate| Pace::Poisson { rate }),
            (1_u32..50, 1_u64..3000).prop_map(|(size, ms)| Pace::Burst { size, every: Span::from_millis(ms) }),
        ]
    }

    /// ∫ rate dt over `ms` milliseconds, by its definition and not by the code above.
    fn integral(pace: &Pace, ms: u64) -> f64 {
        let seconds = ms as f64 / 1e3;
        match pace {
            Pace::Constant { rate } | Pace::Poisson { rate } => rate.as_per_second() * seconds,
            Pace::Ramp { from, to } => (from.as_per_second() + to.as_per_second()) / 2.0 * seconds,
            Pace::Steps { steps } => {
                let mut left = seconds;
                let mut sum = 0.0;
                for (i, step) in steps.iter().enumerate() {
                    let takes = if i + 1 == steps.len() { left } else { left.min(step.span.as_secs_f64()) };
                    sum += takes * step.rate.as_per_second();
                    left -= takes;
                }
                sum
            }
            Pace::Burst { size, every } => (seconds / every.as_secs_f64()).ceil() * f64::from(*size),
            Pace::Closed { .. } => 0.0,
        }
    }

    proptest! {
        #[test]
        fn instants_never_decrease_and_count_the_integral(pace in paces(), warm_up in 0_u64..2000, steady in 1_u64..4000) {
            let list = all(&pace, warm_up, steady);
            prop_assert!(list.windows(2).all(|w| w[0] <= w[1]));
            prop_assert!(list.iter().all(|at| *at < (warm_up + steady) * 1_000_000), "none is due after the end: {:?}", list.last());
            let expected = integral(&pace, warm_up + steady);
            prop_assert!((list.len() as f64 - expected).abs() <= 1.0, "{} publications, ∫ rate = {expected}", list.len());
        }
    }
}
