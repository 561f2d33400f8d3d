//! `wsbench prove`: the instrument proved against a server that lies on purpose. Each fault of the built-in server is committed
//! in a run of its own; exactly the findings that name it must leave Pass, and the counts must be those of the server's log.

mod honest;
mod load;
mod matrix;
mod staged;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use clap::Args;
use futures::{StreamExt as _, TryStreamExt as _};
use reference_server::ServerConfig;

use crate::check::{Finding, Outcome};

use super::exit::{Exit, Stopped};
use super::terminal::{Terminal, print, say};
use load::Load;
use matrix::{Count, LEFT_OUT, MATRIX, Row};

/// `wsbench prove`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wsbench prove                 the whole matrix, about two minutes
  wsbench prove drop beat       only the faults whose names begin so
  wsbench prove --honest 500    no fault at all, 500 loads drawn by seed: nothing may be found")]
pub struct ProveArgs {
    /// Only faults whose names begin with one of these
    #[arg(value_name = "FAULT")]
    only: Vec<String>,

    /// List the faults, what each must trip and why, without running any
    #[arg(long)]
    list: bool,

    /// Instead: so many short runs against the honest server, under loads drawn by seed; any finding that fails is a false alarm
    #[arg(long, value_name = "RUNS", conflicts_with_all = ["only", "list"], value_parser = clap::value_parser!(u32).range(1..=100_000))]
    honest: Option<u32>,

    /// Runs at a time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: u16,

    /// Repeat the random choices of an earlier run
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// The fault of a server that commits none.
const HONEST: &str = "(none)";

/// What came of a row.
struct Proof {
    row: Row,
    tripped: Vec<String>,
    logged: u64,
    counted: Option<u64>,
    acts: u64,
    /// Publications that witnesses name and the server's log does not.
    strangers: BTreeSet<u64>,
}

impl Proof {
    fn holds(&self) -> bool {
        self.tripped == self.row.trips
            && self.counted.is_none_or(|counted| counted == self.logged)
            && self.strangers.is_empty()
            && (self.acts > 0 || self.row.fault == HONEST)
    }
}

/// Proves the matrix and prints it.
#[must_use]
pub fn run(args: &ProveArgs, terminal: Terminal) -> Exit {
    match attempt(args, terminal) {
        Ok(exit) => exit,
        Err(stopped) => stopped.tell(),
    }
}

fn attempt(args: &ProveArgs, terminal: Terminal) -> Result<Exit, Stopped> {
    if args.list {
        print(&listing());
        return Ok(Exit::Pass);
    }
    if let Some(runs) = args.honest {
        return honest::run(runs, args.jobs, args.seed);
    }
    let rows: Vec<Row> =
        MATRIX.iter().filter(|row| args.only.is_empty() || args.only.iter().any(|o| row.fault.starts_with(o.as_str()))).copied().collect();
    if rows.is_empty() {
        return Err(Stopped::usage(format!("no fault is called {}; `wsbench serve --help` lists them", args.only.join(", "))));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Stopped::environment)?;
    say(&format!("wsbench: proving {} faults against the built-in server, {} at a time", rows.len(), args.jobs));
    let mut loads: Vec<Load> = Vec::new();
    for row in &rows {
        if !loads.contains(&row.load) {
            loads.push(row.load);
        }
    }
    let honest = loads.iter().map(|load| Row {
        fault: HONEST,
        trips: &[],
        count: Count::None,
        because: "an honest server trips nothing",
        load: *load,
    });
    let all: Vec<Row> = honest.chain(rows).collect();
    let mut honest = runtime.block_on(async {
        let runs = futures::stream::iter(all).map(|row| prove(row, args.seed));
        runs.buffered(args.jobs.into()).try_collect::<Vec<_>>().await
    })?;
    let proofs = honest.split_off(loads.len());
    print(&render(&honest, &proofs, terminal.style.unicode));
    let holds = honest.iter().all(Proof::holds) && proofs.iter().all(Proof::holds);
    Ok(if holds { Exit::Pass } else { Exit::Fail })
}

/// The matrix in words, and what is left out of it.
fn listing() -> String {
    let mut out = String::new();
    for row in MATRIX {
        let trips = if row.trips.is_empty() { "nothing".to_owned() } else { row.trips.join(", ") };
        let _ = writeln!(out, "{:<52} {trips:<36} {}", row.name(), row.because);
    }
    let _ = writeln!(out, "\nchecks without a row:");
    for (check, reason) in LEFT_OUT {
        let _ = writeln!(out, "{check:<52} {reason}");
    }
    out
}

/// One run, against an honest server or one with a fault.
async fn prove(row: Row, seed: u64) -> Result<Proof, Stopped> {
    let faults = match row.fault {
        HONEST => Vec::new(),
        fault => vec![fault.parse().map_err(|e| Stopped::environment(format!("{fault}: {e}")))?],
    };
    let config = ServerConfig { faults, seed, ..row.load.server() };
    let ran = staged::run(config, &row.load.scenario(), seed, 1).await?;
    Ok(Proof {
        tripped: tripped(&ran.findings),
        logged: ran.log.iter().map(|line| copies(line)).sum(),
        acts: ran.log.len() as u64,
        counted: row.count.in_report(&ran),
        strangers: strangers(row, &ran.findings, &ran.log),
        row,
    })
}

/// Publications that a finding's witnesses name though nothing was done to them, where acts are counted and concern publications. The
/// one publisher of a load numbers its publications as the server does; a feed is numbered by the server alone.
fn strangers(row: Row, findings: &[Finding], log: &[String]) -> BTreeSet<u64> {
    let act = |line: &String| serde_json::from_str::<serde_json::Value>(line).ok()?["publication"].as_u64();
    let known: BTreeSet<u64> = log.iter().filter_map(act).collect();
    if known.is_empty() || row.load == Load::Feed || matches!(row.count, Count::None) {
        return BTreeSet::new();
    }
    let failed = findings.iter().filter(|finding| finding.outcome != Outcome::Pass);
    let named = failed.flat_map(|finding| &finding.witnesses).filter_map(|witness| witness.seq.map(u64::from));
    named.filter(|seq| !known.contains(seq)).collect()
}

fn tripped(findings: &[Finding]) -> Vec<String> {
    findings.iter().filter(|f| f.outcome != Outcome::Pass).map(|f| f.check.clone()).collect()
}

/// How many copies an act in the server's log concerned.
fn copies(line: &str) -> u64 {
    let act: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
    act["copies"].as_u64().unwrap_or(1)
}

fn render(honest: &[Proof], proofs: &[Proof], unicode: bool) -> String {
    let (good, bad) = if unicode { ("✓", "✗") } else { ("+", "x") };
    let mut out = format!("  {:<52} {:<36} {:>8} {:>8}\n", "fault", "findings that left pass", "log", "report");
    for proof in honest.iter().chain(proofs) {
        let holds = proof.holds();
        let found = if proof.tripped.is_empty() { "none".to_owned() } else { proof.tripped.join(", ") };
        let counts = proof.counted.map_or_else(|| (proof.acts.to_string(), "-".into()), |n| (proof.logged.to_string(), n.to_string()));
        let mark = if holds { good } else { bad };
        let _ = writeln!(out, "{mark} {:<52} {found:<36} {:>8} {:>8}", proof.row.name(), counts.0, counts.1);
        if !holds {
            let expected = if proof.row.trips.is_empty() { "none".to_owned() } else { proof.row.trips.join(", ") };
            let _ = writeln!(out, "    should be: {expected} ({})", proof.row.because);
            if !proof.strangers.is_empty() {
                let _ = writeln!(out, "    witnesses name publications to which nothing was done: {:?}", proof.strangers);
            }
        }
    }
    let held = proofs.iter().filter(|p| p.holds()).count();
    let _ = writeln!(out, "\n{held} of {} faults found, named and counted as they were committed", proofs.len());
    out
}

#[cfg(test)]
mod tests {
    use reference_server::Fault;
    use reference_server::fault::Kind;

