//! The part of the language that fits any server: what is refused, where and in which words; what presets and surroundings add.

use super::super::model::*;
use super::super::{Surroundings, Vars, parse, read, read_with};

/// Each fault: the text in front of two clients, the key it is found at, and words its message must have.
#[test]
fn every_fault_of_the_language_is_found_and_named() {
    for (text, key, words) in [
        ("use = \"soketio\"", "use", "did you mean \"socketio\""),
        ("use = \"./mine.toml\"", "use", "cannot be read"),
        ("use = [\"plain\", \"plain\"]", "use[1]", "used twice"),
        ("script = [{ send = \"x {rom}\" }]", "script[0].send", "did you mean {room}"),
        ("script = [{ send = \"{room|rot}\" }]", "script[0].send", "not a way to write a value"),
        ("script = [{ send = \"a\", wait = \"1s\" }]", "script[0]", "a step does one thing"),
        ("script = [{}]", "script[0]", "a step does one thing"),
        ("script = [{ wait = \"1s\", within = \"1s\" }]", "script[0].within", "go with `expect` and `http`"),
        ("script = [{ send = \"{tok}\" }, { expect = \"x\", capture = { tok = \"/t\" } }]", "script[0]", "captured later"),
        ("script = [{ send = \"{stamp}\" }]", "script[0].send", "belong to publications"),
        ("script = [{ expect = \"x\", capture = { tok = \"t.u\" } }]", "script[0].capture.tok", "write \"/t/u\""),
        ("script = [{ expect = \"x\", capture = { tok = { regex = \"(\" } } }]", "script[0].capture.tok.regex", "not a regular expression"),
        ("script = [{ expect = \"x\", capture = { tok = { bytes = [5, 2] } } }]", "script[0].capture.tok.bytes", "not a range"),
        ("script = [{ expect = \"x\", capture = { room = \"/r\" } }]", "script[0].capture.room", "has a meaning already"),
        ("script = [{ expect = \"x\", capture = { \"a b\" = \"/r\" } }]", "script[0].capture.\"a b\"", "cannot be a variable's name"),
        ("script = [{ http = {} }]", "script[0].http", "where is the request sent"),
        ("script = [{ http = { url = \"ws://h\" } }]", "script[0].http.url", "not an HTTP URL"),
        ("script = [{ http = { url = \"http://h\", method = \"G E T\" } }]", "script[0].http.method", "not an HTTP method"),
        ("script = [{ send = { hex = \"abc\" } }]", "script[0].send.hex", "not hexadecimal"),
        ("script = [{ send = { hex = \"ab\", text = \"c\" } }]", "script[0].send", "a message is of one kind"),
        ("script = [{ send = { binary = [{ u9 = [] }] } }]", "script[0].send.binary[0].u9", "did you mean `u8`"),
        ("reply = [{ send = \"a\" }]", "reply[0]", "to a message or by the clock"),
        ("reply = [{ when = \"a\" }]", "reply[0]", "what is sent"),
        ("reply = [{ every = \"0s\", send = \"a\" }]", "reply[0].every", "every 0s"),
        ("reply = [{ every = \"1s\", send = \"a\", capture = { x = \"/a\" } }]", "reply[0].capture", "no message to capture from"),
        ("ignore = [{ when = {} }]", "ignore[0]", "of one kind"),
        ("dialect = { publish = \"hello\" }", "dialect.publish", "no {stamp} in it"),
        ("dialect = { match = \"a\", ack = \"a\" }", "dialect.ack", "ambiguous"),
        ("dialect = { match = \"{room}\", ack = \"{room}\" }", "dialect.ack", "ambiguous"),
        (
            "dialect = { match = { json = { op = \"say\", n = { m = 1 } } }, ack = { json = { n = {} } } }",
            "dialect.ack",
            "nothing would be a copy",
        ),
        ("dialect = { match = { prefix = \"MSG 1\" }, ack = { prefix = \"MSG\" } }", "dialect.ack", "nothing would be a copy"),
        ("dialect = { match = { contains = \"said\" }, ack = { contains = \"ai\" } }", "dialect.ack", "nothing would be a copy"),
        ("dialect = { match = \"aaa\", ack = { regex = \"^a+$\" } }", "dialect.ack", "nothing would be a copy"),
        (
            "heartbeat = { expect = \"{room}\", every = \"1s\" }\nping = { send = \"x\", expect = \"{room}\" }\nchecks = { pong = true, heartbeat = true }",
            "ping.expect",
            "look alike",
        ),
        ("dialect = { split = \"\" }", "dialect.split", "separates nothing"),
        ("dialect = { publish = { hex = \"00\" } }", "dialect.publish", "no {stamp} in it"),
        ("rooms = 0", "rooms", "zero rooms"),
        ("rooms = { by = \"zipf\" }", "rooms", "how many rooms"),
        ("rooms = { count = 2, skew = 1.5 }", "rooms.skew", "goes with by = \"zipf\""),
        ("rooms = { count = 2, by = \"zipf\", skew = 0 }", "rooms.skew", "above 0"),
        ("rooms = { column = \"place\" }", "rooms.column", "there is no feeder"),
        ("feeder = {}", "feeder", "where are the rows"),
        ("vars = { a = \"{b}\", b = \"{a}\" }", "vars.a", "in a circle"),
        ("vars = { seq = \"1\" }", "vars.seq", "has a meaning already"),
        ("vars = { a = { md5 = \"x\", key = \"y\" } }", "vars.a", "of one kind"),
        ("target = { auth = {} }", "target.auth", "credentials of no kind"),
        ("target = { tls_cert = \"c.pem\" }", "target.tls_cert", "needs its key"),
        ("target = { proxy = \"socks\" }", "target.proxy", "is not a proxy"),
        ("target = { headers = { A = \"{seq}\" } }", "clients", "variables of publications in a handshake"),
        ("checks = { subprotocol = true }", "checks.subprotocol", "nothing to look at"),
        ("checks = { publish = true }", "checks.publish", "nothing to look at"),
        ("checks = { feed = { every = \"1s\" } }", "checks.feed", "knows of none"),
        ("publish = { via = \"server\", id = \"seq\" }", "publish.id", "write \"/seq\""),
        ("publish = { via = \"server\", id = { bytes = [4, 4] } }", "publish.id.bytes", "not a range"),
        ("publish = { via = \"server\", id = { regex = \"(\" } }", "publish.id.regex", "not a regular expression"),
        ("publish = { via = \"server\", match = {} }", "publish.match", "of one kind"),
        ("dialect = { match = \"a\" }\npublish = { via = \"server\", match = \"b\" }", "dialect.match", "already says"),
        ("publish = { via = \"server\", size = \"1KiB\" }", "publish.size", "the server decides that"),
        ("publish = { via = \"server\" }\nchecks = { feed = {} }", "checks.feed", "how often"),
        ("publish = { via = \"server\" }\nchecks = { feed = { every = \"0s\" } }", "checks.feed", "how often"),
        (
            "publish = { via = \"server\" }\nchecks = { feed = { every = \"1s\", tolerance = \"1s\" } }",
            "checks.feed.tolerance",
            "allows anything",
        ),
        ("publish = { via = \"server\" }\nchecks = { integrity = true }", "checks.integrity", "no stamp"),
        ("publish = { via = \"server\" }\nchecks = { latency = { p99 = \"1s\" } }", "checks.latency.p99", "limit `spread`"),
        (
            "publish = { pace = \"1/s\" }\nchecks = { latency = { spread = { p99 = \"1s\" } } }",
            "checks.latency.spread.p99",
            "limit `delivery`",
        ),
        ("target = { feed = \"0s\" }\npublish = { via = \"server\" }", "target.feed", "every 0s"),
        ("target = { feed = \"1s\" }", "target.feed", "nobody looks"),
        ("target = { feed = \"1s\", url = \"ws://h\" }\npublish = { via = \"server\" }", "target.feed", "leave one of the two out"),
        ("publish = { unique = true, pace = \"1/s\" }", "publish.unique", "our own publications"),
        ("publish = { match = \"a\", pace = \"1/s\" }", "publish.match", "write it in [dialect]"),
        ("publish = { via = \"http\", pace = \"1/s\" }", "publish", "where are publications posted"),
        ("publish = { via = \"http\", url = \"http://h\", body = \"x\", pace = \"1/s\" }", "publish.body", "no {stamp} in it"),
        ("publish = { url = \"http://h\", pace = \"1/s\" }", "publish.url", "goes with via = \"http\""),
        ("publish = { via = \"server\", pace = \"1/s\" }", "publish.pace", "the server decides that"),
        ("publish = { id = \"/id\", pace = \"1/s\" }", "publish.id", "our own publications have their stamp"),
        ("publish = { group = \"nobody\", pace = \"1/s\" }", "publish.group", "no group of clients is called"),
    ] {
        let error = parse(&format!("{text}\n[clients]\ncount = 2\n"), "t.toml").expect_err(text);
        assert_eq!(error.problems[0].key, key, "{error}");
        assert!(error.to_string().contains(words), "{words:?} is not in\n{error}");
    }
}

