//! Two sides, each of one or more runs: what changed, and whether noise can explain it.
//!
//! **Repeats (at least 20 ways to split the runs: three and three, two and five, one and nineteen).** The unit is the run:
//! one value a metric and run, so nothing is assumed about copies within a run. The test is an exact permutation test on the
//! studentised difference of mean logarithms, taken over all metrics at once (the maximum over metrics, Westfall and Young
//! 1993), one-sided towards *worse*, on base values shifted by the allowed regression. Under exchangeability the chance that
//! **any** metric is called a regression although none is worse by more than is allowed is at most [`ALPHA`], whatever the
//! distributions and however the metrics depend on each other. Where there are more than [`MOST_SPLITS`] ways to split, as many
//! are drawn from a fixed seed (the observed one counted in). Whole distributions are held against the same splits.
//!
//! **Single runs (fewer).** What varies from run to run cannot be seen, and the report says so. A percentile's interval comes
//! from order statistics (binomial, distribution-free) at an *effective* sample size: the copies of one publication share their
//! fate, so publications are counted, not copies, divided by the autocorrelation time of the publications' median receivers.
//! Intervals are Bonferroni-corrected to [`ALPHA`] over all metrics, and widened to the spread of the percentile over the two
//! halves of the timeline. A regression is called only when the intervals are apart by more than is allowed.
//!
//! In both, a change of a latency that is smaller than the instrument's own event-loop lag (p99) is nobody's.

mod distances;
mod halves;
mod interval;
mod judge;
mod permutation;
mod render;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Facts, PlanFacts, Report, SCHEMA, ScenarioFacts, escape};
use crate::check::{Finding, Verdict};

pub(in crate::report) use judge::signed;
pub use render::{github, headline, json, markdown, text};
pub(in crate::report) use render::{noise, says};

/// The family-wise error rate of every comparison.
pub const ALPHA: f64 = 0.05;

/// Beyond this many ways to split the runs, splits are drawn.
pub const MOST_SPLITS: u64 = 20_000;

/// The schema of a comparison as JSON.
pub const COMPARISON_SCHEMA: &str = "wsbench.comparison/1";

/// What was compared, how, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// Always `wsbench.comparison/1`.
    pub schema: String,
    /// The scenario's name.
    pub scenario: String,
    /// What was compared with.
    pub base: Side,
    /// What is judged.
    pub new: Side,
    /// The test and its error rate, in sentences.
    pub method: String,
    /// The allowed regression as a share, when one was given.
    pub limit: Option<f64>,
    /// One row a metric that has data on both sides.
    pub changes: Vec<Change>,
    /// How far apart whole distributions are.
    pub distances: Vec<Distance>,
    /// Checks whose outcome differs, worst outcome of each side.
    pub outcomes: Vec<OutcomeChange>,
    /// One finding a metric (`regression`) when a limit was given, and one for the checks' outcomes; else none.
    pub findings: Vec<Finding>,
    /// The greatest outcome of the findings; pass when no limit was given, since then nothing was claimed.
    pub verdict: Verdict,
}

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Side {
    /// How many runs.
    pub runs: usize,
    /// When they began, RFC 3339.
    pub started_at: Vec<String>,
    /// The target of the first.
    pub target: String,
    /// wsbench's version of the first.
    pub wsbench_version: String,
}

/// One metric on both sides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// Its name in the metric table.
    pub metric: String,
    /// Base: the median over its runs, in the base unit (ns, share, count, per second, bytes).
    pub base: f64,
    /// New: the same.
    pub new: f64,
    /// Base as people read it.
    pub base_text: String,
    /// New as people read it.
    pub new_text: String,
    /// Relative change; positive is more. Absent where base is 0.
    pub change: Option<f64>,
    /// The interval of the relative change that noise leaves open, where the method gives one.
    pub interval: Option<(f64, f64)>,
    /// The adjusted p-value of *worse than allowed*, where the method gives one.
    pub p_worse: Option<f64>,
    /// What can be said.
    pub judgement: Judgement,
}

