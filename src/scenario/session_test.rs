//! The machine of a script, told what came and what time passed.

use super::Vars;
use super::behaviour::Behaviour;
use super::parse;
use super::session::*;
use crate::base::Span;

fn behaviour(text: &str) -> Behaviour {
    let scenario = parse(&format!("{text}\n[clients]\ncount = 1\n"), "t.toml").unwrap_or_else(|e| panic!("{e}"));
    scenario.groups[0].behaviour.clone()
}

fn text(action: &Action) -> String {
    match action {
        Action::Send(bytes, _) => String::from_utf8_lossy(bytes).into_owned(),
        other => format!("{other:?}"),
    }
}

fn texts(actions: &[Action]) -> Vec<String> {
    actions.iter().map(text).collect()
}

#[test]
fn a_script_runs_step_by_step() {
    let b = behaviour(
        r#"
        script = [
            { expect = { prefix = "0" }, capture = { sid = "/sid" } },
            { send = "40 {sid} {client.id}" },
            { wait = "1s" },
            { expect = "ok", within = "2s" },
        ]"#,
    );
    let vars = Vars::default();
    let mut s = Session::default();
    assert_eq!(s.start(&b, &vars), [Action::Connect]);
    assert_eq!(s.on_open(&b, &vars), [Action::Timer(WITHIN)]);
    let (claim, actions) = s.on_message(&b, &vars, br#"0{"sid":"abc"}"#);
    assert_eq!((claim, texts(&actions)), (Claim::Script, vec!["40 abc 0".to_owned(), format!("{:?}", Action::Timer(Span::from_secs(1)))]));
    // What comes early is kept: the next step finds it.
    assert_eq!(s.on_message(&b, &vars, b"ok").0, Claim::Held);
    assert_eq!(s.on_message(&b, &vars, b"news").0, Claim::Held);
    assert_eq!(s.on_timer(&b, &vars), [Action::Ready(vec![b"news".to_vec()])]);
    assert!(s.is_ready());
    assert_eq!(s.on_message(&b, &vars, b"more").0, Claim::Unclaimed);
}

const WITHIN: Span = Span::from_secs(5);

#[test]
fn a_message_that_does_not_come_is_told_with_what_came_instead() {
    let b = behaviour(r#"script = [{ send = "hello" }, { expect = { json = { ok = true } }, within = "2s" }]"#);
    let vars = Vars::default();
    let mut s = Session::default();
    assert_eq!(texts(&s.on_open(&b, &vars)), ["hello".to_owned(), format!("{:?}", Action::Timer(Span::from_secs(2)))]);
    s.on_message(&b, &vars, b"{\"ok\":\x01false}");
    let [Action::Failed(why)] = &s.on_timer(&b, &vars)[..] else { panic!("it fails") };
    assert!(why.starts_with("step 2 of 2") && why.contains(r#"JSON with {"ok":true} within 2s"#), "{why}");
    assert!(why.contains("{\\\"ok\\\":\\u{1}false}"), "{why}");
}

#[test]
fn a_capture_that_matches_nothing_is_a_failure() {
    let b = behaviour(r#"script = [{ expect = { prefix = "0" }, capture = { sid = "/sid" } }]"#);
    let mut s = Session::default();
    s.on_open(&b, &Vars::default());
    let (_, actions) = s.on_message(&b, &Vars::default(), b"0{}");
    assert!(matches!(&actions[..], [Action::Failed(why)] if why.contains("no `sid` to capture")), "{actions:?}");
}

#[test]
fn requests_at_the_head_come_before_the_handshake() {
    let b = behaviour(
        r#"script = [{ http = { url = "http://h/login", body = { json = { user = "u{client.id}" } } }, capture = { token = "/token" } }, { send = "{token}" }]"#,
    );
    let (mut s, vars) = (Session::default(), Vars::default());
    let actions = s.start(&b, &vars);
    let Some(Action::Http(request)) = actions.last() else { panic!("{actions:?}") };
    assert_eq!((request.method.as_str(), request.url.as_str(), &request.body[..]), ("POST", "http://h/login", &br#"{"user":"u0"}"#[..]));
    assert_eq!(s.on_http(&b, &vars, Ok((200, br#"{"token":"t"}"#))), [Action::Connect]);
    assert_eq!(texts(&s.on_open(&b, &vars))[0], "t");
    let mut s = Session::default();
    s.start(&b, &vars);
    let actions = s.on_http(&b, &vars, Ok((403, b"no")));
    assert!(matches!(&actions[..], [Action::Failed(why)] if why.contains("status 403")), "{actions:?}");
}

#[test]
fn answers_rules_and_the_clock() {
    let b = behaviour(
        r#"
        ignore = [{ prefix = "* " }]
        on_close = ["bye {client.id}"]
        reply = [
            { when = "2", send = "3" },
            { when = { json = { type = "ping" } }, capture = { id = "/id" }, send = { json = { type = "pong", id = "{id}" } } },
            { every = "30s", send = "beat {count}" },
        ]"#,
    );
    let (mut s, vars) = (Session::default(), Vars::default());
    assert_eq!(s.on_open(&b, &vars), [Action::Ready(Vec::new())]);
    let (claim, actions) = s.on_message(&b, &vars, b"2");
    assert_eq!((claim, texts(&actions)), (Claim::Reply, vec!["3".to_owned()]));
    let (_, actions) = s.on_message(&b, &vars, br#"{"type":"ping","id":7}"#);
    assert_eq!(texts(&actions), [r#"{"type":"pong","id":"7"}"#]);
    assert_eq!(s.on_message(&b, &vars, b"* joined").0, Claim::Ignored);
    assert_eq!(b.timed().collect::<Vec<_>>(), [(2, Span::from_secs(30))]);
    assert_eq!([texts(&s.on_period(&b, &vars, 2)), texts(&s.on_period(&b, &vars, 2))], [["beat 1"], ["beat 2"]]);
    assert_eq!(texts(&s.on_close(&b, &vars)), ["bye 0"]);
}

#[test]
fn a_step_waits_for_what_is_the_connections_own() {
    let b = behaviour(
        r#"
        script = [
            { expect = { prefix = "hello" }, capture = { sid = { regex = "hello (.*)" } } },
            { expect = { json = { joined = "{room}", by = "{sid}" } }, within = "2s" },
        ]"#,
    );
    let vars = Vars { room: "lobby", ..Vars::default() };
    let mut s = Session::default();
    s.on_open(&b, &vars);
    assert_eq!(s.on_message(&b, &vars, b"hello s1").0, Claim::Script);
    assert_eq!(s.on_message(&b, &vars, br#"{"joined":"lobby","by":"s2"}"#).0, Claim::Held, "another's");
    assert_eq!(s.on_message(&b, &vars, br#"{"joined":"hall","by":"s1"}"#).0, Claim::Held, "another room");
    let mut waiting = s.clone();
    let (claim, actions) = s.on_message(&b, &vars, br#"{"joined":"lobby","by":"s1"}"#);
    assert_eq!(claim, Claim::Script);
    assert!(matches!(&actions[..], [Action::Ready(held)] if held.len() == 2), "{actions:?}");
    let [Action::Failed(why)] = &waiting.on_timer(&b, &vars)[..] else { panic!("it fails") };
    assert!(why.starts_with(r#"step 2 of 2 of the script: expected JSON with {"joined":"lobby","by":"s1"} within 2s"#), "{why}");
    assert!(why.contains("hall"), "the frames that came instead are shown: {why}");
}

#[test]
fn what_came_early_is_found_by_a_step_with_variables_too() {
    let b = behaviour(r#"script = [{ expect = "a" }, { expect = "for {client.id}" }]"#);
    let (mut s, vars) = (Session::default(), Vars { client: crate::base::ConnId(3), ..Vars::default() });
    s.on_open(&b, &vars);
    assert_eq!(s.on_message(&b, &vars, b"for 4").0, Claim::Held);
    assert_eq!(s.on_message(&b, &vars, b"for 3").0, Claim::Held);
    let (_, actions) = s.on_message(&b, &vars, b"a");
    assert_eq!(actions, [Action::Ready(vec![b"for 4".to_vec()])]);
}

#[test]
fn answers_and_rules_know_their_own_connection_and_what_it_captured() {
    let b = behaviour(
        r#"
        ignore = [{ json = { left = "{sid}" } }, "bye {room}"]
        script = [{ expect = { prefix = "hello" }, capture = { sid = { regex = "hello (.*)" } } }]
        reply = [
            { when = "ping {sid}", send = "pong {sid}" },
            { when = "you {client.id}", send = "me" },
            { when = { prefix = "renamed" }, capture = { sid = { regex = "renamed (.*)" } }, send = "ok" },
        ]"#,
    );
    let (mut s, vars) = (Session::default(), Vars { client: crate::base::ConnId(3), room: "hall", ..Vars::default() });
    s.on_open(&b, &vars);
    // Before it is captured, a value matches nothing; what needs none is there at once.
    assert_eq!(s.on_message(&b, &vars, b"ping s1").0, Claim::Held);
    assert_eq!(s.on_message(&b, &vars, b"you 4").0, Claim::Held);
    assert_eq!(texts(&s.on_message(&b, &vars, b"you 3").1), ["me"]);
    s.on_message(&b, &vars, b"hello s1");
    assert_eq!(texts(&s.on_message(&b, &vars, b"ping s1").1), ["pong s1"]);
    assert_eq!(s.on_message(&b, &vars, b"ping s2").0, Claim::Unclaimed);
    assert_eq!(s.on_message(&b, &vars, br#"{"left":"s1"}"#).0, Claim::Ignored);
    assert_eq!(s.on_message(&b, &vars, br#"{"left":"s2"}"#).0, Claim::Unclaimed);
    assert_eq!([b"bye hall", b"bye home"].map(|m| s.on_message(&b, &vars, m).0), [Claim::Ignored, Claim::Unclaimed]);
    // Captured anew, it is the new value that counts.
    assert_eq!(texts(&s.on_message(&b, &vars, b"renamed s2").1), ["ok"]);
    assert_eq!(s.on_message(&b, &vars, b"ping s1").0, Claim::Unclaimed);
    assert_eq!(texts(&s.on_message(&b, &vars, b"ping s2").1), ["pong s2"]);
}

#[test]
fn a_value_of_which_no_matcher_can_be_made_ends_the_script_with_the_reason() {
    let b = behaviour(
        r#"script = [{ expect = { prefix = "hello" }, capture = { sid = { regex = "hello(.*)" } } }, { expect = { contains = "{sid}" } }]"#,
    );
    let (mut s, vars) = (Session::default(), Vars::default());
    s.on_open(&b, &vars);
    let (_, actions) = s.on_message(&b, &vars, b"hello");
    assert!(matches!(&actions[..], [Action::Failed(why)] if why.contains("step 2 of 2") && why.contains("match anything")), "{actions:?}");
}
