//! The fuzzers' promises, kept on the committed seeds with every other test. `UPDATE_SEEDS=1` writes the seeds again.

#[path = "../fuzz/targets.rs"]
mod targets;

use std::fs;
use std::path::{Path, PathBuf};

use wsbench::base::{ConnId, Flaws, Instant, PublisherId, RunId, Seed, Seq};
use wsbench::event::journal::{Header, JournalWriter, Trailer, write_header, write_trailer};
use wsbench::event::{Copy, Event, Phase};
use wsbench::wire::payload;
use wsbench::wire::stamp::Stamp;

type Seeds = Vec<(&'static str, Vec<u8>)>;

fn frames() -> Seeds {
    let text = |first: u8, bytes: &[u8]| [&[first, u8::try_from(bytes.len()).expect("short")], bytes].concat();
    let long = |form: u8, len: u64| match form {
        126 => [&[0x82, 126][..], &u16::try_from(len).expect("short").to_be_bytes()].concat(),
        _ => [&[0x82, 127][..], &len.to_be_bytes()].concat(),
    };
    vec![
        ("hello", text(0x81, b"Hello")),
        ("fragments-around-a-ping", [text(0x01, b"Hel"), text(0x89, b"?"), text(0x80, b"lo"), text(0x82, &[0xff])].concat()),
        ("closed", [text(0x88, &[3, 0xe8, b'o', b'k']), text(0x81, b"late")].concat()),
        ("not-utf8", text(0x81, &[0xc3, 0x28])),
        ("cut-character", [text(0x01, &[0xe6, 0x97]), text(0x80, &[0xa5])].concat()),
        ("reserved", text(0xc1, b"x")),
        ("masked", vec![0x81, 0x81, 1, 2, 3, 4, b'x']),
        ("long-form", [long(126, 300), vec![7; 300]].concat()),
        ("not-shortest", [long(126, 3), vec![7; 3]].concat()),
        ("too-big", long(127, 1 << 40)),
        ("endless", long(127, u64::MAX)),
        ("close-code", text(0x88, &1005_u16.to_be_bytes())),
        ("batched", [text(0x81, b"a"), text(0x8a, b""), text(0x81, b"b"), text(0x82, b"")].concat()),
    ]
}

fn payloads() -> Seeds {
    let written = |padding, text| {
        let stamp = Stamp {
            run: RunId(7),
            publisher: PublisherId(3),
            seq: Seq(9),
            planned: Instant::from_nanos(1_000_000_000),
            sent: Instant::from_nanos(1_000_050_000),
            padding,
        };
        let mut out = Vec::new();
        payload::write(&mut out, &stamp, text);
        out
    };
    let mut altered = written(40, true);
    altered[30] ^= 1;
    vec![
        ("text", written(64, true)),
        ("binary", written(64, false)),
        ("bare", written(0, true)),
        ("altered", altered),
        ("cut", written(64, true)[..100].to_vec()),
        ("wrapped", [br#"{"m":""#.as_slice(), &written(10, true), br#""}"#].concat()),
        ("magic", b"wsb1".to_vec()),
        ("zeros", vec![0; 64]),
    ]
}

fn handshakes() -> Seeds {
    let good = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
    vec![
        ("taken", format!("{good}Sec-WebSocket-Protocol: chat\r\n\r\n\u{81}").into_bytes()),
        ("extension", format!("{good}Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n").into_bytes()),
        ("refused", b"HTTP/1.1 503 Busy\r\nRetry-After: 1\r\n\r\n".to_vec()),
        ("other", b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        ("cut", good.as_bytes()[..60].to_vec()),
    ]
}

fn scenarios() -> Seeds {
    let whole = "name = \"x\"\n[target]\nurl = \"wss://a/\"\n[[clients]]\nname = \"a\"\ncount = 3\nconnect_rate = \"10/s\"\n\
                 greeting = { contains = \"hi\", within = \"1s\" }\n[publish]\npublishers = 2\npace = { burst = 3, every = \"1s\" }\n\
                 size = { min = \"64B\", max = \"1KiB\" }\naudience = \"others\"\n[phases]\nwarm_up = \"1s\"\nsteady = \"2s\"\n\
                 [checks.delivery]\nwithin = \"1.5s\"\n[checks.latency]\np99.9 = \"2s\"\n";
    vec![
        ("least", b"[clients]\ncount = 1\n".to_vec()),
        ("whole", whole.as_bytes().to_vec()),
        ("unknown-key", b"[clients]\ncuont = 1\n".to_vec()),
        ("no-toml", b"[clients\ncount = = 1\n\xc3\xa9".to_vec()),
        ("no-unit", b"[clients]\ncount = 1\n[phases]\nsteady = \"5\"\n".to_vec()),
    ]
}

fn journals() -> Seeds {
    let header = Header {
        wsbench_version: "0.1.0".into(),
        scenario: "[clients]\ncount = 2\n".into(),
        seed: Seed(1),
        run: RunId(1),
        shards: 1,
        facts: serde_json::Value::Null,
    };
    let mut out = Vec::new();
    write_header(&mut out, &header).expect("memory");
    let begin = out.len();
    let mut writer = JournalWriter::new(out, 0, 1);
    writer.event(&Event::Phase { phase: Phase::Ramp, at: Instant::EPOCH });
    for n in 0..12 {
        writer.event(&Event::Sent {
            publisher: PublisherId(0),
            seq: Seq(n / 3),
            planned: Instant::from_nanos(u64::from(n) * 900),
            sent: Instant::from_nanos(u64::from(n) * 1000),
            bytes: 64,
        });
        writer.event(&Event::Copy(Copy {
            conn: ConnId(n % 3),
            publisher: PublisherId(0),
            seq: Seq(n / 3),
            planned: Instant::from_nanos(u64::from(n / 3) * 900),
            sent: Instant::from_nanos(u64::from(n / 3) * 1000),
            received: Instant::from_nanos(u64::from(n) * 1000 + 500),
            flaws: Flaws(if n == 7 { 9 } else { 0 }),
        }));
    }
    let mut out = writer.finish(Instant::from_nanos(50_000)).expect("memory");
    let block = out[begin + 36..].to_vec();
    write_trailer(&mut out, &Trailer { facts: serde_json::Value::Null }).expect("memory");
    vec![("whole", out.clone()), ("cut", out[..out.len() / 2].to_vec()), ("contents", block)]
}

fn directory(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target)
}

/// Runs a target on its seeds, made and committed.
fn run(target: &str, of: fn(&[u8]), seeds: &Seeds) {
    let directory = directory(target);
    if std::env::var_os("UPDATE_SEEDS").is_some() {
        fs::create_dir_all(&directory).expect("writable");
        for (name, bytes) in seeds {
            fs::write(directory.join(name), bytes).expect("writable");
        }
    }
    for (_, bytes) in seeds {
        of(bytes);
    }
    let mut committed = 0;
    for entry in fs::read_dir(&directory).expect("the seeds are committed") {
        of(&fs::read(entry.expect("readable").path()).expect("readable"));
        committed += 1;
    }
    assert!(committed >= seeds.len(), "{target}: seeds are missing; write them with UPDATE_SEEDS=1");
}

#[test]
fn frames_on_the_seeds() {
    run("frames", targets::frames, &frames());
}

#[test]
fn payloads_on_the_seeds() {
    run("payload", targets::payload, &payloads());
}

#[test]
fn handshakes_on_the_seeds() {
    run("handshake", targets::handshake, &handshakes());
}

#[test]
fn journals_on_the_seeds() {
    run("journal", targets::journal, &journals());
}

#[test]
fn scenarios_on_the_seeds() {
    run("scenario", targets::scenario, &scenarios());
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    for entry in fs::read_dir(shipped).expect("there") {
        let path = entry.expect("readable").path();
        if path.is_file() {
            targets::scenario(&fs::read(path).expect("readable"));
        }
    }
}

/// Shipped scenarios with pieces taken out, doubled and replaced: what a hand slips into.
#[test]
fn scenarios_that_slipped() {
    const TOKENS: [&str; 14] =
        ["0", "-1", "\"", "[", "]]", "=", "18446744073709551616", "1e999", "\"5\"", "{", "}", "\n", "[clients]\n", "\"1000000h\""];
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut texts: Vec<String> = Vec::new();
    for entry in fs::read_dir(shipped).expect("there") {
        let path = entry.expect("readable").path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            texts.push(fs::read_to_string(path).expect("readable"));
        }
    }
    texts.sort();
    for n in 0..1_500 {
        let mut rng = Seed(3).nth(n).rng();
        let mut pick = |bound: usize| usize::try_from(rng.below(bound as u64)).expect("an index");
        let mut text: Vec<char> = texts[pick(texts.len())].chars().collect();
        for _ in 0..=pick(3) {
            let at = pick(text.len());
            let end = (at + pick(12)).min(text.len());
            match pick(3) {
                0 => drop(text.drain(at..end)),
                1 => drop(text.splice(at..end, TOKENS[pick(TOKENS.len())].chars())),
                _ => {
                    let piece = text[at..end].to_vec();
                    drop(text.splice(at..at, piece));
                }
            }
        }
        targets::scenario(text.into_iter().collect::<String>().as_bytes());
    }
}
