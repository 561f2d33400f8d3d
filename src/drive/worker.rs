//! A worker process: some shards of a run behind a pair of pipes. For runs that need more open files than one process may
//! have. The parent side hires and listens, the child side serves; both speak `pipe`.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;

use crate::account::{Account, SendLog, Share};
use crate::base::{RunId, Seed, Span};
use crate::plan::Plan;
use crate::scenario::{self, Scenario, Surroundings};

use super::clock::Clock;
use super::crew::{Crew, Record};
use super::gauge::{Gauge, Reading};
use super::host;
use super::live::Sample;
use super::pipe;
use super::run::Options;
use super::shard::{Directive, Voice, Word};
use super::target::{Target, Trust};

/// The hidden subcommand that makes a process a worker.
pub const COMMAND: &str = "worker";

/// From gauge reading to gauge reading.
const READING: Duration = Duration::from_millis(20);

/// Readings from sample to sample, where samples are asked for.
const PER_SAMPLE: u32 = 5;

/// A worker that says nothing for so long is lost: it reads its gauges out every 20 ms, and settling its books takes seconds at
/// most. Stopped, starved or stuck, it must not hold up the run.
const SILENCE: Duration = Duration::from_secs(15);

/// What a worker is told before anything else.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Orders {
    scenario: String,
    folder: PathBuf,
    seed: Seed,
    run: RunId,
    epoch: u64,
    shares: Vec<Share>,
    urls: Vec<(String, Trust)>,
    sources: Vec<IpAddr>,
    journal: Option<PathBuf>,
    live: bool,
}

/// What a worker process cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct WorkerCost {
    pub(super) cpu: Span,
    pub(super) peak_memory: u64,
    pub(super) ramp_memory: u64,
}

/// What a worker says.
#[derive(Serialize, Deserialize)]
enum Said {
    Reading(Reading),
    Sample(Box<Sample>),
    Log(Box<SendLog>),
    Settled(Box<Account>, WorkerCost),
    Broken(String),
}

impl Orders {
    pub(super) fn new(plan: &Plan, shares: Vec<Share>, options: &Options, clock: Clock) -> Self {
        Self {
            scenario: plan.scenario.to_toml(),
            folder: options.folder.clone(),
            seed: plan.seed,
            run: plan.run,
            epoch: clock.epoch_nanos(),
            shares,
            urls: options.urls.clone(),
            sources: options.sources.clone(),
            journal: options.journal.clone(),
            live: options.live.is_some(),
        }
    }
}

/// Starts a worker process and listens to it. Its words go to `voice`, its readings to `gauge`; when its pipe ends before its
/// books came, it is lost.
pub(super) fn hire(orders: Orders, gauge: Arc<Gauge>, voice: Voice) -> io::Result<mpsc::UnboundedSender<Directive>> {
    let mut child =
        Command::new(std::env::current_exe()?).arg(COMMAND).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
    let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::other("a worker without pipes"));
    };
    let (sender, directives) = mpsc::unbounded_channel();
    let first = orders.shares.first().map_or(0, |share| share.index);
    tokio::spawn(speak(input, orders, directives));
    tokio::spawn(listen(child, output, first, gauge, voice));
    Ok(sender)
}

async fn speak(mut to: ChildStdin, orders: Orders, mut directives: mpsc::UnboundedReceiver<Directive>) {
    // A pipe that breaks shows on the listening side, which tells.
    if pipe::write(&mut to, &orders).await.is_ok() {
        while let Some(directive) = directives.recv().await {
            if pipe::write(&mut to, &directive).await.is_err() {
                return;
            }
        }
    }
}

async fn listen(mut child: Child, mut from: ChildStdout, first: u32, gauge: Arc<Gauge>, voice: Voice) {
    let reason = loop {
        let Ok(said) = tokio::time::timeout(SILENCE, pipe::read::<Said>(&mut from)).await else {
            break format!("it said nothing for {SILENCE:?}");
        };
        match said {
            Ok(Some(Said::Reading(reading))) => gauge.show(&reading),
            Ok(Some(Said::Sample(sample))) => gauge.board.iter().for_each(|board| board.show(&sample)),
            Ok(Some(Said::Log(log))) => voice.say(Word::Log(log)),
            Ok(Some(Said::Settled(account, cost))) => {
                voice.say(Word::Settled(account, cost));
                let _ = child.wait().await;
                return;
            }
            Ok(Some(Said::Broken(reason))) => break reason,
            Ok(None) => break ended(&mut child).await,
            Err(error) => break error.to_string(),
        }
    };
    gauge.lose();
    voice.say(Word::Lost(format!("the worker process of shard {first} was lost: {reason}")));
}

