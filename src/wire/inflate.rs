//! A strict inflater: RFC 1951 with the window enforced to the octet, which the fast one does not promise. Slow and small;
//! for the cases that ask whether a server keeps the window it agreed to. Must never know a frame.

use super::deflate::BadStream;

/// Decompresses messages and refuses any reference beyond the window.
#[derive(Debug, Clone)]
pub struct StrictInflater {
    history: Vec<u8>,
    window: usize,
    fresh: bool,
}

struct Bits<'a> {
    octets: &'a [u8],
    at: usize,
    bit: u32,
}

struct Huffman {
    counts: [u16; 16],
    symbols: Vec<u16>,
}

const LENGTH_BASE: [u16; 29] =
    [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258];
const LENGTH_EXTRA: [u8; 29] = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const DISTANCE_BASE: [u16; 30] = [
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385,
    24577,
];
const DISTANCE_EXTRA: [u8; 30] = [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13];
const CODE_ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

fn bad(what: &str) -> BadStream {
    BadStream::Data(what.to_owned())
}

impl Bits<'_> {
    fn take(&mut self, count: u32) -> Result<u16, BadStream> {
        let mut value = 0;
        for n in 0..count {
            let octet = *self.octets.get(self.at).ok_or_else(|| bad("the stream ends early"))?;
            value |= u16::from(octet >> self.bit & 1) << n;
            self.bit += 1;
            if self.bit == 8 {
                (self.bit, self.at) = (0, self.at + 1);
            }
        }
        Ok(value)
    }

    fn align(&mut self) {
        if self.bit > 0 {
            (self.bit, self.at) = (0, self.at + 1);
        }
    }
}

impl Huffman {
    #[expect(clippy::cast_possible_truncation, reason = "at most 288 symbols")]
    fn new(lengths: &[u8]) -> Self {
        let mut counts = [0_u16; 16];
        lengths.iter().for_each(|l| counts[usize::from(*l)] += 1);
        counts[0] = 0;
        let mut order: Vec<u16> = (0..lengths.len() as u16).filter(|s| lengths[usize::from(*s)] > 0).collect();
        order.sort_by_key(|s| (lengths[usize::from(*s)], *s));
        Self { counts, symbols: order }
    }

