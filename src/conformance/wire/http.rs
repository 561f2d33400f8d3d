//! The opening handshake as text: a request that can be edited into anything, and a response read and checked.
//! RFC 6455 4.1, 4.2.2; RFC 9112. Must never know a socket.

use base64::Engine as _;
use sha1::{Digest as _, Sha1};

use crate::base::Rng;

/// The magic of RFC 6455 1.3.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// What `Sec-WebSocket-Accept` must be for a key. RFC 6455 4.2.2/5.4.
#[must_use]
pub fn accept_for(key: &str) -> String {
    let mut sha = Sha1::new();
    sha.update(key.as_bytes());
    sha.update(GUID.as_bytes());
    base64::engine::general_purpose::STANDARD.encode(sha.finalize())
}

/// A fresh key: 16 octets in base64. RFC 6455 4.1.
#[must_use]
pub fn random_key(rng: &mut Rng) -> String {
    let octets = [rng.next_u64().to_be_bytes(), rng.next_u64().to_be_bytes()].concat();
    base64::engine::general_purpose::STANDARD.encode(octets)
}

/// A request under construction: field order is kept, names may repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET` unless a case says otherwise.
    pub method: String,
    /// The request target.
    pub target: String,
    /// `HTTP/1.1` unless a case says otherwise.
    pub version: String,
    /// Name, then everything behind the name, colon included.
    pub fields: Vec<(String, Vec<u8>)>,
    /// The line ending.
    pub eol: &'static str,
    /// Octets before the request line.
    pub lead: Vec<u8>,
    /// Octets behind the empty line.
    pub body: Vec<u8>,
}

impl Request {
    /// A correct opening handshake, as Autobahn writes it.
    #[must_use]
    pub fn upgrade(host: &str, target: &str, key: &str, extra: &[(String, String)]) -> Self {
        let mut it = Self {
            method: "GET".to_owned(),
            target: target.to_owned(),
            version: "HTTP/1.1".to_owned(),
            fields: Vec::new(),
            eol: "\r\n",
            lead: Vec::new(),
            body: Vec::new(),
        };
        it.add("Host", host);
        it.add("Upgrade", "WebSocket");
        it.add("Connection", "Upgrade");
        it.add("Pragma", "no-cache");
        it.add("Cache-Control", "no-cache");
        it.add("Sec-WebSocket-Key", key);
        it.add("Sec-WebSocket-Version", "13");
        for (name, value) in extra {
            it.add(name, value);
        }
        it
    }

    /// Adds a field behind the others.
    pub fn add(&mut self, name: &str, value: &str) {
        self.fields.push((name.to_owned(), format!(": {value}").into_bytes()));
    }

    /// Replaces every field of that name by one with this value, or adds it.
    pub fn set(&mut self, name: &str, value: &str) {
        self.set_raw(name, format!(": {value}").into_bytes());
    }

    /// The same, with everything behind the name given.
    pub fn set_raw(&mut self, name: &str, tail: Vec<u8>) {
        let at = self.fields.iter().position(|(n, _)| n.eq_ignore_ascii_case(name));
        self.remove(name);
        let field = (name.to_owned(), tail);
        match at {
            Some(at) => self.fields.insert(at, field),
            None => self.fields.push(field),
        }
    }

    /// Drops every field of that name.
    pub fn remove(&mut self, name: &str) {
        self.fields.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
    }

    /// The first field's value of that name, trimmed.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<String> {
        let (_, tail) = self.fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name))?;
        Some(String::from_utf8_lossy(tail).trim_start_matches(':').trim().to_owned())
    }

    /// The octets of the request.
    #[must_use]
    pub fn octets(&self) -> Vec<u8> {
        let mut out = self.lead.clone();
        out.extend_from_slice(format!("{} {} {}{}", self.method, self.target, self.version, self.eol).as_bytes());
        for (name, tail) in &self.fields {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(tail);
            out.extend_from_slice(self.eol.as_bytes());
        }
        out.extend_from_slice(self.eol.as_bytes());
        out.extend_from_slice(&self.body);
        out
    }
}

/// A response's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The fields, in order.
    pub fields: Vec<(String, String)>,
    /// The status line.
    pub line: String,
}

