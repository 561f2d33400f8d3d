//! What a check says: a claim, its population, the outcome, expected against observed, and a few witnesses.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `Pass < Inconclusive < Fail`: the verdict of several is the greatest (as in Jepsen's `merge-valid`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The claim held over a population above zero.
    Pass,
    /// No evidence, or none that can be believed.
    Inconclusive,
    /// The claim is broken, with witnesses.
    Fail,
}

/// The greatest outcome of all findings; of none, Inconclusive.
pub type Verdict = Outcome;

/// One check's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// The check's id, as in the catalogue: `delivery`, `duplicate`, …
    pub check: String,
    /// What is claimed of the server, in a sentence.
    pub claim: String,
    /// How many cases the claim was tried on (copies owed, pings sent, …).
    pub population: u64,
    /// What a case is: `owed copies`, `pings`, …
    pub population_unit: String,
    /// The answer.
    pub outcome: Outcome,
    /// What should have been seen.
    pub expected: String,
    /// What was seen.
    pub observed: String,
    /// How many cases broke the claim.
    pub violations: u64,
    /// Why the outcome is Inconclusive, or what to look at next; empty when there is nothing to add.
    pub note: String,
    /// Up to eight cases that broke the claim.
    pub witnesses: Vec<Witness>,
}

/// A case that broke a claim, named so that it can be found again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Witness {
    /// Nanoseconds since the run's epoch.
    pub at_ns: u64,
    /// The client.
    pub client: Option<u32>,
    /// The publication: publisher and sequence.
    pub publisher: Option<u32>,
    /// See `publisher`.
    pub seq: Option<u32>,
    /// What happened, in a few words; samples are escaped.
    pub what: String,
}
