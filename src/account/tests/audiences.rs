//! Rooms, and clients that only publish: what is owed to whom, and waited for.

use super::super::history::{History, OFFLINE, ms, scenario, strikes};
use crate::base::ConnId;
use crate::event::{ClosedBy, Closure, Event, Phase};
use crate::scenario::Scenario;
use crate::scenario::model::{Rooms, RoomsBy};

/// Four clients in two rooms, 0 and 2 in the one, 1 and 3 in the other; 0 and 1 publish.
fn two_rooms() -> Scenario {
    Scenario { rooms: Some(Rooms { count: 2, by: RoomsBy::RoundRobin }), ..scenario(4, 2) }
}

/// Three clients that receive, and one that only publishes.
fn a_writer_apart() -> Scenario {
    let mut scenario = scenario(3, 1);
    let mut writers = scenario.groups[0].clone();
    (writers.name, writers.count, writers.receives) = ("writers".into(), 1, false);
    scenario.groups.push(writers);
    scenario.publish.as_mut().expect("publishes").group = Some(1);
    scenario
}

fn fates(history: &History, shards: u32) -> [u64; 4] {
    let account = history.over(shards);
    assert!(account.books_balance(), "{:#?}", account.copies);
    let copies = &account.copies;
    [copies.owed, copies.on_time, copies.missing, copies.contested]
}

#[test]
fn a_publication_is_owed_to_its_own_room() {
    let mut history = History::ordinary(two_rooms());
    let (here, there) = (history.publishes(0, 200), history.publishes(1, 300));
    history.gets(0, 0, here, 205).gets(2, 0, here, 206).gets(1, 1, there, 305).closes(5_000, 5_100);
    for shards in [1, 2, 3] {
        assert_eq!(fates(&history, shards), [4, 3, 1, 0]);
        let copies = history.over(shards).copies;
        assert_eq!((copies.owed_clients, copies.most_missing), (4, vec![(1, ConnId(3))]));
    }
}

#[test]
fn a_publication_is_waited_for_in_its_own_room() {
    let mut history = History::ordinary(two_rooms());
    let (here, there) = (history.publishes(0, 200), history.publishes(1, 300));
    let is_in = |history: &History| {
        let (ledgers, log) = history.ledgers(1);
        ledgers[0].all_in(&log)
    };
    assert!(!is_in(history.gets(0, 0, here, 205).gets(2, 0, here, 206).gets(1, 1, there, 305)), "client 3 waits");
    assert!(is_in(history.gets(3, 1, there, 306)), "nobody waits for what is said in the other room");
}

#[test]
fn who_only_publishes_is_owed_nothing() {
    let mut history = History::ordinary(a_writer_apart());
    let seq = history.publishes(0, 200);
    (0..3).for_each(|client| {
        history.gets(client, 0, seq, 205);
    });
    let (ledgers, log) = history.ledgers(1);
    assert!(ledgers[0].all_in(&log));
    history.closes(5_000, 5_100);
    for shards in [1, 2] {
        assert_eq!(fates(&history, shards), [3, 3, 0, 0]);
        assert_eq!(history.over(shards).copies.owed_clients, 3);
    }
}

#[test]
fn what_another_room_said_meanwhile_was_not_missed() {
    let mut scenario = two_rooms();
    strikes(&mut scenario, OFFLINE, &[2]);
    let mut history = History::ordinary(scenario);
    let (conn, at) = (ConnId(2), ms(2_100));
    history.phase(Phase::WarmUp, 100).tell(Event::Disrupted { conn, at, strike: 0 }).tell(Event::Leaving { conn, at });
    history.tell(Event::Closed { conn, at, closure: Closure { by: ClosedBy::Us, code: None, clean: false }, detail: "" });
    for at in [2_200, 2_300] {
        let seq = history.publishes(0, at);
        history.gets(0, 0, seq, at + 5);
    }
    let there = history.publishes(1, 2_400);
    history.gets(1, 1, there, 2_405).gets(3, 1, there, 2_405).joins(2, 2_650).gets(2, 0, 0, 2_655).closes(5_000, 5_100);
    for shards in [1, 2] {
        let gap = history.over(shards).disruptions.resume;
        assert_eq!((gap.returns, gap.sent, gap.replayed), (1, 2, 1));
        let lost: Vec<_> = gap.lost_sightings.as_slice().iter().map(|s| (s.publisher.map(|p| p.0), s.seq.map(|s| s.0))).collect();
        assert_eq!(lost, [(Some(0), Some(1))]);
    }
}