impl Response {
    /// Reads a response's head and says how many octets it took; `None` until the empty line is there.
    ///
    /// # Errors
    /// A sentence when the octets cannot be an HTTP response.
    pub fn parse(octets: &[u8]) -> Result<Option<(Self, usize)>, String> {
        if !b"HTTP/".starts_with(&octets[..octets.len().min(5)]) {
            return Err(format!("the answer is not HTTP: {:?}", String::from_utf8_lossy(&octets[..octets.len().min(40)])));
        }
        let Some(end) = memchr::memmem::find(octets, b"\r\n\r\n") else {
            return if octets.len() > 65_536 { Err("a response head beyond 64 KiB".to_owned()) } else { Ok(None) };
        };
        let head = String::from_utf8_lossy(&octets[..end]);
        let mut lines = head.split("\r\n");
        let line = lines.next().unwrap_or_default().to_owned();
        let status = line.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or_else(|| format!("no status in `{line}`"))?;
        let mut fields = Vec::new();
        for field in lines {
            let (name, value) = field.split_once(':').ok_or_else(|| format!("a field without a colon: `{field}`"))?;
            fields.push((name.to_owned(), value.trim().to_owned()));
        }
        Ok(Some((Self { status, fields, line }, end + 4)))
    }

    /// The first field of that name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// Whether a comma-separated field contains a token, whatever its case.
    #[must_use]
    pub fn lists(&self, name: &str, token: &str) -> bool {
        self.fields
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .flat_map(|(_, v)| v.split(','))
            .any(|t| t.trim().eq_ignore_ascii_case(token))
    }

    /// What RFC 6455 4.1 has a client reject in this answer to `request`.
    ///
    /// # Errors
    /// The first broken rule as a sentence.
    pub fn check_upgrade(&self, request: &Request) -> Result<(), String> {
        if self.status != 101 {
            return Err(format!("status {}", self.status));
        }
        if !self.lists("Upgrade", "websocket") {
            return Err("101 without `Upgrade: websocket`".to_owned());
        }
        if !self.lists("Connection", "upgrade") {
            return Err("101 without `Connection: Upgrade`".to_owned());
        }
        let key = request.value("Sec-WebSocket-Key").unwrap_or_default();
        let expected = accept_for(&key);
        match self.field("Sec-WebSocket-Accept") {
            Some(accept) if accept == expected => {}
            other => return Err(format!("Sec-WebSocket-Accept is {other:?}, not `{expected}`")),
        }
        if let Some(protocol) = self.field("Sec-WebSocket-Protocol") {
            let offered = request.value("Sec-WebSocket-Protocol").unwrap_or_default();
            if !offered.split(',').any(|p| p.trim() == protocol) {
                return Err(format!("subprotocol `{protocol}` was never offered"));
            }
        }
        if self.field("Sec-WebSocket-Extensions").is_some_and(|v| !v.is_empty()) && request.value("Sec-WebSocket-Extensions").is_none() {
            return Err("an extension nobody offered".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Request {
        Request::upgrade("example.com", "/", "dGhlIHNhbXBsZSBub25jZQ==", &[])
    }

    #[test]
    fn the_sample_handshake_of_rfc_6455_1_3() {
        assert_eq!(accept_for("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                      Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nrest";
        let (response, used) = Response::parse(answer.as_bytes()).ok().flatten().unwrap_or_else(|| panic!("unread"));
        assert_eq!(&answer[used..], "rest");
        assert_eq!(response.check_upgrade(&sample()), Ok(()));
        assert_eq!(Response::parse(&answer.as_bytes()[..60]), Ok(None));
    }

    #[test]
    fn each_rule_of_the_answer_is_checked() {
        let good = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")];
        let with = |status: u16, fields: &[(&str, &str)]| Response {
            status,
            fields: fields.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            line: String::new(),
        };
        assert_eq!(with(101, &good).check_upgrade(&sample()), Ok(()));
        assert!(with(200, &good).check_upgrade(&sample()).is_err());
        for left_out in 0..good.len() {
            let rest: Vec<_> = good.iter().enumerate().filter(|(i, _)| *i != left_out).map(|(_, f)| *f).collect();
            assert!(with(101, &rest).check_upgrade(&sample()).is_err(), "without {}", good[left_out].0);
        }
        for unsolicited in [("Sec-WebSocket-Protocol", "chat"), ("Sec-WebSocket-Extensions", "permessage-deflate")] {
            let fields = [good.as_slice(), &[unsolicited]].concat();
            assert!(with(101, &fields).check_upgrade(&sample()).is_err(), "{unsolicited:?}");
        }
    }

    #[test]
    fn fields_can_be_set_dropped_and_doubled() {
        let mut request = sample();
        request.remove("Pragma");
        request.add("Host", "b");
        request.set("Upgrade", "h2c");
        let text = String::from_utf8_lossy(&request.octets()).into_owned();
        assert!(text.contains("Host: example.com\r\n") && text.contains("Host: b\r\n"));
        assert!(text.contains("Upgrade: h2c\r\n") && !text.contains("Pragma"));
    }
}
