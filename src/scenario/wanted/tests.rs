//! Matchers with variables, as a user writes them: what they match, on which connection, and what is refused.

use super::super::behaviour::Step;
use super::super::template::{Captured, Vars};
use super::super::{ScenarioError, parse};
use super::*;
use crate::base::ConnId;

/// The matcher of a script's second step; its first captures `{sid}`.
fn wanted(matcher: &str) -> Wanted {
    let text = format!(
        "script = [{{ expect = {{ prefix = \"hello\" }}, capture = {{ sid = {{ regex = \"hello (.*)\" }} }} }}, {{ expect = {matcher} }}]\n\
         [clients]\ncount = 9\n[vars]\ntopic = \"news/{{room}}\"\n"
    );
    let scenario = parse(&text, "t.toml").unwrap_or_else(|e| panic!("{e}"));
    let Some(Step::Expect { matches, .. }) = scenario.groups[0].behaviour.script.get(1) else { panic!("{matcher}: a step") };
    matches.clone()
}

/// Whether it matches on client 7 in this room, which captured this value.
fn matches(matcher: &str, room: &str, sid: &str, message: &str) -> bool {
    let mut captured = Captured::default();
    captured.set(0, sid.into());
    let vars = Vars { client: ConnId(7), index: 7, room, captured: &captured, ..Vars::default() };
    let wanted = wanted(matcher);
    assert!(wanted.varies(), "{matcher} has variables");
    let own = wanted.bind(&vars).unwrap_or_else(|e| panic!("{matcher}: {e}"));
    wanted.matches(message.as_bytes(), own.as_ref())
}

