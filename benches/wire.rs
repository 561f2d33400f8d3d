//! Micro-benchmarks of the wire: frame reader, stamp, payload; and the whole road of a copy behind the socket.
//!
//! ```text
//! cargo bench --bench wire
//! ```

#[path = "feed/mod.rs"]
mod feed;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use feed::{Feed, Kind};
use wsbench::base::{Instant, PublisherId, RunId, Seq};
use wsbench::wire::payload;
use wsbench::wire::reader::Reader;
use wsbench::wire::stamp::Stamp;

fn main() {
    divan::main();
}

const STAMP: Stamp = Stamp {
    run: RunId(0x1234_5678),
    publisher: PublisherId(3),
    seq: Seq(99),
    planned: Instant::from_nanos(7_000_000_000),
    sent: Instant::from_nanos(7_000_040_000),
    padding: 64,
};

/// A read's worth of frames with `payload` bytes each.
fn frames(count: usize, payload: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..count {
        match u16::try_from(payload) {
            Ok(short @ 0..=125) => bytes.extend([0x82, short.to_be_bytes()[1]]),
            Ok(middle) => {
                bytes.extend([0x82, 126]);
                bytes.extend(middle.to_be_bytes());
            }
            Err(_) => {
                bytes.extend([0x82, 127]);
                bytes.extend((payload as u64).to_be_bytes());
            }
        }
        bytes.resize(bytes.len() + payload, b'x');
    }
    bytes
}

#[divan::bench(args = [0, 64, 1024, 70_000])]
fn reader_whole_frames(bencher: Bencher<'_, '_>, payload: usize) {
    let count = (64 * 1024 / (payload + 10)).max(1);
    let bytes = frames(count, payload);
    let mut reader = Reader::new(1 << 20);
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        reader.feed(black_box(&bytes), |message| {
            black_box(message);
            Ok(())
        })
    });
}

#[divan::bench]
fn reader_frames_cut_in_two(bencher: Bencher<'_, '_>) {
    let bytes = frames(1, 64);
    let mut reader = Reader::new(1 << 20);
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        let (front, back) = bytes.split_at(black_box(20));
        for piece in [front, back] {
            let fed = reader.feed(black_box(piece), |message| {
                black_box(message);
                Ok(())
            });
            black_box(fed).unwrap_or_else(|violation| panic!("{violation}"));
        }
    });
}

#[divan::bench]
fn stamp_encode() -> [u8; 64] {
    black_box(&STAMP).encode()
}

#[divan::bench]
fn stamp_decode(bencher: Bencher<'_, '_>) {
    let text = STAMP.encode();
    bencher.bench_local(|| Stamp::decode(black_box(&text)));
}

#[divan::bench(args = [0, 64, 960])]
fn payload_recognise(bencher: Bencher<'_, '_>, padding: u32) {
    let mut message = Vec::new();
    payload::write(&mut message, &Stamp { padding, ..STAMP }, true);
    bencher.bench_local(|| payload::recognise(black_box(&message), true, true, STAMP.run));
}

#[divan::bench(args = [(Kind::Plain, 1), (Kind::Plain, 100), (Kind::Furnished, 100), (Kind::Enveloped, 1), (Kind::Enveloped, 100)])]
fn copy_from_octets_to_books(bencher: Bencher<'_, '_>, (kind, frames_a_read): (Kind, u32)) {
    let mut feed = Feed::new(kind);
    bencher.counter(ItemsCount::new(u64::from(feed.clients()) * u64::from(frames_a_read))).bench_local(|| feed.run(1, frames_a_read));
}
