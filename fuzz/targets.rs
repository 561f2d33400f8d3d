//! What must hold for any bytes at all, one function a parser. Run by the fuzzer, and on the committed seeds by
//! `tests/hostile_corpus.rs` with every other test.

use std::cell::RefCell;
use std::io::{self, Cursor, Read, Write};

use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message as Theirs, WebSocket};
use wsbench::base::{Instant, RunId, STAMP_LEN, Seed};
use wsbench::event::Flaws;
use wsbench::event::journal::{Header, JournalReader, JournalWriter, write_header};
use wsbench::scenario;
use wsbench::wire::handshake::Request;
use wsbench::wire::memo::Memo;
use wsbench::wire::payload::{self, Found, Recognised};
use wsbench::wire::reader::{Message, Reader};
use wsbench::wire::stamp::Stamp;
use wsbench::wire::violation::{Violation, check_text};

/// Largest message in the tests: small, so that limits are reached.
const LIMIT: u32 = 5_000;

/// A message of either reader.
#[derive(Debug, Clone, PartialEq)]
enum Seen {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>),
}

/// Our frame reader against tungstenite's, which is the older one: we never take what it refuses, what both take is the same, and
/// we refuse nothing it takes but what RFC 6455 forbids and it lets pass. Any way of cutting the bytes gives the same.
pub(crate) fn frames(bytes: &[u8]) {
    let (ours, violation) = read_ours([bytes].into_iter());
    let (theirs, broken) = read_theirs(bytes);
    for (at, (our, their)) in ours.iter().zip(&theirs).enumerate() {
        // Code 1014 was registered after tungstenite's list was written; it takes it for a violation, which it does not tell.
        let registered_later = (our, their) == (&Seen::Close(Some(1014)), &Seen::Close(Some(1002)));
        assert!(our == their || registered_later, "message {at}: we read {our:?}, tungstenite {their:?}");
    }
    match broken {
        // It looks at every fragment of a text as it comes, we at the whole: until that has come we give no text.
        Some(Broken::NotUtf8) => assert!(!ours.iter().skip(theirs.len()).any(|seen| matches!(seen, Seen::Text(_)))),
        Some(Broken::Otherwise) => assert!(violation.is_some(), "tungstenite refuses it after {theirs:?}, we do not: {ours:?}"),
        None => {}
    }
    match violation {
        None if broken.is_none() => assert_eq!(ours.len(), theirs.len()),
        None => {}
        // Lengths not in their shortest form, of control frames too, and close codes that may not be sent: tungstenite takes them.
        Some(Violation::Length | Violation::Control | Violation::Close) => {}
        Some(violation) => assert!(theirs.len() <= ours.len(), "we say {violation} and it reads on: {theirs:?}"),
    }
    let size = 1 + bytes.first().map_or(0, |first| usize::from(*first) % 16);
    assert_eq!(read_ours(bytes.chunks(size)), (ours, violation), "in pieces of {size}");
}

fn read_ours<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Seen>, Option<Violation>) {
    let mut reader = Reader::new(LIMIT);
    let mut seen = Vec::new();
    for piece in pieces {
        let fed = reader.feed(piece, |message| {
            if let Message::Text(bytes) = message {
                check_text(bytes)?;
            }
            seen.push(match message {
                Message::Text(bytes) => Seen::Text(bytes.to_vec()),
                Message::Binary(bytes) => Seen::Binary(bytes.to_vec()),
                Message::Deflated { .. } => unreachable!("never agreed to"),
                Message::Ping(bytes) => Seen::Ping(bytes.to_vec()),
                Message::Pong(bytes) => Seen::Pong(bytes.to_vec()),
                Message::Close(code, _) => Seen::Close(code),
            });
            Ok(())
        });
        assert!(reader.held() <= 4 * (LIMIT as usize + 64), "{} bytes are held", reader.held());
        if let Err(violation) = fed {
            return (seen, Some(violation));
        }
    }
    (seen, None)
}

/// A stream that says these bytes and takes any answer.
struct Said<'a>(Cursor<&'a [u8]>);

impl Read for Said<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.0.read(out)
    }
}

impl Write for Said<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How tungstenite found the protocol broken.
#[derive(Debug, Clone, Copy)]
enum Broken {
    NotUtf8,
    Otherwise,
}

/// Tungstenite's messages, and whether it found the protocol broken.
fn read_theirs(bytes: &[u8]) -> (Vec<Seen>, Option<Broken>) {
    let limit = Some(LIMIT as usize);
    let config = WebSocketConfig::default().read_buffer_size(4096).max_message_size(limit).max_frame_size(limit);
    let mut socket = WebSocket::from_raw_socket(Said(Cursor::new(bytes)), Role::Client, Some(config));
    let mut seen = Vec::new();
    loop {
        match socket.read() {
            Ok(Theirs::Text(text)) => seen.push(Seen::Text(text.as_bytes().to_vec())),
            Ok(Theirs::Binary(bytes)) => seen.push(Seen::Binary(bytes.to_vec())),
            Ok(Theirs::Ping(bytes)) => seen.push(Seen::Ping(bytes.to_vec())),
            Ok(Theirs::Pong(bytes)) => seen.push(Seen::Pong(bytes.to_vec())),
            Ok(Theirs::Close(frame)) => {
                seen.push(Seen::Close(frame.map(|frame| frame.code.into())));
                return (seen, None);
            }
            Ok(Theirs::Frame(_)) => {}
            Err(error) => return (seen, broken(&error)),
        }
    }
}

