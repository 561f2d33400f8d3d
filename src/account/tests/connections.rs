//! How connections come, become members and go: each counted once, by the right name.

use std::collections::BTreeMap;

use super::super::Gap;
use super::super::history::{History, ms, scenario};
use crate::base::{ConnId, Span};
use crate::event::{ClosedBy, Closure, ConnectFailure, Event, Phase, PingLevel};
use crate::scenario::model::{ApplicationPing, Beat, Body, FirstBeat, HeartbeatCheck, Matcher, PongCheck, Template};

fn counts<'a>(entries: impl IntoIterator<Item = (&'a str, u64)>) -> BTreeMap<String, u64> {
    entries.into_iter().map(|(name, n)| (name.to_owned(), n)).collect()
}

/// A client that opened and is given up: its greeting never came.
fn is_given_up(history: &mut History, client: u32, at: u64) {
    let conn = ConnId(client);
    history.tell(Event::NotReady { conn, at: ms(at), detail: "no greeting" });
    let closure = Closure { by: ClosedBy::Script, code: None, clean: false };
    history.tell(Event::Closed { conn, at: ms(at), closure, detail: "" });
}

/// Six clients, of which the last never becomes a member. The server closes one and that one, a second breaks, a third is closed for
/// breaking the protocol, a fourth leaves.
fn endings() -> History {
    let mut history = History::of(scenario(6, 1));
    history.phase(Phase::Ramp, 0);
    (0..5).for_each(|client| {
        history.joins(client, 0);
    });
    history.opens(5, 0).phase(Phase::Steady, 100);
    history.is_lost(1, 1_200, ClosedBy::Server, Some(1011)).is_lost(2, 1_300, ClosedBy::Network, None);
    history.is_lost(3, 1_400, ClosedBy::Violation, None).leaves(4, 1_500).is_lost(5, 1_600, ClosedBy::Server, Some(1001));
    history
}

#[test]
fn each_end_is_counted_by_who_made_it_and_with_its_code() {
    for shards in [1, 2, 3] {
        let mut history = endings();
        let (ledgers, _) = history.ledgers(shards);
        let left: Vec<_> = ledgers.iter().map(|ledger| (ledger.progress().open, ledger.progress().ready)).collect();
        assert_eq!(left.iter().fold((0, 0), |sum, n| (sum.0 + n.0, sum.1 + n.1)), (1, 1), "only the first is still there");
        let account = history.closes(5_000, 5_100).over(shards);
        let connections = &account.connections;
        assert_eq!(connections.lost, counts([("server", 2), ("network", 1), ("violation", 1)]));
        assert_eq!(connections.close_codes, counts([("1000", 1), ("1001", 1), ("1011", 1), ("none", 2)]));
        assert_eq!(connections.lost_codes, counts([("1001", 1), ("1011", 1), ("none", 2)]));
        assert_eq!((connections.closed_clean, connections.left, connections.lost_publishers), (3, 1, 0));
        let told: Vec<_> = connections.losses.as_slice().iter().map(|sighting| sighting.what.as_str()).collect();
        let due = [
            "the server closed it unasked, code 1011",
            "the connection broke without a Close frame",
            "closed by us because the server broke the protocol",
            "the server closed it unasked, code 1001",
        ];
        assert_eq!(told, due);
        let rows: Vec<_> = account.rows.as_slice().iter().map(|row| (row.opened, row.ended, row.lost)).collect();
        assert_eq!(rows[..2], [(6, 0, 0), (0, 5, 4)]);
    }
}

#[test]
fn an_end_told_twice_or_before_the_beginning_is_no_second_end() {
    let (once, mut twice) = (endings(), endings());
    let never = Event::Closed { conn: ConnId(0), at: ms(0), closure: Closure { by: ClosedBy::Us, code: None, clean: false }, detail: "" };
    twice.events.insert(0, never);
    twice.is_lost(1, 1_700, ClosedBy::Server, Some(1011)).is_lost(4, 1_710, ClosedBy::Network, None);
    let outcome = |mut history: History| {
        let seq = history.publishes(0, 2_000);
        let account = history.gets(0, 0, seq, 2_005).closes(5_000, 5_100).account();
        (account.connections, account.copies.owed, account.copies.on_time, account.rows.as_slice()[1].ended)
    };
    let (once, twice) = (outcome(once), outcome(twice));
    assert_eq!((once.1, once.2, once.3), (1, 1, 5));
    assert_eq!(once, twice);
}

#[test]
fn what_ends_in_the_close_phase_is_not_lost_and_what_ends_before_it_is() {
    let mut history = History::ordinary(scenario(3, 1));
    // The phase is told ahead of its instant.
    history.closes(5_000, 5_100).is_lost(2, 5_050, ClosedBy::Network, None);
    history.is_lost(0, 5_100, ClosedBy::Server, Some(1001)).is_lost(1, 5_150, ClosedBy::Network, None);
    let connections = history.account().connections;
    assert_eq!(connections.lost, counts([("network", 1)]));
    assert_eq!(connections.losses.as_slice()[0].conn, Some(ConnId(2)));
    assert_eq!(connections.close_codes, counts([("1001", 1), ("none", 2)]));
}

