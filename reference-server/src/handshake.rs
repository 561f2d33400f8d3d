//! The opening handshake as a function: a request head in, an answer out (RFC 6455 section 4.2, RFC 9110, RFC 9112).
//!
//! Pure: it reads no socket and knows no client. It is our own because the protocol engine's handshake cannot serve
//! pages beside it, takes no whole-request bound, and refuses a key whose unused trailing bits are set.

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::config::ServerConfig;
use crate::deflate::{self, Agreed};
use crate::extensions;

/// Longest request head taken; a longer one is answered 431.
pub const MAX_HEAD: usize = 16 * 1024;
/// Most header fields taken; more are answered 431.
const MAX_FIELDS: usize = 100;

/// What a request gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// 101: the connection is a WebSocket from here on.
    Upgrade(Upgrade),
    /// A page of the server's own.
    Page(Page),
    /// Anything else.
    Refuse(Refusal),
}

/// The variable parts of a 101 response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upgrade {
    /// `Sec-WebSocket-Accept` (section 4.2.2).
    pub accept: String,
    /// The sub-protocol selected, one of those offered.
    pub protocol: Option<String>,
    /// permessage-deflate, if it was offered and is served.
    pub deflate: Option<Agreed>,
    /// The path asked for, without its query.
    pub path: String,
}

/// Pages served beside the WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// `GET /healthz`.
    Health,
    /// `GET /metrics`.
    Metrics,
}

/// A final answer that is no upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: Status,
    /// One sentence for whoever reads it.
    pub why: &'static str,
}

/// The statuses this server answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// 400: the request is malformed.
    BadRequest,
    /// 404: the WebSocket lives elsewhere.
    NotFound,
    /// 405: only GET upgrades.
    MethodNotAllowed,
    /// 408: the request did not come to its end in time.
    Timeout,
    /// 426: this is a WebSocket endpoint, and version 13 of it.
    UpgradeRequired,
    /// 431: the head is too large.
    HeadTooLarge,
    /// 503: no more clients.
    Full,
}

impl Status {
    /// Status line and the fields that belong to it.
    const fn lines(self) -> &'static str {
        match self {
            Self::BadRequest => "400 Bad Request\r\n",
            Self::NotFound => "404 Not Found\r\n",
            Self::MethodNotAllowed => "405 Method Not Allowed\r\nAllow: GET\r\n",
            Self::Timeout => "408 Request Timeout\r\n",
            // RFC 9110 section 15.5.22 asks for Upgrade, and section 7.8 for its name in Connection.
            Self::UpgradeRequired => "426 Upgrade Required\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
            Self::HeadTooLarge => "431 Request Header Fields Too Large\r\n",
            Self::Full => "503 Service Unavailable\r\nRetry-After: 1\r\n",
        }
    }
}

impl Refusal {
    /// Shorthand.
    #[must_use]
    pub const fn new(status: Status, why: &'static str) -> Self {
        Self { status, why }
    }

    /// The whole response.
    #[must_use]
    pub fn response(&self) -> Vec<u8> {
        let connection = if self.status == Status::UpgradeRequired { "Upgrade, close" } else { "close" };
        let (status, why) = (self.status.lines(), self.why);
        format!(
            "HTTP/1.1 {status}Connection: {connection}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\r\n{why}\n",
            why.len() + 1
        )
        .into_bytes()
    }
}

impl Upgrade {
    /// The whole 101 response.
    #[must_use]
    pub fn response(&self) -> Vec<u8> {
        let mut text = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n",
            self.accept
        );
        if let Some(protocol) = &self.protocol {
            text.push_str("Sec-WebSocket-Protocol: ");
            text.push_str(protocol);
            text.push_str("\r\n");
        }
        if let Some(agreed) = &self.deflate {
            text.push_str("Sec-WebSocket-Extensions: ");
            text.push_str(&agreed.response);
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        text.into_bytes()
    }
}

