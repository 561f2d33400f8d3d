//! From nothing to an open WebSocket: TCP from a chosen source address (or a Unix socket), TLS, the opening handshake; every way it can fail
//! by its cause.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use crate::base::Rng;
use crate::event::ConnectFailure;
use crate::wire::deflate::Agreement;
use crate::wire::handshake::{Accepted, HandshakeError, Request, key};

use super::stream::Stream;
use super::target::{Address, Target};

/// From one attempt at a Unix socket whose backlog is full to the next.
const FULL_BACKLOG: Duration = Duration::from_millis(2);

/// A failed attempt.
#[derive(Debug)]
pub struct Failed {
    /// What kind of failure it was.
    pub cause: ConnectFailure,
    /// In the words of whoever found it.
    pub detail: String,
}

/// An open WebSocket and what the server sent behind its handshake.
#[derive(Debug)]
pub struct Dialled {
    /// The connection, past its handshake.
    pub stream: Stream,
    /// What came behind the handshake, in the same read.
    pub early: Vec<u8>,
    /// The subprotocol the server chose.
    pub subprotocol: Option<String>,
    /// What was agreed about compression.
    pub deflate: Option<Agreement>,
}

impl Failed {
    fn new(cause: ConnectFailure, detail: impl ToString) -> Self {
        Self { cause, detail: detail.to_string() }
    }

    fn io(error: &io::Error) -> Self {
        Self::new(cause_of(error), error)
    }
}

/// Tells our own limits (descriptors: EMFILE, ENFILE; ports: EADDRNOTAVAIL, EADDRINUSE; buffers: ENOBUFS, ENOMEM) from
/// what the server or the network did.
fn cause_of(error: &io::Error) -> ConnectFailure {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::ConnectionRefused => ConnectFailure::Refused,
        Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe | Kind::UnexpectedEof => ConnectFailure::Reset,
        Kind::TimedOut => ConnectFailure::Timeout,
        Kind::AddrNotAvailable | Kind::AddrInUse | Kind::OutOfMemory => ConnectFailure::LocalLimit,
        _ => match error.raw_os_error() {
            Some(23 | 24 | 105) => ConnectFailure::LocalLimit,
            _ => ConnectFailure::Io,
        },
    }
}

/// Dials `target` within `limit`.
///
/// # Errors
/// [`Failed`] with the cause.
pub async fn dial(
    target: &Target,
    address: &Address,
    source: Option<IpAddr>,
    request: &Request,
    rng: &mut Rng,
    limit: Duration,
) -> Result<Dialled, Failed> {
    match tokio::time::timeout(limit, attempt(target, address, source, request, rng)).await {
        Ok(result) => result,
        Err(_) => Err(Failed::new(ConnectFailure::Timeout, format!("no open WebSocket after {limit:?}"))),
    }
}

async fn attempt(target: &Target, address: &Address, source: Option<IpAddr>, request: &Request, rng: &mut Rng) -> Result<Dialled, Failed> {
    let mut stream = match address {
        Address::Ip(address) => over_ip(target, *address, source).await?,
        Address::Unix(path) => {
            let unix = unix(path).await.map_err(|e| Failed::new(cause_of(&e), format!("{}: {e}", path.display())))?;
            Stream::Unix(unix)
        }
    };
    let mut random = [0; 16];
    random[..8].copy_from_slice(&rng.next_u64().to_ne_bytes());
    random[8..].copy_from_slice(&rng.next_u64().to_ne_bytes());
    let key = key(random);
    stream.write_all(&request.encode(&key)).await.map_err(|e| Failed::io(&e))?;
    stream.flush().await.map_err(|e| Failed::io(&e))?;
    let (early, accepted) = answer(&mut stream, request, &key).await?;
    Ok(Dialled { stream, early, subprotocol: accepted.subprotocol, deflate: accepted.deflate })
}

/// TCP, straight or through a proxy, and TLS where it is asked for.
async fn over_ip(target: &Target, address: SocketAddr, source: Option<IpAddr>) -> Result<Stream, Failed> {
    let mut tcp = tcp(address, source).await.map_err(|e| match &target.tunnel {
        None => Failed::io(&e),
        Some(tunnel) => Failed::new(cause_of(&e), format!("the proxy {}:{}: {e}", tunnel.proxy.0, tunnel.proxy.1)),
    })?;
    if let Some(tunnel) = &target.tunnel {
        tunnel.open(&mut tcp).await.map_err(|reason| Failed::new(ConnectFailure::Proxy, reason))?;
    }
    Ok(match &target.tls {
        None => Stream::Plain(tcp),
        Some((config, name)) => {
            let connector = TlsConnector::from(config.clone());
            let tls = connector.connect(name.clone(), tcp).await.map_err(|e| match e.kind() {
                io::ErrorKind::InvalidData => Failed::new(ConnectFailure::Tls, e),
                _ => Failed::io(&e),
            })?;
            Stream::Tls(Box::new(tls))
        }
    })
}

async fn answer(stream: &mut Stream, request: &Request, key: &str) -> Result<(Vec<u8>, Accepted), Failed> {
    let mut head = Vec::with_capacity(1024);
    loop {
        let read = stream.read_buf(&mut head).await.map_err(|e| Failed::io(&e))?;
        if read == 0 {
            return Err(Failed::new(ConnectFailure::Reset, "the server closed the connection during the handshake"));
        }
        match request.judge(key, &head) {
            Ok(None) => {}
            Ok(Some(accepted)) => return Ok((head.split_off(accepted.head), accepted)),
            Err(error) => return Err(Failed::new(cause_of_handshake(&error), error)),
        }
    }
}

fn cause_of_handshake(error: &HandshakeError) -> ConnectFailure {
    match error {
        HandshakeError::Status { status, .. } => ConnectFailure::HttpStatus(*status),
        HandshakeError::Accept { .. } => ConnectFailure::BadAccept,
        _ => ConnectFailure::BadUpgrade,
    }
}

async fn tcp(address: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_nodelay(true)?;
    if let Some(source) = source {
        late_port(&socket)?;
        socket.bind(SocketAddr::new(source, 0))?;
    }
    socket.connect(address).await
}

/// A Unix socket refuses at once (EAGAIN) while its backlog is full, where TCP waits: this waits too, within the caller's limit.
async fn unix(path: &Path) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => tokio::time::sleep(FULL_BACKLOG).await,
            result => return result,
        }
    }
}

/// IP_BIND_ADDRESS_NO_PORT: the port is chosen at connect, when the destination is known, so that one port serves many
/// destinations (Linux 4.2).
#[cfg(target_os = "linux")]
fn late_port(socket: &TcpSocket) -> io::Result<()> {
    nix::sys::socket::setsockopt(socket, nix::sys::socket::sockopt::IpBindAddressNoPort, &true)?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn late_port(_: &TcpSocket) -> io::Result<()> {
    Ok(())
}
