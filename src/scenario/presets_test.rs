//! The presets against recorded conversations of real servers (`conversations/`, cut short): what the server said is played
//! to the preset's session, and every message must find its meaning.

use std::collections::BTreeMap;

use super::dialect::Role;
use super::model::{Audience, Beat, Scenario, Via};
use super::session::{Action, Claim, Session};
use super::{PRESETS, Preset, Vars, parse, read};
use crate::base::{ConnId, RunId};

/// One line of a conversation.
#[derive(Debug)]
struct Line {
    client: char,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Get(String),
    Sent(Vec<u8>, bool),
    Received(Vec<u8>, bool),
    ProtocolPing,
}

fn conversation(text: &str) -> Vec<Line> {
    text.lines().filter_map(line).collect()
}

fn line(text: &str) -> Option<Line> {
    let client = text.get(9..10)?.chars().next()?;
    let rest = text.get(14..)?;
    if text.starts_with("         ##") || text.get(9..13) == Some("http") {
        return None;
    }
    let kind = match rest.split_once(' ')? {
        ("->", rest) if rest.starts_with("GET ") => Kind::Get(rest[4..].to_owned()),
        ("->", rest) => content(rest).map(|(bytes, text)| Kind::Sent(bytes, text))?,
        ("<-", rest) if rest.starts_with("ping ") => Kind::ProtocolPing,
        ("<-", rest) => content(rest).map(|(bytes, text)| Kind::Received(bytes, text))?,
        _ => return None,
    };
    Some(Line { client, kind })
}

/// `text "…"` with JSON's escapes, or `text`/`bin` with a Python bytes literal.
fn content(rest: &str) -> Option<(Vec<u8>, bool)> {
    let (word, literal) = rest.split_once(' ')?;
    let is_text = match word {
        "text" => true,
        "bin" => false,
        _ => return None,
    };
    if literal.starts_with('"') {
        return Some((serde_json::from_str::<String>(literal).ok()?.into_bytes(), is_text));
    }
    let body = literal.strip_prefix('b')?;
    let body = body.get(1..body.len() - 1)?;
    let mut bytes = Vec::new();
    let mut chars = body.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('x')) => {
                let digits: String = chars.by_ref().take(2).collect();
                bytes.push(u8::from_str_radix(&digits, 16).ok()?);
            }
            ('\\', Some('n')) => bytes.push(b'\n'),
            ('\\', Some('r')) => bytes.push(b'\r'),
            ('\\', Some('t')) => bytes.push(b'\t'),
            ('\\', Some(other)) => bytes.push(u8::try_from(other).ok()?),
            (c, _) => bytes.extend(c.to_string().bytes()),
        }
    }
    Some((bytes, is_text))
}

fn scenario(preset: &str, vars: &str) -> Scenario {
    let text = format!("use = \"{preset}\"\n{vars}\n[clients]\ncount = 3\n[publish]\npace = \"1/s\"\n");
    parse(&text, "t.toml").unwrap_or_else(|e| panic!("{e}"))
}

/// Published texts in a message, as the recorder named them.
fn tokens(message: &[u8]) -> Vec<String> {
    let pattern = regex::bytes::Regex::new("tok[0-9][a-z]{4}|burst[0-9]+x").expect("a pattern");
    pattern.find_iter(message).map(|m| String::from_utf8_lossy(m.as_bytes()).into_owned()).collect()
}

fn vars(client: u32) -> Vars<'static> {
    Vars { run: RunId(7), client: ConnId(client), index: client, seq: 1, ..Vars::default() }
}

/// What became of one conversation.
#[derive(Default)]
struct Heard {
    /// Copies by client and token.
    copies: BTreeMap<(char, String), u32>,
    /// Which client published which token.
    published: BTreeMap<String, char>,
    /// Who became ready.
    ready: Vec<char>,
    beats: u32,
    /// Sent in answer, by client.
    answers: Vec<(char, Vec<u8>)>,
}

