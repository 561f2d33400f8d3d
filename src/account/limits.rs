//! What the plan says about judging a copy, looked up once.

use crate::base::Span;
use crate::plan::Plan;
use crate::scenario::model::{Audience, Encoding, OrderScope, Via};
use crate::scenario::template::Vars;

/// What the plan says about judging a copy.
#[derive(Debug)]
pub(super) struct Limits {
    pub(super) publishers: u32,
    /// Neither rooms nor groups that do not receive: every member is owed every publication, senders perhaps apart.
    pub(super) everyone: bool,
    /// From planned to received.
    pub(super) within: Span,
    pub(super) late_send: Span,
    pub(super) total_order: bool,
    pub(super) others: bool,
    /// Publications can be rejected.
    pub(super) over_http: bool,
    pub(super) text: bool,
    ping_text: Option<Vec<u8>>,
}

impl Limits {
    pub(super) fn of(plan: &Plan) -> Self {
        let scenario = &plan.scenario;
        let checks = &scenario.checks;
        let publish = scenario.publish.as_ref();
        let ping = checks.pong.as_ref().and_then(|pong| pong.application.as_ref());
        Self {
            publishers: plan.publishers,
            everyone: scenario.rooms.is_none() && scenario.groups.iter().all(|group| group.receives),
            within: checks.delivery.map_or(scenario.phases.drain, |delivery| delivery.within),
            late_send: checks.instrument.late_send,
            total_order: checks.order == Some(OrderScope::Total),
            others: publish.is_some_and(|publish| publish.audience == Audience::Others),
            over_http: publish.is_some_and(|publish| matches!(publish.via, Via::Http(_))),
            text: publish.is_some_and(|publish| publish.encoding == Encoding::Text),
            ping_text: ping.and_then(|ping| ping.send.render(&Vars::default()).ok()),
        }
    }
    /// Whether a stray frame is our own application ping.
    pub(super) fn is_ping_text(&self, sample: &[u8]) -> bool {
        self.ping_text.as_deref() == Some(sample)
    }
}
