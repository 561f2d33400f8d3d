//! RFC 6455 frames, the handshake, and the stamp: octets in, values out. Must never know a socket or a scenario.
//!
//! This is the client's own implementation, on purpose not the one the reference server uses: each checks the other.

pub mod close;
pub mod deflate;
pub mod frame;
pub mod handshake;
pub mod inflate;
pub mod memo;
pub mod payload;
pub mod reader;
pub mod stamp;
pub mod violation;
