//! `run --metrics`: what is served while it runs is what is documented, and it ends with the run.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;
use std::time::Duration;

use wsbench::report::prometheus::{self, Kind};

use super::{Desk, QUICK, Ran, Server};

/// One request, as bytes; the whole answer.
fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5)).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("settable");
    stream.write_all(request.as_bytes()).expect("it takes requests");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

fn scrape(address: SocketAddr) -> String {
    let answer = ask(address, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nUser-Agent: a test\r\n\r\n");
    let (head, body) = answer.split_once("\r\n\r\n").expect("head and body");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
    body.to_owned()
}

/// A number without labels, or with these.
fn value(body: &str, series: &str) -> f64 {
    let line = body.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{series} in\n{body}"))
}

/// Scrapes a run of half a minute until `enough`, asks what it must not answer, and interrupts it.
fn watched(more: &[&str], enough: impl Fn(&str) -> bool) -> (Vec<String>, Ran) {
    let desk = Desk::new();
    desk.write("s.toml", &QUICK.replace("500ms", "30s").replace("rate = \"40/s\"", "rate = \"100/s\""));
    let server = Server::start(&desk, &[]);
    let run = [&["run", "s.toml", "--url", &server.url, "--metrics", "127.0.0.1:0", "--format", "json"], more].concat();
    let mut child = desk.command(&run).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    let said = lines.by_ref().map_while(Result::ok).find_map(|line| Some(line.strip_prefix("wsbench: metrics at http://")?.to_owned()));
    let address: SocketAddr = said.expect("where").strip_suffix("/metrics").expect("a path").parse().expect("an address");
    std::thread::spawn(move || lines.for_each(drop));
    let mut bodies = Vec::new();
    while !bodies.last().is_some_and(|body: &String| enough(body)) {
        let body = scrape(address);
        assert!(value(&body, "wsbench_run_elapsed_seconds") < 25.0, "never enough:\n{body}");
        bodies.push(body);
        std::thread::park_timeout(Duration::from_millis(20));
    }
    for (request, status) in [
        ("HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "405 Method Not Allowed"),
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "404 Not Found"),
        ("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "405 Method Not Allowed"),
        ("\u{1}\u{2}\u{3}\r\n\r\n", "400 Bad Request"),
        (&format!("GET /metrics HTTP/1.1\r\nX: {}", "x".repeat(20_000)), "400 Bad Request"),
    ] {
        let answer = ask(address, request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")) || (status.starts_with("400") && answer.is_empty()), "{answer}");
    }
    assert_eq!(std::process::Command::new("kill").arg("-INT").arg(child.id().to_string()).status().expect("kill").code(), Some(0));
    let ran = Ran::of(&child.wait_with_output().expect("it ends"));
    assert!(TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err(), "it ends with the run");
    (bodies, ran)
}

fn has(metric: &'static str) -> impl Fn(&str) -> bool {
    move |body| body.contains(&format!("wsbench_latency_seconds_count{{metric=\"{metric}\"}}"))
}

#[test]
fn a_run_can_be_watched_and_what_is_served_is_what_is_documented() {
    let (bodies, ran) = watched(&[], |body| has("delivery")(body) && has("connect")(body) && has("send_lag")(body));
    let last = bodies.last().expect("a scrape");
    let served: BTreeSet<(&str, &str)> = last.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    let word = |kind| match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    assert_eq!(served, prometheus::METRICS.iter().map(|row| (row.name, word(row.kind))).collect());
    assert_eq!((value(last, "wsbench_connections_open"), value(last, "wsbench_connections_opened_total")), (5.0, 5.0));
    assert!(value(last, "wsbench_copies_received_total") > 0.0 && value(last, "wsbench_resident_memory_bytes") > 0.0);
    assert!(value(last, "wsbench_cpu_seconds_total") > 0.0 && value(last, "wsbench_publications_planned") > 2_900.0);
    for metric in ["wsbench_copies_received_total", "wsbench_publications_sent_total", "wsbench_run_elapsed_seconds"] {
        assert!(bodies.iter().map(|body| value(body, metric)).is_sorted(), "{metric} only grows");
    }
    let report: serde_json::Value = serde_json::from_str(&ran.with(3).out).expect("JSON");
    let received = report["summary"]["copies"]["received"].as_f64().expect("a number");
    assert!(received >= value(last, "wsbench_copies_received_total"), "the report has all that was seen, and what came later");
    assert!(last.contains(&format!("run=\"{:08x}\"", report["run_id"].as_u64().expect("an id"))), "{last}");
}

#[test]
fn worker_processes_are_watched_too() {
    let (bodies, ran) = watched(&["--processes", "2"], |body| has("delivery")(body) && has("connect")(body));
    let last = bodies.last().expect("a scrape");
    assert_eq!(value(last, "wsbench_latency_seconds_count{metric=\"connect\"}"), 5.0, "of both processes");
    assert!(value(last, "wsbench_copies_received_total") > 0.0);
    ran.with(3);
}

#[test]
fn an_address_in_use_is_told_before_anything_runs() {
    let desk = Desk::new();
    desk.write("s.toml", QUICK);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it has one").to_string();
    let ran = desk.run(&["run", "s.toml", "--metrics", &address, "--out", "o"]).with(4);
    assert!(ran.err.contains(&address) && ran.err.contains("help: another process listens there"), "{}", ran.err);
    assert!(ran.out.is_empty() && !desk.path("o/report.json").exists(), "nothing ran");
    let ran = desk.run(&["run", "s.toml", "--metrics", "9464"]).with(2);
    assert!(ran.err.contains("127.0.0.1:9464"), "{}", ran.err);
}

#[test]
fn the_documented_names_are_the_served_ones() {
    let docs = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reports.md")).expect("it is there");
    assert!(docs.contains(&prometheus::docs()), "docs/reports.md must hold this table:\n{}", prometheus::docs());
}
