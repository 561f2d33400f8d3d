//! Payloads: a stamp and its padding, written and recognised. The padding is a pure function of the stamp's checksum, so a
//! copy that was cut, stretched or altered is seen without keeping what was sent.

use std::sync::LazyLock;

use memchr::memmem;

use crate::base::{Flaws, RunId, STAMP_LEN};

use super::memo::Memo;
use super::stamp::{self, MAGIC, Read, Stamp};

const TABLE: usize = 4096;

/// Padding of text payloads: capitals and digits, nothing to escape, and never the magic.
static TEXT: [u8; 2 * TABLE] = table(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345", 32);

/// Padding of binary payloads: half of it no UTF-8, so that a server that takes bytes for text shows.
static BINARY: [u8; 2 * TABLE] = table(b"\x00\x01\x7f\x80\x81\xbf\xc0\xc1\xf5\xff\xfe\xed\xa0\xed\xbf\x1b\"\\\n\r<>&'%+ABCDEF", 32);

/// The same stretch twice over, so that any offset below `TABLE` has `TABLE` bytes behind it.
const fn table(alphabet: &[u8; 32], len: u64) -> [u8; 2 * TABLE] {
    let mut out = [0; 2 * TABLE];
    let mut state = 0x5742_u64;
    let mut i = 0;
    while i < TABLE {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let byte = alphabet[((state >> 40) % len) as usize];
        out[i] = byte;
        out[i + TABLE] = byte;
        i += 1;
    }
    out
}

/// The pieces of the padding that follows from `checksum`: `len` bytes in stretches of at most `TABLE`.
fn pieces(checksum: u32, len: usize, text: bool) -> impl Iterator<Item = &'static [u8]> {
    let table = if text { &TEXT } else { &BINARY };
    (0..len.div_ceil(TABLE)).map(move |piece| {
        let offset = (checksum as usize).wrapping_add(piece * 617) % TABLE;
        &table[offset..offset + TABLE.min(len - piece * TABLE)]
    })
}

/// Appends the stamp and its padding to `out`.
pub fn write(out: &mut Vec<u8>, stamp: &Stamp, text: bool) {
    let encoded = stamp.encode();
    out.extend_from_slice(&encoded);
    let checksum = Stamp::decode(&encoded).map_or(0, |read| read.checksum);
    for piece in pieces(checksum, stamp.padding as usize, text) {
        out.extend_from_slice(piece);
    }
}

/// What a received message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recognised {
    /// A copy of a publication, with whatever is wrong with it.
    Copy(Stamp, Flaws),
    /// A stamp's magic stands there, but the stamp cannot be read.
    Unreadable,
    /// No stamp.
    Nothing,
}

/// Recognises a message that should be a payload and nothing else, as a server that relays messages unchanged gives it.
/// `text` is the opcode it came with, `sent_text` the one it was sent with. `run` is ours: a damaged stamp is only put
/// right when it then names this run.
#[must_use]
pub fn recognise(message: &[u8], text: bool, sent_text: bool, run: RunId) -> Recognised {
    let opcode = if text == sent_text { Flaws::NONE } else { Flaws::OPCODE };
    if let Some(head) = message.first_chunk::<STAMP_LEN>()
        && let Some(read) = Stamp::decode(head)
    {
        let padding = &message[STAMP_LEN..];
        let flaws = if is_padding_of(&read, padding, sent_text) { opcode } else { opcode.with(padding_flaws(padding, &read, sent_text)) };
        return Recognised::Copy(read.stamp, flaws);
    }
    recognise_damaged(message, opcode, sent_text, run)
}

/// The stamp of a message that is an intact payload of `run` and nothing else, as nearly every message is: with a memory for what
/// many clients receive, and nothing moved about. What is none of that, [`recognise`] tells.
#[inline(always)]
pub fn intact<'m>(memo: &'m mut Memo, message: &[u8], sent_text: bool, run: RunId) -> Option<&'m Stamp> {
    let read = memo.decode(message.first_chunk::<STAMP_LEN>()?)?;
    (read.stamp.run == run && is_padding_of(read, &message[STAMP_LEN..], sent_text)).then_some(&read.stamp)
}

