//! A server that broadcasts by itself: what the books say against what is known, and against a naive oracle.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::Account;
use super::super::history::{History, feeding, ms};
use crate::base::{ConnId, Seed};
use crate::event::{Event, Phase};

/// A run of `clients` that hear `ticks` of a steady feed; `tell` may let some of it go wrong.
pub(super) fn ticking(clients: u32, unique: bool, ticks: u64, same: bool, mut tell: impl FnMut(&mut History, u64, u64)) -> History {
    let mut history = History::ordinary(feeding(clients, unique));
    for n in 0..ticks {
        tell(&mut history, n, if same { 7 } else { n });
    }
    history.closes(1_000 + 100 * ticks - 50, 1_000 + 100 * ticks + 1_500);
    history
}

/// owed, missing, late, duplicate, out of order.
pub(super) fn counts(account: &Account) -> [u64; 5] {
    let copies = &account.copies;
    [copies.owed, copies.missing, copies.late, copies.duplicate, copies.out_of_order]
}

/// The same over one shard, several, and one a client.
pub(super) fn over_all(history: &History) -> [u64; 5] {
    let alone = history.account();
    assert!(alone.books_balance(), "{:#?}", alone.copies);
    for of in [2, 3, history.plan.connections] {
        let account = history.over(of);
        assert!(account.books_balance(), "{:#?}", account.copies);
        assert_eq!(counts(&account), counts(&alone), "over {of} shards");
        assert_eq!(account.feed.broadcasts, alone.feed.broadcasts, "over {of} shards");
        assert_eq!(account.feed.cadence.missed, alone.feed.cadence.missed, "over {of} shards");
    }
    counts(&alone)
}

#[test]
fn an_honest_feed_reaches_everybody() {
    for same in [false, true] {
        let history = ticking(5, false, 30, same, |h, n, key| {
            h.tick(n, key, &[]);
        });
        assert_eq!(over_all(&history), [150, 0, 0, 0, 0], "same content: {same}");
        let account = history.account();
        assert_eq!((account.feed.broadcasts, account.feed.spread.count(), account.feed.spread.max()), (30, 120, 4_000_000));
        assert_eq!((account.feed.alone, account.copies.owed_clients), (0, 5));
        let cadence = &account.feed.cadence;
        // Somebody listens from half a second on, and the feed begins at one second.
        assert_eq!((cadence.in_time, cadence.early, cadence.late, cadence.missed, cadence.clients), (29, 0, 1, 4, 1));
    }
}

#[test]
fn a_copy_lost_is_missing_whether_or_not_all_say_the_same() {
    for same in [false, true] {
        let history = ticking(5, false, 60, same, |h, n, key| {
            h.tick(n, key, if n == 20 || n == 31 { &[3] } else { &[] });
        });
        assert_eq!(over_all(&history), [300, 2, 0, 0, 0], "same content: {same}");
        let account = history.account();
        assert_eq!((account.copies.missing_clients, account.copies.most_missing[0]), (1, (2, ConnId(3))));
        assert!(account.copies.missing_sightings.as_slice()[0].what.contains("never arrived"));
        // Those two, and not the last, as if every later one had made up for the one before.
        assert_eq!(account.copies.missing_sightings.as_slice().iter().map(|s| s.at).collect::<Vec<_>>(), [ms(3_000), ms(4_100)]);
        assert_eq!(account.feed.spread.max(), 4_000_000, "same content: {same}");
        // The first to hear of most is the one that lost one.
        let history = ticking(5, false, 60, same, |h, n, key| {
            h.tick(n, key, if n == 20 { &[0] } else { &[] });
        });
        assert_eq!(over_all(&history), [300, 1, 0, 0, 0], "same content: {same}");
    }
}

#[test]
fn a_copy_that_comes_twice_is_a_duplicate_whether_or_not_all_say_the_same() {
    for (same, unique) in [(false, false), (false, true), (true, false)] {
        for client in [0, 2, 4] {
            let history = ticking(5, unique, 60, same, |h, n, key| {
                h.tick(n, key, &[]);
                if n == 20 {
                    h.item(client, key, 3_000 + u64::from(client) + 5);
                }
            });
            assert_eq!(over_all(&history), [300, 0, 0, 1, 0], "client {client}, same content: {same}, unique: {unique}");
        }
    }
}

