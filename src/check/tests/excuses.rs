//! What the instrument takes upon itself: how much of what was late a standstill of its own explains, and what it never explains.

use std::sync::Arc;

use super::disruptions::{Strikes, silent};
use super::words::{told, told_of};
use super::{one, with_heartbeat, with_pong};
use crate::account::history::{History, feeding, over_http, scenario};
use crate::account::{Account, Stretch};
use crate::base::Span;
use crate::check::evidence::Evidence;
use crate::check::{Finding, Outcome, judge};
use crate::event::{ClosedBy, ConnectFailure};
use crate::plan::Plan;
use crate::scenario::Scenario;
use crate::scenario::model::{ConnectCheck, IsolationCheck, LatencyLimit, Metric};

/// The finding of `check` on the altered books of a run of four clients in which the instrument stood still for 150 ms once.
fn stalled(scenario: Scenario, check: &str, alter: impl FnOnce(&mut Account)) -> Finding {
    let publishes = scenario.publish.is_some();
    let mut history = History::ordinary(scenario);
    if publishes {
        history.broadcasts(0, 25);
    } else {
        (0..25).for_each(|n| {
            history.tick(n, n, &[]);
        });
    }
    history.lag(2_050, 150).closes(5_000, 6_500);
    let mut account = history.over(2);
    alter(&mut account);
    judge(&history.plan, &account).into_iter().find(|finding| finding.check == check).expect("asked for")
}

#[test]
fn a_standstill_reaches_into_the_second_after_it_and_no_further() {
    let mut history = History::ordinary(scenario(2, 1));
    for (second, copies) in [(1_u64, 1), (2, 2), (3, 4), (4, 8), (5, 16)] {
        for n in 0..copies {
            let seq = history.publishes(0, 1_000 * second + 10 * n);
            history.all_get(0, seq, 1_000 * second + 10 * n + 5);
        }
    }
    history.lag(2_500, 200).closes(6_000, 7_000);
    let told = |history: &History, limit| {
        let account = history.account();
        let standstill = Evidence::new(&history.plan, &account).standstill(Span::from_millis(limit));
        (standstill.seconds, standstill.copies)
    };
    assert_eq!(told(&history, 200), (1, 2 * (2 + 4)));
    assert_eq!(told(&history, 201), (0, 0), "it was not so long");
    history.lag(3_500, 200);
    assert_eq!(told(&history, 200), (2, 2 * (2 + 4 + 8)));
}

#[test]
fn a_standstill_explains_as_many_as_it_can_and_not_one_more() {
    let beats = |late, silent| {
        let alter = |account: &mut Account| {
            account.pulse = Default::default();
            (account.pulse.beats, account.pulse.in_time, account.pulse.late, account.pulse.silent) = (99, 99, late, silent);
        };
        stalled(with_heartbeat(scenario(4, 1)), "heartbeat", alter).outcome
    };
    assert_eq!((beats(12, 0), beats(13, 0)), (Outcome::Inconclusive, Outcome::Fail), "three for each of four clients");
    assert_eq!(beats(1, 1), Outcome::Fail, "who never saw a beat did not miss it by a moment");
    let quarters = |late| {
        let mut scenario = with_heartbeat(scenario(4, 1));
        scenario.checks.heartbeat.as_mut().expect("asked").every = Span::from_millis(250);
        let alter = |account: &mut Account| {
            account.pulse = Default::default();
            (account.pulse.beats, account.pulse.in_time, account.pulse.late) = (99, 99, late);
        };
        stalled(scenario, "heartbeat", alter).outcome
    };
    assert_eq!((quarters(48), quarters(49)), (Outcome::Inconclusive, Outcome::Fail), "three for each of four periods of four clients");
    let pongs = |late| {
        let alter = |account: &mut Account| (account.protocol.on_time, account.protocol.late) = (99, late);
        let mut scenario = with_pong(scenario(4, 1));
        scenario.checks.pong.as_mut().expect("asked").within = Span::from_millis(150);
        stalled(scenario, "pong", alter).outcome
    };
    assert_eq!((pongs(8), pongs(9)), (Outcome::Inconclusive, Outcome::Fail), "two for each of four clients");
    let broadcasts = |late, silent| {
        let alter = |account: &mut Account| {
            account.feed.cadence = Default::default();
            let cadence = &mut account.feed.cadence;
            (cadence.beats, cadence.in_time, cadence.late, cadence.silent) = (99, 99, late, silent);
        };
        stalled(feeding(4, false), "feed", alter).outcome
    };
    assert_eq!((broadcasts(30, 0), broadcasts(31, 0)), (Outcome::Inconclusive, Outcome::Fail), "three for each of ten periods");
    assert_eq!(broadcasts(1, 1), Outcome::Fail, "what never began is no matter of timing");
}

