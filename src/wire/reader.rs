//! Octets from a server → messages, whatever pieces they arrive in (RFC 6455 sections 5 and 7.1.7).
//!
//! Made for one shared read buffer and very many connections: whole frames are handed out where they lie in the caller's
//! buffer, only a cut frame or an unfinished message is kept, and a connection with nothing unfinished keeps nothing.

use super::close;
use super::frame::Opcode;
use super::violation::{Violation, check_text};

/// A message or control frame. Text is **not** yet known to be UTF-8: a caller that recognises the bytes some other way need not
/// look twice, every other caller asks [`check_text`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// A text message.
    Text(&'a [u8]),
    /// A binary message.
    Binary(&'a [u8]),
    /// A compressed message (RFC 7692 section 7.2.2), as it came; only from a reader of [`Reader::with_deflate`].
    Deflated {
        /// Text, or binary.
        text: bool,
        /// To be inflated.
        payload: &'a [u8],
    },
    /// To be answered with a pong of the same payload.
    Ping(&'a [u8]),
    /// Answers a ping.
    Pong(&'a [u8]),
    /// The end; nothing behind it is read. The code is one that may be sent, the reason is UTF-8.
    Close(Option<u16>, &'a [u8]),
}

/// The state of reading one connection. Forty-eight bytes when nothing is unfinished.
#[derive(Debug)]
pub struct Reader {
    /// The beginning of a frame whose rest has not come.
    cut: Vec<u8>,
    /// The fragments so far of a message whose last one has not come.
    message: Option<Box<Fragments>>,
    limit: u32,
    /// Of what was fed last, so many bytes stood behind the Close frame; [`OPEN`] while there was none.
    behind: u32,
    /// Whether RSV1 has the meaning of RFC 7692.
    deflate: bool,
}

/// No Close frame yet.
const OPEN: u32 = u32::MAX;

#[derive(Debug)]
struct Fragments {
    text: bool,
    deflated: bool,
    bytes: Vec<u8>,
}

struct Header {
    fin: bool,
    /// RSV1: the message this frame begins is compressed.
    deflated: bool,
    opcode: Opcode,
    /// Bytes of the header itself.
    head: usize,
    payload: usize,
}

impl Reader {
    /// A reader that refuses frames and messages of more than `limit` bytes.
    #[must_use]
    pub const fn new(limit: u32) -> Self {
        Self { cut: Vec::new(), message: None, limit, behind: OPEN, deflate: false }
    }

    /// The same for a connection on which permessage-deflate was agreed. The limit is that of messages as they come, compressed.
    #[must_use]
    pub const fn with_deflate(limit: u32) -> Self {
        Self { cut: Vec::new(), message: None, limit, behind: OPEN, deflate: true }
    }

    /// Bytes held back for unfinished frames and messages.
    #[must_use]
    pub fn held(&self) -> usize {
        self.cut.capacity() + self.message.as_ref().map_or(0, |m| m.bytes.capacity())
    }

    /// How many of the bytes fed last stood behind the Close frame, unread. Nothing may stand there (section 5.5.1).
    #[must_use]
    pub const fn behind_close(&self) -> usize {
        if self.is_closed() { self.behind as usize } else { 0 }
    }

    const fn is_closed(&self) -> bool {
        self.behind != OPEN
    }

    /// Takes what was read and hands every message that is now complete to `on`, in order.
    ///
    /// # Errors
    /// The first violation, whether found here or returned by `on`. The reader is of no use after that.
    #[inline]
    pub fn feed<F>(&mut self, mut bytes: &[u8], mut on: F) -> Result<(), Violation>
    where
        F: FnMut(Message<'_>) -> Result<(), Violation>,
    {
        if !self.cut.is_empty() {
            bytes = self.complete_cut(bytes, &mut on)?;
        }
        loop {
            while let Some((text, payload, rest)) = self.whole(bytes) {
                bytes = rest;
                on(if text { Message::Text(payload) } else { Message::Binary(payload) })?;
            }
            if self.is_closed() {
                break;
            }
            let Some(header) = self.header(bytes)? else { break };
            let Some(payload) = bytes.get(header.head..header.head + header.payload) else { break };
            bytes = &bytes[header.head + header.payload..];
            self.frame(&header, payload, &mut on)?;
        }
        if self.is_closed() {
            self.behind = u32::try_from(bytes.len()).map_or(OPEN - 1, |n| n.min(OPEN - 1));
        } else if !bytes.is_empty() {
            self.cut.extend_from_slice(bytes);
        }
        Ok(())
    }

    /// The frame at the front of `bytes` and what is behind it, where it is a whole message of usual length with nothing to it: what
    /// nearly every frame is. Whatever is wrong or unusual is left to [`Reader::header`].
    #[inline(always)]
    fn whole<'b>(&self, bytes: &'b [u8]) -> Option<(bool, &'b [u8], &'b [u8])> {
        let [first @ (0x81 | 0x82), second, rest @ ..] = bytes else { return None };
        let (len, rest) = match *second {
            short @ ..126 => (usize::from(short), rest),
            126 => {
                let (len, rest) = rest.split_first_chunk()?;
                (usize::from(u16::from_be_bytes(*len)), rest)
            }
            _ => return None,
        };
        if len > self.limit as usize || (*second == 126 && len < 126) || self.message.is_some() || self.is_closed() {
            return None;
        }
        let (payload, rest) = rest.split_at_checked(len)?;
        Some((*first == 0x81, payload, rest))
    }

    /// Feeds `bytes` to the cut frame until it is whole; returns what is left of them.
    #[cold]
    fn complete_cut<'b, F>(&mut self, mut bytes: &'b [u8], on: &mut F) -> Result<&'b [u8], Violation>
    where
        F: FnMut(Message<'_>) -> Result<(), Violation>,
    {
        while !bytes.is_empty() && !self.is_closed() {
            let want = match self.header(&self.cut)? {
                Some(header) => header.head + header.payload,
                None => header_len(&self.cut),
            };
            let take = (want - self.cut.len()).min(bytes.len());
            self.cut.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            if let Some(header) = self.header(&self.cut)?
                && self.cut.len() == header.head + header.payload
            {
                let whole = std::mem::take(&mut self.cut);
                self.frame(&header, &whole[header.head..], on)?;
                break;
            }
        }
        Ok(bytes)
    }

    /// The header at the front of `bytes`, as soon as it is whole, checked for all that can be known from it.
    #[inline]
    fn header(&self, bytes: &[u8]) -> Result<Option<Header>, Violation> {
        let [first, second, ..] = *bytes else { return Ok(None) };
        let reserved = first & 0x70;
        // RSV1 has a meaning on the first frame of a message only (RFC 7692 section 6.1).
        if reserved != 0 && !(self.deflate && reserved == 0x40 && matches!(first & 0x0f, 1 | 2)) {
            return Err(Violation::ReservedBit);
        }
        let deflated = reserved != 0;
        let Some(opcode) = Opcode::from_bits(first & 0x0f) else { return Err(Violation::ReservedOpcode(first & 0x0f)) };
        let fin = first & 0x80 != 0;
        if second & 0x80 != 0 {
            return Err(Violation::Masked);
        }
        if opcode.is_control() && (!fin || second > 125) {
            return Err(Violation::Control);
        }
        if second < 126 && u32::from(second) <= self.limit {
            return Ok(Some(Header { fin, deflated, opcode, head: 2, payload: second as usize }));
        }
        let (head, payload) = match second {
            126 => {
                let Some(len) = bytes.get(2..4) else { return Ok(None) };
                (4, u64::from(u16::from_be_bytes([len[0], len[1]])))
            }
            127 => {
                let Some(len) = bytes.get(2..10).and_then(<[u8]>::first_chunk) else { return Ok(None) };
                (10, u64::from_be_bytes(*len))
            }
            short => (2, u64::from(short)),
        };
        let shortest = if head == 4 {
            126
        } else if head == 10 {
            65536
        } else {
            0
        };
        if payload < shortest || payload >> 63 != 0 {
            return Err(Violation::Length);
        }
        if payload > u64::from(self.limit) {
            return Err(Violation::TooBig(u64::from(self.limit)));
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most the limit, which is 32 bits wide")]
        Ok(Some(Header { fin, deflated, opcode, head, payload: payload as usize }))
    }

    #[inline]
    fn frame<F>(&mut self, header: &Header, payload: &[u8], on: &mut F) -> Result<(), Violation>
    where
        F: FnMut(Message<'_>) -> Result<(), Violation>,
    {
        match header.opcode {
            Opcode::Text | Opcode::Binary if self.message.is_some() => Err(Violation::Fragments),
            Opcode::Text | Opcode::Binary if header.fin && header.deflated => {
                on(Message::Deflated { text: header.opcode == Opcode::Text, payload })
            }
            Opcode::Text if header.fin => on(Message::Text(payload)),
            Opcode::Binary if header.fin => on(Message::Binary(payload)),
            Opcode::Text | Opcode::Binary => {
                let (text, deflated) = (header.opcode == Opcode::Text, header.deflated);
                self.message = Some(Box::new(Fragments { text, deflated, bytes: payload.to_vec() }));
                Ok(())
            }
            Opcode::Continuation => self.continuation(header.fin, payload, on),
            Opcode::Ping => on(Message::Ping(payload)),
            Opcode::Pong => on(Message::Pong(payload)),
            Opcode::Close => {
                self.behind = 0;
                let (code, reason) = close_payload(payload)?;
                on(Message::Close(code, reason))
            }
        }
    }

    fn continuation<F>(&mut self, fin: bool, payload: &[u8], on: &mut F) -> Result<(), Violation>
    where
        F: FnMut(Message<'_>) -> Result<(), Violation>,
    {
        let Some(mut message) = self.message.take() else { return Err(Violation::Fragments) };
        if message.bytes.len() + payload.len() > self.limit as usize {
            return Err(Violation::TooBig(u64::from(self.limit)));
        }
        message.bytes.extend_from_slice(payload);
        if !fin {
            self.message = Some(message);
            return Ok(());
        }
        if message.deflated {
            return on(Message::Deflated { text: message.text, payload: &message.bytes });
        }
        if message.text { on(Message::Text(&message.bytes)) } else { on(Message::Binary(&message.bytes)) }
    }
}

/// How long the header at the front of `cut` will be: two bytes until the length's form is known.
fn header_len(cut: &[u8]) -> usize {
    match cut.get(1).map(|second| second & 0x7f) {
        Some(126) => 4,
        Some(127) => 10,
        _ => 2,
    }
}

fn close_payload(payload: &[u8]) -> Result<(Option<u16>, &[u8]), Violation> {
    match payload {
        [] => Ok((None, payload)),
        [_] => Err(Violation::Close),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            if !close::may_be_sent(code) {
                return Err(Violation::Close);
            }
            check_text(reason)?;
            Ok((Some(code), reason))
        }
    }
}

#[cfg(test)]
mod tests {
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
}
