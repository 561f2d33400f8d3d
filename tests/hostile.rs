//! A server that says anything: ten thousand mutated conversations through the reading path in memory, and hundreds of them
//! through the whole program. No panic, no hang, nothing held beyond its limit, no escape sequence on the terminal.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use wsbench::base::{Instant, PublisherId, Rng, RunId, Seed, Seq};
use wsbench::wire::handshake::{MAX_HEAD, Request, accept};
use wsbench::wire::payload::{self, Recognised};
use wsbench::wire::reader::{Message, Reader};
use wsbench::wire::stamp::Stamp;
use wsbench::wire::violation::check_text;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const LIMIT: u32 = 20_000;

fn pick(rng: &mut Rng, bound: usize) -> usize {
    usize::try_from(rng.below(bound as u64)).expect("an index")
}

fn byte(rng: &mut Rng) -> u8 {
    u8::try_from(rng.below(256)).expect("a byte")
}

/// A frame as a server sends it.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        len @ 0..=125 => out.push(u8::try_from(len).expect("checked")),
        len @ 126..=65_535 => {
            out.push(126);
            out.extend_from_slice(&u16::try_from(len).expect("checked").to_be_bytes());
        }
        len => {
            out.push(127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
    out
}

fn copy(rng: &mut Rng) -> Vec<u8> {
    let stamp = Stamp {
        run: RunId(7),
        publisher: PublisherId(u32::try_from(rng.below(4)).expect("small")),
        seq: Seq(u32::try_from(rng.below(50)).expect("small")),
        planned: Instant::from_nanos(rng.below(1 << 30)),
        sent: Instant::from_nanos(rng.below(1 << 30)),
        padding: u32::try_from(rng.below(600)).expect("small"),
    };
    let mut out = Vec::new();
    payload::write(&mut out, &stamp, true);
    out
}

/// An honest conversation: the handshake, then a few of everything.
fn conversation(rng: &mut Rng, key: &str) -> Vec<u8> {
    let mut out = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\nServer: x\r\n\r\n",
        accept(key)
    )
    .into_bytes();
    for _ in 0..1 + rng.below(12) {
        let copy = copy(rng);
        let half = copy.len() / 2;
        out.extend(match rng.below(9) {
            0 => frame(0x81, b"something"),
            1 => frame(0x89, b"are you there"),
            2 => frame(0x8a, b"wsbp\0\0\0\0"),
            3 => frame(0x81, br#"{"type":1,"message":"ping"}"#),
            4 => [frame(0x01, &copy[..half]), frame(0x89, b""), frame(0x80, &copy[half..])].concat(),
            5 => frame(0x82, &copy),
            6 => frame(0x81, "\u{1b}[2J\u{1b}]0;owned\u{7}\u{202e}<script>alert(1)</script>".as_bytes()),
            7 => frame(0x88, &[&[3, 0xe8][..], b"\x1b[31mbye"].concat()),
            _ => frame(0x81, &copy),
        });
    }
    out
}

/// Bytes changed, taken out, put in, doubled, cut; or none of it.
fn mutate(rng: &mut Rng, mut bytes: Vec<u8>) -> Vec<u8> {
    for _ in 0..rng.below(5) {
        if bytes.is_empty() {
            break;
        }
        let at = pick(rng, bytes.len());
        match rng.below(8) {
            0 => bytes[at] ^= 1 << rng.below(8),
            1 => bytes[at] = byte(rng),
            2 => drop(bytes.remove(at)),
            3 => bytes.insert(at, byte(rng)),
            4 => bytes.truncate(at),
            5 => {
                let piece = bytes[at..(at + 64).min(bytes.len())].to_vec();
                let to = pick(rng, bytes.len());
                bytes.splice(to..to, piece);
            }
            6 => {
                let noise: Vec<u8> = (0..rng.below(40)).map(|_| byte(rng)).collect();
                bytes.splice(at..at, noise);
            }
            // A frame that announces more than it will ever send.
            _ => bytes.splice(at..at, [0x82, 127, 0, 0, 0, byte(rng), byte(rng), byte(rng), byte(rng), byte(rng)]).for_each(drop),
        }
    }
    bytes
}

/// Reads a conversation as a connection does, in pieces; how many messages came.
fn read(rng: &mut Rng, conversation: &[u8]) -> u64 {
    let request = Request { path: "/".into(), host: "h".into(), headers: Vec::new(), subprotocols: Vec::new(), deflate: false };
    let mut head = Vec::new();
    let mut reader = None;
    let mut rest = conversation;
    let mut messages = 0;
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(1 + pick(rng, rest.len()));
        rest = behind;
        let reader = match &mut reader {
            Some(reader) => reader,
            None => {
                head.extend_from_slice(piece);
                match request.judge(KEY, &head) {
                    Ok(None) => {
                        assert!(head.len() < MAX_HEAD);
                        continue;
                    }
                    Ok(Some(accepted)) => {
                        let early = head.split_off(accepted.head);
                        let reader = reader.insert(Reader::new(LIMIT));
                        if !feed(reader, &early, &mut messages) {
                            return messages;
                        }
                        continue;
                    }
                    Err(error) => {
                        assert!(error.to_string().len() < MAX_HEAD + 200);
                        return messages;
                    }
                }
            }
        };
        if !feed(reader, piece, &mut messages) {
            break;
        }
    }
    messages
}

