//! A client's opening handshake: read, checked for what RFC 6455 4.1 obliges a client to send, and answered.

use tokio::time::Instant;

use crate::conformance::wire::deflate::{Agreement, parse_list};
use crate::conformance::wire::http::accept_for;
use crate::conformance::wire::link::{Link, Moved};
use crate::conformance::wire::record::Speaker;

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Greeting {
    method: String,
    target: String,
    version: String,
    fields: Vec<(String, String)>,
}

/// A target taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Query {
    /// The path alone.
    pub(super) path: String,
    pairs: Vec<(String, String)>,
}

impl Query {
    /// The case's index: clients count from 1.
    pub(super) fn case(&self) -> Option<usize> {
        self.value("case")?.parse::<usize>().ok()?.checked_sub(1)
    }

    /// The client's name.
    pub(super) fn agent(&self) -> String {
        self.value("agent").unwrap_or("unnamed").to_owned()
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// Reads a request.
///
/// # Errors
/// When none comes in time, or what comes is not HTTP.
pub(super) async fn read(link: &mut Link, until: Instant) -> Result<Greeting, String> {
    loop {
        if let Some(end) = memchr::memmem::find(&link.inbox, b"\r\n\r\n") {
            let head = link.inbox.split_to(end + 4);
            let text = String::from_utf8_lossy(&head[..end]).into_owned();
            let greeting = parse(&text).ok_or("not an HTTP request")?;
            link.record.octets(Speaker::Them, &format!("{} {}", greeting.method, greeting.target), &head);
            return Ok(greeting);
        }
        if link.inbox.len() > 65_536 || matches!(link.step(Some(until)).await, Moved::Ended(_) | Moved::Time) {
            return Err("no request".to_owned());
        }
    }
}

fn parse(text: &str) -> Option<Greeting> {
    let mut lines = text.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, target, version) = (words.next()?.to_owned(), words.next()?.to_owned(), words.next()?.to_owned());
    let fields = lines.map(|l| l.split_once(':').map(|(n, v)| (n.to_owned(), v.trim().to_owned()))).collect::<Option<_>>()?;
    Some(Greeting { method, target, version, fields })
}

impl Greeting {
    /// Path and query.
    pub(super) fn query(&self) -> Query {
        let (path, query) = self.target.split_once('?').unwrap_or((&self.target, ""));
        let pairs = query.split('&').filter_map(|p| p.split_once('=')).map(|(n, v)| (n.to_owned(), unescape(v))).collect();
        Query { path: path.to_owned(), pairs }
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// Whether it asks for WebSocket at all.
    pub(super) fn upgrades(&self) -> bool {
        self.field("Upgrade").is_some_and(|v| v.eq_ignore_ascii_case("websocket")) && self.field("Sec-WebSocket-Key").is_some()
    }

    /// What RFC 6455 4.1 obliges a client to send and this one did not.
    pub(super) fn broken_rule(&self) -> Option<String> {
        use base64::Engine as _;
        let key = self.field("Sec-WebSocket-Key").unwrap_or_default();
        let octets = base64::engine::general_purpose::STANDARD.decode(key).map_or(0, |k| k.len());
        let lists = |name, token: &str| self.field(name).is_some_and(|v| v.split(',').any(|t| t.trim().eq_ignore_ascii_case(token)));
        let rules = [
            (self.method == "GET", "the method is not GET"),
            (self.version == "HTTP/1.1", "not HTTP/1.1"),
            (self.field("Host").is_some(), "no Host"),
            (lists("Connection", "upgrade"), "Connection does not list Upgrade"),
            (self.field("Sec-WebSocket-Version") == Some("13"), "Sec-WebSocket-Version is not 13"),
            (octets == 16, "the key is not 16 octets in base64"),
            (self.field("Sec-WebSocket-Extensions").is_none_or(|v| parse_list(v).is_ok()), "a malformed extension list"),
        ];
        rules.into_iter().find(|(kept, _)| !kept).map(|(_, rule)| rule.to_owned())
    }

    /// The answer to an offer of permessage-deflate; `wanted` is what the case asks of the client, mirrored from what it
    /// asks of a server. RFC 7692 7.1.
    pub(super) fn agree(&self, wanted: &str) -> Option<(Agreement, String)> {
        let elements = parse_list(self.field("Sec-WebSocket-Extensions")?).ok()?;
        let offer = elements
            .iter()
            .filter(|(name, _)| name == "permessage-deflate")
            .find_map(|(_, parameters)| Agreement::from_parameters(parameters).ok())?;
        let first = wanted.split(',').next().unwrap_or_default();
        let fresh = first.contains("server_no_context_takeover");
        let bits = if first.contains("server_max_window_bits=9") { 9 } else { 15 };
        let agreed = Agreement {
            server_no_context_takeover: offer.server_no_context_takeover,
            client_no_context_takeover: fresh || offer.client_no_context_takeover,
            server_max_window_bits: offer.server_max_window_bits,
            client_max_window_bits: offer.client_max_window_bits.map(|limit| Some(limit.unwrap_or(15).min(bits))),
        };
        let mut text = "permessage-deflate".to_owned();
        for (set, parameter) in [
            (agreed.server_no_context_takeover, "server_no_context_takeover"),
            (agreed.client_no_context_takeover, "client_no_context_takeover"),
        ] {
            if set {
                text.push_str("; ");
                text.push_str(parameter);
            }
        }
        for (bits, parameter) in
            [(agreed.server_max_window_bits, "server_max_window_bits"), (agreed.client_max_window_bits.flatten(), "client_max_window_bits")]
        {
            if let Some(bits) = bits {
                text.push_str(&format!("; {parameter}={bits}"));
            }
        }
        Some((agreed, text))
    }

    /// The 101, with an extension if one was agreed to.
    pub(super) fn accept(&self, extension: Option<&str>) -> String {
        let accept = accept_for(self.field("Sec-WebSocket-Key").unwrap_or_default());
        let extension = extension.map(|e| format!("Sec-WebSocket-Extensions: {e}\r\n")).unwrap_or_default();
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n{extension}\r\n"
        )
    }
}

/// `%20` and `+` to what they stand for.
fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let octets = text.as_bytes();
    let mut at = 0;
    while let Some(&octet) = octets.get(at) {
        let hex = text.get(at + 1..at + 3).and_then(|h| u8::from_str_radix(h, 16).ok());
        match (octet, hex) {
            (b'%', Some(value)) => {
                out.push(value);
                at += 2;
            }
            (b'+', _) => out.push(b' '),
            _ => out.push(octet),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "GET /runCase?case=3&agent=a%20b HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
                        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
                        Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits";

    #[test]
    fn a_request_is_read_and_its_duties_checked() {
        let greeting = parse(GOOD).unwrap_or_else(|| panic!("unread"));
        assert!(greeting.upgrades());
        assert_eq!(greeting.broken_rule(), None);
        assert_eq!((greeting.query().case(), greeting.query().agent()), (Some(2), "a b".to_owned()));
        for (from, to) in [("13", "8"), ("dGhlIHNhbXBsZSBub25jZQ==", "short"), ("Host: h\r\n", ""), ("GET", "POST")] {
            assert!(parse(&GOOD.replace(from, to)).and_then(|g| g.broken_rule()).is_some(), "{from} -> {to}");
        }
    }

    #[test]
    fn offers_are_answered_with_what_the_case_wants_of_the_client() {
        let greeting = parse(GOOD).unwrap_or_else(|| panic!("unread"));
        let text = |wanted| greeting.agree(wanted).map(|(_, text)| text).unwrap_or_default();
        assert_eq!(text("permessage-deflate"), "permessage-deflate; client_max_window_bits=15");
        assert_eq!(
            text("permessage-deflate; server_no_context_takeover; server_max_window_bits=9"),
            "permessage-deflate; client_no_context_takeover; client_max_window_bits=9"
        );
    }
}
