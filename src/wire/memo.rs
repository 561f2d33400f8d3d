//! Stamps read lately. A broadcast brings the same 64 characters to every client of a shard: the first to receive them reads
//! them, for the others they are compared. What is remembered was read in full, so that nothing is taken on trust.

use crate::base::STAMP_LEN;

use super::stamp::{Read, Stamp};

/// Publications that may be on their way at once before they displace one another; a power of two. Under half a megabyte.
pub const ENTRIES: usize = 4096;

/// A table of stamps, one place for each.
#[derive(Debug)]
pub struct Memo {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    text: [u8; STAMP_LEN],
    read: Read,
}

impl Default for Memo {
    fn default() -> Self {
        // Empty places too hold a text and what it reads as, so that whatever is found is right.
        let text = Stamp::NEVER.encode();
        let checksum = Stamp::decode(&text).map_or(0, |read| read.checksum);
        Self { entries: vec![Entry { text, read: Read { stamp: Stamp::NEVER, checksum } }; ENTRIES] }
    }
}

impl Memo {
    /// What [`Stamp::decode`] gives, from memory where it has been asked before.
    ///
    /// By reference: what was read lies still in the table, and moving it about would cost more than finding it.
    #[inline(always)]
    pub fn decode(&mut self, text: &[u8; STAMP_LEN]) -> Option<&Read> {
        let place = place(text);
        let entry = &mut self.entries[place];
        if same(&entry.text, text) || entry.learn(text) { Some(&entry.read) } else { None }
    }
}

/// Whether two texts are equal. Written out, since the compiler calls a function for it, which takes longer than this does.
#[inline(always)]
fn same(a: &[u8; STAMP_LEN], b: &[u8; STAMP_LEN]) -> bool {
    let (a, b) = (a.as_chunks::<16>().0, b.as_chunks::<16>().0);
    a.iter().zip(b).fold(0, |differs, (a, b)| differs | (u128::from_ne_bytes(*a) ^ u128::from_ne_bytes(*b))) == 0
}

impl Entry {
    /// Reads and remembers, where there is anything to read. Apart, so that it is in nobody's way.
    #[inline(never)]
    fn learn(&mut self, text: &[u8; STAMP_LEN]) -> bool {
        let Some(read) = Stamp::decode(text) else { return false };
        *self = Self { text: *text, read };
        true
    }
}

/// A text's place among [`ENTRIES`]: the lowest bits of the sequence number, so that those under way at once keep out of one
/// another's place, shifted by publisher. Any text has a place.
#[inline(always)]
#[must_use]
pub fn place(text: &[u8; STAMP_LEN]) -> usize {
    let word = |at: usize| u32::from_be_bytes([text[at], text[at + 1], text[at + 2], text[at + 3]]);
    let seq = word(22);
    let nibbles = (seq & 0x0f0f_0f0f) + 9 * ((seq >> 6) & 0x0101_0101);
    let bytes = (nibbles | nibbles >> 4) & 0x00ff_00ff;
    let publisher = word(14).wrapping_mul(0x9e37_79b1) >> 16;
    ((bytes | bytes >> 8) ^ publisher) as usize % ENTRIES
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::{Instant, PublisherId, RunId, Seq};

    fn stamp(publisher: u32, seq: u32) -> Stamp {
        let at = Instant::from_nanos(u64::from(seq) * 1000);
        Stamp { run: RunId(7), publisher: PublisherId(publisher), seq: Seq(seq), planned: at, sent: at, padding: 0 }
    }

    #[test]
    fn those_under_way_at_once_do_not_displace_one_another() {
        let mut memo = Memo::default();
        for n in 70_000..70_000 + 4096 {
            let _ = memo.decode(&stamp(3, n).encode());
        }
        for n in 70_000..70_000 + 4096 {
            let text = stamp(3, n).encode();
            assert_eq!(memo.entries[place(&text)].text, text, "{n}");
        }
    }

    #[test]
    fn an_empty_memory_knows_no_stamp_that_is_none() {
        for text in [[0; STAMP_LEN], [0xff; STAMP_LEN], [b'0'; STAMP_LEN], Stamp::NEVER.encode()] {
            assert_eq!(Memo::default().decode(&text), Stamp::decode(&text).as_ref(), "{text:?}");
        }
    }

    #[test]
    fn publications_of_two_publishers_under_way_at_once_keep_apart() {
        let places: std::collections::BTreeSet<_> =
            (0..8).flat_map(|publisher| (0..64).map(move |seq| place(&stamp(publisher, seq).encode()))).collect();
        assert!(places.len() > 400, "{} of 512", places.len());
    }

    proptest! {
        /// Whatever was asked before, and however the text is damaged, the answer is the one without a memory.
        #[test]
        fn a_memory_changes_no_answer(asked in prop::collection::vec((0_u32..3, 0_u32..6, prop::option::of((0_usize..64, any::<u8>()))), 0..60)) {
            let mut memo = Memo::default();
            for (publisher, seq, damage) in asked {
                let mut text = stamp(publisher, seq).encode();
                if let Some((at, with)) = damage {
                    text[at] = with;
                }
                prop_assert_eq!(memo.decode(&text).copied(), Stamp::decode(&text));
            }
        }

        #[test]
        fn any_text_has_a_place(text in prop::array::uniform32(any::<u8>())) {
            let mut whole = [0; STAMP_LEN];
            whole[..32].copy_from_slice(&text);
            prop_assert!(place(&whole) < ENTRIES);
        }
    }
}
