//! First, median and last receiver per publication, joined over the shards that saw it.

use super::summary::{Distribution, PublicationSpread, SpreadNumbers};
use crate::account::{Account, Spread};
use crate::base::Instant;
use crate::event::Phase;

/// Publications listed as the worst.
const WORST: usize = 8;

/// Publications in the series for charts.
const SERIES: usize = 2_000;

/// The spread numbers over the publications planned in the steady state.
pub(super) fn spread(account: &Account) -> SpreadNumbers {
    let steady = account.began(Phase::Steady).unwrap_or(Instant::FAR);
    let mut all: Vec<PublicationSpread> = account.spread.publications().filter(|parts| parts[0].planned >= steady).map(join).collect();
    all.sort_unstable_by_key(|p| (p.planned_ns, p.publisher, p.seq));
    let of = |value: fn(&PublicationSpread) -> u64| {
        let mut distribution = Distribution::default();
        all.iter().for_each(|p| distribution.record(value(p)));
        distribution
    };
    let (first, median, last) = (of(|p| p.first_ns), of(|p| p.median_ns), of(|p| p.last_ns));
    let spread = of(|p| p.last_ns - p.first_ns);
    let mut worst = all.clone();
    worst.sort_by_key(|p| std::cmp::Reverse(p.last_ns - p.first_ns));
    worst.truncate(WORST);
    let step = all.len().div_ceil(SERIES).max(1);
    SpreadNumbers {
        sampled: all.len() as u64,
        of: account.publications.sent_steady,
        first,
        median,
        last,
        spread,
        worst,
        series: all.into_iter().step_by(step).collect(),
    }
}

/// One publication over all shards that saw it.
fn join(parts: &[Spread]) -> PublicationSpread {
    let planned = parts[0].planned;
    let receivers: u32 = parts.iter().map(|part| part.receivers).sum();
    let first = parts.iter().map(|part| part.first).min().unwrap_or(planned);
    let last = parts.iter().map(|part| part.last).max().unwrap_or(planned);
    PublicationSpread {
        publisher: parts[0].publisher.0,
        seq: parts[0].seq.0,
        planned_ns: planned.as_nanos(),
        receivers,
        first_ns: first.since(planned).as_nanos(),
        median_ns: median(parts, receivers, first, last).since(planned).as_nanos(),
        last_ns: last.since(planned).as_nanos(),
    }
}

/// When half of all receivers had it: exactly where one shard marked that very receiver, otherwise the instant at which the
/// shards' curves, straight between their marks, add up to a half.
fn median(parts: &[Spread], receivers: u32, first: Instant, last: Instant) -> Instant {
    let half = receivers.div_ceil(2);
    if let [only] = parts
        && let Some((_, at)) = only.curve().find(|(n, _)| *n == half)
    {
        return at;
    }
    let (mut low, mut high) = (first.as_nanos(), last.as_nanos());
    while low < high {
        let middle = low + (high - low) / 2;
        let had: f64 = parts.iter().map(|part| receivers_by(part, Instant::from_nanos(middle))).sum();
        if had >= f64::from(half) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Instant::from_nanos(low)
}

/// How many of a shard's receivers had it at `at`, straight between the marks.
#[expect(clippy::cast_precision_loss, reason = "an interpolation")]
fn receivers_by(part: &Spread, at: Instant) -> f64 {
    let mut before = None;
    for (n, instant) in part.curve() {
        if instant > at {
            let Some((m, from)) = before else { return 0.0 };
            let (part, whole) = (at.since(from).as_nanos() as f64, instant.since(from).as_nanos() as f64);
            return f64::from(m) + f64::from(n - m) * part / whole;
        }
        before = Some((n, instant));
    }
    f64::from(part.receivers)
}
