//! Five generated corpora for the deflate groups, with the profiles of Autobahn's: repetitive JSON, a noisy image, prose,
//! tag soup with a few letters beyond ASCII, and mostly packed binary. Pure functions of a fixed seed: every run and every
//! machine compresses the same octets. Must never know a case.

use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};

use crate::base::{Rng, Seed};

/// Which corpus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// 194 056 octets, all ASCII, deflates to a twentieth.
    Json,
    /// 263 222 octets, 8-bit noise around a gradient, hardly deflates.
    Image,
    /// 222 218 octets of words.
    Prose,
    /// 263 647 octets of markup, 27 letters beyond ASCII.
    Tags,
    /// 1 042 328 octets, three quarters incompressible.
    Packed,
}

/// A corpus, with the octet at which each character starts where that is not its index.
#[derive(Debug)]
pub struct Corpus {
    /// The octets.
    pub octets: Vec<u8>,
    /// For text: where each character starts, and the end; empty for binary and for pure ASCII.
    starts: Vec<usize>,
}

impl Kind {
    /// By its name in the catalogue.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Json, Self::Image, Self::Prose, Self::Tags, Self::Packed].into_iter().find(|k| k.word() == word)
    }

    /// Its name in the catalogue.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Image => "image",
            Self::Prose => "prose",
            Self::Tags => "tags",
            Self::Packed => "packed",
        }
    }

    /// The corpus, made once.
    #[must_use]
    pub fn corpus(self) -> Arc<Corpus> {
        static MADE: [OnceLock<Arc<Corpus>>; 5] = [const { OnceLock::new() }; 5];
        let slot = match self {
            Self::Json => 0,
            Self::Image => 1,
            Self::Prose => 2,
            Self::Tags => 3,
            Self::Packed => 4,
        };
        MADE[slot].get_or_init(|| Arc::new(self.make())).clone()
    }

    fn make(self) -> Corpus {
        let mut rng = Seed(0x5eed).derive(self.word()).rng();
        let octets = match self {
            Self::Json => cut(json(&mut rng, 194_056), 194_056),
            Self::Image => image(&mut rng, 263_222),
            Self::Prose => cut(prose(&mut rng, 222_218), 222_218),
            Self::Tags => tags(&mut rng, 263_647),
            Self::Packed => packed(&mut rng, 1_042_328),
        };
        let starts = match (self, std::str::from_utf8(&octets)) {
            (Self::Tags, Ok(text)) => text.char_indices().map(|(at, _)| at).chain([octets.len()]).collect(),
            _ => Vec::new(),
        };
        Corpus { octets, starts }
    }
}

impl Corpus {
    /// The window of `len` characters (octets, of binary) beginning at character `from`, wrapping round the end; and where
    /// the next one begins.
    #[must_use]
    pub fn window(&self, from: usize, len: usize) -> (Vec<u8>, usize) {
        let total = if self.starts.is_empty() { self.octets.len() } else { self.starts.len() - 1 };
        let at = |index: usize| if self.starts.is_empty() { index } else { self.starts[index] };
        let mut out = Vec::with_capacity(len + 8);
        let (mut from, mut left) = (from % total, len);
        while left > 0 {
            let take = left.min(total - from);
            out.extend_from_slice(&self.octets[at(from)..at(from + take)]);
            left -= take;
            from = (from + take) % total;
        }
        (out, from)
    }
}

fn cut(mut text: String, len: usize) -> Vec<u8> {
    text.truncate(len);
    text.into_bytes()
}

const WORDS: &str = "the of and to in that he was it his with as had for at on not but him her be is they from all were which \
    this she said there have one their by so when who been what would them if no out up into will could about time some \
    then only more has its other do very great little before upon over after like any our down such made man never good \
    old must where day those much see two again way own house long back come first himself door street window morning \
    evening garden river summer winter quietly suddenly nevertheless perhaps remembered wondered gathering afternoon";

fn pick<'a>(rng: &mut Rng, words: &[&'a str]) -> &'a str {
    // Squaring favours the front of the list, as language favours its commonest words.
    let unit = rng.unit();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index below the list's length"
    )]
    let at = (unit * unit * words.len() as f64) as usize;
    words[at.min(words.len() - 1)]
}

fn json(rng: &mut Rng, len: usize) -> String {
    let mut text = String::with_capacity(len + 512);
    text.push_str("{\"rows\": [\n");
    let mut id = 1000;
    while text.len() < len {
        id += 1 + rng.below(3);
        let _ = writeln!(
            text,
            "  {{\"id\": {id}, \"case\": \"frame\", \"behavior\": \"OK\", \"behaviorClose\": \"OK\", \"duration\": {}, \
             \"remoteCloseCode\": 1000, \"reportfile\": \"case_{}.json\"}},",
            rng.below(4),
            id
        );
    }
    text
}

