//! A scenario's client as a guest of a case: it joins as the script says, answers what is to be answered, passes over what
//! the scenario ignores, and takes payloads out of the dialect's envelope. The script's machine is the load side's own
//! (`scenario::session`). Must never know a case.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use tokio::time::Instant;

use super::wire::assemble::Incoming;
use super::wire::http::Request;
use super::wire::link::{Heard, Link, Manner, Taken};
use crate::base::{ConnId, RunId, Seed, Span};
use crate::scenario::model::{ClientGroup, Greeting, OwnMatchers, Place, Publish, Role, Scenario, ScriptStep, Via};
use crate::scenario::session::{Action, Claim, Session};
use crate::scenario::template::Vars;

/// How long a greeting or an answer the scenario sets no limit for may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The shortest payload that is looked for in a message that is no JSON.
const SHORTEST: usize = 4;

/// How a scenario's clients join and speak.
#[derive(Debug, Clone, PartialEq)]
pub struct Joining {
    scenario: Scenario,
    group: usize,
    env: BTreeMap<String, String>,
    seed: Seed,
}

impl Joining {
    /// The first group of a scenario that receives. `env` holds the variables of the environment the scenario names.
    ///
    /// # Errors
    /// What of the scenario cannot be done here.
    pub fn new(scenario: Scenario, env: BTreeMap<String, String>, seed: Seed) -> Result<Self, String> {
        let group = scenario.groups.iter().position(|g| g.receives).unwrap_or(0);
        let script = scenario.groups.get(group).map(|g| g.behaviour.script.as_slice()).unwrap_or_default();
        if script.iter().any(|step| matches!(step, ScriptStep::Http(_))) {
            return Err(
                "its script makes HTTP requests, which cases do not: log in beforehand and give what comes of it with --header".to_owned()
            );
        }
        Ok(Self { scenario, group, env, seed })
    }

    /// Whether a payload travels in an envelope.
    #[must_use]
    pub const fn enveloped(&self) -> bool {
        self.scenario.dialect.publish.is_some()
    }

    /// Whether every case may have a room of its own.
    #[must_use]
    pub const fn has_rooms(&self) -> bool {
        self.scenario.rooms.is_some()
    }

    /// Why nothing can be published on the connection itself, if so.
    #[must_use]
    pub fn no_publishing(&self) -> Option<&'static str> {
        let over_http = matches!(&self.scenario.publish, Some(Publish { via: Via::Http(_), .. }));
        over_http.then_some("the scenario publishes over HTTP, so nothing that is said on the connection comes back")
    }

    fn group(&self) -> Option<&ClientGroup> {
        self.scenario.groups.get(self.group)
    }

    fn vars<'a>(&'a self, room: &'a str, nth: u64) -> Vars<'a> {
        let client = ConnId(u32::try_from(nth).unwrap_or(u32::MAX));
        let mut random = self.seed.nth(nth).rng();
        Vars {
            run: RunId(u32::try_from(self.seed.0 & 0xffff_ffff).unwrap_or(0)),
            client,
            index: client.0,
            group: self.group().map_or("", |g| g.name.as_str()),
            room,
            now_ms: now_ms(),
            random: u128::from(random.next_u64()) << 64 | u128::from(random.next_u64()),
            env: &self.env,
            row: self.scenario.feeder.as_ref().and_then(|feeder| feeder.row(client, self.seed)),
            ..Vars::default()
        }
    }

    /// Writes the scenario's path, query, headers and subprotocols into a request; `url` is the one on the command line.
    ///
    /// # Errors
    /// A variable without a value.
    pub fn dress(&self, request: &mut Request, url: &str, room: &str, nth: u64) -> Result<(), String> {
        let Some(group) = self.group() else { return Ok(()) };
        let handshake = group.connection.handshake(url, &self.vars(room, nth)).map_err(|e| e.to_string())?;
        let after_scheme = handshake.url.split_once("://").map_or(handshake.url.as_str(), |(_, rest)| rest);
        request.target = after_scheme.find('/').map_or("/", |at| &after_scheme[at..]).to_owned();
        for (name, value) in handshake.headers {
            request.set(&name, &value);
        }
        if !group.subprotocols.is_empty() && request.value("Sec-WebSocket-Protocol").is_none() {
            request.set("Sec-WebSocket-Protocol", &group.subprotocols.join(", "));
        }
        Ok(())
    }

    /// Plays the script on an opened link; from then on the link has the guest's manners.
    ///
    /// # Errors
    /// Which step did not come through, with what was received instead.
    pub async fn join(self: &Arc<Self>, link: &mut Link, room: &str, nth: u64) -> Result<(), String> {
        let mut guest =
            Guest { joining: Arc::clone(self), room: room.to_owned(), nth, session: Session::default(), sent: Vec::new(), seq: 0 };
        let mut early = VecDeque::new();
        let (behaviour, vars) = (&self.group().ok_or("the scenario has no clients")?.behaviour, self.vars(room, nth));
        guest.session.start(behaviour, &vars);
        let mut actions = guest.session.on_open(behaviour, &vars);
        loop {
            let mut timer = None;
            for action in actions {
                match action {
                    Action::Send(octets, text) => link.say(if text { 0x81 } else { 0x82 }, &octets),
                    Action::Timer(span) => timer = Some(Instant::now() + Duration::from_nanos(span.as_nanos())),
                    Action::Ready(held) => early.extend(held),
                    Action::Failed(why) => return Err(why),
                    Action::Connect | Action::Http(_) => {}
                }
            }
            if guest.session.is_ready() {
                break;
            }
            let vars = self.vars(room, nth);
            actions = match link.hear(timer.unwrap_or_else(|| Instant::now() + PATIENCE)).await {
                Heard::Said(Incoming::Message { payload, .. }) => {
                    let messages: Vec<&[u8]> = self.scenario.dialect.messages(&payload).collect();
                    messages.into_iter().flat_map(|m| guest.session.on_message(behaviour, &vars, m).1).collect()
                }
                Heard::Said(Incoming::Close { code, .. }) => {
                    return Err(format!("the server closed ({code:?}) before the script was done"));
                }
                Heard::Said(_) => continue_waiting(timer),
                Heard::Ended(how) => return Err(format!("before the script was done, {how}")),
                Heard::Silence => guest.session.on_timer(behaviour, &vars),
            };
        }
        self.greeted(link, early, &guest).await?;
        link.manner = Some(Box::new(guest));
        Ok(())
    }

    /// Waits for the greeting the scenario says will come.
    async fn greeted(&self, link: &mut Link, early: VecDeque<Vec<u8>>, guest: &Guest) -> Result<(), String> {
        let Some(Greeting::Expected { matches, within }) = self.group().map(|g| &g.greeting) else { return Ok(()) };
        let own = guest.own()?;
        let own = own.get(Place::Greeting);
        if early.iter().any(|m| matches.matches(m, own)) {
            return Ok(());
        }
        let until = Instant::now() + Duration::from_nanos(within.as_nanos());
        loop {
            match link.hear(until).await {
                Heard::Said(Incoming::Message { payload, .. }) if matches.matches(&payload, own) => return Ok(()),
                Heard::Said(_) => {}
                Heard::Ended(how) => return Err(format!("before the greeting, {how}")),
                Heard::Silence => return Err("the greeting did not come".to_owned()),
            }
        }
    }
}

