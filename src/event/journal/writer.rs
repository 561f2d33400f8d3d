//! The writing side: one writer a shard, all of them into one sink.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use super::block::{Kind, Label, seal};
use super::encode::Encoder;
use super::{BLOCK, BLOCK_NANOS, Header, Trailer};
use crate::base::Instant;
use crate::event::Event;

/// The shard number of blocks that belong to the whole run.
const WHOLE: u32 = u32::MAX;

/// Writes the events of one shard. Every block reaches the sink in one `write_all`, when it is full or a second of events old.
///
/// A sink that fails (disk full) ends the journal but not the run: later events are dropped, and [`JournalWriter::finish`]
/// tells.
#[derive(Debug)]
pub struct JournalWriter<W: Write> {
    sink: W,
    shard: u32,
    number: u32,
    encoder: Encoder,
    /// When the block being filled began.
    began: Option<Instant>,
    raw: Vec<u8>,
    sealed: Vec<u8>,
    failed: Option<io::Error>,
}

impl<W: Write> JournalWriter<W> {
    /// A writer for shard `shard` of `shards`.
    pub fn new(sink: W, shard: u32, shards: u32) -> Self {
        Self { sink, shard, number: 0, encoder: Encoder::new(shards), began: None, raw: Vec::new(), sealed: Vec::new(), failed: None }
    }

    /// Takes one event. Cheap (some ten nanoseconds for a copy) but for the one in thousands that fills a block.
    #[inline]
    pub fn event(&mut self, event: &Event<'_>) {
        if self.failed.is_some() {
            return;
        }
        self.encoder.event(event);
        let now = event.at();
        let began = *self.began.get_or_insert(now);
        if self.encoder.len() >= BLOCK || now.since(began).as_nanos() >= BLOCK_NANOS {
            self.seal();
        }
    }

    /// Why the journal ended before the run, if it did.
    #[must_use]
    pub const fn error(&self) -> Option<&io::Error> {
        self.failed.as_ref()
    }

    /// Writes what is left, and that the shard's books were settled at `settled`; gives the sink back.
    ///
    /// # Errors
    /// The first error of the sink, whenever it was.
    pub fn finish(mut self, settled: Instant) -> io::Result<W> {
        if self.failed.is_none() {
            self.encoder.settled(settled);
            self.seal();
        }
        match self.failed {
            Some(error) => Err(error),
            None => self.sink.flush().map(|()| self.sink),
        }
    }

    #[cold]
    fn seal(&mut self) {
        let events = self.encoder.events();
        self.raw.clear();
        self.sealed.clear();
        self.encoder.drain(&mut self.raw);
        seal(&mut self.sealed, Label { kind: Kind::Events, shard: self.shard, number: self.number, events }, &self.raw);
        self.number += 1;
        self.began = None;
        self.failed = self.sink.write_all(&self.sealed).err();
    }
}

/// Writes the head of the journal; before any shard writes.
///
/// # Errors
/// Of the sink, or when the header is too large to be read again.
pub fn write_header(sink: &mut impl Write, header: &Header) -> io::Result<()> {
    document(sink, Kind::Header, &serde_json::to_vec(header)?)
}

/// Writes the end of the journal; after every shard has finished.
///
/// # Errors
/// As [`write_header`].
pub fn write_trailer(sink: &mut impl Write, trailer: &Trailer) -> io::Result<()> {
    document(sink, Kind::Trailer, &serde_json::to_vec(trailer)?)?;
    sink.flush()
}

fn document(sink: &mut impl Write, kind: Kind, contents: &[u8]) -> io::Result<()> {
    if contents.len() > super::MAX_DOCUMENT {
        return Err(io::Error::other("the scenario is too large for a journal"));
    }
    let mut out = Vec::new();
    seal(&mut out, Label { kind, shard: WHOLE, number: 0, events: 0 }, contents);
    sink.write_all(&out)
}

/// A sink several writers share: what is written in one call stays together.
#[derive(Debug)]
pub struct Shared<W>(Arc<Mutex<W>>);

impl<W> Shared<W> {
    /// A sink to be shared.
    pub fn new(sink: W) -> Self {
        Self(Arc::new(Mutex::new(sink)))
    }

    /// The sink again, once nobody shares it any more.
    #[must_use]
    pub fn into_inner(self) -> Option<W> {
        Arc::into_inner(self.0)?.into_inner().ok()
    }
}

impl<W> Clone for Shared<W> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<W: Write> Write for Shared<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut sink = self.0.lock().map_err(|_| io::Error::other("another shard broke while it wrote"))?;
        sink.write_all(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.lock().map_err(|_| io::Error::other("another shard broke while it wrote"))?.flush()
    }
}
