//! From what two clients heard to a scenario, as text. Must never know a socket.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use crate::base::{Instant, Span};
use crate::report::escape;
use crate::scenario::model::Template;

/// What a message was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Binary,
    Ping,
    Close,
}

/// One thing heard.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    pub(super) at: Instant,
    pub(super) kind: Kind,
    pub(super) text: String,
}

/// Everything that was seen. The first of two is who published, the second who watched.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) url: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) subprotocol: Option<String>,
    pub(super) watched: Span,
    pub(super) before: [Vec<Heard>; 2],
    pub(super) after: [Vec<Heard>; 2],
    pub(super) published: String,
}

/// Greetings and subprotocols by which a server with a preset is known.
const KNOWN: [(&str, &str); 10] = [
    ("0{\"sid\"", "socketio"),
    ("{\"type\":\"welcome\"", "actioncable"),
    ("{\"event\":\"pusher:connection_established\"", "pusher"),
    ("INFO {", "nats"),
    ("actioncable-v1-json", "actioncable"),
    ("graphql-transport-ws", "graphql-ws"),
    ("mqtt", "mqtt"),
    ("wamp.2.json", "wamp"),
    ("v12.stomp", "stomp"),
    ("v11.stomp", "stomp"),
];

/// Who got the copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Audience {
    All,
    Others,
    OnlySender,
    Nobody,
}

impl Seen {
    fn audience(&self) -> Audience {
        let [sender, watcher] = [0, 1].map(|who| self.copy(who).is_some());
        match (sender, watcher) {
            (true, true) => Audience::All,
            (false, true) => Audience::Others,
            (true, false) => Audience::OnlySender,
            (false, false) => Audience::Nobody,
        }
    }

    fn copy(&self, who: usize) -> Option<&Heard> {
        self.after[who].iter().find(|heard| heard.text.contains(&self.published))
    }

    fn preset(&self) -> Option<&'static str> {
        let greeting = self.before[1].iter().find(|h| h.kind != Kind::Ping).map_or("", |h| &h.text);
        let known = |(sign, _): &&(&str, &str)| greeting.starts_with(sign) || self.subprotocol.as_deref() == Some(*sign);
        KNOWN.iter().find(known).map(|(_, preset)| *preset)
    }

    /// What the server said of itself, alike messages together.
    fn groups(&self) -> Vec<Group<'_>> {
        let mut groups: BTreeMap<String, Group<'_>> = BTreeMap::new();
        for (who, heard) in [&self.before, &self.after].into_iter().flat_map(|both| both.iter().enumerate()) {
            for heard in heard.iter().filter(|h| h.kind == Kind::Text && !h.text.contains(&self.published)) {
                let group = groups.entry(shape(&heard.text)).or_default();
                group.messages.push(&heard.text);
                if who == 1 {
                    group.times.push(heard.at);
                }
            }
        }
        groups.into_values().collect()
    }

    fn protocol_pings(&self) -> usize {
        self.before[1].iter().chain(&self.after[1]).filter(|h| h.kind == Kind::Ping).count()
    }
}

/// Messages of one shape: all of them, and when the watcher heard its own.
#[derive(Debug, Default)]
struct Group<'a> {
    messages: Vec<&'a str>,
    times: Vec<Instant>,
}

impl Group<'_> {
    /// The period, when there are at least three and they come regularly.
    fn every(&self) -> Option<Span> {
        let gaps: Vec<u64> = self.times.windows(2).map(|pair| pair[1].since(pair[0]).as_nanos()).collect();
        let mean = gaps.iter().sum::<u64>() / (gaps.len() as u64).max(1);
        let regular = gaps.iter().all(|gap| gap.abs_diff(mean) < mean / 5);
        let rounded = (mean + 25_000_000) / 50_000_000 * 50_000_000;
        (gaps.len() >= 2 && regular && rounded > 0).then(|| Span::from_nanos(rounded))
    }

    /// A matcher as TOML that knows these messages: the members all have, the whole text, or its beginning.
    fn matcher(&self) -> Option<String> {
        let first = *self.messages.first()?;
        let values: Vec<Value> = self.messages.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
        if let (Some(Value::Object(members)), true) = (values.first(), values.len() == self.messages.len()) {
            let scalar = |v: &Value| v.is_string() || v.is_boolean() || v.is_i64();
            let common: serde_json::Map<_, _> = members
                .iter()
                .filter(|(k, v)| scalar(v) && values.iter().all(|o| o.get(k) == Some(v)))
                .map(|(k, v)| (Template::source_of(k), v.as_str().map_or_else(|| v.clone(), |text| Template::source_of(text).into())))
                .collect();
            if !common.is_empty() {
                return Some(format!("{{ json = {} }}", toml::Value::try_from(common).ok()?));
            }
        }
        if self.messages.iter().all(|text| *text == first) {
            return Some(format!("{{ exact = {} }}", quoted(&Template::source_of(first))));
        }
        let common = self.messages.iter().fold(first, |common, text| {
            let same =
                common.char_indices().zip(text.chars()).find(|((_, a), b)| a != b).map_or(common.len().min(text.len()), |((at, _), _)| at);
            &common[..same]
        });
        (!common.is_empty()).then(|| format!("{{ prefix = {} }}", quoted(&Template::source_of(common))))
    }
}

