//! Disruptions from the scenario to the verdict: what the plan does to clients is never the server's fault, and what the server does
//! with them is seen.

use super::herd::{self, Flaw};
use super::{Desk, Server, not_passed};

/// Four seconds, twelve clients, one publisher; a copy must come within a second.
pub(crate) const BASE: &str = r#"
name = "disrupted"
[clients]
count = 12
connect_rate = "1000/s"
[publish]
pace = { rate = "40/s" }
[phases]
steady = "4s"
drain = "2s"
[checks.delivery]
within = "1s"
[checks.instrument]
late_send = "2s"
max_loop_lag = "5s"
"#;

pub(crate) fn run(desk: &Desk, scenario: &str, arguments: &[&str]) -> (i32, serde_json::Value) {
    let ran = desk.run(&[&["run", desk.scenario(scenario), "--seed", "7", "--format", "json"], arguments].concat());
    assert!(ran.code == 0 || ran.code == 1 || ran.code == 3, "{}{}", ran.out, ran.err);
    (ran.code, ran.json())
}

pub(crate) fn finding<'a>(report: &'a serde_json::Value, check: &str) -> &'a serde_json::Value {
    report["findings"].as_array().and_then(|f| f.iter().find(|f| f["check"] == check)).unwrap_or_else(|| panic!("no {check}: {report}"))
}

#[test]
fn clients_cut_off_on_purpose_redden_nothing_and_come_back() {
    let desk = Desk::new();
    let scenario = format!(
        "{BASE}[checks.recovery]\nwithin = \"1s\"\n\
         [[disrupt]]\nverb = \"offline\"\nat = \"1s\"\nfor = \"700ms\"\nshare = \"30%\"\n\
         [[disrupt]]\nverb = \"kill\"\nat = \"1500ms\"\ncount = 2\n\
         [[disrupt]]\nverb = \"close\"\nat = \"2s\"\n"
    );
    // One plan for threads and worker processes alike.
    for extra in [&[][..], &["--threads", "2"], &["--processes", "2"]] {
        let (code, report) = run(&desk, &scenario, extra);
        assert_eq!((code, not_passed(&report)), (0, Vec::new()), "{extra:?}: {report:#}");
        let recovery = finding(&report, "recovery");
        assert_eq!(recovery["population"], 3, "30 % of 11 clients that do not publish: {recovery}");
        assert!(recovery["observed"].as_str().is_some_and(|o| o.starts_with("3 of 3 back (50 % after ")), "{recovery}");
        let connections = &report["summary"]["connections"];
        assert_eq!((&connections["opened"], &connections["lost"]), (&12.into(), &0.into()), "{connections}");
        let copies = &report["summary"]["copies"];
        assert!(copies["contested"].as_u64().is_some_and(|n| n > 0), "{copies}");
        assert_eq!(copies["missing"], 0);
        let note = finding(&report, "delivery")["note"].as_str().unwrap_or_default();
        assert!(note.contains("contested by the scenario's own disruptions ("), "{note}");
    }
}

#[test]
fn a_server_that_lets_nobody_back_in_fails_recovery_and_nothing_else() {
    let desk = Desk::new();
    let server = Server::start(&desk, &["--fault", "refuse=503,clients=12..999"]);
    let scenario =
        format!("{BASE}[checks.recovery]\nwithin = \"1s\"\n[[disrupt]]\nverb = \"offline\"\nat = \"1s\"\nfor = \"500ms\"\ncount = 4\n");
    let (code, report) = run(&desk, &scenario, &["--url", &server.url]);
    assert_eq!((code, not_passed(&report)), (1, vec!["recovery fail".to_owned()]), "{report:#}");
    let recovery = finding(&report, "recovery");
    assert_eq!((&recovery["violations"], &recovery["population"]), (&4.into(), &4.into()));
    assert!(recovery["observed"].as_str().is_some_and(|o| o.contains("4 never returned")), "{recovery}");
    assert!(recovery["note"].as_str().is_some_and(|n| n.contains("http_503 × ")), "{recovery}");
}

#[test]
fn a_publisher_cut_off_on_purpose_goes_on_where_it_stopped() {
    let desk = Desk::new();
    let scenario =
        format!("{BASE}[checks.recovery]\nwithin = \"1s\"\n[[disrupt]]\nverb = \"offline\"\nat = \"1s\"\nfor = \"500ms\"\nindices = [0]\n");
    let (code, report) = run(&desk, &scenario, &[]);
    assert_eq!((code, not_passed(&report)), (0, Vec::new()), "{report:#}");
    let publications = &report["summary"]["publications"];
    assert!(publications["dropped"]["disrupted"].as_u64().is_some_and(|n| (10..60).contains(&n)), "{publications}");
    assert_eq!(publications["planned"], 160);
}