/// A client that has joined.
struct Guest {
    joining: Arc<Joining>,
    room: String,
    nth: u64,
    session: Session,
    /// Payloads under way, longest first.
    sent: Vec<Vec<u8>>,
    seq: u64,
}

impl Guest {
    /// Its own matchers, where some have variables.
    fn own(&self) -> Result<OwnMatchers, String> {
        let vars = Vars { captured: self.session.captured(), ..self.joining.vars(&self.room, self.nth) };
        OwnMatchers::bind(&self.joining.scenario, self.joining.group, &vars).map_err(|e| e.to_string())
    }
}

impl Manner for Guest {
    fn take(&mut self, payload: Vec<u8>) -> Taken {
        let dialect = &self.joining.scenario.dialect;
        let Some(group) = self.joining.group() else { return Taken::as_is(payload) };
        let mut taken = Taken::default();
        let own = self.own().unwrap_or_default();
        for message in dialect.messages(&payload) {
            let carried = carried(&self.sent, message);
            match (carried, dialect.role(message, Some(&own))) {
                (Some(found), Role::Copy) => taken.said.push(found.to_vec()),
                (Some(_), Role::Ack) => {}
                _ => {
                    let vars = self.joining.vars(&self.room, self.nth);
                    let (claim, actions) = self.session.on_message(&group.behaviour, &vars, message);
                    taken.answers.extend(actions.into_iter().filter_map(|a| if let Action::Send(o, t) = a { Some((o, t)) } else { None }));
                    if claim == Claim::Unclaimed {
                        taken.said.push(message.to_vec());
                    }
                }
            }
        }
        taken
    }

