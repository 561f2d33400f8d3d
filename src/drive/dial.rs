//! From nothing to an open WebSocket: TCP from a chosen source address (or a Unix socket), TLS, the opening handshake; every way it can fail
//! by its cause.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, UnixStream};
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

/// Tells our own limits (descriptors: EMFILE, ENFILE; ports: EADDRNOTAVAIL, EADDRINUSE; buffers: ENOBUFS, ENOMEM; addresses that
/// cannot be connected from here: EAFNOSUPPORT, EINVAL) from what the server or the network did.
fn cause_of(error: &io::Error) -> ConnectFailure {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::ConnectionRefused => ConnectFailure::Refused,
        Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe | Kind::UnexpectedEof => ConnectFailure::Reset,
        Kind::TimedOut => ConnectFailure::Timeout,
        Kind::AddrNotAvailable | Kind::AddrInUse | Kind::OutOfMemory => ConnectFailure::LocalLimit,
        _ => match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::AFNOSUPPORT | Errno::INVAL) => ConnectFailure::LocalLimit,
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
    let socket = socket(address, source).map_err(|e| {
        // Nothing has left this machine yet: whatever it is, it is ours.
        let from = source.map_or_else(String::new, |source| format!("from {source}: "));
        Failed::new(ConnectFailure::LocalLimit, format!("{from}{e}"))
    })?;
    let mut tcp = socket.connect(address).await.map_err(|e| match &target.tunnel {
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

/// Which of a target's addresses the `n`th client connects to, and from which of our own: each in turn, and both of one family. Of our
/// own, those of IPv4 come first. Where none of them is of a target's family there is no way; where there are none, the system chooses.
pub(super) fn route<'a>(addresses: &'a [Address], sources: &[IpAddr], n: usize) -> Option<(&'a Address, Option<IpAddr>)> {
    let (four, six) = sources.split_at(sources.partition_point(IpAddr::is_ipv4));
    let own = |address: &Address| match address {
        Address::Unix(_) => None,
        Address::Ip(address) if address.is_ipv4() => Some(four),
        Address::Ip(_) => Some(six),
    };
    let usable = |address: &&Address| sources.is_empty() || own(address).is_none_or(|own| !own.is_empty());
    let address = addresses.iter().filter(usable).nth(n.checked_rem(addresses.iter().filter(usable).count())?)?;
    let source = own(address).filter(|own| !own.is_empty()).map(|own| own[n % own.len()]);
    Some((address, source))
}

fn socket(address: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_nodelay(true)?;
    if let Some(source) = source {
        late_port(&socket)?;
        socket.bind(SocketAddr::new(source, 0))?;
    }
    Ok(socket)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> Address {
        Address::Ip(text.parse().expect("an address and a port"))
    }

    fn sources(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().expect("an address")).collect()
    }

    /// Half the clients of `--source 127.0.0.1,::1` were refused by their own machine, and it was held against the server.
    #[test]
    fn clients_connect_from_an_address_of_the_targets_family() {
        let four = [ip("127.0.0.1:9")];
        let both = [ip("[::1]:9"), ip("127.0.0.1:9")];
        let mixed = sources(&["127.0.0.1", "127.0.0.2", "::1"]);
        let from = |addresses: &[Address], sources: &[IpAddr], n| {
            route(addresses, sources, n).map(|(to, from)| (to.clone(), from.map(|from| from.to_string())))
        };
        let way = |to: &str, from: &str| Some((ip(to), Some(from.to_owned())));
        let turn: Vec<_> = (0..3).map(|n| from(&four, &mixed, n)).collect();
        assert_eq!(turn, [way("127.0.0.1:9", "127.0.0.1"), way("127.0.0.1:9", "127.0.0.2"), way("127.0.0.1:9", "127.0.0.1")]);
        assert_eq!(from(&both, &mixed, 0), way("[::1]:9", "::1"));
        assert_eq!(from(&both, &mixed, 1), way("127.0.0.1:9", "127.0.0.2"));
        assert_eq!(from(&both, &mixed[..1], 0), way("127.0.0.1:9", "127.0.0.1"), "the target's other address is left alone");
        assert_eq!(from(&four, &mixed[2..], 0), None);
        assert_eq!(from(&both, &mixed[1..], 3), way("127.0.0.1:9", "127.0.0.2"));
        assert_eq!(from(&both, &[], 1), Some((ip("127.0.0.1:9"), None)), "the system chooses");
        let unix = [Address::Unix(Path::new("/run/a.sock").into())];
        assert_eq!(from(&unix, &mixed[..1], 5), Some((unix[0].clone(), None)));
    }

    #[test]
    fn what_this_machine_cannot_do_is_not_held_against_the_server() {
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::ADDRNOTAVAIL, Errno::ADDRINUSE, Errno::AFNOSUPPORT, Errno::INVAL] {
            assert_eq!(cause_of(&errno.into()), ConnectFailure::LocalLimit, "{errno}");
        }
        assert_eq!(cause_of(&Errno::CONNREFUSED.into()), ConnectFailure::Refused);
        assert_eq!(cause_of(&Errno::NETUNREACH.into()), ConnectFailure::Io);
    }

    #[tokio::test]
    async fn an_address_that_cannot_be_bound_is_this_machines() {
        let (target, source) = (Target::resolve("ws://127.0.0.1:9/", &crate::drive::target::Trust::default()).await, "::1".parse().ok());
        let address = "127.0.0.1:9".parse().expect("an address");
        let failed = over_ip(&target.expect("nothing is looked up"), address, source).await.expect_err("another family");
        assert_eq!(failed.cause, ConnectFailure::LocalLimit);
        assert!(failed.detail.starts_with("from ::1: "), "{}", failed.detail);
    }
}
