//! The language as a user meets it: what is accepted, what is refused and in which words, and the round trip.

mod disrupt;
mod language;
mod round_trip;

use super::model::*;
use super::{Surroundings, json_schema, parse, read, read_with};
use crate::base::{ByteSize, Rate, Span};

/// The example of the language's first description, word for word.
const EXAMPLE: &str = r#"name = "broadcast"
[target]                      # url omitted: the built-in reference server
# url = "wss://chat.example.com/ws"
[clients]
count = 1000
connect_rate = "500/s"
[publish]
publishers = 4                # the first 4 clients also publish
pace = { rate = "50/s" }      # whole run, open loop; also ramp, steps, burst, poisson; closed = true
size = "128B"                 # or { min, max }; text or binary
[phases]
warm_up = "1s"
steady = "10s"
drain = "5s"                  # ends early once every owed copy is in
[checks.delivery]  # every owed copy arrives within …
within = "1s"
[checks.latency]
p99 = "250ms"
[checks.pong]                 # application ping/pong and/or protocol ping/pong
every = "1s"
send = "ping"
expect = { json = { type = 0, message = "pong" } }
within = "500ms"
[checks.heartbeat]
expect = { json = { type = 1, message = "ping" } }
every = "5s"
tolerance = "250ms"
"#;

