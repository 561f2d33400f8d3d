//! The opening handshake, client side (RFC 6455 section 4.1): the request as bytes, the answer judged.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

use super::deflate::Agreement;

/// The longest response head that is read; beyond it the server is given up.
pub const MAX_HEAD: usize = 16 * 1024;
const MAX_HEADERS: usize = 100;
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// What a request says besides its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Path and query, beginning with `/`.
    pub path: String,
    /// The `Host` field.
    pub host: String,
    /// Further fields, in order.
    pub headers: Vec<(String, String)>,
    /// Subprotocols offered.
    pub subprotocols: Vec<String>,
    /// Whether permessage-deflate is offered, as [`DEFLATE_OFFER`].
    pub deflate: bool,
}

/// What is offered (RFC 7692 section 7.1): any window, and that this client compresses every message on its own, so that one
/// compressor serves very many connections. What the server does with its own context is left to the server.
pub const DEFLATE_OFFER: &str = "permessage-deflate; client_no_context_takeover; client_max_window_bits";

/// What a 101 agreed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Bytes of the response head; what follows is the first frame.
    pub head: usize,
    /// The subprotocol chosen, one of those offered.
    pub subprotocol: Option<String>,
    /// What was agreed about compression; nothing when it was not offered, or not taken.
    pub deflate: Option<Agreement>,
}

/// Why the answer is no WebSocket handshake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// A status other than 101 (section 4.1 step 1). With the first bytes of the reason or body.
    #[error("HTTP {status} {reason}")]
    Status {
        /// The code.
        status: u16,
        /// The reason phrase.
        reason: String,
    },
    /// Not HTTP at all, or a head beyond the limits.
    #[error("the answer is no HTTP response: {0}")]
    NotHttp(String),
    /// Section 4.1 steps 2 and 3: `Upgrade: websocket` and `Connection: Upgrade` must be there.
    #[error("101 without `{0}` (RFC 6455 4.1)")]
    Header(&'static str),
    /// Section 4.1 step 4.
    #[error("Sec-WebSocket-Accept is `{got}`, should be `{expected}` (RFC 6455 4.1)")]
    Accept {
        /// As received; empty when missing.
        got: String,
        /// As computed from our key.
        expected: String,
    },
    /// Section 4.1 step 6: a subprotocol nobody offered, or several.
    #[error("the server chose the subprotocol `{0}`, which was not offered (RFC 6455 4.1)")]
    Subprotocol(String),
    /// Section 4.1 step 5.
    #[error("the server chose the extension `{0}`, which was not offered (RFC 6455 4.1)")]
    Extension(String),
    /// RFC 7692 section 7.1: an answer to the offer of permessage-deflate that no client may take.
    #[error("the server's answer to permessage-deflate is refused: {0} (RFC 7692 7.1)")]
    Deflate(String),
}

/// A fresh `Sec-WebSocket-Key` from 16 random bytes (section 4.1).
#[must_use]
pub fn key(random: [u8; 16]) -> String {
    STANDARD.encode(random)
}

/// The `Sec-WebSocket-Accept` that answers `key` (section 4.2.2).
#[must_use]
pub fn accept(key: &str) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

