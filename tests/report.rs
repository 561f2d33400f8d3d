//! Golden files: every renderer on one fixed report. `UPDATE_GOLDEN=1 cargo test --test report` rewrites them.

#[path = "report/cli.rs"]
mod command_line;
#[path = "report/compare.rs"]
mod comparisons;
#[path = "report/fixture.rs"]
mod fixture;

use std::path::PathBuf;

use base64::Engine as _;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2Serializer};
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
    let (expected, actual) = (counts_for_bytes(&expected), counts_for_bytes(actual));
    let differs = expected.lines().zip(actual.lines()).position(|(a, b)| a != b);
    assert!(
        expected == actual,
        "{name} differs first in line {}; look at it, then UPDATE_GOLDEN=1\n{actual}",
        differs.unwrap_or_else(|| expected.lines().count().min(actual.lines().count())) + 1
    );
}

/// The text with every HdrHistogram in base64 written out as its counts: how a histogram is compressed depends on the processor,
/// what it holds does not.
fn counts_for_bytes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    // The cookie of the compressed form, version 2, as base64 has it.
    while let Some(at) = rest.find("HISTFA") {
        let (before, from) = rest.split_at(at);
        let end = from.find(|c: char| !c.is_ascii_alphanumeric() && !"+/=".contains(c)).unwrap_or(from.len());
        let bytes = base64::engine::general_purpose::STANDARD.decode(&from[..end]).expect("base64");
        let histogram: Histogram<u64> = Deserializer::new().deserialize(&mut bytes.as_slice()).expect("an HdrHistogram");
        out.push_str(before);
        out.push_str(&format!("[{}..{} {}:", histogram.low(), histogram.high(), histogram.sigfig()));
        for bucket in histogram.iter_recorded() {
            out.push_str(&format!(" {}×{}", bucket.value_iterated_to(), bucket.count_since_last_iteration()));
        }
        out.push(']');
        rest = &from[end..];
    }
    out + rest
}

#[test]
fn a_golden_histogram_is_its_counts_and_nothing_less() {
    let encoded = |values: &[u64], level| {
        let mut histogram = Histogram::<u64>::new_with_bounds(1, 3_600_000_000_000, 3).expect("valid");
        values.iter().for_each(|value| histogram.record(*value).expect("in bounds"));
        let (mut plain, mut bytes) = (Vec::new(), 0x1c84_9314_u32.to_be_bytes().to_vec());
        V2Serializer::new().serialize(&histogram, &mut plain).expect("it is written");
        let mut deflate = flate2::write::ZlibEncoder::new(Vec::new(), level);
        std::io::Write::write_all(&mut deflate, &plain).expect("to memory");
        let deflated = deflate.finish().expect("to memory");
        bytes.extend((deflated.len() as u32).to_be_bytes());
        bytes.extend(deflated);
        format!("Tag=a,{}\n", base64::engine::general_purpose::STANDARD.encode(bytes))
    };
    let (fast, best) = (flate2::Compression::none(), flate2::Compression::best());
    let (one, other) = (encoded(&[1_000, 2_000, 2_000], fast), encoded(&[1_000, 2_000, 2_000], best));
    assert_ne!(one, other, "the bytes differ");
    assert_eq!(counts_for_bytes(&one), counts_for_bytes(&other));
    assert_ne!(counts_for_bytes(&one), counts_for_bytes(&encoded(&[1_000, 2_000], fast)));
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
        report::html::several(&[report.clone(), report.clone()], None),
        report::several::text(&[report.clone(), report.clone()], &Style::default()),
        report::several::markdown(&[report.clone(), report.clone()]),
    ] {
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text}");
        assert!(!text.contains('\u{202e}'), "{text}");
    }
}

/// Three runs of one plan, the second of them with faults.
/// A report file may come from anybody: the instant it says it began is text like any other.
#[test]
fn a_foreign_instant_reaches_no_reader_raw() {
    let mut report = fixture::mixed();
    report.started_at = "<script>\u{1b}]0;owned\u{7}".into();
    let several = [report.clone(), fixture::good()];
    for text in [
        report::text::render(&report, &Style::default()),
        report::markdown::render(&report),
        report::hdr::hlog(&report),
        report::several::text(&several, &Style::default()),
        report::several::markdown(&several),
        report::html::render(&report),
        report::junit::render(&report),
    ] {
        assert!(!text.contains(['\u{1b}', '\u{7}']), "{text}");
    }
    assert!(!report::markdown::render(&report).contains("<script>"));
}

