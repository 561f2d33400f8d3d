//! Thresholds: `METRIC OP VALUE` on any number of the report, each a finding of its own with the check id `threshold`.
//!
//! ```text
//! delivery.p99 < 250ms     delivery.ratio == 1     connect.p95 < 1s     instrument.late_share < 1%
//! ```

use std::fmt;
use std::str::FromStr;

use super::metric::{self, Metric, UnknownMetric};
use super::{Report, escape};
use crate::check::{Finding, Outcome};

/// How a number is compared with its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Less,
    AtMost,
    Greater,
    AtLeast,
    Equal,
    NotEqual,
}

/// Longer spellings first, so that `<=` is not read as `<`.
const OPERATORS: [(&str, Operator); 6] = [
    ("<=", Operator::AtMost),
    (">=", Operator::AtLeast),
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<", Operator::Less),
    (">", Operator::Greater),
];

impl Operator {
    #[expect(clippy::float_cmp, reason = "equality is what was asked; counts, nanoseconds and a ratio of equals are exact")]
    fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Self::Less => value < limit,
            Self::AtMost => value <= limit,
            Self::Greater => value > limit,
            Self::AtLeast => value >= limit,
            Self::Equal => value == limit,
            Self::NotEqual => value != limit,
        }
    }
}

/// A threshold that names a metric there is and a limit in its unit.
#[derive(Clone)]
pub struct Threshold {
    text: String,
    name: String,
    metric: Metric,
    operator: Operator,
    limit: f64,
}

impl fmt::Debug for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Threshold").field(&self.text).finish()
    }
}

/// Why a text is no threshold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ThresholdError {
    /// No operator.
    #[error("`{0}` is no threshold: write METRIC OP VALUE, such as `delivery.p99 < 250ms`; OP is one of < <= > >= == !=")]
    Form(String),
    /// No such metric.
    #[error("in `{text}`: {unknown}")]
    Metric {
        /// The whole threshold.
        text: String,
        /// What was not found.
        unknown: UnknownMetric,
    },
    /// A limit in the wrong unit.
    #[error("in `{text}`: {why}")]
    Limit {
        /// The whole threshold.
        text: String,
        /// How it is written.
        why: String,
    },
}

impl FromStr for Threshold {
    type Err = ThresholdError;

    fn from_str(text: &str) -> Result<Self, ThresholdError> {
        let text = text.trim();
        let shown = escape(text).into_owned();
        let at = text.find(['<', '>', '=', '!']).ok_or_else(|| ThresholdError::Form(shown.clone()))?;
        let (name, rest) = (text[..at].trim(), &text[at..]);
        let (spelling, operator) =
            OPERATORS.into_iter().find(|(spelling, _)| rest.starts_with(spelling)).ok_or_else(|| ThresholdError::Form(shown.clone()))?;
        let limit = rest[spelling.len()..].trim();
        if name.is_empty() || limit.is_empty() {
            return Err(ThresholdError::Form(shown));
        }
        let metric = metric::find(name).map_err(|unknown| ThresholdError::Metric { text: shown.clone(), unknown })?;
        let value = metric.unit().parse(limit).map_err(|why| ThresholdError::Limit { text: shown, why: escape(&why).into_owned() })?;
        let text = format!("{name} {spelling} {limit}");
        Ok(Self { text, name: name.into(), metric, operator, limit: value })
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Threshold {
    /// Whether it holds. No data is Inconclusive.
    #[must_use]
    pub fn judge(&self, report: &Report) -> Finding {
        let reading = self.metric.read(report);
        let (outcome, observed, note) = reading.map_or_else(
            || (Outcome::Inconclusive, format!("{}: no data", self.name), format!("nothing in this run gives `{}` a value", self.name)),
            |reading| {
                let holds = self.operator.holds(reading.value, self.limit);
                let note = if self.metric.is_the_maximum(reading.population) {
                    format!("of {} samples this percentile is the maximum", reading.population)
                } else {
                    String::new()
                };
                let outcome = if holds { Outcome::Pass } else { Outcome::Fail };
                (outcome, format!("{} = {}", self.name, self.metric.unit().show(reading.value)), note)
            },
        );
        Finding {
            check: "threshold".into(),
            claim: format!("the run keeps to `{self}`"),
            population: reading.map_or(0, |reading| reading.population),
            population_unit: "cases behind the number".into(),
            outcome,
            expected: self.text.clone(),
            observed,
            violations: u64::from(outcome == Outcome::Fail),
            note,
            witnesses: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_reads_what_it_says_it_reads() {
        for text in [
            "delivery.p99 < 250ms",
            "delivery.ratio == 1",
            "connect.p95<1s",
            "instrument.late_share < 1%",
            "copies.per_second >= 1000/s",
            "instrument.peak_memory <= 64MiB",
            " delivery.missing != 3 ",
        ] {
            assert!(text.parse::<Threshold>().is_ok(), "{text}");
        }
        for (text, says) in [
            ("", "no threshold"),
            ("delivery.p99", "no threshold"),
            ("delivery.p99 = 1s", "no threshold"),
            ("< 250ms", "no threshold"),
            ("delivery.p99 <", "no threshold"),
            ("delivery.p99 < 250", "no unit"),
            ("delivery.p99 < fast", "not a time"),
            ("delivery.ratio == all", "not a share"),
            ("delivery.p9o < 1s", "did you mean"),
            ("copies.duplicate == none", "not a number"),
            ("delivery.p99 < 1s\u{1b}[2J", "\\u{1b}"),
        ] {
            let error = text.parse::<Threshold>().expect_err(text).to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn operators_hold_and_break() {
        for (operator, below, at, above) in [
            (Operator::Less, true, false, false),
            (Operator::AtMost, true, true, false),
            (Operator::Greater, false, false, true),
            (Operator::AtLeast, false, true, true),
            (Operator::Equal, false, true, false),
            (Operator::NotEqual, true, false, true),
        ] {
            assert_eq!([operator.holds(1.0, 2.0), operator.holds(2.0, 2.0), operator.holds(3.0, 2.0)], [below, at, above], "{operator:?}");
        }
    }
}
