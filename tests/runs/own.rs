//! Matchers with variables, through the binary: every client knows its own, and takes nobody else's for it.

use super::peer::{Mistake, serve};
use super::{Desk, Ran, not_passed};

/// Two rooms; there is a variable in every matcher but those that pass over the noise.
pub(crate) const OWN: &str = r#"
name = "own"
rooms = 2
script = [
  { expect = "welcome to {room}" },
  { expect = { regex = '"hello"' }, capture = { sid = "/hello" } },
  { send = '{"op":"join"}' },
  { expect = { json = { joined = "{room}", id = "{client.id}" } }, within = "1s" },
]
ignore = [
  { json = { note = "seen", to = "{client.id}" } },
  { json = { joined = "elsewhere" } },
  { regex = '"id":10\d\d' },
]
reply = [{ when = { json = { ping = "{sid}" } }, send = '{"op":"pong","of":"{sid}"}' }]
[target]
query = { room = "{room}", id = "{client.id}" }
[dialect]
publish = '{"op":"say","text":"{stamp}"}'
match = { json = { room = "{room}" } }
ack = { contains = '"ack":"{sid}"' }
[heartbeat]
expect = { regex = '^\{"beat":"{room}"\}$' }
every = "300ms"
tolerance = "299ms"
first = "any"
[ping]
send = '{"op":"ping"}'
expect = '{"pong":{client.id}}'
[clients]
count = 6
connect_rate = "1000/s"
[publish]
publishers = 2
pace = "60/s"
[phases]
steady = "1s"
drain = "5s"
[checks.heartbeat]
[checks.pong]
every = "300ms"
within = "299ms"
[checks.delivery]
within = "5s"
[checks.instrument]
late_send = "2s"
max_loop_lag = "5s"
"#;

fn run(desk: &Desk, mistake: Mistake, extra: &[&str]) -> Ran {
    let url = serve(mistake);
    desk.run(&[&["run", "s.toml", "--url", &url, "--format", "json"], extra].concat())
}

/// What is told of one check: expected, observed, what was seen.
fn told(ran: &Ran, check: &str) -> String {
    let report = ran.json();
    let finding = report["findings"].as_array().expect("findings").iter().find(|f| f["check"] == check).cloned();
    finding.unwrap_or_else(|| panic!("{check} is asked")).to_string()
}

#[test]
fn every_client_knows_what_is_its_own() {
    let desk = Desk::new();
    desk.scenario(OWN);
    for extra in [&["--threads", "1"], &["--threads", "2"], &["--processes", "2"]] {
        let ran = run(&desk, Mistake::None, extra);
        assert_eq!((ran.code, not_passed(&ran.json())), (0, Vec::new()), "{extra:?}: {}{}", ran.out, ran.err);
        let summary = &ran.json()["summary"];
        assert_eq!(summary["copies"]["owed"], 60 * 3, "each to its room");
        assert!(summary["heartbeat"]["beats"].as_u64().is_some_and(|n| n >= 12), "{}", summary["heartbeat"]);
    }
}

#[test]
fn what_is_anothers_is_never_taken_for_its_own() {
    let desk = Desk::new();
    desk.scenario(OWN);
    for (mistake, check, words) in [
        (Mistake::Welcome, "connect", "did not come; the last frames seen:"),
        (Mistake::Join, "connect", "step 4 of 4 of the script: expected JSON with"),
        (Mistake::Refuses, "connect", ", but the server closed the connection (code 4003): no; the last frames seen: "),
        (Mistake::Ping, "stray", "ping"),
        (Mistake::Note, "stray", "note"),
        (Mistake::Label, "delivery", ""),
        (Mistake::Leak, "stray", "Publications leak from one room into another"),
        (Mistake::Ack, "duplicate", ""),
        (Mistake::Beat, "heartbeat", ""),
        (Mistake::Pong, "pong", ""),
    ] {
        let ran = run(&desk, mistake, &[]);
        assert_eq!(ran.code, 1, "{mistake:?}: {}{}", ran.out, ran.err);
        assert!(not_passed(&ran.json()).contains(&format!("{check} fail")), "{mistake:?}: {}", ran.out);
        assert!(told(&ran, check).contains(words), "{mistake:?}: {}", told(&ran, check));
    }
}