/// An acknowledgement may be a kind of what matches; only the other way round nothing is left.
#[test]
fn an_acknowledgement_that_says_more_than_a_copy_is_not_ambiguous() {
    for dialect in [
        "match = { json = { op = \"say\" } }, ack = { json = { op = \"say\", own = true } }",
        "match = { prefix = \"MSG\" }, ack = { prefix = \"MSG 1\" }",
        "match = { contains = \"ai\" }, ack = { contains = \"said\" }",
        "match = { regex = \"a\" }, ack = { contains = \"a\" }",
        "match = { json = { room = \"{room}\" } }, ack = { json = { room = \"{room}\", ack = true } }",
    ] {
        parse(&format!("dialect = {{ {dialect} }}\n[clients]\ncount = 2\n"), "t.toml").unwrap_or_else(|e| panic!("{dialect}: {e}"));
    }
}

#[test]
fn every_fault_of_groups_is_found_and_named() {
    for (text, key, words) in [
        ("[clients]\ncount = 2\nurl = \"http://h/{room}\"", "clients.url", "write `ws://h/"),
        (
            "[clients]\ncount = 2\ngreeting = \"hi\"\nscript = [{ wait = \"1s\" }]",
            "clients.greeting",
            "which says when the client is ready",
        ),
        (
            "[clients]\ncount = 2\nheaders = { A = \"{tok}\" }\nscript = [{ expect = \"x\", capture = { tok = \"\" } }]",
            "clients",
            "captured later",
        ),
        ("[clients]\ncount = 2\nreceives = false\n[publish]\npace = \"1/s\"", "publish", "nothing would be owed"),
        ("rooms = 2\n[clients]\ncount = 2\nrooms = 3", "clients.rooms", "rooms are given twice"),
        (
            "[[clients]]\ncount = 2\npublish = true\n[[clients]]\ncount = 2\npublish = true\n[publish]\npace = \"1/s\"",
            "clients[1].publish",
            "a second group that publishes",
        ),
        (
            "[[clients]]\nname = \"a\"\ncount = 2\n[[clients]]\nname = \"b\"\ncount = 1\n[publish]\ngroup = \"b\"\npublishers = 2\npace = \"1/s\"",
            "publish.publishers",
            "only 1 clients in the group",
        ),
        (
            "dialect = { publish = { binary = [\"{stamp}\"] } }\n[clients]\ncount = 2\n[publish]\npace = \"1/s\"\nencoding = \"text\"",
            "publish.encoding",
            "binary messages",
        ),
    ] {
        let error = parse(text, "t.toml").expect_err(text);
        assert_eq!(error.problems[0].key, key, "{error}");
        assert!(error.to_string().contains(words), "{words:?} is not in\n{error}");
    }
}

