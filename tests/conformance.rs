//! Known-good and known-bad servers and clients, and the verdicts the rules demand of them.

#[path = "conformance/flawed.rs"]
mod flawed;
#[path = "conformance/joined.rs"]
mod joined;

use std::time::Duration;

use flawed::{Flaw, serve};
use wsbench::base::Seed;
use wsbench::conformance::bench::{Bench, Options, Profile};
use wsbench::conformance::catalogue::all_cases;
use wsbench::conformance::run::{CaseResult, run};
use wsbench::conformance::select::select;
use wsbench::conformance::setup::Setup;
use wsbench::conformance::survey::Survey;
use wsbench::conformance::verdict::Outcome;
use wsbench::conformance::wire::stream::Target;

fn bench(port: u16, profile: Option<Profile>, jobs: usize) -> Bench {
    let target = Target::parse(&format!("ws://127.0.0.1:{port}/")).expect("a URL");
    let options = Options {
        target,
        insecure: false,
        jobs,
        scale: 1.0,
        seed: Seed(1),
        fields: Vec::new(),
        observer: false,
        profile,
        server_pid: None,
        setup: Setup::default(),
    };
    Bench::new(options).expect("a bench")
}

fn asked(bench: &Bench, selectors: &[&str]) -> Vec<CaseResult> {
    let selectors: Vec<String> = selectors.iter().map(|s| (*s).to_owned()).collect();
    let cases = select(all_cases().expect("a catalogue"), &selectors, &[]).expect("cases");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let survey = runtime.block_on(Survey::ask(bench)).expect("a server");
    run(bench, &survey, &cases, &|_| {})
}

fn words(result: &CaseResult) -> (&'static str, &'static str, &'static str) {
    (result.verdict.behavior.word(), result.verdict.close.word(), result.verdict.outcome.word())
}

fn verdict(results: &[CaseResult], id: &str) -> (&'static str, &'static str, &'static str) {
    words(results.iter().find(|r| r.case.id == id).unwrap_or_else(|| panic!("no case {id}")))
}

