//! Scripts and events as the catalogue writes them: `01 'a' , 80 'b' chop 1 , close 1000`. Must never know a file.

use super::model::{Expected, Step};
use super::payload::{Payload, unhex};
use crate::conformance::corpus::Kind;
use crate::conformance::wire::frame::{LengthForm, Masking, close_payload, describe_first};
use crate::conformance::wire::link::Delivery;

/// Words, with `'quoted text'` kept whole.
#[must_use]
pub fn words(text: &str) -> Vec<String> {
    let (mut out, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in text.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                word.push(c);
            }
            c if c.is_whitespace() && !quoted => {
                if !word.is_empty() {
                    out.push(std::mem::take(&mut word));
                }
            }
            c => word.push(c),
        }
    }
    if !word.is_empty() {
        out.push(word);
    }
    out
}

/// A script.
///
/// # Errors
/// A sentence with the step that cannot be read.
pub fn steps(text: &str) -> Result<Vec<Step>, String> {
    text.split(" , ").map(|s| step(&words(s)).map_err(|e| format!("step `{s}`: {e}"))).collect()
}

fn number<T: std::str::FromStr>(text: Option<&String>) -> Result<T, String> {
    let text = text.ok_or("a number is missing")?;
    text.parse().map_err(|_| format!("`{text}` is not a number"))
}

fn octet(text: &str) -> Result<u8, String> {
    u8::from_str_radix(text, 16).map_err(|_| format!("`{text}` is not an octet"))
}

fn payload(text: Option<&String>) -> Result<Payload, String> {
    Payload::parse(text.ok_or("a payload is missing")?)
}

fn kind(text: Option<&String>) -> Result<bool, String> {
    match text.map(String::as_str) {
        Some("text") => Ok(false),
        Some("binary") => Ok(true),
        other => Err(format!("{other:?} is neither text nor binary")),
    }
}

fn by(words: &[String], at: usize) -> Result<Option<usize>, String> {
    if words.get(at).is_some_and(|w| w == "by") { number(words.get(at + 1)).map(Some) } else { Ok(None) }
}

fn step(words: &[String]) -> Result<Step, String> {
    let name = words.first().ok_or("nothing")?;
    Ok(match name.as_str() {
        "message" => Step::Message { binary: kind(words.get(1))?, payload: payload(words.get(2))?, by: by(words, 3)? },
        "head" => Step::Head { first: octet(words.get(1).ok_or("no octet")?)?, declared: number(words.get(2))? },
        "octets" => Step::Octets(payload(words.get(1))?),
        "close" => {
            let code = words.get(1).map(|_| number(words.get(1))).transpose()?;
            let reason = words.get(2).map(|_| payload(words.get(2))).transpose()?;
            Step::Close(close_payload(code, &reason.map(|r| r.octets()).unwrap_or_default()))
        }
        "close-raw" => Step::Close(payload(words.get(1))?.octets()),
        "wait" => Step::Wait { seconds: number(words.get(1))?, marker: words.get(2).and_then(|m| m.chars().next()) },
        "round-trips" => Step::RoundTrips { count: number(words.get(1))?, binary: kind(words.get(2))?, payload: payload(words.get(3))? },
        "corpus" => Step::Corpus {
            count: number(words.get(1))?,
            binary: kind(words.get(2))?,
            corpus: Kind::parse(words.get(3).map_or("", String::as_str)).ok_or("no such corpus")?,
            len: number(words.get(4))?,
            by: by(words, 5)?,
        },
        "raw" => Step::Raw(payload(words.get(1))?.octets()),
        "shut" => Step::Shut,
        first => frame(octet(first)?, words)?,
    })
}

fn frame(first: u8, words: &[String]) -> Result<Step, String> {
    let payload = payload(words.get(1))?;
    let (mut masking, mut form, mut declared, mut delivery) = (Masking::ByRole, LengthForm::Minimal, None, Delivery::Burst);
    let mut at = 2;
    while let Some(word) = words.get(at) {
        at += 1;
        match word.as_str() {
            "plain" => masking = Masking::Plain,
            "len16" => form = LengthForm::Sixteen,
            "len64" => form = LengthForm::SixtyFour,
            "alone" => delivery = Delivery::Alone,
            "chop" => {
                delivery = Delivery::Chop(number(words.get(at))?);
                at += 1;
            }
            "key" => {
                let key = words.get(at).and_then(|k| unhex(k)).and_then(|k| k.try_into().ok()).ok_or("a key has 4 octets")?;
                masking = Masking::Key(key);
                at += 1;
            }
            "says" => {
                let text = words.get(at).ok_or("a length is missing")?;
                let value = u64::from_str_radix(text.trim_start_matches("0x"), 16).map_err(|_| format!("`{text}` is not hex"))?;
                (declared, form) = (Some(value), LengthForm::SixtyFour);
                at += 1;
            }
            other => return Err(format!("`{other}` is no property of a frame")),
        }
    }
    Ok(Step::Frame { first, payload, masking, form, declared, delivery })
}

