//! Golden files: every renderer on one fixed report. `UPDATE_GOLDEN=1 cargo test --test report` rewrites them.

#[path = "report/compare.rs"]
mod comparisons;
#[path = "report/fixture.rs"]
mod fixture;

use std::path::PathBuf;

use unicode_width::UnicodeWidthStr as _;
use wsbench::check::Outcome;
use wsbench::report::text::Style;
use wsbench::report::{self, Report, Threshold};
use wsbench::scenario::model::Metric;

fn golden(name: &str, actual: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/report/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, actual).expect("the golden file is writable");
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = expected.lines().zip(actual.lines()).position(|(a, b)| a != b);
    assert!(
        expected == actual,
        "{name} differs first in line {}; look at it, then UPDATE_GOLDEN=1\n{actual}",
        differs.unwrap_or_else(|| expected.lines().count().min(actual.lines().count())) + 1
    );
}

fn styles() -> [(&'static str, Style); 5] {
    [
        ("80.txt", Style::default()),
        ("120.txt", Style { width: 120, ..Style::default() }),
        ("50.txt", Style { width: 50, ..Style::default() }),
        ("ascii.txt", Style { unicode: false, ..Style::default() }),
        ("colour.txt", Style { colour: true, ..Style::default() }),
    ]
}

#[test]
fn terminal_reports() {
    for (suffix, style) in styles() {
        golden(&format!("mixed.{suffix}"), &report::text::render(&fixture::mixed(), &style));
    }
    golden("good.80.txt", &report::text::render(&fixture::good(), &Style::default()));
    golden("silent.80.txt", &report::text::render(&fixture::silent(), &Style::default()));
}

#[test]
fn no_line_scrolls_and_ascii_is_ascii() {
    for make in [fixture::mixed, fixture::good, fixture::silent] {
        for width in [48, 50, 59, 60, 66, 72, 80, 81, 100, 120] {
            let text = report::text::render(&make(), &Style { width, ..Style::default() });
            for line in text.lines() {
                assert!(line.width() <= width, "{width}: {} columns: {line}", line.width());
                assert_eq!(line.trim_end(), line, "blanks at the end");
            }
        }
        let ascii = report::text::render(&make(), &Style { unicode: false, ..Style::default() });
        assert!(ascii.is_ascii(), "{ascii}");
    }
}

#[test]
fn colour_changes_nothing_but_colour() {
    let report = fixture::mixed();
    let coloured = report::text::render(&report, &Style { colour: true, ..Style::default() });
    let mut plain = String::new();
    let mut rest = coloured.as_str();
    while let Some(start) = rest.find('\u{1b}') {
        plain.push_str(&rest[..start]);
        rest = &rest[start + rest[start..].find('m').expect("every escape ends") + 1..];
    }
    plain.push_str(rest);
    assert_eq!(plain, report::text::render(&report, &Style::default()));
}

#[test]
fn nothing_from_the_network_reaches_a_reader_raw() {
    let report = fixture::mixed();
    for text in [
        report::text::render(&report, &Style::default()),
        report::json::render(&report),
        report::csv::timeline(&report),
        report::csv::percentiles(&report),
        report::junit::render(&report),
        report::markdown::render(&report),
        report::github::render(&report),
        report::tap::render(&report),
        report::hdr::hlog(&report),
        report::html::render(&report),
        report::html::several(&[report.clone(), report.clone()]),
        report::several::text(&[report.clone(), report.clone()], &Style::default()),
        report::several::markdown(&[report.clone(), report.clone()]),
    ] {
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text}");
        assert!(!text.contains('\u{202e}'), "{text}");
    }
}

#[test]
fn machine_readable_reports() {
    let report = fixture::mixed();
    golden("mixed.json", &report::json::render(&report));
    golden("mixed.timeline.csv", &report::csv::timeline(&report));
    golden("mixed.percentiles.csv", &report::csv::percentiles(&report));
    golden("mixed.junit.xml", &report::junit::render(&report));
    golden("mixed.md", &report::markdown::render(&report));
    golden("mixed.github.txt", &report::github::render(&report));
    golden("mixed.tap", &report::tap::render(&report));
    golden("mixed.hlog", &report::hdr::hlog(&report));
    golden("good.hlog", &report::hdr::hlog(&fixture::good()));
    golden("mixed.hgrm", &report::hdr::hgrm(&report.summary.latency[&Metric::Delivery]));
    golden("good.github.txt", &report::github::render(&fixture::good()));
    golden("mixed.html", &report::html::render(&report));
    golden("several.html", &report::html::several(&[report.clone(), fixture::good(), fixture::silent()]));
    golden("silent.html", &report::html::render(&fixture::silent()));
    golden("several.txt", &report::several::text(&[report.clone(), fixture::good()], &Style::default()));
    golden("several.md", &report::several::markdown(&[report.clone(), fixture::good()]));
    golden("metrics.md", &report::metric::docs());
}

#[test]
fn a_report_reads_back_as_it_was() {
    for report in [fixture::mixed(), fixture::good(), fixture::silent()] {
        let json = report::json::render(&report);
        let back: Report = report::json::read(&json).expect("our own report is readable");
        assert_eq!(back, report);
        assert_eq!(report::json::render(&back), json);
    }
}

#[test]
fn thresholds_are_findings() {
    let report = fixture::mixed();
    for (text, outcome) in [
        ("delivery.p99 < 250ms", Outcome::Pass),
        ("delivery.p99 < 20ms", Outcome::Fail),
        ("delivery.ratio == 1", Outcome::Fail),
        ("delivery.missing <= 12", Outcome::Pass),
        ("delivery.max > 1s", Outcome::Pass),
        ("connect.p95 < 1s", Outcome::Pass),
        ("instrument.late_share < 1%", Outcome::Pass),
        ("heartbeat.p50 >= 4.9s", Outcome::Pass),
        ("publications.achieved >= 49/s", Outcome::Pass),
        ("instrument.peak_memory < 1MiB", Outcome::Fail),
    ] {
        let finding = text.parse::<Threshold>().expect(text).judge(&report);
        assert_eq!((finding.check.as_str(), finding.outcome), ("threshold", outcome), "{text}: {}", finding.observed);
        assert!(finding.population > 0);
    }
    assert_eq!("delivery.ratio == 1".parse::<Threshold>().expect("parses").judge(&fixture::good()).outcome, Outcome::Pass);
}

#[test]
fn a_threshold_without_data_is_inconclusive_whatever_it_asks() {
    let report = fixture::silent();
    for (name, metric) in report::metric::listed(report::metric::METRICS) {
        for text in [format!("{name} >= 0{}", zero_unit(&metric)), format!("{name} < 0{}", zero_unit(&metric))] {
            let finding = text.parse::<Threshold>().expect(&text).judge(&report);
            assert_eq!(finding.outcome == Outcome::Inconclusive, finding.population == 0, "{text}");
        }
    }
    for text in ["delivery.p99 < 250ms", "delivery.ratio == 1", "delivery.missing == 0", "instrument.late_share < 1%"] {
        assert_eq!(text.parse::<Threshold>().expect(text).judge(&report).outcome, Outcome::Inconclusive, "{text}");
    }
}

fn zero_unit(metric: &report::metric::Metric) -> &'static str {
    if metric.unit() == report::metric::Unit::Time { "s" } else { "" }
}

#[test]
fn a_failed_threshold_turns_the_verdict() {
    let mut report = fixture::good();
    let finding = "delivery.p99 < 1us".parse::<Threshold>().expect("parses").judge(&report);
    report.add_findings([finding]);
    assert_eq!((report.verdict, report.exit_code), (Outcome::Fail, 1));
}
