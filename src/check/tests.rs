//! Every check red, green and without evidence; and one mistake of a server is one finding.

use super::{CATALOGUE, Finding, Outcome, judge, verdict};
use crate::account::history::{History, ms, scenario};
use crate::base::ConnId;
use crate::base::Span;
use crate::event::{ClosedBy, ConnectFailure, DropCause, Event, Flaws, Phase, PingLevel, StrayKind};
use crate::scenario::Scenario;
use crate::scenario::model::{ApplicationPing, Audience, Beat, HeartbeatCheck, LatencyLimit, Matcher, Metric, OrderScope, PongCheck};

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
        application: Some(ApplicationPing { send: "ping".into(), expect: Matcher::Contains("pong".into()) }),
        protocol: true,
    });
    scenario
}

fn with_heartbeat(mut scenario: Scenario) -> Scenario {
    scenario.checks.heartbeat = Some(HeartbeatCheck {
        beat: Beat::Message(Matcher::Contains("ping".into())),
        every: Span::from_secs(1),
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
    let asked: Vec<_> = CATALOGUE.iter().map(|c| c.id).filter(|id| *id != "latency").collect();
    assert_eq!(ids, asked, "in the catalogue's order, latency not asked");
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

fn pong_history(tell: impl Fn(&mut History, u32)) -> History {
    let mut history = History::ordinary(with_pong(scenario(3, 1)));
    history.broadcasts(0, 10);
    (0..3).for_each(|client| tell(&mut history, client));
    history.closes(6_000, 6_100);
    history
}

#[test]
fn pongs_late_lost_doubled_and_foreign() {
    let (app, protocol) = (PingLevel::Application, PingLevel::Protocol);
    let fine = pong_history(|h, c| (0..4).for_each(|n| pings(h, c, app, n, 1_000 * u64::from(n), Some(10))));
    assert_eq!(not_passed(&fine), []);
    // One lost answer is one unanswered ping: the later answers are not late for it.
    let lost = pong_history(|h, c| {
        (0..4).for_each(|n| pings(h, c, app, n, 1_000 * u64::from(n), (n != 1 || c != 1).then_some(10)));
    });
    let finding = only(&lost, "pong");
    assert_eq!((finding.violations, finding.population, finding.witnesses[0].client), (1, 12, Some(1)));
    assert_eq!(finding.observed, "11 of 12 pings answered in time, 1 unanswered");
    let late = pong_history(|h, c| (0..4).for_each(|n| pings(h, c, app, n, 1_000 * u64::from(n), Some(700))));
    assert_eq!(only(&late, "pong").observed, "0 of 12 pings answered in time, 12 late");
    let never = pong_history(|h, c| {
        pings(h, c, app, 0, 1_000, None);
        h.stray(c, 1_001, StrayKind::Unexpected, b"ping");
    });
    assert!(only(&never, "pong").note.contains("a message is a Buffer"));
    let doubled = pong_history(|h, c| {
        pings(h, c, app, 0, 1_000, Some(10));
        h.tell(Event::Pong { conn: ConnId(c), level: app, nonce: None, at: ms(1_011) });
    });
    assert!(only(&doubled, "pong").note.contains("broadcast, or sent twice"));
    let wrong = pong_history(|h, c| {
        pings(h, c, protocol, 0, 1_000, None);
        h.tell(Event::AlienPong { conn: ConnId(c), at: ms(1_010), sample: b"zzz" });
    });
    assert!(only(&wrong, "pong").observed.contains("wrong payload"));
    let twice = pong_history(|h, c| {
        pings(h, c, protocol, 0, 1_000, Some(10));
        h.tell(Event::Pong { conn: ConnId(c), level: protocol, nonce: Some(0), at: ms(1_020) });
    });
    assert_eq!(only(&twice, "pong").violations, 3);
    // RFC 6455 section 5.5.3: a pong nobody asked for is allowed.
    let unsolicited = pong_history(|h, c| {
        pings(h, c, protocol, 0, 1_000, Some(10));
        h.tell(Event::AlienPong { conn: ConnId(c), at: ms(3_010), sample: b"zzz" });
    });
    assert_eq!(not_passed(&unsolicited), []);
    assert!(one(&unsolicited, "pong").note.contains("5.5.3"));
    let cut_short = pong_history(|h, c| pings(h, c, app, 0, 5_900, None));
    assert_eq!(not_passed(&cut_short), [("pong".into(), Outcome::Inconclusive)], "the ping was cut off by the close");
}

fn beat_history(tell: impl Fn(&mut History, u32)) -> History {
    let mut history = History::ordinary(with_heartbeat(scenario(3, 1)));
    history.broadcasts(0, 10);
    (0..3).for_each(|client| tell(&mut history, client));
    history.closes(5_000, 5_050);
    history
}

#[test]
fn beats_missed_late_early_doubled_and_never() {
    let note = |history: &History| only(history, "heartbeat").note;
    let counts = |history: &History| {
        let pulse = history.account().pulse;
        [pulse.due(), pulse.in_time, pulse.early, pulse.late, pulse.missed, pulse.silent]
    };
    let fine = beat_history(|h, c| {
        h.beats(c, (1..=5).map(|n| n * 1_000));
    });
    assert_eq!((not_passed(&fine), counts(&fine)), (vec![], [15, 15, 0, 0, 0, 0]));
    let never = beat_history(|_, _| {});
    assert!(note(&never).contains("No beat ever came"));
    assert_eq!(counts(&never), [12, 0, 0, 0, 12, 3], "the fifth would not have been overdue yet");
    let half = beat_history(|h, c| {
        h.beats(c, [2_000, 4_000]);
    });
    assert!(note(&half).contains("2 × the promised period"), "{}", note(&half));
    let twice = beat_history(|h, c| {
        h.beats(c, (1..=10).map(|n| n * 500));
    });
    assert!(note(&twice).contains("2 times as often"), "{}", note(&twice));
    let pairs = beat_history(|h, c| {
        h.beats(c, (1..=5).flat_map(|n| [n * 1_000, n * 1_000 + 3]));
    });
    only(&pairs, "heartbeat");
    let one_client = beat_history(|h, c| {
        h.beats(c, (1..=5).map(|n| n * 1_000).filter(|_| c != 1));
    });
    assert!(note(&one_client).contains("1 client never saw a beat while others did"));
    let stops = beat_history(|h, c| {
        h.beats(c, [1_000, 2_000]);
    });
    assert_eq!(counts(&stops), [12, 6, 0, 0, 6, 0]);
    only(&stops, "heartbeat");
    let late = beat_history(|h, c| {
        h.beats(c, [1_000, 2_200, 3_200, 4_200, 5_040]);
    });
    assert_eq!(counts(&late)[3], 3);
    let stalled = beat_history(|h, c| {
        h.beats(c, [1_000, 2_200, 3_000, 4_000, 5_000]);
        h.lag(2_200, 200);
    });
    assert_eq!(one(&stalled, "heartbeat").outcome, Outcome::Inconclusive, "we stood still when it came");
}

#[test]
fn a_run_shorter_than_the_period_says_so() {
    let mut history = History::ordinary(with_heartbeat(scenario(3, 1)));
    history.broadcasts(0, 10).closes(600, 900);
    let finding = one(&history, "heartbeat");
    assert_eq!(finding.outcome, Outcome::Inconclusive);
    assert!(finding.note.contains("last longer than the heartbeat's period"), "{}", finding.note);
}

#[test]
fn a_lost_connection_is_survival_and_nothing_else() {
    let mut history = History::ordinary(with_heartbeat(with_pong(scenario(3, 1))));
    for client in 0..3 {
        history.beats(client, [1_000]);
        pings(&mut history, client, PingLevel::Application, 0, 500, Some(5));
    }
    history.broadcasts(0, 10);
    pings(&mut history, 2, PingLevel::Application, 1, 1_450, None);
    let seq = history.publishes(0, 1_450);
    history.gets(0, 0, seq, 1_455).gets(1, 0, seq, 1_455).is_lost(2, 1_460, ClosedBy::Server, Some(1011));
    let seq = history.publishes(0, 1_470);
    history.gets(0, 0, seq, 1_475).gets(1, 0, seq, 1_475).beats(0, [2_000]).beats(1, [2_000]).closes(2_600, 2_700);
    let finding = only(&history, "survival");
    assert_eq!(finding.observed, "1 ended: 1 closed by the server (close codes: 1011 × 1)");
    assert_eq!(finding.witnesses[0].client, Some(2));
}

#[test]
fn a_lost_publisher_does_not_make_the_instrument_unfit() {
    let mut history = ordinary(3, 1);
    history.broadcasts(0, 10).is_lost(0, 1_900, ClosedBy::Network, None).drops_publication(0, 2_000, DropCause::NotOpen);
    history.closes(5_000, 5_100);
    only(&history, "survival");
}

#[test]
fn clients_turned_away_fail_connect() {
    let mut history = History::of(scenario(4, 1));
    history.joins(0, 0).joins(1, 0).joins(2, 0).phase(Phase::Steady, 100);
    let conn = ConnId(3);
    history.tell(Event::Connecting { conn, at: ms(0) });
    history.tell(Event::ConnectFailed { conn, at: ms(1), cause: ConnectFailure::HttpStatus(503), detail: "busy" });
    history.healthy(100, 4_000);
    for n in 0..10 {
        let seq = history.publishes(0, 200 + n);
        (0..3).for_each(|client| {
            history.gets(client, 0, seq, 210 + n);
        });
    }
    history.closes(5_000, 5_100);
    let finding = only(&history, "connect");
    assert_eq!(finding.observed, "3 opened (75.0 %); http_503 1");
    assert!(finding.note.contains("turns clients away"));
}

#[test]
fn our_own_limits_are_not_held_against_the_server() {
    let mut history = History::of(scenario(2, 1));
    history.joins(0, 0).phase(Phase::Steady, 100);
    let conn = ConnId(1);
    history.tell(Event::ConnectFailed { conn, at: ms(1), cause: ConnectFailure::LocalLimit, detail: "too many open files" });
    for n in 0..10 {
        let seq = history.publishes(0, 200 + n);
        history.gets(0, 0, seq, 210 + n);
    }
    history.closes(5_000, 5_100);
    assert_eq!(not_passed(&history), [("connect".into(), Outcome::Inconclusive)]);
}

#[test]
fn the_instrument_speaks_against_itself() {
    let tell = |tell: &dyn Fn(&mut History)| {
        let mut history = ordinary(3, 1);
        history.broadcasts(0, 50);
        tell(&mut history);
        history.closes(5_000, 5_100);
        let finding = one(&history, "instrument");
        assert_eq!(finding.outcome, Outcome::Inconclusive, "{finding:#?}");
        finding.note
    };
    let late = tell(&|h| {
        let seq = h.publishes_late(0, 1_000, 1_100);
        h.all_get(0, seq, 1_105);
    });
    assert!(late.contains("sent more than 20ms late"), "{late}");
    assert!(
        tell(&|h| (1..20).for_each(|n| {
            h.lag(1_000 + n, 80);
        }))
        .contains("event loop woke")
    );
    assert!(
        tell(&|h| {
            h.drops_publication(0, 900, DropCause::BackPressure);
        })
        .contains("did not read")
    );
    assert!(
        tell(&|h| {
            h.drops_publication(0, 900, DropCause::NotOpen);
        })
        .contains("not open")
    );
    let mut never_steady = History::of(scenario(3, 1));
    (0..3).for_each(|client| {
        never_steady.joins(client, 0);
    });
    never_steady.phase(Phase::WarmUp, 100).broadcasts(0, 10).closes(5_000, 5_100);
    assert!(one(&never_steady, "instrument").note.contains("never reached"));
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
