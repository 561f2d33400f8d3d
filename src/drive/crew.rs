//! The shards of a run, as threads of this process or behind the pipes of worker processes: told with the same directives,
//! heard with the same words, merged with the same merge.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::account::{Account, SendLog, Share};
use crate::base::{Instant, Span};
use crate::plan::Plan;

use super::clock::Clock;
use super::gauge::Gauge;
use super::live::Sample;
use super::run::{DriveError, Options};
use super::shard::{self, Directive, Start, Word};
use super::target::{Target, Trust};
use super::worker;

/// How long a member may take to answer before it counts as lost. Closing handshakes take at most five seconds, settling 25
/// million pairs about one.
const ANSWER: Duration = Duration::from_secs(20);

/// All members, in one place.
pub(super) struct Crew {
    /// One a thread, or one a process.
    pub(super) gauges: Vec<Arc<Gauge>>,
    directives: Vec<mpsc::UnboundedSender<Directive>>,
    words: mpsc::UnboundedReceiver<Word>,
    threads: Vec<thread::JoinHandle<()>>,
    shards: u32,
    lost: Vec<(Vec<Share>, String)>,
}

/// What shards leave besides their books.
pub(super) struct Record {
    /// A journal whose header is written.
    pub(super) journal: Option<Arc<Path>>,
    /// Samples for live metrics.
    pub(super) live: bool,
}

/// What is left when all is over.
pub(super) struct Settled {
    pub(super) account: Account,
    pub(super) lost: Vec<String>,
    pub(super) shards: u32,
    pub(super) worker_cpu: Span,
    pub(super) worker_memory: u64,
    pub(super) worker_ramp_memory: u64,
}

impl Crew {
    /// Starts all members. A run of worker processes must be within a runtime that has I/O enabled.
    pub(super) fn start(plan: &Arc<Plan>, options: Options, clock: Clock) -> Result<Self, DriveError> {
        if options.processes > 0 {
            return Self::processes(plan, options, clock);
        }
        let of = options.shards(plan.connections);
        let shares: Vec<Share> = (0..of).map(|index| Share { index, of }).collect();
        let trust = options.urls.into_iter().map(|(_, trust)| trust).collect();
        let record = Record { journal: options.journal.map(Arc::from), live: options.live.is_some() };
        Self::threads(plan, &shares, options.targets.into(), trust, options.sources.into(), &record, clock)
    }

    /// A thread for each share.
    pub(super) fn threads(
        plan: &Arc<Plan>,
        shares: &[Share],
        targets: Arc<[Target]>,
        trust: Vec<Trust>,
        sources: Arc<[IpAddr]>,
        record: &Record,
        clock: Clock,
    ) -> Result<Self, DriveError> {
        let (sender, words) = mpsc::unbounded_channel();
        let mut crew = Self::empty(words, shares.len());
        for &share in shares {
            let (directive, directives) = mpsc::unbounded_channel();
            let gauge = Arc::new(Gauge::new(record.live));
            let start = Start {
                plan: plan.clone(),
                share,
                clock,
                targets: targets.clone(),
                trust: trust.clone(),
                sources: sources.clone(),
                journal: record.journal.clone(),
                gauge: gauge.clone(),
                directives,
                words: sender.clone(),
            };
            let name = format!("shard-{}", share.index);
            let thread = thread::Builder::new().name(name).spawn(move || shard::run(start)).map_err(DriveError::Thread)?;
            crew.gauges.push(gauge);
            crew.directives.push(directive);
            crew.threads.push(thread);
        }
        Ok(crew)
    }

    fn processes(plan: &Arc<Plan>, options: Options, clock: Clock) -> Result<Self, DriveError> {
        let (sender, words) = mpsc::unbounded_channel();
        let workers = options.processes.min(plan.connections);
        let of = options.shards(plan.connections);
        let threads = of / workers;
        let mut crew = Self::empty(words, of as usize);
        for n in 0..workers {
            let shares: Vec<Share> = (0..threads).map(|t| Share { index: n * threads + t, of }).collect();
            let gauge = Arc::new(Gauge::new(options.live.is_some()));
            let orders = worker::Orders::new(plan, shares, &options, clock);
            crew.directives.push(worker::hire(orders, gauge.clone(), sender.clone()).map_err(DriveError::Process)?);
            crew.gauges.push(gauge);
        }
        Ok(crew)
    }

