//! `wsbench report` on conformance reports.

use std::time::Duration;

use super::{Desk, QUICK};
use wsbench::conformance::report::Report;

fn stored(desk: &Desk, name: &str, target: &str) {
    let report = Report::new("server", target, "echo server", false, 1, Duration::from_secs(2), &[]);
    desk.write(name, &report.to_json());
}

#[test]
fn conformance_reports_are_known_by_their_schema() {
    let desk = Desk::new();
    stored(&desk, "a.json", "ws://a.example/");
    stored(&desk, "b.json", "ws://b.example/");
    for format in ["text", "html", "markdown", "junit", "json"] {
        let ran = desk.run(&["report", "a.json", "--format", format]).with(0);
        assert!(ran.out.contains("ws://a.example/"), "{format}: {}", ran.out);
    }
    for format in ["text", "html", "markdown"] {
        let ran = desk.run(&["report", "a.json", "b.json", "--format", format]).with(0);
        assert!(ran.out.contains("a.example") && ran.out.contains("b.example"), "{format}: {}", ran.out);
    }
    for arguments in
        [&["a.json", "b.json", "--format", "junit"][..], &["a.json", "--format", "csv"], &["a.json", "--threshold", "delivery.ratio == 1"]]
    {
        desk.run(&[&["report"], arguments].concat()).with(2);
    }
}

#[test]
fn kinds_do_not_mix_and_versions_do_not_pass() {
    let desk = Desk::new();
    desk.write("s.toml", QUICK);
    stored(&desk, "a.json", "ws://a.example/");
    desk.run(&["run", "s.toml", "-q", "--out", "run"]).with(0);
    for files in [["a.json", "run"], ["run", "a.json"]] {
        let ran = desk.run(&["report", files[0], files[1], "--format", "html"]).with(2);
        assert!(ran.err.contains("a.json is a conformance report and run/report.json is not"), "{}", ran.err);
    }
    desk.write("new.json", &desk.read("a.json").replace("wsbench.conformance/1", "wsbench.conformance/2"));
    let ran = desk.run(&["report", "new.json"]).with(2);
    assert!(ran.err.contains("new.json") && ran.err.contains("wsbench.conformance/2"), "{}", ran.err);
}