    fn decode(&self, bits: &mut Bits<'_>) -> Result<usize, BadStream> {
        let (mut code, mut first, mut index) = (0_i32, 0_i32, 0_i32);
        for length in 1..16 {
            code |= i32::from(bits.take(1)?);
            let count = i32::from(self.counts[length]);
            if code - count < first {
                let at = usize::try_from(index + (code - first)).map_err(|_| bad("a code outside its table"))?;
                return self.symbols.get(at).map(|s| usize::from(*s)).ok_or_else(|| bad("a code outside its table"));
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        Err(bad("a code longer than 15 bits"))
    }
}

impl StrictInflater {
    /// With a window of `bits` (8 to 15); `fresh` forgets the context before every message.
    #[must_use]
    pub const fn new(bits: u8, fresh: bool) -> Self {
        Self { history: Vec::new(), window: 1 << bits, fresh }
    }

    /// One message. RFC 7692 7.2.2.
    ///
    /// # Errors
    /// [`BadStream`] when it is not deflate, ends early, refers beyond the window, or grows beyond `limit`.
    pub fn message(&mut self, octets: &[u8], limit: usize) -> Result<Vec<u8>, BadStream> {
        if self.fresh {
            self.history.clear();
        }
        let whole = [octets, &[0, 0, 0xff, 0xff]].concat();
        let mut bits = Bits { octets: &whole, at: 0, bit: 0 };
        let start = self.history.len();
        while bits.at < whole.len() {
            let last = bits.take(1)? == 1;
            match bits.take(2)? {
                0 => self.stored(&mut bits)?,
                1 => self.coded(&mut bits, &fixed())?,
                2 => {
                    let tables = dynamic(&mut bits)?;
                    self.coded(&mut bits, &tables)?;
                }
                _ => return Err(bad("a block of no known type")),
            }
            if last {
                bits.align();
            }
            if self.history.len() - start > limit {
                return Err(BadStream::TooBig(limit));
            }
        }
        let out = self.history[start..].to_vec();
        let keep = self.history.len().saturating_sub(self.window);
        self.history.drain(..keep);
        Ok(out)
    }

    fn stored(&mut self, bits: &mut Bits<'_>) -> Result<(), BadStream> {
        bits.align();
        let (len, not) = (bits.take(16)?, bits.take(16)?);
        if len != !not {
            return Err(bad("a stored block whose lengths differ"));
        }
        let end = bits.at + usize::from(len);
        self.history.extend_from_slice(bits.octets.get(bits.at..end).ok_or_else(|| bad("the stream ends early"))?);
        bits.at = end;
        Ok(())
    }

    fn coded(&mut self, bits: &mut Bits<'_>, (literals, distances): &(Huffman, Huffman)) -> Result<(), BadStream> {
        loop {
            match literals.decode(bits)? {
                256 => return Ok(()),
                #[expect(clippy::cast_possible_truncation, reason = "below 256")]
                literal @ 0..256 => self.history.push(literal as u8),
                symbol => {
                    let n = symbol - 257;
                    let base = *LENGTH_BASE.get(n).ok_or_else(|| bad("a length code out of range"))?;
                    let len = usize::from(base + bits.take(u32::from(LENGTH_EXTRA[n]))?);
                    let n = distances.decode(bits)?;
                    let base = *DISTANCE_BASE.get(n).ok_or_else(|| bad("a distance code out of range"))?;
                    let distance = usize::from(base) + usize::from(bits.take(u32::from(DISTANCE_EXTRA[n]))?);
                    if distance > self.window {
                        return Err(BadStream::Data(format!("a reference {distance} octets back, beyond the window of {}", self.window)));
                    }
                    let from = self.history.len().checked_sub(distance).ok_or_else(|| bad("a reference before the first octet"))?;
                    for at in from..from + len {
                        self.history.push(self.history[at]);
                    }
                }
            }
        }
    }
}

fn fixed() -> (Huffman, Huffman) {
    let lengths: Vec<u8> = (0..288)
        .map(|s| {
            if s < 144 {
                8
            } else if s < 256 {
                9
            } else if s < 280 {
                7
            } else {
                8
            }
        })
        .collect();
    (Huffman::new(&lengths), Huffman::new(&[5; 30]))
}

fn dynamic(bits: &mut Bits<'_>) -> Result<(Huffman, Huffman), BadStream> {
    let literals = usize::from(bits.take(5)?) + 257;
    let distances = usize::from(bits.take(5)?) + 1;
    let codes = usize::from(bits.take(4)?) + 4;
    let mut lengths = [0_u8; 19];
    for at in &CODE_ORDER[..codes] {
        lengths[*at] = u8::try_from(bits.take(3)?).unwrap_or(0);
    }
    let codes = Huffman::new(&lengths);
    let mut lengths: Vec<u8> = Vec::with_capacity(320);
    while lengths.len() < literals + distances {
        let (value, times) = match codes.decode(bits)? {
            16 => (*lengths.last().ok_or_else(|| bad("a repeat of nothing"))?, 3 + bits.take(2)?),
            17 => (0, 3 + bits.take(3)?),
            18 => (0, 11 + bits.take(7)?),
            length => (u8::try_from(length).unwrap_or(0), 1),
        };
        lengths.resize(lengths.len() + usize::from(times), value);
    }
    if lengths.len() > literals + distances {
        return Err(bad("more code lengths than codes"));
    }
    Ok((Huffman::new(&lengths[..literals]), Huffman::new(&lengths[literals..])))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::deflate::Deflater;
    use super::*;

    #[test]
    fn a_window_larger_than_agreed_is_seen() {
        let mut rng = crate::base::Seed(5).rng();
        #[expect(clippy::cast_possible_truncation, reason = "noise")]
        let noise: Vec<u8> = (0..1024).map(|_| rng.next_u64() as u8).collect();
        let far = [noise.as_slice(), &noise].concat();
        let packed = Deflater::new(15, true).message(&far).unwrap_or_default();
        assert_eq!(StrictInflater::new(15, true).message(&packed, 1 << 20), Ok(far.clone()));
        assert!(StrictInflater::new(9, true).message(&packed, 1 << 20).is_err());
        let near = Deflater::new(9, true).message(&far).unwrap_or_default();
        assert_eq!(StrictInflater::new(9, true).message(&near, 1 << 20), Ok(far));
    }

    #[test]
    fn the_examples_of_rfc_7692_7_2_3() {
        let mut inflater = StrictInflater::new(15, false);
        for octets in [
            &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00][..],
            &[0xf2, 0x00, 0x11, 0x00, 0x00],
            &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00],
            &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
        ] {
            assert_eq!(inflater.message(octets, 100).as_deref(), Ok(b"Hello".as_slice()), "{octets:02x?}");
        }
        assert!(StrictInflater::new(15, false).message(&[0xf2, 0x00, 0x11, 0x00, 0x00], 100).is_err());
    }

