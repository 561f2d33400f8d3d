//! What a finding says, word for word: what was looked at, what was due, what was seen, and what it means.

use super::disruptions::{is_reset_at_last, missed, silent, slow};
use super::{ordinary, with_heartbeat, with_pong};
use crate::account::history::{History, feeding, ms, over_http, scenario};
use crate::base::{ConnId, Span};
use crate::check::{Finding, judge};
use crate::event::{ClosedBy, ConnectFailure, Event, Phase};
use crate::scenario::model::{LatencyLimit, Metric, Resume};

/// A finding without its claim and witnesses.
fn told(history: &History, check: &str) -> String {
    let account = history.over(2);
    let found = judge(&history.plan, &account).into_iter().find(|f| f.check == check).expect("it was asked for");
    let Finding { outcome, population, population_unit, expected, observed, violations, note, .. } = found;
    format!("{outcome:?}: {violations} of {population} {population_unit}; {expected}; {observed}. {note}").trim_end().into()
}

#[test]
fn dead_peer_word_for_word() {
    let mut fine = silent(Some(1011));
    fine.is_lost(1, 2_600, ClosedBy::Server, Some(1011)).is_lost(2, 3_000, ClosedBy::Server, Some(1011)).closes(6_000, 6_100);
    let mut never = silent(None);
    never.is_lost(1, 2_600, ClosedBy::Server, Some(1011));
    is_reset_at_last(&mut never, 2, false);
    never.closes(6_000, 6_100);
    let mut blind = silent(None);
    is_reset_at_last(&mut blind, 1, true);
    is_reset_at_last(&mut blind, 2, true);
    blind.closes(6_000, 6_100);
    let said = [fine, never, blind].map(|history| told(&history, "dead_peer"));
    assert_eq!(
        said,
        [
            "Pass: 0 of 2 half-open clients; each of 2 clients closed within 1s with code 1011; 2 closed, the last after 900ms (close codes: 1011 × 2).",
            "Fail: 1 of 2 half-open clients; each of 2 clients closed within 1s; 1 closed, the last after 500ms (close codes: 1011 × 1); 1 never noticed. Without protocol pings, or a limit on what waits for a client, a server never learns that one is gone.",
            "Inconclusive: 0 of 0 half-open clients; each of 0 clients closed within 1s; none was closed. No evidence: more came than a silent client takes, so what the server did was not seen: publish less.",
        ]
    );
}

#[test]
fn isolation_word_for_word() {
    let said = [(5, 5), (5, 105), (5, 107), (1_400, 1_400)].map(|(calm, disturbed)| {
        let mut history = slow(calm, disturbed);
        history.closes(8_000, 8_100);
        told(&history, "isolation")
    });
    assert_eq!(
        said,
        [
            "Pass: 0 of 720 bystanders' copies; p99 of delivery at most 105ms (100ms more than without); p99 5ms with, p99 5ms without.",
            "Pass: 0 of 720 bystanders' copies; p99 of delivery at most 105ms (100ms more than without); p99 105ms with, p99 5ms without.",
            "Fail: 720 of 720 bystanders' copies; p99 of delivery at most 105ms (100ms more than without); p99 107ms with, p99 5ms without; 720 later than the limit.",
            "Pass: 0 of 720 bystanders' copies; p99 of delivery at most 1.5s (100ms more than without); p99 1.4s with, p99 1.4s without.",
        ]
    );
}

#[test]
fn resume_word_for_word() {
    let said = [Resume::Replayed, Resume::Nothing].map(|promise| told(&missed(promise), "resume"));
    assert_eq!(
        said,
        [
            "Fail: 1 of 4 missed copies; every one of 4 copies replayed; 3 replayed (75.0 %) after 2 returns.",
            "Fail: 3 of 4 missed copies; none of 4 copies replayed; 3 replayed (75.0 %) after 2 returns.",
        ]
    );
}

