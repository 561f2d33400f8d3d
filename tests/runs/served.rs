//! `wsbench serve` in one terminal, `wsbench run` in another.

use super::{Desk, Server};

#[test]
fn the_first_scenario_against_a_server_of_its_own() {
    let desk = Desk::new();
    let server = Server::start(&desk, &["--heartbeat", "1s"]);
    let scenario = r#"
name = "both ends"
[clients]
count = 10
connect_rate = "1000/s"
greeting = "something"
[publish]
publishers = 3
pace = { rate = "30/s" }
size = { min = "64B", max = "2KiB" }
[phases]
warm_up = "500ms"
steady = "2s"
drain = "5s"
[checks.delivery]
within = "5s"
[checks.pong]
every = "500ms"
within = "450ms"
send = "ping"
protocol = true
expect = { json = { type = 0, message = "pong" } }
[checks.heartbeat]
expect = { json = { type = 1, message = "ping" } }
every = "1s"
tolerance = "800ms"
[checks.instrument]
late_send = "2s"
max_loop_lag = "5s"
"#;
    let ran = desk.run(&["run", desk.scenario(scenario), "--url", &server.url, "--format", "json"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let summary = &ran.json()["summary"];
    assert_eq!(summary["copies"]["owed"], 750);
    assert_eq!(summary["connections"]["greetings"], 10);
    assert!(summary["heartbeat"]["beats"].as_u64().is_some_and(|n| n >= 20), "{}", summary["heartbeat"]);
    assert!(summary["pong"]["levels"]["protocol"]["on_time"].as_u64().is_some_and(|n| n > 0), "{}", summary["pong"]);
}

#[test]
fn plain_http_on_the_same_port() {
    use std::io::{Read as _, Write as _};
    let desk = Desk::new();
    let server = Server::start(&desk, &[]);
    let address = server.url.trim_start_matches("ws://").trim_end_matches('/').to_owned();
    let get = |path: &str| {
        let mut stream = std::net::TcpStream::connect(&address).expect("it listens");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer
    };
    assert!(get("/healthz").starts_with("HTTP/1.1 200"));
    assert!(get("/metrics").contains("# TYPE"));
    assert!(get("/anything").starts_with("HTTP/1.1 426"));
}