fn repeats() -> [Report; 3] {
    let first = fixture::good();
    let mut second = fixture::mixed();
    (second.plan, second.target, second.seed) = (first.plan.clone(), first.target.clone(), first.seed);
    let mut third = fixture::good();
    third.summary.latency.insert(Metric::Delivery, first.summary.latency[&Metric::Transit].clone());
    [first, second, third]
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
    golden("several.html", &report::html::several(&[report.clone(), fixture::good(), fixture::silent()], None));
    golden("silent.html", &report::html::render(&fixture::silent()));
    let repeats = repeats();
    golden("repeats.html", &report::html::several(&repeats, None));
    golden("repeats.txt", &report::several::text(&repeats, &Style::default()));
    golden("repeats.junit.xml", &report::junit::several(&repeats, None));
    golden("repeats.md", &report::several::markdown(&repeats));
    golden("several.txt", &report::several::text(&[report.clone(), fixture::good()], &Style::default()));
    golden("several.md", &report::several::markdown(&[report.clone(), fixture::good()]));
    golden("report.schema.json", &format!("{:#}\n", report::json_schema()));
    golden("prometheus.md", &report::prometheus::docs());
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

#[test]
fn real_output_is_valid_by_the_published_schema_and_the_schema_can_refuse() {
    let validator = jsonschema::validator_for(&report::json_schema()).expect("it is a schema");
    for report in [fixture::mixed(), fixture::good(), fixture::silent()] {
        let value: serde_json::Value = serde_json::from_str(&report::json::render(&report)).expect("it is JSON");
        let errors: Vec<_> = validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{errors:#?}");
        for (pointer, broken) in [
            ("/schema", serde_json::json!("wsbench.report/2")),
            ("/verdict", serde_json::json!("maybe")),
            ("/findings/0/outcome", serde_json::json!("passed")),
            ("/findings/0/population", serde_json::json!(-1)),
            ("/summary/copies/owed", serde_json::json!("many")),
            ("/summary/spread/first/hdr_base64", serde_json::json!(7)),
        ] {
            let mut value = value.clone();
            *value.pointer_mut(pointer).expect(pointer) = broken;
            assert!(!validator.is_valid(&value), "{pointer}");
        }
        let mut value = value.clone();
        value.as_object_mut().expect("an object").remove("findings");
        assert!(!validator.is_valid(&value), "findings are required");
    }
}

#[test]
fn the_dashboard_asks_only_for_metrics_there_are_and_leaves_none_out() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("ci/grafana/wsbench.json");
    let dashboard = std::fs::read_to_string(path).expect("it is shipped");
    let _: serde_json::Value = serde_json::from_str(&dashboard).expect("it is JSON");
    let asked: std::collections::BTreeSet<&str> = dashboard
        .match_indices("wsbench_")
        .map(|(at, _)| dashboard[at..].split(|c: char| c != '_' && !c.is_ascii_alphanumeric()).next().unwrap_or_default())
        .map(|name| name.strip_suffix("_bucket").unwrap_or(name))
        .collect();
    let shown =
        |name: &str| !matches!(name, "wsbench_run_elapsed_seconds" | "wsbench_publications_planned" | "wsbench_connections_opened_total");
    let known: std::collections::BTreeSet<&str> =
        report::prometheus::METRICS.iter().map(|row| row.name).filter(|name| shown(name)).collect();
    assert_eq!(asked, known);
}

#[test]
fn the_page_of_ten_minutes_is_below_a_megabyte() {
    let mut report = fixture::mixed();
    let row = report.summary.timeline.rows[7].clone();
    report.summary.timeline.rows = (0..610)
        .map(|n| {
            // Every cell is as long as cells get.
            let ns = |least: u64| Some(least + n * 1_234_567 % 999_983);
            wsbench::measure::TimelineRow {
                at_ns: n * 1_000_000_000,
                delivery_p50_ns: ns(9_100_000),
                delivery_p99_ns: ns(19_100_000),
                delivery_max_ns: ns(991_100_000),
                send_lag_max_ns: ns(1_100_000),
                loop_lag_max_ns: ns(59_100_000),
                pong_p50_ns: ns(1_100_000),
                pong_p99_ns: ns(11_100_000),
                pong_max_ns: ns(111_100_000),
                beat_min_ns: ns(4_901_100_000),
                beat_p50_ns: ns(4_981_100_000),
                beat_max_ns: ns(5_011_100_000),
                copies: 50_000 - n % 17,
                missing: n % 3,
                ..row.clone()
            }
        })
        .collect();
    let publication = report.summary.spread.series[3];
    report.summary.spread.series =
        (0..2_000).map(|n| wsbench::measure::PublicationSpread { planned_ns: n * 305_123_457, seq: n as u32, ..publication }).collect();
    let html = report::html::render(&report);
    assert!(html.len() < 1_000_000, "{} bytes", html.len());
    if let Some(path) = std::env::var_os("LONG_PAGE") {
        std::fs::write(&path, html).expect("it is writable");
        std::fs::write(PathBuf::from(path).with_extension("json"), report::json::render(&report)).expect("it is writable");
    }
}
