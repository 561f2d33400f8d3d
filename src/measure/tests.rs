//! However connections are dealt to shards, and in whatever order these are merged, the account is the same.

mod numbers;

use std::sync::Arc;

use proptest::prelude::*;

use super::{Distribution, FeedNumbers, HeartbeatNumbers, PongLevelNumbers, Summary, summarize};
use crate::account::history::{History, feeding, scenario};
use crate::account::tests::random::{history, weather};
use crate::account::{Account, SAMPLE, SendLog, ShardCpu};
use crate::base::{ConnId, Span};
use crate::event::{DropCause, Event, PingLevel, StrayKind};
use crate::scenario::model::{ApplicationPing, Beat, Body, FirstBeat, HeartbeatCheck, Matcher, Metric, PongCheck, Template};

/// The summary without what legitimately depends on the number of shards: medians between marks, and the shards themselves.
fn comparable(history: &History, account: &Account) -> Summary {
    let mut summary = summarize(&history.plan, account);
    summary.spread.median = Default::default();
    summary.spread.worst.iter_mut().chain(&mut summary.spread.series).for_each(|p| p.median_ns = 0);
    summary.instrument.shards = 0;
    summary
}

/// Pings and beats besides the copies.
fn with_signals(mut history: History) -> History {
    let mut plan = (*history.plan).clone();
    let mut scenario = (*plan.scenario).clone();
    scenario.checks.pong = Some(PongCheck {
        every: Span::from_millis(300),
        within: Span::from_millis(100),
        application: Some(ApplicationPing { send: Body::Text(Template::literal("ping")), expect: Matcher::Exact("pong".into()).into() }),
        protocol: true,
    });
    scenario.checks.heartbeat = Some(HeartbeatCheck {
        beat: Beat::Message(Matcher::Exact("beat".into()).into()),
        every: Span::from_millis(200),
        first: FirstBeat::Period,
        tolerance: Span::from_millis(20),
    });
    plan.scenario = Arc::new(scenario);
    history.plan = Arc::new(plan);
    let mut events = Vec::new();
    for (n, event) in (0_u64..).zip(std::mem::take(&mut history.events)) {
        events.push(event);
        if let Event::Copy(copy) = event {
            let (conn, at) = (ConnId(copy.conn.0), copy.received);
            match n % 7 {
                0 => events.push(Event::Beat { conn, at }),
                1 => events.push(Event::PingSent { conn, level: PingLevel::Application, nonce: u32::try_from(n).expect("small"), at }),
                2 => events.push(Event::Pong { conn, level: PingLevel::Application, nonce: None, at }),
                3 => events.push(Event::ServerPing { conn, at }),
                4 => events.push(Event::PingSent { conn, level: PingLevel::Protocol, nonce: u32::try_from(n).expect("small"), at }),
                5 => events.push(Event::AlienPong { conn, at, sample: b"x" }),
                _ => events.push(Event::Pong { conn, level: PingLevel::Protocol, nonce: Some(u32::try_from(n).expect("small") - 2), at }),
            }
        }
    }
    history.events = events;
    history
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_dealing_and_any_order_of_merging_gives_the_same(weather in weather(), seed in any::<u64>(), of in 2_u32..6, rotation in 0_usize..6) {
        let history = with_signals(history(&weather, seed));
        let whole = history.account();
        let (ledgers, log) = history.ledgers(of);
        let accounts: Vec<_> = ledgers.into_iter().map(|ledger| ledger.settle(&log, history.end)).collect();
        let mut forward = Account::empty(&history.plan);
        accounts.iter().for_each(|account| forward.merge(account.clone()));
        let mut other = Account::empty(&history.plan);
        let turn = rotation % accounts.len();
        accounts.iter().rev().cycle().skip(turn).take(accounts.len()).for_each(|account| other.merge(account.clone()));
        prop_assert_eq!(&forward, &other, "commutative");
        let mut right = accounts[accounts.len() - 1].clone();
        for account in accounts.iter().rev().skip(1) {
            let mut left = account.clone();
            left.merge(right);
            right = left;
        }
        prop_assert_eq!(&forward, &right, "associative, and the empty account is neutral");
        prop_assert_eq!(comparable(&history, &forward), comparable(&history, &whole));
        prop_assert_eq!(&forward.copies, &whole.copies);
        prop_assert_eq!(&forward.pulse, &whole.pulse);
        prop_assert_eq!(&forward.application, &whole.application);
        prop_assert_eq!(&forward.protocol, &whole.protocol);
        prop_assert_eq!(&forward.rows, &whole.rows);
    }

    #[test]
    fn an_account_survives_the_pipe(weather in weather(), seed in any::<u64>()) {
        let history = with_signals(history(&weather, seed));
        let (ledgers, log) = history.ledgers(2);
        let json = serde_json::to_string(&log).expect("it serialises");
        prop_assert_eq!(&serde_json::from_str::<SendLog>(&json).expect("it reads back"), &log);
        for ledger in ledgers {
            let account = ledger.settle(&log, history.end);
            let json = serde_json::to_string(&account).expect("it serialises");
            prop_assert_eq!(serde_json::from_str::<Account>(&json).expect("it reads back"), account);
        }
    }

    #[test]
    fn connections_may_take_turns_as_they_like(weather in weather(), seed in any::<u64>()) {
        // All events of one connection after those of another, as if one had been read long before.
        let mut history = history(&weather, seed);
        let whole = history.account();
        history.events.sort_by_key(|event| match event {
            Event::Phase { phase: crate::event::Phase::Close, .. } | Event::Interrupted { .. } => 1_000_000,
            Event::Copy(copy) if copy.received >= history.end.before(Span::from_millis(100)) => 2_000_000,
            Event::Phase { .. } => 0,
            event => crate::account::history::conn_of(event).map_or(1, |conn| 2 + conn.0),
        });
        let turned = history.account();
        prop_assert_eq!(comparable(&history, &turned), comparable(&history, &whole));
        prop_assert_eq!(turned.copies, whole.copies);
    }
}

