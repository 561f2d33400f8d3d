//! A journal gives back what was written, whatever is cut off it, and notices whatever is changed in it.

use proptest::prelude::*;
use wsbench::base::{ConnId, Flaws, Instant, PublisherId, RunId, Seed, Seq, Span};
use wsbench::event::journal::{
    Header, JournalError, JournalReader, JournalWriter, MAX_TEXT, Missing, Shared, Trailer, write_header, write_trailer,
};
use wsbench::event::{ClosedBy, Closure, ConnectFailure, Copy, DropCause, Event, Health, Mishap, Phase, PingLevel, StrayKind};

fn header(shards: u32) -> Header {
    Header {
        wsbench_version: "0.1.0".into(),
        scenario: "[clients]\ncount = 3\n".into(),
        seed: Seed(7),
        run: RunId(9),
        shards,
        facts: serde_json::json!({ "target": "built in" }),
    }
}

fn trailer() -> Trailer {
    Trailer { facts: serde_json::json!({ "steal_share": 0.123_456_789_012_345_67 }) }
}

/// The journal of these events, each with its shard.
fn journal(shards: u32, events: &[(u32, Event<'_>)]) -> Vec<u8> {
    let mut sink = Shared::new(Vec::new());
    write_header(&mut sink, &header(shards)).expect("memory");
    let mut writers: Vec<_> = (0..shards).map(|shard| JournalWriter::new(sink.clone(), shard, shards)).collect();
    for (shard, event) in events {
        writers[*shard as usize].event(event);
    }
    for writer in writers {
        writer.finish(Instant::from_nanos(99)).expect("memory");
    }
    write_trailer(&mut sink, &trailer()).expect("memory");
    sink.into_inner().expect("nobody else has it")
}

/// What a journal tells: every shard's events as text (events borrow), how many of them before any hole, what is missing.
fn told(bytes: &[u8], shards: usize) -> (Vec<Vec<String>>, Vec<usize>, Vec<Missing>) {
    let mut lists = vec![Vec::new(); shards];
    let mut whole = vec![0; shards];
    let ending = JournalReader::open(bytes).expect("its header").read(|told, event| {
        lists[told.shard as usize].push(format!("{event:?}"));
        whole[told.shard as usize] += usize::from(told.whole);
    });
    (lists, whole, ending.missing)
}

fn texts(shards: usize, events: &[(u32, Event<'_>)]) -> Vec<Vec<String>> {
    let mut lists = vec![Vec::new(); shards];
    for (shard, event) in events {
        lists[*shard as usize].push(format!("{event:?}"));
    }
    lists
}

fn instant() -> impl Strategy<Value = Instant> {
    prop_oneof![60 => 0..900_000_000_u64, 1 => any::<u64>()].prop_map(Instant::from_nanos)
}

fn conn() -> impl Strategy<Value = ConnId> {
    prop_oneof![8 => 0..20_u32, 1 => any::<u32>()].prop_map(ConnId)
}

fn bytes() -> impl Strategy<Value = &'static [u8]> {
    proptest::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| &*bytes.leak())
}

fn text() -> impl Strategy<Value = &'static str> {
    ".{0,20}".prop_map(|text: String| &*text.leak())
}

fn copy() -> impl Strategy<Value = Event<'static>> {
    let small = || prop_oneof![9 => 0..6_u32, 1 => any::<u32>()];
    let planned = prop_oneof![8 => (0..6_u64).prop_map(|n| n * 1000), 1 => any::<u64>()];
    (conn(), small(), small(), planned, 0..3_u64, instant(), prop_oneof![9 => Just(0), 1 => any::<u8>()]).prop_map(
        |(conn, publisher, seq, planned, lag, received, flaws)| {
            Event::Copy(Copy {
                conn,
                publisher: PublisherId(publisher),
                seq: Seq(seq),
                planned: Instant::from_nanos(planned),
                sent: Instant::from_nanos(planned.wrapping_add(lag)),
                received,
                flaws: Flaws(flaws),
            })
        },
    )
}

