//! Single situations, spelled out.

use super::super::history::{History, ms, scenario};
use super::super::{Account, SendLog, Share};
use crate::base::Span;
use crate::event::{ClosedBy, Event, Flaws, StrayKind};
use crate::scenario::model::Audience;

fn fates(account: &Account) -> [u64; 6] {
    let copies = &account.copies;
    [copies.owed, copies.on_time, copies.late, copies.missing, copies.contested, copies.duplicate]
}

#[test]
fn an_honest_run_owes_and_gets_everything() {
    let mut history = History::ordinary(scenario(3, 1));
    history.broadcasts(0, 100).closes(5_000, 5_100);
    let account = history.account();
    assert_eq!(fates(&account), [300, 300, 0, 0, 0, 0]);
    assert!(account.books_balance());
    assert_eq!((account.delivery.count(), account.publications.sent_steady), (300, 100));
    assert_eq!(account.delivery.max(), Span::from_millis(5).as_nanos());
}

#[test]
fn a_duplicate_never_offsets_a_loss() {
    let mut history = History::ordinary(scenario(2, 1));
    let seq = history.publishes(0, 200);
    history.gets(0, 0, seq, 205).gets(0, 0, seq, 206).closes(5_000, 5_100);
    assert_eq!(fates(&history.account()), [2, 1, 0, 1, 0, 1]);
}

#[test]
fn a_copy_late_by_us_is_known_as_such() {
    let mut history = History::ordinary(scenario(2, 1));
    let seq = history.publishes_late(0, 200, 900);
    history.gets(0, 0, seq, 1_300).gets(1, 0, seq, 2_000).closes(5_000, 5_100);
    let account = history.account();
    assert_eq!(fates(&account), [2, 0, 2, 0, 0, 0]);
    assert_eq!(account.copies.late_by_us, 1, "1.3 s is late, but only 0.4 s after it was sent");
    assert_eq!(account.publications.late_sends, 1);
}

#[test]
fn what_was_sent_before_a_client_was_ready_is_contested() {
    let mut history = History::ordinary(scenario(1, 1));
    let mut history2 = History::of(scenario(3, 1));
    history.closes(1, 2);
    history2.joins(0, 0).opens(1, 50).phase(crate::event::Phase::Steady, 100);
    let first = history2.publishes(0, 200);
    history2.ready(1, 201).opens(2, 202);
    let second = history2.publishes(0, 300);
    history2.gets(0, 0, first, 205).gets(1, 0, first, 206).gets(0, 0, second, 305).gets(1, 0, second, 305).gets(2, 0, second, 306);
    history2.closes(5_000, 5_100);
    let account = history2.account();
    assert_eq!(account.copies.owed, 3, "client 0 twice, client 1 once, client 2 never became ready");
    assert_eq!((account.copies.contested_received, account.copies.missing), (2, 0));
    assert!(account.books_balance());
}

#[test]
fn what_a_lost_client_could_still_have_got_is_contested() {
    let mut history = History::ordinary(scenario(2, 1));
    let one = history.publishes(0, 200);
    history.gets(0, 0, one, 205);
    let two = history.publishes(0, 1_500);
    history.gets(0, 0, two, 1_505).is_lost(1, 1_600, ClosedBy::Network, None);
    let three = history.publishes(0, 1_700);
    history.gets(0, 0, three, 1_705).closes(5_000, 5_100);
    let account = history.account();
    assert_eq!(fates(&account), [4, 3, 0, 1, 1, 0], "the first one's limit ran out while it was there: missing");
    assert_eq!(account.connections.lost_total(), 1);
}

#[test]
fn senders_left_out_are_owed_nothing_and_an_echo_is_stray() {
    let mut scenario = scenario(3, 2);
    scenario.publish.as_mut().expect("publishes").audience = Audience::Others;
    let mut history = History::ordinary(scenario);
    let seq = history.publishes(0, 200);
    history.all_get(0, seq, 205).stray(1, 206, StrayKind::Echo, b"x").closes(5_000, 5_100);
    for of in 1..=3 {
        let account = history.over(of);
        assert_eq!(fates(&account), [2, 2, 0, 0, 0, 0]);
        assert_eq!((account.copies.stray_of(StrayKind::Echo), account.copies.received), (2, 4));
        assert!(account.books_balance());
    }
}

