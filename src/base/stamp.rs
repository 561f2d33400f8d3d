//! How long the stamp is: the one fact about it that floors besides `wire` need (a payload must hold it).

/// Length of the stamp in bytes: a fixed-width ASCII text that stands at the head of every payload.
pub const STAMP_LEN: usize = 64;