    fn empty(words: mpsc::UnboundedReceiver<Word>, shards: usize) -> Self {
        let shards = u32::try_from(shards).unwrap_or(u32::MAX);
        Self { gauges: Vec::new(), directives: Vec::new(), words, threads: Vec::new(), shards, lost: Vec::new() }
    }

    /// The latest samples of all members; empty unless they were asked for.
    pub(super) fn sample(&self) -> Sample {
        let mut sum = Sample::default();
        self.gauges.iter().filter_map(|gauge| gauge.board.as_ref()).for_each(|board| board.add_to(&mut sum));
        sum
    }

    /// Tells every member.
    pub(super) fn tell(&self, directive: &Directive) {
        for sender in &self.directives {
            // A member that is gone has said why in its last word.
            let _ = sender.send(directive.clone());
        }
    }

    /// The next word, or why there is none: a member that does not answer in time is lost, never waited for.
    async fn word(&mut self) -> Result<Word, DriveError> {
        match tokio::time::timeout(ANSWER, self.words.recv()).await {
            Ok(Some(Word::Broken(reason))) => Err(DriveError::Shard(reason)),
            Ok(Some(word)) => Ok(word),
            Ok(None) => Err(DriveError::Shard("all members are gone".into())),
            Err(_) => Ok(Word::Lost { shares: Vec::new(), reason: format!("no answer within {ANSWER:?}") }),
        }
    }

    /// How many members can still answer.
    fn members(&self) -> usize {
        self.gauges.iter().filter(|g| !g.is_lost()).count()
    }

    /// The merged send log of all members.
    pub(super) async fn logs(&mut self, plan: &Plan) -> Result<Arc<SendLog>, DriveError> {
        self.tell(&Directive::HandIn);
        let mut all = SendLog::empty(plan);
        let mut handed_in = 0;
        while handed_in < self.members() {
            match self.word().await? {
                Word::Log(log) => {
                    all.merge(&log);
                    handed_in += 1;
                }
                Word::Lost { shares, reason } => {
                    let silent = shares.is_empty();
                    self.lost.push((shares, reason));
                    if silent {
                        break;
                    }
                }
                Word::Settled(..) | Word::Broken(_) => return Err(DriveError::Shard("it ended before its time".into())),
            }
        }
        Ok(Arc::new(all))
    }

    /// Closes, settles and merges.
    pub(super) async fn settle(mut self, plan: &Plan, clock: Clock) -> Result<Settled, DriveError> {
        let log = self.logs(plan).await?;
        self.settle_at(plan, clock.now(), log).await
    }

    /// As [`Crew::settle`], with the send log of all members of all processes.
    pub(super) async fn settle_at(mut self, plan: &Plan, at: Instant, log: Arc<SendLog>) -> Result<Settled, DriveError> {
        self.tell(&Directive::Close { at, log: log.clone() });
        let mut settled = Settled {
            account: Account::empty(plan),
            lost: Vec::new(),
            shards: self.shards,
            worker_cpu: Span::ZERO,
            worker_memory: 0,
            worker_ramp_memory: 0,
        };
        let mut done = 0;
        while done < self.members() {
            match self.word().await? {
                Word::Settled(part, cost) => {
                    settled.account.merge(*part);
                    settled.worker_cpu = settled.worker_cpu + cost.cpu;
                    settled.worker_memory += cost.peak_memory;
                    settled.worker_ramp_memory += cost.ramp_memory;
                    done += 1;
                }
                Word::Lost { shares, reason } => {
                    let silent = shares.is_empty();
                    self.lost.push((shares, reason));
                    if silent {
                        break;
                    }
                }
                Word::Log(_) | Word::Broken(_) => {}
            }
        }
        for (shares, reason) in self.lost {
            contest(&mut settled.account, plan, &shares, &log);
            settled.lost.push(reason);
        }
        for thread in self.threads {
            thread.join().map_err(|_| DriveError::Shard("a shard's thread panicked".into()))?;
        }
        Ok(settled)
    }
}

/// What was owed to the clients of lost shards can be neither confirmed nor denied: it is contested.
fn contest(account: &mut Account, plan: &Plan, shares: &[Share], log: &SendLog) {
    let clients: u64 = shares.iter().map(|share| u64::from(share.size(plan.connections))).sum();
    account.copies.contested += clients * log.total();
    account.interrupted.get_or_insert_with(|| "a worker process was lost".to_owned());
}
