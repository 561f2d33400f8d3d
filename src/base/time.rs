//! Instants and spans in nanoseconds. An [`Instant`] counts from the run's epoch; below the edge, time is data.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A point in time: nanoseconds since the run's epoch. Not tied to any clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Instant(u64);

/// A length of time in nanoseconds, never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(u64);

impl Instant {
    /// The run's epoch.
    pub const EPOCH: Self = Self(0);
    /// Later than anything that happens.
    pub const FAR: Self = Self(u64::MAX);

    /// The instant `ns` nanoseconds after the epoch.
    #[must_use]
    pub const fn from_nanos(ns: u64) -> Self {
        Self(ns)
    }

    /// Nanoseconds since the epoch.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The span since `earlier`, or zero when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }

    /// This instant moved back by `span`, not before the epoch.
    #[must_use]
    pub const fn before(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// `ns` nanoseconds.
    #[must_use]
    pub const fn from_nanos(ns: u64) -> Self {
        Self(ns)
    }

    /// `us` microseconds.
    #[must_use]
    pub const fn from_micros(us: u64) -> Self {
        Self(us * 1_000)
    }

    /// `ms` milliseconds.
    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms * 1_000_000)
    }

    /// `s` seconds.
    #[must_use]
    pub const fn from_secs(s: u64) -> Self {
        Self(s * 1_000_000_000)
    }

    /// Nanoseconds.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Seconds, for rates and printing; not for arithmetic on time.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a display value")]
    pub const fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// True for the empty span.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The difference, or zero.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// The distance between two spans, whichever is longer.
    #[must_use]
    pub const fn abs_diff(self, other: Self) -> Self {
        Self(self.0.abs_diff(other.0))
    }

    /// This span `n` times over, saturating.
    #[must_use]
    pub const fn times(self, n: u64) -> Self {
        Self(self.0.saturating_mul(n))
    }

    /// As the standard library's type, for timers at the edge.
    #[must_use]
    pub const fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_nanos(self.0)
    }
}

impl Add<Span> for Instant {
    type Output = Self;
    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl AddAssign<Span> for Instant {
    fn add_assign(&mut self, span: Span) {
        *self = *self + span;
    }
}

impl Sub for Instant {
    type Output = Span;
    fn sub(self, earlier: Self) -> Span {
        self.since(earlier)
    }
}

impl Add for Span {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

/// Why a text is no span.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpanError {
    /// No number in front.
    #[error("`{0}` is not a time: write a number and a unit, such as `250ms`, `5s`, `1.5m`")]
    Number(String),
    /// A number with no unit: refused, since 250 could be anything.
    #[error("`{0}` has no unit: write `{0}ms`, `{0}s` or `{0}m`")]
    NoUnit(String),
    /// An unknown unit.
    #[error("`{unit}` in `{text}` is not a unit of time: use ns, us, ms, s, m or h")]
    Unit {
        /// As written.
        text: String,
        /// The part that was not understood.
        unit: String,
    },
    /// More than fits.
    #[error("`{0}` is too long: the longest is 365 days")]
    TooLong(String),
}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let text = text.trim();
        let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
        let (number, unit) = (&text[..split], text[split..].trim());
        let value: f64 = number.parse().map_err(|_| SpanError::Number(text.into()))?;
        let scale = match unit {
            "" if value == 0.0 => 1.0,
            "" => return Err(SpanError::NoUnit(text.into())),
            "ns" => 1.0,
            "us" | "µs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" | "min" => 60e9,
            "h" => 3600e9,
            other => return Err(SpanError::Unit { text: text.into(), unit: other.into() }),
        };
        let ns = value * scale;
        if ns > 365.0 * 24.0 * 3600e9 {
            return Err(SpanError::TooLong(text.into()));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked against the limit above; the parser admits no sign"
        )]
        Ok(Self(ns.round() as u64))
    }
}

impl fmt::Display for Span {
    /// The shortest form that keeps three significant figures: `812ns`, `1.25ms`, `250ms`, `5s`, `2m30s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[expect(clippy::cast_precision_loss, reason = "three figures are shown")]
        let ns = self.0 as f64;
        let three = |value: f64, unit: &str| {
            let text = if value >= 99.95 {
                format!("{value:.0}")
            } else if value >= 9.995 {
                format!("{value:.1}")
            } else {
                format!("{value:.2}")
            };
            let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
            format!("{text}{unit}")
        };
        let text = match self.0 {
            0 => "0s".into(),
            1..=999 => format!("{}ns", self.0),
            1_000..=999_499 => three(ns / 1e3, "µs"),
            999_500..=999_499_999 => three(ns / 1e6, "ms"),
            999_500_000..=119_999_999_999 => three(ns / 1e9, "s"),
            _ => {
                let s = self.0 / 1_000_000_000;
                match (s / 3600, s / 60 % 60, s % 60) {
                    (0, m, 0) => format!("{m}m"),
                    (0, m, s) => format!("{m}m{s:02}s"),
                    (h, m, 0) => format!("{h}h{m:02}m"),
                    (h, m, s) => format!("{h}h{m:02}m{s:02}s"),
                }
            }
        };
        f.pad(&text)
    }
}

impl fmt::Display for Instant {
    /// Seconds since the epoch with milliseconds, as a stop-watch shows them: `12.345s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{:03}s", self.0 / 1_000_000_000, self.0 / 1_000_000 % 1_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_and_print() {
        for (text, ns, shown) in [
            ("250ms", 250_000_000, "250ms"),
            ("1.5s", 1_500_000_000, "1.5s"),
            ("5 s", 5_000_000_000, "5s"),
            ("2m", 120_000_000_000, "2m"),
            ("150s", 150_000_000_000, "2m30s"),
            ("1h", 3_600_000_000_000, "1h00m"),
            ("812ns", 812, "812ns"),
            ("12.34us", 12_340, "12.3µs"),
            ("999.9us", 999_900, "1ms"),
            ("0", 0, "0s"),
        ] {
            let span: Span = text.parse().expect(text);
            assert_eq!((span.as_nanos(), span.to_string().as_str()), (ns, shown), "{text}");
        }
    }

    #[test]
    fn what_is_no_span_says_why() {
        for (text, says) in [
            ("", "not a time"),
            ("fast", "not a time"),
            ("250", "no unit"),
            ("5 parsecs", "not a unit"),
            ("-1s", "not a time"),
            ("99999999h", "too long"),
        ] {
            let error = text.parse::<Span>().expect_err(text).to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn instants_never_go_below_zero() {
        let (a, b) = (Instant::from_nanos(5), Instant::from_nanos(9));
        assert_eq!((b - a, a - b), (Span::from_nanos(4), Span::ZERO));
        assert_eq!(a.before(Span::from_secs(1)), Instant::EPOCH);
    }
}
