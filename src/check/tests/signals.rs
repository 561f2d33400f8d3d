//! Pings, pongs and beats.

use super::{not_passed, one, only, pings, with_heartbeat, with_pong};
use crate::account::history::{History, ms, scenario};
use crate::base::ConnId;
use crate::check::Outcome;
use crate::event::{Event, PingLevel, StrayKind};
use crate::scenario::model::FirstBeat;

fn pong_history(tell: impl Fn(&mut History, u32)) -> History {
    let mut history = History::ordinary(with_pong(scenario(3, 1)));
    history.broadcasts(0, 10);
    (0..3).for_each(|client| tell(&mut history, client));
    history.closes(6_000, 6_100);
    history
}

#[test]
fn pongs_late_lost_doubled_and_foreign() {
    let (app, protocol) = (PingLevel::Application, PingLevel::Protocol);
    let fine = pong_history(|h, c| (0..4).for_each(|n| pings(h, c, app, n, 1_000 * u64::from(n), Some(10))));
    assert_eq!(not_passed(&fine), []);
    // One lost answer is one unanswered ping: the later answers are not late for it.
    let lost = pong_history(|h, c| {
        (0..4).for_each(|n| pings(h, c, app, n, 1_000 * u64::from(n), (n != 1 || c != 1).then_some(10)));
    });
    let finding = only(&lost, "pong");
    assert_eq!((finding.violations, finding.population, finding.witnesses[0].client), (1, 12, Some(1)));
    assert_eq!(finding.observed, "11 of 12 pings answered in time, 1 unanswered");
    let late = pong_history(|h, c| (0..4).for_each(|n| pings(h, c, app, n, 1_000 * u64::from(n), Some(700))));
    assert_eq!(only(&late, "pong").observed, "0 of 12 pings answered in time, 12 late");
    let never = pong_history(|h, c| {
        pings(h, c, app, 0, 1_000, None);
        h.stray(c, 1_001, StrayKind::Unexpected, b"ping");
    });
    assert!(only(&never, "pong").note.contains("a message is a Buffer"));
    let doubled = pong_history(|h, c| {
        pings(h, c, app, 0, 1_000, Some(10));
        h.tell(Event::Pong { conn: ConnId(c), level: app, nonce: None, at: ms(1_011) });
    });
    assert!(only(&doubled, "pong").note.contains("broadcast, or sent twice"));
    let wrong = pong_history(|h, c| {
        pings(h, c, protocol, 0, 1_000, None);
        h.tell(Event::AlienPong { conn: ConnId(c), at: ms(1_010), sample: b"zzz" });
    });
    assert!(only(&wrong, "pong").observed.contains("wrong payload"));
    let twice = pong_history(|h, c| {
        pings(h, c, protocol, 0, 1_000, Some(10));
        h.tell(Event::Pong { conn: ConnId(c), level: protocol, nonce: Some(0), at: ms(1_020) });
    });
    assert_eq!(only(&twice, "pong").violations, 3);
    // RFC 6455 section 5.5.3: a pong nobody asked for is allowed.
    let unsolicited = pong_history(|h, c| {
        pings(h, c, protocol, 0, 1_000, Some(10));
        h.tell(Event::AlienPong { conn: ConnId(c), at: ms(3_010), sample: b"zzz" });
    });
    assert_eq!(not_passed(&unsolicited), []);
    assert!(one(&unsolicited, "pong").note.contains("5.5.3"));
    let cut_short = pong_history(|h, c| pings(h, c, app, 0, 5_900, None));
    assert_eq!(not_passed(&cut_short), [("pong".into(), Outcome::Inconclusive)], "the ping was cut off by the close");
}

fn beat_history(tell: impl Fn(&mut History, u32)) -> History {
    let mut history = History::ordinary(with_heartbeat(scenario(3, 1)));
    history.broadcasts(0, 10);
    (0..3).for_each(|client| tell(&mut history, client));
    history.closes(5_000, 5_050);
    history
}

