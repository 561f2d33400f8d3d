//! Every fault, seen from a client: it does what it says, as often as it says, and nothing else.

#[expect(dead_code, reason = "each test file uses its part")]
mod common;

use std::time::Duration;

use common::{Client, Frame, Lines, pass, quiet, request, with_sinks};
use reference_server::fault::{FaultCounts, Kind};
use reference_server::{Fanout, ServerConfig, Sinks};

/// What one client heard, what the server says it did, and the log.
struct Seen {
    frames: Vec<Frame>,
    counts: Vec<(Kind, u64)>,
    log: Vec<String>,
    response: String,
}

impl Seen {
    fn texts(&self) -> Vec<String> {
        self.frames.iter().filter(|frame| frame.first & 0x0F < 8).map(Frame::text).collect()
    }

    fn count(&self, kind: Kind) -> usize {
        self.counts.iter().find(|(counted, _)| *counted == kind).map_or(0, |(_, n)| usize::try_from(*n).unwrap_or(usize::MAX))
    }
}

const MESSAGES: usize = 20;

fn message(n: usize) -> String {
    format!("message {n:02} with some length")
}

fn honest() -> Vec<String> {
    (0..MESSAGES).map(message).collect()
}

/// One publisher (client 0) and one listener (client 1) of a faulty server; what the listener heard.
fn listen(fault: &str, config: ServerConfig) -> Seen {
    let lines = Lines::default();
    let sinks = Sinks { faults: Some(lines.sink()), ..Sinks::default() };
    let config = ServerConfig { faults: vec![fault.parse().unwrap_or_else(|error| panic!("{fault}: {error}"))], ..config };
    let out = std::rc::Rc::new(std::cell::RefCell::new(None));
    let seen = std::rc::Rc::clone(&out);
    with_sinks(config, sinks, |server| async move {
        let mut publisher = Client::connect(&server).await;
        let mut listener = Client::connect(&server).await;
        for n in 0..MESSAGES {
            publisher.say(&message(n)).await;
            pass(50).await;
        }
        let frames = listener.hear_all(Duration::from_secs(2)).await;
        *seen.borrow_mut() = Some((frames, server.faults(), listener.response));
    });
    let (frames, counts, response) = out.take().expect("the test ran");
    Seen { frames, counts, log: lines.all(), response }
}

#[test]
fn an_honest_server_commits_nothing() {
    let seen = listen("drop,rate=0", quiet());
    assert_eq!((seen.texts(), seen.counts.len(), seen.log.len()), (honest(), 0, 0));
}

#[test]
fn lost_copies_are_the_logged_ones() {
    for fault in ["drop,rate=30%,clients=1", "drop,every=3,clients=1", "drop-forever,clients=1,from=500ms", "drop-publication,rate=20%"] {
        let seen = listen(fault, ServerConfig { seed: 5, ..quiet() });
        let lost: Vec<String> = honest().into_iter().filter(|text| !seen.texts().contains(text)).collect();
        assert!(!lost.is_empty() && lost.len() < MESSAGES, "{fault}: {lost:?}");
        assert_eq!(lost.len(), seen.log.len(), "{fault}");
        assert_eq!(lost.len() as u64, seen.counts[0].1, "{fault}");
        for (text, line) in lost.iter().zip(&seen.log) {
            let number: usize = text[8..10].parse().unwrap_or(99);
            assert!(line.contains(&format!("\"publication\":{number},")), "{fault}: {text} in {line}");
        }
    }
}