#[test]
fn each_latency_is_explained_by_its_own_measure() {
    let limited = |metric, samples: u64| {
        let mut scenario = scenario(4, 1);
        over_http(&mut scenario);
        scenario.checks.latency = vec![LatencyLimit { metric, percentile: 99.0, at_most: Span::from_millis(100) }];
        let alter = |account: &mut Account| {
            account.connections.handshakes = Default::default();
            for _ in 0..samples {
                account.protocol.round_trips.record(200_000_000);
                account.requests.record(200_000_000);
                account.connections.handshakes.record(200_000_000);
                account.send_lag.record(200_000_000);
            }
        };
        let finding = stalled(scenario, "latency", alter);
        assert_eq!(finding.violations, samples, "{metric:?}");
        finding
    };
    assert_eq!(
        (limited(Metric::Pong, 4).outcome, limited(Metric::Pong, 5).outcome),
        (Outcome::Inconclusive, Outcome::Fail),
        "one a client"
    );
    assert_eq!(limited(Metric::Publish, 50).outcome, Outcome::Inconclusive, "all answers came through it");
    assert_eq!(limited(Metric::Connect, 1).outcome, Outcome::Fail, "connecting was over by then");
    let lag = limited(Metric::SendLag, 50);
    assert!(lag.outcome == Outcome::Inconclusive && lag.note.starts_with("Send lag is the instrument's own"), "{}", lag.note);
}

#[test]
fn isolation_compares_like_with_like() {
    let mut asked = scenario(4, 1);
    asked.checks.disruption.isolation = Some(IsolationCheck { slower: Span::from_millis(10) });
    let stretch = |samples: u64, ms: u64, late, missing, lost| {
        let mut stretch = Stretch { late, missing, lost, ..Stretch::default() };
        (0..samples).for_each(|_| stretch.delivery.record(ms * 1_000_000));
        stretch
    };
    let compared = |calm: &Stretch, disturbed: &Stretch| {
        told_of(asked.clone(), "isolation", |account| {
            (account.disruptions.isolation.calm, account.disruptions.isolation.disturbed) = (calm.clone(), disturbed.clone());
        })
    };
    let calm = stretch(100, 5, 0, 0, 0);
    let same = compared(&calm, &stretch(100, 5, 0, 0, 0));
    assert_eq!((same.outcome, same.population, same.observed.as_str()), (Outcome::Pass, 100, "p99 5ms with, p99 5ms without"));
    assert_eq!(same.expected, "p99 of delivery at most 15ms (10ms more than without)");
    for (calm, disturbed) in [(99, 100), (100, 99)] {
        let few = compared(&stretch(calm, 5, 0, 0, 0), &stretch(disturbed, 90, 0, 0, 0));
        assert_eq!((few.outcome, few.violations), (Outcome::Inconclusive, 0), "too few on one side");
        assert_eq!(few.expected, "p99 of delivery at most 10ms more than without");
        assert!(few.note.contains("a hundred each"), "{}", few.note);
    }
    let slower = compared(&calm, &stretch(100, 40, 0, 0, 0));
    assert_eq!((slower.outcome, slower.violations), (Outcome::Fail, 100));
    assert!(slower.observed.ends_with("; 100 later than the limit"), "{}", slower.observed);
    let worse = |usual, faults| compared(&stretch(100, 5, usual, 0, 0), &stretch(100, 5, faults, 0, 0)).violations;
    assert_eq!([worse(0, 1), worse(3, 6), worse(3, 7)], [1, 0, 7], "more than twice the usual share");
    let missing = compared(&stretch(300, 5, 0, 2, 0), &stretch(100, 5, 1, 2, 0));
    assert_eq!((missing.violations, missing.outcome), (3, Outcome::Fail));
    let lost = |calm, disturbed| compared(&stretch(100, 5, 0, 0, calm), &stretch(100, 5, 0, 0, disturbed)).violations;
    assert_eq!([lost(0, 2), lost(1, 2)], [2, 0], "who is lost without a disruption is not lost by it");
}

