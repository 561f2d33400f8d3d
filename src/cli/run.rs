//! `wsbench run`: the straight line, a noun a line.

use std::collections::HashSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use reference_server::ServerConfig;

use crate::base::Seed;
use crate::check;
use crate::drive::clock::Clock;
use crate::drive::target::Trust;
use crate::drive::{self, Outcome, Target, limits};
use crate::plan::Plan;
use crate::report::{self, Facts, Report, TargetFacts};
use crate::scenario::{Scenario, Vars, model};

use super::exit::{Exit, Stopped};
use super::gate::GateArgs;
use super::journal::Keeping;
use super::metrics::{self, Metrics};
use super::output;
use super::progress::Display;
use super::repeat::{Places, Series};
use super::telling::{facts, told};
use super::terminal::{Terminal, say};

/// `wsbench run`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wsbench run scenarios/broadcast.toml
  wsbench run scenarios/smoke.toml --url wss://chat.example.com/ws --out results/
  wsbench run scenarios/chat.toml --seed 7 --format json > report.json
  wsbench run chat.toml --threshold 'delivery.p99 < 250ms' --threshold 'delivery.ratio == 1'
  wsbench run scenarios/chat.toml --html report.html --junit junit.xml
  wsbench run scenarios/chat.toml --repeat 5 --out new/ --baseline base/ --fail-on-regression 10%
  wsbench run scenarios/chat.toml --metrics 127.0.0.1:9464

Exit codes follow the verdict, thresholds and baseline included: 0 pass, 1 fail, 3 inconclusive; 2 bad usage, 4 environment")]
pub struct RunArgs {
    /// The scenario, a TOML file
    #[arg(value_name = "SCENARIO")]
    scenario: PathBuf,

    /// Run against this server instead of the scenario's target
    #[arg(long, value_name = "URL", help_heading = "Target")]
    url: Option<String>,

    /// Take any TLS certificate
    #[arg(long, help_heading = "Target")]
    insecure: bool,

    /// Trust the certificates in this PEM file, besides the system's
    #[arg(long, value_name = "FILE", help_heading = "Target")]
    ca: Option<PathBuf>,

    /// Write report.json, timeline.csv, percentiles.csv and scenario.toml into this directory; with --repeat, into run-1, run-2, … in it
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    out: Option<PathBuf>,

    /// Write every event to this file, to be judged again with `wsbench judge`; with --repeat, FILE-1, FILE-2, …
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    journal: Option<PathBuf>,

    /// Serve Prometheus metrics at http://ADDRESS/metrics while it runs, such as 127.0.0.1:9464; port 0 takes any
    #[arg(long, value_name = "ADDRESS", value_parser = metrics::parse, help_heading = "Output")]
    metrics: Option<metrics::Place>,

    #[command(flatten)]
    gate: GateArgs,

    /// Replace files that are already there
    #[arg(long, help_heading = "Output")]
    force: bool,

    /// What to print on standard output
    #[arg(long, value_enum, default_value_t = Format::Text, help_heading = "Output")]
    format: Format,

    /// No progress, no notes
    #[arg(long, short, help_heading = "Output")]
    quiet: bool,

    /// More notes: what the run needs and what this machine has
    #[arg(long, short, help_heading = "Output", conflicts_with = "quiet")]
    verbose: bool,

    /// Repeat the random choices of an earlier run
    #[arg(long, value_name = "N", help_heading = "Load")]
    seed: Option<u64>,

    /// Run it so often, one run after the other: what varies from run to run is then seen, and the worst run decides
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100), help_heading = "Load")]
    repeat: u32,

    /// Threads that drive clients; as many as the load asks for, up to one a core, unless given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024), help_heading = "Load")]
    threads: Option<u32>,

    /// Worker processes that hold the clients: a number, or `auto` for as many as the limit on open files asks for
    #[arg(long, value_name = "N|auto", default_value = "auto", value_parser = parse_processes, help_heading = "Load")]
    processes: Processes,

    /// Connect from these local addresses in turn (comma-separated addresses or an IPv4 block such as 127.0.0.0/24)
    #[arg(long, value_name = "ADDRESSES", value_parser = parse_sources, help_heading = "Load")]
    source: Option<Sources>,
}