fn ok(text: &str) -> Scenario {
    parse(text, "test.toml").unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn the_example_is_what_it_says() {
    let s = ok(EXAMPLE);
    assert_eq!((s.name.as_str(), &s.target, s.groups.len()), ("broadcast", &Target::BuiltIn, 1));
    assert_eq!((s.groups[0].count, s.groups[0].connect_rate), (1000, Rate::per_second(500).expect("a rate")));
    let publish = s.publish.expect("it publishes");
    assert_eq!((publish.publishers, publish.audience, publish.encoding), (4, Audience::All, Encoding::Text));
    assert_eq!(publish.pace, Pace::Constant { rate: Rate::per_second(50).expect("a rate") });
    assert_eq!(publish.size, PayloadSize { min: ByteSize(128), max: ByteSize(128) });
    assert_eq!((s.phases.warm_up, s.phases.steady, s.phases.drain), (Span::from_secs(1), Span::from_secs(10), Span::from_secs(5)));
    assert_eq!(s.checks.delivery, Some(DeliveryCheck { within: Span::from_secs(1) }));
    assert_eq!(s.checks.latency, [LatencyLimit { metric: Metric::Delivery, percentile: 99.0, at_most: Span::from_millis(250) }]);
    let pong = s.checks.pong.expect("it pings");
    assert!(pong.application.expect("at application level").expect.matches(br#"{"type":0,"message":"pong"}"#, None));
    assert!(matches!(s.checks.heartbeat, Some(HeartbeatCheck { beat: Beat::Message(_), .. })));
    assert!(s.checks.duplicate && s.checks.integrity && s.checks.stray && s.checks.survival);
    assert_eq!((s.checks.order, s.checks.connect), (Some(OrderScope::Publisher), Some(ConnectCheck { min_share: 1.0, within: None })));
}

#[test]
fn an_error_reads_like_a_compilers() {
    let error = parse("[clients]\ncount = 10\n\n[publish]\npubilshers = 4\npace = \"5/s\"\n", "chat.toml").expect_err("misspelt");
    assert_eq!(
        error.to_string(),
        "error: unknown key `pubilshers`\n --> chat.toml:5:1\n  |\n5 | pubilshers = 4\n  | ^^^^^^^^^^\n  = key: publish.pubilshers\n  = help: did you mean `publishers`?\n"
    );
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let error = parse("nmae = 1\n[clients]\ncount = \"many\"\ncolour = 1\n[phases]\nsteady = \"10\"\ndrain = 3\n", "t.toml")
        .expect_err("five faults");
    let lines: Vec<_> = error.problems.iter().map(|p| (p.line, p.column, p.key.as_str())).collect();
    assert_eq!(
        lines,
        [(1, 1, "nmae"), (3, 9, "clients.count"), (4, 1, "clients.colour"), (6, 10, "phases.steady"), (7, 9, "phases.drain")],
        "{error}"
    );
}

/// Each fault: the text after two clients, where it is found, and words its message must have.
#[test]
fn every_fault_is_found_and_named() {
    for (text, key, words) in [
        // What cannot be read.
        ("[publish", "", "not TOML"),
        ("[publish]\npace = \"0/s\"", "publish.pace", "a rate of 0 never happens"),
        ("[publish]\npace = { rate = \"0/s\" }", "publish.pace.rate", "a rate of 0 never happens"),
        ("[publish]\npace = { rate = 50 }", "publish.pace.rate", "write `50/s`"),
        ("[publish]\npace = 50", "publish.pace", "expected a pace"),
        ("[publish]\npace = \"5/s\"\nencoding = \"test\"", "publish.encoding", "did you mean \"text\""),
        ("[publish]\npace = \"5/s\"\nsize = \"big\"", "publish.size", "is not a size"),
        ("[publish]\npace = \"5/s\"\npublishers = -1", "publish.publishers", "out of range"),
        ("[publish]\npace = \"5/s\"\npublishers = 1.5", "publish.publishers", "expected a whole number"),
        ("[phases]\nsteady = true", "phases.steady", "expected a time"),
        ("[phases]\nsteady = 10", "phases.steady", "no unit"),
        ("[phases]\nsteady = \"10 parsecs\"", "phases.steady", "not a unit of time"),
        ("[checks]\nduplicate = \"yes\"", "checks.duplicate", "expected true or false"),
        ("[checks]\norder = \"sometimes\"", "checks.order", "\"total\""),
        ("[checks]\ndelivery = 5", "checks.delivery", "true, false, or a table"),
        ("[checks.latency]\nmean = \"5s\"", "checks.latency.mean", "unknown key"),
        ("[checks.latency]\np100.1 = \"5s\"", "checks.latency.p100", "expected a time"),
        ("[checks.latency.pogn]\np99 = \"5s\"", "checks.latency.pogn", "did you mean `pong`"),
        ("[checks.connect]\nmin_share = \"101%\"", "checks.connect.min_share", "write `\"99%\"`"),
        ("[target]\nurl = 5", "target.url", "expected a text"),
        ("[cheks]\norder = true", "cheks", "did you mean `checks`"),
        // What contradicts itself.
        ("[target]\nurl = \"http://a/ws\"", "target.url", "write `ws://a/ws`"),
        ("[target]\nurl = \"https://a/ws\"", "target.url", "write `wss://a/ws`"),
        ("[target]\nurl = \"localhost:3000\"", "target.url", "has no scheme"),
        ("[target]\nurl = \"ftp://a\"", "target.url", "is not ws or wss"),
        ("[target]\nurl = \"ws://\"", "target.url", "ws://host:port/path"),
        ("[target]\nurl = \"ws://a:99999/\"", "target.url", "port"),
        ("[target]\nurl = \"ws://a/#x\"", "target.url", "fragment"),
        ("[target]\nurl = \"ws://a b/\"", "target.url", "is not a URL"),
        ("[target]\nurl = \"ws+unix://run/a.sock\"", "target.url", "is not absolute"),
        ("[target]\nurl = \"wss+unix:///run/a.sock\"", "target.url", "write `ws+unix:///"),
        ("[target]\nconnect_timeout = \"0s\"", "target.connect_timeout", "no handshake takes no time"),
        ("[publish]\npublishers = 3\npace = \"5/s\"", "publish.publishers", "3 publishers, but only 2 clients"),
        ("[publish]\npublishers = 0\npace = \"5/s\"", "publish.publishers", "zero publishers"),
        ("[publish]\nsize = \"128B\"", "publish", "when are publications sent"),
        ("[publish]\npace = {}", "publish.pace", "a pace of no kind"),
        ("[publish]\npace = { rate = \"5/s\", poisson = \"5/s\" }", "publish.pace", "not rate and poisson"),
        ("[publish]\npace = { burst = 5 }", "publish.pace", "how often"),
        ("[publish]\npace = { burst = 0, every = \"1s\" }", "publish.pace.burst", "a burst of nothing"),
        ("[publish]\npace = { burst = 5, every = \"0s\" }", "publish.pace.every", "without a pause"),
        ("[publish]\npace = { rate = \"5/s\", every = \"1s\" }", "publish.pace.every", "goes with `burst`"),
        ("[publish]\npace = { ramp = { from = \"5/s\" } }", "publish.pace.ramp", "two ends"),
        ("[publish]\npace = { steps = [] }", "publish.pace.steps", "no step"),
        ("[publish]\npace = { steps = [{ rate = \"5/s\" }] }", "publish.pace.steps[0]", "a rate and a length"),
        ("[publish]\npace = \"5/s\"\nsize = \"63B\"", "publish.size", "cannot hold the stamp"),
        ("[publish]\npace = \"5/s\"\nsize = { min = \"10B\", max = \"1KiB\" }", "publish.size.min", "cannot hold the stamp"),
        ("[publish]\npace = \"5/s\"\nsize = { min = \"1KiB\", max = \"128B\" }", "publish.size.max", "less than the smallest"),
        ("[publish]\npace = \"5/s\"\nsize = { min = \"128B\" }", "publish.size", "two ends"),
        ("[publish]\npace = \"5/s\"\nsize = \"1GiB\"", "publish.size", "beyond the limit"),
        ("[publish]\npace = { closed = true }\naudience = \"others\"", "publish.pace", "waits for the publisher's own copy"),
        (
            "[publish]\npace = \"5/s\"\n[phases]\ndrain = \"1s\"\n[checks.delivery]\nwithin = \"2s\"",
            "phases.drain",
            "shorter than the delivery limit",
        ),
        ("[publish]\npace = \"5/s\"\n[checks.delivery]\nwithin = \"0s\"", "checks.delivery", "no copy arrives in no time"),
        ("[phases]\nsteady = \"0s\"", "phases.steady", "measures nothing"),
        ("[checks.delivery]\nwithin = \"1s\"", "checks.delivery", "nothing is published"),
        ("[checks]\norder = \"total\"", "checks.order", "nothing is published"),
        ("[checks.latency]\np99 = \"1s\"", "checks.latency.p99", "nothing is published"),
        ("[checks.latency.pong]\np99 = \"1s\"", "checks.latency.pong.p99", "nobody pings"),
        ("[publish]\npace = \"5/s\"\n[checks.latency]\n\"p99.9\" = \"1s\"\np999 = \"2s\"", "checks.latency.p999", "limited twice"),
        ("[checks.pong]\nevery = \"1s\"", "checks.pong", "nothing is sent to be answered"),
        ("[checks.pong]\nsend = \"ping\"", "checks.pong.send", "what answers it"),
        ("[checks.pong]\nexpect = \"pong\"", "checks.pong.expect", "no ping is sent"),
        ("[checks.pong]\nprotocol = true\nevery = \"1s\"\nwithin = \"1s\"", "checks.pong.within", "could not be told apart"),
        ("[checks.pong]\nprotocol = true\nevery = \"0s\"", "checks.pong.every", "every 0s"),
        ("[checks.heartbeat]\nexpect = \"x\"", "checks.heartbeat", "how often"),
        ("[checks.heartbeat]\nevery = \"5s\"", "checks.heartbeat", "what is a beat"),
        ("[checks.heartbeat]\nevery = \"5s\"\nexpect = \"x\"\nprotocol = true", "checks.heartbeat.expect", "not both"),
        ("[checks.heartbeat]\nevery = \"5s\"\nexpect = \"x\"\ntolerance = \"5s\"", "checks.heartbeat.tolerance", "allows anything"),
        ("[checks.heartbeat]\nevery = \"5s\"\nexpect = {}", "checks.heartbeat.expect", "of one kind"),
        ("[checks.heartbeat]\nevery = \"5s\"\nexpect = { exact = \"a\", regex = \"b\" }", "checks.heartbeat.expect", "of one kind"),
        ("[checks.heartbeat]\nevery = \"5s\"\nexpect = { regex = \"(\" }", "checks.heartbeat.expect.regex", "not a regular expression"),
        ("[checks.heartbeat]\nevery = \"5s\"\nexpect = { json = \"{\" }", "checks.heartbeat.expect.json", "not JSON"),
        (
            "[checks.heartbeat]\nevery = \"5s\"\nexpect = { exact = \"a\", within = \"1s\" }",
            "checks.heartbeat.expect.within",
            "does not belong",
        ),
        ("[checks.heartbeat]\nevery = \"5s\"\nexpect = \"\"", "checks.heartbeat.expect", "matches nothing in particular"),
        ("[checks.instrument]\nlate_send = \"0s\"", "checks.instrument.late_send", "never late"),
    ] {
        let error = parse(&format!("[clients]\ncount = 2\n{text}\n"), "t.toml").expect_err(text);
        let problem = error.problems.first().expect("an error has a problem");
        assert_eq!(problem.key, key, "{error}");
        assert!(error.to_string().contains(words), "{words:?} is not in\n{error}");
        assert!(problem.line >= 2 && problem.column >= 1, "{error}");
    }
}

#[test]
fn every_fault_of_the_clients_is_found_and_named() {
    for (text, key, words) in [
        ("", "", "there are no clients"),
        ("clients = []", "clients", "the list of clients is empty"),
        ("[clients]", "clients", "how many clients"),
        ("[clients]\ncount = 0", "clients.count", "zero clients"),
        ("[clients]\ncount = 4000000000", "clients", "more than one run can hold"),
        ("[clients]\ncount = 1\nconnect_rate = \"0/s\"", "clients.connect_rate", "never happens"),
        ("[clients]\ncount = 1\ngreeting = true", "clients.greeting", "which greeting"),
        ("[clients]\ncount = 1\nheaders = { \"a b\" = \"c\" }", "clients.headers.\"a b\"", "not the name of a header"),
        ("[clients]\ncount = 1\nheaders = { Upgrade = \"c\" }", "clients.headers.Upgrade", "writes `Upgrade` itself"),
        ("[clients]\ncount = 1\nheaders = { a = \"b\\r\\nc: d\" }", "clients.headers.a", "characters no header may have"),
        ("[clients]\ncount = 1\nsubprotocols = [\"a, b\"]", "clients.subprotocols[0]", "not a subprotocol"),
        ("[clients]\ncount = 1\nsubprotocols = [\"a\", \"a\"]", "clients.subprotocols[1]", "offered twice"),
        ("[clients]\ncount = 1\n[publish]\npace = \"1/s\"\naudience = \"others\"", "publish.audience", "no others"),
        ("[[clients]]\nname = \"a\"\ncount = 1\n[[clients]]\nname = \"a\"\ncount = 1", "clients[1].name", "two groups"),
        ("[[clients]]\ncount = 1\n[[clients]]\ncount = 0", "clients[1].count", "zero clients"),
    ] {
        let error = parse(text, "t.toml").expect_err(text);
        assert_eq!(error.problems[0].key, key, "{error}");
        assert!(error.to_string().contains(words), "{words:?} is not in\n{error}");
    }
}

#[test]
fn doubts_are_told_and_do_not_stop_a_run() {
    for (text, words) in [
        ("[checks.heartbeat]\nexpect = \"x\"\nevery = \"30s\"\n", "may see none"),
        ("[publish]\npace = { burst = 5, every = \"1m\" }\n", "may see none"),
        ("[publish]\npace = { steps = [{ rate = \"1/s\", for = \"1h\" }] }\n", "the end is cut"),
    ] {
        let reading = read(&format!("[clients]\ncount = 2\n{text}"), "t.toml").unwrap_or_else(|e| panic!("{e}"));
        let shown: String = reading.warnings.iter().map(ToString::to_string).collect();
        assert!(shown.starts_with("warning: ") && shown.contains(words), "{shown}");
    }
    assert_eq!(read(EXAMPLE, "t.toml").unwrap_or_else(|e| panic!("{e}")).warnings, []);
}

#[test]
fn shapes_that_mean_the_same_are_the_same() {
    let base = "[clients]\ncount = 2\n[publish]\npace = \"5/s\"\n";
    for (one, other) in [
        (base.to_owned(), "[[clients]]\ncount = 2\n[publish]\npace = { rate = \"5/s\" }\n".to_owned()),
        (format!("{base}[checks.latency]\np99.9 = \"1s\"\n"), format!("{base}[checks.latency]\np999 = \"1s\"\n")),
        (format!("{base}[checks.latency.delivery]\nmax = \"1s\"\n"), format!("{base}[checks.latency]\np100 = \"1s\"\n")),
        (format!("{base}[checks]\norder = true\ndelivery = true\n"), base.to_owned()),
        (format!("{base}[checks.connect]\nmin_share = \"50%\"\n"), format!("{base}[checks.connect]\nmin_share = 0.5\n")),
        (
            format!("{base}[checks.heartbeat]\nevery = \"1s\"\nexpect = {{ json = {{ a = 1 }} }}\n"),
            format!("{base}[checks.heartbeat]\nevery = \"1s\"\nexpect = {{ json = '{{\"a\":1}}' }}\n"),
        ),
    ] {
        assert_eq!(ok(&one), ok(&other), "{one}");
    }
}

#[test]
fn a_drain_that_is_not_stated_allows_what_delivery_allows() {
    let base = "[clients]\ncount = 2\n[publish]\npace = \"5/s\"\n";
    assert_eq!(ok(base).phases.drain, Span::from_secs(5));
    assert_eq!(ok(&format!("{base}[checks.delivery]\nwithin = \"9s\"\n")).phases.drain, Span::from_secs(9));
    let short = ok(&format!("{base}[phases]\ndrain = \"2s\"\n"));
    assert_eq!(short.checks.delivery, Some(DeliveryCheck { within: Span::from_secs(2) }), "and the other way round");
}

#[test]
fn a_target_from_the_command_line_is_checked_alike_and_knows_variables() {
    let with = |text: &str, url| {
        let around = Surroundings { env: &|_| None, file: &|_| Err("no file".into()), url: Some(url) };
        read_with(text, "t.toml", &around).map(|r| r.scenario.target).map_err(|e| e.to_string())
    };
    let plain = "[clients]\ncount = 2\n";
    let url = |url| Target::Url(Address::literal(url));
    assert_eq!(with(plain, "wss://example.com/ws").expect("a good URL"), url("wss://example.com/ws"));
    assert_eq!(with(plain, "ws://h/{room}?me={client.id}").expect("a good URL"), url("ws://h/{room}?me={client.id}"));
    // What the scenario says of the built-in server is no contradiction.
    let feed = "[target]\nfeed = \"1s\"\n[clients]\ncount = 2\n[publish]\nvia = \"server\"\n";
    assert_eq!(with(feed, "ws://h/").expect("a good URL"), url("ws://h/"));
    for (given, words) in [
        ("http://example.com/", "write `ws://example.com/`"),
        ("ws://h/{rom}", "--> --url:1:8"),
        ("ws://h/{rom}", "write {{rom}} for the text itself"),
        ("ws://{room}/", "{room} stands in front of the path"),
        ("ws://h/{seq}", "variables of publications in a handshake"),
        ("ws://h/{env.NOPE}", "the environment has no NOPE"),
        ("ws://me:s3cret@h:99999/?s3cret", "`ws://…@h:99999/?…` has no valid port"),
        ("me:s3cret@h/x", "write `ws://…@h/x`"),
        ("ws:/me:s3cret@h/", "`ws:/…@h/` has no scheme"),
        ("ws://me:pa/s3cret@h/", "`ws://…@h/` "),
        ("http://me:s3cret@h/", "write `ws://…@h/`"),
        ("ws://me:s3cret@h/#s3cret", "`ws://…@h/#…` has a fragment"),
    ] {
        let error = with(plain, given).expect_err(given);
        assert!(error.contains(words) && !error.contains("s3cret"), "{words:?} is not in\n{error}");
    }
}

#[test]
fn the_schema_knows_every_key_with_its_sentence() {
    let schema = json_schema();
    assert_eq!(schema["properties"]["publish"]["properties"]["pace"]["anyOf"][1]["properties"]["steps"]["type"], "array");
    let mut undocumented = Vec::new();
    walk(&schema, "", &mut undocumented);
    assert_eq!(undocumented, [""; 0], "every key has a description");
}

#[test]
fn the_shipped_schema_is_the_one_generated() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/scenario.schema.json");
    let generated = format!("{:#}\n", json_schema());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &generated).expect("it can be written");
    }
    let shipped = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(shipped == generated, "scenarios/scenario.schema.json is out of date: run the tests with UPDATE_GOLDEN=1");
}

