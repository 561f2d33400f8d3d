//! `wsbench connect`: the bare interactive client. A line typed is sent, what comes is shown with its opcode, its size and the
//! time since the frame before it. The same handshake, frames and reader as the load generator's.

use std::collections::VecDeque;
use std::io::BufRead as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, WriteHalf};
use tokio::sync::mpsc;

use crate::base::{Instant, Rng, Seed, Span, redact_url};
use crate::drive::clock::Clock;
use crate::drive::dial::{Dialled, dial};
use crate::drive::stream::Stream;
use crate::drive::target::{Target, TargetError, Trust};
use crate::report::escape;
use crate::wire::close;
use crate::wire::frame::{Opcode, write_client};
use crate::wire::handshake::Request;
use crate::wire::reader::{Message, Reader};
use crate::wire::violation::{Violation, check_text};

use super::exit::{Exit, Stopped};
use super::secrets::Secrets;
use super::terminal::{Terminal, print, say};

/// `wsbench connect`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wsbench connect ws://127.0.0.1:3000                        type, read, Ctrl-D to close
  wsbench connect wss://chat.example.com/ws --header 'Authorization: Bearer abc' --subprotocol chat
  printf 'one\\ntwo\\n' | wsbench connect ws://127.0.0.1:3000 --wait 2s
  wsbench connect ws://127.0.0.1:3000 --ping=1s
  wsbench connect ws://127.0.0.1:3000 --close 4001 < /dev/null

Ends with 0 when the connection was closed by either side, 1 when the server broke the protocol, 2 for bad usage,
4 when it could not be reached or the connection was lost")]
pub struct ConnectArgs {
    /// Where to
    #[arg(value_name = "URL")]
    url: String,

    #[command(flatten)]
    connection: ConnectionArgs,

    /// Send a ping once open, and with =TIME again that often
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, help_heading = "Conversation")]
    ping: Option<Option<Span>>,

    /// Close with this code when the input has ended
    #[arg(long, value_name = "CODE", default_value_t = close::NORMAL, value_parser = close_code, help_heading = "Conversation")]
    close: u16,

    /// How long to wait for answers when the input has ended
    #[arg(long, value_name = "TIME", default_value = "1s", help_heading = "Conversation")]
    wait: Span,
}

/// How a connection is asked for.
#[derive(Debug, Args)]
pub(super) struct ConnectionArgs {
    /// A further header field of the handshake; may be repeated
    #[arg(long, short = 'H', value_name = "NAME: VALUE", value_parser = header, help_heading = "Connection")]
    pub(super) header: Vec<(String, String)>,

    /// Offer this subprotocol; may be repeated or comma-separated
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = subprotocol, help_heading = "Connection")]
    subprotocol: Vec<String>,

    /// Take any TLS certificate
    #[arg(long, help_heading = "Connection")]
    insecure: bool,

    /// Trust the certificates in this PEM file, besides the system's
    #[arg(long, value_name = "FILE", help_heading = "Connection")]
    ca: Option<PathBuf>,

    /// Give up when there is no open WebSocket by then
    #[arg(long, value_name = "TIME", default_value = "10s", help_heading = "Connection")]
    timeout: Span,
}

fn header(text: &str) -> Result<(String, String), String> {
    let wrong = || format!("`{}` is no header field: write 'Name: value'", escape(text));
    let (name, value) = text.split_once(':').ok_or_else(wrong)?;
    let (name, value) = (name.trim(), value.trim());
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(token) || value.chars().any(char::is_control) {
        return Err(wrong());
    }
    Ok((name.to_owned(), value.to_owned()))
}

fn subprotocol(text: &str) -> Result<String, String> {
    let name = text.trim();
    let token = |c: char| c.is_ascii_graphic() && !"()<>@,;:\\\"/[]?={}".contains(c);
    if name.is_empty() || !name.chars().all(token) {
        return Err(format!("`{}` is no subprotocol name (RFC 6455 4.1)", escape(text)));
    }
    Ok(name.to_owned())
}

fn close_code(text: &str) -> Result<u16, String> {
    let code = text.parse().ok().filter(|code| close::may_be_sent(*code));
    code.ok_or_else(|| format!("`{}` may not be sent: 1000–1003, 1007–1014 and 3000–4999 may (RFC 6455 7.4)", escape(text)))
}

