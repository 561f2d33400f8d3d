//! The same for the checks that are not about copies: what a finding remarks, and where one remark gives way to the next.

use std::collections::BTreeMap;

use super::disruptions::{Strikes, is_reset_at_last, with_verb};
use super::words::{told, told_of, words};
use super::{one, with_heartbeat};
use crate::account::history::{History, feeding, ms, over_http, scenario};
use crate::account::{Account, ShardCpu, Tally};
use crate::base::Span;
use crate::check::Outcome;
use crate::event::{ClosedBy, DropCause, Event};
use crate::scenario::model::{ConnectCheck, FeedCheck, IsolationCheck, LatencyLimit, Metric, Verb};

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

/// The median of intervals of so many milliseconds, as books that keep three digits give it.
fn median_of(interval: u64) -> Span {
    let mut intervals = Tally::default();
    intervals.record(interval * 1_000_000);
    Span::from_nanos(intervals.percentile(50.0).expect("a sample"))
}

#[test]
fn feed_remarks_each_have_their_sign() {
    let told = |every, beats: u64, early: u64, interval: u64| {
        let mut scenario = feeding(4, false);
        scenario.checks.feed = Some(FeedCheck { every, tolerance: Span::from_millis(20) });
        let alter = |account: &mut Account| {
            let cadence = &mut account.feed.cadence;
            *cadence = Default::default();
            (cadence.beats, cadence.early, cadence.in_time, cadence.missed) = (beats, early, beats - early, 1);
            (0..10).for_each(|_| cadence.intervals.record(interval * 1_000_000));
        };
        told_of(scenario, "feed", alter).note
    };
    let every = Span::from_millis(100);
    let (doubled, slow) = (told(every, 9, 4, 50), told(every, 9, 0, 130));
    assert!(doubled.starts_with("Broadcasts come every 50") && doubled.contains("faster than promised"), "{doubled}");
    assert!(slow.starts_with("Broadcasts come every 130") && slow.ends_with("the feed is slower than promised."), "{slow}");
    assert_eq!(told(every, 9, 3, 50), "", "no more than a third are early");
    assert_eq!(told(every, 9, 9, 90), "", "within the tolerance");
    assert_eq!(told(every, 9, 0, 110), "", "likewise");
    let tolerance = Span::from_millis(20);
    assert_eq!(told(median_of(80) + tolerance, 9, 9, 80), "", "as early as a broadcast may be");
    assert_eq!(told(median_of(120).abs_diff(tolerance), 9, 0, 120), "", "as late as a broadcast may be");
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
    assert!(beats(10, 0, 1_950).note.contains("2 × the promised period"), "{}", beats(10, 0, 1_950).note);
    assert!(beats(10, 0, 3_000).note.contains("3 × the promised period"));
    assert!(beats(10, 0, 500).note.contains("2 times as often as promised"), "{}", beats(10, 0, 500).note);
    assert!(beats(10, 0, 333).note.contains("3 times as often as promised"), "{}", beats(10, 0, 333).note);
    assert!(beats(10, 0, 700).note.starts_with("Half of the intervals are"), "{}", beats(10, 0, 700).note);
    assert!(beats(10, 0, 620).note.starts_with("Half of the intervals are"), "{}", beats(10, 0, 620).note);
    assert_eq!(beats(10, 0, 950).note, "", "within the tolerance");
    let mut at_the_edge = with_heartbeat(scenario(4, 1));
    at_the_edge.checks.heartbeat.as_mut().expect("asked").every = median_of(900) + Span::from_millis(100);
    let at_the_edge = told_of(at_the_edge, "heartbeat", |account| {
        (account.pulse.beats, account.pulse.in_time, account.pulse.missed, account.pulse.silent) = (10, 10, 1, 0);
        account.pulse.intervals.record(900_000_000);
    });
    assert_eq!(at_the_edge.note, "", "as early as a beat may be");
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
    assert_eq!(stopped(250).outcome, Outcome::Pass, "five times what the percentile may be");
    assert!(stopped(260).note.contains("stood still for 26"), "{}", stopped(260).note);
    let lagging = |ms: u64| unfit(&|account| (0..2).for_each(|_| account.health.loop_lag.record(ms * 1_000_000)));
    assert_eq!(lagging(50).outcome, Outcome::Pass, "{}", lagging(50).note);
    assert!(lagging(51).note.starts_with("The event loop woke up to 51ms late (p99; 50ms is allowed)"), "{}", lagging(51).note);
    let coordinator = |ms| unfit(&|account| account.health.mishaps.stood_still = Span::from_millis(ms));
    assert_eq!(coordinator(250).outcome, Outcome::Pass, "{}", coordinator(250).note);
    assert!(coordinator(251).note.starts_with("The process that coordinates the workers"), "{}", coordinator(251).note);
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
    let at_the_limit = with(Metric::Publish, 100.0, 40);
    assert_eq!((at_the_limit.outcome, at_the_limit.violations), (Outcome::Pass, 0), "at most 40 ms is 40 ms too");
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

#[test]
fn recovery_tells_how_long_the_restarting_command_took_if_there_was_one() {
    let noted = |command: bool| {
        let mut history = History::begins(20);
        history.is_cut_off(1, 2_100).is_cut_off(2, 2_100);
        if command {
            let took = Span::from_millis(700);
            history.tell(Event::Hook { strike: 0, at: ms(2_800), took, failed: false, detail: "" });
        }
        history.joins(1, 2_650).joins(2, 2_650).closes(6_000, 6_100);
        let finding = one(&history, "recovery");
        assert_eq!((finding.outcome, finding.violations), (Outcome::Pass, 0));
        finding.note
    };
    assert_eq!((noted(true).as_str(), noted(false).as_str()), ("The restarting command took 700ms.", ""));
}

#[test]
fn isolation_tells_how_malformed_frames_were_answered() {
    let answered = |open: bool| {
        let mut scenario = with_verb(20, Verb::Malformed { what: None });
        scenario.checks.disruption.isolation = Some(IsolationCheck { slower: Span::from_millis(100) });
        let mut history = History::begins_with(scenario);
        history.is_struck(1, 2_100).is_lost(1, 2_110, ClosedBy::Server, Some(1002));
        if open {
            history.is_struck(2, 2_100);
            is_reset_at_last(&mut history, 2, false);
        }
        history.closes(8_000, 8_100);
        one(&history, "isolation").note
    };
    let (closed, open) = (answered(false), answered(true));
    assert!(closed.ends_with("Malformed frames were answered with: 1002 × 1."), "{closed}");
    assert!(open.ends_with("Malformed frames were answered with: 1002 × 1, left open × 1."), "{open}");
}

#[test]
fn subprotocol_says_what_it_may_mean_that_none_is_ever_chosen() {
    let finding = |offering, unchosen| {
        let mut scenario = scenario(4, 1);
        scenario.groups[0].subprotocols = vec!["mqtt".into()];
        scenario.checks.subprotocol = true;
        told_of(scenario, "subprotocol", |account| {
            (account.connections.offering, account.connections.unchosen) = (offering, unchosen);
        })
    };
    let none = finding(4, 4);
    let expected = "one of those offered (mqtt) on every one of 4 connections";
    assert_eq!(words(&none), (4, "connections", expected, "chosen on 0, none on 4 (100 %)"));
    assert!(none.note.starts_with("The server may know none of them"), "{}", none.note);
    assert_eq!((finding(4, 3).note.as_str(), finding(4, 0).note.as_str()), ("", ""));
    assert_eq!(finding(0, 0).note, "No evidence: no client that offers a subprotocol could connect.");
}