/// A 200 response with a body.
#[must_use]
pub fn page(content_type: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}

/// Where the request head ends, if it has: just behind the empty line. `from` octets were searched before, so that a
/// head that comes octet by octet is not searched again and again.
#[must_use]
pub fn head_end(head: &[u8], from: usize) -> Option<usize> {
    // An empty line before the request line is to be ignored (RFC 9112 section 2.2).
    let begin = head.iter().position(|b| !matches!(b, b'\r' | b'\n'))?;
    let mut at = from.saturating_sub(3).max(begin);
    while let Some(found) = head[at..].iter().position(|b| *b == b'\n') {
        at += found + 1;
        match head[at..] {
            [b'\n', ..] => return Some(at + 1),
            [b'\r', b'\n', ..] => return Some(at + 2),
            _ => {}
        }
    }
    None
}

/// Decides what a complete head gets.
#[must_use]
pub fn answer(head: &[u8], config: &ServerConfig) -> Answer {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return refuse(Status::BadRequest, "The request is malformed."),
        Err(httparse::Error::TooManyHeaders) => return refuse(Status::HeadTooLarge, "The request has too many header fields."),
        Err(_) => return refuse(Status::BadRequest, "The request is malformed."),
    }
    let fields = Fields(request.headers);
    match judge(request.method.unwrap_or(""), request.path.unwrap_or(""), request.version == Some(1), &fields, config) {
        Ok(answer) => answer,
        Err(refusal) => Answer::Refuse(refusal),
    }
}

/// The checks of section 4.2.1, in the order in which their answers help most.
fn judge(method: &str, target: &str, http_1_1: bool, fields: &Fields<'_>, config: &ServerConfig) -> Result<Answer, Refusal> {
    let bad = |why| Refusal::new(Status::BadRequest, why);
    if fields.count("host") > 1 || (http_1_1 && fields.count("host") == 0) {
        return Err(bad("A request needs exactly one Host field."));
    }
    if fields.count("transfer-encoding") > 0 || fields.all("content-length").any(|value| value != "0") {
        return Err(bad("A request with a body cannot be upgraded."));
    }
    let path = path_of(target);
    if method == "GET" && !fields.has_token("upgrade", "websocket") {
        match path {
            "/healthz" => return Ok(Answer::Page(Page::Health)),
            "/metrics" => return Ok(Answer::Page(Page::Metrics)),
            _ => {}
        }
    }
    if !fields.has_token("upgrade", "websocket") || !fields.has_token("connection", "upgrade") {
        return Err(Refusal::new(Status::UpgradeRequired, "This is a WebSocket endpoint: connect with a WebSocket client."));
    }
    if method != "GET" {
        return Err(Refusal::new(Status::MethodNotAllowed, "A WebSocket is opened with GET."));
    }
    if !http_1_1 {
        return Err(Refusal::new(Status::UpgradeRequired, "A WebSocket is opened with HTTP/1.1."));
    }
    if config.path.as_deref().is_some_and(|only| only != path) {
        return Err(Refusal::new(Status::NotFound, "There is no WebSocket at this path."));
    }
    if fields.count("sec-websocket-version") > 1 {
        return Err(bad("Sec-WebSocket-Version must appear once."));
    }
    if fields.one("sec-websocket-version") != Some("13") {
        return Err(Refusal::new(Status::UpgradeRequired, "Only version 13 of the WebSocket protocol is spoken here."));
    }
    let key = match fields.one("sec-websocket-key") {
        Some(key) if fields.count("sec-websocket-key") == 1 && is_key(key) => key,
        _ => return Err(bad("Sec-WebSocket-Key must be one base64 value of 16 octets.")),
    };
    let protocol = choose_protocol(fields, &config.subprotocols)?;
    let deflate = choose_deflate(fields)?.filter(|_| config.deflate);
    Ok(Answer::Upgrade(Upgrade { accept: derive_accept_key(key.as_bytes()), protocol, deflate, path: path.to_owned() }))
}

