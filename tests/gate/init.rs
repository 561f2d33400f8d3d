//! `wsbench init`: what it writes must run, and pass where the server is sound.

use super::{Desk, Server};

const BRIEF: [&str; 4] = ["--watch", "1800ms", "--within", "1s"];

#[test]
fn a_relay_with_a_heartbeat_is_understood() {
    let desk = Desk::new();
    let server = Server::start(&desk, &["--heartbeat", "500ms"]);
    let ran = desk.run(&[&["init", &server.url, "-o", "guessed.toml"], &BRIEF[..]].concat()).with(0);
    let text = desk.read("guessed.toml");
    assert!(ran.err.contains("came back to both clients") && ran.err.contains("every 500ms"), "{}{text}", ran.err);
    assert!(text.contains("audience = \"all\"") && text.contains("[checks.heartbeat]"), "{text}");
    desk.run(&["plan", "guessed.toml"]).with(0);
    let ran = desk.run(&["run", "guessed.toml", "-q", "--format", "json"]);
    let report: serde_json::Value = serde_json::from_str(&ran.out).expect("a report");
    // The machine may be too busy for a verdict on time; what was guessed must not be wrong.
    for finding in report["findings"].as_array().expect("findings") {
        let check = finding["check"].as_str().unwrap_or("");
        assert!(!["delivery", "stray", "connect", "duplicate"].contains(&check) || finding["outcome"] == "pass", "{finding}\n{text}");
    }
    assert!(report["summary"]["copies"]["owed"].as_u64().is_some_and(|n| n > 0), "{}", ran.err);
    desk.run(&[&["init", &server.url, "-o", "guessed.toml"], &BRIEF[..]].concat()).with(4);
}

#[test]
fn a_sender_left_out_is_seen() {
    let desk = Desk::new();
    let server = Server::start(&desk, &["--fanout", "others"]);
    let ran = desk.run(&[&["init", &server.url], &BRIEF[..]].concat()).with(0);
    assert!(ran.out.contains("audience = \"others\""), "{}", ran.out);
}

#[test]
fn nobody_there_is_the_environments() {
    let desk = Desk::new();
    desk.run(&["init", "ws://127.0.0.1:1", "-o", "guessed.toml"]).with(4);
    assert!(!desk.path("guessed.toml").exists());
    desk.run(&["init", "127.0.0.1:1"]).with(2);
}
