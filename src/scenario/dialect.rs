//! How a server speaks: how a publication becomes a message, and how a copy is told from everything else. The default is
//! plain relay, and then nothing here is asked on the hot path.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Serialize;

use super::body::Body;
use super::model::Encoding;
use super::own::{OwnMatchers, Place};
use super::wanted::Wanted;

/// `[dialect]`.
#[derive(Debug, Clone, PartialEq, Serialize, Default)]
pub struct Dialect {
    /// The message that carries a payload; `None`: the payload itself.
    pub publish: Option<Body>,
    /// How the payload is written inside received messages.
    pub carrier: Carrier,
    /// Only messages that match carry copies; a stamp in any other is no copy.
    pub matches: Option<Wanted>,
    /// A message that matches is the sender's acknowledgement, even when it repeats the payload.
    pub ack: Option<Wanted>,
    /// What separates several messages in one frame.
    pub split: Option<String>,
    /// The opcode copies must have; `None`: any.
    pub receive: Option<Encoding>,
}

/// What a message with a stamp in it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A copy.
    Copy,
    /// The sender's acknowledgement.
    Ack,
    /// Neither: for the other rules to explain.
    Other,
}

impl Dialect {
    /// Whether this is plain relay of messages sent as `sent`: then a received message that begins with a stamp is a copy, and
    /// none of the rules here needs to be asked.
    #[must_use]
    pub fn is_plain(&self, sent: Encoding) -> bool {
        *self == Self { receive: Some(sent), ..Self::default() }
    }

    /// What a message that holds a stamp is. Without `match` and `ack` it is a copy and nothing is looked at. `matchers` are the
    /// connection's own, where these have variables.
    #[must_use]
    pub fn role(&self, message: &[u8], matchers: Option<&OwnMatchers>) -> Role {
        if self.ack.as_ref().is_some_and(|ack| ack.matches(message, Place::Ack.own(matchers))) {
            return Role::Ack;
        }
        if self.matches.as_ref().is_none_or(|m| m.matches(message, Place::Copy.own(matchers))) { Role::Copy } else { Role::Other }
    }

    /// The messages in a frame: one, or several between separators; empty ones are left out unless the frame is empty itself.
    pub fn messages<'a>(&'a self, frame: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = Some(frame);
        let separator = self.split.as_ref().map(|s| s.as_bytes()).filter(|s| !s.is_empty());
        std::iter::from_fn(move || {
            loop {
                let text = rest?;
                let end = separator.and_then(|s| memchr::memmem::find(text, s).map(|end| (end, end + s.len())));
                let Some((end, next)) = end else {
                    rest = None;
                    return (!text.is_empty() || frame.is_empty()).then_some(text);
                };
                rest = Some(&text[next..]);
                // A frame that is nothing but one separator is a message: STOMP's heartbeat is a lone line feed.
                if end > 0 || text.len() == frame.len() && next == frame.len() {
                    return Some(if end > 0 { &text[..end] } else { text });
                }
            }
        })
    }
}

/// How a payload is written inside a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Carrier {
    /// As it is.
    #[default]
    Plain,
    /// In base64 (RFC 4648 section 4).
    Base64,
    /// In hexadecimal.
    Hex,
}

/// Padding may be absent: the run of base64 may have been cut out of something longer.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true),
);

impl Carrier {
    /// All by their keys.
    pub(super) const ALL: [(&'static str, Self); 3] = [("plain", Self::Plain), ("base64", Self::Base64), ("hex", Self::Hex)];

    /// Every encoded run of at least `shortest` decoded bytes in a message, decoded. For [`Carrier::Plain`] the message itself.
    pub fn decode(self, message: &[u8], shortest: usize, mut found: impl FnMut(&[u8])) {
        let (of, unit): (fn(u8) -> bool, usize) = match self {
            Self::Plain => return found(message),
            Self::Base64 => (|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b), shortest.div_ceil(3) * 4),
            Self::Hex => (|b| b.is_ascii_hexdigit(), shortest * 2),
        };
        for run in message.split(|b| !of(*b)).filter(|run| run.len() + 2 >= unit) {
            // What stands right before the run may use the same letters, so every alignment is tried.
            let (step, alignments) = if self == Self::Hex { (2, 2) } else { (4, 4) };
            for skip in 0..alignments {
                let aligned = run.get(skip..).unwrap_or_default();
                let decoded = match self {
                    Self::Hex => unhex(&aligned[..aligned.len() / step * step]),
                    _ => {
                        let end = aligned.iter().position(|b| *b == b'=').unwrap_or(aligned.len());
                        let end = if end % 4 == 1 { end - 1 } else { end };
                        BASE64.decode(&aligned[..end]).ok()
                    }
                };
                if let Some(bytes) = decoded.filter(|bytes| bytes.len() >= shortest) {
                    found(&bytes);
                }
            }
        }
    }
}

fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    text.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::matcher::Pattern;
    use super::super::model::Matcher;
    use super::*;

    fn split(separator: &str, frame: &str) -> Vec<String> {
        let dialect = Dialect { split: Some(separator.into()), ..Dialect::default() };
        dialect.messages(frame.as_bytes()).map(|m| String::from_utf8_lossy(m).into_owned()).collect()
    }

    #[test]
    fn frames_hold_one_message_or_several() {
        assert_eq!(split("\n", "a\nb\nc"), ["a", "b", "c"]);
        assert_eq!(split("\u{1e}", "{}\u{1e}{\"type\":6}\u{1e}"), ["{}", "{\"type\":6}"]);
        assert_eq!(split("\n", "\n"), ["\n"]);
        assert_eq!(split("\n", ""), [""]);
        assert_eq!(split("\n", "\n\na\n"), ["a"]);
        let plain = Dialect::default();
        assert_eq!(plain.messages(b"a\nb").collect::<Vec<_>>(), [b"a\nb"]);
    }

    #[test]
    fn an_acknowledgement_is_no_copy() {
        let dialect = Dialect {
            matches: Some(Matcher::Contains("\"said\"".into()).into()),
            ack: Some(Matcher::Regex(Pattern::new("\"say\"").expect("a pattern")).into()),
            ..Dialect::default()
        };
        assert_eq!(dialect.role(b"{\"said\":1}", None), Role::Copy);
        assert_eq!(dialect.role(b"{\"say\":1}", None), Role::Ack);
        assert_eq!(dialect.role(b"{\"else\":1}", None), Role::Other);
        assert_eq!(Dialect::default().role(b"anything", None), Role::Copy);
    }

    #[test]
    fn a_payload_is_found_in_its_carrier() {
        let payload = b"wsb1 a payload that is long enough to be one";
        for (carrier, text) in [
            (Carrier::Base64, "{\"data\":\"d3NiMSBhIHBheWxvYWQgdGhhdCBpcyBsb25nIGVub3VnaCB0byBiZSBvbmU=\"}"),
            (Carrier::Base64, "x/d3NiMSBhIHBheWxvYWQgdGhhdCBpcyBsb25nIGVub3VnaCB0byBiZSBvbmU="),
            (Carrier::Hex, "x 777362312061207061796c6f61642074686174206973206c6f6e6720656e6f75676820746f206265206f6e65;"),
            (Carrier::Plain, "wsb1 a payload that is long enough to be one"),
        ] {
            let mut hits = 0;
            carrier.decode(text.as_bytes(), 20, |bytes| hits += usize::from(memchr::memmem::find(bytes, payload).is_some()));
            assert_eq!(hits, 1, "{carrier:?} in {text}");
        }
    }
}
