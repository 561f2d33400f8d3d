//! Planned strikes: whom they hit, what came of it in time, and what was missed meanwhile.

use std::collections::BTreeMap;

use super::super::history::{History, OFFLINE, ms, scenario, strikes};
use super::super::{Account, Disrupted, Isolation};
use crate::base::{ConnId, PublisherId, Rate, Seq, Span};
use crate::event::{ClosedBy, Event, Phase};
use crate::scenario::model::{BackOff, DeadPeerCheck, DisruptionChecks, IsolationCheck, RecoveryCheck, StrayAfterLeaveCheck, Verb};

const BACK_OFF: BackOff = BackOff { first: Span::from_millis(100), most: Span::from_secs(1), jitter: 0.0 };
const HALF_A_SECOND: Span = Span::from_millis(500);
const A_SECOND: Span = Span::from_secs(1);

/// Four clients, all there when publishing begins at 100 ms. Two seconds later clients 1 and 2 are to be struck; whatever is asked must
/// happen within a second.
fn with(verb: Verb) -> History {
    let mut scenario = scenario(4, 1);
    strikes(&mut scenario, verb, &[1, 2]);
    scenario.checks.disruption = DisruptionChecks {
        recovery: Some(RecoveryCheck { within: A_SECOND }),
        dead_peer: Some(DeadPeerCheck { within: A_SECOND, code: None }),
        stray_after_leave: Some(StrayAfterLeaveCheck { within: A_SECOND }),
        ..DisruptionChecks::default()
    };
    begun(scenario)
}

fn begun(scenario: crate::scenario::Scenario) -> History {
    let mut history = History::ordinary(scenario);
    history.phase(Phase::WarmUp, 100);
    history
}

fn offline() -> History {
    with(OFFLINE)
}

trait Strikes {
    fn is_struck(&mut self, client: u32, at: u64) -> &mut Self;
    fn is_cut_off(&mut self, client: u32, at: u64) -> &mut Self;
    fn is_interrupted(&mut self, at: u64) -> &mut Self;
    fn all_but_get(&mut self, but: &[u32], at: u64) -> &mut Self;
}

impl Strikes for History {
    fn is_struck(&mut self, client: u32, at: u64) -> &mut Self {
        let (conn, at) = (ConnId(client), ms(at));
        self.tell(Event::Disrupted { conn, at, strike: 0 }).tell(Event::Leaving { conn, at })
    }

    fn is_cut_off(&mut self, client: u32, at: u64) -> &mut Self {
        self.is_struck(client, at).is_lost(client, at, ClosedBy::Us, None)
    }

    fn is_interrupted(&mut self, at: u64) -> &mut Self {
        self.tell(Event::Interrupted { at: ms(at), detail: "Ctrl-C" })
    }

    /// A publication at `at` reaches all `but` these five milliseconds later.
    fn all_but_get(&mut self, but: &[u32], at: u64) -> &mut Self {
        let seq = self.publishes(0, at);
        for client in (0..4).filter(|client| !but.contains(client)) {
            self.gets(client, 0, seq, at + 5);
        }
        self
    }
}

fn struck(account: &Account) -> &Disrupted {
    account.disruptions.of(0).expect("somebody was struck")
}

#[test]
fn a_silent_client_is_noticed_in_time_at_the_limit_and_late_beyond_it() {
    let mut history = with(Verb::HalfOpen { span: Span::from_secs(3) });
    history.is_struck(1, 2_100).is_struck(2, 2_100);
    history.is_lost(1, 3_100, ClosedBy::Server, Some(1011)).is_lost(2, 3_101, ClosedBy::Server, Some(1011)).closes(6_000, 6_100);
    let account = history.over(2);
    let sums = struck(&account);
    assert_eq!((sums.struck, sums.noticed.count(), sums.late_noticed), (2, 2, 1));
    assert_eq!(sums.sightings.as_slice()[0].conn, Some(ConnId(2)));
}

