//! permessage-deflate on load clients (RFC 7692): every client of a shard shares its compressors, since none keeps a context of
//! its own; a server that keeps its context costs each connection a window, one that does not costs none.
//! Must never know what a message means.

use std::cell::RefCell;
use std::rc::Rc;

use crate::wire::deflate::{Agreement, BadStream, Deflater, Inflater};
use crate::wire::frame::{self, Opcode};
use crate::wire::violation::Violation;

/// Windows of 8 to 15 bits.
const WINDOWS: usize = 8;

/// What the connections of a shard share.
#[derive(Debug, Default)]
pub(super) struct Codecs {
    deflaters: RefCell<[Option<Deflater>; WINDOWS]>,
    inflaters: RefCell<[Option<Inflater>; WINDOWS]>,
}

/// The compression of one connection.
#[derive(Debug)]
pub(super) struct Deflating {
    codecs: Rc<Codecs>,
    agreed: Agreement,
    /// The server's context, where it keeps one; made at its first compressed message.
    own: Option<Inflater>,
    /// Bytes a message may inflate to.
    limit: u32,
}

impl Deflating {
    pub(super) const fn new(codecs: Rc<Codecs>, agreed: Agreement, limit: u32) -> Self {
        Self { codecs, agreed, own: None, limit }
    }

    /// Appends the frame of a data message, compressed. A compressor that gives up leaves the message as it is, which is
    /// always allowed (RFC 7692 section 6).
    pub(super) fn write(&self, out: &mut Vec<u8>, opcode: Opcode, message: &[u8], mask: u32) {
        let bits = self.agreed.client_window();
        let mut deflaters = self.codecs.deflaters.borrow_mut();
        let deflater = deflaters[slot(bits)].get_or_insert_with(|| Deflater::new(bits, true));
        match deflater.message(message) {
            Ok(packed) => frame::write_client_deflated(out, opcode, &packed, mask),
            Err(_) => frame::write_client(out, opcode, message, mask),
        }
    }

    /// The message that came compressed.
    ///
    /// # Errors
    /// [`Violation::Deflate`] where it is no deflate, [`Violation::TooBig`] where it grows beyond the limit.
    pub(super) fn inflate(&mut self, payload: &[u8]) -> Result<Vec<u8>, Violation> {
        let bits = self.agreed.server_window();
        let limit = self.limit as usize;
        let inflated = if self.agreed.server_no_context_takeover {
            self.codecs.inflaters.borrow_mut()[slot(bits)].get_or_insert_with(|| Inflater::new(bits, true)).message(payload, limit)
        } else {
            self.own.get_or_insert_with(|| Inflater::new(bits, false)).message(payload, limit)
        };
        inflated.map_err(|error| match error {
            BadStream::TooBig(_) => Violation::TooBig(u64::from(self.limit)),
            BadStream::Data(_) => Violation::Deflate,
        })
    }
}

/// The place of a window of `bits` bits.
fn slot(bits: u8) -> usize {
    usize::from(bits.clamp(8, 15) - 8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::reader::{Message, Reader};

    fn agreed(answer: &str) -> Agreement {
        Agreement::from_response(Some(answer)).expect("well formed").expect("agreed")
    }

    /// What a server with `fresh` or kept context, and any window, sends back is what was sent.
    #[test]
    fn messages_survive_every_agreement() {
        let codecs = Rc::new(Codecs::default());
        for bits in 9..=15 {
            for fresh in ["", "; server_no_context_takeover"] {
                let answer = format!("permessage-deflate; server_max_window_bits={bits}; client_max_window_bits={bits}{fresh}");
                let mut deflating = Deflating::new(codecs.clone(), agreed(&answer), 1 << 20);
                let mut server = (Inflater::new(bits, true), Deflater::new(bits, !fresh.is_empty()));
                for message in ["", "x", &"one and one and one more. ".repeat(4000)] {
                    let mut out = Vec::new();
                    deflating.write(&mut out, Opcode::Text, message.as_bytes(), 0);
                    let head = match out[1] & 0x7f {
                        126 => 8,
                        127 => 14,
                        _ => 6,
                    };
                    assert_eq!(out[0], 0xc1, "final, compressed, text");
                    assert_eq!(server.0.message(&out[head..], 1 << 20).as_deref(), Ok(message.as_bytes()), "{answer}");
                    let back = server.1.message(message.as_bytes()).expect("deflates");
                    assert_eq!(deflating.inflate(&back).as_deref(), Ok(message.as_bytes()), "{answer}");
                }
            }
        }
    }

    #[test]
    fn a_bomb_is_refused_at_the_limit_and_garbage_by_its_name() {
        let mut deflating = Deflating::new(Rc::default(), agreed("permessage-deflate"), 1000);
        let bomb = Deflater::new(15, true).message(&[0; 100_000]).expect("deflates");
        assert_eq!(deflating.inflate(&bomb), Err(Violation::TooBig(1000)));
        let mut deflating = Deflating::new(Rc::default(), agreed("permessage-deflate; server_no_context_takeover"), 1000);
        assert_eq!(deflating.inflate(&[0xff, 0xff, 0xff]), Err(Violation::Deflate));
        let fine = Deflater::new(15, true).message(b"and the next one is read").expect("deflates");
        assert_eq!(deflating.inflate(&fine).as_deref(), Ok(&b"and the next one is read"[..]));
    }

    #[test]
    fn a_fragmented_compressed_message_is_one_message() {
        let packed = Deflater::new(15, true).message(b"in two frames").expect("deflates");
        let (head, tail) = packed.split_at(3);
        let mut bytes = vec![0x42, 3];
        bytes.extend_from_slice(head);
        bytes.extend_from_slice(&[0x80, u8::try_from(tail.len()).expect("short")]);
        bytes.extend_from_slice(tail);
        let mut deflating = Deflating::new(Rc::default(), agreed("permessage-deflate"), 1000);
        let mut seen = Vec::new();
        let fed = Reader::with_deflate(1000).feed(&bytes, |message| {
            let Message::Deflated { text: false, payload } = message else { panic!("{message:?}") };
            seen = deflating.inflate(payload)?;
            Ok(())
        });
        assert_eq!((fed, seen.as_slice()), (Ok(()), &b"in two frames"[..]));
    }
}
