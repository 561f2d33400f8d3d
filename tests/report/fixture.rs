//! Fixed reports, made by hand and by a seed: one with every outcome, one where all is well, one with no evidence.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use wsbench::base::{RunId, Seed};
use wsbench::check::{Finding, Outcome, Witness};
use wsbench::event::Phase;
use wsbench::measure::*;
use wsbench::report::{Facts, PlanFacts, Report, ScenarioFacts, TargetFacts};
use wsbench::scenario::model::Metric;

const MS: u64 = 1_000_000;
const S: u64 = 1_000 * MS;

const TOML: &str = r#"name = "broadcast"
description = "1,000 clients, 4 of which publish; who got what?"

[clients]
count = 1000
connect_rate = "500/s"

[publish]
publishers = 4
pace = { rate = "50/s" }
size = "128B"

[phases]
warm_up = "1s"
steady = "10s"
drain = "5s"

[checks.delivery]
within = "1s"

[checks.heartbeat]
expect = { json = { type = 1, message = "ping" } }
every = "5s"
tolerance = "250ms"
"#;

/// Latencies that look like latencies: most near `typical`, a tail up to `worst`.
fn distribution(seed: u64, samples: u64, typical: u64, worst: u64) -> Distribution {
    let mut rng = Seed(seed).rng();
    let mut distribution = Distribution::default();
    for _ in 0..samples.saturating_sub(1) {
        let (a, b) = (rng.below(1_000) + 1, rng.below(1_000) + 1);
        distribution.record((typical / 2 + typical * a / 1_000 + typical / 8 * 1_000 / b / 8).min(worst));
    }
    if samples > 0 {
        distribution.record(worst);
    }
    distribution
}

fn facts(name: &str, url: &str) -> Facts {
    Facts {
        scenario: ScenarioFacts {
            name: name.into(),
            description: Some("1,000 clients, 4 of which publish; who got what?".into()),
            digest: "3f786850e387550fdab836ed7e6dc881de23001b".into(),
            toml: TOML.into(),
        },
        target: TargetFacts { url: url.into(), built_in: false },
        seed: Seed(42),
        run_id: RunId(0x9f1c_0b2a),
        started_at_unix_ms: 1_795_397_425_007,
        plan: PlanFacts {
            digest: "89e6c98d92887913cadf06b2adb97f26cde4849b".into(),
            connections: 1_000,
            publishers: 4,
            publications: 550,
            copies_owed: 550_000,
            planned_ns: 13 * S,
        },
    }
}

fn finding(check: &str, outcome: Outcome, population: u64, unit: &str, expected: &str, observed: &str) -> Finding {
    Finding {
        check: check.into(),
        claim: format!("what `{check}` claims of the server, in a sentence"),
        population,
        population_unit: unit.into(),
        outcome,
        expected: expected.into(),
        observed: observed.into(),
        violations: 0,
        note: String::new(),
        witnesses: Vec::new(),
    }
}

fn missing(at_ns: u64, publisher: u32, seq: u32, client: u32, what: &str) -> Witness {
    Witness { at_ns, client: Some(client), publisher: Some(publisher), seq: Some(seq), what: what.into() }
}

/// Every outcome, hostile text, every optional figure present.
pub(crate) fn mixed() -> Report {
    static MADE: OnceLock<Report> = OnceLock::new();
    MADE.get_or_init(make_mixed).clone()
}