impl Request {
    /// The request as it goes on the wire.
    #[must_use]
    pub fn encode(&self, key: &str) -> Vec<u8> {
        let mut out = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n",
            self.path, self.host
        );
        if !self.subprotocols.is_empty() {
            out.push_str("Sec-WebSocket-Protocol: ");
            out.push_str(&self.subprotocols.join(", "));
            out.push_str("\r\n");
        }
        if self.deflate {
            out.push_str("Sec-WebSocket-Extensions: ");
            out.push_str(DEFLATE_OFFER);
            out.push_str("\r\n");
        }
        for (name, value) in &self.headers {
            out.push_str(name);
            out.push_str(": ");
            out.push_str(value);
            out.push_str("\r\n");
        }
        out.push_str("\r\n");
        out.into_bytes()
    }

    /// Judges what the server answered so far; `Ok(None)` while the head is not whole.
    ///
    /// # Errors
    /// As soon as it is clear that this is no handshake.
    pub fn judge(&self, key: &str, bytes: &[u8]) -> Result<Option<Accepted>, HandshakeError> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut fields);
        let head = match response.parse(bytes) {
            Ok(httparse::Status::Complete(head)) => head,
            Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD => return Ok(None),
            Ok(httparse::Status::Partial) => return Err(HandshakeError::NotHttp(format!("a head of more than {MAX_HEAD} bytes"))),
            Err(error) => return Err(HandshakeError::NotHttp(error.to_string())),
        };
        let status = response.code.unwrap_or(0);
        if status != 101 {
            return Err(HandshakeError::Status { status, reason: response.reason.unwrap_or("").chars().take(120).collect() });
        }
        let (subprotocol, deflate) = self.accepted(key, response.headers)?;
        Ok(Some(Accepted { head, subprotocol, deflate }))
    }

    fn accepted(&self, key: &str, fields: &[httparse::Header<'_>]) -> Result<(Option<String>, Option<Agreement>), HandshakeError> {
        if !has_token(fields, "upgrade", "websocket") {
            return Err(HandshakeError::Header("Upgrade: websocket"));
        }
        if !has_token(fields, "connection", "upgrade") {
            return Err(HandshakeError::Header("Connection: Upgrade"));
        }
        let expected = accept(key);
        let got = value(fields, "sec-websocket-accept").unwrap_or_default();
        if got != expected {
            return Err(HandshakeError::Accept { got, expected });
        }
        let deflate = match value(fields, "sec-websocket-extensions") {
            Some(extension) if !self.deflate => return Err(HandshakeError::Extension(extension)),
            chosen => Agreement::from_response(chosen.as_deref()).map_err(|e| HandshakeError::Deflate(e.to_string()))?,
        };
        let chosen = value(fields, "sec-websocket-protocol");
        match chosen {
            Some(name) if !self.subprotocols.contains(&name) => Err(HandshakeError::Subprotocol(name)),
            chosen => Ok((chosen, deflate)),
        }
    }
}

