//! The one fact about the stamp that floors below `wire` need: how long it is.

/// Bytes of the stamp every payload carries; a payload can be no shorter. The format itself is `wire::stamp`.
pub const STAMP_LEN: usize = 64;
