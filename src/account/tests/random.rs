//! Random histories with every fault there is.

use proptest::prelude::*;

use super::super::Account;
use super::super::history::{History, ms, over_http, scenario};
use super::oracle;
use crate::base::Rng;
use crate::base::Seed;
use crate::event::{ClosedBy, Event, Flaws, Phase};
use crate::scenario::model::Audience;

/// How a random history goes wrong: chances out of 1,000 a copy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    pub(crate) clients: u32,
    pub(crate) publishers: u32,
    pub(crate) publications: u32,
    pub(crate) loss: u64,
    pub(crate) twice: u64,
    pub(crate) damage: u64,
    /// The longest delay in ms; publications leave a millisecond apart, so this is also how far copies are out of order.
    pub(crate) delay: u64,
    pub(crate) late_sends: u64,
    /// How many clients join or leave while publishing.
    pub(crate) churn: u64,
    pub(crate) others: bool,
    pub(crate) interrupted: bool,
    /// Publications that the server rejects; above 0 they go over HTTP.
    pub(crate) rejected: u64,
}

pub(crate) fn weather() -> impl Strategy<Value = Weather> {
    (
        (1_u32..6, 1_u32..4, 0_u32..260),
        (prop_oneof![Just(0_u64), 1_u64..400], prop_oneof![Just(0_u64), 1_u64..300], 0_u64..100),
        prop_oneof![Just(2_u64), 3_u64..40, 40_u64..400, 400_u64..2_600],
        (
            0_u64..300,
            prop_oneof![Just(0_u64), 0_u64..1_000],
            any::<bool>(),
            prop::bool::weighted(0.2),
            prop_oneof![Just(0_u64), 1_u64..1_000],
        ),
    )
        .prop_map(
            |((clients, publishers, publications), (loss, twice, damage), delay, (late_sends, churn, others, interrupted, rejected))| {
                Weather {
                    clients,
                    publishers: publishers.min(clients),
                    publications,
                    loss,
                    twice,
                    damage,
                    delay,
                    late_sends,
                    churn,
                    others,
                    interrupted,
                    rejected,
                }
            },
        )
}

struct Stay {
    opened: u64,
    ready: u64,
    left: u64,
}

/// A history in that weather; the same for the same seed.
pub(crate) fn history(weather: &Weather, seed: u64) -> History {
    let mut rng = Seed(seed).rng();
    let mut scenario = scenario(weather.clients, weather.publishers);
    if weather.others {
        scenario.publish.as_mut().expect("publishes").audience = Audience::Others;
    }
    if weather.rejected > 0 {
        over_http(&mut scenario);
    }
    let mut history = History::of(scenario);
    let mut timed: Vec<(u64, u64, Event<'static>)> = Vec::new();
    let mut order = 0;
    let span = u64::from(weather.publications) + 1_500;
    let stays: Vec<Stay> = (0..weather.clients).map(|_| stay(&mut rng, weather, span)).collect();
    let mut push = |at: u64, event| {
        order += 1;
        timed.push((at, order, event));
    };
    push(0, Event::Phase { phase: Phase::Ramp, at: ms(0) });
    push(100, Event::Phase { phase: Phase::Steady, at: ms(100 + u64::from(weather.publications) / 3) });
    for (client, stay) in (0..).zip(&stays) {
        let from = history.events.len();
        history.opens(client, stay.opened).ready(client, stay.ready);
        let lost = rng.below(2) == 0;
        if stay.left < u64::MAX {
            if lost {
                history.is_lost(client, stay.left, ClosedBy::Network, None)
            } else {
                history.leaves(client, stay.left)
            };
        }
        let times = [stay.opened, stay.opened, stay.ready, stay.left, stay.left.saturating_add(1)];
        for (event, at) in history.events.drain(from..).zip(times) {
            push(at, event);
        }
    }
    for n in 0..weather.publications {
        publication(&mut history, &mut rng, weather, &stays, n, &mut push);
    }
    let close = 100 + span + weather.delay + 2_000;
    let cut = if weather.interrupted { 100 + rng.below(close - 100) } else { close };
    timed.sort_by_key(|(at, order, _)| (*at, *order));
    history.events.extend(timed.into_iter().map(|(_, _, event)| event));
    let after = |event: &Event<'_>| match event {
        Event::Sent { sent, .. } => *sent >= ms(cut),
        Event::Opened { at, .. } | Event::Ready { at, .. } | Event::Leaving { at, .. } | Event::Closed { at, .. } => *at >= ms(cut),
        _ => false,
    };
    close_at(&mut history, cut, weather.interrupted, after);
    history
}

