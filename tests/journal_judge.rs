//! A journal judged again gives the run's own report, byte for byte; a damaged one what can be known.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use wsbench::base::{Rate, Span};
use wsbench::event::journal::JournalReader;
use wsbench::scenario::model::DeliveryCheck;
use wsbench::scenario::{self, Scenario};

fn wsbench(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wsbench")).arg("--color").arg("never").args(args).output().expect("the program")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(name)
}

/// A shipped scenario with few clients and little time; everything else as shipped.
fn scaled(name: &str) -> Scenario {
    let text = fs::read_to_string(shipped(name)).expect("there");
    let mut scenario = scenario::parse(&text, name).unwrap_or_else(|error| panic!("{error}"));
    for group in &mut scenario.groups {
        group.count = group.count.min(12);
        group.connect_rate = Rate::per_second(500).expect("a rate");
    }
    if let Some(publish) = &mut scenario.publish {
        publish.publishers = publish.publishers.min(scenario.groups[0].count);
    }
    scenario.phases.warm_up = scenario.phases.warm_up.min(Span::from_millis(200));
    // Disruptions come at their instants, so such a run is as long as it is.
    if scenario.disrupt.is_empty() {
        scenario.phases.steady = Span::from_secs(1);
    }
    scenario
}

/// Runs a scenario with a journal; its report, its exit code and the journal.
fn run(directory: &Path, scenario: &Scenario, more: &[&str]) -> (Vec<u8>, Option<i32>, PathBuf) {
    let (file, journal) = (directory.join(format!("{}.toml", scenario.name)), directory.join(format!("{}.wsj", scenario.name)));
    fs::write(&file, scenario.to_toml()).expect("writable");
    let mut args = vec!["run", text(&file), "--quiet", "--format", "json", "--journal", text(&journal), "--force"];
    args.extend_from_slice(more);
    let output = wsbench(&args);
    assert!(matches!(output.status.code(), Some(0 | 1 | 3)), "{}: {}", scenario.name, String::from_utf8_lossy(&output.stderr));
    (output.stdout, output.status.code(), journal)
}

/// A short delivery limit: a copy whose limit lies beyond the end of a journal is contested.
fn soon(scenario: &mut Scenario) {
    scenario.checks.delivery = Some(DeliveryCheck { within: Span::from_secs(1) });
}

fn judged(journal: &Path) -> (Value, Option<i32>) {
    let output = wsbench(&["judge", text(journal), "--format", "json"]);
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (serde_json::from_slice(&output.stdout).expect("a report"), output.status.code())
}

fn finding<'a>(report: &'a Value, check: &str) -> Option<&'a Value> {
    report["findings"].as_array()?.iter().find(|finding| finding["check"] == check)
}

fn names() -> Vec<String> {
    let entries = fs::read_dir(shipped("")).expect("there").map(|entry| entry.expect("readable").file_name());
    let mut names: Vec<String> = entries.filter_map(|name| name.into_string().ok()).filter(|name| name.ends_with(".toml")).collect();
    names.sort();
    assert!(names.len() >= 7, "{names:?}");
    names
}

#[test]
fn every_shipped_scenario_judged_again_is_the_same_report() {
    let directory = tempfile::tempdir().expect("a directory");
    for name in names() {
        let (live, code, journal) = run(directory.path(), &scaled(&name), &["--threads", "2"]);
        let again = wsbench(&["judge", text(&journal), "--format", "json"]);
        assert!(
            again.stdout == live,
            "{name}: the reports differ\n{}\n{}",
            String::from_utf8_lossy(&live),
            String::from_utf8_lossy(&again.stdout)
        );
        assert_eq!(again.status.code(), code, "{name}");
    }
}

#[test]
fn worker_processes_share_the_journal() {
    let directory = tempfile::tempdir().expect("a directory");
    let (live, code, journal) = run(directory.path(), &scaled("smoke.toml"), &["--processes", "2", "--threads", "2"]);
    let again = wsbench(&["judge", text(&journal), "--format", "json"]);
    assert!(again.stdout == live, "{}\n{}", String::from_utf8_lossy(&live), String::from_utf8_lossy(&again.stdout));
    assert_eq!(again.status.code(), code);
}

