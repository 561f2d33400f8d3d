//! A run that is cut short still tells what it knows.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::{Desk, QUICK, not_passed, report};

fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid")).expect("a pid");
    kill_process(pid, signal).expect("it is still there");
}

/// Starts a long run and returns when it is in the given phase.
fn started(desk: &Desk, phase: &str) -> Child {
    let file = desk.scenario(&QUICK.replace("500ms", "1h"));
    let mut child =
        desk.command(&["run", file, "--out", "results"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok);
    assert!(lines.by_ref().any(|line| line.contains(phase)), "it never came to {phase}");
    std::thread::spawn(move || lines.for_each(drop));
    child
}

/// Waits for the end, but not for ever.
fn ended(mut child: Child) -> Option<i32> {
    for _ in 0..600 {
        if let Some(status) = child.try_wait().expect("it can be asked") {
            return status.code();
        }
        let (_sender, receiver) = std::sync::mpsc::channel::<()>();
        let _ = receiver.recv_timeout(Duration::from_millis(50));
    }
    let _ = child.kill();
    None
}

#[test]
fn ctrl_c_drains_closes_and_writes_every_report() {
    let desk = Desk::new();
    let child = started(&desk, "steady");
    signal(&child, Signal::INT);
    assert_eq!(ended(child), Some(3));
    let report = report(&desk.path("results"));
    assert_eq!(report["verdict"], "inconclusive");
    assert!(report["summary"]["instrument"]["interrupted"].as_str().is_some_and(|why| why.contains("Ctrl-C")), "{report}");
    assert!(not_passed(&report).iter().all(|finding| finding.ends_with("inconclusive")), "{:?}", not_passed(&report));
    assert_eq!(report["summary"]["connections"]["closed_clean"], 5, "every client got its closing handshake");
    assert!(desk.path("results/timeline.csv").exists() && desk.path("results/percentiles.csv").exists());
}

#[test]
fn a_second_ctrl_c_leaves_at_once() {
    let desk = Desk::new();
    let child = started(&desk, "steady");
    signal(&child, Signal::INT);
    signal(&child, Signal::TERM);
    assert_eq!(ended(child), Some(3));
}