/// A list of source addresses, as one argument.
#[derive(Debug, Clone)]
struct Sources(Vec<IpAddr>);

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// The report, for people.
    Text,
    /// `report.json`.
    Json,
}

/// How many processes.
#[derive(Debug, Clone, Copy)]
enum Processes {
    Auto,
    Exactly(u32),
}

fn parse_processes(text: &str) -> Result<Processes, String> {
    match text {
        "auto" => Ok(Processes::Auto),
        text => text
            .parse()
            .ok()
            .filter(|n| (1..=limits::MOST_PROCESSES).contains(n))
            .map(Processes::Exactly)
            .ok_or_else(|| format!("a number from 1 to {}, or `auto`", limits::MOST_PROCESSES)),
    }
}

fn parse_sources(text: &str) -> Result<Sources, String> {
    let mut all = Vec::new();
    for part in text.split(',').map(str::trim) {
        match part.split_once('/') {
            None => all.push(part.parse().map_err(|_| format!("`{part}` is not an IP address"))?),
            Some((base, bits)) => {
                let base: std::net::Ipv4Addr = base.parse().map_err(|_| format!("`{part}` is not an IPv4 block"))?;
                let bits: u32 = bits.parse().ok().filter(|b| (16..=32).contains(b)).ok_or("a block has 16 to 32 bits")?;
                let size = 1_u32 << (32 - bits);
                let first = u32::from(base) & !(size - 1);
                // The first and last address of a block name the network and its broadcast; a block of one or two has neither.
                let usable = if size > 2 { first + 1..first + size - 1 } else { first..first + size };
                all.extend(usable.map(|a| IpAddr::V4(a.into())));
            }
        }
    }
    // An address that is named twice has its ports only once.
    let mut known = HashSet::new();
    all.retain(|address| known.insert(*address));
    Ok(Sources(all))
}

/// Runs the scenario and tells what came of it.
#[must_use]
pub fn run(args: &RunArgs, terminal: Terminal) -> Exit {
    match attempt(args, terminal) {
        Ok(exit) => exit,
        Err(stopped) => stopped.tell(),
    }
}

fn attempt(args: &RunArgs, terminal: Terminal) -> Result<Exit, Stopped> {
    let scenario = read(args)?;
    let plan = Arc::new(Plan::new(Arc::new(scenario), seed(args)));
    let places = Places::new(args.repeat, args.out.as_deref(), args.journal.as_deref(), args.force)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Stopped::environment)?;
    let nowhere = TargetFacts { url: String::new(), built_in: false };
    let gate = args.gate.open(args.force, args.repeat, &facts(&plan, nowhere, Clock::unix_millis()))?;
    let mut metrics = args.metrics.as_ref().map(Metrics::open).transpose()?;
    if let Some(metrics) = metrics.as_ref().filter(|_| !args.quiet) {
        say(&format!("wsbench: metrics at {}", metrics.url()));
    }
    let stop = runtime.block_on(async { super::interrupt::watch() });
    let mut series = Series::new(args.repeat, args.quiet, args.format == Format::Json);
    while let Some(nth) = series.next(&stop) {
        let plan = nth.plan(&plan);
        let files = places.out(nth).map(|dir| output::open_all(&dir, FILES, args.force)).transpose()?;
        let journal = places.journal(nth).map(|place| Keeping::open(&place, args.force)).transpose()?;
        let around = Around { stop: stop.clone(), metrics: metrics.as_mut() };
        let (outcome, facts) = runtime.block_on(drive(args, terminal, &plan, around, journal.as_ref()))?;
        let mut report = told(&plan, &outcome.account, &outcome.cost, facts);
        gate.ask(&mut report);
        if args.repeat == 1 {
            series.comparison = gate.compare(std::slice::from_mut(&mut report))?;
        }
        // A journal that could not be finished must not keep the report back: it is told at the end.
        let kept = journal.map_or(Ok(None), |journal| journal.end(&outcome.cost, &outcome.lost));
        if let Ok(Some(note)) = &kept {
            say(&format!("wsbench: {note}"));
        }
        if let Some(files) = files {
            write(files, &report)?;
        }
        let unreachable = outcome.unreachable.map(|_| unreachable(&report));
        series.add(report, kept.err(), unreachable);
    }
    series.tell(gate, &terminal.as_it_is_now().style)
}