fn ours() -> impl Strategy<Value = Event<'static>> {
    let level = || prop_oneof![Just(PingLevel::Application), Just(PingLevel::Protocol)];
    let cause = prop_oneof![Just(DropCause::NotOpen), Just(DropCause::BackPressure), Just(DropCause::Ending), Just(DropCause::Disrupted)];
    prop_oneof![
        (any::<u32>(), any::<u32>(), instant(), instant(), any::<u32>()).prop_map(|(publisher, seq, planned, sent, bytes)| Event::Sent {
            publisher: PublisherId(publisher),
            seq: Seq(seq),
            planned,
            sent,
            bytes
        }),
        (any::<u32>(), instant(), instant(), cause).prop_map(|(publisher, planned, at, cause)| Event::Dropped {
            publisher: PublisherId(publisher),
            planned,
            at,
            cause
        }),
        (conn(), level(), any::<u32>(), instant()).prop_map(|(conn, level, nonce, at)| Event::PingSent { conn, level, nonce, at }),
        (conn(), level(), any::<Option<u32>>(), instant()).prop_map(|(conn, level, nonce, at)| Event::Pong { conn, level, nonce, at }),
    ]
}

fn life() -> impl Strategy<Value = Event<'static>> {
    let failure = prop_oneof![
        Just(ConnectFailure::Refused),
        Just(ConnectFailure::Timeout),
        Just(ConnectFailure::Reset),
        Just(ConnectFailure::Dns),
        any::<u16>().prop_map(ConnectFailure::HttpStatus),
        Just(ConnectFailure::BadUpgrade),
        Just(ConnectFailure::BadAccept),
        Just(ConnectFailure::Tls),
        Just(ConnectFailure::LocalLimit),
        Just(ConnectFailure::Proxy),
        Just(ConnectFailure::Io),
    ];
    let by =
        prop_oneof![Just(ClosedBy::Us), Just(ClosedBy::Server), Just(ClosedBy::Network), Just(ClosedBy::Violation), Just(ClosedBy::Script)];
    let closure = (by, any::<Option<u16>>(), any::<bool>()).prop_map(|(by, code, clean)| Closure { by, code, clean });
    prop_oneof![
        (conn(), instant()).prop_map(|(conn, at)| Event::Connecting { conn, at }),
        (conn(), instant(), failure, text()).prop_map(|(conn, at, cause, detail)| Event::ConnectFailed { conn, at, cause, detail }),
        (conn(), instant(), any::<u64>()).prop_map(|(conn, at, span)| Event::Opened { conn, at, handshake: Span::from_nanos(span) }),
        (conn(), instant(), bytes()).prop_map(|(conn, at, text)| Event::Greeting { conn, at, text }),
        (conn(), instant()).prop_map(|(conn, at)| Event::Leaving { conn, at }),
        (conn(), instant()).prop_map(|(conn, at)| Event::Ready { conn, at }),
        (conn(), instant(), text()).prop_map(|(conn, at, detail)| Event::NotReady { conn, at, detail }),
        (conn(), instant(), closure, text()).prop_map(|(conn, at, closure, detail)| Event::Closed { conn, at, closure, detail }),
    ]
}

fn rest() -> impl Strategy<Value = Event<'static>> {
    let phase =
        prop_oneof![Just(Phase::Ramp), Just(Phase::WarmUp), Just(Phase::Steady), Just(Phase::Drain), Just(Phase::Close), Just(Phase::Done)];
    let stray = prop_oneof![
        Just(StrayKind::Unexpected),
        Just(StrayKind::OtherRun),
        Just(StrayKind::OtherRoom),
        Just(StrayKind::Echo),
        Just(StrayKind::Unknown),
        Just(StrayKind::Unreadable)
    ];
    let health = (any::<u64>(), any::<u32>(), any::<u64>(), any::<u32>()).prop_map(|(lag, backlog_bytes, cpu, open)| Health {
        loop_lag: Span::from_nanos(lag),
        backlog_bytes,
        cpu: Span::from_nanos(cpu),
        open,
    });
    prop_oneof![
        (phase, instant()).prop_map(|(phase, at)| Event::Phase { phase, at }),
        (conn(), instant(), stray, bytes()).prop_map(|(conn, at, kind, sample)| Event::Stray { conn, at, kind, sample }),
        (conn(), instant(), bytes()).prop_map(|(conn, at, sample)| Event::AlienPong { conn, at, sample }),
        (conn(), instant()).prop_map(|(conn, at)| Event::Beat { conn, at }),
        (conn(), instant()).prop_map(|(conn, at)| Event::ServerPing { conn, at }),
        (conn(), instant()).prop_map(|(conn, at)| Event::Leaving { conn, at }),
        (conn(), instant(), any::<u32>()).prop_map(|(conn, at, strike)| Event::Disrupted { conn, at, strike }),
        (any::<u32>(), instant(), any::<u64>(), any::<bool>(), text()).prop_map(|(strike, at, took, failed, detail)| Event::Hook {
            strike,
            at,
            took: Span::from_nanos(took),
            failed,
            detail,
        }),
        (conn(), instant(), any::<u32>(), any::<bool>()).prop_map(|(conn, at, strike, blind)| Event::Restored { conn, at, strike, blind }),
        (conn(), instant(), any::<u32>(), any::<u32>()).prop_map(|(conn, at, publisher, seq)| Event::AfterClose {
            conn,
            at,
            publisher: PublisherId(publisher),
            seq: Seq(seq),
        }),
        (conn(), instant()).prop_map(|(conn, at)| Event::NoSubprotocol { conn, at }),
        (conn(), instant()).prop_map(|(conn, at)| Event::Compressed { conn, at }),
        (conn(), instant(), any::<u64>()).prop_map(|(conn, at, key)| Event::Item { conn, at, key }),
        (any::<u32>(), any::<u32>(), instant(), any::<u16>()).prop_map(|(publisher, seq, at, status)| Event::Answered {
            publisher: PublisherId(publisher),
            seq: Seq(seq),
            at,
            status,
            took: Span::from_nanos(seq.into()),
            detail: "no",
        }),
        (instant(), health).prop_map(|(at, reading)| Event::Health { at, reading }),
        (instant(), any::<u64>(), any::<u64>(), any::<i64>()).prop_map(|(at, asleep, still, wall_set_ns)| Event::Mishap {
            at,
            mishap: Mishap { asleep: Span::from_nanos(asleep), stood_still: Span::from_nanos(still), wall_set_ns },
        }),
        (instant(), text()).prop_map(|(at, detail)| Event::Interrupted { at, detail }),
    ]
}

