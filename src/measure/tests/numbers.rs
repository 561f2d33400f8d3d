//! Each number where a reader looks for it: connections, phases, rows of the timeline, and how far a publication spread.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::serialization::Deserializer;

use super::summary_with;
use crate::account::history::{History, ms, scenario};
use crate::base::{ConnId, Span};
use crate::event::{ClosedBy, ConnectFailure, Event, Phase};
use crate::measure::summarize;
use crate::measure::summary::{ConnectionNumbers, PhaseSpan, TimelineRow};
use crate::scenario::model::{Metric, Target};

const fn ns(ms: u64) -> u64 {
    Span::from_millis(ms).as_nanos()
}

#[test]
fn the_numbers_of_connections() {
    let mut offering = scenario(5, 0);
    offering.groups[0].connection.deflate = true;
    let mut history = History::of(offering);
    history.phase(Phase::Ramp, 0);
    (0..3).for_each(|client| {
        history.joins(client, 0);
    });
    history.opens(3, 0);
    let (at, conn) = (ms(0), ConnId(4));
    history.tell(Event::Connecting { conn, at }).tell(Event::ConnectFailed { conn, at, cause: ConnectFailure::Refused, detail: "" });
    history.tell(Event::Greeting { conn: ConnId(0), at, text: b"hello" }).tell(Event::Compressed { conn: ConnId(1), at });
    history.phase(Phase::Steady, 100).leaves(1, 2_000).is_lost(2, 3_000, ClosedBy::Network, None).closes(5_000, 5_100);
    let expected = ConnectionNumbers {
        planned: 5,
        opened: 4,
        ready: 3,
        failed: [("refused".to_owned(), 1)].into(),
        lost: 1,
        greetings: 1,
        greeting_sample: Some("hello".into()),
        close_codes: [("1000".to_owned(), 1), ("none".to_owned(), 1)].into(),
        closed_clean: 1,
        compressed: Some(1),
    };
    assert_eq!(summarize(&history.plan, &history.over(2)).connections, expected);
    assert_eq!(summary_with(scenario(3, 1), |_| {}).connections.compressed, None, "where it is not offered nobody can agree on it");
}

#[test]
fn each_phase_takes_until_the_next_and_the_last_until_the_end() {
    let phases = summary_with(scenario(3, 1), |_| {}).phases;
    let span = |phase, began, took| PhaseSpan { phase, began_ns: ns(began), took_ns: ns(took) };
    assert_eq!(
        phases,
        [span(Phase::Ramp, 0, 100), span(Phase::Steady, 100, 4_000), span(Phase::Drain, 4_100, 100), span(Phase::Close, 4_200, 100),]
    );
}

#[test]
fn a_copy_that_came_late_was_delivered() {
    let copies = summary_with(scenario(3, 1), |account| {
        (account.copies.owed, account.copies.on_time, account.copies.late, account.copies.missing) = (10, 6, 2, 2);
    })
    .copies;
    assert_eq!((copies.on_time, copies.late, copies.missing, copies.delivery_ratio), (6, 2, 2, Some(0.8)));
}

#[test]
fn the_instrument_says_whether_the_server_was_inside_and_why_the_run_ended() {
    let mut inside = scenario(3, 1);
    inside.target = Target::BuiltIn;
    let told = summary_with(inside, |account| account.interrupted = Some("Ctrl-C".into())).instrument;
    assert_eq!((told.server_inside, told.interrupted.as_deref()), (true, Some("Ctrl-C")));
    let told = summary_with(scenario(3, 1), |_| {}).instrument;
    assert_eq!((told.server_inside, told.interrupted), (false, None));
}

#[test]
fn each_row_of_the_timeline_has_its_instant_and_whole_histograms() {
    let mut history = History::ordinary(scenario(3, 1));
    history.broadcasts(0, 10);
    let seq = history.publishes(0, 2_100);
    history.all_get(0, seq, 2_105).closes(4_100, 4_200);
    let timeline = summarize(&history.plan, &history.over(2)).timeline;
    assert_eq!(timeline.row_ns, ns(1_000));
    assert!(timeline.rows.len() > 3);
    assert!((0..).zip(&timeline.rows).all(|(second, row)| row.at_ns == ns(1_000 * second)));
    let recorded = |row: &TimelineRow| -> BTreeMap<Metric, (u64, u64)> {
        let read = |text: &String| {
            let bytes = STANDARD.decode(text).expect("it is base64");
            let histogram = Deserializer::new().deserialize::<u64, _>(&mut bytes.as_slice()).expect("it is a histogram");
            (histogram.len(), histogram.value_at_percentile(50.0) / 1_000_000)
        };
        row.histograms.iter().map(|(metric, text)| (*metric, read(text))).collect()
    };
    let copies = |n| BTreeMap::from([(Metric::Delivery, (n, 4)), (Metric::Transit, (n, 4))]);
    assert_eq!([0, 1, 2].map(|row| recorded(&timeline.rows[row])), [copies(30), BTreeMap::new(), copies(3)]);
}

#[test]
fn the_worst_are_those_with_the_longest_way_from_the_first_to_the_last() {
    let mut history = History::ordinary(scenario(4, 1));
    // First and last receiver: the slowest of all is the closest together, and the most drawn out in proportion is the shortest.
    for (at, first, last) in [(1_000, 50, 60), (1_100, 10, 39), (1_200, 1, 25)] {
        let seq = history.publishes(0, at);
        history.gets(0, 0, seq, at + first);
        (1..4).for_each(|client| {
            history.gets(client, 0, seq, at + last);
        });
    }
    history.closes(2_000, 2_100);
    let worst = summarize(&history.plan, &history.over(2)).spread.worst;
    assert_eq!(worst.iter().map(|p| (p.seq, p.last_ns - p.first_ns)).collect::<Vec<_>>(), [(1, ns(29)), (2, ns(24)), (0, ns(10))]);
}

#[test]
fn between_their_marks_the_shards_curves_are_straight() {
    let mut history = History::ordinary(scenario(32, 1));
    let seq = history.publishes(0, 1_000);
    // One shard's sixteen clients have it one after another every millisecond, the other's every two.
    (0..32).for_each(|client| {
        let place = u64::from(client / 2 + 1);
        history.gets(client, 0, seq, 1_000 + if client % 2 == 0 { place } else { 2 * place });
    });
    history.closes(2_000, 2_100);
    let spread = summarize(&history.plan, &history.over(2)).spread.series[0];
    assert_eq!((spread.receivers, spread.first_ns, spread.last_ns), (32, ns(1), ns(32)));
    // t + t/2 = 16.
    assert!((10_666_000..10_668_000).contains(&spread.median_ns), "{}", spread.median_ns);
}
