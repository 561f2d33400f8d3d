//! A journal folded again: every shard's events through books of its own, settled and merged as the run itself did it.
//!
//! A journal with holes is folded up to the earliest hole of any shard and no further: what lies behind it would make copies
//! missing that only their record is.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

use crate::account::{Account, Ledger, SendLog, Share};
use crate::base::{ConnId, Instant};
use crate::cli::exit::Stopped;
use crate::event::journal::{Ending, Header, JournalReader, Told};
use crate::event::{Copy, Event, Phase};
use crate::plan::Plan;

/// What a journal came to.
#[derive(Debug)]
pub(super) struct Folded {
    /// The settled books.
    pub(super) account: Account,
    /// What was read, and what was not.
    pub(super) ending: Ending,
    /// Events the books are made of.
    pub(super) events: u64,
    /// Where the fold had to stop, when a shard's record ends before the run did.
    pub(super) cut: Option<Instant>,
}

/// Opens a journal for one reading.
///
/// # Errors
/// When nothing can be known from it.
pub(super) fn open(place: &Path) -> Result<JournalReader<BufReader<File>>, Stopped> {
    let file = File::open(place).map_err(|e| Stopped::usage(format!("cannot read the journal {}: {e}", place.display())))?;
    JournalReader::open(BufReader::new(file)).map_err(|e| Stopped::usage(format!("{}: {e}", place.display())))
}

/// Folds the journal at `place` by `plan`.
///
/// # Errors
/// As [`open`].
pub(super) fn fold(place: &Path, plan: &Arc<Plan>) -> Result<Folded, Stopped> {
    let (fold, ending) = pass(place, plan, None)?;
    let Some(cut) = fold.cut(&ending) else {
        let events = fold.events;
        let account = fold.settle(|shard| ending.settled[shard].unwrap_or(Instant::EPOCH));
        return Ok(Folded { account, ending, events, cut: None });
    };
    let (mut fold, ending) = pass(place, plan, Some(cut))?;
    let detail = format!("the journal is whole only until {cut}");
    for ledger in &mut fold.ledgers {
        ledger.observe(Event::Interrupted { at: cut, detail: &detail });
    }
    let events = fold.events;
    Ok(Folded { account: fold.settle(|_| cut), ending, events, cut: Some(cut) })
}

/// One reading; up to `cut`, if given.
fn pass(place: &Path, plan: &Arc<Plan>, cut: Option<Instant>) -> Result<(Fold, Ending), Stopped> {
    let reader = open(place)?;
    let Header { shards, .. } = *reader.header();
    if shards > plan.connections {
        return Err(Stopped::usage(format!("{}: more shards than connections: this is no journal of wsbench", place.display())));
    }
    let mut fold = Fold::new(plan, shards, cut);
    let ending = reader.read(|told, event| fold.take(told, event));
    Ok((fold, ending))
}

/// The books of all shards.
struct Fold {
    plan: Arc<Plan>,
    cut: Instant,
    ledgers: Vec<Ledger>,
    /// What each shard's publishers had sent when the run closed.
    logs: Vec<Option<SendLog>>,
    /// How far each shard's record has come.
    clocks: Vec<Instant>,
    events: u64,
}

impl Fold {
    fn new(plan: &Arc<Plan>, shards: u32, cut: Option<Instant>) -> Self {
        let share = |index| Share { index, of: shards };
        Self {
            plan: plan.clone(),
            cut: cut.unwrap_or(Instant::FAR),
            ledgers: (0..shards).map(|index| Ledger::new(plan.clone(), share(index))).collect(),
            logs: vec![None; shards as usize],
            clocks: vec![Instant::EPOCH; shards as usize],
            events: 0,
        }
    }

    #[inline]
    fn take(&mut self, told: Told, event: Event<'_>) {
        let shard = told.shard as usize;
        if !told.whole || !self.belongs(told.shard, &event) {
            return;
        }
        // A phase may be told ahead of its instant: it does not say how far the record has come.
        if !matches!(event, Event::Phase { .. }) {
            self.clocks[shard] = self.clocks[shard].max(event.at());
        }
        if self.clocks[shard] > self.cut {
            return;
        }
        if matches!(event, Event::Phase { phase: Phase::Close, .. }) && self.logs[shard].is_none() {
            self.logs[shard] = Some(self.ledgers[shard].send_log().clone());
        }
        self.events += 1;
        self.ledgers[shard].observe(event);
    }

    /// Whether an event can be this shard's at all. The books trust the instrument; a file need not be one it wrote.
    #[inline]
    fn belongs(&self, shard: u32, event: &Event<'_>) -> bool {
        let own = |conn: ConnId| conn.0 < self.plan.connections && conn.index() % self.ledgers.len() == shard as usize;
        match *event {
            Event::Copy(Copy { conn, .. })
            | Event::Connecting { conn, .. }
            | Event::ConnectFailed { conn, .. }
            | Event::Opened { conn, .. }
            | Event::Greeting { conn, .. }
            | Event::Ready { conn, .. }
            | Event::NotReady { conn, .. }
            | Event::Stray { conn, .. }
            | Event::PingSent { conn, .. }
            | Event::Pong { conn, .. }
            | Event::AlienPong { conn, .. }
            | Event::Beat { conn, .. }
            | Event::ServerPing { conn, .. }
            | Event::Disrupted { conn, .. }
            | Event::Restored { conn, .. }
            | Event::AfterClose { conn, .. }
            | Event::Leaving { conn, .. }
            | Event::NoSubprotocol { conn, .. }
            | Event::Compressed { conn, .. }
            | Event::Item { conn, .. }
            | Event::Closed { conn, .. } => own(conn),
            Event::Sent { publisher, .. } | Event::Dropped { publisher, .. } | Event::Answered { publisher, .. } => {
                publisher.0 < self.plan.publishers && own(self.plan.connection_of(publisher))
            }
            Event::Phase { .. } | Event::Health { .. } | Event::Mishap { .. } | Event::Hook { .. } | Event::Interrupted { .. } => true,
        }
    }

    /// How far all shards' records go: the earliest end of those that do not go to the end; `None` when all of them do.
    fn cut(&self, ending: &Ending) -> Option<Instant> {
        let unfinished = |shard: &usize| ending.settled[*shard].is_none() || ending.broken[*shard];
        (0..self.ledgers.len()).filter(unfinished).map(|shard| self.clocks[shard]).min()
    }

    /// Settles every shard's books against the merged send log, and merges them.
    fn settle(self, end: impl Fn(usize) -> Instant) -> Account {
        let mut log = SendLog::empty(&self.plan);
        for (ledger, kept) in self.ledgers.iter().zip(&self.logs) {
            log.merge(kept.as_ref().unwrap_or_else(|| ledger.send_log()));
        }
        let mut account = Account::empty(&self.plan);
        for (shard, ledger) in self.ledgers.into_iter().enumerate() {
            account.merge(ledger.settle(&log, end(shard)));
        }
        account
    }
}