/// What can be said of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// Worse by more than is allowed, beyond noise.
    Worse,
    /// The number is worse by more than is allowed, but noise can explain it.
    MaybeWorse,
    /// Not worse than is allowed.
    Same,
    /// Better, beyond noise.
    Better,
    /// There are too few independent samples to bound this percentile; it is shown, not judged.
    Unresolved,
}

/// The greatest vertical distance between two distributions' cumulative curves (Kolmogorov and Smirnov).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Distance {
    /// Which distribution.
    pub metric: String,
    /// 0 (alike) to 1 (apart).
    pub distance: f64,
    /// What noise alone stays below with probability 1 − [`ALPHA`], over all distributions at once: of repeats by the splits of
    /// the runs, of single runs at the effective sample sizes (Dvoretzky, Kiefer and Wolfowitz, with Massart's constant).
    pub noise: f64,
}

/// A check whose outcome differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OutcomeChange {
    /// The check's id.
    pub check: String,
    /// Worst on the base side.
    pub base: crate::check::Outcome,
    /// Worst on the new side.
    pub new: crate::check::Outcome,
}

/// Why two runs cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("these runs are not comparable: {what} differs ({base} against {new}){remedy}")]
pub struct Incomparable {
    /// What differs.
    pub what: &'static str,
    /// In the base.
    pub base: String,
    /// In the new one.
    pub new: String,
    /// What to do about it; empty or beginning with a separator.
    pub remedy: &'static str,
}

/// Compares. `limit` is the allowed regression as a share (0.1 for 10 %).
///
/// # Errors
/// When the runs of either side did not do the same: another schema, scenario or number of clients.
///
/// # Panics
/// Never: an empty side is refused as incomparable.
pub fn compare(base: &[Report], new: &[Report], limit: Option<f64>) -> Result<Comparison, Incomparable> {
    let (Some(first_base), Some(first_new)) = (base.first(), new.first()) else {
        let runs = |side: &[Report]| side.len().to_string();
        return Err(Incomparable { what: "the number of runs", base: runs(base), new: runs(new), remedy: ": each side needs one" });
    };
    for other in base.iter().chain(new) {
        comparable(first_base, other)?;
    }
    Ok(judge::judge((first_base, base), (first_new, new), limit))
}

/// Whether a run of `facts` could be compared with `base`, asked before it runs.
///
/// # Errors
/// As [`compare`] would.
pub fn could_compare(base: &[Report], facts: &Facts) -> Result<(), Incomparable> {
    let Some(first) = base.first() else { return compare(base, &[], None).map(drop) };
    for other in base {
        comparable(first, other)?;
    }
    alike(first, SCHEMA, &facts.plan, &facts.scenario)
}

fn comparable(base: &Report, new: &Report) -> Result<(), Incomparable> {
    alike(base, &new.schema, &new.plan, &new.scenario)
}

fn alike(base: &Report, schema: &str, plan: &PlanFacts, scenario: &ScenarioFacts) -> Result<(), Incomparable> {
    let differ = |what, base: &str, new: &str, remedy| {
        if base == new {
            return Ok(());
        }
        Err(Incomparable { what, base: escape(base).into_owned(), new: escape(new).into_owned(), remedy })
    };
    differ("the report schema", &base.schema, SCHEMA, ": compare reports of one major version")?;
    differ("the report schema", &base.schema, schema, ": compare reports of one major version")?;
    let clients = |plan: &PlanFacts| plan.connections.to_string();
    differ("the number of clients", &clients(&base.plan), &clients(plan), ": the load is not the same")?;
    differ("the scenario", &base.scenario.name, &scenario.name, ": they did different work")?;
    differ(
        "the scenario digest",
        &base.scenario.digest,
        &scenario.digest,
        ": some key of the scenario besides target and description was changed; diff the scenarios as resolved",
    )
}
