//! The server as a whole: binding, threads, accepting, stopping.
//!
//! Must never know a message.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::clock::{Clock, RuntimeClock};
use crate::config::ServerConfig;
use crate::connection;
use crate::counters::{self, Totals};
use crate::fault::{ActSink, FaultCounts};
use crate::feed;
use crate::shard::{LogSink, Mail, Shard, Shared, Sinks};
use crate::tls;
use crate::transport::{Stream, Transport};

/// Connections the kernel may hold for us before we accept them.
const BACKLOG: i32 = 4096;
/// How long accepting rests when descriptors have run out.
const BREATH: Duration = Duration::from_millis(50);
/// What stopping may take beyond the closing handshakes.
const MARGIN: Duration = Duration::from_millis(500);

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {why}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        why: io::Error,
    },
    /// A certificate or key file cannot be used.
    #[error("cannot use {}: {why}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// TLS cannot be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
    /// A thread or its runtime cannot be started.
    #[error("cannot start a server thread: {0}")]
    Thread(io::Error),
}

/// A server that is bound and not yet running.
pub struct Server {
    config: ServerConfig,
    listener: TcpListener,
    address: SocketAddr,
    clock: Option<Arc<dyn Clock>>,
    sinks: Sinks,
}

impl Server {
    /// Listens on `config.listen`.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn bind(config: ServerConfig) -> Result<Self, ServerError> {
        let address = config.listen;
        let bound = || -> io::Result<TcpListener> {
            let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
            socket.set_reuse_address(true)?;
            socket.bind(&address.into())?;
            socket.listen(BACKLOG)?;
            Ok(socket.into())
        };
        let listener = bound().map_err(|why| ServerError::Bind { address, why })?;
        Self::on(config, listener)
    }

    /// Uses a listener somebody else made; `config.listen` is not looked at.
    ///
    /// # Errors
    /// When the listener has no address.
    pub fn on(config: ServerConfig, listener: TcpListener) -> Result<Self, ServerError> {
        let address = listener.local_addr().map_err(|why| ServerError::Bind { address: config.listen, why })?;
        Ok(Self { config, listener, address, clock: None, sinks: Sinks::default() })
    }

    /// Lives by `clock` instead of the runtime's own.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Hands `received: …` to `sink` for every message.
    #[must_use]
    pub fn with_log(mut self, sink: LogSink) -> Self {
        self.sinks.log = Some(sink);
        self
    }

    /// Hands `sink` a line of JSON for every fault committed.
    #[must_use]
    pub fn with_fault_log(mut self, sink: ActSink) -> Self {
        self.sinks.faults = Some(sink);
        self
    }

    /// Where it listens, with the port the system chose.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Starts the threads and returns at once.
    ///
    /// # Errors
    /// When a certificate cannot be used or a thread cannot be started.
    pub fn start(self) -> Result<Handle, ServerError> {
        let tls = self.config.tls.as_ref().map(tls::acceptor).transpose()?;
        self.listener.set_nonblocking(true).map_err(ServerError::Thread)?;
        let clock = self.clock.unwrap_or_else(|| Arc::new(RuntimeClock::starting_now()));
        let threads = self.config.threads.max(1);
        let scheme = if tls.is_some() { "wss" } else { "ws" };
        let path = self.config.path.clone().unwrap_or_default();
        let url = format!("{scheme}://{}{path}", self.address);
        let shared = Arc::new(Shared::new(self.config, clock, self.sinks, tls, threads));
        let mut handle = Handle { shared: Arc::clone(&shared), address: self.address, url, threads: Vec::new() };
        let mut listener = Some(self.listener);
        for n in 0..threads {
            let (shared, listener) = (Arc::clone(&shared), listener.take());
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ServerError::Thread)?;
            let run = move || {
                let local = tokio::task::LocalSet::new();
                local.block_on(&runtime, run_shard(shared, n, threads, listener));
            };
            let thread = std::thread::Builder::new().name(format!("server-{n}")).spawn(run).map_err(ServerError::Thread)?;
            handle.threads.push(thread);
        }
        Ok(handle)
    }
}

/// Binds, starts, and hands over a running server: what an in-process user wants.
///
/// # Errors
/// As [`Server::bind`] and [`Server::start`].
pub fn spawn(config: ServerConfig) -> Result<Handle, ServerError> {
    Server::bind(config)?.start()
}

/// A running server. Dropping it stops the server.
pub struct Handle {
    shared: Arc<Shared>,
    address: SocketAddr,
    url: String,
    threads: Vec<JoinHandle<()>>,
}

impl Handle {
    /// Where it listens.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The URL a client connects to.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it has done so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.shared.counters.read()
    }

    /// How often each fault was committed so far.
    #[must_use]
    pub fn faults(&self) -> FaultCounts {
        self.shared.book.counts()
    }

    /// The counts of faults as a value that outlives the server: read it after [`stop`](Self::stop).
    #[must_use]
    pub fn fault_book(&self) -> FaultReader {
        FaultReader(Arc::clone(&self.shared))
    }

    /// Stops accepting, closes everyone with 1001, waits for them (bounded by the close timeout), and returns what the
    /// server did in its life.
    #[must_use]
    pub fn stop(mut self) -> Totals {
        self.end();
        self.totals()
    }

    fn end(&mut self) {
        self.shared.stop();
        for thread in self.threads.drain(..) {
            // A shard that panicked has nothing left to stop.
            let _ = thread.join();
        }
    }
}

