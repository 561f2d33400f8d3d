//! What waits to be written to one client: a bounded queue of shared bytes.
//!
//! Pure: it never writes and never decides what a full queue means. Entries are whole frames or several of them glued
//! together; only the first may be partly written.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// Entries gathered into one write.
pub const GATHER: usize = 64;

/// Bytes to write and how many copies of publications they carry.
#[derive(Debug, Clone)]
struct Entry {
    bytes: Bytes,
    copies: u32,
}

/// A bounded queue of frames.
#[derive(Debug, Default)]
pub struct Outbox {
    queue: VecDeque<Entry>,
    queued: usize,
    head_started: bool,
}

impl Outbox {
    /// Bytes waiting.
    #[must_use]
    pub const fn queued(&self) -> usize {
        self.queued
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether `len` more bytes fit under `limit`. An empty outbox takes one entry of any size, otherwise a message
    /// longer than the limit could never be relayed.
    #[must_use]
    pub fn has_room(&self, len: usize, limit: usize) -> bool {
        self.queue.is_empty() || self.queued.saturating_add(len) <= limit
    }

    /// Appends bytes that carry `copies` copies; the caller has asked [`has_room`](Self::has_room) where it matters.
    pub fn push(&mut self, bytes: Bytes, copies: u32) {
        if bytes.is_empty() {
            return;
        }
        self.queued += bytes.len();
        self.queue.push_back(Entry { bytes, copies });
    }

    /// Appends the unwritten rest of bytes of which a part has already left.
    pub fn push_rest(&mut self, rest: Bytes, copies: u32) {
        self.head_started |= self.queue.is_empty();
        self.push(rest, copies);
    }

    /// Drops everything of which no byte has left yet, and returns how many copies that was.
    pub fn drop_unsent(&mut self) -> u64 {
        let keep = usize::from(self.head_started).min(self.queue.len());
        let dropped = self.queue.drain(keep..).map(|entry| u64::from(entry.copies)).sum();
        self.queued = self.queue.iter().map(|entry| entry.bytes.len()).sum();
        dropped
    }

    /// The front of the queue for one gathered write; returns how many slices were filled in.
    #[must_use]
    pub fn gather<'a>(&'a self, into: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        for (slot, entry) in into.iter_mut().zip(&self.queue) {
            *slot = IoSlice::new(&entry.bytes);
            filled += 1;
        }
        filled
    }

    /// The next octet to leave, alone.
    #[must_use]
    pub fn first_octet(&self) -> &[u8] {
        self.queue.front().and_then(|entry| entry.bytes.get(..1)).unwrap_or_default()
    }

    /// Removes the `written` first bytes.
    pub fn advance(&mut self, mut written: usize) {
        self.queued = self.queued.saturating_sub(written);
        while let Some(head) = self.queue.front_mut() {
            if written < head.bytes.len() {
                head.bytes.advance(written);
                self.head_started |= written > 0;
                return;
            }
            written -= head.bytes.len();
            self.queue.pop_front();
            self.head_started = false;
        }
        if self.queue.capacity() > GATHER {
            self.queue = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    fn gathered(outbox: &Outbox) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); GATHER];
        let filled = outbox.gather(&mut slices);
        slices[..filled].iter().flat_map(|slice| slice.iter().copied()).collect()
    }

    #[test]
    fn what_goes_in_comes_out_in_order_however_it_is_written() {
        for step in 1..8 {
            let mut outbox = Outbox::default();
            for text in ["one", "two", "three"] {
                outbox.push(bytes(text), 1);
            }
            let mut out = Vec::new();
            while !outbox.is_empty() {
                let front = gathered(&outbox);
                let n = step.min(front.len());
                out.extend_from_slice(&front[..n]);
                outbox.advance(n);
                assert_eq!(outbox.queued(), 11 - out.len());
            }
            assert_eq!(out, b"onetwothree", "steps of {step}");
        }
    }

    #[test]
    fn the_bound_is_in_bytes_and_an_empty_outbox_takes_anything() {
        let mut outbox = Outbox::default();
        assert!(outbox.has_room(1_000, 10));
        outbox.push(bytes("12345678"), 1);
        assert!(outbox.has_room(2, 10));
        assert!(!outbox.has_room(3, 10));
        assert!(!outbox.has_room(usize::MAX, usize::MAX - 1));
    }

    #[test]
    fn dropping_spares_a_frame_that_has_begun_to_leave() {
        let mut outbox = Outbox::default();
        outbox.push(bytes("abc"), 2);
        outbox.push(bytes("def"), 3);
        outbox.advance(1);
        assert_eq!(outbox.drop_unsent(), 3);
        assert_eq!(gathered(&outbox), b"bc");
        outbox.advance(2);
        outbox.push(bytes("ghi"), 1);
        assert_eq!(outbox.drop_unsent(), 1);
        assert!(outbox.is_empty());
        outbox.push_rest(bytes("rest"), 1);
        assert_eq!(outbox.drop_unsent(), 0);
    }
}
