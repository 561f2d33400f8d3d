//! What a client's octets must pass before the protocol engine sees them: the rules of single frames (RFC 6455 section
//! 5.2) and permessage-deflate (RFC 7692).
//!
//! The engine assembles messages, checks UTF-8, and answers pings and closes. It takes lengths in a longer form than
//! needed, knows no extensions, and looks at a frame only once all of it is there. So this side judges each header as
//! soon as it is complete, hands the engine a long frame in pieces as they come (bad UTF-8 is then found at once, and
//! memory follows what was received, not what was announced), and hands it compressed messages inflated.
//!
//! Pure: octets in, octets out.

use bytes::{BufMut, BytesMut};

use crate::deflate::Inflater;

/// Octets ready for the engine beyond which no more are made: a small input must not become a large memory.
const AHEAD: usize = 256 * 1024;
/// Longest frame header (RFC 6455 section 5.2).
const MAX_HEADER: usize = 14;

/// A rule broken by a client, and the close code for it (section 7.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// 1002.
    #[error("{0}")]
    Protocol(&'static str),
    /// 1007.
    #[error("{0}")]
    Payload(&'static str),
    /// 1009.
    #[error("{0}")]
    TooBig(&'static str),
}

/// How much a client may send.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Longest frame, bytes as sent.
    pub frame: u64,
    /// Longest message, bytes after decompression.
    pub message: u64,
}

/// A frame whose header has been read.
#[derive(Debug, Clone, Copy)]
struct Current {
    opcode: u8,
    fin: bool,
    key: [u8; 4],
    left: u64,
    compressed: bool,
    begun: bool,
}

/// One client's way in.
pub struct Inlet {
    limits: Limits,
    header: [u8; MAX_HEADER],
    have: usize,
    current: Option<Current>,
    /// Octets of the message so far, as sent.
    message: u64,
    /// Whether the message in progress is compressed.
    compressed: bool,
    /// The opcode of a compressed message of which no piece has been passed on yet.
    opening: u8,
    /// The control frame in progress, unmasked.
    held: Vec<u8>,
    /// Present when permessage-deflate was agreed.
    inflater: Option<Box<Inflater>>,
}

impl Inlet {
    /// A way in with limits; compressed messages are taken where an inflater is given.
    #[must_use]
    pub fn new(limits: Limits, inflater: Option<Inflater>) -> Self {
        Self {
            limits,
            header: [0; MAX_HEADER],
            have: 0,
            current: None,
            message: 0,
            compressed: false,
            opening: 0,
            held: Vec::new(),
            inflater: inflater.map(Box::new),
        }
    }

    /// Takes octets from `input` and appends what the engine may see to `out`; returns how many were taken. Not all
    /// are when `out` has become long: come again once it has been read.
    ///
    /// # Errors
    /// The first rule broken. What was appended before it is valid.
    pub fn feed(&mut self, input: &[u8], out: &mut BytesMut) -> Result<usize, Violation> {
        let mut at = 0;
        while at < input.len() && out.len() < AHEAD {
            at += match self.current {
                None => self.feed_header(&input[at..], out)?,
                Some(current) => self.feed_payload(current, &input[at..], out)?,
            };
        }
        Ok(at)
    }

    /// Collects a header; judges it when it is whole.
    fn feed_header(&mut self, input: &[u8], out: &mut BytesMut) -> Result<usize, Violation> {
        let mut taken = 0;
        loop {
            let need = header_len(&self.header[..self.have])?;
            if self.have == need {
                break;
            }
            let n = (need - self.have).min(input.len() - taken);
            if n == 0 {
                return Ok(taken);
            }
            self.header[self.have..self.have + n].copy_from_slice(&input[taken..taken + n]);
            self.have += n;
            taken += n;
        }
        let current = self.judge()?;
        self.have = 0;
        self.current = Some(current);
        if current.left == 0 {
            self.feed_payload(current, &[], out)?;
        }
        Ok(taken)
    }

    /// The rules that a header alone can break.
    fn judge(&mut self) -> Result<Current, Violation> {
        let header = &self.header[..self.have];
        let (first, form) = (header[0], header[1] & 0x7F);
        let (opcode, fin, rsv) = (first & 0x0F, first & 0x80 != 0, first & 0x70);
        let len = match form {
            126 => u16::from_be_bytes([header[2], header[3]]).into(),
            127 => header[2..10].iter().fold(0u64, |len, octet| len << 8 | u64::from(*octet)),
            short => short.into(),
        };
        let minimal = match form {
            126 => len > 125,
            127 => len > 0xFFFF,
            _ => true,
        };
        if len >> 63 != 0 {
            return Err(Violation::Protocol("length with its highest bit set"));
        }
        if !minimal {
            return Err(Violation::Protocol("length not in its shortest form"));
        }
        if matches!(opcode, 3..=7 | 11..) {
            return Err(Violation::Protocol("reserved opcode"));
        }
        let control = opcode & 0x08 != 0;
        if control && (!fin || len > 125) {
            return Err(Violation::Protocol("control frame fragmented or too long"));
        }
        let may_compress = self.inflater.is_some() && matches!(opcode, 1 | 2);
        if rsv & !(if may_compress { 0x40 } else { 0 }) != 0 {
            return Err(Violation::Protocol("reserved bit set"));
        }
        if !control {
            if opcode != 0 {
                self.message = 0;
                self.compressed = rsv != 0;
                self.opening = opcode;
            }
            self.message = self.message.saturating_add(len);
            if len > self.limits.frame || self.message > self.limits.message {
                return Err(Violation::TooBig("message too big"));
            }
        }
        let key_at = self.have - 4;
        let key = [header[key_at], header[key_at + 1], header[key_at + 2], header[key_at + 3]];
        Ok(Current { opcode, fin, key, left: len, compressed: !control && self.compressed, begun: false })
    }

    /// Passes on payload octets of the frame in progress.
    fn feed_payload(&mut self, mut current: Current, input: &[u8], out: &mut BytesMut) -> Result<usize, Violation> {
        let here = usize::try_from(current.left).unwrap_or(usize::MAX).min(input.len());
        let taken = if current.opcode & 0x08 != 0 {
            self.hold(&mut current.key, &input[..here])
        } else if current.compressed {
            self.inflate(&mut current, &input[..here], out)?
        } else {
            pass_piece(&mut current, &input[..here], out);
            here
        };
        current.left -= taken as u64;
        current.begun |= taken > 0;
        if current.left == 0 {
            self.current = None;
            self.end_frame(current, out)?;
        } else {
            self.current = Some(current);
        }
        Ok(taken)
    }

    /// A control frame goes to the engine whole; its octets wait here until they all are.
    fn hold(&mut self, key: &mut [u8; 4], input: &[u8]) -> usize {
        self.held.extend(input.iter().zip(key.iter().cycle()).map(|(octet, key)| octet ^ key));
        key.rotate_left(input.len() % 4);
        input.len()
    }

    /// Inflates payload octets into unmasked pieces; takes fewer than given when `out` has become long.
    fn inflate(&mut self, current: &mut Current, input: &[u8], out: &mut BytesMut) -> Result<usize, Violation> {
        let Some(inflater) = &mut self.inflater else { return Ok(input.len()) };
        let mut taken = 0;
        let mut clear = [0; 1024];
        while taken < input.len() && out.len() < AHEAD {
            let n = clear.len().min(input.len() - taken);
            for ((octet, key), plain) in input[taken..taken + n].iter().zip(current.key.iter().cycle()).zip(&mut clear) {
                *plain = octet ^ key;
            }
            let consumed = inflater.run(&clear[..n], self.limits.message, |piece| put_piece(out, &mut self.opening, piece))?;
            current.key.rotate_left(consumed % 4);
            taken += consumed;
        }
        Ok(taken)
    }

    /// The frame's last octet has come.
    fn end_frame(&mut self, current: Current, out: &mut BytesMut) -> Result<(), Violation> {
        if current.opcode & 0x08 != 0 {
            put_control(out, current.opcode, &std::mem::take(&mut self.held));
        } else if current.compressed && current.fin {
            if let Some(inflater) = &mut self.inflater {
                inflater.finish(self.limits.message, |piece| put_piece(out, &mut self.opening, piece))?;
            }
            put_header(out, FIN | std::mem::take(&mut self.opening), 0, [0; 4]);
        }
        Ok(())
    }
}

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;

/// How long the header that begins like this is; the octets known so far may still leave it open.
fn header_len(header: &[u8]) -> Result<usize, Violation> {
    let Some(second) = header.get(1) else { return Ok(2) };
    if second & MASKED == 0 {
        return Err(Violation::Protocol("frame not masked"));
    }
    Ok(match second & 0x7F {
        126 => 8,
        127 => MAX_HEADER,
        _ => 6,
    })
}

/// A masked frame's header for the engine.
fn put_header(out: &mut BytesMut, first: u8, len: usize, key: [u8; 4]) {
    out.put_u8(first);
    match len {
        0..=125 => out.put_u8(MASKED | u8::try_from(len).unwrap_or(0)),
        126..=0xFFFF => {
            out.put_u8(MASKED | 126);
            out.put_u16(u16::try_from(len).unwrap_or(0));
        }
        _ => {
            out.put_u8(MASKED | 127);
            out.put_u64(len as u64);
        }
    }
    out.put_slice(&key);
}

/// Passes on a piece of an uncompressed data frame as a frame of its own, still masked.
fn pass_piece(current: &mut Current, piece: &[u8], out: &mut BytesMut) {
    if piece.is_empty() && current.left > 0 {
        return;
    }
    let last = piece.len() as u64 == current.left;
    let first = if last && current.fin { FIN } else { 0 } | if current.begun { 0 } else { current.opcode };
    put_header(out, first, piece.len(), current.key);
    out.put_slice(piece);
    current.key.rotate_left(piece.len() % 4);
}

/// Passes on a piece of an inflated message; the first carries the message's opcode.
fn put_piece(out: &mut BytesMut, opening: &mut u8, piece: &[u8]) {
    put_header(out, std::mem::take(opening), piece.len(), [0; 4]);
    out.put_slice(piece);
}

/// Passes on a control frame. 1014 was registered after the engine's table of close codes was written, and the engine
/// would answer it with 1002; told of 1000 instead, it answers with that.
fn put_control(out: &mut BytesMut, opcode: u8, payload: &[u8]) {
    const CLOSE: u8 = 8;
    put_header(out, FIN | opcode, payload.len(), [0; 4]);
    match payload {
        [high, low, reason @ ..] if opcode == CLOSE && [*high, *low] == 1014u16.to_be_bytes() => {
            out.put_u16(1000);
            out.put_slice(reason);
        }
        _ => out.put_slice(payload),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { frame: 1000, message: 1500 };

    /// Feeds octets in steps and returns what the engine would see, unmasked: first octet and payload of each frame.
    fn fed(inlet: &mut Inlet, input: &[u8], step: usize) -> (Vec<(u8, Vec<u8>)>, Option<Violation>) {
        let mut out = BytesMut::new();
        let mut violation = None;
        'all: for mut chunk in input.chunks(step) {
            while !chunk.is_empty() {
                match inlet.feed(chunk, &mut out) {
                    Ok(taken) => chunk = &chunk[taken..],
                    Err(found) => {
                        violation = Some(found);
                        break 'all;
                    }
                }
            }
        }
        let mut frames = Vec::new();
        let mut rest = &out[..];
        while let [first, second, after @ ..] = rest {
            let (len, after) = match second & 0x7F {
                126 => (usize::from(u16::from_be_bytes([after[0], after[1]])), &after[2..]),
                short => (usize::from(short), after),
            };
            let (key, after) = after.split_at(4);
            let payload = after[..len].iter().zip(key.iter().cycle()).map(|(octet, key)| octet ^ key).collect();
            frames.push((*first, payload));
            rest = &after[len..];
        }
        (frames, violation)
    }

    /// A masked frame with a header as given.
    fn frame(header: &[u8], payload: &[u8]) -> Vec<u8> {
        let key = [9u8, 8, 7, 6];
        let masked = payload.iter().zip(key.iter().cycle()).map(|(octet, key)| octet ^ key);
        header.iter().copied().chain(key).chain(masked).collect()
    }

    #[test]
    fn any_split_gives_the_same_messages() {
        let long = vec![b'x'; 700];
        let input = [
            frame(&[0x81, 0x85], b"Hello"),
            frame(&[0x02, 0x80 | 126, 2, 188], &long),
            frame(&[0x89, 0x83], b"png"),
            frame(&[0x80, 0x80], b""),
            frame(&[0x82, 0x80], b""),
        ]
        .concat();
        for step in [1, 2, 3, 5, 7, 64, 10_000] {
            let (frames, violation) = fed(&mut Inlet::new(LIMITS, None), &input, step);
            assert_eq!(violation, None);
            let mut messages: Vec<(u8, Vec<u8>)> = Vec::new();
            let mut open: Option<(u8, Vec<u8>)> = None;
            for (first, payload) in frames {
                if first & 0x08 != 0 {
                    messages.push((first, payload));
                    continue;
                }
                let message = open.get_or_insert((first & 0x0F, Vec::new()));
                message.1.extend(payload);
                if first & FIN != 0 {
                    messages.extend(open.take());
                }
            }
            let expected = vec![(1, b"Hello".to_vec()), (0x89, b"png".to_vec()), (2, long.clone()), (2, Vec::new())];
            assert_eq!(messages, expected, "steps of {step}");
        }
    }

    #[test]
    fn what_a_header_breaks_is_found_at_the_header() {
        use Violation::{Protocol, TooBig};
        let table: &[(&str, &[u8], Violation)] = &[
            ("unmasked", &[0x81, 0x05], Protocol("frame not masked")),
            ("16-bit length below 126", &[0x81, 0x80 | 126, 0, 125], Protocol("length not in its shortest form")),
            ("64-bit length below 65536", &[0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF], Protocol("length not in its shortest form")),
            ("highest bit", &[0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0], Protocol("length with its highest bit set")),
            ("RSV1", &[0xC1, 0x80], Protocol("reserved bit set")),
            ("RSV2 on a ping", &[0xA9, 0x80], Protocol("reserved bit set")),
            ("opcode 3", &[0x83, 0x80], Protocol("reserved opcode")),
            ("opcode 11", &[0x8B, 0x80], Protocol("reserved opcode")),
            ("fragmented ping", &[0x09, 0x80], Protocol("control frame fragmented or too long")),
            ("long ping", &[0x89, 0xFE, 0, 126], Protocol("control frame fragmented or too long")),
            ("long frame", &[0x82, 0xFE, 3, 233], TooBig("message too big")),
            ("huge frame", &[0x82, 0xFF, 0x7F, 0xFF, 0, 0, 0, 0, 0, 0], TooBig("message too big")),
        ];
        for (name, header, expected) in table {
            let input = [frame(&[0x81, 0x82], b"ok"), frame(header, b"")].concat();
            let (frames, violation) = fed(&mut Inlet::new(LIMITS, None), &input, 1);
            assert_eq!(violation, Some(*expected), "{name}");
            assert_eq!(frames.len(), 2, "{name}: what came before is passed on");
        }
        let fragments = [frame(&[0x02, 0xFE, 3, 232], &[0; 1000]), frame(&[0x00, 0xFE, 1, 245], &[0; 501])].concat();
        let (_, violation) = fed(&mut Inlet::new(LIMITS, None), &fragments, 100);
        assert_eq!(violation, Some(TooBig("message too big")));
    }

    #[test]
    fn compressed_messages_come_out_plain() {
        let hello = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00];
        let input =
            [frame(&[0x41, 0x83], &hello[..3]), frame(&[0x89, 0x80], b""), frame(&[0x80, 0x84], &hello[3..]), frame(&[0x81, 0x82], b"ok")]
                .concat();
        for step in [1, 4, 100] {
            let (frames, violation) = fed(&mut Inlet::new(LIMITS, Some(Inflater::new(false))), &input, step);
            assert_eq!(violation, None);
            let text: Vec<u8> = frames.iter().filter(|(first, _)| first & 8 == 0).flat_map(|(_, payload)| payload.clone()).collect();
            assert_eq!(text, b"Hellook", "steps of {step}");
            assert!(frames.iter().all(|(first, _)| first & 0x70 == 0));
        }
        let continued = [frame(&[0x41, 0x83], &hello[..3]), frame(&[0xC0, 0x84], &hello[3..])].concat();
        let (_, violation) = fed(&mut Inlet::new(LIMITS, Some(Inflater::new(false))), &continued, 100);
        assert_eq!(violation, Some(Violation::Protocol("reserved bit set")));
    }

    #[test]
    fn close_1014_is_told_as_1000() {
        let input = frame(&[0x88, 0x84], &[3, 0xF6, b'o', b'k']);
        let (frames, _) = fed(&mut Inlet::new(LIMITS, None), &input, 1);
        assert_eq!(frames, [(0x88, vec![3, 0xE8, b'o', b'k'])]);
    }
}
