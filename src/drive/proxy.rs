//! The way out through an HTTP proxy: which one (as other programs read the environment), and the tunnel through it (CONNECT,
//! RFC 9110 section 9.3.6; RFC 6455 section 4.1 asks for it whether or not TLS is inside). Must never know a scenario's clients.

use http::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::scenario::model::Proxy;
use crate::wire::handshake::MAX_HEAD;

use super::target::Parts;

/// What is said to a proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tunnel {
    /// Name and port of the proxy, for connecting and for people.
    pub(super) proxy: (String, u16),
    /// Name and port of the server.
    authority: String,
    /// The proxy's own credentials.
    authorization: Option<String>,
}

impl Tunnel {
    /// The tunnel that `proxy` asks for on the way to a server; `None` where the way is straight. With [`Proxy::Environment`] the
    /// way to this machine itself is always straight, as it is for most programs.
    ///
    /// # Errors
    /// A proxy of a kind that is not spoken, in words.
    pub(super) fn to(parts: &Parts, proxy: &Proxy) -> Result<Option<Self>, String> {
        let matcher = match proxy {
            Proxy::None => return Ok(None),
            Proxy::Url(_) if parts.socket.is_some() => return Err("a Unix socket is on this machine: no proxy leads there".into()),
            Proxy::Environment if is_here(&parts.host) => return Ok(None),
            Proxy::Environment => Matcher::from_env(),
            Proxy::Url(url) => Matcher::builder().all(url.as_str()).build(),
        };
        let host = if parts.host.contains(':') { format!("[{}]", parts.host) } else { parts.host.clone() };
        let authority = format!("{host}:{}", parts.port);
        let scheme = if parts.secure { "https" } else { "http" };
        let asked: Uri = format!("{scheme}://{authority}/").parse().map_err(|e| format!("`{authority}` is no authority: {e}"))?;
        matcher.intercept(&asked).map(|intercept| Self::through(&intercept, authority)).transpose()
    }

    fn through(intercept: &Intercept, authority: String) -> Result<Self, String> {
        let uri = intercept.uri();
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        if uri.scheme_str() != Some("http") || host.is_empty() {
            return Err(format!("the proxy `{}` is not spoken to: only http:// proxies are", super::target::redact(&uri.to_string())));
        }
        let authorization = intercept.basic_auth().and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(Self { proxy: (host, uri.port_u16().unwrap_or(80)), authority, authorization })
    }

    /// Opens the tunnel on a connection to the proxy.
    ///
    /// # Errors
    /// What the proxy answered instead, in words.
    pub(super) async fn open(&self, tcp: &mut TcpStream) -> Result<(), String> {
        let broken = |error: std::io::Error| format!("the connection to the proxy broke: {error}");
        tcp.write_all(self.request().as_bytes()).await.map_err(broken)?;
        let mut head = Vec::with_capacity(256);
        loop {
            match tcp.read_buf(&mut head).await.map_err(broken)? {
                0 => return Err("the proxy closed the connection without an answer".into()),
                _ if judge(&head)? => return Ok(()),
                _ => {}
            }
        }
    }

    fn request(&self) -> String {
        let authorization = self.authorization.as_ref().map_or_else(String::new, |value| format!("Proxy-Authorization: {value}\r\n"));
        format!("CONNECT {0} HTTP/1.1\r\nHost: {0}\r\n{authorization}\r\n", self.authority)
    }
}

/// Whether the tunnel is open; false while the answer is not whole.
fn judge(head: &[u8]) -> Result<bool, String> {
    let mut fields = [httparse::EMPTY_HEADER; 100];
    let mut response = httparse::Response::new(&mut fields);
    match response.parse(head) {
        Ok(httparse::Status::Partial) if head.len() < MAX_HEAD => Ok(false),
        Ok(httparse::Status::Partial) => Err(format!("the proxy's answer has a head of more than {MAX_HEAD} bytes")),
        Err(error) => Err(format!("the proxy's answer is no HTTP: {error}")),
        Ok(httparse::Status::Complete(end)) => match response.code.unwrap_or(0) {
            // Nobody speaks before the client does: bytes behind the head are not the server's.
            200..=299 if end == head.len() => Ok(true),
            200..=299 => Err("the proxy sent more than its answer".into()),
            status => {
                let reason: String = response.reason.unwrap_or_default().chars().take(120).collect();
                Err(format!("the proxy answered {status} {reason}").trim_end().to_owned())
            }
        },
    }
}

/// Whether a host is this machine, by its name or address.
fn is_here(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(url: &str, proxy: &str) -> Result<Option<Tunnel>, String> {
        Tunnel::to(&Parts::parse(url).expect(url), &Proxy::Url(proxy.into()))
    }

    #[test]
    fn what_is_asked_of_a_proxy() {
        let tunnel = through("wss://chat.example.com/ws", "http://user:p%40ss@proxy.example.com:3128").expect("spoken").expect("a tunnel");
        assert_eq!(tunnel.proxy, ("proxy.example.com".to_owned(), 3128));
        assert_eq!(
            tunnel.request(),
            "CONNECT chat.example.com:443 HTTP/1.1\r\nHost: chat.example.com:443\r\nProxy-Authorization: Basic dXNlcjpwQHNz\r\n\r\n"
        );
        let tunnel = through("ws://[::1]:9000/", "http://[::1]:1").expect("spoken").expect("a tunnel");
        assert_eq!((tunnel.proxy, tunnel.authority), (("::1".to_owned(), 1), "[::1]:9000".to_owned()));
        let error = through("ws://a/", "socks5://secret@b").expect_err("not spoken");
        assert!(error.contains("only http://") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn this_machine_is_reached_straight_unless_a_proxy_is_named() {
        for url in ["ws://localhost:1/", "ws://127.0.0.1:1/", "ws://[::1]:1/"] {
            assert_eq!(Tunnel::to(&Parts::parse(url).expect(url), &Proxy::Environment), Ok(None), "{url}");
            assert!(through(url, "http://proxy").expect(url).is_some(), "{url}");
        }
    }

    #[test]
    fn answers_of_proxies() {
        assert_eq!(judge(b"HTTP/1.1 200 OK\r\n"), Ok(false));
        assert_eq!(judge(b"HTTP/1.0 200 Connection established\r\nVia: x\r\n\r\n"), Ok(true));
        for (answer, says) in [
            ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "407 Proxy Authentication Required"),
            ("HTTP/1.1 502 \r\n\r\n", "502"),
            ("SSH-2.0\r\n\r\n", "no HTTP"),
            ("HTTP/1.1 200 OK\r\n\r\nhello", "more than its answer"),
        ] {
            let error = judge(answer.as_bytes()).expect_err(answer);
            assert!(error.contains(says), "{answer}: {error}");
        }
        assert!(judge(format!("HTTP/1.1 200 OK\r\nX: {}", "y".repeat(MAX_HEAD)).as_bytes()).is_err());
    }
}
