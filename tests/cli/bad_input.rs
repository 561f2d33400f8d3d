//! What a user may get wrong before anything is connected: each is a clear error on standard error, nothing on standard
//! output, and exit code 2.

use super::{scenario, scratch, wsbench};

/// Scenario text, and what the error must say.
const SCENARIOS: &[(&str, &[&str])] = &[
    ("[clients]\ncount = 10\npubilshers = 4\n", &["unknown key `pubilshers`", "scenario.toml:3:1", "clients.pubilshers"]),
    ("[publish]\npubilshers = 4\npace = \"5/s\"\n", &["unknown key `pubilshers`", ":2:1", "did you mean `publishers`"]),
    ("[clients]\ncount = \"many\"\n", &["clients.count", ":2:9"]),
    ("[clients]\ncount = 0\n", &["clients.count"]),
    ("[clients]\ncount = 2\n[publish]\npublishers = 3\npace = \"5/s\"\n", &["publish.publishers", "3", "2"]),
    ("[publish]\npace = \"5/s\"\nsize = \"63B\"\n[clients]\ncount = 9\n", &["publish.size", "64"]),
    ("[publish]\npace = \"0/s\"\n[clients]\ncount = 9\n", &["publish.pace", "a rate of 0 never happens"]),
    ("[publish]\npace = { rate = \"5/s\", burst = 3, every = \"1s\" }\n[clients]\ncount = 9\n", &["publish.pace"]),
    ("[target]\nurl = \"http://example.com/ws\"\n", &["target.url", "ws://example.com/ws"]),
    ("[target]\nurl = \"localhost:3000\"\n", &["target.url", "scheme"]),
    ("[phases]\nsteady = 10\n", &["phases.steady", "unit"]),
    ("[phases]\nsteady = \"0s\"\n[clients]\ncount = 9\n", &["phases.steady"]),
    ("[checks.heartbeat]\nevery = \"1s\"\ntolerance = \"1s\"\nprotocol = true\n[clients]\ncount = 9\n", &["checks.heartbeat"]),
    ("[checks.pong]\nevery = \"1s\"\n[clients]\ncount = 9\n", &["checks.pong"]),
    ("[cheks]\norder = true\n", &["unknown key `cheks`", "did you mean `checks`"]),
    ("[publish\n", &["scenario.toml:1:"]),
    ("[publish]\npace = \"5/s\"\n", &["there are no clients", "[clients]"]),
    ("name = \"a\"\nname = \"b\"\n", &["name"]),
];

#[test]
fn a_scenario_that_cannot_be_meant_says_where_and_what_instead() {
    for (text, says) in SCENARIOS {
        let directory = scratch();
        let path = scenario(directory.path(), text);
        for verb in ["plan", "run"] {
            let ended = wsbench([verb, &path]).with(2).saying(says);
            assert!(ended.stdout.is_empty(), "`wsbench {verb}` prints on standard output:\n{}", ended.stdout);
            assert!(ended.stderr.starts_with("error"), "{}", ended.stderr);
        }
    }
}

#[test]
fn a_scenario_that_cannot_be_read() {
    let directory = scratch();
    let nowhere = directory.path().join("nowhere.toml");
    wsbench([OS::from("run"), OS::from(&nowhere)]).with(2).saying(&["cannot read the scenario", "nowhere.toml"]);
    wsbench([OS::from("run"), OS::from(directory.path())]).with(2).saying(&["cannot read the scenario"]);
    let binary = directory.path().join("binary.toml");
    std::fs::write(&binary, [0xff, 0xfe, 0x00]).expect("written");
    wsbench([OS::from("run"), OS::from(&binary)]).with(2).saying(&["binary.toml"]);
}

type OS = std::ffi::OsString;

#[test]
fn a_url_on_the_command_line_is_as_strictly_read_as_one_in_a_scenario() {
    let directory = scratch();
    let path = scenario(directory.path(), "[clients]\ncount = 1\n");
    for (url, says) in [
        ("http://127.0.0.1:1/", "ws://"),
        ("127.0.0.1:3000", "ws://"),
        ("ws://", "host"),
        ("ws://a:99999/", "port"),
        ("ws://a b/", "URL"),
        ("", "URL"),
    ] {
        wsbench(["run", &path, "--url", url]).with(2).saying(&[says]);
    }
}

#[test]
fn a_command_line_that_makes_no_sense() {
    let directory = scratch();
    let path = scenario(directory.path(), "[clients]\ncount = 1\n");
    let none: &[&str] = &[];
    for args in [
        none,
        &["rnu"],
        &["run"],
        &["run", &path, "--ulr", "ws://127.0.0.1:1/"],
        &["run", &path, "--threads", "0"],
        &["run", &path, "--processes", "0"],
        &["run", &path, "--seed", "x"],
        &["run", &path, "--format", "yaml"],
        &["run", &path, "--quiet", "--verbose"],
        &["serve", "--heartbeat", "0s"],
        &["serve", "--port", "70000"],
        &["serve", "--fanout", "some"],
        &["serve", "--fault", "no-such-fault"],
        &["serve", "--tls-cert", "cert.pem"],
        &["explain", "no-such-check"],
    ] {
        let ended = wsbench(args).with(2);
        assert!(!ended.stderr.is_empty(), "`wsbench {args:?}` fails without a word");
    }
}

#[test]
fn help_and_version_are_no_errors() {
    for args in [&["--help"][..], &["-h"], &["--version"], &["run", "--help"], &["serve", "--help"], &["plan", "--help"], &["explain"]] {
        let ended = wsbench(args).with(0);
        assert!(!ended.stdout.is_empty() && ended.stderr.is_empty(), "{args:?} prints help on standard output: {}", ended.stderr);
    }
}
