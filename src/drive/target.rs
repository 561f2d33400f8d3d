//! A target made ready: the URL taken apart, the name resolved, TLS configured. What a connection needs, once for all.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;

use crate::scenario::model::{Proxy, unix_socket};

use super::proxy::Tunnel;
pub use super::tls::{TlsError, Trust};

/// What a connection is made to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A TCP port.
    Ip(SocketAddr),
    /// A Unix socket: neither ports nor addresses of ours are used up.
    Unix(Arc<Path>),
}

/// Where connections go.
#[derive(Debug, Clone)]
pub struct Target {
    /// The URL as given, without user and password, for people.
    pub url: String,
    /// Addresses in the order the resolver gave them; a Unix socket alone.
    pub addresses: Vec<Address>,
    /// The `Host` field.
    pub host: String,
    /// Path and query.
    pub path: String,
    /// The URL whole, as given: for connecting only, never for people.
    pub(super) full_url: String,
    /// User and password of the URL, for basic authentication.
    pub credentials: Option<String>,
    /// Through which proxy, where through one: then the addresses are the proxy's.
    pub(super) tunnel: Option<Tunnel>,
    pub(super) tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

/// Why a target cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// Not a WebSocket URL.
    #[error(
        "`{url}` is not a WebSocket URL: {reason}; write `ws://host:port/path`, `wss://host/path` or `ws+unix:///path/of/socket:/path`"
    )]
    Url {
        /// As given.
        url: String,
        /// Why.
        reason: String,
    },
    /// The name is not known.
    #[error("cannot resolve `{host}`: {reason}")]
    Resolve {
        /// The name.
        host: String,
        /// The resolver's words.
        reason: String,
    },
    /// The way there cannot be gone.
    #[error("{0}")]
    Proxy(String),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A URL taken apart, before anything is resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// `wss://`?
    pub secure: bool,
    /// Name or address, brackets removed.
    pub host: String,
    /// The port, given or implied.
    pub port: u16,
    /// Path and query, beginning with `/`.
    pub path: String,
    /// What stood before the `@`.
    pub credentials: Option<String>,
    /// The `Host` field: the port only when it is not the scheme's own.
    pub host_field: String,
    /// The Unix socket, where it is on one; then the host is `localhost`, and the port says nothing.
    pub socket: Option<PathBuf>,
}

impl Parts {
    /// Takes `url` apart (RFC 6455 section 3).
    ///
    /// # Errors
    /// [`TargetError::Url`] with the reason.
    pub fn parse(url: &str) -> Result<Self, TargetError> {
        let error = |reason: &str| TargetError::Url { url: redact(url), reason: reason.into() };
        if let Some(parts) = unix_socket(url) {
            let (socket, path) = parts.map_err(error)?;
            let (host, socket) = ("localhost".to_owned(), Some(PathBuf::from(socket)));
            return Ok(Self { secure: false, host_field: host.clone(), host, port: 80, path: path.to_owned(), credentials: None, socket });
        }
        let (scheme, rest) = url.split_once("://").ok_or_else(|| error("there is no scheme"))?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "ws" => false,
            "wss" => true,
            "http" | "https" => return Err(error("the scheme is for web pages")),
            "wss+unix" => return Err(error("there is no TLS on a Unix socket")),
            _ => return Err(error("the scheme is neither ws nor wss")),
        };
        if rest.contains('#') {
            return Err(error("a fragment (`#…`) is not allowed"));
        }
        if rest.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(error("it contains white space"));
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let (credentials, authority) = authority.rsplit_once('@').map_or((None, authority), |(c, a)| (Some(c.to_owned()), a));
        let (host, port) = host_and_port(authority).ok_or_else(|| error("the port is not a number from 1 to 65535"))?;
        if host.is_empty() {
            return Err(error("there is no host"));
        }
        let implied = if secure { 443 } else { 80 };
        let port = port.unwrap_or(implied);
        let shown = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let host_field = if port == implied { shown } else { format!("{shown}:{port}") };
        Ok(Self { secure, host: host.to_owned(), port, path, credentials, host_field, socket: None })
    }
}

fn host_and_port(authority: &str) -> Option<(&str, Option<u16>)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, Some(port.parse().ok().filter(|&p| p > 0)?))),
            None => rest.is_empty().then_some((host, None)),
        };
    }
    match authority.split_once(':') {
        Some((host, port)) => Some((host, Some(port.parse().ok().filter(|&p| p > 0)?))),
        None => Some((authority, None)),
    }
}

/// The URL without user, password and query, which may hold secrets.
#[must_use]
pub fn redact(url: &str) -> String {
    let (head, query) = url.split_once('?').map_or((url, ""), |(head, _)| (head, "?…"));
    let head = match head.split_once("://") {
        Some((scheme, rest)) => {
            let end = rest.find('/').unwrap_or(rest.len());
            let authority = rest[..end].rsplit_once('@').map_or(&rest[..end], |(_, host)| host);
            format!("{scheme}://{authority}{}", &rest[end..])
        }
        None => head.to_owned(),
    };
    head + query
}

