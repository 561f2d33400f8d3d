//! What the server answers to a handshake's offer and to a publication over HTTP; and how much contested is too much.

use super::{findings, not_passed, one, only, ordinary};
use crate::account::Account;
use crate::account::history::{self, History, ms, scenario};
use crate::base::{ConnId, Span};
use crate::check::Outcome;
use crate::event::{Event, Phase};
use crate::scenario::Scenario;
use crate::scenario::model::{LatencyLimit, Metric};

fn over_http(clients: u32) -> Scenario {
    let mut scenario = scenario(clients, 1);
    history::over_http(&mut scenario);
    scenario
}

/// Twenty publications, accepted and received by all.
fn accepted(scenario: Scenario) -> History {
    let mut history = History::ordinary(scenario);
    history.broadcasts(0, 20);
    (0..20).for_each(|seq| {
        history.is_answered(0, seq, 202, "");
    });
    history
}

fn balanced(history: &History) -> Account {
    let account = history.over(2);
    assert!(account.books_balance(), "{:#?}", account.copies);
    account
}

#[test]
fn accepted_publications_pass() {
    let mut history = accepted(over_http(3));
    history.closes(5_000, 5_100);
    assert_eq!(not_passed(&history), []);
    let finding = one(&history, "publish");
    assert_eq!((finding.population, finding.observed.as_str()), (20, "20 accepted"));
}

#[test]
fn a_rejected_publication_is_owed_to_nobody() {
    let mut history = accepted(over_http(3));
    let seq = history.publishes(0, 600);
    history.is_answered(0, seq, 503, "busy\x1b[2J").closes(5_000, 5_100);
    let finding = only(&history, "publish");
    assert_eq!((finding.population, finding.violations), (21, 1));
    assert_eq!(finding.observed, "20 accepted, 1 answered 503 (4.8 %)");
    assert!(finding.note.contains("turns publications away"), "{}", finding.note);
    let witness = &finding.witnesses[0];
    assert_eq!((witness.seq, witness.what.as_str()), (Some(seq), "answered 503 after 10ms: busy\\u{1b}[2J"));
    let account = balanced(&history);
    assert_eq!((account.copies.owed, account.copies.contested, account.copies.contested_rejected), (60, 3, 3));
    assert!(one(&history, "delivery").note.contains("3 copies are of publications that the server rejected"));
    assert_eq!(account.publications.statuses.clone().into_iter().collect::<Vec<_>>(), [(202, 20), (503, 1)]);
    let (ledgers, log) = history.ledgers(2);
    assert!(ledgers.iter().all(|ledger| ledger.all_in(&log)), "nobody waits for it");
}

#[test]
fn copies_of_a_rejected_publication_are_contested_whenever_they_come() {
    let mut history = accepted(over_http(3));
    let first = history.publishes(0, 600);
    let second = history.publishes(0, 610);
    let third = history.publishes(0, 620);
    // The first came in time at one client and late at another, the third is fine.
    history.gets(0, 0, first, 605).gets(1, 0, first, 1_900).all_get(0, third, 625);
    history.is_answered(0, first, 500, "").is_answered(0, second, 500, "").is_answered(0, third, 200, "").closes(5_000, 5_100);
    only(&history, "publish");
    let copies = balanced(&history).copies;
    assert_eq!((copies.owed, copies.late, copies.missing), (63, 0, 0));
    assert_eq!((copies.contested, copies.contested_received, copies.contested_rejected), (6, 2, 6));
}

#[test]
fn a_loss_beside_a_rejection_is_still_a_loss() {
    let mut history = accepted(over_http(3));
    let rejected = history.publishes(0, 600);
    let lost = history.publishes(0, 610);
    history.gets(0, 0, lost, 615).gets(2, 0, lost, 615);
    history.is_answered(0, rejected, 404, "").is_answered(0, lost, 200, "").closes(5_000, 5_100);
    assert_eq!(not_passed(&history), [("publish".into(), Outcome::Fail), ("delivery".into(), Outcome::Fail)]);
    let delivery = one(&history, "delivery");
    assert_eq!((delivery.violations, delivery.witnesses[0].client, delivery.witnesses[0].seq), (1, Some(1), Some(lost)));
}