#[test]
fn the_numbers_of_an_ordinary_run() {
    let mut history = History::ordinary(scenario(10, 1));
    for n in 0..100 {
        let at = 200 + 10 * n;
        let seq = history.publishes(0, at);
        (0..10).for_each(|client| {
            history.gets(client, 0, seq, at + 1 + u64::from(client));
        });
    }
    history.closes(1_100, 2_000);
    let summary = summarize(&history.plan, &history.account());
    assert_eq!((summary.copies.owed, summary.copies.on_time, summary.copies.delivery_ratio), (1_000, 1_000, Some(1.0)));
    assert_eq!((summary.publications.planned, summary.publications.sent_steady), (100, 100));
    assert!((summary.rates.achieved_per_s - 100.0).abs() < 1e-9 && (summary.rates.fan_out - 10.0).abs() < 1e-9);
    let spread = &summary.spread.worst[0];
    let ns = |ms| Span::from_millis(ms).as_nanos();
    assert_eq!((spread.receivers, spread.first_ns, spread.median_ns, spread.last_ns), (10, ns(1), ns(5), ns(10)));
    assert_eq!((summary.spread.sampled, summary.spread.of), (100, 100));
    assert_eq!(summary.timeline.rows.iter().map(|row| row.copies).sum::<u64>(), 1_000);
    assert_eq!(summary.timeline.rows[0].open, 10);
    assert_eq!(summary.timeline.rows[0].delivery_max_ns, Some(ns(10)));
    assert_eq!(summary.latency[&Metric::Delivery].count(), 1_000);
    assert!(!summary.latency.contains_key(&Metric::Pong), "no sample, no distribution");
    assert!(summary.copies.damaged.is_empty(), "no kind of damage with a nought");
    let over_three = summarize(&history.plan, &history.over(3)).spread.worst[0];
    assert_eq!((over_three.first_ns, over_three.last_ns), (ns(1), ns(10)));
    assert!(over_three.median_ns >= ns(4) && over_three.median_ns <= ns(6), "between the marks: {}", over_three.median_ns);
}

