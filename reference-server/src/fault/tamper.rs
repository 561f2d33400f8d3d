//! What faults do to a copy's payload and to its frame.
//!
//! Pure: bytes in, bytes out.

use bytes::{Bytes, BytesMut};

use crate::frame::{FIN, Kind as Data, encode, put_header};

/// A copy's payload and opcode, on their way to one client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Body {
    pub(crate) data: Data,
    pub(crate) payload: Bytes,
}

impl Body {
    /// Without its last `n` bytes; text is cut between characters.
    pub(crate) fn truncated(&self, n: u64) -> Self {
        let mut end = self.payload.len().saturating_sub(usize::try_from(n).unwrap_or(usize::MAX));
        while self.data == Data::Text && end > 0 && self.payload.get(end).is_some_and(|byte| byte & 0xC0 == 0x80) {
            end -= 1;
        }
        Self { data: self.data, payload: self.payload.slice(..end) }
    }

    /// With the lowest bit of the `n`-th byte from the end changed; the nearest ASCII one before it in text, so that it
    /// stays text.
    pub(crate) fn flipped(&self, n: u64) -> Self {
        let mut bytes = BytesMut::from(&self.payload[..]);
        let last = bytes.len().saturating_sub(usize::try_from(n).unwrap_or(usize::MAX).max(1));
        let fits = |byte: &u8| self.data == Data::Binary || byte.is_ascii();
        if let Some(at) = (0..=last).rev().find(|at| bytes.get(*at).is_some_and(fits)) {
            bytes[at] ^= 1;
        }
        Self { data: self.data, payload: bytes.freeze() }
    }

    /// The other opcode; binary that is no UTF-8 stays binary.
    pub(crate) fn retyped(&self) -> Self {
        let data = match self.data {
            Data::Text => Data::Binary,
            Data::Binary if std::str::from_utf8(&self.payload).is_ok() => Data::Text,
            Data::Binary => Data::Binary,
        };
        Self { data, payload: self.payload.clone() }
    }

    /// JSON written anew, anything else wrapped in JSON.
    pub(crate) fn reserialised(&self) -> Self {
        let Ok(text) = std::str::from_utf8(&self.payload) else { return self.clone() };
        let value = serde_json::from_str::<serde_json::Value>(text).unwrap_or_else(|_| serde_json::json!({ "data": text }));
        let written = serde_json::to_vec_pretty(&value).unwrap_or_else(|_| self.payload.to_vec());
        Self { data: Data::Text, payload: written.into() }
    }

    /// With an octet behind it that is never UTF-8.
    pub(crate) fn malformed(&self) -> Self {
        let payload = [&self.payload[..], &[0xFF]].concat();
        Self { data: Data::Text, payload: payload.into() }
    }

    /// Both with their later halves exchanged.
    pub(crate) fn crossed(&self, other: &Self) -> (Self, Self) {
        let (a, b) = (self.payload.len() / 2, other.payload.len() / 2);
        let join = |data, head: &[u8], tail: &[u8]| Self { data, payload: [head, tail].concat().into() };
        (join(self.data, &self.payload[..a], &other.payload[b..]), join(other.data, &other.payload[..b], &self.payload[a..]))
    }

    /// Several as one message, a line each.
    pub(crate) fn batched(bodies: &[Self]) -> Self {
        let payload = bodies.iter().map(|body| &body.payload[..]).collect::<Vec<_>>().join(&b"\n"[..]);
        let data = if bodies.iter().all(|body| body.data == Data::Text) { Data::Text } else { Data::Binary };
        Self { data, payload: payload.into() }
    }

    /// The ordinary frame.
    pub(crate) fn framed(&self) -> Bytes {
        encode(FIN | self.data.opcode(), &self.payload)
    }

    /// A frame with reserved bits, numbered 4, 2 and 1 as in the specification's order.
    pub(crate) fn framed_with_rsv(&self, bits: u64) -> Bytes {
        let bits = u8::try_from(bits & 7).unwrap_or(0) << 4;
        encode(FIN | bits | self.data.opcode(), &self.payload)
    }

    /// A frame masked like a client's.
    pub(crate) fn framed_masked(&self) -> Bytes {
        const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];
        let mut frame = BytesMut::with_capacity(self.payload.len() + 14);
        put_header(&mut frame, FIN | self.data.opcode(), self.payload.len());
        frame[1] |= 0x80;
        frame.extend_from_slice(&KEY);
        frame.extend(self.payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
        frame.freeze()
    }

    /// A frame whose header declares `len` bytes, in the long form.
    pub(crate) fn framed_as_if(&self, len: u64) -> Bytes {
        let mut frame = BytesMut::from(&[FIN | self.data.opcode(), 127][..]);
        frame.extend_from_slice(&(len & (u64::MAX >> 1)).to_be_bytes());
        frame.extend_from_slice(&self.payload);
        frame.freeze()
    }

    /// Legal fragments of `n` bytes, an empty one first.
    pub(crate) fn fragmented(&self, n: u64) -> Bytes {
        let n = usize::try_from(n).unwrap_or(usize::MAX).max(1);
        let mut frames = BytesMut::new();
        put_header(&mut frames, self.data.opcode(), 0);
        for piece in self.payload.chunks(n) {
            put_header(&mut frames, 0, piece.len());
            frames.extend_from_slice(piece);
        }
        put_header(&mut frames, FIN, 0);
        frames.freeze()
    }
}

/// A ping that lacks FIN, which no control frame may (RFC 6455 section 5.5).
pub(crate) fn fragmented_ping() -> Bytes {
    encode(0x09, b"half")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &'static str) -> Body {
        Body { data: Data::Text, payload: Bytes::from_static(text.as_bytes()) }
    }

    #[test]
    fn payloads_change_as_named() {
        assert_eq!(text("abc").truncated(1), text("ab"));
        assert_eq!(text("aé").truncated(1), text("a"));
        assert_eq!(text("a").truncated(9), text(""));
        assert_eq!(text("abc").flipped(1), text("abb"));
        assert_eq!(text("aé").flipped(1), text("`é"));
        assert_eq!(text("").flipped(1), text(""));
        assert_eq!(text("x").retyped().data, Data::Binary);
        assert_eq!(text("x").retyped().retyped(), text("x"));
        assert_eq!(text("{\"a\":1}").reserialised(), text("{\n  \"a\": 1\n}"));
        assert_eq!(text("x").reserialised(), text("{\n  \"data\": \"x\"\n}"));
        assert_eq!(text("abcd").crossed(&text("xy")), (text("aby"), text("xcd")));
        assert_eq!(Body::batched(&[text("a"), text("b")]), text("a\nb"));
        assert!(std::str::from_utf8(&text("a").malformed().payload).is_err());
    }

    #[test]
    fn frames_change_as_named() {
        assert_eq!(text("ab").framed()[..], [0x81, 2, b'a', b'b']);
        assert_eq!(text("ab").framed_with_rsv(4)[..], [0xC1, 2, b'a', b'b']);
        assert_eq!(text("Hello").framed_masked()[..], [0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58]);
        assert_eq!(text("a").framed_as_if(u64::MAX)[..], [0x81, 127, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, b'a']);
        assert_eq!(text("abc").fragmented(2)[..], [0x01, 0, 0, 2, b'a', b'b', 0, 1, b'c', 0x80, 0]);
        assert_eq!(fragmented_ping()[0], 0x09);
    }
}
