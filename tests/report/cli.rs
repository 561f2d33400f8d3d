//! `wsbench report` and `wsbench compare`, from their arguments to their exit.

use std::fs;
use std::path::Path;

use clap::{Args as _, Command, FromArgMatches as _};
use wsbench::cli::{compare, exit::Exit, report as again};
use wsbench::report::text::Style;
use wsbench::report::{self, Report};

use crate::fixture;

fn stored(directory: &Path, name: &str, report: &Report) -> String {
    let path = directory.join(name);
    fs::create_dir_all(path.parent().expect("it has one")).expect("it is creatable");
    fs::write(&path, report::json::render(report)).expect("it is writable");
    path.display().to_string()
}

fn render(arguments: &[&str]) -> Exit {
    let command = again::Args::augment_args(Command::new("report"));
    let matches = command.try_get_matches_from(std::iter::once(&"report").chain(arguments)).expect("they parse");
    again::run(&again::Args::from_arg_matches(&matches).expect("they convert"), &Style::default())
}

fn compared(arguments: &[&str]) -> Exit {
    let command = compare::Args::augment_args(Command::new("compare"));
    let matches = command.try_get_matches_from(std::iter::once(&"compare").chain(arguments)).expect("they parse");
    compare::run(&compare::Args::from_arg_matches(&matches).expect("they convert"), &Style::default())
}

#[test]
fn a_stored_report_renders_again_exactly() {
    let directory = tempfile::tempdir().expect("a directory");
    let report = fixture::mixed();
    let file = stored(directory.path(), "report.json", &report);
    let out = directory.path().join("out").display().to_string();
    for (format, expected) in [
        ("json", report::json::render(&report)),
        ("html", report::html::render(&report)),
        ("junit", report::junit::render(&report)),
        ("markdown", report::markdown::render(&report)),
        ("csv", report::csv::timeline(&report)),
        ("csv-percentiles", report::csv::percentiles(&report)),
        ("hlog", report::hdr::hlog(&report)),
        ("tap", report::tap::render(&report)),
        ("github", report::github::render(&report)),
    ] {
        assert_eq!(render(&[&file, "--format", format, "-o", &out]), Exit::Pass, "{format}");
        assert_eq!(fs::read_to_string(&out).expect("it was written"), expected, "{format}");
    }
    assert_eq!(render(&[&file, "--format", "hgrm", "--metric", "pong", "-o", &out]), Exit::Pass);
    assert_eq!(render(&[&file, "--format", "hgrm", "--metric", "pang", "-o", &out]), Exit::Usage);
}

#[test]
fn thresholds_decide_the_exit() {
    let directory = tempfile::tempdir().expect("a directory");
    let (mixed, silent) =
        (stored(directory.path(), "mixed.json", &fixture::mixed()), stored(directory.path(), "silent.json", &fixture::silent()));
    let out = directory.path().join("out").display().to_string();
    for (file, threshold, exit) in [
        (&mixed, "delivery.p99 < 250ms", Exit::Pass),
        (&mixed, "delivery.p99 < 1ms", Exit::Fail),
        (&silent, "delivery.p99 < 250ms", Exit::Inconclusive),
    ] {
        assert_eq!(render(&[file, "--threshold", threshold, "-o", &out]), exit, "{threshold}");
        assert!(fs::read_to_string(&out).expect("it was written").contains("threshold"));
    }
    let command = again::Args::augment_args(Command::new("report"));
    let error = command.try_get_matches_from(["report", &mixed, "--threshold", "delivry.p99 < 1s"]).expect_err("refused");
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("did you mean `delivery.p99`?"), "{error}");
}

#[test]
fn several_reports_are_one_page() {
    let directory = tempfile::tempdir().expect("a directory");
    let (a, b) = (stored(directory.path(), "a.json", &fixture::mixed()), stored(directory.path(), "b.json", &fixture::good()));
    let out = directory.path().join("out").display().to_string();
    for format in ["text", "html", "markdown"] {
        assert_eq!(render(&[&a, &b, "--format", format, "-o", &out]), Exit::Pass);
        let text = fs::read_to_string(&out).expect("it was written");
        assert!(text.contains("A broadcast") && text.contains("B broadcast"), "{text}");
    }
    assert_eq!(render(&[&a, &b, "--format", "junit", "-o", &out]), Exit::Pass);
    assert_eq!(fs::read_to_string(&out).expect("it was written").matches("<testsuite ").count(), 2);
    assert_eq!(render(&[&a, &b, "--format", "json", "-o", &out]), Exit::Pass);
    assert_eq!(render(&[&out, "--format", "markdown", "-o", &out]), Exit::Pass, "what it writes it reads");
    assert_eq!(render(&[&a, &b, "--format", "hlog", "-o", &out]), Exit::Usage);
    assert_eq!(render(&[&a, "no-such-file.json"]), Exit::Usage);
    assert_eq!(render(&[&a, "-o", &format!("{out}/no/place")]), Exit::Environment);
}

#[test]
fn comparing_exits_by_what_was_asked() {
    let directory = tempfile::tempdir().expect("a directory");
    let base = fixture::good();
    let mut slow = base.clone();
    slow.summary.latency.insert(wsbench::scenario::model::Metric::Delivery, {
        let mut distribution = wsbench::measure::Distribution::default();
        (0..50_000).for_each(|n| distribution.record(400_000_000 + n * 1_000));
        distribution
    });
    let mut other = base.clone();
    other.plan.connections = 10;
    for n in 0..5 {
        stored(directory.path(), &format!("base/repeat-{n}/report.json"), &base);
        stored(directory.path(), &format!("slow/repeat-{n}/report.json"), &slow);
    }
    let path = |name: &str| directory.path().join(name).display().to_string();
    let (one, out) = (stored(directory.path(), "one.json", &slow), path("out"));
    let alien = stored(directory.path(), "alien.json", &other);
    for (new, limit, exit) in [
        (path("base"), Some("10%"), Exit::Pass),
        (path("slow"), Some("10%"), Exit::Fail),
        (path("slow"), None, Exit::Pass),
        (one, Some("0.1"), Exit::Fail),
        (alien, Some("10%"), Exit::Usage),
        (path("nowhere"), None, Exit::Usage),
    ] {
        for format in ["text", "json", "markdown", "html", "github"] {
            let base = path("base");
            let mut arguments = vec![base.as_str(), &new, "--format", format, "-o", &out];
            arguments.extend(limit.map(|limit| ["--fail-on-regression", limit]).into_iter().flatten());
            assert_eq!(compared(&arguments), exit, "{new} {limit:?} {format}");
        }
    }
}
