//! Publishers and subscribers: the few moves every broadcast case is made of.

use tokio::time::Instant;

use super::{Asked, describe};
use crate::conformance::wire::assemble::Incoming;
use crate::conformance::wire::link::{Heard, Link};

/// The messages a subscriber receives until `last` arrives (included) or the time is up.
///
/// # Errors
/// What happened instead of a message: a Close, a broken rule, the end.
pub(super) async fn until_message(link: &mut Link, last: &[u8], until: Instant) -> Result<Vec<(bool, Vec<u8>)>, String> {
    let mut got = Vec::new();
    loop {
        match link.hear(until).await {
            Heard::Said(Incoming::Message { binary, payload, .. }) => {
                let done = payload == last;
                got.push((binary, payload));
                if done {
                    return Ok(got);
                }
            }
            other => return Err(format!("after {} messages: {}", got.len(), describe(&other))),
        }
    }
}

/// Whatever a subscriber hears for a while, pongs apart.
pub(super) async fn overheard(link: &mut Link, until: Instant) -> Vec<Heard> {
    let mut heard = Vec::new();
    loop {
        match link.hear(until).await {
            Heard::Silence => return heard,
            Heard::Ended(how) => {
                heard.push(Heard::Ended(how));
                return heard;
            }
            said => heard.push(said),
        }
    }
}

/// A pong to a ping of ours: everything sent before it has been read.
pub(super) async fn settled(asked: &Asked<'_>, link: &mut Link, within: f64) -> bool {
    link.say(0x89, b"settled?");
    let until = asked.bench.until(within);
    loop {
        match link.hear(until).await {
            Heard::Said(Incoming::Pong(payload)) if payload == b"settled?" => return true,
            Heard::Said(_) => {}
            Heard::Ended(_) | Heard::Silence => return false,
        }
    }
}

/// Reads and throws away, so that a publisher who hears itself never blocks the server.
pub(super) async fn pump(link: &mut Link, until: Instant) {
    while !link.flushed() {
        if link.pop().is_none()
            && matches!(
                link.step(Some(until)).await,
                crate::conformance::wire::link::Moved::Time | crate::conformance::wire::link::Moved::Ended(_)
            )
        {
            return;
        }
    }
}