fn make_mixed() -> Report {
    let mut delivery =
        finding("delivery", Outcome::Fail, 550_000, "owed copies", "every owed copy within 1s", "549,985 on time, 3 late, 12 missing");
    delivery.violations = 15;
    delivery.note = "all 12 missing copies belong to 2 clients: see their close codes".into();
    delivery.witnesses = (0..8)
        .map(|n: u32| {
            missing(4 * S + u64::from(n) * 20 * MS, n % 4, 50 + n, 931, if n == 3 { "late: came after 1.21s" } else { "never came" })
        })
        .collect();
    let mut stray = finding("stray", Outcome::Fail, 550_014, "frames received", "nothing unexpected", "1 unexpected frame");
    stray.violations = 1;
    stray.witnesses = vec![Witness {
        at_ns: 6 * S,
        client: Some(17),
        publisher: None,
        seq: None,
        what: "text, 31 bytes: \u{1b}[2J\u{1b}[32mPASS\r\n\u{202e}<script>alert(1)</script> & more".into(),
    }];
    let mut latency = finding("latency", Outcome::Inconclusive, 0, "pongs", "pong p99 at most 250ms", "no pong was measured");
    latency.note = "no application ping was answered in the steady state, so there is no p99 to compare".into();
    let findings = vec![
        delivery,
        finding("duplicate", Outcome::Pass, 549_988, "distinct copies received", "no copy twice", "0 duplicates"),
        finding("order", Outcome::Pass, 549_988, "distinct copies received", "each publisher’s copies in the order sent", "0 out of order"),
        stray,
        latency,
        finding("heartbeat", Outcome::Pass, 2_000, "intervals", "a beat every 5s ± 250ms", "2,000 in time, worst jitter 31.2ms"),
        finding("survival", Outcome::Pass, 1_000, "connections", "no connection ends unasked", "2 ended by the scenario, 0 unasked"),
    ];
    Report::new(facts("broadcast", "wss://***@chat.example.com/ws?token=***"), findings, summary(15))
}

/// All well, against the built-in server.
pub(crate) fn good() -> Report {
    static MADE: OnceLock<Report> = OnceLock::new();
    MADE.get_or_init(make_good).clone()
}

fn make_good() -> Report {
    let mut facts = facts("broadcast", "ws://127.0.0.1:40123/");
    facts.target.built_in = true;
    let mut summary = summary(0);
    summary.instrument.server_inside = true;
    let findings = vec![
        finding("delivery", Outcome::Pass, 550_000, "owed copies", "every owed copy within 1s", "550,000 on time"),
        finding("duplicate", Outcome::Pass, 550_000, "distinct copies received", "no copy twice", "0 duplicates"),
        finding("instrument", Outcome::Pass, 550, "publications sent", "at most 1% sent late", "0 late"),
    ];
    Report::new(facts, findings, summary)
}

/// Nobody connected: no number has a sample, and nothing may look like a pass.
pub(crate) fn silent() -> Report {
    static MADE: OnceLock<Report> = OnceLock::new();
    MADE.get_or_init(make_silent).clone()
}

fn make_silent() -> Report {
    let mut facts = facts("smoke", "ws://127.0.0.1:9/");
    facts.scenario.description = None;
    let mut connect = finding("connect", Outcome::Fail, 10, "clients", "at least 100% open", "0 of 10 opened");
    connect.violations = 10;
    connect.note = "all 10 refused: is the server running?".into();
    let mut delivery = finding("delivery", Outcome::Inconclusive, 0, "owed copies", "every owed copy within 1s", "no copy was owed");
    delivery.note = "the steady state was never reached".into();
    let summary = Summary {
        phases: vec![PhaseSpan { phase: Phase::Ramp, began_ns: 0, took_ns: 2 * S }],
        connections: ConnectionNumbers { planned: 10, failed: BTreeMap::from([("refused".into(), 10)]), ..Default::default() },
        publications: PublicationNumbers { planned: 100, ..Default::default() },
        copies: CopyNumbers::default(),
        rates: RateNumbers { offered_per_s: 50.0, ..Default::default() },
        latency: BTreeMap::new(),
        spread: no_spread(),
        pong: PongNumbers::default(),
        feed: None,
        heartbeat: HeartbeatNumbers::default(),
        instrument: InstrumentNumbers { interrupted: Some("the ramp ended with no client open".into()), ..instrument() },
        timeline: Timeline::default(),
    };
    Report::new(facts, vec![connect, delivery], summary)
}

fn no_spread() -> SpreadNumbers {
    SpreadNumbers {
        sampled: 0,
        of: 0,
        first: Distribution::default(),
        median: Distribution::default(),
        last: Distribution::default(),
        spread: Distribution::default(),
        worst: Vec::new(),
        series: Vec::new(),
    }
}

