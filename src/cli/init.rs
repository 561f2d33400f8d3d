//! `wsbench init`: two clients look at a server, one publishes a single stamp, the other watches; out comes a scenario that runs.

mod guess;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::base::{PublisherId, Rng, RunId, Seed, Seq, Span};
use crate::drive::clock::Clock;
use crate::drive::stream::Stream;
use crate::scenario;
use crate::wire::close;
use crate::wire::frame::{Opcode, write_client};
use crate::wire::payload;
use crate::wire::reader::{Message, Reader};
use crate::wire::stamp::Stamp;

use super::connect::{ConnectionArgs, open};
use super::exit::{Exit, Stopped};
use super::output::Target;
use super::terminal::{print, say};
use guess::{Heard, Kind, Seen};

/// `wsbench init`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wsbench init ws://127.0.0.1:3000                       look, guess, print the scenario
  wsbench init ws://127.0.0.1:3000 -o chat.toml && wsbench run chat.toml
  wsbench init ws://127.0.0.1:3000 --watch 12s           long enough to see a heartbeat every five seconds")]
pub struct InitArgs {
    /// The server; one text message is published to it, and the scenario has the URL whole, with any token in it
    #[arg(value_name = "URL")]
    url: String,

    /// Write the scenario here instead of printing it
    #[arg(long, short, value_name = "FILE", help_heading = "Output")]
    output: Option<PathBuf>,

    /// Replace a file that is already there
    #[arg(long, help_heading = "Output")]
    force: bool,

    /// How long to listen before anything is published
    #[arg(long, value_name = "TIME", default_value = "3s")]
    watch: Span,

    /// How long to wait for copies of what was published
    #[arg(long, value_name = "TIME", default_value = "2s")]
    within: Span,

    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Looks and writes.
#[must_use]
pub fn run(args: &InitArgs) -> Exit {
    match attempt(args) {
        Ok(()) => Exit::Pass,
        Err(stopped) => stopped.tell(),
    }
}

fn attempt(args: &InitArgs) -> Result<(), Stopped> {
    let file = args.output.as_deref().map(|place| Target::open(place, args.force)).transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Stopped::environment)?;
    let seen = runtime.block_on(look(args))?;
    let text = guess::scenario(&seen);
    // What is handed out must run: the same reader that will read it is asked first.
    scenario::parse(&text, "the scenario").map_err(|e| Stopped::environment(format!("what was seen cannot be written down:\n{e}")))?;
    match file {
        Some(file) => {
            guess::told(&seen).iter().for_each(|line| say(line));
            file.write(text.as_bytes())
        }
        None => {
            print(&text);
            Ok(())
        }
    }
}

async fn look(args: &InitArgs) -> Result<Seen, Stopped> {
    let clock = Clock::start();
    let seed = Seed(clock.epoch_nanos() ^ u64::from(std::process::id()));
    let mut rng = seed.rng();
    let mut speaker = Client::open(args, &mut rng, clock).await?;
    let mut listener = Client::open(args, &mut rng, clock).await?;
    let watch = args.watch.to_std();
    tokio::join!(speaker.listen(watch), listener.listen(watch));
    let before = (std::mem::take(&mut speaker.heard), std::mem::take(&mut listener.heard));
    let now = clock.now();
    let stamp = Stamp {
        run: RunId(rng.below(u64::from(u32::MAX)) as u32),
        publisher: PublisherId(0),
        seq: Seq(0),
        planned: now,
        sent: now,
        padding: 0,
    };
    let mut published = Vec::new();
    payload::write(&mut published, &stamp, true);
    speaker.send(Opcode::Text, &published).await;
    let within = args.within.to_std();
    tokio::join!(speaker.listen(within), listener.listen(within));
    for client in [&mut speaker, &mut listener] {
        client.send(Opcode::Close, &close::NORMAL.to_be_bytes()).await;
    }
    Ok(Seen {
        url: args.url.clone(),
        headers: args.connection.header.clone(),
        subprotocol: listener.subprotocol,
        watched: args.watch,
        before: [before.0, before.1],
        after: [speaker.heard, listener.heard],
        published: String::from_utf8_lossy(&published).into_owned(),
    })
}

/// Largest message that is read.
const LARGEST: u32 = 4 << 20;

/// One connection and what it has heard.
struct Client {
    stream: Stream,
    early: Vec<u8>,
    reader: Reader,
    clock: Clock,
    rng: Rng,
    subprotocol: Option<String>,
    heard: Vec<Heard>,
    ended: bool,
}

impl Client {
    async fn open(args: &InitArgs, rng: &mut Rng, clock: Clock) -> Result<Self, Stopped> {
        let dialled = open(&args.url, &args.connection, rng).await?;
        Ok(Self {
            stream: dialled.stream,
            early: dialled.early,
            reader: Reader::new(LARGEST),
            clock,
            rng: rng.clone(),
            subprotocol: dialled.subprotocol,
            heard: Vec::new(),
            ended: false,
        })
    }

    /// Listens that long, or until the connection ends; answers pings.
    async fn listen(&mut self, long: Duration) {
        let mut enough = Box::pin(tokio::time::sleep(long));
        let mut buffer = std::mem::take(&mut self.early);
        while !self.ended {
            let mut pings = Vec::new();
            let (at, heard) = (self.clock.now(), &mut self.heard);
            let read = self.reader.feed(&buffer, |message| {
                let (kind, bytes) = match message {
                    Message::Text(bytes) => (Kind::Text, bytes),
                    Message::Binary(bytes) => (Kind::Binary, bytes),
                    Message::Ping(bytes) => {
                        pings.push(bytes.to_vec());
                        (Kind::Ping, bytes)
                    }
                    Message::Pong(_) | Message::Deflated { .. } => return Ok(()),
                    Message::Close(_, reason) => (Kind::Close, reason),
                };
                heard.push(Heard { at, kind, text: String::from_utf8_lossy(bytes).into_owned() });
                Ok(())
            });
            self.ended = read.is_err();
            buffer.clear();
            for ping in pings {
                self.send(Opcode::Pong, &ping).await;
            }
            tokio::select! {
                read = self.stream.read_buf(&mut buffer) => self.ended |= !matches!(read, Ok(1..)),
                () = &mut enough => return,
            }
        }
    }

    /// Sends one frame; a connection that does not take it has ended.
    async fn send(&mut self, opcode: Opcode, payload: &[u8]) {
        let mut frame = Vec::new();
        #[expect(clippy::cast_possible_truncation, reason = "any 32 of the bits")]
        write_client(&mut frame, opcode, payload, self.rng.next_u64() as u32);
        self.ended |= self.stream.write_all(&frame).await.is_err() || self.stream.flush().await.is_err();
    }
}
