//! Frame headers in and out, and masking (RFC 6455 section 5.2, 5.3).

/// What a frame is (section 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    /// The next part of a fragmented message.
    Continuation,
    /// UTF-8 text.
    Text,
    /// Any bytes.
    Binary,
    /// The end of the conversation.
    Close,
    /// To be answered with a pong.
    Ping,
    /// Answers a ping.
    Pong,
}

impl Opcode {
    /// From the low four bits; `None` for the reserved ones.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    /// The low four bits.
    #[must_use]
    pub const fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0,
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
        }
    }

    /// Close, ping or pong: never fragmented, at most 125 bytes (section 5.5).
    #[must_use]
    pub const fn is_control(self) -> bool {
        self.bits() & 8 != 0
    }
}

/// The longest header a client writes: 2 + 8 (length) + 4 (mask).
pub const MAX_HEADER: usize = 14;

/// Appends a complete masked client frame to `out`. `mask` should not be guessable by the payload's author
/// (section 5.3); a load generator writes its own payloads, so any varying value serves.
pub fn write_client(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8], mask: u32) {
    let start = begin_client(out, opcode, payload.len(), mask);
    out.extend_from_slice(payload);
    apply_mask(&mut out[start..], mask);
}

/// The same for a compressed message: the reserved bit that says so is set (RFC 7692 section 6).
pub fn write_client_deflated(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8], mask: u32) {
    let at = out.len();
    write_client(out, opcode, payload, mask);
    out[at] |= 0x40;
}

/// Appends the header of a masked client frame and returns where its payload begins. The caller appends exactly `len` bytes
/// there and masks them with [`apply_mask`].
pub fn begin_client(out: &mut Vec<u8>, opcode: Opcode, len: usize, mask: u32) -> usize {
    out.reserve(MAX_HEADER + len);
    out.push(0x80 | opcode.bits());
    #[expect(clippy::cast_possible_truncation, reason = "each arm has checked the range")]
    match len {
        0..=125 => out.push(0x80 | len as u8),
        126..=0xffff => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        _ => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&mask.to_ne_bytes());
    out.len()
}

/// XORs `bytes` with the four bytes of `mask` in memory order, eight at a time (section 5.3). Its own inverse.
pub fn apply_mask(bytes: &mut [u8], mask: u32) {
    let wide = u64::from(mask) | u64::from(mask) << 32;
    let (chunks, rest) = bytes.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(wide.to_ne_bytes()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masking_is_byte_wise_and_its_own_inverse() {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        for len in 0..40 {
            let plain: Vec<u8> = (0..len).collect();
            let mut masked = plain.clone();
            apply_mask(&mut masked, u32::from_ne_bytes(key));
            for (i, (m, p)) in masked.iter().zip(&plain).enumerate() {
                assert_eq!(*m, p ^ key[i % 4]);
            }
            apply_mask(&mut masked, u32::from_ne_bytes(key));
            assert_eq!(masked, plain);
        }
    }

    #[test]
    fn the_masked_hello_of_the_rfc() {
        let mut out = Vec::new();
        write_client(&mut out, Opcode::Text, b"Hello", u32::from_ne_bytes([0x37, 0xfa, 0x21, 0x3d]));
        assert_eq!(out, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58], "section 5.7");
    }

    #[test]
    fn lengths_take_their_shortest_form() {
        for (len, header) in [(0, 6), (125, 6), (126, 8), (65535, 8), (65536, 14)] {
            let mut out = Vec::new();
            write_client(&mut out, Opcode::Binary, &vec![0; len], 7);
            assert_eq!(out.len(), header + len);
            let form = match len {
                0..=125 => vec![0x80 | u8::try_from(len).expect("short")],
                126..=0xffff => [&[0xfe][..], &u16::try_from(len).expect("short").to_be_bytes()].concat(),
                _ => [&[0xff][..], &(len as u64).to_be_bytes()].concat(),
            };
            assert_eq!(out[1..=form.len()], form, "section 5.2, and masked");
        }
    }

    #[test]
    fn of_sixteen_opcodes_six_are_known() {
        let known: Vec<_> =
            (0..=255).filter_map(|bits| Opcode::from_bits(bits).map(|opcode| (bits, opcode.bits(), opcode.is_control()))).collect();
        assert_eq!(known, [(0, 0, false), (1, 1, false), (2, 2, false), (8, 8, true), (9, 9, true), (10, 10, true)]);
    }

    #[test]
    fn a_compressed_message_differs_in_one_bit() {
        let (mut plain, mut deflated) = (vec![1, 2, 3], vec![1, 2, 3]);
        write_client(&mut plain, Opcode::Text, b"Hello", 0xdead_beef);
        write_client_deflated(&mut deflated, Opcode::Text, b"Hello", 0xdead_beef);
        assert_eq!((plain[3], deflated[3]), (0x81, 0xc1));
        assert_eq!((&plain[..3], &plain[4..]), (&deflated[..3], &deflated[4..]));
    }
}
