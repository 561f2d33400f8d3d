//! Disruptions and the checks about them, written out.

use toml::{Table, Value};

use super::super::disrupt::{BackOff, Disruption, DisruptionChecks, Resume, Verb, Which};
use super::super::model::ClientGroup;
use super::{bytes, rate, table, text, time};

/// `[[disrupt]]`.
pub(super) fn disruptions(list: &[Disruption], groups: &[ClientGroup]) -> Value {
    Value::Array(list.iter().map(|d| disruption(d, groups)).collect())
}

fn disruption(disruption: &Disruption, groups: &[ClientGroup]) -> Value {
    let mut out = Table::new();
    out.insert("verb".into(), text(disruption.verb.name()));
    out.insert("at".into(), time(disruption.at));
    out.extend(disruption.every.map(|every| ("every".to_owned(), time(every))));
    let group = disruption.on.group.and_then(|g| groups.get(g as usize));
    out.extend(group.map(|group| ("group".to_owned(), text(&group.name))));
    let (key, which) = match &disruption.on.which {
        Which::Count(n) => ("count", i64::from(*n).into()),
        Which::Share(share) => ("share", Value::Float(*share)),
        Which::Indices(list) => ("indices", Value::Array(list.iter().map(|i| i64::from(*i).into()).collect())),
    };
    out.insert(key.into(), which);
    match &disruption.verb {
        Verb::Close | Verb::Kill | Verb::Reconnect { .. } => {}
        Verb::Churn { rate: leaves, span, .. } => {
            out.insert("for".into(), time(*span));
            out.insert("rate".into(), rate(*leaves));
        }
        Verb::Server { command, span, .. } => {
            out.insert("for".into(), time(*span));
            out.insert("command".into(), Value::Array(command.iter().map(|word| text(word)).collect()));
            // It takes whom it takes.
            out.remove("share");
        }
        Verb::Malformed { what } => out.extend(what.map(|what| ("what".to_owned(), text(what.name())))),
        Verb::Offline { span, .. } | Verb::HalfOpen { span } => drop(out.insert("for".into(), time(*span))),
        Verb::SlowReader { span, per_second } => {
            out.insert("for".into(), time(*span));
            out.insert("per_second".into(), bytes(*per_second));
        }
    }
    out.extend(disruption.verb.back_off().map(|b| ("back_off".to_owned(), back_off(b))));
    Value::Table(out)
}

fn back_off(back_off: BackOff) -> Value {
    table([("first", time(back_off.first)), ("most", time(back_off.most)), ("jitter", Value::Float(back_off.jitter))])
}

/// The keys of `[checks]` about disruptions, where there are any.
pub(super) fn checks(out: &mut Table, list: &[Disruption], checks: &DisruptionChecks, publishes: bool) {
    if list.iter().any(|d| d.verb.back_off().is_some()) {
        out.insert("recovery".into(), checks.recovery.map_or(false.into(), |c| table([("within", time(c.within))])));
    }
    if publishes && !list.is_empty() {
        out.insert("isolation".into(), checks.isolation.map_or(false.into(), |c| table([("slower", time(c.slower))])));
    }
    if let Some(resume) = checks.resume {
        out.insert("resume".into(), text(if resume == Resume::Replayed { "replayed" } else { "nothing" }));
    }
    if let Some(check) = checks.dead_peer {
        let mut dead_peer = Table::from_iter([("within".to_owned(), time(check.within))]);
        dead_peer.extend(check.code.map(|code| ("code".to_owned(), i64::from(code).into())));
        out.insert("dead_peer".into(), Value::Table(dead_peer));
    }
    if publishes && list.iter().any(|d| d.verb.says_goodbye()) {
        let within = checks.stray_after_leave.map(|c| table([("within", time(c.within))]));
        out.insert("stray_after_leave".into(), within.unwrap_or_else(|| false.into()));
    }
}
