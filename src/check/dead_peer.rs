//! `dead_peer`: the server notices a client that no longer answers.

use super::evidence::{Draft, Evidence, witnesses};
use super::words::{count, listed, several};
use super::{Check, Finding};
use crate::account::{Disrupted, Tally};
use crate::base::Span;
use crate::scenario::model::Verb;

pub(super) static CHECK: Check = Check {
    id: "dead_peer",
    claim: "The server ends the connection of a client that no longer reads or answers, in time and with the code stated.",
    needs: "A disruption with verb half_open that lasts longer than the server may take.",
    proves: "The client answered nothing, pings included, and its socket stayed open: what ended the connection was the server's own judgement. A mebibyte of what still came was taken off the socket, as a large kernel buffer would, to see a Close frame; when more came than that, what the server did is not known, and the client does not count.",
    examine,
};

fn examine(check: &Check, evidence: &Evidence<'_>) -> Vec<Finding> {
    let scenario = &evidence.plan.scenario;
    let Some(asked) = scenario.checks.disruption.dead_peer else { return Vec::new() };
    let silent: Vec<&Disrupted> = (0..)
        .zip(&scenario.disrupt)
        .filter(|(_, d)| matches!(d.verb, Verb::HalfOpen { .. }))
        .filter_map(|(n, _)| evidence.account.disruptions.of(n))
        .collect();
    let sum = |pick: fn(&Disrupted) -> u64| silent.iter().map(|d| pick(d)).sum::<u64>();
    let (blind, late, wrong) = (sum(|d| d.blind), sum(|d| d.late_noticed), sum(|d| d.wrong_code));
    let never = sum(|d| d.unnoticed) - blind;
    let clients = sum(|d| d.struck).saturating_sub(blind + sum(|d| d.undecided));
    let mut noticed = Tally::default();
    silent.iter().for_each(|d| noticed.merge(&d.noticed));
    let with = asked.code.map_or_else(String::new, |code| format!(" with code {code}"));
    let mut draft = Draft {
        population: clients,
        unit: "half-open clients",
        expected: format!("each of {} closed within {}{with}", several(clients, "client", "clients"), asked.within),
        observed: observed(&silent, &noticed, late, wrong, never),
        violations: late + wrong + never,
        timing: late,
        witnesses: witnesses(silent.iter().map(|d| &d.sightings)),
        empty: if blind > 0 {
            "more came than a silent client takes, so what the server did was not seen: publish less"
        } else {
            "no client was there to fall silent"
        },
        note: vec![
            (never > 0)
                .then(|| "Without protocol pings, or a limit on what waits for a client, a server never learns that one is gone.".into()),
            (blind > 0 && clients > 0)
                .then(|| format!("{} not counted: more came than a silent client takes.", several(blind, "client", "clients"))),
        ],
        ..Draft::default()
    };
    draft.excuse(evidence, asked.within, |_| u64::MAX);
    vec![draft.conclude(check, evidence)]
}

fn observed(silent: &[&Disrupted], noticed: &Tally, late: u64, wrong: u64, never: u64) -> String {
    let mut codes = std::collections::BTreeMap::<&str, u64>::new();
    for (code, n) in silent.iter().flat_map(|d| &d.ended) {
        *codes.entry(code).or_default() += n;
    }
    let codes: Vec<_> = codes.iter().map(|(code, n)| format!("{code} × {}", count(*n))).collect();
    let longest = Span::from_nanos(noticed.max());
    let ended = match noticed.count() {
        0 => "none was closed".to_owned(),
        n => format!("{} closed, the last after {longest} (close codes: {})", count(n), codes.join(", ")),
    };
    let faults = listed([
        (late, format!("{} too late", count(late))),
        (wrong, format!("{} with another code", count(wrong))),
        (never, format!("{} never noticed", count(never))),
    ]);
    if faults.is_empty() { ended } else { format!("{ended}; {faults}") }
}