impl Target {
    /// Takes the URL apart, resolves the name and sets up TLS.
    ///
    /// # Errors
    /// [`TargetError`] says which of the three failed, and why.
    pub async fn resolve(url: &str, trust: &Trust) -> Result<Self, TargetError> {
        Self::resolve_through(url, trust, &Proxy::None).await
    }

    /// The same through a proxy; the server's name is then the proxy's to resolve.
    ///
    /// # Errors
    /// As [`Target::resolve`], and [`TargetError::Proxy`].
    pub async fn resolve_through(url: &str, trust: &Trust, proxy: &Proxy) -> Result<Self, TargetError> {
        let parts = Parts::parse(url)?;
        let tunnel = Tunnel::to(&parts, proxy).map_err(TargetError::Proxy)?;
        let addresses = match &parts.socket {
            Some(socket) => vec![Address::Unix(socket.as_path().into())],
            None => {
                let (host, port) = tunnel.as_ref().map_or((&parts.host, parts.port), |tunnel| (&tunnel.proxy.0, tunnel.proxy.1));
                look_up(host, port).await?
            }
        };
        let tls = if parts.secure {
            let name = ServerName::try_from(trust.server_name.clone().unwrap_or_else(|| parts.host.clone()))
                .map_err(|e| TargetError::Url { url: redact(url), reason: format!("the host is no server name: {e}") })?;
            Some((super::tls::client(trust)?, name))
        } else {
            None
        };
        Ok(Self {
            url: redact(url),
            full_url: url.to_owned(),
            addresses,
            host: parts.host_field,
            path: parts.path,
            credentials: parts.credentials,
            tunnel,
            tls,
        })
    }

    /// The Unix socket it is on, if it is on one.
    #[must_use]
    pub fn socket(&self) -> Option<&Path> {
        match self.addresses.first() {
            Some(Address::Unix(socket)) => Some(socket),
            _ => None,
        }
    }

    /// Whether it is reached over TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether all addresses are on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.addresses.iter().all(|a| match a {
            Address::Ip(address) => address.ip().is_loopback(),
            Address::Unix(_) => true,
        })
    }
}

/// The addresses of a host, at least one.
async fn look_up(host: &str, port: u16) -> Result<Vec<Address>, TargetError> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![Address::Ip(SocketAddr::new(ip, port))]);
    }
    let failed = |reason: String| TargetError::Resolve { host: host.to_owned(), reason };
    let found = tokio::net::lookup_host((host, port)).await.map_err(|e| failed(e.to_string()))?;
    let addresses: Vec<_> = found.map(Address::Ip).collect();
    if addresses.is_empty() { Err(failed("the name has no address".into())) } else { Ok(addresses) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        for (url, secure, host, port, path, field) in [
            ("ws://localhost:3000", false, "localhost", 3000, "/", "localhost:3000"),
            ("wss://chat.example.com/ws?x=1", true, "chat.example.com", 443, "/ws?x=1", "chat.example.com"),
            ("ws://[::1]:8080/a", false, "::1", 8080, "/a", "[::1]:8080"),
            ("ws://u:p@h?q", false, "h", 80, "/?q", "h"),
        ] {
            let parts = Parts::parse(url).expect(url);
            assert_eq!((parts.secure, parts.host.as_str(), parts.port), (secure, host, port));
            assert_eq!((parts.path.as_str(), parts.host_field.as_str()), (path, field));
        }
    }

    #[test]
    fn a_unix_socket_is_on_localhost_and_knows_its_path() {
        let parts = Parts::parse("ws+unix:///run/a.sock:/ws?x=1").expect("a URL");
        assert_eq!((parts.socket.as_deref(), parts.path.as_str()), (Some(Path::new("/run/a.sock")), "/ws?x=1"));
        assert_eq!((parts.host_field.as_str(), parts.secure), ("localhost", false));
        assert_eq!(redact("ws+unix:///run/a.sock:/ws?token=secret"), "ws+unix:///run/a.sock:/ws?…");
        assert_eq!(redact("ws+unix:/run/a.sock:/ws?token=secret"), "ws+unix:/run/a.sock:/ws?…");
    }

    #[test]
    fn what_is_no_url_says_why() {
        for (url, why) in [
            ("http://x", "web pages"),
            ("localhost:3000", "no scheme"),
            ("ws://", "no host"),
            ("ws://h:0", "port"),
            ("ws://h:99999", "port"),
            ("ws://h/#x", "fragment"),
            ("ws://a b/", "white space"),
            ("ws+unix://a.sock", "not absolute"),
            ("wss+unix:///run/a.sock:/", "no TLS on a Unix socket"),
        ] {
            let error = Parts::parse(url).expect_err(url).to_string();
            assert!(error.contains(why), "{url}: {error}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        assert_eq!(redact("wss://user:secret@h:1/p?token=secret"), "wss://h:1/p?…");
        assert_eq!(redact("ws://h/p@q"), "ws://h/p@q");
    }
}
