//! A run from the first connection to the settled books: tells the shards what phase it is, waits for conditions, never for
//! a time in hope. Every wait has a limit, and reaching it is told.

use std::net::IpAddr;
use std::sync::Arc;
use std::thread;

use tokio::sync::{mpsc, watch};

use crate::account::{Account, SendLog, Share};
use crate::base::{Instant, Span};
use crate::event::Phase;
use crate::plan::Plan;

use super::clock::Clock;
use super::gauge::{Gauge, Progress};
use super::host;
use super::shard::{self, Directive, Start, Word};
use super::target::Target;

/// From look to look at the gauges.
const LOOK: Span = Span::from_millis(10);
/// Looks per progress report.
const PER_REPORT: u32 = 10;
/// From the last client ready to the first publication: a server registers a client just after it has answered the
/// handshake, and without a greeting nothing tells when it is done.
const SETTLE: Span = Span::from_millis(250);
/// Attempts that fail, with none opened, before the target counts as unreachable.
const HOPELESS: u64 = 20;

/// How a run is to be driven.
#[derive(Debug, Clone)]
pub struct Options {
    /// Shards.
    pub threads: u32,
    /// One target per client group.
    pub targets: Vec<Target>,
    /// Source addresses, taken in turn; empty: the system chooses.
    pub sources: Vec<IpAddr>,
    /// The built-in server runs in this process.
    pub server_inside: bool,
}

/// Asked for from outside (Ctrl-C): true once the run is to come to an orderly end.
pub type Stop = watch::Receiver<bool>;

/// What a run leaves behind.
#[derive(Debug)]
pub struct Outcome {
    /// The settled books.
    pub account: Account,
    /// Nobody could be reached: why, in words.
    pub unreachable: Option<String>,
    /// What the run cost this process.
    pub cost: Cost,
}

/// What the run cost, as the system tells it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Cost {
    /// Threads that drove connections.
    pub shards: u32,
    /// Processes.
    pub processes: u32,
    /// CPU of the process over the run.
    pub cpu: Span,
    /// Peak resident memory, bytes.
    pub peak_memory: u64,
    /// Growth of resident memory over the ramp, bytes.
    pub ramp_memory: u64,
    /// Share of processor time stolen, where the system tells.
    pub steal_share: Option<f64>,
    /// The built-in server shared the process.
    pub server_inside: bool,
}

/// Why a run broke. A bug or a failing system, never the server's doing.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// A shard could not go on.
    #[error("a shard broke: {0}")]
    Shard(String),
}

/// Runs `plan` against the targets. `on_progress` is called about ten times a second.
///
/// # Errors
/// [`DriveError`] when the instrument itself breaks.
pub async fn run(
    plan: Arc<Plan>,
    options: Options,
    clock: Clock,
    stop: Stop,
    on_progress: &mut dyn FnMut(&Progress),
) -> Result<Outcome, DriveError> {
    let steal = host::steal_ticks();
    let cpu = Clock::process_cpu();
    let server_inside = options.server_inside;
    let mut crew = Crew::start(&plan, options, clock)?;
    let shards = crew.gauges.len();
    let mut watcher = Watcher { clock, stop, on_progress, planned: u64::from(plan.connections), phase: Phase::Ramp, looks: 0, fan_out: 0 };

    let before = host::memory_resident().unwrap_or(0);
    let ramp = ramp(&plan, &crew, &mut watcher).await;
    let ramp_memory = host::memory_resident().unwrap_or(0).saturating_sub(before);
    let mut unreachable = None;
    match ramp {
        Ramp::Ready => {
            publish(&plan, &crew, &mut watcher).await;
            let log = crew.logs(&plan).await?;
            drain(&plan, &crew, &mut watcher, log).await;
        }
        Ramp::Stopped(reason) => crew.tell(&Directive::Interrupt { at: clock.now(), reason: reason.into() }),
        Ramp::Unreachable => {
            let reason = "no client could connect";
            unreachable = Some(reason.to_owned());
            crew.tell(&Directive::Interrupt { at: clock.now(), reason: reason.into() });
        }
    }
    watcher.enter(Phase::Close, &crew);
    let account = crew.settle(&plan, clock).await?;
    let cost = Cost {
        shards: u32::try_from(shards).unwrap_or(u32::MAX),
        processes: 1,
        cpu: Clock::process_cpu().saturating_sub(cpu),
        peak_memory: host::memory_peak().unwrap_or(0),
        ramp_memory,
        steal_share: host::steal_share(steal, host::steal_ticks()),
        server_inside,
    };
    Ok(Outcome { account, unreachable, cost })
}

