//! permessage-deflate, RFC 7692: what a response agreed to, and the two directions of compression.
//!
//! Window bits and context takeover are obeyed exactly as negotiated. A window of 8 is written with 9 by no zlib, so
//! we compress with stored blocks there (legal for every window). Must never know a socket or a verdict.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// What one side of a negotiation carries. RFC 7692 7.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreement {
    /// The server resets its window before every message.
    pub server_no_context_takeover: bool,
    /// The client resets its window before every message.
    pub client_no_context_takeover: bool,
    /// The server's window, 8 to 15.
    pub server_max_window_bits: Option<u8>,
    /// The client's window: `Some(None)` is the parameter without a value (only legal in an offer).
    pub client_max_window_bits: Option<Option<u8>>,
}

/// Why a `Sec-WebSocket-Extensions` value cannot be read or accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadExtension(pub String);

/// One element of an extension list: its token and its parameters, unquoted. RFC 6455 9.1.
pub type Element = (String, Vec<(String, Option<String>)>);

/// Splits an extension list. RFC 6455 9.1: `token *( ";" token [ "=" ( token / quoted-string ) ] )`.
///
/// # Errors
/// [`BadExtension`] when it does not follow the grammar.
pub fn parse_list(value: &str) -> Result<Vec<Element>, BadExtension> {
    let bad = |what: &str| BadExtension(format!("{what} in extension list `{value}`"));
    let mut elements = Vec::new();
    for element in split_outside_quotes(value, ',').ok_or_else(|| bad("an unclosed quote"))? {
        if element.trim().is_empty() {
            continue;
        }
        let mut parts = split_outside_quotes(element, ';').ok_or_else(|| bad("an unclosed quote"))?.into_iter();
        let name = parts.next().unwrap_or_default().trim();
        if !is_token(name) {
            return Err(bad("a bad token"));
        }
        let mut parameters = Vec::new();
        for part in parts {
            let (key, text) = part.split_once('=').map_or((part, None), |(k, v)| (k, Some(v)));
            let text = text.map(|v| v.trim().trim_matches('"').replace('\\', ""));
            if !is_token(key.trim()) || text.as_deref().is_some_and(|v| !is_token(v)) {
                return Err(bad("a bad parameter"));
            }
            parameters.push((key.trim().to_owned(), text));
        }
        elements.push((name.to_owned(), parameters));
    }
    Ok(elements)
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&b))
}

