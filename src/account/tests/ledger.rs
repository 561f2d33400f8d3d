//! What the ledger makes of single events: into which sum, which row, which words.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::history::{History, OFFLINE, ms, over_http, scenario, strikes};
use super::super::{Account, Ledger, SendLog, Share, Tally, stray_name};
use crate::base::{ConnId, Span};
use crate::event::{DropCause, Event, Flaws, Phase, StrayKind};
use crate::scenario::model::{Audience, Encoding};

/// The account of one shard, whatever share it was told to look after.
fn settled(ledger: Ledger, history: &History) -> Account {
    let mut log = SendLog::empty(&history.plan);
    log.merge(ledger.send_log());
    ledger.settle(&log, history.end)
}

#[test]
fn a_forged_number_is_one_stray_copy() {
    for forged in [1 << 31, u32::MAX] {
        let mut history = History::ordinary(scenario(1, 1));
        let seq = history.publishes(0, 200);
        history.gets(0, 0, seq, 205);
        for n in 0..3 {
            history.gets(0, 0, forged, 206 + n);
        }
        let account = history.closes(5_000, 5_100).account();
        let copies = &account.copies;
        assert_eq!((copies.received, copies.stray_copies, copies.stray_of(StrayKind::Unknown)), (4, 3, 3), "{forged}");
        assert!(account.books_balance());
        assert_eq!(copies.stray_sightings.as_slice()[0].what, "unknown");
    }
}

#[test]
fn what_is_told_of_another_shards_connection_is_stray_or_nothing() {
    let history = History::ordinary(scenario(4, 1));
    // The second of two shares: connections 1 and 3.
    for (conn, opened) in [(0, 0), (1, 1), (2, 0), (3, 1), (4, 0), (5, 0), (7, 0), (u32::MAX, 0)] {
        let mut ledger = Ledger::new(Arc::clone(&history.plan), Share { index: 1, of: 2 });
        ledger.observe(Event::Opened { conn: ConnId(conn), at: ms(1), handshake: Span::from_millis(1) });
        assert_eq!(settled(ledger, &history).connections.opened, opened, "{conn}");
    }
    let mut ledger = Ledger::new(Arc::clone(&history.plan), Share::WHOLE);
    ledger.observe(Event::Copy(history.copy(4, 0, 0, 205)));
    let account = settled(ledger, &history);
    assert_eq!((account.copies.received, account.copies.stray_of(StrayKind::Unknown)), (1, 1));
    assert_eq!(account.copies.stray_sightings.as_slice()[0].conn, Some(ConnId(4)));
}

#[test]
fn each_kind_of_stray_has_its_name() {
    let names = ["unexpected", "other_run", "other_room", "echo", "unknown", "unreadable"];
    let kinds =
        [StrayKind::Unexpected, StrayKind::OtherRun, StrayKind::OtherRoom, StrayKind::Echo, StrayKind::Unknown, StrayKind::Unreadable];
    assert_eq!(kinds.map(stray_name), names);
    let mut history = History::ordinary(scenario(1, 1));
    for (at, kind) in (200..).zip(kinds) {
        history.stray(0, at, kind, b"<x>");
    }
    let copies = history.closes(5_000, 5_100).account().copies;
    let told = |sightings: &super::super::Sightings| sightings.as_slice().iter().map(|s| s.what.clone()).collect::<Vec<_>>();
    assert_eq!(told(&copies.stray_sightings), names[..5].iter().map(|name| format!("{name}: <x>")).collect::<Vec<_>>());
    assert_eq!(told(&copies.damage_sightings), ["a stamp damaged beyond reading: <x>"]);
}

#[test]
fn text_became_binary_where_text_was_sent_and_the_opcode_differs() {
    let both = Flaws::OPCODE.with(Flaws::BYTES);
    for (encoding, flaws, became) in [
        (Encoding::Text, Flaws::OPCODE, 1),
        (Encoding::Text, both, 1),
        (Encoding::Text, Flaws::BYTES, 0),
        (Encoding::Text, Flaws::LENGTH, 0),
        (Encoding::Binary, Flaws::OPCODE, 0),
        (Encoding::Binary, both, 0),
    ] {
        let mut scenario = scenario(1, 1);
        scenario.publish.as_mut().expect("publishes").encoding = encoding;
        let mut history = History::ordinary(scenario);
        let seq = history.publishes(0, 200);
        let copies = history.gets_flawed(0, 0, seq, 205, flaws).closes(5_000, 5_100).account().copies;
        assert_eq!((copies.damaged, copies.text_became_binary), (1, became), "{encoding:?} {flaws:?}");
    }
}