fn feed(reader: &mut Reader, bytes: &[u8], messages: &mut u64) -> bool {
    let fed = reader.feed(bytes, |message| {
        *messages += 1;
        let (bytes, text) = match message {
            Message::Text(bytes) => (bytes, true),
            Message::Binary(bytes) => (bytes, false),
            _ => return Ok(()),
        };
        assert!(bytes.len() <= LIMIT as usize);
        if let Recognised::Copy(stamp, _) = payload::recognise(bytes, text, true, RunId(7)) {
            assert!(stamp.padding <= wsbench::wire::stamp::MAX_PADDING);
        }
        if text { check_text(bytes) } else { Ok(()) }
    });
    assert!(reader.held() <= 4 * LIMIT as usize, "{} bytes are held", reader.held());
    fed.is_ok()
}

#[test]
fn ten_thousand_mutated_conversations_in_memory() {
    let mut messages = 0;
    for n in 0..10_000 {
        let mut rng = Seed(5).nth(n).rng();
        let honest = conversation(&mut rng, KEY);
        let mutated = mutate(&mut rng, honest);
        messages += read(&mut rng, &mutated);
    }
    assert!(messages > 10_000, "most conversations get somewhere, or nothing was tried: {messages}");
}

/// Answers every connection with a mutated conversation of its own.
struct Liar {
    port: u16,
    over: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
    told: Arc<AtomicU64>,
}

impl Liar {
    fn start(seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let (over, told) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (ends, counts) = (over.clone(), told.clone());
        let thread = thread::spawn(move || {
            for (n, stream) in (0..).zip(listener.incoming()) {
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let rng = Seed(seed).nth(n).rng();
                let counts = counts.clone();
                thread::spawn(move || {
                    tell(stream, rng);
                    counts.fetch_add(1, Ordering::Relaxed);
                });
            }
        });
        Self { port, over, thread: Some(thread), told }
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // One more connection, so that the listener looks.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Reads the request; gives its key, empty where there is none, or `None` when the client went away.
fn key_of(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.windows(4).any(|w| w == b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(read) => request.extend_from_slice(&buffer[..read]),
        }
    }
    let text = String::from_utf8_lossy(&request);
    Some(text.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap_or_default().to_owned())
}

/// Reads the request, says its piece, and takes what comes until the client has had enough.
fn tell(mut stream: TcpStream, mut rng: Rng) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
    let Some(key) = key_of(&mut stream) else { return };
    let honest = conversation(&mut rng, &key);
    let mutated = mutate(&mut rng, honest);
    for piece in mutated.chunks(1 + pick(&mut rng, 200)) {
        if stream.write_all(piece).is_err() {
            return;
        }
    }
    // Half of them then wait to be closed, the others just go.
    if rng.below(2) == 0 {
        let mut buffer = [0; 4096];
        while stream.read(&mut buffer).is_ok_and(|read| read > 0) {}
    }
}