/// Talks with the server until either side closes.
#[must_use]
pub fn run(args: &ConnectArgs, terminal: Terminal) -> Exit {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let talked = runtime.map_err(Stopped::environment).and_then(|runtime| runtime.block_on(talk(args, terminal)));
    talked.unwrap_or_else(|stopped| stopped.tell())
}

async fn talk(args: &ConnectArgs, terminal: Terminal) -> Result<Exit, Stopped> {
    let clock = Clock::start();
    let mut rng = Seed(clock.epoch_nanos() ^ u64::from(std::process::id())).rng();
    let dialled = open(&args.url, &args.connection, &mut rng).await?;
    let chosen = dialled.subprotocol.as_deref().map_or_else(String::new, |name| format!(", subprotocol {}", escape(name)));
    say(&format!("open after {}{chosen}", clock.now().since(Instant::from_nanos(0))));
    let talk = Talk {
        opened: clock.now(),
        last: clock.now(),
        clock,
        rng,
        out: Vec::new(),
        unflushed: false,
        unicode: terminal.style.unicode,
        pings: VecDeque::new(),
        pinged: 0,
        closing: false,
        closed: false,
    };
    converse(args, talk, dialled).await
}

/// Dials the addresses the name has, in turn.
pub(super) async fn open(url: &str, args: &ConnectionArgs, rng: &mut Rng) -> Result<Dialled, Stopped> {
    let trust = Trust { insecure: args.insecure, roots: args.ca.clone(), ..Trust::default() };
    let target = Target::resolve(url, &trust).await.map_err(|e| match e {
        TargetError::Url { reason, .. } => Stopped::usage(TargetError::Url { url: redact_url(url), reason }),
        _ => Stopped::environment(e),
    })?;
    let mut headers = args.header.clone();
    let named = |name: &str| args.header.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
    if let (Some(credentials), false) = (&target.credentials, named("authorization")) {
        use base64::Engine as _;
        headers.push(("Authorization".into(), format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(credentials))));
    }
    let host = headers.iter().position(|(name, _)| name.eq_ignore_ascii_case("host")).map(|at| headers.remove(at).1);
    let host = host.unwrap_or_else(|| target.host.clone());
    let request = Request { path: target.path.clone(), host, headers, subprotocols: args.subprotocol.clone(), deflate: false };
    let mut why = String::new();
    for address in &target.addresses {
        match dial(&target, address, None, &request, rng, args.timeout.to_std()).await {
            Ok(dialled) => return Ok(dialled),
            Err(failed) => why = failed.detail,
        }
    }
    // A server that refuses may quote the request.
    Secrets::given(url, request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()))).hide(&mut why);
    Err(Stopped::environment(format!("cannot open {}: {}", escape(&target.url), escape(&why))))
}

/// How long a server may take to answer a Close.
const CLOSE_WAIT: Duration = Duration::from_secs(5);
/// Largest message that is read.
const LARGEST: u32 = 64 << 20;
/// Input is read ahead of the network no further than this.
const AHEAD: usize = 1 << 20;