fn play(scenario: &Scenario, lines: &[Line]) -> Heard {
    let behaviour = &scenario.groups[0].behaviour;
    let mut sessions: BTreeMap<char, Session> = BTreeMap::new();
    let mut heard = Heard::default();
    for line in lines {
        let number = u32::from(line.client) - u32::from('A');
        let vars = vars(number);
        let actions = match &line.kind {
            Kind::Get(_) => {
                let mut session = Session::default();
                assert_eq!(session.start(behaviour, &vars), [Action::Connect]);
                let actions = session.on_open(behaviour, &vars);
                sessions.insert(line.client, session);
                actions
            }
            Kind::Sent(bytes, _) => {
                for token in tokens(bytes) {
                    heard.published.entry(token).or_insert(line.client);
                }
                continue;
            }
            Kind::ProtocolPing => {
                heard.beats += u32::from(scenario.beat == Some(Beat::ProtocolPing));
                continue;
            }
            Kind::Received(bytes, text) => {
                if !tokens(bytes).is_empty() {
                    let receive = scenario.dialect.receive.is_none_or(|e| (e == super::model::Encoding::Text) == *text);
                    assert!(receive, "the opcode of {:?}", String::from_utf8_lossy(bytes));
                }
                let session = sessions.get_mut(&line.client).expect("it is connected");
                received(scenario, session, line.client, bytes, &mut heard)
            }
        };
        told(scenario, line.client, actions, &mut heard);
    }
    heard
}

fn received(scenario: &Scenario, session: &mut Session, client: char, frame: &[u8], heard: &mut Heard) -> Vec<Action> {
    let behaviour = &scenario.groups[0].behaviour;
    let mut actions = Vec::new();
    for message in scenario.dialect.messages(frame) {
        let found = tokens(message);
        match scenario.dialect.role(message, None) {
            Role::Ack if !found.is_empty() => continue,
            Role::Copy if !found.is_empty() => {
                for token in found {
                    *heard.copies.entry((client, token)).or_default() += 1;
                }
                continue;
            }
            _ => {}
        }
        let beat = matches!(&scenario.beat, Some(Beat::Message(m)) if m.matches(message, None));
        heard.beats += u32::from(beat);
        let (claim, mut more) = session.on_message(behaviour, &vars(u32::from(client) - u32::from('A')), message);
        assert!(beat || claim != Claim::Unclaimed, "nothing explains what {client} got: {:?}", String::from_utf8_lossy(message));
        actions.append(&mut more);
    }
    actions
}

fn told(scenario: &Scenario, client: char, actions: Vec<Action>, heard: &mut Heard) {
    for action in actions {
        match action {
            Action::Send(bytes, _) => heard.answers.push((client, bytes)),
            Action::Ready(left) => {
                let behaviour = &scenario.groups[0].behaviour;
                let unexplained: Vec<_> = left.iter().filter(|m| !behaviour.ignore.iter().any(|i| i.matches(m, None))).collect();
                assert_eq!(unexplained, [&b""[..]; 0], "{client} is ready, and something was left over");
                heard.ready.push(client);
            }
            Action::Failed(why) => panic!("{client}: {why}"),
            Action::Timer(_) | Action::Http(_) | Action::Connect => {}
        }
    }
}

macro_rules! recorded {
    ($name:literal) => {
        (concat!($name), include_str!(concat!("conversations/", $name, ".txt")))
    };
}

/// Preset, conversation, variables as they were recorded.
const RECORDED: [((&str, &str), &str); 15] = [
    (recorded!("actioncable"), ""),
    (recorded!("centrifugo"), ""),
    (recorded!("gorilla"), ""),
    (recorded!("graphql-ws"), ""),
    (recorded!("mqtt"), ""),
    (recorded!("nats"), ""),
    (recorded!("nchan"), ""),
    (recorded!("others"), ""),
    (recorded!("phoenix"), ""),
    (recorded!("pusher-http"), "[vars]\napi = \"http://127.0.0.1:4185\""),
    (recorded!("sockjs"), ""),
    (
        recorded!("socketio"),
        "ignore = [{ prefix = '42[\"user joined\"' }, { prefix = '42[\"user left\"' }]\n[[script]]\nsend = '42[\"add user\",\"u{client.id}\"]'\n[[script]]\nexpect = { prefix = '42[\"login\"' }",
    ),
    (recorded!("stomp"), ""),
    (recorded!("tomcat-chat"), ""),
    (recorded!("wamp"), ""),
];