#[test]
fn checks_without_evidence_say_what_was_lacking() {
    let mut quiet = ordinary(3, 1);
    quiet.closes(5_000, 5_100);
    let mut http = scenario(2, 1);
    over_http(&mut http);
    let mut unanswered = History::ordinary(http);
    unanswered.publishes(0, 4_999);
    unanswered.closes(5_000, 5_001);
    let mut nobody = History::ordinary(feeding(1, false));
    nobody.tick(0, 1, &[]).tick(1, 2, &[]).closes(5_000, 5_100);
    let mut silent = scenario(2, 0);
    silent.checks.latency = vec![LatencyLimit { metric: Metric::Pong, percentile: 99.0, at_most: Span::from_secs(1) }];
    let mut unmeasured = History::ordinary(with_heartbeat(with_pong(silent)));
    unmeasured.closes(400, 500);
    let said: Vec<String> = [
        (&quiet, ["delivery", "duplicate", "order", "integrity"].as_slice()),
        (&unanswered, &["publish"]),
        (&nobody, &["delivery", "duplicate", "order"]),
        (&unmeasured, &["latency", "pong", "heartbeat"]),
    ]
    .into_iter()
    .flat_map(|(history, checks)| checks.iter().map(|check| told(history, check)))
    .collect();
    assert_eq!(
        said,
        [
            "Inconclusive: 0 of 0 owed copies; every one of 0 owed copies within 1s; no copy was owed. No evidence: nothing was published (0 planned publications could not be sent).",
            "Inconclusive: 0 of 0 received copies; no copy a second time; 0 copies, each once. No evidence: nothing was published (0 planned publications could not be sent).",
            "Inconclusive: 0 of 0 copies in sequence; each publisher's publications in the order sent; 0 copies, all in order. No evidence: nothing was published (0 planned publications could not be sent).",
            "Inconclusive: 0 of 0 received copies; the bytes and the opcode sent; 0 copies, all intact. No evidence: nothing was published (0 planned publications could not be sent).",
            "Inconclusive: 0 of 0 publications; every one of 0 publications accepted (2xx); no request was answered. No evidence: no request had been answered when the run ended. 1 request was still under way when the run ended.",
            "Inconclusive: 0 of 0 owed copies; every one of 0 owed copies within 1s of the first client to have it; no copy was owed. No evidence: no broadcast came that at least two clients were there for: the copies of one can only be compared with the others'. 2 copies are contested (a join, leave or disconnect overlaps).",
            "Inconclusive: 0 of 0 received copies; no copy a second time; 2 copies, each once. No evidence: no broadcast came that at least two clients were there for: the copies of one can only be compared with the others'.",
            "Inconclusive: 0 of 0 copies in sequence; the broadcasts in the order in which most clients saw them; 0 copies, all in order. No evidence: no broadcast came that at least two clients were there for: the copies of one can only be compared with the others'.",
            "Inconclusive: 0 of 0 samples; pong p99 at most 1s; no pong sample. No evidence: there is no sample of this metric.",
            "Inconclusive: 0 of 0 pings; every ping answered within 500ms, once, to the asker only; 0 of 0 pings answered in time. No evidence: no ping was sent by a client that then stayed for the limit.",
            "Inconclusive: 0 of 0 beats; a beat every 1s ± 100ms, on every connection; 0 of 0 beats due in time. No evidence: no client stayed for a whole period: let the run last longer than the heartbeat's period.",
        ]
    );
}

#[test]
fn failures_word_for_word() {
    let mut twice = ordinary(3, 1);
    twice.broadcasts(0, 10).gets(1, 0, 3, 400).closes(5_000, 5_100);
    let mut behind = ordinary(3, 1);
    behind.broadcasts(0, 10);
    let (first, second) = (behind.publishes(0, 400), behind.publishes(0, 410));
    behind.gets(0, 0, second, 412).gets(0, 0, first, 413);
    for client in [1, 2] {
        behind.gets(client, 0, first, 405).gets(client, 0, second, 412);
    }
    behind.closes(5_000, 5_100);
    let mut refused = History::of(scenario(3, 0));
    refused.phase(Phase::Ramp, 0).joins(0, 0).joins(1, 0);
    let (conn, cause) = (ConnId(2), ConnectFailure::Refused);
    refused.tell(Event::Connecting { conn, at: ms(1) });
    refused.tell(Event::ConnectFailed { conn, at: ms(2), cause, detail: "" });
    refused.phase(Phase::Steady, 100).healthy(100, 5_000).closes(5_000, 5_100);
    let mut http = scenario(2, 1);
    over_http(&mut http);
    let mut rejected = History::ordinary(http);
    for (n, status) in [(0, 200), (1, 503), (2, 503)] {
        let seq = rejected.publishes(0, 200 + 10 * n);
        rejected.is_answered(0, seq, status, "");
        if status == 200 {
            rejected.all_get(0, seq, 205);
        }
    }
    rejected.publishes(0, 4_999);
    rejected.closes(5_000, 5_001);
    let said = [(&twice, "duplicate"), (&behind, "order"), (&refused, "connect"), (&rejected, "publish")]
        .map(|(history, check)| told(history, check));
    assert_eq!(
        said,
        [
            "Fail: 1 of 31 received copies; no copy a second time; 1 duplicate (3.2 % of 31 arrivals).",
            "Fail: 1 of 36 copies in sequence; each publisher's publications in the order sent; 1 copy out of order (2.8 %).",
            "Fail: 1 of 3 clients; all of 3 clients open; 2 opened (66.7 %); refused 1. Nothing listens at the target, or its backlog is full.",
            "Fail: 2 of 3 publications; every one of 3 publications accepted (2xx); 1 accepted, 2 answered 503 (66.7 %). The server turns publications away: is there a limit on their rate? 1 request was still under way when the run ended.",
        ]
    );
}

#[test]
fn a_bystander_that_misses_copies_while_others_read_slowly_is_counted() {
    let mut history = slow(5, 5);
    let within = ms(2_100)..ms(4_100);
    history.events.retain(|event| !matches!(event, Event::Copy(copy) if copy.conn == ConnId(7) && within.contains(&copy.planned)));
    history.closes(8_000, 8_100);
    let isolation = history.over(2).disruptions.isolation;
    assert_eq!((isolation.disturbed.missing, isolation.disturbed.owed(), isolation.calm.missing), (40, 720, 0));
    assert_eq!((isolation.disturbed.late, isolation.disturbed.lost, isolation.sightings.as_slice().len()), (0, 0, 8));
    let text = "Fail: 40 of 720 bystanders' copies; p99 of delivery at most 105ms (100ms more than without); \
                p99 5ms with, p99 5ms without; 40 late or missing (5.6 %).";
    assert_eq!(told(&history, "isolation"), text);
}
