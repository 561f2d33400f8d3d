//! What a received message is. One look at its first bytes decides for a copy; only what is no copy takes the slow road
//! of matchers and JSON.

use crate::base::{ConnId, Flaws, RunId};
use crate::event::StrayKind;
use crate::plan::Plan;
use crate::scenario::model::{Audience, Beat, Encoding, Greeting, Matcher};
use crate::wire::payload::{self, Recognised};
use crate::wire::stamp::Stamp;

/// What a message turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A copy of a publication of this run that may be owed here.
    Copy(Stamp, Flaws),
    /// The server's greeting.
    Greeting,
    /// A beat of the heartbeat.
    Beat,
    /// The answer to an application ping.
    Pong,
    /// Nothing that should have come.
    Stray(StrayKind),
}

/// What is expected, compiled once for all connections of a shard.
#[derive(Debug)]
pub struct Expectations {
    run: RunId,
    publishers: u32,
    sent_text: bool,
    audience: Audience,
    pong: Option<Matcher>,
    beat: Matcher,
}

impl Expectations {
    /// What a run of `plan` expects.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let checks = &plan.scenario.checks;
        let publish = plan.scenario.publish.as_ref();
        let beat = match checks.heartbeat.as_ref().map(|h| &h.beat) {
            Some(Beat::Message(matcher)) => matcher.clone(),
            // Where no heartbeat is asked for, this project's own shape is still told apart from strays.
            _ => Matcher::Json(serde_json::json!({ "type": 1, "message": "ping" })),
        };
        Self {
            run: plan.run,
            publishers: plan.publishers,
            sent_text: publish.is_none_or(|p| p.encoding == Encoding::Text),
            audience: publish.map_or(Audience::All, |p| p.audience),
            pong: checks.pong.as_ref().and_then(|p| p.application.as_ref()).map(|a| a.expect.clone()),
            beat,
        }
    }

    /// Whether a message is a copy; `None` leaves it to [`Expectations::other`].
    #[inline]
    #[must_use]
    pub fn copy(&self, plan: &Plan, conn: ConnId, message: &[u8], text: bool) -> Option<Kind> {
        Some(match payload::recognise(message, text, self.sent_text, self.run) {
            Recognised::Copy(stamp, flaws) => {
                if stamp.run != self.run {
                    Kind::Stray(StrayKind::OtherRun)
                } else if stamp.publisher.0 >= self.publishers {
                    Kind::Stray(StrayKind::Unknown)
                } else if self.audience == Audience::Others && plan.connection_of(stamp.publisher) == conn {
                    Kind::Stray(StrayKind::Echo)
                } else {
                    Kind::Copy(stamp, flaws)
                }
            }
            Recognised::Unreadable => Kind::Stray(StrayKind::Unreadable),
            Recognised::Nothing => return None,
        })
    }

    /// What a message without a stamp is. `greeting` is what this connection still waits for, if it does; `first` says
    /// that nothing came before.
    #[cold]
    #[must_use]
    pub fn other(&self, message: &[u8], greeting: Option<&Greeting>, first: bool) -> Kind {
        if let Some(Greeting::Expected { matches, .. }) = greeting
            && matches.matches(message)
        {
            return Kind::Greeting;
        }
        if self.pong.as_ref().is_some_and(|pong| pong.matches(message)) {
            return Kind::Pong;
        }
        if self.beat.matches(message) {
            return Kind::Beat;
        }
        if first && greeting == Some(&Greeting::Any) {
            return Kind::Greeting;
        }
        Kind::Stray(StrayKind::Unexpected)
    }
}
