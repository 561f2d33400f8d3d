//! `wsbench judge`: a run judged again from its journal, without the server: the same report, byte for byte, or the answer of
//! other checks to old evidence, or the story of one publication or client.

mod fold;
mod story;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use crate::check::{Finding, Outcome};
use crate::drive::Cost;
use crate::event::journal::{Header, Missing};
use crate::plan::Plan;
use crate::report::{self, Facts, Report};
use crate::scenario::model::Checks;
use crate::scenario::{self, Scenario};

use super::exit::{Exit, Stopped};
use super::gate::GateArgs;
use super::run::exit_of;
use super::telling::{facts, told};
use super::terminal::{Terminal, print};

/// `wsbench judge`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wsbench run scenarios/broadcast.toml --journal run.wsj
  wsbench judge run.wsj                              the same verdict and report again
  wsbench judge run.wsj --checks stricter.toml       other [checks] asked of the same evidence
  wsbench judge run.wsj --threshold 'delivery.p99 < 250ms' --html report.html
  wsbench judge run.wsj --baseline base/ --fail-on-regression 10%
  wsbench judge run.wsj --explain 0#117              what became of publication 117 of publisher 0
  wsbench judge run.wsj --explain 931                what client 931 lived through")]
pub struct JudgeArgs {
    /// The journal, written by `wsbench run --journal`
    #[arg(value_name = "JOURNAL")]
    journal: PathBuf,

    /// Ask the [checks] of this file instead of those of the run
    #[arg(long, value_name = "SCENARIO", help_heading = "Question")]
    checks: Option<PathBuf>,

    /// Tell the story of one publication (PUBLISHER#NUMBER) or one client (its number) instead
    #[arg(long, value_name = "WHICH", help_heading = "Question", value_parser = story::parse, conflicts_with_all = ["checks", "GateArgs"])]
    explain: Option<story::Subject>,

    #[command(flatten)]
    gate: GateArgs,

    /// Replace files that are already there
    #[arg(long, help_heading = "Output")]
    force: bool,

    /// What to print on standard output
    #[arg(long, value_enum, default_value_t = Format::Text, help_heading = "Output", conflicts_with = "explain")]
    format: Format,
}

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// The report, for people.
    Text,
    /// `report.json`.
    Json,
}

/// Judges the journal and tells what came of it.
#[must_use]
pub fn run(args: &JudgeArgs, terminal: Terminal) -> Exit {
    match attempt(args, terminal) {
        Ok(exit) => exit,
        Err(stopped) => stopped.tell(),
    }
}

fn attempt(args: &JudgeArgs, terminal: Terminal) -> Result<Exit, Stopped> {
    let header = fold::open(&args.journal)?.header().clone();
    let (mut plan, mut facts) = what_was_run(&args.journal, &header)?;
    if let Some(subject) = args.explain {
        let told = story::tell(fold::open(&args.journal)?, &plan, subject, terminal.style).map_err(Stopped::usage)?;
        print(&told);
        return Ok(Exit::Pass);
    }
    if let Some(place) = &args.checks {
        (plan, facts) = with_checks(&plan, facts, other_checks(place, &plan.scenario)?);
    }
    let gate = args.gate.open(args.force, 1, &facts)?;
    let mut report = judged(&args.journal, &Arc::new(plan), facts, header.shards)?;
    gate.ask(&mut report);
    let comparison = gate.compare(std::slice::from_mut(&mut report))?;
    match args.format {
        Format::Text => print(&report::text::render(&report, &terminal.style)),
        Format::Json => print(&report::json::render(&report)),
    }
    gate.tell(std::slice::from_ref(&report), comparison.as_ref(), &terminal.style, args.format == Format::Json)?;
    Ok(exit_of(report.verdict))
}

