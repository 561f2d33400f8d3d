//! The run second by second, and the instrument's own condition in it.

use super::super::history::{History, feeding, ms, scenario};
use crate::base::{ConnId, Flaws, Span};
use crate::event::{ClosedBy, Event, Phase, PingLevel, StrayKind};
use crate::scenario::model::{Beat, FirstBeat, HeartbeatCheck, Matcher, PongCheck};

/// Three clients: copies come in the second second, strange things in the third, signals in the fourth, and in the fifth two go.
fn varied(beat: Beat) -> History {
    let mut scenario = scenario(3, 1);
    let (every, within) = (Span::from_secs(1), Span::from_millis(500));
    scenario.checks.pong = Some(PongCheck { every, within, application: None, protocol: true });
    scenario.checks.heartbeat = Some(HeartbeatCheck { beat, every, first: FirstBeat::Any, tolerance: Span::from_millis(100) });
    let mut history = History::ordinary(scenario);
    let (one, two) = (history.publishes(0, 1_200), history.publishes(0, 1_300));
    history.all_get(0, one, 1_205).gets(0, 0, two, 1_305);
    history.gets(0, 0, two, 2_100).gets_flawed(1, 0, two, 2_200, Flaws::BYTES);
    history.stray(2, 2_300, StrayKind::Unexpected, b"x").stray(2, 2_400, StrayKind::OtherRoom, b"y");
    history.beats(0, [3_100, 3_200]);
    let conn = ConnId(1);
    history.tell(Event::ServerPing { conn, at: ms(3_300) });
    history.tell(Event::PingSent { conn, level: PingLevel::Protocol, nonce: 0, at: ms(3_400) });
    history.tell(Event::Pong { conn, level: PingLevel::Protocol, nonce: Some(0), at: ms(3_440) });
    history.tell(Event::AlienPong { conn, at: ms(3_500), sample: b"z" });
    history.is_lost(1, 4_100, ClosedBy::Network, None).leaves(2, 4_200).closes(6_000, 6_100);
    history
}

#[test]
fn each_event_is_in_the_row_of_its_second() {
    let by_message = Beat::Message(Matcher::Contains("beat".into()).into());
    for (beat, beats, server_pings_beat) in [(by_message, 2, 0), (Beat::ProtocolPing, 3, 1)] {
        for shards in [1, 2, 3] {
            let account = varied(beat.clone()).over(shards);
            let rows = account.rows.as_slice();
            let ends: Vec<_> = rows.iter().map(|row| [row.opened, row.ended, row.lost]).collect();
            assert_eq!(ends[..5], [[3, 0, 0], [0; 3], [0; 3], [0; 3], [0, 2, 1]]);
            let copies: Vec<_> = rows.iter().map(|row| [row.sent, row.copies, row.faults, row.missing]).collect();
            // A copy that comes again is none of those that count; the second publication never reached the third client.
            assert_eq!(copies[..5], [[0; 4], [2, 4, 0, 1], [0, 1, 4, 0], [0; 4], [0; 4]]);
            let signals: Vec<_> = rows.iter().map(|row| [row.beats, row.pongs, row.pong.count(), row.beat.count()]).collect();
            let intervals = u64::from(server_pings_beat == 0);
            assert_eq!(signals[..5], [[0; 4], [0; 4], [0; 4], [beats, 2, 1, intervals], [0; 4]], "over {shards} shards");
            assert_eq!((account.pulse.beats, account.pulse.server_pings), (beats, 1));
        }
    }
}

#[test]
fn the_rows_and_the_progress_of_a_feed_count_its_copies_as_they_come() {
    let mut history = History::ordinary(feeding(3, false));
    for n in 0..20 {
        history.tick(n, n, &[]);
    }
    let (ledgers, _) = history.ledgers(1);
    assert_eq!(ledgers[0].progress().received, 60);
    let account = history.closes(2_950, 4_500).over(2);
    let copies: Vec<_> = account.rows.as_slice().iter().map(|row| row.copies).collect();
    assert_eq!(copies[..3], [0, 30, 30]);
}

#[test]
fn readings_count_while_publishing_lasts_and_cpu_of_the_steady_state_until_the_drain() {
    let mut history = History::of(scenario(1, 1));
    history.phase(Phase::Ramp, 0).joins(0, 0).lag(500, 90);
    history.phase(Phase::WarmUp, 1_000).lag(1_200, 2).lag(1_700, 3);
    history.phase(Phase::Steady, 2_000).lag(2_100, 4).lag(3_000, 5).lag(4_800, 6);
    history.phase(Phase::Drain, 5_000).lag(5_500, 7).phase(Phase::Close, 6_000).lag(6_500, 80);
    let health = history.account().health;
    assert_eq!((health.loop_lag.count(), health.loop_lag.max()), (6, Span::from_millis(7).as_nanos()), "neither before nor after");
    let cpu = health.shards[&0];
    // A tenth of the time is worked.
    assert_eq!(cpu.publishing, Span::from_millis(550 - 120));
    assert_eq!((cpu.steady, cpu.steady_wall), (Span::from_millis(480 - 210), Span::from_millis(4_800 - 2_100)));
    assert!((cpu.busy() - 0.1).abs() < 1e-9);
}
