//! As typed → as meant: defaults filled in, contradictions refused. The only file where an absent key gets its meaning.

mod checks;
mod clients;
mod publish;

use super::error::{At, ScenarioError, Source, Warning};
use super::model::{Phases, Scenario};
use super::node::Node;
use super::schema;
use super::typed::{Reader, Spot, Typed};
use crate::base::Span;

/// A scenario, and what is doubtful about its text.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// What is meant.
    pub scenario: Scenario,
    /// What will run, but hardly as meant.
    pub warnings: Vec<Warning>,
}

/// Reads a scenario from its text. `file` is its name for messages.
///
/// # Errors
/// Everything that is wrong with it: first what cannot be read, then, when all can be read, what contradicts itself.
pub fn parse(text: &str, file: &str) -> Result<Scenario, ScenarioError> {
    read(text, file).map(|reading| reading.scenario)
}

/// As [`parse`], with the warnings.
///
/// # Errors
/// As [`parse`].
pub fn read(text: &str, file: &str) -> Result<Reading, ScenarioError> {
    let mut r = Reader::new(vec![Source { name: file.into(), text: text.into() }]);
    let (root, errors) = Node::parse(text, 0);
    for (at, what) in errors {
        r.fail(&at, what, "");
    }
    r.check()?;
    let document = schema::Document::read(&root, &mut r);
    r.check()?;
    let scenario = document.and_then(|document| scenario(&document, file, &mut r));
    r.check()?;
    match scenario {
        Some(scenario) => Ok(Reading { scenario, warnings: r.into_warnings() }),
        // Every `None` above has noted its reason; this is for the reader of the types.
        None => {
            r.fail(&At::default(), "the scenario cannot be read", "");
            r.check().and_then(|()| Err(ScenarioError { problems: Vec::new() }))
        }
    }
}

fn scenario(document: &schema::Document, file: &str, r: &mut Reader) -> Option<Scenario> {
    let (target, groups) = clients::resolve(document, r)?;
    let clients = groups.iter().map(|g| g.count).fold(0, u32::saturating_add);
    let publish = match &document.publish {
        Some(publish) => Some(publish::resolve(publish, clients, r)?),
        None => None,
    };
    let phases = phases(document, publish.is_some(), r)?;
    let checks = checks::resolve(document, publish.is_some(), &phases, r)?;
    publish::doubts(document, &phases, r);
    let stem = std::path::Path::new(file).file_stem().map(|s| s.to_string_lossy().into_owned());
    Some(Scenario {
        name: value(&document.name).or(stem).unwrap_or_else(|| "scenario".into()),
        description: value(&document.description),
        target,
        groups,
        publish,
        phases,
        checks,
    })
}

/// The default delivery limit.
const WITHIN: Span = Span::from_secs(5);

fn phases(document: &schema::Document, publishes: bool, r: &mut Reader) -> Option<Phases> {
    let table = document.phases.as_ref().map(|p| &p.value);
    let get = |pick: fn(&schema::Phases) -> &Option<Spot<Span>>| table.and_then(|t| pick(t).as_ref());
    let steady = get(|p| &p.steady);
    if let Some(steady) = steady
        && steady.is_zero()
    {
        r.fail(&steady.at, "a steady state of no length measures nothing", "write how long to measure, such as \"10s\"");
        return None;
    }
    let within = delivery_limit(document, publishes);
    let drain = get(|p| &p.drain);
    if let (Some(drain), Some((limit, stated))) = (drain, within)
        && stated
        && drain.value < limit
    {
        let help = format!("write at least \"{}\": a copy may come that late and still be in time", super::write::span(limit));
        r.fail(&drain.at, format!("a drain of {} is shorter than the delivery limit of {limit}", drain.value), help);
        return None;
    }
    let limit = within.map_or(Span::from_secs(1), |(limit, _)| limit);
    Some(Phases {
        warm_up: get(|p| &p.warm_up).map_or(Span::ZERO, |s| s.value),
        steady: steady.map_or(Span::from_secs(10), |s| s.value),
        drain: drain.map_or(limit, |s| s.value),
        ramp_limit: get(|p| &p.ramp_limit).map_or(Span::from_secs(30), |s| s.value),
    })
}

/// The delivery limit, and whether the user stated it; `None` when delivery is not asked. Not stated, it gives way to a
/// shorter drain.
fn delivery_limit(document: &schema::Document, publishes: bool) -> Option<(Span, bool)> {
    let table = document.checks.as_ref().and_then(|c| c.delivery.as_ref());
    match table.map(|t| &t.value) {
        _ if !publishes => None,
        Some(super::typed::Toggle::Off) => None,
        Some(super::typed::Toggle::On(schema::Delivery { within: Some(within), .. })) => Some((within.value, true)),
        _ => {
            let drain = document.phases.as_ref().and_then(|p| p.drain.as_ref());
            Some((drain.map_or(WITHIN, |d| d.value.min(WITHIN)), false))
        }
    }
}

/// The value of a key, if it was given.
fn value<T: Clone>(spot: &Option<Spot<T>>) -> Option<T> {
    spot.as_ref().map(|s| s.value.clone())
}
