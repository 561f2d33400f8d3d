//! Shards' figures add up, field by field; and figures of a run as they are shown while it lasts.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::super::books::is_accepted;
use super::super::history::{History, ms, scenario};
use super::super::{Account, BOUNDS_NS, LATENCIES, Live, Progress, Tally};
use crate::base::{ConnId, Flaws, Span};
use crate::event::{ClosedBy, ConnectFailure, DropCause, Event, Phase, PingLevel, StrayKind};
use crate::plan::Plan;
use crate::scenario::model::{ApplicationPing, Body, Matcher, Metric, PongCheck, Template};

/// What is no sum: the later, the earlier, the greatest.
const GREATEST: [&str; 9] =
    ["ended", "planned", "publishers_unknown", "backlog_max", "max", "stood_still", "hook_longest", "phase", "p99_ns"];

/// Every number in `value` becomes another one, each greater than the one before and none below three.
fn furnish(value: &mut Value, next: &mut u64) {
    match value {
        Value::Number(_) => {
            *value = (*next).into();
            *next += 7;
        }
        Value::Array(items) => items.iter_mut().for_each(|item| furnish(item, next)),
        Value::Object(fields) => fields.values_mut().for_each(|field| furnish(field, next)),
        Value::Bool(_) | Value::Null | Value::String(_) => {}
    }
}

/// Where in `merged` there is anything but the sum of `mine` and `theirs`.
fn disagreements(path: &str, mine: &Value, theirs: &Value, merged: &Value, out: &mut Vec<String>) {
    match merged {
        Value::Number(got) => {
            let (a, b) = (mine.as_f64().unwrap_or(0.0), theirs.as_f64().unwrap_or(0.0));
            let last = path.rsplit('.').next().unwrap_or("");
            let due = if GREATEST.contains(&last) { a.max(b) } else { a + b };
            if got.as_f64() != Some(due) {
                out.push(format!("{path}: {a} and {b} gave {got}"));
            }
        }
        Value::Bool(got) if *got != (mine == &json!(true) || theirs == &json!(true)) => out.push(path.into()),
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                disagreements(&format!("{path}.{i}"), &mine[i], &theirs[i], item, out);
            }
        }
        Value::Object(fields) => {
            for (key, field) in fields {
                disagreements(&format!("{path}.{key}"), &mine[key], &theirs[key], field, out);
            }
        }
        Value::Bool(_) | Value::Null | Value::String(_) => {}
    }
}

/// Merges two values of the shape of `blank`, full of different numbers, and gives what does not add up.
fn adds_up<T: Serialize + DeserializeOwned>(blank: &Value, merge: impl FnOnce(&mut T, T)) -> Vec<String> {
    let (mut mine, mut theirs, mut next) = (blank.clone(), blank.clone(), 3);
    furnish(&mut mine, &mut next);
    furnish(&mut theirs, &mut next);
    if let Some(thinned) = theirs.pointer_mut("/bounds/log_thinned") {
        *thinned = true.into();
    }
    let read = |value: &Value| serde_json::from_value::<T>(value.clone()).unwrap_or_else(|error| panic!("{error}: {value}"));
    let mut merged = read(&mine);
    merge(&mut merged, read(&theirs));
    let merged = serde_json::to_value(&merged).expect("it serialises");
    assert!(merged.to_string().len() > blank.to_string().len(), "nothing was lost: {merged}");
    let mut out = Vec::new();
    disagreements("", &mine, &theirs, &merged, &mut out);
    out
}

fn plan() -> Arc<Plan> {
    History::of(scenario(3, 1)).plan
}

#[test]
fn every_number_of_two_accounts_adds_up() {
    let mut blank = serde_json::to_value(Account::empty(&plan())).expect("it serialises");
    let disrupted = json!({
        "0": serde_json::to_value(super::super::Disrupted::default()).expect("it serialises"),
    });
    for (place, entries) in [
        ("/connections/returns_failed", json!({ "not_ready": 0 })),
        ("/connections/failed", json!({ "refused": 0, "timeout": 0 })),
        ("/connections/lost", json!({ "server": 0 })),
        ("/connections/close_codes", json!({ "1000": 0, "none": 0 })),
        ("/connections/lost_codes", json!({ "1006": 0 })),
        ("/connections/opening", json!([1, 2])),
        ("/publications/statuses", json!({ "0": 0, "200": 0 })),
        ("/publications/dropped", json!({ "not_open": 0, "back_pressure": 0 })),
        ("/copies/flaws", json!({ "bytes": 0 })),
        ("/health/shards", json!({ "0": { "publishing": 0, "steady": 0, "steady_wall": 0 } })),
        ("/disruptions/each", disrupted),
    ] {
        *blank.pointer_mut(place).unwrap_or_else(|| panic!("{place} is there")) = entries;
    }
    blank["disruptions"]["each"]["0"]["ended"] = json!({ "1011": 0 });
    // A sample and a timeline have laws of their own, and tests of their own.
    let (spread, rows) = (blank["spread"].take(), blank["rows"].take());
    let merged = adds_up::<Books>(&blank, |mine, theirs| {
        let mut account = mine.with(&spread, &rows);
        account.merge(theirs.with(&spread, &rows));
        *mine = Books(serde_json::to_value(account).expect("it serialises"));
        mine.0["spread"].take();
        mine.0["rows"].take();
    });
    // The first and the last connection: 3rd and 4th numbers of a pair are no sums.
    assert_eq!(merged.iter().filter(|line| !line.starts_with(".connections.opening.")).collect::<Vec<_>>(), Vec::<&String>::new());
}

