//! The checks as a table; under each that did not pass, its note and its witnesses.

use super::outcome_word;
use super::page::{Page, left, right, width, wrap};
use super::style::Ink;
use crate::check::{Finding, Outcome, Witness};
use crate::report::escape;
use crate::report::number::group;

/// Columns of the table.
struct Widths {
    word: usize,
    check: usize,
    cases: usize,
    expected: usize,
    observed: usize,
}

const GAP: usize = 2;

pub(super) fn render(page: &mut Page, findings: &[Finding]) {
    page.heading("Checks");
    if findings.is_empty() {
        page.paragraph(2, "none asked: nothing was judged, so nothing has passed");
        return;
    }
    let widths = widths(page, findings);
    if widths.expected + widths.observed < 36 && page.style().width < 72 {
        return stacked(page, findings, &widths);
    }
    let head = format!(
        "    {}  {}  {}  {}  observed",
        left("", widths.word),
        left("check", widths.check),
        right("cases", widths.cases),
        left("expected", widths.expected)
    );
    let head = page.ink(Ink::Faint, &head);
    page.line(&head);
    for finding in findings {
        row(page, finding, &widths);
        if finding.outcome != Outcome::Pass {
            detail(page, finding);
        }
    }
}

fn widths(page: &Page, findings: &[Finding]) -> Widths {
    let widest = |text: &dyn Fn(&Finding) -> usize| findings.iter().map(text).max().unwrap_or(0);
    let word = widest(&|f| outcome_word(f.outcome).len());
    let check = widest(&|f| width(&escape(&f.check))).clamp(5, 20);
    let cases = widest(&|f| group(f.population).len()).max(5);
    let expected = widest(&|f| width(&escape(&f.expected))).max(8);
    let observed = widest(&|f| width(&escape(&f.observed))).max(8);
    let room = page.style().width.saturating_sub(4 + word + check + cases + 4 * GAP);
    // Each gets what it needs if both fit; else the shorter need is met up to half, and the other takes the rest.
    let (expected, observed) = if expected + observed <= room {
        (expected, observed)
    } else {
        let half = room / 2;
        if expected <= half {
            (expected, room - expected)
        } else if observed <= half {
            (room - observed, observed)
        } else {
            (half, room - half)
        }
    };
    Widths { word, check, cases, expected: expected.max(8), observed: observed.max(8) }
}

fn row(page: &mut Page, finding: &Finding, widths: &Widths) {
    let expected = wrap(&escape(&finding.expected), widths.expected);
    let observed = wrap(&escape(&finding.observed), widths.observed);
    let names = wrap(&escape(&finding.check), widths.check);
    let cell = |lines: &[String], n: usize| lines.get(n).cloned().unwrap_or_default();
    for n in 0..expected.len().max(observed.len()).max(names.len()) {
        let lead = if n == 0 {
            let mark = page.style().mark(finding.outcome);
            page.ink(Ink::of(finding.outcome), &format!("  {mark} {}", left(outcome_word(finding.outcome), widths.word)))
        } else {
            " ".repeat(4 + widths.word)
        };
        let cases = if n == 0 { group(finding.population) } else { String::new() };
        let line = format!(
            "{lead}  {}  {}  {}  {}",
            left(&cell(&names, n), widths.check),
            right(&cases, widths.cases),
            left(&cell(&expected, n), widths.expected),
            cell(&observed, n)
        );
        page.line(&line);
    }
}

/// For a narrow page: a check is a line, and what was expected and observed stands below it.
fn stacked(page: &mut Page, findings: &[Finding], widths: &Widths) {
    for finding in findings {
        let mark = page.style().mark(finding.outcome);
        let lead = page.ink(Ink::of(finding.outcome), &format!("  {mark} {}", left(outcome_word(finding.outcome), widths.word)));
        page.line(&format!("{lead}  {}", escape(&finding.check)));
        let cases = format!("{} {}", group(finding.population), escape(&finding.population_unit));
        for text in [cases, format!("expected: {}", escape(&finding.expected)), format!("observed: {}", escape(&finding.observed))] {
            page.paragraph(DETAIL, &text);
        }
        if finding.outcome != Outcome::Pass {
            detail(page, finding);
        }
    }
}

/// How far notes and witnesses are indented.
const DETAIL: usize = 6;

/// Note and witnesses.
fn detail(page: &mut Page, finding: &Finding) {
    let indent = DETAIL;
    if !finding.note.is_empty() {
        for line in wrap(&escape(&finding.note), page.style().width - indent) {
            let line = page.ink(Ink::Doubt, &line);
            page.line(&format!("{}{line}", " ".repeat(indent)));
        }
    }
    let at_width = finding.witnesses.iter().map(|w| at(w).len()).max().unwrap_or(0);
    let who_width = finding.witnesses.iter().map(|w| who(w).len()).max().unwrap_or(0);
    for witness in &finding.witnesses {
        let lead = format!("{}{}  {}  ", " ".repeat(indent), right(&at(witness), at_width), left(&who(witness), who_width));
        let room = page.style().width.saturating_sub(lead.len());
        let what = escape(&witness.what);
        if room >= 16 {
            for (n, line) in wrap(&what, room).into_iter().enumerate() {
                let lead = if n == 0 { page.ink(Ink::Faint, &lead) } else { " ".repeat(lead.len()) };
                page.line(&format!("{lead}{line}"));
            }
        } else {
            page.paragraph(indent, &format!("{} {} {what}", at(witness), who(witness)));
        }
    }
    let shown = finding.witnesses.len() as u64;
    if finding.violations > shown && shown > 0 {
        let more = format!("{}and {} more", " ".repeat(indent), group(finding.violations - shown));
        let more = page.ink(Ink::Faint, &more);
        page.line(&more);
    }
}

fn at(witness: &Witness) -> String {
    crate::base::Instant::from_nanos(witness.at_ns).to_string()
}

/// `publication 2#117, client 931`: whose and which publication, at which client.
pub(in crate::report) fn who(witness: &Witness) -> String {
    let publication = match (witness.publisher, witness.seq) {
        (Some(publisher), Some(seq)) => Some(format!("publication {publisher}#{seq}")),
        (Some(publisher), None) => Some(format!("publisher {publisher}")),
        (None, Some(seq)) => Some(format!("publication #{seq}")),
        (None, None) => None,
    };
    let client = witness.client.map(|client| format!("client {client}"));
    [publication, client].into_iter().flatten().collect::<Vec<_>>().join(", ")
}