#[test]
fn what_everybody_gets_twice_is_a_duplicate_only_where_no_key_comes_twice() {
    let twice = |unique| {
        ticking(4, unique, 20, false, |h, n, key| {
            h.tick(n, key, &[]);
            h.tick(n, key, &[]);
        })
    };
    assert_eq!(over_all(&twice(true)), [80, 0, 0, 80, 0]);
    assert_eq!(over_all(&twice(false)), [160, 0, 0, 0, 0], "each came as two occurrences");
}

#[test]
fn a_copy_held_back_is_out_of_order() {
    let held = |client: u32| {
        ticking(5, false, 20, false, |h, n, key| {
            h.tick(n, key, if n == 10 { &[0, 1, 2, 3, 4] } else { &[] });
            if n == 11 {
                for other in (0..5).filter(|c| *c != client) {
                    h.item(other, 10, 2_000 + u64::from(other));
                }
                h.item(client, 10, 2_100 + u64::from(client) + 20);
            }
        })
    };
    for client in 0..5 {
        let mut history = held(client);
        history.events.sort_by_key(Event::at);
        assert_eq!(over_all(&history), [100, 0, 0, 0, 1], "client {client}");
        let account = history.over(2);
        assert_eq!(account.copies.order_sightings.as_slice()[0].conn, Some(ConnId(client)));
    }
    // One client has it too early, and before anybody else: the majority's order counts.
    let mut early = ticking(5, false, 20, false, |h, n, key| {
        h.tick(n, key, if n == 11 { &[4] } else { &[] });
        if n == 11 {
            h.item(4, 11, 1_999);
        }
    });
    early.events.sort_by_key(Event::at);
    assert_eq!(over_all(&early), [100, 0, 0, 0, 1]);
    assert_eq!(early.account().copies.order_sightings.as_slice()[0].conn, Some(ConnId(4)));
}

#[test]
fn a_copy_beyond_the_limit_is_late_after_the_first_receiver_of_all_shards() {
    let mut history = ticking(5, false, 40, false, |h, n, key| {
        h.tick(n, key, if n == 10 { &[2, 3] } else { &[] });
        if n == 10 {
            h.item(2, key, 3_300).item(3, key, 2_700);
        }
    });
    history.events.sort_by_key(Event::at);
    assert_eq!(over_all(&history), [200, 0, 1, 0, 2]);
    assert_eq!(history.over(5).feed.spread.max(), 1_300_000_000);
    assert!(history.account().copies.late_sightings.as_slice()[0].what.contains("1.3"));
}

#[test]
fn the_edges_of_a_membership_are_contested() {
    let mut history = History::ordinary(feeding(3, false));
    // Client 1 leaves in the middle of a broadcast, client 2 joins again between two.
    history.leaves(2, 500);
    history.opens(2, 1_995).ready(2, 1_995);
    history.leaves(1, 3_005);
    for n in 0..40 {
        let at = 1_000 + 100 * n;
        history.item(0, n, at);
        if at < 3_000 {
            history.item(1, n, at + 1);
        }
        // From its joining on, but the broadcasts of the first half second come as they like.
        if at >= 2_500 || (at > 2_000 && n % 2 == 0) {
            history.item(2, n, at + 2);
        }
    }
    history.closes(4_950, 6_500);
    history.events.sort_by_key(Event::at);
    let account = history.account();
    assert!(account.books_balance());
    // Owed: all 40 to client 0, to client 1 those that outlived their limit, to client 2 those from half a second after its joining.
    assert_eq!(counts(&account), [40 + 11 + 25, 0, 0, 0, 0], "{:#?}", account.copies);
    assert!(account.copies.contested_received > 0 && account.copies.contested > account.copies.contested_received);
    assert_eq!(counts(&history.over(3)), counts(&account));
}

#[test]
fn what_a_newcomer_got_of_a_duplicate_is_not_forgotten() {
    let mut history = ticking(4, false, 20, false, |h, n, key| {
        if n == 10 {
            h.leaves(3, 1_950);
            h.tick(n, key, &[3]);
            h.opens(3, 2_004).ready(3, 2_004);
            // To the newcomer the second copy of client 1 is the first there is.
            h.item(1, key, 2_010).item(3, key, 2_020);
        } else {
            h.tick(n, key, if n == 11 || n == 12 { &[3] } else { &[] });
        }
    });
    history.events.sort_by_key(Event::at);
    let items = history.events.iter().filter(|event| matches!(event, Event::Item { .. })).count();
    assert_eq!(over_all(&history)[3], 1);
    for of in [1, 2, 4] {
        let copies = history.over(of).copies;
        assert_eq!((copies.received, copies.contested_received), (items as u64, 14), "over {of} shards");
    }
}

