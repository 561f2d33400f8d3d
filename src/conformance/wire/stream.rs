//! Where the server is, and a TCP or TLS stream to it. Must never know a frame.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ClientConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::base::redact_url;

/// A `ws://` or `wss://` URL, taken apart. RFC 6455 3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `wss`.
    pub tls: bool,
    /// Host without brackets.
    pub host: String,
    /// Port, 80 or 443 when not given.
    pub port: u16,
    /// Path and query, `/` when not given. `{case}` stands for a name fresh for every case.
    pub path: String,
}

/// Why a URL cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{url}: {why}; write ws://host:port/path or wss://host:port/path")]
pub struct BadUrl {
    url: String,
    why: &'static str,
}

impl Target {
    /// Takes a URL apart.
    ///
    /// # Errors
    /// [`BadUrl`] with the reason and the remedy.
    pub fn parse(url: &str) -> Result<Self, BadUrl> {
        let bad = |why| BadUrl { url: redact_url(url), why };
        let unix = |scheme: &str| url.get(..scheme.len()).is_some_and(|s| s.eq_ignore_ascii_case(scheme));
        if unix("ws+unix:") || unix("wss+unix:") {
            return Err(bad("cases are asked over TCP, whose resets are among them; a Unix socket is for `run` and `connect`"));
        }
        let (scheme, rest) = url.split_once("://").ok_or_else(|| bad("no scheme"))?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "ws" | "http" => false,
            "wss" | "https" => true,
            _ => return Err(bad("the scheme is neither ws nor wss")),
        };
        if rest.contains('#') {
            return Err(bad("a WebSocket URL has no fragment"));
        }
        let cut = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(cut);
        let authority = authority.rsplit_once('@').map_or(authority, |(_, a)| a);
        let (host, port) = match authority.strip_prefix('[').and_then(|a| a.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':')),
            None => authority.split_once(':').map_or((authority, None), |(h, p)| (h, Some(p))),
        };
        let port = match port {
            Some(port) => port.parse().map_err(|_| bad("the port is not a number"))?,
            None if tls => 443,
            None => 80,
        };
        if host.is_empty() {
            return Err(bad("no host"));
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { tls, host: host.to_owned(), port, path })
    }

    /// The `Host` field's value.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let default = if self.tls { 443 } else { 80 };
        if self.port == default { host } else { format!("{host}:{}", self.port) }
    }

    /// The URL as it may be shown: tokens travel in queries.
    #[must_use]
    pub fn shown(&self) -> String {
        redact_url(&self.url())
    }

    /// The URL again.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}{}", if self.tls { "wss" } else { "ws" }, self.authority(), self.path)
    }
}

/// A connected stream.
#[derive(Debug)]
pub enum Stream {
    /// Plain TCP.
    Plain(TcpStream),
    /// TLS over TCP.
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

/// How a stream is opened.
#[derive(Clone)]
pub struct Connector {
    tls: Option<(TlsConnector, ServerName<'static>)>,
    address: (String, u16),
    timeout: Duration,
}

impl Connector {
    /// A connector for a target; `insecure` accepts any certificate.
    ///
    /// # Errors
    /// When the host cannot be a TLS server name or no trust roots can be had.
    pub fn new(target: &Target, insecure: bool, timeout: Duration) -> io::Result<Self> {
        let tls = if target.tls {
            let name = ServerName::try_from(target.host.clone()).map_err(io::Error::other)?;
            Some((TlsConnector::from(Arc::new(tls_config(insecure)?)), name))
        } else {
            None
        };
        Ok(Self { tls, address: (target.host.clone(), target.port), timeout })
    }

    /// Opens a stream, `TCP_NODELAY` set.
    ///
    /// # Errors
    /// The operating system's or TLS's, or `TimedOut`.
    pub async fn connect(&self) -> io::Result<Stream> {
        tokio::time::timeout(self.timeout, self.open())
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no connection in time"))?
    }

    async fn open(&self) -> io::Result<Stream> {
        let tcp = TcpStream::connect((self.address.0.as_str(), self.address.1)).await?;
        tcp.set_nodelay(true)?;
        match &self.tls {
            None => Ok(Stream::Plain(tcp)),
            Some((tls, name)) => Ok(Stream::Tls(Box::new(tls.connect(name.clone(), tcp).await?))),
        }
    }
}

fn tls_config(insecure: bool) -> io::Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().map_err(io::Error::other)?;
    if insecure {
        return Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(TrustAny(provider))).with_no_client_auth());
    }
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(io::Error::other("no trust roots on this machine; use --insecure"));
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// `--insecure`: signatures are still checked, the name and issuer are not.
#[derive(Debug)]
struct TrustAny(Arc<rustls::crypto::CryptoProvider>);

impl ServerCertVerifier for TrustAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

impl Stream {
    /// The TCP socket underneath.
    #[must_use]
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref().0,
        }
    }

    /// Makes closing send RST instead of FIN (`SO_LINGER` 0).
    ///
    /// # Errors
    /// The operating system's.
    pub fn reset_on_close(&self) -> io::Result<()> {
        socket2::SockRef::from(self.tcp()).set_linger(Some(Duration::ZERO))
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_read(cx, buf),
            Self::Tls(s) => Pin::new(s).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_write(cx, buf),
            Self::Tls(s) => Pin::new(s).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_flush(cx),
            Self::Tls(s) => Pin::new(s).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_shutdown(cx),
            Self::Tls(s) => Pin::new(s).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_a_password_nor_a_token_of_a_url_is_shown() {
        let wrong = Target::parse("ws://u:S3CRET@h:99999/?t=S3CRET").expect_err("the port is too large").to_string();
        assert!(wrong.contains("ws://***@h:99999/?t=***: the port"), "{wrong}");
        let target = Target::parse("ws://u:S3CRET@h/?t=S3CRET").expect("it is a URL");
        assert_eq!(target.shown(), "ws://h/?t=***");
    }

    #[test]
    fn urls_are_taken_apart() {
        for (url, tls, host, port, path) in [
            ("ws://a", false, "a", 80, "/"),
            ("ws://a:9001/x?y=1", false, "a", 9001, "/x?y=1"),
            ("wss://a?q", true, "a", 443, "/?q"),
            ("ws://[::1]:8/z", false, "::1", 8, "/z"),
        ] {
            let want = Target { tls, host: host.to_owned(), port, path: path.to_owned() };
            assert_eq!(Target::parse(url), Ok(want), "{url}");
        }
        for url in ["ws+unix:///run/a.sock:/", "WS+UNIX:/run/a.sock", "wss+unix:///run/a.sock"] {
            let error = Target::parse(url).expect_err(url).to_string();
            assert!(error.contains("asked over TCP") && error.contains("`run` and `connect`"), "{error}");
        }
        for url in ["localhost:1", "ftp://a", "ws://", "ws://a:b", "ws://a/#x"] {
            assert!(Target::parse(url).is_err(), "{url}");
        }
    }
}
