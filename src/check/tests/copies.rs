//! Copies: missing, late, twice, out of order, damaged, stray; and percentiles.

use super::{findings, not_passed, one, only, ordinary};
use crate::account::history::{History, scenario};
use crate::base::Span;
use crate::check::Outcome;
use crate::event::{Flaws, StrayKind};
use crate::scenario::model::{Audience, LatencyLimit, Metric, OrderScope};

#[test]
fn a_missing_copy_is_named() {
    let mut history = ordinary(4, 1);
    history.broadcasts(0, 20);
    let seq = history.publishes(0, 500);
    for client in [0, 1, 3] {
        history.gets(client, 0, seq, 505);
    }
    history.closes(5_000, 5_100);
    let finding = only(&history, "delivery");
    assert_eq!((finding.population, finding.violations), (84, 1));
    assert_eq!(finding.observed, "83 on time, 1 missing (1.2 %)");
    assert!(finding.note.contains("All missing copies are client 2's"), "{}", finding.note);
    let witness = &finding.witnesses[0];
    assert_eq!((witness.client, witness.publisher, witness.seq), (Some(2), Some(0), Some(20)));
}

#[test]
fn typical_losses_are_recognised() {
    let told = |history: &mut History| {
        history.closes(5_000, 5_100);
        only(history, "delivery").note
    };
    let mut last = ordinary(5, 1);
    for n in 0..10 {
        let seq = last.publishes(0, 200 + n);
        (0..4).for_each(|client| {
            last.gets(client, 0, seq, 210 + n);
        });
    }
    assert!(told(&mut last).contains("client 4's (the last to connect), which got none at all"));

    let mut sender = ordinary(5, 2);
    for n in 0..10 {
        let publisher = u32::try_from(n % 2).expect("small");
        let seq = sender.publishes(publisher, 200 + n);
        (0..5).filter(|client| *client != publisher).for_each(|client| {
            sender.gets(client, publisher, seq, 210 + n);
        });
    }
    assert!(told(&mut sender).contains("audience = \"others\""));

    let mut nobody = ordinary(5, 1);
    nobody.broadcasts(0, 10);
    nobody.publishes(0, 900);
    assert!(told(&mut nobody).contains("1 publication reached nobody"));

    let mut scattered = ordinary(5, 1);
    for n in 0..10 {
        let seq = scattered.publishes(0, 200 + n);
        (0..5).filter(|client| seq % 5 != *client).for_each(|client| {
            scattered.gets(client, 0, seq, 210 + n);
        });
    }
    assert!(told(&mut scattered).contains("Missing at 5 of 5 clients"));
}

#[test]
fn late_copies_fail_unless_the_lateness_is_ours() {
    let mut theirs = ordinary(3, 1);
    let seq = theirs.publishes(0, 500);
    theirs.all_get(0, seq, 1_900).closes(5_000, 5_100);
    assert!(only(&theirs, "delivery").observed.contains("3 late (100 %)"));

    let mut ours = ordinary(3, 1);
    ours.broadcasts(0, 100);
    let seq = ours.publishes_late(0, 1_500, 2_495);
    ours.all_get(0, seq, 2_510).closes(5_000, 5_100);
    let finding = one(&ours, "delivery");
    assert_eq!(finding.outcome, Outcome::Inconclusive);
    assert!(finding.note.contains("the lateness is the instrument's"), "{}", finding.note);

    let mut unfit = ordinary(3, 1);
    for n in 0..10 {
        let seq = unfit.publishes_late(0, 500 + n, 600 + n);
        unfit.all_get(0, seq, 1_900);
    }
    unfit.closes(5_000, 5_100);
    assert_eq!(one(&unfit, "delivery").outcome, Outcome::Inconclusive, "late, but we were late too");
    assert_eq!(one(&unfit, "instrument").outcome, Outcome::Inconclusive);

    let mut stalled = ordinary(3, 1);
    stalled.broadcasts(0, 10);
    let seq = stalled.publishes(0, 500);
    stalled.all_get(0, seq, 1_900).lag(1_950, 1_300).closes(5_000, 5_100);
    let finding = one(&stalled, "delivery");
    assert_eq!(finding.outcome, Outcome::Inconclusive, "we stood still just then");
    assert!(finding.note.contains("stood still"), "{}", finding.note);

    let mut elsewhen = ordinary(3, 1);
    elsewhen.broadcasts(0, 10).lag(250, 1_300);
    let seq = elsewhen.publishes(0, 5_000);
    elsewhen.all_get(0, seq, 6_900).closes(8_000, 8_100);
    let late: u64 = 3;
    assert!(one(&elsewhen, "delivery").violations == late);
}

#[test]
fn a_missing_copy_stays_missing_however_slow_the_instrument_was() {
    let mut history = ordinary(3, 1);
    for n in 0..10 {
        let seq = history.publishes_late(0, 500 + n, 700 + n);
        history.gets(0, 0, seq, 1_900);
    }
    history.closes(5_000, 5_100);
    assert_eq!(one(&history, "delivery").outcome, Outcome::Fail);
}

#[test]
fn a_duplicate_is_a_duplicate_and_nothing_else() {
    let mut history = ordinary(3, 1);
    history.broadcasts(0, 20).gets(1, 0, 4, 600).closes(5_000, 5_100);
    let finding = only(&history, "duplicate");
    assert_eq!((finding.violations, finding.witnesses[0].client, finding.witnesses[0].seq), (1, Some(1), Some(4)));
    let mut twice = ordinary(3, 1);
    twice.broadcasts(0, 20);
    (0..20).for_each(|seq| {
        twice.all_get(0, seq, 600);
    });
    twice.closes(5_000, 5_100);
    assert!(only(&twice, "duplicate").note.contains("Every copy came 2 times"));
}

