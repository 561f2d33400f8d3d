//! Journals that no run of ours leaves behind: damaged, put together by hand, on files that fail; and the bounds of those that are.

use std::io::{self, BufWriter, Read};

use super::block::{HEAD, Head, Kind, Label, seal};
use super::code::head;
use super::*;
use crate::base::varint::put;
use crate::base::{ConnId, Flaws, Instant, PublisherId, Seq, Span};
use crate::event::{ConnectFailure, Copy, Event, StrayKind};

fn header(shards: u32) -> Header {
    Header { wsbench_version: "0.1.0".into(), scenario: "x".into(), seed: Seed(7), run: RunId(9), shards, facts: serde_json::Value::Null }
}

/// The journal of one shard.
fn journal(events: &[Event<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_header(&mut bytes, &header(1)).expect("memory");
    let mut writer = JournalWriter::new(bytes, 0, 1);
    events.iter().for_each(|event| writer.event(event));
    let mut bytes = writer.finish(Instant::EPOCH).expect("memory");
    write_trailer(&mut bytes, &Trailer { facts: serde_json::json!({ "cost": 1 }) }).expect("memory");
    bytes
}

/// The events a journal tells, as text (events borrow), and what it misses.
fn told(read: impl Read) -> (Vec<String>, Vec<Missing>) {
    let mut all = Vec::new();
    let ending = JournalReader::open(read).expect("its header").read(|_, event| all.push(format!("{event:?}")));
    (all, ending.missing)
}

fn texts(events: &[Event<'_>]) -> Vec<String> {
    events.iter().map(|event| format!("{event:?}")).collect()
}

/// Where each block begins, and its head.
fn blocks(bytes: &[u8]) -> Vec<(usize, Head)> {
    let mut all = Vec::new();
    let mut at = 0;
    while let Some(head) = bytes[at..].first_chunk() {
        let head = Head::read(head).expect("a whole journal");
        all.push((at, head));
        at += HEAD + head.stored;
    }
    all
}

/// A beat every 600 ms: three to a block.
fn beats(n: u64) -> Vec<Event<'static>> {
    (0..n).map(|n| Event::Beat { conn: ConnId(0), at: Instant::from_nanos(n * 600_000_000) }).collect()
}

fn copy(conn: u32, seq: u32, nanos: u64, flaws: u8) -> Event<'static> {
    let planned = Instant::from_nanos(u64::from(seq) * 1_000);
    Event::Copy(Copy {
        conn: ConnId(conn),
        publisher: PublisherId(0),
        seq: Seq(seq),
        planned,
        sent: planned + Span::from_nanos(30),
        received: Instant::from_nanos(nanos),
        flaws: Flaws(flaws),
    })
}

#[test]
fn copies_come_back_in_whatever_turn_and_with_whatever_flaws() {
    let mut events: Vec<_> = (0..60).map(|n| copy(n / 6, n % 2, u64::from(n), 0)).collect();
    events.extend((0..60).map(|n| copy(n % 7, n % 5, 60 + u64::from(n), 0)));
    // The same copy twice: nothing about the second is new but its flaws.
    events.extend([0, 1, 6, 7, 8, 9, 0x80, 0xff].into_iter().flat_map(|flaws| [copy(3, 9, 200, flaws), copy(3, 9, 200, flaws)]));
    assert_eq!(told(&*journal(&events)), (texts(&events), vec![]));
}

#[test]
fn what_hardly_ever_happens_comes_back_too() {
    let (conn, at) = (ConnId(4), Instant::from_nanos(5));
    let refused = |cause, detail| Event::ConnectFailed { conn, at, cause, detail };
    let events = [
        Event::Compressed { conn, at },
        Event::NoSubprotocol { conn, at },
        refused(ConnectFailure::Proxy, "407"),
        refused(ConnectFailure::BadAccept, ""),
        refused(ConnectFailure::HttpStatus(503), "Ünavailable"),
        Event::Hook { strike: 3, at, took: Span::from_nanos(7), failed: true, detail: "exit 1" },
        Event::Restored { conn, at, strike: 300, blind: true },
        Event::AfterClose { conn, at, publisher: PublisherId(70_000), seq: Seq(2) },
        Event::Stray { conn, at, kind: StrayKind::Unknown, sample: &[0, 255] },
    ];
    assert_eq!(told(&*journal(&events)), (texts(&events), vec![]));
}

#[test]
fn a_block_is_written_when_it_is_full_and_not_before() {
    let beats: Vec<_> = (0..60_000).map(|n| Event::Beat { conn: ConnId(0), at: Instant::from_nanos(n * 1_000) }).collect();
    let sample = vec![7; MAX_TEXT];
    let stray = Event::Stray { conn: ConnId(0), at: Instant::EPOCH, kind: StrayKind::Unexpected, sample: &sample };
    for (events, longest) in [(beats, 16), (vec![stray; 20], MAX_TEXT + 16)] {
        let bytes = journal(&events);
        let raw: Vec<_> = blocks(&bytes).iter().filter(|(_, head)| head.kind == Kind::Events).map(|(_, head)| head.raw).collect();
        let (last, full) = raw.split_last().expect("blocks");
        assert!(full.len() >= 2 && *last < BLOCK + longest, "{raw:?}");
        assert!(full.iter().all(|raw| (BLOCK..BLOCK + longest).contains(raw)), "{raw:?}");
        assert_eq!(told(&*bytes), (texts(&events), vec![]));
    }
}

