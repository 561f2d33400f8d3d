//! Instructions per copy, counted by callgrind: the same on a busy machine as on an idle one. Fails when a copy costs over ten
//! per cent more than the committed figure, or a copy in a JSON envelope more than 1.5 times one relayed as it is.
//!
//! ```text
//! cargo bench --bench instructions                 compare with benches/instructions.json
//! cargo bench --bench instructions -- --update     write it anew, after a change that is worth it
//! ```
//!
//! Needs valgrind (`apt-get install valgrind`). The road measured is `feed/mod.rs`; each figure is the difference between a
//! longer and a shorter run, so that starting up does not count.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its figures")]

#[path = "../feed/mod.rs"]
mod feed;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use clap::{Parser, ValueEnum as _};
use feed::{Feed, Kind};
use serde::{Deserialize, Serialize};

/// Growth that fails.
const TOLERANCE: f64 = 0.10;

/// What a copy in a JSON envelope may cost, in copies relayed as they are.
const ENVELOPE: f64 = 1.5;

/// What a copy may cost in a scenario full of what is not used, in copies of the plain one: nothing, to within how the counts of
/// two programs' runs differ.
const FURNISHED: f64 = 1.01;

/// A way copies come.
struct Road {
    name: &'static str,
    kind: Kind,
    /// Publications a read.
    each: u32,
    /// Rounds of the shorter run and of the longer one.
    rounds: [u32; 2],
}

const ROADS: [Road; 5] = [
    Road { name: "one_frame_a_read", kind: Kind::Plain, each: 1, rounds: [200, 1_200] },
    Road { name: "many_frames_a_read", kind: Kind::Plain, each: 400, rounds: [1, 4] },
    Road { name: "one_frame_a_read_furnished", kind: Kind::Furnished, each: 1, rounds: [200, 1_200] },
    Road { name: "one_envelope_a_read", kind: Kind::Enveloped, each: 1, rounds: [200, 1_200] },
    Road { name: "many_envelopes_a_read", kind: Kind::Enveloped, each: 400, rounds: [1, 4] },
];

#[derive(Parser)]
#[command(about = "Counts the instructions a copy costs")]
struct Args {
    /// Write the figures as the new standard
    #[arg(long)]
    update: bool,
    /// Feed this many rounds of this many publications and end (what callgrind is given to run)
    #[arg(long, hide = true, num_args = 2)]
    feed: Option<Vec<u32>>,
    /// To these clients
    #[arg(long, hide = true, default_value = "plain")]
    kind: Kind,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// `benches/instructions.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Standard {
    /// What the figures are.
    unit: String,
    /// By road.
    instructions_per_copy: BTreeMap<String, f64>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Some([rounds, each]) = args.feed.as_deref() {
        println!("{}", Feed::new(args.kind).run(*rounds, *each));
        return ExitCode::SUCCESS;
    }
    match compare(args.update) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::FAILURE
        }
    }
}

fn standard() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "benches", "instructions.json"].iter().collect()
}

fn compare(update: bool) -> Result<ExitCode, String> {
    let mut seen = BTreeMap::new();
    for Road { name, kind, each, rounds: [short, long] } in ROADS {
        let (less, fewer) = count(short, each, kind)?;
        let (more, copies) = count(long, each, kind)?;
        #[expect(clippy::cast_precision_loss, reason = "a ratio")]
        let figure = (more - less) as f64 / (copies - fewer) as f64;
        seen.insert(name.to_owned(), (figure * 10.0).round() / 10.0);
    }
    if update {
        let standard = Standard { unit: "instructions (callgrind, bench profile, x86-64)".into(), instructions_per_copy: seen };
        let text = serde_json::to_string_pretty(&standard).map_err(|e| e.to_string())? + "\n";
        std::fs::write(self::standard(), &text).map_err(|e| e.to_string())?;
        print!("{text}");
        return Ok(ExitCode::SUCCESS);
    }
    let path = standard();
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let standard: Standard = serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut risen = false;
    for (name, figure) in &seen {
        let Some(committed) = standard.instructions_per_copy.get(name) else {
            println!("{name:<26} {figure:>8.1} instructions a copy, none committed  NOT COMMITTED (--update)");
            risen = true;
            continue;
        };
        let change = figure / committed - 1.0;
        let verdict = if change > TOLERANCE { "RISEN TOO FAR" } else { "ok" };
        risen |= change > TOLERANCE;
        println!("{name:<26} {figure:>8.1} instructions a copy, committed {committed:.1} ({:+.1} %)  {verdict}", change * 100.0);
    }
    let dear = beside_plain(&seen);
    Ok(if risen || dear { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Whether anything costs more, beside a plain copy, than it may.
fn beside_plain(seen: &BTreeMap<String, f64>) -> bool {
    let mut dear = false;
    for (road, plain, most) in [
        ("one_frame_a_read_furnished", "one_frame_a_read", FURNISHED),
        ("one_envelope_a_read", "one_frame_a_read", ENVELOPE),
        ("many_envelopes_a_read", "many_frames_a_read", ENVELOPE),
    ] {
        let ratio = seen[road] / seen[plain];
        dear |= ratio > most;
        println!("{road:<26} {ratio:>8.3} times a plain copy, at most {most}  {}", if ratio > most { "TOO DEAR" } else { "ok" });
    }
    dear
}

/// Instructions of a whole run, and the copies it fed.
fn count(rounds: u32, each: u32, kind: Kind) -> Result<(u64, u64), String> {
    let me = std::env::current_exe().map_err(|e| e.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(me)
        .arg("--feed")
        .args([rounds, each].map(|n| n.to_string()))
        .args(["--kind", kind.to_possible_value().map_or("plain".into(), |v| v.get_name().to_owned()).as_str()])
        .output()
        .map_err(|e| format!("valgrind: {e}; on Debian: apt-get install valgrind"))?;
    let (told, counted) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    let instructions = told.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
    let copies = counted.trim().parse().ok();
    instructions.zip(copies).ok_or_else(|| format!("callgrind said no figure ({}):\n{told}", output.status))
}
