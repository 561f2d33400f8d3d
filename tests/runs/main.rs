//! Whole runs through the binary: what it concludes, what it writes, and how it takes an environment that is against it.

mod disrupt;
mod environment;
mod feeds;
mod herd;
mod mqtt;
mod on_the_way;
mod outcomes;
mod outputs;
mod own;
mod peer;
mod restart;
mod scripts;
mod served;
mod sockets;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// A scratch directory and the binary run in it.
pub(crate) struct Desk {
    directory: tempfile::TempDir,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a scratch directory") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a scenario and returns its name.
    pub(crate) fn scenario(&self, text: &str) -> &'static str {
        std::fs::write(self.path("s.toml"), text).expect("the scratch directory is writable");
        "s.toml"
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wsbench"));
        command.args(arguments).current_dir(self.directory.path()).env_remove("NO_COLOR").stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(&self.command(arguments).output().expect("the binary starts"))
    }
}

/// What a run of the binary left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("standard output is no JSON ({e}):\n{}\n{}", self.out, self.err))
    }
}

/// The outcome of each finding, by check.
pub(crate) fn outcomes(report: &serde_json::Value) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().expect("a string").to_owned();
    report["findings"].as_array().expect("findings").iter().map(|f| (text(&f["check"]), text(&f["outcome"]))).collect()
}

pub(crate) fn not_passed(report: &serde_json::Value) -> Vec<String> {
    outcomes(report).into_iter().filter(|(_, outcome)| outcome != "pass").map(|(check, outcome)| format!("{check} {outcome}")).collect()
}

pub(crate) fn report(directory: &Path) -> serde_json::Value {
    let text = std::fs::read_to_string(directory.join("report.json")).expect("report.json is there");
    serde_json::from_str(&text).expect("report.json is JSON")
}

/// `wsbench serve` on a free port, ended with the value.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
}

impl Server {
    pub(crate) fn start(desk: &Desk, arguments: &[&str]) -> Self {
        let all = [&["serve", "--port", "0"], arguments].concat();
        let mut child = desk.command(&all).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the server starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let url = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.split_whitespace().find(|w| w.starts_with("ws://") || w.starts_with("wss://")).map(str::to_owned))
            .expect("the server prints its URL");
        // Its later lines go nowhere, but the pipe must not fill.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, url }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Half a second, five clients, every check that needs no heartbeat.
pub(crate) const QUICK: &str = r#"
name = "quick"
[clients]
count = 5
connect_rate = "1000/s"
[publish]
publishers = 2
pace = { rate = "40/s" }
[phases]
warm_up = "0s"
steady = "500ms"
drain = "5s"
[checks.delivery]
within = "5s"
[checks.instrument]
late_send = "2s"
max_loop_lag = "5s"
"#;
