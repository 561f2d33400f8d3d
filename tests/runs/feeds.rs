//! A server that broadcasts by itself, in another process and inside.

use super::{Desk, Server, not_passed};

/// Limits that a busy machine keeps.
const FEED: &str = r#"
name = "feed"
[clients]
count = 6
connect_rate = "1000/s"
greeting = "something"
[publish]
via = "server"
[phases]
steady = "2s"
drain = "5s"
[checks.delivery]
within = "5s"
[checks.latency.spread]
max = "5s"
[checks.feed]
every = "100ms"
tolerance = "99ms"
[checks.instrument]
max_loop_lag = "5s"
"#;

fn with(publish: &str) -> String {
    FEED.replace("via = \"server\"\n", &format!("via = \"server\"\n{publish}\n"))
}

#[test]
fn a_broadcast_is_known_by_whatever_the_scenario_says() {
    let desk = Desk::new();
    let server = Server::start(&desk, &["--feed", "100ms", "--heartbeat", "300ms"]);
    for publish in [
        "",
        "id = \"/seq\"\nunique = true",
        "id = { json = \"/seq\" }\nmatch = { contains = \"tick\" }",
        "id = { regex = '\"seq\":([0-9]+)' }",
        // The first 22 bytes are the same for ten ticks at a time: known by their occurrence all the same.
        "id = { bytes = [0, 22] }",
        "match = { json = { type = \"tick\" } }",
    ] {
        let file = desk.scenario(&with(publish));
        let ran = desk.run(&["run", file, "--url", &server.url, "--format", "json", "--threads", "2"]);
        assert_eq!(ran.code, 0, "{publish}: {}{}", ran.out, ran.err);
        let summary = &ran.json()["summary"];
        let owed = summary["copies"]["owed"].as_u64().expect("a number");
        assert!((60..=180).contains(&owed), "{publish}: {owed} owed");
        assert_eq!(summary["copies"]["on_time"], owed, "{publish}");
        assert!(summary["feed"]["broadcasts"].as_u64().is_some_and(|n| n >= 15), "{publish}: {}", summary["feed"]);
        assert!(summary["latency"]["spread"]["count"].as_u64().is_some_and(|n| n > 50), "{publish}: {}", summary["latency"]);
    }
}

#[test]
fn a_feed_with_faults_is_told_so_over_threads_processes_and_from_its_journal() {
    let desk = Desk::new();
    let faults = ["--fault", "drop,clients=2,every=4,from=1500ms", "--fault", "duplicate,clients=4,every=5,from=1500ms"];
    for spread in [["--threads", "1"], ["--threads", "3"], ["--processes", "2"]] {
        let server = Server::start(&desk, &[&["--feed", "100ms"][..], &faults].concat());
        let file = desk.scenario(&with("id = \"/seq\""));
        let arguments = ["run", file, "--url", &server.url, "--format", "json", "--journal", "feed.wsj", spread[0], spread[1]];
        let ran = desk.run(&arguments);
        assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
        let live = ran.json();
        assert_eq!(not_passed(&live), ["delivery fail", "duplicate fail"], "{spread:?}: {}", ran.out);
        let witnesses = |check: &str| {
            let finding = live["findings"].as_array().expect("findings").iter().find(|f| f["check"] == check).expect(check).clone();
            let clients = finding["witnesses"].as_array().expect("witnesses").iter().map(|w| w["client"].clone()).collect::<Vec<_>>();
            assert!(!clients.is_empty() && clients.iter().all(|c| *c == clients[0]), "one client's: {finding}");
        };
        witnesses("delivery");
        witnesses("duplicate");
        let judged = desk.run(&["judge", "feed.wsj", "--format", "json"]);
        assert_eq!(judged.code, 1, "{}", judged.err);
        assert_eq!(judged.json()["findings"], live["findings"], "{spread:?}");
        std::fs::remove_file(desk.path("feed.wsj")).expect("it was written");
    }
}

#[test]
fn one_client_proves_nothing_about_a_feed_but_its_cadence() {
    let desk = Desk::new();
    let file = desk.scenario(&FEED.replace("count = 6", "count = 1"));
    let ran = desk.run(&["run", file, "--format", "json"]);
    assert_eq!(ran.code, 3, "{}{}", ran.out, ran.err);
    assert_eq!(not_passed(&ran.json()), ["delivery", "duplicate", "order", "latency"].map(|check| format!("{check} inconclusive")));
    assert!(ran.err.contains("nobody to be compared with"), "said before the run already: {}", ran.err);
}
