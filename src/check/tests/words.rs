//! What a reader is told: a finding's words and numbers, and where one remark gives way to the next. The books are those of an honest
//! run with one thing altered, so that each remark is met at its edge.

use std::collections::BTreeMap;

use super::{with_heartbeat, with_pong};
use crate::account::Account;
use crate::account::history::{History, feeding, over_http, scenario};
use crate::base::{ConnId, Span};
use crate::check::{Finding, Outcome, find, judge};
use crate::event::StrayKind;
use crate::scenario::Scenario;
use crate::scenario::model::{LatencyLimit, Metric, OrderScope, Resume, StrayAfterLeaveCheck};

/// The finding of `check` on the altered books of four clients that got 25 publications each.
pub(super) fn told_of(scenario: Scenario, check: &str, alter: impl FnOnce(&mut Account)) -> Finding {
    let publishes = scenario.publish.is_some();
    let mut history = History::ordinary(scenario);
    if publishes {
        history.broadcasts(0, 25);
    } else {
        (0..25).for_each(|n| {
            history.tick(n, n, &[]);
        });
    }
    history.closes(5_000, 6_500);
    let mut account = history.over(2);
    alter(&mut account);
    judge(&history.plan, &account).into_iter().find(|finding| finding.check == check).expect("asked for")
}

pub(super) fn told(check: &str, alter: impl FnOnce(&mut Account)) -> Finding {
    told_of(with_heartbeat(with_pong(scenario(4, 1))), check, alter)
}

/// Population, its unit, expected, observed.
pub(super) fn words(finding: &Finding) -> (u64, &str, &str, &str) {
    (finding.population, &finding.population_unit, &finding.expected, &finding.observed)
}

#[test]
fn each_check_says_what_it_expected_and_saw() {
    for (check, expected) in [
        ("connect", (4, "clients", "all of 4 clients open", "4 opened (100 %)")),
        ("survival", (4, "connections", "none of 4 connections ends unasked", "none ended unasked")),
        ("delivery", (100, "owed copies", "every one of 100 owed copies within 1s", "100 on time")),
        ("duplicate", (100, "received copies", "no copy a second time", "100 copies, each once")),
        ("order", (100, "copies in sequence", "each publisher's publications in the order sent", "100 copies, all in order")),
        ("integrity", (100, "received copies", "the bytes and the opcode sent", "100 copies, all intact")),
        (
            "stray",
            (100, "received messages", "nothing but copies of this run, beats, pongs and greetings", "100 received messages, none stray"),
        ),
        ("pong", (0, "pings", "every ping answered within 500ms, once, to the asker only", "0 of 0 pings answered in time")),
        (
            "heartbeat",
            (24, "beats", "a beat every 1s ± 100ms, on every connection", "0 of 24 beats due in time, 24 missed, 4 clients never saw one"),
        ),
        (
            "instrument",
            (
                25,
                "planned publications",
                "at most 1.0 % of publications sent more than 20ms late, event-loop lag p99 at most 50ms",
                "25 of 25 publications sent, 0 later than 20ms (0 %), event-loop lag p99 1ms",
            ),
        ),
    ] {
        assert_eq!(words(&told(check, |_| {})), expected, "{check}");
    }
    let mut limited = scenario(4, 1);
    limited.checks.latency = vec![LatencyLimit { metric: Metric::Delivery, percentile: 99.0, at_most: Span::from_millis(5) }];
    let latency = told_of(limited, "latency", |_| {});
    assert_eq!(latency.claim, "The p99 of delivery is at most 5ms.");
    assert_eq!(words(&latency).1, "samples");
    assert_eq!(words(&latency).2, "delivery p99 at most 5ms");
    let mut total = scenario(4, 1);
    total.checks.order = Some(OrderScope::Total);
    assert_eq!(told_of(total, "order", |_| {}).expected, "all publications in one order for all clients");
    let feed = told_of(feeding(4, false), "feed", |_| {});
    assert_eq!((feed.population_unit.as_str(), feed.expected.as_str()), ("broadcasts", "a broadcast every 100ms ± 20ms"));
    assert_eq!(told_of(feeding(4, false), "order", |_| {}).expected, "the broadcasts in the order in which most clients saw them");
}

