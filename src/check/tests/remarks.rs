//! The same for the checks that are not about copies: what a finding remarks, and where one remark gives way to the next.

use std::collections::BTreeMap;

use super::words::{told, told_of, words};
use crate::account::history::{over_http, scenario};
use crate::account::{Account, ShardCpu};
use crate::base::Span;
use crate::check::Outcome;
use crate::event::DropCause;
use crate::scenario::model::{ConnectCheck, LatencyLimit, Metric};

#[test]
fn connect_names_the_one_cause_there_is() {
    let with = |failed: &[(&str, u64)], opened: u64| {
        told("connect", |account| {
            account.connections.opened = opened;
            account.connections.failed = failed.iter().map(|(cause, n)| ((*cause).into(), *n)).collect();
        })
    };
    for (cause, note) in [
        ("refused", "Nothing listens"),
        ("bad_accept", "does not answer the key sent"),
        ("proxy", "did not open a tunnel"),
        ("bad_upgrade", "no WebSocket handshake"),
        ("http_401", "wants credentials"),
        ("http_403", "wants credentials"),
        ("http_404", "no WebSocket at this path"),
        ("http_426", "answers plain HTTP"),
        ("http_200", "answers plain HTTP"),
        ("http_429", "turns clients away"),
        ("tls", "does not verify"),
        ("timeout", "do not finish in time"),
    ] {
        let finding = with(&[(cause, 1)], 3);
        assert!(finding.note.contains(note), "{cause}: {}", finding.note);
        assert_eq!((finding.violations, finding.observed), (1, format!("3 opened (75.0 %); {cause} 1")));
    }
    assert_eq!(with(&[("http_500", 1)], 3).note, "");
    assert_eq!(with(&[("refused", 1), ("tls", 1)], 2).note, "", "two causes");
    assert_eq!(with(&[("refused", 1)], 2).note, "", "and one that nobody knows");
    assert!(with(&[("refused", 3)], 0).note.contains("Nothing listens"), "nobody came in, whatever became of the rest");
}

#[test]
fn connect_holds_a_share_to_its_edge() {
    let share = |min_share, within, lost: u64| {
        let mut scenario = scenario(4, 1);
        scenario.checks.connect = Some(ConnectCheck { min_share, within });
        told_of(scenario, "connect", |account| account.connections.opened -= lost)
    };
    assert_eq!((share(0.75, None, 1).outcome, share(0.76, None, 1).outcome), (Outcome::Pass, Outcome::Fail));
    assert_eq!(share(1.0, None, 1).violations, 1);
    let within = share(0.5, Some(Span::from_secs(1)), 0);
    assert_eq!(within.expected, "at least 50.0 % of 4 clients open within 1s");
    let slow = share(1.0, Some(Span::from_nanos(1_500_000)), 0);
    assert_eq!((slow.outcome, slow.observed.as_str()), (Outcome::Fail, "4 opened (100 %); 4 too slow"));
}

#[test]
fn survival_says_how_they_ended() {
    let lost = |who: &str, n: u64, code: &str| {
        told("survival", |account| {
            account.connections.lost = BTreeMap::from([(who.into(), n)]);
            account.connections.lost_codes = BTreeMap::from([(code.into(), n)]);
        })
    };
    assert_eq!(lost("server", 1, "1011").observed, "1 ended: 1 closed by the server (close codes: 1011 × 1)");
    assert_eq!(lost("network", 2, "none").observed, "2 ended: 2 broken without a Close frame (close codes: none × 2)");
    assert_eq!(lost("network", 2, "none").note, "");
    assert!(lost("network", 4, "none").note.starts_with("Every connection ended"));
    assert!(lost("violation", 1, "1002").note.contains("RFC 6455 forbids"));
    assert!(lost("server", 1, "1013").note.contains("too slow"));
    let single = told_of(scenario(1, 1), "survival", |account| {
        account.connections.lost = BTreeMap::from([("network".into(), 1)]);
    });
    assert_eq!(single.note, "", "one of one is no pattern");
}