/// Whatever byte of whatever block's head is damaged, this block is lost, and no other.
#[test]
fn a_damaged_head_costs_its_block_and_no_other() {
    let events = beats(10);
    let bytes = journal(&events);
    let heads = blocks(&bytes);
    for (nth, &(begin, head)) in heads.iter().enumerate().skip(1) {
        for at in begin..begin + HEAD {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            let mut left = texts(&events);
            let mut missing = vec![Missing::Damaged { at: begin as u64, bytes: (HEAD + head.stored) as u64 }];
            if head.kind == Kind::Trailer {
                missing.push(Missing::Trailer);
            } else {
                let first = (nth - 1) * 3;
                left.drain(first..(first + 3).min(events.len()));
                // Nothing comes after the last, but then nobody has said that the shard was done.
                missing.push(match heads[nth + 1].1.kind {
                    Kind::Events => Missing::Blocks { shard: 0, from: head.number, to: head.number + 1 },
                    _ => Missing::Unfinished { shard: 0 },
                });
            }
            assert_eq!(told(&*damaged), (left, missing), "byte {} of block {nth}", at - begin);
        }
    }
}

/// However much stands between two blocks, the second is found: where it begins may fall on the edge of what is read at a time.
#[test]
fn what_stands_between_blocks_is_told_to_the_byte() {
    let events = beats(4);
    let bytes = journal(&events);
    let begin = blocks(&bytes)[2].0;
    let read = 64 << 10;
    for much in [1, 3, 35, 36, 37, 1_000, 3 * read].into_iter().chain(read - 40..read + 8) {
        let mut more = bytes.clone();
        more.splice(begin..begin, vec![b'.'; much]);
        assert_eq!(told(&*more), (texts(&events), vec![Missing::Damaged { at: begin as u64, bytes: much as u64 }]), "{much} bytes");
    }
}

#[test]
fn what_stands_behind_the_last_block_is_damage_unless_a_block_may_begin_there() {
    let events = beats(1);
    let bytes = journal(&events);
    let at = bytes.len() as u64;
    let cut = Missing::Cut { at, error: None };
    for (more, missing) in [
        (&b"rubbish"[..], Missing::Damaged { at, bytes: 7 }),
        (&[0; 36], Missing::Damaged { at, bytes: 36 }),
        (&[b'w'; 500], Missing::Damaged { at, bytes: 500 }),
        (b"w", cut.clone()),
        (b"wsj1 and no more of it", cut.clone()),
        (&bytes[..bytes.len() - 1], Missing::Damaged { at, bytes: blocks(&bytes)[1].0 as u64 }),
    ] {
        let (all, told) = told(&*[&bytes, more].concat());
        assert_eq!((all, told.first()), (texts(&events), Some(&missing)));
    }
}

#[test]
fn a_second_header_is_damage_from_its_beginning_to_its_end() {
    let events = beats(5);
    let mut bytes = journal(&events);
    let mut other = Vec::new();
    write_header(&mut other, &header(3)).expect("memory");
    let begin = blocks(&bytes)[2].0;
    bytes.splice(begin..begin, other.iter().copied());
    assert_eq!(told(&*bytes), (texts(&events), vec![Missing::Damaged { at: begin as u64, bytes: other.len() as u64 }]));
}

/// A journal of one shard with a block of these contents, right in every checksum, before its other events.
fn by_hand(events: u32, contents: &[u8]) -> (Vec<String>, Vec<Missing>) {
    let mut bytes = Vec::new();
    write_header(&mut bytes, &header(1)).expect("memory");
    seal(&mut bytes, Label { kind: Kind::Events, shard: 0, number: 0, events }, contents);
    let whole = journal(&beats(4));
    let second = blocks(&whole)[2].0;
    bytes.extend_from_slice(&whole[second..]);
    told(&*bytes)
}

fn columns(heads: &[u8], times: &[u8], rest: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, heads.len() as u64);
    put(&mut out, times.len() as u64);
    [out.as_slice(), heads, times, rest].concat()
}

