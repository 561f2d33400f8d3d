//! Where output goes: data on standard output, progress and warnings on standard error, files whole or not at all.

use super::{Desk, QUICK, report};

#[test]
fn the_report_is_on_standard_output_and_progress_is_not() {
    let desk = Desk::new();
    let ran = desk.run(&["run", desk.scenario(QUICK)]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.starts_with("✓ PASS quick") || ran.out.starts_with("+ PASS quick"), "the verdict comes first: {}", ran.out);
    assert!(!ran.out.contains('\u{1b}'), "no colour when not a terminal");
    assert!(ran.err.starts_with("wsbench: quick → ws://127.0.0.1:"), "where the load goes comes first: {}", ran.err);
    assert!(ran.err.contains("5 clients") && ran.err.contains("100 copies owed"), "and how much: {}", ran.err);
    for phase in ["ramp", "warm-up", "steady", "drain", "close"] {
        assert_eq!(ran.err.matches(&format!("  {phase} ")).count(), 1, "a line for {phase}: {}", ran.err);
    }
    assert!(ran.out.lines().all(|line| line.chars().count() <= 80), "80 columns: {}", ran.out);
}

#[test]
fn quiet_is_quiet_and_colour_is_as_told() {
    let desk = Desk::new();
    let file = desk.scenario(QUICK);
    let ran = desk.run(&["run", file, "--quiet", "--color", "always"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(ran.out.contains('\u{1b}'));
    let output = desk.command(&["run", file, "-q"]).env("NO_COLOR", "1").env("LC_ALL", "POSIX.ISO-8859-1").output().expect("it starts");
    assert!(output.stdout.is_ascii(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn the_files_say_what_the_terminal_says() {
    let desk = Desk::new();
    let file = desk.scenario(QUICK);
    let ran = desk.run(&["run", file, "--out", "results", "--format", "json"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let results = desk.path("results");
    let mut names: Vec<_> =
        std::fs::read_dir(&results).expect("there").map(|e| e.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    assert_eq!(names, ["percentiles.csv", "report.json", "scenario.toml", "timeline.csv"]);
    assert_eq!(report(&results), ran.json());
    assert_eq!(report(&results)["schema"], "wsbench.report/1");

    // The scenario as resolved is a scenario, and means the same.
    let digest = |plan: &super::Ran| plan.out.lines().find(|l| l.contains("digest")).map(str::to_owned);
    let (typed, resolved) = (desk.run(&["plan", file]), desk.run(&["plan", "results/scenario.toml"]));
    assert_eq!((typed.code, resolved.code), (0, 0), "{}", resolved.err);
    assert_eq!(digest(&typed), digest(&resolved));

    // A second run does not write over the first, unless told.
    assert_eq!(desk.run(&["run", file, "--out", "results"]).code, 4);
    assert_eq!(desk.run(&["run", file, "--out", "results", "--force"]).code, 0);
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let desk = Desk::new();
    let file = desk.scenario(QUICK);
    let mut child = desk
        .command(&["run", file, "-q"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("it starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

#[test]
fn help_has_examples_and_exit_codes() {
    let desk = Desk::new();
    let help = desk.run(&["--help"]);
    assert_eq!(help.code, 0);
    for part in ["wsbench run scenarios/broadcast.toml", "0 every check passed", "3 inconclusive"] {
        assert!(help.out.contains(part), "{}", help.out);
    }
    assert!(desk.run(&["--version"]).out.starts_with("wsbench "));
}