/// Without a script the greeting makes the member; replies and rules beside it change nothing about that.
#[test]
fn a_greeting_may_name_the_client_and_is_waited_for_beside_rules() {
    let desk = Desk::new();
    desk.scenario(
        "rooms = 2\nignore = [{ regex = 'hello' }]\n[target]\nquery = { room = \"{room}\", id = \"{client.id}\" }\n\
         [clients]\ncount = 4\ngreeting = { exact = \"welcome to {room}\", within = \"500ms\" }\n[phases]\nsteady = \"300ms\"\n",
    );
    let ran = run(&desk, Mistake::None, &[]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert_eq!(ran.json()["summary"]["connections"]["greetings"], 4);
    let ran = run(&desk, Mistake::Welcome, &[]);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert!(told(&ran, "connect").contains("4 never ready"), "{}", told(&ran, "connect"));
}

#[test]
fn a_broadcast_of_the_servers_own_may_name_the_room() {
    let desk = Desk::new();
    desk.scenario(
        "rooms = 2\nignore = [{ prefix = 'welcome' }, { regex = 'hello' }]\n[target]\nquery = { room = \"{room}\", ticks = \"1\" }\n\
         [clients]\ncount = 6\nconnect_rate = \"1000/s\"\n[publish]\nvia = \"server\"\nid = \"/tick\"\n\
         match = { json = { room = \"{room}\" } }\n[phases]\nsteady = \"2s\"\n[checks.instrument]\nmax_loop_lag = \"5s\"\n",
    );
    let ran = run(&desk, Mistake::None, &[]);
    assert_eq!((ran.code, not_passed(&ran.json())), (0, Vec::new()), "{}{}", ran.out, ran.err);
    assert!(ran.json()["summary"]["copies"]["owed"].as_u64().is_some_and(|n| n >= 60), "{}", ran.out);
    let ran = run(&desk, Mistake::Label, &[]);
    assert_eq!((ran.code, not_passed(&ran.json())), (1, vec!["delivery fail".into(), "stray fail".into()]), "{}{}", ran.out, ran.err);
}

#[test]
fn each_client_goes_to_its_own_url_wherever_the_target_is_said() {
    let desk = Desk::new();
    let server = serve(Mistake::None);
    let own = "?room={room}&id={client.id}";
    let query = "[target]\nquery = { room = \"{room}\", id = \"{client.id}\" }\n";
    let said = |url: &str| OWN.replace(query, &if url.is_empty() { String::new() } else { format!("[target]\nurl = \"{url}\"\n") });
    let whole = format!("{server}{own}");
    for (file, arguments) in [
        (said(&whole), &[][..]),
        (said(&whole), &["--processes", "2"]),
        (said(&format!("{{env.AT}}{own}")), &[]),
        (said(""), &["--url", &whole]),
        (said("ws://elsewhere.invalid/{env.NOT_SET}"), &["--url", &format!("{{env.AT}}{own}")]),
    ] {
        let arguments = [&["run", desk.scenario(&file), "--format", "json"], arguments].concat();
        let ran = Ran::of(&desk.command(&arguments).env("AT", &server).output().expect("the binary starts"));
        let report = ran.json();
        assert_eq!((ran.code, not_passed(&report)), (0, Vec::new()), "{arguments:?}: {report:#}");
        assert_eq!(report["target"]["url"], whole.as_str(), "the server, and what is each client's own as it is written");
    }
    // The server knows who came by the address alone: with another's, nobody is in.
    let all_alike = said(&format!("{server}?room=1&id=0"));
    assert_eq!(desk.run(&["run", desk.scenario(&all_alike), "--quiet"]).code, 1);
}

#[test]
fn a_target_that_would_be_many_servers_is_refused_with_the_remedy() {
    let desk = Desk::new();
    let file = desk.scenario("[clients]\ncount = 2\n[target]\nurl = \"ws://{room}.example.com/ws\"\n");
    for arguments in [&["run", file][..], &["plan", file], &["plan", file, "--url", "ws://h:{client.index}/"]] {
        let ran = desk.run(arguments);
        assert_eq!(ran.code, 2, "{}", ran.err);
        assert!(ran.err.contains("stands in front of the path: a target is one server"), "{}", ran.err);
        assert!(ran.err.contains("write it in the path or the query, or use {env.NAME}"), "{}", ran.err);
    }
    let plan = desk.run(&["plan", file, "--url", "ws://user:s3cret@h/{room}?token=s3cret"]);
    assert_eq!(plan.code, 0, "{}", plan.err);
    assert!(plan.out.contains("ws://…@h/{room}?…") && !plan.out.contains("s3cret"), "{}", plan.out);
}
