//! Wire conformance: Autobahn's 517 cases and our own beyond them, asked of any server (or, mirrored, of any client).
//!
//! ```text
//! catalogue (pages of text) ─parse→ Case ─play(Link)→ Observation ─judge→ Verdict ─fold→ Report → bytes
//! ```
//!
//! A case is data; [`exchange`] plays it and only observes; [`verdict`] and [`script`] only judge. What no script can say is
//! a procedure by name. Must never know the load side of wsbench.

pub mod bench;
pub mod catalogue;
pub mod clients;
pub mod corpus;
pub mod envelope;
pub mod exchange;
pub mod expect;
pub mod handshake;
pub mod join;
pub mod looping;
pub mod observation;
pub mod procedures;
pub mod report;
pub mod run;
pub mod script;
pub mod select;
pub mod setup;
pub mod survey;
pub mod verdict;
pub mod wire;
