//! The reading side: everything that can be known from a journal, and what cannot.

use std::io::{self, Read};

use super::block::{HEAD, Head, Kind, MAGIC};
use super::decode::{self, Entry, Place};
use super::memory::Memory;
use super::missing::{Holes, Missing};
use super::source::Source;
use super::{Header, Trailer};
use crate::base::Instant;
use crate::event::Event;

/// More shards than any machine has; a header that says more is none of ours.
const MAX_SHARDS: u32 = 1 << 16;

/// Why a file cannot be read as a journal at all.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It does not begin like one.
    #[error("this is no journal of wsbench: it does not begin with a journal's head")]
    NotAJournal,
    /// It was written by a wsbench whose format is another.
    #[error("this journal is of format {0}, and this wsbench reads format 1: judge it with the version that wrote it")]
    OtherVersion(char),
    /// It begins like one, but what was run cannot be read, and events mean nothing without it.
    #[error("the journal's first block is damaged or cut: without it nothing is known of the run")]
    Header,
    /// It cannot be read.
    #[error("cannot read the journal: {0}")]
    Io(#[from] io::Error),
}

/// Whose event it is, and what it is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// The shard that observed it.
    pub shard: u32,
    /// Nothing of this shard is missing before it.
    pub whole: bool,
}

/// What is known once a journal was read to its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Ending {
    /// What the run left behind besides events.
    pub trailer: Option<Trailer>,
    /// By shard, when its books were settled.
    pub settled: Vec<Option<Instant>>,
    /// By shard, whether there is a hole before the last event read of it.
    pub broken: Vec<bool>,
    /// What is missing; empty for a whole journal.
    pub missing: Vec<Missing>,
}

/// One shard as read so far.
#[derive(Debug, Clone, Copy, Default)]
struct Shard {
    /// The number of its next block.
    next: u32,
    settled: Option<Instant>,
    broken: bool,
}

/// Reads a journal: every shard's events in their order, holes noted. Holds one block at a time.
#[derive(Debug)]
pub struct JournalReader<R> {
    source: Source<R>,
    header: Header,
    trailer: Option<Trailer>,
    shards: Vec<Shard>,
    holes: Holes,
    memory: Memory,
    contents: Vec<u8>,
}

impl<R: Read> JournalReader<R> {
    /// Reads the head of a journal.
    ///
    /// # Errors
    /// [`JournalError`] when nothing can be known from it.
    pub fn open(read: R) -> Result<Self, JournalError> {
        let mut source = Source::new(read);
        let mut contents = Vec::new();
        let header = open_header(&mut source, &mut contents);
        if let Some(error) = source.error.take() {
            return Err(error.into());
        }
        let header = header?;
        Ok(Self {
            source,
            memory: Memory::new(header.shards),
            shards: vec![Shard::default(); header.shards as usize],
            header,
            trailer: None,
            holes: Holes::default(),
            contents,
        })
    }