#[test]
fn a_check_is_found_by_its_id() {
    assert_eq!(find("order").map(|check| check.id), Some("order"));
    assert!(find("ordre").is_none());
}

#[test]
fn delivery_reads_the_pattern_of_what_is_missing() {
    let missing = |n: u64, clients: u64, deaf: u64, most: &[u32]| {
        let of = |account: &mut Account| {
            let copies = &mut account.copies;
            (copies.missing, copies.missing_clients, copies.deaf_clients) = (n, clients, deaf);
            copies.most_missing = most.iter().map(|client| (n, ConnId(*client))).collect();
        };
        told("delivery", of).note
    };
    assert!(missing(25, 1, 1, &[0]).starts_with("Exactly the senders' own copies"), "{}", missing(25, 1, 1, &[0]));
    assert!(missing(25, 1, 1, &[1]).starts_with("All missing copies are client 1's, which got none at all:"));
    assert!(missing(24, 1, 0, &[0]).starts_with("All missing copies are client 0's:"));
    assert!(missing(24, 1, 0, &[3]).starts_with("All missing copies are client 3's (the last to connect):"));
    assert!(missing(100, 4, 4, &[0, 1, 2, 3]).starts_with("Not one copy arrived"));
    assert!(missing(50, 2, 2, &[1, 2]).starts_with("2 clients got nothing at all"));
    assert_eq!(missing(50, 3, 2, &[1, 2]), "Missing at 3 of 4 clients.");
    assert_eq!(missing(3, 2, 0, &[1, 2]), "Missing at 2 of 4 clients.");
    let alone = told_of(scenario(1, 1), "delivery", |account| {
        let copies = &mut account.copies;
        (copies.missing, copies.missing_clients, copies.deaf_clients, copies.most_missing) = (25, 1, 1, vec![(25, ConnId(0))]);
    });
    assert!(alone.note.starts_with("Not one copy arrived"), "who is alone is not left out: {}", alone.note);
    let nobody = told("delivery", |account| {
        account.publications.sent += 2;
        (account.copies.missing, account.copies.missing_clients) = (8, 4);
    });
    assert_eq!(nobody.note, "2 publications reached nobody.");
    let observed = told("delivery", |account| {
        let copies = &mut account.copies;
        (copies.on_time, copies.missing, copies.late, copies.late_by_us) = (90, 6, 4, 1);
    });
    assert_eq!(observed.observed, "90 on time, 6 missing (6.0 %), 4 late (4.0 %), of which 1 late by us");
    assert_eq!((observed.violations, observed.outcome), (10, Outcome::Fail));
}

#[test]
fn what_was_rejected_is_not_taken_for_sent() {
    let mut scenario = scenario(4, 1);
    over_http(&mut scenario);
    let note = told_of(scenario, "delivery", |account| {
        account.publications.statuses = BTreeMap::from([(200, 20), (500, 5)]);
        (account.copies.missing, account.copies.missing_clients, account.copies.most_missing) = (20, 1, vec![(20, ConnId(0))]);
    });
    assert!(note.note.starts_with("Exactly the senders' own copies"), "{}", note.note);
    let nobody = told("delivery", |account| {
        account.publications.sent = 25 + 3;
        account.publications.statuses = BTreeMap::from([(500, 2)]);
        (account.copies.missing, account.copies.missing_clients) = (4, 4);
    });
    assert_eq!(nobody.note, "1 publication reached nobody.", "the other two were not to");
}

#[test]
fn delivery_needs_most_copies_to_be_uncontested() {
    let contested = |n: u64, planned: u64| {
        told("delivery", |account| (account.copies.contested, account.copies.contested_planned) = (n, planned)).outcome
    };
    assert_eq!((contested(25, 0), contested(26, 0)), (Outcome::Pass, Outcome::Inconclusive), "a fifth of all");
    assert_eq!((contested(100, 100), contested(101, 101)), (Outcome::Pass, Outcome::Inconclusive), "half of all, by plan");
    let rejected = told("delivery", |account| (account.copies.contested, account.copies.contested_rejected) = (90, 90));
    assert_eq!(rejected.outcome, Outcome::Pass, "what was rejected is no part of all");
    assert_eq!(rejected.note, "90 copies are of publications that the server rejected, and owed to nobody: see publish.");
}

