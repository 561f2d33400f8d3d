//! permessage-deflate (RFC 7692): what is agreed, and both directions of it.
//!
//! The server always answers `server_no_context_takeover`: a compressed message then depends on nothing but the window,
//! so it is compressed once for all clients that agreed on the same one, and no client costs a compressor. Clients may
//! keep their context. Must never know a frame or a client.

use bytes::Bytes;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::extensions::Offer;
use crate::inlet::Violation;

/// What every compressed message ends with, and what is not sent of it (section 7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];
/// Fast: on repetitive JSON eight times as fast as zlib's usual 6, for a tenth more octets. Level 1 of zlib-rs 0.6.8 (its
/// "quick" one) panics on some texts: do not use it to go faster still.
const LEVEL: u32 = 2;
/// Largest window there is, in bits.
const MAX_BITS: u8 = 15;
/// Smallest window our compressor can make: raw deflate with 8 bits is not to be had from zlib.
const MIN_BITS: u8 = 9;

/// What client and server agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    /// The window our messages are made with, in bits.
    pub server_bits: u8,
    /// Whether each of the client's messages stands alone.
    pub client_stands_alone: bool,
    /// The extension as answered.
    pub response: String,
}

/// Accepts the first offer that can be honoured in full.
#[must_use]
pub fn negotiate(offers: &[Offer<'_>]) -> Option<Agreed> {
    offers.iter().filter(|offer| offer.name.eq_ignore_ascii_case("permessage-deflate")).find_map(accept)
}

/// One offer; a parameter that is unknown, repeated or out of range declines it (section 7.1).
fn accept(offer: &Offer<'_>) -> Option<Agreed> {
    let (mut stands_alone, mut server_bits) = (false, None);
    for (at, (name, value)) in offer.parameters.iter().enumerate() {
        if offer.parameters[..at].iter().any(|(earlier, _)| earlier == name) {
            return None;
        }
        match (*name, value.as_deref()) {
            ("server_no_context_takeover", None) => {}
            ("client_no_context_takeover", None) => stands_alone = true,
            ("server_max_window_bits", Some(bits)) => server_bits = Some(window(bits).filter(|bits| *bits >= MIN_BITS)?),
            // Any window of the client's can be read with ours; to be allowed to limit it obliges us to nothing.
            ("client_max_window_bits", None) => {}
            ("client_max_window_bits", Some(bits)) => drop(window(bits)?),
            _ => return None,
        }
    }
    let mut response = String::from("permessage-deflate; server_no_context_takeover");
    if stands_alone {
        response.push_str("; client_no_context_takeover");
    }
    if let Some(bits) = server_bits {
        response.push_str(&format!("; server_max_window_bits={bits}"));
    }
    Some(Agreed { server_bits: server_bits.unwrap_or(MAX_BITS), client_stands_alone: stands_alone, response })
}

/// A window size: 8 to 15, without leading zeroes (section 7.1.2.1).
fn window(text: &str) -> Option<u8> {
    let bits = text.parse().ok().filter(|bits| (8..=MAX_BITS).contains(bits))?;
    (text.starts_with(|c: char| ('1'..='9').contains(&c))).then_some(bits)
}

/// Compresses messages, each standing alone, for one window.
pub struct Deflater {
    stream: Compress,
}

impl Deflater {
    /// A compressor with a window of `bits`, 9 to 15.
    #[must_use]
    pub fn new(bits: u8) -> Self {
        Self { stream: Compress::new_with_window_bits(Compression::new(LEVEL), false, bits.clamp(MIN_BITS, MAX_BITS)) }
    }

    /// The message compressed, or `None` when that is not shorter: then it goes out as it is.
    pub fn compress(&mut self, payload: &[u8]) -> Option<Bytes> {
        self.stream.reset();
        let mut out = Vec::with_capacity(payload.len() + payload.len() / 8 + 64);
        let mut taken = 0;
        loop {
            let before = (self.stream.total_in(), out.len());
            self.stream.compress_vec(&payload[taken..], &mut out, FlushCompress::Sync).ok()?;
            taken += usize::try_from(self.stream.total_in() - before.0).ok()?;
            // Room left over means that the flush is complete.
            if taken == payload.len() && out.len() < out.capacity() {
                break;
            }
            if out.len() >= payload.len() + 4 {
                return None;
            }
            out.reserve(out.len().max(64));
        }
        let len = out.len().checked_sub(TAIL.len()).filter(|len| out[*len..] == TAIL)?;
        out.truncate(len);
        (out.len() < payload.len()).then(|| out.into())
    }
}

/// Inflates one client's messages.
pub struct Inflater {
    /// Made for the first compressed message, so that a client that sends none costs nothing.
    stream: Option<Decompress>,
    stands_alone: bool,
    produced: u64,
    buffer: Vec<u8>,
}

impl Inflater {
    /// For messages with the largest window, which reads every smaller one; `stands_alone` forgets each message.
    #[must_use]
    pub const fn new(stands_alone: bool) -> Self {
        Self { stream: None, stands_alone, produced: 0, buffer: Vec::new() }
    }

    /// Inflates some octets of a message into `emit`, piece by piece; returns how many were consumed, at least one.
    ///
    /// # Errors
    /// When the stream is no deflate, or the message becomes longer than `limit`.
    pub fn run(&mut self, input: &[u8], limit: u64, mut emit: impl FnMut(&[u8])) -> Result<usize, Violation> {
        const PIECE: usize = 16 * 1024;
        self.buffer.resize(PIECE, 0);
        let stream = self.stream.get_or_insert_with(|| Decompress::new_with_window_bits(false, MAX_BITS));
        let mut consumed = 0;
        loop {
            let (input_before, output_before) = (stream.total_in(), stream.total_out());
            let status = stream
                .decompress(&input[consumed..], &mut self.buffer, FlushDecompress::Sync)
                .map_err(|_| Violation::Payload("invalid compressed data"))?;
            let taken = usize::try_from(stream.total_in() - input_before).unwrap_or(0);
            let made = usize::try_from(stream.total_out() - output_before).unwrap_or(0);
            consumed += taken;
            self.produced += made as u64;
            if self.produced > limit {
                return Err(Violation::TooBig("message too big"));
            }
            if made > 0 {
                emit(&self.buffer[..made]);
            }
            if status == Status::StreamEnd {
                // A final block is allowed, and another stream may follow it (section 7.2.3.4).
                stream.reset(false);
                if consumed == input.len() {
                    return Ok(consumed);
                }
            } else if made < PIECE && (consumed == input.len() || taken == 0) {
                // All is out that can be; what is left of the input, if anything, cannot be read.
                return if consumed == input.len() { Ok(consumed) } else { Err(Violation::Payload("invalid compressed data")) };
            }
        }
    }

    /// Ends a message.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn finish(&mut self, limit: u64, emit: impl FnMut(&[u8])) -> Result<(), Violation> {
        self.run(&TAIL, limit, emit)?;
        self.produced = 0;
        self.buffer = Vec::new();
        if self.stands_alone {
            self.stream = None;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extensions::parse;

    fn answer(offers: &str) -> Option<String> {
        negotiate(&parse(offers)?).map(|agreed| agreed.response)
    }

    #[test]
    fn offers_are_honoured_in_full_or_declined() {
        const PLAIN: &str = "permessage-deflate; server_no_context_takeover";
        let with = |more: &str| Some(format!("{PLAIN}{more}"));
        for (offer, expected) in [
            ("permessage-deflate", with("")),
            ("x-unknown, permessage-deflate", with("")),
            ("permessage-deflate; client_max_window_bits", with("")),
            ("permessage-deflate; client_max_window_bits=10", with("")),
            ("permessage-deflate; server_max_window_bits=9", with("; server_max_window_bits=9")),
            ("permessage-deflate; server_max_window_bits=\"10\"", with("; server_max_window_bits=10")),
            ("permessage-deflate; client_no_context_takeover", with("; client_no_context_takeover")),
            ("permessage-deflate; server_max_window_bits=16, permessage-deflate", with("")),
            ("permessage-deflate; server_max_window_bits=8", None),
            ("permessage-deflate; server_max_window_bits=08", None),
            ("permessage-deflate; server_max_window_bits=+9", None),
            ("permessage-deflate; server_max_window_bits=abc", None),
            ("permessage-deflate; server_max_window_bits", None),
            ("permessage-deflate; client_max_window_bits=7", None),
            ("permessage-deflate; server_no_context_takeover=1", None),
            ("permessage-deflate; unknown", None),
            ("permessage-deflate; server_max_window_bits=10; server_max_window_bits=10", None),
            ("x-unknown", None),
        ] {
            assert_eq!(answer(offer), expected, "{offer}");
        }
    }

    fn inflate(inflater: &mut Inflater, message: &[u8]) -> Result<Vec<u8>, Violation> {
        let mut out = Vec::new();
        if !message.is_empty() {
            inflater.run(message, 1 << 20, |piece| out.extend_from_slice(piece))?;
        }
        inflater.finish(1 << 20, |piece| out.extend_from_slice(piece))?;
        Ok(out)
    }

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        // RFC 7692 section 7.2.3.
        let hello: [(&[u8], &[u8]); 5] = [
            (&[0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00], b"Hello"),
            (&[0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x00], b"Hello"),
            (&[0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00], b"Hello"),
            (&[0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 0x07, 0x00], b"Hello"),
            (&[0x00], b""),
        ];
        for (compressed, plain) in hello {
            assert_eq!(inflate(&mut Inflater::new(false), compressed).as_deref(), Ok(plain), "{compressed:02x?}");
        }
        let mut kept = Inflater::new(false);
        for message in [&[0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00][..], &[0xF2, 0x00, 0x11, 0x00, 0x00]] {
            assert_eq!(inflate(&mut kept, message).as_deref(), Ok(&b"Hello"[..]));
        }
        assert!(inflate(&mut Inflater::new(true), &[0xF2, 0x00, 0x11, 0x00, 0x00]).is_err());
        assert!(inflate(&mut Inflater::new(false), &[0xFF; 8]).is_err());
    }

    #[test]
    fn what_is_compressed_stands_alone_and_fits_its_window() {
        let text: Vec<u8> = (0..2000u32).flat_map(|n| format!("line {} of many, ", n % 97).into_bytes()).collect();
        for bits in 9..=15 {
            let mut deflater = Deflater::new(bits);
            for len in [40, 300, 5000, text.len()] {
                let compressed = deflater.compress(&text[..len]).unwrap_or_default();
                assert!(!compressed.is_empty() && compressed.len() < len, "{len} bytes with {bits} bits");
                let mut reader = Decompress::new_with_window_bits(false, bits);
                let mut out = Vec::with_capacity(len + 1);
                let all = [&compressed[..], &TAIL].concat();
                assert!(reader.decompress_vec(&all, &mut out, FlushDecompress::Sync).is_ok());
                assert_eq!(out, text[..len], "{len} bytes with {bits} bits");
            }
        }
        assert_eq!(Deflater::new(15).compress(b"x"), None);
        assert_eq!(Deflater::new(15).compress(b""), None);
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let bomb = Deflater::new(15).compress(&vec![0; 8 << 20]).unwrap_or_default();
        let mut seen = 0;
        let result = Inflater::new(false).run(&bomb, 1 << 20, |piece| seen += piece.len());
        assert_eq!(result, Err(Violation::TooBig("message too big")));
        assert!(seen <= 1 << 20, "{seen} bytes came out");
    }
}