#[test]
fn copies_change_as_asked() {
    type Expected = fn(Vec<String>) -> Vec<String>;
    let double: Expected = |texts| texts.into_iter().flat_map(|text| [text.clone(), text]).collect();
    let cut: Expected = |texts| texts.into_iter().map(|text| text[..text.len() - 3].to_owned()).collect();
    let swap_pairs: Expected = |texts| texts.chunks(2).flat_map(|pair| [pair[1].clone(), pair[0].clone()]).collect();
    let cross: Expected = |texts| {
        let crossed = |a: &str, b: &str| format!("{}{}", &a[..a.len() / 2], &b[b.len() / 2..]);
        texts.chunks(2).flat_map(|pair| [crossed(&pair[0], &pair[1]), crossed(&pair[1], &pair[0])]).collect()
    };
    let flip: Expected = |texts| texts.into_iter().map(|text| text.replace("length", "lengti")).collect();
    let lines: Expected = |texts| texts.chunks(2).map(|pair| pair.join("\n")).collect();
    let wrap: Expected = |texts| texts.into_iter().map(|text| format!("{{\n  \"data\": \"{text}\"\n}}")).collect();
    let table: &[(&str, Kind, usize, Expected)] = &[
        ("duplicate,clients=1", Kind::Duplicate, 20, double),
        ("truncate=3,clients=1", Kind::Truncate, 20, cut),
        ("flip,clients=1", Kind::Flip, 20, flip),
        ("reorder,clients=1", Kind::Reorder, 10, swap_pairs),
        ("swap,clients=1", Kind::Swap, 20, cross),
        ("batch=2,clients=1", Kind::Batch, 20, lines),
        ("re-serialise,clients=1", Kind::Reserialise, 20, wrap),
        ("opcode,clients=1", Kind::Opcode, 20, |texts| texts),
        ("delay=700ms,clients=1", Kind::Delay, 20, |texts| texts),
        ("delay=10ms..300ms,clients=1", Kind::Delay, 20, |texts| texts),
        ("masked,clients=1", Kind::Masked, 20, |texts| texts),
        ("rsv=4,clients=1", Kind::Rsv, 20, |texts| texts),
        ("dribble,clients=1", Kind::Dribble, 1, |texts| texts),
        ("silent,clients=1", Kind::Silent, 1, |_| Vec::new()),
    ];
    for (fault, kind, times, expected) in table {
        let seen = listen(fault, quiet());
        let mut texts = seen.texts();
        if *kind == Kind::Masked {
            assert!(seen.frames.iter().all(|frame| frame.masked));
            texts = honest();
        }
        assert_eq!(texts, expected(honest()), "{fault}");
        assert_eq!(seen.counts, [(*kind, *times as u64)], "{fault}");
        assert_eq!(seen.log.len(), *times, "{fault}");
        let first = seen.frames.first().map_or(0, |frame| frame.first);
        let octet = match kind {
            Kind::Opcode => 0x82,
            Kind::Rsv => 0xC1,
            Kind::Silent => 0,
            _ => 0x81,
        };
        assert_eq!(first, octet, "{fault}");
    }
}

#[test]
fn fragments_are_odd_and_legal() {
    let seen = listen("fragment=10,clients=1", quiet());
    let firsts: Vec<u8> = seen.frames.iter().take(5).map(|frame| frame.first).collect();
    assert_eq!(firsts, [0x01, 0, 0, 0, 0x80]);
    assert_eq!(seen.texts().concat(), honest().concat());
}

#[test]
fn bad_frames_are_as_bad_as_asked() {
    let seen = listen("bad-utf8,clients=1,every=20", quiet());
    assert_eq!(seen.frames.last().and_then(|frame| frame.payload.last().copied()), Some(0xFF));
    let seen = listen("oversize,clients=1,every=20", quiet());
    assert_eq!(seen.frames[19].text(), "declared 1099511627776");
    let seen = listen("fragmented-control,clients=1,every=20", quiet());
    assert_eq!(seen.frames[19].first, 0x09);
    let seen = listen("reset,clients=1,every=5", quiet());
    assert_eq!(seen.texts(), honest()[..4]);
    assert_eq!(seen.count(Kind::Reset), 1);
}

#[test]
fn strangers_get_copies_only_when_asked() {
    let others = ServerConfig { fanout: Fanout::Echo, ..quiet() };
    assert_eq!(listen("drop,rate=0", others.clone()).texts(), Vec::<String>::new());
    let seen = listen("wrong-room,clients=1,every=4", others);
    assert_eq!((seen.texts().len(), seen.count(Kind::WrongRoom)), (5, 5));
}

#[test]
fn a_late_client_is_sent_the_past() {
    let config = ServerConfig { faults: vec!["replay=2,clients=1".parse().expect("a fault")], ..quiet() };
    with_sinks(config, Sinks::default(), |server| async move {
        let mut publisher = Client::connect(&server).await;
        for text in ["one", "two", "three"] {
            publisher.say(text).await;
        }
        pass(10).await;
        let mut late = Client::connect(&server).await;
        let texts: Vec<String> = late.hear_all(Duration::from_secs(1)).await.iter().map(Frame::text).collect();
        assert_eq!(texts, ["two", "three"]);
        assert_eq!(server.faults(), [(Kind::Replay, 2)]);
    });
}

#[test]
fn a_close_may_not_be_the_last_word() {
    let config = ServerConfig { faults: vec!["after-close".parse().expect("a fault")], ..quiet() };
    with_sinks(config, Sinks::default(), |server| async move {
        let mut client = Client::connect(&server).await;
        client.say("one").await;
        assert_eq!(client.hear().await.map(|frame| frame.text()), Some("one".into()));
        client.send(0x88, &1000u16.to_be_bytes()).await;
        let frames = client.hear_all(Duration::from_secs(1)).await;
        assert_eq!(frames.iter().map(|frame| frame.first).collect::<Vec<_>>(), [0x88, 0x81]);
        assert_eq!(server.faults(), [(Kind::AfterClose, 1)]);
    });
}