async fn converse(args: &ConnectArgs, mut talk: Talk, dialled: Dialled) -> Result<Exit, Stopped> {
    let (mut incoming, mut outgoing) = tokio::io::split(dialled.stream);
    let mut reader = Reader::new(LARGEST);
    let mut buffer = dialled.early;
    let mut lines = typed();
    let mut input = true;
    let mut limit = Box::pin(tokio::time::sleep(Duration::ZERO));
    let again = args.ping.flatten().map_or(Duration::MAX, |every| every.to_std().max(Duration::from_millis(1)));
    let mut next_ping = Box::pin(tokio::time::sleep(again));
    let lost = |e: std::io::Error| Stopped::environment(format!("the connection was lost: {e}"));
    if args.ping.is_some() {
        talk.ping();
    }
    loop {
        if let Err(violation) = reader.feed(&buffer, |message| talk.hear(message)) {
            talk.close(violation.code());
            let _ = tokio::time::timeout(CLOSE_WAIT, outgoing.write_all(&talk.out)).await;
            return Err(Stopped { exit: Exit::Fail, message: format!("the server broke the protocol: {violation}") });
        }
        buffer.clear();
        if talk.closed {
            let _ = tokio::time::timeout(CLOSE_WAIT, outgoing.write_all(&talk.out)).await;
            let _ = tokio::time::timeout(CLOSE_WAIT, outgoing.shutdown()).await;
            return Ok(Exit::Pass);
        }
        tokio::select! {
            read = incoming.read_buf(&mut buffer) => match read {
                Ok(0) if talk.closing => {
                    say("the server ended the connection without answering the Close (RFC 6455 7.1.1)");
                    return Ok(Exit::Pass);
                }
                Ok(0) => return Err(Stopped::environment("the server ended the connection without a Close frame (RFC 6455 7.1.5, code 1006)")),
                read => { read.map_err(lost)?; }
            },
            sent = send(&mut outgoing, &talk.out), if !talk.out.is_empty() || talk.unflushed => {
                let sent = sent.map_err(lost)?;
                talk.out.drain(..sent);
                talk.unflushed = sent > 0;
            }
            line = lines.recv(), if input && !talk.closing && talk.out.len() < AHEAD => match line {
                Some(line) => talk.say(&line),
                None => {
                    input = false;
                    limit = Box::pin(tokio::time::sleep(args.wait.to_std()));
                }
            },
            // What was typed is on its way before the waiting counts.
            () = &mut limit, if talk.closing || (!input && talk.out.is_empty()) => {
                if talk.closing {
                    say("the server did not answer the Close within 5 s");
                    return Ok(Exit::Pass);
                }
                talk.close(args.close);
                limit = Box::pin(tokio::time::sleep(CLOSE_WAIT));
            }
            () = &mut next_ping, if !talk.closing => {
                talk.ping();
                next_ping = Box::pin(tokio::time::sleep(again));
            }
            _ = tokio::signal::ctrl_c() => {
                if talk.closing {
                    return Ok(Exit::Pass);
                }
                talk.close(args.close);
                limit = Box::pin(tokio::time::sleep(CLOSE_WAIT));
            }
        }
    }
}

/// Writes some of `bytes`; flushes what TLS may hold when there are none. Nothing is lost when it is given up halfway.
async fn send(outgoing: &mut WriteHalf<Stream>, bytes: &[u8]) -> std::io::Result<usize> {
    if bytes.is_empty() { outgoing.flush().await.map(|()| 0) } else { outgoing.write(bytes).await }
}

/// The lines of standard input, without their ends. Read by a thread of its own, which a blocked terminal keeps until the process ends.
fn typed() -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(64);
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        loop {
            let mut line = Vec::new();
            if !input.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                return;
            }
            if line.ends_with(b"\n") {
                line.pop();
                if line.ends_with(b"\r") {
                    line.pop();
                }
            }
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// One conversation: what is on its way out, and when the last frame was.
struct Talk {
    clock: Clock,
    opened: Instant,
    last: Instant,
    rng: Rng,
    out: Vec<u8>,
    unflushed: bool,
    unicode: bool,
    /// Pings sent and not yet answered, oldest first.
    pings: VecDeque<(u64, Instant)>,
    pinged: u64,
    closing: bool,
    closed: bool,
}

/// Unanswered pings that are remembered.
const PINGS: usize = 64;

impl Talk {
    /// Sends a line: as text, or as binary when it is not UTF-8.
    fn say(&mut self, line: &[u8]) {
        self.send(if check_text(line).is_ok() { Opcode::Text } else { Opcode::Binary }, line);
    }

    fn ping(&mut self) {
        self.pinged += 1;
        self.pings.push_back((self.pinged, self.clock.now()));
        if self.pings.len() > PINGS {
            self.pings.pop_front();
        }
        self.send(Opcode::Ping, self.pinged.to_string().as_bytes());
    }

    fn close(&mut self, code: u16) {
        if !self.closing {
            self.closing = true;
            self.send(Opcode::Close, &code.to_be_bytes());
        }
    }

