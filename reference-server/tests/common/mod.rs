//! A client that says and hears single frames, over a pipe in memory, and a server beside it in virtual time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reference_server::clock::RuntimeClock;
use reference_server::{LocalServer, ServerConfig, Sinks};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// A frame as heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// First octet.
    pub(crate) first: u8,
    /// Whether it was masked.
    pub(crate) masked: bool,
    /// The payload as it came (still masked, if it was).
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The payload as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.payload).into_owned()
    }

    /// The code of a Close.
    pub(crate) fn code(&self) -> Option<u16> {
        (self.first == 0x88).then(|| self.payload.get(..2).map_or(1005, |code| u16::from_be_bytes([code[0], code[1]])))
    }
}

/// A client.
pub(crate) struct Client {
    stream: DuplexStream,
    /// The response head to its request.
    pub(crate) response: String,
}

/// A request that upgrades.
pub(crate) fn request(path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
    )
}

/// One masked frame.
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let key = [1u8, 2, 3, 4];
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..=125 => frame.push(0x80 | len as u8),
        len @ 126..=0xFFFF => {
            frame.push(0x80 | 126);
            frame.extend((len as u16).to_be_bytes());
        }
        len => {
            frame.push(0x80 | 127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend(key);
    frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

impl Client {
    /// Sends raw octets and reads the response head; `None` when none comes.
    pub(crate) async fn ask(server: &LocalServer, octets: &[u8]) -> Option<Self> {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        tokio::task::spawn_local(server.serve(theirs));
        let mut client = Self { stream: ours, response: String::new() };
        client.stream.write_all(octets).await.ok()?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.stream.read_u8().await.ok()?);
        }
        client.response = String::from_utf8_lossy(&head).into_owned();
        Some(client)
    }

    /// Connects.
    pub(crate) async fn connect(server: &LocalServer) -> Self {
        Self::ask(server, request("/", "").as_bytes()).await.expect("a response")
    }

    /// Sends one masked frame.
    pub(crate) async fn send(&mut self, first: u8, payload: &[u8]) {
        self.raw(&masked(first, payload)).await;
    }

    /// Sends a text message.
    pub(crate) async fn say(&mut self, text: &str) {
        self.send(0x81, text.as_bytes()).await;
    }

    /// Sends octets as they are; a server that hung up meanwhile is not an error here.
    pub(crate) async fn raw(&mut self, octets: &[u8]) {
        let _ = self.stream.write_all(octets).await;
    }

    /// The next frame; `None` at the end of the stream.
    pub(crate) async fn hear(&mut self) -> Option<Frame> {
        let first = self.stream.read_u8().await.ok()?;
        let second = self.stream.read_u8().await.ok()?;
        let len = match second & 0x7F {
            126 => self.stream.read_u16().await.ok()?.into(),
            127 => self.stream.read_u64().await.ok()?,
            len => len.into(),
        };
        let masked = second & 0x80 != 0;
        if masked {
            self.stream.read_u32().await.ok()?;
        }
        if len > 1 << 30 {
            return Some(Frame { first, masked, payload: format!("declared {len}").into_bytes() });
        }
        let mut payload = vec![0; len as usize];
        self.stream.read_exact(&mut payload).await.ok()?;
        Some(Frame { first, masked, payload })
    }

    /// Everything heard until nothing comes for `quiet`, or the stream ends.
    pub(crate) async fn hear_all(&mut self, quiet: Duration) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Ok(Some(frame)) = tokio::time::timeout(quiet, self.hear()).await {
            frames.push(frame);
        }
        frames
    }

    /// Closes this side's writing half.
    pub(crate) async fn shut(&mut self) {
        let _ = self.stream.shutdown().await;
    }
}

/// A configuration without greeting and heartbeat.
pub(crate) fn quiet() -> ServerConfig {
    ServerConfig { heartbeat: None, greeting: None, ..ServerConfig::default() }
}

/// Lines a sink took.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    /// The lines so far.
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A sink that keeps its lines here.
    pub(crate) fn sink(&self) -> Arc<dyn Fn(&str) + Send + Sync> {
        let lines = Arc::clone(&self.0);
        Arc::new(move |line: &str| lines.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned()))
    }
}

/// Runs a test against a server in memory, in virtual time.
pub(crate) fn with_server<F: Future<Output = ()>>(config: ServerConfig, test: impl FnOnce(LocalServer) -> F) {
    with_sinks(config, Sinks::default(), test);
}

/// … with sinks.
pub(crate) fn with_sinks<F: Future<Output = ()>>(config: ServerConfig, sinks: Sinks, test: impl FnOnce(LocalServer) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, async move {
        let clock = Arc::new(RuntimeClock::starting_now());
        test(LocalServer::new(config, clock, sinks)).await;
    });
}

/// Virtual time passes.
pub(crate) async fn pass(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}
