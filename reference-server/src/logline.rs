//! The log's line for a message: whatever was received, made safe for a terminal.
//!
//! Must never know where the line goes.

use std::fmt::Write as _;

use crate::frame::Kind;

/// Characters of a message shown before it is cut.
const SHOWN: usize = 200;

/// `received: …`, with control characters escaped and long messages cut.
#[must_use]
pub fn received(kind: Kind, payload: &[u8]) -> String {
    let mut line = String::from("received: ");
    let mut shown = 0;
    match kind {
        Kind::Text => {
            // Two spare characters of up to four octets each keep the cut off the last one shown.
            let head = &payload[..payload.len().min(SHOWN * 4)];
            for c in String::from_utf8_lossy(head).chars().take(SHOWN) {
                shown += c.len_utf8();
                if c.is_control() || is_bidi_control(c) {
                    line.extend(c.escape_default());
                } else {
                    line.push(c);
                }
            }
        }
        Kind::Binary => {
            for octet in payload.iter().take(SHOWN / 2) {
                shown += 1;
                // Writing to a String cannot fail.
                let _ = write!(line, "{octet:02x}");
            }
        }
    }
    if shown < payload.len() {
        let _ = write!(line, "… ({} bytes)", payload.len());
    }
    line
}

/// Characters that reorder a line without being control characters.
const fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_escaped_and_cut() {
        assert_eq!(received(Kind::Text, b"hello"), "received: hello");
        assert_eq!(received(Kind::Text, b""), "received: ");
        assert_eq!(received(Kind::Text, "ü \"q\" \\".as_bytes()), "received: ü \"q\" \\");
        assert_eq!(received(Kind::Text, b"a\n\x1b[31mb\0"), "received: a\\n\\u{1b}[31mb\\u{0}");
        assert_eq!(received(Kind::Text, "\u{202e}x".as_bytes()), "received: \\u{202e}x");
        assert_eq!(received(Kind::Binary, &[0, 255]), "received: 00ff");
        let long = "é".repeat(1000);
        let line = received(Kind::Text, long.as_bytes());
        assert!(line.ends_with("é… (2000 bytes)"), "{line}");
        assert_eq!(line.chars().filter(|c| *c == 'é').count(), SHOWN);
    }
}
