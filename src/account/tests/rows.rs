//! The timeline: which copy stands in which row, what a row is made of, and how rows become fewer.

use super::super::history::{History, ms, scenario};
use super::super::rows::{Interval, running_percentile};
use super::super::{HIGHEST_NS, MOST_ROWS, Rows, Sketch, Tally};
use crate::base::{Instant, Span};

fn sketch(values: &[u64]) -> Sketch {
    let mut sketch = Sketch::default();
    values.iter().for_each(|ns| sketch.absorb_one(*ns));
    sketch
}

#[test]
fn a_sketch_keeps_short_spans_exactly_and_longer_ones_within_their_bucket() {
    for ns in 1..=256 {
        let one = sketch(&[ns]);
        assert_eq!((one.percentile(50.0), one.values().collect::<Vec<_>>()), (Some(ns), vec![(ns, 1)]));
    }
    let several = sketch(&[5, 9, 200, 300, 1_000, 40_000]);
    // Two buckets are wider than one: 1,000…1,003 and 39,936…40,191.
    assert_eq!(several.values().collect::<Vec<_>>(), [(5, 1), (9, 1), (200, 1), (300, 1), (1_000, 1), (39_936, 1)]);
    let at = [0.0, 16.0, 17.0, 50.0, 66.0, 83.0, 84.0, 100.0].map(|p| several.percentile(p).expect("samples"));
    assert_eq!(at, [5, 5, 9, 200, 301, 1_003, 40_000, 40_000]);
    assert_eq!(
        (several.count(), several.max(), Sketch::default().max(), Sketch::default().percentile(50.0)),
        (6, Some(40_000), None, None)
    );
}

#[test]
fn a_copy_stands_in_the_row_of_the_second_it_was_received_in() {
    let received = [0, 999, 1_000, 1_001, 2_999, 3_000, 24_999, 25_000, 25_001, 26_000, 1_500, 25_999];
    for steady in [0, 100, 60_000] {
        let mut history = History::of(scenario(1, 1));
        history.joins(0, 0);
        let mut events = Vec::new();
        for at in received {
            let seq = history.publishes(0, at);
            events.push((seq, at));
        }
        history.phase(crate::event::Phase::Steady, steady);
        for (seq, at) in events {
            history.gets(0, 0, seq, at);
        }
        let account = history.closes(90_000, 90_100).account();
        let rows = account.rows.as_slice();
        for (second, row) in (0..).zip(rows) {
            let due = received.iter().filter(|at| **at / 1_000 == second).count() as u64;
            assert_eq!((row.copies, row.delivery.count(), row.transit.count()), (due, due, due), "second {second}, steady from {steady}");
            assert!(row.delivery.values().chain(row.transit.values()).all(|(_, n)| n > 0), "a bucket nothing is in is none");
        }
        assert_eq!(rows.iter().map(|row| row.copies).sum::<u64>(), 12);
        assert_eq!(account.delivery.count(), received.iter().filter(|at| **at >= steady).count() as u64);
    }
}

#[test]
fn an_interval_covers_its_second_and_is_over_with_it_or_when_the_steady_state_begins() {
    let mut interval = Interval::new();
    // (begun at, steady) and, for an instant and whether it is steady, (covers, is over).
    for (begun, was, at, steady, covers, over) in [
        (25_300, false, 24_999, false, false, false),
        (25_300, false, 25_000, false, true, false),
        (25_300, false, 25_999, false, true, false),
        (25_300, false, 26_000, false, false, true),
        (25_300, false, 25_500, true, false, true),
        (25_300, false, 24_500, true, false, true),
        (25_300, true, 25_500, true, true, false),
        (25_300, true, 24_999, true, false, false),
        (25_300, true, 25_500, false, false, false),
        (25_300, true, 26_000, true, false, true),
        (25_300, true, 26_000, false, false, true),
    ] {
        interval.restart(ms(begun), was);
        assert_eq!(
            (interval.covers(ms(at), steady), interval.is_over(ms(at), steady)),
            (covers, over),
            "{begun} ({was}) and {at} ({steady})"
        );
    }
}

