//! What kind of server it is, found by asking: does it send a message back to its sender, does it send it to others.

use super::bench::{Bench, Closed};
use super::run::believed;
use super::wire::assemble::Incoming;
use super::wire::link::{Heard, Link};

/// What a server does with a text message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Survey {
    /// It comes back to its sender, unchanged.
    pub echoes: bool,
    /// It reaches another client, unchanged.
    pub relays: bool,
    /// Said on the command line rather than found.
    pub told: bool,
    /// A second connection is allowed to stand in for the sender.
    pub observer: bool,
}

impl Survey {
    /// Asks the server.
    ///
    /// # Errors
    /// [`Closed`] when it cannot be reached or refuses a correct handshake.
    pub async fn ask(bench: &Bench) -> Result<Self, Closed> {
        let observer = bench.options.observer;
        let mut publisher = bench.open("survey", None).await?;
        if let Some(profile) = bench.options.profile {
            return Ok(believed(profile, observer));
        }
        if bench.options.setup.joining.as_ref().is_some_and(|j| j.no_publishing().is_some()) {
            return Ok(Self { echoes: false, relays: false, told: false, observer });
        }
        let mut other = bench.open("survey", None).await?;
        let text = format!("wsbench survey {:x}", bench.options.seed.0);
        let mut whole = text.clone().into_bytes();
        let mut first = 0x81;
        if let Some(manner) = &mut publisher.manner {
            // A dialect of binary messages is asked in binary.
            let around = manner.envelope(false, text.as_bytes()).map(|around| (0x81, around));
            let around = around.or_else(|_| manner.envelope(true, text.as_bytes()).map(|around| (0x82, around)));
            if let Ok((opcode, (before, after))) = around {
                first = opcode;
                whole = [before, whole, after].concat();
            }
        }
        if let Some(manner) = &mut other.manner {
            manner.look_for(text.as_bytes());
        }
        publisher.say(first, &whole);
        let until = bench.until(1.0);
        let (echoes, relays) = tokio::join!(hears(&mut publisher, &text, until), async {
            // A server that relays to others does so about when it answers the sender.
            hears(&mut other, &text, bench.until(0.5)).await
        });
        for link in [&mut publisher, &mut other] {
            link.say(0x88, &1000_u16.to_be_bytes());
            link.flush(bench.until(0.5)).await;
        }
        Ok(Self { echoes, relays, told: false, observer })
    }

    /// Whether one connection hears what another sends, so that cases must not run side by side.
    #[must_use]
    pub const fn hears_others(&self) -> bool {
        self.relays
    }

    /// Whether an observer stands in for the sender.
    #[must_use]
    pub const fn observed(&self) -> bool {
        self.observer && self.relays && !self.echoes
    }

    /// Why the cases that need an echo cannot be asked, if they cannot.
    #[must_use]
    pub fn no_echo(&self) -> Option<String> {
        if self.echoes || self.observed() {
            None
        } else if self.told {
            Some("the profile says the server does not send messages back".to_owned())
        } else if self.relays {
            Some("the server leaves the sender out; use --observer to judge by what a second client receives".to_owned())
        } else {
            Some(
                "the server neither sends a plain text back to its sender nor to another client; where it wants a join first, use --setup"
                    .to_owned(),
            )
        }
    }

    /// Why the broadcast cases cannot be asked, if they cannot.
    #[must_use]
    pub fn no_broadcast(&self) -> Option<String> {
        (!self.relays).then(|| "not a broadcast server: a second client does not receive what the first sends".to_owned())
    }

    /// In words, for the head of a report.
    #[must_use]
    pub const fn describe(&self) -> &'static str {
        match (self.echoes, self.relays) {
            (true, true) => "broadcast server, the sender included",
            (true, false) => "echo server",
            (false, true) => "broadcast server, the sender left out",
            (false, false) => "neither echoes nor relays plain text",
        }
    }
}

async fn hears(link: &mut Link, text: &str, until: tokio::time::Instant) -> bool {
    loop {
        match link.hear(until).await {
            Heard::Said(Incoming::Message { payload, .. }) if payload == text.as_bytes() => return true,
            Heard::Said(_) => {}
            Heard::Ended(_) | Heard::Silence => return false,
        }
    }
}
