//! The checks about disruptions: on by themselves where they cost nothing, refused where they could only ever be inconclusive.

use super::super::super::disrupt::{
    DeadPeerCheck, Disruption, DisruptionChecks, IsolationCheck, RecoveryCheck, Resume, StrayAfterLeaveCheck, Verb,
};
use super::super::super::model::Phases;
use super::super::super::schema;
use super::super::super::typed::{Reader, Spot, Toggle};
use super::super::super::write;
use super::Typed;
use crate::base::Span;

/// How long clients may take to come back, unless stated or the run is too short for it.
const BACK_WITHIN: Span = Span::from_secs(5);
/// The least time there must be for coming back: with less the check could say nothing.
const LEAST_BACK: Span = Span::from_millis(500);
/// How much longer delivery to bystanders may take, unless stated.
const SLOWER: Span = Span::from_millis(100);
/// How long a server may take to read a Close, unless stated.
const GOODBYE: Span = Span::from_secs(1);

pub(super) fn resolve(
    document: &schema::Document,
    typed: &[Typed],
    list: &[Disruption],
    phases: &Phases,
    publishes: bool,
    r: &mut Reader,
) -> Option<DisruptionChecks> {
    let asked = document.checks.as_ref().map(|c| &c.value);
    Some(DisruptionChecks {
        recovery: recovery(asked.and_then(|c| c.recovery.as_ref()), typed, list, phases, r)?,
        isolation: isolation(asked.and_then(|c| c.isolation.as_ref()), list, publishes, r)?,
        dead_peer: match asked.and_then(|c| c.dead_peer.as_ref()) {
            Some(asked) => Some(dead_peer(asked, document, typed, list, r)?),
            None => None,
        },
        resume: match asked.and_then(|c| c.resume.as_ref()) {
            Some(asked) => Some(resume(asked, list, publishes, r)?),
            None => None,
        },
        stray_after_leave: stray_after_leave(asked.and_then(|c| c.stray_after_leave.as_ref()), list, publishes, r)?,
    })
}

/// On by itself when clients leave by a closing handshake while anything is published.
fn stray_after_leave(
    asked: Option<&Spot<Toggle<schema::StrayAfterLeave>>>,
    list: &[Disruption],
    publishes: bool,
    r: &mut Reader,
) -> Option<Option<StrayAfterLeaveCheck>> {
    let stated = match asked.map(|a| &a.value) {
        Some(Toggle::Off) => return Some(None),
        Some(Toggle::On(table)) => table.within.as_ref(),
        None => None,
    };
    let sensible = publishes && list.iter().any(|d| d.verb.says_goodbye());
    if let (Some(spot), false) = (asked, sensible) {
        let what = "this check has nothing to look at: nobody leaves by a closing handshake while anything is published";
        r.fail(&spot.at, what, "add a disruption with verb = \"close\" or \"churn\", or leave the check out");
        return None;
    }
    Some(sensible.then(|| StrayAfterLeaveCheck { within: stated.map_or(GOODBYE, |s| s.value) }))
}

/// On by itself when anybody is to come back.
fn recovery(
    asked: Option<&Spot<Toggle<schema::Recovery>>>,
    typed: &[Typed],
    list: &[Disruption],
    phases: &Phases,
    r: &mut Reader,
) -> Option<Option<RecoveryCheck>> {
    let returns = || typed.iter().zip(list).filter(|(_, d)| d.verb.back_off().is_some());
    let stated = match asked.map(|a| &a.value) {
        Some(Toggle::Off) => return Some(None),
        Some(Toggle::On(table)) => table.within.as_ref(),
        None => None,
    };
    if let (Some(spot), None) = (asked, returns().next()) {
        r.fail(&spot.at, "this check has nothing to look at: no disruption lets clients come back", "add one with verb = \"offline\"");
        return None;
    }
    // A client whose time to come back outlasts the run could only ever be undecided: refused at once.
    let left = |d: &Disruption| phases.steady.saturating_sub(d.at + d.verb.away());
    let Some((tightest, least)) = returns().map(|(typed, d)| (typed, left(d))).min_by_key(|(_, left)| *left) else { return Some(None) };
    let within = stated.map_or(BACK_WITHIN.min(least), |spot| spot.value);
    if let Some(spot) = stated.filter(|spot| spot.is_zero()) {
        r.fail(&spot.at, "nobody comes back in no time", "write a limit such as \"2s\"");
        return None;
    }
    if least < within.max(if stated.is_none() { LEAST_BACK } else { Span::ZERO }) {
        let at = tightest.r#for.as_ref().map_or(&tightest.at, |f| &f.at);
        let what = format!(
            "clients may take {} to come back, but the steady state ends {least} after they are to",
            write::span(within.max(LEAST_BACK))
        );
        r.fail(at, what, "strike earlier, raise `phases.steady`, or lower `checks.recovery.within`");
        return None;
    }
    Some(Some(RecoveryCheck { within }))
}

