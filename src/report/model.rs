//! The report as one plain value. This is also the shape of `report.json`.
//!
//! The schema id names the major version: a field added keeps it, a field removed or changed raises it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};

use crate::base::{RunId, Seed};
use crate::check::{Finding, Outcome, Verdict};
use crate::measure::Summary;
use crate::scenario::Scenario;

/// The schema every report of this version names.
pub const SCHEMA: &str = "wsbench.report/1";

/// A whole run as it is told: what was meant, what was concluded, what was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// Always `wsbench.report/1`; a reader that does not know it must refuse the file.
    pub schema: String,
    /// The version of wsbench that wrote it.
    pub wsbench_version: String,
    /// The greatest outcome of all findings.
    pub verdict: Verdict,
    /// What the process ended with: 0 pass, 1 fail, 3 inconclusive.
    pub exit_code: u8,
    /// What was meant.
    pub scenario: ScenarioFacts,
    /// Whom it ran against.
    pub target: TargetFacts,
    /// All random choices follow from it; `--seed` repeats them.
    pub seed: Seed,
    /// Tells this run's copies from another's.
    pub run_id: RunId,
    /// When the run began, milliseconds since the Unix epoch.
    pub started_at_unix_ms: u64,
    /// The same as RFC 3339 text in UTC.
    pub started_at: String,
    /// What was going to happen.
    pub plan: PlanFacts,
    /// One per check, in the order of the catalogue; thresholds follow.
    pub findings: Vec<Finding>,
    /// The numbers.
    pub summary: Summary,
}

/// The scenario of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScenarioFacts {
    /// Its name.
    pub name: String,
    /// What it teaches or checks.
    pub description: Option<String>,
    /// [`scenario_digest`]: equal for runs that did the same, whatever the target.
    pub digest: String,
    /// As resolved, every default filled in. TOML text.
    pub toml: String,
}

/// Whom a run was against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TargetFacts {
    /// Without credentials and without the values of its query.
    pub url: String,
    /// The reference server, started inside the process.
    pub built_in: bool,
}

/// The planned numbers of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanFacts {
    /// Of the plan with its seed: equal for runs with the same timetable.
    pub digest: String,
    /// Connections over all groups.
    pub connections: u32,
    /// Publishers.
    pub publishers: u32,
    /// Publications on the timetable (at most, for a closed loop).
    pub publications: u64,
    /// Copies owed when everything goes to plan.
    pub copies_owed: u64,
    /// Ramp, warm-up and steady state together, in nanoseconds.
    pub planned_ns: u64,
}

/// What a report needs besides findings and summary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// What was meant.
    pub scenario: ScenarioFacts,
    /// Whom it ran against, already redacted.
    pub target: TargetFacts,
    /// The seed.
    pub seed: Seed,
    /// The run.
    pub run_id: RunId,
    /// When it began, milliseconds since the Unix epoch; from the edge.
    pub started_at_unix_ms: u64,
    /// What was planned.
    pub plan: PlanFacts,
}

impl Report {
    /// The report of a run: the verdict is the greatest outcome of `findings`, Inconclusive when there is none.
    #[must_use]
    pub fn new(facts: Facts, findings: Vec<Finding>, summary: Summary) -> Self {
        let verdict = verdict_of(&findings);
        Self {
            schema: SCHEMA.into(),
            wsbench_version: env!("CARGO_PKG_VERSION").into(),
            verdict,
            exit_code: exit_code(verdict),
            scenario: facts.scenario,
            target: facts.target,
            seed: facts.seed,
            run_id: facts.run_id,
            started_at_unix_ms: facts.started_at_unix_ms,
            started_at: utc_text(facts.started_at_unix_ms),
            plan: facts.plan,
            findings,
            summary,
        }
    }

    /// Adds findings (thresholds, a baseline) and takes their outcomes into the verdict.
    pub fn add_findings(&mut self, findings: impl IntoIterator<Item = Finding>) {
        self.findings.extend(findings);
        self.verdict = verdict_of(&self.findings);
        self.exit_code = exit_code(self.verdict);
    }

    /// The findings with this outcome, in order.
    pub fn with_outcome(&self, outcome: Outcome) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.outcome == outcome)
    }
}

fn verdict_of(findings: &[Finding]) -> Verdict {
    findings.iter().map(|finding| finding.outcome).max().unwrap_or(Outcome::Inconclusive)
}

/// The documented exit code of a verdict.
const fn exit_code(verdict: Verdict) -> u8 {
    match verdict {
        Outcome::Pass => 0,
        Outcome::Fail => 1,
        Outcome::Inconclusive => 3,
    }
}

/// A digest of what a run did: SHA-1 (as an identity, not for security) over the scenario as meant, without its target and
/// its description, so that the same work against another address or under another comment keeps its digest.
#[must_use]
pub fn scenario_digest(scenario: &Scenario) -> String {
    let mut value = serde_json::to_value(scenario).unwrap_or_default();
    if let Some(object) = value.as_object_mut() {
        object.remove("target");
        object.remove("description");
    }
    let hash = Sha1::digest(value.to_string().as_bytes());
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// RFC 3339 text in UTC with milliseconds: `2026-11-23T01:30:25.000Z`.
#[must_use]
pub fn utc_text(unix_ms: u64) -> String {
    let (days, ms_of_day) = (unix_ms / 86_400_000, unix_ms % 86_400_000);
    // Civil from days (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms"), for days since 1970 only.
    let z = days + 719_468;
    let era = z / 146_097;
    let day_of_era = z % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (h, m, s, ms) = (ms_of_day / 3_600_000, ms_of_day / 60_000 % 60, ms_of_day / 1_000 % 60, ms_of_day % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{ms:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_become_utc_text() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_795_397_425_007, "2026-11-23T01:30:25.007Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(utc_text(ms), text);
        }
    }

    #[test]
    fn no_finding_is_no_pass() {
        assert_eq!(verdict_of(&[]), Outcome::Inconclusive);
        assert_eq!((exit_code(Outcome::Pass), exit_code(Outcome::Fail), exit_code(Outcome::Inconclusive)), (0, 1, 3));
    }
}
