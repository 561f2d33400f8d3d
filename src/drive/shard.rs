//! One thread of the engine: a current-thread runtime, its share of the connections, its own books. Shards meet only
//! through directives and gauges; nothing is shared on the receive path.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::runtime::LocalOptions;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::spawn_local;

use crate::account::{Account, Ledger, SendLog, Share};
use crate::base::{ConnId, Instant, PublisherId, Seq, Span};
use crate::event::{ClosedBy, Event, Phase};
use crate::plan::Plan;
use crate::scenario::model::{Beat, Greeting, Pace};
use crate::wire::close;
use crate::wire::handshake::Request;

use super::alarm::Alarm;
use super::classify::Expectations;
use super::clock::Clock;
use super::dial;
use super::gauge::Gauge;
use super::link::{self, Link, Reading, State};
use super::slice::{self, Slice};
use super::target::Target;
use super::worker::WorkerCost;
use super::{health, pacer};

/// Bytes of the one buffer all reads of a shard go through.
const BUFFER: usize = 64 * 1024;
/// Connection attempts a shard has under way at once; beyond it the ramp falls behind its timetable, which shows.
const DIALLING: usize = 512;
/// Tasks that run before the kernel is asked again what is ready, timers among it.
const EVENT_INTERVAL: u32 = 31;
/// How long closing handshakes may take before the rest is given up.
const CLOSE_LIMIT: Span = Span::from_secs(5);
/// Largest frame or message taken from a server.
const MESSAGE_LIMIT: u32 = 64 << 20;

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
    /// A worker process is gone, or does not answer: its shards' books are lost.
    Lost { shares: Vec<Share>, reason: String },
}

/// What a shard is started with.
pub(super) struct Start {
    pub(super) plan: Arc<Plan>,
    pub(super) share: Share,
    pub(super) clock: Clock,
    pub(super) targets: Arc<[Target]>,
    pub(super) sources: Arc<[IpAddr]>,
    pub(super) gauge: Arc<Gauge>,
    pub(super) directives: mpsc::UnboundedReceiver<Directive>,
    pub(super) words: mpsc::UnboundedSender<Word>,
}

/// A shard at work. Lives on one thread.
pub(super) struct Shard {
    pub(super) plan: Arc<Plan>,
    pub(super) share: Share,
    pub(super) clock: Clock,
    pub(super) expect: Expectations,
    pub(super) gauge: Arc<Gauge>,
    pub(super) buffer: RefCell<Box<[u8]>>,
    pub(super) links: RefCell<Vec<Option<Rc<RefCell<Link>>>>>,
    pub(super) slice: Slice,
    pub(super) closed_loop: bool,
    pub(super) protocol_beats: bool,
    /// Publishing is over, planned or not.
    pub(super) stopped: Cell<bool>,
    /// Closed loop: publishers whose last publication came back, and who waits for that.
    pub(super) returned: RefCell<VecDeque<(PublisherId, Seq)>>,
    pub(super) returning: Notify,
    pub(super) log: RefCell<Option<Arc<SendLog>>>,
    ledger: RefCell<Ledger>,
    targets: Arc<[Target]>,
    sources: Arc<[IpAddr]>,
    requests: Vec<Request>,
    dialling: Arc<Semaphore>,
    settle_at: Cell<Instant>,
}

/// Runs a shard to its end on the calling thread; its last word is its settled books, or what broke it.
pub(super) fn run(start: Start) {
    let words = start.words.clone();
    let word = match serve(start) {
        Ok(account) => Word::Settled(Box::new(account), WorkerCost::default()),
        Err(error) => Word::Broken(error.to_string()),
    };
    // The coordinator may be gone (second Ctrl-C): then nobody needs the word.
    let _ = words.send(word);
}

fn serve(start: Start) -> std::io::Result<Account> {
    // A local runtime: the tasks of a `LocalSet` would be queued twice over, and timers would wait for sixty of them each time.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().event_interval(EVENT_INTERVAL).build_local(LocalOptions::default())?;
    let shard = Rc::new(Shard::new(&start));
    let result = runtime.block_on(shard.clone().main(start.directives, start.words));
    // Dropping the tasks closes what is still open and gives the books back.
    drop(runtime);
    result?;
    let log = shard.log.borrow_mut().take();
    let end = shard.settle_at.get();
    let shard = Rc::into_inner(shard).ok_or_else(|| std::io::Error::other("a task outlived its shard"))?;
    let ledger = shard.ledger.into_inner();
    let own = ledger.send_log().clone();
    Ok(ledger.settle(log.as_deref().unwrap_or(&own), end))
}

impl Shard {
    fn new(start: &Start) -> Self {
        let plan = start.plan.clone();
        let scenario = &plan.scenario;
        let own = start.share.size(plan.connections);
        let requests = scenario.groups.iter().zip(start.targets.iter()).map(|(group, target)| Request {
            path: target.path.clone(),
            host: target.host.clone(),
            headers: group.headers.clone(),
            subprotocols: group.subprotocols.clone(),
        });
        Self {
            expect: Expectations::new(&plan),
            share: start.share,
            clock: start.clock,
            gauge: start.gauge.clone(),
            buffer: RefCell::new(vec![0; BUFFER].into_boxed_slice()),
            links: RefCell::new(vec![None; own as usize]),
            slice: Slice::default(),
            closed_loop: matches!(scenario.publish.as_ref().map(|p| &p.pace), Some(Pace::Closed { .. })),
            protocol_beats: scenario.checks.heartbeat.as_ref().is_some_and(|h| h.beat == Beat::ProtocolPing),
            stopped: Cell::new(false),
            returned: RefCell::new(VecDeque::new()),
            returning: Notify::new(),
            log: RefCell::new(None),
            ledger: RefCell::new(Ledger::new(plan.clone(), start.share)),
            targets: start.targets.clone(),
            sources: start.sources.clone(),
            requests: requests.collect(),
            dialling: Arc::new(Semaphore::new(DIALLING)),
            settle_at: Cell::new(Instant::EPOCH),
            plan,
        }
    }