#[test]
fn delivery_leaves_to_integrity_what_arrived_unreadable() {
    let unreadable = told("delivery", |account| (account.copies.missing, account.copies.missing_unreadable) = (3, 3));
    assert_eq!((unreadable.outcome, unreadable.violations), (Outcome::Pass, 0));
    assert!(unreadable.note.contains("3 missing copies besides arrived damaged beyond reading"), "{}", unreadable.note);
    let some = told("delivery", |account| (account.copies.missing, account.copies.missing_unreadable) = (3, 2));
    assert_eq!(some.violations, 1);
}

#[test]
fn late_by_us_excuses_only_what_is_late_by_us() {
    let late = |by_us| told("delivery", |account| (account.copies.late, account.copies.late_by_us) = (4, by_us)).outcome;
    assert_eq!((late(4), late(3)), (Outcome::Inconclusive, Outcome::Fail));
}

#[test]
fn duplicates_of_everything_are_told_from_some() {
    let twice =
        |duplicate, received| told("duplicate", |account| (account.copies.duplicate, account.copies.received) = (duplicate, received));
    assert!(twice(100, 200).note.starts_with("Every copy came 2 times"), "{}", twice(100, 200).note);
    assert!(twice(200, 300).note.starts_with("Every copy came 3 times"));
    assert_eq!((twice(99, 199).note.as_str(), twice(150, 250).note.as_str()), ("", ""));
    assert_eq!(twice(1, 101).observed, "1 duplicate (0.99 % of 101 arrivals)");
    let stray = told("duplicate", |account| (account.copies.received, account.copies.stray_copies) = (107, 7));
    assert_eq!(words(&stray).3, "100 copies, each once", "strays are not among them");
}

#[test]
fn order_tells_the_two_kinds_apart() {
    let mut scenario = scenario(4, 1);
    scenario.checks.order = Some(OrderScope::Total);
    let out = |own, total| {
        told_of(scenario.clone(), "order", |account| {
            (account.copies.out_of_order, account.copies.out_of_total_order) = (own, total);
        })
    };
    assert_eq!((out(2, 0).violations, out(2, 0).observed.as_str()), (2, "2 copies out of order (2.0 %)"));
    let both = out(2, 3);
    assert_eq!(both.observed, "2 copies behind a later one of the same publisher, 3 copies against the order others saw");
    assert_eq!(both.violations, 5);
    let unasked = told("order", |account| account.copies.out_of_total_order = 3);
    assert_eq!(unasked.violations, 0, "not asked for");
    let parts = told("order", |account| {
        let copies = &mut account.copies;
        (copies.on_time, copies.late, copies.contested_received) = (70, 20, 3);
    });
    assert_eq!(parts.population, 93);
}

#[test]
fn integrity_says_what_was_damaged_and_how() {
    let damaged = |flaws: &[(&str, u64)], n, unreadable| {
        told("integrity", |account| {
            let copies = &mut account.copies;
            copies.damaged = n;
            copies.flaws = flaws.iter().map(|(flaw, n)| ((*flaw).into(), *n)).collect();
            if unreadable > 0 {
                copies.stray.insert(StrayKind::Unreadable, unreadable);
            }
        })
    };
    let binary = damaged(&[("opcode", 2)], 2, 0);
    assert_eq!((binary.observed.as_str(), binary.violations), ("2 copies damaged (2.0 %): opcode 2", 2));
    assert!(binary.note.starts_with("Binary became text"));
    assert!(damaged(&[("length", 2)], 2, 0).note.starts_with("Only the length differs"));
    assert_eq!(damaged(&[("length", 2)], 3, 0).note, "", "not all");
    assert_eq!(damaged(&[("length", 2), ("bytes", 1)], 2, 0).note, "", "not only");
    let unreadable = damaged(&[("bytes", 1)], 1, 2);
    assert_eq!((unreadable.population, unreadable.violations), (102, 3));
    assert_eq!(unreadable.observed, "3 copies damaged (2.9 %): bytes 1, unreadable 2");
    assert!(damaged(&[("opcode", 2)], 2, 1).note.is_empty());
    let stray = told("integrity", |account| (account.copies.received, account.copies.stray_copies) = (107, 7));
    assert_eq!(words(&stray).3, "100 copies, all intact", "strays are not among them");
}