fn events() -> impl Strategy<Value = Vec<(u32, Event<'static>)>> {
    let event = prop_oneof![6 => copy(), 1 => ours(), 1 => life(), 1 => rest()];
    proptest::collection::vec((0..3_u32, event), 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Any events of any shards come back, each shard's in its order, with nothing missing.
    #[test]
    fn any_events_survive(events in events()) {
        let bytes = journal(3, &events);
        let (lists, whole, missing) = told(&bytes, 3);
        prop_assert_eq!(&lists, &texts(3, &events));
        prop_assert_eq!(whole, lists.iter().map(Vec::len).collect::<Vec<_>>());
        prop_assert_eq!(missing, []);
    }

    /// Whatever is cut off the end, what remains is a beginning of every shard's events, and the cut is told.
    #[test]
    fn any_cut_leaves_a_beginning(events in events(), at in any::<prop::sample::Index>()) {
        let mut bytes = journal(3, &events);
        let at = at.index(bytes.len());
        bytes.truncate(at);
        let Ok(reader) = JournalReader::open(&*bytes) else { return Ok(()) };
        drop(reader);
        let (lists, _, missing) = told(&bytes, 3);
        for (got, all) in lists.iter().zip(texts(3, &events)) {
            prop_assert!(all.starts_with(got));
        }
        prop_assert!(missing.contains(&Missing::Trailer));
    }

    /// A changed byte is noticed, and what is told as whole is still a beginning of the truth.
    #[test]
    fn any_changed_byte_is_noticed(events in events(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut bytes = journal(3, &events);
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != to);
        bytes[at] = to;
        match JournalReader::open(&*bytes) {
            Err(JournalError::NotAJournal | JournalError::OtherVersion(_) | JournalError::Header) => {}
            Err(other) => panic!("{other}"),
            Ok(_) => {
                let (lists, whole, missing) = told(&bytes, 3);
                prop_assert!(!missing.is_empty());
                for ((got, whole), all) in lists.iter().zip(whole).zip(texts(3, &events)) {
                    prop_assert!(all.starts_with(&got[..whole]));
                }
            }
        }
    }

    /// Any bytes behind a header are read to their end.
    #[test]
    fn any_rubbish_ends(rubbish in proptest::collection::vec(prop_oneof![Just(b'w'), Just(b's'), Just(b'j'), Just(b'1'), any::<u8>()], 0..200)) {
        let mut bytes = Vec::new();
        write_header(&mut bytes, &header(1)).expect("memory");
        bytes.extend_from_slice(&rubbish);
        let (_, _, missing) = told(&bytes, 1);
        let unfinished = Missing::Unfinished { shard: 0 };
        prop_assert!(missing.contains(&Missing::Trailer) && missing.contains(&unfinished));
    }
}

fn beats(n: u64) -> Vec<(u32, Event<'static>)> {
    (0..n).map(|n| (0, Event::Beat { conn: ConnId(0), at: Instant::from_nanos(n * 600_000_000) })).collect()
}

/// Where each block begins.
fn blocks(bytes: &[u8]) -> Vec<usize> {
    bytes.windows(4).enumerate().filter(|(_, window)| window == b"wsj1").map(|(at, _)| at).collect()
}

#[test]
fn the_facts_come_back() {
    let bytes = journal(2, &[]);
    let reader = JournalReader::open(&*bytes).expect("a header");
    assert_eq!(reader.header(), &header(2));
    let ending = reader.read(|_, event| panic!("{event:?}"));
    assert_eq!(ending.trailer, Some(trailer()));
    assert_eq!(ending.settled, [Some(Instant::from_nanos(99)); 2]);
}

#[test]
fn a_second_of_events_is_a_block() {
    // Every 600 ms: a block is written when it holds a second, so a killed run loses less than that.
    let events = beats(10);
    let bytes = journal(1, &events);
    let begins = blocks(&bytes);
    assert_eq!(begins.len(), 1 + 4 + 1, "header, ⌈10 ÷ 3⌉ blocks, trailer");
    let (lists, _, _) = told(&bytes[..begins[4]], 1);
    assert_eq!(lists[0].len(), 9);
}

#[test]
fn a_lost_block_costs_itself_and_is_named() {
    let events = beats(10);
    let mut bytes = journal(1, &events);
    let begins = blocks(&bytes);
    bytes[begins[2] + 40] ^= 1;
    let (lists, whole, missing) = told(&bytes, 1);
    assert_eq!((lists[0].len(), whole[0]), (7, 3), "three of ten are lost, and only the three before them are whole");
    let damaged = Missing::Damaged { at: begins[2] as u64, bytes: (begins[3] - begins[2]) as u64 };
    assert_eq!(missing, [damaged, Missing::Blocks { shard: 0, from: 1, to: 2 }]);

    let mut twice = journal(1, &events);
    let repeated = twice[begins[1]..begins[2]].to_vec();
    twice.splice(begins[2]..begins[2], repeated);
    let (lists, _, missing) = told(&twice, 1);
    assert_eq!((lists, missing), (texts(1, &events), vec![Missing::Blocks { shard: 0, from: 0, to: 1 }]));
}

#[test]
fn what_is_no_journal_says_so() {
    for (bytes, expected) in [
        (&b""[..], "no journal"),
        (b"{\"schema\": 1}", "no journal"),
        (b"wsj2............................................", "format 2"),
        (b"wsj1", "damaged or cut"),
        (&journal(1, &[])[..50], "damaged or cut"),
    ] {
        let error = JournalReader::open(bytes).expect_err("no journal").to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_text_beyond_the_limit_is_cut_at_a_character() {
    let long = "é".repeat(MAX_TEXT);
    let events = [(0, Event::Interrupted { at: Instant::EPOCH, detail: &format!("x{long}") })];
    let bytes = journal(1, &events);
    let mut lengths = Vec::new();
    let ending = JournalReader::open(&*bytes).expect("a header").read(|_, event| {
        let Event::Interrupted { detail, .. } = event else { panic!("{event:?}") };
        lengths.push(detail.len());
    });
    assert_eq!((lengths, ending.missing), (vec![MAX_TEXT - 1], vec![]));
}

/// A sink that is full after so many bytes, as a disk is.
struct Full(usize);

impl std::io::Write for Full {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0 == 0 {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        Ok(taken)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_ends_the_journal_and_not_the_run() {
    let mut writer = JournalWriter::new(Full(100), 0, 1);
    for (_, event) in beats(100) {
        writer.event(&event);
    }
    assert_eq!(writer.error().map(std::io::Error::kind), Some(std::io::ErrorKind::StorageFull));
    assert!(writer.finish(Instant::EPOCH).is_err());
}

/// A file that can no longer be read from some place on.
struct Broken<'a>(&'a [u8]);

impl std::io::Read for Broken<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        if self.0.is_empty() { Err(std::io::Error::other("bad sector")) } else { self.0.read(out) }
    }
}

#[test]
fn a_file_that_cannot_be_read_on_tells_what_was_read() {
    let events = beats(10);
    let bytes = journal(1, &events);
    let begins = blocks(&bytes);
    let mut seen = 0;
    let ending = JournalReader::open(Broken(&bytes[..begins[3] + 7])).expect("a header").read(|_, _| seen += 1);
    assert_eq!(seen, 6);
    assert_eq!(ending.missing[0], Missing::Cut { at: begins[3] as u64, error: Some("bad sector".into()) });
}
