//! wsbench: load testing and conformance for WebSocket broadcast servers.
//!
//! The straight line, a plain value at every arrow; only `drive` waits:
//!
//! ```text
//! scenario.toml ─parse→ Scenario ─plan(seed)→ Plan ─drive(target)→ events ─fold→ Account ─┬ judge → Findings ─┐
//!                                                                                      └ measure → Summary ┴→ Report → bytes → exit code
//! ```

pub mod account;
pub mod base;
pub mod check;
pub mod cli;
pub mod conformance;
pub mod drive;
pub mod event;
pub mod measure;
pub mod plan;
pub mod report;
pub mod scenario;
pub mod wire;
