//! A run from the first connection to the settled books: tells the shards what phase it is, waits for conditions, never for
//! a time in hope. Every wait has a limit, and reaching it is told.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::account::{Account, Connections, SendLog};
use crate::base::{Instant, Span};
use crate::event::Phase;
use crate::plan::Plan;

use super::clock::Clock;
use super::crew::Crew;
use super::gauge::Progress;
use super::host;
use super::live::Live;
use super::mishap::Lookout;
use super::shard::Directive;
use super::target::{Target, Trust};

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
    /// Shards in each process.
    pub threads: u32,
    /// Worker processes; 0 drives the clients in this one.
    pub processes: u32,
    /// One target per client group.
    pub targets: Vec<Target>,
    /// What worker processes need to make the targets again: one URL and whom to trust, per client group.
    pub urls: Vec<(String, Trust)>,
    /// Source addresses, taken in turn; empty: the system chooses.
    pub sources: Vec<IpAddr>,
    /// Where worker processes find the files the scenario names.
    pub folder: PathBuf,
    /// The built-in server runs in this process.
    pub server_inside: bool,
    /// A journal whose header is written: every shard appends its blocks.
    pub journal: Option<PathBuf>,
    /// Whom to tell how the run goes, for live metrics; `None` spares the samples.
    pub live: Option<watch::Sender<Live>>,
}

impl Options {
    /// Over how many shards `connections` are spread, all processes together.
    #[must_use]
    pub fn shards(&self, connections: u32) -> u32 {
        let workers = self.processes.min(connections);
        if workers == 0 { self.threads.clamp(1, connections) } else { workers * self.threads.clamp(1, connections.div_ceil(workers)) }
    }
}

/// Asked for from outside (Ctrl-C): true once the run is to come to an orderly end.
pub type Stop = watch::Receiver<bool>;

/// What a run leaves behind.
#[derive(Debug)]
pub struct Outcome {
    /// The settled books.
    pub account: Account,
    /// Worker processes that were lost.
    pub lost: Vec<Lost>,
    /// Nobody could be reached: why, in words.
    pub unreachable: Option<String>,
    /// What the run cost this process.
    pub cost: Cost,
}

/// A worker process that was lost, and what went with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The shards it drove: their books are lost, and their part of the journal has no end.
    pub shards: Vec<u32>,
    /// What became of it, in a sentence.
    pub reason: String,
}

/// What the run cost, as the system tells it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
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
    /// A worker process could not be started.
    #[error("cannot start a worker process: {}", super::limits::explain(.0))]
    Process(std::io::Error),
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
    let processes = options.processes;
    let live = options.live.clone();
    let mut crew = Crew::start(&plan, options, clock)?;
    let planned = u64::from(plan.connections);
    let mut watcher = Watcher {
        clock,
        stop,
        on_progress,
        live,
        lookout: Lookout::new(processes > 0),
        woke: clock.now(),
        planned,
        phase: Phase::Ramp,
        looks: 0,
        fan_out: 0,
        owed: 0,
        counted: 0,
    };

    let before = host::memory_resident().unwrap_or(0);
    let ramp = ramp(&plan, &crew, &mut watcher).await;
    let ramp_memory = host::memory_resident().unwrap_or(0).saturating_sub(before);
    let mut hopeless = false;
    match ramp {
        Ramp::Ready => {
            publish(&plan, &crew, &mut watcher).await;
            let log = crew.logs(&plan).await?;
            drain(&plan, &crew, &mut watcher, log).await;
        }
        Ramp::Stopped(reason) => crew.tell(&Directive::Interrupt { at: clock.now(), reason: reason.into() }),
        Ramp::Unreachable => {
            hopeless = true;
            crew.tell(&Directive::Interrupt { at: clock.now(), reason: "no client could connect".into() });
        }
    }
    watcher.enter(Phase::Close, &crew);
    let settled = crew.settle(&plan, clock).await?;
    let cost = Cost {
        shards: settled.shards,
        processes: processes.max(1),
        cpu: Clock::process_cpu().saturating_sub(cpu) + settled.worker_cpu,
        peak_memory: host::memory_peak().unwrap_or(0) + settled.worker_memory,
        ramp_memory: ramp_memory + settled.worker_ramp_memory,
        steal_share: host::steal_share(steal, host::steal_ticks()),
        server_inside,
    };
    let unreachable = hopeless.then(|| why_unreachable(&settled.account.connections));
    Ok(Outcome { account: settled.account, lost: settled.lost, unreachable, cost })
}

