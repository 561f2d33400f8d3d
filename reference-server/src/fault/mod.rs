//! Faults on request: what can go wrong, how it is asked for, and what truly happened.
//!
//! A fault is data: a kind, an argument, and the occasions on which it strikes. Whether it strikes is a pure function of
//! the server's seed, the client and the occasion's number, so the same seed gives the same faults whatever the timing.
//! An honest server has none of this on its path.

mod act;
mod deliver;
mod jam;
mod lane;
mod occasion;
mod spec;
mod tamper;
mod trouble;

pub use act::{Act, ActSink, FaultCounts};
pub use spec::{Argument, Clients, Fault, FaultFile, Kind, SpecError};

pub(crate) use act::FaultBook;
pub(crate) use deliver::{Broadcast, deliver, tampered_response, with_lane};
pub(crate) use lane::Lane;
pub(crate) use occasion::Faults;
pub(crate) use trouble::{Dead, Trouble};
