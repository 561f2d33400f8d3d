//! What lies between a client and its server: compression agreed at the handshake, a proxy on the way.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Desk, QUICK, Server, not_passed};

fn with_target(line: &str) -> String {
    format!("{QUICK}\n[target]\n{line}\n")
}

#[test]
fn compression_is_offered_where_asked_and_said_to_be_agreed() {
    let desk = Desk::new();
    let compressed = |ran: &super::Ran| ran.json()["summary"]["connections"]["compressed"].clone();
    let scenario =
        with_target("deflate = true").replace("[checks.delivery]", "[checks.pong]\nevery = \"100ms\"\nprotocol = true\n[checks.delivery]");

    let inside = desk.run(&["run", desk.scenario(&scenario), "--format", "json"]);
    assert_eq!((inside.code, compressed(&inside)), (0, 5.into()), "{}{}", inside.out, inside.err);

    let taking = Server::start(&desk, &["--deflate", "--greeting", "off", "--heartbeat", "off"]);
    let ran = desk.run(&["run", "s.toml", "--url", &taking.url, "--format", "json", "--processes", "2"]);
    assert_eq!((ran.code, compressed(&ran)), (0, 5.into()), "{}{}", ran.out, ran.err);
    assert!(not_passed(&ran.json()).is_empty());

    let refusing = Server::start(&desk, &["--greeting", "off", "--heartbeat", "off"]);
    let ran = desk.run(&["run", "s.toml", "--url", &refusing.url, "--format", "json"]);
    assert_eq!((ran.code, compressed(&ran)), (0, 0.into()), "{}{}", ran.out, ran.err);
    let text = desk.run(&["run", "s.toml", "--url", &refusing.url]);
    assert!(text.out.contains("permessage-deflate agreed on 0 of 5"), "{}", text.out);

    let plain = desk.run(&["run", desk.scenario(QUICK), "--url", &taking.url, "--format", "json"]);
    assert_eq!((plain.code, compressed(&plain)), (0, serde_json::Value::Null), "not offered, not agreed");
}

/// What a copy lost in a compressed conversation is: missing.
#[test]
fn a_copy_lost_under_compression_is_missing() {
    let desk = Desk::new();
    let server = Server::start(&desk, &["--deflate", "--greeting", "off", "--heartbeat", "off", "--fault", "drop,every=10"]);
    let ran = desk.run(&["run", desk.scenario(&with_target("deflate = true")), "--url", &server.url, "--format", "json"]);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert_eq!(not_passed(&ran.json()), ["delivery fail"]);
}

/// A proxy that opens a tunnel to `server` whatever it is asked for, or answers `refusal`. Returns its address and its count.
fn proxy(server: &str, refusal: Option<&'static str>) -> (SocketAddr, Arc<AtomicUsize>) {
    let server: SocketAddr = server.trim_start_matches("ws://").trim_end_matches('/').parse().expect("an address");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let (address, tunnels) = (listener.local_addr().expect("bound"), Arc::new(AtomicUsize::new(0)));
    let counted = tunnels.clone();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let counted = counted.clone();
            std::thread::spawn(move || tunnel(client, server, refusal, &counted));
        }
    });
    (address, tunnels)
}

fn tunnel(mut client: TcpStream, server: SocketAddr, refusal: Option<&str>, tunnels: &AtomicUsize) -> Option<()> {
    let head: Vec<String> = BufReader::new(&client).lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let known = head.iter().any(|line| line == "Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=");
    if let Some(refusal) = refusal.filter(|_| !known) {
        return client.write_all(format!("HTTP/1.1 {refusal}\r\nContent-Length: 0\r\n\r\n").as_bytes()).ok();
    }
    let mut there = TcpStream::connect(server).ok()?;
    if head.first()?.starts_with("CONNECT ") {
        tunnels.fetch_add(1, Ordering::SeqCst);
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").ok()?;
    }
    let (mut from_client, mut to_client) = (client.try_clone().ok()?, client);
    let mut to_server = there.try_clone().ok()?;
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(std::net::Shutdown::Write);
    });
    std::io::copy(&mut there, &mut to_client).ok()?;
    to_client.shutdown(std::net::Shutdown::Write).ok()
}

#[test]
fn every_connection_goes_through_the_proxy() {
    let desk = Desk::new();
    let server = Server::start(&desk, &["--greeting", "off", "--heartbeat", "off"]);
    let (address, tunnels) = proxy(&server.url, None);
    desk.scenario(&with_target(&format!("proxy = \"http://{address}\"")));
    let ran = desk.run(&["run", "s.toml", "--url", &server.url, "--format", "json"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert_eq!(tunnels.load(Ordering::SeqCst), 5);

    // As the environment says; the server's name is the proxy's to resolve.
    desk.scenario(&with_target("proxy = \"env\""));
    let through = |variable: &str, no_proxy: &str| {
        let mut command = desk.command(&["run", "s.toml", "--url", "ws://chat.invalid:7000/ws", "--format", "json"]);
        command.env_remove("http_proxy").env(variable, format!("http://{address}")).env("NO_PROXY", no_proxy);
        super::Ran::of(&command.output().expect("the binary starts"))
    };
    let ran = through("HTTP_PROXY", "other.invalid");
    assert_eq!((ran.code, tunnels.load(Ordering::SeqCst)), (0, 10), "{}{}", ran.out, ran.err);
    let ran = through("HTTP_PROXY", "chat.invalid");
    assert_eq!((ran.code, tunnels.load(Ordering::SeqCst)), (4, 10), "straight, where nobody knows the name: {}", ran.err);
}

#[test]
fn a_proxy_that_refuses_is_named() {
    let desk = Desk::new();
    let server = Server::start(&desk, &["--greeting", "off", "--heartbeat", "off"]);
    let (address, tunnels) = proxy(&server.url, Some("407 Proxy Authentication Required"));
    desk.scenario(&with_target(&format!("proxy = \"http://{address}\"")));
    let ran = desk.run(&["run", "s.toml", "--url", &server.url]);
    assert_eq!(ran.code, 4, "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("proxy × 5") && ran.err.contains("the proxy answered 407"), "{}", ran.err);

    desk.scenario(&with_target(&format!("proxy = \"http://user:secret@{address}\"")));
    let ran = desk.run(&["run", "s.toml", "--url", &server.url, "--out", "results"]);
    assert_eq!((ran.code, tunnels.load(Ordering::SeqCst)), (0, 5), "{}{}", ran.out, ran.err);
    for file in std::fs::read_dir(desk.path("results")).expect("written").flatten() {
        let text = std::fs::read_to_string(file.path()).unwrap_or_default();
        assert!(!text.contains("secret"), "{:?} tells the password", file.path());
    }
    assert!(!ran.out.contains("secret") && !ran.err.contains("secret"));
}
