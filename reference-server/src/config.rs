//! What the server is asked to be: plain data with the documented defaults.
//!
//! Must never know how any of it is done.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::units;

/// The heartbeat's text unless another is asked for.
pub const HEARTBEAT_TEXT: &str = r#"{"type":1,"message":"ping"}"#;
/// The answer to the text `ping`.
pub const PONG_TEXT: &str = r#"{"type":0,"message":"pong"}"#;
/// What a server with the fault `pong-wrong` answers instead.
pub const WRONG_PONG_TEXT: &str = r#"{"type":0,"message":"gnop"}"#;
/// The text that asks for [`PONG_TEXT`].
pub const PING_TEXT: &str = "ping";

/// Who gets a copy of what a client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fanout {
    /// Every open client, the sender included.
    #[default]
    All,
    /// Every open client but the sender.
    Others,
    /// The sender only.
    Echo,
}

/// What happens when a client's outbox is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlowConsumer {
    /// The client is closed with 1013 (try again later) and counted.
    #[default]
    Close,
    /// The copy that does not fit is dropped and counted.
    Drop,
}

/// How `wss://` is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tls {
    /// A certificate for `localhost` and the loopback addresses, made at start and signed by nobody.
    SelfSigned,
    /// PEM files.
    Files {
        /// The certificate chain, leaf first.
        cert: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
}

/// Everything a server can be told. `ServerConfig::default()` is the honest server of the documentation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The only request path that upgrades; `None` upgrades on every path.
    pub path: Option<String>,
    /// Who gets a copy of what a client sends.
    pub fanout: Fanout,
    /// Period of the heartbeat, from each connection's own opening.
    #[serde(with = "units::text_or_off")]
    pub heartbeat: Option<Duration>,
    /// Period of the server's own broadcasts: `{"type":"tick","seq":0,…}` and so on, to every open client in every room.
    #[serde(with = "units::text_or_off")]
    pub feed: Option<Duration>,
    /// The text sent to each client when it opens.
    pub greeting: Option<String>,
    /// Period of protocol pings (RFC 6455 section 5.5.2); a peer that did not answer the last one is closed with 1011.
    #[serde(with = "units::text_or_off")]
    pub protocol_ping: Option<Duration>,
    /// What happens when a client's outbox is full.
    pub slow_consumer: SlowConsumer,
    /// Bytes one client may have queued. An empty outbox takes one message of any size.
    pub outbox: usize,
    /// Longest message taken, in bytes after decompression; longer ones close with 1009.
    pub max_message: usize,
    /// Longest frame taken, in bytes as sent; longer ones close with 1009 as soon as the header says so.
    pub max_frame: usize,
    /// Open clients; one more is answered 503.
    pub max_connections: usize,
    /// From TCP accept to a complete request (TLS included).
    #[serde(with = "units::text")]
    pub handshake_timeout: Duration,
    /// How long a closing client may take before its socket is dropped.
    #[serde(with = "units::text")]
    pub close_timeout: Duration,
    /// How long a client may take nothing of what waits for it before it is given up as dead.
    #[serde(with = "units::text")]
    pub write_timeout: Duration,
    /// Sub-protocols this server speaks; the first one a client offers is selected. None: none is ever selected.
    pub subprotocols: Vec<String>,
    /// Whether each request path is a room of its own, whose messages stay in it.
    pub rooms: bool,
    /// Whether permessage-deflate (RFC 7692) is accepted when offered.
    pub deflate: bool,
    /// Serve `wss://`.
    pub tls: Option<Tls>,
    /// Threads, each with its own share of the clients.
    pub threads: usize,
    /// Seed of everything random here (only faults are).
    pub seed: u64,
    /// What is to go wrong; nothing, for an honest server.
    pub faults: Vec<Fault>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 3000)),
            path: None,
            fanout: Fanout::All,
            heartbeat: Some(Duration::from_secs(5)),
            feed: None,
            greeting: Some("something".into()),
            protocol_ping: None,
            slow_consumer: SlowConsumer::Close,
            outbox: 4 << 20,
            max_message: 64 << 20,
            max_frame: 64 << 20,
            max_connections: 1_000_000,
            handshake_timeout: Duration::from_secs(5),
            close_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(30),
            subprotocols: Vec::new(),
            rooms: false,
            deflate: false,
            tls: None,
            threads: 1,
            seed: 0,
            faults: Vec::new(),
        }
    }
}

impl ServerConfig {
    /// The defaults on a free loopback port: what an in-process test or run wants.
    #[must_use]
    pub fn on_free_port() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), ..Self::default() }
    }
}
