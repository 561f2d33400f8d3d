//! Runs a Plan against a target: the only floor that waits. Sockets, threads, timers and the clock live here; out come
//! events, folded at once into each shard's own books. Must never know a check, a verdict or a report.
//!
//! ```text
//! run.rs       the phases, in order: tells the shards, waits for conditions
//! shard.rs     one thread, one current-thread runtime, one ledger; nothing is shared on the receive path
//!   entry.rs     how clients get in, and are let go
//!   dial.rs      TCP, TLS and the opening handshake → a Stream
//!   link.rs      one open connection: reads into the shard's buffer, writes from its own outbox
//!   hush.rs      … one that a disruption keeps from reading or answering
//!   session.rs   what it remembers of its conversation; talk.rs: its script
//!   slice.rs     reading in slices, so that a flood of copies does not hold up the timetable
//!   classify.rs  what a received message is
//!   pacer.rs     publications and pings on their planned instants
//!   disrupt.rs   disruptions on theirs: who is cut off, and how they come back
//! crew.rs      the shards of a run, in this process or in workers, told and heard alike
//!   worker.rs    a worker process: shards behind a pair of pipes
//!   live.rs      samples of all of them for live metrics
//! ```

mod alarm;
mod classify;
pub mod clock;
mod contest;
mod crew;
mod deflating;
pub mod dial;
mod disrupt;
mod entry;
mod envelopes;
mod feed;
mod gauge;
mod health;
pub mod host;
mod http;
mod hush;
pub mod limits;
mod link;
mod live;
mod mishap;
mod pacer;
mod pipe;
mod proxy;
mod run;
mod session;
mod shard;
mod slice;
pub mod stream;
mod talk;
pub mod target;
mod tls;
pub mod worker;

pub use classify::{Expectations, Kind, Part};
pub use gauge::Progress;
pub use live::{Live, Sample};
pub use run::{Cost, DriveError, Lost, Options, Outcome, Stop, run};
pub use target::Target;