#[test]
fn what_only_a_newcomer_gets_is_owed_to_nobody() {
    let history = ticking(4, false, 20, false, |h, n, key| {
        h.tick(n, key, &[]);
    });
    let mut greeted = history.clone();
    greeted.events.insert(6, Event::Item { conn: ConnId(1), at: ms(5), key: 999 });
    assert_eq!(over_all(&greeted), over_all(&history));
}

#[test]
fn one_client_proves_nothing() {
    let history = ticking(1, false, 20, false, |h, n, key| {
        h.tick(n, key, &[]);
    });
    let account = history.account();
    assert_eq!((account.copies.owed, account.copies.contested_received, account.feed.alone), (0, 20, 1));
    assert_eq!(account.feed.cadence.in_time, 19, "the cadence needs no others");
    assert!(account.books_balance());
}

#[test]
fn long_feeds_retire() {
    let mut history = History::ordinary(feeding(3, false));
    let ticks = 4_000;
    for n in 0..ticks {
        history.tick(n, n, if n == 500 || n == 3_990 { &[1] } else { &[] });
        if n == 700 {
            history.item(2, n, 71_050);
        }
    }
    history.closes(1_000 + 100 * ticks - 50, 1_000 + 100 * ticks + 1_500);
    let whole = counts(&history.account());
    assert_eq!(whole, [12_000, 2, 0, 1, 0]);
    let small = |of| {
        let (ledgers, log) = history.ledgers_with(of, |ledger| ledger.feed_room(256));
        let mut account = Account::empty(&history.plan);
        ledgers.into_iter().for_each(|ledger| account.merge(ledger.settle(&log, history.end)));
        assert!(account.books_balance());
        account
    };
    let account = small(1);
    assert_eq!((counts(&account), account.feed.broadcasts), (whole, 4_000));
    assert!(account.feed.retired > 3_000, "{}", account.feed.retired);
    assert_eq!(account.feed.cadence.in_time, 3_999);
    // Apart, what retired was only compared within each shard: what one client alone missed long ago nobody knows,
    // nor whether what it got twice were not two.
    let account = small(3);
    assert_eq!(counts(&account), [12_000, 1, 0, 0, 0]);
}

/// Client, key and time.
type Arrival = (u32, u64, u64);

/// What one random client does.
#[derive(Debug, Clone, Copy)]
struct Stay {
    ready: u64,
    left: u64,
}

/// A random history of a feed, with losses, duplicates, delays and churn; the same for the same seed. Times are in ms, and no two
/// arrivals have the same.
fn random(clients: u32, unique: bool, seed: u64) -> (History, Vec<Stay>, Vec<Arrival>, u64) {
    let mut rng = Seed(seed).rng();
    let (loss, twice, slow, churn) = (rng.below(200), rng.below(150), rng.below(100), rng.below(2) * 300);
    let ticks = 20 + rng.below(40);
    let drain = 3_000 + 300 * ticks;
    let mut history = History::of(feeding(clients, unique));
    history.tell(Event::Phase { phase: Phase::Ramp, at: ms(0) });
    history.tell(Event::Phase { phase: Phase::Steady, at: ms(100) });
    let mut stays = Vec::new();
    for client in 0..clients {
        let ready = if rng.below(1_000) < churn { rng.below(drain) } else { 0 };
        let left = if rng.below(1_000) < churn { ready + 1 + rng.below(drain) } else { u64::MAX };
        let left = if left < drain { left } else { u64::MAX };
        history.opens(client, ready).ready(client, ready);
        if left < u64::MAX {
            history.leaves(client, left);
        }
        stays.push(Stay { ready, left });
    }
    let mut arrivals = Vec::new();
    for n in 0..ticks {
        let sent = 3_000 + 300 * n;
        for client in 0..clients {
            let stay = stays[client as usize];
            let mut at = sent + rng.below(40);
            let is_slow = rng.below(1_000) < slow && sent >= stay.ready;
            if is_slow {
                at += 1_200 + rng.below(500);
            }
            if at < stay.ready || at >= stay.left || rng.below(1_000) < loss {
                continue;
            }
            arrivals.push((client, n, at));
            if rng.below(1_000) < twice && !is_slow && at > stay.ready + 1_000 && at + 20 < stay.left {
                arrivals.push((client, n, at + 1 + rng.below(15)));
            }
        }
    }
    arrivals.sort_by_key(|(client, n, at)| (*at, *client, *n));
    for (client, n, at) in &arrivals {
        history.item(*client, *n, *at);
    }
    history.closes(drain, drain + 2_500);
    history.events.sort_by_key(Event::at);
    (history, stays, arrivals, drain)
}

