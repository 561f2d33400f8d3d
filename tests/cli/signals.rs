//! Signals and closed pipes: an interrupted run still tells what it knows, and a server says goodbye.

use std::process::Stdio;

use rustix::process::Signal;

use super::{Running, Serving, command, listed, report, scenario, scratch};

const LONG: &str = "[clients]\ncount = 4\n[publish]\npace = \"20/s\"\n[phases]\nsteady = \"10m\"\n";

#[test]
fn an_interrupted_run_closes_writes_its_report_and_is_inconclusive() {
    for signal in [Signal::INT, Signal::TERM] {
        let directory = scratch();
        let out = directory.path().join("results");
        let path = scenario(directory.path(), LONG);
        let mut run = Running::start(command(["run", &path, "--out", out.to_str().expect("plain")]));
        run.wait_for_note("steady");
        run.signal(signal);
        let ended = run.end().with(3).saying(&["interrupted"]);
        assert!(ended.stdout.contains("INCONCLUSIVE"), "{}", ended.stdout);
        let report = report(&out);
        assert_eq!(report["verdict"], "inconclusive");
        assert!(report["summary"]["instrument"]["interrupted"].is_string(), "it says that it was cut short");
        assert_eq!(listed(&out).len(), 4, "whole files only: {:?}", listed(&out));
    }
}

#[test]
fn a_second_interrupt_leaves_at_once_and_leaves_no_half_report() {
    let directory = scratch();
    let out = directory.path().join("results");
    // A server that holds every copy back keeps the drain busy for minutes.
    let server = Serving::with(&["--fault", "delay=600s"]);
    let path = scenario(directory.path(), &format!("{LONG}drain = \"10m\"\n[checks.delivery]\nwithin = \"10m\"\n"));
    let mut run = Running::start(command(["run", &path, "--url", &server.url, "--out", out.to_str().expect("plain")]));
    run.wait_for_note("steady");
    run.signal(Signal::INT);
    run.wait_for_note("interrupted");
    run.signal(Signal::INT);
    run.end().with(3);
    assert!(listed(&out).iter().all(|name| name.ends_with(".partial")), "no report that looks whole: {:?}", listed(&out));
}

#[test]
fn a_server_told_to_stop_counts_up_and_ends_with_0() {
    for signal in [Signal::INT, Signal::TERM] {
        let server = Serving::with(&[]);
        server.running.signal(signal);
        let ended = server.running.end().with(0);
        assert!(ended.stdout.contains("stopped: "), "{}", ended.stdout);
    }
}

#[test]
fn a_reader_that_goes_away_is_no_bug() {
    let directory = scratch();
    let path = scenario(directory.path(), LONG);
    for args in [vec!["plan", &path], vec!["explain"], vec!["--help"]] {
        let mut child = command(&args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        drop(child.stdout.take());
        let status = child.wait().expect("it ends");
        assert_ne!(status.code(), Some(101), "`wsbench {args:?} | true` panics");
    }
}

/// A stopped program, a closed lid, a debugger: whatever ran meanwhile, time was lost, and the report says whose.
#[test]
#[expect(clippy::disallowed_methods, reason = "a stop of three seconds takes three seconds")]
fn a_run_that_was_stopped_for_seconds_blames_itself() {
    let steady = LONG.replace("10m", "6s") + "drain = \"3s\"\n[checks.delivery]\nwithin = \"1s\"\n";
    // With the built-in server, the process that is stopped is the server too, and with workers nobody else notices.
    for (arguments, says) in
        [(&[][..], "The event loop stood still for "), (&["--processes", "2"], "The process that coordinates the workers")]
    {
        let directory = scratch();
        let path = scenario(directory.path(), &steady);
        let mut run = Running::start(command([&["run", &path][..], arguments].concat()));
        run.wait_for_note("steady");
        run.signal(Signal::STOP);
        std::thread::sleep(std::time::Duration::from_secs(3));
        run.signal(Signal::CONT);
        let ended = run.end().with(3);
        let told = ended.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.contains(says), "{arguments:?}: {told}");
        assert!(!told.contains("FAIL"), "{arguments:?}: {told}");
    }
}