/// When a lone client heard its beats, in milliseconds, and what it heard.
type Beats = Vec<(u64, String)>;

/// The beats of some seconds of a faulty server.
fn beats(fault: &str, publish: bool) -> (Beats, FaultCounts) {
    let out = std::rc::Rc::new(std::cell::RefCell::new((Vec::new(), Vec::new())));
    let seen = std::rc::Rc::clone(&out);
    let config = ServerConfig {
        heartbeat: Some(Duration::from_secs(1)),
        faults: vec![fault.parse().unwrap_or_else(|error| panic!("{fault}: {error}"))],
        ..quiet()
    };
    with_sinks(config, Sinks::default(), |server| async move {
        let mut client = Client::connect(&server).await;
        let start = tokio::time::Instant::now();
        let end = start + Duration::from_millis(5500);
        if publish {
            client.say("load").await;
        }
        while let Ok(Some(frame)) = tokio::time::timeout_at(end, client.hear()).await {
            let millis = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
            if frame.text() != "load" {
                seen.borrow_mut().0.push((millis, frame.text()));
            }
        }
        seen.borrow_mut().1 = server.faults();
    });
    out.take()
}

#[test]
fn heartbeats_miss_their_beat_as_asked() {
    let table: &[(&str, bool, &[u64], u64)] = &[
        ("beat-never", false, &[], 5),
        ("beat-never,every=2", false, &[1000, 3000, 5000], 2),
        ("beat-late=200ms", false, &[1200, 2200, 3200, 4200, 5200], 5),
        ("beat-early=200ms", false, &[800, 1800, 2800, 3800, 4800], 5),
        ("beat-drift=10%", false, &[1100, 2300, 3600, 5000], 4),
        ("beat-double=300ms", false, &[1000, 1300, 2000, 2300, 3000, 3300, 4000, 4300, 5000, 5300], 5),
        ("beat-stop=2", false, &[1000, 2000], 3),
        ("beat-starved", false, &[1000, 2000, 3000, 4000, 5000], 0),
        ("beat-starved", true, &[2000, 3000, 4000, 5000], 1),
    ];
    for (fault, publish, expected, committed) in table {
        let (heard, counts) = beats(fault, *publish);
        let times: Vec<u64> = heard.iter().map(|(at, _)| at - at % 10).collect();
        assert_eq!(times, *expected, "{fault}");
        assert_eq!(counts.first().map_or(0, |(_, n)| *n), *committed, "{fault}");
    }
    let (heard, _) = beats("beat-text=tick", false);
    assert!(heard.len() == 5 && heard.iter().all(|(_, text)| text == "tick"), "{heard:?}");
}