#[test]
fn no_answer_is_a_rejection_unless_we_stood_still() {
    let silent = |tell: &dyn Fn(&mut History)| {
        let mut history = accepted(over_http(3));
        let seq = history.publishes(0, 600);
        history.is_answered(0, seq, 0, "timed out");
        tell(&mut history);
        history.closes(5_000, 5_100);
        one(&history, "publish")
    };
    let theirs = silent(&|_| {});
    assert_eq!((theirs.outcome, theirs.witnesses[0].what.as_str()), (Outcome::Fail, "no answer after 10ms: timed out"));
    let ours = silent(&|history| {
        history.lag(1_950, 1_300);
    });
    assert_eq!(ours.outcome, Outcome::Inconclusive, "{}", ours.note);
}

#[test]
fn requests_without_any_answer_prove_nothing() {
    let mut history = History::ordinary(over_http(3));
    history.broadcasts(0, 20).closes(5_000, 5_100);
    assert_eq!(not_passed(&history), [("publish".into(), Outcome::Inconclusive)]);
    assert!(one(&history, "publish").note.contains("20 requests were still under way"));
}

#[test]
fn the_time_to_an_answer_can_be_limited() {
    let limited = |at_most, answer: bool| {
        let mut scenario = over_http(3);
        scenario.checks.latency = vec![LatencyLimit { metric: Metric::Publish, percentile: 99.0, at_most: Span::from_millis(at_most) }];
        let mut history = if answer { accepted(scenario) } else { History::ordinary(scenario) };
        history.closes(5_000, 5_100);
        let finding = one(&history, "latency");
        (finding.outcome, finding.population)
    };
    assert_eq!(limited(11, true), (Outcome::Pass, 20));
    assert_eq!(limited(9, true), (Outcome::Fail, 20));
    assert_eq!(limited(9, false), (Outcome::Inconclusive, 0));
}

#[test]
fn a_subprotocol_is_chosen_or_not() {
    let offering = || {
        let mut scenario = scenario(3, 1);
        scenario.groups[0].subprotocols = vec!["mqtt".into()];
        scenario.checks.subprotocol = true;
        scenario
    };
    let mut green = History::ordinary(offering());
    green.broadcasts(0, 10).closes(5_000, 5_100);
    assert_eq!(not_passed(&green), []);
    let finding = one(&green, "subprotocol");
    assert_eq!((finding.population, finding.expected.as_str()), (3, "one of those offered (mqtt) on every one of 3 connections"));

    let mut red = History::ordinary(offering());
    red.tell(Event::NoSubprotocol { conn: ConnId(1), at: ms(0) }).broadcasts(0, 10).closes(5_000, 5_100);
    let finding = only(&red, "subprotocol");
    assert_eq!((finding.violations, finding.witnesses[0].client), (1, Some(1)));
    assert_eq!(finding.observed, "chosen on 2, none on 1 (33.3 %)");

    let mut unproven = History::of(offering());
    unproven.phase(Phase::Ramp, 0).phase(Phase::Steady, 100).closes(5_000, 5_100);
    assert_eq!(one(&unproven, "subprotocol").outcome, Outcome::Inconclusive);
    let mut unasked = ordinary(3, 1);
    unasked.broadcasts(0, 10).closes(5_000, 5_100);
    assert!(findings(&unasked).iter().all(|finding| finding.check != "subprotocol" && finding.check != "publish"));
}

#[test]
fn too_much_contested_is_no_pass() {
    let leaving = |clients: u32| {
        let mut history = ordinary(clients, 1);
        history.broadcasts(0, 10).leaves(clients - 1, 300).closes(5_000, 5_100);
        history
    };
    let few = leaving(20);
    assert_eq!(not_passed(&few), [], "10 of 200");
    let many = leaving(4);
    assert_eq!(not_passed(&many), [("delivery".into(), Outcome::Inconclusive)]);
    let finding = one(&many, "delivery");
    assert!(finding.note.starts_with("25.0 % of the copies are contested"), "{}", finding.note);
    assert_eq!(balanced(&many).copies.contested_rejected, 0);
}
