//! What the server truly did wrong: one record per act, and the counts of them.
//!
//! Must never know why it was asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;

use super::spec::Kind;
use crate::fanout::Publication;

/// Takes a line of the fault log: one JSON object, without its line feed.
pub type ActSink = Arc<dyn Fn(&str) + Send + Sync>;

/// One thing done wrong. The number of lines of a kind is the number of times it was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Act {
    /// Server time, microseconds since it started.
    pub at_us: u64,
    /// The fault's name.
    pub fault: &'static str,
    /// The client it was done to: its index, or the request's number where there is no client yet.
    pub client: u64,
    /// The publication concerned: the number in which the server received it, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publication: Option<u64>,
    /// Index of the client that sent it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<u64>,
    /// Length of the payload as received, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<usize>,
    /// FNV-1a (64 bit, hexadecimal) of the payload as received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// How many copies this one act concerned, where it is not one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copies: Option<u64>,
    /// The span, count or text drawn, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Act {
    /// An act on a client at a time.
    pub(crate) fn new(kind: Kind, client: u64, at: Duration) -> Self {
        Self {
            at_us: u64::try_from(at.as_micros()).unwrap_or(u64::MAX),
            fault: kind.name(),
            client,
            publication: None,
            sender: None,
            bytes: None,
            hash: None,
            copies: None,
            detail: None,
        }
    }

    /// … concerning a publication.
    pub(crate) fn of(mut self, publication: &Publication) -> Self {
        let payload = publication.message.payload();
        self.publication = Some(publication.number);
        self.sender = Some(publication.from).filter(|from| *from != crate::feed::SENDER);
        self.bytes = Some(payload.len());
        self.hash = Some(format!("{:016x}", fnv1a(&payload)));
        self
    }

    /// … with a detail.
    pub(crate) fn with(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

/// FNV-1a, 64 bit.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// How often each kind of fault was committed; kinds never committed are left out.
pub type FaultCounts = Vec<(Kind, u64)>;

/// Where acts are written and counted.
pub(crate) struct FaultBook {
    counts: Vec<AtomicU64>,
    sink: Option<ActSink>,
}

impl FaultBook {
    /// A book that hands its lines to `sink`.
    pub(crate) fn new(sink: Option<ActSink>) -> Self {
        Self { counts: Kind::ALL.iter().map(|_| AtomicU64::new(0)).collect(), sink }
    }

    /// Writes an act down.
    pub(crate) fn write(&self, kind: Kind, act: &Act) {
        self.counts[kind as usize].fetch_add(1, Ordering::Relaxed);
        if let Some(sink) = &self.sink
            && let Ok(line) = serde_json::to_string(act)
        {
            sink(&line);
        }
    }

    /// The counts so far.
    pub(crate) fn counts(&self) -> FaultCounts {
        let read = |kind: &Kind| (*kind, self.counts[*kind as usize].load(Ordering::Relaxed));
        Kind::ALL.iter().map(read).filter(|(_, n)| *n > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acts_are_counted_and_written_as_one_line_each() {
        let lines = Arc::new(std::sync::Mutex::new(Vec::new()));
        let seen = Arc::clone(&lines);
        let book = FaultBook::new(Some(Arc::new(move |line: &str| seen.lock().unwrap_or_else(|e| e.into_inner()).push(line.to_owned()))));
        book.write(Kind::Flip, &Act::new(Kind::Flip, 3, Duration::from_millis(2)).with("a\nb"));
        book.write(Kind::Flip, &Act::new(Kind::Flip, 4, Duration::from_millis(2)));
        assert_eq!(book.counts(), [(Kind::Flip, 2)]);
        let lines = lines.lock().map(|lines| lines.clone()).unwrap_or_default();
        assert_eq!(lines[0], r#"{"at_us":2000,"fault":"flip","client":3,"detail":"a\nb"}"#);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
    }
}