fn split_outside_quotes(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if c == separator && !quoted => {
                parts.push(&text[start..at]);
                start = at + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    (!quoted).then_some(parts)
}

impl Agreement {
    /// Reads the parameters of one `permessage-deflate` element. RFC 7692 7.1: unknown, repeated or out-of-range
    /// parameters make it invalid.
    ///
    /// # Errors
    /// [`BadExtension`] saying which parameter and why.
    pub fn from_parameters(parameters: &[(String, Option<String>)]) -> Result<Self, BadExtension> {
        let mut it = Self {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: None,
            client_max_window_bits: None,
        };
        let mut seen: Vec<&str> = Vec::new();
        for (key, value) in parameters {
            if seen.contains(&key.as_str()) {
                return Err(BadExtension(format!("{key} twice")));
            }
            seen.push(key);
            match (key.as_str(), value.as_deref()) {
                ("server_no_context_takeover", None) => it.server_no_context_takeover = true,
                ("client_no_context_takeover", None) => it.client_no_context_takeover = true,
                ("server_max_window_bits", Some(bits)) => it.server_max_window_bits = Some(window(key, bits)?),
                ("client_max_window_bits", Some(bits)) => it.client_max_window_bits = Some(Some(window(key, bits)?)),
                ("client_max_window_bits", None) => it.client_max_window_bits = Some(None),
                (_, None) => return Err(BadExtension(format!("parameter {key} without a value, or unknown"))),
                (_, Some(value)) => return Err(BadExtension(format!("parameter {key}={value} unknown or with a value it may not have"))),
            }
        }
        Ok(it)
    }

    /// What a server's response agreed to: `None` when it carries no permessage-deflate.
    ///
    /// # Errors
    /// [`BadExtension`] when the value is malformed, names another extension, or carries a parameter no response may.
    pub fn from_response(value: Option<&str>) -> Result<Option<Self>, BadExtension> {
        let Some(value) = value else { return Ok(None) };
        let elements = parse_list(value)?;
        let [(name, parameters)] = elements.as_slice() else {
            return Err(BadExtension(format!("{} extensions in a response to one: `{value}`", elements.len())));
        };
        if name != "permessage-deflate" {
            return Err(BadExtension(format!("extension {name} was never offered")));
        }
        let it = Self::from_parameters(parameters)?;
        if it.client_max_window_bits == Some(None) {
            return Err(BadExtension("client_max_window_bits without a value in a response".to_owned()));
        }
        Ok(Some(it))
    }

    /// The window we compress with, playing the client.
    #[must_use]
    pub fn client_window(&self) -> u8 {
        self.client_max_window_bits.flatten().unwrap_or(15)
    }

    /// The window the server compresses with.
    #[must_use]
    pub fn server_window(&self) -> u8 {
        self.server_max_window_bits.unwrap_or(15)
    }
}

fn window(key: &str, bits: &str) -> Result<u8, BadExtension> {
    let plain = !bits.starts_with('0') && bits.bytes().all(|b| b.is_ascii_digit());
    match bits.parse::<u8>() {
        Ok(n @ 8..=15) if plain => Ok(n),
        _ => Err(BadExtension(format!("{key}={bits} is not 8 to 15"))),
    }
}

/// Compresses messages in one direction.
#[derive(Debug)]
pub struct Deflater {
    inner: Compress,
    fresh: bool,
}

/// Fast: on repetitive JSON eight times as fast as zlib's usual 6, for a tenth more octets. Level 1 of zlib-rs 0.6.8 (its
/// "quick" one) panics on some texts: do not use it to go faster still.
const LEVEL: u32 = 2;

impl Deflater {
    /// With a window of `bits` (8 to 15); `fresh` forgets the context before every message.
    #[must_use]
    pub fn new(bits: u8, fresh: bool) -> Self {
        let level = if bits < 9 { Compression::none() } else { Compression::new(LEVEL) };
        Self { inner: Compress::new_with_window_bits(level, false, bits.clamp(9, 15)), fresh }
    }

    /// One message's payload: raw deflate, a sync flush, the last four octets taken off. RFC 7692 7.2.1.
    ///
    /// # Errors
    /// [`BadStream`] when the compressor gives up, which a healthy one never does.
    pub fn message(&mut self, octets: &[u8]) -> Result<Vec<u8>, BadStream> {
        if self.fresh {
            self.inner.reset();
        }
        let mut out = Vec::with_capacity(octets.len() / 4 + 64);
        let mut input = octets;
        loop {
            let before = self.inner.total_in();
            self.inner.compress_vec(input, &mut out, FlushCompress::Sync).map_err(|e| BadStream::Data(e.to_string()))?;
            input = &input[usize::try_from(self.inner.total_in() - before).unwrap_or(input.len())..];
            if input.is_empty() && out.len() < out.capacity() {
                break;
            }
            out.reserve(out.len().max(256));
        }
        if out.ends_with(&[0, 0, 0xff, 0xff]) {
            out.truncate(out.len() - 4);
        }
        if out.is_empty() {
            out.push(0);
        }
        Ok(out)
    }
}

/// Compressed octets that are not deflate, or reach beyond the agreed window, or beyond `limit`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadStream {
    /// No deflate, cut short, or beyond the window.
    #[error("{0}")]
    Data(String),
    /// More than the limit.
    #[error("inflates beyond {0} octets")]
    TooBig(usize),
}

/// Decompresses messages in one direction.
#[derive(Debug)]
pub struct Inflater {
    inner: Decompress,
    fresh: bool,
    strict: Option<super::inflate::StrictInflater>,
}

impl Inflater {
    /// With a window of `bits` (8 to 15); `fresh` forgets the context before every message.
    #[must_use]
    pub fn new(bits: u8, fresh: bool) -> Self {
        Self { inner: Decompress::new_with_window_bits(false, bits.clamp(9, 15)), fresh, strict: None }
    }

