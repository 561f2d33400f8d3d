//! A feed's bounds: what retires for lack of room is judged all the same, and what found no room is said.

use super::super::Account;
use super::super::history::{History, feeding, ms};
use super::super::ledger::Ledger;
use super::feed::{counts, ticking};
use crate::base::ConnId;
use crate::event::Event;
use crate::scenario::model::{Rooms, RoomsBy};

/// The account over `of` shards whose ledgers were made ready.
fn prepared(history: &History, of: u32, prepare: impl FnMut(&mut Ledger)) -> Account {
    let (ledgers, log) = history.ledgers_with(of, prepare);
    let mut account = Account::empty(&history.plan);
    ledgers.into_iter().for_each(|ledger| account.merge(ledger.settle(&log, history.end)));
    assert!(account.books_balance(), "{:#?}", account.copies);
    account
}

/// The account over one shard with room for 64 broadcasts.
fn cramped(history: &History) -> Account {
    prepared(history, 1, |ledger| ledger.feed_room(64))
}

/// Three clients that hear so many ticks in full.
fn in_full(ticks: u64) -> History {
    ticking(3, false, ticks, false, |h, n, key| {
        h.tick(n, key, &[]);
    })
}

#[test]
fn the_older_half_retires_when_there_is_one_more_than_there_is_room_for() {
    let of_room = |history: &History, of| prepared(history, of, |ledger| ledger.feed_room(256));
    for (ticks, retired) in [(256, 0), (257, 128)] {
        let account = of_room(&in_full(ticks), 1);
        assert_eq!((account.feed.retired, account.feed.broadcasts, account.copies.on_time), (retired, ticks, 3 * ticks));
    }
    // Of several shards, each judges alone what another may have judged alone: 128 that retired, and what came in the ten seconds
    // after the last of them.
    let account = of_room(&in_full(300), 2);
    assert_eq!((account.feed.retired, account.feed.broadcasts, account.copies.on_time), (2 * (128 + 100), 300, 900));
}

#[test]
fn the_majoritys_order_counts_for_what_retires_too() {
    let mut history = ticking(5, false, 100, false, |h, n, key| {
        h.tick(n, key, if n == 11 { &[3, 4] } else { &[] });
    });
    history.item(3, 11, 1_998).item(4, 11, 1_999);
    history.events.sort_by_key(Event::at);
    let (roomy, cramped) = (history.account(), cramped(&history));
    assert_eq!((counts(&roomy), counts(&cramped)), ([500, 0, 0, 0, 2], [500, 0, 0, 0, 2]));
    assert_eq!(roomy.copies.order_sightings, cramped.copies.order_sightings);
    assert_eq!((roomy.feed.retired, cramped.feed.retired), (0, 64));
}

#[test]
fn half_that_had_it_behind_are_named_for_what_retires_too() {
    let mut history = ticking(4, false, 100, false, |h, n, key| {
        h.tick(n, key, if n == 11 { &[1, 3] } else { &[] });
    });
    history.item(1, 11, 2_250).item(3, 11, 2_251);
    history.events.sort_by_key(Event::at);
    let account = cramped(&history);
    assert_eq!((counts(&account), account.feed.retired), ([400, 0, 0, 0, 2], 64));
    let told: Vec<_> = account.copies.order_sightings.as_slice().iter().map(|s| (s.at, s.conn)).collect();
    assert_eq!(told, [(ms(2_250), Some(ConnId(1))), (ms(2_251), Some(ConnId(3)))]);
}

#[test]
fn a_second_copy_of_what_has_retired_since_is_a_duplicate() {
    for unique in [false, true] {
        let history = ticking(3, unique, 70, false, |h, n, key| {
            h.tick(n, key, &[]);
            if n == 40 {
                h.item(2, 31, 5_050);
            }
        });
        let account = cramped(&history);
        assert_eq!((counts(&account), account.feed.broadcasts), ([210, 0, 0, 1, 0], 70), "unique: {unique}");
        assert_eq!(account.feed.retired, 32);
    }
    // Where no key comes twice, it is found among what is left.
    let history = ticking(3, true, 100, false, |h, n, key| {
        h.tick(n, key, &[]);
        if n == 80 {
            h.item(1, 79, 9_050);
        }
    });
    let account = cramped(&history);
    assert_eq!(counts(&account), [300, 0, 0, 1, 0]);
    assert!(account.copies.duplicate_sightings.as_slice()[0].what.contains("arrived again, 150ms after"), "{:?}", account.copies);
}

#[test]
fn who_had_it_behind_is_named_after_older_ones_have_retired() {
    let mut history = ticking(5, false, 70, false, |h, n, key| {
        h.tick(n, key, if n == 50 { &[3] } else { &[] });
    });
    history.item(3, 50, 6_150);
    history.events.sort_by_key(Event::at);
    let account = cramped(&history);
    assert_eq!((counts(&account), account.feed.retired), ([350, 0, 0, 0, 1], 32));
    let told: Vec<_> = account.copies.order_sightings.as_slice().iter().map(|s| (s.at, s.conn)).collect();
    assert_eq!(told, [(ms(6_150), Some(ConnId(3)))]);
}

