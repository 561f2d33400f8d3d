//! The engine over processes, source addresses and limits, with the real binary: what a worker's death, a stopped worker and a
//! stalled server come to, and what is said when this machine, not the server, is the limit. Linux only: they look at `/proc`
//! and send signals.
#![cfg(target_os = "linux")]

#[path = "scale/lost.rs"]
mod lost;
#[path = "scale/watched.rs"]
mod watched;

use std::collections::HashSet;
use std::net::{IpAddr, TcpListener};
use std::process::{Command, Output};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use watched::{Running, Server, outcome, scenario_file, wsbench};

/// Publishes for as long as told; limits so wide that a busy machine does not break them by itself.
fn scenario(clients: u32, secs: u32) -> String {
    format!(
        "name = \"scale\"\n[clients]\ncount = {clients}\nconnect_rate = \"500/s\"\n\
         [publish]\npublishers = 2\npace = \"50/s\"\nsize = \"64B\"\n\
         [phases]\nwarm_up = \"500ms\"\nsteady = \"{secs}s\"\ndrain = \"20s\"\n\
         [checks.delivery]\nwithin = \"20s\"\n[checks.instrument]\nlate_send = \"1500ms\"\nmax_late_share = 0.5\nmax_loop_lag = \"300ms\"\n"
    )
}