fn value(fields: &[httparse::Header<'_>], name: &str) -> Option<String> {
    let mut values =
        fields.iter().filter(|f| f.name.eq_ignore_ascii_case(name)).map(|f| String::from_utf8_lossy(f.value).trim().to_owned());
    let first = values.next()?;
    Some(values.fold(first, |all, next| all + ", " + &next)).filter(|v| !v.is_empty())
}

fn has_token(fields: &[httparse::Header<'_>], name: &str, token: &str) -> bool {
    value(fields, name).is_some_and(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(token)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const GOOD: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

    fn request() -> Request {
        Request {
            path: "/chat".into(),
            host: "server.example.com".into(),
            headers: vec![("Origin".into(), "http://example.com".into())],
            subprotocols: vec!["chat".into(), "superchat".into()],
            deflate: false,
        }
    }

    fn judge(fields: &str) -> Result<Option<Accepted>, HandshakeError> {
        request().judge(KEY, format!("{fields}\r\n").as_bytes())
    }

    #[test]
    fn the_sample_of_the_rfc() {
        assert_eq!(accept(KEY), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "section 1.3");
        let text = String::from_utf8(request().encode(KEY)).expect("ASCII");
        assert!(
            text.starts_with("GET /chat HTTP/1.1\r\nHost: server.example.com\r\n") && text.ends_with("Origin: http://example.com\r\n\r\n")
        );
        let accepted = judge(&format!("{GOOD}Sec-WebSocket-Protocol: chat\r\n")).expect("a handshake").expect("whole");
        assert_eq!(accepted.subprotocol.as_deref(), Some("chat"));
    }

    #[test]
    fn compression_is_taken_only_as_offered() {
        let request = Request { deflate: true, ..request() };
        let judge = |answer: &str| {
            request.judge(KEY, format!("{GOOD}Sec-WebSocket-Extensions: {answer}\r\n\r\n").as_bytes()).map(|a| a.and_then(|a| a.deflate))
        };
        assert!(String::from_utf8(request.encode(KEY)).expect("ASCII").contains(DEFLATE_OFFER));
        let agreed = judge("permessage-deflate; server_no_context_takeover; client_max_window_bits=10").expect("taken").expect("agreed");
        assert!(agreed.server_no_context_takeover && agreed.client_window() == 10 && agreed.server_window() == 15);
        assert_eq!(judge(""), Ok(None), "an empty field chooses nothing");
        for bad in ["x-other", "permessage-deflate; client_max_window_bits", "permessage-deflate, permessage-deflate"] {
            assert!(matches!(judge(bad), Err(HandshakeError::Deflate(_))), "{bad}");
        }
    }

    #[test]
    fn an_unfinished_head_waits() {
        assert_eq!(request().judge(KEY, GOOD.as_bytes()), Ok(None));
        assert_eq!(request().judge(KEY, b""), Ok(None));
    }

    #[test]
    fn every_wrong_answer_has_its_reason() {
        type Row<'a> = (&'a str, fn(&HandshakeError) -> bool);
        let rows: [Row<'_>; 9] = [
            ("HTTP/1.1 426 Upgrade Required\r\n", |e| matches!(e, HandshakeError::Status { status: 426, .. })),
            ("SSH-2.0-OpenSSH_9.2\r\n", |e| matches!(e, HandshakeError::NotHttp(_))),
            (&GOOD.replace("Upgrade: websocket", "Upgrade: h2c"), |e| matches!(e, HandshakeError::Header("Upgrade: websocket"))),
            (&GOOD.replace("Connection: keep-alive, Upgrade", "Connection: close"), |e| {
                matches!(e, HandshakeError::Header("Connection: Upgrade"))
            }),
            (&GOOD.replace("s3pP", "S3pP"), |e| matches!(e, HandshakeError::Accept { .. })),
            (&GOOD.replace("Sec-WebSocket-Accept", "X-Accept"), |e| matches!(e, HandshakeError::Accept { got, .. } if got.is_empty())),
            (&format!("{GOOD}Sec-WebSocket-Protocol: graphql-ws\r\n"), |e| matches!(e, HandshakeError::Subprotocol(_))),
            (&format!("{GOOD}Sec-WebSocket-Extensions: permessage-deflate\r\n"), |e| matches!(e, HandshakeError::Extension(_))),
            (&format!("HTTP/1.1 101 x\r\nX: {}\r\n", "y".repeat(MAX_HEAD)), |e| matches!(e, HandshakeError::Header(_))),
        ];
        for (fields, expected) in rows {
            let error = judge(fields).expect_err(fields);
            assert!(expected(&error), "{fields}: {error}");
        }
        let endless = format!("HTTP/1.1 101 x\r\nX: {}", "y".repeat(MAX_HEAD));
        assert!(matches!(request().judge(KEY, endless.as_bytes()), Err(HandshakeError::NotHttp(_))));
    }

    #[test]
    fn a_request_is_what_the_rfc_says_and_nothing_more() {
        assert_eq!(key(*b"the sample nonce"), KEY, "section 1.3");
        let bare = Request { headers: Vec::new(), subprotocols: Vec::new(), ..request() };
        let text = String::from_utf8(bare.encode(KEY)).expect("ASCII");
        assert_eq!(
            text,
            "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        assert!(String::from_utf8(request().encode(KEY)).expect("ASCII").contains("\r\nSec-WebSocket-Protocol: chat, superchat\r\n"));
    }

    #[test]
    fn a_head_may_grow_to_its_limit_and_no_further() {
        let partial = |len: usize| format!("{:y<len$}", "HTTP/1.1 101 x\r\nX: ");
        assert_eq!(request().judge(KEY, partial(MAX_HEAD - 1).as_bytes()), Ok(None));
        let error = request().judge(KEY, partial(MAX_HEAD).as_bytes()).expect_err("too long");
        assert_eq!(error, HandshakeError::NotHttp(format!("a head of more than {MAX_HEAD} bytes")));
    }
}
