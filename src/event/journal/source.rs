//! The bytes of a journal, as many at a time as a block has, and the way from a damaged place to the next whole one.

use std::io::{self, Read};

use memchr::memmem;

use super::block::{Head, MAGIC};

/// Bytes asked of the source at a time.
const READ: usize = 64 << 10;

/// The bytes of the file, as many at a time as a block has.
#[derive(Debug)]
pub(super) struct Source<R> {
    read: R,
    buffer: Vec<u8>,
    from: usize,
    /// Offset in the file of what is wanted next.
    pub(super) at: u64,
    ended: bool,
    pub(super) error: Option<io::Error>,
}

impl<R: Read> Source<R> {
    pub(super) const fn new(read: R) -> Self {
        Self { read, buffer: Vec::new(), from: 0, at: 0, ended: false, error: None }
    }

    /// What comes next: `length` bytes, or less at the end.
    pub(super) fn want(&mut self, length: usize) -> &[u8] {
        while self.buffer.len() - self.from < length && !self.ended {
            self.fill();
        }
        let rest = &self.buffer[self.from..];
        &rest[..rest.len().min(length)]
    }

    fn fill(&mut self) {
        self.buffer.drain(..self.from);
        self.from = 0;
        let before = self.buffer.len();
        self.buffer.resize(before + READ, 0);
        let read = loop {
            match self.read.read(&mut self.buffer[before..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        let length = match read {
            Ok(length) => length.min(READ),
            Err(error) => {
                self.error = Some(error);
                0
            }
        };
        self.buffer.truncate(before + length);
        self.ended = length == 0;
    }

    /// Goes past `length` bytes, no more than were wanted before.
    pub(super) fn skip(&mut self, length: usize) {
        self.from += length;
        self.at += length as u64;
    }

    /// Goes to the next place, beyond this one, where a block may begin; says how far that was.
    pub(super) fn seek_head(&mut self) -> u64 {
        let begin = self.at;
        self.skip(1);
        loop {
            let ahead = self.want(READ);
            if ahead.is_empty() {
                return self.at - begin;
            }
            // A head too near the end of what is here is looked at again from there.
            let mut candidates = memmem::find_iter(ahead, &MAGIC);
            let found = candidates.find(|&at| ahead[at..].first_chunk().is_none_or(|head| Head::read(head).is_some()));
            let length = match found {
                Some(0) => return self.at - begin,
                Some(at) => at,
                None if ahead.len() < READ => ahead.len(),
                None => READ - (MAGIC.len() - 1),
            };
            self.skip(length);
        }
    }
}
