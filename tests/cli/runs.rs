//! Whole runs against the built-in server and against `wsbench serve`: verdicts, exit codes and what is left in `--out`.

use super::{Serving, checks_that, listed, report, scenario, scratch, short_scenario, wsbench};

const FILES: [&str; 4] = ["percentiles.csv", "report.json", "scenario.toml", "timeline.csv"];

#[test]
fn a_run_that_passes_ends_with_0_and_leaves_its_results() {
    let directory = scratch();
    let out = directory.path().join("results");
    let path = short_scenario(directory.path(), "");
    let ended = wsbench(["run", &path, "--quiet", "--seed", "7", "--out", out.to_str().expect("plain")]).with(0);
    assert_eq!(ended.stderr, "", "--quiet says nothing");
    assert!(ended.stdout.contains("PASS"), "{}", ended.stdout);
    assert_eq!(listed(&out), FILES);

    let report = report(&out);
    assert_eq!((report["verdict"].as_str(), report["exit_code"].as_u64(), report["seed"].as_u64()), (Some("pass"), Some(0), Some(7)));
    for check in ["connect", "survival", "delivery", "duplicate", "order", "integrity", "stray", "instrument"] {
        assert!(checks_that(&report, "pass").iter().any(|id| id == check), "{check} is asked of every run that publishes");
    }
    let copies = &report["summary"]["copies"];
    assert_eq!(copies["owed"], copies["on_time"], "all in time: {copies}");
    assert!(copies["owed"].as_u64().is_some_and(|owed| owed >= 6 * 15), "six clients, some twenty publications: {copies}");

    let read = |name: &str| std::fs::read_to_string(out.join(name)).expect("it was listed");
    assert!(read("timeline.csv").lines().count() > 1 && read("percentiles.csv").lines().count() > 1, "a head and rows");
    let resolved = out.join("scenario.toml");
    wsbench(["plan", resolved.to_str().expect("plain")]).with(0);
}

#[test]
fn json_on_standard_output_is_the_report() {
    let directory = scratch();
    let path = short_scenario(directory.path(), "");
    let ended = wsbench(["run", &path, "--format", "json"]).with(0);
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).expect("nothing but JSON on standard output");
    assert_eq!(report["schema"], "wsbench.report/1");
    assert!(ended.stderr.contains("steady"), "a line a phase where there is no terminal:\n{}", ended.stderr);
}

#[test]
fn results_that_are_there_are_kept_unless_told_otherwise() {
    let directory = scratch();
    let out = directory.path().join("results");
    let path = short_scenario(directory.path(), "");
    std::fs::create_dir(&out).expect("made");
    std::fs::write(out.join("report.json"), "precious").expect("written");
    let kept = || std::fs::read_to_string(out.join("report.json")).expect("it is still there");

    wsbench(["run", &path, "--out", out.to_str().expect("plain")]).with(4).saying(&["report.json", "--force"]);
    assert_eq!((kept().as_str(), listed(&out)), ("precious", vec!["report.json".to_owned()]), "nothing is touched or left");
    wsbench(["run", &path, "--out", out.to_str().expect("plain"), "--force"]).with(0);
    assert!(kept().contains("wsbench.report/1"));
    assert_eq!(listed(&out), FILES);
}

#[test]
fn results_that_cannot_be_written_are_known_before_the_run() {
    let directory = scratch();
    let path = short_scenario(directory.path(), "");
    let ended = wsbench(["run", &path, "--out", &format!("{path}/results")]).with(4).saying(&["scenario.toml/results"]);
    assert!(!ended.stderr.contains("steady"), "nothing was run:\n{}", ended.stderr);
}

/// Flags of the server, what is put behind the short scenario, and the checks that must fail.
const DISAGREEMENTS: &[(&[&str], &str, &[&str])] = &[
    (&[], "", &[]),
    (&["--fanout", "others"], "", &["delivery"]),
    (&["--fanout", "echo"], "", &["delivery"]),
    (&["--fault", "drop,rate=0.2"], "", &["delivery"]),
    (&["--fault", "duplicate,rate=0.2"], "", &["duplicate"]),
    (&["--fault", "opcode,rate=0.2"], "", &["integrity"]),
    (&["--heartbeat", "off"], "[checks.heartbeat]\nevery = \"400ms\"\nexpect = { json = { type = 1 } }\n", &["heartbeat"]),
    (&["--greeting", "off"], "[checks.pong]\nsend = \"pong?\"\nexpect = \"pong!\"\nevery = \"500ms\"\n", &["pong"]),
];

#[test]
fn a_server_that_does_otherwise_is_found_out_by_the_check_that_names_it() {
    for (flags, more, fails) in DISAGREEMENTS {
        let server = Serving::with(flags);
        let directory = scratch();
        let out = directory.path().join("results");
        let path = short_scenario(directory.path(), more);
        let code = i32::from(!fails.is_empty());
        let ended = wsbench(["run", &path, "--quiet", "--url", &server.url, "--out", out.to_str().expect("plain")]).with(code);
        assert_eq!(checks_that(&report(&out), "fail"), *fails, "serve {flags:?}:\n{}", ended.stdout);
    }
}

#[test]
fn no_evidence_is_never_a_pass() {
    // A server that never greets, where a greeting is what makes a client ready.
    let server = Serving::with(&["--greeting", "off"]);
    let directory = scratch();
    let out = directory.path().join("results");
    let text = "[clients]\ncount = 3\ngreeting = { exact = \"something\", within = \"500ms\" }\n[publish]\npace = \"20/s\"\n\
                [phases]\nsteady = \"500ms\"\nramp_limit = \"1s\"\n";
    let path = scenario(directory.path(), text);
    let ended = wsbench(["run", &path, "--url", &server.url, "--out", out.to_str().expect("plain")]);
    assert!(matches!(ended.code, Some(1 | 3)), "{ended:?}");
    let report = report(&out);
    assert!(!checks_that(&report, "pass").iter().any(|check| check == "delivery"), "nobody was ready, nothing was delivered");
}

#[test]
fn the_same_seed_makes_the_same_plan_and_explain_knows_every_check() {
    let directory = scratch();
    let path = short_scenario(directory.path(), "");
    let plan = |seed: &str| wsbench(["plan", &path, "--seed", seed]).with(0).stdout;
    assert_eq!(plan("3"), plan("3"));
    let listed = wsbench(["explain"]).with(0).stdout;
    for check in
        ["connect", "survival", "delivery", "duplicate", "order", "integrity", "stray", "latency", "pong", "heartbeat", "instrument"]
    {
        assert!(listed.contains(check), "`wsbench explain` does not list {check}");
        assert!(wsbench(["explain", check]).with(0).stdout.contains(check));
    }
}