#[test]
fn what_is_poured_out_is_in_the_row_and_if_steady_in_the_totals() {
    for steady in [false, true] {
        let (mut interval, mut rows) = (Interval::new(), Rows::default());
        let (mut delivery, mut transit) = (Tally::default(), Tally::default());
        interval.restart(ms(3_200), steady);
        interval.pour(&mut rows, &mut delivery, &mut transit);
        assert_eq!((rows.as_slice().len(), &delivery), (0, &Tally::default()), "nothing leaves nothing behind");
        for (d, t) in [(7, 5), (7, 6), (900, 0), (HIGHEST_NS, 4)] {
            interval.record(Span::from_nanos(d), Span::from_nanos(t));
        }
        let before = running_percentile(&delivery, &interval, 50.0);
        assert_eq!(before, steady.then_some(7));
        interval.pour(&mut rows, &mut delivery, &mut transit);
        let row = &rows.as_slice()[3];
        assert_eq!((row.copies, row.delivery.count(), row.delivery.max(), row.transit.max()), (4, 4, Some(HIGHEST_NS), Some(6)));
        assert_eq!(row.transit.values().collect::<Vec<_>>(), [(1, 1), (4, 1), (5, 1), (6, 1)], "shorter than a nanosecond is one");
        let total = if steady { (4, HIGHEST_NS, 6) } else { (0, 0, 0) };
        assert_eq!((delivery.count(), delivery.max(), transit.max()), total);
        assert_eq!(interval.delivery().iter().chain(interval.transit()).sum::<u32>(), 0);
        assert_eq!(running_percentile(&delivery, &interval, 50.0), before);
    }
}

#[test]
fn a_percentile_of_totals_and_the_running_second_is_that_of_both() {
    let mut interval = Interval::new();
    interval.restart(ms(0), true);
    let (mut total, mut all) = (Tally::default(), Tally::default());
    for ns in [100, 200, 300, 400, 3_000, 90_000] {
        total.record(ns);
        all.record(ns);
    }
    for ns in [100, 350, 350, 500, 7_000] {
        interval.record(Span::from_nanos(ns), Span::from_nanos(1));
        all.record(ns);
    }
    for p in [0.0, 1.0, 20.0, 50.0, 75.0, 90.0, 99.0, 100.0] {
        assert_eq!(running_percentile(&total, &interval, p), all.percentile(p), "p{p}");
    }
    interval.steady = false;
    assert_eq!(running_percentile(&total, &interval, 99.0), total.percentile(99.0), "what is not steady yet does not count");
}

#[test]
fn rows_of_any_lengths_merge_to_the_longer_and_lose_nothing() {
    let until = |last: u64, step: u64| {
        let mut rows = Rows::default();
        for second in (0..=last).step_by(usize::try_from(step).expect("small")) {
            rows.at(Instant::from_nanos(second * 1_000_000_000)).copies += second + 1;
        }
        rows
    };
    let most = MOST_ROWS as u64;
    for (a, b, length) in
        [(3, 3, 1), (3, 9, 1), (most - 1, 5, 1), (most, 5, 2), (5, 2 * most, 4), (most, 9 * most, 16), (most, most + 7, 2)]
    {
        let (mut one, mut other) = (until(a, 1), until(b, 1));
        let (right, left) = (other.clone(), one.clone());
        one.merge(right);
        other.merge(left);
        assert_eq!(one, other, "{a} and {b}");
        assert_eq!(one.row(), Span::from_secs(length), "{a} and {b}");
        for (place, row) in (0..).zip(one.as_slice()) {
            let within =
                |last: u64| (place * length..(place + 1) * length).filter(|second| *second <= last).map(|second| second + 1).sum::<u64>();
            assert_eq!(row.copies, within(a) + within(b), "row {place} of {a} and {b}");
        }
    }
}
