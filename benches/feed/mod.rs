//! A copy's whole road behind the socket, in memory: octets → frames → stamp → class → books, as `drive` walks it.

use std::sync::Arc;

use wsbench::account::{Ledger, Share};
use wsbench::base::{ConnId, Instant, PublisherId, Seed, Seq, Span};
use wsbench::drive::{Expectations, Part};
use wsbench::event::{Copy, Event, Flaws, Phase};
use wsbench::plan::Plan;
use wsbench::scenario;
use wsbench::wire::payload;
use wsbench::wire::reader::{Message, Reader, check_text};
use wsbench::wire::stamp::Stamp;

const SCENARIO: &str = "name = \"feed\"\n[clients]\ncount = 100\n[publish]\npublishers = 4\npace = \"1000/s\"\nsize = \"128B\"\n\
    [checks]\norder = \"total\"\n[checks.delivery]\nwithin = \"1s\"\n";
/// The same through a server that wraps what it relays.
const ENVELOPE: &str = "[dialect]\npublish = '{\"type\":\"message\",\"room\":\"lobby\",\"from\":\"{client.id}\",\"body\":\"{stamp}\"}'\n";
const AROUND: [&[u8]; 2] = [b"{\"type\":\"message\",\"room\":\"lobby\",\"from\":\"7\",\"body\":\"", b"\"}"];
/// What the language offers besides: none of it speaks of copies.
const FURNITURE: &str = "script = [{ send = '{\"op\":\"join\",\"id\":\"{client.id}\"}' }, { expect = { json = { op = \"joined\" } } }]\n\
    reply = [{ when = { json = { op = \"ping\" } }, send = '{\"op\":\"pong\"}' }, { every = \"30s\", send = \"alive\" }]\n\
    ignore = [{ json = { op = \"presence\" } }, { regex = \"^(joined|left) \" }]\n\
    on_close = ['bye']\n";
const FURNISHED: &str = "[checks.heartbeat]\n[checks.pong]\n[heartbeat]\nexpect = { json = { type = 1 } }\nevery = \"5s\"\n\
    [ping]\nsend = \"ping\"\nexpect = { json = { type = 0 } }\n";
/// From publication to publication.
const GAP: Span = Span::from_micros(1_000);

/// What the clients are told of their server.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Kind {
    /// It relays messages as they are.
    Plain,
    /// The same, with everything else the language offers configured and not used.
    Furnished,
    /// It wraps what it relays in a JSON envelope.
    Enveloped,
}

/// Clients, their readers and the books of their shard.
pub(crate) struct Feed {
    plan: Arc<Plan>,
    expect: Expectations,
    ledger: Ledger,
    readers: Vec<Reader>,
    published: u32,
    /// What stands before and behind a payload.
    around: [&'static [u8]; 2],
}

impl Feed {
    /// A hundred members, nothing published.
    pub(crate) fn new(kind: Kind) -> Self {
        let (text, around): (String, [&[u8]; 2]) = match kind {
            Kind::Plain => (SCENARIO.to_owned(), [&[], &[]]),
            Kind::Furnished => ([FURNITURE, SCENARIO, FURNISHED].concat(), [&[], &[]]),
            Kind::Enveloped => ([SCENARIO, ENVELOPE].concat(), AROUND),
        };
        let scenario = scenario::parse(&text, "feed").unwrap_or_else(|error| panic!("{error}"));
        let plan = Arc::new(Plan::new(Arc::new(scenario), Seed(1)));
        let mut ledger = Ledger::new(plan.clone(), Share::WHOLE);
        let at = Instant::from_nanos(1);
        ledger.observe(Event::Phase { phase: Phase::Ramp, at });
        for conn in (0..plan.connections).map(ConnId) {
            ledger.observe(Event::Opened { conn, at, handshake: Span::from_micros(300) });
            ledger.observe(Event::Ready { conn, at });
        }
        ledger.observe(Event::Phase { phase: Phase::WarmUp, at });
        ledger.observe(Event::Phase { phase: Phase::Steady, at });
        let readers = (0..plan.connections).map(|_| Reader::new(1 << 20)).collect();
        Self { expect: Expectations::new(&plan), ledger, readers, published: 0, around, plan }
    }

    /// Clients.
    pub(crate) fn clients(&self) -> u32 {
        self.plan.connections
    }

    /// Copies in the books.
    pub(crate) fn copies(&self) -> u64 {
        self.ledger.progress().taken
    }

    /// Publishes `count` times, the publishers in turn, and gives the frames a server would relay, one behind the other.
    pub(crate) fn publish(&mut self, count: u32) -> (Vec<u8>, Instant) {
        let mut bytes = Vec::new();
        let mut now = Instant::EPOCH;
        for _ in 0..count {
            let publisher = PublisherId(self.published % self.plan.publishers);
            let seq = Seq(self.published / self.plan.publishers);
            let planned = Instant::from_nanos(1_000_000) + GAP.times(self.published.into());
            let sent = planned + Span::from_micros(40);
            now = sent + Span::from_micros(300);
            let stamp = Stamp { run: self.plan.run, publisher, seq, planned, sent, padding: 64 };
            self.ledger.observe(Event::Sent { publisher, seq, planned, sent, bytes: 128 });
            let [before, behind] = self.around;
            let len = u16::try_from(before.len() + 128 + behind.len()).expect("a short message");
            bytes.extend([0x81, 126]);
            bytes.extend(len.to_be_bytes());
            bytes.extend(before);
            payload::write(&mut bytes, &stamp, true);
            bytes.extend(behind);
            self.published += 1;
        }
        (bytes, now)
    }

    /// One read of one client: what `drive` does with it.
    #[inline(never)]
    pub(crate) fn read(&mut self, client: u32, bytes: &[u8], at: Instant) {
        let Self { plan, expect, ledger, readers, .. } = self;
        let conn = ConnId(client);
        let fed = readers[client as usize].feed(bytes, |message| {
            let (bytes, text) = match message {
                Message::Text(bytes) => (bytes, true),
                Message::Binary(bytes) => (bytes, false),
                other => panic!("the feed holds only data, not {other:?}"),
            };
            let mut copy = |stamp: &Stamp, flaws| {
                let Stamp { publisher, seq, planned, sent, .. } = *stamp;
                ledger.copy(&Copy { conn, publisher, seq, planned, sent, received: at, flaws });
            };
            let Some(dialect) = expect.dialect() else {
                assert!(expect.intact_copy(plan, conn, bytes, text, |stamp| copy(stamp, Flaws::NONE)), "the feed holds only copies");
                return Ok(());
            };
            check_text(bytes)?;
            let found = expect.copies(dialect, plan, conn, bytes, text, |part| match part {
                Part::Copy(stamp, flaws) => copy(stamp, flaws),
                Part::Other(other) => panic!("the feed holds only copies, not {other:?}"),
            });
            assert!(found, "every envelope holds a copy");
            Ok(())
        });
        fed.unwrap_or_else(|violation| panic!("{violation}"));
    }

    /// `rounds` times: `each` publications reach every client, in one read each. Gives how many copies that were.
    pub(crate) fn run(&mut self, rounds: u32, each: u32) -> u64 {
        let before = self.copies();
        for _ in 0..rounds {
            let (bytes, now) = self.publish(each);
            for client in 0..self.clients() {
                self.read(client, &bytes, now);
            }
        }
        self.copies() - before
    }
}
