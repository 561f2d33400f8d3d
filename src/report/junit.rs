//! JUnit XML as Jenkins, GitLab and the rest read it: a check a test case, figures as properties.
//!
//! A failed check is a `failure`. An inconclusive one is an `error`, not `skipped`: readers take skipped tests for green, and
//! no evidence is never a pass.

use std::fmt::Write as _;
use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::compare::{self, Comparison};
use super::metric::{self, METRICS};
use super::text::who;
use super::{Report, escape, headline, several};
use crate::base::Instant;
use crate::check::{Finding, Outcome};

/// A `testsuite`: a run, or a comparison of runs with their baseline.
struct Suite<'a> {
    name: String,
    class: String,
    findings: &'a [Finding],
    headline: String,
    report: &'a Report,
    /// Facts and figures of the run are told.
    figures: bool,
}

impl<'a> Suite<'a> {
    fn of(report: &'a Report, which: &str) -> Self {
        Self {
            name: format!("wsbench {}{which}", escape(&report.scenario.name)),
            class: clean(&format!("wsbench.{}{which}", report.scenario.name)),
            findings: &report.findings,
            headline: headline(report),
            report,
            figures: true,
        }
    }

    fn count(&self, outcome: Outcome) -> usize {
        self.findings.iter().filter(|finding| finding.outcome == outcome).count()
    }

    /// Nanoseconds.
    fn took(&self) -> u64 {
        if self.figures { self.report.summary.phases.iter().map(|phase| phase.took_ns).sum() } else { 0 }
    }
}

/// One `testsuite` for the run.
#[must_use]
pub fn render(report: &Report) -> String {
    written(&[Suite::of(report, "")])
}

/// One `testsuite` a run, and one for what a comparison with a baseline found.
#[must_use]
pub fn several(reports: &[Report], comparison: Option<&Comparison>) -> String {
    let mut suites: Vec<_> =
        reports.iter().zip(several::names(reports)).map(|(report, name)| Suite::of(report, &format!(" {name}"))).collect();
    if let (Some(comparison), Some(report)) = (comparison.filter(|comparison| !comparison.findings.is_empty()), reports.first()) {
        suites.push(Suite {
            findings: &comparison.findings,
            headline: compare::headline(comparison),
            figures: false,
            ..Suite::of(report, " against its baseline")
        });
    }
    written(&suites)
}

