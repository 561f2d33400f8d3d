//! The checks, what broke first among them, and the witnesses.

use std::fmt::Write as _;

use super::page::{Page, badge, text};
use crate::base::Instant;
use crate::check::{Finding, Outcome};
use crate::report::number::group;
use crate::report::text::who;

pub(super) fn render(page: &mut Page, findings: &[Finding]) {
    page.section("checks", "Checks", |page| {
        if findings.is_empty() {
            page.raw("<p>No check was asked: nothing was judged, so nothing has passed.</p>\n");
            return;
        }
        page.raw(&table(findings));
        for finding in findings.iter().filter(|finding| finding.outcome != Outcome::Pass) {
            page.raw(&detail(finding));
        }
    });
}

fn table(findings: &[Finding]) -> String {
    let mut out = String::from(
        "<table class=\"checks\"><thead><tr><th scope=\"col\">outcome</th><th scope=\"col\">check</th><th scope=\"col\" class=\"n\">cases</th>\
         <th scope=\"col\">expected</th><th scope=\"col\">observed</th></tr></thead><tbody>\n",
    );
    for finding in findings {
        let _ = writeln!(
            out,
            "<tr class=\"{}\"><td>{}</td><th scope=\"row\" title=\"{}\">{}</th><td class=\"n\" data-label=\"cases\">{} <span class=\"unit\">{}</span></td>\
             <td data-label=\"expected\">{}</td><td data-label=\"observed\">{}</td></tr>",
            crate::report::text::outcome_word(finding.outcome),
            badge(finding.outcome),
            text(&finding.claim),
            text(&finding.check),
            group(finding.population),
            text(&finding.population_unit),
            text(&finding.expected),
            text(&finding.observed)
        );
    }
    out.push_str("</tbody></table>\n");
    out
}

/// Why a check did not pass: claim, note, witnesses.
fn detail(finding: &Finding) -> String {
    let mut out = format!(
        "<article class=\"finding {}\"><h3>{} {}</h3><p>{}</p>",
        crate::report::text::outcome_word(finding.outcome),
        badge(finding.outcome),
        text(&finding.check),
        text(&finding.claim)
    );
    if !finding.note.is_empty() {
        let _ = write!(out, "<p class=\"note\">{}</p>", text(&finding.note));
    }
    if !finding.witnesses.is_empty() {
        out.push_str(
            "<div class=\"scroll\"><table class=\"witnesses\"><thead><tr><th scope=\"col\" class=\"n\">at</th><th scope=\"col\">who</th>\
             <th scope=\"col\">what happened</th></tr></thead><tbody>\n",
        );
        for witness in &finding.witnesses {
            let _ = writeln!(
                out,
                "<tr><td class=\"n\">{}</td><td>{}</td><td>{}</td></tr>",
                Instant::from_nanos(witness.at_ns),
                text(&who(witness)),
                text(&witness.what)
            );
        }
        out.push_str("</tbody></table></div>");
        let shown = finding.witnesses.len() as u64;
        if finding.violations > shown {
            let _ = write!(out, "<p class=\"unit\">and {} more</p>", group(finding.violations - shown));
        }
    }
    out.push_str("</article>\n");
    out
}
