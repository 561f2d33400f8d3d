//! A verdict and its code.

use super::{Desk, QUICK, not_passed, outcomes};

#[test]
fn a_good_server_passes_with_0() {
    let desk = Desk::new();
    let ran = desk.run(&["run", desk.scenario(QUICK), "--format", "json"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let report = ran.json();
    assert_eq!(report["verdict"], "pass");
    assert_eq!(report["exit_code"], 0);
    let checks: Vec<String> = outcomes(&report).into_iter().map(|(check, _)| check).collect();
    assert_eq!(checks, ["connect", "survival", "delivery", "duplicate", "order", "integrity", "stray", "instrument"]);
    let copies = &report["summary"]["copies"];
    assert_eq!((&copies["owed"], &copies["on_time"], &copies["missing"]), (&100.into(), &100.into(), &0.into()));
}

#[test]
fn a_server_that_loses_copies_fails_with_1() {
    let desk = Desk::new();
    let server = super::Server::start(&desk, &["--fault", "drop,every=7"]);
    let ran = desk.run(&["run", desk.scenario(QUICK), "--url", &server.url, "--format", "json"]);
    assert_eq!((ran.code, not_passed(&ran.json())), (1, vec!["delivery fail".to_owned()]), "{}", ran.err);
}

#[test]
fn no_evidence_is_inconclusive_with_3() {
    let desk = Desk::new();
    let scenario = format!("{QUICK}[checks.heartbeat]\nevery = \"1h\"\ntolerance = \"1s\"\nexpect = \"beat\"\n");
    let ran = desk.run(&["run", desk.scenario(&scenario), "--format", "json"]);
    assert_eq!(ran.code, 3, "{}{}", ran.out, ran.err);
    assert!(not_passed(&ran.json()).contains(&"heartbeat inconclusive".to_owned()), "{}", ran.out);
}

#[test]
fn a_sender_left_out_is_missing_unless_the_scenario_says_so() {
    let desk = Desk::new();
    let server = super::Server::start(&desk, &["--fanout", "others"]);
    let ran = desk.run(&["run", desk.scenario(QUICK), "--url", &server.url, "--format", "json"]);
    assert_eq!((ran.code, not_passed(&ran.json())), (1, vec!["delivery fail".to_owned()]));
    let others = QUICK.replace("publishers = 2", "publishers = 2\naudience = \"others\"");
    let ran = desk.run(&["run", desk.scenario(&others), "--url", &server.url, "--format", "json"]);
    assert_eq!(ran.code, 0, "{}", ran.out);
    // And a server that echoes where it should not leaks.
    let server = super::Server::start(&desk, &[]);
    let ran = desk.run(&["run", desk.scenario(&others), "--url", &server.url, "--format", "json"]);
    assert_eq!((ran.code, not_passed(&ran.json())), (1, vec!["stray fail".to_owned()]));
}

#[test]
fn the_same_seed_gives_the_same_plan() {
    let desk = Desk::new();
    let file = desk
        .scenario(&QUICK.replace("pace = { rate = \"40/s\" }", "pace = { poisson = \"40/s\" }\nsize = { min = \"64B\", max = \"512B\" }"));
    let bytes = |seed: &str| desk.run(&["run", file, "--seed", seed, "--format", "json"]).json()["summary"]["publications"].clone();
    let (first, second, other) = (bytes("7"), bytes("7"), bytes("8"));
    assert_eq!((&first["planned"], &first["bytes"]), (&second["planned"], &second["bytes"]));
    assert_ne!(first["bytes"], other["bytes"]);
}

#[test]
fn worker_processes_count_what_threads_count() {
    let desk = Desk::new();
    let file = desk.scenario(QUICK);
    for extra in [&["--processes", "2"][..], &["--threads", "2"], &["--source", "127.0.0.0/29"]] {
        let ran = desk.run(&[&["run", file, "--format", "json"], extra].concat());
        assert_eq!(ran.code, 0, "{extra:?}: {}{}", ran.out, ran.err);
        let copies = &ran.json()["summary"]["copies"];
        assert_eq!((&copies["owed"], &copies["on_time"]), (&100.into(), &100.into()), "{extra:?}");
    }
}