    /// The same, refusing any reference beyond the window to the octet; slower.
    #[must_use]
    pub fn strict(bits: u8, fresh: bool) -> Self {
        Self { strict: Some(super::inflate::StrictInflater::new(bits, fresh)), ..Self::new(bits, fresh) }
    }

    /// One message: the four octets put back and inflated, at most `limit` octets of result. RFC 7692 7.2.2.
    ///
    /// # Errors
    /// [`BadStream`] when it is not deflate within the agreed window, ends early, or grows beyond `limit`.
    pub fn message(&mut self, octets: &[u8], limit: usize) -> Result<Vec<u8>, BadStream> {
        if let Some(strict) = &mut self.strict {
            return strict.message(octets, limit);
        }
        // What a broken message left behind is no context for the next.
        if self.fresh {
            self.restart();
        }
        let mut out = Vec::with_capacity((octets.len() * 4).clamp(64, 1 << 20));
        self.feed(octets, &mut out, limit)?;
        self.feed(&[0, 0, 0xff, 0xff], &mut out, limit)?;
        Ok(out)
    }

    fn restart(&mut self) {
        self.inner.reset(false);
    }

    fn feed(&mut self, mut input: &[u8], out: &mut Vec<u8>, limit: usize) -> Result<(), BadStream> {
        loop {
            if out.len() == out.capacity() {
                out.reserve(out.len().clamp(64, 1 << 20));
            }
            let (read, before) = (self.inner.total_in(), out.len());
            let status =
                self.inner.decompress_vec(input, out, FlushDecompress::Sync).map_err(|e| BadStream::Data(format!("not deflate: {e}")))?;
            let used = usize::try_from(self.inner.total_in() - read).unwrap_or(0);
            let made = out.len() - before;
            input = &input[used..];
            if out.len() > limit {
                return Err(BadStream::TooBig(limit));
            }
            if status == Status::StreamEnd {
                self.restart();
                if input.is_empty() {
                    return Ok(());
                }
            } else if (input.is_empty() && out.len() < out.capacity()) || (used == 0 && made == 0) {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_7692_7_2_3() {
        let mut inflater = Inflater::new(15, false);
        for octets in [
            &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00][..],
            &[0xf2, 0x00, 0x11, 0x00, 0x00],
            &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00],
            &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
            &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00],
        ] {
            assert_eq!(inflater.message(octets, 100).as_deref(), Ok(b"Hello".as_slice()), "{octets:02x?}");
        }
        assert_eq!(inflater.message(&[0], 100).as_deref(), Ok(b"".as_slice()));
    }

    #[test]
    fn what_is_deflated_inflates_with_and_without_context() {
        let text = "wsbench, wsbench, wsbench and again wsbench. ".repeat(200);
        for bits in 8..=15 {
            for fresh in [false, true] {
                let (mut there, mut back) = (Deflater::new(bits, fresh), Inflater::new(bits, fresh));
                for part in [text.as_bytes(), b"", b"x", &text.as_bytes()[7..]] {
                    let packed = there.message(part).unwrap_or_default();
                    assert_eq!(back.message(&packed, 1 << 20).as_deref(), Ok(part), "bits {bits} fresh {fresh}");
                }
            }
        }
    }