#[test]
fn missing_copies_stand_in_the_row_they_were_due_in() {
    let mut history = History::ordinary(scenario(3, 1));
    history.broadcasts(0, 10);
    let one = history.publishes(0, 1_500);
    history.gets(0, 0, one, 1_505);
    let two = history.publishes(0, 3_200);
    history.gets(1, 0, two, 3_205).gets(2, 0, two, 3_205).closes(5_000, 5_100);
    for shards in [1, 2] {
        let account = history.over(shards);
        let rows = summarize(&history.plan, &account).timeline.rows;
        let missing: Vec<_> = rows.iter().map(|row| row.missing).take(4).collect();
        assert_eq!((missing, account.copies.missing), (vec![0, 2, 0, 1], 3));
    }
}

/// The summary of three publications to three clients, one shard, with its books altered.
fn summary_with(scenario: crate::scenario::Scenario, alter: impl FnOnce(&mut Account)) -> Summary {
    let mut history = History::ordinary(scenario);
    history.broadcasts(0, 3).closes(4_100, 4_200);
    let mut account = history.account();
    alter(&mut account);
    summarize(&history.plan, &account)
}

#[test]
fn each_number_is_the_one_of_its_name() {
    let summary = summary_with(scenario(3, 1), |account| {
        account.publications.dropped.insert(DropCause::Ending, 4);
        account.publications.dropped_steady = 5;
        account.publications.statuses = [(0, 2), (202, 7)].into();
        account.publications.late_sends = 1;
        account.copies.stray.insert(StrayKind::Unreadable, 6);
        for (pings, unit) in [(&mut account.application, 1), (&mut account.protocol, 10)] {
            (pings.on_time, pings.late, pings.unanswered, pings.again) = (unit, 2 * unit, 3 * unit, 4 * unit);
            (pings.unsolicited, pings.wrong_payload, pings.contested) = (5 * unit, 6 * unit, 7 * unit);
        }
        let pulse = &mut account.pulse;
        (pulse.beats, pulse.in_time, pulse.early, pulse.late, pulse.missed, pulse.silent) = (1, 2, 3, 4, 5, 6);
        pulse.server_pings = 7;
        [10, 20, 60].into_iter().for_each(|ns| pulse.jitter.record(ns));
        let span = Span::from_secs;
        let cpu = |s| ShardCpu { publishing: span(s), steady: span(s), steady_wall: span(8) };
        account.health.shards = [(0, cpu(2)), (1, cpu(6))].into();
        account.health.backlog_max = 99;
    });
    assert_eq!((summary.publications.planned, summary.publications.sent), (7, 3));
    assert_eq!(summary.publications.dropped, [("ending".to_owned(), 4)].into());
    assert_eq!(summary.publications.statuses, [("none".to_owned(), 2), ("202".to_owned(), 7)].into());
    assert_eq!(summary.copies.damaged, [("unreadable".to_owned(), 6)].into());
    let rates = &summary.rates;
    assert_eq!((rates.offered_per_s, rates.achieved_per_s, rates.copies_per_s), (2.0, 0.75, 2.25), "of four seconds");
    let level = |unit| PongLevelNumbers {
        sent: 6 * unit,
        on_time: unit,
        late: 2 * unit,
        unanswered: 3 * unit,
        unsolicited: 9 * unit,
        wrong_payload: 6 * unit,
        contested: 7 * unit,
    };
    assert_eq!(summary.pong.levels, [("application".to_owned(), level(1)), ("protocol".to_owned(), level(10))].into());
    let heartbeat = HeartbeatNumbers {
        beats: 1,
        due: 11,
        in_time: 2,
        early: 3,
        late: 4,
        missed: 5,
        silent_clients: 6,
        worst_jitter_ns: 60,
        mean_jitter_ns: 30,
        server_pings: 7,
    };
    assert_eq!(summary.heartbeat, heartbeat);
    let instrument = &summary.instrument;
    assert_eq!((instrument.shards, instrument.shard_cpu_ns, instrument.busiest_shard), (2, Span::from_secs(8).as_nanos(), 0.75));
    assert_eq!((instrument.copies_per_cpu_s, instrument.late_sends, instrument.backlog_max_bytes), (9.0 / 8.0, 1, 99));
    assert!((instrument.late_share - 1.0 / 3.0).abs() < 1e-12);
    assert_eq!((instrument.loop_lag_max_ns, instrument.loop_lag_p99_ns, instrument.loop_lag_p50_ns), (1_000_000, 1_000_000, 1_000_000));
    assert!(instrument.bounds_reached.is_empty() && !instrument.server_inside);
    assert!(summary.feed.is_none(), "none was asked for");
}

