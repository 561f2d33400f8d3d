//! The edges of a feed: who had only just come, who left, what comes as the run ends, and what is late by a hair.

use super::super::Account;
use super::super::history::{History, feeding, ms};
use super::feed::{counts, over_all, ticking};
use crate::base::ConnId;
use crate::event::{Event, Phase, StrayKind};

/// Clients `0..members` are members from the start; the others have opened and wait.
fn with_members(clients: u32, members: u32, unique: bool) -> History {
    let mut history = History::of(feeding(clients, unique));
    history.phase(Phase::Ramp, 0);
    for client in 0..clients {
        history.opens(client, 0);
    }
    for client in 0..members {
        history.ready(client, 0);
    }
    history.phase(Phase::Steady, 100);
    history
}

/// `client` left before anything was broadcast, and is a member again from `at` on.
fn returns(history: &mut History, client: u32, at: u64) {
    history.leaves(client, 500);
    history.opens(client, at).ready(client, at);
}

/// The copies that came.
fn items(history: &History) -> u64 {
    history.events.iter().filter(|event| matches!(event, Event::Item { .. })).count() as u64
}

fn contested(account: &Account) -> [u64; 2] {
    [account.copies.contested_received, account.copies.contested]
}

#[test]
fn what_comes_before_or_after_a_membership_is_contested_and_changes_nothing() {
    let mut history = with_members(4, 3, false);
    for n in 0..40 {
        let at = 1_000 + 100 * n;
        history.item(0, n, at).item(1, n, at + 1);
        // Client 2 leaves, and what it lost before comes only then.
        if n != 20 && at < 4_050 {
            history.item(2, n, at + 2);
        }
    }
    history.tell(Event::Leaving { conn: ConnId(2), at: ms(4_050) }).item(2, 20, 4_200);
    // Client 3 never became a member.
    history.item(3, 10, 2_003).closes(4_950, 6_500);
    history.events.sort_by_key(Event::at);
    assert_eq!(over_all(&history), [40 + 40 + 21, 1, 0, 0, 0]);
    let account = history.account();
    assert_eq!((contested(&account), account.copies.owed_clients), ([10 + 1 + 1, 12], 3));
    assert_eq!(account.copies.received, items(&history));
}

#[test]
fn what_is_first_seen_as_the_drain_begins_is_nobodys_business() {
    for unique in [true, false] {
        let mut history = with_members(5, 4, unique);
        for n in 0..40 {
            for client in 0..4 {
                history.item(client, n, 1_000 + 100 * n + u64::from(client));
            }
        }
        history.closes(5_000, 6_500);
        // Client 4 is no member; client 2 has it late; one more comes later still, and to clients 1 and 3 alone.
        for (client, at) in [(4, 5_000), (0, 5_000), (1, 5_001), (3, 5_003), (2, 6_200)] {
            history.item(client, 40, at);
        }
        history.item(1, 41, 5_100).item(3, 41, 5_101);
        if unique {
            history.item(1, 40, 5_010).item(3, 41, 5_110);
        } else {
            history.item(2, 39, 5_000);
        }
        history.events.sort_by_key(Event::at);
        assert_eq!(over_all(&history), [160, 0, 0, 0, 0], "unique: {unique}");
        let account = history.account();
        assert_eq!(contested(&account), [0, 0], "unique: {unique}");
        assert_eq!(account.copies.late_sightings.as_slice(), [], "unique: {unique}");
    }
}

#[test]
fn a_feed_that_never_drained_owes_nothing_of_its_last_moments() {
    let mut history = with_members(5, 5, false);
    for n in 0..40 {
        let but: &[u32] = if n == 39 { &[3, 4] } else { &[] };
        history.tick(n, n, but);
    }
    history.phase(Phase::Close, 5_300);
    history.end = ms(5_400);
    // What was first seen a second before the end had its time: up to 4.3 s, that is 33.
    assert_eq!(over_all(&history), [33 * 5, 0, 0, 0, 0]);
}