/// The causes in words, ours told apart from the server's.
fn why_unreachable(connections: &Connections) -> String {
    let causes: Vec<_> = connections.failed.iter().map(|(cause, n)| format!("{n} × {cause}")).collect();
    let ours = if connections.failed_here > 0 {
        "; local_limit is a limit of this machine (addresses, ports, open files), not the server's doing"
    } else {
        ""
    };
    format!("no client could connect ({}{ours})", causes.join(", "))
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
    watcher.woke = watcher.clock.now();
    let at = watcher.woke + LOOK;
    crew.tell(&Directive::Ramp { at });
    watcher.enter(Phase::Ramp, crew);
    let limit = at + plan.ramp() + plan.scenario.phases.ramp_limit;
    loop {
        let progress = watcher.look(crew).await;
        let resolved = progress.ready + progress.failed + progress.not_ready;
        if watcher.stopped() {
            return Ramp::Stopped("interrupted during the ramp".into());
        }
        if crew.gauges.iter().any(|g| g.is_broken()) {
            // Its last word, which ends the run, is waiting to be read.
            return Ramp::Stopped("a shard broke during the ramp".into());
        }
        if crew.gauges.iter().any(|g| g.is_lost()) {
            return Ramp::Stopped("a worker process was lost during the ramp".into());
        }
        if progress.opened == 0 && progress.failed >= HOPELESS.min(progress.planned) {
            return Ramp::Unreachable;
        }
        if resolved >= progress.planned {
            return if progress.ready == 0 { Ramp::Stopped("no client became ready".into()) } else { Ramp::Ready };
        }
        if watcher.clock.now() >= limit {
            let Progress { ready, planned, .. } = progress;
            return Ramp::Stopped(format!(
                "the steady state was never reached: {ready} of {planned} clients ready when the ramp's limit passed"
            ));
        }
    }
}

async fn publish(plan: &Plan, crew: &Crew, watcher: &mut Watcher<'_>) {
    watcher.woke = watcher.clock.now();
    let at = watcher.woke + SETTLE;
    crew.tell(&Directive::Publish { at });
    let steady = at + plan.scenario.phases.warm_up;
    watcher.fan_out = plan.budget().fan_out;
    watcher.enter(Phase::WarmUp, crew);
    while !crew.gauges.iter().all(|g| g.published()) {
        watcher.look(crew).await;
        if watcher.phase == Phase::WarmUp && watcher.clock.now() >= steady {
            watcher.enter(Phase::Steady, crew);
        }
        let reason = if watcher.stopped() {
            "interrupted (Ctrl-C)"
        } else if crew.gauges.iter().any(|g| g.is_broken()) {
            "a shard broke"
        } else if crew.gauges.iter().any(|g| g.is_lost()) {
            "a worker process was lost"
        } else {
            continue;
        };
        crew.tell(&Directive::Interrupt { at: watcher.clock.now(), reason: reason.into() });
        break;
    }
}

async fn drain(plan: &Plan, crew: &Crew, watcher: &mut Watcher<'_>, log: Arc<SendLog>) {
    watcher.woke = watcher.clock.now();
    let at = watcher.woke;
    crew.tell(&Directive::Drain { at, log });
    watcher.enter(Phase::Drain, crew);
    let limit = at + plan.scenario.phases.drain;
    while watcher.clock.now() < limit {
        watcher.look(crew).await;
        if crew.gauges.iter().all(|g| g.all_in() || g.is_lost() || g.is_broken()) {
            break;
        }
    }
}