#[test]
fn every_message_of_every_conversation_finds_its_meaning() {
    for ((name, text), vars) in RECORDED {
        let scenario = scenario(name, vars);
        let lines = conversation(text);
        assert!(lines.len() > 10, "{name}: the conversation is read");
        let mut heard = play(&scenario, &lines);
        heard.ready.dedup();
        assert!(heard.ready.starts_with(&['A', 'B', 'C']), "{name}: all three become ready: {:?}", heard.ready);
        let others = scenario.publish.as_ref().is_some_and(|p| p.audience == Audience::Others);
        let over_http = scenario.publish.as_ref().is_some_and(|p| matches!(p.via, Via::Http(_)));
        for token in ["tok1aaaa", "tok2bbbb", "burst0x", "burst1x", "burst2x"] {
            for client in ['A', 'B', 'C'] {
                // Cut out of the recordings: the batches of the longest bursts.
                let gone = token.starts_with("burst") && ["centrifugo", "gorilla", "nats"].contains(&name);
                let own = others && !over_http && heard.published.get(token) == Some(&client);
                let copies = heard.copies.get(&(client, token.to_owned())).copied().unwrap_or(0);
                assert!(gone || copies == u32::from(!own), "{name}: {client} got {copies} copies of {token}");
            }
        }
    }
}