const FILES: [&str; 4] = ["report.json", "timeline.csv", "percentiles.csv", "scenario.toml"];

fn write(files: [output::Target; 4], report: &Report) -> Result<(), Stopped> {
    let [json, timeline, percentiles, scenario] = files;
    json.write(report::json::render(report).as_bytes())?;
    timeline.write(report::csv::timeline(report).as_bytes())?;
    percentiles.write(report::csv::percentiles(report).as_bytes())?;
    scenario.write(report.scenario.toml.as_bytes())
}

/// Why nobody could connect, and what to do about it.
fn unreachable(report: &Report) -> Stopped {
    let failed = &report.summary.connections.failed;
    let causes: Vec<String> = failed.iter().map(|(cause, n)| format!("{cause} × {n}")).collect();
    let first = report.findings.iter().find(|f| f.check == "connect").and_then(|f| f.witnesses.first());
    let detail = first.map_or_else(String::new, |w| format!("; the first said: {}", w.what));
    let help = match failed.iter().max_by_key(|(_, n)| **n).map_or("", |(cause, _)| cause.as_str()) {
        "refused" => "nothing listens there: is the server running, is the port right?",
        "timeout" => "nobody answers: is the address right, is a firewall in between?",
        "tls" => "give the certificate's authority with `--ca FILE`, or do without verification with `--insecure`",
        "proxy" => "the proxy on the way refused: see `proxy` of the scenario, or the variables HTTPS_PROXY, HTTP_PROXY and NO_PROXY",
        "bad_accept" | "bad_upgrade" => "whatever answers there does not speak WebSocket (RFC 6455 section 4.2.2)",
        "local_limit" => "this machine's own limit was reached, not the server's",
        cause if cause.starts_with("http") => "it answers plain HTTP: is the path right, does it want a header or a token?",
        _ => "see the causes",
    };
    let message = format!("no client could connect to {} ({}){detail}\n  help: {help}", report.target.url, causes.join(", "));
    Stopped::environment(message)
}

pub(super) const fn exit_of(verdict: check::Verdict) -> Exit {
    match verdict {
        check::Outcome::Pass => Exit::Pass,
        check::Outcome::Fail => Exit::Fail,
        check::Outcome::Inconclusive => Exit::Inconclusive,
    }
}

fn read(args: &RunArgs) -> Result<Scenario, Stopped> {
    let file = args.scenario.display().to_string();
    let text = std::fs::read_to_string(&args.scenario).map_err(|e| Stopped::usage(format!("cannot read the scenario {file}: {e}")))?;
    let reading = super::plan::read_here(&text, &args.scenario, args.url.as_deref()).map_err(Stopped::usage)?;
    if !args.quiet {
        for warning in &reading.warnings {
            say(&warning.to_string());
        }
    }
    Ok(reading.scenario)
}

/// The built-in server as the scenario wants it: it takes compression where clients offer it, and broadcasts by itself where that is
/// what they listen to.
fn inside(scenario: &Scenario) -> ServerConfig {
    let feed = scenario.feed.as_ref().map(|feed| feed.built_in.to_std());
    let deflate = scenario.groups.iter().any(|group| group.connection.deflate);
    ServerConfig { feed, deflate, ..ServerConfig::on_free_port() }
}

fn seed(args: &RunArgs) -> Seed {
    // Nothing depends on this being unpredictable, only on it differing from run to run.
    Seed(args.seed.unwrap_or_else(|| Seed(Clock::unix_millis()).nth(u64::from(std::process::id())).0 >> 11))
}

/// What stands around a run.
struct Around<'a> {
    stop: drive::Stop,
    metrics: Option<&'a mut Metrics>,
}