#[test]
fn a_room_that_retires_takes_no_witness_from_another() {
    let mut scenario = feeding(6, false);
    scenario.rooms = Some(Rooms { count: 2, by: RoomsBy::RoundRobin });
    let mut history = History::ordinary(scenario);
    // The even clients hear much, the odd ones little: and client 3 its third behind its fourth.
    for n in 0..100 {
        let at = 1_000 + 100 * n;
        history.item(0, n, at).item(2, n, at + 1).item(4, n, at + 2);
    }
    for n in 0..10 {
        let at = 1_010 + 100 * n;
        history.item(1, 1_000 + n, at).item(5, 1_000 + n, at + 5);
        history.item(3, 1_000 + n, if n == 2 { at + 150 } else { at + 3 });
    }
    history.closes(10_950, 12_500);
    history.events.sort_by_key(Event::at);
    let account = cramped(&history);
    assert_eq!((counts(&account), account.feed.broadcasts), ([330, 0, 0, 0, 1], 110));
    assert_eq!(account.feed.retired, 64);
    let told: Vec<_> = account.copies.order_sightings.as_slice().iter().map(|s| (s.at, s.conn)).collect();
    assert_eq!(told, [(ms(1_360), Some(ConnId(3)))]);
}

#[test]
fn a_client_that_fell_silent_long_ago_is_not_one_that_got_nothing_at_all() {
    let history = ticking(5, false, 400, false, |h, n, key| {
        h.tick(n, key, if n < 50 { &[3, 4] } else { &[2, 3, 4] });
    });
    for account in [history.account(), cramped(&history)] {
        assert_eq!(counts(&account), [2_000, 1_150, 0, 0, 0]);
        assert_eq!((account.copies.missing_clients, account.copies.deaf_clients, account.copies.owed_clients), (3, 2, 5));
        assert_eq!(account.copies.most_missing, [(400, ConnId(3)), (400, ConnId(4)), (350, ConnId(2))]);
    }
}

#[test]
fn the_gaps_of_what_has_retired_take_no_room() {
    let history = ticking(3, false, 400, false, |h, n, key| {
        h.tick(n, key, if n % 2 == 1 { &[1] } else { &[] });
    });
    let (ledgers, _) = history.ledgers_with(1, |ledger| ledger.feed_room(64));
    assert!((1..=33).contains(&ledgers[0].feed_gaps()), "{} gaps in at most 64 broadcasts", ledgers[0].feed_gaps());
    assert_eq!(counts(&cramped(&history)), [1_200, 200, 0, 0, 0]);
}

/// Five clients that hear 60 ticks, but client 3 not those.
fn lacking(but: &[u64]) -> History {
    ticking(5, false, 60, false, |h, n, key| {
        h.tick(n, key, if but.contains(&n) { &[3] } else { &[] });
    })
}

#[test]
fn gaps_that_find_no_room_are_missing_all_the_same_and_said() {
    // Room for one gap: the second, of two broadcasts, finds none. The first is closed, and there is room for the third.
    let mut history = lacking(&[20, 30, 31, 45]);
    history.item(3, 20, 4_250);
    history.events.sort_by_key(Event::at);
    let account = prepared(&history, 1, |ledger| ledger.feed_gaps_left(1));
    assert_eq!(counts(&account), [300, 3, 1, 0, 1]);
    assert_eq!((account.bounds.holes_forgotten, account.copies.missing_unplaced), (2, 2));
    assert_eq!((account.copies.missing_clients, account.copies.most_missing[0]), (1, (3, ConnId(3))));
    let told: Vec<_> = account.copies.missing_sightings.as_slice().iter().map(|s| s.at).collect();
    assert_eq!(told, [ms(5_500)], "of those that found no room nothing is known");
    let account = prepared(&history, 1, |_| {});
    assert_eq!((counts(&account), account.bounds.holes_forgotten), ([300, 3, 1, 0, 1], 0));
}

#[test]
fn a_gap_that_is_split_takes_the_room_of_two() {
    let mut history = lacking(&[10, 11, 12, 15, 20]);
    history.item(3, 11, 2_650).item(3, 15, 2_850);
    history.events.sort_by_key(Event::at);
    let account = prepared(&history, 1, |ledger| ledger.feed_gaps_left(2));
    assert_eq!(counts(&account), [300, 3, 0, 0, 2]);
    assert_eq!((account.bounds.holes_forgotten, account.copies.missing_unplaced), (1, 1));
}

#[test]
fn no_more_is_missing_than_was_owed_however_much_found_no_room() {
    // Client 3 is a newcomer: most of its gap lies where nothing was owed to it yet.
    let mut history = ticking(4, false, 20, false, |h, n, key| {
        h.tick(n, key, if n < 11 || (12..18).contains(&n) || n == 19 { &[3] } else { &[] });
    });
    history.leaves(3, 500);
    history.opens(3, 2_050).ready(3, 2_050);
    history.events.sort_by_key(Event::at);
    let account = prepared(&history, 1, |ledger| ledger.feed_gaps_left(0));
    assert_eq!(account.bounds.holes_forgotten, 6);
    assert!(account.copies.owed == 64 && (3..=4).contains(&account.copies.missing), "{:#?}", account.copies);
}
