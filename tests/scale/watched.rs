//! The binary under watch: started, followed by what it tells, signalled, and never left behind.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::NamedTempFile;

/// A scenario in a file that goes when it is dropped.
pub(crate) fn scenario_file(text: &str) -> NamedTempFile {
    let file = NamedTempFile::with_suffix(".toml").expect("a temporary file");
    std::fs::write(file.path(), text).expect("the scenario is written");
    file
}

/// `wsbench run` with a report in JSON.
pub(crate) fn wsbench(scenario: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wsbench"));
    command.arg("run").arg(scenario).args(["--format", "json"]).args(arguments);
    command
}

/// Lets time pass: how long a stop lasts is what these tests are about, not a hope that something is done by then.
#[expect(clippy::disallowed_methods, reason = "a stop of three seconds takes three seconds")]
pub(crate) fn pass(span: Duration) {
    std::thread::sleep(span);
}

/// Waits until `condition` holds, a minute at most.
pub(crate) fn until(what: &str, condition: impl Fn() -> bool) {
    let look = Duration::from_millis(20);
    assert!(
        (0..3_000).any(|_| condition() || {
            pass(look);
            false
        }),
        "not within a minute: {what}"
    );
}

pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(pid, signal).expect("the process is there");
}

/// The finding of a check.
pub(crate) fn outcome(report: &Value, check: &str) -> Value {
    let findings = report["findings"].as_array().expect("findings");
    findings.iter().find(|f| f["check"] == check).cloned().unwrap_or_else(|| panic!("no finding of {check}"))
}

/// A process that ends with the test.
struct Owned(Child);

impl Drop for Owned {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `wsbench serve` in a process of its own.
pub(crate) struct Server {
    process: Owned,
    pub(crate) url: String,
}

impl Server {
    /// A server that speaks when spoken to: no greeting, no heartbeat.
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// The same with further arguments.
    pub(crate) fn with(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_wsbench"))
            .args(["serve", "--port", "0", "--heartbeat", "off", "--greeting", "off"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let url = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.split_whitespace().find(|word| word.starts_with("ws://")).map(str::to_owned))
            .expect("the server tells its address");
        // Its output must be taken for as long as it lives.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process: Owned(child), url }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.0.id()
    }
}

/// A run on its way.
pub(crate) struct Running {
    process: Owned,
    _scenario: NamedTempFile,
    told: mpsc::Receiver<String>,
    report: mpsc::Receiver<String>,
    heard: String,
}

impl Running {
    pub(crate) fn start(scenario: &str, arguments: &[&str]) -> Self {
        let file = scenario_file(scenario);
        let command = wsbench(file.path(), arguments);
        Self::follow(file, command)
    }

    /// A run behind what `shell` sets up: limits, say.
    pub(crate) fn behind(shell: &str, scenario: &str, arguments: &[&str]) -> Self {
        let file = scenario_file(scenario);
        let run = wsbench(file.path(), arguments);
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{shell} && exec \"$@\""), "sh"]).arg(run.get_program()).args(run.get_args());
        Self::follow(file, command)
    }

    fn follow(file: NamedTempFile, mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
        let (told_to, told) = mpsc::channel();
        let (report_to, report) = mpsc::channel();
        let (mut out, err) = (child.stdout.take().expect("its output"), child.stderr.take().expect("its notes"));
        std::thread::spawn(move || BufReader::new(err).lines().map_while(Result::ok).for_each(|line| drop(told_to.send(line))));
        std::thread::spawn(move || {
            let mut text = String::new();
            let _ = out.read_to_string(&mut text);
            drop(report_to.send(text));
        });
        Self { process: Owned(child), _scenario: file, told, report, heard: String::new() }
    }

    /// Waits until the run tells that `phase` began.
    pub(crate) fn until(&mut self, phase: &str) {
        while let Ok(line) = self.told.recv_timeout(Duration::from_secs(60)) {
            self.heard += &format!("{line}\n");
            if line.split_whitespace().nth(1) == Some(phase) {
                return;
            }
        }
        panic!("the phase `{phase}` never began:\n{}", self.heard);
    }

    /// Its worker processes, in the order they were started.
    pub(crate) fn workers(&self) -> Vec<u32> {
        let pid = self.process.0.id();
        let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("its children");
        text.split_whitespace().map(|n| n.parse().expect("a process id")).collect()
    }

    /// Waits for the end, at most so long: exit code, report, and all it told.
    pub(crate) fn end(&mut self, limit: Duration) -> (Option<i32>, Value, String) {
        let text = self.report.recv_timeout(limit).unwrap_or_else(|_| panic!("no end within {limit:?}:\n{}", self.heard));
        let status = self.process.0.wait().expect("an exit status");
        self.heard.extend(self.told.iter().map(|line| line + "\n"));
        (status.code(), serde_json::from_str(&text).unwrap_or(Value::Null), self.heard.clone())
    }
}