#[test]
fn the_steady_state_begins_with_its_phase() {
    let mut history = History::of(scenario(1, 1));
    history.phase(Phase::Ramp, 0).joins(0, 0).phase(Phase::WarmUp, 10).phase(Phase::Steady, 100);
    for at in [50, 99, 100, 101, 102] {
        let seq = history.publishes(0, at);
        history.gets(0, 0, seq, 150).drops_publication(0, at, DropCause::BackPressure);
    }
    let account = history.closes(5_000, 5_100).account();
    let sums = &account.publications;
    assert_eq!((sums.sent, sums.sent_steady, sums.dropped_steady), (5, 3, 3));
    assert_eq!(sums.dropped, BTreeMap::from([(DropCause::BackPressure, 5)]));
    assert_eq!((account.delivery.count(), account.send_lag.count()), (3, 3));
}

#[test]
fn a_send_is_late_beyond_the_limit_and_its_bytes_are_counted() {
    // Twenty milliseconds are allowed.
    let mut history = History::ordinary(scenario(1, 1));
    for (n, lag) in (0..).zip([0, 19, 20, 21, 300]) {
        history.publishes_late(0, 1_000 * (n + 1), 1_000 * (n + 1) + lag);
    }
    let account = history.closes(8_000, 8_100).account();
    let sums = &account.publications;
    assert_eq!((sums.sent, sums.bytes, sums.late_sends, sums.sending), (5, 5 * 128, 2, Some((ms(1_000), ms(5_300)))));
    let rows: Vec<_> = account.rows.as_slice().iter().map(|row| (row.sent, row.send_lag_max)).take(6).collect();
    let lag = |lag| (1, Some(Span::from_millis(lag)));
    assert_eq!(rows, [(0, None), lag(0), lag(19), lag(20), lag(21), lag(300)]);
}

#[test]
fn every_fault_stands_in_the_row_it_was_seen_in() {
    let mut scenario = scenario(2, 1);
    over_http(&mut scenario);
    let mut history = History::ordinary(scenario);
    let seqs: Vec<u32> = (0..4).map(|n| history.publishes(0, 200 + n)).collect();
    // Client 0: 3 stands behind 2, 2 comes twice, a publisher nobody knows, a damaged copy, a frame of another run.
    history.gets(0, 0, seqs[1], 205).gets(0, 0, seqs[0], 1_100).gets(0, 0, seqs[1], 2_100).gets(0, 7, 0, 3_100);
    history.gets_flawed(0, 0, seqs[2], 4_100, Flaws::BYTES).stray(0, 5_100, StrayKind::OtherRun, b"x");
    history.publishes(0, 6_100);
    history.is_answered(0, 4, 503, "").closes(8_000, 8_100);
    for shards in [1, 2] {
        let account = history.over(shards);
        let faults: Vec<_> = account.rows.as_slice().iter().map(|row| row.faults).take(8).collect();
        assert_eq!(faults, [0, 1, 1, 1, 1, 1, 1, 0], "over {shards} shards");
    }
}

#[test]
fn of_several_reasons_to_stop_the_least_is_kept() {
    for details in [["b", "a", "c"], ["a", "b", "c"], ["c", "b", "a"], ["a", "a", "a"]] {
        let mut history = History::ordinary(scenario(1, 1));
        for (n, detail) in (0..).zip(details) {
            history.tell(Event::Interrupted { at: ms(1_000 + n), detail });
        }
        assert_eq!(history.closes(2_000, 2_100).account().interrupted.as_deref(), Some("a"), "{details:?}");
    }
}

#[test]
fn copies_that_come_after_the_plan_took_a_client_away_are_contested_by_the_plan() {
    for struck in [false, true] {
        let mut scenario = scenario(2, 1);
        strikes(&mut scenario, OFFLINE, &[1]);
        let mut history = History::ordinary(scenario);
        history.broadcasts(0, 10);
        if struck {
            history.tell(Event::Disrupted { conn: ConnId(1), at: ms(2_100), strike: 0 });
        }
        history.leaves(1, 2_100);
        let seqs: Vec<u32> = (0..3).map(|n| history.publishes(0, 2_101 + n)).collect();
        for seq in seqs {
            history.gets(0, 0, seq, 2_200).gets(1, 0, seq, 2_201);
        }
        let copies = history.closes(5_000, 5_100).account().copies;
        assert_eq!((copies.contested, copies.contested_received), (3, 3));
        assert_eq!(copies.contested_planned, if struck { 3 } else { 0 }, "struck: {struck}");
    }
}