#[test]
fn a_variable_nobody_knows_is_shown_where_it_stands() {
    let error = parse("[clients]\ncount = 1\n[[script]]\nsend = '{\"join\":\"{rooom}\"}'\n", "t.toml").expect_err("misspelt");
    assert_eq!((error.problems[0].line, error.problems[0].column), (4, 18), "{error}");
}

fn around(text: &str) -> Result<Scenario, String> {
    let env = |name: &str| (name == "TOKEN").then(|| "secret".to_owned());
    let file = |name: &str| match name {
        "users.csv" => Ok("user,place\nann,hall\nbob,attic\n".to_owned()),
        "mine.toml" => Ok("[dialect]\nsplit = \";\"\n".to_owned()),
        _ => Err("no such file".to_owned()),
    };
    read_with(text, "t.toml", &Surroundings { env: &env, file: &file, url: None }).map(|r| r.scenario).map_err(|e| e.to_string())
}

#[test]
fn what_is_missing_around_a_scenario_is_found_before_it_runs() {
    for (text, words) in [
        ("[clients]\ncount = 1\nheaders = { A = \"{env.NOPE}\" }\n", "t.toml:3:18\n"),
        ("[clients]\ncount = 1\nheaders = { A = \"{env.NOPE}\" }\n", "the environment has no NOPE"),
        ("[feeder]\nfile = \"none.csv\"\n[clients]\ncount = 1\n", "cannot be used: no such file"),
        ("[feeder]\nfile = \"users.csv\"\norder = \"sequential\"\n[clients]\ncount = 3\n", "has 2 rows for 3 clients"),
        ("[feeder]\nfile = \"users.csv\"\n[clients]\ncount = 1\nheaders = { A = \"{usr}\" }\n", "did you mean {user}"),
        ("[feeder]\nfile = \"users.csv\"\n[clients]\ncount = 1\ngreeting = \"hi {usr}\"\n", "t.toml:5:16\n"),
        ("ignore = [{ json = { t = \"{env.NOPE}\" } }]\n[clients]\ncount = 1\n", "t.toml:1:27\n"),
        ("[dialect]\nmatch = \"{env.NOPE}\"\n[clients]\ncount = 1\n", "the environment has no NOPE"),
        ("[feeder]\nfile = \"users.csv\"\norder = \"sequential\"\n[clients]\ncount = 3\n", "t.toml:2:8\n"),
        ("rooms = { column = \"plaza\" }\n[feeder]\nfile = \"users.csv\"\n[clients]\ncount = 1\n", "no column `plaza`"),
    ] {
        let error = around(text).expect_err(text);
        assert!(error.contains(words), "{words:?} is not in\n{error}");
    }
    let good = around("use = \"./mine.toml\"\n[clients]\ncount = 1\n").expect_err("the folder is the edge's to resolve");
    assert!(good.contains("no such file"));
    let good =
        around("use = \"mine.toml\"\n[feeder]\nfile = \"users.csv\"\n[clients]\ncount = 1\nheaders = { A = \"{env.TOKEN} {user}\" }\n");
    let scenario = good.unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(scenario.env_names(), ["TOKEN"]);
    assert_eq!(scenario.dialect.split.as_deref(), Some(";"));
    assert!(!scenario.to_toml().contains("secret"), "what the environment keeps is not written down");
}

