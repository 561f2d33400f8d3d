//! Frames as a server may send and cut them: what is handed out, what is refused, what is held back.

use proptest::prelude::*;

use super::*;

#[test]
fn each_violation_closes_with_its_code() {
    assert_eq!([Violation::NotUtf8, Violation::Deflate, Violation::TooBig(1)].map(Violation::code), [1007, 1007, 1009]);
    for violation in [Violation::Fragments, Violation::Length, Violation::Control, Violation::Close] {
        assert_eq!(violation.code(), 1002);
    }
}

#[test]
fn a_frame_as_large_as_the_limit_is_taken_and_one_larger_is_not() {
    let frame = |len: usize| [&[0x82, u8::try_from(len).expect("short")][..], &vec![7; len]].concat();
    assert_eq!(read(&[&frame(100)], 100), [Seen::Binary(vec![7; 100])]);
    assert_eq!(read(&[&frame(101)], 100), [Seen::Broken(Violation::TooBig(100))]);
    let long = |len: u16| [&[0x82, 126][..], &len.to_be_bytes(), &vec![7; usize::from(len)]].concat();
    assert_eq!(read(&[&long(300)], 300), [Seen::Binary(vec![7; 300])]);
    assert_eq!(read(&[&long(301)], 300), [Seen::Broken(Violation::TooBig(300))]);
    let halves = |second| [vec![0x02, 60], vec![7; 60], vec![0x80, second], vec![7; usize::from(second)]].concat();
    assert_eq!(read(&[&halves(40)], 100), [Seen::Binary(vec![7; 100])]);
    assert_eq!(read(&[&halves(41)], 100), [Seen::Broken(Violation::TooBig(100))]);
}

#[test]
fn the_shortest_frame_of_each_form_and_the_longest_control_frame_are_taken() {
    let ping = frame(0x89, &[b'p'; 125]);
    assert_eq!(read(&[&ping], 1000), [Seen::Ping(vec![b'p'; 125])], "RFC 6455 5.5");
    let large = frame(0x82, &[7; 65_536]);
    assert_eq!((large.len(), read(&[&large], 1 << 20)), (65_546, vec![Seen::Binary(vec![7; 65_536])]), "RFC 6455 5.2");
    let halves = [frame(0x02, &[7; 126]), frame(0x80, b"")].concat();
    assert_eq!(read(&[&halves], 1000), [Seen::Binary(vec![7; 126])]);
}

#[test]
fn a_frame_cut_in_its_header_takes_nothing_of_the_next() {
    let (ping, text) = (frame(0x89, b""), frame(0x81, b"x"));
    let bytes = [ping.as_slice(), &text, &ping, &text].concat();
    for cut in 0..=bytes.len() {
        let all = [Seen::Ping(vec![]), Seen::Text(b"x".to_vec()), Seen::Ping(vec![]), Seen::Text(b"x".to_vec())];
        assert_eq!(read(&[&bytes[..cut], &bytes[cut..]], 1000), all, "cut at {cut}");
    }
}

#[test]
fn a_header_that_comes_byte_by_byte_is_as_long_as_its_form() {
    assert_eq!(header_len(&[]), 2);
    for (second, len) in [(0, 2), (125, 2), (126, 4), (127, 10), (0x80 | 126, 4), (0x80 | 127, 10)] {
        assert_eq!(header_len(&[0x82, second]), len);
    }
}

/// What was handed out, owned.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Deflated(bool, Vec<u8>),
    Close(Option<u16>, Vec<u8>),
    Broken(Violation),
}

fn read(pieces: &[&[u8]], limit: u32) -> Vec<Seen> {
    read_with(Reader::new(limit), pieces)
}