#[test]
fn beats_missed_late_early_doubled_and_never() {
    let note = |history: &History| only(history, "heartbeat").note;
    let counts = |history: &History| {
        let pulse = history.account().pulse;
        [pulse.due(), pulse.in_time, pulse.early, pulse.late, pulse.missed, pulse.silent]
    };
    let fine = beat_history(|h, c| {
        h.beats(c, (1..=5).map(|n| n * 1_000));
    });
    assert_eq!((not_passed(&fine), counts(&fine)), (vec![], [15, 15, 0, 0, 0, 0]));
    let never = beat_history(|_, _| {});
    assert!(note(&never).contains("No beat ever came"));
    assert_eq!(counts(&never), [12, 0, 0, 0, 12, 3], "the fifth would not have been overdue yet");
    let half = beat_history(|h, c| {
        h.beats(c, [2_000, 4_000]);
    });
    assert!(note(&half).contains("2 × the promised period"), "{}", note(&half));
    let twice = beat_history(|h, c| {
        h.beats(c, (1..=10).map(|n| n * 500));
    });
    assert!(note(&twice).contains("2 times as often"), "{}", note(&twice));
    let pairs = beat_history(|h, c| {
        h.beats(c, (1..=5).flat_map(|n| [n * 1_000, n * 1_000 + 3]));
    });
    only(&pairs, "heartbeat");
    let one_client = beat_history(|h, c| {
        h.beats(c, (1..=5).map(|n| n * 1_000).filter(|_| c != 1));
    });
    assert!(note(&one_client).contains("1 client never saw a beat while others did"));
    let stops = beat_history(|h, c| {
        h.beats(c, [1_000, 2_000]);
    });
    assert_eq!(counts(&stops), [12, 6, 0, 0, 6, 0]);
    only(&stops, "heartbeat");
    let late = beat_history(|h, c| {
        h.beats(c, [1_000, 2_200, 3_200, 4_200, 5_040]);
    });
    assert_eq!(counts(&late)[3], 3);
    let stalled = beat_history(|h, c| {
        h.beats(c, [1_000, 2_200, 3_000, 4_000, 5_000]);
        h.lag(2_200, 200);
    });
    assert_eq!(one(&stalled, "heartbeat").outcome, Outcome::Inconclusive, "we stood still when it came");
}

#[test]
fn where_one_timer_beats_for_all_the_first_beat_may_come_at_any_time() {
    let shared = |first: FirstBeat, from: u64| {
        let mut scenario = with_heartbeat(scenario(3, 1));
        scenario.checks.heartbeat.as_mut().expect("asked").first = first;
        let mut history = History::ordinary(scenario);
        history.broadcasts(0, 10);
        for client in 0..3 {
            history.beats(client, (0..5).map(|n| from + n * 1_000));
        }
        history.closes(5_000, 5_050);
        history
    };
    assert_eq!(not_passed(&shared(FirstBeat::Any, 300)), []);
    assert_eq!(only(&shared(FirstBeat::Period, 300), "heartbeat").observed, "12 of 12 beats due in time, 3 early");
    let late = shared(FirstBeat::Any, 1_400);
    assert_eq!(only(&late, "heartbeat").violations, 3, "but not after it");
    // What follows the first is judged as ever.
    let mut skips = shared(FirstBeat::Any, 300);
    skips.events.retain(|event| !matches!(event, Event::Beat { conn: ConnId(1), at } if *at == ms(2_300)));
    assert_eq!(one(&skips, "heartbeat").violations, 2, "one late, one missed");
}

#[test]
fn a_run_shorter_than_the_period_says_so() {
    let mut history = History::ordinary(with_heartbeat(scenario(3, 1)));
    history.broadcasts(0, 10).closes(600, 900);
    let finding = one(&history, "heartbeat");
    assert_eq!(finding.outcome, Outcome::Inconclusive);
    assert!(finding.note.contains("last longer than the heartbeat's period"), "{}", finding.note);
}