#[test]
fn a_sound_echo_server_passes() {
    let server = serve(Flaw::None);
    let results =
        asked(&bench(server.port, None, 16), &["1", "2", "3", "4", "5", "6.1", "6.3", "6.6", "7", "10", "C.1", "C.2", "F.1", "F.4"]);
    let wrong: Vec<_> = results
        .iter()
        .filter(|r| !matches!(r.verdict.outcome, Outcome::Pass | Outcome::Info | Outcome::NonStrict))
        .map(|r| format!("{} {:?} {}", r.case.id, words(r), r.verdict.actual))
        .collect();
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn ignoring_reserved_opcodes_fails_by_the_close_alone() {
    let server = serve(Flaw::IgnoresReserved);
    let results = asked(&bench(server.port, None, 16), &["4", "1.1.1"]);
    // The behaviour alone calls it OK: nothing was answered. That our Close went first is what shows it.
    for id in ["4.1.1", "4.1.2", "4.2.1", "4.2.2"] {
        assert_eq!(verdict(&results, id), ("OK", "FAILED", "FAIL"), "{id}");
    }
    assert_eq!(verdict(&results, "4.1.3"), ("FAILED", "FAILED", "FAIL"), "the pong behind it arrives too");
    assert_eq!(verdict(&results, "1.1.1"), ("OK", "OK", "PASS"));
}

#[test]
fn never_closing_tcp_is_not_clean() {
    let server = serve(Flaw::NeverClosesTcp);
    let results = asked(&bench(server.port, None, 16), &["1.1.1", "2.1", "5.1", "7.3.1", "7.3.2", "7.9.1", "C.3.5"]);
    // The case's own timer, begun before the wait for the end of TCP, ends first: as of the real Autobahn.
    assert_eq!(verdict(&results, "1.1.1"), ("OK", "FAILED BY CLIENT", "FAIL"));
    assert_eq!(verdict(&results, "7.3.1"), ("OK", "FAILED BY CLIENT", "FAIL"));
    assert_eq!(verdict(&results, "2.1"), ("OK", "UNCLEAN", "FAIL"));
    assert_eq!(verdict(&results, "5.1"), ("OK", "FAILED BY CLIENT", "FAIL"));
    assert_eq!(verdict(&results, "7.9.1"), ("OK", "FAILED BY CLIENT", "FAIL"));
    assert_eq!(verdict(&results, "C.3.5").2, "NON-STRICT", "a SHOULD");
}

#[test]
fn a_server_that_looks_at_nothing_gets_the_verdicts_of_the_real_autobahn() {
    let server = serve(Flaw::Lax);
    let results = asked(&bench(server.port, None, 16), &["1.1.2", "2.1", "2.5", "3.1", "3.7", "4.1.1", "F.1.1", "7.9.1", "C.2.999"]);
    for (id, behavior, close) in [
        ("1.1.2", "OK", "FAILED BY CLIENT"),
        ("2.1", "OK", "UNCLEAN"),
        // Its pong of 126 octets is heard, though it breaks a rule itself.
        ("2.5", "FAILED", "FAILED"),
        ("3.1", "FAILED", "FAILED"),
        // It answers our answer: the code of its last Close is the one that counts.
        ("3.7", "OK", "WRONG CODE"),
        ("4.1.1", "OK", "FAILED"),
        ("7.9.1", "FAILED", "WRONG CODE"),
    ] {
        assert_eq!(verdict(&results, id), (behavior, close, "FAIL"), "{id}");
    }
    assert_eq!((verdict(&results, "F.1.1").2, verdict(&results, "C.2.999").2), ("FAIL", "FAIL"));
}

#[test]
fn echoing_invalid_utf8_fails_behaviour_and_close() {
    let server = serve(Flaw::EchoesBadText);
    let results = asked(&bench(server.port, None, 16), &["6.3", "6.4.1", "6.6", "7.5", "F.6.3", "F.6.4"]);
    for id in ["6.3.1", "6.3.2", "6.6.1"] {
        assert_eq!(verdict(&results, id), ("FAILED", "FAILED", "FAIL"), "{id}");
    }
    assert_eq!(verdict(&results, "6.6.2"), ("OK", "OK", "PASS"));
    assert_eq!(verdict(&results, "6.4.1").0, "FAILED");
    assert_eq!(verdict(&results, "7.5.1"), ("FAILED", "WRONG CODE", "FAIL"));
    assert_eq!(verdict(&results, "F.6.3").2, "FAIL");
}

#[test]
fn wrong_content_of_the_right_length_is_seen_where_content_counts() {
    let server = serve(Flaw::ScramblesText);
    let results = asked(&bench(server.port, Some(Profile::Echo), 16), &["1.1.2", "9.1.1", "F.5.2"]);
    assert_eq!(verdict(&results, "1.1.2").2, "FAIL");
    assert_eq!(verdict(&results, "9.1.1"), ("OK", "OK", "PASS"), "Autobahn's limits compare kind and length only");
    assert_eq!(verdict(&results, "F.5.2").2, "FAIL");
}

#[test]
fn a_stated_limit_in_a_limits_case_is_a_limit_and_elsewhere_a_failure() {
    let server = serve(Flaw::Limit(1000));
    let results = asked(&bench(server.port, None, 8), &["1.1.6", "1.1.2", "9.1.1", "9.3.1"]);
    assert_eq!(verdict(&results, "9.1.1").2, "LIMIT");
    assert_eq!(verdict(&results, "9.3.1").2, "LIMIT");
    assert_eq!(verdict(&results, "1.1.6").2, "FAIL");
    assert_eq!(verdict(&results, "1.1.2").2, "PASS");
}

#[test]
fn a_server_that_dies_leaves_errors_and_no_gaps() {
    let server = serve(Flaw::DiesAfter(20));
    let results = asked(&bench(server.port, None, 4), &["1", "2", "3", "4", "5"]);
    assert_eq!(results.len(), 64);
    let errors = results.iter().filter(|r| r.verdict.outcome == Outcome::Error).count();
    assert!(errors >= 40, "{errors}");
    assert!(results.iter().any(|r| r.verdict.outcome == Outcome::Pass));
}

#[test]
fn a_server_without_the_extension_is_unimplemented_there() {
    let server = serve(Flaw::None);
    let results = asked(&bench(server.port, None, 8), &["12.1.1", "13.7.1", "D.3.1", "D.1.4"]);
    assert_eq!(verdict(&results, "12.1.1"), ("UNIMPLEMENTED", "OK", "UNIMPLEMENTED"));
    assert_eq!(verdict(&results, "13.7.1").2, "UNIMPLEMENTED");
    assert_eq!(verdict(&results, "D.3.1").2, "UNIMPLEMENTED");
    assert_eq!(verdict(&results, "D.1.4").2, "PASS", "declining is right");
}

#[test]
fn what_cannot_be_asked_is_skipped_with_the_reason_never_passed() {
    let server = serve(Flaw::Mute);
    let results = asked(&bench(server.port, None, 8), &["1.1.1", "2.1", "7.7.1", "B.9", "T.1"]);
    for (id, reason) in [("1.1.1", "neither"), ("B.9", "not a broadcast server"), ("T.1", "wss://")] {
        let result = results.iter().find(|r| r.case.id == id).expect("asked");
        assert_eq!(result.verdict.outcome, Outcome::Skipped, "{id}");
        assert!(result.verdict.actual.contains(reason), "{id}: {}", result.verdict.actual);
    }
    assert_eq!(verdict(&results, "2.1").2, "PASS");
    assert_eq!(verdict(&results, "7.7.1").2, "PASS");
}

#[test]
fn parallel_and_sequential_runs_agree() {
    let server = serve(Flaw::None);
    let selectors = ["1.1", "2", "3", "4", "5.1", "5.2", "5.3", "7.1", "7.3", "7.7", "H.2"];
    let outcomes = |jobs| asked(&bench(server.port, None, jobs), &selectors).iter().map(words).collect::<Vec<_>>();
    let equal = |a: &[(&str, &str, &str)], b: &[(&str, &str, &str)]| {
        let racy = |o: &str| matches!(o, "OK" | "NON-STRICT");
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a == b || (racy(a.0) && racy(b.0) && a.1 == b.1))
    };
    let (one, many) = (outcomes(1), outcomes(24));
    assert!(equal(&one, &many), "{one:?}\n{many:?}");
}

