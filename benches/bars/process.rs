//! Child processes, and what the system knows of them while they run: CPU from the scheduler's own count (nanoseconds),
//! memory from `/proc`. Linux only, as the figures of this table are.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use wsbench::base::{Instant, Span};
use wsbench::drive::clock::Clock;

/// Why something could not be measured.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Failed(pub(crate) String);

impl Failed {
    pub(crate) fn because(what: &str) -> impl Fn(std::io::Error) -> Self + '_ {
        move |error| Self(format!("{what}: {error}"))
    }
}

/// Waits. A measurement lasts as long as it lasts: the one place where this benchmark sleeps.
#[expect(clippy::disallowed_methods, reason = "to measure for ten seconds takes ten seconds")]
pub(crate) fn pass(span: Duration) {
    std::thread::sleep(span);
}

/// A process that ends with its owner.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn start(command: &mut Command, what: &str) -> Result<Self, Failed> {
        command.stdin(Stdio::null()).spawn().map(Self).map_err(Failed::because(what))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// CPU time of all threads of a process that are alive.
pub(crate) fn cpu(pid: u32) -> Span {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Span::ZERO };
    let nanos = tasks.flatten().filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Span::from_nanos(nanos.sum())
}

/// Anonymous resident memory of a process, bytes: what it allocated, without the pages of its program.
pub(crate) fn memory(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|l| l.split_whitespace().next()).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// The processes a process started.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|n| n.parse().ok()).collect()
}

/// A port nobody uses.
pub(crate) fn free_port() -> Result<u16, Failed> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(Failed::because("no free port"))?;
    listener.local_addr().map(|a| a.port()).map_err(Failed::because("no free port"))
}

/// Waits until somebody listens on `port`.
pub(crate) fn listening(port: u16) -> Result<(), Failed> {
    let clock = Clock::start();
    while clock.now() < Instant::EPOCH + Span::from_secs(10) {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Ok(());
        }
        pass(Duration::from_millis(10));
    }
    Err(Failed(format!("nobody listens on port {port}")))
}
