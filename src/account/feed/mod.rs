//! The books of a server that broadcasts by itself: nobody published, so what is owed is what the others got.
//!
//! Each shard enters what its own clients receive: a broadcast is known by its key and its occurrence ([`stream`]), and one row a
//! broadcast ([`log`]) says when it was first seen here and by how many. The rows are handed in with the send log; merged over all
//! shards they say who saw a broadcast first, and which ones a shard never saw at all ([`matching`]), and each shard settles its own
//! clients against that ([`settle`]). Memory is bounded: a client's books are one number and the gaps below it, rows beyond
//! [`MOST_ROWS`] are judged by what their own shard saw, and retire.

mod book;
mod cadence;
mod delays;
mod log;
mod matching;
mod settle;
mod stream;

use serde::{Deserialize, Serialize};

use super::pulse::Pulse;
use super::tally::Tally;
use crate::base::Span;

pub(super) use book::FeedBook;
pub(super) use log::FeedLog;
pub(super) use settle::Closing;

/// Rows kept by one shard over all rooms before the older half retires.
const MOST_ROWS: usize = 1 << 17;
/// From a client's readiness until its copies count: a server may register a client just after it has answered it, and greet it with
/// what others had long before. What it is owed begins once more so long after that.
const EDGE: Span = Span::from_millis(250);

/// What the server's own broadcasts came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feed {
    /// Broadcasts that the majority of their audience saw as such, over all rooms. Told by one shard, for all.
    pub broadcasts: u64,
    /// Received − received by the first client, of copies that count.
    pub spread: Tally,
    /// From broadcast to broadcast, by their first receivers: `clients` are rooms.
    pub cadence: Pulse,
    /// Broadcasts whose receivers of other shards were not looked at, for lack of room.
    pub retired: u64,
    /// Clients that had nobody to be compared with.
    pub alone: u64,
}

impl Feed {
    pub(super) fn merge(&mut self, other: Self) {
        self.broadcasts += other.broadcasts;
        self.spread.merge(&other.spread);
        self.cadence.merge(other.cadence);
        self.retired += other.retired;
        self.alone += other.alone;
    }
}