/// An account without its sample and timeline, as JSON.
#[derive(Serialize, serde::Deserialize)]
struct Books(Value);

impl Books {
    fn with(&self, spread: &Value, rows: &Value) -> Account {
        let mut whole = self.0.clone();
        whole["spread"] = spread.clone();
        whole["rows"] = rows.clone();
        serde_json::from_value(whole).unwrap_or_else(|error| panic!("{error}"))
    }
}

#[test]
fn every_number_shown_while_a_run_lasts_adds_up() {
    let progress = serde_json::to_value(Progress { p99_ns: Some(1), ..Progress::default() }).expect("it serialises");
    assert_eq!(adds_up::<Progress>(&progress, |mine, theirs| mine.merge(&theirs)), Vec::<String>::new());
    let buckets = json!({ "at_most": vec![0; BOUNDS_NS.len()], "count": 0, "sum_seconds": 0.0 });
    let mut live = serde_json::to_value(Live::default()).expect("it serialises");
    live["failed"] = json!({ "refused": 0 });
    live["dropped"] = json!({ "ending": 0 });
    live["latency"] = json!({ "delivery": buckets, "pong": buckets });
    assert_eq!(adds_up::<Live>(&live, |mine, theirs| mine.merge(&theirs)), Vec::<String>::new());
}

#[test]
fn of_two_reasons_to_stop_the_least_stays_whichever_comes_first() {
    for (first, second) in [("a worker died", "Ctrl-C"), ("Ctrl-C", "a worker died"), ("Ctrl-C", "Ctrl-C")] {
        let mut account = Account::empty(&plan());
        account.interrupt(first);
        account.interrupt(second);
        assert_eq!(account.interrupted.as_deref(), Some("Ctrl-C"));
    }
}

#[test]
fn an_account_of_nothing_seen_says_how_many_were_planned() {
    let mut account = Account::empty(&plan());
    assert_eq!(account.connections.planned, 3);
    account.merge(Account::empty(&plan()));
    assert_eq!(account.connections.planned, 3, "no shard plans more than the run");
}

#[test]
fn books_that_do_not_balance_say_so() {
    let balanced = Account::empty(&plan());
    assert!(balanced.books_balance());
    let mut shard = balanced.clone();
    shard.bounds.out_of_balance = 1;
    let mut owed = balanced.clone();
    owed.copies.owed = 1;
    let mut received = balanced;
    received.copies.received = 1;
    assert!(!shard.books_balance() && !owed.books_balance() && !received.books_balance());
}

#[test]
fn what_a_status_says() {
    assert_eq!([0, 199, 200, 204, 299, 300, 503].map(is_accepted), [false, false, true, true, true, false, false]);
}

/// Three clients and a fourth that is refused; one is lost, one leaves. Five publications, one of them never sent; of the copies one
/// is late, one doubled, one overtaken, one damaged.
fn eventful() -> History {
    let mut scenario = scenario(4, 1);
    let (every, within) = (Span::from_secs(1), Span::from_millis(500));
    let body = ApplicationPing { send: Body::Text(Template::literal("ping")), expect: Matcher::Contains("pong".into()).into() };
    scenario.checks.pong = Some(PongCheck { every, within, application: Some(body), protocol: true });
    let mut history = History::of(scenario);
    history.phase(Phase::Ramp, 0).joins(0, 0).joins(1, 10).joins(2, 20);
    history.tell(Event::Connecting { conn: ConnId(3), at: ms(30) });
    let cause = ConnectFailure::Refused;
    history.tell(Event::ConnectFailed { conn: ConnId(3), at: ms(31), cause, detail: "" });
    history.phase(Phase::Steady, 100);
    let seqs: Vec<u32> = (0..4).map(|n| history.publishes(0, 200 + 100 * n)).collect();
    history.drops_publication(0, 600, DropCause::BackPressure);
    history.gets(0, 0, seqs[0], 205).gets(0, 0, seqs[0], 206).gets(0, 0, seqs[2], 405).gets(0, 0, seqs[1], 410);
    history.gets_flawed(1, 0, seqs[0], 207, Flaws::BYTES).gets(1, 0, seqs[1], 1_700).gets(2, 0, seqs[3], 520);
    history.stray(2, 530, StrayKind::Unexpected, b"hello");
    for (nonce, level) in [(1, PingLevel::Application), (2, PingLevel::Protocol), (3, PingLevel::Protocol)] {
        history.tell(Event::PingSent { conn: ConnId(0), level, nonce, at: ms(600 + u64::from(nonce)) });
    }
    history.tell(Event::Pong { conn: ConnId(0), level: PingLevel::Protocol, nonce: Some(2), at: ms(610) });
    history.is_lost(1, 1_800, ClosedBy::Server, Some(1011)).leaves(2, 1_900);
    history
}