async fn ended(child: &mut Child) -> String {
    match tokio::time::timeout(Duration::from_secs(2), child.wait()).await {
        Ok(Ok(status)) => format!("it ended with {status}"),
        _ => "its pipe ended".into(),
    }
}

/// The child's side: obeys orders from `from`, speaks on `to`, until its books are settled or the parent is gone.
///
/// # Errors
/// When the pipes break, which is the end of the parent.
pub async fn serve(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> io::Result<()> {
    let Some(orders) = pipe::read::<Orders>(&mut from).await? else { return Ok(()) };
    match obey(orders, &mut from, &mut to).await {
        Ok(()) => Ok(()),
        Err(error) => pipe::write(&mut to, &Said::Broken(error.to_string())).await,
    }
}

async fn obey(orders: Orders, from: &mut (impl AsyncRead + Unpin), to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    let _ = host::raise_descriptors();
    let scenario = read(&orders.scenario, &orders.folder)?;
    let plan = Arc::new(Plan { run: orders.run, ..Plan::new(Arc::new(scenario), orders.seed) });
    let (mut targets, mut trusts) = (Vec::new(), Vec::new());
    for ((url, trust), group) in orders.urls.into_iter().zip(&plan.scenario.groups) {
        targets.push(Target::resolve_through(&url, &trust, &group.connection.proxy).await.map_err(io::Error::other)?);
        trusts.push(trust);
    }
    let clock = Clock::with_epoch(orders.epoch);
    let before = host::memory_resident().unwrap_or(0);
    let record = Record { journal: orders.journal.map(Arc::from), live: orders.live };
    let mut crew =
        Crew::threads(&plan, &orders.shares, targets.into(), trusts, orders.sources.into(), &record, clock).map_err(io::Error::other)?;
    let mut ramp_memory = 0;
    let mut readings = 0_u32;
    let mut ticks = tokio::time::interval(READING);
    // A message read in part must not be dropped with the branch that reads it: one task reads, this one chooses.
    let (sender, mut directives) = mpsc::unbounded_channel();
    let reading = read_all(from, sender);
    tokio::pin!(reading);
    loop {
        tokio::select! {
            biased;
            directive = directives.recv() => match directive {
                Some(Directive::HandIn) => {
                    let log = crew.logs(&plan).await.map_err(io::Error::other)?;
                    pipe::write(to, &Said::Log(Box::new(SendLog::clone(&log)))).await?;
                }
                Some(Directive::Close { at, log }) => {
                    let settled = crew.settle_at(&plan, at, log).await.map_err(io::Error::other)?;
                    let cost = WorkerCost { cpu: Clock::process_cpu(), peak_memory: host::memory_peak().unwrap_or(0), ramp_memory };
                    return pipe::write(to, &Said::Settled(Box::new(settled.account), cost)).await;
                }
                Some(directive) => {
                    if matches!(directive, Directive::Publish { .. }) {
                        ramp_memory = host::memory_resident().unwrap_or(0).saturating_sub(before);
                    }
                    crew.tell(&directive);
                }
                None => return Ok(()),
            },
            result = &mut reading => return result,
            _ = ticks.tick() => {
                if crew.gauges.iter().any(|gauge| gauge.is_broken()) {
                    // Its last word says why, and is read as the answer to this.
                    crew.logs(&plan).await.map_err(io::Error::other)?;
                }
                pipe::write(to, &Said::Reading(Gauge::total(&crew.gauges))).await?;
                readings += 1;
                if orders.live && readings.is_multiple_of(PER_SAMPLE) {
                    let mut sample = crew.sample();
                    sample.add_process();
                    pipe::write(to, &Said::Sample(Box::new(sample))).await?;
                }
            }
        }
    }
}

/// The run's scenario, with this process's environment and the files it names.
fn read(text: &str, folder: &Path) -> io::Result<Scenario> {
    let file = |name: &str| std::fs::read_to_string(folder.join(name)).map_err(|e| e.to_string());
    let around = Surroundings { env: &|name| std::env::var(name).ok(), file: &file, url: None };
    let reading = scenario::read_with(text, "the run's scenario", &around).map_err(|e| io::Error::other(e.to_string()))?;
    Ok(reading.scenario)
}

async fn read_all(from: &mut (impl AsyncRead + Unpin), to: mpsc::UnboundedSender<Directive>) -> io::Result<()> {
    while let Some(directive) = pipe::read(from).await? {
        if to.send(directive).is_err() {
            break;
        }
    }
    Ok(())
}