fn read_with(mut reader: Reader, pieces: &[&[u8]]) -> Vec<Seen> {
    let mut seen = Vec::new();
    for piece in pieces {
        let result = reader.feed(piece, |message| {
            seen.push(match message {
                Message::Text(b) => Seen::Text(b.to_vec()),
                Message::Binary(b) => Seen::Binary(b.to_vec()),
                Message::Ping(b) => Seen::Ping(b.to_vec()),
                Message::Pong(b) => Seen::Pong(b.to_vec()),
                Message::Deflated { text, payload } => Seen::Deflated(text, payload.to_vec()),
                Message::Close(code, b) => Seen::Close(code, b.to_vec()),
            });
            Ok(())
        });
        if let Err(violation) = result {
            seen.push(Seen::Broken(violation));
            break;
        }
    }
    seen
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        n @ 0..=125 => out.push(n as u8),
        n @ 126..=65535 => {
            out.push(126);
            out.extend_from_slice(&(n as u16).to_be_bytes());
        }
        n => {
            out.push(127);
            out.extend_from_slice(&(n as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
    out
}

#[test]
fn fragments_with_a_ping_between_them() {
    let bytes = [frame(0x01, b"Hel"), frame(0x89, b"?"), frame(0x80, b"lo"), frame(0x82, &[0xff])].concat();
    assert_eq!(read(&[&bytes], 1000), [Seen::Ping(b"?".to_vec()), Seen::Text(b"Hello".to_vec()), Seen::Binary(vec![0xff])]);
}

#[test]
fn every_violation_is_named() {
    let long = |first: u8, form: u8, len: u64| {
        let mut out = vec![first, form];
        if form == 126 {
            out.extend_from_slice(&(len as u16).to_be_bytes())
        } else {
            out.extend_from_slice(&len.to_be_bytes())
        }
        out
    };
    for (bytes, violation) in [
        (frame(0xc1, b"x"), Violation::ReservedBit),
        (frame(0x83, b""), Violation::ReservedOpcode(3)),
        (vec![0x81, 0x81, 0, 0, 0, 0, b'x'], Violation::Masked),
        ([long(0x82, 126, 125), vec![7; 125]].concat(), Violation::Length),
        (long(0x82, 126, 125), Violation::Length),
        (long(0x82, 127, 65535), Violation::Length),
        (long(0x82, 127, 1 << 63), Violation::Length),
        (frame(0x09, b""), Violation::Control),
        (long(0x89, 126, 126), Violation::Control),
        (frame(0x80, b""), Violation::Fragments),
        ([frame(0x01, b"a"), frame(0x81, b"b")].concat(), Violation::Fragments),
        (frame(0x88, b"x"), Violation::Close),
        (frame(0x88, &1005_u16.to_be_bytes()), Violation::Close),
        (frame(0x88, &[3, 0xe8, 0xff]), Violation::NotUtf8),
        (long(0x82, 127, 1 << 40), Violation::TooBig(70_000)),
        (frame(0x82, &[0; 70_001]), Violation::TooBig(70_000)),
        ([frame(0x02, &[0; 60_000]), frame(0x80, &[0; 10_001])].concat(), Violation::TooBig(70_000)),
    ] {
        assert_eq!(read(&[&bytes], 70_000).last(), Some(&Seen::Broken(violation)), "{:?}…", &bytes[..bytes.len().min(12)]);
    }
    assert!(check_text("日本".as_bytes()).is_ok());
    assert_eq!(check_text(&[0xc3]), Err(Violation::NotUtf8));
}

#[test]
fn compressed_messages_are_known_where_compression_was_agreed() {
    let bytes = [frame(0xc1, b"z"), frame(0x42, b"a"), frame(0x89, b""), frame(0x80, b"b"), frame(0x81, b"plain")].concat();
    let deflated =
        [Seen::Deflated(true, b"z".to_vec()), Seen::Ping(vec![]), Seen::Deflated(false, b"ab".to_vec()), Seen::Text(b"plain".to_vec())];
    assert_eq!(read_with(Reader::with_deflate(1000), &[&bytes]), deflated);
    for bad in [frame(0xc9, b""), [frame(0x41, b"a"), frame(0xc0, b"b")].concat(), frame(0xa1, b""), frame(0xd1, b"")] {
        let seen = read_with(Reader::with_deflate(1000), &[&bad]);
        assert_eq!(seen.last(), Some(&Seen::Broken(Violation::ReservedBit)), "{bad:?}");
    }
}

#[test]
fn nothing_is_read_behind_a_close() {
    let bytes = [frame(0x88, &[3, 0xe8, b'o', b'k']), frame(0x81, b"late")].concat();
    assert_eq!(read(&[&bytes], 1000), [Seen::Close(Some(1000), b"ok".to_vec())]);
    assert_eq!(read(&[&frame(0x88, b"")], 1000), [Seen::Close(None, vec![])]);
    let mut reader = Reader::new(1000);
    for (fed, behind) in [(&bytes[..4], 0), (&bytes[4..8], 2), (&bytes[8..], bytes.len() - 8)] {
        reader.feed(fed, |_| Ok(())).expect("what is not read is no violation");
        assert_eq!(reader.behind_close(), behind);
    }
}

#[test]
fn an_idle_reader_holds_nothing() {
    let mut reader = Reader::new(1 << 20);
    let bytes = frame(0x82, &[1; 5000]);
    reader.feed(&bytes[..100], |_| Ok(())).expect("half a frame is no violation");
    assert!(reader.held() >= 100);
    reader.feed(&bytes[100..], |_| Ok(())).expect("the other half");
    assert_eq!(reader.held(), 0);
    reader.feed(&[frame(0x02, &[1; 3000]), vec![0x80]].concat(), |_| Ok(())).expect("half a message and half a header");
    assert!((3001..5000).contains(&reader.held()), "{}", reader.held());
    reader.feed(&frame(0x80, b"!")[1..], |_| Ok(())).expect("the rest of it");
    assert_eq!(reader.held(), 0);
    assert!(size_of::<Reader>() <= 48);
}

proptest! {
    /// Any way of cutting a stream into reads gives the same messages.
    #[test]
    fn any_split_gives_the_same(
        frames in proptest::collection::vec((prop_oneof![Just(0x81_u8), Just(0x82), Just(0x01), Just(0x80), Just(0x00), Just(0x89), Just(0x8a), Just(0x88)], proptest::collection::vec(any::<u8>(), 0..300)), 0..12),
        noise in proptest::collection::vec(any::<u8>(), 0..6),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut bytes: Vec<u8> = frames.iter().flat_map(|(first, payload)| {
            let payload = if first & 8 != 0 { &payload[..payload.len().min(125)] } else { payload };
            frame(*first, payload)
        }).collect();
        bytes.extend_from_slice(&noise);
        let whole = read(&[&bytes], 2000);
        let mut at: Vec<usize> = cuts.iter().map(|c| c.index(bytes.len() + 1)).collect();
        at.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for cut in at {
            pieces.push(&bytes[from..cut]);
            from = cut;
        }
        pieces.push(&bytes[from..]);
        prop_assert_eq!(&read(&pieces, 2000), &whole);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(&read(&single, 2000), &whole);
    }
}
