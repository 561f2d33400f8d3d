//! `wsbench connect`, by pipe.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Stdio;

use wsbench::wire::handshake::accept;

use super::{Desk, Ran, Server};

fn piped(desk: &Desk, arguments: &[&str], input: &[u8]) -> Ran {
    let mut command = desk.command(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    // It may be gone before it has read all; what it said then tells why.
    let _ = child.stdin.take().expect("piped").write_all(input);
    Ran::of(&child.wait_with_output().expect("it ends"))
}

/// A server that answers one handshake, says `frames`, and hands back everything it was sent, decoded by nobody.
fn scripted(fields: &'static str, frames: Vec<u8>) -> (String, std::thread::JoinHandle<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let url = format!("ws://{}/feed?x=1", listener.local_addr().expect("bound"));
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("a whole request");
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).expect("ASCII");
        let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).expect("a key");
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n{fields}\r\n",
            accept(key)
        );
        stream.write_all(&[answer.as_bytes(), &frames].concat()).expect("it listens");
        let mut sent = Vec::new();
        let _ = stream.read_to_end(&mut sent);
        (head, sent)
    });
    (url, server)
}

#[test]
fn lines_are_sent_and_what_comes_back_is_shown() {
    let desk = Desk::new();
    let server = Server::start(&desk, &[]);
    let ran = piped(&desk, &["connect", &server.url, "--ping", "--wait", "2s"], b"one\ntwo \x1b[2J\r\nno end").with(0);
    for line in
        ["→ ping         1 B  1", "→ text         3 B  one", "← text         3 B  one", "B  two \\u{1b}[2J", "← text         6 B  no end"]
    {
        assert!(ran.out.contains(line), "`{line}` in\n{}", ran.out);
    }
    assert!(ran.out.contains("← pong") && ran.out.contains("(answered after "), "{}", ran.out);
    assert!(ran.out.contains("→ close        2 B  1000") && ran.out.contains("← close        2 B  1000"), "{}", ran.out);
    assert!(!ran.out.contains('\u{1b}'), "nothing from the network reaches the terminal as it is");
    assert!(ran.err.starts_with("open after "), "{}", ran.err);
}

#[test]
fn the_code_asked_for_closes() {
    let desk = Desk::new();
    let server = Server::start(&desk, &[]);
    let ran = desk.run(&["connect", &server.url, "--close", "4001", "--wait", "0s"]).with(0);
    assert!(ran.out.contains("→ close        2 B  4001"), "{}", ran.out);
    let ran = desk.run(&["connect", &server.url, "--close", "1005"]).with(2);
    assert!(ran.err.contains("RFC 6455 7.4"), "{}", ran.err);
}

#[test]
fn headers_and_subprotocols_are_offered_and_pings_answered() {
    let desk = Desk::new();
    let frames = [&[0x82, 3, 0, 0xff, 0x1b][..], &[0x89, 2, b'h', b'i'], &[0x88, 5, 0x0f, 0xa0, b'b', b'y', b'e']].concat();
    let (url, server) = scripted("Sec-WebSocket-Protocol: feed.v2\r\n", frames);
    let ran = desk.run(&["connect", &url, "--header", "X-Token: a:b", "--subprotocol", "feed.v1,feed.v2", "--wait", "60s"]).with(0);
    let (head, sent) = server.join().expect("it ends");
    assert!(head.starts_with("GET /feed?x=1 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("X-Token: a:b\r\n") && head.contains("Sec-WebSocket-Protocol: feed.v1, feed.v2\r\n"), "{head}");
    assert!(ran.err.contains("subprotocol feed.v2"), "{}", ran.err);
    for line in ["← binary       3 B  00 ff 1b", "← ping         2 B  hi", "→ pong         2 B  hi", "← close        5 B  4000 bye"]
    {
        assert!(ran.out.contains(line), "`{line}` in\n{}", ran.out);
    }
    // A masked pong of two bytes, then a masked Close of two.
    assert_eq!((sent.len(), sent[0], sent[1], sent[8], sent[9]), (16, 0x8a, 0x82, 0x88, 0x82));
}

#[test]
fn every_bad_end_has_its_code() {
    let desk = Desk::new();
    let (url, server) = scripted("", vec![0x83, 0]);
    let ran = desk.run(&["connect", &url, "--wait", "60s"]).with(1);
    assert!(ran.err.contains("RFC 6455 5.2"), "{}", ran.err);
    server.join().expect("it ends");
    let ran = desk.run(&["connect", "ws://127.0.0.1:1"]).with(4);
    assert!(ran.err.contains("cannot open ws://127.0.0.1:1"), "{}", ran.err);
    desk.run(&["connect", "http://127.0.0.1:1"]).with(2);
    desk.run(&["connect", "ws://127.0.0.1:1", "--header", "nonsense"]).with(2);
}