/// Ends the history at `cut`: what comes later of membership and publishing did not happen.
fn close_at(history: &mut History, cut: u64, interrupted: bool, after: impl Fn(&Event<'_>) -> bool) {
    let never_sent: Vec<_> = history
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Sent { publisher, seq, .. } if after(event) => Some((*publisher, *seq)),
            _ => None,
        })
        .collect();
    let unborn: Vec<_> = history
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Opened { conn, .. } if after(event) => Some(*conn),
            _ => None,
        })
        .collect();
    history.events.retain(|event| match event {
        Event::Copy(copy) => {
            !never_sent.contains(&(copy.publisher, copy.seq)) && !unborn.contains(&copy.conn) && copy.received < ms(cut + 50)
        }
        Event::Connecting { conn, .. } => !unborn.contains(conn),
        Event::Answered { publisher, seq, .. } => !never_sent.contains(&(*publisher, *seq)),
        event => !after(event),
    });
    let place = |history: &History| {
        let at = |event: &Event<'_>| match event {
            Event::Copy(copy) => copy.received >= ms(cut),
            _ => false,
        };
        history.events.iter().position(at).unwrap_or(history.events.len())
    };
    let mut end = vec![Event::Phase { phase: Phase::Drain, at: ms(cut) }, Event::Phase { phase: Phase::Close, at: ms(cut) }];
    if interrupted {
        end.insert(0, Event::Interrupted { at: ms(cut), detail: "Ctrl-C" });
    }
    let at = place(history);
    history.events.splice(at..at, end);
    history.end = ms(cut + 100);
}

fn stay(rng: &mut Rng, weather: &Weather, span: u64) -> Stay {
    let moves = |rng: &mut Rng| rng.below(1_000) < weather.churn;
    let opened = if moves(rng) { rng.below(span) } else { 0 };
    let ready = if moves(rng) { opened + rng.below(200) } else { opened };
    let left = if moves(rng) { ready + 1 + rng.below(span) } else { u64::MAX };
    Stay { opened, ready, left }
}

