//! One run on a stage of its own: a server in this process, honest or not, a scenario, and what was found, counted and logged.

use std::sync::{Arc, Mutex};

use reference_server::{Server, ServerConfig};
use tokio::sync::watch;

use crate::base::Seed;
use crate::check::{self, Finding};
use crate::drive::clock::Clock;
use crate::drive::target::Trust;
use crate::drive::{self, Target};
use crate::measure::{self, Summary};
use crate::plan::Plan;
use crate::scenario;

use super::super::exit::Stopped;

/// What a run left.
pub(super) struct Ran {
    pub(super) findings: Vec<Finding>,
    pub(super) summary: Summary,
    /// Attempts to come back that failed.
    pub(super) failed_returns: u64,
    /// The server's log of its faults, a line an act.
    pub(super) log: Vec<String>,
}

/// Runs `text` against a server of `config`.
///
/// # Errors
/// When there is no server, no run, or `text` is no scenario.
pub(super) async fn run(config: ServerConfig, text: &str, seed: u64, threads: u32) -> Result<Ran, Stopped> {
    let scenario = scenario::parse(text, "the scenario of prove").map_err(Stopped::environment)?;
    let feed = scenario.feed.as_ref().map(|feed| feed.built_in.to_std());
    let config = ServerConfig { feed, ..config };
    let log = Arc::new(Mutex::new(Vec::<String>::new()));
    let sink = log.clone();
    let write = move |line: &str| sink.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(line.to_owned());
    let server = Server::bind(config).and_then(|server| server.with_fault_log(Arc::new(write)).start()).map_err(Stopped::environment)?;

    let plan = Arc::new(Plan::new(Arc::new(scenario), Seed(seed)));
    let target = Target::resolve(server.url(), &Trust::default()).await.map_err(Stopped::environment)?;
    let groups = plan.scenario.groups.len();
    let options = drive::Options {
        threads,
        processes: 0,
        urls: vec![(server.url().to_owned(), Trust::default()); groups],
        targets: vec![target; groups],
        sources: Vec::new(),
        folder: std::path::PathBuf::new(),
        server_inside: true,
        journal: None,
        live: None,
    };
    let (_stop, stop) = watch::channel(false);
    let outcome = drive::run(plan.clone(), options, Clock::start(), stop, &mut |_| {}).await.map_err(Stopped::environment)?;
    let _totals = server.stop();

    let log = log.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
    let account = &outcome.account;
    Ok(Ran {
        findings: check::judge(&plan, account),
        summary: measure::summarize(&plan, account),
        failed_returns: account.connections.returns_failed.values().sum(),
        log,
    })
}