#[test]
fn a_broken_handshake_fails_every_case_and_none_is_missing() {
    let server = serve(Flaw::WrongAccept);
    let bench = bench(server.port, Some(Profile::Echo), 8);
    let cases = select(all_cases().expect("a catalogue"), &["1.1".to_owned()], &[]).expect("cases");
    let survey = wsbench::conformance::run::believed(Profile::Echo, false);
    let results = run(&bench, &survey, &cases, &|_| {});
    assert_eq!(results.len(), 8);
    assert!(results.iter().all(|r| words(r) == ("FAILED", "FAILED", "FAIL")));
    assert!(results.iter().all(|r| r.verdict.actual.contains("Sec-WebSocket-Accept") && r.took < Duration::from_secs(5)));
}

#[test]
fn the_command_line_ends_with_codes_that_mean_it() {
    let code = |arguments: &[&str]| {
        let output = assert_cmd::Command::cargo_bin("wsbench").expect("built").arg("conformance").args(arguments).output().expect("run");
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let server = serve(Flaw::None);
    let url = format!("ws://127.0.0.1:{}", server.port);
    let (status, text) = code(&[&url, "1.1.1", "2.1"]);
    assert_eq!(status, Some(0), "{text}");
    assert!(text.contains("2 PASS"), "{text}");
    let (status, text) = code(&[&url, "99.9"]);
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("99.9"), "{text}");
    assert_eq!(code(&["nonsense"]).0, Some(2));
    assert_eq!(code(&[&url, "--case", "7.7.99"]).0, Some(2));
    let (status, text) = code(&[&url, "--case", "1.1.2", "-v"]);
    assert_eq!(status, Some(0));
    assert!(text.contains("> text") && text.contains("81 fd"), "the dialogue shows words and hex: {text}");
    assert_eq!(code(&[&url, "T.1"]).0, Some(3), "nothing could be asked");
    assert_eq!(code(&["ws://127.0.0.1:1", "1.1.1"]).0, Some(4));
    let bad = serve(Flaw::IgnoresReserved);
    assert_eq!(code(&[&format!("ws://127.0.0.1:{}", bad.port), "4.1.1"]).0, Some(1));
    let (status, text) = code(&["--list", "5"]);
    assert_eq!(status, Some(0));
    assert!(text.contains("20 cases"), "{text}");
    let (status, text) = code(&["--dry-run"]);
    assert_eq!(status, Some(0));
    assert!(text.contains("754 cases would be asked"), "{text}");
}

