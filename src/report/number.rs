//! Numbers as people read them: grouped thousands, shares that never round up to certainty, rates, sizes.

use crate::base::{ByteSize, Span};

/// `499988` → `499,988`.
pub(super) fn group(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A share of one as a percentage that is `100%` or `0%` only when it is exactly that: `0.99999761` → `99.9997%`.
pub(super) fn percent(share: f64) -> String {
    if !share.is_finite() {
        return "none".into();
    }
    let value = share * 100.0;
    if value == 0.0 || value == 100.0 {
        return format!("{value:.0}%");
    }
    if value > 99.0 && value < 100.0 {
        // Cut, not rounded, at the second figure that is not a nine.
        for digits in 1..=9 {
            let scale = 10_f64.powi(digits);
            let cut = (value * scale).floor() / scale;
            if 100.0 - cut > 1.5 / scale || digits == 9 {
                return format!("{}%", trim_zeros(&format!("{cut:.*}", usize::try_from(digits).unwrap_or(9))));
            }
        }
    }
    format!("{}%", significant(value))
}

/// Events per second: `50/s`, `49.8/s`, `172,000/s`.
pub(super) fn per_second(rate: f64) -> String {
    format!("{}/s", quantity(rate))
}

/// A number that need not be whole: three figures below 100, whole and grouped above.
pub(super) fn quantity(value: f64) -> String {
    if !value.is_finite() || value < 0.0 {
        return "none".into();
    }
    if value >= 99.95 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "finite and not negative; saturates")]
        return group(value.round() as u64);
    }
    significant(value)
}

/// Nanoseconds as the shortest text with three figures.
pub(super) fn span(ns: u64) -> String {
    Span::from_nanos(ns).to_string()
}

/// Bytes with a binary unit, a space before it.
pub(super) fn bytes(n: u64) -> String {
    let text = ByteSize(n).to_string();
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    format!("{} {}", &text[..split], &text[split..])
}

/// `1 client`, `2 clients`.
pub(super) fn count(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", group(n), if n == 1 { one } else { many })
}

/// Three significant figures below 100, trailing zeros cut.
fn significant(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let magnitude = value.abs().log10().floor();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=9")]
    let decimals = (2.0 - magnitude).clamp(0.0, 9.0) as usize;
    trim_zeros(&format!("{value:.decimals$}")).to_owned()
}

fn trim_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        for (n, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (499_988, "499,988"), (1_234_567, "1,234,567")] {
            assert_eq!(group(n), text);
        }
    }

    #[test]
    fn a_share_rounds_to_certainty_only_when_certain() {
        for (share, text) in [
            (1.0, "100%"),
            (0.0, "0%"),
            (0.999_976, "99.997%"),
            (0.999_999_999, "99.9999999%"),
            (0.995, "99.5%"),
            (0.5, "50%"),
            (0.000_012, "0.0012%"),
            (0.123_45, "12.3%"),
        ] {
            assert_eq!(percent(share), text, "{share}");
        }
        assert!(percent(f64::NAN) == "none");
    }

    #[test]
    fn quantities_keep_three_figures() {
        for (value, text) in [(0.0, "0"), (0.5, "0.5"), (49.98, "50"), (49.83, "49.8"), (1234.5, "1,235"), (f64::NAN, "none")] {
            assert_eq!(quantity(value), text, "{value}");
        }
        assert_eq!((bytes(128).as_str(), bytes(1_677_721).as_str()), ("128 B", "1.6 MiB"));
    }
}