/// What alike messages have in common: the names of their members and what says their type, or how they begin.
fn shape(text: &str) -> String {
    match serde_json::from_str(text) {
        Ok(Value::Object(members)) => {
            let names: Vec<_> = members.keys().cloned().collect();
            let kind = ["type", "event", "op", "action", "t"]
                .iter()
                .find_map(|name| members.get(*name))
                .map_or_else(String::new, Value::to_string);
            format!("{{{}}}{kind}", names.join(","))
        }
        _ => text.chars().take(4).collect(),
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A message fit for a comment: one line, not long.
fn shown(text: &str) -> String {
    let mut line: String = escape(text).chars().take(100).collect();
    if line.len() < text.len() {
        line.push('…');
    }
    line
}

/// What was seen, a line each.
pub(super) fn told(seen: &Seen) -> Vec<String> {
    let mut lines = Vec::new();
    lines.push(seen.subprotocol.as_deref().map_or_else(|| "no subprotocol was chosen".into(), |p| format!("subprotocol {}", escape(p))));
    for group in seen.groups() {
        let cadence = match (group.every(), group.times.len()) {
            (Some(every), _) => format!("every {every}"),
            (None, 1) => "once".into(),
            (None, n) => format!("{n} times"),
        };
        lines.push(format!("said {cadence}: {}", shown(group.messages.first().unwrap_or(&""))));
    }
    lines.push(format!("protocol pings: {}", seen.protocol_pings()));
    if seen.before.iter().chain(&seen.after).flatten().any(|h| h.kind == Kind::Binary) {
        lines.push("binary messages: not looked into".into());
    }
    if let Some(end) = seen.before.iter().chain(&seen.after).flatten().find(|h| h.kind == Kind::Close) {
        lines.push(format!("the server closed a connection: {}", shown(&end.text)));
    }
    lines.push(match seen.audience() {
        Audience::All => "a message published came back to both clients".into(),
        Audience::Others => "a message published came to the other client and not to its sender".into(),
        Audience::OnlySender => "a message published came back to its sender only: an echo, no broadcast".into(),
        Audience::Nobody => "a message published came back to nobody: it may want a join, a subscription or a form of its own".into(),
    });
    if let Some(copy) = seen.copy(1).filter(|copy| copy.text != seen.published) {
        lines.push(format!("it came in an envelope: {}", shown(&copy.text.replace(&seen.published, "{stamp}"))));
    }
    lines
}

/// The scenario.
pub(super) fn scenario(seen: &Seen) -> String {
    let mut out =
        format!("# Written by `wsbench init`. What was seen, {} before and a moment after one message was published:\n", seen.watched);
    for line in told(seen) {
        let _ = writeln!(out, "#   {line}");
    }
    let (audience, preset) = (seen.audience(), seen.preset());
    let delivers = matches!(audience, Audience::All | Audience::Others);
    out.push_str("name = \"guessed\"\n");
    match preset {
        Some(preset) if !delivers => {
            let _ = writeln!(out, "use = \"{preset}\"  # its greeting says so; `wsbench presets {preset}` prints what that means");
        }
        _ => {}
    }
    let speaks_preset = preset.is_some() && !delivers;
    let groups = seen.groups();
    let beat = groups.iter().find_map(|group| Some((group.every()?, group.matcher()?)));
    let ignored: Vec<_> = groups.iter().filter_map(Group::matcher).filter(|m| beat.as_ref().is_none_or(|(_, b)| b != m)).collect();
    if !speaks_preset && !ignored.is_empty() {
        let _ = writeln!(
            out,
            "# Greetings and notices: said by the server itself, copies of nothing.\nignore = [\n  {},\n]",
            ignored.join(",\n  ")
        );
    }
    let _ = writeln!(out, "\n[target]\nurl = {}", quoted(&Template::source_of(&seen.url)));
    if let Some(subprotocol) = &seen.subprotocol {
        let _ = writeln!(out, "subprotocols = [{}]", quoted(subprotocol));
    }
    if !seen.headers.is_empty() {
        let fields: Vec<_> =
            seen.headers.iter().map(|(name, value)| format!("{} = {}", quoted(name), quoted(&Template::source_of(value)))).collect();
        let _ = writeln!(out, "headers = {{ {} }}", fields.join(", "));
    }
    out.push_str("\n[clients]\ncount = 10\nconnect_rate = \"100/s\"\n");
    if delivers || speaks_preset {
        out.push_str("\n[publish]\npublishers = 2\npace = { rate = \"10/s\" }  # of all publishers together\n");
        if delivers {
            let word = if audience == Audience::All { "all" } else { "others" };
            let _ = writeln!(out, "audience = \"{word}\"");
        }
    } else {
        out.push_str("\n# Nothing is published: no copy reached the other client. When you know how it wants to be spoken to, say so in\n");
        out.push_str("# [publish], `script` and [dialect]; `wsbench presets` shows how that is done for known servers.\n");
    }
    out.push_str("\n[phases]\nsteady = \"5s\"\ndrain = \"5s\"\n");
    if delivers || speaks_preset {
        out.push_str("\n[checks.delivery]\nwithin = \"1s\"\n");
    }
    if let (Some((every, matcher)), false) = (beat, speaks_preset) {
        let tolerance = Span::from_nanos(every.as_nanos() / 4);
        let _ = writeln!(out, "\n[checks.heartbeat]\nexpect = {matcher}\nevery = \"{every}\"\ntolerance = \"{tolerance}\"");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: &str = "wsb1-stamp";

    fn heard(ms: u64, text: &str) -> Heard {
        Heard { at: Instant::from_nanos(ms * 1_000_000), kind: Kind::Text, text: text.into() }
    }

    fn seen(before: [Vec<Heard>; 2], after: [Vec<Heard>; 2]) -> Seen {
        Seen {
            url: "ws://h:1/".into(),
            headers: vec![("X-Token".into(), "a \"b\" {c}".into())],
            subprotocol: None,
            watched: Span::from_nanos(3_000_000_000),
            before,
            after,
            published: STAMP.into(),
        }
    }

    #[test]
    fn every_guess_is_a_scenario() {
        let beats = |n: u64| (0..n).map(|i| heard(500 * i + i % 3, &format!(r#"{{"type":"tick","n":{i}}}"#))).collect::<Vec<_>>();
        let copy = || vec![heard(3000, &format!(r#"{{"from":1,"data":"{STAMP}"}}"#))];
        let echo = || vec![heard(3000, STAMP)];
        let rows = [
            (seen([vec![], vec![]], [echo(), echo()]), vec!["audience = \"all\""], vec!["heartbeat", "ignore"]),
            (
                seen([beats(3), beats(6)], [vec![], copy()]),
                vec!["audience = \"others\"", "every = \"500ms\"", "type = \"tick\"", "envelope"],
                vec![],
            ),
            (seen([vec![], vec![]], [echo(), vec![]]), vec!["no broadcast", "Nothing is published"], vec!["[publish]\n"]),
            (
                seen([vec![heard(1, "0{\"sid\":\"a\"}")], vec![heard(1, "0{\"sid\":\"b\"}")]], [vec![], vec![]]),
                vec!["use = \"socketio\""],
                vec!["ignore"],
            ),
            (
                seen([vec![heard(1, "hello \u{1b}7")], vec![heard(1, "hello \u{1b}8")]], [echo(), echo()]),
                vec!["prefix = \"hello "],
                vec!["\u{1b}"],
            ),
            (
                seen(
                    [vec![heard(1, "welcome, {name}!")], vec![heard(1, "welcome, {name}!"), heard(9, r#"{"form":"a {field}"}"#)]],
                    [echo(), echo()],
                ),
                vec!["welcome, {{name}}!", "a {{field}}"],
                vec![],
            ),
        ];
        for (seen, says, not) in rows {
            let text = scenario(&seen);
            crate::scenario::parse(&text, "guessed").unwrap_or_else(|e| panic!("{e}\n{text}"));
            assert!(says.iter().all(|word| text.contains(word)), "{says:?}\n{text}");
            assert!(not.iter().all(|word| !text.contains(word)), "not {not:?}\n{text}");
        }
    }

    #[test]
    fn an_irregular_message_is_no_heartbeat() {
        let times = [0, 500, 520, 2000].map(|ms| heard(ms, "news"));
        let seen = seen([vec![], times.to_vec()], [vec![], vec![]]);
        assert!(seen.groups()[0].every().is_none());
    }
}
