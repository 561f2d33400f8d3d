//! Whom a finding names: those that went wrong, and nobody where nothing did.

use super::disruptions::slow;
use super::{findings, not_passed, one, ordinary};
use crate::account::history::{History, ms, scenario};
use crate::base::ConnId;
use crate::check::Outcome;
use crate::event::{ConnectFailure, Event, Phase, StrayKind};

#[test]
fn a_client_that_got_in_at_last_is_no_witness() {
    let told = |comes: bool| {
        let mut history = History::of(scenario(3, 1));
        history.phase(Phase::Ramp, 0).joins(0, 0).joins(1, 0);
        let conn = ConnId(2);
        history.tell(Event::Connecting { conn, at: ms(0) });
        history.tell(Event::ConnectFailed { conn, at: ms(1), cause: ConnectFailure::Refused, detail: "" });
        if comes {
            history.joins(2, 50);
        }
        history.phase(Phase::Steady, 100).healthy(100, 5_000).broadcasts(0, 10).closes(5_000, 5_100);
        let account = history.over(2);
        let finding = crate::check::judge(&history.plan, &account).remove(0);
        (finding.outcome, finding.witnesses.iter().map(|witness| witness.client).collect::<Vec<_>>())
    };
    assert_eq!(told(true), (Outcome::Pass, vec![]));
    assert_eq!(told(false), (Outcome::Fail, vec![Some(2)]));
}

#[test]
fn delivery_names_no_copy_that_arrived_unreadable() {
    let mut history = ordinary(3, 1);
    history.broadcasts(0, 10);
    let seq = history.publishes(0, 500);
    history.gets(0, 0, seq, 505).gets(1, 0, seq, 505).stray(2, 505, StrayKind::Unreadable, b"ws1.garbage");
    let late = history.publishes(0, 600);
    history.gets(0, 0, late, 605).gets(1, 0, late, 1_900).gets(2, 0, late, 605).closes(5_000, 5_100);
    let finding = one(&history, "delivery");
    assert_eq!((finding.outcome, finding.violations), (Outcome::Fail, 1));
    assert_eq!(finding.witnesses.iter().map(|witness| (witness.client, witness.seq)).collect::<Vec<_>>(), [(Some(1), Some(late))]);
}

#[test]
fn isolation_names_the_copies_that_bystanders_missed() {
    let mut history = slow(5, 5);
    history.events.retain(|event| !matches!(event, Event::Copy(copy) if copy.conn == ConnId(7) && copy.planned == ms(2_100)));
    history.closes(8_000, 8_100);
    assert_eq!(not_passed(&history), [("delivery".into(), Outcome::Fail), ("isolation".into(), Outcome::Fail)]);
    let finding = one(&history, "isolation");
    assert_eq!(finding.witnesses.iter().map(|witness| witness.client).collect::<Vec<_>>(), [Some(7)]);
    assert!(findings(&history).iter().all(|finding| finding.outcome == Outcome::Fail || finding.witnesses.is_empty()));
}