const fn broken(error: &tungstenite::Error) -> Option<Broken> {
    use tungstenite::error::{Error, ProtocolError};
    match error {
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        Error::Utf8(_) => Some(Broken::NotUtf8),
        Error::Protocol(_) | Error::Capacity(_) => Some(Broken::Otherwise),
        _ => None,
    }
}

thread_local! {
    static MEMO: RefCell<Memo> = RefCell::default();
}

/// Any message is a copy, damaged, or nothing; an intact copy is what we would have written.
pub(crate) fn payload(bytes: &[u8]) {
    let run = RunId(7);
    for (text, sent_text) in [(true, true), (false, true), (true, false)] {
        let recognised = payload::recognise(bytes, text, sent_text, run);
        // The short road takes exactly what the long one finds nothing wrong with, whatever it remembers of what came before.
        if text == sent_text {
            let wanted = match recognised {
                Recognised::Copy(stamp, Flaws::NONE) if stamp.run == run => Some(stamp),
                _ => None,
            };
            assert_eq!(MEMO.with_borrow_mut(|memo| payload::intact(memo, bytes, sent_text, run).copied()), wanted);
        }
        copies_inside(bytes, sent_text, run);
        let Recognised::Copy(stamp, flaws) = recognised else { continue };
        if flaws.is_none() && bytes[4..56].iter().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(c)) {
            let mut written = Vec::new();
            payload::write(&mut written, &stamp, sent_text);
            assert_eq!(text, sent_text);
            assert_eq!(written.len(), bytes.len());
            assert_eq!(Stamp::decode(written.first_chunk().expect("a stamp")).map(|read| read.stamp), Some(stamp));
        }
    }
}

/// Wherever in a message intact copies are found, each is a stamp that stands there.
fn copies_inside(bytes: &[u8], sent_text: bool, run: RunId) {
    MEMO.with_borrow_mut(|memo| {
        payload::find(memo, bytes, sent_text, run, |found| {
            let Found::Copy(stamp, Flaws::NONE) = found else { return };
            let stands = bytes.windows(STAMP_LEN).filter_map(|w| Stamp::decode(w.first_chunk()?)).any(|read| read.stamp == *stamp);
            assert!(stands, "{stamp:?} was found and stands nowhere");
        });
    });
}

/// Any answer is judged the same whatever pieces it comes in: once taken or refused, more bytes change nothing.
pub(crate) fn handshake(bytes: &[u8]) {
    let request = Request {
        path: "/".into(),
        host: "example.com".into(),
        headers: Vec::new(),
        subprotocols: vec!["chat".into(), "superchat".into()],
        deflate: true,
    };
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    let whole = request.judge(key, bytes);
    if let Ok(Some(accepted)) = &whole {
        assert!(accepted.head <= bytes.len());
        assert!(accepted.subprotocol.as_ref().is_none_or(|name| request.subprotocols.contains(name)));
    }
    for cut in [bytes.len() / 4, bytes.len() / 2, bytes.len() - bytes.len() / 4] {
        match request.judge(key, &bytes[..cut]) {
            Ok(None) => {}
            Ok(Some(accepted)) => assert_eq!(whole, Ok(Some(accepted)), "taken after {cut} bytes"),
            Err(error) => assert!(whole.is_err(), "refused after {cut} bytes ({error}), taken later"),
        }
    }
}

/// Any text is a scenario or an error that can be shown; a scenario survives being written down.
pub(crate) fn scenario(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match scenario::parse(text, "fuzz.toml") {
        Ok(scenario) => {
            let written = scenario.to_toml();
            let again = scenario::parse(&written, "fuzz.toml").unwrap_or_else(|error| panic!("{written}\n{error}"));
            assert_eq!(again, scenario, "{written}");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Any file is read to its end; any block's contents give events that survive being written and read again.
pub(crate) fn journal(bytes: &[u8]) {
    if let Ok(reader) = JournalReader::open(bytes) {
        let ending = reader.read(|_, _| {});
        drop(ending);
    }
    let first = events(&with_block(bytes));
    let mut writer = JournalWriter::new(head(), 0, 2);
    JournalReader::open(&*with_block(bytes)).expect("our header").read(|_, event| writer.event(&event));
    let again = events(&writer.finish(Instant::EPOCH).expect("memory"));
    assert_eq!(first, again);
}

fn head() -> Vec<u8> {
    let header = Header {
        wsbench_version: String::new(),
        scenario: String::new(),
        seed: Seed(1),
        run: RunId(1),
        shards: 2,
        facts: serde_json::Value::Null,
    };
    let mut out = Vec::new();
    write_header(&mut out, &header).expect("memory");
    out
}

/// A journal with one block of these contents, its checksums right: what a checksum keeps from being tried otherwise.
fn with_block(contents: &[u8]) -> Vec<u8> {
    let contents = &contents[..contents.len().min(60_000)];
    let mut out = head();
    let begin = out.len();
    let length = u32::try_from(contents.len()).expect("short").to_le_bytes();
    out.extend_from_slice(b"wsj1\x01\0\0\0");
    for word in [[0; 4], [0; 4], [0; 4], length, length, crc32fast::hash(contents).to_le_bytes()] {
        out.extend_from_slice(&word);
    }
    let checksum = crc32fast::hash(&out[begin..]).to_le_bytes();
    out.extend_from_slice(&checksum);
    out.extend_from_slice(contents);
    out
}

fn events(journal: &[u8]) -> Vec<String> {
    let mut events = Vec::new();
    JournalReader::open(journal).expect("our header").read(|_, event| events.push(format!("{event:?}")));
    events
}
