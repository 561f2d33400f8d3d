//! Disruptions: what the plan does to clients is not the server's doing, and what it contests is told apart.

use super::{findings, not_passed, one};
use crate::account::history::{History, OFFLINE, ms, scenario, strikes};
use crate::base::{ConnId, PublisherId, Seq, Span};
use crate::check::Outcome;
use crate::event::{ClosedBy, Closure, ConnectFailure, Event, Phase};
use crate::scenario::Scenario;
use crate::scenario::model::{DeadPeerCheck, IsolationCheck, RecoveryCheck, Resume, StrayAfterLeaveCheck, Verb};

/// Clients 1 and 2 of so many are cut off two seconds after publishing begins (at 2,100 ms) for half a second, and may take a second
/// to come back.
pub(super) fn offline(clients: u32) -> Scenario {
    let mut scenario = scenario(clients, 1);
    strikes(&mut scenario, OFFLINE, &[1, 2]);
    scenario.checks.disruption.recovery = Some(RecoveryCheck { within: Span::from_secs(1) });
    scenario
}

pub(super) trait Strikes {
    fn begins(clients: u32) -> Self;
    fn begins_with(scenario: Scenario) -> Self;
    fn is_struck(&mut self, client: u32, at: u64) -> &mut Self;
    fn is_cut_off(&mut self, client: u32, at: u64) -> &mut Self;
    fn fails_to_return(&mut self, client: u32, at: u64, cause: ConnectFailure) -> &mut Self;
}

impl Strikes for History {
    /// Everybody is there, publishing begins at 100, and the first ten publications are out and in by 305.
    fn begins(clients: u32) -> Self {
        Self::begins_with(offline(clients))
    }

    fn begins_with(scenario: Scenario) -> Self {
        let clients = scenario.groups[0].count;
        let mut history = Self::of(scenario);
        history.phase(Phase::Ramp, 0);
        (0..clients).for_each(|client| {
            history.joins(client, 0);
        });
        history.phase(Phase::WarmUp, 100).phase(Phase::Steady, 100).healthy(100, 10_000).broadcasts(0, 10);
        history
    }

    fn is_struck(&mut self, client: u32, at: u64) -> &mut Self {
        let (conn, at) = (ConnId(client), ms(at));
        self.tell(Event::Disrupted { conn, at, strike: 0 }).tell(Event::Leaving { conn, at })
    }

    fn is_cut_off(&mut self, client: u32, at: u64) -> &mut Self {
        self.is_struck(client, at);
        let (conn, at) = (ConnId(client), ms(at));
        self.tell(Event::Closed { conn, at, closure: Closure { by: ClosedBy::Us, code: None, clean: false }, detail: "" })
    }

    fn fails_to_return(&mut self, client: u32, at: u64, cause: ConnectFailure) -> &mut Self {
        let conn = ConnId(client);
        self.tell(Event::Connecting { conn, at: ms(at) }).tell(Event::ConnectFailed { conn, at: ms(at), cause, detail: "" })
    }
}

#[test]
fn clients_that_come_back_in_time_redden_nothing() {
    let mut history = History::begins(20);
    let seq = history.publishes(0, 2_050);
    (0..20).filter(|client| *client != 2).for_each(|client| {
        history.gets(client, 0, seq, 2_055);
    });
    // The copy for client 2 was on its way when it was cut off: contested, and the plan's doing.
    history.is_cut_off(1, 2_100).is_cut_off(2, 2_101);
    history.fails_to_return(2, 2_601, ConnectFailure::Refused).joins(1, 2_610).joins(2, 2_710);
    let seq = history.publishes(0, 3_000);
    history.all_get(0, seq, 3_005).closes(5_000, 5_100);
    assert_eq!(not_passed(&history), []);
    let recovery = one(&history, "recovery");
    assert_eq!(recovery.observed, "2 of 2 back (50 % after 10ms, 95 % after 110ms, 100 % after 110ms)");
    assert_eq!((recovery.population, recovery.note.as_str()), (2, "Attempts that failed on the way: refused × 1."));
    assert_eq!((recovery.population_unit.as_str(), recovery.expected.as_str()), ("returns", "every one of 2 returns within 1s"));
    let account = history.over(2);
    assert_eq!((account.copies.contested, account.copies.contested_planned, account.copies.owed), (2, 2, 238));
    assert_eq!((account.connections.opened, account.connections.returned, account.connections.attempts), (20, 2, 20));
    assert!(one(&history, "delivery").note.contains("2 copies are contested by the scenario's own disruptions (0.83 %)."));
}

