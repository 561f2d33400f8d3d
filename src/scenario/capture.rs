//! Taking a value out of a message or an HTTP answer.

use serde::Serialize;
use serde_json::Value;

use super::matcher::Pattern;

/// A value to take, and the slot it is kept in.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Capture {
    /// The variable's name.
    pub name: String,
    /// Its slot in [`Captured`](super::template::Captured).
    pub slot: usize,
    /// Where the value stands.
    pub from: Extract,
}

/// Where a value stands in a message.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Extract {
    /// At this JSON pointer (RFC 6901). What stands before the first `{` or `[` is passed over (`42["x"]`, `a[…]`).
    Json(String),
    /// The first group of this expression, or all it matched when it has none.
    Regex(Pattern),
    /// These bytes: first, and one past the last.
    Bytes(usize, usize),
}

impl Extract {
    /// The value, if the message has it. Bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn apply(&self, message: &[u8]) -> Option<String> {
        self.with(message, |value| String::from_utf8_lossy(value).into_owned())
    }

    /// What `use_it` makes of the value's bytes, if the message has it.
    pub fn with<T>(&self, message: &[u8], use_it: impl FnOnce(&[u8]) -> T) -> Option<T> {
        match self {
            Self::Json(pointer) => match lenient(message)?.pointer(pointer)? {
                Value::String(text) => Some(use_it(text.as_bytes())),
                other => Some(use_it(other.to_string().as_bytes())),
            },
            Self::Regex(pattern) => {
                let groups = pattern.regex().captures(message)?;
                let found = groups.get(1).or_else(|| groups.get(0))?;
                Some(use_it(found.as_bytes()))
            }
            Self::Bytes(from, to) => message.get(*from..*to).map(use_it),
        }
    }
}

/// The JSON value in a message: the whole of it, or the first one from the first bracket on.
fn lenient(message: &[u8]) -> Option<Value> {
    if let Ok(value) = serde_json::from_slice(message) {
        return Some(value);
    }
    let start = message.iter().position(|b| b"{[".contains(b))?;
    serde_json::Deserializer::from_slice(&message[start..]).into_iter().next()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_taken_from_where_they_stand() {
        let json = |pointer: &str| Extract::Json(pointer.into());
        let regex = |text: &str| Extract::Regex(Pattern::new(text).expect(text));
        for (extract, message, value) in [
            (json("/sid"), &br#"0{"sid":"abc","n":1}"#[..], Some("abc")),
            (json("/n"), br#"{"n":1.5}"#, Some("1.5")),
            (json("/1/id"), b"42[\"x\",{\"id\":7}]\x1e", Some("7")),
            (json("/none"), br#"{"n":1}"#, None),
            (json("/n"), b"no json", None),
            (regex("session:(\\S+)"), b"CONNECTED\nsession:id78\n", Some("id78")),
            (regex("[0-9]+"), b"a 12 b", Some("12")),
            (regex("x"), b"y", None),
            (Extract::Bytes(0, 3), b"abcdef", Some("abc")),
            (Extract::Bytes(4, 9), b"abcdef", None),
        ] {
            assert_eq!(extract.apply(message).as_deref(), value, "{extract:?}");
        }
    }
}