/// A payload that stands somewhere in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<'a> {
    /// A copy of a publication, with whatever is wrong with it.
    Copy(&'a Stamp, Flaws),
    /// A stamp's magic stands there, but the stamp cannot be read.
    Unreadable,
}

/// Finds every payload in `message`, wherever it stands: inside an envelope, behind a name, several in one frame. What stands
/// around a payload is the envelope's and not judged; the payload itself is, to its last byte.
#[inline(always)]
pub fn find(memo: &mut Memo, message: &[u8], sent_text: bool, run: RunId, mut on: impl FnMut(Found<'_>)) {
    let mut rest = message;
    while let Some(at) = magic(rest) {
        let here = &rest[at..];
        if let Some((head, behind)) = here.split_first_chunk::<STAMP_LEN>()
            && let Some(read) = memo.decode(head)
            && let Some((padding, further)) = behind.split_at_checked(read.stamp.padding as usize)
            && is_padding_of(read, padding, sent_text)
        {
            on(Found::Copy(&read.stamp, Flaws::NONE));
            rest = further;
        } else {
            rest = find_damaged(here, sent_text, run, &mut on);
        }
    }
}

/// Where the first stamp's magic stands.
#[inline]
#[must_use]
pub fn magic(bytes: &[u8]) -> Option<usize> {
    // Built once: building it costs five times as much as looking through a message.
    static FINDER: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(&MAGIC));
    if bytes.len() < MAGIC.len() { None } else { FINDER.find(bytes) }
}

