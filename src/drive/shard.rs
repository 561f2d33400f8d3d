//! One thread of the engine: a current-thread runtime, its share of the connections, its own books. Shards meet only
//! through directives and gauges; nothing is shared on the receive path.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fs::File;
use std::net::IpAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::runtime::LocalOptions;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::spawn_local;

use crate::account::{Account, Ledger, SendLog, Share};
use crate::base::{ConnId, Instant, PublisherId, Rng, Seq, Span};
use crate::event::journal::JournalWriter;
use crate::event::{Copy, Event, Mishap, Phase};
use crate::plan::Plan;
use crate::scenario::model::Request as Ask;
use crate::scenario::model::{Behaviour, Greeting, Pace, Via};
use crate::scenario::template::Vars;
use crate::wire::handshake::Request;

use super::alarm::Alarm;
use super::classify::Expectations;
use super::clock::Clock;
use super::deflating::Codecs;
use super::gauge::Gauge;
use super::http::{Answer, Http};
use super::link::Link;
use super::session::State;
use super::slice::{self, Slice};
use super::talk::{self, Errand};
use super::target::{Target, Trust};
use super::worker::WorkerCost;
use super::{disrupt, health, limits, pacer};

/// Bytes of the one buffer all reads of a shard go through.
const BUFFER: usize = 64 * 1024;
/// Connection attempts a shard has under way at once; beyond it the ramp falls behind its timetable, which shows.
const DIALLING: usize = 512;
/// Publications over HTTP a shard has under way at once; further ones are dropped and counted.
const REQUESTS: usize = 1024;
/// Tasks that run before the kernel is asked again what is ready, timers among it.
const EVENT_INTERVAL: u32 = 31;
/// How long closing handshakes may take before the rest is given up.
const CLOSE_LIMIT: Span = Span::from_secs(5);

/// What the coordinator tells every shard.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Directive {
    /// Connect, beginning at this instant.
    Ramp { at: Instant },
    /// Publish and ping, beginning at this instant.
    Publish { at: Instant },
    /// All publications are out; watch for what is still owed.
    Drain { at: Instant, log: Arc<SendLog> },
    /// Stop publishing now; the reason is for the report.
    Interrupt { at: Instant, reason: Arc<str> },
    /// What befell the machine or the coordinator: for the books of the first shard.
    Mishap { at: Instant, mishap: Mishap },
    /// Close every connection and settle the books.
    Close { at: Instant, log: Arc<SendLog> },
    /// Hand in the send log.
    HandIn,
}

/// What a shard tells the coordinator.
pub(super) enum Word {
    /// Its send log, asked for by [`Directive::HandIn`].
    Log(Box<SendLog>),
    /// Its settled books, and what its process cost if it has its own: its last word.
    Settled(Box<Account>, WorkerCost),
    /// It could not go on.
    Broken(String),
    /// A worker process is gone, or does not answer: its shards' books are lost. Its last word.
    Lost(String),
}

/// A member's way to the coordinator. Every word bears the member's place: who has spoken must be known to tell who has not.
#[derive(Clone)]
pub(super) struct Voice {
    pub(super) member: usize,
    pub(super) words: mpsc::UnboundedSender<(usize, Word)>,
}

impl Voice {
    pub(super) fn say(&self, word: Word) {
        // The coordinator may be gone (second Ctrl-C): then nobody needs the word.
        let _ = self.words.send((self.member, word));
    }
}

/// What a shard is started with.
pub(super) struct Start {
    pub(super) plan: Arc<Plan>,
    pub(super) share: Share,
    pub(super) clock: Clock,
    pub(super) targets: Arc<[Target]>,
    /// Whom to trust, per client group.
    pub(super) trust: Vec<Trust>,
    pub(super) sources: Arc<[IpAddr]>,
    pub(super) journal: Option<Arc<Path>>,
    pub(super) gauge: Arc<Gauge>,
    pub(super) directives: mpsc::UnboundedReceiver<Directive>,
    pub(super) voice: Voice,
}

