//! A feed out of order, copy by copy: how often, and who is named; and where the timeline holds what went wrong.

use super::super::history::{History, ms};
use super::feed::{counts, over_all, ticking};
use crate::base::ConnId;
use crate::event::Event;

/// Clients that hear 40 ticks, but `but` for those clients and ticks, whose copies come at the times given.
fn with_copies(clients: u32, copies: &[(u32, u64, u64)]) -> History {
    let mut history = ticking(clients, false, 40, false, |h, n, key| {
        let but: Vec<u32> = copies.iter().filter(|(_, tick, _)| *tick == n).map(|(client, ..)| *client).collect();
        h.tick(n, key, &but);
    });
    for (client, tick, at) in copies {
        history.item(*client, *tick, *at);
    }
    history.events.sort_by_key(Event::at);
    history
}

/// Who is named for the order, over so many shards.
fn named(history: &History, of: u32) -> Vec<u32> {
    history.over(of).copies.order_sightings.as_slice().iter().map(|s| s.conn.map_or(u32::MAX, |conn| conn.0)).collect()
}

#[test]
fn every_copy_out_of_order_is_named_once() {
    let history = with_copies(5, &[(1, 10, 2_150), (3, 15, 2_650)]);
    assert_eq!(over_all(&history), [200, 0, 0, 0, 2]);
    for of in [1, 5] {
        let copies = history.over(of).copies;
        let told: Vec<_> = copies.order_sightings.as_slice().iter().map(|s| (s.at, s.conn)).collect();
        assert_eq!(told, [(ms(2_150), Some(ConnId(1))), (ms(2_650), Some(ConnId(3)))], "over {of} shards");
        let what: Vec<_> = copies.order_sightings.as_slice().iter().map(|s| s.what.as_str()).collect();
        assert_ne!(what[0], what[1]);
    }
}

#[test]
fn where_half_had_it_in_another_order_those_are_named_who_had_it_behind() {
    let history = with_copies(4, &[(1, 20, 3_111), (3, 20, 3_113)]);
    assert_eq!(over_all(&history), [160, 0, 0, 0, 2]);
    assert_eq!(named(&history, 1), [1, 3]);
    assert_eq!(named(&history, 2), [1], "the first of their shard");
}

#[test]
fn who_had_both_in_the_runs_order_is_not_behind_though_the_shard_first_saw_the_later() {
    // Over two shards clients 1 and 3 are one: it first sees 21, by client 1.
    let history = with_copies(5, &[(3, 20, 3_102), (1, 20, 3_110), (3, 21, 3_105)]);
    assert_eq!(over_all(&history), [200, 0, 0, 0, 1]);
    for of in [1, 2, 3, 5] {
        assert_eq!(named(&history, of), [1], "over {of} shards");
    }
}

#[test]
fn where_most_had_it_behind_those_are_named_who_had_it_in_front_whatever_the_shard_saw_first() {
    // Client 0 sees 20 and 21 before all others. Of those, only client 3 has 20 in front, before or after client 1 of its shard has 21.
    for in_front in [3_101, 3_108] {
        let behind = [(1, 20, 3_112), (2, 20, 3_110), (4, 20, 3_111), (5, 20, 3_113)];
        let mut copies = vec![(0, 20, 3_000), (0, 21, 3_090), (3, 20, in_front), (3, 21, 3_120), (1, 21, 3_103)];
        copies.extend(behind);
        let history = with_copies(6, &copies);
        assert_eq!(over_all(&history), [240, 0, 0, 0, 2]);
        // Whoever had it first of a shard is named for the shard.
        for (of, those) in [(1, vec![0]), (2, vec![0, 3]), (6, vec![0, 3])] {
            let mut named = named(&history, of);
            named.sort_unstable();
            assert_eq!(named, those, "over {of} shards, in front at {in_front}");
        }
    }
}

#[test]
fn a_shard_whose_copies_came_in_the_majoritys_place_names_nobody() {
    // Client 4 has 11 before all others, who are therefore behind; client 3 has 12 before it.
    let history = with_copies(5, &[(4, 11, 1_999), (3, 11, 2_210)]);
    assert_eq!((counts(&history.over(2)), named(&history, 2)), ([200, 0, 0, 0, 1], vec![4]));
}

#[test]
fn the_timeline_holds_what_went_wrong_in_its_second() {
    for unique in [false, true] {
        let mut history = ticking(5, unique, 60, false, |h, n, key| {
            h.tick(n, key, if n == 20 || n == 21 { &[3] } else { &[] });
            if n == 35 {
                h.item(2, key, 4_550);
            }
        });
        // A copy of the one at 5.5 s comes behind the next.
        history.events.retain(|event| !matches!(event, Event::Item { conn: ConnId(1), key: 45, .. }));
        history.item(1, 45, 5_650);
        history.events.sort_by_key(Event::at);
        for of in [1, 5] {
            let account = history.over(of);
            assert_eq!(counts(&account), [300, 2, 0, 1, 1], "unique: {unique}, over {of} shards");
            let missing: Vec<_> = account.rows.as_slice().iter().map(|row| row.missing).collect();
            let faults: Vec<_> = account.rows.as_slice().iter().map(|row| row.faults).collect();
            assert_eq!(missing[..6], [0, 0, 0, 2, 0, 0], "unique: {unique}, over {of} shards");
            assert_eq!(faults[..6], [0, 0, 0, 0, 1, 1], "unique: {unique}, over {of} shards");
            assert_eq!([missing.iter().sum::<u64>(), faults.iter().sum()], [2, 2]);
        }
    }
}