#[test]
fn a_hole_that_left_the_window_is_still_filled_by_a_late_copy() {
    let mut history = History::ordinary(scenario(1, 1));
    for n in 0..300 {
        history.publishes(0, 200 + n);
    }
    for seq in (0..300).filter(|seq| ![7, 8, 200].contains(seq)) {
        history.gets(0, 0, seq, 210 + u64::from(seq));
    }
    history.gets(0, 0, 7, 600).gets(0, 0, 7, 601).gets(0, 0, 3, 602).closes(5_000, 5_100);
    let account = history.account();
    assert_eq!(fates(&account), [300, 298, 0, 2, 0, 2]);
    assert_eq!(account.copies.out_of_order, 1);
    let named: Vec<_> = account.copies.missing_sightings.as_slice().iter().map(|s| s.seq.map(|s| s.0)).collect();
    assert_eq!(named, [Some(8), Some(200)]);
}

#[test]
fn a_sequence_nobody_sent_is_unknown_not_delivered() {
    let mut history = History::ordinary(scenario(1, 1));
    let seq = history.publishes(0, 200);
    history.gets(0, 0, seq, 205).gets(0, 0, 9, 206).gets(0, 7, 0, 207).closes(5_000, 5_100);
    let account = history.account();
    assert_eq!(fates(&account), [1, 1, 0, 0, 0, 0]);
    assert_eq!((account.copies.stray_of(StrayKind::Unknown), account.copies.received), (2, 3));
    assert!(account.books_balance());
}

#[test]
fn hostile_numbers_break_nothing() {
    let mut history = History::ordinary(scenario(2, 1));
    history.publishes(0, 200);
    for seq in [u32::MAX, u32::MAX - 1, u32::MAX - 2, 1 << 31, 0, 100, u32::MAX - 64, u32::MAX - 1, u32::MAX] {
        history.gets(0, 0, seq, 205).gets(7_000_000, 0, seq, 205).gets(1, u32::MAX, seq, 205);
    }
    history.closes(5_000, 5_100);
    let account = history.account();
    assert_eq!(account.copies.owed, 2);
    assert_eq!(account.copies.on_time, 1);
}

#[test]
fn an_interrupted_run_owes_only_what_ran_out_before_the_close() {
    let mut history = History::ordinary(scenario(2, 1));
    let one = history.publishes(0, 200);
    history.gets(0, 0, one, 205);
    history.publishes(0, 1_900);
    history.tell(Event::Interrupted { at: ms(1_950), detail: "Ctrl-C" }).closes(1_950, 2_000).gets(1, 0, 1, 2_050);
    let account = history.account();
    assert_eq!(fates(&account), [2, 1, 0, 1, 3, 0]);
    assert_eq!(account.interrupted.as_deref(), Some("Ctrl-C"));
    assert!(account.books_balance());
}

#[test]
fn a_dead_workers_publications_are_contested() {
    let mut history = History::ordinary(scenario(4, 2));
    let (a, b) = (history.publishes(0, 200), history.publishes(1, 200));
    history.all_get(0, a, 205).all_get(1, b, 206).closes(5_000, 5_100);
    let (mut ledgers, _) = history.ledgers(2);
    ledgers.truncate(1);
    let mut log = SendLog::empty(&history.plan);
    log.merge(ledgers[0].send_log());
    let mut account = Account::empty(&history.plan);
    account.merge(ledgers.remove(0).settle(&log, history.end));
    account.interrupt("a worker died");
    assert_eq!(fates(&account), [2, 2, 0, 0, 2, 0], "clients 0 and 2, publisher 0; publisher 1's copies are contested");
    assert_eq!(account.bounds.publishers_unknown, 1);
    assert!(account.books_balance());
}

#[test]
fn damaged_copies_are_delivered_and_damaged() {
    let mut history = History::ordinary(scenario(2, 1));
    let seq = history.publishes(0, 200);
    history.gets_flawed(0, 0, seq, 205, Flaws::OPCODE).gets_flawed(1, 0, seq, 205, Flaws::BYTES.with(Flaws::LENGTH));
    history.closes(5_000, 5_100);
    let account = history.account();
    assert_eq!(fates(&account), [2, 2, 0, 0, 0, 0]);
    assert_eq!(account.copies.damaged, 2);
    assert_eq!(account.copies.flaws.values().sum::<u64>(), 3);
}