#[test]
fn a_journal_of_a_disrupted_run_judges_alike() {
    let desk = Desk::new();
    let scenario =
        format!("{BASE}[checks.recovery]\nwithin = \"1s\"\n[[disrupt]]\nverb = \"offline\"\nat = \"1s\"\nfor = \"500ms\"\ncount = 3\n");
    let (_, live) = run(&desk, &scenario, &["--journal", "run.journal", "--threads", "2"]);
    let again = desk.run(&["judge", "run.journal", "--format", "json"]).json();
    assert_eq!(live["findings"], again["findings"]);
}

#[test]
fn the_plan_names_whom_it_strikes() {
    let desk = Desk::new();
    let scenario = format!("{BASE}[[disrupt]]\nverb = \"kill\"\nat = \"1500ms\"\ncount = 2\n");
    let file = desk.scenario(&scenario);
    let plan = |seed: &str| desk.run(&["plan", file, "--seed", seed]).out;
    assert_eq!(plan("3"), plan("3"));
    assert!(plan("3").contains("1.500000s  kill: clients "), "{}", plan("3"));
    assert!(plan("3").contains("10 of 12 clients are never disrupted"), "{}", plan("3"));
}

#[test]
fn too_much_disruption_is_no_pass() {
    let desk = Desk::new();
    // All but the publisher are cut off in the first second, and a copy has a second to come: most of it can only be contested.
    let scenario = format!("{BASE}[[disrupt]]\nverb = \"kill\"\nat = \"900ms\"\nshare = \"100%\"\n");
    let (code, report) = run(&desk, &scenario, &[]);
    assert_eq!((code, not_passed(&report)), (3, vec!["delivery inconclusive".to_owned()]), "{report:#}");
    let note = finding(&report, "delivery")["note"].as_str().unwrap_or_default();
    assert!(note.contains("more than the 50 % they may be"), "{note}");
}

/// A server of three clients that tells how each connection ended: with a Close frame, a reset, or otherwise.
fn coroner() -> (String, std::sync::mpsc::Receiver<&'static str>) {
    use tokio_tungstenite::tungstenite::{self, Error, Message};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("ws://{}/", listener.local_addr().expect("bound"));
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let tell = tell.clone();
            std::thread::spawn(move || {
                let Ok(mut socket) = tungstenite::accept(stream) else { return };
                let end = loop {
                    match socket.read() {
                        Ok(Message::Close(_)) => break "close",
                        Ok(_) => {}
                        Err(Error::Io(e)) if e.kind() == std::io::ErrorKind::ConnectionReset => break "reset",
                        Err(_) => break "otherwise",
                    }
                };
                let _ = socket.flush();
                let _ = tell.send(end);
            });
        }
    });
    (url, told)
}

#[test]
fn a_kill_is_a_reset_and_a_close_is_a_close() {
    let desk = Desk::new();
    for (verb, end) in [("kill", "reset"), ("close", "close")] {
        let (url, told) = coroner();
        let scenario = format!("[clients]\ncount = 1\n[phases]\nsteady = \"1s\"\n[[disrupt]]\nverb = \"{verb}\"\nat = \"200ms\"\n");
        let _ = run(&desk, &scenario, &["--url", &url]);
        assert_eq!(told.recv_timeout(std::time::Duration::from_secs(20)), Ok(end), "{verb}");
    }
}

#[test]
fn a_server_that_pings_notices_a_half_open_client_and_one_that_does_not_never_does() {
    let desk = Desk::new();
    let scenario = format!(
        "{BASE}[checks.dead_peer]\nwithin = \"2500ms\"\n[[disrupt]]\nverb = \"half_open\"\nat = \"500ms\"\nfor = \"3s\"\ncount = 2\n"
    );
    let server = Server::start(&desk, &["--protocol-ping", "500ms"]);
    let (code, report) = run(&desk, &scenario, &["--url", &server.url, "--processes", "2"]);
    assert_eq!((code, not_passed(&report)), (0, Vec::new()), "{report:#}");
    let observed = finding(&report, "dead_peer")["observed"].as_str().unwrap_or_default();
    assert!(observed.starts_with("2 closed, the last after "), "{observed}");
    let server = Server::start(&desk, &[]);
    let (code, report) = run(&desk, &scenario, &["--url", &server.url]);
    assert_eq!((code, not_passed(&report)), (1, vec!["dead_peer fail".to_owned()]), "{report:#}");
    assert_eq!(finding(&report, "dead_peer")["observed"], "none was closed; 2 never noticed");
}

