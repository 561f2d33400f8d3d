//! Events written down, and read again: bytes out, bytes in. Must never know a file, a clock, or what is concluded from events.
//!
//! A journal is a row of blocks. The first says what was run ([`Header`]), the last what the run left behind besides its events
//! ([`Trailer`]); between them lie the events of the shards, each shard's in its own order, the shards' blocks in the order they were
//! full. Every block is 36 bytes of head and its contents:
//!
//! ```text
//! magic kind codec 0 0 shard number events raw stored crc(contents) crc(head)      little-endian, 4 bytes each but kind … 0
//! ```
//!
//! A block can be read whatever became of the others: a run that was killed leaves every block that was whole, and a
//! damaged block costs itself. Both checksums are CRC-32, so any flipped byte is noticed, and a head that is right can be
//! trusted for the way to the next. Inside, like lies beside like (heads, instants, the rest) as differences from what was
//! expected: see `encode`. LZ4 then takes out what repeats.
//!
//! A copy of a publication that is on its way to everybody costs 2.0 to 2.2 bytes, almost all of it the low bits of its
//! instant; 0.4 where a server writes sixteen at once, 3.4 with ten thousand clients a shard, whose order is learnt anew in
//! every block (`tests/journal_size.rs` holds these figures), and about 13 ns to write. LZ4 rather than deflate: of a full block it made
//! 44,188 bytes in 7 µs where deflate made 46,455 in 600 µs at level 1 and 7 % less than LZ4 in 370 to 840 µs at level 6, and all of it
//! passes on the thread that also receives.

mod block;
mod code;
mod decode;
mod encode;
mod memory;
mod missing;
mod reader;
mod source;
mod writer;

use serde::{Deserialize, Serialize};

use crate::base::{RunId, Seed};

pub use missing::Missing;
pub use reader::{Ending, JournalError, JournalReader, Told};
pub use writer::{JournalWriter, Shared, write_header, write_trailer};

/// Contents of a block before they are compressed, after which it is written.
const BLOCK: usize = 64 << 10;
/// The longest text or sample an event may carry: longer ones are cut. The edge keeps all of them far below that.
pub const MAX_TEXT: usize = 16 << 10;
/// The largest contents a reader takes from a block of events.
const MAX_RAW: usize = BLOCK + 2 * MAX_TEXT;
/// The largest header or trailer.
const MAX_DOCUMENT: usize = 8 << 20;
/// From the first event of a block to the last: what a killed run loses, at most.
const BLOCK_NANOS: u64 = 1_000_000_000;

/// What was run: everything that is needed to judge the events again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The version of wsbench that wrote the journal.
    pub wsbench_version: String,
    /// The scenario as resolved, as TOML, without secrets: it parses, and judges the same.
    pub scenario: String,
    /// All random choices follow from it.
    pub seed: Seed,
    /// Tells this run's copies from another's.
    pub run: RunId,
    /// How many shards write; each connection belongs to the one its id leaves as a remainder.
    pub shards: u32,
    /// What the report says of the run that is neither in the scenario nor in the events (target, digests, when it began).
    /// Opaque here.
    pub facts: serde_json::Value,
}

/// What a run leaves behind besides events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trailer {
    /// What the run cost the instrument, as the system told it; whatever else a report needs. Opaque here.
    pub facts: serde_json::Value,
}

#[cfg(test)]
mod tests;
