//! What a journal does not hold, by name.

use std::fmt;

/// Missing pieces kept by name; further ones are only counted.
const NAMED: usize = 64;

/// A piece of the journal that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// Bytes that are no whole block: damaged, or none of ours.
    Damaged {
        /// Where they begin in the file.
        at: u64,
        /// How many.
        bytes: u64,
    },
    /// The file ends inside a block, or reading it failed there.
    Cut {
        /// Where that block begins.
        at: u64,
        /// What the system said, if it failed.
        error: Option<String>,
    },
    /// Blocks of a shard that did not come, or came out of turn.
    Blocks {
        /// Whose.
        shard: u32,
        /// The first of them.
        from: u32,
        /// The one after the last of them.
        to: u32,
    },
    /// A whole block whose contents make no sense from some event on.
    Senseless {
        /// Whose.
        shard: u32,
        /// Which block.
        number: u32,
    },
    /// The shard's journal has no end: it was cut short.
    Unfinished {
        /// Whose.
        shard: u32,
    },
    /// What the run left behind besides events was not written: it did not come to its end.
    Trailer,
    /// Further pieces, not named here.
    More(u64),
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged { at, bytes } => write!(f, "{bytes} damaged bytes at offset {at}"),
            Self::Cut { at, error: None } => write!(f, "the file ends inside the block at offset {at}"),
            Self::Cut { at, error: Some(error) } => write!(f, "reading failed in the block at offset {at}: {error}"),
            Self::Blocks { shard, from, to } if to - from == 1 => write!(f, "block {from} of shard {shard}"),
            Self::Blocks { shard, from, to } => write!(f, "blocks {from} to {} of shard {shard}", to - 1),
            Self::Senseless { shard, number } => write!(f, "the rest of block {number} of shard {shard}, which makes no sense"),
            Self::Unfinished { shard } => write!(f, "the end of shard {shard}"),
            Self::Trailer => write!(f, "the run's own end"),
            Self::More(n) => write!(f, "{n} further pieces"),
        }
    }
}

/// What is missing so far, by name up to a bound.
#[derive(Debug, Default)]
pub(super) struct Holes {
    named: Vec<Missing>,
    unnamed: u64,
}

impl Holes {
    pub(super) fn note(&mut self, missing: Missing) {
        if self.named.len() < NAMED { self.named.push(missing) } else { self.unnamed += 1 }
    }

    pub(super) fn all(self) -> Vec<Missing> {
        let Self { mut named, unnamed } = self;
        if unnamed > 0 {
            named.push(Missing::More(unnamed));
        }
        named
    }
}