/// The path of a request target in origin or absolute form (RFC 9112 section 3.2), without its query.
fn path_of(target: &str) -> &str {
    let path = match target.find("://") {
        Some(scheme) if !target.starts_with('/') => target[scheme + 3..].find('/').map_or("/", |slash| &target[scheme + 3 + slash..]),
        _ => target,
    };
    path.split(['?', '#']).next().unwrap_or(path)
}

/// The first of the client's offers that we speak; an offer list that breaks section 11.3.4 is an error.
fn choose_protocol(fields: &Fields<'_>, ours: &[String]) -> Result<Option<String>, Refusal> {
    let mut offered: Vec<&str> = Vec::new();
    for name in fields.all("sec-websocket-protocol").flat_map(|value| value.split(',')).map(trim) {
        if name.is_empty() || !name.bytes().all(is_token) || offered.contains(&name) {
            return Err(Refusal::new(Status::BadRequest, "Sec-WebSocket-Protocol must be a list of different tokens."));
        }
        offered.push(name);
    }
    Ok(offered.into_iter().find(|name| ours.iter().any(|our| our == name)).map(Into::into))
}

/// What is agreed of permessage-deflate; a field that breaks section 9.1 is an error whether or not we want any of it.
fn choose_deflate(fields: &Fields<'_>) -> Result<Option<Agreed>, Refusal> {
    let malformed = Refusal::new(Status::BadRequest, "Sec-WebSocket-Extensions is malformed.");
    let mut offers = Vec::new();
    for value in fields.all("sec-websocket-extensions") {
        offers.extend(extensions::parse(value).ok_or(malformed)?);
    }
    Ok(deflate::negotiate(&offers))
}

/// Whether a key decodes to 16 octets: 22 characters of base64 and two of padding. The four bits that the last
/// character does not use may be anything: the RFC's own example has them set (section 4.1).
fn is_key(key: &str) -> bool {
    let bytes = key.as_bytes();
    bytes.len() == 24 && bytes.ends_with(b"==") && bytes[..22].iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))
}

/// Whether an octet may stand in a token (RFC 9110 section 5.6.2).
pub(crate) const fn is_token(octet: u8) -> bool {
    octet.is_ascii_alphanumeric()
        || matches!(octet, b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~')
}

/// Removes optional whitespace: spaces and tabs (RFC 9110 section 5.6.3).
pub(crate) fn trim(value: &str) -> &str {
    value.trim_matches([' ', '\t'])
}

fn refuse(status: Status, why: &'static str) -> Answer {
    Answer::Refuse(Refusal::new(status, why))
}

/// The header fields of a request; names match without case.
struct Fields<'a>(&'a [httparse::Header<'a>]);

impl<'a> Fields<'a> {
    /// Every value of a field. One that is not text reads as empty, which no rule accepts.
    fn all(&self, name: &'static str) -> impl Iterator<Item = &'a str> {
        let fields = self.0;
        fields
            .iter()
            .filter(move |field| field.name.eq_ignore_ascii_case(name))
            .map(|field| trim(std::str::from_utf8(field.value).unwrap_or("")))
    }

    fn count(&self, name: &'static str) -> usize {
        self.all(name).count()
    }

    fn one(&self, name: &'static str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// Whether a comma-separated field contains a token, without case (RFC 9110 section 7.6.1).
    fn has_token(&self, name: &'static str, token: &str) -> bool {
        self.all(name).flat_map(|value| value.split(',')).any(|item| trim(item).eq_ignore_ascii_case(token))
    }
}

/// Whether the lines that have come so far can be the beginning of a request; garbage need not be waited out.
#[must_use]
pub fn begins_well(head: &[u8]) -> bool {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    httparse::Request::new(&mut fields).parse(head).is_ok()
}
