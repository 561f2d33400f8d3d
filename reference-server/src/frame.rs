//! Server frames as bytes: one encoding per message, shared by everyone it goes to.
//!
//! Must never know a client, a queue or a socket.

use bytes::{BufMut, Bytes, BytesMut};

/// What a data frame carries (RFC 6455 section 5.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8 text, opcode 1.
    Text,
    /// Anything, opcode 2.
    Binary,
}

impl Kind {
    /// The opcode's number.
    #[must_use]
    pub const fn opcode(self) -> u8 {
        match self {
            Self::Text => 1,
            Self::Binary => 2,
        }
    }
}

/// The `FIN` bit of a frame's first octet.
pub const FIN: u8 = 0x80;
/// The `RSV1` bit of a frame's first octet: compressed, once permessage-deflate is agreed (RFC 7692 section 6).
pub const RSV1: u8 = 0x40;

/// Appends the header of an unmasked frame: the first octet as given, the length in its shortest form (section 5.2).
pub fn put_header(to: &mut BytesMut, first: u8, len: usize) {
    to.put_u8(first);
    match len {
        0..=125 => to.put_u8(u8::try_from(len).unwrap_or(0)),
        126..=0xFFFF => {
            to.put_u8(126);
            to.put_u16(u16::try_from(len).unwrap_or(0));
        }
        _ => {
            to.put_u8(127);
            to.put_u64(len as u64);
        }
    }
}

/// A whole unmasked frame with the given first octet.
#[must_use]
pub fn encode(first: u8, payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(10 + payload.len());
    put_header(&mut frame, first, payload.len());
    frame.extend_from_slice(payload);
    frame.freeze()
}

/// A message on its way to clients: its frame, encoded once, and where in it the payload begins.
#[derive(Debug, Clone)]
pub struct Message {
    kind: Kind,
    frame: Bytes,
    payload_at: usize,
}

impl Message {
    /// Encodes a message as one unfragmented frame.
    #[must_use]
    pub fn new(kind: Kind, payload: &[u8]) -> Self {
        let frame = encode(FIN | kind.opcode(), payload);
        let payload_at = frame.len() - payload.len();
        Self { kind, frame, payload_at }
    }

    /// Text or binary.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The frame as it goes out uncompressed.
    #[must_use]
    pub const fn frame(&self) -> &Bytes {
        &self.frame
    }

    /// The payload alone, sharing the frame's memory.
    #[must_use]
    pub fn payload(&self) -> Bytes {
        self.frame.slice(self.payload_at..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_their_shortest_form() {
        for (len, header) in [
            (0usize, vec![0x81u8, 0]),
            (125, vec![0x81, 125]),
            (126, vec![0x81, 126, 0, 126]),
            (65_535, vec![0x81, 126, 0xFF, 0xFF]),
            (65_536, vec![0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let payload = vec![b'x'; len];
            let message = Message::new(Kind::Text, &payload);
            assert_eq!(&message.frame()[..header.len()], header, "{len}");
            assert_eq!(message.frame().len(), header.len() + len);
            assert_eq!(message.payload(), payload);
        }
    }
}