#[test]
fn slower_copies_may_be_those_of_a_standstill_and_missing_ones_are_not() {
    let disturbed = |slower, missing| {
        let mut scenario = scenario(4, 1);
        scenario.checks.disruption.isolation = Some(IsolationCheck { slower: Span::from_millis(10) });
        let mut history = History::ordinary(scenario);
        for n in 0..10 {
            let seq = history.publishes(0, 2_100 + n);
            history.all_get(0, seq, 2_200);
        }
        history.lag(2_050, 150).closes(5_000, 6_500);
        let mut account = history.account();
        let isolation = &mut account.disruptions.isolation;
        (isolation.calm, isolation.disturbed) = (Stretch::default(), Stretch { missing, ..Stretch::default() });
        (0..400).for_each(|_| isolation.calm.delivery.record(5_000_000));
        (0..400).for_each(|n| isolation.disturbed.delivery.record(if n < slower { 60_000_000 } else { 5_000_000 }));
        let finding = judge(&history.plan, &account).into_iter().find(|finding| finding.check == "isolation").expect("asked for");
        (finding.outcome, finding.violations)
    };
    assert_eq!(disturbed(5, 0), (Outcome::Inconclusive, 5));
    assert_eq!(disturbed(5, 1), (Outcome::Fail, 6));
    assert_eq!(disturbed(399, 0), (Outcome::Fail, 399), "more than came through it");
}

#[test]
fn no_answer_is_explained_by_a_standstill_and_a_refusal_is_not() {
    let answered = |statuses: &[(u16, u64)], within| {
        let mut scenario = scenario(4, 1);
        over_http(&mut scenario);
        if let Some(crate::scenario::model::Via::Http(http)) = scenario.publish.as_mut().map(|publish| &mut publish.via) {
            http.within = Span::from_millis(within);
        }
        stalled(scenario, "publish", |account| account.publications.statuses = statuses.iter().copied().collect()).outcome
    };
    assert_eq!(answered(&[(200, 20), (0, 5)], 150), Outcome::Inconclusive);
    assert_eq!(answered(&[(200, 20), (0, 5)], 151), Outcome::Fail, "it did not stand still for so long");
    assert_eq!(answered(&[(200, 20), (0, 4), (500, 1)], 150), Outcome::Fail);
}

#[test]
fn a_latency_of_copies_is_explained_by_the_copies_of_those_seconds() {
    let limited = |mut scenario: Scenario, metric, samples: u64| {
        scenario.checks.latency = vec![LatencyLimit { metric, percentile: 99.0, at_most: Span::from_millis(100) }];
        let alter = |account: &mut Account| {
            for _ in 0..samples {
                account.delivery.record(200_000_000);
                account.transit.record(200_000_000);
                account.feed.spread.record(200_000_000);
            }
        };
        stalled(scenario, "latency", alter).outcome
    };
    // Of the ticks from 1 s to 3.4 s, four clients had fifteen in the second of the standstill and in the one after it.
    let spread = |samples| limited(feeding(4, false), Metric::Spread, samples);
    assert_eq!((spread(60), spread(61)), (Outcome::Inconclusive, Outcome::Fail));
    for metric in [Metric::Delivery, Metric::Transit] {
        assert_eq!(limited(scenario(4, 1), metric, 4), Outcome::Fail, "{metric:?}: all copies had come long before");
    }
}

/// The same history, of an instrument that may be a second late before it counts as unfit.
fn patient(mut history: History) -> History {
    let mut scenario = (*history.plan.scenario).clone();
    scenario.checks.instrument.max_loop_lag = Span::from_secs(1);
    history.plan = Arc::new(Plan { scenario: Arc::new(scenario), ..(*history.plan).clone() });
    history
}

#[test]
fn a_standstill_as_long_as_the_limit_explains_who_came_or_went_late() {
    let slow_to_open = |within| {
        let mut scenario = scenario(4, 1);
        scenario.checks.connect = Some(ConnectCheck { min_share: 1.0, within: Some(Span::from_millis(within)) });
        stalled(scenario, "connect", |account| account.connections.handshakes.record(200_000_000))
    };
    let slow_to_notice = |lag| {
        let mut history = patient(silent(None));
        history.is_lost(1, 2_600, ClosedBy::Network, None).is_lost(2, 3_200, ClosedBy::Server, Some(1001));
        history.lag(3_150, lag).closes(6_000, 6_100);
        one(&history, "dead_peer")
    };
    let slow_to_return = |lag| {
        let mut history = patient(History::begins(20));
        history.is_cut_off(1, 2_100).joins(1, 4_000).lag(3_900, lag).closes(6_000, 6_100);
        one(&history, "recovery")
    };
    for (ours, theirs, longest) in [
        (slow_to_open(150), slow_to_open(151), "150ms"),
        (slow_to_notice(1_000), slow_to_notice(999), "1s"),
        (slow_to_return(1_000), slow_to_return(999), "1s"),
    ] {
        assert_eq!((ours.outcome, ours.violations, theirs.outcome), (Outcome::Inconclusive, 1, Outcome::Fail), "{}", ours.check);
        let why = format!("The instrument itself stood still for up to {longest}, which may explain it: run it on a less busy machine.");
        assert_eq!((ours.note, theirs.note), (why, String::new()), "{}", ours.check);
    }
}

