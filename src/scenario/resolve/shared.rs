//! What all groups share (dialect, heartbeat, ping, publications) and what it needs of their scripts: a value that one group's
//! script captures is not there for the clients of another.

use super::super::error::At;
use super::super::model::{Beat, Behaviour, Checks, ClientGroup, Dialect, Publish, ScriptStep, Template, Trigger, Via};
use super::super::schema;
use super::super::template::Names;
use super::super::typed::{Reader, Toggle};

/// Notes every captured value that a group needs and does not capture.
pub(super) fn check(
    document: &schema::Document,
    groups: &[ClientGroup],
    dialect: &Dialect,
    publish: Option<&Publish>,
    (checks, beat): (&Checks, Option<&Beat>),
    names: &Names,
    r: &mut Reader,
) {
    let typed = Places::of(document);
    let all = || (0..groups.len()).collect::<Vec<_>>();
    let mut needed: Vec<(Vec<&Template>, Option<&At>, Vec<usize>)> = Vec::new();
    needed.push((dialect.matches.iter().flat_map(|m| m.templates()).collect(), typed.matches, all()));
    needed.push((dialect.ack.iter().flat_map(|m| m.templates()).collect(), typed.ack, all()));
    if let Some(Beat::Message(matches)) = beat {
        needed.push((matches.templates(), typed.beat, all()));
    }
    if let Some(ping) = checks.pong.as_ref().and_then(|p| p.application.as_ref()) {
        needed.push((ping.send.templates(), typed.ping, all()));
        needed.push((ping.expect.templates(), typed.pong, all()));
    }
    if let Some(publish) = publish {
        let publishing = publishing(groups, publish);
        needed.push((dialect.publish.iter().flat_map(|body| body.templates()).collect(), typed.said, publishing.clone()));
        if let Via::Http(http) = &publish.via {
            let templates = [&http.url, &http.body].into_iter().chain(http.headers.iter().map(|(_, value)| value)).collect();
            needed.push((templates, typed.publish, publishing));
        }
    }
    if let (Some(ping), Some(heartbeat)) = (checks.pong.as_ref().and_then(|p| p.application.as_ref()), &checks.heartbeat)
        && heartbeat.beat == Beat::Message(ping.expect.clone())
    {
        let at = typed.pong.cloned().unwrap_or_default();
        r.fail(
            &at,
            "a beat and a pong look alike: neither check could tell which came",
            "make them differ, or leave one of the checks out",
        );
    }
    for (templates, at, of) in needed {
        for slot in templates.into_iter().flat_map(Template::slots) {
            for group in of.iter().filter_map(|g| groups.get(*g)).filter(|g| !captures(&g.behaviour, slot)) {
                let name = names.captures.get(slot).map_or("", String::as_str);
                let at = at.map_or_else(At::default, |at| r.within(at, &format!("{{{name}")));
                let what = format!("{{{name}}} is needed by the clients of `{}`, whose script does not capture it", group.name);
                r.fail(&at, what, "capture it in that script too, or use what every client has: {client.id}, {room}, a column");
            }
        }
    }
}

/// The groups in which somebody publishes.
fn publishing(groups: &[ClientGroup], publish: &Publish) -> Vec<usize> {
    if let Some(group) = publish.group {
        return vec![group as usize];
    }
    let mut before = 0_u32;
    let first = |group: &ClientGroup| {
        let begins = before;
        before = before.saturating_add(group.count);
        begins < publish.publishers
    };
    let count = groups.iter().map(first).take_while(|publishes| *publishes).count();
    (0..count).collect()
}

fn captures(behaviour: &Behaviour, slot: usize) -> bool {
    let step = |step: &ScriptStep| match step {
        ScriptStep::Expect { captures, .. } => captures.iter().any(|c| c.slot == slot),
        ScriptStep::Http(http) => http.captures.iter().any(|c| c.slot == slot),
        ScriptStep::Send(_) | ScriptStep::Wait(_) => false,
    };
    let answered = behaviour.replies.iter().filter(|reply| matches!(reply.when, Trigger::Message(_)));
    behaviour.script.iter().any(step) || answered.flat_map(|reply| &reply.captures).any(|c| c.slot == slot)
}

/// Where these things are said.
#[derive(Default)]
struct Places<'a> {
    said: Option<&'a At>,
    matches: Option<&'a At>,
    ack: Option<&'a At>,
    beat: Option<&'a At>,
    ping: Option<&'a At>,
    pong: Option<&'a At>,
    publish: Option<&'a At>,
}

impl<'a> Places<'a> {
    fn of(document: &'a schema::Document) -> Self {
        let dialect = document.dialect.as_ref();
        let checks = document.checks.as_ref();
        let heartbeat =
            checks.and_then(|c| c.heartbeat.as_ref()).and_then(|h| if let Toggle::On(table) = &h.value { Some(table) } else { None });
        let pong = checks.and_then(|c| c.pong.as_ref()).and_then(|p| if let Toggle::On(table) = &p.value { Some(table) } else { None });
        let publish = document.publish.as_ref();
        let fed = publish.and_then(|p| p.r#match.as_ref()).map(|m| &m.at);
        Self {
            said: dialect.and_then(|d| d.publish.as_ref()).map(|s| &s.at),
            matches: fed.or(dialect.and_then(|d| d.r#match.as_ref()).map(|m| &m.at)),
            ack: dialect.and_then(|d| d.ack.as_ref()).map(|m| &m.at),
            beat: heartbeat.and_then(|h| h.expect.as_ref()).or(document.heartbeat.as_ref().and_then(|h| h.expect.as_ref())).map(|m| &m.at),
            ping: pong.and_then(|p| p.send.as_ref()).or(document.ping.as_ref().and_then(|p| p.send.as_ref())).map(|s| &s.at),
            pong: pong.and_then(|p| p.expect.as_ref()).or(document.ping.as_ref().and_then(|p| p.expect.as_ref())).map(|m| &m.at),
            publish: publish.map(|p| &p.at),
        }
    }
}