async fn drive(
    args: &RunArgs,
    terminal: Terminal,
    plan: &Arc<Plan>,
    around: Around<'_>,
    journal: Option<&Keeping>,
) -> Result<(Outcome, Facts), Stopped> {
    let started = Clock::unix_millis();
    let built_in = plan.scenario.target == model::Target::BuiltIn;
    let needs = needs(args, plan);
    let workers = match args.processes {
        Processes::Auto => limits::workers_needed(&needs),
        Processes::Exactly(1) => 0,
        Processes::Exactly(n) => n.min(plan.connections),
    };
    limits::descriptors_suffice(&needs, workers).map_err(Stopped::environment)?;
    let server = if built_in { Some(reference_server::spawn(inside(&plan.scenario)).map_err(Stopped::environment)?) } else { None };
    let (url, shown) = match (&server, &plan.scenario.target) {
        (Some(server), _) => (server.url().to_owned(), server.url().to_owned()),
        (None, model::Target::Url(url)) => address(url, plan)?,
        (None, model::Target::BuiltIn) => return Err(Stopped::environment("the built-in server is gone")),
    };
    let urls = urls(args, plan, &url);
    let targets = resolve(&urls, plan).await?;
    let sources = limits::sources(args.source.as_ref().map_or(&[], |s| &s.0), &targets, plan.connections).map_err(Stopped::usage)?;
    let preflight = limits::preflight(&needs, workers, &sources, &targets).map_err(Stopped::environment)?;
    announce(args, plan, &shown, built_in);
    if !args.quiet {
        warn(plan, &sources, &targets);
        tell(&preflight, args.verbose, workers);
    }

    let facts = facts(plan, TargetFacts { url: shown, built_in }, started);
    let place = journal.map(|journal| journal.place().to_owned());
    let options = drive::Options {
        threads: needs.threads.in_each(workers),
        processes: workers,
        targets,
        urls,
        sources,
        folder: folder(args),
        server_inside: built_in,
        journal: place,
        live: around.metrics.map(|metrics| metrics.show(plan)).transpose()?,
    };
    if let Some(journal) = journal {
        journal.begin(&facts, options.shards(plan.connections))?;
    }
    let mut display = Display::new(terminal, args.quiet);
    let outcome = drive::run(plan.clone(), options, Clock::start(), around.stop, &mut |progress| display.show(progress)).await;
    display.finish();
    if let Some(server) = server {
        let _totals = server.stop();
    }
    let outcome = outcome.map_err(Stopped::environment)?;
    for lost in &outcome.lost {
        say(&format!("wsbench: {}", lost.reason));
    }
    Ok((outcome, facts))
}

/// A URL of the target's server, and the one fit to be shown.
fn address(url: &model::Address, plan: &Plan) -> Result<(String, String), Stopped> {
    let env = plan.scenario.env_names().into_iter().filter_map(|name| std::env::var(&name).ok().map(|value| (name, value))).collect();
    let vars = Vars { env: &env, ..Vars::default() };
    let shown = url.shown(&vars).map_err(Stopped::usage)?;
    Ok((url.server(&vars).map_err(Stopped::usage)?, super::secrets::without_secrets(&shown)))
}

/// Where the files a scenario names are looked for: beside it.
fn folder(args: &RunArgs) -> PathBuf {
    args.scenario.parent().map_or_else(PathBuf::new, std::path::Path::to_path_buf)
}

fn needs(args: &RunArgs, plan: &Plan) -> limits::Needs {
    let budget = plan.budget();
    limits::Needs {
        connections: plan.connections,
        server_inside: plan.scenario.target == model::Target::BuiltIn,
        threads: args.threads.map_or_else(|| limits::Threads::Together(threads(plan)), limits::Threads::Each),
        // Each shard has the journal open for itself.
        per_thread: budget.descriptors_per_thread + u64::from(args.journal.is_some()),
        memory: budget.memory_bytes,
    }
}

fn urls(args: &RunArgs, plan: &Plan, url: &str) -> Vec<(String, Trust)> {
    // Files a scenario names stand beside it; those of the command line are the command line's.
    let beside = |name: &String| folder(args).join(name);
    let trust = |group: &model::ClientGroup| Trust {
        insecure: args.insecure || group.insecure,
        roots: args.ca.clone().or_else(|| group.connection.tls_roots.as_ref().map(beside)),
        server_name: group.connection.sni.clone(),
        client: group.connection.tls_client.as_ref().map(|(chain, key)| (beside(chain), beside(key))),
    };
    plan.scenario.groups.iter().map(|group| (url.to_owned(), trust(group))).collect()
}

