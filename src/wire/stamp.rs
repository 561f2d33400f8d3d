//! The stamp every payload begins with: 64 ASCII characters that say which publication this is and when it left.
//!
//! ```text
//! wsb1 rrrrrrrr pppppp ssssssss tttttttttttt xxxxxxxxxxxx llllll cccccccc      (without the spaces)
//! │    │        │      │        │            │            │      └ checksum of the 56 characters before it
//! │    │        │      │        │            │            └ bytes of padding behind the stamp
//! │    │        │      │        │            └ sent instant, ns since the run's epoch (48 bits: 78 hours)
//! │    │        │      │        └ planned instant, likewise
//! │    │        │      └ sequence number within the publisher
//! │    │        └ publisher
//! │    └ run
//! └ magic
//! ```
//!
//! Lower-case hexadecimal throughout, so it needs no escaping inside JSON, XML or a URL. The checksum is over the characters
//! as they stand, so any altered character is seen; one altered character can even be put right ([`repair`]), so that a
//! damaged copy is still known as the copy it is.

use crate::base::STAMP_LEN;
use crate::base::{Instant, PublisherId, RunId, Seq};

/// The first four characters.
pub const MAGIC: [u8; 4] = *b"wsb1";

/// Largest values the fields can hold.
pub const MAX_PUBLISHER: u32 = 0x00ff_ffff;
/// Largest padding.
pub const MAX_PADDING: u32 = 0x00ff_ffff;
const MAX_NANOS: u64 = 0xffff_ffff_ffff;

/// What a stamp says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Which run.
    pub run: RunId,
    /// Whose publication.
    pub publisher: PublisherId,
    /// Which of them.
    pub seq: Seq,
    /// When it was due.
    pub planned: Instant,
    /// When it was handed to its connection.
    pub sent: Instant,
    /// Bytes of padding behind the stamp.
    pub padding: u32,
}

/// A stamp as read: what it says and its checksum, from which the padding follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    /// What it says.
    pub stamp: Stamp,
    /// The checksum, the padding's seed.
    pub checksum: u32,
}

impl Stamp {
    /// No stamp of any publication.
    pub(super) const NEVER: Self =
        Self { run: RunId(0), publisher: PublisherId(0), seq: Seq(0), planned: Instant::EPOCH, sent: Instant::EPOCH, padding: 0 };

    /// The stamp's text. Fields beyond their width are saturated (an instant after 78 hours, a padding over 16 MiB).
    #[must_use]
    pub fn encode(&self) -> [u8; STAMP_LEN] {
        let mut text = [0; STAMP_LEN];
        text[..4].copy_from_slice(&MAGIC);
        put_hex(&mut text[4..12], u64::from(self.run.0));
        put_hex(&mut text[12..18], u64::from(self.publisher.0.min(MAX_PUBLISHER)));
        put_hex(&mut text[18..26], u64::from(self.seq.0));
        put_hex(&mut text[26..38], self.planned.as_nanos().min(MAX_NANOS));
        put_hex(&mut text[38..50], self.sent.as_nanos().min(MAX_NANOS));
        put_hex(&mut text[50..56], u64::from(self.padding.min(MAX_PADDING)));
        let checksum = checksum(&words(&text));
        put_hex(&mut text[56..64], u64::from(checksum));
        text
    }

    /// Reads a stamp; `None` unless every character is as written.
    #[inline(always)]
    #[must_use]
    pub fn decode(text: &[u8; STAMP_LEN]) -> Option<Read> {
        let words = words(text);
        let checksum = checksum(&words);
        if words[0] >> 32 != MAGIC_WORD || words[7] != put_hex8(checksum) {
            return None;
        }
        Some(Read { stamp: fields(&words), checksum })
    }
}

/// Reads a stamp in which at most one character was altered, by trying every single-character change against the
/// checksum. The result is only as good as the checksum's 32 bits, so the caller must also know the run and publisher.
#[must_use]
pub fn repair(text: &[u8; STAMP_LEN]) -> Option<Read> {
    let intact = words(text);
    if let Some(read) = Stamp::decode(text) {
        return Some(read);
    }
    let computed = checksum(&intact);
    let differing = (56..STAMP_LEN).filter(|&i| text[i] != put_hex8(computed).to_be_bytes()[i - 56]).count();
    if differing == 1 && text[..4] == MAGIC {
        return Some(Read { stamp: fields(&intact), checksum: computed });
    }
    for position in 0..56 {
        let candidates: &[u8] = if position < 4 { &MAGIC[position..=position] } else { b"0123456789abcdef" };
        for &candidate in candidates {
            let mut tried = *text;
            tried[position] = candidate;
            if let Some(read) = Stamp::decode(&tried) {
                return Some(read);
            }
        }
    }
    None
}

const MAGIC_WORD: u64 = u32::from_be_bytes(MAGIC) as u64;