#[test]
fn heartbeats_are_seen_and_answered_as_recorded() {
    let heard = |name: &str| {
        let ((_, text), vars) = RECORDED.iter().find(|((n, _), _)| *n == name).copied().expect(name);
        play(&scenario(name, vars), &conversation(text))
    };
    assert!(heard("actioncable").beats >= 6, "three clients, a ping every 3s");
    assert!(heard("wamp").beats >= 3 && heard("sockjs").beats >= 3 && heard("nchan").beats >= 3, "protocol pings");
    let pongs = |h: &Heard, pong: &[u8]| h.answers.iter().filter(|(_, bytes)| bytes == pong).map(|(c, _)| *c).collect::<Vec<_>>();
    assert_eq!(pongs(&heard("nats"), b"PONG\r\n"), ['A', 'B', 'C']);
    assert_eq!(pongs(&heard("pusher-http"), br#"{"event":"pusher:pong","data":{}}"#), ['A', 'B', 'C']);
}

/// What the recorded client sent to publish, against what the preset sends.
#[test]
fn publications_are_the_frames_that_real_clients_sent() {
    let own = regex::Regex::new(r#""user":"\w+"|\[16,\d+|"id":\d+|^\["1","\d+"|\s"#).expect("a pattern");
    for ((name, text), variables) in RECORDED {
        let scenario = scenario(name, variables);
        let first = conversation(text).into_iter().find_map(|l| match l.kind {
            Kind::Sent(bytes, text) if !tokens(&bytes).is_empty() => Some((l.client, bytes, text)),
            _ => None,
        });
        let Some((client, recorded, was_text)) = first else {
            assert_eq!(name, "pusher-http");
            continue;
        };
        let vars = Vars { payload: b"tok1aaaa", ..vars(u32::from(client) - u32::from('A')) };
        let mut ours = Vec::new();
        match &scenario.dialect.publish {
            Some(body) => body.bind(&vars).expect("bound").encode(&vars, &mut ours),
            None => ours.extend_from_slice(vars.payload),
        }
        let encoding = scenario.publish.as_ref().map(|p| p.encoding);
        assert_eq!(was_text, encoding == Some(super::model::Encoding::Text), "{name}: the opcode");
        // Numbers of requests and names of users are the client's own.
        let plain = |bytes: &[u8]| {
            let text: String = bytes.iter().map(|b| char::from(*b)).collect();
            let text = own.replace_all(&text, "").into_owned();
            text.replace("\\\"", "\"")
        };
        assert_eq!(plain(&ours), plain(&recorded), "{name}");
    }
}

#[test]
fn handshakes_are_those_of_real_clients() {
    for ((name, text), variables) in RECORDED {
        let scenario = scenario(name, variables);
        let group = &scenario.groups[0];
        let Some(Kind::Get(recorded)) = conversation(text).into_iter().map(|l| l.kind).find(|k| matches!(k, Kind::Get(_))) else {
            panic!("{name}: no handshake")
        };
        let mut words = recorded.split_whitespace();
        let path = words.next().unwrap_or_default();
        let subprotocol = words.next().and_then(|w| w.strip_prefix("Sec-WebSocket-Protocol=")).map(str::to_owned);
        let made = group.connection.handshake("ws://h", &vars(0)).expect("nothing is missing");
        let ours = made.url.strip_prefix("ws://h").unwrap_or_default();
        // Where the path is the application's or the session's own, only its shape is the preset's.
        let same = match name {
            "gorilla" => true,
            "nchan" => ours.starts_with("/ws?id=wsbench-00000007-1"),
            "sockjs" => ours == "/chat/000/wsb000000070/websocket",
            "pusher-http" => ours.starts_with("/app/app-key?protocol=7&client="),
            _ => ours == path,
        };
        assert!(same, "{name}: {ours} for {path}");
        assert_eq!(group.subprotocols.first(), subprotocol.as_ref(), "{name}");
    }
}

#[test]
fn every_preset_is_read_and_says_what_it_is() {
    for preset in PRESETS {
        let text = format!("use = \"{}\"\n[clients]\ncount = 2\n[publish]\npace = \"1/s\"\n", preset.name);
        let reading = read(&text, "t.toml").unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(reading.warnings, [], "{}", preset.name);
        assert!(preset.summary().len() > 20, "{}", preset.name);
        let again = parse(&reading.scenario.to_toml(), "t.toml").unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(again, reading.scenario, "{}", preset.name);
        let shipped = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("scenarios/servers/{}.toml", preset.name));
        assert!(shipped.is_file());
    }
    assert!(Preset::find("nope").is_none());
}

/// No server of this family was at hand: a peer written after HubProtocol.md.
#[test]
fn signalr_by_its_protocol_document() {
    let scenario = scenario("signalr", "");
    let behaviour = &scenario.groups[0].behaviour;
    let mut session = Session::default();
    let actions = session.on_open(behaviour, &vars(0));
    assert_eq!(actions[0], Action::Send(b"{\"protocol\":\"json\",\"version\":1}\x1e".to_vec(), true));
    let mut heard = Heard::default();
    let actions = received(&scenario, &mut session, 'A', b"{}\x1e{\"type\":6}\x1e", &mut heard);
    assert!(actions.contains(&Action::Ready(Vec::new())), "{actions:?}");
    let frame = b"{\"type\":1,\"target\":\"Send\",\"arguments\":[\"tok1aaaa\"]}\x1e{\"type\":6}\x1e{\"type\":3,\"invocationId\":\"1\"}\x1e";
    received(&scenario, &mut session, 'A', frame, &mut heard);
    assert_eq!((heard.copies.len(), heard.beats), (1, 2));
    let vars = Vars { payload: b"tok1aaaa", ..vars(0) };
    let encoder = scenario.dialect.publish.as_ref().expect("a template").bind(&vars).expect("bound");
    assert_eq!(encoder.around(), Some((&b"{\"type\":1,\"target\":\"Send\",\"arguments\":[\""[..], &b"\"]}\x1e"[..])));
}

/// The signature of a private channel, as recorded against a real server: key `app-key`, socket and channel of that session.
#[test]
fn pusher_channels_are_signed() {
    let text = "[vars]\nchannel = \"private-r\"";
    let scenario = scenario("pusher", text);
    let behaviour = &scenario.groups[0].behaviour;
    let mut session = Session::default();
    session.on_open(behaviour, &vars(0));
    let hello = br#"{"event":"pusher:connection_established","data":"{\"activity_timeout\":6,\"socket_id\":\"1186926840.1960535215\"}"}"#;
    let (claim, actions) = session.on_message(behaviour, &vars(0), hello);
    assert_eq!(claim, Claim::Script);
    let Some(Action::Send(bytes, true)) = actions.first() else { panic!("{actions:?}") };
    let sent: serde_json::Value = serde_json::from_slice(bytes).expect("JSON");
    assert_eq!(sent["data"]["auth"], "app-key:1d75401326d161976ee10149013e955d07fc43249a32169b376276882dbd9816");
}

/// A request as recorded: the signature covers time, path and the body's sum.
#[test]
fn pusher_requests_are_signed() {
    let scenario = scenario("pusher-http", "[vars]\napi = \"http://127.0.0.1:4185\"\nchannel = \"room1\"");
    let Some(Via::Http(http)) = scenario.publish.as_ref().map(|p| &p.via) else { panic!("over http") };
    let vars = Vars { payload: b"tok1aaaa", now_ms: 1_795_336_251_000, ..vars(0) };
    let body = http.body.render(&vars).expect("rendered");
    assert_eq!(body, br#"{"name":"msg","channels":["room1"],"data":"{\"m\":\"tok1aaaa\"}"}"#);
    // The recorded client wrote the same JSON with spaces in it; its sums and signature are over that.
    let recorded = br#"{"name": "msg", "channels": ["room1"], "data": "{\"m\": \"tok1aaaa\"}"}"#;
    let url = http.url.text(&Vars { body: recorded, ..vars }).expect("rendered");
    assert!(url.contains("&body_md5=b870a68797ab269f86a3b6944babe387&"), "{url}");
    assert!(url.ends_with("&auth_signature=56f062e200b343b83ac72ac1cb2ef0dc49d29b3b21910b2d93f5cf6022b8f78e"), "{url}");
}