#[test]
fn what_a_progress_line_says_is_what_has_happened() {
    for shards in [1, 2, 3] {
        let (ledgers, _) = eventful().ledgers(shards);
        let mut progress = Progress::default();
        ledgers.iter().for_each(|ledger| progress.merge(&ledger.progress()));
        let due = Progress {
            phase: Some(Phase::Steady),
            open: 1,
            ready: 1,
            failed: 1,
            lost: 1,
            sent: 4,
            dropped: 1,
            received: 7,
            taken: 6,
            late: 1,
            duplicate: 1,
            out_of_order: 1,
            damaged: 1,
            stray: 1,
            beats: 0,
            pongs: 1,
            p99_ns: progress.p99_ns,
        };
        assert_eq!(progress, due, "over {shards} shards");
        assert!(progress.p99_ns.is_some());
        assert_eq!(progress.outstanding(), 0, "four sent to the one that is left, six taken by all");
    }
    let far = Progress { sent: 10, ready: 5, taken: 47, ..Progress::default() };
    assert_eq!(far.outstanding(), 3);
}

#[test]
fn live_figures_are_the_ledgers_and_each_latency_has_its_turn() {
    let (ledgers, _) = eventful().ledgers(1);
    let mut live = Live::default();
    for turn in 0..LATENCIES.len() {
        live.sample(&ledgers[0], ledgers[0].progress(), turn);
        assert!(live.latency.keys().all(|metric| LATENCIES[..=turn].contains(metric)), "turn {turn}: {:?}", live.latency.keys());
    }
    assert_eq!((live.progress, live.opened, live.pings), (ledgers[0].progress(), 3, 3));
    assert_eq!(live.failed, BTreeMap::from([("refused".to_owned(), 1)]));
    assert_eq!(live.dropped, BTreeMap::from([(DropCause::BackPressure, 1)]));
    let counts: Vec<_> = live.latency.iter().map(|(metric, buckets)| (*metric, buckets.count)).collect();
    assert_eq!(counts, [(Metric::SendLag, 4), (Metric::Transit, 6), (Metric::Delivery, 6), (Metric::Pong, 1), (Metric::Connect, 3)]);
    let connect = &live.latency[&Metric::Connect];
    assert_eq!(connect.at_most, BOUNDS_NS.map(|bound| if bound < 2_000_000 { 0 } else { 3 }), "two milliseconds each");
    assert!((connect.sum_seconds - 0.006).abs() < 1e-5);
}

#[test]
fn a_spread_of_samples_is_summed_up_exactly() {
    let mut tally = Tally::default();
    [5, 5, 5, 9].into_iter().for_each(|ns| tally.record(ns));
    let mut both = tally.clone();
    both.merge(&tally);
    assert_eq!((both.count(), both.max(), both.percentile(50.0), both.percentile(100.0)), (8, 9, Some(5), Some(9)));
    assert!((both.mean() - 6.0).abs() < 1e-12);
}

#[test]
fn greetings_and_clients_that_never_became_members_are_counted() {
    let mut history = History::of(scenario(4, 1));
    history.phase(Phase::Ramp, 0).joins(0, 0).opens(1, 10).opens(2, 20).opens(3, 30);
    for (client, at) in [(1, 40), (2, 50)] {
        let conn = ConnId(client);
        history.tell(Event::Greeting { conn, at: ms(at), text: b"welcome" });
        history.tell(Event::NotReady { conn, at: ms(at + 1), detail: "no answer" });
    }
    let connections = history.closes(5_000, 5_100).over(2).connections;
    assert_eq!((connections.opened, connections.ready, connections.not_ready, connections.greetings), (4, 1, 2, 2));
    let told: Vec<_> =
        [&connections.greeting, &connections.unready].into_iter().flat_map(|s| s.as_slice()).map(|s| s.what.as_str()).collect();
    assert_eq!(told, ["welcome", "welcome", "no answer", "no answer"]);
}