#[inline(always)]
fn words(text: &[u8; STAMP_LEN]) -> [u64; 8] {
    let (chunks, _) = text.as_chunks::<8>();
    std::array::from_fn(|i| u64::from_be_bytes(chunks[i]))
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the fields are cut out of wider words on purpose")]
fn fields(words: &[u64; 8]) -> Stamp {
    let n: [u64; 7] = std::array::from_fn(|i| u64::from(hex8(words[i])));
    Stamp {
        run: RunId(((n[0] & 0xffff) << 16 | n[1] >> 16) as u32),
        publisher: PublisherId(((n[1] & 0xffff) << 8 | n[2] >> 24) as u32),
        seq: Seq(((n[2] & 0x00ff_ffff) << 8 | n[3] >> 24) as u32),
        planned: Instant::from_nanos((n[3] & 0x00ff_ffff) << 24 | n[4] >> 8),
        sent: Instant::from_nanos((n[4] & 0xff) << 40 | n[5] << 8 | n[6] >> 24),
        padding: (n[6] & 0x00ff_ffff) as u32,
    }
}

/// Each of the seven words before the checksum times its own odd key, both halves of the 128-bit product folded together
/// (the mixing step of wyhash): the multiplications do not wait for one another, and a change of any one character spreads
/// over all 32 bits, which is what lets [`repair`] find it again.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "halves of a wider product")]
const fn checksum(words: &[u64; 8]) -> u32 {
    const KEYS: [u64; 7] = [
        0x9e37_79b9_7f4a_7c15,
        0xbf58_476d_1ce4_e5b9,
        0x94d0_49bb_1331_11eb,
        0xd6e8_feb8_6659_fd93,
        0xa076_1d64_78bd_642f,
        0xe703_7ed1_a0b4_28db,
        0x8ebc_6af0_9c88_c6e3,
    ];
    let mut sum = 0_u64;
    let mut i = 0;
    while i < 7 {
        let product = words[i] as u128 * KEYS[i] as u128;
        sum = sum.wrapping_add((product >> 64) as u64 ^ product as u64);
        i += 1;
    }
    (sum >> 32) as u32 ^ sum as u32
}

/// Eight hexadecimal characters to a number, all at once (Lemire, "Quickly parsing eight digits"). The characters are not
/// checked here: the checksum over the text has, or will.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "32 bits are left")]
const fn hex8(word: u64) -> u32 {
    let nibbles = (word & 0x0f0f_0f0f_0f0f_0f0f) + 9 * ((word >> 6) & 0x0101_0101_0101_0101);
    let bytes = (nibbles | nibbles >> 4) & 0x00ff_00ff_00ff_00ff;
    let pairs = (bytes | bytes >> 8) & 0x0000_ffff_0000_ffff;
    (pairs | pairs >> 16) as u32
}

/// The inverse of [`hex8`].
#[inline]
const fn put_hex8(value: u32) -> u64 {
    let value = value as u64;
    let pairs = (value | value << 16) & 0x0000_ffff_0000_ffff;
    let bytes = (pairs | pairs << 8) & 0x00ff_00ff_00ff_00ff;
    let nibbles = (bytes | bytes << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    let letters = ((nibbles + 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
    nibbles + 0x3030_3030_3030_3030 + letters * 0x27
}

fn put_hex(out: &mut [u8], mut value: u64) {
    for byte in out.iter_mut().rev() {
        *byte = b"0123456789abcdef"[(value & 0xf) as usize];
        value >>= 4;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_stamp() -> impl Strategy<Value = Stamp> {
        (any::<u32>(), 0..=MAX_PUBLISHER, any::<u32>(), 0..=MAX_NANOS, 0..=MAX_NANOS, 0..=MAX_PADDING).prop_map(
            |(run, publisher, seq, planned, sent, padding)| Stamp {
                run: RunId(run),
                publisher: PublisherId(publisher),
                seq: Seq(seq),
                planned: Instant::from_nanos(planned),
                sent: Instant::from_nanos(sent),
                padding,
            },
        )
    }

    proptest! {
        #[test]
        fn a_stamp_survives(stamp in any_stamp()) {
            let text = stamp.encode();
            prop_assert!(text.iter().all(u8::is_ascii_alphanumeric));
            prop_assert_eq!(Stamp::decode(&text).map(|r| r.stamp), Some(stamp));
        }

        #[test]
        fn any_altered_character_is_seen_and_put_right(stamp in any_stamp(), at in 0..STAMP_LEN, to in any::<u8>()) {
            let text = stamp.encode();
            let mut altered = text;
            altered[at] = to;
            prop_assume!(altered != text);
            prop_assert_eq!(Stamp::decode(&altered), None);
            prop_assert_eq!(repair(&altered), Stamp::decode(&text));
        }

        #[test]
        fn hex_goes_both_ways(value in any::<u32>()) {
            prop_assert_eq!(put_hex8(value).to_be_bytes().to_vec(), format!("{value:08x}").into_bytes());
            prop_assert_eq!(hex8(put_hex8(value)), value);
        }
    }

    #[test]
    fn the_format_is_pinned() {
        let stamp = Stamp {
            run: RunId(0xdead_beef),
            publisher: PublisherId(0x12),
            seq: Seq(0x345),
            planned: Instant::from_nanos(1_000_000_000),
            sent: Instant::from_nanos(1_000_050_000),
            padding: 64,
        };
        let text = String::from_utf8(stamp.encode().to_vec()).expect("ASCII");
        // The checksum too, computed apart from this code: workers and servers of other builds read these stamps.
        assert_eq!(text, "wsb1deadbeef0000120000034500003b9aca0000003b9b8d50000040b7b63097");
        assert_eq!(text.len(), STAMP_LEN);
    }
}