fn run(scenario: &str, arguments: &[&str]) -> (Output, Value) {
    let file = scenario_file(scenario);
    let output = wsbench(file.path(), arguments).output().expect("the binary runs");
    let report = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output, report)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn processes_and_threads_keep_the_same_books() {
    let mut sums = Vec::new();
    for arguments in [["--processes", "1"], ["--processes", "2"], ["--processes", "3"]] {
        let (output, report) = run(&scenario(20, 1), &["--seed", "7", arguments[0], arguments[1], "--threads", "2"]);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {report:#}{}", text(&output.stderr));
        let copies = &report["summary"]["copies"];
        sums.push((
            copies["owed"].clone(),
            copies["on_time"].clone(),
            copies["missing"].clone(),
            report["summary"]["connections"]["ready"].clone(),
        ));
        let processes = report["summary"]["instrument"]["processes"].as_u64();
        assert_eq!(processes, arguments[1].parse().ok());
    }
    assert_eq!(sums[0].0, 20 * 75, "50/s for 1.5 seconds, to each of 20 clients");
    assert!(sums.iter().all(|s| *s == sums[0]), "{sums:?}");
}

#[test]
fn a_worker_that_dies_makes_the_run_inconclusive_and_its_copies_contested() {
    let server = Server::start();
    let short = scenario(20, 30).replace("within = \"20s\"", "within = \"3s\"");
    let mut run = Running::start(&short, &["--url", &server.url, "--processes", "2"]);
    run.until("steady");
    // Long enough that the deadline of the first copies is over before the run is.
    watched::pass(Duration::from_secs(6));
    let workers = run.workers();
    assert_eq!(workers.len(), 2, "two worker processes");
    watched::signal(workers[1], Signal::KILL);
    let (code, report, told) = run.end(Duration::from_secs(60));
    assert_eq!(code, Some(3), "{told}");
    assert_eq!(report["verdict"], "inconclusive");
    assert!(told.contains("was lost"), "{told}");
    let copies = &report["summary"]["copies"];
    assert!(copies["contested"].as_u64() > Some(0), "what was owed to the lost clients is contested: {copies}");
    assert_eq!(copies["missing"], 0, "nothing is held against the server: {copies}");
    assert!(copies["on_time"].as_u64() > Some(0), "the other worker's books are kept: {copies}");
}

#[test]
fn a_stopped_worker_is_the_instruments_fault() {
    let server = Server::start();
    let mut run = Running::start(&scenario(20, 6), &["--url", &server.url, "--processes", "2"]);
    run.until("steady");
    let workers = run.workers();
    watched::signal(workers[1], Signal::STOP);
    watched::pass(Duration::from_secs(3));
    watched::signal(workers[1], Signal::CONT);
    let (code, report, told) = run.end(Duration::from_secs(90));
    assert_eq!(code, Some(3), "{told}\n{report:#}");
    let instrument = outcome(&report, "instrument");
    assert_eq!(instrument["outcome"], "inconclusive", "{instrument:#}");
    let lag = report["summary"]["instrument"]["loop_lag_max_ns"].as_u64().unwrap_or(0);
    assert!(lag > 2_000_000_000, "the stop shows as event-loop lag: {lag}");
    assert_eq!(report["summary"]["copies"]["missing"], 0);
}

#[test]
fn clients_that_are_given_up_while_a_worker_is_stopped_are_not_held_against_the_server() {
    let server = Server::with(&["--protocol-ping", "1s"]);
    let strict = scenario(20, 8).replace("within = \"20s\"", "within = \"1s\"");
    let mut run = Running::start(&strict, &["--url", &server.url, "--processes", "2"]);
    run.until("steady");
    let workers = run.workers();
    watched::signal(workers[1], Signal::STOP);
    watched::pass(Duration::from_secs(4));
    watched::signal(workers[1], Signal::CONT);
    let (code, report, told) = run.end(Duration::from_secs(90));
    let survival = outcome(&report, "survival");
    assert_eq!(survival["outcome"], "inconclusive", "{survival:#}");
    assert!(survival["observed"].as_str().is_some_and(|text| text.contains("1011")), "the server did give them up: {survival:#}");
    assert_eq!(report["summary"]["copies"]["missing"], 0, "{:#}", report["summary"]["copies"]);
    assert_eq!(code, Some(3), "{told}\n{:#}", report["findings"]);
}

#[test]
fn a_stalled_server_is_not_the_instruments_fault() {
    let server = Server::start();
    let mut run = Running::start(&scenario(20, 6), &["--url", &server.url, "--processes", "2"]);
    run.until("steady");
    watched::signal(server.pid(), Signal::STOP);
    watched::pass(Duration::from_millis(2_500));
    watched::signal(server.pid(), Signal::CONT);
    let (_, report, told) = run.end(Duration::from_secs(90));
    let instrument = outcome(&report, "instrument");
    assert_eq!(instrument["outcome"], "pass", "{told}\n{instrument:#}");
    let delivery = report["summary"]["latency"]["delivery"]["max_ns"].as_u64().unwrap_or(0);
    assert!(delivery > 2_000_000_000, "the stall shows where it belongs, in delivery: {delivery}");
    let lag = report["summary"]["instrument"]["loop_lag_max_ns"].as_u64().unwrap_or(u64::MAX);
    assert!(lag < 1_500_000_000, "and not in the event loop: {lag}");
}

#[test]
fn a_worker_that_never_wakes_does_not_hold_the_run_up() {
    let server = Server::start();
    let mut run = Running::start(&scenario(10, 2), &["--url", &server.url, "--processes", "2"]);
    run.until("steady");
    let workers = run.workers();
    watched::signal(workers[0], Signal::STOP);
    let (code, report, told) = run.end(Duration::from_secs(90));
    assert_eq!(code, Some(3), "{told}");
    assert_eq!(report["verdict"], "inconclusive");
}

/// Accepts WebSocket connections for as long as somebody holds the other end; tells from which addresses they came.
fn addresses_of_peers(expected: usize, scenario: &str, source: &str) -> HashSet<IpAddr> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a listener for the runtime");
    let url = format!("ws://{}", listener.local_addr().expect("an address"));
    let mut run = Running::start(scenario, &["--url", &url, "--source", source]);
    let peers = runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        let mut peers = HashSet::new();
        for _ in 0..expected {
            let accepted = tokio::time::timeout(Duration::from_secs(30), listener.accept()).await;
            let (stream, address) = accepted.expect("a client within the limit").expect("a connection");
            peers.insert(address.ip());
            drop(tokio::spawn(async move {
                if let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await {
                    use futures::StreamExt as _;
                    while let Some(Ok(_)) = socket.next().await {}
                }
            }));
        }
        tokio::task::spawn_blocking(move || run.end(Duration::from_secs(60))).await.map(|(code, report, told)| {
            assert_eq!(code, Some(0), "{told}\n{report:#}");
            peers
        })
    });
    peers.expect("the run ended")
}

#[test]
fn source_addresses_are_taken_in_turn() {
    let held = "name = \"held\"\n[clients]\ncount = 12\n[phases]\nsteady = \"500ms\"\n[checks.instrument]\nmax_loop_lag = \"5s\"\n";
    let block = addresses_of_peers(12, held, "127.0.0.0/29");
    assert_eq!(block.len(), 6, "the six usable addresses of the block: {block:?}");
    let list = addresses_of_peers(12, held, "127.0.0.7,127.0.0.9");
    assert_eq!(list, HashSet::from(["127.0.0.7", "127.0.0.9"].map(|a| a.parse().expect("an address"))));
}