    use super::{BTreeSet, Finding, LEFT_OUT, MATRIX, Outcome, Row, strangers};
    use crate::check::{CATALOGUE, Witness};

    #[test]
    fn every_check_has_a_fault_that_turns_it_red_or_a_reason() {
        let tripped: BTreeSet<&str> = MATRIX.iter().flat_map(|row| row.trips.iter().copied()).collect();
        let reasons: BTreeSet<&str> = LEFT_OUT.iter().map(|(check, _)| *check).collect();
        for check in &CATALOGUE {
            assert!(tripped.contains(check.id) != reasons.contains(check.id), "`{}` needs a row or a reason, not both", check.id);
        }
        let known: BTreeSet<&str> = CATALOGUE.iter().map(|check| check.id).collect();
        assert!(tripped.union(&reasons).all(|id| known.contains(id)), "a row or a reason names no check");
    }

    #[test]
    fn every_fault_has_a_row() {
        let rows: BTreeSet<&str> = MATRIX.iter().map(|row| row.fault.split([',', '=']).next().unwrap_or("")).collect();
        for kind in Kind::ALL {
            assert!(rows.contains(kind.name()), "`{}` needs a row: what must it trip?", kind.name());
        }
        let names: BTreeSet<String> = MATRIX.iter().map(Row::name).collect();
        assert_eq!(names.len(), MATRIX.len(), "two rows have one name");
        for row in MATRIX {
            row.fault.parse::<Fault>().unwrap_or_else(|e| panic!("{}: {e}", row.fault));
            assert!(!row.because.is_empty());
        }
    }

    #[test]
    fn every_load_is_a_scenario() {
        for row in MATRIX {
            let scenario = row.load.scenario();
            crate::scenario::parse(&scenario, "a load").unwrap_or_else(|error| panic!("{}: {error}", row.name()));
        }
    }

    #[test]
    fn a_witness_of_what_was_never_done_is_a_stranger() {
        let witness = |seq| Witness { at_ns: 1, client: Some(2), publisher: Some(0), seq: Some(seq), what: String::new() };
        let finding = |outcome, seqs: &[u32]| Finding {
            check: "delivery".into(),
            claim: String::new(),
            population: 9,
            population_unit: String::new(),
            outcome,
            expected: String::new(),
            observed: String::new(),
            violations: 2,
            note: String::new(),
            witnesses: seqs.iter().map(|seq| witness(*seq)).collect(),
        };
        let log =
            [r#"{"fault":"drop","client":2,"publication":4}"#.to_owned(), r#"{"fault":"drop","client":3,"publication":7}"#.to_owned()];
        let of = |outcome, seqs: &[u32]| strangers(MATRIX[0], &[finding(outcome, seqs)], &log).into_iter().collect::<Vec<_>>();
        assert!(of(Outcome::Fail, &[4, 7]).is_empty());
        assert_eq!(of(Outcome::Fail, &[4, 5, 7]), [5]);
        assert!(of(Outcome::Pass, &[5]).is_empty());
    }
}
