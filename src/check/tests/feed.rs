//! A server that broadcasts by itself.

use super::{findings, not_passed, one, only};
use crate::account::history::{History, feeding};
use crate::base::Span;
use crate::check::Outcome;
use crate::event::Event;
use crate::scenario::model::{LatencyLimit, Metric};

/// Five clients that hear a feed tick 40 times; the clients join half a second before the first tick is due. `tell` says what reaches
/// whom.
fn ticking(clients: u32, tell: impl Fn(&mut History, u64)) -> History {
    let mut scenario = feeding(clients, false);
    scenario.checks.latency = vec![LatencyLimit { metric: Metric::Spread, percentile: 100.0, at_most: Span::from_millis(10) }];
    let mut history = History::of(scenario);
    history.phase(crate::event::Phase::Ramp, 400);
    for client in 0..clients {
        history.joins(client, 400);
    }
    history.phase(crate::event::Phase::Steady, 900);
    history.healthy(900, 9_000);
    for n in 0..40 {
        tell(&mut history, n);
    }
    history.closes(4_950, 6_500);
    history.events.sort_by_key(Event::at);
    history
}

#[test]
fn an_honest_feed_passes_everything() {
    let history = ticking(5, |h, n| {
        h.tick(n, n, &[]);
    });
    assert_eq!(not_passed(&history), []);
    let ids: Vec<_> = findings(&history).into_iter().map(|f| f.check).collect();
    assert_eq!(ids, ["connect", "survival", "delivery", "duplicate", "order", "stray", "latency", "feed", "instrument"]);
    let delivery = one(&history, "delivery");
    assert_eq!(delivery.expected, "every one of 200 owed copies within 1s of the first client to have it");
    assert_eq!(one(&history, "feed").observed, "40 of 40 broadcasts due in time, worst deviation 0s");
    assert_eq!((one(&history, "latency").population, one(&history, "latency").violations), (160, 0));
}

#[test]
fn each_fault_of_a_feed_turns_one_check_red() {
    let lost = ticking(5, |h, n| {
        h.tick(n, n, if n == 20 || n == 22 { &[3] } else { &[] });
    });
    let finding = only(&lost, "delivery");
    assert_eq!((finding.violations, finding.witnesses[0].client), (2, Some(3)));
    assert!(finding.note.contains("All missing copies are client 3's"), "{}", finding.note);
    let twice = ticking(5, |h, n| {
        h.tick(n, n, &[]);
        if n == 20 {
            h.item(2, n, 3_003);
        }
    });
    assert_eq!(only(&twice, "duplicate").violations, 1);
    let swapped = ticking(5, |h, n| {
        h.tick(n, n, if n == 20 { &[2] } else { &[] });
        if n == 20 {
            h.item(2, n, 3_105);
        }
    });
    let tripped: Vec<_> = not_passed(&swapped).into_iter().map(|(check, _)| check).collect();
    assert_eq!(tripped, ["order", "latency"], "held back until behind the next, it is also far behind the first receiver");
    assert_eq!((one(&swapped, "order").violations, one(&swapped, "order").witnesses[0].client), (1, Some(2)));
    let slow = ticking(5, |h, n| {
        h.tick(n, n, if n == 39 { &[4] } else { &[] });
        if n == 39 {
            h.item(4, n, 6_100);
        }
    });
    let tripped: Vec<_> = not_passed(&slow).into_iter().map(|(check, _)| check).collect();
    assert_eq!(tripped, ["delivery", "latency"]);
    assert_eq!((one(&slow, "delivery").violations, one(&slow, "latency").violations), (1, 1));
    // The feed itself.
    let skipped = ticking(5, |h, n| {
        if n != 20 && n != 30 {
            h.tick(n, n, &[]);
        }
    });
    assert_eq!(only(&skipped, "feed").observed, "38 of 40 broadcasts due in time, 2 missed");
    let silent = ticking(5, |h, n| {
        if n < 30 {
            h.tick(n, n, &[]);
        }
    });
    assert_eq!(only(&silent, "feed").violations, 10);
    let late = ticking(5, |h, n| {
        for client in 0..5 {
            h.item(client, n, 1_000 + 100 * n + u64::from(client) + if n == 20 { 50 } else { 0 });
        }
    });
    assert_eq!(only(&late, "feed").observed, "39 of 40 broadcasts due in time, 1 late");
    let doubled = ticking(5, |h, n| {
        h.tick(n, n, &[]);
        for client in 0..5 {
            h.item(client, 1_000 + n, 1_050 + 100 * n + u64::from(client));
        }
    });
    assert!(only(&doubled, "feed").note.contains("faster than promised"));
}

#[test]
fn a_feed_without_evidence_passes_nothing() {
    let unproven = |history: &History| {
        let left = not_passed(history);
        assert!(left.iter().all(|(_, outcome)| *outcome == Outcome::Inconclusive), "{left:?}");
        left.into_iter().map(|(check, _)| check).collect::<Vec<_>>()
    };
    let alone = ticking(1, |h, n| {
        h.tick(n, n, &[]);
    });
    assert_eq!(unproven(&alone), ["delivery", "duplicate", "order", "latency"]);
    assert!(one(&alone, "delivery").note.contains("at least two clients"));
    let nothing = ticking(3, |_, _| {});
    let feed = one(&nothing, "feed");
    assert_eq!((feed.outcome, feed.violations), (Outcome::Fail, 40), "{feed:#?}");
    assert!(feed.note.contains("No broadcast ever came"));
    assert_eq!(one(&nothing, "delivery").outcome, Outcome::Inconclusive);
    let mut short = History::ordinary(feeding(3, false));
    short.closes(540, 900);
    assert_eq!(one(&short, "feed").outcome, Outcome::Inconclusive);
}

#[test]
fn answers_to_single_clients_are_no_broadcasts() {
    let private = ticking(4, |h, n| {
        for client in 0..4 {
            h.item(client, 100 * n + u64::from(client), 1_000 + 100 * n);
        }
    });
    assert!(one(&private, "delivery").note.contains("single clients rather than broadcasts"), "{:#?}", one(&private, "delivery"));
}