#[test]
fn what_a_newcomer_is_given_of_old_is_neither_owed_nor_again_nor_out_of_order() {
    let mut history = with_members(4, 3, true);
    history.ready(3, 2_050);
    for n in 0..40 {
        let at = 1_000 + 100 * n;
        history.item(0, n, at).item(1, n, at + 1).item(2, n, at + 2);
        if at > 2_050 {
            history.item(3, n, at + 3);
        }
    }
    // One from before its time at once, one twice at once, and one from before its time when it has long been there.
    history.item(3, 10, 2_060).item(3, 11, 2_110).item(3, 9, 2_450);
    history.closes(4_950, 6_500);
    history.events.sort_by_key(Event::at);
    for of in [1, 2, 3, 4] {
        let account = history.over(of);
        // Owed to it is what was first seen from half a second on: 16 to 39.
        assert_eq!(counts(&account), [3 * 40 + 24, 0, 0, 0, 0], "over {of} shards");
        // Alone in its shard, nobody knows what it got of 11 and 12 in its first moments: absent, for all that is known.
        let absent = if of == 4 { 2 } else { 0 };
        assert_eq!(contested(&account), [5 + 3, 8 + absent], "over {of} shards");
        assert_eq!((account.copies.received, account.books_balance()), (items(&history), true));
    }
}

#[test]
fn an_old_one_that_two_newcomers_get_is_contested_at_both() {
    let mut history = with_members(5, 5, false);
    returns(&mut history, 3, 2_050);
    returns(&mut history, 4, 2_250);
    for n in 0..40 {
        let at = 1_000 + 100 * n;
        for client in (0..5).filter(|client| *client < 3 || at > [2_050, 2_250][*client as usize - 3]) {
            history.item(client, n, at + u64::from(client));
        }
    }
    // Client 3 has been there for long enough to count, client 4 has not.
    history.item(3, 10, 2_410).item(4, 10, 2_420).closes(4_950, 6_500);
    history.events.sort_by_key(Event::at);
    let account = history.account();
    assert_eq!(counts(&account), [3 * 40 + 24 + 22, 0, 0, 0, 0]);
    assert_eq!((contested(&account), account.copies.received), ([5 + 5 + 2, 12], items(&history)));
}

#[test]
fn a_second_copy_for_one_who_had_the_first_is_a_duplicate_whoever_else_gets_an_old_one() {
    let mut history = with_members(6, 6, false);
    returns(&mut history, 3, 2_050);
    for n in 0..40 {
        let at = 1_000 + 100 * n;
        for client in (0..6).filter(|client| *client != 3 || at > 2_050) {
            history.item(client, n, at + u64::from(client));
        }
    }
    // Client 3, a newcomer of the other shard, has it before client 2 has it again.
    history.item(3, 10, 2_410).item(2, 10, 2_415).closes(4_950, 6_500);
    history.events.sort_by_key(Event::at);
    let copies = history.over(2).copies;
    assert!(copies.duplicate > 0 && copies.missing == 0, "{copies:#?}");
    assert_eq!(copies.received, items(&history));
}

#[test]
fn what_is_owed_to_one_who_leaves_is_what_outlived_its_limit() {
    for (ticks, lacks, left, [owed, received, all]) in [
        // It leaves as the 21st comes, and what it got in its last second is contested, and so is what it did not.
        (40, Some(15), 3_000, [10, 9, 10]),
        // All is over before it leaves, and it has had everything.
        (21, None, 3_100, [11, 10, 10]),
        (21, None, 4_000, [20, 1, 1]),
        (21, None, 4_001, [21, 0, 0]),
    ] {
        let mut history = with_members(3, 3, false);
        history.leaves(1, left);
        for n in 0..ticks {
            let at = 1_000 + 100 * n;
            history.item(0, n, at).item(2, n, at + 2);
            if Some(n) != lacks && at < left {
                history.item(1, n, at + 1);
            }
        }
        history.closes(4_950, 6_500);
        history.events.sort_by_key(Event::at);
        assert_eq!(over_all(&history), [2 * ticks + owed, 0, 0, 0, 0], "left at {left}");
        for of in [1, 3] {
            assert_eq!(contested(&history.over(of)), [received, all], "left at {left}, over {of} shards");
        }
    }
}

