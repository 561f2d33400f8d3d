//! The binary through its command line: what it prints where, what it leaves behind, and above all what it ends with.
//!
//! Knows nothing of the library: only arguments, files, signals and exit codes, as a shell would.

mod bad_input;
mod runs;
mod shipped;
#[cfg(unix)]
mod signals;
mod targets;

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

/// Longer than anything here takes on a machine that does ten other things.
const LIMIT: Duration = Duration::from_secs(90);

/// How a command ended.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ended {
    /// Asserts the exit code, showing everything when it is another.
    #[track_caller]
    fn with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "\nstdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Asserts that standard error says all of these.
    #[track_caller]
    fn saying(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.stderr.contains(word), "does not say `{word}`:\n{}", self.stderr);
        }
        self
    }
}

/// A command of the binary under test, deaf to this machine's colours and terminals.
fn command<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wsbench"));
    command.args(args).stdin(Stdio::null()).env_remove("NO_COLOR").env("COLUMNS", "100");
    command
}

/// Runs the binary to its end.
#[track_caller]
fn wsbench<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Ended {
    Running::start(command(args)).end()
}

/// The binary at work: what it has said so far can be waited for. Killed when dropped.
struct Running {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
    heard: [String; 2],
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let stdout = lines(child.stdout.take().expect("piped"));
        let stderr = lines(child.stderr.take().expect("piped"));
        Self { child, stdout, stderr, heard: [String::new(), String::new()] }
    }

    /// The first line of standard output that contains `word`.
    #[track_caller]
    fn wait_for_output(&mut self, word: &str) -> String {
        hear(&self.stdout, &mut self.heard[0], word)
    }

    /// The first line of standard error that contains `word`.
    #[track_caller]
    fn wait_for_note(&mut self, word: &str) -> String {
        hear(&self.stderr, &mut self.heard[1], word)
    }

    #[cfg(unix)]
    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("it is ours and alive");
    }

    /// Waits for the end; both streams end with it.
    #[track_caller]
    fn end(mut self) -> Ended {
        for (stream, heard) in [&self.stdout, &self.stderr].into_iter().zip(&mut self.heard) {
            loop {
                match stream.recv_timeout(LIMIT) {
                    Ok(line) => *heard += &line,
                    Err(mpsc::RecvTimeoutError::Disconnected) => break,
                    Err(mpsc::RecvTimeoutError::Timeout) => panic!("it neither ends nor speaks; so far:\n{heard}"),
                }
            }
        }
        let status: ExitStatus = self.child.wait().expect("it ended");
        let [stdout, stderr] = std::mem::take(&mut self.heard);
        Ended { code: status.code(), stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of a stream as they come; the channel closes with the stream.
fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        while stream.read_line(&mut line).is_ok_and(|n| n > 0) {
            if sender.send(std::mem::take(&mut line)).is_err() {
                break;
            }
        }
    });
    receiver
}

#[track_caller]
fn hear(stream: &Receiver<String>, heard: &mut String, word: &str) -> String {
    loop {
        let line = stream.recv_timeout(LIMIT).unwrap_or_else(|_| panic!("it never said `{word}`; it said:\n{heard}"));
        *heard += &line;
        if line.contains(word) {
            return line;
        }
    }
}

/// `wsbench serve` on a free port, until dropped.
struct Serving {
    running: Running,
    url: String,
}

impl Serving {
    #[track_caller]
    fn with(flags: &[&str]) -> Self {
        let mut running = Running::start(command(["serve", "--port", "0"].iter().chain(flags)));
        let line = running.wait_for_output("listening on");
        let url = line.split_whitespace().last().unwrap_or_default().to_owned();
        assert!(url.starts_with("ws"), "{line}");
        Self { running, url }
    }
}

/// A short run of six clients, two of which publish. `more` is put behind it.
fn short_scenario(directory: &Path, more: &str) -> String {
    scenario(directory, &format!("{SHORT}{more}"))
}

const SHORT: &str = r#"
name = "short"
[clients]
count = 6
[publish]
publishers = 2
pace = { rate = "20/s" }
[phases]
steady = "1s"
drain = "5s"
[checks.delivery]
within = "4s"
[checks.instrument]
late_send = "2s"
max_loop_lag = "2s"
"#;

/// Writes a scenario and gives its path.
fn scenario(directory: &Path, text: &str) -> String {
    let path = directory.join("scenario.toml");
    std::fs::write(&path, text).expect("the directory is ours");
    path.to_str().expect("a plain path").to_owned()
}

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn listed(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).map(|entries| entries.filter_map(Result::ok).collect()).unwrap_or_else(|_| Vec::new());
    let mut names: Vec<String> = entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn report(directory: &Path) -> serde_json::Value {
    let text = std::fs::read_to_string(directory.join("report.json")).expect("report.json was written");
    serde_json::from_str(&text).expect("report.json is JSON")
}

/// The ids of the checks with this outcome.
fn checks_that(report: &serde_json::Value, outcome: &str) -> Vec<String> {
    let findings = report["findings"].as_array().expect("findings is a list");
    let ids = findings.iter().filter(|f| f["outcome"] == outcome).map(|f| f["check"].as_str().expect("a check has an id").to_owned());
    ids.collect()
}
