//! Witnesses: the first eight of a kind, chosen so that the order in which shards are merged does not matter.

use serde::{Deserialize, Serialize};

use crate::base::{ConnId, Instant, PublisherId, Seq};

/// How many witnesses of a kind are kept.
pub const WITNESSES: usize = 8;

/// Something seen that a check may want to name. Ordered by time first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Sighting {
    /// When.
    pub at: Instant,
    /// On which connection.
    pub conn: Option<ConnId>,
    /// Whose publication.
    pub publisher: Option<PublisherId>,
    /// Which of them.
    pub seq: Option<Seq>,
    /// What happened, in a few words; samples are escaped and cut.
    pub what: String,
}

/// The least `WITNESSES` sightings of a kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sightings(Vec<Sighting>);

impl Sightings {
    /// Keeps a sighting if it is among the first; `what` is asked only then.
    pub(super) fn note(
        &mut self,
        at: Instant,
        conn: Option<ConnId>,
        publication: Option<(PublisherId, Seq)>,
        what: impl FnOnce() -> String,
    ) {
        let (publisher, seq) = publication.unzip();
        if self.is_full_before(at) {
            return;
        }
        self.keep(Sighting { at, conn, publisher, seq, what: what() });
    }

    /// Whether something at `at` would certainly not be kept.
    pub(super) fn is_full_before(&self, at: Instant) -> bool {
        self.0.len() == WITNESSES && self.0.last().is_some_and(|last| at > last.at)
    }

    fn keep(&mut self, sighting: Sighting) {
        let place = self.0.partition_point(|kept| *kept <= sighting);
        if place < WITNESSES {
            self.0.insert(place, sighting);
            self.0.truncate(WITNESSES);
        }
    }

    /// Drops those that `told` no longer holds for.
    pub(super) fn retain(&mut self, told: impl FnMut(&Sighting) -> bool) {
        self.0.retain(told);
    }

    /// Adds another's sightings.
    pub(super) fn merge(&mut self, other: Self) {
        for sighting in other.0 {
            self.keep(sighting);
        }
    }

    /// In order of time.
    #[must_use]
    pub fn as_slice(&self) -> &[Sighting] {
        &self.0
    }
}

/// Foreign bytes made fit to be shown: control characters and what is no UTF-8 escaped, cut at 80 characters.
pub(super) fn shown(bytes: &[u8]) -> String {
    shown_up_to(80, bytes)
}

/// Why a client did not get in, made fit to be shown: it names what was expected and the frames that came instead, so it may be longer.
pub(super) fn reason(text: &str) -> String {
    shown_up_to(1000, text.as_bytes())
}

fn shown_up_to(longest: usize, bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * longest)]);
    let mut out = String::new();
    for c in text.chars() {
        if out.chars().count() >= longest {
            out.push('…');
            return out;
        }
        if c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}') {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    if bytes.len() > 4 * longest {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sighting(at: u64) -> Sighting {
        Sighting { at: Instant::from_nanos(at), conn: None, publisher: None, seq: None, what: format!("at {at}") }
    }

    #[test]
    fn a_text_is_cut_by_characters_however_many_bytes_they_take() {
        for (letter, n, cut) in
            [('a', 80, false), ('a', 81, true), ('é', 80, false), ('é', 100, true), ('€', 60, false), ('𝄞', 80, false), ('𝄞', 81, true)]
        {
            let text: String = std::iter::repeat_n(letter, n).collect();
            let mut due: String = text.chars().take(80).collect();
            due.extend(cut.then_some('…'));
            assert_eq!(shown(text.as_bytes()), due, "{n} of {letter}");
        }
    }

    #[test]
    fn the_first_eight_stay_whatever_the_order() {
        let (mut up, mut down) = (Sightings::default(), Sightings::default());
        for at in 0..20 {
            up.note(Instant::from_nanos(at), None, None, || format!("at {at}"));
            down.note(Instant::from_nanos(19 - at), None, None, || format!("at {}", 19 - at));
        }
        assert_eq!(up, down);
        assert_eq!(up.as_slice(), (0..8).map(sighting).collect::<Vec<_>>());
        let mut merged = Sightings::default();
        merged.merge(down);
        assert_eq!(merged, up);
    }

    #[test]
    fn what_happened_is_asked_only_of_those_that_are_kept() {
        let mut sightings = Sightings::default();
        (1..=8).for_each(|at| sightings.note(Instant::from_nanos(at), None, None, || format!("at {at}")));
        sightings.note(Instant::from_nanos(9), None, None, || unreachable!("there are eight before it"));
        sightings.note(Instant::from_nanos(0), None, None, || "at 0".into());
        assert_eq!(sightings.as_slice(), (0..8).map(sighting).collect::<Vec<_>>());
    }

    #[test]
    fn what_turns_out_to_be_nothing_is_dropped() {
        let mut sightings = Sightings::default();
        (0..6).for_each(|at| sightings.note(Instant::from_nanos(at), None, None, || format!("at {at}")));
        sightings.retain(|sighting| sighting.at.as_nanos() % 3 != 0);
        assert_eq!(sightings.as_slice(), [1, 2, 4, 5].map(sighting));
    }

    #[test]
    fn foreign_bytes_cannot_write_on_the_terminal() {
        assert_eq!(shown(b"a\x1b[2Jb\n"), "a\\u{1b}[2Jb\\n");
        assert_eq!(shown(&[0xff, b'x']), "\u{fffd}x");
        assert_eq!(shown(&[b'x'; 1000]).chars().count(), 81);
        assert_eq!(shown("\u{202e}abc".as_bytes()), "\\u{202e}abc");
    }
}
