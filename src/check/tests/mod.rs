//! Every check red, green and without evidence; and one mistake of a server is one finding.

mod answers;
mod clients;
mod copies;
mod disruptions;
mod excuses;
mod feed;
mod remarks;
mod signals;
mod verbatim;
mod witnesses;
mod words;

use super::{CATALOGUE, Finding, Outcome, judge, verdict};
use crate::account::history::{History, ms, scenario};
use crate::base::{ConnId, Span};
use crate::event::{Event, PingLevel};
use crate::scenario::Scenario;
use crate::scenario::model::{ApplicationPing, Beat, Body, FirstBeat, HeartbeatCheck, Matcher, PongCheck, Template};

fn findings(history: &History) -> Vec<Finding> {
    let account = history.over(2);
    assert!(account.books_balance(), "{:#?}", account.copies);
    judge(&history.plan, &account)
}

/// The checks that left Pass, with their outcomes.
fn not_passed(history: &History) -> Vec<(String, Outcome)> {
    findings(history).into_iter().filter(|f| f.outcome != Outcome::Pass).map(|f| (f.check, f.outcome)).collect()
}

fn one(history: &History, check: &str) -> Finding {
    let found: Vec<_> = findings(history).into_iter().filter(|f| f.check == check).collect();
    assert_eq!(found.len(), 1, "{check}: {found:#?}");
    found.into_iter().next().expect("one")
}

/// Exactly `check` fails, and everything else passes.
fn only(history: &History, check: &str) -> Finding {
    assert_eq!(not_passed(history), [(check.to_owned(), Outcome::Fail)]);
    let finding = one(history, check);
    assert!(finding.violations > 0 && !finding.witnesses.is_empty() && finding.witnesses.len() <= 8, "{finding:#?}");
    assert_eq!(verdict(&findings(history)), Outcome::Fail);
    finding
}

fn ordinary(clients: u32, publishers: u32) -> History {
    History::ordinary(scenario(clients, publishers))
}

fn with_pong(mut scenario: Scenario) -> Scenario {
    scenario.checks.pong = Some(PongCheck {
        every: Span::from_secs(1),
        within: Span::from_millis(500),
        application: Some(ApplicationPing { send: Body::Text(Template::literal("ping")), expect: Matcher::Contains("pong".into()).into() }),
        protocol: true,
    });
    scenario
}

fn with_heartbeat(mut scenario: Scenario) -> Scenario {
    scenario.checks.heartbeat = Some(HeartbeatCheck {
        beat: Beat::Message(Matcher::Contains("ping".into()).into()),
        every: Span::from_secs(1),
        first: FirstBeat::Period,
        tolerance: Span::from_millis(100),
    });
    scenario
}

/// `client` pings on one level at `at`; an answer comes `after` ms later, if at all.
fn pings(history: &mut History, client: u32, level: PingLevel, nonce: u32, at: u64, after: Option<u64>) {
    let conn = ConnId(client);
    history.tell(Event::PingSent { conn, level, nonce, at: ms(at) });
    if let Some(after) = after {
        let nonce = (level == PingLevel::Protocol).then_some(nonce);
        history.tell(Event::Pong { conn, level, nonce, at: ms(at + after) });
    }
}

#[test]
fn an_honest_server_passes_everything() {
    let mut history = History::ordinary(with_heartbeat(with_pong(scenario(4, 2))));
    history.broadcasts(0, 50).broadcasts(1, 50);
    for client in 0..4 {
        for n in 0..4 {
            pings(&mut history, client, PingLevel::Application, n, 1_000 * u64::from(n) + 300, Some(10));
            pings(&mut history, client, PingLevel::Protocol, n, 1_000 * u64::from(n) + 600, Some(10));
        }
        history.beats(client, [1_000, 2_010, 3_000, 4_000, 5_000]);
    }
    history.closes(5_000, 5_100);
    assert_eq!(not_passed(&history), []);
    let ids: Vec<_> = findings(&history).into_iter().map(|f| f.check).collect();
    let unasked = ["latency", "publish", "subprotocol", "feed", "isolation", "dead_peer", "recovery", "resume", "stray_after_leave"];
    let asked: Vec<_> = CATALOGUE.iter().map(|c| c.id).filter(|id| !unasked.contains(id)).collect();
    assert_eq!(ids, asked, "in the catalogue's order; those not asked left out");
    let delivery = one(&history, "delivery");
    assert_eq!((delivery.expected.as_str(), delivery.observed.as_str()), ("every one of 400 owed copies within 1s", "400 on time"));
}

#[test]
fn nothing_asked_is_no_evidence() {
    assert_eq!(verdict(&[]), Outcome::Inconclusive);
    let mut silent = scenario(1, 0);
    silent.checks.connect = None;
    silent.checks.survival = false;
    silent.checks.stray = false;
    let mut history = History::ordinary(silent);
    history.closes(5_000, 5_100);
    let ids: Vec<_> = findings(&history).into_iter().map(|f| f.check).collect();
    assert_eq!(ids, ["instrument"], "what was not asked makes no finding");
}

#[test]
fn a_run_without_publications_proves_nothing_about_copies() {
    let mut history = ordinary(3, 1);
    history.closes(5_000, 5_100);
    let unproven: Vec<_> = not_passed(&history).into_iter().map(|(check, outcome)| (check, outcome == Outcome::Inconclusive)).collect();
    let names: Vec<_> = unproven.iter().map(|(check, _)| check.as_str()).collect();
    assert_eq!(names, ["delivery", "duplicate", "order", "integrity", "instrument"]);
    assert!(unproven.iter().all(|(_, inconclusive)| *inconclusive));
    assert!(one(&history, "delivery").note.contains("No evidence"));
}

#[test]
fn an_interrupted_run_passes_nothing_but_keeps_its_failures() {
    let mut history = ordinary(3, 1);
    history.broadcasts(0, 10).gets(0, 0, 3, 400).tell(Event::Interrupted { at: ms(2_000), detail: "Ctrl-C" });
    history.closes(2_000, 2_100);
    let findings = findings(&history);
    assert!(findings.iter().all(|f| f.outcome != Outcome::Pass), "{findings:#?}");
    assert_eq!(one(&history, "duplicate").outcome, Outcome::Fail);
    assert_eq!(one(&history, "delivery").outcome, Outcome::Inconclusive);
    assert!(one(&history, "delivery").note.contains("Ctrl-C"));
}

#[test]
fn every_catalogue_row_is_complete_and_its_own() {
    let mut ids: Vec<_> = CATALOGUE.iter().map(|check| check.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), CATALOGUE.len());
    for check in &CATALOGUE {
        for text in [check.claim, check.needs, check.proves] {
            assert!(text.len() > 20 && text.ends_with('.'), "{}: {text}", check.id);
        }
    }
}
