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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_as_people_count() {
        let blocks = |from, to| Missing::Blocks { shard: 2, from, to };
        for (missing, text) in [
            (Missing::Damaged { at: 7, bytes: 3 }, "3 damaged bytes at offset 7"),
            (Missing::Cut { at: 7, error: None }, "the file ends inside the block at offset 7"),
            (Missing::Cut { at: 7, error: Some("EIO".into()) }, "reading failed in the block at offset 7: EIO"),
            (blocks(4, 5), "block 4 of shard 2"),
            (blocks(0, 1), "block 0 of shard 2"),
            (blocks(4, 6), "blocks 4 to 5 of shard 2"),
            (blocks(4, 9), "blocks 4 to 8 of shard 2"),
            (Missing::Senseless { shard: 1, number: 6 }, "the rest of block 6 of shard 1, which makes no sense"),
            (Missing::Unfinished { shard: 1 }, "the end of shard 1"),
            (Missing::Trailer, "the run's own end"),
            (Missing::More(5), "5 further pieces"),
        ] {
            assert_eq!(missing.to_string(), text);
        }
    }

    #[test]
    fn holes_beyond_the_bound_are_counted() {
        for (holes, named) in [(0, 0), (NAMED - 1, NAMED - 1), (NAMED, NAMED), (NAMED + 1, NAMED + 1), (NAMED + 3, NAMED + 1)] {
            let mut all = Holes::default();
            (0..holes).for_each(|_| all.note(Missing::Trailer));
            let all = all.all();
            assert_eq!(all.len(), named);
            let more = all.iter().find_map(|missing| if let Missing::More(n) = missing { Some(*n) } else { None });
            assert_eq!(more, holes.checked_sub(NAMED).filter(|n| *n > 0).map(|n| n as u64));
        }
    }
}
