//! Comparing runs: what is worse is called, what is alike is not, what is not comparable is refused by name.

use std::sync::OnceLock;

use wsbench::base::Seed;
use wsbench::check::Outcome;
use wsbench::measure::Distribution;
use wsbench::report::Report;
use wsbench::report::compare::{self, Judgement, compare};
use wsbench::report::text::Style;
use wsbench::scenario::model::Metric;

use crate::fixture;

/// A run like the good one whose latencies are drawn anew, `scale` times as long; no two seeds give the same run.
fn run(seed: u64, scale: f64) -> Report {
    static GOOD: OnceLock<Report> = OnceLock::new();
    let mut report = GOOD.get_or_init(fixture::good).clone();
    let mut rng = Seed(seed).rng();
    let wobble = 1.0 + 0.06 * (rng.unit() - 0.5);
    let mut draw = |n: u64, typical: f64| {
        let mut distribution = Distribution::default();
        (0..n).for_each(|_| distribution.record((typical * wobble * scale * (0.5 + rng.unit())) as u64));
        distribution
    };
    for metric in [Metric::Delivery, Metric::Transit] {
        report.summary.latency.insert(metric, draw(3_000, 20e6));
    }
    report.summary.latency.insert(Metric::Pong, draw(2_000, 8e6));
    report.summary.spread.last = draw(500, 40e6);
    report.started_at_unix_ms += seed;
    for row in &mut report.summary.timeline.rows {
        (row.delivery_p50_ns, row.delivery_p99_ns, row.delivery_max_ns) = (None, None, None);
        (row.pong_p50_ns, row.pong_p99_ns, row.pong_max_ns) = (None, None, None);
    }
    report
}

fn runs(seeds: std::ops::Range<u64>, scale: f64) -> Vec<Report> {
    seeds.map(|seed| run(seed, scale)).collect()
}

fn worse(comparison: &compare::Comparison) -> Vec<&str> {
    comparison.changes.iter().filter(|change| change.judgement == Judgement::Worse).map(|change| change.metric.as_str()).collect()
}

#[test]
fn alike_runs_pass_and_slower_ones_fail() {
    for n in [1, 5] {
        let base = runs(0..n, 1.0);
        let same = compare(&base, &runs(100..100 + n, 1.0), Some(0.1)).expect("comparable");
        assert_eq!((same.verdict, worse(&same).len()), (Outcome::Pass, 0), "{n}: {:?}", worse(&same));
        let slow = compare(&base, &runs(100..100 + n, 1.5), Some(0.1)).expect("comparable");
        assert_eq!(slow.verdict, Outcome::Fail, "{n}");
        assert!(worse(&slow).contains(&"delivery.p50"), "{n}: {:?}", worse(&slow));
        let fast = compare(&base, &runs(100..100 + n, 0.5), Some(0.1)).expect("comparable");
        assert_eq!(fast.verdict, Outcome::Pass, "{n}");
        assert!(fast.changes.iter().any(|change| change.judgement == Judgement::Better), "{n}");
        let allowed = compare(&base, &runs(100..100 + n, 1.5), Some(0.8)).expect("comparable");
        assert_eq!(allowed.verdict, Outcome::Pass, "{n}: half as long again is allowed here");
    }
}

#[test]
fn false_alarms_stay_within_the_stated_rate() {
    let alarms = (0..20)
        .filter(|round| {
            let (base, new) = (runs(round * 20..round * 20 + 5, 1.0), runs(round * 20 + 10..round * 20 + 15, 1.0));
            !worse(&compare(&base, &new, None).expect("comparable")).is_empty()
        })
        .count();
    assert!(alarms <= 5, "{alarms} of 20; 5 % are 1");
}

#[test]
fn what_is_smaller_than_the_instruments_own_lag_is_not_called() {
    let lagging = |mut report: Report| {
        report.summary.instrument.loop_lag_p99_ns = 200_000_000;
        report
    };
    let base: Vec<_> = runs(0..5, 1.0).into_iter().map(lagging).collect();
    let new: Vec<_> = runs(100..105, 1.5).into_iter().map(lagging).collect();
    assert!(worse(&compare(&base, &new, Some(0.1)).expect("comparable")).is_empty());
}

#[test]
fn a_check_that_turned_is_a_regression() {
    let comparison = compare(&[fixture::good()], &[fixture::mixed()], Some(10.0)).expect("comparable");
    assert_eq!(comparison.verdict, Outcome::Fail);
    assert!(comparison.outcomes.iter().any(|change| change.check == "delivery" && change.new == Outcome::Fail));
}

#[test]
fn incomparable_runs_are_refused_by_name() {
    let base = fixture::good();
    for (change, says) in [
        (&(|r: &mut Report| r.plan.connections = 999) as &dyn Fn(&mut Report), "number of clients differs (1000 against 999)"),
        (&|r| r.scenario.digest = "other".into(), "the scenario digest differs"),
        (&|r| r.scenario.name = "chat".into(), "the scenario differs (broadcast against chat)"),
        (&|r| r.schema = "wsbench.report/2".into(), "the report schema differs"),
    ] {
        let mut new = base.clone();
        change(&mut new);
        let error = compare(std::slice::from_ref(&base), &[new.clone()], None).expect_err(says).to_string();
        assert!(error.contains(says), "{error}");
        assert!(compare(&[base.clone(), new], std::slice::from_ref(&base), None).is_err(), "within a side too");
    }
    assert!(compare(&[], &[base], None).is_err());
}

#[test]
fn a_comparison_is_shown_in_every_format() {
    let (base, new) = (runs(0..5, 1.0), runs(100..105, 1.5));
    let comparison = compare(&base, &new, Some(0.1)).expect("comparable");
    for width in [50, 80, 100] {
        let text = compare::text(&comparison, &Style { width, ..Style::default() });
        for line in text.lines() {
            assert!(unicode_width::UnicodeWidthStr::width(line) <= width, "{width}: {line}");
        }
    }
    let text = compare::text(&comparison, &Style::default());
    assert!(text.starts_with("✗ FAIL broadcast against its baseline"), "{text}");
    assert!(compare::markdown(&comparison).contains("| delivery.p50 |"));
    assert!(compare::github(&comparison).contains("::error title=wsbench%3A regression fail::"));
    let html = wsbench::report::html::comparison(&comparison, &base, &new);
    assert!(html.contains("<span class=\"badge fail\">worse</span>") && html.contains("id=\"percentiles-delivery\""));
    let schema = jsonschema::validator_for(&wsbench::report::comparison_schema()).expect("it is a schema");
    assert!(schema.is_valid(&serde_json::from_str(&compare::json(&comparison)).expect("it is JSON")));
    let back: compare::Comparison = serde_json::from_str(&compare::json(&comparison)).expect("it reads back");
    assert_eq!(back.changes.len(), comparison.changes.len());
    if std::env::var_os("SHOW").is_some() {
        std::fs::write("target/comparison.html", &html).expect("it is writable");
        let single = compare(&base[..1], &new[..1], None).expect("comparable");
        panic!("{text}\n{}\n{}", compare::text(&single, &Style::default()), compare::markdown(&comparison));
    }
}
