//! Closing the books where something is odd: forged stamps, lost logs, no room, runs cut short.

use std::collections::BTreeSet;

use super::super::history::{History, ms, scenario};
use super::super::{Account, Ledger, SendLog};
use crate::base::ConnId;
use crate::event::{Event, Phase, StrayKind};

fn only(history: &History) -> (Ledger, SendLog) {
    let (mut ledgers, log) = history.ledgers(1);
    (ledgers.remove(0), log)
}

#[test]
fn a_client_whose_count_disagrees_with_what_it_saw_is_said() {
    let mut history = History::ordinary(scenario(2, 1));
    history.broadcasts(0, 3).closes(5_000, 5_100);
    // As if a copy had been counted that no window knows of, or one in a window had not been counted.
    let more: fn(&mut Ledger) = |ledger| (ledger.seats[1].taken, ledger.copies.received) = (4, 7);
    let less: fn(&mut Ledger) = |ledger| ledger.seats[1].taken = 2;
    for (alter, clients) in [(more, 1), (less, 1), (|_: &mut Ledger| {}, 0)] {
        let (mut ledger, log) = only(&history);
        alter(&mut ledger);
        let account = ledger.settle(&log, history.end);
        assert!(account.copies.balance(), "the sums by themselves are sound");
        assert_eq!((account.bounds.out_of_balance, account.books_balance()), (clients, clients == 0));
    }
}

#[test]
fn a_number_never_sent_that_came_before_readiness_is_counted_once() {
    let mut history = History::of(scenario(1, 1));
    history.opens(0, 0).gets(0, 0, 9, 50).ready(0, 100).phase(Phase::Steady, 150).broadcasts(0, 5).closes(5_000, 5_100);
    let copies = history.account().copies;
    assert!(copies.balance(), "{copies:#?}");
    assert_eq!((copies.received, copies.on_time, copies.contested_received, copies.stray_of(StrayKind::Unknown)), (6, 5, 1, 0));
}

#[test]
fn what_came_of_a_publisher_whose_log_is_lost_is_contested_once() {
    let mut history = History::of(scenario(2, 2));
    history.joins(1, 0).opens(0, 0);
    let early = history.publishes(1, 50);
    history.gets(0, 1, early, 55).ready(0, 100).phase(Phase::Steady, 150).broadcasts(0, 3);
    let late = history.publishes(1, 300);
    // Besides, a number that the other publisher never came to.
    history.gets(0, 1, late, 305).gets(0, 0, 9, 400).closes(5_000, 5_100);
    let (mut ledgers, _) = history.ledgers(2);
    let ledger = ledgers.remove(0);
    let mut log = SendLog::empty(&history.plan);
    log.merge(ledger.send_log());
    let account = ledger.settle(&log, history.end);
    let copies = &account.copies;
    assert!(account.books_balance(), "{copies:#?}");
    assert_eq!((copies.received, copies.on_time, copies.contested_received, copies.stray_of(StrayKind::Unknown)), (6, 3, 2, 1));
}

#[test]
fn a_run_cut_short_owes_nothing_that_still_had_time_though_all_came() {
    let mut history = History::ordinary(scenario(2, 1));
    for at in [200, 1_900] {
        let seq = history.publishes(0, at);
        history.all_get(0, seq, at + 5);
    }
    history.tell(Event::Interrupted { at: ms(1_950), detail: "Ctrl-C" }).closes(1_950, 2_000);
    for shards in [1, 2] {
        let copies = history.over(shards).copies;
        assert_eq!((copies.owed, copies.on_time, copies.contested, copies.contested_received), (2, 2, 2, 2));
    }
}

#[test]
fn the_clients_that_missed_most_come_first_and_of_equals_the_first() {
    let mut history = History::ordinary(scenario(12, 1));
    let missed = |client: u32| if client < 4 { [1, 3, 3, 2][client as usize] } else { 2 };
    for n in 0..5_u32 {
        let seq = history.publishes(0, 200 + 10 * u64::from(n));
        for client in (0..12).filter(|client| n >= missed(*client)) {
            history.gets(client, 0, seq, 205 + 10 * u64::from(n));
        }
    }
    history.closes(5_000, 5_100);
    let due: Vec<_> = [(3, 1), (3, 2)].into_iter().chain((3..9).map(|client| (2, client))).map(|(n, c)| (n, ConnId(c))).collect();
    for shards in [1, 2, 3, 12] {
        assert_eq!(history.over(shards).copies.most_missing, due, "over {shards} shards");
    }
}

#[test]
fn a_hole_for_which_there_is_no_room_is_missing_as_wide_as_it_is() {
    let mut history = History::ordinary(scenario(1, 1));
    for n in 0..300 {
        history.publishes(0, 200 + n);
    }
    for seq in (0..10).chain(200..300) {
        history.gets(0, 0, seq, 600 + u64::from(seq));
    }
    history.closes(5_000, 5_100);
    let (mut ledgers, log) = history.ledgers_with(1, |ledger| ledger.room.limit = 0);
    let account = ledgers.remove(0).settle(&log, history.end);
    let copies = &account.copies;
    assert_eq!((copies.owed, copies.on_time, copies.missing, copies.missing_unplaced), (300, 110, 190, 190));
    assert_eq!(account.bounds.holes_forgotten, 190);
    assert_eq!(history.account().copies.missing, 190, "nor does room change what is missing");
}

#[test]
fn an_early_copy_for_which_there_is_no_room_is_contested_each_time() {
    let mut history = History::ordinary(scenario(1, 1));
    for n in 0..110 {
        history.publishes(0, 200 + n);
    }
    // The books of this pair begin at 68; the tenth finds room below, the thirtieth does not.
    for (n, seq) in (0_u64..).zip((100..110).chain([10, 30, 10, 30])) {
        history.gets(0, 0, seq, 400 + n);
    }
    history.closes(5_000, 5_100);
    let (mut ledgers, log) = history.ledgers_with(1, |ledger| ledger.room.limit = 1);
    let account = ledgers.remove(0).settle(&log, history.end);
    let copies = &account.copies;
    assert!(account.books_balance(), "{copies:#?}");
    assert_eq!((account.bounds.early_forgotten, copies.contested_received, copies.duplicate), (2, 2, 1));
    assert_eq!((copies.on_time, copies.missing), (11, 99));
}

#[test]
fn what_is_missing_of_a_thinned_log_is_in_a_row_or_said_to_be_in_none() {
    let mut history = History::ordinary(scenario(1, 1));
    for n in 0..100 {
        history.publishes(0, 200 + n);
    }
    history.closes(5_000, 5_100);
    let (mut ledgers, log) = history.ledgers_with(1, |ledger| ledger.log = ledger.log.clone().with_room(8));
    let account: Account = ledgers.remove(0).settle(&log, history.end);
    let in_rows: u64 = account.rows.as_slice().iter().map(|row| row.missing).sum();
    assert!(log.is_thinned() && account.books_balance());
    assert_eq!((account.copies.missing, in_rows + account.copies.missing_unplaced), (100, 100));
    assert!(in_rows >= 4 && account.copies.missing_unplaced >= 80, "{in_rows}");
    let named: BTreeSet<_> = account.copies.missing_sightings.as_slice().iter().filter_map(|s| s.seq.map(|s| s.0)).collect();
    assert_eq!(named, (0..8).collect(), "the first are the witnesses, whether or not it is known when they were sent");
}
