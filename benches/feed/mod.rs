//! A copy's whole road behind the socket, in memory: octets → frames → stamp → class → books, as `drive` walks it.

use std::sync::Arc;

use wsbench::account::{Ledger, Share};
use wsbench::base::{ConnId, Instant, PublisherId, Seed, Seq, Span};
use wsbench::drive::{Expectations, Kind};
use wsbench::event::{Copy, Event, Phase};
use wsbench::plan::Plan;
use wsbench::scenario;
use wsbench::wire::payload;
use wsbench::wire::reader::{Message, Reader};
use wsbench::wire::stamp::Stamp;

const SCENARIO: &str = "name = \"feed\"\n[clients]\ncount = 100\n[publish]\npublishers = 4\npace = \"1000/s\"\nsize = \"128B\"\n\
    [checks]\norder = \"total\"\n[checks.delivery]\nwithin = \"1s\"\n";
/// From publication to publication.
const GAP: Span = Span::from_micros(1_000);

/// Clients, their readers and the books of their shard.
pub(crate) struct Feed {
    plan: Arc<Plan>,
    expect: Expectations,
    ledger: Ledger,
    readers: Vec<Reader>,
    published: u32,
}

impl Feed {
    /// A hundred members, nothing published.
    pub(crate) fn new() -> Self {
        let scenario = scenario::parse(SCENARIO, "feed").unwrap_or_else(|error| panic!("{error}"));
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
        Self { expect: Expectations::new(&plan), ledger, readers, published: 0, plan }
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
            bytes.extend([0x81, 126, 0, 128]);
            payload::write(&mut bytes, &stamp, true);
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
            let Some(Kind::Copy(Stamp { publisher, seq, planned, sent, .. }, flaws)) = expect.copy(plan, conn, bytes, text) else {
                panic!("the feed holds only copies")
            };
            ledger.observe(Event::Copy(Copy { conn, publisher, seq, planned, sent, received: at, flaws }));
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
