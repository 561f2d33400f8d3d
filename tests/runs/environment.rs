//! An environment that does not allow the run: a clear error, the right code, and nothing lost.

use super::{Desk, QUICK};

#[test]
fn an_environment_that_does_not_allow_it_ends_with_4() {
    let desk = Desk::new();
    let file = desk.scenario(QUICK);
    std::fs::create_dir(desk.path("taken")).expect("writable");
    std::fs::write(desk.path("taken/report.json"), "{}").expect("writable");
    std::fs::write(desk.path("file"), "").expect("writable");
    for (arguments, says) in [
        (&["run", file, "--out", "file/below"][..], "cannot make the directory"),
        (&["run", file, "--out", "taken"], "already there"),
        (&["run", file, "--url", "ws://127.0.0.1:1"], "nothing listens there"),
        (&["run", file, "--url", "ws://no-such-name.invalid"], "cannot resolve"),
    ] {
        let ran = desk.run(arguments);
        assert_eq!((ran.code, ran.out.as_str()), (4, ""), "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains(says), "{arguments:?}: expected `{says}` in\n{}", ran.err);
    }
    assert_eq!(std::fs::read_to_string(desk.path("taken/report.json")).expect("still there"), "{}", "nothing is lost");
    assert_eq!(std::fs::read_dir(desk.path("taken")).expect("there").count(), 1, "and nothing half-written is left");
}

/// A report on a full disk is no report.
#[cfg(target_os = "linux")]
#[test]
fn a_report_that_cannot_be_printed_is_no_pass() {
    let desk = Desk::new();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("every Linux has it");
    let output = desk.command(&["run", desk.scenario(QUICK), "--quiet"]).stdout(full).output().expect("the binary starts");
    let ran = super::Ran::of(&output);
    assert_eq!(ran.code, 4, "{}", ran.err);
    assert!(ran.err.contains("cannot write to standard output: No space left"), "{}", ran.err);
}

/// Answers every connection with `answer` and closes it.
fn answering(answer: &'static [u8]) -> std::net::SocketAddr {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 2048]);
            let _ = stream.write_all(answer);
        }
    });
    address
}

#[test]
fn whatever_is_no_websocket_server_is_called_what_it_is() {
    let desk = Desk::new();
    let file = desk.scenario(QUICK);
    for (answer, says) in [
        (&b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"[..], "http_200"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "http_404"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "bad_upgrade"),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
            "bad_accept",
        ),
        (b"", "reset"),
    ] {
        let ran = desk.run(&["run", file, "--url", &format!("ws://{}", answering(answer))]);
        assert_eq!(ran.code, 4, "{}", ran.err);
        assert!(ran.err.contains(says), "expected `{says}` in\n{}", ran.err);
    }
}

#[test]
fn a_certificate_that_does_not_verify_is_refused_unless_told_otherwise() {
    let desk = Desk::new();
    let file = desk.scenario(QUICK);
    let server = super::Server::start(&desk, &["--tls-self-signed"]);
    let ran = desk.run(&["run", file, "--url", &server.url]);
    assert_eq!(ran.code, 4, "{}", ran.err);
    assert!(ran.err.contains("tls") && ran.err.contains("--insecure"), "{}", ran.err);
    let ran = desk.run(&["run", file, "--url", &server.url, "--insecure"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
}

#[test]
fn too_low_a_limit_on_open_files_is_said_before_connecting() {
    let desk = Desk::new();
    let file = desk.scenario(&QUICK.replace("count = 5", "count = 500"));
    let binary = env!("CARGO_BIN_EXE_wsbench");
    let script = format!("ulimit -n 128 && exec {binary} run {file} --url ws://127.0.0.1:1 --processes 1");
    let output = std::process::Command::new("sh").args(["-c", &script]).current_dir(desk.path("")).output().expect("a shell");
    let ran = super::Ran::of(&output);
    assert_eq!(ran.code, 4, "{}", ran.err);
    assert!(ran.err.contains("564") && ran.err.contains("128") && ran.err.contains("ulimit -Hn"), "{}", ran.err);
}