#[test]
fn a_damaged_journal_gives_what_can_be_known() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut scenario = scaled("smoke.toml");
    scenario.phases.steady = Span::from_secs(4);
    soon(&mut scenario);
    let (_, _, journal) = run(directory.path(), &scenario, &["--threads", "2"]);
    let whole = fs::read(&journal).expect("there");

    let cut = directory.path().join("cut.wsj");
    fs::write(&cut, &whole[..whole.len() * 3 / 5]).expect("writable");
    let (report, code) = judged(&cut);
    assert_eq!(code, Some(3), "{report:#}");
    let finding_of = finding(&report, "journal").expect("what is missing is a finding");
    assert_eq!(finding_of["outcome"], "inconclusive");
    assert!(finding_of["note"].as_str().expect("words").contains("the end of shard"), "{finding_of:#}");
    assert_eq!(report["summary"]["copies"]["missing"], 0, "nothing is blamed on the server: {report:#}");
    assert!(report["summary"]["copies"]["on_time"].as_u64().expect("a number") > 0, "what came before the cut is known");

    let mut flipped = whole.clone();
    let at = whole.len() * 2 / 5;
    flipped[at] ^= 0x10;
    fs::write(&cut, &flipped).expect("writable");
    let (report, code) = judged(&cut);
    assert_eq!(code, Some(3));
    assert!(finding(&report, "journal").expect("a finding")["note"].as_str().expect("words").contains("damaged"));

    for rubbish in [&b""[..], b"{}", &whole[..40]] {
        fs::write(&cut, rubbish).expect("writable");
        let output = wsbench(&["judge", text(&cut)]);
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains("journal"));
    }
}

#[test]
fn other_checks_are_asked_of_old_evidence() {
    let directory = tempfile::tempdir().expect("a directory");
    let (_, _, journal) = run(directory.path(), &scaled("smoke.toml"), &[]);
    let checks = directory.path().join("strict.toml");
    let judge = |text_of: &str| {
        fs::write(&checks, text_of).expect("writable");
        wsbench(&["judge", text(&journal), "--checks", text(&checks), "--format", "json"])
    };
    let strict = judge("[checks.latency]\np50 = \"1ns\"\n");
    // A machine that stands still may leave it undecided, but never satisfied.
    assert!(matches!(strict.status.code(), Some(1 | 3)), "{}", String::from_utf8_lossy(&strict.stderr));
    let report: Value = serde_json::from_slice(&strict.stdout).expect("a report");
    let latency = finding(&report, "latency").expect("asked");
    assert!(latency["outcome"] != "pass" && latency["violations"].as_u64() > Some(0), "{latency:#}");
    let whole = judge("[clients]\ncount = 1\n[publish]\npace = \"1/s\"\n[checks.delivery]\nwithin = \"1ns\"\n");
    let report: Value = serde_json::from_slice(&whole.stdout).expect("a report");
    let delivery = finding(&report, "delivery").expect("asked");
    assert!(delivery["outcome"] != "pass" && delivery["violations"].as_u64() > Some(0), "{delivery:#}");
    let wrong = judge("[checks.latency]\np50 = \"soon\"\n");
    assert_eq!(wrong.status.code(), Some(2));
    let says = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(says.contains("strict.toml:2"), "{says}");
}

