//! Scenario + seed → Plan: what will happen and when, and what it needs. Pure: must never know a socket or a clock.

use std::sync::Arc;

use serde::Serialize;

use crate::base::{ConnId, PublisherId, RunId, Seed};
use crate::scenario::Scenario;

/// A run decided: everything that follows from scenario and seed.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// What was meant.
    pub scenario: Arc<Scenario>,
    /// All random choices follow from it.
    pub seed: Seed,
    /// Tells our copies from another run's.
    pub run: RunId,
    /// Connections over all groups.
    pub connections: u32,
    /// Publishers; 0 when nothing is published.
    pub publishers: u32,
}

impl Plan {
    /// The connection publisher `p` speaks on.
    #[must_use]
    pub fn connection_of(&self, p: PublisherId) -> ConnId {
        ConnId(p.0)
    }

    /// The publisher that speaks on connection `c`, if any.
    #[must_use]
    pub fn publisher_of(&self, c: ConnId) -> Option<PublisherId> {
        (c.0 < self.publishers).then_some(PublisherId(c.0))
    }
}