#[test]
fn pongs_go_wrong_at_both_levels() {
    type Row = (&'static str, &'static [&'static str], &'static [&'static [u8]], usize);
    let table: &[Row] = &[
        ("pong-none", &[], &[], 0),
        ("pong-wrong", &[r#"{"type":0,"message":"gnop"}"#], &[b"ab`"], 0),
        ("pong-twice", &[r#"{"type":0,"message":"pong"}"#; 2], &[b"aba", b"aba"], 0),
        ("pong-late=300ms", &[r#"{"type":0,"message":"pong"}"#], &[b"aba"], 0),
        ("pong-everyone", &[r#"{"type":0,"message":"pong"}"#], &[b"aba"], 2),
        ("pong-unsolicited=400ms,clients=1,until=10s", &[r#"{"type":0,"message":"pong"}"#], &[b"aba"], 1),
    ];
    for (fault, app, protocol, stranger) in table {
        let config = ServerConfig { faults: vec![fault.parse().unwrap_or_else(|error| panic!("{fault}: {error}"))], ..quiet() };
        with_sinks(config, Sinks::default(), |server| async move {
            let mut asker = Client::connect(&server).await;
            let mut other = Client::connect(&server).await;
            let quiet = Duration::from_millis(390);
            asker.say("ping").await;
            let texts: Vec<String> = asker.hear_all(quiet).await.iter().map(Frame::text).collect();
            assert_eq!(texts, *app, "{fault}");
            asker.send(0x89, b"aba").await;
            let pongs: Vec<Vec<u8>> = asker.hear_all(quiet).await.into_iter().map(|frame| frame.payload).collect();
            assert_eq!(pongs, *protocol, "{fault}");
            let heard = other.hear_all(Duration::from_millis(10)).await.len();
            assert!(heard >= *stranger && (*stranger > 0 || heard == 0), "{fault}: {heard}");
        });
    }
}

#[test]
fn handshakes_go_wrong_as_asked() {
    let response = |fault: &str| listen(&format!("{fault},clients=1"), quiet()).response;
    assert!(response("wrong-accept").contains("101") && !response("wrong-accept").contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert!(!response("no-upgrade-header").contains("Upgrade: websocket"));
    assert!(response("subprotocol=leaked").contains("Sec-WebSocket-Protocol: leaked\r\n"));
    let offered = |fault: &str| {
        let faults = vec![fault.parse().unwrap_or_else(|error| panic!("{fault}: {error}"))];
        let config = ServerConfig { subprotocols: vec!["chat".into()], faults, ..quiet() };
        let out = std::rc::Rc::new(std::cell::RefCell::new((String::new(), Vec::new())));
        let seen = std::rc::Rc::clone(&out);
        with_sinks(config, Sinks::default(), |server| async move {
            let asked = request("/", "Sec-WebSocket-Protocol: chat\r\n");
            let response = Client::ask(&server, asked.as_bytes()).await.map(|client| client.response).unwrap_or_default();
            *seen.borrow_mut() = (response, server.faults());
        });
        out.take()
    };
    assert!(offered("subprotocol-none,clients=1").0.contains("Sec-WebSocket-Protocol: chat\r\n"));
    let (none, committed) = offered("subprotocol-none");
    assert!(none.contains("101") && !none.contains("Sec-WebSocket-Protocol"), "{none}");
    assert_eq!(committed, [(Kind::SubprotocolNone, 1)]);
    assert!(response("refuse=502").starts_with("HTTP/1.1 502"));
    let config = ServerConfig { faults: vec!["slow-handshake=2s".parse().expect("a fault")], ..quiet() };
    with_sinks(config, Sinks::default(), |server| async move {
        let start = tokio::time::Instant::now();
        assert!(Client::ask(&server, request("/", "").as_bytes()).await.is_some());
        assert!(start.elapsed() >= Duration::from_secs(2));
    });
}

#[test]
fn connections_end_as_asked() {
    let seen = listen("close=4999,clients=1,from=500ms", quiet());
    assert_eq!(seen.frames.last().and_then(Frame::code), Some(4999));
    assert_eq!(seen.count(Kind::Close), 1);
    let seen = listen("close-silent,clients=1,from=500ms", quiet());
    assert!(seen.frames.len() < MESSAGES && seen.frames.iter().all(|frame| frame.first == 0x81));
    assert_eq!(seen.count(Kind::CloseSilent), 1);
    let config = ServerConfig { faults: vec!["half-open,clients=0".parse().expect("a fault")], ..quiet() };
    with_sinks(config, Sinks::default(), |server| async move {
        let mut deaf = Client::connect(&server).await;
        let mut other = Client::connect(&server).await;
        pass(10).await;
        deaf.send(0x89, b"anybody?").await;
        other.say("still here").await;
        let frames = deaf.hear_all(Duration::from_secs(60)).await;
        assert_eq!(frames.iter().map(Frame::text).collect::<Vec<_>>(), ["still here"]);
    });
}

#[test]
fn a_stall_holds_everything_and_then_lets_it_go_in_order() {
    let config = ServerConfig { faults: vec!["stall=500ms,from=1s,period=10s".parse().expect("a fault")], ..quiet() };
    with_sinks(config, Sinks::default(), |server| async move {
        let start = tokio::time::Instant::now();
        let mut client = Client::connect(&server).await;
        pass(1100).await;
        for text in ["a", "ping", "b"] {
            client.say(text).await;
        }
        let first = client.hear().await.map(|frame| frame.text());
        assert!((1500..1600).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
        let rest: Vec<String> = client.hear_all(Duration::from_secs(1)).await.iter().map(Frame::text).collect();
        assert_eq!(
            first.as_deref().into_iter().chain(rest.iter().map(String::as_str)).filter(|text| text.len() == 1).collect::<Vec<_>>(),
            ["a", "b"]
        );
        assert_eq!(server.faults(), [(Kind::Stall, 1)]);
    });
}

/// A publisher whose 40 messages of 8 KiB overflow the pipe of a client that does not read; how many of them another client heard by
/// then, how many in the end, and what was written down.
fn beside_a_slow_reader(fault: &str) -> (usize, usize, Vec<String>) {
    let lines = Lines::default();
    let sinks = Sinks { faults: Some(lines.sink()), ..Sinks::default() };
    let config = ServerConfig { faults: vec![fault.parse().unwrap_or_else(|error| panic!("{fault}: {error}"))], ..quiet() };
    let out = std::rc::Rc::new(std::cell::Cell::new((0, 0)));
    let heard = std::rc::Rc::clone(&out);
    with_sinks(config, sinks, |server| async move {
        let mut publisher = Client::connect(&server).await;
        let mut slow = Client::connect(&server).await;
        let mut other = Client::connect(&server).await;
        let mut early = 0;
        for _ in 0..40 {
            publisher.send(0x82, &[7; 8192]).await;
            publisher.hear_all(Duration::from_millis(10)).await;
            early += other.hear_all(Duration::from_millis(10)).await.len();
        }
        let (mut all, mut by_slow) = (early, 0);
        for _ in 0..40 {
            by_slow += slow.hear_all(Duration::from_millis(10)).await.len();
            all += other.hear_all(Duration::from_millis(10)).await.len();
            publisher.hear_all(Duration::from_millis(10)).await;
        }
        assert_eq!(by_slow, 40, "{fault}: the slow one loses nothing");
        heard.set((early, all));
    });
    let (early, all) = out.get();
    (early, all, lines.all())
}

#[test]
fn one_slow_reader_holds_up_everybody_when_asked() {
    let (early, all, log) = beside_a_slow_reader("head-of-line");
    assert!((7..10).contains(&early), "a pipe holds 64 KiB: {early}");
    assert_eq!(all, 40, "what is held up is not lost");
    assert_eq!(log.len(), 40 - early, "every publication held up is written down: {log:?}");
    for line in &log {
        assert!(line.contains("\"fault\":\"head-of-line\",\"client\":1,") && line.contains("\"copies\":2,"), "{line}");
    }
    // Whom it is not for is waited for by nobody, and no longer than asked.
    for fault in ["head-of-line,clients=0+2", "head-of-line,until=1ms"] {
        assert_eq!(beside_a_slow_reader(fault), (40, 40, Vec::new()), "{fault}");
    }
    // The first to wait may only wait at every second number; those behind it keep their order and wait with it.
    let (early, all, _) = beside_a_slow_reader("head-of-line,every=2");
    assert!(early < 11 && all == 40, "{early} of {all}");
}

#[test]
fn a_slow_reader_that_goes_away_holds_up_nobody() {
    let config = ServerConfig { faults: vec!["head-of-line".parse().expect("a fault")], ..quiet() };
    with_sinks(config, Sinks::default(), |server| async move {
        let mut publisher = Client::connect(&server).await;
        let slow = Client::connect(&server).await;
        for _ in 0..20 {
            publisher.send(0x82, &[7; 8192]).await;
            pass(1).await;
        }
        let early = publisher.hear_all(Duration::from_secs(1)).await.len();
        drop(slow);
        assert_eq!(early + publisher.hear_all(Duration::from_secs(1)).await.len(), 20);
        assert!(early < 20);
    });
}

#[test]
fn the_dead_are_kept_late_or_wrongly_told_as_asked() {
    let table: &[(&str, &[u8], Option<u16>, u64)] = &[
        ("drop,rate=0", &[0x89, 0x88], Some(1011), 0),
        ("dead-kept", &[0x89; 9], None, 1),
        ("dead-late=3s", &[0x89, 0x88], Some(1011), 1),
        ("dead-code=1000", &[0x89, 0x88], Some(1000), 1),
        ("dead-code=4999,clients=1", &[0x89, 0x88], Some(1011), 0),
    ];
    for (fault, expected, code, committed) in table {
        let faults = vec![fault.parse().unwrap_or_else(|error| panic!("{fault}: {error}"))];
        let config = ServerConfig { protocol_ping: Some(Duration::from_secs(1)), faults, ..quiet() };
        with_sinks(config, Sinks::default(), |server| async move {
            let start = tokio::time::Instant::now();
            let mut dead = Client::connect(&server).await;
            let mut frames = Vec::new();
            while let Ok(Some(frame)) = tokio::time::timeout_at(start + Duration::from_millis(9_500), dead.hear()).await {
                frames.push(frame);
            }
            assert_eq!(frames.iter().map(|frame| frame.first).collect::<Vec<_>>(), *expected, "{fault}");
            assert_eq!(frames.last().and_then(Frame::code), *code, "{fault}");
            assert_eq!(server.faults().first().map_or(0, |(_, n)| *n), *committed, "{fault}");
            let closed = if fault.starts_with("dead-late") { 5 } else { 2 };
            assert!(code.is_none() || start.elapsed().as_secs() == closed, "{fault}: {:?}", start.elapsed());
        });
    }
}