/// A shard at work. Lives on one thread.
pub(super) struct Shard {
    pub(super) plan: Arc<Plan>,
    pub(super) share: Share,
    pub(super) clock: Clock,
    pub(super) expect: Expectations,
    pub(super) gauge: Arc<Gauge>,
    pub(super) buffer: RefCell<Box<[u8]>>,
    /// Compressors and decompressors that connections share.
    pub(super) codecs: Rc<Codecs>,
    pub(super) links: RefCell<Vec<Option<Rc<RefCell<Link>>>>>,
    pub(super) slice: Slice,
    pub(super) closed_loop: bool,
    /// Publishing is over, planned or not.
    pub(super) stopped: Cell<bool>,
    /// Closed loop: publishers whose last publication came back, and who waits for that.
    pub(super) returned: RefCell<VecDeque<(PublisherId, Seq)>>,
    pub(super) returning: Notify,
    pub(super) log: RefCell<Option<Arc<SendLog>>>,
    ledger: RefCell<Ledger>,
    /// What conversations asked for that takes time, and its bell.
    pub(super) errands: RefCell<VecDeque<(ConnId, Errand)>>,
    pub(super) errands_waiting: Notify,
    /// Publications over HTTP that are not yet answered.
    pub(super) requests_under_way: Arc<Semaphore>,
    http: Option<Http>,
    env: BTreeMap<String, String>,
    journal: RefCell<Option<JournalWriter<File>>>,
    pub(super) targets: Arc<[Target]>,
    pub(super) sources: Arc<[IpAddr]>,
    pub(super) requests: Vec<Request>,
    /// Targets of connections whose address holds variables, by URL.
    pub(super) others: RefCell<HashMap<String, Target>>,
    pub(super) trust: Vec<Trust>,
    random: RefCell<Rng>,
    pub(super) dialling: Arc<Semaphore>,
    /// The server is being restarted: by which strike, and until when connections that end are put down to it.
    pub(super) restart: Cell<Option<(u32, Instant)>>,
    /// Whose connection ended by that, and its bell.
    pub(super) cut_off: RefCell<VecDeque<ConnId>>,
    pub(super) cut_off_waiting: Notify,
    /// Whom the plan has disrupted, until they are members again.
    pub(super) disrupted: RefCell<BTreeSet<ConnId>>,
    /// The number of the next publication of clients whose connection was reset.
    pub(super) numbers: RefCell<BTreeMap<ConnId, Seq>>,
    settle_at: Cell<Instant>,
}

/// Runs a shard to its end on the calling thread; its last word is its settled books, or what broke it.
pub(super) fn run(start: Start) {
    let (voice, gauge) = (start.voice.clone(), start.gauge.clone());
    let (word, broken) = match serve(start) {
        Ok(account) => (Word::Settled(Box::new(account), WorkerCost::default()), false),
        Err(error) => (Word::Broken(limits::explain(&error)), true),
    };
    voice.say(word);
    if broken {
        // After the word: whoever sees this finds out why.
        gauge.break_off();
    }
}

fn serve(start: Start) -> std::io::Result<Account> {
    // A local runtime: the tasks of a `LocalSet` would be queued twice over, and timers would wait for sixty of them each time.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().event_interval(EVENT_INTERVAL).build_local(LocalOptions::default())?;
    let shard = Rc::new(Shard::new(&start)?);
    if let Some(place) = &start.journal {
        // Every block is one write at the end of the file, so shards and processes need no lock to share it.
        let file = File::options().append(true).open(place)?;
        shard.journal.replace(Some(JournalWriter::new(file, start.share.index, start.share.of)));
    }
    let result = runtime.block_on(shard.clone().main(start.directives, start.voice));
    // Dropping the tasks closes what is still open and gives the books back.
    drop(runtime);
    result?;
    let log = shard.log.borrow_mut().take();
    let end = shard.settle_at.get();
    let shard = Rc::into_inner(shard).ok_or_else(|| std::io::Error::other("a task outlived its shard"))?;
    if let Some(journal) = shard.journal.into_inner() {
        // A journal that could not be finished has no end, which whoever reads it is told; the books stand without it.
        let _ = journal.finish(end);
    }
    let ledger = shard.ledger.into_inner();
    let own = ledger.send_log().clone();
    Ok(ledger.settle(log.as_deref().unwrap_or(&own), end))
}