/// On by itself when clients do what the others may well feel, and there are copies to tell it by.
fn isolation(
    asked: Option<&Spot<Toggle<schema::Isolation>>>,
    list: &[Disruption],
    publishes: bool,
    r: &mut Reader,
) -> Option<Option<IsolationCheck>> {
    let stated = match asked.map(|a| &a.value) {
        Some(Toggle::Off) => return Some(None),
        Some(Toggle::On(table)) => table.slower.as_ref(),
        None => None,
    };
    let disrupts = !list.is_empty();
    let restarts = list.iter().any(|d| matches!(d.verb, Verb::Server { .. }));
    let felt = !restarts && list.iter().any(|d| matches!(d.verb, Verb::SlowReader { .. } | Verb::HalfOpen { .. } | Verb::Malformed { .. }));
    if let (Some(spot), false) = (asked, disrupts && publishes && !restarts) {
        let why = match disrupts {
            true if restarts => "a server that restarts leaves no bystanders",
            true => "nothing is published",
            false => "nobody is disrupted",
        };
        r.fail(&spot.at, format!("this check has nothing to look at: {why}"), "leave it out");
        return None;
    }
    if let Some(spot) = stated.filter(|spot| spot.is_zero()) {
        r.fail(&spot.at, "no two stretches of a run are equally fast", "write a margin such as \"100ms\"");
        return None;
    }
    let check = IsolationCheck { slower: stated.map_or(SLOWER, |s| s.value) };
    Some((publishes && (felt || asked.is_some())).then_some(check))
}

fn dead_peer(
    asked: &Spot<schema::DeadPeer>,
    document: &schema::Document,
    typed: &[Typed],
    list: &[Disruption],
    r: &mut Reader,
) -> Option<DeadPeerCheck> {
    let half_open = typed.iter().zip(list).filter(|(_, d)| matches!(d.verb, Verb::HalfOpen { .. }));
    let Some((shortest, span)) = half_open.map(|(typed, d)| (typed, d.verb.span())).min_by_key(|(_, span)| *span) else {
        let help = "add a disruption with verb = \"half_open\"";
        r.fail(&asked.at, "this check has nothing to look at: no client becomes half-open", help);
        return None;
    };
    let within = match (&asked.within, &asked.beats) {
        (Some(within), None) => within.value,
        (None, Some(beats)) => beat(document, beats, r)?.times(beats.value.into()),
        _ => {
            let help = "write `within = \"3s\"`, or `beats = 2` for periods of its heartbeat";
            r.fail(&asked.at, "within what time must the server notice?", help);
            return None;
        }
    };
    if within.is_zero() {
        r.fail(&asked.at, "nobody notices in no time", "write a limit such as \"3s\"");
        return None;
    }
    if within >= span {
        let at = shortest.r#for.as_ref().map_or(&shortest.at, |f| &f.at);
        let what = format!("the server may take {} to notice, but the client is reset after {span}", write::span(within));
        r.fail(at, what, "keep it half-open for longer");
        return None;
    }
    let code = match &asked.code {
        Some(spot) => Some(code(spot, r)?),
        None => None,
    };
    Some(DeadPeerCheck { within, code })
}

fn code(spot: &Spot<u32>, r: &mut Reader) -> Option<u16> {
    let code = u16::try_from(spot.value).ok().filter(|code| (1000..5000).contains(code));
    if code.is_none() {
        r.fail(&spot.at, format!("{} is no close code", spot.value), "close codes are 1000 to 4999 (RFC 6455 section 7.4)");
    }
    code
}

/// The period of the heartbeat that the scenario states.
fn beat(document: &schema::Document, beats: &Spot<u32>, r: &mut Reader) -> Option<Span> {
    let checked = document.checks.as_ref().and_then(|c| c.heartbeat.as_ref()).and_then(|h| match &h.value {
        Toggle::On(table) => table.every.as_ref(),
        Toggle::Off => None,
    });
    let every = checked.or(document.heartbeat.as_ref().and_then(|h| h.every.as_ref()));
    if every.is_none() {
        r.fail(&beats.at, "periods of which heartbeat?", "state it as `[heartbeat] every = …`, or write `within`");
    }
    every.map(|every| every.value)
}

fn resume(asked: &Spot<schema::Word<schema::Resumes>>, list: &[Disruption], publishes: bool, r: &mut Reader) -> Option<Resume> {
    if !publishes || list.iter().all(|d| d.verb.back_off().is_none()) {
        let what = "this check has nothing to look at: nobody comes back while anything is published";
        r.fail(&asked.at, what, "add a disruption with verb = \"offline\", or leave the check out");
        return None;
    }
    Some(if asked.word == "replayed" { Resume::Replayed } else { Resume::Nothing })
}