#[test]
fn what_a_scenario_says_goes_before_its_preset() {
    let text = "use = \"socketio\"\nscript = [{ send = '42[\"join\",\"{room}\"]' }]\n[vars]\nevent = \"say\"\n[clients]\ncount = 2\n[publish]\npace = \"1/s\"\naudience = \"all\"\n";
    let scenario = parse(text, "t.toml").unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(scenario.groups[0].behaviour.script.len(), 4, "the preset's three steps, and one more");
    assert_eq!(scenario.publish.as_ref().map(|p| p.audience), Some(Audience::All));
    let body = scenario.dialect.publish.expect("it has a template");
    let sent = body.render(&Vars { payload: b"X", ..Vars::default() }).expect("rendered");
    assert_eq!(sent, br#"42["say","X"]"#);
}

#[test]
fn a_preset_says_how_a_heartbeat_looks_and_the_scenario_asks_for_it() {
    let text = "use = \"actioncable\"\n[checks]\nheartbeat = true\n[clients]\ncount = 2\n[phases]\nsteady = \"10s\"\n";
    let checks = parse(text, "t.toml").unwrap_or_else(|e| panic!("{e}")).checks;
    assert_eq!(checks.heartbeat.map(|h| h.every), Some(crate::base::Span::from_secs(3)));
    assert!(checks.subprotocol, "the server must choose actioncable-v1-json");
    let pinging =
        parse("use = \"mqtt\"\n[checks.pong]\nevery = \"2s\"\n[clients]\ncount = 2\n", "t.toml").unwrap_or_else(|e| panic!("{e}")).checks;
    let ping = pinging.pong.and_then(|p| p.application).expect("from the preset");
    assert_eq!(ping.send.render(&Vars::default()).ok(), Some(vec![0xc0, 0]));
}

#[test]
fn plain_relay_asks_nothing_of_the_dialect() {
    let example = read(super::EXAMPLE, "t.toml").unwrap_or_else(|e| panic!("{e}")).scenario;
    assert!(example.dialect.is_plain(Encoding::Text) && example.groups[0].behaviour.is_empty());
    for other in ["split = \"\\n\"", "receive = \"any\"", "match = { contains = \"x\" }", "publish = \"<{stamp}>\""] {
        let scenario = parse(&format!("[dialect]\n{other}\n[clients]\ncount = 1\n"), "t.toml").unwrap_or_else(|e| panic!("{e}"));
        assert!(!scenario.dialect.is_plain(Encoding::Text), "{other}");
    }
}

#[test]
fn a_preset_that_uses_another_builds_on_it_and_a_circle_is_told_with_its_files() {
    let file = |name: &str| match name {
        "ours/room.toml" => Ok("use = [\"socketio\", \"../base.toml\"]\n[dialect]\nsplit = \";\"\n".to_owned()),
        "ours/../base.toml" => Ok("script = [{ send = \"base\" }]\n[target]\npath = \"/base\"\n".to_owned()),
        "twice.toml" => Ok("use = \"socketio\"\n".to_owned()),
        "one.toml" => Ok("description = \"one\"\nuse = \"./two.toml\"\n".to_owned()),
        "./two.toml" => Ok("use = \"one.toml\"\n".to_owned()),
        "itself.toml" => Ok("use = \"itself.toml\"\n".to_owned()),
        deep => match deep.strip_prefix("deep").and_then(|n| n.strip_suffix(".toml")?.parse::<u32>().ok()) {
            Some(n) => Ok(format!("use = \"deep{}.toml\"\n", n + 1)),
            None => Err("no such file".to_owned()),
        },
    };
    let read = |names: &str| {
        let text = format!("use = {names}\nscript = [{{ send = \"mine\" }}]\n[clients]\ncount = 1\n");
        read_with(&text, "t.toml", &Surroundings { env: &|_| None, file: &file, url: None }).map(|r| r.scenario).map_err(|e| e.to_string())
    };
    let scenario = read("\"ours/room.toml\"").unwrap_or_else(|e| panic!("{e}"));
    let socketio = read("\"socketio\"").unwrap_or_else(|e| panic!("{e}"));
    let group = &scenario.groups[0];
    assert_eq!(group.connection.path.as_ref().map(Template::as_str), Some("/base"), "what is named last lies on top");
    assert_eq!(group.connection.query, socketio.groups[0].connection.query, "the preset of the preset");
    assert_eq!(scenario.dialect.split.as_deref(), Some(";"), "the file's own");
    assert_eq!(group.behaviour.script.len(), socketio.groups[0].behaviour.script.len() + 1);
    for (names, words) in [
        ("\"one.toml\"", "`one.toml` is used by itself: one.toml → two.toml → one.toml"),
        ("\"one.toml\"", "--> ./two.toml:1:7"),
        ("\"itself.toml\"", "itself.toml → itself.toml"),
        ("[\"socketio\", \"twice.toml\"]", "`socketio` is used twice"),
        ("[\"base.toml\", \"./base.toml\"]", "the preset base.toml cannot be read: no such file"),
        ("\"deep1.toml\"", "more than 16 presets use one another: deep1.toml → deep2.toml"),
        ("\"twice.tom\"", "there is no preset `twice.tom`"),
    ] {
        let error = read(names).expect_err(names);
        assert!(error.contains(words), "{words:?} is not in\n{error}");
    }
}
