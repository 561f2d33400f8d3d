//! The other half of the proof: an honest server under loads drawn by seed must trip nothing. A finding that fails is a false
//! alarm; one that is left open says that this machine was too busy to be asked, and is counted apart.

use std::fmt::Write as _;
use std::time::Duration;

use futures::StreamExt as _;
use reference_server::{Fanout, ServerConfig};

use crate::base::{Rng, Seed};
use crate::check::{Finding, Outcome};

use super::super::exit::{Exit, Stopped};
use super::super::terminal::{print, say};
use super::staged;

/// A run: what was asked, and which findings were no pass.
struct Asked {
    seed: u64,
    load: Load,
    copies: u64,
    failed: Vec<String>,
    open: Vec<String>,
}

/// A load, and the server that must stand it without a finding.
#[derive(Debug, Clone)]
struct Load {
    clients: u64,
    publishers: u64,
    pace: String,
    size: &'static str,
    encoding: &'static str,
    others: bool,
    greeting: bool,
    heartbeat_ms: u64,
    deflate: bool,
    protocol_ping: bool,
    threads: u32,
    steady_ms: u64,
}

impl Load {
    /// The load of a seed.
    fn drawn(seed: u64) -> Self {
        let mut rng = Seed(seed).derive("honest").rng();
        let clients = 2 + rng.below(39);
        let publishers = 1 + rng.below(clients.min(6));
        let rate = 5 + rng.below(120);
        Self {
            clients,
            publishers,
            pace: pace(&mut rng, rate),
            size: pick(&mut rng, &["\"64B\"", "\"200B\"", "\"4KiB\"", "{ min = \"64B\", max = \"2KiB\" }"]),
            encoding: pick(&mut rng, &["text", "text", "binary"]),
            others: rng.below(4) == 0,
            greeting: rng.below(3) != 0,
            heartbeat_ms: pick(&mut rng, &[300, 400, 700]),
            deflate: rng.below(4) == 0,
            protocol_ping: rng.below(3) == 0,
            threads: pick(&mut rng, &[1, 1, 2]),
            steady_ms: 500 + rng.below(1000),
        }
    }

    /// Limits are those a busy machine keeps: what is asked here is who got what, not how fast.
    fn scenario(&self) -> String {
        let Self { clients, publishers, pace, size, encoding, heartbeat_ms, deflate, steady_ms, .. } = self;
        let audience = if self.others { "others" } else { "all" };
        let greeting = if self.greeting { "\"something\"" } else { "false" };
        format!(
            "name = \"honest\"\n[target]\ndeflate = {deflate}\n[clients]\ncount = {clients}\nconnect_rate = \"400/s\"\ngreeting = {greeting}\n\
             [publish]\npublishers = {publishers}\npace = {pace}\nsize = {size}\nencoding = \"{encoding}\"\naudience = \"{audience}\"\n\
             [phases]\nwarm_up = \"100ms\"\nsteady = \"{steady_ms}ms\"\ndrain = \"6s\"\n\
             [checks.connect]\nmin_share = \"100%\"\nwithin = \"5s\"\n[checks.delivery]\nwithin = \"5s\"\n\
             [checks.latency]\np99 = \"5s\"\n\
             [checks.pong]\nsend = \"ping\"\nexpect = {{ json = {{ type = 0, message = \"pong\" }} }}\nprotocol = true\nevery = \"400ms\"\nwithin = \"390ms\"\n\
             [checks.heartbeat]\nexpect = {{ json = {{ type = 1, message = \"ping\" }} }}\nevery = \"{heartbeat_ms}ms\"\ntolerance = \"{tolerance}ms\"\n\
             [checks.instrument]\nlate_send = \"500ms\"\nmax_loop_lag = \"200ms\"\n",
            tolerance = heartbeat_ms * 9 / 20,
        )
    }

    fn server(&self, seed: u64) -> ServerConfig {
        ServerConfig {
            fanout: if self.others { Fanout::Others } else { Fanout::All },
            heartbeat: Some(Duration::from_millis(self.heartbeat_ms)),
            greeting: self.greeting.then(|| "something".to_owned()),
            protocol_ping: self.protocol_ping.then_some(Duration::from_millis(500)),
            deflate: self.deflate,
            seed,
            ..ServerConfig::on_free_port()
        }
    }
}

