//! A server that broadcasts by itself: what of its messages is a broadcast, and by what one is known. Nobody publishes, so nothing
//! carries a stamp of ours; what one client received, the others must have too.

use std::hash::{DefaultHasher, Hasher as _};

use serde::Serialize;

use super::capture::Extract;
use crate::base::Span;

/// `[publish] via = "server"`. Which messages are broadcasts is `[dialect] match`'s to say.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Feed {
    /// By what a broadcast is known, with its occurrence; `None`: by its whole content.
    pub id: Option<Extract>,
    /// Whether the same id (or content) never comes twice: then a second copy is a duplicate even when everybody gets one.
    pub unique: bool,
    /// How often the built-in server broadcasts, when it is the target.
    pub built_in: Span,
}

/// `[checks.feed]`: how often a server that broadcasts by itself does so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct FeedCheck {
    /// From broadcast to broadcast.
    pub every: Span,
    /// How far an interval may be off.
    pub tolerance: Span,
}

/// Keys from here on are hashes; below are numbers that are their own keys.
const HASHED: u64 = 1 << 63;

impl Feed {
    /// The identity of a message; `None` when it has no id, and so is no broadcast. A number below 2⁶³ is its own key, so that people
    /// find it again; anything else is hashed, the same in every process of a run.
    #[must_use]
    pub fn key(&self, message: &[u8]) -> Option<u64> {
        match &self.id {
            None => Some(hashed(message)),
            Some(id) => id.with(message, |value| number(value).unwrap_or_else(|| hashed(value))),
        }
    }
}

/// A key as people read it: the number it is, or the beginning of a hash.
#[must_use]
pub fn key_name(key: u64) -> String {
    if key < HASHED { key.to_string() } else { format!("#{:012x}", (key ^ HASHED) >> 15) }
}

fn hashed(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish() | HASHED
}

/// A plain decimal number without sign or leading zero.
fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 18 || (text[0] == b'0' && text.len() > 1) {
        return None;
    }
    text.iter().try_fold(0_u64, |n, b| b.is_ascii_digit().then(|| n * 10 + u64::from(b - b'0')))
}

#[cfg(test)]
mod tests {
    use super::super::matcher::Pattern;
    use super::*;

    fn feed(id: Option<Extract>) -> Feed {
        Feed { id, unique: false, built_in: Span::from_millis(100) }
    }

    #[test]
    fn a_broadcast_is_known_by_its_id_or_its_content() {
        let json = feed(Some(Extract::Json("/seq".into())));
        assert_eq!(json.key(br#"{"seq":17,"x":1}"#), Some(17));
        assert_eq!(json.key(br#"{"seq":17,"x":2}"#), Some(17), "what else it says does not matter");
        assert_eq!(json.key(br#"{"seq":"17"}"#), Some(17), "nor whether the number is written as text");
        assert_eq!(json.key(br#"{"x":2}"#), None);
        let regex = feed(Some(Extract::Regex(Pattern::new("id=([a-z]+)").expect("a pattern"))));
        assert_eq!(regex.key(b"id=abc;1"), regex.key(b"id=abc;2"));
        assert_ne!(regex.key(b"id=abc"), regex.key(b"id=abd"));
        let bytes = feed(Some(Extract::Bytes(0, 2)));
        assert_eq!(bytes.key(&[0xff, 1, 2]), bytes.key(&[0xff, 1, 3]));
        assert_ne!(bytes.key(&[0xff, 1]), bytes.key(&[0xfe, 1]), "bytes that are no text are told apart");
        let content = feed(None);
        assert_eq!(content.key(b"a"), content.key(b"a"));
        assert_ne!(content.key(b"a"), content.key(b"b"));
    }

    #[test]
    fn keys_are_shown_as_numbers_or_hashes() {
        assert_eq!(key_name(17), "17");
        let key = feed(None).key(b"a").expect("content");
        assert!(key_name(key).starts_with('#') && key_name(key).len() == 13, "{}", key_name(key));
        for (text, is) in [("0", Some(0)), ("01", None), ("", None), ("-1", None), ("999999999999999999", Some(999_999_999_999_999_999))] {
            assert_eq!(number(text.as_bytes()), is, "{text}");
        }
    }
}
