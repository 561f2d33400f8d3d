//! A hundred thousand publications with a seeded fault plan: each fate exactly as often as planned.

use std::sync::Arc;

use super::super::history::{ms, scenario};
use super::super::{Account, Ledger, SendLog, Share};
use crate::base::{ByteSize, ConnId, Instant, PublisherId, RunId, Seed, Seq, Span};
use crate::event::{Copy, Event, Flaws, Phase};
use crate::plan::Plan;

const PUBLICATIONS: u32 = 100_000;
const CLIENTS: u32 = 5;
const PUBLISHERS: u32 = 2;

#[derive(Debug, Default, PartialEq, Eq)]
struct Planned {
    missing: u64,
    duplicate: u64,
    late: u64,
    damaged: u64,
    out_of_order: u64,
    on_time: u64,
}

/// What becomes of one copy, from the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Fine,
    Dropped,
    Doubled,
    Delayed,
    Flipped,
    Swapped,
}

#[test]
fn each_fate_comes_out_exactly_as_often_as_planned() {
    let scenario = scenario(CLIENTS, PUBLISHERS);
    assert_eq!(scenario.publish.as_ref().map(|p| p.size.min), Some(ByteSize(128)));
    let plan = Plan { run: RunId(1), ..Plan::new(Arc::new(scenario), Seed(1)) };
    let plan = Arc::new(plan);
    let mut ledgers: Vec<_> = (0..3).map(|index| Ledger::new(Arc::clone(&plan), Share { index, of: 3 })).collect();
    let mut planned = Planned::default();
    for ledger in &mut ledgers {
        ledger.observe(Event::Phase { phase: Phase::Steady, at: ms(0) });
    }
    for conn in (0..CLIENTS).map(ConnId) {
        let ledger = &mut ledgers[conn.index() % 3];
        ledger.observe(Event::Opened { conn, at: ms(0), handshake: Span::from_millis(1) });
        ledger.observe(Event::Ready { conn, at: ms(0) });
    }
    let at = |n: u32| Instant::from_nanos(1_000_000 * (u64::from(n) + 1));
    let mut rng = Seed(4711).rng();
    let mut held: Vec<Option<Copy>> = vec![None; CLIENTS as usize];
    let mut delayed: Vec<(Instant, Copy)> = Vec::new();
    for n in 0..PUBLICATIONS {
        let (publisher, seq) = (PublisherId(n % PUBLISHERS), Seq(n / PUBLISHERS));
        let owner = &mut ledgers[plan.connection_of(publisher).index() % 3];
        owner.observe(Event::Sent { publisher, seq, planned: at(n), sent: at(n), bytes: 128 });
        for conn in (0..CLIENTS).map(ConnId) {
            let copy =
                Copy { conn, publisher, seq, planned: at(n), sent: at(n), received: at(n) + Span::from_micros(300), flaws: Flaws::NONE };
            let fate = match rng.below(1_000) {
                0..10 => Fate::Dropped,
                10..20 => Fate::Doubled,
                20..25 => Fate::Delayed,
                25..35 => Fate::Flipped,
                // The next but one of the same publisher overtakes it.
                35..45 if held[conn.index()].is_none() && n + 2 * PUBLISHERS < PUBLICATIONS => Fate::Swapped,
                _ => Fate::Fine,
            };
            let ledger = &mut ledgers[conn.index() % 3];
            match fate {
                Fate::Fine => ledger.observe(Event::Copy(copy)),
                Fate::Dropped => planned.missing += 1,
                Fate::Doubled => {
                    planned.duplicate += 1;
                    ledger.observe(Event::Copy(copy));
                    ledger.observe(Event::Copy(copy));
                }
                Fate::Delayed => delayed.push((at(n) + Span::from_millis(1_500), copy)),
                Fate::Flipped => {
                    planned.damaged += 1;
                    ledger.observe(Event::Copy(Copy { flaws: Flaws::BYTES, ..copy }));
                }
                Fate::Swapped => {
                    held[conn.index()] = Some(copy);
                    continue;
                }
            }
            let overtaken = held[conn.index()].filter(|held| held.publisher == publisher && fate != Fate::Dropped && fate != Fate::Delayed);
            if let Some(copy) = overtaken {
                planned.out_of_order += 1;
                ledger.observe(Event::Copy(Copy { received: at(n) + Span::from_micros(400), ..copy }));
                held[conn.index()] = None;
            }
        }
        let due = delayed.partition_point(|(when, _)| *when <= at(n));
        for (received, copy) in delayed.drain(..due) {
            planned.late += 1;
            planned.out_of_order += 1;
            ledgers[copy.conn.index() % 3].observe(Event::Copy(Copy { received, ..copy }));
        }
    }
    for (_, copy) in delayed {
        // Nothing of its publisher may have come since; then it is late, and missing from the tail if never delivered.
        planned.missing += 1;
        let _ = copy;
    }
    planned.missing += held.iter().flatten().count() as u64;
    planned.on_time = u64::from(PUBLICATIONS) * u64::from(CLIENTS) - planned.missing - planned.late;
    let end = at(PUBLICATIONS) + Span::from_secs(2);
    let mut log = SendLog::empty(&plan);
    for ledger in &mut ledgers {
        ledger.observe(Event::Phase { phase: Phase::Close, at: end });
        log.merge(ledger.send_log());
    }
    let mut account = Account::empty(&plan);
    for ledger in ledgers {
        account.merge(ledger.settle(&log, end));
    }
    let copies = &account.copies;
    let found = Planned {
        missing: copies.missing,
        duplicate: copies.duplicate,
        late: copies.late,
        damaged: copies.damaged,
        out_of_order: copies.out_of_order,
        on_time: copies.on_time,
    };
    assert_eq!(found, planned);
    assert!(account.books_balance());
    assert!(planned.missing > 4_000 && planned.out_of_order > 3_000, "the plan has faults: {planned:?}");
}