    /// What was run.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Reads to the end and hands every event to `on`, each shard's in its own order.
    pub fn read(mut self, mut on: impl FnMut(Told, Event<'_>)) -> Ending {
        while let Some(head) = self.next_block() {
            match head.kind {
                // A second header would be another journal's; whatever follows is not this run's word.
                Kind::Header => {
                    let bytes = (HEAD + head.stored) as u64;
                    self.holes.note(Missing::Damaged { at: self.source.at - bytes, bytes });
                }
                Kind::Trailer => self.trailer = serde_json::from_slice(&self.contents).ok(),
                Kind::Events => self.events(&head, &mut on),
            }
        }
        for (shard, state) in (0..).zip(&self.shards) {
            if state.settled.is_none() {
                self.holes.note(Missing::Unfinished { shard });
            }
        }
        if self.trailer.is_none() {
            self.holes.note(Missing::Trailer);
        }
        Ending {
            trailer: self.trailer,
            settled: self.shards.iter().map(|shard| shard.settled).collect(),
            broken: self.shards.iter().map(|shard| shard.broken).collect(),
            missing: self.holes.all(),
        }
    }

    /// Hands the events of the block just opened to `on`.
    fn events(&mut self, head: &Head, on: &mut impl FnMut(Told, Event<'_>)) {
        let Head { shard, number, .. } = *head;
        let Some(state) = self.shards.get_mut(shard as usize) else {
            return self.holes.note(Missing::Senseless { shard, number });
        };
        if number < state.next {
            // Seen already: a block that stands there twice must not count twice.
            return self.holes.note(Missing::Blocks { shard, from: number, to: number.saturating_add(1) });
        }
        if number > state.next {
            self.holes.note(Missing::Blocks { shard, from: state.next, to: number });
            state.broken = true;
        }
        state.next = number.saturating_add(1);
        self.memory.clear();
        let sense = tell(&self.contents, head, &mut self.memory, state, on);
        if !sense {
            state.broken = true;
            self.holes.note(Missing::Senseless { shard, number });
        }
    }

    /// Finds the next whole block and opens it into `contents`; `None` at the end.
    fn next_block(&mut self) -> Option<Head> {
        loop {
            let begin = self.source.at;
            let found = self.source.want(HEAD);
            if found.is_empty() {
                if let Some(error) = self.source.error.take() {
                    self.holes.note(Missing::Cut { at: begin, error: Some(error.to_string()) });
                }
                return None;
            }
            let Some(head) = found.first_chunk().and_then(Head::read) else {
                if found.len() < HEAD && MAGIC.starts_with(&found[..found.len().min(4)]) {
                    return self.cut(begin);
                }
                let bytes = self.source.seek_head();
                self.holes.note(Missing::Damaged { at: begin, bytes });
                continue;
            };
            let block = self.source.want(HEAD + head.stored);
            let Some(stored) = block.get(HEAD..HEAD + head.stored) else { return self.cut(begin) };
            let good = head.open(stored, &mut self.contents);
            self.source.skip(HEAD + head.stored);
            if good {
                return Some(head);
            }
            self.holes.note(Missing::Damaged { at: begin, bytes: (HEAD + head.stored) as u64 });
        }
    }

    fn cut(&mut self, at: u64) -> Option<Head> {
        let error = self.source.error.take().map(|error| error.to_string());
        self.holes.note(Missing::Cut { at, error });
        None
    }
}

/// The header, which must be the first block.
fn open_header<R: Read>(source: &mut Source<R>, contents: &mut Vec<u8>) -> Result<Header, JournalError> {
    let beginning = source.want(HEAD);
    let Some((magic, version)) = beginning.first_chunk::<4>().map(|magic| (&magic[..3], magic[3])) else {
        return Err(JournalError::NotAJournal);
    };
    if magic != &MAGIC[..3] {
        return Err(JournalError::NotAJournal);
    }
    if version != MAGIC[3] {
        return Err(JournalError::OtherVersion(version.into()));
    }
    let head = beginning.first_chunk().and_then(Head::read).filter(|head| head.kind == Kind::Header).ok_or(JournalError::Header)?;
    let block = source.want(HEAD + head.stored);
    let stored = block.get(HEAD..HEAD + head.stored).ok_or(JournalError::Header)?;
    if !head.open(stored, contents) {
        return Err(JournalError::Header);
    }
    source.skip(HEAD + head.stored);
    let header: Header = serde_json::from_slice(contents).map_err(|_| JournalError::Header)?;
    if header.shards == 0 || header.shards > MAX_SHARDS { Err(JournalError::Header) } else { Ok(header) }
}

/// Hands the events of a block to `on`; false when they stop making sense.
fn tell(contents: &[u8], head: &Head, memory: &mut Memory, state: &mut Shard, on: &mut impl FnMut(Told, Event<'_>)) -> bool {
    let Some(mut place) = Place::begin(contents) else { return false };
    let told = Told { shard: head.shard, whole: !state.broken };
    let mut events = 0;
    while !place.at_end() {
        match decode::next(contents, &mut place, memory) {
            Some(Entry::Event(event)) => {
                events += 1;
                on(told, event);
            }
            Some(Entry::Settled(at)) => state.settled = Some(at),
            None => return false,
        }
    }
    place.is_clean(contents.len()) && events == head.events
}
