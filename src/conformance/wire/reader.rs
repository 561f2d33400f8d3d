//! The frame reader: takes octets, gives frames, and says of each what the protocol forbids. RFC 6455 5.2.
//!
//! A forbidden frame is still given when its end can be found, with the reason beside it: a conversation that has
//! been failed goes on until the other side's Close arrives. Must never know a socket or a verdict.

use bytes::{Buf, BytesMut};

use super::frame::{Role, describe_first, mask};

/// One frame as it was received, payload unmasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// FIN, RSV1–3 and opcode.
    pub first: u8,
    /// The masking key, when the mask bit was set.
    pub key: Option<[u8; 4]>,
    /// The payload, unmasked.
    pub payload: Vec<u8>,
    /// How many octets the header took.
    pub header_len: usize,
    /// The rule the frame breaks by itself, if any.
    pub violation: Option<String>,
}

impl Received {
    /// The opcode.
    #[must_use]
    pub const fn opcode(&self) -> u8 {
        self.first & 0x0f
    }

    /// Whether FIN is set.
    #[must_use]
    pub const fn fin(&self) -> bool {
        self.first & 0x80 != 0
    }

    /// Whether RSV1 is set (permessage-deflate's bit, RFC 7692 6).
    #[must_use]
    pub const fn rsv1(&self) -> bool {
        self.first & 0x40 != 0
    }
}

/// A length that cannot be waited for: the stream is lost from here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Lost(pub String);

/// Reads frames the other side sent.
#[derive(Debug, Clone)]
pub struct FrameReader {
    /// The end we play: the other end's masking duty follows.
    pub role: Role,
    /// Whether permessage-deflate was negotiated, so that RSV1 has a meaning.
    pub deflate: bool,
    /// A longer payload is not waited for.
    pub max_payload: u64,
}

struct Header {
    first: u8,
    len: u64,
    key: Option<[u8; 4]>,
    size: usize,
    minimal: bool,
}

impl FrameReader {
    /// A reader for the end we play.
    #[must_use]
    pub const fn new(role: Role, deflate: bool) -> Self {
        Self { role, deflate, max_payload: 1 << 31 }
    }

    /// The next whole frame, or `None` until more octets are there.
    ///
    /// # Errors
    /// [`Lost`] when the declared length has its top bit set (RFC 6455 5.2) or is beyond what we would ever hold.
    pub fn next(&self, buffer: &mut BytesMut) -> Result<Option<Received>, Lost> {
        let Some(header) = parse_header(buffer) else { return Ok(None) };
        if header.len >> 63 != 0 {
            return Err(Lost(format!("a frame declares a length with the most significant bit set ({:#x})", header.len)));
        }
        if header.len > self.max_payload {
            return Err(Lost(format!("a frame declares {} octets", header.len)));
        }
        let len = usize::try_from(header.len).map_err(|_| Lost("a length beyond this machine".to_owned()))?;
        if buffer.len() < header.size + len {
            buffer.reserve((header.size + len - buffer.len()).min(1 << 20));
            return Ok(None);
        }
        buffer.advance(header.size);
        let mut payload = buffer.split_to(len).to_vec();
        if let Some(key) = header.key {
            mask(&mut payload, key, 0);
        }
        let violation = self.violation(&header);
        Ok(Some(Received { first: header.first, key: header.key, payload, header_len: header.size, violation }))
    }

    /// The rule of RFC 6455 5.1, 5.2 or 5.5 that a header breaks.
    fn violation(&self, header: &Header) -> Option<String> {
        let opcode = header.first & 0x0f;
        let control = opcode & 8 != 0;
        let rsv = (header.first >> 4) & 7;
        let allowed = if self.deflate && matches!(opcode, 1 | 2) { 4 } else { 0 };
        if rsv & !allowed != 0 {
            return Some(format!("reserved bits without a meaning: {}", describe_first(header.first)));
        }
        match (self.role, header.key) {
            (Role::Client, Some(_)) => return Some("a masked frame from a server".to_owned()),
            (Role::Server, None) => return Some("an unmasked frame from a client".to_owned()),
            _ => {}
        }
        if matches!(opcode, 3..=7 | 11..=15) {
            return Some(format!("reserved opcode {opcode}"));
        }
        if control && header.first & 0x80 == 0 {
            return Some("a fragmented control frame".to_owned());
        }
        if control && header.len > 125 {
            return Some(format!("a control frame of {} octets", header.len));
        }
        if opcode == 8 && header.len == 1 {
            return Some("a Close frame with one octet".to_owned());
        }
        (!header.minimal).then(|| format!("length {} not in its shortest form", header.len))
    }
}

fn parse_header(buffer: &[u8]) -> Option<Header> {
    let (&first, &second) = (buffer.first()?, buffer.get(1)?);
    let (len, mut size, minimal) = match second & 0x7f {
        126 => {
            let len = u64::from(u16::from_be_bytes(buffer.get(2..4)?.try_into().ok()?));
            (len, 4, len > 125)
        }
        127 => {
            let len = u64::from_be_bytes(buffer.get(2..10)?.try_into().ok()?);
            (len, 10, len > 0xffff)
        }
        short => (u64::from(short), 2, true),
    };
    let key = if second & 0x80 == 0 {
        None
    } else {
        let key: [u8; 4] = buffer.get(size..size + 4)?.try_into().ok()?;
        size += 4;
        Some(key)
    };
    Some(Header { first, len, key, size, minimal })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(octets: &[u8]) -> Result<Option<Received>, Lost> {
        FrameReader::new(Role::Client, false).next(&mut BytesMut::from(octets))
    }

    #[test]
    fn frames_arrive_whole_or_not_at_all() {
        let whole = [0x81, 0x02, b'h', b'i'];
        for cut in 0..whole.len() {
            assert_eq!(read(&whole[..cut]), Ok(None));
        }
        let frame = read(&whole).ok().flatten();
        assert_eq!(frame.as_ref().map(|f| f.payload.as_slice()), Some(b"hi".as_slice()));
        assert_eq!(frame.and_then(|f| f.violation), None);
    }

    #[test]
    fn each_rule_is_told_by_name() {
        for (octets, rule) in [
            (&[0xc1, 0][..], "reserved bits"),
            (&[0x81, 0x80, 0, 0, 0, 0], "masked"),
            (&[0x83, 0], "reserved opcode 3"),
            (&[0x09, 0], "fragmented control"),
            (&[0x88, 1, 0], "one octet"),
            (&[0x81, 126, 0, 0], "shortest"),
        ] {
            let told = read(octets).ok().flatten().and_then(|f| f.violation).unwrap_or_default();
            assert!(told.contains(rule), "{octets:02x?}: {told:?}");
        }
        assert!(read(&[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0]).is_err());
    }
}
