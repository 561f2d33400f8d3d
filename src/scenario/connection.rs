//! How a connection is opened: address, headers, credentials, TLS, proxy; and the request that follows from it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::template::{MissingValue, Template, Vars};

/// The options of a connection. All of them optional; the default is a bare handshake.
#[derive(Debug, Clone, PartialEq, Serialize, Default)]
pub struct Connection {
    /// Another URL than the target's.
    pub url: Option<Template>,
    /// The path used when the URL has none (or only `/`).
    pub path: Option<Template>,
    /// Appended to the URL's query, percent-encoded.
    pub query: Vec<(String, Template)>,
    /// Headers, in order.
    pub headers: Vec<(String, Template)>,
    /// Cookies, in order.
    pub cookies: Vec<(String, Template)>,
    /// The `Origin` header.
    pub origin: Option<Template>,
    /// Credentials in the `Authorization` header.
    pub auth: Option<Auth>,
    /// The `Host` header, when it is not the URL's.
    pub host: Option<String>,
    /// The name asked for and verified in TLS, when it is not the URL's.
    pub sni: Option<String>,
    /// A file of PEM certificates to trust instead of the system's.
    pub tls_roots: Option<String>,
    /// Files with this client's certificate chain and key, in PEM.
    pub tls_client: Option<(String, String)>,
    /// Whether `permessage-deflate` (RFC 7692) is offered.
    pub deflate: bool,
    /// How to get out.
    pub proxy: Proxy,
}

/// Credentials.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Auth {
    /// RFC 7617.
    Basic {
        /// The user's name.
        user: Template,
        /// The password.
        password: Template,
    },
    /// RFC 6750.
    Bearer(Template),
}

/// How to get out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub enum Proxy {
    /// Straight.
    #[default]
    None,
    /// As `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say.
    Environment,
    /// Through this HTTP proxy (CONNECT).
    Url(String),
}

/// A handshake ready to be written: where to and with which headers, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handshake {
    /// The whole URL.
    pub url: String,
    /// Headers besides those of the handshake itself. `Host`, when given, replaces the URL's.
    pub headers: Vec<(String, String)>,
}

/// The scheme of a target on a Unix socket, as Node's `ws` writes it.
pub(super) const ON_UNIX_SOCKET: &str = "ws+unix:";

/// A URL of the form `ws+unix:///path/of/socket:/path/of/request?query`, taken apart: the socket's path, which ends at the first
/// colon, and the request's, with its query. The two slashes may be missing, and so may the request's path. `None` for any other URL.
///
/// # Errors
/// What is wrong with one that begins like this.
pub fn unix_socket(url: &str) -> Option<Result<(&str, &str), &'static str>> {
    let scheme = url.get(..ON_UNIX_SOCKET.len())?;
    if !scheme.eq_ignore_ascii_case(ON_UNIX_SOCKET) {
        return None;
    }
    let rest = &url[ON_UNIX_SOCKET.len()..];
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let (socket, path) = rest.split_once(':').unwrap_or((rest, ""));
    let path = if path.is_empty() { "/" } else { path };
    Some(if !socket.starts_with('/') || socket.len() < 2 {
        Err("the socket's path is not absolute")
    } else if socket.contains(['?', '#']) {
        Err("a colon stands between the socket's path and the request's")
    } else if !path.starts_with('/') {
        Err("the request's path, behind the colon, does not begin with a slash")
    } else if path.contains('#') {
        Err("a fragment (`#…`) is not allowed")
    } else if path.chars().any(|c| c.is_whitespace() || c.is_control()) {
        Err("the request's path contains white space")
    } else {
        Ok((socket, path))
    })
}

impl Connection {
    /// The handshake of one client. `target` is the scenario's URL (or the built-in server's).
    ///
    /// # Errors
    /// A variable without a value, or a URL that is none once its variables have their values.
    pub fn handshake(&self, target: &str, vars: &Vars<'_>) -> Result<Handshake, MissingValue> {
        let base = self.url.as_ref().map_or(Ok(target.to_owned()), |url| url.text(vars))?;
        let mut headers = Vec::new();
        if let Some(host) = &self.host {
            headers.push(("Host".into(), host.clone()));
        }
        if let Some(origin) = &self.origin {
            headers.push(("Origin".into(), origin.text(vars)?));
        }
        match &self.auth {
            None => {}
            Some(Auth::Bearer(token)) => headers.push(("Authorization".into(), format!("Bearer {}", token.text(vars)?))),
            Some(Auth::Basic { user, password }) => {
                let pair = format!("{}:{}", user.text(vars)?, password.text(vars)?);
                headers.push(("Authorization".into(), format!("Basic {}", STANDARD.encode(pair))));
            }
        }
        if !self.cookies.is_empty() {
            let mut pairs = Vec::with_capacity(self.cookies.len());
            for (name, value) in &self.cookies {
                pairs.push(format!("{name}={}", value.text(vars)?));
            }
            headers.push(("Cookie".into(), pairs.join("; ")));
        }
        for (name, value) in &self.headers {
            headers.push((name.clone(), value.text(vars)?));
        }
        Ok(Handshake { url: self.address(&base, vars)?, headers })
    }