#[test]
fn a_copy_just_at_the_limit_is_in_time() {
    for (delay, late) in [(1_000, 0), (1_300, 1)] {
        let mut history = ticking(5, false, 40, false, |h, n, key| {
            h.tick(n, key, if n == 10 { &[4] } else { &[] });
        });
        history.item(4, 10, 2_000 + delay);
        history.events.sort_by_key(Event::at);
        assert_eq!(over_all(&history), [200, 0, late, 0, 1], "{delay} ms after the first");
    }
}

#[test]
fn what_was_first_seen_too_early_for_a_newcomer_takes_nothing_from_what_is_late() {
    // Owed to client 2 is what the run first saw from 2,001 ms on: not the broadcast of 2,000 ms, however its own shard saw it.
    for delay in [2, 1_000, 1_300] {
        let mut history = with_members(3, 3, false);
        returns(&mut history, 2, 1_501);
        for n in 0..40 {
            let at = 1_000 + 100 * n;
            history.item(0, n, at).item(1, n, at + 1);
            if n >= 8 {
                history.item(2, n, at + [2, delay, 1_300][usize::from(n == 10) + 2 * usize::from(n == 20)]);
            }
        }
        history.closes(4_950, 6_500);
        history.events.sort_by_key(Event::at);
        assert_eq!(over_all(&history), [40 + 40 + 29, 0, 1, 0, 1 + u64::from(delay > 2)], "{delay} ms after the first");
    }
}

#[test]
fn one_member_and_one_who_never_became_one_are_one_alone() {
    let mut history = with_members(2, 1, false);
    for n in 0..20 {
        history.item(0, n, 1_000 + 100 * n);
    }
    history.closes(2_950, 4_500);
    let account = history.account();
    assert_eq!((account.feed.alone, account.copies.owed, account.copies.owed_clients), (1, 0, 0));
    assert_eq!((account.copies.contested_received, account.books_balance()), (20, true));
}

#[test]
fn a_stray_copy_beside_a_feed_is_received_too() {
    let mut history = ticking(3, false, 20, false, |h, n, key| {
        h.tick(n, key, &[]);
    });
    history.stray(1, 2_050, StrayKind::Unknown, b"of another shape");
    history.events.sort_by_key(Event::at);
    let account = history.account();
    assert_eq!((account.copies.received, account.copies.stray_copies, account.books_balance()), (61, 1, true));
}

#[test]
fn the_drain_of_a_feed_may_end_once_all_who_are_there_have_what_they_are_owed() {
    /// Clients 0 and 1 have everything, client 2 all but one; what each of three shards says.
    fn all_in(lacks: Option<u64>, leaves: bool, then: Option<u64>) -> Vec<bool> {
        let mut history = with_members(3, 3, false);
        for n in 0..40 {
            let but: &[u32] = if Some(n) == lacks { &[2] } else { &[] };
            history.tick(n, n, but);
        }
        if leaves {
            history.leaves(2, 4_940);
        }
        history.phase(Phase::Drain, 4_950);
        history.events.sort_by_key(Event::at);
        let (mut ledgers, log) = history.ledgers(3);
        if let Some(key) = then {
            ledgers[2].observe(Event::Item { conn: ConnId(2), at: ms(5_050), key });
        }
        assert_eq!(history.ledgers(1).0[0].all_in(&history.ledgers(1).1), lacks.is_none_or(|n| leaves || n < 37));
        ledgers.iter().map(|ledger| ledger.all_in(&log)).collect()
    }
    assert_eq!(all_in(None, false, None), [true, true, true]);
    assert_eq!(all_in(Some(39), false, None), [true, true, false]);
    assert_eq!(all_in(Some(39), false, Some(39)), [true, true, true]);
    // Who left is not waited for, nor what is beyond its limit.
    assert_eq!(all_in(Some(28), true, None), [true, true, true]);
    assert_eq!(all_in(Some(10), false, None), [true, true, true]);
}
