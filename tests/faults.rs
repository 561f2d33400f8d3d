//! The matrix, end to end: each fault trips exactly the findings that name it, with the counts of the server's own log. The
//! whole of it is a step of `.ci/run` (`wsbench prove`); here are the rows that are numbers and not limits in time, so that an
//! ordinary `cargo test` on a busy machine sees every kind of account work.

use std::process::Command;

#[test]
fn faults_are_found_named_and_counted() {
    let rows =
        ["drop,", "duplicate", "reorder", "truncate", "flip", "opcode", "refuse", "close=", "replay", "after-close", "dead", "silent"];
    let output =
        Command::new(env!("CARGO_BIN_EXE_wsbench")).arg("prove").args(rows).args(["--jobs", "3"]).output().expect("the binary starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // Three of them also where the server broadcasts by itself, three while clients come and go, three while some fall silent.
    assert!(out.contains("18 of 18 faults found"), "{out}\n{err}");
    assert_eq!(output.status.code(), Some(0), "{out}\n{err}");
}

#[test]
fn a_fault_nobody_knows_is_a_usage_error() {
    let output = Command::new(env!("CARGO_BIN_EXE_wsbench")).args(["prove", "gremlin"]).output().expect("the binary starts");
    assert_eq!(output.status.code(), Some(2));
}

/// A machine too busy to be asked (exit code 3) proves nothing either way; a false alarm does.
#[test]
fn the_honest_server_trips_nothing() {
    let arguments = ["prove", "--honest", "12", "--jobs", "3", "--seed", "7"];
    let output = Command::new(env!("CARGO_BIN_EXE_wsbench")).args(arguments).output().expect("the binary starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(out.contains("0 false alarms in 12 honest runs"), "{out}\n{err}");
    assert!(matches!(output.status.code(), Some(0 | 3)), "{out}\n{err}");
}