fn pace(rng: &mut Rng, rate: u64) -> String {
    match rng.below(5) {
        0 => format!("{{ burst = {}, every = \"200ms\" }}", 1 + rate / 5),
        1 => format!("{{ poisson = \"{rate}/s\" }}"),
        2 => format!("{{ ramp = {{ from = \"1/s\", to = \"{rate}/s\" }} }}"),
        _ => format!("\"{rate}/s\""),
    }
}

fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    from[usize::try_from(rng.below(from.len() as u64)).unwrap_or(0)]
}

/// Runs `runs` honest loads, `jobs` at a time, and prints what they tripped.
pub(super) fn run(runs: u32, jobs: u16, seed: u64) -> Result<Exit, Stopped> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Stopped::environment)?;
    say(&format!("wsbench: {runs} runs against the honest built-in server, {jobs} at a time"));
    let asked = runtime.block_on(async {
        let seeds = futures::stream::iter(0..u64::from(runs));
        seeds.map(|n| ask(seed.wrapping_add(n))).buffer_unordered(jobs.into()).collect::<Vec<_>>().await
    });
    let asked = asked.into_iter().collect::<Result<Vec<_>, _>>()?;
    print(&render(&asked));
    Ok(if asked.iter().any(|run| !run.failed.is_empty()) {
        Exit::Fail
    } else if asked.iter().any(|run| !run.open.is_empty()) {
        Exit::Inconclusive
    } else {
        Exit::Pass
    })
}

async fn ask(seed: u64) -> Result<Asked, Stopped> {
    let load = Load::drawn(seed);
    let ran = staged::run(load.server(seed), &load.scenario(), seed, load.threads).await?;
    let of = |outcome: Outcome| {
        let says = |finding: &Finding| format!("{}: {}", finding.check, finding.observed);
        ran.findings.iter().filter(|finding| finding.outcome == outcome).map(says).collect()
    };
    Ok(Asked { seed, copies: ran.summary.copies.owed, failed: of(Outcome::Fail), open: of(Outcome::Inconclusive), load })
}

fn render(asked: &[Asked]) -> String {
    let mut out = String::new();
    for run in asked {
        for (what, findings) in [("false alarm", &run.failed), ("left open", &run.open)] {
            for finding in findings {
                let _ = writeln!(out, "{what}, seed {}: {finding}\n    {:?}", run.seed, run.load);
            }
        }
    }
    let runs = asked.len();
    let alarms = asked.iter().filter(|run| !run.failed.is_empty()).count();
    let open = asked.iter().filter(|run| run.failed.is_empty() && !run.open.is_empty()).count();
    let copies: u64 = asked.iter().map(|run| run.copies).sum();
    let _ = writeln!(out, "{alarms} false alarms in {runs} honest runs of {copies} copies owed, {open} left open by a busy machine");
    if alarms == 0 && runs > open {
        // The rule of three: with none in n, the rate is below 3/n at 95 %.
        #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
        let below = 300.0 / (runs - open) as f64;
        let _ = writeln!(out, "the rate of false alarms is below {below:.1} % (95 % confidence, none in {})", runs - open);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever is drawn is a scenario, and the draws reach every kind of load.
    #[test]
    fn every_load_drawn_is_a_scenario() {
        let loads: Vec<_> = (0..500).map(Load::drawn).collect();
        for load in &loads {
            crate::scenario::parse(&load.scenario(), "drawn").unwrap_or_else(|error| panic!("{load:?}: {error}"));
        }
        for (what, there) in [
            ("others", loads.iter().any(|load| load.others)),
            ("compression", loads.iter().any(|load| load.deflate)),
            ("bursts", loads.iter().any(|load| load.pace.contains("burst"))),
            ("no greeting", loads.iter().any(|load| !load.greeting)),
            ("two threads", loads.iter().any(|load| load.threads == 2)),
        ] {
            assert!(there, "no load has {what}");
        }
    }
}