/// The magic at the front of `here` begins no intact payload. Gives what is to be searched next.
#[cold]
fn find_damaged<'b>(here: &'b [u8], sent_text: bool, run: RunId, on: &mut dyn FnMut(Found<'_>)) -> &'b [u8] {
    let Some((head, behind)) = here.split_first_chunk::<STAMP_LEN>() else {
        on(Found::Unreadable);
        return &[];
    };
    let intact = Stamp::decode(head);
    let Some(read) = intact.or_else(|| stamp::repair(head).filter(|read| read.stamp.run == run)) else {
        on(Found::Unreadable);
        return &here[MAGIC.len()..];
    };
    let due = (read.stamp.padding as usize).min(behind.len());
    let altered = if intact.is_some() { Flaws::NONE } else { Flaws::BYTES };
    let flaws = if is_padding_of(&read, &behind[..due], sent_text) {
        altered
    } else {
        altered.with(padding_flaws(&behind[..due], &read, sent_text))
    };
    on(Found::Copy(&read.stamp, flaws));
    &behind[if flaws.is_none() { due } else { 0 }..]
}

/// Whether `padding` is all of a payload behind its stamp, as written.
#[inline]
fn is_padding_of(read: &Read, padding: &[u8], text: bool) -> bool {
    padding.len() == read.stamp.padding as usize && (padding.is_empty() || padding_matches(padding, read.checksum, text))
}

#[inline]
fn padding_matches(padding: &[u8], checksum: u32, text: bool) -> bool {
    let table = if text { &TEXT } else { &BINARY };
    if padding.len() <= TABLE {
        let offset = checksum as usize % TABLE;
        return padding == &table[offset..offset + padding.len()];
    }
    padding.chunks(TABLE).zip(pieces(checksum, padding.len(), text)).all(|(got, sent)| got == sent)
}

#[cold]
fn padding_flaws(padding: &[u8], read: &Read, text: bool) -> Flaws {
    let due = read.stamp.padding as usize;
    let common = padding.len().min(due);
    let mut flaws = if padding.len() == due { Flaws::NONE } else { Flaws::LENGTH };
    // Compared piece by piece as written, so that a cut payload shows as cut and not as altered too.
    let differs = padding[..common].chunks(TABLE).zip(pieces(read.checksum, due, text)).any(|(got, sent)| got != &sent[..got.len()]);
    if differs {
        flaws = flaws.with(Flaws::BYTES);
    }
    flaws
}

/// The slow road: a message that does not begin with an intact stamp.
#[cold]
fn recognise_damaged(message: &[u8], opcode: Flaws, text: bool, run: RunId) -> Recognised {
    if let Some(head) = message.first_chunk::<STAMP_LEN>()
        && let Some(read) = stamp::repair(head)
        && read.stamp.run == run
    {
        let padding = padding_flaws(&message[STAMP_LEN..], &read, text);
        return Recognised::Copy(read.stamp, opcode.with(Flaws::BYTES).with(padding));
    }
    if let Some(at) = magic(message) {
        if let Some(text) = message[at..].first_chunk::<STAMP_LEN>()
            && let Some(read) = Stamp::decode(text)
        {
            // Wrapped in something the scenario does not describe: the copy came, but not the bytes that were sent.
            return Recognised::Copy(read.stamp, opcode.with(Flaws::BYTES).with(Flaws::LENGTH));
        }
        return Recognised::Unreadable;
    }
    Recognised::Nothing
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Instant, PublisherId, Seq};

    const RUN: RunId = RunId(7);

    fn stamp(padding: u32) -> Stamp {
        Stamp { run: RUN, publisher: PublisherId(3), seq: Seq(9), planned: Instant::from_nanos(5), sent: Instant::from_nanos(6), padding }
    }

    fn written(padding: u32, text: bool) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out, &stamp(padding), text);
        out
    }

    fn flaws(message: &[u8], text: bool, sent_text: bool) -> Option<Flaws> {
        match recognise(message, text, sent_text, RUN) {
            Recognised::Copy(found, flaws) => {
                assert_eq!((found.publisher, found.seq), (PublisherId(3), Seq(9)));
                Some(flaws)
            }
            _ => None,
        }
    }

    #[test]
    fn an_intact_payload_of_any_size_is_recognised() {
        for padding in [0, 1, 64, 4095, 4096, 4097, 100_000] {
            for text in [true, false] {
                assert_eq!(flaws(&written(padding, text), text, text), Some(Flaws::NONE), "{padding}");
            }
        }
    }

    #[test]
    fn every_kind_of_damage_has_its_name() {
        let good = written(10_000, true);
        assert_eq!(flaws(&good, false, true), Some(Flaws::OPCODE));
        assert_eq!(flaws(&good[..good.len() - 1], true, true), Some(Flaws::LENGTH));
        assert_eq!(flaws(&good[..STAMP_LEN], true, true), Some(Flaws::LENGTH));
        let longer = [good.as_slice(), b"!"].concat();
        assert_eq!(flaws(&longer, true, true), Some(Flaws::LENGTH));
        for at in [0, 3, 20, 60, 63, 64, 5000, good.len() - 1] {
            let mut flipped = good.clone();
            flipped[at] ^= 0x01;
            assert_eq!(flaws(&flipped, true, true), Some(Flaws::BYTES), "byte {at}");
        }
        let wrapped = [br#"{"m":""#.as_slice(), &good, br#""}"#].concat();
        assert!(flaws(&wrapped, true, true).is_some_and(|f| f.has(Flaws::BYTES)));
    }

    #[test]
    fn stretches_of_a_long_payload_that_changed_places_are_an_alteration() {
        let good = written(3 * 4096, true);
        let mut swapped = good.clone();
        let (first, second) = swapped[STAMP_LEN..].split_at_mut(4096);
        first.swap_with_slice(&mut second[..4096]);
        assert_eq!(flaws(&swapped, true, true), Some(Flaws::BYTES));
        assert_eq!(intact(&mut Memo::default(), &swapped, true, RUN), None);
        assert_eq!(intact(&mut Memo::default(), &good, true, RUN), Some(&stamp(3 * 4096)));
    }

    fn found(message: &[u8]) -> Vec<Option<Flaws>> {
        let mut all = Vec::new();
        find(&mut Memo::default(), message, true, RUN, |found| {
            all.push(match found {
                Found::Copy(_, flaws) => Some(flaws),
                Found::Unreadable => None,
            });
        });
        all
    }

    #[test]
    fn payloads_are_found_in_their_envelopes() {
        let one = written(100, true);
        let none: [Option<Flaws>; 0] = [];
        assert_eq!(found(b"no payload here"), none);
        assert_eq!(found(&one), [Some(Flaws::NONE)]);
        assert_eq!(found(&[b"{\"m\":\"".as_slice(), &one, b"\"}\n", &one, b"!"].concat()), [Some(Flaws::NONE), Some(Flaws::NONE)]);
        assert_eq!(found(&one[..120]), [Some(Flaws::LENGTH)]);
        assert_eq!(found(&one[..40]), [None]);
        let mut altered = [b"x:".as_slice(), &one].concat();
        altered[90] = b'*';
        assert_eq!(found(&altered), [Some(Flaws::BYTES)]);
        altered[90] = one[88];
        altered[20] = b'*';
        assert_eq!(found(&altered), [Some(Flaws::BYTES)], "an altered stamp is put right and told");
    }

    #[test]
    fn a_payload_beyond_repair_is_passed_over_once() {
        let mut broken = written(40, true);
        broken[10] ^= 1;
        broken[20] ^= 1;
        let message = [b"before it ".as_slice(), &broken, b" between ", &written(8, true)].concat();
        assert_eq!(found(&message), [None, Some(Flaws::NONE)]);
        assert_eq!(found(&[b"ab".as_slice(), &MAGIC, b"cd"].concat()), [None], "a magic, and no room for the rest");
    }

    #[test]
    fn what_is_no_payload() {
        assert_eq!(recognise(b"something", true, true, RUN), Recognised::Nothing);
        assert_eq!(recognise(b"", true, true, RUN), Recognised::Nothing);
        assert_eq!(recognise(&written(0, true)[..40], true, true, RUN), Recognised::Unreadable);
        let mut two = written(0, true);
        two[20] ^= 1;
        two[30] ^= 1;
        assert_eq!(recognise(&two, true, true, RUN), Recognised::Unreadable);
    }

    /// Whatever was received before and however a message is damaged, the road with a memory and the road without agree.
    #[test]
    fn a_memory_changes_nothing_that_is_recognised() {
        let mut memo = Memo::default();
        for padding in [0, 1, 64, 5000] {
            let message = written(padding, true);
            let mut damaged = vec![message.clone(), message[..message.len() - 1].to_vec(), [&message[..], b"x"].concat()];
            damaged.extend((0..message.len()).step_by(7).map(|at| {
                let mut one = message.clone();
                one[at] ^= 1;
                one
            }));
            for message in damaged {
                for run in [RUN, RunId(8)] {
                    // Its memory holds one stamp at most, that of an earlier call.
                    let mut fresh = Memo::default();
                    let is_ours = recognise(&message, true, true, run) == Recognised::Copy(stamp(padding), Flaws::NONE) && run == RUN;
                    assert_eq!(intact(&mut memo, &message, true, run), is_ours.then_some(&stamp(padding)));
                    let wrapped = [b"[", &message[..], b"]"].concat();
                    let all = |memo: &mut Memo| {
                        let mut all = Vec::new();
                        find(memo, &wrapped, true, run, |found| all.push(format!("{found:?}")));
                        all
                    };
                    assert_eq!(all(&mut memo), all(&mut fresh));
                }
            }
        }
    }

    #[test]
    fn the_padding_never_holds_the_magic() {
        for table in [&TEXT, &BINARY] {
            assert!(memmem::find(table.as_slice(), &MAGIC).is_none());
        }
        assert!(std::str::from_utf8(&BINARY).is_err());
    }
}