#[test]
fn a_connect_that_fails_by_our_own_limit_is_told_apart() {
    let held = "name = \"held\"\n[clients]\ncount = 3\n[phases]\nsteady = \"500ms\"\n";
    let server = Server::start();
    // 192.0.2.0/24 (TEST-NET-1) is nobody's address: binding to it is refused by this machine.
    let (output, report) = run(held, &["--url", &server.url, "--source", "192.0.2.1"]);
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
    assert_eq!(report["summary"]["connections"]["failed"]["local_limit"], 3, "{report:#}");
    assert!(text(&output.stderr).contains("local_limit"), "{}", text(&output.stderr));

    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port nobody listens on").port();
    let (output, report) = run(held, &["--url", &format!("ws://127.0.0.1:{port}")]);
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
    assert_eq!(report["summary"]["connections"]["failed"]["refused"], 3, "{report:#}");
    assert!(text(&output.stderr).contains("refused"), "{}", text(&output.stderr));
}

/// What `sh` says of a run with so many descriptors.
fn run_within(descriptors: u32, scenario: &str, arguments: &[&str]) -> Output {
    let file = scenario_file(scenario);
    let script = format!("ulimit -n {descriptors} && exec \"$0\" run \"$@\"");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).arg(env!("CARGO_BIN_EXE_wsbench")).arg(file.path()).args(arguments);
    shell.output().expect("a shell")
}

/// A run with so few descriptors ends before anybody connects, and says these words.
fn refused_before_the_first_connection(descriptors: u32, scenario: &str, arguments: &[&str], words: &[&str]) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a listener that does not wait");
    let url = format!("ws://{}", listener.local_addr().expect("an address"));
    let output = run_within(descriptors, scenario, &[&["--url", &url], arguments].concat());
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{told}");
    for word in words {
        assert!(told.contains(word), "`{word}` is not in: {told}");
    }
    assert!(listener.accept().is_err(), "nobody connected");
}

#[test]
fn too_few_descriptors_are_said_before_the_first_connection() {
    let many = "name = \"many\"\n[clients]\ncount = 500\n[phases]\nsteady = \"1s\"\n";
    let words = ["564 open files", "200", "ulimit -Hn 564", "--processes"];
    refused_before_the_first_connection(200, many, &["--processes", "1"], &words);
}

#[test]
fn processes_are_taken_by_themselves_when_one_may_not_hold_enough() {
    let server = Server::start();
    let many = "name = \"many\"\n[clients]\ncount = 300\n[phases]\nsteady = \"1s\"\n[checks.instrument]\nmax_loop_lag = \"5s\"\n";
    let output = run_within(200, many, &["--format", "json", "--url", &server.url]);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    assert_eq!(report["summary"]["instrument"]["processes"], 3, "300 clients, 136 to a process");
    assert_eq!(report["summary"]["connections"]["ready"], 300);
}

/// Its threads' descriptors were not counted: the run waited out the limit of its ramp for shards that had never begun.
#[test]
fn more_threads_than_descriptors_are_said_before_the_first_connection() {
    let words = ["224 open files", "130", "ulimit -Hn 224", "--threads 4"];
    refused_before_the_first_connection(130, &scenario(40, 1), &["--threads", "16", "--processes", "1"], &words);
}

/// Workers were hired until the process that hired them had no descriptors left.
#[test]
fn more_workers_than_descriptors_are_said_before_the_first_is_started() {
    let output = run_within(70, &scenario(200, 1), &["--url", "ws://127.0.0.1:9"]);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{told}");
    assert!(told.contains("264 open files in one process") && told.contains("ulimit -Hn 264"), "{told}");
    assert!(!told.contains("--processes") && !told.contains("worker process:"), "{told}");
}

/// A source address of the other family failed half the connections, and the server was blamed.
#[test]
fn source_addresses_of_another_family_are_not_used() {
    let held = "name = \"held\"\n[clients]\ncount = 6\n[phases]\nsteady = \"500ms\"\n[checks.instrument]\nmax_loop_lag = \"5s\"\n";
    let server = Server::start();
    let (output, report) = run(held, &["--url", &server.url, "--source", "127.0.0.1,::1"]);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}{report:#}");
    assert_eq!(report["summary"]["connections"]["ready"], 6, "{report:#}");
    assert!(told.contains("source address ::1 is not used"), "{told}");
    let (output, _) = run(held, &["--url", &server.url, "--source", "::1"]);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("IPv6 addresses only"), "{told}");
}