#[test]
fn late_and_never_are_recovery_and_nothing_else() {
    let mut history = History::begins(20);
    history.is_cut_off(1, 2_100).is_cut_off(2, 2_100).joins(1, 4_000).closes(6_000, 6_100);
    assert_eq!(not_passed(&history), [("recovery".into(), Outcome::Fail)]);
    let finding = one(&history, "recovery");
    assert_eq!((finding.violations, finding.witnesses.len()), (2, 2));
    assert_eq!(finding.note, "No attempt to come back failed, and yet they are not members.");
    assert_eq!(finding.observed, "1 of 2 back (50 % after 1.4s, 95 % never, 100 % never); 1 too late, 1 never returned (50.0 %)");
}

#[test]
fn who_still_had_time_when_the_run_was_cut_short_is_undecided() {
    let mut history = History::begins(20);
    history.is_cut_off(1, 2_100).is_cut_off(2, 2_100).joins(1, 2_700);
    history.tell(Event::Interrupted { at: ms(3_000), detail: "Ctrl-C" }).closes(3_000, 3_000);
    let finding = one(&history, "recovery");
    assert_eq!((finding.outcome, finding.violations, finding.population), (Outcome::Inconclusive, 0, 1));
}

#[test]
fn our_own_limits_are_no_failure_of_the_server() {
    let mut history = History::begins(20);
    history.is_cut_off(1, 2_100).fails_to_return(1, 2_600, ConnectFailure::LocalLimit).closes(6_000, 6_100);
    assert_eq!(not_passed(&history), [("recovery".into(), Outcome::Inconclusive)]);
}

#[test]
fn nobody_there_to_be_cut_off_is_no_pass() {
    let mut history = History::begins(20);
    history.closes(6_000, 6_100);
    assert_eq!(not_passed(&history), [("recovery".into(), Outcome::Inconclusive)]);
    assert!(one(&history, "recovery").note.contains("nobody was there"));
}

#[test]
fn a_loss_after_the_return_is_the_servers_again() {
    let mut history = History::begins(20);
    history.is_cut_off(1, 2_100).is_cut_off(2, 2_100).joins(1, 2_650).joins(2, 2_650);
    history.is_lost(1, 4_000, ClosedBy::Server, Some(1011)).closes(6_000, 6_100);
    assert_eq!(not_passed(&history), [("survival".into(), Outcome::Fail)]);
}

#[test]
fn a_strike_nobody_planned_is_nothing() {
    let mut history = History::begins(20);
    history.is_cut_off(1, 2_100).is_cut_off(2, 2_100).joins(1, 2_650).joins(2, 2_650);
    history.tell(Event::Disrupted { conn: ConnId(3), at: ms(3_000), strike: 77 }).closes(6_000, 6_100);
    assert!(findings(&history).iter().all(|finding| finding.outcome == Outcome::Pass));
}

#[test]
fn what_the_plan_contests_may_be_up_to_half() {
    // Half of the copies of two seconds, when a copy has a second to come.
    let outcome = |struck: u32| {
        let mut history = History::begins(10);
        for n in 0..100 {
            let seq = history.publishes(0, 1_200 + 10 * n);
            history.all_get(0, seq, 1_201 + 10 * n);
        }
        (1..=struck).for_each(|client| {
            history.is_cut_off(client, 2_210).joins(client, 2_650);
        });
        history.closes(6_000, 6_100);
        one(&history, "delivery").outcome
    };
    assert_eq!((outcome(5), outcome(6)), (Outcome::Pass, Outcome::Inconclusive));
}

/// The first disruption of [`offline`], with another verb.
pub(super) fn with_verb(clients: u32, verb: Verb) -> Scenario {
    let mut scenario = offline(clients);
    scenario.disrupt[0].verb = verb;
    scenario.checks.disruption = Default::default();
    scenario
}

