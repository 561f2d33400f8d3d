//! As typed → as meant: defaults filled in, contradictions refused. The only file where an absent key gets its meaning.

mod behaviour;
mod checks;
mod clients;
mod disrupt;
mod feed;
mod language;
mod matcher;
mod publish;
mod shared;
mod uses;

use super::error::{At, ScenarioError, Source, Warning};
use super::feeder::Rows;
use super::model::{Phases, Scenario, ScriptStep, Target, Template, Via, Wanted};
use super::node::Node;
use super::own::Place;
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

/// What a scenario may need from the world besides its own text; the edge provides it.
pub struct Surroundings<'a> {
    /// The value of an environment variable.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The text of a file named in the scenario, relative to it.
    pub file: &'a dyn Fn(&str) -> Result<String, String>,
    /// The URL of another target than the scenario's own, as `--url` gives it.
    pub url: Option<&'a str>,
}

/// Reads a scenario from its text alone. `file` is its name for messages. Environment variables and the feeder's rows are not
/// looked at; a preset that is a file of its own is refused.
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
    read_in(text, file, None)
}

/// As [`read`], and checks what is needed besides: environment variables, the feeder's rows and columns, preset files.
///
/// # Errors
/// As [`parse`], and what is missing around the scenario.
pub fn read_with(text: &str, file: &str, around: &Surroundings<'_>) -> Result<Reading, ScenarioError> {
    read_in(text, file, Some(around))
}

fn read_in(text: &str, file: &str, around: Option<&Surroundings<'_>>) -> Result<Reading, ScenarioError> {
    let mut r = Reader::new(vec![Source { name: file.into(), text: text.into() }]);
    let (root, errors) = Node::parse(text, 0);
    for (at, what) in errors {
        r.fail(&at, what, "");
    }
    r.check()?;
    let root = uses::under(root, around, &mut r);
    r.check()?;
    let mut document = schema::Document::read(&root, &mut r);
    r.check()?;
    // That its own url is another's now does not make `feed` wrong, which is the built-in server's.
    let own = document.as_ref().and_then(|d| d.target.as_ref()?.url.clone());
    if let (Some(document), Some(url)) = (&mut document, around.and_then(|around| around.url)) {
        clients::instead(document, url, &mut r);
    }
    let scenario = document.and_then(|document| scenario(&document, own.is_some(), file, around, &mut r));
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

/// The feeder's rows, when the edge can read them.
fn rows(document: &schema::Document, around: Option<&Surroundings<'_>>, r: &mut Reader) -> Option<Rows> {
    let file = document.feeder.as_ref()?.file.as_ref()?;
    let around = around?;
    match (around.file)(file).and_then(|text| Rows::parse(&text, file)) {
        Ok(rows) => Some(rows),
        Err(error) => {
            r.fail(&file.at, format!("the feeder {} cannot be used: {error}", file.value), "CSV with a header line, or JSON Lines");
            None
        }
    }
}

fn scenario(
    document: &schema::Document,
    elsewhere: bool,
    file: &str,
    around: Option<&Surroundings<'_>>,
    r: &mut Reader,
) -> Option<Scenario> {
    // What it names lies under the document already: see `uses`.
    let _ = &document.r#use;
    let rows = rows(document, around, r);
    r.check_again()?;
    let (names, vars) = language::names(document, rows.as_ref(), r);
    let (target, groups) = clients::resolve(document, &names, r)?;
    let clients = groups.iter().map(|g| g.count).fold(0, u32::saturating_add);
    let mut dialect = behaviour::dialect(document, &names, r)?;
    let (publish, feed) = publish::resolve(document, &groups, &mut dialect, &names, r)?;
    feed::target(document, elsewhere, feed.is_some(), r);
    let phases = phases(document, publish.is_some() || feed.is_some(), r)?;
    let (mut checks, beat) = checks::resolve(document, publish.as_ref(), feed.is_some(), &phases, &groups, &names, r)?;
    let disrupt;
    (disrupt, checks.disruption) = disrupt::resolve(document, &groups, publish.as_ref(), &phases, r)?;
    shared::check(document, &groups, &dialect, publish.as_ref(), (&checks, beat.as_ref()), &names, r);
    publish::doubts(document, &phases, r);
    let rooms = behaviour::rooms(document, clients, rows.as_ref(), r);
    let feeder = behaviour::feeder(document, rows, clients, r);
    let stem = std::path::Path::new(file).file_stem().map(|s| s.to_string_lossy().into_owned());
    let scenario = Scenario {
        name: value(&document.name).or(stem).unwrap_or_else(|| "scenario".into()),
        description: value(&document.description),
        target,
        groups,
        publish,
        phases,
        checks,
        dialect,
        feed,
        beat,
        rooms,
        feeder,
        vars,
        disrupt,
    };
    if let Some(around) = around {
        for name in scenario.env_names() {
            if (around.env)(&name).is_none() {
                let piece = format!("{{env.{name}");
                let whole = |(source, s): (usize, &Source)| At { source, start: 0, end: s.text.len(), path: "".into() };
                let places = r.sources.iter().enumerate().map(whole).map(|at| r.within(&at, &piece));
                let at = places.into_iter().find(|at| at.end - at.start == piece.len()).unwrap_or_default();
                r.fail(&at, format!("the environment has no {name}"), format!("set it: {name}=… wsbench run …"));
            }
        }
    }
    Some(scenario)
}

impl Scenario {
    /// The environment variables its templates name, sorted: the edge looks them up once, for [`Vars::env`](super::Vars::env).
    #[must_use]
    pub fn env_names(&self) -> Vec<String> {
        language::env_of(self.templates()).into_keys().collect()
    }

    /// All templates in it.
    fn templates(&self) -> Vec<&Template> {
        let mut list: Vec<&Template> = Vec::new();
        if let Target::Url(url) = &self.target {
            list.push(url.template());
        }
        for group in &self.groups {
            list.extend(group.connection.templates());
            let behaviour = &group.behaviour;
            list.extend(behaviour.ignore.iter().flat_map(Wanted::templates));
            list.extend(behaviour.replies.iter().flat_map(|r| r.when.templates()));
            list.extend(behaviour.on_close.iter().chain(behaviour.replies.iter().map(|r| &r.send)).flat_map(|b| b.templates()));
            for step in &behaviour.script {
                match step {
                    ScriptStep::Send(body) => list.extend(body.templates()),
                    ScriptStep::Http(http) => {
                        list.extend([&http.url].into_iter().chain(&http.body).chain(http.headers.iter().map(|(_, value)| value)));
                    }
                    ScriptStep::Expect { matches, .. } => list.extend(matches.templates()),
                    ScriptStep::Wait(_) => {}
                }
            }
        }
        for place in Place::ALL {
            list.extend((0..self.groups.len()).filter_map(|group| self.wanted(place, group)).flat_map(Wanted::templates));
        }
        list.extend(self.dialect.publish.iter().flat_map(|b| b.templates()));
        if let Some(Via::Http(http)) = self.publish.as_ref().map(|p| &p.via) {
            list.extend([&http.url, &http.body].into_iter().chain(http.headers.iter().map(|(_, value)| value)));
        }
        list.extend(self.checks.pong.iter().flat_map(|p| &p.application).flat_map(|a| a.send.templates()));
        list
    }
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