impl Shard {
    fn new(start: &Start) -> std::io::Result<Self> {
        let plan = start.plan.clone();
        let scenario = &plan.scenario;
        let own = start.share.size(plan.connections);
        let over_http = matches!(scenario.publish.as_ref().map(|p| &p.via), Some(Via::Http(_)));
        let asks = over_http || scenario.groups.iter().any(|group| talk::asks(&group.behaviour));
        let trust = start.trust.first().cloned().unwrap_or_default();
        let http = asks.then(|| super::tls::client(&trust).map(|tls| Http::new(&tls))).transpose().map_err(std::io::Error::other)?;
        let requests = scenario.groups.iter().zip(start.targets.iter()).map(|(group, target)| Request {
            path: target.path.clone(),
            host: target.host.clone(),
            headers: Vec::new(),
            subprotocols: group.subprotocols.clone(),
            deflate: group.connection.deflate,
        });
        Ok(Self {
            expect: Expectations::new(&plan),
            share: start.share,
            clock: start.clock,
            gauge: start.gauge.clone(),
            buffer: RefCell::new(vec![0; BUFFER].into_boxed_slice()),
            links: RefCell::new(vec![None; own as usize]),
            codecs: Rc::default(),
            slice: Slice::default(),
            closed_loop: matches!(scenario.publish.as_ref().map(|p| &p.pace), Some(Pace::Closed { .. })),
            stopped: Cell::new(false),
            returned: RefCell::new(VecDeque::new()),
            returning: Notify::new(),
            log: RefCell::new(None),
            journal: RefCell::new(None),
            ledger: RefCell::new(Ledger::new(plan.clone(), start.share)),
            errands: RefCell::new(VecDeque::new()),
            errands_waiting: Notify::new(),
            requests_under_way: Arc::new(Semaphore::new(REQUESTS)),
            http,
            env: scenario.env_names().into_iter().filter_map(|name| std::env::var(&name).ok().map(|value| (name, value))).collect(),
            targets: start.targets.clone(),
            sources: start.sources.clone(),
            requests: requests.collect(),
            others: RefCell::new(HashMap::new()),
            trust: start.trust.clone(),
            random: RefCell::new(plan.seed.derive("uuid").nth(u64::from(start.share.index)).rng()),
            dialling: Arc::new(Semaphore::new(DIALLING)),
            restart: Cell::new(None),
            cut_off: RefCell::new(VecDeque::new()),
            cut_off_waiting: Notify::new(),
            disrupted: RefCell::new(BTreeSet::new()),
            numbers: RefCell::new(BTreeMap::new()),
            settle_at: Cell::new(Instant::EPOCH),
            plan,
        })
    }

    /// Tells the books.
    #[inline(always)]
    pub(super) fn observe(&self, event: Event<'_>) {
        if let Some(journal) = &mut *self.journal.borrow_mut() {
            journal.event(&event);
        }
        self.ledger.borrow_mut().observe(event);
    }

    /// Tells the books of a copy: what [`Shard::observe`] does, without making an event of it where nobody writes a journal.
    #[inline(always)]
    pub(super) fn observe_copy(&self, copy: &Copy) {
        if let Some(journal) = &mut *self.journal.borrow_mut() {
            journal.event(&Event::Copy(*copy));
        }
        self.ledger.borrow_mut().copy(copy);
    }

    /// The books, to read.
    pub(super) fn with_ledger<T>(&self, read: impl FnOnce(&Ledger) -> T) -> T {
        read(&self.ledger.borrow())
    }

    /// The greeting clients of this group wait for.
    pub(super) fn greeting(&self, group: u16) -> &Greeting {
        &self.plan.scenario.groups[group as usize].greeting
    }

    /// The link of a connection of this shard, while it has one.
    pub(super) fn link(&self, conn: ConnId) -> Option<Rc<RefCell<Link>>> {
        self.links.borrow().get(self.local(conn)).cloned().flatten()
    }

    /// The connections of this share.
    pub(super) fn connections(&self) -> impl Iterator<Item = ConnId> + use<> {
        let share = self.share;
        (0..share.size(self.plan.connections)).map(move |slot| share.conn(slot))
    }

    /// The place of a connection of this share in `links`.
    pub(super) fn local(&self, conn: ConnId) -> usize {
        (conn.0 / self.share.of) as usize
    }

    /// Whether this connection has a script, answers, anything to say besides publishing.
    pub(super) fn behaviour(&self, conn: ConnId) -> &Behaviour {
        &self.plan.scenario.groups[self.plan.group_index(conn)].behaviour
    }