fn summary(bad: u64) -> Summary {
    let phase = |phase, began_ns, took_ns| PhaseSpan { phase, began_ns, took_ns };
    Summary {
        phases: vec![
            phase(Phase::Ramp, 0, 2_013 * MS),
            phase(Phase::WarmUp, 2_013 * MS, S),
            phase(Phase::Steady, 3_013 * MS, 10 * S),
            phase(Phase::Drain, 13_013 * MS, 41 * MS),
            phase(Phase::Close, 13_054 * MS, 87 * MS),
            phase(Phase::Done, 13_141 * MS, 0),
        ],
        connections: ConnectionNumbers {
            planned: 1_000,
            opened: 1_000,
            ready: 1_000,
            failed: if bad > 0 { BTreeMap::from([("http_503".into(), 3), ("timeout".into(), 1)]) } else { BTreeMap::new() },
            lost: 0,
            greetings: 1_000,
            greeting_sample: Some("something".into()),
            close_codes: BTreeMap::from([("1000".into(), 998), ("none".into(), 2)]),
            closed_clean: 998,
            compressed: None,
        },
        publications: PublicationNumbers {
            planned: 550,
            sent: 550,
            sent_steady: 500,
            dropped: if bad > 0 { BTreeMap::from([("back_pressure".into(), 1)]) } else { BTreeMap::new() },
            bytes: 70_400,
            statuses: BTreeMap::new(),
        },
        copies: copies(bad),
        rates: RateNumbers { offered_per_s: 50.0, achieved_per_s: 49.98, copies_per_s: 49_981.4, connects_per_s: 496.7, fan_out: 1_000.0 },
        latency: latency(),
        spread: spread(),
        pong: pongs(bad),
        feed: None,
        heartbeat: HeartbeatNumbers {
            beats: 2_000,
            due: 2_000,
            in_time: 2_000,
            worst_jitter_ns: 31_200_000,
            mean_jitter_ns: 1_100_000,
            server_pings: 400,
            ..Default::default()
        },
        instrument: instrument(),
        timeline: timeline(bad),
    }
}

fn copies(bad: u64) -> CopyNumbers {
    let late = if bad > 0 { 3 } else { 0 };
    CopyNumbers {
        owed: 550_000,
        on_time: 550_000 - bad,
        late,
        late_by_us: 0,
        missing: bad - late,
        contested: bad,
        contested_received: bad / 2,
        received: 550_000 - bad + late + bad / 2,
        stray: if bad > 0 { BTreeMap::from([("unexpected".into(), 1)]) } else { BTreeMap::new() },
        delivery_ratio: Some((550_000 - bad + late) as f64 / 550_000.0),
        ..Default::default()
    }
}

fn latency() -> BTreeMap<Metric, Distribution> {
    let mut beat = Distribution::default();
    let mut rng = Seed(5).rng();
    (0..2_000).for_each(|_| beat.record(5 * S - 20 * MS + rng.below(40 * MS)));
    BTreeMap::from([
        (Metric::SendLag, distribution(1, 500, 90_000, 2_400_000)),
        (Metric::Transit, distribution(2, 50_000, 9_500_000, 1_204_000_000)),
        (Metric::Delivery, distribution(3, 50_000, 9_800_000, 1_206_000_000)),
        (Metric::Pong, distribution(4, 9_000, 1_900_000, 64_000_000)),
        (Metric::HeartbeatInterval, beat),
        (Metric::Connect, distribution(6, 1_000, 700_000, 12_000_000)),
    ])
}

fn spread() -> SpreadNumbers {
    let mut rng = Seed(7).rng();
    let series: Vec<_> = (0..500_u32)
        .map(|n| {
            let first_ns = 400_000 + rng.below(300_000);
            let median_ns = first_ns + 4_000_000 + rng.below(4_000_000);
            let last_ns = if n == 217 { 1_206_000_000 } else { median_ns + 5_000_000 + rng.below(9_000_000) };
            PublicationSpread {
                publisher: n % 4,
                seq: 12 + n / 4,
                planned_ns: 3_013 * MS + u64::from(n) * 20 * MS,
                receivers: 1_000,
                first_ns,
                median_ns,
                last_ns,
            }
        })
        .collect();
    let of = |value: &dyn Fn(&PublicationSpread) -> u64| {
        let mut distribution = Distribution::default();
        series.iter().for_each(|publication| distribution.record(value(publication)));
        distribution
    };
    let mut worst = series.clone();
    worst.sort_by_key(|publication| std::cmp::Reverse(publication.last_ns - publication.first_ns));
    worst.truncate(8);
    SpreadNumbers {
        sampled: 500,
        of: 500,
        first: of(&|p| p.first_ns),
        median: of(&|p| p.median_ns),
        last: of(&|p| p.last_ns),
        spread: of(&|p| p.last_ns - p.first_ns),
        worst,
        series,
    }
}

