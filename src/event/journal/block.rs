//! One block: a head that can be trusted, and contents that can be checked.

use super::{MAX_DOCUMENT, MAX_RAW};

/// Every block begins with it; the last character is the version of the format.
pub(super) const MAGIC: [u8; 4] = *b"wsj1";
/// Bytes of a block's head.
pub(super) const HEAD: usize = 36;

/// What a block holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Header,
    Events,
    Trailer,
}

impl Kind {
    const fn number(self) -> u8 {
        match self {
            Self::Header => 0,
            Self::Events => 1,
            Self::Trailer => 2,
        }
    }

    const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Header),
            1 => Some(Self::Events),
            2 => Some(Self::Trailer),
            _ => None,
        }
    }

    /// The largest contents of a block of this kind.
    const fn limit(self) -> usize {
        match self {
            Self::Events => MAX_RAW,
            Self::Header | Self::Trailer => MAX_DOCUMENT,
        }
    }
}

/// A block's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) kind: Kind,
    pub(super) compressed: bool,
    pub(super) shard: u32,
    pub(super) number: u32,
    pub(super) events: u32,
    pub(super) raw: usize,
    pub(super) stored: usize,
    checksum: u32,
}

impl Head {
    /// Reads a head; `None` when it is none, or a damaged one.
    pub(super) fn read(bytes: &[u8; HEAD]) -> Option<Self> {
        let (words, _) = bytes.as_chunks::<4>();
        let word = |n: usize| u32::from_le_bytes(words[n]);
        if words[0] != MAGIC || crc32fast::hash(&bytes[..HEAD - 4]) != word(8) {
            return None;
        }
        let [kind, codec, 0, 0] = words[1] else { return None };
        let kind = Kind::from_number(kind)?;
        let compressed = match codec {
            0 => false,
            1 => true,
            _ => return None,
        };
        let (raw, stored) = (usize::try_from(word(5)).ok()?, usize::try_from(word(6)).ok()?);
        let plausible = raw <= kind.limit() && if compressed { stored < raw } else { stored == raw };
        plausible.then_some(Self { kind, compressed, shard: word(2), number: word(3), events: word(4), raw, stored, checksum: word(7) })
    }

    /// Takes the contents out of what was stored; false when they are damaged.
    pub(super) fn open(&self, stored: &[u8], contents: &mut Vec<u8>) -> bool {
        contents.clear();
        if crc32fast::hash(stored) != self.checksum {
            return false;
        }
        if !self.compressed {
            contents.extend_from_slice(stored);
            return true;
        }
        contents.resize(self.raw, 0);
        lz4_flex::block::decompress_into(stored, contents).is_ok_and(|length| length == self.raw)
    }
}

/// What a block is about, besides its contents.
#[derive(Debug, Clone, Copy)]
pub(super) struct Label {
    pub(super) kind: Kind,
    pub(super) shard: u32,
    pub(super) number: u32,
    pub(super) events: u32,
}

/// Appends a whole block to `out`. Contents beyond the kind's limit are the caller's mistake: the reader would refuse them.
pub(super) fn seal(out: &mut Vec<u8>, label: Label, contents: &[u8]) {
    debug_assert!(contents.len() <= label.kind.limit(), "a block of {} bytes", contents.len());
    let begin = out.len();
    out.resize(begin + HEAD + lz4_flex::block::get_maximum_output_size(contents.len()), 0);
    let length = lz4_flex::block::compress_into(contents, &mut out[begin + HEAD..]).unwrap_or(usize::MAX);
    let compressed = length < contents.len();
    let stored = if compressed { length } else { contents.len() };
    out.truncate(begin + HEAD + stored);
    if !compressed {
        out[begin + HEAD..].copy_from_slice(contents);
    }
    let checksum = crc32fast::hash(&out[begin + HEAD..]);
    let word = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let head = &mut out[begin..begin + HEAD];
    head[..4].copy_from_slice(&MAGIC);
    head[4..8].copy_from_slice(&[label.kind.number(), u8::from(compressed), 0, 0]);
    let words = [label.shard, label.number, label.events, word(contents.len()), word(stored), checksum];
    for (place, value) in head[8..].as_chunks_mut::<4>().0.iter_mut().zip(words) {
        *place = value.to_le_bytes();
    }
    let checksum = crc32fast::hash(&head[..HEAD - 4]);
    head[HEAD - 4..].copy_from_slice(&checksum.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sealed(contents: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        seal(&mut out, Label { kind: Kind::Events, shard: 3, number: 9, events: 2 }, contents);
        out
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens(contents in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..2000),
            (any::<u8>(), 0..5000_usize).prop_map(|(byte, n)| vec![byte; n]),
        ]) {
            let block = sealed(&contents);
            let head = Head::read(block.first_chunk().expect("a head")).expect("whole");
            prop_assert_eq!((head.shard, head.number, head.events), (3, 9, 2));
            prop_assert_eq!(block.len(), HEAD + head.stored);
            let mut out = Vec::new();
            prop_assert!(head.open(&block[HEAD..], &mut out));
            prop_assert_eq!(out, contents);
        }
    }

    /// A head of these figures, right in its checksum.
    fn head(kind: Kind, codec: u8, raw: usize, stored: usize) -> [u8; HEAD] {
        let mut head: [u8; HEAD] = *sealed(b"").first_chunk().expect("a head");
        head[4..6].copy_from_slice(&[kind.number(), codec]);
        head[20..24].copy_from_slice(&u32::try_from(raw).expect("small").to_le_bytes());
        head[24..28].copy_from_slice(&u32::try_from(stored).expect("small").to_le_bytes());
        let checksum = crc32fast::hash(&head[..HEAD - 4]);
        head[HEAD - 4..].copy_from_slice(&checksum.to_le_bytes());
        head
    }

    #[test]
    fn a_head_says_nothing_no_writer_would_say() {
        for (kind, codec, raw, stored, good) in [
            (Kind::Events, 0, 100, 100, true),
            (Kind::Events, 0, 100, 99, false),
            (Kind::Events, 0, 100, 101, false),
            (Kind::Events, 1, 100, 99, true),
            // What does not get smaller is stored as it is.
            (Kind::Events, 1, 100, 100, false),
            (Kind::Events, 1, 100, 101, false),
            (Kind::Events, 2, 100, 99, false),
            (Kind::Events, 0, MAX_RAW, MAX_RAW, true),
            (Kind::Events, 0, MAX_RAW + 1, MAX_RAW + 1, false),
            (Kind::Events, 1, MAX_RAW + 1, 9, false),
            (Kind::Trailer, 1, MAX_DOCUMENT, 9, true),
            (Kind::Header, 1, MAX_DOCUMENT + 1, 9, false),
        ] {
            let read = Head::read(&head(kind, codec, raw, stored)).map(|head| (head.kind, head.raw, head.stored));
            assert_eq!(read, good.then_some((kind, raw, stored)), "{kind:?}, codec {codec}: {raw} in {stored}");
        }
    }

    #[test]
    fn any_flipped_bit_is_seen() {
        let block = sealed(b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabcd");
        for bit in 0..block.len() * 8 {
            let mut flipped = block.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let opens = Head::read(flipped.first_chunk().expect("a head")).is_some_and(|head| head.open(&flipped[HEAD..], &mut Vec::new()));
            assert!(!opens, "bit {bit}");
        }
    }
}