#[test]
fn a_block_that_says_more_or_less_than_its_events_makes_no_sense() {
    let rest = texts(&beats(4)[3..]);
    let beat = texts(&beats(1));
    let told_first = [beat.as_slice(), &rest].concat();
    assert_eq!(by_hand(1, &columns(&[head::BEAT], &[0], &[0])), (told_first.clone(), vec![]));
    let senseless = vec![Missing::Senseless { shard: 0, number: 0 }];
    for (events, contents, expected) in [
        (1, columns(&[head::BEAT], &[0, 0], &[0]), &told_first),
        (1, columns(&[head::BEAT], &[0], &[0, 0]), &told_first),
        (2, columns(&[head::BEAT], &[0], &[0]), &told_first),
        (0, columns(&[head::BEAT], &[0], &[0]), &told_first),
        (1, columns(&[head::BEAT], &[], &[0]), &rest),
        (1, columns(&[head::BEAT], &[0], &[]), &rest),
        // Flaws belong to a copy, and must be followed by one.
        (1, columns(&[head::FLAWS, head::BEAT], &[0], &[9, 0]), &rest),
        (1, columns(&[head::FLAWS, head::FLAWS], &[0], &[9, 9]), &rest),
        (1, columns(&[head::FLAWS], &[0], &[9]), &rest),
        (1, columns(&[100], &[0], &[0]), &rest),
        (0, vec![], &rest),
        (0, vec![0], &rest),
        (1, vec![5, 1, 0], &rest),
    ] {
        assert_eq!(by_hand(events, &contents), (expected.clone(), senseless.clone()), "{events} events in {contents:?}");
    }
}

/// A file that is read in pieces of a few bytes, now and then interrupted, and that fails where it ends.
struct Slow<'a> {
    left: &'a [u8],
    interrupted: bool,
    fails: bool,
}

impl Read for Slow<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.interrupted = !self.interrupted;
        if self.interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if self.left.is_empty() && self.fails {
            return Err(io::Error::other("bad sector"));
        }
        let length = out.len().min(7);
        self.left.read(&mut out[..length])
    }
}

#[test]
fn a_file_may_be_read_in_pieces_and_with_interruptions() {
    let events = beats(10);
    let bytes = journal(&events);
    assert_eq!(told(Slow { left: &bytes, interrupted: false, fails: false }), (texts(&events), vec![]));
}

#[test]
fn a_file_that_fails_between_blocks_gives_all_before_it() {
    let events = beats(10);
    let bytes = journal(&events);
    for (nth, &(at, _)) in blocks(&bytes).iter().enumerate().skip(1) {
        let before = texts(&events[..(3 * (nth - 1)).min(events.len())]);
        for interrupted in [false, true] {
            let (all, missing) = told(Slow { left: &bytes[..at], interrupted, fails: true });
            assert_eq!((all, missing.first()), (before.clone(), Some(&Missing::Cut { at: at as u64, error: Some("bad sector".into()) })));
        }
        let at_once = bytes[..at].chain(Slow { left: &[], interrupted: true, fails: true });
        assert_eq!(told(at_once).0, before, "all of it in one piece");
    }
}

#[test]
fn a_journal_of_no_shards_or_of_more_than_there_can_be_is_refused() {
    for (shards, good) in [(0, false), (1, true), (1 << 16, true), ((1 << 16) + 1, false), (u32::MAX, false)] {
        let mut bytes = Vec::new();
        write_header(&mut bytes, &header(shards)).expect("memory");
        let opened = JournalReader::open(&*bytes).map(|reader| reader.header().shards);
        match opened {
            Ok(got) => assert!(good && got == shards, "{shards}"),
            Err(error) => assert!(!good && matches!(error, JournalError::Header), "{shards}: {error}"),
        }
    }
}

#[test]
fn a_header_is_written_only_if_it_can_be_read_again() {
    let frame = serde_json::to_vec(&header(1)).expect("text").len() - 1;
    for (length, fits) in [(MAX_DOCUMENT - 1, true), (MAX_DOCUMENT, true), (MAX_DOCUMENT + 1, false)] {
        let header = Header { scenario: "x".repeat(length - frame), ..header(1) };
        let mut bytes = Vec::new();
        let written = write_header(&mut bytes, &header);
        assert_eq!(written.is_ok(), fits, "{length}: {written:?}");
        match JournalReader::open(&*bytes) {
            Ok(reader) => assert!(fits && *reader.header() == header, "{length}"),
            Err(_) => assert!(!fits && bytes.is_empty(), "{length}: nothing is written of what cannot be read"),
        }
    }
}

#[test]
fn nothing_of_a_finished_journal_waits_in_a_buffer() {
    let mut sink = Shared::new(BufWriter::with_capacity(1 << 20, Vec::new()));
    write_header(&mut sink, &header(1)).expect("memory");
    let writer = JournalWriter::new(sink.clone(), 0, 1);
    writer.finish(Instant::EPOCH).expect("memory");
    let mut file = sink.into_inner().expect("nobody else has it");
    assert_eq!((file.buffer(), blocks(file.get_ref()).len()), (&b""[..], 2));
    write_trailer(&mut file, &Trailer { facts: serde_json::Value::Null }).expect("memory");
    assert_eq!((file.buffer(), blocks(file.get_ref()).len()), (&b""[..], 3));
}
