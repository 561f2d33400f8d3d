//! The report as one value, and its forms: JSON, a grid for the terminal, JUnit, Markdown, HTML with a dialogue per case,
//! several servers side by side. Renderers map the value to text; must never know a file or a terminal.

pub mod html;
pub mod junit;
pub mod markdown;
pub mod text;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::run::CaseResult;
use super::verdict::Outcome;

/// The `schema` field of the JSON report.
pub const SCHEMA: &str = "wsbench.conformance/1";

/// A whole run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// The program's version.
    pub wsbench: String,
    /// Who was asked: `server` or `client`.
    pub role: String,
    /// The URL, or the client's name.
    pub target: String,
    /// What kind of server it turned out to be.
    pub kind: String,
    /// Whether NON-STRICT fails.
    pub strict: bool,
    /// The seed of keys and noise.
    pub seed: u64,
    /// Milliseconds in all.
    pub took_ms: u64,
    /// How many cases had which outcome.
    pub counts: BTreeMap<String, usize>,
    /// The cases, in the catalogue's order.
    pub cases: Vec<Row>,
}

/// One case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// `6.4.1`.
    pub id: String,
    /// `6 UTF-8 handling`.
    pub group: String,
    /// `6.4 fail-fast`.
    pub section: String,
    /// RFC and sections.
    pub rfc: String,
    /// `MUST`, `SHOULD`, `MAY`, `robustness`.
    pub level: String,
    /// What was sent.
    pub sends: String,
    /// What a correct server does.
    pub expected: String,
    /// What this one did.
    pub actual: String,
    /// In Autobahn's words.
    pub behavior: String,
    /// In Autobahn's words.
    pub behavior_close: String,
    /// Folded: `PASS`, `NON-STRICT`, `LIMIT`, `INFO`, `UNIMPLEMENTED`, `SKIPPED`, `FAIL`, `ERROR`.
    pub outcome: String,
    /// Milliseconds.
    pub duration_ms: u64,
    /// The conversation, a line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dialogue: Vec<String>,
}

impl Row {
    /// The outcome as a value; an unknown word is an error.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        Outcome::parse(&self.outcome).unwrap_or(Outcome::Error)
    }
}

impl From<&CaseResult> for Row {
    fn from(result: &CaseResult) -> Self {
        let (case, verdict) = (&result.case, &result.verdict);
        Self {
            id: case.id.clone(),
            group: case.group.clone(),
            section: case.section.clone(),
            rfc: case.rfc.clone(),
            level: case.level.word().to_owned(),
            sends: case.sends.clone(),
            expected: case.expects.clone(),
            actual: verdict.actual.clone(),
            behavior: verdict.behavior.word().to_owned(),
            behavior_close: verdict.close.word().to_owned(),
            outcome: verdict.outcome.word().to_owned(),
            duration_ms: u64::try_from(result.took.as_millis()).unwrap_or(u64::MAX),
            dialogue: result.dialogue.clone(),
        }
    }
}

impl Report {
    /// The report on a run.
    #[must_use]
    pub fn new(role: &str, target: &str, kind: &str, strict: bool, seed: u64, took: std::time::Duration, results: &[CaseResult]) -> Self {
        let cases: Vec<Row> = results.iter().map(Row::from).collect();
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for row in &cases {
            *counts.entry(row.outcome.clone()).or_default() += 1;
        }
        Self {
            schema: SCHEMA.to_owned(),
            wsbench: env!("CARGO_PKG_VERSION").to_owned(),
            role: role.to_owned(),
            target: target.to_owned(),
            kind: kind.to_owned(),
            strict,
            seed,
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            counts,
            cases,
        }
    }

    /// The rows that fail the run.
    pub fn failures(&self) -> impl Iterator<Item = &Row> {
        self.cases.iter().filter(|r| r.outcome().fails(self.strict))
    }

    /// How many cases had an outcome.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> usize {
        self.cases.iter().filter(|r| r.outcome() == outcome).count()
    }

    /// `501 passed, 3 non-strict, 13 failed`: the outcomes there are, most welcome first.
    #[must_use]
    pub fn tally(&self) -> String {
        let words: Vec<String> =
            Outcome::ALL.into_iter().filter(|o| self.count(*o) > 0).map(|o| format!("{} {}", self.count(o), o.word())).collect();
        words.join(", ")
    }

    /// The JSON form.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).map(|s| s + "\n").unwrap_or_default()
    }

    /// Reads the JSON form.
    ///
    /// # Errors
    /// A sentence when it is not a conformance report of this version.
    pub fn from_json(text: &str) -> Result<Self, String> {
        let report: Self = serde_json::from_str(text).map_err(|e| format!("not a conformance report: {e}"))?;
        if report.schema == SCHEMA { Ok(report) } else { Err(format!("schema `{}`, not `{SCHEMA}`", report.schema)) }
    }
}

/// Rows in runs of the same section, in order.
#[must_use]
pub fn sections(rows: &[Row]) -> Vec<&[Row]> {
    rows.chunk_by(|a, b| a.section == b.section && a.group == b.group).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A small report with every outcome, for the renderers' tests.
    pub(in crate::conformance) fn sample() -> Report {
        let row = |id: &str, outcome: Outcome, behavior: &str, close: &str| Row {
            id: id.to_owned(),
            group: "6 UTF-8 <handling>".to_owned(),
            section: if id.starts_with("6.4") { "6.4 fail-fast".to_owned() } else { "6.3 invalid".to_owned() },
            rfc: "6455 8.1".to_owned(),
            level: "MUST".to_owned(),
            sends: "text \"a\" & \u{1}more".to_owned(),
            expected: "Close 1007".to_owned(),
            actual: "it carried <on>".to_owned(),
            behavior: behavior.to_owned(),
            behavior_close: close.to_owned(),
            outcome: outcome.word().to_owned(),
            duration_ms: 12,
            dialogue: vec!["  0.000001 > text | \"a\"".to_owned()],
        };
        let cases: Vec<Row> =
            Outcome::ALL.into_iter().enumerate().map(|(n, o)| row(&format!("6.{}.{n}", 3 + n / 4), o, "OK", "OK")).collect();
        let mut report = Report::new("server", "ws://h/", "echo server", false, 1, std::time::Duration::from_millis(1234), &[]);
        report.counts = cases.iter().map(|c| (c.outcome.clone(), 1)).collect();
        report.cases = cases;
        report
    }

    #[test]
    fn json_reads_back() {
        let report = sample();
        assert_eq!(Report::from_json(&report.to_json()), Ok(report));
        assert!(Report::from_json("{\"schema\":\"other\"}").is_err());
    }

    #[test]
    fn only_failures_fail_and_strict_counts_non_strict() {
        let mut report = sample();
        assert_eq!(report.failures().count(), 2);
        report.strict = true;
        assert_eq!(report.failures().count(), 3);
    }
}