#[test]
fn the_numbers_of_a_feed() {
    let mut history = History::ordinary(feeding(3, false));
    (0..10).for_each(|n| {
        history.tick(n, n, &[]);
    });
    history.closes(1_950, 3_500);
    let mut account = history.account();
    let cadence = &mut account.feed.cadence;
    (cadence.in_time, cadence.early, cadence.late, cadence.missed) = (1, 2, 3, 4);
    cadence.jitter.record(50);
    account.feed.retired = 5;
    let worst_jitter_ns = cadence.jitter.max();
    let expected = FeedNumbers { broadcasts: 10, due: 8, in_time: 1, early: 2, late: 3, missed: 4, worst_jitter_ns, retired: 5 };
    assert_eq!(summarize(&history.plan, &account).feed, Some(expected));
}

#[test]
fn a_bound_that_was_reached_is_told_and_no_other() {
    type Alter = fn(&mut Account);
    let reached: [(&str, Alter); 7] = [
        ("table of missing copies was full: 1 more", |account| account.bounds.holes_forgotten = 1),
        ("table of early copies was full: 1 more", |account| account.bounds.early_forgotten = 1),
        ("send log was thinned", |account| account.bounds.log_thinned = true),
        ("1 missing copies are in no row", |account| account.copies.missing_unplaced = 1),
        ("send logs of 1 publishers are lost", |account| account.bounds.publishers_unknown = 1),
        ("a sample of", |account| account.publications.sent = SAMPLE as u64 + 1),
        ("books do not balance", |account| account.bounds.out_of_balance = 1),
    ];
    for (text, alter) in reached {
        let told = summary_with(scenario(3, 1), alter).instrument.bounds_reached;
        assert!(told.len() == 1 && told[0].contains(text), "{text}: {told:?}");
    }
    let all_kept = summary_with(scenario(3, 1), |account| account.publications.sent = SAMPLE as u64);
    assert_eq!(all_kept.instrument.bounds_reached, Vec::<String>::new());
    let retired = |shards: u32| {
        let told = summary_with(scenario(3, 1), |account| {
            account.feed.retired = 1;
            account.health.shards = (0..shards).map(|shard| (shard, ShardCpu::default())).collect();
        });
        told.instrument.bounds_reached.len()
    };
    assert_eq!((retired(1), retired(2)), (0, 1), "one shard has compared everybody");
}

#[test]
fn the_spread_is_that_of_the_steady_state_and_the_worst_come_first() {
    let mut history = History::ordinary(scenario(4, 1));
    for (n, slowest) in [(0_u64, 9), (1, 30), (2, 20)] {
        let at = 1_000 + 100 * n;
        let seq = history.publishes(0, at);
        (0..4).for_each(|client| {
            history.gets(client, 0, seq, at + if client == 3 { slowest } else { 1 + u64::from(client) });
        });
    }
    history.closes(2_000, 2_100);
    let spread = summarize(&history.plan, &history.account()).spread;
    let ns = |ms| Span::from_millis(ms).as_nanos();
    assert_eq!(spread.worst.iter().map(|p| (p.seq, p.last_ns - p.first_ns)).collect::<Vec<_>>(), [(1, ns(29)), (2, ns(19)), (0, ns(8))]);
    let max = |distribution: &Distribution| distribution.histogram.max();
    assert_eq!(spread.spread.histogram.min(), spread.spread.histogram.lowest_equivalent(ns(8)));
    assert_eq!(max(&spread.spread), spread.spread.histogram.highest_equivalent(ns(29)));
    assert_eq!(max(&spread.last), spread.last.histogram.highest_equivalent(ns(30)));
    assert_eq!(spread.series.iter().map(|p| p.seq).collect::<Vec<_>>(), [0, 1, 2], "in the order planned");
    // Two shards of two: between the marks the halves add up to two receivers by the second's instant.
    let two = summarize(&history.plan, &history.over(2)).spread.series[0];
    assert!((ns(1)..=ns(3)).contains(&two.median_ns), "{}", two.median_ns);
}
