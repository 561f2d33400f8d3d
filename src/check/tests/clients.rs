//! Connections, and the instrument itself.

use super::{not_passed, one, only, ordinary, pings, with_heartbeat, with_pong};
use crate::account::history::{History, ms, scenario};
use crate::base::{ConnId, Span};
use crate::check::Outcome;
use crate::event::{ClosedBy, ConnectFailure, DropCause, Event, Mishap, Phase, PingLevel};

#[test]
fn a_lost_connection_is_survival_and_nothing_else() {
    let mut history = History::ordinary(with_heartbeat(with_pong(scenario(3, 1))));
    for client in 0..3 {
        history.beats(client, [1_000]);
        pings(&mut history, client, PingLevel::Application, 0, 500, Some(5));
    }
    history.broadcasts(0, 10);
    pings(&mut history, 2, PingLevel::Application, 1, 1_450, None);
    let seq = history.publishes(0, 1_450);
    history.gets(0, 0, seq, 1_455).gets(1, 0, seq, 1_455).is_lost(2, 1_460, ClosedBy::Server, Some(1011));
    let seq = history.publishes(0, 1_470);
    history.gets(0, 0, seq, 1_475).gets(1, 0, seq, 1_475).beats(0, [2_000]).beats(1, [2_000]).closes(2_600, 2_700);
    let finding = only(&history, "survival");
    assert_eq!(finding.observed, "1 ended: 1 closed by the server (close codes: 1011 × 1)");
    assert_eq!(finding.witnesses[0].client, Some(2));
}

#[test]
fn a_lost_publisher_does_not_make_the_instrument_unfit() {
    let mut history = ordinary(3, 1);
    history.broadcasts(0, 10).is_lost(0, 1_900, ClosedBy::Network, None).drops_publication(0, 2_000, DropCause::NotOpen);
    history.closes(5_000, 5_100);
    only(&history, "survival");
}

#[test]
fn clients_turned_away_fail_connect() {
    let mut history = History::of(scenario(4, 1));
    history.joins(0, 0).joins(1, 0).joins(2, 0).phase(Phase::Steady, 100);
    let conn = ConnId(3);
    history.tell(Event::Connecting { conn, at: ms(0) });
    history.tell(Event::ConnectFailed { conn, at: ms(1), cause: ConnectFailure::HttpStatus(503), detail: "busy" });
    history.healthy(100, 4_000);
    for n in 0..10 {
        let seq = history.publishes(0, 200 + n);
        (0..3).for_each(|client| {
            history.gets(client, 0, seq, 210 + n);
        });
    }
    history.closes(5_000, 5_100);
    let finding = only(&history, "connect");
    assert_eq!(finding.observed, "3 opened (75.0 %); http_503 1");
    assert!(finding.note.contains("turns clients away"));
}

#[test]
fn our_own_limits_are_not_held_against_the_server() {
    let mut history = History::of(scenario(2, 1));
    history.joins(0, 0).phase(Phase::Steady, 100);
    let conn = ConnId(1);
    history.tell(Event::ConnectFailed { conn, at: ms(1), cause: ConnectFailure::LocalLimit, detail: "too many open files" });
    for n in 0..10 {
        let seq = history.publishes(0, 200 + n);
        history.gets(0, 0, seq, 210 + n);
    }
    history.closes(5_000, 5_100);
    assert_eq!(not_passed(&history), [("connect".into(), Outcome::Inconclusive)]);
}

#[test]
fn the_instrument_speaks_against_itself() {
    let tell = |tell: &dyn Fn(&mut History)| {
        let mut history = ordinary(3, 1);
        history.broadcasts(0, 50);
        tell(&mut history);
        history.closes(5_000, 5_100);
        let finding = one(&history, "instrument");
        assert_eq!(finding.outcome, Outcome::Inconclusive, "{finding:#?}");
        finding.note
    };
    let late = tell(&|h| {
        let seq = h.publishes_late(0, 1_000, 1_100);
        h.all_get(0, seq, 1_105);
    });
    assert!(late.contains("sent more than 20ms late"), "{late}");
    assert!(
        tell(&|h| (1..20).for_each(|n| {
            h.lag(1_000 + n, 80);
        }))
        .contains("event loop woke")
    );
    assert!(
        tell(&|h| {
            h.drops_publication(0, 900, DropCause::BackPressure);
        })
        .contains("did not read")
    );
    assert!(
        tell(&|h| {
            h.drops_publication(0, 900, DropCause::NotOpen);
        })
        .contains("not open")
    );
    let mut never_steady = History::of(scenario(3, 1));
    (0..3).for_each(|client| {
        never_steady.joins(client, 0);
    });
    never_steady.phase(Phase::WarmUp, 100).broadcasts(0, 10).closes(5_000, 5_100);
    assert!(one(&never_steady, "instrument").note.contains("never reached"));
}

#[test]
fn a_machine_that_slept_or_a_coordinator_that_stood_still_proves_nothing_in_time() {
    for (mishap, says) in [
        (Mishap { asleep: Span::from_secs(90), ..Mishap::default() }, "The machine was suspended for 90s"),
        (Mishap { stood_still: Span::from_secs(4), ..Mishap::default() }, "The process that coordinates the workers (and is the built-in"),
    ] {
        let mut history = ordinary(3, 1);
        history.broadcasts(0, 50);
        history.tell(Event::Mishap { at: ms(1_000), mishap }).closes(5_000, 5_100);
        let finding = one(&history, "instrument");
        assert_eq!(finding.outcome, Outcome::Inconclusive, "{finding:#?}");
        assert!(finding.note.contains(says), "{}", finding.note);
        assert_eq!(not_passed(&history), [("instrument".into(), Outcome::Inconclusive)], "what was seen was seen");
    }
}

#[test]
fn a_wall_clock_that_was_set_is_told_and_changes_nothing() {
    let mut history = ordinary(3, 1);
    history.broadcasts(0, 50);
    for wall_set_ns in [3_600_000_000_000, -1_800_000_000_000] {
        history.tell(Event::Mishap { at: ms(1_000), mishap: Mishap { wall_set_ns, ..Mishap::default() } });
    }
    history.closes(5_000, 5_100);
    assert_eq!(not_passed(&history), []);
    let note = one(&history, "instrument").note;
    assert_eq!(note, "The wall clock was set during the run (2 times, forward by 30m in all): nothing here is measured by it.");
    let mut back = ordinary(3, 1);
    back.broadcasts(0, 50);
    back.tell(Event::Mishap { at: ms(1_000), mishap: Mishap { wall_set_ns: -1_800_000_000_000, ..Mishap::default() } });
    let note = one(back.closes(5_000, 5_100), "instrument").note;
    assert_eq!(note, "The wall clock was set during the run (once, back by 30m in all): nothing here is measured by it.");
}