    /// The variables of a connection at this moment. What it captured is its conversation's to add.
    pub(super) fn vars(&self, conn: ConnId) -> Vars<'_> {
        let (group, index) = self.plan.group_of(conn).map_or(("", 0), |(group, index)| (group.name.as_str(), index));
        let mut random = self.random.borrow_mut();
        Vars {
            run: self.plan.run,
            client: conn,
            index,
            group,
            room: self.plan.room_name(conn),
            now_ms: talk::now_ms(),
            random: u128::from(random.next_u64()) << 64 | u128::from(random.next_u64()),
            env: &self.env,
            row: self.plan.scenario.feeder.as_ref().and_then(|feeder| feeder.row(conn, self.plan.seed)),
            ..Vars::default()
        }
    }

    /// Makes an HTTP request.
    pub(super) async fn ask(&self, request: &Ask) -> Result<Answer, String> {
        match &self.http {
            Some(http) => http.ask(request).await,
            None => Err("this run makes no requests".into()),
        }
    }

    /// Leaves an errand to be run.
    pub(super) fn run_errand(&self, conn: ConnId, errand: Errand) {
        self.errands.borrow_mut().push_back((conn, errand));
        self.errands_waiting.notify_one();
    }

    /// Closed loop: a copy of a publication came; its publisher may be waiting for it.
    pub(super) fn came_back(&self, publisher: PublisherId, seq: Seq) {
        if self.share.owns(self.plan.connection_of(publisher)) {
            self.returned.borrow_mut().push_back((publisher, seq));
            self.returning.notify_one();
        }
    }

    async fn main(self: Rc<Self>, mut directives: mpsc::UnboundedReceiver<Directive>, voice: Voice) -> std::io::Result<()> {
        // An alarm that cannot be had breaks the shard: without it nothing would be looked at, or nobody would connect.
        spawn_local(health::watch(self.clone(), Alarm::new(self.clock)?));
        spawn_local(talk::run_errands(self.clone()));
        spawn_local(slice::next(self.clone()));
        while let Some(directive) = directives.recv().await {
            match directive {
                Directive::Ramp { at } => {
                    self.observe(Event::Phase { phase: Phase::Ramp, at });
                    spawn_local(self.clone().ramp(Alarm::new(self.clock)?, at));
                }
                Directive::Publish { at } => {
                    self.observe(Event::Phase { phase: Phase::WarmUp, at });
                    // Told ahead with its planned instant, since a publication's phase is that of its planned instant.
                    self.observe(Event::Phase { phase: Phase::Steady, at: at + self.plan.scenario.phases.warm_up });
                    pacer::start(&self, at)?;
                    disrupt::start(&self, at)?;
                }
                Directive::HandIn => {
                    let log = self.ledger.borrow().send_log().clone();
                    voice.say(Word::Log(Box::new(log)));
                }
                Directive::Drain { at, log } => {
                    self.observe(Event::Phase { phase: Phase::Drain, at });
                    self.log.replace(Some(log));
                }
                Directive::Interrupt { at, reason } => {
                    self.stopped.set(true);
                    self.observe(Event::Interrupted { at, detail: &reason });
                }
                Directive::Mishap { at, mishap } if self.share.index == 0 => self.observe(Event::Mishap { at, mishap }),
                Directive::Mishap { .. } => {}
                Directive::Close { at, log } => {
                    self.log.replace(Some(log));
                    self.settle_at.set(at);
                    return self.close_all(at).await;
                }
            }
        }
        self.settle_at.set(self.clock.now());
        Ok(())
    }

    /// The closing handshake with every client, within a limit.
    async fn close_all(&self, at: Instant) -> std::io::Result<()> {
        self.stopped.set(true);
        self.observe(Event::Phase { phase: Phase::Close, at });
        let links: Vec<_> = self.links.borrow().iter().flatten().cloned().collect();
        for (n, link) in links.iter().enumerate() {
            let deaf = link.borrow().state() == State::Deaf;
            if deaf {
                link.borrow_mut().reset(self, self.clock.now())
            } else {
                link.borrow_mut().leave(self, self.clock.now())
            }
            if n % 64 == 63 {
                tokio::task::yield_now().await;
            }
        }
        let alarm = Alarm::new(self.clock)?;
        let limit = self.clock.now() + CLOSE_LIMIT;
        loop {
            let open = links.iter().any(|link| link.borrow().state() != State::Ended);
            let now = self.clock.now();
            if !open || now >= limit {
                break;
            }
            alarm.until(now + Span::from_millis(5)).await?;
        }
        let now = self.clock.now();
        for link in &links {
            link.borrow_mut().abandon(self, now, "no end of the connection within the limit after our Close");
        }
        self.observe(Event::Phase { phase: Phase::Done, at: now });
        Ok(())
    }
}
