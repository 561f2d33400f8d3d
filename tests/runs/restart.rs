//! A server restarted in the run by the scenario's own command, and what clients get that missed something meanwhile.

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::disrupt::{BASE, finding, run};
use super::{Desk, Server, not_passed};

/// A server that a script kills and starts again on the same port. It ends with the value.
struct Restarted {
    script: PathBuf,
    pid: PathBuf,
    url: String,
}

impl Restarted {
    #[expect(clippy::disallowed_methods, reason = "a deadline for the server to listen")]
    fn start(desk: &Desk) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
        let (script, pid) = (desk.path("restart.sh"), desk.path("pid"));
        let text = format!(
            "kill -9 $(cat {pid} 2>/dev/null) 2>/dev/null\n[ \"$1\" = for-ever ] && exit 0\n{} serve --port {port} >/dev/null 2>&1 &\necho $! > {pid}\n",
            env!("CARGO_BIN_EXE_wsbench"),
            pid = pid.display(),
        );
        std::fs::write(&script, text).expect("the scratch directory is writable");
        let server = Self { script, pid, url: format!("ws://127.0.0.1:{port}/") };
        server.go(&[]);
        let deadline = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "the server never listened");
            std::thread::yield_now();
        }
        server
    }

    fn go(&self, arguments: &[&str]) {
        let status = std::process::Command::new("sh").arg(&self.script).args(arguments).status().expect("a shell");
        assert!(status.success());
    }

    /// The scenario with a restart by this command two seconds before the end.
    fn scenario(&self, command: &[&str]) -> String {
        let script = self.script.display().to_string();
        let command: Vec<&str> = command.iter().map(|word| if *word == "SCRIPT" { script.as_str() } else { word }).collect();
        format!(
            "{BASE}[checks.recovery]\nwithin = \"2s\"\n[[disrupt]]\nverb = \"server\"\nat = \"1500ms\"\nfor = \"1s\"\n\
             command = {command:?}\nback_off = {{ first = \"50ms\", most = \"200ms\" }}\n"
        )
    }
}

impl Drop for Restarted {
    fn drop(&mut self) {
        let _ = std::process::Command::new("sh").arg(&self.script).arg("for-ever").status();
        let _ = std::fs::remove_file(&self.pid);
    }
}

#[test]
fn a_server_that_restarts_is_recovered_from_and_nothing_else_is_red() {
    let desk = Desk::new();
    for extra in [&[][..], &["--processes", "2"]] {
        let server = Restarted::start(&desk);
        let scenario = server.scenario(&["sh", "SCRIPT"]);
        let (code, report) = run(&desk, &scenario, &[&["--url", &server.url], extra].concat());
        assert_eq!((code, not_passed(&report)), (0, Vec::new()), "{extra:?}: {report:#}");
        let recovery = finding(&report, "recovery");
        assert!(recovery["observed"].as_str().is_some_and(|o| o.starts_with("12 of 12 back (50 % after ")), "{recovery}");
        let note = recovery["note"].as_str().unwrap_or_default();
        assert!(note.contains("The restarting command took "), "{note}");
        assert_eq!(report["summary"]["connections"]["lost"], 0);
    }
}

#[test]
fn a_server_that_never_comes_back_fails_recovery() {
    let desk = Desk::new();
    let server = Restarted::start(&desk);
    let (code, report) = run(&desk, &server.scenario(&["sh", "SCRIPT", "for-ever"]), &["--url", &server.url]);
    // Of a run of which more than half was away, delivery cannot speak for the whole.
    let expected = vec!["delivery inconclusive".to_owned(), "recovery fail".to_owned()];
    assert_eq!((code, not_passed(&report)), (1, expected), "{report:#}");
    assert_eq!(finding(&report, "recovery")["violations"], 12);
    assert!(finding(&report, "recovery")["note"].as_str().is_some_and(|n| n.contains("refused × ")));
}

#[test]
fn a_command_that_fails_proves_nothing() {
    let desk = Desk::new();
    let server = Restarted::start(&desk);
    let (code, report) = run(&desk, &server.scenario(&["false"]), &["--url", &server.url]);
    assert_eq!((code, not_passed(&report)), (3, vec!["recovery inconclusive".to_owned()]), "{report:#}");
    let note = finding(&report, "recovery")["note"].as_str().unwrap_or_default();
    assert!(note.starts_with("The command that restarts the server failed: exit status: 1."), "{note}");
}

#[test]
fn what_was_missed_is_replayed_or_not_as_promised() {
    let desk = Desk::new();
    let replay = &["--fault", "replay=1000"][..];
    for (promise, arguments, red) in
        [("replayed", replay, false), ("replayed", &[], true), ("nothing", &[], false), ("nothing", replay, true)]
    {
        // A server of its own for each: it would replay what it heard in the run before.
        let server = Server::start(&desk, arguments);
        // What is late on a busy machine is not the question here.
        let base = BASE.replace("within = \"1s\"", "within = \"5s\"").replace("drain = \"2s\"", "drain = \"5s\"");
        let scenario =
            format!("{base}[checks]\nresume = \"{promise}\"\n[[disrupt]]\nverb = \"offline\"\nat = \"1s\"\nfor = \"500ms\"\ncount = 3\n");
        let (code, report) = run(&desk, &scenario, &["--url", &server.url]);
        let expected = if red { vec!["resume fail".to_owned()] } else { Vec::new() };
        assert_eq!((code, not_passed(&report)), (i32::from(red), expected), "{promise}: {report:#}");
        let missed = finding(&report, "resume")["population"].as_u64().unwrap_or(0);
        // A client that a busy machine brings back late misses more, but never all: it would not be back.
        assert!((30..480).contains(&missed), "3 clients, at least half a second of 4, 40 a second: {missed}");
    }
}