/// A list of events: `text 'a' , pong -`, or `nothing`.
///
/// # Errors
/// A sentence with the event that cannot be read.
pub fn events(text: &str) -> Result<Vec<Expected>, String> {
    if text.trim() == "nothing" {
        return Ok(Vec::new());
    }
    text.split(" , ")
        .map(|e| {
            let words = words(e);
            let what = payload(words.get(1));
            match words.first().map(String::as_str) {
                Some("text") => Ok(Expected::Message { binary: false, payload: what? }),
                Some("binary") => Ok(Expected::Message { binary: true, payload: what? }),
                Some("pong") => Ok(Expected::Pong(what?)),
                Some("open") => Ok(Expected::Open(words.get(1).and_then(|m| m.chars().next()).ok_or("no marker")?)),
                _ => Err(format!("`{e}` is no event")),
            }
        })
        .collect()
}

/// A script in words.
#[must_use]
pub fn describe(steps: &[Step]) -> String {
    steps.iter().map(describe_step).collect::<Vec<_>>().join("; ")
}

fn describe_step(step: &Step) -> String {
    let noun = |binary: bool| if binary { "binary" } else { "text" };
    match step {
        Step::Frame { first, payload, masking, form, declared, delivery } => {
            let mut text = format!("{}, {}", describe_first(*first), payload.describe());
            match masking {
                Masking::ByRole => {}
                Masking::Plain => text.push_str(", unmasked"),
                Masking::Key(key) => text.push_str(&format!(", key {}", u32::from_be_bytes(*key))),
            }
            match (declared, form) {
                (Some(n), _) => text.push_str(&format!(", declaring {n:#x} octets")),
                (None, LengthForm::Sixteen) => text.push_str(", 16-bit length"),
                (None, LengthForm::SixtyFour) => text.push_str(", 64-bit length"),
                (None, LengthForm::Minimal) => {}
            }
            match delivery {
                Delivery::Burst => {}
                Delivery::Alone => text.push_str(" (own write)"),
                Delivery::Chop(n) => text.push_str(&format!(" (writes of {n})")),
            }
            text
        }
        Step::Message { binary, payload, by } => {
            let cut = by.map(|n| format!(" in fragments of {n}")).unwrap_or_default();
            format!("{} message, {}{cut}", noun(*binary), payload.describe())
        }
        Step::Head { first, declared } => format!("{} header declaring {declared} octets", describe_first(*first)),
        Step::Octets(payload) => format!("its next {}", payload.describe()),
        Step::Close(payload) => match payload.split_at_checked(2) {
            Some((code, [])) => format!("close {}", u16::from_be_bytes([code[0], code[1]])),
            Some((code, reason)) => format!("close {} with {} octets of reason", u16::from_be_bytes([code[0], code[1]]), reason.len()),
            None => format!("close with {} octets", payload.len()),
        },
        Step::Wait { seconds, marker } => format!("wait {seconds} s{}", marker.map(|m| format!(" (marker {m})")).unwrap_or_default()),
        Step::RoundTrips { count, binary, payload } => format!("{count} {} round trips, {}", noun(*binary), payload.describe()),
        Step::Corpus { count, binary, corpus, len, by } => {
            let cut = by.map(|n| format!(" in fragments of {n}")).unwrap_or_default();
            format!("{count} compressed {} messages of {len} from {}{cut}", noun(*binary), corpus.word())
        }
        Step::Raw(octets) => format!("{} octets that are no frame", octets.len()),
        Step::Shut => "end of our writing side".to_owned(),
    }
}

/// Events in words.
#[must_use]
pub fn describe_events(events: &[Expected]) -> String {
    if events.is_empty() {
        return "nothing".to_owned();
    }
    let one = |event: &Expected| match event {
        Expected::Message { binary, payload } => format!("{} {}", if *binary { "binary" } else { "text" }, payload.describe()),
        Expected::Pong(payload) => format!("pong {}", payload.describe()),
        Expected::Open(marker) => format!("still open at {marker}"),
    };
    events.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_read_and_describe_themselves() {
        let script = steps("01 'a, b' chop 1 , 89 - alone , close 1000 'bye' , wait 1 A").unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(script.len(), 4);
        assert_eq!(
            describe(&script),
            "text FIN=0, 4 octets \"a, b\" (writes of 1); ping, empty (own write); close 1000 with 3 octets of reason; wait 1 s (marker A)"
        );
        let odd = steps("82 'x' says 8000000000000000 , 81 - plain , 81 - key 00000000 , 81 - len16");
        assert!(odd.is_ok_and(|s| s.len() == 4));
        for bad in ["zz -", "81", "81 - sideways", "message tex -", "wait soon", "corpus 1 text poem 3"] {
            assert!(steps(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn events_read() {
        assert_eq!(events("nothing"), Ok(vec![]));
        assert_eq!(events("text 'a' , pong - , open B").map(|e| e.len()), Ok(3));
        assert!(events("song 'a'").is_err());
    }
}