/// Reads the counts of faults, also when the server has ended.
pub struct FaultReader(Arc<Shared>);

impl FaultReader {
    /// How often each fault was committed.
    #[must_use]
    pub fn counts(&self) -> FaultCounts {
        self.0.book.counts()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.end();
    }
}

/// One thread's life.
async fn run_shard(shared: Arc<Shared>, n: usize, threads: usize, listener: Option<TcpListener>) {
    let shard = Shard::new(Arc::clone(&shared), n);
    let acceptor = listener.map(|listener| tokio::task::spawn_local(accept(Rc::clone(&shard), listener, threads)));
    // A task of its own rather than this future: it then takes its turn behind the clients that were readable when the
    // first publication came, and finds theirs too.
    let turns = tokio::task::spawn_local(take_turns(Rc::clone(&shard), n));
    let feed = shared.config.feed.filter(|_| n == 0).map(|period| tokio::task::spawn_local(feed::run(Arc::clone(&shared), period)));
    let _ = turns.await;
    if let Some(feed) = feed {
        feed.abort();
    }
    if let Some(acceptor) = acceptor {
        acceptor.abort();
    }
    let deadline = shared.clock.now() + shared.config.close_timeout + MARGIN;
    shard.dismiss();
    tokio::select! {
        () = shard.emptied() => {}
        () = shared.clock.until(deadline) => {}
    }
}

/// Delivers what is published and takes over what is accepted, until told to stop.
pub(crate) async fn take_turns(shard: Rc<Shard>, n: usize) {
    let mailbox = Arc::clone(shard.shared.mailbox(n));
    let mut publications = Vec::new();
    loop {
        let mut stopped = false;
        for mail in std::future::poll_fn(|cx| mailbox.poll_take(cx.waker())).await {
            match mail {
                Mail::Publish(publication) => publications.push(publication),
                Mail::Accept(socket) => match tokio::net::TcpStream::from_std(socket) {
                    Ok(socket) => drop(tokio::task::spawn_local(connection::serve_socket(Rc::clone(&shard), socket))),
                    Err(_) => counters::count(&shard.shared.counters.refused),
                },
                Mail::Stop => stopped = true,
            }
        }
        shard.deliver(&publications);
        publications.clear();
        if stopped {
            return;
        }
    }
}

/// Accepts connections and deals them out to the shards in turn.
async fn accept(shard: Rc<Shard>, listener: TcpListener, threads: usize) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let shared = Arc::clone(&shard.shared);
    let mut turn = 0;
    while !shared.stopping.load(Ordering::Acquire) {
        match listener.accept().await {
            Ok((socket, _)) => {
                counters::count(&shared.counters.accepted);
                turn = (turn + 1) % threads;
                if turn == 0 {
                    tokio::task::spawn_local(connection::serve_socket(Rc::clone(&shard), socket));
                } else if let Ok(socket) = socket.into_std() {
                    shared.mailbox(turn).post(Mail::Accept(socket));
                }
            }
            // Out of descriptors, most likely: those who leave make room.
            Err(_) => shared.clock.until(shared.clock.now() + BREATH).await,
        }
    }
}

/// A server without a listener, for streams of any kind, on the caller's own thread: what tests in memory want.
///
/// It must be made and used inside a [`tokio::task::LocalSet`].
pub struct LocalServer {
    shard: Rc<Shard>,
}

impl LocalServer {
    /// A server that lives by `clock`.
    #[must_use]
    pub fn new(config: ServerConfig, clock: Arc<dyn Clock>, sinks: Sinks) -> Self {
        let shard = Shard::new(Arc::new(Shared::new(config, clock, sinks, None, 1)), 0);
        tokio::task::spawn_local(take_turns(Rc::clone(&shard), 0));
        if let Some(period) = shard.shared.config.feed {
            tokio::task::spawn_local(feed::run(Arc::clone(&shard.shared), period));
        }
        Self { shard }
    }

    /// Serves one stream to its end; several streams of one server are each other's audience.
    pub fn serve(&self, stream: impl Stream + 'static) -> impl Future<Output = ()> + 'static {
        connection::serve_stream(Rc::clone(&self.shard), Transport::Other(Box::pin(stream)))
    }

    /// What it has done so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.shard.shared.counters.read()
    }

    /// How often each fault was committed so far.
    #[must_use]
    pub fn faults(&self) -> FaultCounts {
        self.shard.shared.book.counts()
    }

    /// Closes everyone with 1001 and waits for them, bounded by the close timeout.
    pub async fn stop(self) -> Totals {
        let shared = &self.shard.shared;
        shared.stop();
        self.shard.dismiss();
        tokio::select! {
            () = self.shard.emptied() => {}
            () = shared.clock.until(shared.clock.now() + shared.config.close_timeout + MARGIN) => {}
        }
        shared.counters.read()
    }
}
