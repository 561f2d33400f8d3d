//! Payloads as the catalogue writes them: `-`, `'text'`, `x4865`, `2a*65536`, `(00fe)*100`. Must never know a frame.

/// Octets, or the rule that makes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// These octets.
    Octets(Vec<u8>),
    /// A unit repeated and cut to a length.
    Repeat {
        /// What is repeated.
        unit: Vec<u8>,
        /// Octets in all.
        len: usize,
    },
}

impl Payload {
    /// Reads the catalogue's notation.
    ///
    /// # Errors
    /// A sentence with the text that is not a payload.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is not a payload");
        if text == "-" {
            return Ok(Self::Octets(Vec::new()));
        }
        if let Some(quoted) = text.strip_prefix('\'') {
            return Ok(Self::Octets(quoted.strip_suffix('\'').ok_or_else(bad)?.as_bytes().to_vec()));
        }
        if let Some(hex) = text.strip_prefix('x') {
            return Ok(Self::Octets(unhex(hex).ok_or_else(bad)?));
        }
        let (unit, len) = text.split_once('*').ok_or_else(bad)?;
        let unit = unhex(unit.trim_start_matches('(').trim_end_matches(')')).filter(|u| !u.is_empty()).ok_or_else(bad)?;
        Ok(Self::Repeat { unit, len: len.parse().map_err(|_| bad())? })
    }

    /// Octets in all.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Octets(octets) => octets.len(),
            Self::Repeat { len, .. } => *len,
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The octets.
    #[must_use]
    pub fn octets(&self) -> Vec<u8> {
        match self {
            Self::Octets(octets) => octets.clone(),
            Self::Repeat { unit, len } => unit.iter().copied().cycle().take(*len).collect(),
        }
    }

    /// Whether these octets are that payload, without building it.
    #[must_use]
    pub fn is(&self, octets: &[u8]) -> bool {
        match self {
            Self::Octets(own) => own == octets,
            Self::Repeat { unit, len } => *len == octets.len() && octets.chunks(unit.len()).all(|c| c == &unit[..c.len()]),
        }
    }

    /// In words: `13 octets "Hello, world!"`, `65536 octets of 0x2a`, `empty`.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Octets(octets) if octets.is_empty() => "empty".to_owned(),
            Self::Octets(octets) => format!("{} octets {}", octets.len(), crate::conformance::wire::record::sample(octets)),
            Self::Repeat { unit, len } if unit.len() == 1 => format!("{len} octets of {:#04x}", unit[0]),
            Self::Repeat { len, .. } => format!("{len} octets of a pattern"),
        }
    }
}

/// Hex digits to octets.
#[must_use]
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(text.get(i..i + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notation_reads_both_ways() {
        for (text, octets) in
            [("-", &b""[..]), ("'hi'", b"hi"), ("x6869", b"hi"), ("2a*3", b"***"), ("(6162)*5", b"ababa"), ("' , '", b" , ")]
        {
            let payload = Payload::parse(text).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(payload.octets(), octets);
            assert_eq!(payload.len(), octets.len());
            assert!(payload.is(octets) && !payload.is(b"other"));
        }
        for bad in ["", "hi", "xabc", "*5", "2a*x", "'open"] {
            assert!(Payload::parse(bad).is_err(), "{bad}");
        }
    }
}