/// Twenty clients, of which two fall silent at 2,100 ms for three seconds; the server may take a second, and must say 1011 if so asked.
pub(super) fn silent(code: Option<u16>) -> History {
    let mut scenario = with_verb(20, Verb::HalfOpen { span: Span::from_secs(3) });
    scenario.checks.disruption.dead_peer = Some(DeadPeerCheck { within: Span::from_secs(1), code });
    let mut history = History::begins_with(scenario);
    history.is_struck(1, 2_100).is_struck(2, 2_100);
    history
}

pub(super) fn is_reset_at_last(history: &mut History, client: u32, blind: bool) {
    history.tell(Event::Restored { conn: ConnId(client), at: ms(5_100), strike: 0, blind });
    history.is_lost(client, 5_100, ClosedBy::Us, None);
}

#[test]
fn a_server_that_notices_in_time_passes() {
    let mut history = silent(Some(1011));
    history.is_lost(1, 2_600, ClosedBy::Server, Some(1011)).is_lost(2, 3_000, ClosedBy::Server, Some(1011)).closes(6_000, 6_100);
    assert_eq!(not_passed(&history), []);
    assert_eq!(one(&history, "dead_peer").observed, "2 closed, the last after 900ms (close codes: 1011 × 2)");
}

#[test]
fn a_server_that_notices_late_never_or_with_another_code_fails() {
    let mut late = silent(None);
    late.is_lost(1, 2_600, ClosedBy::Network, None).is_lost(2, 3_200, ClosedBy::Server, Some(1001)).closes(6_000, 6_100);
    assert_eq!(not_passed(&late), [("dead_peer".into(), Outcome::Fail)]);
    assert_eq!(one(&late, "dead_peer").observed, "2 closed, the last after 1.1s (close codes: 1001 × 1, none × 1); 1 too late");
    let mut wrong = silent(Some(1011));
    wrong.is_lost(1, 2_600, ClosedBy::Server, Some(1000)).is_lost(2, 2_600, ClosedBy::Server, Some(1011)).closes(6_000, 6_100);
    assert_eq!(not_passed(&wrong), [("dead_peer".into(), Outcome::Fail)]);
    assert!(one(&wrong, "dead_peer").observed.ends_with("; 1 with another code"));
    let mut never = silent(None);
    is_reset_at_last(&mut never, 1, false);
    is_reset_at_last(&mut never, 2, false);
    never.closes(6_000, 6_100);
    let finding = one(&never, "dead_peer");
    assert_eq!((finding.outcome, finding.violations, finding.witnesses.len()), (Outcome::Fail, 2, 2));
    assert_eq!(finding.observed, "none was closed; 2 never noticed");
    assert!(finding.note.starts_with("Without protocol pings"), "{}", finding.note);
}

#[test]
fn a_silent_client_that_could_not_see_more_does_not_count() {
    let mut history = silent(None);
    history.is_lost(1, 2_600, ClosedBy::Network, None);
    is_reset_at_last(&mut history, 2, true);
    history.closes(6_000, 6_100);
    let finding = one(&history, "dead_peer");
    assert_eq!((finding.outcome, finding.population), (Outcome::Pass, 1));
    assert_eq!(finding.note, "1 client not counted: more came than a silent client takes.");
    let mut blind = silent(None);
    is_reset_at_last(&mut blind, 1, true);
    is_reset_at_last(&mut blind, 2, true);
    blind.closes(6_000, 6_100);
    assert_eq!(not_passed(&blind), [("dead_peer".into(), Outcome::Inconclusive)]);
    assert!(one(&blind, "dead_peer").note.starts_with("No evidence: more came than a silent client takes"));
    let mut nobody = silent(None);
    nobody.events.retain(|event| !matches!(event, Event::Disrupted { .. } | Event::Leaving { .. }));
    nobody.closes(6_000, 6_100);
    assert_eq!(one(&nobody, "dead_peer").note, "No evidence: no client was there to fall silent.");
}

#[test]
fn a_silent_client_that_still_had_time_when_the_run_was_cut_short_does_not_count() {
    let mut history = silent(None);
    history.is_lost(1, 2_600, ClosedBy::Network, None);
    history.tell(Event::Interrupted { at: ms(2_800), detail: "Ctrl-C" }).closes(2_800, 2_800);
    let finding = one(&history, "dead_peer");
    assert_eq!((finding.outcome, finding.violations, finding.population), (Outcome::Inconclusive, 0, 1));
}

