//! `run --repeat`: several runs as one, and comparisons of several with several.

use std::process::Stdio;

use super::{Desk, QUICK, Ran};

#[test]
fn each_run_has_its_own_directory_and_all_are_told_together() {
    let desk = Desk::new();
    desk.write("s.toml", QUICK);
    let files = ["--html", "r.html", "--junit", "r.xml", "--markdown", "r.md", "--journal", "j.wsj"];
    let ran = desk.run(&[&["run", "s.toml", "--repeat", "3", "--out", "o", "--threshold", "delivery.ratio == 1"], &files[..]].concat());
    let ran = ran.with(0);
    assert!(ran.out.starts_with("✓ PASS quick · 3 runs, 3 pass · 5 clients\n"), "{}", ran.out);
    assert!(ran.out.contains("Between runs") && ran.out.contains("varies by"), "{}", ran.out);
    let mut names = std::collections::BTreeSet::new();
    for n in 1..=3 {
        let report: serde_json::Value = serde_json::from_str(&desk.read(&format!("o/run-{n}/report.json"))).expect("JSON");
        assert!(desk.path(&format!("o/run-{n}/timeline.csv")).exists());
        names.insert((report["run_id"].as_u64(), report["seed"].as_u64()));
        let again = desk.run(&["judge", &format!("j-{n}.wsj"), "--threshold", "delivery.ratio == 1", "--format", "json"]).with(0);
        assert!(again.out == desk.read(&format!("o/run-{n}/report.json")), "run {n} judged again");
    }
    assert_eq!(names.len(), 3, "each run has a name of its own");
    assert_eq!(names.iter().map(|(_, seed)| seed).collect::<std::collections::BTreeSet<_>>().len(), 1, "and the plan of the first");
    let junit = desk.read("r.xml");
    assert_eq!(junit.matches("<testsuite name=\"wsbench quick run ").count(), 3, "{junit}");
    assert!(desk.read("r.html").contains("run 3") && desk.read("r.md").contains("| run 3 |"));
    // Rendering the directory again is the same as what was told.
    for (format, file) in [("html", "r.html"), ("junit", "r.xml"), ("markdown", "r.md")] {
        let again = desk.run(&["report", "o", "--format", format]).with(0);
        assert!(again.out == desk.read(file), "{file} is what `report --format {format}` writes");
    }
    let ran = desk.run(&["run", "s.toml", "-q", "--repeat", "2", "--out", "o", "--force"]).with(4);
    assert!(ran.err.contains("run-3") && ran.err.contains("earlier run"), "{}", ran.err);
}

#[test]
fn the_worst_run_decides_and_both_sides_of_a_comparison_may_be_repeats() {
    let desk = Desk::new();
    desk.write("s.toml", QUICK);
    let base = desk.run(&["run", "s.toml", "-q", "--repeat", "4", "--format", "json"]).with(0);
    assert_eq!(serde_json::from_str::<Vec<serde_json::Value>>(&base.out).expect("an array of reports").len(), 4);
    desk.write("base.json", &base.out);
    // No machine is ten thousand per cent slower from one minute to the next.
    let gate = ["--baseline", "base.json", "--fail-on-regression", "10000%", "--out", "new"];
    let ran = desk.run(&[&["run", "s.toml", "-q", "--repeat", "4"], &gate[..]].concat()).with(0);
    assert!(ran.out.contains("Permutation test over 4 and 4 runs") && ran.out.contains("at most 5%"), "{}", ran.out);
    let ran = desk.run(&["compare", "base.json", "new", "--format", "json"]).with(0);
    let told: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!((&told["base"]["runs"], &told["new"]["runs"]), (&4.into(), &4.into()));
    let ran = desk.run(&["run", "s.toml", "-q", "--repeat", "2", "--threshold", "delivery.p50 < 1ns"]).with(1);
    assert!(ran.out.contains("2 runs, 2 fail") && ran.out.contains("run 2: threshold fail"), "{}", ran.out);
}

#[test]
fn what_repeats_cannot_do_is_said_before_the_first() {
    let desk = Desk::new();
    desk.write("s.toml", QUICK);
    // Nothing listens on the reserved port 1: had it tried, the code would be 4.
    let url = ["--url", "ws://127.0.0.1:1"];
    for (arguments, says) in
        [(&["--repeat", "0"][..], "1..=100"), (&["--repeat", "101"], "1..=100"), (&["--repeat", "2", "--hlog", "h"], "--hlog")]
    {
        let ran = desk.run(&[&["run", "s.toml"], &url[..], arguments].concat()).with(2);
        assert!(ran.err.contains(says), "{}", ran.err);
    }
    let ran = desk.run(&["run", "s.toml", url[0], url[1], "--repeat", "3"]).with(4);
    assert_eq!(ran.err.matches("no client could connect").count(), 1, "it is not tried again and again: {}", ran.err);
}

#[test]
fn an_interrupted_series_has_what_it_has_and_is_inconclusive() {
    let desk = Desk::new();
    desk.write("s.toml", &QUICK.replace("500ms", "20s"));
    let run = ["run", "s.toml", "--repeat", "3", "--format", "json", "--metrics", "127.0.0.1:0"];
    let mut child = desk.command(&run).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().expect("piped")));
    lines.by_ref().map_while(Result::ok).find(|line| line.contains("steady")).expect("it gets there");
    std::thread::spawn(move || lines.for_each(drop));
    assert_eq!(std::process::Command::new("kill").arg("-INT").arg(child.id().to_string()).status().expect("kill").code(), Some(0));
    let ran = Ran::of(&child.wait_with_output().expect("it ends")).with(3);
    assert_eq!(serde_json::from_str::<Vec<serde_json::Value>>(&ran.out).expect("an array").len(), 1, "{}", ran.out);
}
