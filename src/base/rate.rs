//! Events per time, exact to a millionth of an event per second.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Instant, Span};

/// A rate, kept as millionths of an event per second, so that the n-th instant is exact for hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rate {
    micro_per_s: u64,
}

impl Rate {
    /// `n` events a second; `None` for zero, which is never a rate.
    #[must_use]
    pub const fn per_second(n: u32) -> Option<Self> {
        if n == 0 { None } else { Some(Self { micro_per_s: n as u64 * 1_000_000 }) }
    }

    /// Events per second, for printing and budgets.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a display value")]
    pub const fn as_per_second(self) -> f64 {
        self.micro_per_s as f64 / 1e6
    }

    /// Millionths of an event per second.
    #[must_use]
    pub const fn micro_per_second(self) -> u64 {
        self.micro_per_s
    }

    /// When the `n`-th event (from 0) is due after the start: computed from `n`, so lateness cannot accumulate.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "saturated first")]
    pub const fn nth(self, n: u64) -> Span {
        let ns = n as u128 * 1_000_000_000_000_000 / self.micro_per_s as u128;
        Span::from_nanos(if ns > u64::MAX as u128 { u64::MAX } else { ns as u64 })
    }

    /// How many events are due in `[0, span)`.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "a span of centuries at a million a second is refused before")]
    pub const fn count_within(self, span: Span) -> u64 {
        let product = span.as_nanos() as u128 * self.micro_per_s as u128;
        product.div_ceil(1_000_000_000_000_000) as u64
    }

    /// The instant of the `n`-th event after `start`.
    #[must_use]
    pub fn nth_after(self, start: Instant, n: u64) -> Instant {
        start + self.nth(n)
    }
}

/// Why a text is no rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// Not of the form number/unit.
    #[error("`{0}` is not a rate: write `50/s`, `30/m` or `0.5/s`")]
    Form(String),
    /// Zero or less.
    #[error("a rate of 0 never happens: leave the key out, or write a rate above 0")]
    Zero,
    /// Beyond what any machine does.
    #[error("`{0}` is more than ten million a second")]
    TooFast(String),
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let form = || RateError::Form(text.into());
        let (number, unit) = text.split_once('/').ok_or_else(form)?;
        let value: f64 = number.trim().parse().map_err(|_| form())?;
        let per_s = match unit.trim() {
            "s" | "sec" | "second" => value,
            "m" | "min" | "minute" => value / 60.0,
            "h" | "hour" => value / 3600.0,
            _ => return Err(form()),
        };
        if !per_s.is_finite() || per_s < 0.0 {
            return Err(form());
        }
        if per_s > 1e7 {
            return Err(RateError::TooFast(text.into()));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded above")]
        let micro_per_s = (per_s * 1e6).round() as u64;
        if micro_per_s == 0 { Err(RateError::Zero) } else { Ok(Self { micro_per_s }) }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.micro_per_s.is_multiple_of(1_000_000) {
            f.pad(&format!("{}/s", self.micro_per_s / 1_000_000))
        } else {
            f.pad(&format!("{}/s", self.as_per_second()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_read_and_print() {
        for (text, shown) in [("50/s", "50/s"), ("30/m", "0.5/s"), ("0.5/s", "0.5/s"), (" 500 / s", "500/s")] {
            assert_eq!(text.parse::<Rate>().expect(text).to_string(), shown);
        }
        assert_eq!("0/s".parse::<Rate>(), Err(RateError::Zero));
        assert!("50".parse::<Rate>().is_err());
        assert!("-5/s".parse::<Rate>().is_err());
        assert!("NaN/s".parse::<Rate>().is_err());
    }

    #[test]
    fn the_nth_instant_does_not_drift() {
        let third: Rate = "3/s".parse().expect("a rate");
        assert_eq!(third.nth(3_000_000), Span::from_secs(1_000_000));
        assert_eq!(third.count_within(Span::from_secs(10)), 30);
        assert_eq!(third.count_within(Span::from_nanos(1)), 1, "the first is due at once");
    }
}