/// Twenty clients, of which two read slowly from 2,100 to 4,100 ms. The others get everything `calm` ms after it was planned, and within
/// those two seconds `disturbed` ms after.
pub(super) fn slow(calm: u64, disturbed: u64) -> History {
    let mut scenario = with_verb(20, Verb::SlowReader { span: Span::from_secs(2), per_second: crate::base::ByteSize(100) });
    scenario.checks.disruption.isolation = Some(IsolationCheck { slower: Span::from_millis(100) });
    let mut history = History::begins_with(scenario);
    for n in 0..100 {
        let at = 1_000 + 50 * n;
        if at == 2_100 {
            history.is_struck(1, at).is_struck(2, at);
        }
        let seq = history.publishes(0, at);
        let within = (2_100..4_100).contains(&at);
        for client in (0..20).filter(|client| at < 2_100 || ![1, 2].contains(client)) {
            history.gets(client, 0, seq, at + if within { disturbed } else { calm });
        }
    }
    history
}

#[test]
fn bystanders_that_notice_nothing_pass() {
    let mut history = slow(5, 50);
    history.closes(8_000, 8_100);
    assert_eq!(not_passed(&history), []);
    let finding = one(&history, "isolation");
    assert_eq!(finding.population, 40 * 18);
    assert_eq!(finding.observed, "p99 50ms with, p99 5ms without");
}

#[test]
fn bystanders_that_wait_for_a_slow_reader_fail_isolation_and_nothing_else() {
    let mut history = slow(5, 400);
    history.closes(8_000, 8_100);
    assert_eq!(not_passed(&history), [("isolation".into(), Outcome::Fail)]);
    let finding = one(&history, "isolation");
    assert!(finding.observed.starts_with("p99 400ms with, p99 5ms without; 720 later than the limit"), "{}", finding.observed);
    // What is slow all the time is not the slow reader's doing.
    let mut always = slow(400, 400);
    always.closes(8_000, 8_100);
    assert_eq!(one(&always, "isolation").outcome, Outcome::Pass);
}

#[test]
fn a_copy_that_is_late_and_beyond_the_limit_counts_once() {
    let mut history = slow(5, 1_400);
    history.closes(8_000, 8_100);
    let finding = one(&history, "isolation");
    assert_eq!((finding.outcome, finding.violations, finding.population), (Outcome::Fail, 720, 720));
    assert!(finding.observed.contains("720 later than the limit, 720 late or missing"), "{}", finding.observed);
}

#[test]
fn bystanders_that_are_lost_fail_isolation_and_survival() {
    let mut history = slow(5, 5);
    history.is_lost(7, 6_000, ClosedBy::Network, None).closes(8_000, 8_100);
    assert_eq!(not_passed(&history), [("survival".into(), Outcome::Fail)], "long after the strike it is another matter");
    let mut scenario = with_verb(20, Verb::Malformed { what: None });
    scenario.checks.disruption.isolation = Some(IsolationCheck { slower: Span::from_millis(100) });
    let mut history = History::begins_with(scenario);
    for n in 0..20 {
        let seq = history.publishes(0, 1_000 + 10 * n);
        history.all_get(0, seq, 1_005 + 10 * n);
    }
    history.is_struck(1, 2_100).is_lost(1, 2_110, ClosedBy::Server, Some(1002)).is_lost(7, 2_500, ClosedBy::Network, None);
    history.closes(8_000, 8_100);
    let failed: Vec<_> = not_passed(&history).into_iter().map(|(check, _)| check).collect();
    assert_eq!(failed, ["survival", "isolation"]);
    let finding = one(&history, "isolation");
    assert_eq!((finding.outcome, finding.violations), (Outcome::Fail, 1));
    assert!(finding.note.contains("answered with: 1002 × 1"), "{}", finding.note);
}

