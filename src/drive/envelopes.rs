//! Whole messages received lately, from servers that wrap what they relay. A broadcast brings the same bytes to every client of a
//! shard: the first to receive them has them read and every rule asked, for the others they are compared. Nothing is taken on
//! trust, since equal bytes have equal answers; what depends on the client is not remembered.

use crate::base::STAMP_LEN;
use crate::wire::memo;
use crate::wire::stamp::Stamp;

/// Longest message remembered. With one for each place, about 5 MiB a shard.
const LONGEST: usize = 1024;

/// Longest message that lies in the table itself, as most do: found and compared without following a pointer, each step of which
/// waits for memory that a burst of other messages has pushed out of the nearest cache.
const SHORT: usize = 200;

/// Messages that hold one intact copy, by the stamp in them.
#[derive(Debug, Default)]
pub(super) struct Envelopes {
    /// Where the stamp stood in the last message of each length: what to look for first.
    at: Vec<u16>,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    stamp: Stamp,
    text: bool,
    /// Length of the message; 0 while there is none.
    len: u16,
    short: [u8; SHORT],
    /// The message, if it is longer than [`SHORT`].
    long: Box<[u8]>,
}

impl Entry {
    fn new(stamp: &Stamp, text: bool, message: &[u8]) -> Self {
        let mut short = [0; SHORT];
        let long = match short.get_mut(..message.len()) {
            Some(place) => {
                place.copy_from_slice(message);
                Box::default()
            }
            None => message.into(),
        };
        Self { stamp: *stamp, text, len: u16::try_from(message.len()).unwrap_or(0), short, long }
    }

    #[inline(always)]
    fn message(&self) -> &[u8] {
        self.short.get(..usize::from(self.len)).unwrap_or(&self.long)
    }
}

impl Envelopes {
    /// The stamp of the one copy in `message`, if these very bytes are remembered.
    #[inline(always)]
    pub(super) fn get(&self, message: &[u8], text: bool) -> Option<&Stamp> {
        let at = usize::from(*self.at.get(message.len())?);
        let stamp = message.get(at..)?.first_chunk::<STAMP_LEN>()?;
        let entry = self.entries.get(memo::place(stamp))?;
        (entry.text == text && entry.message() == message).then_some(&entry.stamp)
    }

    /// Remembers a message that was found to hold one intact copy, beginning at `at`, and nothing else that means anything.
    #[cold]
    pub(super) fn learn(&mut self, message: &[u8], text: bool, at: usize, stamp: &Stamp) {
        let Some(head) = message.get(at..).and_then(<[u8]>::first_chunk::<STAMP_LEN>) else { return };
        if message.len() > LONGEST {
            return;
        }
        if self.entries.is_empty() {
            self.at = vec![0; LONGEST + 1];
            self.entries = vec![Entry::new(stamp, text, &[]); memo::ENTRIES];
        }
        self.at[message.len()] = u16::try_from(at).unwrap_or(0);
        let entry = &mut self.entries[memo::place(head)];
        // A server that writes to each client something of its own is not remembered once for each.
        if entry.len == 0 || entry.stamp != *stamp {
            *entry = Entry::new(stamp, text, message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Instant, PublisherId, RunId, Seq};

    fn stamp(seq: u32) -> Stamp {
        Stamp { run: RunId(1), publisher: PublisherId(0), seq: Seq(seq), planned: Instant::EPOCH, sent: Instant::EPOCH, padding: 0 }
    }

    fn wrapped(before: &str, stamp: &Stamp, behind: &str) -> Vec<u8> {
        [before.as_bytes(), &stamp.encode(), behind.as_bytes()].concat()
    }

    #[test]
    fn only_the_very_bytes_are_known() {
        let mut known = Envelopes::default();
        let message = wrapped("{\"m\":\"", &stamp(5), "\"}");
        assert_eq!(known.get(&message, true), None, "nothing was learnt");
        known.learn(&message, true, 6, &stamp(5));
        assert_eq!(known.get(&message, true), Some(&stamp(5)));
        assert_eq!(known.get(&message, false), None, "with another opcode it may be another thing");
        for at in 0..message.len() {
            let mut other = message.clone();
            other[at] ^= 1;
            assert_eq!(known.get(&other, true), None, "byte {at}");
        }
        assert_eq!(known.get(&message[1..], true), None);
        assert_eq!(known.get(&[&message[..], b" "].concat(), true), None);
        assert_eq!(known.get(b"", true), None);
    }

    #[test]
    fn each_length_has_its_own_place_for_the_stamp() {
        let mut known = Envelopes::default();
        let (short, long) = (wrapped("a:", &stamp(1), ""), wrapped("longer:", &stamp(2), ""));
        known.learn(&short, true, 2, &stamp(1));
        known.learn(&long, true, 7, &stamp(2));
        assert_eq!((known.get(&short, true), known.get(&long, true)), (Some(&stamp(1)), Some(&stamp(2))));
    }

    #[test]
    fn messages_on_either_side_of_what_lies_in_the_table_are_known() {
        for len in [SHORT - 1, SHORT, SHORT + 1, LONGEST] {
            let mut known = Envelopes::default();
            let message = wrapped("m:", &stamp(3), &"x".repeat(len - STAMP_LEN - 2));
            known.learn(&message, true, 2, &stamp(3));
            assert_eq!((message.len(), known.get(&message, true)), (len, Some(&stamp(3))));
            assert_eq!(known.get(&[&message[..len - 1], b"y"].concat(), true), None);
        }
    }

    #[test]
    fn what_is_too_long_or_cut_is_not_kept() {
        let mut known = Envelopes::default();
        let long = wrapped(&"x".repeat(LONGEST), &stamp(1), "");
        known.learn(&long, true, LONGEST, &stamp(1));
        known.learn(b"cut", true, 1, &stamp(1));
        assert_eq!(known.get(&long, true), None);
        assert!(known.entries.is_empty());
    }
}
