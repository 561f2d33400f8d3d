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
mod tests;