#[test]
fn the_gate_stands_before_old_evidence_too() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name).display().to_string();
    let (live, code, journal) = run(directory.path(), &scaled("smoke.toml"), &["--out", &at("base")]);
    let judge = |more: &[&str]| wsbench(&[&["judge", text(&journal), "--format", "json"], more].concat());
    for (asked, outcome, exit) in [
        ("delivery.owed > 0", "pass", code),
        ("delivery.p50 < 1ns", "fail", Some(1)),
        ("publish.p50 < 1s", "inconclusive", if code == Some(1) { code } else { Some(3) }),
    ] {
        let output = judge(&["--threshold", asked]);
        let report: Value = serde_json::from_slice(&output.stdout).expect("a report and nothing else");
        assert_eq!((output.status.code(), &report["exit_code"]), (exit, &exit.into()), "{asked}");
        let found = finding(&report, "threshold").expect("a finding of its own");
        assert_eq!((&found["expected"], &found["outcome"]), (&asked.into(), &outcome.into()));
        // The same as if the run itself had been asked.
        let run_again = wsbench(&["report", &at("base"), "--format", "json", "--threshold", asked]);
        assert!(run_again.stdout == output.stdout, "{asked}");
    }
    let (base, page, junit) = (at("base"), at("r.html"), at("r.xml"));
    let output = judge(&["--baseline", &base, "--fail-on-regression", "10%", "--html", &page, "--junit", &junit, "--ci", "github"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report and nothing else");
    assert_eq!(finding(&report, "regression").expect("the comparison is in it")["outcome"], "pass", "a run is no worse than itself");
    assert_eq!(output.status.code(), code);
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(said.contains("against its baseline") && said.contains("::notice "), "{said}");
    assert!(
        fs::read_to_string(&page).expect("written").contains("regression")
            && fs::read_to_string(&junit).expect("written").contains("regression")
    );
    let again = judge(&["--html", &page]);
    assert_eq!(again.status.code(), Some(4), "nothing is replaced without --force: {}", String::from_utf8_lossy(&again.stderr));
    assert_eq!(judge(&["--html", &page, "--force"]).status.code(), code);
    assert!(judge(&[]).stdout == live, "asked for nothing more, it is the run's own report");
    for more in [&["--threshold", "delivry.p50 < 1s"][..], &["--baseline", "none.json"], &["--fail-on-regression", "1%"]] {
        assert_eq!(judge(more).status.code(), Some(2), "{more:?}");
    }
    let story = wsbench(&["judge", text(&journal), "--explain", "0", "--threshold", "delivery.owed > 0"]);
    assert_eq!(story.status.code(), Some(2), "a story judges nothing");
    assert_eq!(wsbench(&["judge", text(&journal), "--explain", "0"]).status.code(), Some(0));
}

#[test]
fn stories_name_what_happened() {
    let directory = tempfile::tempdir().expect("a directory");
    let (_, _, journal) = run(directory.path(), &scaled("smoke.toml"), &[]);
    let told = |subject: &str| {
        let output = wsbench(&["judge", text(&journal), "--explain", subject]);
        (String::from_utf8(output.stdout).expect("text"), String::from_utf8(output.stderr).expect("text"), output.status.code())
    };
    let (story, _, code) = told("0#3");
    assert_eq!(code, Some(0));
    for part in ["publication 0#3, 128 bytes", "owed to 12 clients, 12 copies came: 0 missing", "12 copies", "first", "median", "last"] {
        assert!(story.contains(part), "{part}\n{story}");
    }
    let (story, _, _) = told("5");
    for part in ["connects", "open", "greeting", "is a member", "copies", "ping 0", "pong 0", "closed"] {
        assert!(story.contains(part), "{part}\n{story}");
    }
    for (subject, says) in [("9#0", "no publisher 9"), ("99", "no client 99"), ("0#9999", "never sent"), ("x", "PUBLISHER#NUMBER")] {
        let (_, error, code) = told(subject);
        assert!(error.contains(says) && code == Some(2), "{subject}: {error}");
    }
}

#[test]
fn no_secret_is_written_and_the_rest_is_judged_without_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let (file, journal) = (directory.path().join("secret.toml"), directory.path().join("secret.wsj"));
    // Nobody listens on the discard port of a loopback address; what matters is what was written before anybody tried.
    let url = "ws://me:sesame@127.0.0.1:9/ws?token=sesame";
    let scenario = format!(
        "[target]\nurl = \"{url}\"\n[clients]\ncount = 3\nheaders = {{ Authorization = \"Bearer sesame\" }}\n[publish]\npace = \"5/s\"\n"
    );
    fs::write(&file, scenario).expect("writable");
    let output = wsbench(&["run", text(&file), "--quiet", "--journal", text(&journal)]);
    assert_eq!(output.status.code(), Some(4), "{}", String::from_utf8_lossy(&output.stderr));
    let read = JournalReader::open(fs::File::open(&journal).expect("there")).expect("a journal");
    let header = format!("{:?}", read.header());
    assert!(header.contains("127.0.0.1:9") && !header.contains("sesame"), "{header}");
    let (report, code) = judged(&journal);
    assert!(matches!(code, Some(1 | 3)), "nobody was reached: {report:#}");
    assert_eq!(report["summary"]["connections"]["failed"]["refused"], 3, "{report:#}");
}

#[test]
fn a_killed_run_leaves_a_readable_journal() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut scenario = scaled("smoke.toml");
    scenario.phases.steady = Span::from_secs(60);
    soon(&mut scenario);
    let (file, journal) = (directory.path().join("long.toml"), directory.path().join("long.wsj"));
    fs::write(&file, scenario.to_toml()).expect("writable");
    let mut child = Command::new(env!("CARGO_BIN_EXE_wsbench"))
        .args(["run", text(&file), "--quiet", "--threads", "2", "--journal", text(&journal)])
        .stdout(Stdio::null())
        .spawn()
        .expect("the program");
    let deadline = 3000;
    let grown = (0..deadline).any(|_| {
        // A look every ten milliseconds, at a file that grows by a block a second and shard.
        let _ = child.try_wait();
        std::thread::park_timeout(std::time::Duration::from_millis(10));
        fs::metadata(&journal).is_ok_and(|meta| meta.len() > 5_000)
    });
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    assert!(grown, "the journal does not grow");
    let (report, code) = judged(&journal);
    assert_eq!(code, Some(3));
    assert!(report["summary"]["copies"]["on_time"].as_u64().expect("a number") > 0, "{report:#}");
    assert!(finding(&report, "journal").is_some());
}