#[test]
fn expectations_fail_on_change_in_either_direction_and_can_be_blessed() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("known.txt");
    let place = file.to_str().expect("a path");
    let (good, bad) = (serve(Flaw::None), serve(Flaw::IgnoresReserved));
    let code = |port: u16, more: &[&str]| {
        let url = format!("ws://127.0.0.1:{port}");
        let mut command = assert_cmd::Command::cargo_bin("wsbench").expect("built");
        command.args(["conformance", &url, "4.1.1", "4.1.2", "1.1.1", "--expect", place]).args(more).output().expect("run").status.code()
    };
    assert_eq!(code(bad.port, &[]), Some(2), "no such file");
    assert_eq!(code(bad.port, &["--bless"]), Some(0));
    assert!(std::fs::read_to_string(&file).expect("written").contains("4.1.1 FAIL"));
    assert_eq!(code(bad.port, &[]), Some(0), "as pinned");
    assert_eq!(code(good.port, &[]), Some(1), "an unexpected pass fails");
    std::fs::write(&file, "4.1.1 FAIL\n").expect("written");
    assert_eq!(code(bad.port, &[]), Some(1), "a new failure fails");
    std::fs::write(&file, "4.1.999 FAIL\n").expect("written");
    assert_eq!(code(bad.port, &[]), Some(2), "no such case");
}

/// Drives a client under test through every case: it echoes, or says nothing at all.
async fn drive_client(address: std::net::SocketAddr, count: usize, echoes: bool) {
    use futures::{SinkExt as _, StreamExt as _};
    for n in 1..=count {
        let url = format!("ws://{address}/runCase?case={n}&agent=tungstenite");
        let stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
        let Ok((mut client, _)) = tokio_tungstenite::client_async(url, stream).await else { panic!("case {n}: no handshake") };
        while let Some(Ok(message)) = client.next().await {
            if echoes && (message.is_text() || message.is_binary()) && client.send(message).await.is_err() {
                break;
            }
        }
    }
}

#[test]
fn clients_are_judged_by_the_same_catalogue() {
    use wsbench::conformance::clients::Clients;
    let selectors: Vec<String> = ["1.1", "2", "5.1", "5.6", "6.6", "7.1", "7.7", "F.1"].iter().map(|s| (*s).to_owned()).collect();
    let report = |echoes: bool, left_out: usize| {
        let cases = select(all_cases().expect("a catalogue"), &selectors, &[]).expect("cases");
        let clients = std::rc::Rc::new(Clients::new(cases, 1.0, false, Seed(1)));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("an address");
            let serving = std::rc::Rc::clone(&clients).serve(listener);
            let driving = drive_client(address, clients.count() - left_out, echoes);
            tokio::select! { () = serving => {}, () = driving => {} }
            // The last verdict is written when its connection has ended on both sides.
            let settled = async {
                while clients.report("tungstenite").count(Outcome::Error) > left_out {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(5), settled).await.expect("every verdict in time");
        });
        clients.report("tungstenite")
    };
    let sound = report(true, 2);
    assert_eq!(sound.count(Outcome::Error), 2, "what was never asked for is an error, not missing");
    let wrong: Vec<_> = sound.failures().filter(|r| r.outcome() == Outcome::Fail).map(|r| format!("{} {}", r.id, r.actual)).collect();
    assert_eq!(wrong, Vec::<String>::new());
    let mute = report(false, 0);
    let outcome = |id: &str| mute.cases.iter().find(|r| r.id == id).map(|r| r.outcome.as_str());
    assert_eq!((outcome("1.1.1"), outcome("2.1"), outcome("7.7.1")), (Some("FAIL"), Some("PASS"), Some("PASS")));
}