#[test]
fn who_was_silent_when_the_run_was_cut_short_is_undecided_whoever_then_closes_it() {
    let mut history = with(Verb::HalfOpen { span: Span::from_secs(3) });
    history.is_struck(1, 2_100).is_struck(2, 2_100).is_interrupted(2_500).closes(2_500, 2_600);
    history.is_lost(1, 2_650, ClosedBy::Server, Some(1001)).is_lost(2, 2_660, ClosedBy::Us, None);
    for shards in [1, 2, 3] {
        let account = history.over(shards);
        let sums = struck(&account);
        assert_eq!((sums.struck, sums.undecided, sums.noticed.count(), sums.unnoticed), (2, 2, 0, 0));
        assert_eq!(sums.ended, BTreeMap::new(), "the run is closing: the server noticed nothing");
    }
}

#[test]
fn a_return_is_in_time_at_the_limit_and_late_beyond_it() {
    let mut history = offline();
    history.is_cut_off(1, 2_100).is_cut_off(2, 2_100).joins(1, 3_600).joins(2, 3_601).closes(6_000, 6_100);
    let account = history.over(2);
    assert_eq!((struck(&account).back.count(), struck(&account).late_back), (2, 1));
    assert_eq!(struck(&account).sightings.as_slice()[0].what, "back 1s after it was to come back");
}

#[test]
fn who_is_still_away_is_undecided_only_while_there_is_time_left() {
    // Both are to be back by 3,600 ms.
    for (close, undecided) in [(2_500, 2), (3_599, 2), (3_600, 0), (3_601, 0), (4_900, 0)] {
        let mut history = offline();
        history.is_cut_off(1, 2_100).is_cut_off(2, 2_100).is_interrupted(close).closes(close, close);
        let account = history.over(2);
        assert_eq!((struck(&account).undecided, struck(&account).never_back), (undecided, 2 - undecided), "cut short at {close}");
    }
    let mut history = offline();
    let account = history.is_cut_off(1, 2_100).is_cut_off(2, 2_100).closes(6_000, 6_100).account();
    assert_eq!((struck(&account).undecided, struck(&account).never_back), (0, 2));
}

#[test]
fn the_commands_of_a_strike_are_counted_and_the_longest_and_a_failure_kept() {
    let command = vec!["restart".to_owned()];
    let mut history = with(Verb::Server { command, span: HALF_A_SECOND, back_off: BACK_OFF });
    for (strike, took, failed, detail) in
        [(0, 300, false, ""), (0, 700, true, "exit status: 3"), (0, 100, true, "exit status: 1\x1b"), (77, 900, true, "another")]
    {
        history.tell(Event::Hook { strike, at: ms(3_000), took: Span::from_millis(took), failed, detail });
    }
    let account = history.closes(6_000, 6_100).over(2);
    let sums = struck(&account);
    assert_eq!((sums.hooks, sums.hook_longest), (3, Span::from_millis(700)));
    assert_eq!(sums.hook_failed.as_deref(), Some("exit status: 1\\u{1b}"));
}

#[test]
fn what_was_sent_up_to_the_limit_after_the_leave_may_still_come() {
    for (sent, strays) in [(3_100, 0), (3_101, 1)] {
        let mut history = with(Verb::Close);
        history.is_struck(1, 2_100).is_struck(2, 2_100).all_but_get(&[2], sent);
        history.is_lost(1, sent + 10, ClosedBy::Us, Some(1000)).is_lost(2, sent + 10, ClosedBy::Us, Some(1000)).closes(6_000, 6_100);
        assert_eq!(struck(&history.over(2)).strays, strays, "sent at {sent}");
    }
}

#[test]
fn nothing_is_stray_for_who_left_and_came_back() {
    let churn = Verb::Churn { rate: Rate::per_second(1).expect("above zero"), span: HALF_A_SECOND, back_off: BACK_OFF };
    let mut history = with(churn);
    history.is_cut_off(1, 2_100).joins(1, 2_700);
    let seq = history.publishes(0, 4_000);
    // The run is cut short with the copy on its way, and something stands behind the server's Close frame.
    history.is_interrupted(4_001).closes(4_001, 4_002).gets(1, 0, seq, 4_005);
    history.tell(Event::AfterClose { conn: ConnId(1), at: ms(4_006), publisher: PublisherId(0), seq: Seq(seq) });
    let account = history.account();
    assert_eq!((struck(&account).struck, struck(&account).strays), (1, 0));
}