fn walk(schema: &serde_json::Value, path: &str, undocumented: &mut Vec<String>) {
    if let Some(properties) = schema["properties"].as_object() {
        for (key, value) in properties {
            let path = format!("{path}.{key}");
            if value.get("description").is_none() && !path.starts_with(".checks.latency.") {
                undocumented.push(path.clone());
            }
            walk(value, &path, undocumented);
        }
    }
    for inner in schema["anyOf"].as_array().into_iter().flatten() {
        walk(inner, path, undocumented);
    }
}

#[test]
fn the_shipped_scenarios_are_scenarios() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).expect("the folder is there").flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|e| e != "toml") {
            continue;
        }
        let file = path.display().to_string();
        let text = std::fs::read_to_string(&path).expect("it can be read");
        let reading = read(&text, &file).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(reading.warnings, [], "{file}");
        assert_eq!(Some(reading.scenario.name.as_str()), path.file_stem().and_then(|s| s.to_str()), "{file}");
        assert!(reading.scenario.description.is_some() && text.contains("# Lesson: "), "{file} teaches something");
        assert!(text.starts_with("#:schema "), "{file} tells editors its schema");
        names.push(reading.scenario.name);
    }
    names.sort();
    for name in ["broadcast", "burst", "chat", "fan-out-latency", "heartbeat", "ping-pong", "smoke"] {
        assert!(names.iter().any(|n| n == name), "{name} is shipped");
    }
}