#[test]
fn each_kind_is_bound_to_its_connection() {
    for (matcher, yes, no) in [
        ("\"JOINED {room}\"", "JOINED lobby", "JOINED hall"),
        ("{ exact = \"<{client.id}>\" }", "<7>", "<8>"),
        ("{ contains = \"{sid}\" }", "your id is a.b", "your id is aXb"),
        ("{ prefix = \"42[{room},\" }", "42[lobby,1]", "42[hall,1]"),
        ("{ contains = '{\"id\":{client.id},' }", r#"{"id":7,"x":1}"#, r#"{"id":77,"x":1}"#),
        // A value is itself in an expression, and a group of its own.
        ("{ regex = '^id={sid}$' }", "id=a.b", "id=aXb"),
        ("{ regex = '^{sid}{2}$' }", "a.ba.b", "a.bb"),
        ("{ regex = '^\\p{Ll}{3} {room}\\{x\\}$' }", "abc lobby{x}", "abc lobby"),
        // Texts, keys and pointers of JSON.
        ("{ json = { id = \"{client.id}\", topic = \"{room}\" } }", r#"{"topic":"lobby","id":"7","x":0}"#, r#"{"topic":"hall","id":"7"}"#),
        ("{ json = { id = \"{client.id}\" } }", r#"{"id":7.0}"#, r#"{"id":8}"#),
        ("{ json = '{\"of\":[1,\"{topic}\"]}' }", r#"{"of":[1,"news/lobby"]}"#, r#"{"of":[1,"news/hall"]}"#),
        ("{ json = { \"/rooms/{room}/0\" = true } }", r#"{"rooms":{"lobby":[true]}}"#, r#"{"rooms":{"hall":[true]}}"#),
        ("{ json = { \"{room}\" = { n = 1 } } }", r#"{"lobby":{"n":1,"m":2}}"#, r#"{"hall":{"n":1}}"#),
        // Part of a text, it is a text; of another shape, it is not there.
        ("{ json = { id = \"u{client.id}\" } }", r#"{"id":"u7"}"#, r#"{"id":7}"#),
        ("{ json = [\"{room}\", 1] }", r#"["lobby",1]"#, r#"["lobby"]"#),
        ("{ json = { a = { b = \"{room}\" } } }", r#"{"a":{"b":"lobby"}}"#, r#"{"a":"lobby"}"#),
    ] {
        assert!(matches(matcher, "lobby", "a.b", yes), "{matcher} should match {yes}");
        assert!(!matches(matcher, "lobby", "a.b", no), "{matcher} should not match {no}");
    }
}

#[test]
fn a_value_is_only_ever_a_value() {
    for (matcher, value, yes, no) in [
        // Neither a pointer's step nor a member's name is taken apart by the value's own slashes.
        ("{ json = { \"/in/{room}\" = 1 } }", "a/b~c", r#"{"in":{"a/b~c":1}}"#, r#"{"in":{"a":{"b~c":1}}}"#),
        ("{ json = { \"{room}\" = 1 } }", "/a", r#"{"/a":1}"#, r#"{"a":1}"#),
        ("{ json = { in = \"{room}\" } }", "a\"b", r#"{"in":"a\"b"}"#, r#"{"in":"a"}"#),
        ("{ contains = \"\\\"{room|json}\\\"\" }", "a\"b", r#"{"in":"a\"b"}"#, r#"{"in":"a"}"#),
        ("{ regex = '^({room}|x)$' }", "a|b", "a|b", "a"),
        ("{ json = { in = \"{room}\" } }", "true", r#"{"in":true}"#, r#"{"in":1}"#),
        ("{ json = { in = \"{room}\" } }", "{\"a\":1}", r#"{"in":"{\"a\":1}"}"#, r#"{"in":{"a":1}}"#),
    ] {
        assert!(matches(matcher, value, "s", yes), "{matcher} with {value} should match {yes}");
        assert!(!matches(matcher, value, "s", no), "{matcher} with {value} should not match {no}");
    }
}

#[test]
fn braces_that_are_no_variables_are_themselves() {
    for (matcher, message) in [
        ("'{\"type\":\"x\"}'", r#"{"type":"x"}"#),
        ("{ exact = '{}' }", "{}"),
        ("{ contains = 'sub{{said}}' }", "{\"query\":\"sub{said}\"}"),
        ("{ regex = '^\\d{3} \\x{41}[{}]\\{a\\}$' }", "123 A}{a}"),
        ("{ regex = '[{{a}}]{2}' }", "}a"),
        ("{ json = { q = '{ {{a}} {' } }", r#"{"q":"{ {a} {"}"#),
    ] {
        let wanted = wanted(matcher);
        assert!(!wanted.varies() && wanted.matches(message.as_bytes(), None), "{matcher} should match {message}: {wanted:?}");
    }
}

#[test]
fn without_its_value_it_matches_nothing() {
    let matcher = wanted("{ contains = \"{sid}\" }");
    assert_eq!(matcher.bind(&Vars::default()), Ok(None), "not captured yet");
    assert!(!matcher.matches(b"", None) && !matcher.matches(b"anything", None));
    // Nothing to look for would be found everywhere.
    let mut captured = Captured::default();
    captured.set(0, String::new());
    for kind in ["contains", "prefix"] {
        let wanted = wanted(&format!("{{ {kind} = \"{{sid}}\" }}"));
        let error = wanted.bind(&Vars { captured: &captured, ..Vars::default() }).expect_err("empty");
        assert!(error.to_string().contains("would match anything"), "{error}");
    }
}

#[test]
fn what_is_told_of_it_has_its_values_but_no_tokens() {
    let mut captured = Captured::default();
    captured.set(0, "s1".into());
    let env = std::collections::BTreeMap::from([("TOKEN".to_owned(), "secret".to_owned())]);
    let vars = Vars { client: ConnId(7), captured: &captured, env: &env, ..Vars::default() };
    for (matcher, told) in [
        ("\"hi {client.id} {sid}\"", r#"exactly "hi 7 s1""#),
        ("{ json = { id = \"{client.id}\" } }", r#"JSON with {"id":"7"}"#),
        ("{ contains = \"{env.TOKEN}\" }", r#"something that contains "{env.TOKEN}""#),
        ("{ json = { t = \"{env.TOKEN}\" } }", r#"JSON with {"t":"{env.TOKEN}"}"#),
    ] {
        let wanted = wanted(matcher);
        let own = wanted.bind(&vars).expect("all is there");
        assert_eq!(wanted.describe(own.as_ref()), told);
    }
}

/// Line and column of the first problem.
fn place(error: &ScenarioError) -> (usize, usize) {
    (error.problems[0].line, error.problems[0].column)
}

/// Those of the § in the first line.
fn marked(text: &str) -> (usize, usize) {
    (1, text.split('§').next().map_or(0, |before| before.chars().count() + 1))
}

/// Each fault: the text in front of two clients, with § where it is found, and words its message must have.
#[test]
fn what_means_nothing_in_a_matcher_is_refused_where_it_stands() {
    for (text, words) in [
        ("script = [{ expect = \"to §{rooom}\" }]", "did you mean {room}"),
        ("script = [{ expect = { json = { id = \"§{clientid}\" } } }]", "did you mean {client.id}"),
        ("script = [{ expect = { regex = 'a§{roo}' } }]", r"\{roo\} for the text itself"),
        ("script = [{ expect = { json = { \"/a/§{rom}\" = 1 } } }]", "unknown variable {rom}"),
        ("script = [{ expect = \"§{seq}\" }]", "belongs to a publication"),
        ("script = [{ expect = \"§{stamp}\" }]", "belongs to a publication"),
        ("script = [{ expect = \"§{now_ms}\" }]", "another with every message"),
        ("script = [{ expect = \"§{id}\" }]\nvars = { id = \"u-{uuid}\" }", "use what stays the same"),
        ("ping = { send = \"{count}\", expect = \"§{count}\" }\nchecks = { pong = true }", "another with every message"),
        ("dialect = { match = \"§{seq}\" }", "belongs to a publication"),
        ("ignore = [{ contains = \"§{uuid}\" }]", "another with every message"),
        ("reply = [{ when = \"§{now_s}\", send = \"x\" }]", "another with every message"),
        ("heartbeat = { expect = \"§{stamp.len}\" }", "belongs to a publication"),
        ("script = [{ expect = { regex = '[§{room}]' } }]", "inside the brackets"),
        ("script = [{ expect = { regex = §'{room}(' } }]", "not a regular expression"),
        ("script = [{ expect = { json = §'{\"id\":{client.id}}' } }]", "it matches the number too"),
        ("script = [{ expect = \"§{room|rot}\" }]", "not a way to write a value"),
        // Captured only later, or by the very message.
        ("script = [{ expect = \"§{t}\" }, { expect = \"x\", capture = { t = \"\" } }]", "captured later"),
        ("script = [{ expect = \"§{t}\", capture = { t = \"\" } }]", "captured later"),
        ("reply = [{ when = \"§{t}\", capture = { t = \"\" }, send = \"x\" }]", "captured later"),
        ("clients = { count = 2, greeting = \"§{t}\", reply = [{ when = \"x\", capture = { t = \"\" }, send = \"\" }] }", "captured later"),
    ] {
        let clients = if text.starts_with("clients") { "" } else { "[clients]\ncount = 2\n" };
        let error = parse(&format!("{}\n{clients}", text.replace('§', "")), "t.toml").expect_err(text);
        assert_eq!(place(&error), marked(text), "{error}");
        assert!(error.to_string().contains(words), "{words:?} is not in\n{error}");
    }
}

/// What all groups share may use only what each of them captures.
#[test]
fn a_value_captured_by_one_group_is_not_there_for_another() {
    let groups = "[[clients]]\nname = \"a\"\ncount = 1\nscript = [{ expect = \"x\", capture = { t = \"\" } }]\n[[clients]]\nname = \"b\"\ncount = 1\n";
    for text in [
        "dialect = { match = \"§{t}\" }",
        "dialect = { ack = \"§{t}\" }",
        "heartbeat = { expect = { json = { t = \"§{t}\" } }, every = \"1s\" }",
        "ping = { send = \"§{t}\", expect = \"x\" }\nchecks = { pong = true }",
        "ping = { send = \"x\", expect = \"§{t}\" }\nchecks = { pong = true }",
        "dialect = { publish = \"§{t} {stamp}\" }\npublish = { pace = \"1/s\", group = \"b\" }",
        "dialect = { publish = \"§{t} {stamp}\" }\npublish = { pace = \"1/s\", publishers = 2 }",
    ] {
        let error = parse(&format!("{}\n{groups}", text.replace('§', "")), "t.toml").expect_err(text);
        assert_eq!(place(&error), marked(text), "{error}");
        assert!(error.to_string().contains("the clients of `b`, whose script does not capture it"), "{error}");
    }
    let of_a = "dialect = { publish = \"{t} {stamp}\" }\npublish = { pace = \"1/s\" }\n";
    parse(&format!("{of_a}{groups}"), "t.toml").unwrap_or_else(|e| panic!("only the first client publishes: {e}"));
}
