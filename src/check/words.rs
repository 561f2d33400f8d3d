//! Numbers as people read them in findings.

/// `550000` as `550,000`.
pub(super) fn count(n: u64) -> String {
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

/// `3` and `copy`, `copies` as `3 copies`.
pub(super) fn several(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

/// A share of a whole in per cent with two significant figures; never `0 %` for something, nor `100 %` for less than all.
#[expect(clippy::cast_precision_loss, reason = "two figures are shown")]
pub(super) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 || part == 0 {
        return "0 %".into();
    }
    if part == whole {
        return "100 %".into();
    }
    let percent = part as f64 / whole as f64 * 100.0;
    match percent {
        p if p < 0.0001 => "< 0.0001 %".into(),
        p if p < 0.001 => format!("{p:.5} %"),
        p if p < 0.01 => format!("{p:.4} %"),
        p if p < 0.1 => format!("{p:.3} %"),
        p if p < 1.0 => format!("{p:.2} %"),
        p if p < 99.0 => format!("{p:.1} %"),
        p => format!("{:.2} %", p.min(99.99)),
    }
}

/// Parts of an observation, those that are there, joined by commas.
pub(super) fn listed(parts: impl IntoIterator<Item = (u64, String)>) -> String {
    parts.into_iter().filter(|(n, _)| *n > 0).map(|(_, text)| text).collect::<Vec<_>>().join(", ")
}

/// Sentences of a note, joined.
pub(super) fn sentences(parts: impl IntoIterator<Item = Option<String>>) -> String {
    parts.into_iter().flatten().filter(|s| !s.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([0, 7, 999, 1_000, 550_000, 1_234_567].map(count), ["0", "7", "999", "1,000", "550,000", "1,234,567"]);
        for (part, whole, text) in [
            (0, 10, "0 %"),
            (10, 10, "100 %"),
            (10, 550_000, "0.0018 %"),
            (1, 3, "33.3 %"),
            (549_990, 550_000, "99.99 %"),
            (1, 1_000_000_000, "< 0.0001 %"),
            (5, 0, "0 %"),
            (1, 200_000, "0.00050 %"),
            (1, 20_000, "0.0050 %"),
            (1, 2_000, "0.050 %"),
            (1, 200, "0.50 %"),
            (1, 100, "1.0 %"),
            (985, 1_000, "98.5 %"),
            (991, 1_000, "99.10 %"),
            (99, 100, "99.00 %"),
            (1, 1_000, "0.10 %"),
            (1, 10_000, "0.010 %"),
            (1, 100_000, "0.0010 %"),
        ] {
            assert_eq!(percent(part, whole), text, "{part} of {whole}");
        }
        assert_eq!(several(1, "copy", "copies"), "1 copy");
    }
}