#[test]
fn shares_see_the_end_of_the_drain_when_the_last_copy_is_in() {
    let mut history = History::ordinary(scenario(4, 1));
    history.broadcasts(0, 3);
    let seq = history.publishes(0, 400);
    for client in 0..3 {
        history.gets(client, 0, seq, 405);
    }
    let (ledgers, log) = history.ledgers(2);
    assert!(ledgers[0].all_in(&log), "clients 0 and 2");
    assert!(!ledgers[1].all_in(&log), "client 3 waits");
    history.is_lost(3, 500, ClosedBy::Server, Some(1001));
    let (ledgers, log) = history.ledgers(2);
    assert!(ledgers.iter().all(|ledger| ledger.all_in(&log)), "who left is not waited for");
    assert_eq!(ledgers[0].progress().taken + ledgers[1].progress().taken, 15);
    let _ = Share::WHOLE;
}

#[test]
fn the_copies_of_who_left_are_not_those_of_who_stays() {
    let mut history = History::ordinary(scenario(3, 1));
    history.broadcasts(0, 10).leaves(2, 1_000);
    let last = history.publishes(0, 1_100);
    history.gets(0, 0, last, 1_105);
    let (ledgers, log) = history.ledgers(1);
    // 31 copies came, and two members were sent 11 each.
    assert!(!ledgers[0].all_in(&log), "client 1 waits for the last");
    assert!(!ledgers[0].all_in(&log), "and still does when asked again");
    history.gets(1, 0, last, 1_200);
    let (ledgers, log) = history.ledgers(1);
    assert!(ledgers[0].all_in(&log));
}

#[test]
fn who_joined_late_is_waited_for_from_its_joining_on() {
    let mut history = History::of(scenario(2, 1));
    history.joins(0, 0).phase(crate::event::Phase::Steady, 100);
    let early = history.publishes(0, 200);
    history.gets(0, 0, early, 205).joins(1, 300);
    let (ledgers, log) = history.ledgers(1);
    assert!(ledgers[0].all_in(&log), "what came before it is not its");
    let late = history.publishes(0, 400);
    history.gets(0, 0, late, 405);
    let (ledgers, log) = history.ledgers(1);
    assert!(!ledgers[0].all_in(&log));
}

#[test]
fn senders_that_are_left_out_are_not_waited_for() {
    let mut scenario = scenario(3, 2);
    scenario.publish.as_mut().expect("publishes").audience = Audience::Others;
    let mut history = History::ordinary(scenario);
    let (one, two) = (history.publishes(0, 200), history.publishes(1, 200));
    history.all_get(0, one, 205);
    let (ledgers, log) = history.ledgers(1);
    assert!(!ledgers[0].all_in(&log), "the second publisher's are on their way");
    history.all_get(1, two, 205);
    let (ledgers, log) = history.ledgers(1);
    assert!(ledgers[0].all_in(&log), "four copies, not six");
}

#[test]
fn sums_that_do_not_add_up_do_not_balance() {
    use super::super::Copies;
    let whole = || Copies {
        owed: 10,
        on_time: 6,
        late: 3,
        missing: 1,
        late_by_us: 3,
        contested: 4,
        contested_received: 2,
        contested_rejected: 4,
        contested_planned: 4,
        missing_unplaced: 1,
        missing_unreadable: 1,
        duplicate: 1,
        stray_copies: 5,
        received: 17,
        ..Copies::default()
    };
    assert!(whole().balance());
    let alters: [fn(&mut Copies); 9] = [
        |copies| copies.owed += 1,
        |copies| copies.received += 1,
        |copies| copies.late_by_us += 1,
        |copies| (copies.contested_received, copies.received) = (5, 20),
        |copies| copies.contested_rejected += 1,
        |copies| copies.contested_planned += 1,
        |copies| copies.missing_unplaced += 1,
        |copies| copies.missing_unreadable += 1,
        |copies| copies.duplicate += 1,
    ];
    for (n, alter) in alters.into_iter().enumerate() {
        let mut copies = whole();
        alter(&mut copies);
        assert!(!copies.balance(), "alteration {n}");
    }
}

