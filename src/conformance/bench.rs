//! What every case needs of the run: the way to the server, how it is greeted, how time is stretched, where it lives.

use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::setup::Setup;
use super::verdict::{Outcome, Verdict, no_handshake};
use super::wire::frame::Role;
use super::wire::http::{Request, random_key};
use super::wire::link::Link;
use super::wire::record::Record;
use super::wire::stream::{Connector, Stream, Target};
use crate::base::Seed;

/// How a run is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// The server.
    pub target: Target,
    /// Accept any certificate.
    pub insecure: bool,
    /// Cases at once.
    pub jobs: usize,
    /// Stretches every timer.
    pub scale: f64,
    /// Masking keys, handshake keys and noise follow from it.
    pub seed: Seed,
    /// Further request fields.
    pub fields: Vec<(String, String)>,
    /// Judge echoes by what a second connection receives.
    pub observer: bool,
    /// What to believe of the server instead of asking it.
    pub profile: Option<Profile>,
    /// The server's process on this machine, for the memory cases.
    pub server_pid: Option<u32>,
    /// What is said before a case begins, and how what arrives is unwrapped.
    pub setup: Setup,
}

/// What kind of server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// It sends every message back to its sender.
    Echo,
    /// It sends every message to every client, the sender included.
    Broadcast,
    /// It does neither; only what needs no echo is asked.
    Any,
}

/// The shared ground of a run.
pub struct Bench {
    /// How it is set up.
    pub options: Options,
    connector: Connector,
    opened: AtomicU64,
    joined: AtomicU64,
    refused: AtomicUsize,
}

/// Why there is no connection to talk over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    /// No TCP or TLS: the server is not there.
    Unreachable(String),
    /// TCP but no WebSocket.
    Refused(String, Vec<String>),
    /// WebSocket, but the set-up did not come through.
    Unjoined(String, Vec<String>),
}

impl Closed {
    /// The verdict on a case that could not begin.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Unreachable(why) => Verdict::plain(Outcome::Error, format!("the server could not be reached: {why}")),
            Self::Unjoined(why, _) => Verdict::plain(Outcome::Error, format!("the set-up did not come through: {why}")),
            Self::Refused(why, _) => no_handshake(format!("the opening handshake was not completed: {why}")),
        }
    }
}

impl Closed {
    /// What was said up to then.
    #[must_use]
    pub fn dialogue(&self) -> Vec<String> {
        match self {
            Self::Unreachable(_) => Vec::new(),
            Self::Refused(_, dialogue) | Self::Unjoined(_, dialogue) => dialogue.clone(),
        }
    }
}

/// Refusals in a row after which the server is taken for dead and no longer waited for.
const DEAD_AFTER: usize = 12;

