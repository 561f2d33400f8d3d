//! JUnit XML as Jenkins, GitLab and the rest read it: a check a test case, figures as properties.
//!
//! A failed check is a `failure`. An inconclusive one is an `error`, not `skipped`: readers take skipped tests for green, and
//! no evidence is never a pass.

use std::fmt::Write as _;
use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::metric::{self, METRICS};
use super::text::who;
use super::{Report, escape, headline};
use crate::base::Instant;
use crate::check::{Finding, Outcome};

/// One `testsuite` for the run.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    let done = document(&mut writer, report);
    // Writing to memory has no way to fail.
    debug_assert!(done.is_ok(), "{done:?}");
    let mut text = String::from_utf8(writer.into_inner()).unwrap_or_default();
    text.push('\n');
    text
}

fn document(writer: &mut Writer<Vec<u8>>, report: &Report) -> io::Result<()> {
    let count = |outcome| report.with_outcome(outcome).count().to_string();
    let (tests, failures, errors) = (report.findings.len().to_string(), count(Outcome::Fail), count(Outcome::Inconclusive));
    let time = seconds(report.summary.phases.iter().map(|phase| phase.took_ns).sum());
    let name = format!("wsbench {}", escape(&report.scenario.name));
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let totals = [("tests", tests.as_str()), ("failures", &failures), ("errors", &errors), ("time", &time)];
    writer.create_element("testsuites").with_attribute(("name", "wsbench")).with_attributes(totals).write_inner_content(|writer| {
        // Schemas of this family take a timestamp without a zone, in UTC.
        let timestamp = report.started_at.split('.').next().unwrap_or_default();
        writer
            .create_element("testsuite")
            .with_attribute(("name", name.as_str()))
            .with_attributes(totals)
            .with_attributes([("skipped", "0"), ("timestamp", timestamp), ("hostname", "localhost"), ("id", "0"), ("package", "wsbench")])
            .write_inner_content(|writer| {
                properties(writer, report)?;
                report.findings.iter().try_for_each(|finding| case(writer, report, finding))?;
                let out = clean(&headline(report));
                writer.create_element("system-out").write_text_content(BytesText::new(&out))?;
                // The older schemas of the family ask for it even when there is nothing to say.
                writer.create_element("system-err").write_text_content(BytesText::new(""))?;
                Ok(())
            })?;
        Ok(())
    })?;
    Ok(())
}

/// Facts of the run, then every figure of the metric table that has data.
fn properties(writer: &mut Writer<Vec<u8>>, report: &Report) -> io::Result<()> {
    let facts = [
        ("wsbench.version", report.wsbench_version.clone()),
        ("verdict", super::text::outcome_word(report.verdict).to_owned()),
        ("scenario", report.scenario.name.clone()),
        ("scenario.digest", report.scenario.digest.clone()),
        ("target", report.target.url.clone()),
        ("seed", report.seed.0.to_string()),
        ("plan.digest", report.plan.digest.clone()),
    ];
    let figures = metric::listed(METRICS).filter_map(|(name, metric)| {
        let reading = metric.read(report)?;
        Some((name, metric.unit().plain(reading.value)))
    });
    writer.create_element("properties").write_inner_content(|writer| {
        for (name, value) in facts.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(figures) {
            let value = clean(&value);
            writer.create_element("property").with_attributes([("name", name.as_str()), ("value", value.as_str())]).write_empty()?;
        }
        Ok(())
    })?;
    Ok(())
}

fn case(writer: &mut Writer<Vec<u8>>, report: &Report, finding: &Finding) -> io::Result<()> {
    let class = clean(&format!("wsbench.{}", report.scenario.name));
    // Several findings may come of one check (limits, thresholds): what is expected tells them apart.
    let alone = report.findings.iter().filter(|other| other.check == finding.check).count() == 1;
    let name = if alone { clean(&finding.check) } else { clean(&format!("{}: {}", finding.check, finding.expected)) };
    let case = writer.create_element("testcase").with_attributes([("name", name.as_str()), ("classname", &class), ("time", "0")]);
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