fn pongs(bad: u64) -> PongNumbers {
    let level = PongLevelNumbers {
        sent: 10_000,
        on_time: 10_000 - bad,
        late: bad / 3,
        unanswered: bad - bad / 3,
        contested: 40,
        ..Default::default()
    };
    PongNumbers { levels: BTreeMap::from([("application".into(), level)]) }
}

fn instrument() -> InstrumentNumbers {
    InstrumentNumbers {
        shards: 2,
        processes: 1,
        cpu_ns: 4_210_000_000,
        shard_cpu_ns: 3_160_000_000,
        copies_per_cpu_s: 174_046.0,
        peak_memory_bytes: 35_651_584,
        bytes_per_connection: 6_810,
        late_sends: 0,
        late_share: 0.0,
        loop_lag_p50_ns: 61_000,
        loop_lag_p99_ns: 1_210_000,
        loop_lag_max_ns: 3_900_000,
        busiest_shard: 0.173,
        backlog_max_bytes: 9_216,
        steal_share: Some(0.004),
        server_inside: false,
        bounds_reached: Vec::new(),
        interrupted: None,
    }
}

fn timeline(bad: u64) -> Timeline {
    let mut rng = Seed(8).rng();
    let rows = (0..14_u64)
        .map(|second| {
            let publishing = (2..13).contains(&second);
            let some = |ns: u64| publishing.then_some(ns);
            let stall = bad > 0 && second == 7;
            let mut row_delivery = Distribution::default();
            if publishing {
                (0..200).for_each(|_| row_delivery.record(4_000_000 + rng.below(9_000_000)));
            }
            TimelineRow {
                at_ns: second * S,
                open: (second + 1).min(2) * 500 - if second == 13 { 1_000 } else { 0 },
                opened: if second < 2 { 500 } else { 0 },
                sent: if publishing { 50 } else { 0 },
                copies: if publishing { 50_000 - if stall { bad } else { 0 } } else { 0 },
                faults: u64::from(bad > 0 && second == 6),
                lost: 0,
                beats: if second == 5 || second == 6 || second == 10 || second == 11 { 500 } else { 0 },
                pongs: if publishing { 1_000 } else { 0 },
                delivery_p50_ns: some(9_000_000 + rng.below(1_500_000)),
                delivery_p99_ns: some(17_000_000 + rng.below(6_000_000)),
                delivery_max_ns: some(if stall { 1_206_000_000 } else { 24_000_000 + rng.below(9_000_000) }),
                send_lag_max_ns: some(180_000 + rng.below(1_900_000)),
                loop_lag_max_ns: Some(200_000 + rng.below(2_000_000)),
                missing: if stall { bad - bad / 5 } else { 0 },
                pong_p50_ns: some(1_800_000 + rng.below(300_000)),
                pong_p99_ns: some(4_100_000 + rng.below(900_000)),
                pong_max_ns: some(9_000_000 + rng.below(9_000_000)),
                beat_min_ns: (second == 10 || second == 11).then_some(4_981_000_000),
                beat_p50_ns: (second == 10 || second == 11).then_some(5_000_400_000),
                beat_max_ns: (second == 10 || second == 11).then_some(5_031_200_000),
                histograms: if publishing { BTreeMap::from([(Metric::Delivery, hdr(&row_delivery))]) } else { BTreeMap::new() },
            }
        })
        .collect();
    Timeline { row_ns: S, rows }
}

/// The histogram as `report.json` carries it.
fn hdr(distribution: &Distribution) -> String {
    let json = serde_json::to_value(distribution).expect("a distribution serialises");
    json["hdr_base64"].as_str().expect("it has its histogram").to_owned()
}