#[test]
fn the_percentile_shown_while_a_run_lasts_is_that_of_all_copies_so_far() {
    let mut history = History::ordinary(scenario(1, 1));
    let mut tally = Tally::default();
    let progress = |history: &History| history.ledgers(1).0[0].progress().p99_ns;
    assert_eq!(progress(&history), None);
    // Over four seconds, so that most is poured out and the rest is not.
    for n in 0..40 {
        let delay = 5 + n * n % 37;
        let seq = history.publishes(0, 200 + 100 * n);
        history.gets(0, 0, seq, 200 + 100 * n + delay);
        tally.record(Span::from_millis(delay).as_nanos());
        assert_eq!(progress(&history), tally.percentile(99.0), "after {n}");
    }
    // A copy of a second long poured out, and what was planned before the steady state.
    let seq = history.publishes(0, 250);
    history.gets(0, 0, seq, 900);
    tally.record(Span::from_millis(650).as_nanos());
    let early = history.publishes_late(0, 50, 3_900);
    history.gets(0, 0, early, 4_300);
    assert_eq!(progress(&history), tally.percentile(99.0));
}

#[test]
fn copies_of_the_second_that_runs_wait_in_its_counts() {
    let mut history = History::ordinary(scenario(1, 1));
    let waiting = |history: &History| history.ledgers(1).0[0].interval.delivery().iter().sum::<u32>();
    for (at, due) in [(200, 1), (900, 2), (999, 3), (1_000, 1), (1_500, 2), (2_700, 1), (2_800, 2)] {
        let seq = history.publishes(0, at);
        history.gets(0, 0, seq, at);
        assert_eq!(waiting(&history), due, "at {at}");
    }
    // One of a second that is over goes straight to its row.
    let seq = history.publishes(0, 200);
    history.gets(0, 0, seq, 300);
    assert_eq!(waiting(&history), 2);
    let copies: Vec<_> = history.closes(5_000, 5_100).account().rows.as_slice().iter().map(|row| row.copies).take(4).collect();
    assert_eq!(copies, [4, 2, 2, 0]);
}

#[test]
fn copies_more_than_an_hour_late_are_counted_as_such() {
    let hour = 3_600_000;
    let mut history = History::ordinary(scenario(4, 1));
    let seq = history.publishes(0, 200);
    for (client, delay) in (0..).zip([hour, hour + 1, hour + 2, 5]) {
        history.gets(client, 0, seq, 200 + delay);
    }
    history.closes(hour + 1_000, hour + 2_000);
    for shards in [1, 2, 4] {
        let account = history.over(shards);
        let sums = |tally: &Tally| (tally.count(), tally.clamped(), tally.max());
        let due = (4, 2, Span::from_millis(hour + 2).as_nanos());
        assert_eq!((sums(&account.delivery), sums(&account.transit)), (due, due), "over {shards} shards");
        assert_eq!(account.rows.as_slice().iter().map(|row| row.delivery.count()).sum::<u64>(), 4);
    }
}

#[test]
fn the_way_to_the_last_receiver_is_measured_by_those_who_are_owed_the_copy() {
    // The numbers of receivers that the curve tells of: eighths of those who are owed the copy.
    let to_others = |clients: u32, receivers: std::ops::Range<u32>, shards: u32| {
        let mut scenario = scenario(clients, 1);
        scenario.publish.as_mut().expect("it publishes").audience = Audience::Others;
        let mut history = History::ordinary(scenario);
        let seq = history.publishes(0, 200);
        for client in receivers {
            history.gets(client, 0, seq, 210 + u64::from(client));
        }
        let account = history.closes(5_000, 5_100).over(shards);
        let rows = account.spread.rows().iter();
        rows.map(|row| row.curve().map(|(n, _)| n).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    assert_eq!(to_others(5, 1..5, 1), [[1, 2, 2, 3, 3, 4]], "its sender is owed none");
    // Over two shards the sender is left out of its own, which is the first: three of clients 0, 2, 4, 6, and three of 1, 3, 5.
    let two = to_others(7, 1..7, 2);
    assert_eq!(two, [[1, 2, 2, 2, 3]; 2]);
    let mut history = History::ordinary(scenario(5, 1));
    let seq = history.publishes(0, 200);
    history.all_get(0, seq, 210);
    let account = history.closes(5_000, 5_100).account();
    assert_eq!(account.spread.rows()[0].curve().map(|(n, _)| n).collect::<Vec<_>>(), [1, 2, 2, 3, 4, 4, 5]);
}
