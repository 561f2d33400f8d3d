//! The scenario and the plan as run.

use std::fmt::Write as _;

use super::page::{Page, text};
use crate::base::Span;
use crate::report::Report;
use crate::report::number::{group, span};
use crate::report::text::phase_name;

pub(super) fn render(page: &mut Page, report: &Report) {
    page.section("setting", "Scenario and plan", |page| {
        let plan = &report.plan;
        let mut out = String::from("<dl>");
        let phases: Vec<_> =
            report.summary.phases.iter().map(|phase| format!("{} {}", phase_name(phase.phase), span(phase.took_ns))).collect();
        for (label, value) in [
            ("scenario", report.scenario.name.clone()),
            (
                "target",
                if report.target.built_in {
                    format!("built-in reference server, {}", report.target.url)
                } else {
                    report.target.url.clone()
                },
            ),
            ("clients", group(plan.connections.into())),
            ("publishers", group(plan.publishers.into())),
            ("publications", group(plan.publications)),
            ("copies owed", group(plan.copies_owed)),
            ("planned time", span(plan.planned_ns)),
            ("phases as run", phases.join(", ")),
            ("seed", report.seed.0.to_string()),
            ("run id", format!("{:08x}", report.run_id.0)),
            ("plan digest", plan.digest.clone()),
            ("scenario digest", report.scenario.digest.clone()),
        ] {
            let _ = write!(out, "<dt>{label}</dt><dd>{}</dd>", text(&value));
        }
        let lines: Vec<_> = report.scenario.toml.lines().map(text).collect();
        let _ = writeln!(out, "</dl>\n<h3>As resolved</h3><pre tabindex=\"0\" aria-label=\"scenario as TOML\">{}</pre>", lines.join("\n"));
        page.raw(&out);
    });
}

/// What the scenario promised of the heartbeat: its cadence and how far off an interval may be.
pub(super) fn heartbeat_promise(report: &Report) -> Option<(Span, Span)> {
    let scenario: toml::Table = report.scenario.toml.parse().ok()?;
    let heartbeat = scenario.get("checks")?.get("heartbeat")?;
    let span = |key: &str| heartbeat.get(key)?.as_str()?.parse::<Span>().ok();
    Some((span("every")?, span("tolerance").unwrap_or(Span::ZERO)))
}