#[test]
fn the_surest_excuse_is_the_one_that_is_told() {
    let late = |by_us| {
        told("delivery", |account| {
            (account.copies.late, account.copies.late_by_us) = (4, by_us);
            account.health.loop_lag.record(300_000_000);
        })
    };
    assert!(late(4).note.starts_with("All late copies would have been in time had they been sent in time"), "{}", late(4).note);
    assert!(late(3).note.starts_with("The instrument was unfit"), "{}", late(3).note);
    assert_eq!((late(4).outcome, late(3).outcome), (Outcome::Inconclusive, Outcome::Inconclusive));
}

#[test]
fn a_return_that_our_own_limits_made_late_is_not_held_against_the_server() {
    let returns = |failed: &[ConnectFailure], others: &[u32]| {
        let mut history = History::begins(20);
        history.is_cut_off(1, 2_100);
        failed.iter().for_each(|cause| {
            history.fails_to_return(1, 2_600, *cause);
        });
        history.joins(1, 4_000);
        others.iter().for_each(|client| {
            history.is_cut_off(*client, 2_101);
        });
        history.closes(6_000, 6_100);
        one(&history, "recovery")
    };
    let (ours, theirs) = (ConnectFailure::LocalLimit, ConnectFailure::Refused);
    let late = returns(&[ours], &[]);
    assert_eq!((late.outcome, late.violations), (Outcome::Inconclusive, 1));
    assert!(late.note.starts_with("The attempts failed by this machine's own limits"), "{}", late.note);
    assert_eq!(returns(&[theirs], &[]).outcome, Outcome::Fail);
    assert_eq!(returns(&[ours, theirs], &[]).outcome, Outcome::Fail, "it was also turned away");
    assert_eq!(returns(&[ours], &[2]).outcome, Outcome::Fail, "one failure does not explain two clients");
}

/// Two clients of four are lost at these times, the second of them for good reason or none; the instrument stood still from 3 to 5 s.
fn given_up(at: [u64; 2], by: ClosedBy) -> (Finding, Finding, Account) {
    let mut history = History::ordinary(scenario(4, 1));
    for n in 0..50 {
        let seq = history.publishes(0, 200 + 100 * n);
        for client in (0..4).filter(|client| *client < 2 || 200 + 100 * n < 3_000) {
            history.gets(client, 0, seq, 205 + 100 * n);
        }
    }
    history.lag(5_000, 2_000);
    (2..).zip(at).for_each(|(client, at)| {
        history.is_lost(client, at, by, Some(1011));
    });
    history.closes(8_000, 9_500);
    let account = history.over(1);
    let findings = judge(&history.plan, &account);
    let of = |check| findings.iter().find(|finding| finding.check == check).expect("asked for").clone();
    (of("survival"), of("delivery"), account)
}

#[test]
fn clients_that_are_given_up_while_the_instrument_stands_still_are_not_held_against_the_server() {
    let (survival, delivery, account) = given_up([5_001, 5_400], ClosedBy::Server);
    assert_eq!(account.connections.lost_unheard, 2);
    assert_eq!(survival.outcome, Outcome::Inconclusive, "{survival:#?}");
    assert!(survival.note.contains("2 connections were lost while wsbench itself stood still"));
    assert_eq!(account.copies.missing, 0, "{delivery:#?}");
    // 1.9 s to 5 s of two clients: from a second before the standstill, when the limit of what was sent ran out in it.
    assert!((60..=64).contains(&account.copies.contested), "{}", account.copies.contested);
    assert_eq!(delivery.outcome, Outcome::Inconclusive, "a third of all is contested: {delivery:#?}");
}

#[test]
fn a_client_given_up_long_after_a_standstill_or_for_a_violation_is_held_against_the_server() {
    let (survival, delivery, account) = given_up([5_400, 7_300], ClosedBy::Network);
    assert_eq!((account.connections.lost_unheard, survival.outcome), (1, Outcome::Fail), "{survival:#?}");
    assert!(account.copies.missing > 10 && delivery.outcome == Outcome::Fail, "{delivery:#?}");
    let (survival, _, account) = given_up([5_001, 5_400], ClosedBy::Violation);
    assert_eq!((account.connections.lost_unheard, survival.outcome), (0, Outcome::Fail), "{survival:#?}");
}