fn publication(
    history: &mut History,
    rng: &mut Rng,
    weather: &Weather,
    stays: &[Stay],
    n: u32,
    push: &mut impl FnMut(u64, Event<'static>),
) {
    let (publisher, planned) = (n % weather.publishers, 200 + u64::from(n));
    let lag = if weather.late_sends > 0 { weather.late_sends } else { 0 };
    let from = history.events.len();
    let seq = history.publishes_late(publisher, planned, planned + lag);
    for event in history.events.drain(from..) {
        push(planned + lag, event);
    }
    if weather.rejected > 0 {
        let status = if rng.below(1_000) < weather.rejected { 503 } else { 200 };
        history.is_answered(publisher, seq, status, "");
        let at = planned + lag + 10;
        history.events.drain(from..).for_each(|event| push(at, event));
    }
    for (client, stay) in (0_u32..).zip(stays) {
        let mut times = 1;
        while rng.below(1_000) < weather.twice {
            times += 1;
        }
        if rng.below(1_000) < weather.loss {
            times -= 1;
        }
        for _ in 0..times {
            let at = planned + lag + rng.below(weather.delay);
            if at < stay.opened || at >= stay.left.saturating_add(1) {
                continue;
            }
            let mut copy = history.copy(client, publisher, seq, at);
            if rng.below(1_000) < weather.damage {
                copy.flaws = Flaws(1 + u8::try_from(rng.below(7)).expect("small"));
            }
            push(at, Event::Copy(copy));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 160, ..ProptestConfig::default() })]

    #[test]
    fn the_account_equals_the_naive_books(weather in weather(), seed in any::<u64>(), of in 1_u32..5) {
        let history = history(&weather, seed);
        let truth = oracle::judge(&history);
        let account = history.over(of);
        let copies = &account.copies;
        prop_assert_eq!(
            [copies.owed, copies.on_time, copies.late, copies.late_by_us, copies.missing, copies.missing_clients],
            [truth.owed, truth.on_time, truth.late, truth.late_by_us, truth.missing, truth.missing_clients],
            "owed, on time, late, late by us, missing, clients with missing: {:?}", copies
        );
        prop_assert_eq!(
            [copies.contested, copies.contested_received, copies.duplicate, copies.out_of_order, copies.damaged, copies.received, copies.stray_copies],
            [truth.contested, truth.contested_received, truth.duplicate, truth.out_of_order, truth.damaged, truth.received, truth.stray_copies],
            "contested, of those received, duplicate, out of order, damaged, received, stray"
        );
        prop_assert!(account.books_balance());
        let in_rows: u64 = account.rows.as_slice().iter().map(|row| row.missing).sum();
        prop_assert_eq!(in_rows + copies.missing_unplaced, copies.missing, "every missing copy is in a row");
        let named: Vec<_> = copies.missing_sightings.as_slice().iter()
            .map(|s| (s.at, s.conn.map_or(0, |c| c.0), s.publisher.map_or(0, |p| p.0), s.seq.map_or(0, |s| s.0))).collect();
        let first: Vec<_> = truth.missing_copies.iter().copied().take(8).collect();
        prop_assert_eq!(named, first, "the first eight missing copies are the witnesses");
        let (thinned, log) = history.ledgers_with(of, |ledger| ledger.log = ledger.log.clone().with_room(8));
        let mut account = Account::empty(&history.plan);
        thinned.into_iter().for_each(|ledger| account.merge(ledger.settle(&log, history.end)));
        prop_assert!(account.books_balance(), "{:?}", account.copies);
        let copies = &account.copies;
        prop_assert!(copies.missing <= truth.missing && copies.owed <= truth.owed + truth.contested_received, "a boundary that is not known accuses nobody");
        prop_assert_eq!([copies.duplicate, copies.out_of_order, copies.received], [truth.duplicate, truth.out_of_order, truth.received]);
        if !weather.interrupted {
            let (ledgers, log) = history.ledgers(of);
            prop_assert_eq!(ledgers.iter().all(|ledger| ledger.all_in(&log)), truth.outstanding == 0);
        }
    }

    #[test]
    fn the_order_in_which_shards_are_merged_decides_nothing(weather in weather(), seed in any::<u64>(), of in 2_u32..6, cut in 1_usize..5) {
        let history = history(&weather, seed);
        let (ledgers, log) = history.ledgers(of);
        let parts: Vec<Account> = ledgers.into_iter().map(|ledger| ledger.settle(&log, history.end)).collect();
        let merged = |parts: &mut dyn Iterator<Item = Account>| {
            let mut all = Account::empty(&history.plan);
            parts.for_each(|part| all.merge(part));
            all
        };
        let one_by_one = merged(&mut parts.iter().cloned());
        prop_assert_eq!(&merged(&mut parts.iter().rev().cloned()), &one_by_one, "from the last to the first");
        // As worker processes do: each merges its own, and what comes of them is merged.
        let (here, there) = parts.split_at(cut.min(parts.len()));
        let workers = [merged(&mut there.iter().cloned()), merged(&mut here.iter().cloned())];
        prop_assert_eq!(&merged(&mut workers.into_iter()), &one_by_one, "by workers, the second first");
    }
}