fn prose(rng: &mut Rng, len: usize) -> String {
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let mut text = String::with_capacity(len + 128);
    let mut column = 0;
    let mut name = 0;
    while text.len() < len {
        let mut word = pick(rng, &words).to_owned();
        if rng.below(9) == 0 {
            word = (0..3 + rng.below(7)).filter_map(|_| char::from_digit(10 + u32::try_from(rng.below(26)).unwrap_or(0), 36)).collect();
            name += 1;
        }
        if name % 11 == 3 {
            name += 1;
            word.push(',');
        }
        column += word.len() + 1;
        text.push_str(&word);
        if column > 68 {
            text.push_str("\r\n");
            column = 0;
        } else {
            text.push_str(if rng.below(14) == 0 { ". " } else { " " });
        }
    }
    text
}

fn tags(rng: &mut Rng, len: usize) -> Vec<u8> {
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let mut text = String::with_capacity(len + 512);
    let mut row = 0;
    while text.len() < len {
        row += 1;
        let letter = if row % 35 == 0 { "ü" } else { "u" };
        let _ = writeln!(
            text,
            "<tr class=\"row{}\"><td class=\"case\"><a href=\"#case_desc_{row}\">{} {}</a></td><td class=\"case_ok\">OK \
             f{letter}r {}</td><td class=\"close\">{}</td></tr>",
            row % 2,
            pick(rng, &words),
            pick(rng, &words),
            pick(rng, &words),
            1000 + rng.below(4)
        );
    }
    while !text.is_char_boundary(len) {
        text.insert(0, ' ');
    }
    text.truncate(len);
    text.into_bytes()
}

#[expect(clippy::cast_possible_truncation, reason = "the low octet of noise over a gradient")]
fn image(rng: &mut Rng, len: usize) -> Vec<u8> {
    (0..len as u64)
        .map(|at| {
            let (x, y) = (at % 512, at / 512);
            let shade = 60 + (x / 9 + y / 7) % 130;
            let noise: u64 = (0..3).map(|_| rng.below(15)).sum();
            (shade + noise) as u8
        })
        .collect()
}

#[expect(clippy::cast_possible_truncation, reason = "the low octet of noise")]
fn packed(rng: &mut Rng, len: usize) -> Vec<u8> {
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let mut out = Vec::with_capacity(len + 65_536);
    while out.len() < len {
        out.extend_from_slice(b"5 0 obj << /Length 6 0 R /Filter /FlateDecode >> stream\n");
        out.extend((0..24_000 + rng.below(12_000)).map(|_| rng.next_u64() as u8));
        out.extend_from_slice(b"\nendstream endobj\n");
        for n in 0..620 + rng.below(200) {
            out.extend_from_slice(format!("{:010} 00000 n {}\n", n * 173 + rng.below(90), pick(rng, &words)).as_bytes());
        }
    }
    out.truncate(len);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::wire::deflate::Deflater;

    /// Octets per octet after deflate, in fresh contexts of `len`, over the corpus.
    #[expect(clippy::cast_precision_loss, reason = "a ratio for a test")]
    fn ratio(kind: Kind, len: usize) -> f64 {
        let corpus = kind.corpus();
        let mut deflater = Deflater::new(15, true);
        let (mut from, mut packed, mut plain) = (0, 0, 0);
        for _ in 0..20 {
            let (window, next) = corpus.window(from, len);
            from = next;
            plain += window.len();
            packed += deflater.message(&window).map_or(usize::MAX / 100, |p| p.len());
        }
        packed as f64 / plain as f64
    }

    #[test]
    fn the_profiles_are_those_asked_for() {
        for (kind, len, low, high) in [
            (Kind::Json, 65_536, 0.02, 0.09),
            (Kind::Image, 65_536, 0.75, 0.95),
            (Kind::Prose, 65_536, 0.30, 0.50),
            (Kind::Tags, 65_536, 0.03, 0.16),
            (Kind::Packed, 65_536, 0.70, 0.88),
        ] {
            let got = ratio(kind, len);
            assert!((low..high).contains(&got), "{kind:?} at {len}: {got:.3}");
        }
    }

    #[test]
    fn sizes_and_alphabets_are_those_asked_for() {
        for (kind, octets, characters) in
            [(Kind::Json, 194_056, 194_056), (Kind::Tags, 263_647, 263_620), (Kind::Image, 263_222, 0), (Kind::Packed, 1_042_328, 0)]
        {
            let corpus = kind.corpus();
            assert_eq!(corpus.octets.len(), octets, "{kind:?}");
            if characters > 0 {
                let count = std::str::from_utf8(&corpus.octets).map(|t| t.chars().count()).unwrap_or_default();
                assert!(count.abs_diff(characters) < 40, "{kind:?}: {count}");
            }
        }
    }

    #[test]
    fn windows_wrap_and_stay_text() {
        let corpus = Kind::Tags.corpus();
        let mut from = 0;
        for _ in 0..50 {
            let (window, next) = corpus.window(from, 40_000);
            assert_eq!(std::str::from_utf8(&window).map(|t| t.chars().count()), Ok(40_000));
            from = next;
        }
    }
}