impl Bench {
    /// A bench for a target.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(options: Options) -> io::Result<Self> {
        let timeout = Duration::from_secs_f64(5.0 * options.scale);
        let connector = Connector::new(&options.target, options.insecure, timeout)?;
        Ok(Self { options, connector, opened: AtomicU64::new(0), joined: AtomicU64::new(0), refused: AtomicUsize::new(0) })
    }

    /// A span stretched by `--timeout-scale`.
    #[must_use]
    pub fn span(&self, seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds * self.options.scale)
    }

    /// The instant that many stretched seconds from now.
    #[must_use]
    pub fn until(&self, seconds: f64) -> Instant {
        Instant::now() + self.span(seconds)
    }

    /// A TCP (or TLS) stream. A refusal is tried again a few times: a full backlog is not a dead server.
    ///
    /// # Errors
    /// The operating system's words.
    pub async fn stream(&self) -> Result<Stream, String> {
        let tries = if self.refused.load(Ordering::Relaxed) > DEAD_AFTER { 1 } else { 4 };
        let mut why = String::new();
        for attempt in 0..tries {
            if attempt > 0 {
                tokio::time::sleep(Duration::from_millis(50 << attempt)).await;
            }
            match self.connector.connect().await {
                Ok(stream) => {
                    self.refused.store(0, Ordering::Relaxed);
                    return Ok(stream);
                }
                Err(e) => why = e.to_string(),
            }
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        Err(why)
    }

    /// A link that has not been greeted yet, and a correct request to greet it with. `room` names the case, for URLs with
    /// `{case}` in them.
    ///
    /// # Errors
    /// [`Closed::Unreachable`].
    pub async fn link(&self, room: &str) -> Result<(Link, Request), Closed> {
        let stream = self.stream().await.map_err(Closed::Unreachable)?;
        let nth = self.opened.fetch_add(1, Ordering::Relaxed);
        let mut rng = self.options.seed.nth(nth).rng();
        let key = random_key(&mut rng);
        let mut record = Record::new(Instant::now());
        if let (Ok(from), Ok(to)) = (stream.tcp().local_addr(), stream.tcp().peer_addr()) {
            record.note(format!("connected from {from} to {to}"));
        }
        let target = &self.options.target;
        let mut request = Request::upgrade(&target.authority(), &self.path(room), &key, &self.options.fields);
        if let Some(joining) = &self.options.setup.joining {
            let url = format!("{}{}", target.url().split_inclusive('/').take(3).collect::<String>().trim_end_matches('/'), self.path(room));
            joining.dress(&mut request, &url, &self.room(room), nth).map_err(|why| Closed::Unjoined(why, Vec::new()))?;
        }
        Ok((Link::new(stream, Role::Client, rng, record), request))
    }

    /// The target path, `{case}` filled in.
    #[must_use]
    pub fn path(&self, room: &str) -> String {
        self.options.target.path.replace("{case}", &self.room(room))
    }

    /// The name of a room of the case's own.
    fn room(&self, case: &str) -> String {
        format!("{case}-{:x}", self.options.seed.0 & 0xffff)
    }

    /// Whether every case has a room of its own, so that cases may be asked side by side of a server that relays.
    #[must_use]
    pub fn has_rooms(&self) -> bool {
        self.options.target.path.contains("{case}") || self.options.setup.joining.as_ref().is_some_and(|j| j.has_rooms())
    }

    /// A link greeted and set up, with an extension offered.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn open(&self, room: &str, offer: Option<&str>) -> Result<Link, Closed> {
        let (mut link, mut request) = self.link(room).await?;
        if let Some(offer) = offer {
            request.set("Sec-WebSocket-Extensions", offer);
        }
        match link.shake(&request, self.span(5.0)).await {
            Ok(_) => {
                let nth = self.joined.fetch_add(1, Ordering::Relaxed);
                match self.options.setup.perform(&mut link, &self.room(room), nth, self.until(2.0)).await {
                    Ok(()) => Ok(link),
                    Err(why) => Err(Closed::Unjoined(why, link.record.render())),
                }
            }
            Err(why) => Err(Closed::Refused(why, link.record.render())),
        }
    }

    /// Whether the server still takes connections and completes a handshake within `seconds`; why not, if not.
    ///
    /// # Errors
    /// A sentence.
    pub async fn alive(&self, seconds: f64) -> Result<(), String> {
        let (mut link, request) = self.link("alive").await.map_err(|_| "it takes no connections any more".to_owned())?;
        link.shake(&request, self.span(seconds)).await.map_err(|why| format!("it no longer completes a handshake: {why}"))?;
        link.say(0x88, &1000_u16.to_be_bytes());
        link.flush(self.until(0.5)).await;
        Ok(())
    }

    /// The server's resident memory in octets, when its process is known and this is Linux.
    #[must_use]
    pub fn memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.options.server_pid?)).ok()?;
        let line = status.lines().find(|l| l.starts_with("VmRSS:"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
    }

    /// How many descriptors the server's process has open.
    #[must_use]
    pub fn descriptors(&self) -> Option<usize> {
        Some(std::fs::read_dir(format!("/proc/{}/fd", self.options.server_pid?)).ok()?.count())
    }
}
