//! An honest WebSocket broadcast server, and faults on request: the known subject that wsbench is checked against.
//!
//! Every text or binary message goes to every open client; every client gets a greeting and a heartbeat; the text
//! `ping` is answered to the asker. It knows nothing of stamps, plans or checks.
//!
//! The protocol engine is `tokio-tungstenite`, fed and emptied by a small layer of our own:
//!
//! ```text
//! accept ─connection→ handshake ─→ session ⇄ WebSocketStream ⇄ wire ⇄ peer (stream, outbox)
//!                                     └publish→ mailbox ─take_turns→ shard.deliver ─→ every peer's socket or outbox
//! ```
//!
//! A message is encoded once; what was published since a shard's last turn leaves in one write per client, and nothing
//! is ever delayed to make that write bigger.

pub mod clock;
pub mod config;
mod connection;
pub mod counters;
pub mod deflate;
pub mod extensions;
mod fanout;
pub mod fault;
mod feed;
pub mod frame;
pub mod handshake;
pub mod inlet;
pub mod logline;
pub mod outbox;
mod peer;
mod server;
mod session;
mod shard;
mod tls;
mod transport;
pub mod units;
mod wire;

pub use config::{Fanout, ServerConfig, SlowConsumer, Tls};
pub use counters::Totals;
pub use fault::Fault;
pub use server::{FaultReader, Handle, LocalServer, Server, ServerError, spawn};
pub use shard::{LogSink, Sinks};