#[test]
fn pong_remarks_each_have_their_sign() {
    let pong = |alter: fn(&mut Account)| told("pong", alter);
    let mute = pong(|account| (account.application.clients, account.application.mute, account.application.unanswered) = (4, 4, 4));
    assert!(mute.note.starts_with("No client ever got an answer: does it recognise"), "{}", mute.note);
    let passed_on = pong(|account| {
        (account.application.clients, account.application.mute) = (4, 4);
        (account.application.unanswered, account.application.passed_on) = (4, 12);
    });
    assert!(passed_on.note.starts_with("The server broadcasts the ping like any message"), "{}", passed_on.note);
    assert_eq!(passed_on.violations, 16);
    assert!(
        pong(|account| (account.protocol.clients, account.protocol.mute, account.protocol.unanswered) = (4, 4, 4))
            .note
            .starts_with("No client ever got a protocol")
    );
    assert_eq!(pong(|account| (account.protocol.clients, account.protocol.mute, account.protocol.on_time) = (4, 3, 1)).note, "");
    let wrong = pong(|account| (account.protocol.wrong_payload, account.protocol.unanswered, account.protocol.on_time) = (2, 2, 5));
    assert!(wrong.note.starts_with("Pongs come, but with another payload"), "{}", wrong.note);
    assert_eq!(wrong.observed, "5 of 7 pings answered in time, 2 unanswered, 2 of them with a wrong payload instead");
    assert_eq!(pong(|account| (account.protocol.wrong_payload, account.protocol.unanswered) = (2, 3)).note, "");
    assert!(pong(|account| (account.application.again, account.application.on_time) = (3, 3)).note.starts_with("Answers come to clients"));
    assert_eq!(pong(|account| (account.application.again, account.application.on_time) = (2, 3)).note, "");
    let fine = pong(|account| (account.application.on_time, account.protocol.on_time, account.protocol.unsolicited) = (3, 2, 1));
    assert_eq!((fine.outcome, fine.population), (Outcome::Pass, 5));
    assert_eq!(fine.note, "1 unsolicited protocol pong came, which RFC 6455 section 5.5.3 allows.");
    let all = pong(|account| {
        (account.application.on_time, account.application.late, account.application.again) = (9, 2, 3);
        (account.application.unsolicited, account.protocol.late, account.protocol.again) = (4, 1, 1);
    });
    assert_eq!(all.violations, 2 + 3 + 4 + 1 + 1);
    assert_eq!(all.observed, "9 of 12 pings answered in time, 3 late, 4 answered again, 4 answers unasked");
}

#[test]
fn publish_explains_one_and_the_same_refusal() {
    let mut scenario = scenario(4, 1);
    over_http(&mut scenario);
    let answers = |statuses: &[(u16, u64)]| {
        told_of(scenario.clone(), "publish", |account| account.publications.statuses = statuses.iter().copied().collect())
    };
    for (status, note) in [
        (302, "The server redirects"),
        (401, "wants credentials"),
        (403, "wants credentials"),
        (404, "Nothing takes publications"),
        (405, "Nothing takes publications"),
        (400, "does not understand the request"),
        (415, "does not understand the request"),
        (422, "does not understand the request"),
        (429, "turns publications away"),
        (503, "turns publications away"),
    ] {
        let finding = answers(&[(status, 25)]);
        assert!(finding.note.contains(note), "{status}: {}", finding.note);
        assert_eq!(finding.observed, format!("0 accepted, 25 answered {status} (100 %)"));
    }
    assert_eq!(answers(&[(500, 25)]).note, "");
    assert_eq!(answers(&[(404, 5), (503, 20)]).note, "", "two refusals");
    assert_eq!(
        answers(&[(200, 20), (404, 3)]).note,
        "Nothing takes publications at this URL with this method. 2 requests were still under way when the run ended."
    );
    assert_eq!(words(&answers(&[(200, 25)])), (25, "publications", "every one of 25 publications accepted (2xx)", "25 accepted"));
}

#[test]
fn heartbeat_remarks_each_have_their_sign() {
    let beats = |n: u64, early: u64, every_ms: u64| {
        told("heartbeat", |account| {
            let pulse = &mut account.pulse;
            (pulse.beats, pulse.early, pulse.in_time, pulse.missed, pulse.silent) = (n, early, n - early, 1, 0);
            (0..10).for_each(|_| pulse.intervals.record(every_ms * 1_000_000));
        })
    };
    assert!(beats(10, 0, 2_000).note.contains("2 × the promised period"), "{}", beats(10, 0, 2_000).note);
    assert!(beats(10, 0, 3_000).note.contains("3 × the promised period"));
    assert!(beats(10, 0, 500).note.contains("2 times as often as promised"), "{}", beats(10, 0, 500).note);
    assert!(beats(10, 0, 333).note.contains("3 times as often as promised"), "{}", beats(10, 0, 333).note);
    assert!(beats(10, 0, 700).note.starts_with("Half of the intervals are"), "{}", beats(10, 0, 700).note);
    assert_eq!(beats(10, 0, 950).note, "", "within the tolerance");
    assert!(beats(9, 3, 1_000).note.starts_with("Beats come in pairs or bursts"));
    assert_eq!(beats(10, 3, 1_000).note, "", "fewer than a third are early");
    assert_eq!(beats(10, 0, 2_500).note, "", "no multiple of the period");
    let silent = told("heartbeat", |account| (account.pulse.beats, account.pulse.silent) = (10, 1));
    assert_eq!(silent.note, "1 client never saw a beat while others did.");
}