#[test]
fn stray_counts_every_kind_of_message() {
    let finding = told("stray", |account| {
        account.copies.received += 5;
        account.copies.stray_copies = 5;
        account.copies.stray = BTreeMap::from([(StrayKind::Echo, 2), (StrayKind::Unexpected, 4), (StrayKind::Unreadable, 9)]);
        account.pulse.beats = 10;
        let pings = [(&mut account.application, 1), (&mut account.protocol, 100)];
        for (pings, unit) in pings {
            (pings.on_time, pings.late, pings.again, pings.unsolicited) = (unit, 2 * unit, 3 * unit, 4 * unit);
        }
        account.connections.greetings = 7;
    });
    assert_eq!((finding.population, finding.violations), (100 + 6 + 10 + 1_010 + 7, 6));
    assert!(finding.observed.starts_with("6 stray messages: "), "{}", finding.observed);
    assert!(finding.note.contains("back to their sender") && finding.note.contains("that nothing explains"), "{}", finding.note);
    let silent = told_of(scenario(4, 0), "stray", |account| {
        account.copies.received = 0;
        account.feed.broadcasts = 0;
    });
    assert_eq!((silent.population, silent.population_unit.as_str()), (4, "clients listened to"));
}

#[test]
fn what_a_feed_lost_may_be_answers_to_single_clients() {
    let missing = |clients: u32, missing: u64| {
        told_of(feeding(clients, false), "delivery", |account| {
            account.copies.missing = missing;
            account.copies.missing_clients = clients.into();
        })
        .note
    };
    let single = "Each broadcast reached about one client only";
    let owed = told_of(feeding(4, false), "delivery", |_| {}).population;
    assert!(missing(4, owed / 4 * 3).starts_with(single), "{}", missing(4, owed / 4 * 3));
    assert!(!missing(4, owed / 4 * 3 - 1).starts_with(single));
    assert!(!missing(2, owed).starts_with(single), "of two clients nothing can be told");
}

#[test]
fn a_check_without_evidence_says_what_was_lacking() {
    let nothing = |check: &str, scenario: Scenario| {
        told_of(scenario, check, |account| {
            account.copies = Default::default();
            account.connections.opened = 4;
        })
        .note
    };
    for (check, note) in [
        ("delivery", "No evidence: no client was a member while anything was published."),
        ("duplicate", "No evidence: no copy was received."),
        ("order", "No evidence: no copy was received."),
        ("integrity", "No evidence: no copy was received."),
    ] {
        assert_eq!(nothing(check, scenario(4, 1)), note);
    }
    for check in ["duplicate", "order", "delivery"] {
        let alone = told_of(feeding(1, false), check, |_| {}).note;
        assert!(alone.starts_with("No evidence: no broadcast came that at least two clients were there for"), "{check}: {alone}");
    }
    for check in ["duplicate", "order"] {
        let nothing = told_of(feeding(4, false), check, |account| account.copies = Default::default()).note;
        assert_eq!(nothing, "No evidence: no copy was received.", "{check}");
    }
    let unheard = told_of(feeding(4, false), "feed", |account| account.feed.cadence = Default::default()).note;
    assert_eq!(unheard, "No evidence: nobody listened for a whole period: let the run last longer than the feed's period.");
    let mut disrupted = scenario(4, 1);
    disrupted.checks.disruption.resume = Some(Resume::Replayed);
    disrupted.checks.disruption.stray_after_leave = Some(StrayAfterLeaveCheck { within: Span::from_secs(1) });
    assert_eq!(told_of(disrupted.clone(), "resume", |_| {}).note, "No evidence: nothing was published while anybody was away.");
    assert_eq!(told_of(disrupted, "stray_after_leave", |_| {}).note, "No evidence: nobody left.");
    assert_eq!(told("survival", |account| account.connections.opened = 0).note, "No evidence: no client could connect.");
    let unready = told("pong", |account| account.connections.ready = 0).note;
    assert!(unready.starts_with("No evidence: clients connected, but none became ready"), "{unready}");
    let unsent = told("delivery", |account| {
        (account.copies.owed, account.publications.sent) = (0, 0);
        account.publications.dropped.insert(crate::event::DropCause::BackPressure, 7);
    });
    assert_eq!(unsent.note, "No evidence: nothing was published (7 planned publications could not be sent).");
}
