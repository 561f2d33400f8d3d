//! What the books cost: a copy observed, a shard settled, two accounts merged. `cargo bench --bench account`.

use std::sync::Arc;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use wsbench::account::{Account, Ledger, SendLog, Share};
use wsbench::base::{ConnId, Instant, PublisherId, RunId, Seed, Seq, Span};
use wsbench::event::{Copy, Event, Flaws, Phase};
use wsbench::plan::Plan;
use wsbench::scenario;

fn main() {
    divan::main();
}

fn plan(clients: u32, publishers: u32) -> Arc<Plan> {
    let text = format!(
        "name = \"bench\"\n[clients]\ncount = {clients}\n[publish]\npublishers = {publishers}\npace = \"1000/s\"\nsize = \"128B\"\n\
         [phases]\nwarm_up = \"0s\"\nsteady = \"60s\"\n[checks.delivery]\nwithin = \"1s\"\n"
    );
    let scenario = scenario::parse(&text, "bench.toml").expect("a scenario");
    Arc::new(Plan { run: RunId(1), ..Plan::new(Arc::new(scenario), Seed(1)) })
}

/// Books of one of two shards with everybody there and the steady state begun.
fn ready(plan: &Arc<Plan>, share: Share) -> Ledger {
    let mut ledger = Ledger::new(Arc::clone(plan), share);
    let at = Instant::EPOCH;
    ledger.observe(Event::Phase { phase: Phase::Steady, at });
    for conn in (0..plan.connections).map(ConnId).filter(|conn| share.owns(*conn)) {
        ledger.observe(Event::Opened { conn, at, handshake: Span::from_millis(1) });
        ledger.observe(Event::Ready { conn, at });
    }
    ledger
}

/// The instant publication `n` is due: a millisecond apart.
fn due(n: u32) -> Instant {
    Instant::from_nanos(1_000_000 * u64::from(n + 1))
}

/// Publication `n` to all clients of the share, with latencies like those of a loopback run.
fn broadcast(ledger: &mut Ledger, plan: &Plan, share: Share, n: u32) {
    let (publisher, seq, planned) = (PublisherId(n % plan.publishers), Seq(n / plan.publishers), due(n));
    let sent = planned + Span::from_nanos(20_000);
    if share.owns(plan.connection_of(publisher)) {
        ledger.observe(Event::Sent { publisher, seq, planned, sent, bytes: 128 });
    }
    let mut conn = share.index;
    while conn < plan.connections {
        let received = sent + Span::from_nanos(100_000 + 900 * u64::from(conn));
        ledger.observe(Event::Copy(black_box(Copy { conn: ConnId(conn), publisher, seq, planned, sent, received, flaws: Flaws::NONE })));
        conn += share.of;
    }
}

/// (clients, publishers): few and many pairs.
const SHAPES: [(u32, u32); 4] = [(1_000, 4), (10_000, 1), (1_000, 1_000), (5_000, 5_000)];

#[divan::bench(args = SHAPES, sample_count = 20)]
fn observe(bencher: Bencher<'_, '_>, (clients, publishers): (u32, u32)) {
    let plan = plan(clients, publishers);
    let share = Share { index: 0, of: 2 };
    let mut ledger = ready(&plan, share);
    let mut n = 0;
    const BROADCASTS: u32 = 20;
    bencher.counter(ItemsCount::new(BROADCASTS * share.size(clients))).bench_local(|| {
        for _ in 0..BROADCASTS {
            broadcast(&mut ledger, &plan, share, n);
            n += 1;
        }
    });
    black_box(ledger.progress());
}

#[divan::bench(args = [(1_000, 4), (5_000, 5_000)], sample_count = 3, sample_size = 1)]
fn settle(bencher: Bencher<'_, '_>, (clients, publishers): (u32, u32)) {
    let plan = plan(clients, publishers);
    bencher
        .with_inputs(|| {
            let mut ledger = ready(&plan, Share::WHOLE);
            (0..20).for_each(|n| broadcast(&mut ledger, &plan, Share::WHOLE, n));
            ledger.observe(Event::Phase { phase: Phase::Close, at: due(6_000) });
            let mut log = SendLog::empty(&plan);
            log.merge(ledger.send_log());
            (ledger, log)
        })
        .bench_local_values(|(ledger, log)| ledger.settle(&log, due(7_000)));
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn merge(bencher: Bencher<'_, '_>) {
    let plan = plan(200, 4);
    let shares = [0, 1].map(|index| Share { index, of: 2 });
    let mut ledgers = shares.map(|share| ready(&plan, share));
    let mut log = SendLog::empty(&plan);
    for (ledger, share) in ledgers.iter_mut().zip(shares) {
        (0..10_000).for_each(|n| broadcast(ledger, &plan, share, n));
        log.merge(ledger.send_log());
    }
    let [left, right] = ledgers.map(|ledger| ledger.settle(&log, due(12_000)));
    bencher.with_inputs(|| (left.clone(), right.clone())).bench_local_values(|(mut left, right): (Account, Account)| {
        left.merge(right);
        left
    });
}