#[test]
fn a_copy_for_a_client_that_left_is_stray_after_leave_and_nothing_else() {
    let history = |sent: u64, behind: bool| {
        let mut scenario = with_verb(20, Verb::Close);
        scenario.checks.disruption.stray_after_leave = Some(StrayAfterLeaveCheck { within: Span::from_secs(1) });
        let mut history = History::begins_with(scenario);
        history.is_struck(1, 2_100).is_struck(2, 2_100);
        let seq = history.publishes(0, sent);
        (0..20).filter(|client| *client != 2).for_each(|client| {
            history.gets(client, 0, seq, sent + 5);
        });
        if behind {
            history.tell(Event::AfterClose { conn: ConnId(2), at: ms(sent + 6), publisher: PublisherId(0), seq: Seq(seq) });
        }
        history.is_lost(1, sent + 10, ClosedBy::Us, Some(1000)).is_lost(2, sent + 10, ClosedBy::Us, Some(1000)).closes(6_000, 6_100);
        history
    };
    assert_eq!(not_passed(&history(3_000, false)), [], "it may have been on its way");
    for stray in [history(3_200, false), history(2_500, true)] {
        assert_eq!(not_passed(&stray), [("stray_after_leave".into(), Outcome::Fail)]);
        let finding = one(&stray, "stray_after_leave");
        assert_eq!((finding.violations, finding.population, finding.witnesses.len()), (1, 2, 1));
        assert_eq!((finding.population_unit.as_str(), finding.observed.as_str()), ("leaves", "1 copy came for clients that had left"));
        assert_eq!(finding.expected, "nothing sent more than 1s after any of 2 leaves");
        assert_eq!(finding.note, "The server still has them in its list: 1 for nobody.");
    }
}

/// Clients 1 and 2 are away for half a second in which two publications leave; both are replayed to client 1, the first to client 2.
pub(super) fn missed(promise: Resume) -> History {
    let mut scenario = offline(20);
    scenario.checks.disruption.resume = Some(promise);
    let mut history = History::begins_with(scenario);
    history.is_cut_off(1, 2_100).is_cut_off(2, 2_100);
    let (one, two) = (history.publishes(0, 2_200), history.publishes(0, 2_300));
    for seq in [one, two] {
        (0..20).filter(|client| ![1, 2].contains(client)).for_each(|client| {
            history.gets(client, 0, seq, 2_310);
        });
    }
    history.joins(1, 2_650).joins(2, 2_650);
    history.gets(1, 0, one, 2_651).gets(1, 0, two, 2_652).gets(2, 0, one, 2_651);
    let seq = history.publishes(0, 3_000);
    history.all_get(0, seq, 3_005).closes(6_000, 6_100);
    history
}

#[test]
fn a_promise_to_replay_is_broken_by_each_copy_that_never_comes() {
    let history = missed(Resume::Replayed);
    assert_eq!(not_passed(&history), [("resume".into(), Outcome::Fail)]);
    let finding = one(&history, "resume");
    assert_eq!((finding.population, finding.violations), (4, 1));
    assert_eq!(finding.observed, "3 replayed (75.0 %) after 2 returns");
    let witness = &finding.witnesses[0];
    assert_eq!((witness.client, witness.seq, witness.at_ns), (Some(2), Some(11), 2_300_000_000));
    assert!(one(&history, "recovery").note.contains("4 copies were published while they were away; 1 of them never came."));
}

#[test]
fn where_nothing_is_promised_each_replayed_copy_is_one_too_many() {
    let history = missed(Resume::Nothing);
    assert_eq!(not_passed(&history), [("resume".into(), Outcome::Fail)]);
    assert_eq!((one(&history, "resume").violations, one(&history, "resume").witnesses.len()), (3, 3));
}

#[test]
fn what_is_sent_while_a_client_is_let_in_again_is_no_replay() {
    for (promise, population, violations) in [(Resume::Nothing, 1, 0), (Resume::Replayed, 2, 1)] {
        let mut scenario = offline(20);
        scenario.checks.disruption.resume = Some(promise);
        let mut history = History::begins_with(scenario);
        history.is_cut_off(1, 2_100);
        // The handshake of the return takes from 2 648 to 2 650: the server may have let the client in at 2 649.
        let (away, returning) = (history.publishes(0, 2_200), history.publishes(0, 2_649));
        for seq in [away, returning] {
            (0..20).filter(|client| *client != 1).for_each(|client| {
                history.gets(client, 0, seq, 2_651);
            });
        }
        history.joins(1, 2_650).gets(1, 0, returning, 2_652);
        let seq = history.publishes(0, 3_000);
        history.all_get(0, seq, 3_005).closes(6_000, 6_100);
        let finding = one(&history, "resume");
        assert_eq!((finding.population, finding.violations), (population, violations), "{promise:?}: {}", finding.observed);
    }
}