#[test]
fn disorder_is_disorder_and_nothing_else() {
    let mut history = ordinary(2, 1);
    let (a, b) = (history.publishes(0, 200), history.publishes(0, 201));
    history.gets(0, 0, a, 205).gets(0, 0, b, 206).gets(1, 0, b, 205).gets(1, 0, a, 206).closes(5_000, 5_100);
    let finding = only(&history, "order");
    assert_eq!((finding.violations, finding.witnesses[0].client, finding.witnesses[0].seq), (1, Some(1), Some(0)));
}

#[test]
fn two_orders_contradict_only_where_one_order_is_asked() {
    let tell = |scope, clients: [u32; 2]| {
        let mut scenario = scenario(4, 2);
        scenario.checks.order = Some(scope);
        let mut history = History::ordinary(scenario);
        let (a, b) = (history.publishes(0, 200), history.publishes(1, 200));
        for client in 0..4 {
            let (first, second) = if clients.contains(&client) { ((1, b), (0, a)) } else { ((0, a), (1, b)) };
            history.gets(client, first.0, first.1, 205).gets(client, second.0, second.1, 206);
        }
        history.closes(5_000, 5_100);
        history
    };
    assert_eq!(not_passed(&tell(OrderScope::Publisher, [1, 3])), []);
    only(&tell(OrderScope::Total, [2, 9]), "order");
    only(&tell(OrderScope::Total, [1, 3]), "order");
    assert_eq!(not_passed(&tell(OrderScope::Total, [9, 9])), []);
}

#[test]
fn damage_is_damage_and_nothing_else() {
    let mut binary = ordinary(3, 1);
    for n in 0..10 {
        let seq = binary.publishes(0, 200 + n);
        (0..3).for_each(|client| {
            binary.gets_flawed(client, 0, seq, 210 + n, Flaws::OPCODE);
        });
    }
    binary.closes(5_000, 5_100);
    assert!(only(&binary, "integrity").note.contains("forwards the received buffer"));

    let mut unreadable = ordinary(3, 1);
    unreadable.broadcasts(0, 10);
    let seq = unreadable.publishes(0, 500);
    unreadable.gets(0, 0, seq, 505).gets(1, 0, seq, 505).stray(2, 505, StrayKind::Unreadable, b"ws1.garbage").closes(5_000, 5_100);
    let finding = only(&unreadable, "integrity");
    assert_eq!((finding.violations, finding.population), (1, 33));
    assert!(one(&unreadable, "delivery").note.contains("damaged beyond reading"));
}

#[test]
fn strays_are_strays_and_nothing_else() {
    for kind in [StrayKind::Unexpected, StrayKind::OtherRun, StrayKind::OtherRoom, StrayKind::Unknown, StrayKind::Echo] {
        let mut history = ordinary(3, 1);
        history.broadcasts(0, 10).stray(2, 505, kind, b"\x1b]0;boo\x07").closes(5_000, 5_100);
        let finding = only(&history, "stray");
        assert!(finding.witnesses[0].what.contains("\\u{1b}]0;boo"), "{:?}", finding.witnesses);
    }
    let mut others = scenario(3, 1);
    others.publish.as_mut().expect("publishes").audience = Audience::Others;
    let mut history = History::ordinary(others);
    history.broadcasts(0, 10).closes(5_000, 5_100);
    let finding = only(&history, "stray");
    assert_eq!(finding.violations, 10);
    assert!(finding.note.contains("back to their sender"));
}

#[test]
fn a_percentile_keeps_its_limit_or_not() {
    let limit = |metric, percentile, at_most| LatencyLimit { metric, percentile, at_most: Span::from_millis(at_most) };
    let run = |limits: Vec<LatencyLimit>| {
        let mut scenario = scenario(3, 1);
        scenario.checks.latency = limits;
        let mut history = History::ordinary(scenario);
        history.broadcasts(0, 99);
        let seq = history.publishes(0, 3_000);
        history.all_get(0, seq, 3_300).closes(5_000, 5_100);
        history
    };
    let green = run(vec![limit(Metric::Delivery, 99.0, 10), limit(Metric::Transit, 50.0, 6), limit(Metric::Connect, 100.0, 5)]);
    assert_eq!(not_passed(&green), []);
    assert_eq!(findings(&green).iter().filter(|f| f.check == "latency").count(), 3);
    let red = run(vec![limit(Metric::Delivery, 100.0, 10)]);
    let finding = one(&red, "latency");
    assert_eq!((finding.outcome, finding.violations), (Outcome::Fail, 3));
    assert_eq!(finding.observed, "delivery maximum 300ms; 3 samples above the limit (1.0 %)");
    let empty = run(vec![limit(Metric::Pong, 99.0, 10)]);
    assert_eq!(not_passed(&empty), [("latency".into(), Outcome::Inconclusive)]);
}

#[test]
fn send_lag_is_never_held_against_the_server() {
    let mut scenario = scenario(3, 1);
    let limit = LatencyLimit { metric: Metric::SendLag, percentile: 100.0, at_most: Span::from_millis(1) };
    scenario.checks.latency = vec![limit];
    let mut history = History::ordinary(scenario);
    let seq = history.publishes_late(0, 200, 210);
    history.all_get(0, seq, 215).closes(5_000, 5_100);
    assert_eq!(not_passed(&history), [("latency".into(), Outcome::Inconclusive)]);
}