/// What `--setup` finds of a chat room: the exit code, and each case's outcome and what was seen.
fn set_up(manners: joined::Manners, arguments: &[&str]) -> (Option<i32>, std::collections::BTreeMap<String, (String, String)>, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let place = |name: &str| directory.path().join(name).to_str().expect("a path").to_owned();
    std::fs::write(place("chat.toml"), joined::SCENARIO).expect("written");
    let url = format!("ws://127.0.0.1:{}", joined::serve(manners));
    let mut command = assert_cmd::Command::cargo_bin("wsbench").expect("built");
    command.args(["conformance", &url, "--setup", &place("chat.toml"), "--json", &place("out.json")]).args(arguments);
    let output = command.output().expect("run");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(place("out.json")).unwrap_or_default()).unwrap_or_default();
    let text = |case: &serde_json::Value, key: &str| case[key].as_str().unwrap_or_default().to_owned();
    let cases = report["cases"].as_array().cloned().unwrap_or_default();
    (output.status.code(), cases.iter().map(|c| (text(c, "id"), (text(c, "outcome"), text(c, "actual")))).collect(), said)
}

#[test]
fn a_server_that_wants_a_join_is_asked_in_its_own_words() {
    let asked = ["1.1", "1.2.2", "2.1", "5.3", "5.6", "5.9", "5.19", "6.2.2", "7.1.1", "7.7.1", "F.1.6", "F.6.2", "H.1.18", "9.7.1", "B.9"];
    let (code, cases, said) = set_up(joined::Manners::All, &asked);
    assert_eq!(code, Some(0), "{said}");
    for id in ["1.1.2", "1.1.6", "2.1", "5.3", "5.6", "5.9", "5.19", "7.1.1", "7.7.1", "F.1.6"] {
        assert_eq!(cases.get(id).map(|c| c.0.as_str()), Some("PASS"), "{id}: {cases:?}");
    }
    // What its envelope cannot carry is skipped, with the reason.
    for (id, reason) in [
        ("1.1.1", "cannot be told"),
        ("1.2.2", "sends binary"),
        ("H.1.18", "before the set-up"),
        ("9.7.1", "plain echo"),
        ("B.9", "octet by octet"),
    ] {
        let (outcome, why) = cases.get(id).cloned().unwrap_or_default();
        assert!(outcome == "SKIPPED" && why.contains(reason), "{id}: {outcome}: {why}");
    }
    // A room that relays something else than was said fails.
    let (code, cases, said) = set_up(joined::Manners::Scrambles, &["5.3", "2.1", "--profile", "echo"]);
    assert_eq!(
        (code, cases.get("5.3").map(|c| c.0.as_str()), cases.get("2.1").map(|c| c.0.as_str())),
        (Some(1), Some("FAIL"), Some("PASS")),
        "{said}"
    );
}

#[test]
fn where_the_sender_is_left_out_a_second_guest_judges() {
    let (code, cases, said) = set_up(joined::Manners::Others, &["5.3", "7.1.1"]);
    assert_eq!((code, cases.get("5.3").map(|c| c.0.as_str())), (Some(3), Some("SKIPPED")), "{said}");
    assert!(cases["5.3"].1.contains("--observer"), "{said}");
    let (code, cases, said) = set_up(joined::Manners::Others, &["5.3", "5.6", "--observer"]);
    assert_eq!(
        (code, cases.get("5.3").map(|c| c.0.as_str()), cases.get("5.6").map(|c| c.0.as_str())),
        (Some(0), Some("PASS"), Some("PASS")),
        "{said}"
    );
}

#[test]
fn a_join_that_does_not_come_through_is_told_and_nothing_passes() {
    let (code, cases, said) = set_up(joined::Manners::Refuses, &["2.1", "7.7.1"]);
    assert_eq!((code, cases.len()), (Some(3), 0), "{said}");
    assert!(said.contains("step 2 of 2") && said.contains("the room is full"), "{said}");
}
