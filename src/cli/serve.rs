//! `wsbench serve`: the reference server in a terminal. Reads flags, prints the URL, the log and the totals.

use std::fs::File;
use std::future::Future;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::{Args, ValueEnum};
use reference_server::fault::{self, ActSink, FaultFile};
use reference_server::{Fanout, Fault, Server, ServerConfig, ServerError, SlowConsumer, Tls, units};

use super::exit::Exit;
use crate::base::ByteSize;

/// Run the reference server: broadcast, heartbeat, greeting, and faults on request.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wsbench serve                                                         on port 3000
  wsbench serve --port 0 --fanout others --heartbeat 1s                 on any free port
  wsbench serve --fault drop,rate=1% --fault-log faults.log             lose copies, and say which
  wsbench serve --fault list                                            what can go wrong on request
  wsbench serve --tls-self-signed                                       wss://")]
pub struct ServeArgs {
    /// Address to listen on; port 0 takes a free one (the URL printed tells which).
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// Port to listen on, on the address of --listen.
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// The only path that upgrades; without it every path does.
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// Who gets a copy of what a client sends.
    #[arg(long, value_enum, default_value = "all")]
    fanout: FanoutArg,
    /// Period of the heartbeat `{"type":1,"message":"ping"}`, from each connection's opening; or `off`.
    #[arg(long, value_name = "SPAN|off", default_value = "5s", value_parser = span_or_off)]
    heartbeat: OrOff<Duration>,
    /// Broadcast `{"type":"tick","seq":0,…}` and so on by itself this often, to every open client; or `off`.
    #[arg(long, value_name = "SPAN|off", default_value = "off", value_parser = span_or_off)]
    feed: OrOff<Duration>,
    /// Text sent to each client when it opens; or `off`.
    #[arg(long, value_name = "TEXT|off", default_value = "something", value_parser = text_or_off)]
    greeting: OrOff<String>,
    /// Print `received: …` for every message.
    #[arg(long)]
    log: bool,
    /// Send protocol pings this often and close a peer that did not answer the last one with 1011; or `off`.
    #[arg(long, value_name = "SPAN|off", default_value = "off", value_parser = span_or_off)]
    protocol_ping: OrOff<Duration>,
    /// What happens when a client's outbox is full: close it with 1013, or drop the copy.
    #[arg(long, value_enum, default_value = "close")]
    slow_consumer: SlowConsumerArg,
    /// Bytes one client may have queued.
    #[arg(long, value_name = "SIZE", default_value = "4MiB")]
    outbox: ByteSize,
    /// Longest message taken; longer ones are closed with 1009.
    #[arg(long, value_name = "SIZE", default_value = "64MiB")]
    max_message: ByteSize,
    /// Longest frame taken; longer ones are closed with 1009.
    #[arg(long, value_name = "SIZE", default_value = "64MiB")]
    max_frame: ByteSize,
    /// Open clients; one more is answered 503.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    max_connections: usize,
    /// Time a client has from connecting to the end of its request.
    #[arg(long, value_name = "SPAN", default_value = "5s", value_parser = span)]
    handshake_timeout: Duration,
    /// Time a closing client has before its socket is dropped.
    #[arg(long, value_name = "SPAN", default_value = "5s", value_parser = span)]
    close_timeout: Duration,
    /// Time a client may take nothing of what waits for it before it is given up as dead.
    #[arg(long, value_name = "SPAN", default_value = "30s", value_parser = span)]
    write_timeout: Duration,
    /// A sub-protocol to accept when offered; repeatable.
    #[arg(long = "subprotocol", value_name = "NAME")]
    subprotocols: Vec<String>,
    /// Certificate chain (PEM) for wss://.
    #[arg(long, value_name = "FILE", requires = "tls_key", conflicts_with = "tls_self_signed")]
    tls_cert: Option<PathBuf>,
    /// Private key (PEM) for wss://.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Serve wss:// with a certificate made now, for localhost.
    #[arg(long)]
    tls_self_signed: bool,
    /// Threads, each with its own share of the clients.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,
    /// Accept permessage-deflate (RFC 7692) when a client offers it.
    #[arg(long)]
    deflate: bool,
    /// Make each request path a room of its own, whose messages stay in it.
    #[arg(long)]
    rooms: bool,
    /// Seed of everything random (only faults are).
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Go wrong on purpose: `drop,rate=1%,clients=3..5,from=2s,until=8s`; repeatable. `--fault list` names all kinds.
    #[arg(long = "fault", value_name = "SPEC")]
    faults: Vec<String>,
    /// A TOML file of faults: `faults = ["drop,rate=1%", "delay=50ms,clients=3"]`.
    #[arg(long, value_name = "FILE")]
    fault_file: Option<PathBuf>,
    /// Write what truly went wrong to FILE, a JSON object per line and act.
    #[arg(long, value_name = "FILE")]
    fault_log: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FanoutArg {
    /// Every open client, the sender included.
    All,
    /// Every open client but the sender.
    Others,
    /// The sender only.
    Echo,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SlowConsumerArg {
    /// Close the client with 1013.
    Close,
    /// Drop the copy that does not fit.
    Drop,
}

/// A value, or the word `off`. (An `Option` would mean "flag not given" to clap.)
#[derive(Debug, Clone)]
struct OrOff<T>(Option<T>);

fn span(text: &str) -> Result<Duration, String> {
    match units::parse_duration(text) {
        Ok(span) if span.is_zero() => Err("must be longer than nothing".into()),
        Ok(span) => Ok(span),
        Err(error) => Err(error.to_string()),
    }
}

fn span_or_off(text: &str) -> Result<OrOff<Duration>, String> {
    if text == "off" { Ok(OrOff(None)) } else { span(text).map(|span| OrOff(Some(span))) }
}

#[expect(clippy::unnecessary_wraps, reason = "the shape clap asks of a value parser")]
fn text_or_off(text: &str) -> Result<OrOff<String>, std::convert::Infallible> {
    Ok(OrOff((text != "off").then(|| text.to_owned())))
}

impl ServeArgs {
    /// The server's configuration as meant.
    fn config(self) -> Result<ServerConfig, String> {
        let mut listen = self.listen;
        if let Some(port) = self.port {
            listen.set_port(port);
        }
        if self.path.as_deref().is_some_and(|path| !path.starts_with('/')) {
            return Err("--path must begin with `/`".into());
        }
        let bytes = |name: &str, size: ByteSize| match usize::try_from(size.0) {
            Ok(0) | Err(_) => Err(format!("--{name} {size} is out of range")),
            Ok(bytes) => Ok(bytes),
        };
        let tls = match (self.tls_cert, self.tls_key) {
            (Some(cert), Some(key)) => Some(Tls::Files { cert, key }),
            _ => self.tls_self_signed.then_some(Tls::SelfSigned),
        };
        Ok(ServerConfig {
            listen,
            path: self.path,
            fanout: match self.fanout {
                FanoutArg::All => Fanout::All,
                FanoutArg::Others => Fanout::Others,
                FanoutArg::Echo => Fanout::Echo,
            },
            heartbeat: self.heartbeat.0,
            feed: self.feed.0,
            greeting: self.greeting.0,
            protocol_ping: self.protocol_ping.0,
            slow_consumer: match self.slow_consumer {
                SlowConsumerArg::Close => SlowConsumer::Close,
                SlowConsumerArg::Drop => SlowConsumer::Drop,
            },
            outbox: bytes("outbox", self.outbox)?,
            max_message: bytes("max-message", self.max_message)?,
            max_frame: bytes("max-frame", self.max_frame)?,
            max_connections: self.max_connections,
            handshake_timeout: self.handshake_timeout,
            close_timeout: self.close_timeout,
            write_timeout: self.write_timeout,
            subprotocols: self.subprotocols,
            rooms: self.rooms,
            deflate: self.deflate,
            tls,
            faults: faults(&self.faults, self.fault_file.as_deref())?,
            threads: self.threads.into(),
            seed: self.seed,
        })
    }
}

/// The faults of the flags and of the file, in this order.
fn faults(specs: &[String], file: Option<&Path>) -> Result<Vec<Fault>, String> {
    let mut faults = Vec::new();
    for spec in specs {
        faults.push(spec.parse::<Fault>().map_err(|error| format!("--fault {spec}: {error}"))?);
    }
    if let Some(path) = file {
        let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let more: FaultFile = toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        faults.extend(more.faults);
    }
    Ok(faults)
}

/// The kinds of faults, a line each.
fn list_faults() -> Exit {
    for kind in fault::Kind::ALL {
        super::terminal::print(&format!("{:<19} {}\n", kind.name(), kind.about()));
    }
    Exit::Pass
}

/// The first error of a fault log, if there was one.
type Incomplete = Arc<Mutex<Option<std::io::Error>>>;

/// Opens the fault log. The sink writes a line per act, at once: who kills the server wants to know what it did until then.
fn fault_log(path: &Path) -> std::io::Result<(ActSink, Incomplete)> {
    let file = Mutex::new(File::create(path)?);
    let incomplete = Incomplete::default();
    let first = Arc::clone(&incomplete);
    let sink = move |line: &str| {
        let written = file.lock().unwrap_or_else(PoisonError::into_inner).write_all(format!("{line}\n").as_bytes());
        if let Err(error) = written {
            let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
            if first.is_none() {
                complain(Exit::Environment, &format!("the fault log is incomplete from here on: {error}"));
                *first = Some(error);
            }
        }
    };
    Ok((Arc::new(sink), incomplete))
}

/// Serves until SIGINT or SIGTERM, then closes everyone and prints the totals.
#[must_use]
pub fn run(args: ServeArgs) -> Exit {
    if args.faults.iter().any(|spec| spec == "list") {
        return list_faults();
    }
    let log = args.log;
    let fault_log_at = args.fault_log.clone();
    let config = match args.config() {
        Ok(config) => config,
        Err(error) => return complain(Exit::Usage, &error),
    };
    // Only now, so that a slip of the pen does not empty the log of the run before.
    let acts = match fault_log_at.as_deref().map(fault_log).transpose() {
        Ok(acts) => acts,
        Err(error) => return complain(Exit::Environment, &format!("cannot write the fault log: {error}")),
    };
    raise_descriptor_limit();
    // Before the URL is out, so that a signal sent as soon as it is read finds us ready.
    let (runtime, signal) = match stop_signal() {
        Ok(ready) => ready,
        Err(error) => return complain(Exit::Environment, &format!("cannot listen for signals: {error}")),
    };
    let server = Server::bind(config).map(|server| {
        let server = if log { server.with_log(Arc::new(print_line)) } else { server };
        match &acts {
            Some((sink, _)) => server.with_fault_log(Arc::clone(sink)),
            None => server,
        }
    });
    let handle = match server.and_then(Server::start) {
        Ok(handle) => handle,
        Err(error) => return complain(exit_of(&error), &error.to_string()),
    };
    print_line(&format!("listening on {}", handle.url()));
    runtime.block_on(signal);
    let book = handle.fault_book();
    print_line(&format!("stopped: {}", handle.stop()));
    for (kind, times) in book.counts() {
        print_line(&format!("fault {}: {times}", kind.name()));
    }
    match acts.and_then(|(_, incomplete)| incomplete.lock().unwrap_or_else(PoisonError::into_inner).take()) {
        Some(error) => complain(Exit::Environment, &format!("the fault log is incomplete: {error}")),
        None => Exit::Pass,
    }
}

/// Everything that keeps a server from starting lies in its surroundings.
const fn exit_of(_: &ServerError) -> Exit {
    Exit::Environment
}

/// A runtime and a future that ends with the first SIGINT or SIGTERM.
fn stop_signal() -> std::io::Result<(tokio::runtime::Runtime, impl Future<Output = ()>)> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    let stopped = async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    Ok((runtime, stopped))
}

/// A client is a descriptor: take as many as the system lets us have.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        // Where it cannot be raised, accepting will say so.
        let _ = setrlimit(Resource::Nofile, limit);
    }
}

/// A line on standard output, at once; nobody reading it is no reason to stop serving.
fn print_line(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

#[expect(clippy::print_stderr, reason = "the terminal's edge")]
fn complain(exit: Exit, error: &str) -> Exit {
    eprintln!("error: {error}");
    exit
}
