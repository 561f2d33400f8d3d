//! Messages out of frames: fragmentation, UTF-8, decompression, close codes, each broken rule named. RFC 6455 5.4–5.6,
//! 7.4, 8.1; RFC 7692 6. Must never know a socket or a verdict.

use super::deflate::Inflater;
use super::reader::Received;

/// What the other side said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// A whole message.
    Message {
        /// Whether the opcode was 2.
        binary: bool,
        /// The octets, inflated.
        payload: Vec<u8>,
        /// Whether it came compressed.
        compressed: bool,
        /// How many frames it came in.
        frames: usize,
    },
    /// A ping.
    Ping(Vec<u8>),
    /// A pong.
    Pong(Vec<u8>),
    /// A Close frame; `fault` when its code or reason is forbidden.
    Close {
        /// The code, absent when the payload was empty.
        code: Option<u16>,
        /// The reason's octets.
        reason: Vec<u8>,
        /// What is wrong with it.
        fault: Option<Fault>,
    },
    /// A frame that breaks a rule; it carries nothing further.
    Broken(Fault),
}

/// A broken rule and the code to fail the connection with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// 1002 or 1007.
    pub code: u16,
    /// The rule, as a sentence.
    pub why: String,
    /// The payload of the pong that broke it: Autobahn hears such a pong all the same.
    pub pong: Option<Vec<u8>>,
}

impl Fault {
    /// A protocol error, 1002.
    #[must_use]
    pub fn protocol(why: impl Into<String>) -> Self {
        Self { code: 1002, why: why.into(), pong: None }
    }

    fn payload(why: impl Into<String>) -> Self {
        Self { code: 1007, why: why.into(), pong: None }
    }
}

struct Partial {
    binary: bool,
    compressed: bool,
    payload: Vec<u8>,
    frames: usize,
}

/// Puts messages together.
pub struct Assembler {
    partial: Option<Partial>,
    /// Present when permessage-deflate was negotiated.
    pub inflater: Option<Inflater>,
    /// A longer message, inflated, is not held.
    pub limit: usize,
    /// Whether 1012 to 1014 (IANA, later than RFC 6455) are allowed on the wire. Autobahn does not.
    pub later_codes: bool,
}

impl Default for Assembler {
    fn default() -> Self {
        Self { partial: None, inflater: None, limit: 1 << 30, later_codes: false }
    }
}

impl Assembler {
    /// Whether a message has begun and not ended.
    #[must_use]
    pub const fn unfinished(&self) -> bool {
        self.partial.is_some()
    }

    /// Takes one frame; gives what it completes.
    pub fn take(&mut self, frame: Received) -> Option<Incoming> {
        if let Some(why) = frame.violation {
            let pong = (frame.first & 0x0f == 10).then_some(frame.payload);
            return Some(Incoming::Broken(Fault { pong, ..Fault::protocol(why) }));
        }
        match frame.opcode() {
            8 => Some(self.close(&frame.payload)),
            9 => Some(Incoming::Ping(frame.payload)),
            10 => Some(Incoming::Pong(frame.payload)),
            _ => self.data(frame),
        }
    }

    fn data(&mut self, frame: Received) -> Option<Incoming> {
        let fin = frame.fin();
        let partial = match (frame.opcode(), self.partial.take()) {
            (0, None) => return Some(Incoming::Broken(Fault::protocol("a continuation without a message"))),
            (0, Some(mut partial)) => {
                partial.payload.extend_from_slice(&frame.payload);
                partial.frames += 1;
                partial
            }
            (_, Some(partial)) => {
                self.partial = Some(partial);
                return Some(Incoming::Broken(Fault::protocol("a new message inside an unfinished one")));
            }
            (opcode, None) => Partial { binary: opcode == 2, compressed: frame.rsv1(), payload: frame.payload, frames: 1 },
        };
        if !fin {
            self.partial = Some(partial);
            return None;
        }
        Some(self.finish(partial))
    }

    fn finish(&mut self, partial: Partial) -> Incoming {
        let Partial { binary, compressed, payload, frames } = partial;
        let payload = match self.inflater.as_mut().filter(|_| compressed) {
            None => payload,
            Some(inflater) => match inflater.message(&payload, self.limit) {
                Ok(payload) => payload,
                Err(e) => return Incoming::Broken(Fault::payload(format!("a compressed message that does not inflate: {e}"))),
            },
        };
        if !binary && simdutf8::basic::from_utf8(&payload).is_err() {
            return Incoming::Broken(Fault::payload("a text message that is not UTF-8"));
        }
        Incoming::Message { binary, payload, compressed, frames }
    }

    fn close(&self, payload: &[u8]) -> Incoming {
        let Some((head, reason)) = payload.split_at_checked(2) else {
            return Incoming::Close { code: None, reason: Vec::new(), fault: None };
        };
        let code = u16::from_be_bytes([head[0], head[1]]);
        let fault = if !self.code_allowed(code) {
            Some(Fault::protocol(format!("close code {code}")))
        } else if simdutf8::basic::from_utf8(reason).is_err() {
            Some(Fault::payload("a close reason that is not UTF-8"))
        } else {
            None
        };
        Incoming::Close { code: Some(code), reason: reason.to_vec(), fault }
    }

    /// Whether a code may stand on the wire. RFC 6455 7.4.
    const fn code_allowed(&self, code: u16) -> bool {
        matches!(code, 1000..=1003 | 1007..=1011 | 3000..=4999) || (self.later_codes && matches!(code, 1012..=1014))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, payload: &[u8]) -> Received {
        Received { first, key: None, payload: payload.to_vec(), header_len: 2, violation: None }
    }

    #[test]
    fn fragments_with_a_ping_between_make_one_message() {
        let mut it = Assembler::default();
        assert_eq!(it.take(frame(0x01, b"a")), None);
        assert_eq!(it.take(frame(0x89, b"p")), Some(Incoming::Ping(b"p".to_vec())));
        assert_eq!(it.take(frame(0x00, b"b")), None);
        assert!(it.unfinished());
        let whole = Incoming::Message { binary: false, payload: b"abc".to_vec(), compressed: false, frames: 3 };
        assert_eq!(it.take(frame(0x80, b"c")), Some(whole));
    }

    #[test]
    fn broken_rules_are_told() {
        let told = |frames: &[(u8, &[u8])]| {
            let mut it = Assembler::default();
            frames.iter().filter_map(|(first, payload)| it.take(frame(*first, payload))).last()
        };
        for (frames, code) in [
            (&[(0x80, &b"x"[..])][..], 1002),
            (&[(0x01, b"x"), (0x81, b"y")], 1002),
            (&[(0x81, b"\xff")], 1007),
            (&[(0x88, b"\x03\xed")], 1002),
            (&[(0x88, b"\x03\xe8\xff")], 1007),
        ] {
            match told(frames) {
                Some(Incoming::Broken(fault) | Incoming::Close { fault: Some(fault), .. }) => assert_eq!(fault.code, code, "{frames:?}"),
                other => panic!("{frames:?}: {other:?}"),
            }
        }
        assert!(matches!(told(&[(0x88, b"")]), Some(Incoming::Close { code: None, fault: None, .. })));
    }
}