    /// Tells the books.
    #[inline(always)]
    pub(super) fn observe(&self, event: Event<'_>) {
        self.ledger.borrow_mut().observe(event);
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

    /// Closed loop: a copy of a publication came; its publisher may be waiting for it.
    pub(super) fn came_back(&self, publisher: PublisherId, seq: Seq) {
        if self.share.owns(self.plan.connection_of(publisher)) {
            self.returned.borrow_mut().push_back((publisher, seq));
            self.returning.notify_one();
        }
    }

    async fn main(
        self: Rc<Self>,
        mut directives: mpsc::UnboundedReceiver<Directive>,
        words: mpsc::UnboundedSender<Word>,
    ) -> std::io::Result<()> {
        spawn_local(health::watch(self.clone()));
        spawn_local(slice::next(self.clone()));
        while let Some(directive) = directives.recv().await {
            match directive {
                Directive::Ramp { at } => {
                    self.observe(Event::Phase { phase: Phase::Ramp, at });
                    spawn_local(self.clone().ramp(at));
                }
                Directive::Publish { at } => {
                    self.observe(Event::Phase { phase: Phase::WarmUp, at });
                    // Told ahead with its planned instant, since a publication's phase is that of its planned instant.
                    self.observe(Event::Phase { phase: Phase::Steady, at: at + self.plan.scenario.phases.warm_up });
                    pacer::start(&self, at)?;
                }
                Directive::HandIn => {
                    let log = self.ledger.borrow().send_log().clone();
                    let _ = words.send(Word::Log(Box::new(log)));
                }
                Directive::Drain { at, log } => {
                    self.observe(Event::Phase { phase: Phase::Drain, at });
                    self.log.replace(Some(log));
                }
                Directive::Interrupt { at, reason } => {
                    self.stopped.set(true);
                    self.observe(Event::Interrupted { at, detail: &reason });
                }
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

    /// Connects every client of this share on its planned instant.
    async fn ramp(self: Rc<Self>, start: Instant) {
        let Ok(alarm) = Alarm::new(self.clock) else { return };
        let mut order: Vec<(Span, ConnId)> = self.connections().map(|c| (self.plan.connect_after(c), c)).collect();
        order.sort_unstable();
        for (after, conn) in order {
            if alarm.until(start + after).await.is_err() || self.stopped.get() {
                return;
            }
            let Ok(permit) = self.dialling.clone().acquire_owned().await else { return };
            let shard = self.clone();
            spawn_local(async move {
                // Boxed, so that the memory of dialling is given back before the connection's long life begins.
                Box::pin(shard.open(conn)).await;
                drop(permit);
            });
        }
    }

    async fn open(self: Rc<Self>, conn: ConnId) {
        let group = self.plan.group_index(conn);
        let settings = &self.plan.scenario.groups[group];
        let target = &self.targets[group];
        let address = target.addresses[conn.index() % target.addresses.len()];
        let source = (!self.sources.is_empty()).then(|| self.sources[conn.index() % self.sources.len()]);
        let mut rng = self.plan.seed.derive("connection").nth(u64::from(conn.0)).rng();
        let began = self.clock.now();
        self.gauge.attempt();
        self.observe(Event::Connecting { conn, at: began });
        let limit = settings.connect_timeout.to_std();
        let dialled = match dial::dial(target, address, source, &self.requests[group], &mut rng, limit).await {
            Ok(dialled) => dialled,
            Err(failed) => {
                self.gauge.connect_failed();
                let at = self.clock.now();
                self.observe(Event::ConnectFailed { conn, at, cause: failed.cause, detail: &failed.detail });
                return;
            }
        };
        let at = self.clock.now();
        self.gauge.opened();
        self.observe(Event::Opened { conn, at, handshake: at - began });
        #[expect(clippy::cast_possible_truncation, reason = "there are never 65,536 groups")]
        let link = Rc::new(RefCell::new(Link::new(conn, group as u16, dialled.stream, MESSAGE_LIMIT, rng)));
        self.links.borrow_mut()[self.local(conn)] = Some(link.clone());
        if let Greeting::Expected { within, .. } = settings.greeting {
            spawn_local(give_up(self.clone(), link.clone(), conn, within));
        } else {
            link.borrow_mut().ready(&self, at);
        }
        link::early(&link, &self, at, &dialled.early);
        spawn_local(Reading { shard: self, link });
    }

    /// The closing handshake with every client, within a limit.
    async fn close_all(&self, at: Instant) -> std::io::Result<()> {
        self.stopped.set(true);
        self.observe(Event::Phase { phase: Phase::Close, at });
        let links: Vec<_> = self.links.borrow().iter().flatten().cloned().collect();
        for (n, link) in links.iter().enumerate() {
            link.borrow_mut().close(close::NORMAL, ClosedBy::Us);
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

/// Gives a client up whose greeting does not come.
async fn give_up(shard: Rc<Shard>, link: Rc<RefCell<Link>>, conn: ConnId, within: Span) {
    tokio::time::sleep(within.to_std()).await;
    if link.borrow().state() == State::Waiting {
        let at = shard.clock.now();
        shard.observe(Event::NotReady { conn, at, detail: &format!("the greeting did not come within {within}") });
        link.borrow_mut().close(close::NORMAL, ClosedBy::Script);
    }
}
