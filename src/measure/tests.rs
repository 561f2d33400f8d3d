//! However connections are dealt to shards, and in whatever order these are merged, the account is the same.

use std::sync::Arc;

use proptest::prelude::*;

use super::{Summary, summarize};
use crate::account::history::{History, scenario};
use crate::account::tests::random::{history, weather};
use crate::account::{Account, SendLog};
use crate::base::{ConnId, Span};
use crate::event::{Event, PingLevel};
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
