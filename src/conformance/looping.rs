//! The loops of the limits and deflate groups: a message, its echo, and again. Must never know a verdict's name.

use std::sync::Arc;

use super::catalogue::model::Step;
use super::corpus::Corpus;
use super::wire::deflate::Deflater;
use super::wire::frame::Frame;
use super::wire::link::{Delivery, Link};

/// A loop in progress.
pub struct Looping {
    left: usize,
    binary: bool,
    source: Source,
    /// The message whose echo is due.
    due: Vec<u8>,
}

enum Source {
    Same,
    Corpus { corpus: Arc<Corpus>, from: usize, len: usize, by: Option<usize>, deflater: Box<Deflater> },
}

impl Looping {
    /// The loop a step asks for; `None` when it needs permessage-deflate and none was agreed to.
    #[must_use]
    pub fn new(step: &Step, link: &Link) -> Option<Self> {
        match step {
            Step::RoundTrips { count, binary, payload } => {
                Some(Self { left: *count, binary: *binary, source: Source::Same, due: payload.octets() })
            }
            Step::Corpus { count, binary, corpus, len, by } => {
                link.deflate?;
                let deflater = Box::new(link.deflater());
                let source = Source::Corpus { corpus: corpus.corpus(), from: 0, len: *len, by: *by, deflater };
                Some(Self { left: *count, binary: *binary, source, due: Vec::new() })
            }
            _ => None,
        }
    }

    /// Sends the next message.
    pub fn send(&mut self, link: &mut Link) {
        let opcode = if self.binary { 2 } else { 1 };
        match &mut self.source {
            Source::Same => link.frame(&Frame::new(0x80 | opcode, &self.due), Delivery::Burst),
            Source::Corpus { corpus, from, len, by, deflater } => {
                let (window, next) = corpus.window(*from, *len);
                *from = next;
                match deflater.message(&window) {
                    Ok(packed) => link.fragments(self.binary, 4, &packed, *by),
                    Err(e) => link.record.note(format!("we could not compress: {e}")),
                }
                self.due = window;
            }
        }
    }

    /// Judges an echo: `Ok(true)` when it was the last.
    ///
    /// # Errors
    /// How the echo differs. The limits group compares kind and length only, as Autobahn does (F.1.7 and F.5.2 compare
    /// content); the deflate groups compare every octet.
    pub fn check(&mut self, binary: bool, payload: &[u8]) -> Result<bool, String> {
        if binary != self.binary {
            return Err(format!("the echo is {}, not {}", kind(binary), kind(self.binary)));
        }
        if payload.len() != self.due.len() {
            return Err(format!("the echo has {} octets, not {}", payload.len(), self.due.len()));
        }
        if payload != self.due && matches!(self.source, Source::Corpus { .. }) {
            let at = payload.iter().zip(&self.due).position(|(a, b)| a != b).unwrap_or(0);
            return Err(format!("the echo differs from octet {at} on"));
        }
        self.left -= 1;
        Ok(self.left == 0)
    }
}

const fn kind(binary: bool) -> &'static str {
    if binary { "binary" } else { "text" }
}