#[test]
fn each_absence_begins_where_the_membership_before_it_ended() {
    let mut history = offline();
    history.is_cut_off(1, 2_100).all_but_get(&[1], 2_300).joins(1, 2_700).all_but_get(&[], 3_000);
    history.is_cut_off(1, 4_000).all_but_get(&[1], 4_200).all_but_get(&[1], 4_300).joins(1, 4_700).closes(6_000, 6_100);
    for shards in [1, 2] {
        let gap = history.over(shards).disruptions.resume;
        assert_eq!((gap.returns, gap.sent, gap.replayed), (2, 3, 0), "one the first time, two the second");
    }
}

#[test]
fn who_came_back_and_was_not_let_in_was_away_all_along() {
    let mut history = offline();
    let conn = ConnId(1);
    history.is_cut_off(1, 2_100).all_but_get(&[1], 2_300).opens(1, 2_700);
    history.tell(Event::NotReady { conn, at: ms(2_800), detail: "no greeting" }).is_lost(1, 2_801, ClosedBy::Script, None);
    let account = history.all_but_get(&[1], 2_900).joins(1, 3_000).closes(6_000, 6_100).account();
    assert_eq!((account.disruptions.resume.returns, account.disruptions.resume.sent), (1, 2));
    assert_eq!(struck(&account).back.count(), 1);
}

#[test]
fn who_was_cut_off_before_it_was_let_in_was_away_from_there_on() {
    let mut history = History::of(offline().plan.scenario.as_ref().clone());
    (0..4).filter(|client| *client != 1).for_each(|client| {
        history.joins(client, 0);
    });
    history.opens(1, 0).phase(Phase::WarmUp, 100).phase(Phase::Steady, 100).all_but_get(&[1], 1_000);
    let account = history.is_cut_off(1, 2_100).all_but_get(&[1], 2_300).joins(1, 2_700).closes(6_000, 6_100).account();
    assert_eq!((account.disruptions.resume.returns, account.disruptions.resume.sent), (1, 1));
}

#[test]
fn only_bystanders_tell_of_isolation_and_only_where_it_is_asked() {
    for asked in [true, false] {
        let mut scenario = offline().plan.scenario.as_ref().clone();
        scenario.checks.disruption.isolation = asked.then_some(IsolationCheck { slower: Span::from_millis(100) });
        let mut history = begun(scenario);
        history.all_but_get(&[1, 3], 500).is_cut_off(1, 2_100).is_cut_off(2, 2_100).joins(1, 2_650).joins(2, 2_650);
        history.is_lost(1, 2_900, ClosedBy::Server, Some(1011)).is_lost(3, 2_950, ClosedBy::Server, Some(1011)).closes(6_000, 6_100);
        for shards in [1, 2] {
            let account = history.over(shards);
            assert_eq!((account.copies.missing, account.connections.lost_total()), (2, 2));
            let isolation = &account.disruptions.isolation;
            if asked {
                assert_eq!((isolation.calm.missing, isolation.disturbed.missing), (1, 0));
                assert_eq!((isolation.calm.lost, isolation.disturbed.lost, isolation.calm.delivery.count()), (0, 1, 1));
            } else {
                assert_eq!(*isolation, Isolation::default());
            }
        }
    }
}

#[test]
fn a_copy_exactly_at_the_limit_is_in_time_for_a_bystander_too() {
    for (after, late) in [(1_000, 0), (1_001, 1)] {
        let mut scenario = offline().plan.scenario.as_ref().clone();
        scenario.checks.disruption.isolation = Some(IsolationCheck { slower: Span::from_millis(100) });
        let mut history = begun(scenario);
        let seq = history.publishes(0, 500);
        let account = history.gets(0, 0, seq, 500 + after).closes(6_000, 6_100).account();
        assert_eq!((account.disruptions.isolation.calm.late, account.copies.late), (late, late), "{after} ms");
    }
}