    fn envelope(&mut self, binary: bool, payload: &[u8]) -> Result<(Vec<u8>, Vec<u8>), String> {
        let Some(body) = &self.joining.scenario.dialect.publish else { return Ok((Vec::new(), Vec::new())) };
        if body.is_text() == binary {
            let (asked, has) = if binary { ("binary", "text") } else { ("text", "binary") };
            return Err(format!("it sends {asked}, and the dialect publishes in {has} messages"));
        }
        let mark = b"\x01payload\x02";
        self.seq += 1;
        let vars = Vars { seq: self.seq, payload: mark, captured: self.session.captured(), ..self.joining.vars(&self.room, self.nth) };
        let whole = body.render(&vars).map_err(|e| e.to_string())?;
        let at = memchr::memmem::find(&whole, mark).ok_or("the dialect's message does not hold the payload as it is")?;
        let around = (whole[..at].to_vec(), whole[at + mark.len()..].to_vec());
        carriable(payload, binary, around.0.contains(&b'"'))?;
        if body.render(&Vars { payload, ..vars }).ok() != Some([&around.0[..], payload, &around.1[..]].concat()) {
            return Err("the dialect's message counts or repeats the payload, which fragments cannot be cut from".to_owned());
        }
        self.look_for(payload);
        Ok(around)
    }

    fn look_for(&mut self, payload: &[u8]) {
        if self.joining.enveloped() {
            self.sent.push(payload.to_vec());
            self.sent.sort_by_key(|p| std::cmp::Reverse(p.len()));
        }
    }
}

/// Whether a payload can be told from its envelope and needs no escaping in it.
fn carriable(payload: &[u8], binary: bool, quoted: bool) -> Result<(), String> {
    let escaped = |b: &u8| *b < 0x20 || *b == 0x7f || (quoted && matches!(b, b'"' | b'\\'));
    if !binary && payload.iter().any(escaped) {
        return Err("its octets would have to be escaped in the dialect's envelope".to_owned());
    }
    if !binary && std::str::from_utf8(payload).is_err() {
        return Err("its octets are no text, which the dialect's envelope demands".to_owned());
    }
    let shortest = if quoted { 1 } else { SHORTEST };
    if payload.len() < shortest {
        return Err(format!("a payload of {} octets cannot be told from the dialect's envelope", payload.len()));
    }
    Ok(())
}

/// The payload a message carries: one that is a string of its JSON; in a message that is none, one that stands in it.
fn carried<'a>(sent: &'a [Vec<u8>], message: &[u8]) -> Option<&'a [u8]> {
    let from = message.iter().position(|b| matches!(b, b'{' | b'['));
    let json = from.and_then(|from| serde_json::Deserializer::from_slice(&message[from..]).into_iter().next()?.ok());
    let is_in = |payload: &[u8]| match &json {
        Some(json) => holds(json, payload),
        None => payload.len() >= SHORTEST && memchr::memmem::find(message, payload).is_some(),
    };
    sent.iter().map(Vec::as_slice).find(|p| is_in(p))
}

/// Whether a string of it is exactly this, at any depth.
fn holds(json: &serde_json::Value, payload: &[u8]) -> bool {
    match json {
        serde_json::Value::String(text) => text.as_bytes() == payload,
        serde_json::Value::Array(all) => all.iter().any(|v| holds(v, payload)),
        serde_json::Value::Object(all) => all.values().any(|v| holds(v, payload)),
        _ => false,
    }
}

fn continue_waiting(timer: Option<Instant>) -> Vec<Action> {
    let left = timer.map_or(PATIENCE, |at| at.saturating_duration_since(Instant::now()));
    vec![Action::Timer(Span::from_nanos(u64::try_from(left.as_nanos()).unwrap_or(u64::MAX)))]
}

#[expect(clippy::disallowed_methods, reason = "the wall clock for {now_ms}, once per message that names it")]
fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_found_whole_or_not_at_all() {
        let sent = vec![b"Hello, world".to_vec(), b"Hello".to_vec(), b"abc".to_vec()];
        for (message, found) in [
            (r#"{"text":"Hello"}"#, Some("Hello")),
            (r#"{"a":[{"b":"Hello, world"}]}"#, Some("Hello, world")),
            (r#"42["message","abc"]"#, Some("abc")),
            (r#"{"text":"H\u0065llo"}"#, Some("Hello")),
            (r#"{"text":"HelloHello"}"#, None),
            (r#"{"text":"Hallo"}"#, None),
            ("MESSAGE\n\nHello\0", Some("Hello")),
            // Three letters may stand anywhere.
            ("MESSAGE\n\nabc\0", None),
        ] {
            assert_eq!(carried(&sent, message.as_bytes()), found.map(str::as_bytes), "{message}");
        }
    }

    #[test]
    fn what_would_need_escaping_is_not_sent() {
        for (payload, binary, quoted, fits) in [
            (&b"a"[..], false, true, true),
            (b"", false, true, false),
            (b"abc", false, false, false),
            (b"abcd", false, false, true),
            (b"say \"x\"", false, true, false),
            (b"say \"x\"", false, false, true),
            (b"a\nbcd", false, false, false),
            (b"\xff\xfe\xff\xfe", false, false, false),
            (b"\xff\x00\xff\xfe", true, false, true),
        ] {
            assert_eq!(carriable(payload, binary, quoted).is_ok(), fits, "{payload:?}");
        }
    }
}
