//! Targets that cannot be tested: each ends with 4 and a sentence on what to do. The servers here are a few lines of
//! standard library that misbehave on purpose.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;

use super::{Serving, scenario, scratch, short_scenario, wsbench};

const TWO: &str = "[clients]\ncount = 2\n[target]\nconnect_timeout = \"1s\"\n[phases]\nsteady = \"500ms\"\nramp_limit = \"5s\"\n";

/// Answers every connection with `answer` once its request has been read. Lives as long as the test process.
fn answering(answer: impl Fn(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let port = listener.local_addr().expect("bound").port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut request = BufReader::new(&stream);
            let mut line = String::new();
            while request.read_line(&mut line).is_ok_and(|n| n > 2) {
                line.clear();
            }
            answer(stream);
        }
    });
    format!("ws://127.0.0.1:{port}/")
}

fn saying(text: &'static str) -> String {
    answering(move |mut stream| {
        // The client may have gone; that is its business.
        let _ = stream.write_all(text.as_bytes());
    })
}

#[track_caller]
fn unreachable(url: &str, says: &[&str]) {
    let directory = scratch();
    let path = scenario(directory.path(), TWO);
    wsbench(["run", &path, "--url", url]).with(4).saying(says);
}

#[test]
fn nobody_listens() {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("loopback").port();
    unreachable(&format!("ws://127.0.0.1:{port}/"), &["refused", "is the server running"]);
}

#[test]
fn the_name_leads_nowhere() {
    // `.invalid` never resolves (RFC 6761 section 6.4).
    unreachable("ws://wsbench.invalid/", &["wsbench.invalid"]);
}

#[test]
fn a_plain_http_server() {
    unreachable(&saying("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), &["http_200", "plain HTTP"]);
    unreachable(&saying("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"), &["http_403"]);
    unreachable(&saying("SSH-2.0-OpenSSH_9.2\r\n\r\n"), &[]);
}

#[test]
fn a_wrong_accept_key() {
    let wrong = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n";
    unreachable(&saying(wrong), &["bad_accept"]);
}

#[test]
fn a_server_that_says_nothing() {
    let (held, holding) = std::sync::mpsc::channel();
    let url = answering(move |stream| held.send(stream).expect("the test holds the other end"));
    unreachable(&url, &["timeout"]);
    drop(holding);
}

#[test]
fn a_server_that_hangs_up() {
    unreachable(&answering(drop), &[]);
}

#[test]
fn a_certificate_nobody_vouches_for() {
    let server = Serving::with(&["--tls-self-signed"]);
    assert!(server.url.starts_with("wss://"), "{}", server.url);
    let directory = scratch();
    let path = short_scenario(directory.path(), "");
    wsbench(["run", &path, "--url", &server.url]).with(4).saying(&["tls", "--insecure"]);
    wsbench(["run", &path, "--url", &server.url, "--insecure"]).with(0);
    wsbench(["run", &path, "--url", &server.url, "--ca", "nowhere.pem"]).with(4).saying(&["nowhere.pem"]);
}

#[test]
fn a_secret_in_a_url_is_not_repeated() {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("loopback").port();
    let directory = scratch();
    let path = scenario(directory.path(), TWO);
    let ended = wsbench(["run", &path, "-v", "--url", &format!("ws://127.0.0.1:{port}/ws?token=hunter2")]).with(4);
    assert!(!ended.stderr.contains("hunter2") && !ended.stdout.contains("hunter2"), "{}{}", ended.stdout, ended.stderr);
}
