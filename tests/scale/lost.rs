//! Worker processes that are killed: whenever it happens and however many they are, the run is inconclusive, says who was lost, and
//! holds nothing against the server.

use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::scenario;
use super::watched::{self, Running, Server};

const LIMIT: Duration = Duration::from_secs(60);

/// Kills all workers of a run, of which there must be so many.
fn kill_all(run: &Running, workers: usize) {
    let all = run.workers();
    assert_eq!(all.len(), workers, "worker processes");
    all.into_iter().for_each(|pid| watched::signal(pid, Signal::KILL));
}

/// Waits for the end of a run that lost so many workers; gives its report and what it told.
fn inconclusive(run: &mut Running, lost: usize) -> (Value, String) {
    let (code, report, told) = run.end(LIMIT);
    assert_eq!(code, Some(3), "{told}\n{report:#}");
    assert_eq!(report["verdict"], "inconclusive");
    assert_eq!(told.matches("was lost: it ended with signal: 9").count(), lost, "{told}");
    let blamed: Vec<_> = report["findings"].as_array().into_iter().flatten().filter(|f| f["outcome"] == "fail").collect();
    assert!(blamed.is_empty(), "nothing is held against the server: {blamed:#?}");
    assert_eq!(report["summary"]["copies"]["missing"], 0);
    (report, told)
}

fn copies(report: &Value, which: &str) -> u64 {
    report["summary"]["copies"][which].as_u64().expect("a count")
}

#[test]
fn all_workers_killed_while_publishing_is_inconclusive_and_their_copies_contested() {
    let server = Server::start();
    let mut run = Running::start(&scenario(20, 30), &["--url", &server.url, "--processes", "2"]);
    run.until("steady");
    kill_all(&run, 2);
    let (report, _) = inconclusive(&mut run, 2);
    assert_eq!(copies(&report, "owed"), 0);
    let contested = copies(&report, "contested");
    assert!(contested > 0 && contested.is_multiple_of(20), "each publication is owed to each client: {contested}");
}

#[test]
fn all_workers_killed_in_the_ramp_is_inconclusive() {
    let server = Server::start();
    let slow = scenario(20, 1).replace("500/s", "1/s");
    let mut run = Running::start(&slow, &["--url", &server.url, "--processes", "2"]);
    run.until("ramp");
    kill_all(&run, 2);
    let (report, _) = inconclusive(&mut run, 2);
    assert_eq!(copies(&report, "contested"), 0, "nothing was published");
}

#[test]
fn workers_killed_one_in_the_drain_and_one_in_the_close_are_all_accounted_for() {
    let server = Server::start();
    let short = scenario(20, 1).replace("20s", "3s");
    let mut run = Running::start(&short, &["--url", &server.url, "--processes", "2"]);
    run.until("steady");
    // Drain and closing handshakes with a server that stands still last as long as they may.
    watched::signal(server.pid(), Signal::STOP);
    run.until("drain");
    let workers = run.workers();
    watched::signal(workers[1], Signal::KILL);
    run.until("close");
    watched::signal(workers[0], Signal::KILL);
    let (report, _) = inconclusive(&mut run, 2);
    // Both had handed in what they sent: 50/s for a second and a half.
    assert_eq!(copies(&report, "contested"), 20 * 75);
}

#[test]
fn the_only_worker_killed_is_inconclusive() {
    let server = Server::start();
    let alone = scenario(1, 30).replace("publishers = 2", "publishers = 1");
    let mut run = Running::start(&alone, &["--url", &server.url, "--processes", "2"]);
    run.until("steady");
    kill_all(&run, 1);
    let (report, _) = inconclusive(&mut run, 1);
    assert!(copies(&report, "contested") > 0);
}

#[test]
fn with_rooms_the_copies_of_a_killed_worker_are_those_of_its_clients_rooms() {
    let server = Server::with(&["--rooms"]);
    let rooms = scenario(40, 30).replace("publishers = 2", "publishers = 4").replace("count = 40\n", "count = 40\nrooms = 10\n");
    let url = format!("{}/{{room}}", server.url.trim_end_matches('/'));
    let mut run = Running::start(&rooms, &["--url", &url, "--processes", "2", "--threads", "1"]);
    run.until("steady");
    watched::signal(run.workers()[1], Signal::KILL);
    let (report, told) = inconclusive(&mut run, 1);
    // Four clients to a room: what the other worker's two publishers sent, and about as much again by the killed one's.
    let kept = 4 * report["summary"]["publications"]["sent"].as_u64().expect("a count");
    let lost = copies(&report, "owed") + copies(&report, "contested") - kept;
    assert!(lost > 0 && lost.is_multiple_of(4) && lost <= kept + 40, "{lost} with {kept} kept: {told}");
}

#[test]
fn a_journal_ends_where_a_killed_worker_did_and_the_disk_is_not_blamed() {
    let server = Server::start();
    let directory = tempfile::tempdir().expect("a directory");
    for (name, killed, part) in [("one.wsj", 1, "shard 1, whose part"), ("all.wsj", 2, "shards 0, 1, whose part")] {
        let place = directory.path().join(name).display().to_string();
        let arguments = ["--url", &server.url, "--processes", "2", "--threads", "1", "--journal", &place];
        let mut run = Running::start(&scenario(20, 30), &arguments);
        run.until("steady");
        run.workers().into_iter().rev().take(killed).for_each(|pid| watched::signal(pid, Signal::KILL));
        let (_, told) = inconclusive(&mut run, killed);
        assert!(told.contains(&format!("{name} is whole but for {part}")), "{told}");
        assert!(!told.contains("disk"), "{told}");
        let judged = Command::new(env!("CARGO_BIN_EXE_wsbench")).args(["judge", &place]).output().expect("the binary runs");
        assert_eq!(judged.status.code(), Some(3), "{}", String::from_utf8_lossy(&judged.stderr));
    }
}

#[test]
fn a_full_disk_is_told_though_a_worker_was_killed_as_well() {
    let server = Server::start();
    let directory = tempfile::tempdir().expect("a directory");
    let journal = directory.path().join("full.wsj");
    let place = journal.display().to_string();
    let arguments = ["--url", &server.url, "--processes", "2", "--journal", &place];
    // A limit on the size of files, the signal of which is ignored, is a disk that is full after 16 blocks of 512 bytes.
    let mut run = Running::behind("trap '' XFSZ && ulimit -f 16", &scenario(20, 30), &arguments);
    run.until("steady");
    watched::until("the disk is full", || std::fs::metadata(&journal).expect("the journal").len() >= 16 * 512);
    watched::signal(run.workers()[1], Signal::KILL);
    let (code, _, told) = run.end(LIMIT);
    assert_eq!(code, Some(4), "{told}");
    assert!(told.contains("was lost") && told.contains(&place), "{told}");
}
