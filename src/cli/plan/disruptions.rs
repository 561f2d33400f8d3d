//! The disruptions of a plan, for people and for programs: who is struck when, drawn already.

use std::fmt::Write as _;

use serde_json::json;

use super::{heading, number, row, stopwatch};
use crate::plan::{Plan, Strike};
use crate::scenario::model::{Disruption, Verb};

/// How many strikes and how many clients of each are shown.
const SHOWN: usize = 8;

/// The section of the text; nothing where nobody is disrupted.
pub(super) fn section(out: &mut String, plan: &Plan) {
    let strikes = plan.strikes.as_slice();
    if strikes.is_empty() {
        return;
    }
    heading(out, "Disruptions (after the start of publishing)");
    for strike in strikes.iter().take(SHOWN) {
        let what = plan.scenario.disrupt.get(usize::from(strike.disruption)).map_or_else(String::new, told);
        let _ = writeln!(out, "  {:>13}  {what}: {}", stopwatch(strike.at), whom(strike));
    }
    if strikes.len() > SHOWN {
        let _ = writeln!(out, "  {:>13}  {} more", "…", number((strikes.len() - SHOWN) as u64));
    }
    let untouched = u64::from(plan.connections) - plan.strikes.victims();
    row(out, "bystanders", &format!("{} of {} clients are never disrupted", number(untouched), number(plan.connections.into())));
}

fn told(disruption: &Disruption) -> String {
    let name = disruption.verb.name();
    match &disruption.verb {
        Verb::Close | Verb::Kill | Verb::Reconnect { .. } | Verb::Malformed { what: None } => name.into(),
        Verb::Offline { span, .. } | Verb::HalfOpen { span } | Verb::Churn { span, .. } => format!("{name} for {span}"),
        Verb::SlowReader { span, per_second } => format!("{name} for {span}, {per_second}/s"),
        Verb::Server { command, span, .. } => format!("{name}: runs {command:?}, which may end connections for {span}"),
        Verb::Malformed { what: Some(what) } => format!("{name} ({})", what.name()),
    }
}

fn whom(strike: &Strike) -> String {
    let list: Vec<String> = strike.conns.iter().take(SHOWN).map(ToString::to_string).collect();
    let count = strike.conns.len();
    let more = if count > SHOWN { format!(", … ({} in all)", number(count as u64)) } else { String::new() };
    match count {
        0 => "nobody is left to be struck".into(),
        1 => format!("client {}", list.join(", ")),
        _ => format!("clients {}{more}", list.join(", ")),
    }
}

/// All strikes as JSON.
pub(super) fn as_json(plan: &Plan) -> serde_json::Value {
    let verb = |s: &Strike| plan.scenario.disrupt.get(usize::from(s.disruption)).map_or("", |d| d.verb.name());
    let strike = |s: &Strike| {
        let clients: Vec<u32> = s.conns.iter().map(|c| c.0).collect();
        json!({ "verb": verb(s), "disruption": s.disruption, "after_ns": s.at.as_nanos(), "until_ns": s.until.as_nanos(), "clients": clients })
    };
    plan.strikes.as_slice().iter().map(strike).collect()
}
