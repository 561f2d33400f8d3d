//! The `Sec-WebSocket-Extensions` field (RFC 6455 section 9.1): offers as written.
//!
//! Must never know what an extension does.

use std::borrow::Cow;

use crate::handshake::{is_token, trim};

/// One extension as offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its parameters in order; a quoted value is given without its quotes.
    pub parameters: Vec<(&'a str, Option<Cow<'a, str>>)>,
}

/// Reads a field's value; `None` when it breaks the grammar. Reads each octet once, whatever is in it.
#[must_use]
pub fn parse(value: &str) -> Option<Vec<Offer<'_>>> {
    let mut offers = Vec::new();
    let mut rest = trim(value);
    loop {
        let (name, after) = token(rest)?;
        let mut offer = Offer { name, parameters: Vec::new() };
        rest = trim(after);
        while let Some(after) = rest.strip_prefix(';') {
            let (name, after) = token(trim(after))?;
            rest = trim(after);
            let mut parameter = None;
            if let Some(after) = rest.strip_prefix('=') {
                let (value, after) = value_of(trim(after))?;
                parameter = Some(value);
                rest = trim(after);
            }
            offer.parameters.push((name, parameter));
        }
        offers.push(offer);
        if rest.is_empty() {
            return Some(offers);
        }
        rest = trim(rest.strip_prefix(',')?);
    }
}

/// A token and what follows it.
fn token(text: &str) -> Option<(&str, &str)> {
    let end = text.bytes().position(|octet| !is_token(octet)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// A token or a quoted string whose content is a token, and what follows it.
fn value_of(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let Some(quoted) = text.strip_prefix('"') else { return token(text).map(|(value, rest)| (value.into(), rest)) };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                let fits = !value.is_empty() && value.bytes().all(is_token);
                return fits.then(|| (Cow::Owned(value), &quoted[at + 1..]));
            }
            '\\' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_are_read_as_written() {
        let written = |value| {
            let offers = parse(value)?;
            let one = |offer: &Offer<'_>| {
                let parameters = offer.parameters.iter().map(|(name, value)| match value {
                    Some(value) => format!(";{name}={value}"),
                    None => format!(";{name}"),
                });
                format!("{}{}", offer.name, parameters.collect::<String>())
            };
            Some(offers.iter().map(one).collect::<Vec<_>>().join(","))
        };
        for (value, expected) in [
            ("x", Some("x")),
            (" x ; a ; b = 1 ,y", Some("x;a;b=1,y")),
            ("x; a=\"10\"", Some("x;a=10")),
            ("x; a=\"1\\0\"", Some("x;a=10")),
            ("x; a=\"\"", None),
            ("x; a=\"b c\"", None),
            ("x; a=\"open", None),
            ("x;", None),
            ("", None),
            ("x,", None),
            ("x; a=", None),
            ("x y", None),
        ] {
            assert_eq!(written(value).as_deref(), expected, "{value}");
        }
        let bomb = format!("x; a=\"{}", "\\c".repeat(4000));
        assert_eq!(written(&bomb), None);
    }
}
