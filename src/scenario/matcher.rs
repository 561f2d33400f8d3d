//! When a received message is the one meant: compiled once, asked often, never allocating for the plain kinds.

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::model::Matcher;

/// A regular expression with its text: equal when the texts are.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    regex: regex::bytes::Regex,
}

impl Pattern {
    /// Compiles it.
    ///
    /// # Errors
    /// What the expression lacks, in the words of the `regex` crate.
    pub fn new(text: &str) -> Result<Self, regex::Error> {
        let regex = regex::bytes::RegexBuilder::new(text).size_limit(1 << 20).build()?;
        Ok(Self { text: text.into(), regex })
    }

    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The compiled form, over bytes.
    #[must_use]
    pub fn regex(&self) -> &regex::bytes::Regex {
        &self.regex
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl Matcher {
    /// Whether `message` is the one meant. Opcodes are not asked: where they matter, `integrity` asks.
    #[must_use]
    pub fn matches(&self, message: &[u8]) -> bool {
        match self {
            Self::Exact(text) => message == text.as_bytes(),
            Self::Contains(text) => memchr::memmem::find(message, text.as_bytes()).is_some(),
            Self::Prefix(text) => message.starts_with(text.as_bytes()),
            Self::Regex(pattern) => pattern.regex.is_match(message),
            Self::Json(wanted) => serde_json::from_slice::<Value>(message).is_ok_and(|found| has(&found, wanted)),
        }
    }
}

/// Whether `found` has at least what `wanted` has: objects member by member at any depth, a key that begins with `/` as a
/// JSON pointer (RFC 6901); everything else must be equal. Numbers are equal by value (`1` and `1.0`).
#[must_use]
pub(super) fn has(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (_, Value::Object(wanted)) if wanted.keys().any(|k| k.starts_with('/')) => wanted.iter().all(|(key, value)| {
            let place = if key.starts_with('/') { found.pointer(key) } else { found.get(key) };
            place.is_some_and(|found| has(found, value))
        }),
        (Value::Object(found), Value::Object(wanted)) => wanted.iter().all(|(key, value)| found.get(key).is_some_and(|f| has(f, value))),
        (Value::Array(found), Value::Array(wanted)) => found.len() == wanted.len() && found.iter().zip(wanted).all(|(f, w)| has(f, w)),
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        _ => found == wanted,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_kind_knows_its_message() {
        let regex = |text| Matcher::Regex(Pattern::new(text).expect(text));
        for (matcher, yes, no) in [
            (Matcher::Exact("ping".into()), "ping", "ping "),
            (Matcher::Contains("in".into()), "ping", "pong"),
            (Matcher::Prefix("42[".into()), "42[\"x\"]", "4[2"),
            (regex("^p[io]ng$"), "pong", "pang"),
            (Matcher::Json(json!({ "type": 0 })), r#" {"message":"pong", "type":0.0}"#, r#"{"type":"0"}"#),
            (Matcher::Json(json!({ "a": { "b": [1, { "c": 2 }] } })), r#"{"a":{"b":[1,{"c":2,"d":3}],"e":4}}"#, r#"{"a":{"b":[1]}}"#),
            (Matcher::Json(json!({ "/a/1": "x" })), r#"{"a":[0,"x"]}"#, r#"{"a":["x"]}"#),
            (Matcher::Json(json!({ "/1": "x" })), r#"[0,"x"]"#, r#"{"2":"x"}"#),
            (Matcher::Json(json!({ "a": null })), r#"{"a":null}"#, r#"{}"#),
            (Matcher::Json(json!({})), "{}", "[]"),
            (Matcher::Json(json!("h")), "\"h\"", "h"),
        ] {
            assert!(matcher.matches(yes.as_bytes()), "{matcher:?} should match {yes}");
            assert!(!matcher.matches(no.as_bytes()), "{matcher:?} should not match {no}");
        }
    }

    #[test]
    fn no_message_is_too_strange() {
        let deep = "[".repeat(100_000);
        for message in [&b"\xff\xfe"[..], b"", b"\0", deep.as_bytes()] {
            assert!(!Matcher::Json(json!({ "a": 1 })).matches(message));
        }
    }
}