    fn send(&mut self, opcode: Opcode, payload: &[u8]) {
        #[expect(clippy::cast_possible_truncation, reason = "any 32 of the bits")]
        let mask = self.rng.next_u64() as u32;
        write_client(&mut self.out, opcode, payload, mask);
        let shown = match (opcode, payload) {
            (Opcode::Close, [high, low, ..]) => u16::from_be_bytes([*high, *low]).to_string(),
            (Opcode::Binary, bytes) => hex(bytes),
            (_, text) => escape(&String::from_utf8_lossy(text)).into_owned(),
        };
        self.show(true, name(opcode), payload.len(), &shown);
    }

    /// Shows what came and answers what wants an answer.
    fn hear(&mut self, message: Message<'_>) -> Result<(), Violation> {
        let text = |bytes: &[u8]| escape(&String::from_utf8_lossy(bytes)).into_owned();
        match message {
            Message::Text(bytes) => {
                self.show(false, "text", bytes.len(), &text(bytes));
                check_text(bytes)?;
            }
            Message::Binary(bytes) => self.show(false, "binary", bytes.len(), &hex(bytes)),
            // Never offered here, so that the reader refuses it.
            Message::Deflated { .. } => return Err(Violation::ReservedBit),
            Message::Ping(bytes) => {
                self.show(false, "ping", bytes.len(), &text(bytes));
                if !self.closing {
                    self.send(Opcode::Pong, bytes);
                }
            }
            Message::Pong(bytes) => {
                let answers = |(n, _): &(u64, Instant)| n.to_string().as_bytes() == bytes;
                let sent = self.pings.iter().position(answers).and_then(|at| self.pings.drain(..=at).next_back());
                let after = sent.map_or_else(String::new, |(_, at)| format!("  (answered after {})", self.clock.now().since(at)));
                self.show(false, "pong", bytes.len(), &(text(bytes) + &after));
            }
            Message::Close(code, reason) => {
                let shown = code.map_or_else(|| "no code".to_owned(), |code| code.to_string());
                let size = code.map_or(0, |_| 2) + reason.len();
                self.show(false, "close", size, format!("{shown} {}", text(reason)).trim_end());
                // The answer carries the same code (RFC 6455 5.5.1).
                match code {
                    Some(code) => self.close(code),
                    None => self.close(close::NORMAL),
                }
                self.closed = true;
            }
        }
        Ok(())
    }

    /// One line: time since open, time since the frame before, direction, opcode, size, content.
    fn show(&mut self, sent: bool, opcode: &str, size: usize, content: &str) {
        let now = self.clock.now();
        let (at, gap) = (now.since(self.opened).as_secs_f64(), now.since(self.last).as_secs_f64());
        self.last = now;
        let arrow = match (sent, self.unicode) {
            (true, true) => "→",
            (false, true) => "←",
            (true, false) => ">",
            (false, false) => "<",
        };
        print(format!("{at:10.3} s {gap:+9.3} s  {arrow} {opcode:6} {size:>7} B  {content}").trim_end());
        print("\n");
    }
}

const fn name(opcode: Opcode) -> &'static str {
    match opcode {
        Opcode::Continuation => "cont",
        Opcode::Text => "text",
        Opcode::Binary => "binary",
        Opcode::Close => "close",
        Opcode::Ping => "ping",
        Opcode::Pong => "pong",
    }
}

/// Bytes shown of a binary message.
const BYTES: usize = 256;

fn hex(bytes: &[u8]) -> String {
    let mut out: Vec<String> = bytes.iter().take(BYTES).map(|byte| format!("{byte:02x}")).collect();
    if bytes.len() > BYTES {
        out.push(format!("… {} bytes more", bytes.len() - BYTES));
    }
    out.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_fields_cannot_break_the_handshake() {
        assert_eq!(header("X-Token:  a: b "), Ok(("X-Token".into(), "a: b".into())));
        for wrong in ["X-Token", ": x", "X Y: z", "X: a\r\nEvil: b"] {
            assert!(header(wrong).is_err(), "{wrong}");
        }
        assert!(subprotocol("graphql-transport-ws").is_ok() && subprotocol("a b").is_err() && subprotocol("").is_err());
        assert!(close_code("4001").is_ok() && close_code("1005").is_err() && close_code("x").is_err());
    }

    #[test]
    fn bytes_are_hex_and_not_without_end() {
        assert_eq!(hex(&[0, 0x1b, 0xff]), "00 1b ff");
        assert!(hex(&[7; 300]).ends_with("07 … 44 bytes more"));
    }
}
