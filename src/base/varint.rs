//! Numbers in as few bytes as they need: LEB128, and the zigzag that makes small differences of either sign small.

/// Appends `value`, seven bits a byte, least significant first.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the low seven bits are meant")]
pub(crate) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends how far `value` is from `expected`, either way, wrapping.
#[inline]
pub(crate) fn put_off(out: &mut Vec<u8>, value: u64, expected: u64) {
    put(out, zigzag(value.wrapping_sub(expected)));
}

/// The inverse of [`put_off`], once the number itself is read.
#[inline]
pub(crate) const fn back(off: u64, expected: u64) -> u64 {
    expected.wrapping_add((off >> 1) ^ (off & 1).wrapping_neg())
}

#[inline]
const fn zigzag(difference: u64) -> u64 {
    (difference << 1) ^ ((difference >> 63).wrapping_neg())
}

/// Bytes being read; every reading says `None` at their end, or where they are no number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a>(pub(crate) &'a [u8]);

impl<'a> Cursor<'a> {
    #[inline]
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    #[inline]
    pub(crate) fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// A number that must fit 32 bits.
    #[inline]
    pub(crate) fn small(&mut self) -> Option<u32> {
        self.number()?.try_into().ok()
    }

    #[inline]
    pub(crate) fn off(&mut self, expected: u64) -> Option<u64> {
        Some(back(self.number()?, expected))
    }

    /// As [`Cursor::off`], where the value must fit 32 bits.
    #[inline]
    pub(crate) fn off_small(&mut self, expected: u32) -> Option<u32> {
        self.off(u64::from(expected))?.try_into().ok()
    }

    /// A length, and that many bytes.
    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn small_numbers_are_short() {
        for (value, bytes) in [(0, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3), (u64::MAX, 10)] {
            let mut out = Vec::new();
            put(&mut out, value);
            assert_eq!((out.len(), Cursor(&out).number()), (bytes, Some(value)));
        }
        assert_eq!(Cursor(&[0x80]).number(), None, "cut");
        assert_eq!(Cursor(&[0xff; 11]).number(), None, "endless");
        assert_eq!(Cursor(&[3, b'a', b'b']).bytes(), None, "a length beyond the end");
    }

    proptest! {
        #[test]
        fn any_distance_goes_both_ways(value in any::<u64>(), expected in any::<u64>()) {
            let mut out = Vec::new();
            put_off(&mut out, value, expected);
            prop_assert_eq!(Cursor(&out).off(expected), Some(value));
        }
    }
}
