//! Markdown for a CI step summary or a pull-request comment (GitHub and GitLab flavour).

use std::fmt::Write as _;

use super::number::{bytes, group, per_second, percent, span};
use super::text::{metric_name, outcome_word, who};
use super::{Report, escape, headline};
use crate::base::Instant;
use crate::check::{Finding, Outcome};
use crate::measure::Distribution;

/// The report: verdict, checks, what broke, latencies, the instrument.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut out = format!("### {} {}\n\n", mark(report.verdict), text(&headline(report)));
    if let Some(description) = &report.scenario.description {
        let _ = writeln!(out, "{}\n", text(description));
    }
    findings(&mut out, &report.findings);
    latencies(&mut out, report);
    let (summary, instrument) = (&report.summary, &report.summary.instrument);
    let _ = writeln!(
        out,
        "\n<details><summary>Run, load and instrument</summary>\n\n| | |\n|---|---|\n\
         | target | {} |\n| run | seed {}, {}, wsbench {} |\n| publications | {} of {} sent, {} of {} offered |\n\
         | copies | {} owed = {} on time + {} late + {} missing; {} |\n| connections | {} of {} opened, {} lost |\n\
         | instrument | {} CPU, {} peak, {} a connection, {} sent late, loop lag p99 {} |\n\n</details>",
        text(&report.target.url),
        report.seed.0,
        text(&report.started_at),
        text(&report.wsbench_version),
        group(summary.publications.sent),
        group(summary.publications.planned),
        per_second(summary.rates.achieved_per_s),
        per_second(summary.rates.offered_per_s),
        group(summary.copies.owed),
        group(summary.copies.on_time),
        group(summary.copies.late),
        group(summary.copies.missing),
        per_second(summary.rates.copies_per_s),
        group(summary.connections.opened),
        group(summary.connections.planned),
        group(summary.connections.lost),
        span(instrument.cpu_ns),
        bytes(instrument.peak_memory_bytes),
        bytes(instrument.bytes_per_connection),
        percent(instrument.late_share),
        span(instrument.loop_lag_p99_ns),
    );
    out
}

/// The checks as a table, then what broke, with witnesses.
pub(super) fn findings(out: &mut String, findings: &[Finding]) {
    if findings.is_empty() {
        out.push_str("No check was asked: nothing was judged, so nothing has passed.\n");
        return;
    }
    out.push_str("| outcome | check | cases | expected | observed |\n|---|---|---:|---|---|\n");
    for finding in findings {
        let _ = writeln!(
            out,
            "| {} {} | {} | {} | {} | {} |",
            mark(finding.outcome),
            outcome_word(finding.outcome),
            text(&finding.check),
            group(finding.population),
            text(&finding.expected),
            text(&finding.observed)
        );
    }
    for finding in findings.iter().filter(|finding| finding.outcome != Outcome::Pass) {
        let _ = write!(out, "\n**{}**: {}", text(&finding.check), text(&finding.claim));
        if !finding.note.is_empty() {
            let _ = write!(out, "\n{}", text(&finding.note));
        }
        out.push('\n');
        for (n, witness) in finding.witnesses.iter().enumerate() {
            let lead = if n == 0 { "\n" } else { "" };
            let _ = writeln!(out, "{lead}- {} {}: {}", Instant::from_nanos(witness.at_ns), text(&who(witness)), text(&witness.what));
        }
    }
}

fn latencies(out: &mut String, report: &Report) {
    let summary = &report.summary;
    let mut rows: Vec<(&str, &Distribution)> =
        summary.latency.iter().map(|(&metric, distribution)| (metric_name(metric), distribution)).collect();
    rows.extend([("last receiver", &summary.spread.last), ("last − first", &summary.spread.spread)]);
    rows.retain(|(_, distribution)| distribution.count() > 0);
    if rows.is_empty() {
        return;
    }
    out.push_str("\n| latency | samples | p50 | p90 | p99 | p99.9 | max |\n|---|---:|---:|---:|---:|---:|---:|\n");
    for (name, distribution) in rows {
        let _ = write!(out, "| {name} | {}", group(distribution.count()));
        for p in [50.0, 90.0, 99.0, 99.9, 100.0] {
            let _ = write!(out, " | {}", distribution.percentile(p).map_or_else(String::new, span));
        }
        out.push_str(" |\n");
    }
}

/// A mark that is seen in plain text too.
pub(super) const fn mark(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "✅",
        Outcome::Inconclusive => "❔",
        Outcome::Fail => "❌",
    }
}

/// Text that shows as itself: no markup, no HTML, no mention of a person, no end of a table cell.
pub(super) fn text(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    for c in escape(raw).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '@' => out.push_str("&#64;"),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '~' | '$' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    // A bare address would become a link.
    out.replace("://", "&#58;//")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_stays_text() {
        for (raw, shown) in [
            ("a|b\nc", "a\\|b\\\\nc"),
            ("<img src=x> @team", "&lt;img src=x&gt; &#64;team"),
            ("[x](http://e)", "\\[x\\](http&#58;//e)"),
            ("549,985 on time", "549,985 on time"),
        ] {
            assert_eq!(text(raw), shown);
        }
    }
}
