//! Procedures: what no script can say — sweeps, floods, stalls, resets, many connections at once. A case names one and its
//! arguments; each ends in a verdict and a dialogue.

mod broadcast;
mod compression;
mod contexts;
mod endings;
mod floods;
mod frames;
mod relays;
mod stalls;
mod storms;
mod transports;

use super::bench::{Bench, Closed};
use super::catalogue::model::Case;
use super::run::unagreed;
use super::verdict::{Outcome, Verdict};
use super::wire::assemble::Incoming;
use super::wire::link::{Heard, Link};
use super::wire::record::sample;

/// A verdict and the conversation it rests on.
pub type Answered = (Verdict, Vec<String>);

/// A procedure's result: answered, or never begun.
pub type Put = Result<Answered, Closed>;

/// What a procedure is given.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The run's ground.
    pub bench: &'a Bench,
    /// The case.
    pub case: &'a Case,
    /// Its arguments.
    pub arguments: &'a [String],
    /// The extension to offer.
    pub offer: Option<&'a str>,
    /// Whether the client must be allowed to keep its context.
    pub takeover: bool,
}

impl Asked<'_> {
    /// The n-th argument, empty when missing.
    #[must_use]
    pub fn word(&self, n: usize) -> &str {
        self.arguments.get(n).map_or("", String::as_str)
    }

    /// The n-th argument as a number, 0 when it is none (a test reads every argument).
    #[must_use]
    pub fn number(&self, n: usize) -> usize {
        self.word(n).parse().unwrap_or(0)
    }

    /// A greeted link, with the case's offer.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn open(&self) -> Result<Link, Closed> {
        let mut link = self.bench.open(&self.case.id, self.offer).await?;
        link.assembler.later_codes = true;
        Ok(link)
    }

    /// A greeted link that agreed to compression, or the verdict that it did not.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn compressed(&self) -> Result<Result<Link, Answered>, Closed> {
        let link = self.open().await?;
        Ok(match unagreed(&link, true, self.takeover) {
            Some(verdict) => Err((verdict, link.record.render())),
            None => Ok(link),
        })
    }
}

/// Runs a procedure by name.
pub async fn run(name: &str, asked: &Asked<'_>) -> Answered {
    let put = match name {
        "lengths" => frames::lengths(asked).await,
        "burst" => frames::burst(asked).await,
        "slow-header" => frames::slow_header(asked).await,
        "pings-between" => frames::pings_between(asked).await,
        "sweep" => frames::sweep(asked).await,
        "utf8-pairs" => frames::utf8_pairs(asked).await,
        "declare" => floods::declare(asked).await,
        "fragments" => floods::fragments(asked).await,
        "growing" => floods::growing(asked).await,
        "unread-pings" => floods::unread_pings(asked).await,
        "pong-flood" => floods::pong_flood(asked).await,
        "bomb" => floods::bomb(asked).await,
        "who-closes" => endings::who_closes(asked).await,
        "half-close" => endings::half_close(asked).await,
        "never-answers" => endings::never_answers(asked).await,
        "close-unread" => endings::close_unread(asked).await,
        "smuggle" => endings::smuggle(asked).await,
        "no-notify" => endings::no_notify(asked).await,
        "resets" => storms::resets(asked).await,
        "stalled-frames" => storms::stalled_frames(asked).await,
        "slow-reader" => storms::slow_reader(asked).await,
        "churn" => storms::churn(asked).await,
        "idle-tcp" => storms::idle_tcp(asked).await,
        "negotiate" => compression::negotiate(asked).await,
        "compressed" => compression::compressed(asked).await,
        "context" => compression::context(asked).await,
        "broadcast" => broadcast::run(asked).await,
        "http2" => transports::http2(asked).await,
        "http3" => Ok(transports::http3()),
        other => Ok((Verdict::plain(Outcome::Error, format!("no procedure is called {other}")), Vec::new())),
    };
    put.unwrap_or_else(|closed| (closed.verdict(), closed.dialogue()))
}

/// Every procedure's name; the catalogue may use no other.
pub const NAMES: [&str; 29] = [
    "lengths",
    "burst",
    "slow-header",
    "pings-between",
    "sweep",
    "utf8-pairs",
    "declare",
    "fragments",
    "growing",
    "unread-pings",
    "pong-flood",
    "bomb",
    "who-closes",
    "half-close",
    "never-answers",
    "close-unread",
    "smuggle",
    "no-notify",
    "resets",
    "stalled-frames",
    "slow-reader",
    "churn",
    "idle-tcp",
    "negotiate",
    "compressed",
    "context",
    "broadcast",
    "http2",
    "http3",
];

