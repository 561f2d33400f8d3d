//! What a server wants to hear before it relays anything, and how it wraps what it relays: the seam where a session script
//! and dialect attach. By default nothing is said and nothing is wrapped. Must never know a case.

use tokio::time::Instant;

use super::wire::link::{Heard, Link};

/// Said after the handshake, before a case begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Setup {
    /// Text messages to send, in order.
    pub say: Vec<String>,
    /// After each, wait for a message that contains this; everything up to it is passed over.
    pub until: Option<String>,
    /// Messages to pass over before the first word (a welcome).
    pub welcome: usize,
}

impl Setup {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Plays the set-up; what does not come in time is left to the case to notice.
    pub async fn perform(&self, link: &mut Link, until: Instant) {
        if self.is_empty() {
            return;
        }
        link.record.note("set-up begins");
        for _ in 0..self.welcome {
            link.hear(until).await;
        }
        for text in &self.say {
            link.say(0x81, text.as_bytes());
            link.flush(until).await;
            let Some(wanted) = &self.until else { continue };
            loop {
                match link.hear(until).await {
                    Heard::Said(super::wire::assemble::Incoming::Message { payload, .. })
                        if memchr::memmem::find(&payload, wanted.as_bytes()).is_some() =>
                    {
                        break;
                    }
                    Heard::Said(_) => {}
                    Heard::Ended(_) | Heard::Silence => return,
                }
            }
        }
        link.record.note("set-up is done");
    }
}