#[test]
fn a_slow_reader_delays_nobody_but_where_writes_block() {
    let desk = Desk::new();
    let disrupt = "[[disrupt]]\nverb = \"slow_reader\"\nat = \"1500ms\"\nfor = \"2s\"\nper_second = \"1KiB\"\n";
    let scenario = format!("{}[checks.isolation]\nslower = \"500ms\"\n{disrupt}", BASE.replace("[publish]", "[publish]\nsize = \"8KiB\""));
    let (code, report) = run(&desk, &scenario, &[]);
    assert_eq!((code, not_passed(&report)), (0, Vec::new()), "{report:#}");
    let (code, report) = run(&desk, &scenario, &["--url", &herd::start(Flaw::Blocks)]);
    let failed = not_passed(&report);
    assert_eq!(code, 1, "{report:#}");
    assert!(failed.contains(&"isolation fail".to_owned()), "{failed:?}");
    assert!(failed.iter().all(|f| f.starts_with("isolation") || f.starts_with("delivery")), "{failed:?}");
}

#[test]
fn malformed_frames_hurt_only_who_sends_them_but_where_nobody_handles_errors() {
    let desk = Desk::new();
    let scenario = format!("{BASE}[checks.isolation]\nslower = \"1s\"\n[[disrupt]]\nverb = \"malformed\"\nat = \"1500ms\"\n");
    let (code, report) = run(&desk, &scenario, &[]);
    assert_eq!((code, not_passed(&report)), (0, Vec::new()), "{report:#}");
    let note = finding(&report, "isolation")["note"].as_str().unwrap_or_default();
    assert_eq!(note, "Malformed frames were answered with: 1002 × 2, 1007 × 1, 1009 × 1.");
    let (code, report) = run(&desk, &scenario, &["--url", &herd::start(Flaw::Dies)]);
    let failed = not_passed(&report);
    assert_eq!(code, 1, "{report:#}");
    assert!(failed.contains(&"isolation fail".to_owned()) && failed.contains(&"survival fail".to_owned()), "{failed:?}");
    let observed = finding(&report, "isolation")["observed"].as_str().unwrap_or_default();
    assert!(observed.ends_with("8 bystanders lost"), "{observed}");
}

#[test]
fn churn_and_storms_pass_on_an_honest_server() {
    let desk = Desk::new();
    let churn = "[[disrupt]]\nverb = \"churn\"\nrate = \"8/s\"\nfor = \"300ms\"\nshare = \"64%\"\n";
    let storm =
        "[[disrupt]]\nverb = \"reconnect\"\nat = \"1s\"\nindices = [9, 10, 11]\nback_off = { first = \"200ms\", jitter = \"100%\" }\n";
    for (disrupt, least) in [(churn, 20), (storm, 3)] {
        let scenario = format!("{BASE}[checks.recovery]\nwithin = \"1s\"\n{disrupt}");
        let (code, report) = run(&desk, &scenario, &["--threads", "2"]);
        assert_eq!((code, not_passed(&report)), (0, Vec::new()), "{report:#}");
        let recovery = finding(&report, "recovery");
        assert!(recovery["population"].as_u64().is_some_and(|n| n >= least), "{recovery}");
    }
}

#[test]
fn a_server_that_sends_after_its_close_is_stray_after_leave() {
    let desk = Desk::new();
    let server = Server::start(&desk, &["--fault", "after-close"]);
    let scenario = format!("{BASE}[checks.recovery]\nwithin = \"1s\"\n[[disrupt]]\nverb = \"churn\"\nrate = \"5/s\"\nfor = \"300ms\"\n");
    let (code, report) = run(&desk, &scenario, &["--url", &server.url]);
    assert_eq!((code, not_passed(&report)), (1, vec!["stray_after_leave fail".to_owned()]), "{report:#}");
    let witness = &finding(&report, "stray_after_leave")["witnesses"][0]["what"];
    assert_eq!(witness, "behind the server's own Close frame");
}
