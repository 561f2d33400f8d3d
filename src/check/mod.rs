//! Account → Findings → Verdict. Pure: must never know a socket, a byte, a clock or a terminal.

mod finding;

pub use finding::{Finding, Outcome, Verdict, Witness};