fn pass(actual: impl Into<String>) -> Verdict {
    Verdict::plain(Outcome::Pass, actual)
}

fn fail(actual: impl Into<String>) -> Verdict {
    Verdict::plain(Outcome::Fail, actual)
}

/// Waits for one message and compares it.
///
/// # Errors
/// How it differs, or what came instead.
async fn expect(link: &mut Link, binary: bool, payload: &[u8], until: tokio::time::Instant) -> Result<(), String> {
    match link.hear(until).await {
        Heard::Said(Incoming::Message { binary: b, payload: p, .. }) if b == binary && p == payload => Ok(()),
        heard => Err(format!("instead of a message of {} octets: {}", payload.len(), describe(&heard))),
    }
}

/// What was heard, in words.
fn describe(heard: &Heard) -> String {
    match heard {
        Heard::Said(Incoming::Message { binary, payload, .. }) => {
            format!("{} of {} octets {}", if *binary { "binary" } else { "text" }, payload.len(), sample(payload))
        }
        Heard::Said(Incoming::Ping(p)) => format!("ping {}", sample(p)),
        Heard::Said(Incoming::Pong(p)) => format!("pong {}", sample(p)),
        Heard::Said(Incoming::Close { code, reason, .. }) => {
            format!("Close {} {}", code.map_or("without a code".to_owned(), |c| c.to_string()), sample(reason))
        }
        Heard::Said(Incoming::Broken(fault)) => format!("a frame that breaks a rule ({})", fault.why),
        Heard::Ended(how) => how.clone(),
        Heard::Silence => "silence".to_owned(),
    }
}

/// Closes politely: our Close, a moment for theirs.
async fn hang_up(asked: &Asked<'_>, link: &mut Link) {
    link.say(0x88, &1000_u16.to_be_bytes());
    let until = asked.bench.until(1.0);
    while !matches!(link.hear(until).await, Heard::Ended(_) | Heard::Silence) {}
}

/// How much the server's memory grew, watched from here on; silent when its process is unknown.
struct Growth<'a> {
    bench: &'a Bench,
    before: Option<u64>,
}

impl<'a> Growth<'a> {
    fn watch(bench: &'a Bench) -> Self {
        Self { bench, before: bench.memory() }
    }

    /// The verdict once growth is known: a failure beyond `limit` octets, else `otherwise`, the growth told.
    fn judge(&self, limit: u64, otherwise: Verdict) -> Verdict {
        let (Some(before), Some(after)) = (self.before, self.bench.memory()) else {
            let Verdict { actual, .. } = &otherwise;
            let actual = format!("{actual} (memory not watched: no --server-pid)");
            return Verdict { actual, ..otherwise };
        };
        let grown = after.saturating_sub(before);
        let told = format!("{}; its memory grew by {} MiB", otherwise.actual, grown >> 20);
        if grown > limit { fail(told) } else { Verdict { actual: told, ..otherwise } }
    }
}

/// A failure when the server no longer serves others, else the verdict given.
async fn and_alive(asked: &Asked<'_>, verdict: Verdict) -> Verdict {
    match asked.bench.alive(3.0).await {
        Ok(()) => verdict,
        Err(why) => fail(format!("{why}; before that: {}", verdict.actual)),
    }
}

/// The verdict on how a server answered a flood: a stated limit, carrying on, or falling silent.
fn limited(heard: &Heard, codes: &[u16]) -> Verdict {
    match heard {
        Heard::Said(Incoming::Close { code: Some(code), .. }) if codes.contains(code) => pass(describe(heard)),
        Heard::Said(Incoming::Close { code: Some(code @ (1008 | 1009)), .. }) => Verdict::plain(Outcome::Limit, format!("Close {code}")),
        Heard::Said(Incoming::Close { .. }) | Heard::Ended(_) => Verdict::plain(Outcome::NonStrict, describe(heard)),
        other => fail(describe(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::catalogue::{all_cases, model::Ask};

    #[test]
    fn every_procedure_of_the_catalogue_exists_and_every_one_that_exists_is_used() {
        let cases = all_cases().unwrap_or_default();
        let used: std::collections::BTreeSet<&str> =
            cases.iter().filter_map(|c| if let Ask::Procedure { name, .. } = &c.ask { Some(name.as_str()) } else { None }).collect();
        assert_eq!(used, NAMES.into_iter().collect());
    }
}