#[test]
fn a_client_that_comes_back_begins_new_books() {
    let mut history = History::ordinary(scenario(2, 1));
    let one = history.publishes(0, 200);
    history.all_get(0, one, 205).leaves(1, 1_500);
    let two = history.publishes(0, 1_600);
    history.gets(0, 0, two, 1_605).joins(1, 1_700);
    let three = history.publishes(0, 1_800);
    // The second one is replayed after the return: contested. The third is owed to both.
    history.gets(1, 0, two, 1_805).gets(0, 0, three, 1_805).gets(1, 0, three, 1_806).closes(5_000, 5_100);
    let account = history.account();
    assert_eq!(fates(&account), [5, 5, 0, 0, 1, 0]);
    assert!(account.books_balance());
    assert_eq!((account.connections.opened, account.connections.returned, account.connections.left), (2, 1, 1));
}

#[test]
fn a_full_table_of_holes_is_counted_and_said() {
    let mut history = History::ordinary(scenario(2, 1));
    for n in 0..2_000 {
        history.publishes(0, 200 + n);
    }
    for seq in (0..2_000).step_by(2) {
        history.gets(0, 0, seq, 300 + u64::from(seq)).gets(1, 0, seq, 300 + u64::from(seq));
    }
    history.gets(0, 0, 1, 2_400).gets(0, 0, 1_801, 2_401).closes(5_000, 5_100);
    let whole = history.account();
    assert_eq!((whole.copies.missing, whole.copies.duplicate), (1_998, 0));
    let (mut ledgers, log) = history.ledgers_with(1, |ledger| ledger.room.limit = 100);
    let account = ledgers.remove(0).settle(&log, history.end);
    assert_eq!(account.copies.owed, 4_000);
    assert_eq!((account.copies.missing, account.copies.duplicate), (1_999, 1), "a forgotten hole that is filled is taken for a duplicate");
    assert!(account.bounds.holes_forgotten > 1_500);
}

#[test]
fn room_for_so_many_ranges_is_used_up_and_given_back() {
    let mut history = History::ordinary(scenario(1, 1));
    for n in 0..400 {
        history.publishes(0, 200 + n);
    }
    // Holes at 10 and 110, which leave the window; both are filled, and then there is room again for 220 and 330.
    for seq in (0..400).filter(|seq| ![10, 110, 220, 330].contains(seq)) {
        history.gets(0, 0, seq, 210 + u64::from(seq));
        if seq == 200 {
            history.gets(0, 0, 10, 411).gets(0, 0, 110, 412);
        }
    }
    history.closes(5_000, 5_100);
    let (mut ledgers, log) = history.ledgers_with(1, |ledger| ledger.room.limit = 2);
    let account = ledgers.remove(0).settle(&log, history.end);
    assert_eq!((account.bounds.holes_forgotten, account.copies.missing, account.copies.duplicate), (0, 2, 0));
    let (mut ledgers, log) = history.ledgers_with(1, |ledger| ledger.room.limit = 1);
    let account = ledgers.remove(0).settle(&log, history.end);
    assert_eq!((account.bounds.holes_forgotten, account.copies.missing_unplaced), (2, 2), "each time the second found no room");
}

#[test]
fn small_histories_one_by_one() {
    // One client, three publications, every sequence of up to five arrivals of them.
    for length in 0..=5_u32 {
        for code in 0..3_u32.pow(length) {
            let mut history = History::ordinary(scenario(1, 1));
            for n in 0..3 {
                history.publishes(0, 200 + n);
            }
            let arrivals: Vec<u32> = (0..length).map(|place| code / 3_u32.pow(place) % 3).collect();
            for (n, seq) in (0_u64..).zip(&arrivals) {
                history.gets(0, 0, *seq, 210 + 400 * n);
            }
            history.closes(5_000, 5_100);
            let (account, truth) = (history.account(), super::oracle::judge(&history));
            let copies = &account.copies;
            assert_eq!(
                [copies.owed, copies.on_time, copies.late, copies.missing, copies.duplicate, copies.out_of_order],
                [truth.owed, truth.on_time, truth.late, truth.missing, truth.duplicate, truth.out_of_order],
                "{arrivals:?}"
            );
            assert!(account.books_balance(), "{arrivals:?}");
        }
    }
}