#[test]
fn the_program_survives_a_server_that_says_anything() {
    let directory = tempfile::tempdir().expect("a directory");
    let scenario = directory.path().join("hostile.toml");
    let text = "[clients]\ncount = 300\nconnect_rate = \"1000/s\"\nconnect_timeout = \"2s\"\n[publish]\npace = \"20/s\"\n\
                [phases]\nsteady = \"1s\"\ndrain = \"500ms\"\nramp_limit = \"3s\"\n[checks.delivery]\nwithin = \"500ms\"\n\
                [checks.pong]\nprotocol = true\nevery = \"300ms\"\nwithin = \"200ms\"\n";
    std::fs::write(&scenario, text).expect("writable");
    for seed in 0..3 {
        let liar = Liar::start(seed);
        let url = format!("ws://127.0.0.1:{}/", liar.port);
        let child = Command::new(env!("CARGO_BIN_EXE_wsbench"))
            .args(["--color", "never", "run"])
            .arg(&scenario)
            .args(["--url", &url, "--seed", "1", "--threads", "2"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program");
        let output = child.wait_with_output().expect("it ends");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(matches!(output.status.code(), Some(1 | 3 | 4)), "{:?}\n{out}\n{err}", output.status);
        assert!(!err.contains("panicked"), "{err}");
        for text in [&out, &err] {
            let dangerous = text.chars().find(|c| (c.is_control() && *c != '\n') || ('\u{202a}'..='\u{202e}').contains(c));
            assert_eq!(dangerous, None, "{text}");
        }
        assert!(liar.told.load(Ordering::Relaxed) > 100, "the conversations were held");
    }
}

/// What a server that never reads says to everyone who comes: so many of these frames.
fn deaf(frame: &'static [u8], times: usize) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut stream = stream;
                let Some(key) = key_of(&mut stream) else { return };
                let accept = accept(&key);
                let head = format!("HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n");
                if stream.write_all(head.as_bytes()).is_err() {
                    return;
                }
                let many = frame.repeat(1_000);
                for _ in 0..times / 1_000 {
                    if stream.write_all(&many).is_err() {
                        return;
                    }
                }
                // Stays, and does not read.
                thread::park_timeout(Duration::from_secs(60));
            });
        }
    });
    port
}

/// The report of a run of two clients against a server that never reads, and the most memory the program took, in KiB.
fn against_the_deaf(port: u16, replies: &str) -> (serde_json::Value, u64) {
    let directory = tempfile::tempdir().expect("a directory");
    let scenario = directory.path().join("deaf.toml");
    let text = format!(
        "{replies}\n[clients]\ncount = 2\n[publish]\npace = \"5/s\"\n[phases]\nsteady = \"4s\"\ndrain = \"500ms\"\n\
         [checks.delivery]\nwithin = \"400ms\"\n"
    );
    std::fs::write(&scenario, text).expect("writable");
    let mut child = Command::new(env!("CARGO_BIN_EXE_wsbench"))
        .arg("run")
        .arg(&scenario)
        .args(["--url", &format!("ws://127.0.0.1:{port}/"), "--seed", "1", "--threads", "1", "--format", "json", "--quiet"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program");
    let mut stdout = child.stdout.take().expect("piped");
    let reading = thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).map(|_| text)
    });
    let mut most = 0;
    while child.try_wait().expect("waits").is_none() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok());
        most = most.max(peak.unwrap_or(0));
        thread::park_timeout(Duration::from_millis(20));
    }
    let text = reading.join().expect("reads").expect("text");
    (serde_json::from_str(&text).expect("a report"), most)
}

#[test]
fn pings_of_a_server_that_never_reads_do_not_fill_the_memory() {
    // 40 MB of pings for each of two clients, each of which has a pong of its size.
    const PING: [u8; 127] = {
        let mut ping = [b'p'; 127];
        (ping[0], ping[1]) = (0x89, 125);
        ping
    };
    let (report, most) = against_the_deaf(deaf(&PING, 320_000), "");
    assert!(most < 60_000, "{most} KiB");
    assert_eq!(report["summary"]["connections"]["lost"], 0, "{:#}", report["summary"]["connections"]);
}

#[test]
fn answers_that_a_server_never_reads_do_not_fill_the_memory() {
    let reply = format!("reply = [{{ when = \"q\", send = \"{}\" }}]", "a".repeat(300));
    let (report, most) = against_the_deaf(deaf(b"\x81\x01q", 150_000), &reply);
    assert!(most < 60_000, "{most} KiB");
    let survival = report["findings"].as_array().expect("findings").iter().find(|f| f["check"] == "survival").expect("judged");
    assert!(survival["witnesses"][0]["what"].as_str().expect("told").contains("does not read"), "{survival:#}");
}