#[test]
fn a_client_is_a_member_from_its_readiness_until_it_leaves() {
    let mut history = History::of(scenario(4, 1));
    history.phase(Phase::Ramp, 0).joins(0, 0).opens(1, 0).joins(2, 0).ready(2, 50).opens(3, 0);
    history.is_lost(1, 60, ClosedBy::Network, None).is_lost(3, 70, ClosedBy::Network, None).ready(3, 80);
    let (ledgers, _) = history.ledgers(1);
    let progress = ledgers[0].progress();
    assert_eq!((progress.open, progress.ready), (2, 2), "one never was, one was too late, one was told twice");
    assert_eq!(history.closes(5_000, 5_100).over(2).connections.ready, 2);
}

#[test]
fn returns_that_fail_are_counted_by_cause_and_apart_from_the_others() {
    let mut history = History::ordinary(scenario(2, 1));
    let conn = ConnId(1);
    history.leaves(1, 1_000).tell(Event::Connecting { conn, at: ms(1_100) });
    history.tell(Event::ConnectFailed { conn, at: ms(1_101), cause: ConnectFailure::Refused, detail: "" });
    for at in [1_200, 1_400] {
        is_given_up(history.opens(1, at), 1, at + 50);
    }
    let connections = history.closes(5_000, 5_100).account().connections;
    assert_eq!(connections.returns_failed, counts([("refused", 1), ("not_ready", 2)]));
    assert_eq!((connections.failed_total(), connections.not_ready, connections.unready.as_slice().len()), (0, 0, 0));
    assert_eq!((connections.attempts, connections.opened, connections.returned, connections.ready), (2, 2, 2, 2));
}

#[test]
fn a_return_nobody_planned_is_no_absence_of_the_plans() {
    let mut history = History::ordinary(scenario(2, 1));
    history.leaves(1, 1_500);
    let away = history.publishes(0, 1_600);
    history.gets(0, 0, away, 1_605).joins(1, 1_700).gets(1, 0, away, 1_805).closes(5_000, 5_100);
    let account = history.account();
    assert_eq!((account.copies.contested, account.copies.contested_planned), (1, 0));
    assert_eq!(account.disruptions.resume, Gap::default());
}

#[test]
fn compression_is_counted_by_connection() {
    let mut history = History::ordinary(scenario(3, 1));
    for conn in [ConnId(0), ConnId(2)] {
        history.tell(Event::Compressed { conn, at: ms(1) });
    }
    assert_eq!(history.closes(5_000, 5_100).over(2).connections.compressed, 2);
}

/// One client that pings on both levels and expects a beat a second.
fn signalling() -> History {
    let mut scenario = scenario(1, 1);
    let ping = ApplicationPing { send: Body::Text(Template::literal("ping")), expect: Matcher::Contains("pong".into()).into() };
    let (every, within) = (Span::from_secs(1), Span::from_millis(500));
    scenario.checks.pong = Some(PongCheck { every, within, application: Some(ping), protocol: true });
    let beat = Beat::Message(Matcher::Contains("beat".into()).into());
    scenario.checks.heartbeat = Some(HeartbeatCheck { beat, every, first: FirstBeat::Period, tolerance: Span::from_millis(100) });
    History::ordinary(scenario)
}

#[test]
fn who_left_is_one_client_of_every_book_though_its_connection_ends_later() {
    let mut history = signalling();
    let conn = ConnId(0);
    for level in [PingLevel::Application, PingLevel::Protocol] {
        history.tell(Event::PingSent { conn, level, nonce: 0, at: ms(900) });
        history.tell(Event::Pong { conn, level, nonce: (level == PingLevel::Protocol).then_some(0), at: ms(910) });
    }
    let account = history.beats(0, [1_000]).leaves(0, 2_000).closes(5_000, 5_100).account();
    assert_eq!((account.application.clients, account.protocol.clients, account.pulse.clients), (1, 1, 1));
    assert_eq!((account.application.on_time, account.protocol.on_time, account.pulse.in_time), (1, 1, 1));
}

#[test]
fn no_signal_counts_once_the_client_has_begun_to_leave() {
    let mut history = signalling();
    let conn = ConnId(0);
    history.tell(Event::Leaving { conn, at: ms(2_000) }).beats(0, [2_001]);
    history.tell(Event::ServerPing { conn, at: ms(2_002) }).tell(Event::AlienPong { conn, at: ms(2_003), sample: b"x" });
    history.tell(Event::Pong { conn, level: PingLevel::Protocol, nonce: Some(7), at: ms(2_004) });
    let account = history.is_lost(0, 2_010, ClosedBy::Us, Some(1000)).closes(5_000, 5_100).account();
    assert_eq!((account.pulse.beats, account.pulse.server_pings, account.protocol.unsolicited), (0, 0, 0));
    assert!(account.rows.as_slice().iter().all(|row| (row.beats, row.pongs) == (0, 0)));
}
