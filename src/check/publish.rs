//! `publish`: what is published over HTTP is taken.

use super::evidence::{Draft, Evidence, witnesses};
use super::words::{count, listed, percent, several};
use super::{Check, Finding};
use crate::account::{Publications, is_accepted};
use crate::scenario::model::Via;

pub(super) static CHECK: Check = Check {
    id: "publish",
    claim: "Every publication sent over HTTP is accepted: its request is answered with a 2xx status.",
    needs: "Publications sent over HTTP, and at least one request answered or given up.",
    proves: "The status of every request was read. What was rejected is owed to nobody: its copies are contested, whether they came or not, so a rejection is told here and not again as missing copies. A pass does not say that an accepted publication was broadcast: delivery does.",
    examine,
};

fn examine(check: &Check, evidence: &Evidence<'_>) -> Vec<Finding> {
    if !evidence.plan.scenario.checks.publish {
        return Vec::new();
    }
    let sums = &evidence.account.publications;
    let (answered, rejected) = (sums.answered(), sums.rejected());
    let silent = sums.statuses.get(&0).copied().unwrap_or(0);
    let mut draft = Draft {
        population: answered,
        unit: "publications",
        expected: format!("every one of {} accepted (2xx)", several(answered, "publication", "publications")),
        observed: observed(sums),
        violations: rejected,
        timing: silent,
        witnesses: witnesses([&sums.rejections]),
        empty: "no request had been answered when the run ended",
        ..Draft::default()
    };
    if let Some(Via::Http(http)) = evidence.plan.scenario.publish.as_ref().map(|publish| &publish.via) {
        draft.excuse(evidence, http.within, |_| u64::MAX);
    }
    let under_way = sums.sent.saturating_sub(answered);
    draft.note = vec![
        hint(sums).map(Into::into),
        (under_way > 0).then(|| format!("{} still under way when the run ended.", several(under_way, "request was", "requests were"))),
    ];
    vec![draft.conclude(check, evidence)]
}

fn observed(sums: &Publications) -> String {
    let answered = sums.answered();
    if answered == 0 {
        return "no request was answered".into();
    }
    let rejected = sums.statuses.iter().filter(|(status, _)| !is_accepted(**status));
    let faults = listed(rejected.map(|(status, n)| {
        let what = if *status == 0 { "not answered".into() } else { format!("answered {status}") };
        (*n, format!("{} {what} ({})", count(*n), percent(*n, answered)))
    }));
    let accepted = format!("{} accepted", count(answered - sums.rejected()));
    if faults.is_empty() { accepted } else { format!("{accepted}, {faults}") }
}

/// What one and the same refusal of everything means.
fn hint(sums: &Publications) -> Option<&'static str> {
    let mut rejected = sums.statuses.iter().filter(|(status, _)| !is_accepted(**status));
    let (Some((status, _)), None) = (rejected.next(), rejected.next()) else { return None };
    match status {
        300..=399 => Some("The server redirects, which is not followed: publish to where it points."),
        401 | 403 => Some("The server wants credentials: send them with `headers` in [publish]."),
        404 | 405 => Some("Nothing takes publications at this URL with this method."),
        400 | 415 | 422 => Some("The server does not understand the request: are its body and Content-Type right?"),
        429 | 503 => Some("The server turns publications away: is there a limit on their rate?"),
        _ => None,
    }
}