fn written(suites: &[Suite<'_>]) -> String {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    let done = document(&mut writer, suites);
    // Writing to memory has no way to fail.
    debug_assert!(done.is_ok(), "{done:?}");
    let mut text = String::from_utf8(writer.into_inner()).unwrap_or_default();
    text.push('\n');
    text
}

/// Attributes that sum some suites up.
fn totals(suites: &[Suite<'_>]) -> [(&'static str, String); 4] {
    let sum = |of: &dyn Fn(&Suite<'_>) -> usize| suites.iter().map(of).sum::<usize>().to_string();
    [
        ("tests", sum(&|suite| suite.findings.len())),
        ("failures", sum(&|suite| suite.count(Outcome::Fail))),
        ("errors", sum(&|suite| suite.count(Outcome::Inconclusive))),
        ("time", seconds(suites.iter().map(Suite::took).sum())),
    ]
}

fn document(writer: &mut Writer<Vec<u8>>, suites: &[Suite<'_>]) -> io::Result<()> {
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let all = totals(suites);
    let all = all.each_ref().map(|(name, value)| (*name, value.as_str()));
    writer.create_element("testsuites").with_attribute(("name", "wsbench")).with_attributes(all).write_inner_content(|writer| {
        suites.iter().enumerate().try_for_each(|(id, suite)| one(writer, id, suite))?;
        Ok(())
    })?;
    Ok(())
}

fn one(writer: &mut Writer<Vec<u8>>, id: usize, suite: &Suite<'_>) -> io::Result<()> {
    // Schemas of this family take a timestamp without a zone, in UTC.
    let timestamp = escape(suite.report.started_at.split('.').next().unwrap_or_default());
    let totals = totals(std::slice::from_ref(suite));
    let id = id.to_string();
    writer
        .create_element("testsuite")
        .with_attribute(("name", suite.name.as_str()))
        .with_attributes(totals.each_ref().map(|(name, value)| (*name, value.as_str())))
        .with_attributes([("skipped", "0"), ("timestamp", &timestamp), ("hostname", "localhost"), ("id", &id), ("package", "wsbench")])
        .write_inner_content(|writer| {
            properties(writer, suite)?;
            suite.findings.iter().try_for_each(|finding| case(writer, suite, finding))?;
            let out = clean(&suite.headline);
            writer.create_element("system-out").write_text_content(BytesText::new(&out))?;
            // The older schemas of the family ask for it even when there is nothing to say.
            writer.create_element("system-err").write_text_content(BytesText::new(""))?;
            Ok(())
        })?;
    Ok(())
}

/// Facts of the run, then every figure of the metric table that has data.
fn properties(writer: &mut Writer<Vec<u8>>, suite: &Suite<'_>) -> io::Result<()> {
    let report = suite.report;
    let facts = [
        ("wsbench.version", report.wsbench_version.clone()),
        ("verdict", super::text::outcome_word(report.verdict).to_owned()),
        ("scenario", report.scenario.name.clone()),
        ("scenario.digest", report.scenario.digest.clone()),
        ("target", report.target.url.clone()),
        ("seed", report.seed.0.to_string()),
        ("plan.digest", report.plan.digest.clone()),
    ];
    let figures = metric::listed(METRICS).filter(|_| suite.figures).filter_map(|(name, metric)| {
        let reading = metric.read(report)?;
        Some((name, metric.unit().plain(reading.value)))
    });
    writer.create_element("properties").write_inner_content(|writer| {
        for (name, value) in facts.into_iter().filter(|_| suite.figures).map(|(name, value)| (name.to_owned(), value)).chain(figures) {
            let value = clean(&value);
            writer.create_element("property").with_attributes([("name", name.as_str()), ("value", value.as_str())]).write_empty()?;
        }
        Ok(())
    })?;
    Ok(())
}

fn case(writer: &mut Writer<Vec<u8>>, suite: &Suite<'_>, finding: &Finding) -> io::Result<()> {
    // Several findings may come of one check (limits, thresholds): what is expected tells them apart.
    let alone = suite.findings.iter().filter(|other| other.check == finding.check).count() == 1;
    let name = if alone { clean(&finding.check) } else { clean(&format!("{}: {}", finding.check, finding.expected)) };
    let case = writer.create_element("testcase").with_attributes([("name", name.as_str()), ("classname", &suite.class), ("time", "0")]);
    let element = match finding.outcome {
        Outcome::Pass => {
            case.write_empty()?;
            return Ok(());
        }
        Outcome::Fail => "failure",
        Outcome::Inconclusive => "error",
    };
    let message = clean(&format!("expected {}; observed {}", finding.expected, finding.observed));
    let body = clean_lines(&body(finding));
    case.write_inner_content(|writer| {
        writer
            .create_element(element)
            .with_attributes([("message", message.as_str()), ("type", super::text::outcome_word(finding.outcome))])
            .write_text_content(BytesText::new(&body))?;
        Ok(())
    })?;
    Ok(())
}

/// Claim, numbers, note and witnesses, a line each.
pub(super) fn body(finding: &Finding) -> String {
    let mut text = format!(
        "claim: {}\nexpected: {}\nobserved: {}\ncases: {} {}\nviolations: {}\n",
        escape(&finding.claim),
        escape(&finding.expected),
        escape(&finding.observed),
        finding.population,
        escape(&finding.population_unit),
        finding.violations
    );
    if !finding.note.is_empty() {
        let _ = writeln!(text, "note: {}", escape(&finding.note));
    }
    for witness in &finding.witnesses {
        let _ = writeln!(text, "at {}: {}: {}", Instant::from_nanos(witness.at_ns), who(witness), escape(&witness.what));
    }
    text
}

/// Text fit for XML 1.0: what has no place in it is shown as an escape.
fn clean(text: &str) -> String {
    escape(text).into_owned()
}

fn clean_lines(text: &str) -> String {
    text.lines().map(clean).collect::<Vec<_>>().join("\n")
}

fn seconds(ns: u64) -> String {
    format!("{}.{:03}", ns / 1_000_000_000, ns / 1_000_000 % 1_000)
}