/// The coordinator's eyes: gauges, the stop signal, and who wants to be told.
struct Watcher<'a> {
    clock: Clock,
    stop: Stop,
    on_progress: &'a mut dyn FnMut(&Progress),
    live: Option<watch::Sender<Live>>,
    lookout: Lookout,
    /// When it last looked, or began to.
    woke: Instant,
    planned: u64,
    phase: Phase,
    looks: u32,
    /// Copies owed per publication at most, for the progress display only.
    fan_out: u64,
    /// Copies owed for the publications counted so far.
    owed: u64,
    counted: u64,
}

impl Watcher<'_> {
    fn enter(&mut self, phase: Phase, crew: &Crew) {
        self.phase = phase;
        let progress = self.progress(crew);
        self.tell(progress, crew);
    }

    /// Tells whoever wants to know.
    fn tell(&mut self, progress: Progress, crew: &Crew) {
        (self.on_progress)(&progress);
        if let Some(live) = &self.live {
            let mut sample = crew.sample();
            sample.add_process();
            live.send_replace(Live { progress, sample });
        }
    }

    fn progress(&mut self, crew: &Crew) -> Progress {
        let mut progress =
            Progress { phase: Some(self.phase), at_ns: self.clock.now().as_nanos(), planned: self.planned, ..Progress::default() };
        for gauge in &crew.gauges {
            gauge.add_to(&mut progress);
        }
        // Each publication is owed to those who were there then, not to those who are there now.
        self.owed += progress.sent.saturating_sub(self.counted) * self.fan_out.min(progress.open);
        self.counted = self.counted.max(progress.sent);
        progress.missing = self.owed.saturating_sub(progress.copies);
        progress
    }

    /// Waits one look and reads the gauges.
    async fn look(&mut self, crew: &Crew) -> Progress {
        tokio::time::sleep(LOOK.to_std()).await;
        let now = self.clock.now();
        let late = now.since(self.woke + LOOK);
        self.woke = now;
        if let Some(mishap) = self.lookout.look(now, late, Clock::side_by_side) {
            crew.tell(&Directive::Mishap { at: now, mishap });
        }
        let progress = self.progress(crew);
        self.looks += 1;
        if self.looks.is_multiple_of(PER_REPORT) {
            self.tell(progress, crew);
        }
        progress
    }

    fn stopped(&self) -> bool {
        *self.stop.borrow()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::plan::tests::plan;

    /// A shard that could not begin was waited for until the limit of the ramp, half a minute later.
    #[tokio::test]
    async fn a_shard_that_breaks_ends_the_ramp_at_once() {
        let plan = Arc::new(plan("[clients]\ncount = 2\nconnect_rate = \"1/m\"\n[phases]\nsteady = \"1s\"\n"));
        let url = "ws://127.0.0.1:9/".to_owned();
        let options = Options {
            threads: 2,
            processes: 0,
            targets: vec![Target::resolve(&url, &Trust::default()).await.expect("nothing is looked up")],
            urls: vec![(url, Trust::default())],
            sources: Vec::new(),
            folder: PathBuf::new(),
            server_inside: false,
            // What breaks it: a journal nobody has begun.
            journal: Some(PathBuf::from("/nowhere/run.wsj")),
            live: None,
        };
        let (_stop, stop) = watch::channel(false);
        let mut shown = |_: &Progress| {};
        let run = run(plan, options, Clock::start(), stop, &mut shown);
        let error = tokio::time::timeout(Duration::from_secs(15), run).await.expect("long before the limit").expect_err("it broke");
        assert!(matches!(error, DriveError::Shard(_)), "{error}");
    }
}