/// How the ramp ended.
enum Ramp {
    /// Every attempt came to its end, and somebody is there to publish to.
    Ready,
    /// The steady state was not reached.
    Stopped(String),
    /// Nobody could connect.
    Unreachable,
}

async fn ramp(plan: &Plan, crew: &Crew, watcher: &mut Watcher<'_>) -> Ramp {
    let at = watcher.clock.now() + LOOK;
    crew.tell(&Directive::Ramp { at });
    watcher.enter(Phase::Ramp, crew);
    let limit = at + plan.ramp() + plan.scenario.phases.ramp_limit;
    loop {
        let progress = watcher.look(crew).await;
        let resolved = progress.ready + progress.failed + progress.not_ready;
        if watcher.stopped() {
            return Ramp::Stopped("interrupted during the ramp".into());
        }
        if progress.opened == 0 && progress.failed >= HOPELESS.min(progress.planned) {
            return Ramp::Unreachable;
        }
        if resolved >= progress.planned {
            return if progress.ready == 0 { Ramp::Stopped("no client became ready".into()) } else { Ramp::Ready };
        }
        if watcher.clock.now() >= limit {
            let Progress { ready, planned, .. } = progress;
            return Ramp::Stopped(format!("the steady state was never reached: {ready} of {planned} clients ready when the ramp's limit passed"));
        }
    }
}

async fn publish(plan: &Plan, crew: &Crew, watcher: &mut Watcher<'_>) {
    let at = watcher.clock.now() + SETTLE;
    crew.tell(&Directive::Publish { at });
    let steady = at + plan.scenario.phases.warm_up;
    watcher.fan_out = u64::from(plan.connections) * u64::from(plan.publishers > 0);
    watcher.enter(Phase::WarmUp, crew);
    while !crew.gauges.iter().all(|g| g.published()) {
        watcher.look(crew).await;
        if watcher.phase == Phase::WarmUp && watcher.clock.now() >= steady {
            watcher.enter(Phase::Steady, crew);
        }
        if watcher.stopped() {
            crew.tell(&Directive::Interrupt { at: watcher.clock.now(), reason: "interrupted (Ctrl-C)".into() });
            break;
        }
    }
}

async fn drain(plan: &Plan, crew: &Crew, watcher: &mut Watcher<'_>, log: Arc<SendLog>) {
    let at = watcher.clock.now();
    crew.tell(&Directive::Drain { at, log });
    watcher.enter(Phase::Drain, crew);
    let limit = at + plan.scenario.phases.drain;
    while watcher.clock.now() < limit {
        watcher.look(crew).await;
        if crew.gauges.iter().all(|g| g.all_in()) {
            break;
        }
    }
}

/// The coordinator's eyes: gauges, the stop signal, and who wants to be told.
struct Watcher<'a> {
    clock: Clock,
    stop: Stop,
    on_progress: &'a mut dyn FnMut(&Progress),
    planned: u64,
    phase: Phase,
    looks: u32,
    /// Copies owed per publication, for the progress display only.
    fan_out: u64,
}