    /// A message of bits: numbers least bit first, codes as they are read (RFC 1951 3.1.1); the flush of RFC 7692 7.2.1 behind them.
    fn packed(bits: &str) -> Vec<u8> {
        let bits: Vec<u8> = bits.bytes().filter(|b| *b != b' ').chain(*b"000").map(|b| b - b'0').collect();
        bits.chunks(8).map(|octet| octet.iter().rev().fold(0, |all, bit| all << 1 | bit)).collect()
    }

    /// A number of so many bits, least first.
    fn number(value: usize, bits: u32) -> String {
        (0..bits).map(|n| if value >> n & 1 == 1 { '1' } else { '0' }).collect()
    }

    /// Both inflaters, the fast one first.
    fn both(octets: &[u8]) -> [Result<Vec<u8>, BadStream>; 2] {
        [super::super::deflate::Inflater::new(15, true).message(octets, 1_000), StrictInflater::new(15, true).message(octets, 1_000)]
    }

    #[test]
    fn every_octet_has_its_fixed_code() {
        let literal = |s: usize| if s < 144 { format!("{:08b}", 0x30 + s) } else { format!("{:09b}", 0x190 + s - 144) };
        let literals: String = (0..256).map(literal).collect();
        // Length 258 is symbol 285, of eight bits; then distance 1, and the end.
        let octets = packed(&format!("0 10 {literals} 11000101 00000 0000000"));
        let expected: Vec<u8> = (0..=255).chain([255; 258]).collect();
        assert_eq!(both(&octets), [Ok(expected.clone()), Ok(expected)], "RFC 1951 3.2.6");
    }

    #[test]
    fn a_reference_may_go_back_as_far_as_the_window_and_no_further() {
        let history: Vec<u8> = (0..520_u16).map(|n| n.to_le_bytes()[0]).collect();
        for (distance, code, extra) in [(512, "10001", number(127, 7)), (513, "10010", number(0, 8))] {
            let far = packed(&format!("0 10 0000001 {code} {extra} 0000000"));
            for bits in [9, 10] {
                let mut inflater = StrictInflater::new(bits, false);
                let stored = [&[0, 8, 2, 0xf7, 0xfd][..], &history, &[0]].concat();
                assert_eq!(inflater.message(&stored, 1_000).as_ref(), Ok(&history));
                let copied = history[history.len() - distance..][..3].to_vec();
                let refused = BadStream::Data(format!("a reference {distance} octets back, beyond the window of 512"));
                assert_eq!(
                    inflater.message(&far, 1_000),
                    if distance <= 1 << bits { Ok(copied) } else { Err(refused) },
                    "{distance}, {bits} bits"
                );
            }
        }
    }

    #[test]
    fn a_block_has_as_many_code_lengths_as_it_says() {
        // 257 literal codes and one distance code; lengths are told in two symbols: 0 is a length of one bit, 1 so many zeros (11 and
        // a number of seven bits).
        let lengths: String = CODE_ORDER[..18].iter().map(|s| number(usize::from(matches!(s, 1 | 18)), 3)).collect();
        let begin = format!("0 01 {} {} {} {lengths}", number(0, 5), number(0, 5), number(14, 4));
        let zeros = |n: usize| format!("1{}", number(n - 11, 7));
        let nothing_but_the_end = format!("{} {} 0", zeros(138), zeros(118));
        let good = packed(&format!("{begin} {nothing_but_the_end} 0 0"));
        assert_eq!(both(&good), [Ok(Vec::new()), Ok(Vec::new())]);
        let too_many = packed(&format!("{begin} {nothing_but_the_end} {} 0", zeros(11)));
        let [fast, strict] = both(&too_many);
        assert!(fast.is_err(), "{fast:?}");
        assert_eq!(strict, Err(bad("more code lengths than codes")));
    }

    proptest! {
        #[test]
        fn what_zlib_packs_it_unpacks(messages in prop::collection::vec(prop::collection::vec(0_u8..9, 0..2000), 1..5), bits in 9_u8..=15, fresh: bool) {
            let (mut there, mut back) = (Deflater::new(bits, fresh), StrictInflater::new(bits, fresh));
            for message in messages {
                let packed = there.message(&message).unwrap_or_default();
                prop_assert_eq!(back.message(&packed, 1 << 20), Ok(message));
            }
        }

        #[test]
        fn garbage_is_refused_or_read_but_never_a_panic(octets in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = StrictInflater::new(9, false).message(&octets, 1 << 16);
        }
    }
}
