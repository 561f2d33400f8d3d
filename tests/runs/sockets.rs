//! Targets on Unix sockets.

use super::own::OWN;
use super::peer::serve_at;
use super::{Desk, Ran, not_passed};

#[test]
fn a_run_against_a_unix_socket_uses_no_ports() {
    let desk = Desk::new();
    desk.scenario(OWN);
    serve_at(&desk.path("app.sock"));
    let url = format!("ws+unix://{}:/hub", desk.path("app.sock").display());
    for extra in [&["--threads", "2"], &["--processes", "2"]] {
        let ran = desk.run(&[&["run", "s.toml", "--url", &url, "--format", "json"], &extra[..]].concat());
        assert_eq!((ran.code, not_passed(&ran.json())), (0, Vec::new()), "{extra:?}: {}{}", ran.out, ran.err);
        assert_eq!(ran.json()["summary"]["copies"]["owed"], 60 * 3);
    }
    // The scenario may say it too; the slashes may be missing, and its query goes before the scenario's.
    let own = OWN.replace("[target]\n", &format!("[target]\nurl = \"ws+unix:{}:/hub?room=1\"\n", desk.path("app.sock").display()));
    let ran = desk.run(&["run", desk.scenario(&own), "--format", "json"]);
    assert_eq!(ran.code, 1, "clients of room 2 are in room 1: {}{}", ran.out, ran.err);
    assert!(not_passed(&ran.json()).contains(&"connect fail".to_owned()), "{}", ran.out);
}

/// Each room has a server of its own: the socket is part of where a client goes.
#[test]
fn a_groups_url_may_name_the_socket_by_a_variable() {
    let desk = Desk::new();
    for room in ["1", "2"] {
        serve_at(&desk.path(&format!("{room}.sock")));
    }
    let url = format!("url = \"ws+unix://{}/{{room}}.sock:/hub\"\n", desk.path("").display().to_string().trim_end_matches('/'));
    let own = OWN.replace("[clients]\n", &format!("[clients]\n{url}"));
    let ran = desk.run(&["run", desk.scenario(&own), "--url", "ws://127.0.0.1:1", "--format", "json"]);
    assert_eq!((ran.code, not_passed(&ran.json())), (0, Vec::new()), "{}{}", ran.out, ran.err);
}

#[test]
fn a_socket_that_is_not_there_is_named() {
    let desk = Desk::new();
    let url = format!("ws+unix://{}:/hub", desk.path("none.sock").display());
    let ran = desk.run(&["run", desk.scenario(OWN), "--url", &url]);
    assert_eq!(ran.code, 4, "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("none.sock"), "{}", ran.err);
    let ran = desk.run(&["run", "s.toml", "--url", "ws+unix://none.sock"]);
    assert_eq!(ran.code, 2, "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("not absolute") && ran.err.contains("ws+unix:///"), "{}", ran.err);
    let proxied = OWN.replace("[target]\n", "[target]\nproxy = \"http://127.0.0.1:1\"\n");
    let ran = desk.run(&["run", desk.scenario(&proxied), "--url", &url]);
    assert_eq!(ran.code, 4, "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("no proxy leads there"), "{}", ran.err);
}

#[test]
fn connect_and_init_speak_to_a_unix_socket() {
    let desk = Desk::new();
    serve_at(&desk.path("app.sock"));
    let url = format!("ws+unix://{}:/hub?room=a&id=3", desk.path("app.sock").display());
    let ran = desk.run(&["connect", &url, "--wait", "200ms"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("welcome to a"), "{}", ran.out);
    let Ran { code, out, err } = desk.run(&["init", &url, "--watch", "500ms"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("app.sock:/hub"), "{out}");
}
