//! One HTML file that needs nothing else: a matrix of cases against servers, every cell opening the conversation.

use std::fmt::Write as _;

use super::{Report, Row};
use crate::conformance::verdict::Outcome;

/// Text safe in HTML, in attributes too.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const fn class(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "pass",
        Outcome::NonStrict => "lax",
        Outcome::Limit => "limit",
        Outcome::Info => "info",
        Outcome::Unimplemented => "none",
        Outcome::Skipped => "skip",
        Outcome::Fail => "fail",
        Outcome::Error => "error",
    }
}

const STYLE: &str = "\
:root{color-scheme:light dark;--line:color-mix(in srgb,currentColor 18%,transparent);--dim:color-mix(in srgb,currentColor 62%,transparent)}
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:1100px;padding:0 1rem}
h1{font-size:1.4rem}h2{font-size:1.05rem;margin:1.6rem 0 .3rem}
table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid var(--line);padding:.25rem .5rem;text-align:left;vertical-align:top}
td.o{white-space:nowrap;width:1%}.b{display:inline-block;min-width:4.5em;text-align:center;border-radius:3px;padding:0 .45em;font-size:12px;font-weight:600}
.pass{background:#1a7f37;color:#fff}.lax,.limit{background:#9a6700;color:#fff}.info{background:#0969da;color:#fff}.none{background:#6639ba;color:#fff}
.skip{background:#6e7781;color:#fff}.fail,.error{background:#b42318;color:#fff}
pre{font:12px/1.4 ui-monospace,monospace;overflow-x:auto;background:color-mix(in srgb,currentColor 6%,transparent);padding:.6rem;margin:.4rem 0}
summary{cursor:pointer}.dim{color:var(--dim)}label{margin-right:.8rem;white-space:nowrap}
@media print{label{display:none}}";

/// The filter: outcomes shown or hidden by a checkbox each, without a script.
fn filters(out: &mut String) -> String {
    let mut style = String::new();
    out.push_str("<p>");
    for outcome in Outcome::ALL {
        let class = class(outcome);
        let _ = write!(
            out,
            "<label><input type=\"checkbox\" id=\"f-{class}\" checked> <span class=\"b {class}\">{}</span></label>",
            outcome.word()
        );
        let _ = write!(style, "body:has(#f-{class}:not(:checked)) tr.only-{class}{{display:none}}");
    }
    out.push_str("</p>\n");
    style
}

/// One report, or several servers side by side.
#[must_use]
pub fn render(reports: &[Report]) -> String {
    let mut body = String::new();
    let hide = filters(&mut body);
    summary(&mut body, reports);
    let mut section = String::new();
    for id in ids(reports) {
        let rows: Vec<Option<&Row>> = reports.iter().map(|r| r.cases.iter().find(|c| c.id == id)).collect();
        let Some(first) = rows.iter().copied().flatten().next() else { continue };
        let name = if first.section == first.group { first.group.clone() } else { format!("{} — {}", first.group, first.section) };
        if name != section {
            if !section.is_empty() {
                body.push_str("</table>\n");
            }
            let _ = writeln!(body, "<h2>{}</h2>\n<table>", escape(&name));
            section = name;
        }
        line(&mut body, first, &rows);
    }
    if !section.is_empty() {
        body.push_str("</table>\n");
    }
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>WebSocket conformance</title><style>{STYLE}\n{hide}</style></head>\n<body>\n<h1>WebSocket conformance</h1>\n{body}</body></html>\n"
    )
}

/// Every id of any report, in the order of the first that has it.
fn ids(reports: &[Report]) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for row in reports.iter().flat_map(|r| &r.cases) {
        if seen.insert(row.id.as_str()) {
            ids.push(row.id.clone());
        }
    }
    ids
}

fn summary(out: &mut String, reports: &[Report]) {
    out.push_str("<table><tr><th>target</th><th>kind</th><th>cases</th>");
    for outcome in Outcome::ALL {
        let _ = write!(out, "<th>{}</th>", outcome.word());
    }
    out.push_str("</tr>\n");
    for report in reports {
        let (target, kind) = (escape(&report.target), escape(&report.kind));
        let _ = write!(out, "<tr><td>{target}</td><td>{kind}</td><td>{}</td>", report.cases.len());
        for outcome in Outcome::ALL {
            let _ = write!(out, "<td>{}</td>", report.count(outcome));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</table>\n");
}

fn line(out: &mut String, first: &Row, rows: &[Option<&Row>]) {
    let mut outcomes: Vec<Outcome> = rows.iter().flatten().map(|r| r.outcome()).collect();
    outcomes.sort_unstable();
    outcomes.dedup();
    let only = if let [one] = outcomes.as_slice() { class(*one) } else { "mixed" };
    let rfc = escape(&first.rfc);
    let _ = write!(out, "<tr class=\"only-{only}\"><td><details><summary>{} <span class=\"dim\">", first.id);
    let _ = write!(out, "{}</span></summary>", escape(&first.sends.chars().take(160).collect::<String>()));
    let _ = write!(out, "<p class=\"dim\">{} · RFC {rfc}<br>Expected: {}</p>", first.level, escape(&first.expected));
    for row in rows.iter().flatten() {
        let _ = write!(
            out,
            "<p><span class=\"b {}\">{}</span> {} <span class=\"dim\">(behavior {}, close {}; {} ms)</span></p>",
            class(row.outcome()),
            row.outcome,
            escape(&row.actual),
            row.behavior,
            row.behavior_close,
            row.duration_ms
        );
        if !row.dialogue.is_empty() {
            let _ = write!(out, "<pre>{}</pre>", escape(&row.dialogue.join("\n")));
        }
    }
    out.push_str("</details></td>");
    for row in rows {
        match row {
            Some(row) => {
                let _ = write!(out, "<td class=\"o\"><span class=\"b {}\">{}</span></td>", class(row.outcome()), row.outcome);
            }
            None => out.push_str("<td class=\"o dim\">–</td>"),
        }
    }
    out.push_str("</tr>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_has_a_column_a_server_and_a_dialogue_a_cell() {
        let sample = super::super::tests::sample();
        let mut other = sample.clone();
        other.cases.truncate(3);
        let html = render(&[sample, other]);
        assert_eq!(html.matches("<details>").count(), 8);
        assert_eq!(html.matches("<td class=\"o\">").count(), 8 + 3);
        assert!(html.contains("&gt; text | &quot;a&quot;") && !html.contains("<on>"));
        assert!(!html.contains("http://") && !html.contains("https://"), "nothing is fetched");
    }
}
