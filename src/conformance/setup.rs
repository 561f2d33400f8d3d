//! What a server wants to hear before it relays anything, and how it wraps what it relays: words given on the command line,
//! or a scenario's script and dialect ([`join`](super::join)). By default nothing is said and nothing is wrapped. Must never
//! know a case.

use std::sync::Arc;

use tokio::time::Instant;

use super::join::Joining;
use super::wire::link::{Heard, Link};

/// Said after the handshake, before a case begins.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// Text messages to send, in order.
    pub say: Vec<String>,
    /// After each, wait for a message that contains this; everything up to it is passed over.
    pub until: Option<String>,
    /// Messages to pass over before the first word (a welcome).
    pub welcome: usize,
    /// How a scenario's clients join, and how they speak.
    pub joining: Option<Arc<Joining>>,
}

impl Setup {
    /// Whether there is nothing to do.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.say.is_empty() && self.welcome == 0 && self.joining.is_none()
    }

    /// Why a frame cannot follow the request at once, where it cannot: a join would have to come before it.
    #[must_use]
    pub const fn before_frames(&self) -> Option<&'static str> {
        if self.is_empty() { None } else { Some("the frame behind the request would come before the set-up") }
    }

    /// Plays the set-up. What a word waits for and does not get is left to the case to notice.
    ///
    /// # Errors
    /// Which step of the scenario's script did not come through.
    pub async fn perform(&self, link: &mut Link, room: &str, nth: u64, until: Instant) -> Result<(), String> {
        if self.is_empty() {
            return Ok(());
        }
        link.record.note("set-up begins");
        for _ in 0..self.welcome {
            link.hear(until).await;
        }
        for text in &self.say {
            link.say(0x81, text.as_bytes());
            link.flush(until).await;
            if let Some(wanted) = &self.until {
                let found = |payload: &[u8]| memchr::memmem::find(payload, wanted.as_bytes()).is_some();
                while let Heard::Said(said) = link.hear(until).await {
                    if matches!(&said, super::wire::assemble::Incoming::Message { payload, .. } if found(payload)) {
                        break;
                    }
                }
            }
        }
        if let Some(joining) = &self.joining {
            joining.join(link, room, nth).await?;
        }
        link.record.note("set-up is done");
        Ok(())
    }
}