    #[test]
    fn responses_are_read_strictly() {
        assert_eq!(Agreement::from_response(None), Ok(None));
        let read = |v| Agreement::from_response(Some(v)).ok().flatten();
        assert_eq!(read("permessage-deflate; server_max_window_bits=\"10\"").map(|a| a.server_window()), Some(10));
        for bad in [
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; server_max_window_bits=7",
            "permessage-deflate; server_max_window_bits=08",
            "permessage-deflate; a",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "permessage-deflate, permessage-deflate",
            "x-other",
            "permessage-deflate; server_max_window_bits=\"10",
        ] {
            assert!(Agreement::from_response(Some(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_a_token_is() {
        for good in ["a", "permessage-deflate", "A1!#$%&'*+-.^_`|~"] {
            assert!(is_token(good), "{good}");
        }
        for bad in ["", " ", "a b", "a\t", "a\u{7f}", "é", "a;b", "a,b", "a=b", "\"a\"", "a\\"] {
            assert!(!is_token(bad), "{bad:?}");
        }
    }

    #[test]
    fn quotes_hide_what_separates_and_a_backslash_hides_a_quote() {
        let split = |text| split_outside_quotes(text, ';').map(|parts| parts.join("|"));
        for (text, parts) in [
            ("", Some("")),
            ("a;b", Some("a|b")),
            ("a;\"b;c\";d", Some("a|\"b;c\"|d")),
            (r#"a;"b\";c";d"#, Some(r#"a|"b\";c"|d"#)),
            (r#"a\;"b;c""#, Some(r#"a\|"b;c""#)),
            (r#"a\"b;c";d"#, Some(r#"a\"b;c"|d"#)),
            ("é;è", Some("é|è")),
            ("a;\"b", None),
            (r#""a\""#, None),
        ] {
            assert_eq!(split(text).as_deref(), parts, "{text}");
        }
        let list = parse_list("a; x=1; y=\"2\", b").expect("well formed");
        let parameters = vec![("x".to_owned(), Some("1".to_owned())), ("y".to_owned(), Some("2".to_owned()))];
        assert_eq!(list, [("a".to_owned(), parameters), ("b".to_owned(), Vec::new())]);
        for (bad, what) in
            [("a b", "a bad token"), ("a; x y", "a bad parameter"), ("a; x=y z", "a bad parameter"), ("a; x=\"1", "an unclosed quote")]
        {
            assert_eq!(parse_list(bad).expect_err(bad).0, format!("{what} in extension list `{bad}`"));
        }
    }

    #[test]
    fn the_limit_is_of_the_result_and_to_the_octet() {
        let text = "tick ".repeat(2_000);
        let packed = Deflater::new(15, true).message(text.as_bytes()).expect("it deflates");
        for name in ["fast", "strict"] {
            let inflater = || if name == "strict" { Inflater::strict(15, true) } else { Inflater::new(15, true) };
            assert_eq!(inflater().message(&packed, text.len()).as_deref(), Ok(text.as_bytes()), "{name}: exactly the limit");
            assert_eq!(inflater().message(&packed, text.len() - 1), Err(BadStream::TooBig(text.len() - 1)), "{name}");
            // RFC 7692 7.2.3.4: a block that is the last one, and another message behind it in the same octets.
            let mut last = inflater();
            assert_eq!(last.message(&[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00], 5).as_deref(), Ok(b"Hello".as_slice()), "{name}");
        }
    }

    #[test]
    fn a_window_is_kept_to_only_by_the_strict() {
        let text: Vec<u8> = (0..3_000_u32).flat_map(|n| (n.wrapping_mul(2_654_435_761) >> 7).to_le_bytes()).collect();
        let far = [&text[..2_000], &text[..64]].concat();
        let packed = Deflater::new(15, true).message(&far).expect("it deflates");
        assert_eq!(Inflater::strict(15, true).message(&packed, 1 << 20).as_deref(), Ok(far.as_slice()));
        assert!(matches!(Inflater::strict(9, true).message(&packed, 1 << 20), Err(BadStream::Data(_))), "2,000 octets back, 512 agreed");
    }

    #[test]
    fn a_message_of_any_length_grows_out_of_few_octets() {
        for (bits, fresh) in [(15, true), (15, false), (9, false)] {
            let (mut there, mut back) = (Deflater::new(bits, fresh), Inflater::new(bits, fresh));
            for len in (0..3_000).step_by(37).chain([65_536, 300_000]) {
                let message = vec![b'a'; len];
                let packed = there.message(&message).expect("it deflates");
                assert_eq!(back.message(&packed, len), Ok(message), "{len} octets, {} of them compressed", packed.len());
            }
        }
    }

    #[test]
    fn the_limit_is_of_each_message_and_not_of_what_is_remembered() {
        for mut inflater in [Inflater::new(15, false), Inflater::strict(15, false)] {
            let mut deflater = Deflater::new(15, false);
            for _ in 0..3 {
                let packed = deflater.message(&[b'a'; 1_000]).expect("it deflates");
                assert_eq!(inflater.message(&packed, 1_000).map(|out| out.len()), Ok(1_000));
            }
        }
    }
}
