//! Durations as people write them (`5s`, `250ms`, `1.5m`), for flags, fault specifications and configuration files.
//!
//! Must never know what a duration is for.

use std::time::Duration;

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a duration: write `250ms`, `5s` or `1m`")]
pub struct DurationError(String);

/// Reads a duration: a number and a unit of `us`, `ms`, `s`, `m` or `h`.
///
/// # Errors
/// [`DurationError`] names the text and the accepted forms.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let error = || DurationError(text.into());
    let trimmed = text.trim();
    let split = trimmed.find(|c: char| !(c.is_ascii_digit() || c == '.')).ok_or_else(error)?;
    let value: f64 = trimmed[..split].parse().map_err(|_| error())?;
    let scale = match trimmed[split..].trim() {
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(error()),
    };
    Duration::try_from_secs_f64(value * scale).map_err(|_| error())
}

/// Writes a duration so that [`parse_duration`] reads the same one back (to the microsecond).
#[must_use]
pub fn format_duration(span: Duration) -> String {
    let us = span.as_micros();
    if us.is_multiple_of(1_000_000) {
        format!("{}s", us / 1_000_000)
    } else if us.is_multiple_of(1000) {
        format!("{}ms", us / 1000)
    } else {
        format!("{us}us")
    }
}

/// Serde form of a duration: the text people write.
pub(crate) mod text {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(span: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::format_duration(*span))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        super::parse_duration(&String::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

/// Serde form of a duration that can be `off`.
pub(crate) mod text_or_off {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(span: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        match span {
            Some(span) => to.serialize_str(&super::format_duration(*span)),
            None => to.serialize_str("off"),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        let text = String::deserialize(from)?;
        if text == "off" {
            return Ok(None);
        }
        super::parse_duration(&text).map(Some).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_back() {
        for (text, millis) in [("5s", 5000), ("250ms", 250), ("1.5s", 1500), ("2m", 120_000), ("1h", 3_600_000), ("0s", 0)] {
            let span = parse_duration(text).unwrap_or_default();
            assert_eq!(span, Duration::from_millis(millis), "{text}");
            assert_eq!(parse_duration(&format_duration(span)), Ok(span), "{text}");
        }
        for text in ["", "5", "s", "5 parsecs", "-1s", "1e400s"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
