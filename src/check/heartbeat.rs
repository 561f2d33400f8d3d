//! `heartbeat`: the server's beat keeps its cadence, client by client.

use super::evidence::{Draft, Evidence, witnesses};
use super::words::{count, listed, several};
use super::{Check, Finding};
use crate::base::Span;
use crate::scenario::model::HeartbeatCheck;

pub(super) static CHECK: Check = Check {
    id: "heartbeat",
    claim: "Each client receives the server's heartbeat at the promised cadence, the first beat one period after it connected (or at any time within it, where the scenario says so).",
    needs: "At least one client that stayed longer than a period and its tolerance.",
    proves: "Every interval of every client was compared with the promise: too short is early (doubled timers, bursts), too long is late, and what was due and did not come is missed, also at the end of a connection's life.",
    examine,
};

fn examine(check: &Check, evidence: &Evidence<'_>) -> Vec<Finding> {
    let Some(asked) = &evidence.plan.scenario.checks.heartbeat else { return Vec::new() };
    let pulse = &evidence.account.pulse;
    let violations = pulse.early + pulse.late + pulse.missed;
    let faults = listed([
        (pulse.missed, format!("{} missed", count(pulse.missed))),
        (pulse.late, format!("{} late", count(pulse.late))),
        (pulse.early, format!("{} early", count(pulse.early))),
        (pulse.silent, format!("{} never saw one", several(pulse.silent, "client", "clients"))),
    ]);
    let in_time = format!("{} of {} in time", count(pulse.in_time), several(pulse.due(), "beat due", "beats due"));
    let worst = Span::from_nanos(pulse.jitter.max());
    let mut draft = Draft {
        population: pulse.due() + pulse.early,
        unit: "beats",
        expected: format!("a beat every {} ± {}, on every connection", asked.every, asked.tolerance),
        observed: match (faults.is_empty(), pulse.jitter.count()) {
            (true, 0) => in_time,
            (true, _) => format!("{in_time}, worst deviation {worst}"),
            (false, _) => format!("{in_time}, {faults}"),
        },
        violations,
        // A beat that one client never once saw is no matter of timing.
        timing: if pulse.silent > 0 { 0 } else { violations },
        witnesses: witnesses([&pulse.sightings]),
        empty: "no client stayed for a whole period: let the run last longer than the heartbeat's period",
        ..Draft::default()
    };
    draft.excuse(evidence, asked.tolerance, |standstill| {
        let periods = (crate::account::ROW.as_nanos() / asked.every.as_nanos()).max(1);
        standstill.seconds.saturating_mul(evidence.account.connections.opened).saturating_mul(3 * periods)
    });
    draft.note = vec![hint(evidence, asked, violations)];
    vec![draft.conclude(check, evidence)]
}

fn hint(evidence: &Evidence<'_>, asked: &HeartbeatCheck, violations: u64) -> Option<String> {
    let pulse = &evidence.account.pulse;
    if violations == 0 {
        return None;
    }
    if pulse.beats == 0 {
        return Some("No beat ever came: is the heartbeat started on connect, and does it look as the scenario says?".into());
    }
    if pulse.silent > 0 {
        return Some(format!("{} never saw a beat while others did.", several(pulse.silent, "client", "clients")));
    }
    let median = Span::from_nanos(pulse.intervals.percentile(50.0)?);
    let every = asked.every.as_nanos();
    let periods = (median.as_nanos() + every / 2) / every;
    if periods >= 2 && median.abs_diff(asked.every.times(periods)) <= asked.tolerance.times(periods) {
        return Some(format!("Beats come every {median}: {periods} × the promised period."));
    }
    if median + asked.tolerance < asked.every {
        let share = ((every + median.as_nanos() / 2) / median.as_nanos().max(1)).max(1);
        let even = share >= 2 && Span::from_nanos(every / share).abs_diff(median) <= asked.tolerance;
        return Some(if even {
            format!("Beats come every {median}, {share} times as often as promised: are there {share} timers for each connection?")
        } else {
            format!("Half of the intervals are {median} or shorter: is a timer left over from an earlier connection?")
        });
    }
    if pulse.early * 3 >= pulse.beats {
        return Some("Beats come in pairs or bursts: is there more than one timer for each connection?".into());
    }
    None
}