#[test]
fn the_instrument_is_unfit_beyond_its_limits_and_not_at_them() {
    let unfit = |alter: &dyn Fn(&mut Account)| told("instrument", alter);
    let at = unfit(&|account| (account.publications.sent, account.publications.late_sends) = (100, 1));
    assert_eq!(at.outcome, Outcome::Pass, "{}", at.note);
    let beyond = unfit(&|account| (account.publications.sent, account.publications.late_sends) = (100, 2));
    assert!(beyond.note.starts_with("2 of 100 publications (2.0 %) were sent more than 20ms late"), "{}", beyond.note);
    let busy = |ms| {
        let span = Span::from_millis;
        let cpu = ShardCpu { publishing: span(ms), steady: span(ms), steady_wall: span(1_000) };
        unfit(&|account| account.health.shards = BTreeMap::from([(0, cpu)]))
    };
    assert_eq!(busy(950).outcome, Outcome::Pass);
    assert!(busy(990).note.starts_with("Shard 0 used 99 % of its core"), "{}", busy(990).note);
    let stopped = |ms: u64| unfit(&|account| account.health.loop_lag.record(ms * 1_000_000));
    assert_eq!(stopped(240).outcome, Outcome::Pass, "{}", stopped(240).note);
    assert!(stopped(260).note.contains("stood still for 26"), "{}", stopped(260).note);
    let unknown = unfit(&|account| account.bounds.publishers_unknown = 1);
    assert_eq!(unknown.note, "The books of 1 publisher are lost with their worker.");
    let unsent = |cause, n| {
        unfit(&|account| {
            account.publications.dropped.insert(cause, n);
        })
    };
    let finding = unsent(DropCause::NotOpen, 2);
    assert_eq!(finding.note, "2 publications could not be sent because the publisher's connection was not open.");
    assert_eq!((finding.population, finding.violations), (27, 1));
    assert!(unsent(DropCause::BackPressure, 1).note.starts_with("1 publication could not be sent because the server did not read"));
    assert_eq!(unsent(DropCause::Ending, 3).note, "3 planned publications fell to the end of the run.");
    for theirs in [
        (|account| account.connections.lost_publishers = 1) as fn(&mut Account),
        |account| account.connections.opened -= 1,
        |account| account.connections.not_ready = 1,
    ] {
        let finding = unfit(&|account| {
            account.publications.dropped.insert(DropCause::NotOpen, 2);
            theirs(account);
        });
        assert_eq!(finding.outcome, Outcome::Pass, "the server's doing, which others judge: {}", finding.note);
    }
}

#[test]
fn latency_of_a_maximum_is_called_so_and_counts_what_is_above() {
    let with = |metric, percentile, at_most| {
        let mut scenario = scenario(4, 1);
        scenario.checks.latency = vec![LatencyLimit { metric, percentile, at_most: Span::from_millis(at_most) }];
        told_of(scenario, "latency", |account| {
            for ns in [1_000_000, 2_000_000, 40_000_000] {
                account.requests.record(ns);
            }
        })
    };
    let maximum = with(Metric::Publish, 100.0, 10);
    assert_eq!((maximum.outcome, maximum.violations, maximum.population), (Outcome::Fail, 1, 3));
    assert_eq!(maximum.observed, "publish maximum 40ms; 1 samples above the limit (33.3 %)");
    assert_eq!(with(Metric::Publish, 50.0, 10).outcome, Outcome::Pass);
    assert_eq!(with(Metric::Publish, 50.0, 10).violations, 0);
    for (metric, name) in [
        (Metric::SendLag, "send lag"),
        (Metric::Transit, "transit"),
        (Metric::Pong, "pong"),
        (Metric::HeartbeatInterval, "heartbeat interval"),
        (Metric::Connect, "connect"),
        (Metric::Spread, "spread"),
    ] {
        assert_eq!(with(metric, 99.0, 10).expected, format!("{name} p99 at most 10ms"));
    }
    assert_eq!(with(Metric::Spread, 99.0, 10).observed, "no spread sample");
}
