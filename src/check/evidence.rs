//! What every check judges by, and the rules they share: no evidence is no pass, a run cut short proves nothing good, and an
//! instrument that was late itself does not call the server late.

use super::finding::{Finding, Outcome, Witness};
use super::words::{sentences, several};
use super::{Check, instrument};
use crate::account::{Account, Sighting, Sightings, WITNESSES};
use crate::base::Span;
use crate::event::Phase;
use crate::plan::Plan;

/// The evidence.
pub(super) struct Evidence<'a> {
    pub(super) plan: &'a Plan,
    pub(super) account: &'a Account,
    /// Why the instrument's timing cannot be believed; empty when it can.
    pub(super) unfit: Vec<String>,
}

impl<'a> Evidence<'a> {
    pub(super) fn new(plan: &'a Plan, account: &'a Account) -> Self {
        Self { plan, account, unfit: instrument::unfit(plan, account) }
    }

    /// Whether anything was to be published.
    pub(super) fn publishes(&self) -> bool {
        self.plan.scenario.publish.is_some()
    }

    /// Whether the server was to broadcast by itself.
    pub(super) fn feeds(&self) -> bool {
        self.plan.scenario.feed.is_some()
    }

    /// Whether copies were to come, of publications or of the server's own broadcasts.
    pub(super) fn copies_due(&self) -> bool {
        self.publishes() || self.feeds()
    }

    /// Whether the copies that came can be compared with anything: those of a feed only with those of another client.
    pub(super) fn comparable(&self) -> bool {
        !self.feeds() || self.account.copies.owed > 0
    }

    /// The seconds in which the instrument itself stood still for at least `limit`: how many, and the copies that came in
    /// them or in the second after.
    pub(super) fn standstill(&self, limit: Span) -> Standstill {
        let rows = self.account.rows.as_slice();
        let mut standstill = Standstill::default();
        let mut before = false;
        for row in rows {
            let still = row.loop_lag_max.is_some_and(|lag| lag >= limit);
            standstill.seconds += u64::from(still);
            if still || before {
                standstill.copies += row.copies;
            }
            standstill.longest = standstill.longest.max(row.loop_lag_max.unwrap_or_default());
            before = still;
        }
        standstill
    }
}

/// When the instrument did not run.
#[derive(Debug, Default)]
pub(super) struct Standstill {
    pub(super) seconds: u64,
    pub(super) copies: u64,
    longest: Span,
}

impl Standstill {
    fn sentence(&self) -> String {
        format!("The instrument itself stood still for up to {}, which may explain it: run it on a less busy machine.", self.longest)
    }
}

/// A finding in the making.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) population: u64,
    pub(super) unit: &'static str,
    pub(super) expected: String,
    pub(super) observed: String,
    /// Cases that broke the claim, whoever may be to blame.
    pub(super) violations: u64,
    /// Of those, the ones that could be the instrument's own lateness.
    pub(super) timing: u64,
    /// Why the timing ones are believed to be the instrument's, if they are.
    pub(super) excuse: Option<String>,
    pub(super) note: Vec<Option<String>>,
    pub(super) witnesses: Vec<Witness>,
    /// What to do when there is no evidence.
    pub(super) empty: &'static str,
}

impl Draft {
    /// Lets the instrument take the blame for the timing violations if it was unfit, or stood still for so long that
    /// `explained` of them may be its own.
    pub(super) fn excuse(&mut self, evidence: &Evidence<'_>, limit: Span, explained: impl FnOnce(&Standstill) -> u64) {
        if self.timing == 0 || self.excuse.is_some() {
            return;
        }
        if let Some(why) = evidence.unfit.first() {
            self.excuse = Some(format!("The instrument was unfit, so this is not held against the server: {why}"));
            return;
        }
        let standstill = evidence.standstill(limit);
        if standstill.seconds > 0 && self.timing <= explained(&standstill) {
            self.excuse = Some(standstill.sentence());
        }
    }

    /// The finding, under the rules all checks share.
    pub(super) fn conclude(self, check: &Check, evidence: &Evidence<'_>) -> Finding {
        let excused = self.excuse.is_some() && self.violations <= self.timing;
        let mut note = self.note;
        let outcome = if self.violations > 0 && !excused {
            Outcome::Fail
        } else if self.violations > 0 {
            note.insert(0, self.excuse);
            Outcome::Inconclusive
        } else if self.population == 0 {
            note.insert(0, Some(no_evidence(evidence, self.empty)));
            Outcome::Inconclusive
        } else if let Some(why) = &evidence.account.interrupted {
            note.insert(0, Some(format!("The run was cut short ({why}): what was not seen may have come later.")));
            Outcome::Inconclusive
        } else {
            Outcome::Pass
        };
        Finding {
            check: check.id.into(),
            claim: check.claim.into(),
            population: self.population,
            population_unit: self.unit.into(),
            outcome,
            expected: self.expected,
            observed: self.observed,
            violations: self.violations,
            note: sentences(note),
            witnesses: self.witnesses,
        }
    }
}

/// Why there was nothing to judge.
fn no_evidence(evidence: &Evidence<'_>, otherwise: &str) -> String {
    let account = evidence.account;
    let clients = &account.connections;
    if let Some(why) = &account.interrupted {
        return format!("No evidence: the run was cut short ({why}).");
    }
    if clients.opened == 0 {
        return "No evidence: no client could connect.".into();
    }
    if clients.ready == 0 {
        return "No evidence: clients connected, but none became ready (is the expected greeting right?).".into();
    }
    if evidence.publishes() && account.publications.sent == 0 {
        return match account.began(Phase::Steady) {
            None => "No evidence: the steady state was never reached, nothing was published.".into(),
            Some(_) => {
                let dropped = several(account.publications.dropped_total(), "planned publication", "planned publications");
                format!("No evidence: nothing was published ({dropped} could not be sent).")
            }
        };
    }
    format!("No evidence: {otherwise}.")
}

/// Sightings of several kinds as witnesses: the first eight in order of time.
pub(super) fn witnesses<'a>(kinds: impl IntoIterator<Item = &'a Sightings>) -> Vec<Witness> {
    let mut all: Vec<&Sighting> = kinds.into_iter().flat_map(Sightings::as_slice).collect();
    all.sort();
    all.truncate(WITNESSES);
    all.into_iter()
        .map(|sighting| Witness {
            at_ns: sighting.at.as_nanos(),
            client: sighting.conn.map(|conn| conn.0),
            publisher: sighting.publisher.map(|publisher| publisher.0),
            seq: sighting.seq.map(|seq| seq.0),
            what: sighting.what.clone(),
        })
        .collect()
}
