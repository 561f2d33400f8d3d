//! One run of wsbench, watched from outside: its phases as it tells them, what the system says of its process at each, and its
//! report.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;
use wsbench::base::Span;

use crate::process::{self, Failed, Running};

/// What the client's process used by the beginning of a phase.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Mark {
    pub(crate) cpu: Span,
    pub(crate) memory: u64,
}

/// A run that is over.
pub(crate) struct Ran {
    pub(crate) marks: BTreeMap<String, Mark>,
    /// Memory second by second.
    pub(crate) memory: Vec<u64>,
    report: Value,
}

/// Runs `scenario` (TOML) with further arguments to its end.
pub(crate) fn run(scenario: &str, arguments: &[String]) -> Result<Ran, Failed> {
    let failed = Failed::because("wsbench");
    let mut file = tempfile::NamedTempFile::with_suffix(".toml").map_err(&failed)?;
    file.write_all(scenario.as_bytes()).map_err(&failed)?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_wsbench"));
    command
        .arg("run")
        .arg(file.path())
        .args(["--format", "json", "--seed", "1"])
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = Running::start(&mut command, "wsbench")?;
    let (Some(mut out), Some(err)) = (child.0.stdout.take(), child.0.stderr.take()) else {
        return Err(Failed("no pipes".into()));
    };
    let pid = child.pid();
    let sampler = Sampler::start(pid);
    let phases = std::thread::spawn(move || phases(BufReader::new(err), pid));
    let mut text = String::new();
    out.read_to_string(&mut text).map_err(&failed)?;
    let status = child.0.wait().map_err(&failed)?;
    let (marks, told) = phases.join().map_err(|_| Failed("the listening thread broke".into()))?;
    let memory = sampler.stop();
    let report = serde_json::from_str(&text).map_err(|e| Failed(format!("no report ({status}, {e}): {told}")))?;
    Ok(Ran { marks, memory, report })
}

/// Listens to the progress, one line a phase, and looks at the process as each begins.
fn phases(lines: impl BufRead, pid: u32) -> (BTreeMap<String, Mark>, String) {
    let mut marks = BTreeMap::new();
    let mut told = String::new();
    for line in lines.lines().map_while(Result::ok) {
        if let Some(phase) = line.split_whitespace().nth(1).filter(|w| ["ramp", "warm-up", "steady", "drain", "close"].contains(w)) {
            marks.entry(phase.to_owned()).or_insert_with(|| look(pid));
        } else {
            told += &line;
            told.push('\n');
        }
    }
    (marks, told)
}

/// The process and its workers.
fn look(pid: u32) -> Mark {
    let mut mark = Mark { cpu: process::cpu(pid), memory: process::memory(pid) };
    for worker in process::children(pid) {
        mark.cpu = mark.cpu + process::cpu(worker);
        mark.memory += process::memory(worker);
    }
    mark
}

/// Looks at the memory of a process once a second.
struct Sampler {
    stop: mpsc::Sender<()>,
    thread: std::thread::JoinHandle<Vec<u64>>,
}

impl Sampler {
    fn start(pid: u32) -> Self {
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut seen = Vec::new();
            while stopped.recv_timeout(Duration::from_secs(1)) == Err(mpsc::RecvTimeoutError::Timeout) {
                seen.push(look(pid).memory);
            }
            seen
        });
        Self { stop, thread }
    }

    fn stop(self) -> Vec<u64> {
        let _ = self.stop.send(());
        self.thread.join().unwrap_or_default()
    }
}

impl Ran {
    /// The number at a path such as `summary.copies.received`; NaN when there is none.
    pub(crate) fn number(&self, path: &str) -> f64 {
        path.split('.').fold(&self.report, |value, key| &value[key]).as_f64().unwrap_or(f64::NAN)
    }

    /// A percentile of a latency, in milliseconds.
    pub(crate) fn percentile(&self, latency: &str, percentile: f64) -> f64 {
        let list = &self.report["summary"]["latency"][latency]["percentiles"];
        let found = list.as_array().into_iter().flatten().find(|entry| entry["percentile"].as_f64() == Some(percentile));
        found.and_then(|entry| entry["value_ns"].as_f64()).unwrap_or(f64::NAN) / 1e6
    }

    /// The verdict and, unless it is a pass, the findings that are none.
    pub(crate) fn verdict(&self) -> String {
        let verdict = self.report["verdict"].as_str().unwrap_or("none");
        let against = self.report["findings"].as_array().into_iter().flatten().filter(|f| f["outcome"] != "pass");
        let against: Vec<_> =
            against.map(|f| format!("{} ({})", f["check"].as_str().unwrap_or(""), f["note"].as_str().unwrap_or(""))).collect();
        if against.is_empty() { verdict.to_owned() } else { format!("{verdict}: {}", against.join("; ")) }
    }

    pub(crate) fn passed(&self) -> bool {
        self.report["verdict"] == "pass"
    }

    /// What the process used from one phase to another.
    pub(crate) fn cpu(&self, from: &str, to: &str) -> f64 {
        let at = |phase| self.marks.get(phase).copied().unwrap_or_default().cpu;
        at(to).saturating_sub(at(from)).as_secs_f64()
    }

    /// Copies received per second of the process's CPU, from the moment all are open until the queues are empty.
    pub(crate) fn copies_per_cpu_second(&self) -> f64 {
        self.number("summary.copies.received") / self.cpu("warm-up", "close")
    }
}