    fn address(&self, base: &str, vars: &Vars<'_>) -> Result<String, MissingValue> {
        let (before, query) = base.split_once('?').map_or((base, None), |(before, query)| (before, Some(query)));
        let mut url = before.to_owned();
        let after_scheme = match unix_socket(base) {
            None => before.find("://").map_or(0, |i| i + 3),
            // Behind the colon that ends the socket's path.
            Some(_) => before[ON_UNIX_SOCKET.len()..].find(':').map_or_else(
                || {
                    url.push(':');
                    before.len()
                },
                |i| ON_UNIX_SOCKET.len() + i + 1,
            ),
        };
        let slash = before[after_scheme..].find('/').map(|i| after_scheme + i);
        if let Some(path) = &self.path
            && slash.is_none_or(|slash| slash + 1 == before.len())
        {
            url.truncate(slash.unwrap_or(url.len()));
            let path = path.text(vars)?;
            if !path.starts_with('/') {
                url.push('/');
            }
            url.push_str(&path);
        } else if slash.is_none() {
            url.push('/');
        }
        let mut pairs: Vec<String> = query.filter(|q| !q.is_empty()).map(str::to_owned).into_iter().collect();
        for (name, value) in &self.query {
            let given = query.unwrap_or_default().split('&').any(|pair| pair.split('=').next() == Some(name.as_str()));
            if !given {
                pairs.push(format!("{}={}", url_encode(name), url_encode(&value.text(vars)?)));
            }
        }
        if !pairs.is_empty() {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(&pairs.join("&"));
        }
        Ok(url)
    }

    /// All templates in it.
    pub(super) fn templates(&self) -> Vec<&Template> {
        let mut list: Vec<&Template> = [&self.url, &self.path, &self.origin].into_iter().flatten().collect();
        list.extend(self.query.iter().chain(&self.headers).chain(&self.cookies).map(|(_, value)| value));
        match &self.auth {
            None => {}
            Some(Auth::Bearer(token)) => list.push(token),
            Some(Auth::Basic { user, password }) => list.extend([user, password]),
        }
        list
    }
}

fn url_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_has_what_was_asked() {
        let text = Template::literal;
        let connection = Connection {
            path: Some(text("/socket.io/")),
            query: vec![("EIO".into(), text("4")), ("name".into(), text("a b"))],
            headers: vec![("X-A".into(), text("b"))],
            cookies: vec![("a".into(), text("1")), ("b".into(), text("2"))],
            origin: Some(text("https://example.com")),
            auth: Some(Auth::Basic { user: text("Aladdin"), password: text("open sesame") }),
            host: Some("example.com".into()),
            ..Connection::default()
        };
        let made = connection.handshake("ws://127.0.0.1:3000", &Vars::default()).expect("no variables");
        assert_eq!(made.url, "ws://127.0.0.1:3000/socket.io/?EIO=4&name=a%20b");
        let pairs: Vec<_> = made.headers.iter().map(|(n, v)| format!("{n}: {v}")).collect();
        assert_eq!(
            pairs,
            [
                "Host: example.com",
                "Origin: https://example.com",
                "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
                "Cookie: a=1; b=2",
                "X-A: b"
            ]
        );
    }

    #[test]
    fn what_the_user_wrote_in_the_url_stays() {
        let text = Template::literal;
        let connection = Connection { path: Some(text("/ws")), query: vec![("v".into(), text("4"))], ..Connection::default() };
        let url = |target: &str| connection.handshake(target, &Vars::default()).expect("no variables").url;
        assert_eq!(url("ws://h/other"), "ws://h/other?v=4");
        assert_eq!(url("ws://h/"), "ws://h/ws?v=4");
        assert_eq!(url("ws://h/x?v=3&w=1"), "ws://h/x?v=3&w=1");
        assert_eq!(url("ws+unix:///run/a.sock"), "ws+unix:///run/a.sock:/ws?v=4");
        assert_eq!(url("ws+unix:/run/a.sock:/"), "ws+unix:/run/a.sock:/ws?v=4");
        assert_eq!(url("ws+unix:///run/a.sock:/b?w=1"), "ws+unix:///run/a.sock:/b?w=1&v=4");
        assert_eq!(Connection::default().handshake("ws://h", &Vars::default()).expect("plain").url, "ws://h/");
    }

    #[test]
    fn a_unix_sockets_url_is_taken_apart_at_its_first_colon() {
        for (url, parts) in [
            ("ws+unix:///run/a.sock:/ws?x=a:b", Some(Ok(("/run/a.sock", "/ws?x=a:b")))),
            ("ws+unix:/run/a.sock:/ws", Some(Ok(("/run/a.sock", "/ws")))),
            ("WS+UNIX:///run/a.sock", Some(Ok(("/run/a.sock", "/")))),
            ("ws+unix:///run/a.sock:", Some(Ok(("/run/a.sock", "/")))),
            ("ws://h/", None),
            ("wss+unix:///run/a.sock", None),
            ("ws+unix://run/a.sock", Some(Err("the socket's path is not absolute"))),
            ("ws+unix://", Some(Err("the socket's path is not absolute"))),
            ("ws+unix:///run/a.sock?x=1", Some(Err("a colon stands between the socket's path and the request's"))),
            ("ws+unix:///run/a.sock:ws", Some(Err("the request's path, behind the colon, does not begin with a slash"))),
            ("ws+unix:///run/a.sock:/#x", Some(Err("a fragment (`#…`) is not allowed"))),
            ("ws+unix:///run/a.sock:/a b", Some(Err("the request's path contains white space"))),
        ] {
            assert_eq!(unix_socket(url), parts, "{url}");
        }
    }
}
