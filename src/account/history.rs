//! Histories for tests, written as short sentences. Times are milliseconds since the epoch.

use std::sync::Arc;

pub(crate) use super::connections::conn_of;
use super::{Account, Ledger, SendLog, Share};
use crate::base::{ByteSize, ConnId, Instant, PublisherId, Rate, RunId, Seed, Seq, Span};
use crate::event::{ClosedBy, Closure, Copy, DropCause, Event, Flaws, Health, Phase, StrayKind};
use crate::plan::Plan;
use crate::scenario::Scenario;
use crate::scenario::model::{
    Address, Audience, BackOff, Behaviour, Checks, Chosen, ClientGroup, ConnectCheck, Connection, DeliveryCheck, Dialect, Disruption,
    DisruptionChecks, Encoding, Feed, FeedCheck, Greeting, HttpPublish, InstrumentCheck, OrderScope, Pace, PayloadSize, Phases, Publish,
    Target, Template, Verb, Via, Which,
};

pub(crate) const fn ms(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

/// A scenario with the checks on that are on by default when something is published; a copy must come within a second.
pub(crate) fn scenario(clients: u32, publishers: u32) -> Scenario {
    let rate = Rate::per_second(100).expect("above zero");
    Scenario {
        name: "history".into(),
        description: None,
        target: Target::Url(Address::literal("ws://127.0.0.1:1")),
        groups: vec![ClientGroup {
            name: "clients".into(),
            count: clients,
            connect_rate: rate,
            connect_timeout: Span::from_secs(5),
            greeting: Greeting::Any,
            connection: Connection::default(),
            behaviour: Behaviour::default(),
            receives: true,
            subprotocols: Vec::new(),
            insecure: false,
        }],
        publish: (publishers > 0).then_some(Publish {
            publishers,
            group: None,
            via: Via::Socket,
            pace: Pace::Constant { rate },
            size: PayloadSize { min: ByteSize(128), max: ByteSize(128) },
            encoding: Encoding::Text,
            audience: Audience::All,
        }),
        phases: Phases { warm_up: Span::ZERO, steady: Span::from_secs(10), drain: Span::from_secs(2), ramp_limit: Span::from_secs(30) },
        checks: Checks {
            delivery: Some(DeliveryCheck { within: Span::from_secs(1) }),
            duplicate: true,
            order: Some(OrderScope::Publisher),
            integrity: true,
            stray: true,
            latency: Vec::new(),
            pong: None,
            heartbeat: None,
            survival: true,
            connect: Some(ConnectCheck { min_share: 1.0, within: None }),
            subprotocol: false,
            publish: false,
            feed: None,
            disruption: DisruptionChecks::default(),
            instrument: InstrumentCheck { late_send: Span::from_millis(20), max_late_share: 0.01, max_loop_lag: Span::from_millis(50) },
        },
        dialect: Dialect::default(),
        feed: None,
        beat: None,
        rooms: None,
        feeder: None,
        vars: Vec::new(),
        disrupt: Vec::new(),
    }
}

/// Cut off for half a second; the first attempt to return comes 100 ms after that.
pub(crate) const OFFLINE: Verb = Verb::Offline {
    span: Span::from_millis(500),
    back_off: BackOff { first: Span::from_millis(100), most: Span::from_secs(1), jitter: 0.0 },
};

/// Has this done to these clients, once, two seconds after publishing begins.
pub(crate) fn strikes(scenario: &mut Scenario, verb: Verb, clients: &[u32]) {
    let on = Chosen { group: None, which: Which::Indices(clients.to_vec()) };
    scenario.disrupt = vec![Disruption { verb, at: Span::from_secs(2), every: None, on }];
}

/// Lets publications go over HTTP.
pub(crate) fn over_http(scenario: &mut Scenario) {
    if let Some(publish) = &mut scenario.publish {
        publish.via = Via::Http(HttpPublish {
            method: "POST".into(),
            url: Template::literal("http://127.0.0.1:1/pub"),
            headers: Vec::new(),
            body: Template::literal("stamp"),
            within: Span::from_secs(1),
        });
        scenario.checks.publish = true;
    }
}

/// A scenario whose server broadcasts by itself, every 100 ms, with no key twice if `unique`; a copy must come within a second of its
/// first.
pub(crate) fn feeding(clients: u32, unique: bool) -> Scenario {
    let mut scenario = scenario(clients, 0);
    let every = Span::from_millis(100);
    scenario.feed = Some(Feed { id: None, unique, built_in: every });
    scenario.checks.integrity = false;
    scenario.checks.feed = Some(FeedCheck { every, tolerance: Span::from_millis(20) });
    scenario
}

/// Who did what when, in the order told.
#[derive(Debug, Clone)]
pub(crate) struct History {
    pub(crate) plan: Arc<Plan>,
    pub(crate) events: Vec<Event<'static>>,
    sent: Vec<Vec<(Instant, Instant)>>,
    pub(crate) end: Instant,
}

impl History {
    /// Nothing has happened yet.
    pub(crate) fn of(scenario: Scenario) -> Self {
        let publishers = scenario.publish.as_ref().map_or(0, |publish| publish.publishers);
        let plan = Plan { run: RunId(1), ..Plan::new(Arc::new(scenario), Seed(1)) };
        Self { plan: Arc::new(plan), events: Vec::new(), sent: vec![Vec::new(); publishers as usize], end: ms(20_000) }
    }

    /// An ordinary run up to its steady state: everybody is there at 0, the steady state begins at 100.
    pub(crate) fn ordinary(scenario: Scenario) -> Self {
        let mut history = Self::of(scenario);
        history.phase(Phase::Ramp, 0);
        for client in 0..history.plan.connections {
            history.joins(client, 0);
        }
        history.phase(Phase::Steady, 100);
        history.healthy(100, 10_000);
        history
    }

    pub(crate) fn tell(&mut self, event: Event<'static>) -> &mut Self {
        self.events.push(event);
        self
    }

    pub(crate) fn phase(&mut self, phase: Phase, at: u64) -> &mut Self {
        self.tell(Event::Phase { phase, at: ms(at) })
    }

    /// The phases after the steady state, in order.
    pub(crate) fn closes(&mut self, drain: u64, close: u64) -> &mut Self {
        self.end = ms(close + 100);
        self.phase(Phase::Drain, drain).phase(Phase::Close, close)
    }

    pub(crate) fn healthy(&mut self, from: u64, to: u64) -> &mut Self {
        for at in (from..to).step_by(100) {
            self.lag(at, 1);
        }
        self
    }

    /// The event loop woke `lag` ms late.
    pub(crate) fn lag(&mut self, at: u64, lag: u64) -> &mut Self {
        let reading = Health { loop_lag: Span::from_millis(lag), backlog_bytes: 0, cpu: Span::from_millis(at / 10), open: 1 };
        self.tell(Event::Health { at: ms(at), reading })
    }

    pub(crate) fn opens(&mut self, client: u32, at: u64) -> &mut Self {
        let conn = ConnId(client);
        self.tell(Event::Connecting { conn, at: ms(at) });
        self.tell(Event::Opened { conn, at: ms(at), handshake: Span::from_millis(2) })
    }

    pub(crate) fn ready(&mut self, client: u32, at: u64) -> &mut Self {
        self.tell(Event::Ready { conn: ConnId(client), at: ms(at) })
    }

    pub(crate) fn joins(&mut self, client: u32, at: u64) -> &mut Self {
        self.opens(client, at).ready(client, at)
    }

    pub(crate) fn leaves(&mut self, client: u32, at: u64) -> &mut Self {
        let conn = ConnId(client);
        self.tell(Event::Leaving { conn, at: ms(at) });
        let closure = Closure { by: ClosedBy::Us, code: Some(1000), clean: true };
        self.tell(Event::Closed { conn, at: ms(at + 1), closure, detail: "" })
    }

    pub(crate) fn is_lost(&mut self, client: u32, at: u64, by: ClosedBy, code: Option<u16>) -> &mut Self {
        let closure = Closure { by, code, clean: code.is_some() };
        self.tell(Event::Closed { conn: ConnId(client), at: ms(at), closure, detail: "" })
    }

    /// `publisher` sends its next publication on time; gives its number.
    pub(crate) fn publishes(&mut self, publisher: u32, at: u64) -> u32 {
        self.publishes_late(publisher, at, at)
    }

    pub(crate) fn publishes_late(&mut self, publisher: u32, planned: u64, sent: u64) -> u32 {
        let log = &mut self.sent[publisher as usize];
        let seq = u32::try_from(log.len()).expect("small");
        log.push((ms(planned), ms(sent)));
        self.tell(Event::Sent { publisher: PublisherId(publisher), seq: Seq(seq), planned: ms(planned), sent: ms(sent), bytes: 128 });
        seq
    }

    /// `publisher`'s publication is answered 10 ms after it was sent; status 0: not at all.
    pub(crate) fn is_answered(&mut self, publisher: u32, seq: u32, status: u16, detail: &'static str) -> &mut Self {
        let (_, sent) = self.sent[publisher as usize][seq as usize];
        let took = Span::from_millis(10);
        self.tell(Event::Answered { publisher: PublisherId(publisher), seq: Seq(seq), at: sent + took, status, took, detail })
    }

    pub(crate) fn drops_publication(&mut self, publisher: u32, at: u64, cause: DropCause) -> &mut Self {
        self.tell(Event::Dropped { publisher: PublisherId(publisher), planned: ms(at), at: ms(at), cause })
    }

    /// The copy as it arrives at `client` when nothing is wrong with it.
    pub(crate) fn copy(&self, client: u32, publisher: u32, seq: u32, at: u64) -> Copy {
        let (planned, sent) = self.sent.get(publisher as usize).and_then(|log| log.get(seq as usize)).copied().unwrap_or((ms(at), ms(at)));
        Copy { conn: ConnId(client), publisher: PublisherId(publisher), seq: Seq(seq), planned, sent, received: ms(at), flaws: Flaws::NONE }
    }

    pub(crate) fn gets(&mut self, client: u32, publisher: u32, seq: u32, at: u64) -> &mut Self {
        let copy = self.copy(client, publisher, seq, at);
        self.tell(Event::Copy(copy))
    }

    pub(crate) fn gets_flawed(&mut self, client: u32, publisher: u32, seq: u32, at: u64, flaws: Flaws) -> &mut Self {
        let copy = Copy { flaws, ..self.copy(client, publisher, seq, at) };
        self.tell(Event::Copy(copy))
    }

    pub(crate) fn all_get(&mut self, publisher: u32, seq: u32, at: u64) -> &mut Self {
        for client in 0..self.plan.connections {
            self.gets(client, publisher, seq, at);
        }
        self
    }

    /// Every 10 ms from 200 on `publisher` publishes, and all get it 5 ms later.
    pub(crate) fn broadcasts(&mut self, publisher: u32, count: u64) -> &mut Self {
        for n in 0..count {
            let seq = self.publishes(publisher, 200 + 10 * n);
            self.all_get(publisher, seq, 205 + 10 * n);
        }
        self
    }

    pub(crate) fn stray(&mut self, client: u32, at: u64, kind: StrayKind, sample: &'static [u8]) -> &mut Self {
        self.tell(Event::Stray { conn: ConnId(client), at: ms(at), kind, sample })
    }

    pub(crate) fn beats(&mut self, client: u32, times: impl IntoIterator<Item = u64>) -> &mut Self {
        for at in times {
            self.tell(Event::Beat { conn: ConnId(client), at: ms(at) });
        }
        self
    }

    /// A broadcast of the server's own.
    pub(crate) fn item(&mut self, client: u32, key: u64, at: u64) -> &mut Self {
        self.tell(Event::Item { conn: ConnId(client), at: ms(at), key })
    }

    /// Broadcast `n` of a feed that ticks every 100 ms from 1 s on reaches all `but` some clients, client c c ms later.
    pub(crate) fn tick(&mut self, n: u64, key: u64, but: &[u32]) -> &mut Self {
        for client in (0..self.plan.connections).filter(|c| !but.contains(c)) {
            self.item(client, key, 1_000 + 100 * n + u64::from(client));
        }
        self
    }

    /// The books of `of` shards, with the merged send log, still open.
    pub(crate) fn ledgers(&self, of: u32) -> (Vec<Ledger>, SendLog) {
        self.ledgers_with(of, |_| {})
    }

    /// The same with ledgers made ready by `prepare`.
    pub(crate) fn ledgers_with(&self, of: u32, prepare: impl FnMut(&mut Ledger)) -> (Vec<Ledger>, SendLog) {
        let mut ledgers: Vec<_> = (0..of).map(|index| Ledger::new(Arc::clone(&self.plan), Share { index, of })).collect();
        ledgers.iter_mut().for_each(prepare);
        for event in &self.events {
            match *event {
                Event::Phase { .. } | Event::Interrupted { .. } => ledgers.iter_mut().for_each(|ledger| ledger.observe(*event)),
                Event::Health { .. } | Event::Hook { .. } | Event::Mishap { .. } => ledgers[0].observe(*event),
                Event::Sent { publisher, .. } | Event::Dropped { publisher, .. } | Event::Answered { publisher, .. } => {
                    ledgers[(self.plan.connection_of(publisher).0 % of) as usize].observe(*event);
                }
                _ => {
                    let conn = conn_of(event).expect("an event of a connection");
                    ledgers[(conn.0 % of) as usize].observe(*event);
                }
            }
        }
        let mut log = SendLog::empty(&self.plan);
        ledgers.iter().for_each(|ledger| log.merge(ledger.send_log()));
        (ledgers, log)
    }

    /// The account over `of` shards, merged in their order.
    pub(crate) fn over(&self, of: u32) -> Account {
        let (ledgers, log) = self.ledgers(of);
        let mut account = Account::empty(&self.plan);
        for ledger in ledgers {
            account.merge(ledger.settle(&log, self.end));
        }
        account
    }

    /// The account of one shard.
    pub(crate) fn account(&self) -> Account {
        self.over(1)
    }
}
