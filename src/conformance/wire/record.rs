//! What passed between us and the server, as a dialogue a person can read; bounded, so that a case of a million frames
//! costs no more than one of ten. Must never know a verdict.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use super::frame::describe_first;
use crate::base::redact_url;

/// Who said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// We did.
    Us,
    /// The other side did.
    Them,
    /// Nobody: what happened to the connection, or what we decided.
    Note,
}

/// One line of the dialogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Since the case began.
    pub at: Duration,
    /// Who.
    pub speaker: Speaker,
    /// In words.
    pub words: String,
    /// The first octets on the wire, in hex.
    pub hex: String,
}

impl Line {
    /// `  0.001234 > text "Hello" (5 octets)    81 85 …`
    #[must_use]
    pub fn render(&self) -> String {
        let mark = match self.speaker {
            Speaker::Us => '>',
            Speaker::Them => '<',
            Speaker::Note => '·',
        };
        let mut line = format!("{:>10.6} {mark} {}", self.at.as_secs_f64(), self.words);
        if !self.hex.is_empty() {
            let _ = write!(line, "  [{}]", self.hex);
        }
        line
    }
}

/// Lines kept of one conversation.
const KEPT: usize = 60;
/// Octets shown of one frame.
const SHOWN: usize = 32;

/// The dialogue of one connection.
#[derive(Debug, Clone)]
pub struct Record {
    began: tokio::time::Instant,
    lines: Vec<Line>,
    /// Lines not kept, from the middle on.
    left_out: u64,
    tail: std::collections::VecDeque<Line>,
}

impl Record {
    /// A record beginning at this instant.
    #[must_use]
    pub const fn new(began: tokio::time::Instant) -> Self {
        Self { began, lines: Vec::new(), left_out: 0, tail: std::collections::VecDeque::new() }
    }

    /// Notes what happened.
    pub fn note(&mut self, words: impl Into<String>) {
        self.push(Speaker::Note, words.into(), String::new());
    }

    /// Notes octets that are no frame (a request, a response, garbage).
    pub fn octets(&mut self, speaker: Speaker, what: &str, octets: &[u8]) {
        self.push(speaker, format!("{what} ({} octets): {}", octets.len(), sample(&without_query(octets))), String::new());
    }

    /// Notes a frame. `wire` is its beginning as it stood on the wire, if known.
    pub fn frame(&mut self, speaker: Speaker, first: u8, payload: &[u8], wire: &[u8]) {
        let mut words = describe_first(first);
        if first & 0x0f == 8 && payload.len() >= 2 {
            let _ = write!(words, " {} {}", u16::from_be_bytes([payload[0], payload[1]]), sample(&payload[2..]));
        } else if !payload.is_empty() {
            let _ = write!(words, " {}", sample(payload));
        }
        let _ = write!(words, " ({} octets)", payload.len());
        self.push(speaker, words, hex(wire));
    }

    fn push(&mut self, speaker: Speaker, words: String, hex: String) {
        let line = Line { at: self.began.elapsed(), speaker, words, hex };
        if self.lines.len() < KEPT {
            self.lines.push(line);
            return;
        }
        self.tail.push_back(line);
        if self.tail.len() > KEPT / 4 {
            self.tail.pop_front();
            self.left_out += 1;
        }
    }

    /// Whether the next line would only be counted; lets a hot loop skip describing it.
    #[must_use]
    pub fn full(&self) -> bool {
        self.lines.len() >= KEPT && self.left_out > 1000
    }

    /// The dialogue, a line each.
    #[must_use]
    pub fn render(&self) -> Vec<String> {
        let mut out: Vec<String> = self.lines.iter().map(Line::render).collect();
        if self.left_out > 0 {
            out.push(format!("           · … {} lines left out …", self.left_out));
        }
        out.extend(self.tail.iter().map(Line::render));
        out
    }
}

/// A request as it may be shown: tokens travel in the query of its first line. Anything else is itself.
fn without_query(octets: &[u8]) -> Cow<'_, [u8]> {
    let end = octets.iter().position(|octet| matches!(octet, b'\r' | b'\n')).unwrap_or(octets.len());
    let Some((method, rest)) = std::str::from_utf8(&octets[..end])
        .ok()
        .and_then(|line| line.split_once(' '))
        .filter(|(method, rest)| method.bytes().all(|octet| octet.is_ascii_uppercase()) && rest.contains('?'))
    else {
        return Cow::Borrowed(octets);
    };
    let (begins, target) = (method.len() + 1, rest.split_once(" HTTP/").map_or(rest, |(target, _)| target));
    Cow::Owned([&octets[..begins], redact_url(target).as_bytes(), &octets[begins + target.len()..]].concat())
}

/// Octets as text when they are text, as hex when not; shortened.
#[must_use]
pub fn sample(octets: &[u8]) -> String {
    let shown = &octets[..octets.len().min(SHOWN * 2)];
    let more = if octets.len() > shown.len() { "…" } else { "" };
    let printable = std::str::from_utf8(shown).is_ok_and(|t| t.chars().all(|c| !c.is_control() || matches!(c, '\r' | '\n' | '\t')));
    if printable { format!("{:?}{more}", String::from_utf8_lossy(shown)) } else { format!("0x{}{more}", hex(shown).replace(' ', "")) }
}

fn hex(octets: &[u8]) -> String {
    let mut out = String::with_capacity(SHOWN * 3);
    for (i, octet) in octets.iter().take(SHOWN).enumerate() {
        if i > 0 {
            out.push(' ');
        }
        let _ = write!(out, "{octet:02x}");
    }
    if octets.len() > SHOWN {
        out.push_str(" …");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_in_a_request_line_is_not_recorded() {
        let request = b"GET /ws?t=S3CRET9 HTTP/1.1\r\nHost: h?x=1\r\n\r\n";
        assert_eq!(without_query(request).as_ref(), b"GET /ws?t=*** HTTP/1.1\r\nHost: h?x=1\r\n\r\n");
        for other in [&b"HTTP/1.1 200 why?\r\n"[..], b"\xff\x00?", b"GET / HTTP/1.1\r\n"] {
            assert_eq!(without_query(other).as_ref(), other);
        }
    }

    #[tokio::test]
    async fn a_long_conversation_keeps_its_beginning_and_its_end() {
        let mut record = Record::new(tokio::time::Instant::now());
        for i in 0..500 {
            record.frame(Speaker::Us, 0x81, format!("m{i}").as_bytes(), &[0x81, 2]);
        }
        let lines = record.render();
        assert!(lines.len() < 100);
        assert!(lines[0].contains("m0") && lines[lines.len() - 1].contains("m499"));
        assert!(lines.iter().any(|l| l.contains("left out")));
    }

    #[test]
    fn samples_are_readable() {
        assert_eq!(sample(b"hi"), "\"hi\"");
        assert_eq!(sample(&[0xff, 0]), "0xff00");
        assert!(sample(&[b'x'; 500]).ends_with('…'));
    }
}
