//! Sizes in bytes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ByteSize(pub u64);

/// Why a text is no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a size: write `128B`, `4KiB` or `1MiB`")]
pub struct SizeError(String);

impl FromStr for ByteSize {
    type Err = SizeError;

    /// `kB` and `MB` are powers of 1000, `KiB` and `MiB` powers of 1024; a bare number is bytes.
    fn from_str(text: &str) -> Result<Self, SizeError> {
        let error = || SizeError(text.into());
        let trimmed = text.trim();
        let split = trimmed.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(trimmed.len());
        let value: f64 = trimmed[..split].parse().map_err(|_| error())?;
        let scale = match trimmed[split..].trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1.0,
            "kb" => 1e3,
            "mb" => 1e6,
            "gb" => 1e9,
            "k" | "kib" => 1024.0,
            "m" | "mib" => 1024.0 * 1024.0,
            "g" | "gib" => 1024.0 * 1024.0 * 1024.0,
            _ => return Err(error()),
        };
        let bytes = value * scale;
        if bytes.fract() != 0.0 || bytes > 1e15 {
            return Err(error());
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number below 1e15")]
        Ok(Self(bytes as u64))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[expect(clippy::cast_precision_loss, reason = "three figures are shown")]
        let b = self.0 as f64;
        let text = match self.0 {
            0..=1023 => format!("{}B", self.0),
            1024..=1_048_575 => format!("{:.1}KiB", b / 1024.0),
            1_048_576..=1_073_741_823 => format!("{:.1}MiB", b / 1_048_576.0),
            _ => format!("{:.1}GiB", b / 1_073_741_824.0),
        };
        f.pad(&text.replace(".0", ""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_and_print() {
        for (text, bytes, shown) in [
            ("128B", 128, "128B"),
            ("128", 128, "128B"),
            ("4KiB", 4096, "4KiB"),
            ("1.5 MiB", 1_572_864, "1.5MiB"),
            ("10kB", 10_000, "9.8KiB"),
        ] {
            let size: ByteSize = text.parse().expect(text);
            assert_eq!((size.0, size.to_string().as_str()), (bytes, shown));
        }
        for text in ["", "many", "0.5B", "-1B", "1PB"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }
}