async fn resolve(urls: &[(String, Trust)], plan: &Plan) -> Result<Vec<Target>, Stopped> {
    let mut targets = Vec::new();
    for ((url, trust), group) in urls.iter().zip(&plan.scenario.groups) {
        targets.push(Target::resolve_through(url, trust, &group.connection.proxy).await.map_err(|e| match e {
            drive::target::TargetError::Url { .. } => Stopped::usage(e),
            _ => Stopped::environment(e),
        })?);
    }
    Ok(targets)
}

/// Says where the load goes and how much, before it goes.
fn announce(args: &RunArgs, plan: &Plan, url: &str, built_in: bool) {
    if args.quiet {
        return;
    }
    let budget = plan.budget();
    let server = if built_in { " (the built-in reference server)" } else { "" };
    say(&format!(
        "wsbench: {} → {}{server}: {} clients, {} publications, {} copies owed, seed {}",
        plan.scenario.name,
        url,
        plan.connections,
        budget.publications(),
        budget.copies(),
        plan.seed.0
    ));
    for disruption in &plan.scenario.disrupt {
        if let model::Verb::Server { command, .. } = &disruption.verb {
            say(&format!("wsbench: {} into the steady state it will run {command:?}", disruption.at));
        }
    }
}

/// Says which source addresses nobody will connect from. Where a group has a URL of its own, that is not known before it connects.
fn warn(plan: &Plan, sources: &[IpAddr], targets: &[Target]) {
    let unused = limits::unused(sources, targets);
    let known = plan.scenario.groups.iter().all(|group| group.connection.url.is_none());
    let over_ip = targets.iter().any(|target| target.socket().is_none());
    if let ([first, more @ ..], true, true) = (&unused[..], known, over_ip) {
        let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
        let family = if first.is_ipv4() { "IPv4" } else { "IPv6" };
        say(&format!("wsbench: the source address {first}{more} is not used: the target has no {family} address"));
    }
}

/// Says what the run needs and what this machine has: all of it when asked for, else only what is short or nearly so.
fn tell(preflight: &limits::Preflight, verbose: bool, workers: u32) {
    if verbose {
        let shown = |there: Option<u64>| there.map_or_else(|| "unknown".to_owned(), |n| n.to_string());
        let (files, files_there) = preflight.descriptors;
        let (ports, ports_there) = preflight.ports;
        let (memory, memory_there) = preflight.memory;
        let ports =
            if ports == 0 { "no local ports".to_owned() } else { format!("{ports} local ports (there are {})", shown(ports_there)) };
        say(&format!(
            "needs {files} open files (limit {}), {ports}, about {} of memory (available {})",
            shown(files_there),
            crate::base::ByteSize(memory),
            memory_there.map_or_else(|| "unknown".to_owned(), |n| crate::base::ByteSize(n).to_string())
        ));
    }
    if let Some(warning) = preflight.warning() {
        say(&warning);
    }
    // Worker processes are taken so that each is full: to be near the limit is what they are for.
    if let Some(near) = preflight.near().filter(|_| !verbose && workers == 0) {
        say(&format!("wsbench: {near}"));
    }
}

/// One thread carries about 60,000 copies a second or 5,000 connections with room to spare; more are used as the load asks.
fn threads(plan: &Plan) -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX));
    let seconds = plan.publishing().as_secs_f64().max(0.001);
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate")]
    let by_copies = (plan.budget().copies() as f64 / seconds / 60_000.0).ceil() as u32;
    by_copies.max(plan.connections.div_ceil(5_000)).clamp(1, cores)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An address given twice was counted with twice its ports.
    #[test]
    fn a_source_address_given_twice_is_one() {
        let sources = |text| parse_sources(text).map(|sources| sources.0.iter().map(IpAddr::to_string).collect::<Vec<_>>());
        assert_eq!(sources("127.0.0.1, 127.0.0.1"), Ok(vec!["127.0.0.1".to_owned()]));
        assert_eq!(sources("127.0.0.2,127.0.0.0/30"), Ok(vec!["127.0.0.2".to_owned(), "127.0.0.1".to_owned()]));
    }
}
