//! The frame writer: it can say anything, right or wrong. RFC 6455 5.2.
//!
//! Must never know a socket or a verdict; it turns a [`Frame`] into octets and nothing else.

use crate::base::Rng;

/// How a frame is masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Masking {
    /// As the role demands: a random key from a client, none from a server.
    #[default]
    ByRole,
    /// This key, whatever the role.
    Key([u8; 4]),
    /// As the role forbids: none from a client, a random key from a server. RFC 6455 5.1.
    Plain,
}

/// Which form the payload length takes on the wire. RFC 6455 5.2 demands the shortest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LengthForm {
    /// The shortest that fits.
    #[default]
    Minimal,
    /// 126 and two octets.
    Sixteen,
    /// 127 and eight octets.
    SixtyFour,
}

/// Which end of the connection we play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// We connect and mask.
    Client,
    /// We accept and do not mask.
    Server,
}

/// One frame to be written, malformed on request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame<'a> {
    /// FIN, RSV1–3 and opcode as one octet.
    pub first: u8,
    /// The octets behind the header, before masking.
    pub payload: &'a [u8],
    /// The masking.
    pub masking: Masking,
    /// The form of the length.
    pub form: LengthForm,
    /// The length to declare when it is not the payload's.
    pub declared: Option<u64>,
}

impl<'a> Frame<'a> {
    /// A well-formed frame.
    #[must_use]
    pub const fn new(first: u8, payload: &'a [u8]) -> Self {
        Self { first, payload, masking: Masking::ByRole, form: LengthForm::Minimal, declared: None }
    }

    /// Appends the frame's octets; returns the masking key used, if any.
    pub fn write(&self, role: Role, rng: &mut Rng, out: &mut Vec<u8>) -> Option<[u8; 4]> {
        let key = match (self.masking, role) {
            (Masking::Key(key), _) => Some(key),
            (Masking::ByRole, Role::Client) | (Masking::Plain, Role::Server) => Some(random_key(rng)),
            (Masking::ByRole, Role::Server) | (Masking::Plain, Role::Client) => None,
        };
        let declared = self.declared.unwrap_or(self.payload.len() as u64);
        write_header(self.first, declared, self.form, key, out);
        let start = out.len();
        out.extend_from_slice(self.payload);
        if let Some(key) = key {
            mask(&mut out[start..], key, 0);
        }
        key
    }
}

/// A fresh masking key. RFC 6455 5.3 wants it unpredictable; ours is reproducible, for a test must be.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "the low 32 of 64 random bits")]
pub fn random_key(rng: &mut Rng) -> [u8; 4] {
    (rng.next_u64() as u32).to_be_bytes()
}

/// Appends a frame header. `key` sets the mask bit and follows the length.
#[expect(clippy::cast_possible_truncation, reason = "each form keeps the low octets it has room for; malformed lengths are wanted here")]
pub fn write_header(first: u8, declared: u64, form: LengthForm, key: Option<[u8; 4]>, out: &mut Vec<u8>) {
    let mask_bit = if key.is_some() { 0x80 } else { 0 };
    out.push(first);
    let form = match form {
        LengthForm::Minimal if declared > 0xffff => LengthForm::SixtyFour,
        LengthForm::Minimal if declared > 125 => LengthForm::Sixteen,
        other => other,
    };
    match form {
        LengthForm::Minimal => out.push(mask_bit | declared as u8),
        LengthForm::Sixteen => {
            out.push(mask_bit | 126);
            out.extend_from_slice(&(declared as u16).to_be_bytes());
        }
        LengthForm::SixtyFour => {
            out.push(mask_bit | 127);
            out.extend_from_slice(&declared.to_be_bytes());
        }
    }
    if let Some(key) = key {
        out.extend_from_slice(&key);
    }
}

/// Masks or unmasks in place; `offset` is how many octets of the frame went before. RFC 6455 5.3.
pub fn mask(octets: &mut [u8], key: [u8; 4], offset: usize) {
    let key = [key[offset % 4], key[(offset + 1) % 4], key[(offset + 2) % 4], key[(offset + 3) % 4]];
    let wide = u64::from_ne_bytes([key[0], key[1], key[2], key[3], key[0], key[1], key[2], key[3]]);
    let mut chunks = octets.chunks_exact_mut(8);
    for chunk in &mut chunks {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        chunk.copy_from_slice(&(u64::from_ne_bytes(word) ^ wide).to_ne_bytes());
    }
    for (i, octet) in chunks.into_remainder().iter_mut().enumerate() {
        *octet ^= key[i % 4];
    }
}

/// The payload of a Close frame: code, then reason. RFC 6455 5.5.1.
#[must_use]
pub fn close_payload(code: Option<u16>, reason: &[u8]) -> Vec<u8> {
    let mut payload = code.map(|c| c.to_be_bytes().to_vec()).unwrap_or_default();
    payload.extend_from_slice(reason);
    payload
}

/// What a first octet says, in words: `text`, `ping FIN=0 RSV=4`, `reserved opcode 3`.
#[must_use]
pub fn describe_first(first: u8) -> String {
    let name = match first & 0x0f {
        0 => "continuation".to_owned(),
        1 => "text".to_owned(),
        2 => "binary".to_owned(),
        8 => "close".to_owned(),
        9 => "ping".to_owned(),
        10 => "pong".to_owned(),
        reserved => format!("reserved opcode {reserved}"),
    };
    let fin = if first & 0x80 == 0 { " FIN=0" } else { "" };
    match (first >> 4) & 7 {
        0 => format!("{name}{fin}"),
        rsv => format!("{name}{fin} RSV={rsv}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Seed;

    #[test]
    fn the_examples_of_rfc_6455_5_7() {
        let mut rng = Seed(1).rng();
        let mut out = Vec::new();
        Frame::new(0x81, b"Hello").write(Role::Server, &mut rng, &mut out);
        assert_eq!(out, [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
        out.clear();
        Frame { masking: Masking::Key([0x37, 0xfa, 0x21, 0x3d]), ..Frame::new(0x81, b"Hello") }.write(Role::Client, &mut rng, &mut out);
        assert_eq!(out, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    }

    #[test]
    fn every_length_takes_its_form() {
        for (len, head) in [(125_u64, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let mut out = Vec::new();
            write_header(0x82, len, LengthForm::Minimal, None, &mut out);
            assert_eq!(out.len(), head, "{len}");
        }
        let mut out = Vec::new();
        write_header(0x82, u64::MAX, LengthForm::SixtyFour, None, &mut out);
        assert_eq!(out, [0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255]);
    }

    #[test]
    fn masking_in_parts_is_masking_at_once() {
        let key = [1, 2, 3, 4];
        let whole: Vec<u8> = (0..=255).collect();
        let mut once = whole.clone();
        mask(&mut once, key, 0);
        let mut parts = whole.clone();
        mask(&mut parts[..13], key, 0);
        mask(&mut parts[13..], key, 13);
        assert_eq!(once, parts);
        mask(&mut once, key, 0);
        assert_eq!(once, whole);
    }
}