/// The plan as it was, and what the report says of it.
fn what_was_run(place: &Path, header: &Header) -> Result<(Plan, Facts), Stopped> {
    let damaged = |what: &str| Stopped::usage(format!("{}: {what} in the journal's header cannot be read", place.display()));
    let scenario = scenario::parse(&header.scenario, "the journal's scenario").map_err(|e| {
        Stopped::usage(format!("{}: written by wsbench {}, and not understood by this one:\n{e}", place.display(), header.wsbench_version))
    })?;
    let facts = serde_json::from_value(header.facts.clone()).map_err(|_| damaged("what was run"))?;
    let mut plan = Plan::new(Arc::new(scenario), header.seed);
    plan.run = header.run;
    Ok((plan, facts))
}

/// The report of a journal. What is missing from it is a finding of its own.
fn judged(place: &Path, plan: &Arc<Plan>, facts: Facts, shards: u32) -> Result<Report, Stopped> {
    let folded = fold::fold(place, plan)?;
    let cost = folded.ending.trailer.as_ref().and_then(|trailer| serde_json::from_value(trailer.facts.clone()).ok());
    let mut report = told(plan, &folded.account, &cost.unwrap_or(Cost { shards, ..Cost::default() }), facts);
    if !folded.ending.missing.is_empty() || cost.is_none() {
        report.add_findings([incomplete(&folded)]);
    }
    Ok(report)
}

/// Most pieces named in a finding.
const NAMED: usize = 8;

fn incomplete(folded: &fold::Folded) -> Finding {
    let missing = &folded.ending.missing;
    let mut names: Vec<String> = missing.iter().take(NAMED).map(Missing::to_string).collect();
    if missing.len() > NAMED {
        names.push(format!("{} more", missing.len() - NAMED));
    }
    let (observed, note) = match folded.cut {
        Some(cut) => (
            format!("whole until {cut}"),
            format!("judged is what all shards recorded until then; what was owed later is contested. Missing: {}", names.join("; ")),
        ),
        None => (
            "every event, but not the run's end".into(),
            format!("what the run cost the instrument is not known. Missing: {}", names.join("; ")),
        ),
    };
    Finding {
        check: "journal".into(),
        claim: "The journal holds the whole run.".into(),
        population: folded.events,
        population_unit: "events".into(),
        outcome: Outcome::Inconclusive,
        expected: "every block of every shard, and the run's end".into(),
        observed,
        violations: missing.len() as u64,
        note,
        witnesses: Vec::new(),
    }
}

/// The `[checks]` of another file: of a whole scenario, or of a file that has nothing else.
fn other_checks(place: &Path, scenario: &Scenario) -> Result<Checks, Stopped> {
    let file = place.display().to_string();
    let text = std::fs::read_to_string(place).map_err(|e| Stopped::usage(format!("cannot read {file}: {e}")))?;
    let alone = text.parse::<toml::Table>().is_ok_and(|table| table.keys().all(|key| key == "checks"));
    let text = if alone { text + "\n" + &without_checks(scenario) } else { text };
    let mut checks = scenario::parse(&text, &file).map_err(Stopped::usage)?.checks;
    // What a beat, a pong or a greeting is was decided when it arrived; the journal holds the decision, not the message.
    if let (Some(asked), Some(recorded)) = (&mut checks.heartbeat, &scenario.checks.heartbeat) {
        asked.beat.clone_from(&recorded.beat);
    }
    if let (Some(asked), Some(recorded)) = (&mut checks.pong, &scenario.checks.pong) {
        asked.application.clone_from(&recorded.application);
        asked.protocol = recorded.protocol;
    }
    Ok(checks)
}

/// The rest of a scenario as TOML tables, to stand behind a file's own `[checks]`, whose lines keep their numbers.
fn without_checks(scenario: &Scenario) -> String {
    let mut table: toml::Table = scenario.to_toml().parse().unwrap_or_default();
    for key in ["checks", "name", "description"] {
        table.remove(key);
    }
    table.to_string()
}

fn with_checks(plan: &Plan, told: Facts, checks: Checks) -> (Plan, Facts) {
    let mut scenario = Scenario::clone(&plan.scenario);
    scenario.checks = checks;
    let mut other = Plan::new(Arc::new(scenario), plan.seed);
    other.run = plan.run;
    let facts = Facts { seed: told.seed, ..facts(&other, told.target, told.started_at_unix_ms) };
    (other, facts)
}
