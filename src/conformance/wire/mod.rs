//! The wire as this tester needs it: a writer that can say anything malformed, a reader that names every broken rule,
//! handshakes as editable text, permessage-deflate with every parameter obeyed, a link that records what passes.
//!
//! Kept apart from the load client's frame reader on purpose: that one is built to be fast and right, this one to be wrong
//! on request. Must never know a case or a verdict.

pub mod assemble;
pub mod frame;
pub mod http;
pub mod link;
pub mod reader;
pub mod record;
pub mod stream;

pub use crate::wire::{deflate, inflate};