impl Watcher<'_> {
    fn enter(&mut self, phase: Phase, crew: &Crew) {
        self.phase = phase;
        let progress = self.progress(crew);
        (self.on_progress)(&progress);
    }

    fn progress(&self, crew: &Crew) -> Progress {
        let mut progress =
            Progress { phase: Some(self.phase), at_ns: self.clock.now().as_nanos(), planned: self.planned, ..Progress::default() };
        for gauge in &crew.gauges {
            gauge.add_to(&mut progress);
        }
        progress.missing = (progress.sent * self.fan_out.min(progress.open)).saturating_sub(progress.copies);
        progress
    }

    /// Waits one look and reads the gauges.
    async fn look(&mut self, crew: &Crew) -> Progress {
        tokio::time::sleep(LOOK.to_std()).await;
        let progress = self.progress(crew);
        self.looks += 1;
        if self.looks.is_multiple_of(PER_REPORT) {
            (self.on_progress)(&progress);
        }
        progress
    }

    fn stopped(&self) -> bool {
        *self.stop.borrow()
    }
}

/// The shards of this process.
struct Crew {
    gauges: Vec<Arc<Gauge>>,
    directives: Vec<mpsc::UnboundedSender<Directive>>,
    words: mpsc::UnboundedReceiver<Word>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Crew {
    fn start(plan: &Arc<Plan>, options: Options, clock: Clock) -> Result<Self, DriveError> {
        let of = options.threads.clamp(1, plan.connections);
        let targets: Arc<[Target]> = options.targets.into();
        let sources: Arc<[IpAddr]> = options.sources.into();
        let (word_sender, words) = mpsc::unbounded_channel();
        let mut crew = Self { gauges: Vec::new(), directives: Vec::new(), words, threads: Vec::new() };
        for index in 0..of {
            let (sender, directives) = mpsc::unbounded_channel();
            let gauge = Arc::new(Gauge::default());
            let start = Start {
                plan: plan.clone(),
                share: Share { index, of },
                clock,
                targets: targets.clone(),
                sources: sources.clone(),
                gauge: gauge.clone(),
                directives,
                words: word_sender.clone(),
            };
            let thread =
                thread::Builder::new().name(format!("shard-{index}")).spawn(move || shard::run(start)).map_err(DriveError::Thread)?;
            crew.gauges.push(gauge);
            crew.directives.push(sender);
            crew.threads.push(thread);
        }
        Ok(crew)
    }

    fn tell(&self, directive: &Directive) {
        for sender in &self.directives {
            // A shard that is gone has said why in its last word.
            let _ = sender.send(directive.clone());
        }
    }

    /// The merged send log of all shards.
    async fn logs(&mut self, plan: &Plan) -> Result<Arc<SendLog>, DriveError> {
        self.tell(&Directive::HandIn);
        let mut all = SendLog::empty(plan);
        for _ in 0..self.directives.len() {
            match self.words.recv().await {
                Some(Word::Log(log)) => all.merge(&log),
                Some(Word::Broken(reason)) => return Err(DriveError::Shard(reason)),
                Some(Word::Settled(_)) | None => return Err(DriveError::Shard("it ended before its time".into())),
            }
        }
        Ok(Arc::new(all))
    }

    /// Closes, settles and merges.
    async fn settle(mut self, plan: &Plan, clock: Clock) -> Result<Account, DriveError> {
        let log = self.logs(plan).await?;
        let at: Instant = clock.now();
        self.tell(&Directive::Close { at, log });
        let mut account = Account::empty(plan);
        for _ in 0..self.directives.len() {
            match self.words.recv().await {
                Some(Word::Settled(part)) => account.merge(*part),
                Some(Word::Broken(reason)) => return Err(DriveError::Shard(reason)),
                Some(Word::Log(_)) | None => return Err(DriveError::Shard("it ended without its books".into())),
            }
        }
        for thread in self.threads {
            thread.join().map_err(|_| DriveError::Shard("a shard's thread panicked".into()))?;
        }
        Ok(account)
    }
}
