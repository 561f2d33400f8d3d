//! Golden files: every renderer on one fixed report. `UPDATE_GOLDEN=1 cargo test --test report` rewrites them.

#[path = "report/fixture.rs"]
mod fixture;

use std::path::PathBuf;

use unicode_width::UnicodeWidthStr as _;
use wsbench::report::text::Style;
use wsbench::report::{self, Report};

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
