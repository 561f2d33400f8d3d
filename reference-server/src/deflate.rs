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
        Self { stream: Compress::new_with_window_bits(Compression::fast(), false, bits.clamp(MIN_BITS, MAX_BITS)) }
    }

    /// The message compressed, or `None` when that is not shorter: then it goes out as it is.
    pub fn compress(&mut self, payload: &[u8]) -> Option<Bytes> {
        self.stream.reset();
        let mut out = Vec::with_capacity(payload.len() + 16);
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
