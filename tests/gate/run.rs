//! `wsbench run` with what is asked besides.

use super::{Desk, QUICK, Ran};

fn threshold_outcomes(ran: &Ran) -> Vec<(String, String)> {
    let report: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON and nothing else on standard output");
    assert_eq!(report["exit_code"], ran.code, "the report says what the process ended with");
    let of = |f: &serde_json::Value| (f["expected"].as_str().unwrap_or("").to_owned(), f["outcome"].as_str().unwrap_or("").to_owned());
    report["findings"].as_array().expect("findings").iter().filter(|f| f["check"] == "threshold").map(of).collect()
}

#[test]
fn a_threshold_is_a_finding_of_its_own_and_decides() {
    let desk = Desk::new();
    desk.write("s.toml", QUICK);
    for (asked, outcome, code) in
        [("delivery.ratio == 1", "pass", 0), ("delivery.p50 < 1ns", "fail", 1), ("heartbeat_interval.p50 < 1s", "inconclusive", 3)]
    {
        let ran = desk.run(&["run", "s.toml", "--format", "json", "--threshold", asked, "--threshold", "connections.lost == 0"]);
        let ran = ran.with(code);
        assert_eq!(threshold_outcomes(&ran), [(asked.into(), outcome.into()), ("connections.lost == 0".into(), "pass".into())]);
    }
}

#[test]
fn what_cannot_be_asked_is_bad_usage_before_anything_runs() {
    let desk = Desk::new();
    desk.write("s.toml", QUICK);
    // Nothing listens on the reserved port 1: had it tried, the code would be 4.
    let url = ["--url", "ws://127.0.0.1:1"];
    for (arguments, says) in [
        (&["--threshold", "delivry.p99 < 1s"][..], "did you mean"),
        (&["--threshold", "delivery.p99"], "METRIC OP VALUE"),
        (&["--fail-on-regression", "10%"], "--baseline"),
        (&["--baseline", "none.json"], "none.json"),
        (&["--baseline", "none.json", "--fail-on-regression", "ten"], "ten"),
        (&["--html", "same", "--junit", "same"], "twice"),
    ] {
        let ran = desk.run(&[&["run", "s.toml"], &url[..], arguments].concat()).with(2);
        assert!(ran.err.contains(says), "{}", ran.err);
    }
    let ran = desk.run(&["run", "s.toml", url[0], url[1], "--html", "no/such/place.html"]).with(4);
    assert!(ran.err.contains("no/such/place.html"), "{}", ran.err);
    assert!(!desk.path("same").exists());
}

#[test]
fn every_file_is_written_and_agrees_with_the_report() {
    let desk = Desk::new();
    desk.write("s.toml", QUICK);
    let files = ["--html", "r.html", "--junit", "r.xml", "--markdown", "r.md", "--hlog", "r.hlog", "--out", "out"];
    desk.run(&[&["run", "s.toml", "-q", "--threshold", "delivery.ratio == 1"], &files[..]].concat()).with(0);
    for (file, format) in [("r.html", "html"), ("r.xml", "junit"), ("r.md", "markdown"), ("r.hlog", "hlog")] {
        let again = desk.run(&["report", "out", "--format", format]).with(0);
        assert!(again.out == desk.read(file) && !again.out.is_empty(), "{file} is what `report --format {format}` writes");
    }
    assert!(desk.read("r.xml").contains("threshold"));
    let ran = desk.run(&["run", "s.toml", "-q", "--html", "r.html"]).with(4);
    assert!(ran.err.contains("--force"), "{}", ran.err);
}

#[test]
fn a_workflow_gets_annotations_and_a_summary() {
    let desk = Desk::new();
    desk.write("s.toml", QUICK);
    desk.write("summary.md", "# before\n");
    let run = |arguments: &[&str]| {
        let mut command = desk.command(&[&["run", "s.toml", "-q", "--threshold", "delivery.p50 < 1ns"], arguments].concat());
        command.env("GITHUB_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", desk.path("summary.md"));
        Ran::of(&command.output().expect("the binary starts")).with(1)
    };
    let ran = run(&["--ci", "none"]);
    assert!(!ran.out.contains("::error") && desk.read("summary.md") == "# before\n");
    let ran = run(&[]);
    assert!(ran.out.contains("\n::error title=wsbench%3A threshold") && ran.out.contains("\n::notice "), "{}", ran.out);
    let summary = desk.read("summary.md");
    assert!(summary.starts_with("# before\n") && summary.contains("delivery.p50"), "{summary}");
    let ran = run(&["--format", "json"]);
    assert!(serde_json::from_str::<serde_json::Value>(&ran.out).is_ok() && ran.err.contains("::error"), "{}", ran.err);
    let asked = desk.run(&["run", "s.toml", "-q", "--ci", "github"]).with(0);
    assert!(asked.out.contains("::notice ") && !asked.out.contains("::error"), "{}", asked.out);
}

#[test]
fn a_baseline_decides_and_one_of_other_work_is_refused() {
    let desk = Desk::new();
    desk.write("s.toml", QUICK);
    desk.run(&["run", "s.toml", "-q", "--out", "base"]).with(0);
    let ran = desk.run(&["run", "s.toml", "-q", "--baseline", "base/report.json"]).with(0);
    assert!(ran.out.contains("delivery.p50"), "the comparison is shown:\n{}", ran.out);
    // A check that passed in the base and fails now is a regression, whatever the machine does to the latencies.
    desk.write("strict.toml", &format!("{QUICK}[checks.latency]\np50 = \"5s\"\n"));
    desk.run(&["run", "strict.toml", "-q", "--out", "strict"]).with(0);
    let report = desk.read("strict/report.json");
    let ran = desk.run(&["run", "s.toml", "--baseline", "strict/report.json", "--url", "ws://127.0.0.1:1"]).with(2);
    assert!(ran.err.contains("scenario digest"), "{}", ran.err);
    desk.write("more.json", &report.replacen("\"connections\": 5", "\"connections\": 6", 1));
    let ran = desk.run(&["run", "strict.toml", "--baseline", "more.json", "--url", "ws://127.0.0.1:1"]).with(2);
    assert!(ran.err.contains("number of clients"), "{}", ran.err);
    let limit = ["--baseline", "base/report.json", "--fail-on-regression", "100000%", "--format", "json"];
    let ran = desk.run(&[&["run", "s.toml", "-q"], &limit[..]].concat());
    let told: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON and nothing else");
    assert_eq!(told["exit_code"], ran.code, "{}", ran.err);
    assert!(told["findings"].as_array().expect("findings").iter().any(|f| f["check"] == "regression"), "{}", ran.out);
}
