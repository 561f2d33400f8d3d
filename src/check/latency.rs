//! `latency`: a percentile of a latency keeps its limit. One finding per limit.

use super::evidence::{Draft, Evidence};
use super::words::{count, percent};
use super::{Check, Finding};
use crate::account::Tally;
use crate::base::Span;
use crate::scenario::model::{LatencyLimit, Metric};

pub(super) static CHECK: Check = Check {
    id: "latency",
    claim: "The stated percentiles of delivery, transit, pong, heartbeat interval, connect, publish and spread stay within their limits.",
    needs: "At least one sample of the metric; delivery, transit, send lag and spread are taken in the steady state only.",
    proves: "Delivery is measured from the instant the publication was due, so a stalled server cannot hide behind a stalled sender (coordinated omission); transit is measured from the instant it was sent. Spread, of a server that broadcasts by itself, is measured from the first receiver of all. A send-lag limit is the instrument's own: beyond it the finding is inconclusive.",
    examine,
};

fn examine(check: &Check, evidence: &Evidence<'_>) -> Vec<Finding> {
    evidence.plan.scenario.checks.latency.iter().map(|limit| one(check, evidence, limit)).collect()
}

fn one(check: &Check, evidence: &Evidence<'_>, limit: &LatencyLimit) -> Finding {
    let tally = tally(evidence, limit.metric);
    let name = metric_name(limit.metric);
    let which = if limit.percentile >= 100.0 { "maximum".into() } else { format!("p{}", limit.percentile) };
    let value = tally.percentile(limit.percentile).map(|ns| Span::from_nanos(ns.min(tally.max())));
    let above = tally.count_above(limit.at_most.as_nanos());
    let broken = value.is_some_and(|value| value > limit.at_most);
    let violations = if broken { above.max(1) } else { 0 };
    let mut draft = Draft {
        population: tally.count(),
        unit: "samples",
        expected: format!("{name} {which} at most {}", limit.at_most),
        observed: value.map_or_else(
            || format!("no {name} sample"),
            |value| format!("{name} {which} {value}; {} samples above the limit ({})", count(above), percent(above, tally.count())),
        ),
        violations,
        timing: violations,
        empty: "there is no sample of this metric",
        ..Draft::default()
    };
    if broken && limit.metric == Metric::SendLag {
        draft.excuse = Some(
            "Send lag is the instrument's own lateness, not the server's: use more threads, fewer publications or a faster machine.".into(),
        );
    }
    if limit.metric != Metric::Connect {
        draft.excuse(evidence, limit.at_most, |standstill| match limit.metric {
            Metric::Delivery | Metric::Transit | Metric::Spread => standstill.copies,
            Metric::Publish => u64::MAX,
            _ => standstill.seconds * evidence.account.connections.opened,
        });
    }
    let mut finding = draft.conclude(check, evidence);
    finding.claim = format!("The {which} of {name} is at most {}.", limit.at_most);
    finding
}

fn tally(evidence: &Evidence<'_>, metric: Metric) -> Tally {
    let account = evidence.account;
    match metric {
        Metric::SendLag => account.send_lag.clone(),
        Metric::Transit => account.transit.clone(),
        Metric::Delivery => account.delivery.clone(),
        Metric::HeartbeatInterval => account.pulse.intervals.clone(),
        Metric::Connect => account.connections.handshakes.clone(),
        Metric::Publish => account.requests.clone(),
        Metric::Spread => account.feed.spread.clone(),
        Metric::Pong => {
            let mut both = account.application.round_trips.clone();
            both.merge(&account.protocol.round_trips);
            both
        }
    }
}

const fn metric_name(metric: Metric) -> &'static str {
    match metric {
        Metric::SendLag => "send lag",
        Metric::Transit => "transit",
        Metric::Delivery => "delivery",
        Metric::Pong => "pong",
        Metric::HeartbeatInterval => "heartbeat interval",
        Metric::Connect => "connect",
        Metric::Publish => "publish",
        Metric::Spread => "spread",
    }
}
