//! Whether all is in, asked again and again while the drain lasts.

use super::super::history::{History, ms, over_http, scenario};
use super::super::{Ledger, SendLog};
use crate::base::Span;
use crate::event::{ClosedBy, Closure, Event, Phase};
use crate::scenario::Scenario;

/// Two clients, of which the second joined late and waits for the second publication.
fn one_waits(scenario: Scenario) -> (History, Ledger) {
    let mut history = History::of(scenario);
    history.joins(0, 0).phase(Phase::Steady, 100);
    let early = history.publishes(0, 200);
    history.gets(0, 0, early, 205).joins(1, 300);
    let late = history.publishes(0, 400);
    history.gets(0, 0, late, 405);
    let (mut ledgers, log) = history.ledgers(1);
    let ledger = ledgers.remove(0);
    assert!(!ledger.all_in(&log) && !ledger.all_in(&log), "client 1 waits");
    (history, ledger)
}

fn is_all_in(history: &History, ledger: &Ledger) -> bool {
    let mut log = SendLog::empty(&history.plan);
    log.merge(ledger.send_log());
    ledger.all_in(&log)
}

#[test]
fn all_is_in_as_soon_as_what_was_waited_for_has_come() {
    let (history, mut ledger) = one_waits(scenario(2, 1));
    ledger.observe(Event::Copy(history.copy(1, 0, 1, 410)));
    assert!(is_all_in(&history, &ledger));
}

#[test]
fn what_was_never_sent_stands_for_nothing_that_was() {
    let (history, mut ledger) = one_waits(scenario(2, 1));
    for seq in [7, 8, 9] {
        ledger.observe(Event::Copy(history.copy(0, 0, seq, 410)));
    }
    assert!(!is_all_in(&history, &ledger), "client 1 still waits");
    ledger.observe(Event::Copy(history.copy(1, 0, 1, 420)));
    assert!(is_all_in(&history, &ledger), "more came than was waited for");
}

#[test]
fn who_is_lost_while_it_is_waited_for_is_waited_for_no_longer() {
    for by in [ClosedBy::Network, ClosedBy::Us] {
        let (history, mut ledger) = one_waits(scenario(2, 1));
        let conn = crate::base::ConnId(1);
        ledger.observe(Event::Closed { conn, at: ms(500), closure: Closure { by, code: None, clean: false }, detail: "" });
        assert!(is_all_in(&history, &ledger));
    }
}

#[test]
fn what_turns_out_to_be_rejected_is_waited_for_no_longer() {
    let mut scenario = scenario(2, 1);
    over_http(&mut scenario);
    let (history, mut ledger) = one_waits(scenario);
    let (publisher, seq) = (crate::base::PublisherId(0), crate::base::Seq(1));
    let took = Span::from_millis(60);
    ledger.observe(Event::Answered { publisher, seq, at: ms(460), status: 503, took, detail: "" });
    assert!(is_all_in(&history, &ledger));
}

#[test]
fn a_copy_that_does_not_count_stands_for_no_other_clients() {
    // What comes besides: the same again, a stamp nobody sent before anybody could have, a publisher that is not there.
    let besides: [fn(&mut History); 3] = [
        |history| {
            history.gets(0, 0, 0, 206);
        },
        |history| {
            let forged = history.copy(0, 0, 5, 50);
            history.events.insert(2, Event::Copy(forged));
        },
        |history| {
            history.gets(0, 9, 0, 207);
        },
    ];
    for (n, besides) in besides.into_iter().enumerate() {
        let mut history = History::of(scenario(2, 1));
        history.opens(0, 0).ready(0, 100).joins(1, 100).phase(Phase::Steady, 100);
        let seq = history.publishes(0, 200);
        history.gets(0, 0, seq, 205);
        besides(&mut history);
        let (ledgers, log) = history.ledgers(1);
        assert!(!ledgers[0].all_in(&log), "{n}: client 1 waits");
        assert_eq!((ledgers[0].progress().received, ledgers[0].progress().taken), (2, 1), "{n}");
        history.gets(1, 0, seq, 210);
        let (ledgers, log) = history.ledgers(1);
        assert!(ledgers[0].all_in(&log), "{n}");
    }
}
