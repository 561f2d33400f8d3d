//! What stands around a run, through the binary: gates, files, annotations, schemas, completions, man pages, stored conformance
//! reports, and the client for talking by hand.

#[path = "gate/connect.rs"]
mod connect;
#[path = "gate/definition.rs"]
mod definition;
#[path = "gate/init.rs"]
mod init;
#[path = "gate/metrics.rs"]
mod metrics;
#[path = "gate/repeat.rs"]
mod repeat;
#[path = "gate/run.rs"]
mod run;
#[path = "gate/stored.rs"]
mod stored;

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

/// A scratch directory and the binary run in it.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a scratch directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("the scratch directory is writable");
    }

    /// The binary, outside any workflow.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wsbench"));
        command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
        command.env_remove("GITHUB_ACTIONS").env_remove("GITHUB_STEP_SUMMARY").env("LC_ALL", "C.UTF-8");
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(&self.command(arguments).output().expect("the binary starts"))
    }
}

/// What a run of the binary left.
#[derive(Debug)]
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Asserts the exit code, showing everything when it is another.
    #[track_caller]
    fn with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "\nstdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }
}

/// `wsbench serve` on a free port, ended with the value.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(desk: &Desk, arguments: &[&str]) -> Self {
        let all = [&["serve", "--port", "0"], arguments].concat();
        let mut child = desk.command(&all).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the server starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let url = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.split_whitespace().find(|w| w.starts_with("ws://")).map(str::to_owned))
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

/// Half a second, five clients, limits that only a server in trouble breaks.
const QUICK: &str = r#"
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