/// owed, missing, late, duplicate and contested but received, by looking at everything at once: the n-th copy of a key is its n-th
/// occurrence, which is a broadcast if more than half of those who had the one before have it.
fn oracle(stays: &[Stay], arrivals: &[Arrival], drain: u64, unique: bool) -> [u64; 5] {
    let edge = 250;
    let mut keys: BTreeMap<u64, BTreeMap<u32, Vec<u64>>> = BTreeMap::new();
    let mut sums = [0; 5];
    for (client, key, at) in arrivals {
        let stay = stays[*client as usize];
        if *at >= stay.ready + edge && *at < stay.left {
            keys.entry(*key).or_default().entry(*client).or_default().push(*at);
        } else if *at < drain {
            sums[4] += 1;
        }
    }
    for clients in keys.values() {
        let mut before = 0;
        for occurrence in 0.. {
            let had: BTreeMap<u32, u64> = clients.iter().filter_map(|(c, times)| Some((*c, *times.get(occurrence)?))).collect();
            let Some(first) = had.values().min().copied().filter(|first| *first < drain) else { break };
            if occurrence > 0 && (unique || had.len() * 2 <= before) {
                sums[3] += had.len() as u64;
                continue;
            }
            before = had.len();
            for (client, stay) in (0_u32..).zip(stays) {
                let owed = first >= stay.ready + 2 * edge && (stay.left == u64::MAX || first + 1_000 < stay.left);
                match (owed, had.get(&client)) {
                    (true, Some(at)) => {
                        sums[0] += 1;
                        sums[2] += u64::from(at - first > 1_000);
                    }
                    (true, None) => {
                        sums[0] += 1;
                        sums[1] += 1;
                    }
                    (false, Some(_)) => sums[4] += 1,
                    (false, None) => {}
                }
            }
        }
    }
    sums
}

fn told(account: &Account) -> [u64; 5] {
    let copies = &account.copies;
    [copies.owed, copies.missing, copies.late, copies.duplicate, copies.contested_received]
}

proptest! {
    #[test]
    fn the_books_of_a_feed_are_the_oracles(clients in 2_u32..9, unique in any::<bool>(), of in 1_u32..6, seed in any::<u64>()) {
        let (history, stays, arrivals, drain) = random(clients, unique, seed);
        let account = history.over(of);
        prop_assert!(account.books_balance(), "{:#?}", account.copies);
        prop_assert_eq!(told(&account), oracle(&stays, &arrivals, drain, unique), "over {} shards", of);
    }

    #[test]
    fn the_order_of_merging_a_feed_does_not_matter(clients in 2_u32..9, of in 2_u32..6, seed in any::<u64>(), turn in 0_usize..6) {
        let (history, ..) = random(clients, false, seed);
        let settle = |backwards: bool, turn: usize| {
            let (mut ledgers, _) = history.ledgers(of);
            if backwards {
                ledgers.reverse();
            }
            let turn = turn % ledgers.len();
            ledgers.rotate_left(turn);
            let mut log = super::super::SendLog::empty(&history.plan);
            ledgers.iter().for_each(|ledger| log.merge(ledger.send_log()));
            // What a worker process is told went through a pipe.
            let log = serde_json::from_str(&serde_json::to_string(&log).expect("written")).expect("read");
            let mut account = Account::empty(&history.plan);
            ledgers.into_iter().for_each(|ledger| account.merge(ledger.settle(&log, history.end)));
            account
        };
        prop_assert_eq!(settle(false, 0), settle(true, turn));
    }
}

#[test]
fn what_was_late_for_a_newcomer_is_nobodys_lateness_wherever_it_was_first() {
    let (history, stays, arrivals, drain) = random(8, false, 4_186_870_506_503_079_556);
    assert_eq!(told(&history.over(5)), oracle(&stays, &arrivals, drain, false));
}
