//! The books: a mergeable fold over events. Must never know a socket, a clock, or what anybody will conclude.
//!
//! While the run lasts each shard keeps a [`Ledger`]; at the end every ledger is settled against the merged [`SendLog`] and
//! the resulting [`Account`]s are merged, in any order, with the same result. Memory is bounded by connections × publishers
//! (16 bytes a pair) and what is in flight, and does not grow with time.

mod books;
mod bottom;
mod condition;
mod connections;
mod copies;
mod disruptions;
mod feed;
mod firsts;
mod gap;
#[cfg(test)]
pub(crate) mod history;
mod isolation;
mod ledger;
mod limits;
mod live;
mod lives;
mod pings;
mod progress;
mod pulse;
mod ranges;
mod rejected;
mod room;
mod rows;
mod send_log;
mod settle;
mod share;
mod sketch;
mod spread;
mod standstill;
mod tally;
mod window;

#[cfg(test)]
pub(crate) mod tests;

pub use books::{Account, Bounds, Condition, Mishaps, Publications, ShardCpu, is_accepted};
pub use bottom::{Sighting, Sightings, WITNESSES};
pub use copies::Copies;
pub use disruptions::{Disrupted, Disruptions, Gap};
pub use feed::Feed;
pub use firsts::{Overtaken, RANKED};
pub use isolation::{Isolation, Stretch};
pub use ledger::{Ledger, stray_name};
pub use live::{BOUNDS_NS, Buckets, LATENCIES, Live};
pub use lives::Connections;
pub use pings::Pings;
pub use progress::Progress;
pub use pulse::Pulse;
pub use rows::{MOST_ROWS, ROW, Row, Rows};
pub use send_log::SendLog;
pub use share::Share;
pub use sketch::Sketch;
pub use spread::{SAMPLE, Spread, Spreads};
pub use tally::{HIGHEST_NS, Tally};
