//! A connection as a case uses it: octets queued and written piece by piece, frames read, both recorded, time-limited.
//!
//! One `step` reads or writes whatever can move; nothing here decides what a move means.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::assemble::{Assembler, Fault, Incoming};
use super::deflate::{Agreement, Deflater, Inflater};
use super::frame::{Frame, Role};
use super::http::{Request, Response};
use super::reader::FrameReader;
use super::record::{Record, Speaker};
use super::stream::Stream;
use crate::base::Rng;

/// How queued octets leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Delivery {
    /// Together with what is queued before and after.
    #[default]
    Burst,
    /// In a write of their own.
    Alone,
    /// In writes of this many octets.
    Chop(usize),
}

/// What a step brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moved {
    /// Octets arrived.
    Read,
    /// Octets left.
    Wrote,
    /// The other side closed or reset; nothing more will arrive.
    Ended(String),
    /// The time came first.
    Time,
}

/// What a wait for the other side brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// It said something.
    Said(Incoming),
    /// It closed or reset the connection.
    Ended(String),
    /// Nothing, in time.
    Silence,
}

/// What an application says besides the messages of a case: answered and passed over here, and payloads taken out of the
/// envelope they travel in.
pub trait Manner {
    /// A message came: what of it concerns the case, and what is to be answered.
    fn take(&mut self, payload: Vec<u8>) -> Taken;
    /// What must stand before and after a payload (binary or text) that is to come back.
    ///
    /// # Errors
    /// Why this payload cannot travel so.
    fn envelope(&mut self, binary: bool, payload: &[u8]) -> Result<(Vec<u8>, Vec<u8>), String>;
    /// A payload another connection has sent is to be known when it comes.
    fn look_for(&mut self, payload: &[u8]);
}

/// What a message was.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// The payloads in it that concern the case.
    pub said: Vec<Vec<u8>>,
    /// Messages to send: content, and whether it is text.
    pub answers: Vec<(Vec<u8>, bool)>,
}

impl Taken {
    /// The message itself.
    #[must_use]
    pub fn as_is(payload: Vec<u8>) -> Self {
        Self { said: vec![payload], answers: Vec::new() }
    }
}

/// A live connection.
pub struct Link {
    stream: Stream,
    /// The end we play.
    pub role: Role,
    /// Received and not yet read as frames.
    pub inbox: BytesMut,
    outbox: VecDeque<Vec<u8>>,
    written: usize,
    sealed: bool,
    unflushed: bool,
    scratch: Box<[u8]>,
    reader: FrameReader,
    /// Messages out of frames.
    pub assembler: Assembler,
    /// The dialogue.
    pub record: Record,
    /// Keys and noise.
    pub rng: Rng,
    /// Set to leave what arrives in the kernel.
    pub deaf: bool,
    /// What permessage-deflate agreed to, if negotiated.
    pub deflate: Option<Agreement>,
    ended: Option<String>,
    lost: bool,
    refused: bool,
    /// How the application's own messages are dealt with; none before a set-up is done.
    pub manner: Option<Box<dyn Manner>>,
    said: VecDeque<Incoming>,
    /// What the manner wants to answer and may not yet.
    answers: Vec<(Vec<u8>, bool)>,
    /// Whether a message of ours, or a frame, is under way: nothing of the application may come between.
    pub midway: bool,
    closed: bool,
}

impl Link {
    /// A link over a connected stream.
    #[must_use]
    pub fn new(stream: Stream, role: Role, rng: Rng, record: Record) -> Self {
        Self {
            stream,
            role,
            inbox: BytesMut::new(),
            outbox: VecDeque::new(),
            written: 0,
            sealed: true,
            unflushed: false,
            scratch: vec![0; 65_536].into_boxed_slice(),
            reader: FrameReader::new(role, false),
            assembler: Assembler::default(),
            record,
            rng,
            deaf: false,
            deflate: None,
            ended: None,
            lost: false,
            refused: false,
            manner: None,
            said: VecDeque::new(),
            answers: Vec::new(),
            midway: false,
            closed: false,
        }
    }

    /// The stream, for socket options.
    #[must_use]
    pub const fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Whether everything queued has left.
    #[must_use]
    pub fn flushed(&self) -> bool {
        self.outbox.is_empty() && !self.unflushed
    }

    /// How the connection ended, once it has.
    #[must_use]
    pub fn ended(&self) -> Option<&str> {
        self.ended.as_deref()
    }

    /// Whether a write has failed: the other side's socket is gone, though what it said before may still be readable.
    #[must_use]
    pub const fn refused(&self) -> bool {
        self.refused
    }

    /// Queues octets as they are, unrecorded.
    pub fn queue(&mut self, octets: &[u8], delivery: Delivery) {
        match delivery {
            Delivery::Burst => {
                let open = !self.sealed && (self.outbox.len() > 1 || self.written == 0);
                match self.outbox.back_mut().filter(|_| open) {
                    Some(last) => last.extend_from_slice(octets),
                    None => self.outbox.push_back(octets.to_vec()),
                }
                self.sealed = false;
            }
            Delivery::Alone => {
                self.outbox.push_back(octets.to_vec());
                self.sealed = true;
            }
            Delivery::Chop(size) => {
                self.outbox.extend(octets.chunks(size.max(1)).map(<[u8]>::to_vec));
                self.sealed = true;
            }
        }
    }

    /// Queues and records octets that are no frame.
    pub fn raw(&mut self, what: &str, octets: &[u8], delivery: Delivery) {
        self.record.octets(Speaker::Us, what, octets);
        self.queue(octets, delivery);
    }

    /// Queues and records a frame.
    pub fn frame(&mut self, frame: &Frame<'_>, delivery: Delivery) {
        let mut octets = Vec::with_capacity(frame.payload.len() + 14);
        frame.write(self.role, &mut self.rng, &mut octets);
        if !self.record.full() {
            self.record.frame(Speaker::Us, frame.first, frame.payload, &octets);
        }
        self.queue(&octets, delivery);
        match frame.first & 0x0f {
            0..=2 => self.midway = frame.first & 0x80 == 0,
            8 => self.closed = true,
            _ => {}
        }
        self.answer();
    }

    /// Says what the application is owed, unless that would stand inside a message or behind our Close.
    fn answer(&mut self) {
        if self.closed || self.midway {
            return;
        }
        for (octets, text) in std::mem::take(&mut self.answers) {
            self.say(if text { 0x81 } else { 0x82 }, &octets);
        }
    }

    /// Queues a well-formed frame.
    pub fn say(&mut self, first: u8, payload: &[u8]) {
        self.frame(&Frame::new(first, payload), Delivery::Burst);
    }

    /// Agrees to permessage-deflate: RSV1 gets its meaning and messages are inflated with the other side's parameters.
    pub fn agree(&mut self, agreement: Agreement) {
        self.reader.deflate = true;
        let (bits, fresh) = match self.role {
            Role::Client => (agreement.server_window(), agreement.server_no_context_takeover),
            Role::Server => (agreement.client_window(), agreement.client_no_context_takeover),
        };
        self.assembler.inflater = Some(Inflater::new(bits, fresh));
        self.deflate = Some(agreement);
    }

    /// A compressor with our side's parameters.
    #[must_use]
    pub fn deflater(&self) -> Deflater {
        match (self.role, self.deflate) {
            (_, None) => Deflater::new(15, true),
            (Role::Client, Some(a)) => Deflater::new(a.client_window(), a.client_no_context_takeover),
            (Role::Server, Some(a)) => Deflater::new(a.server_window(), a.server_no_context_takeover),
        }
    }

    /// Reads or writes what can move, until `until`.
    pub async fn step(&mut self, until: Option<Instant>) -> Moved {
        if let Some(how) = &self.ended
            && self.outbox.is_empty()
        {
            return Moved::Ended(how.clone());
        }
        let Some(until) = until else { return self.moved().await };
        tokio::time::timeout_at(until, self.moved()).await.unwrap_or(Moved::Time)
    }

    async fn moved(&mut self) -> Moved {
        let outcome = poll_fn(|cx| {
            if !self.deaf && self.ended.is_none() {
                let mut buf = ReadBuf::new(&mut self.scratch);
                match Pin::new(&mut self.stream).poll_read(cx, &mut buf) {
                    Poll::Ready(Ok(())) if buf.filled().is_empty() => return Poll::Ready(Err("the other side closed TCP".to_owned())),
                    Poll::Ready(Ok(())) => {
                        self.inbox.extend_from_slice(buf.filled());
                        return Poll::Ready(Ok(Moved::Read));
                    }
                    Poll::Ready(Err(e)) => return Poll::Ready(Err(ending(&e))),
                    Poll::Pending => {}
                }
            }
            if let Some(front) = self.outbox.front() {
                match Pin::new(&mut self.stream).poll_write(cx, &front[self.written..]) {
                    Poll::Ready(Ok(n)) => {
                        self.written += n;
                        if self.written >= front.len() {
                            self.outbox.pop_front();
                            self.written = 0;
                        }
                        self.unflushed = true;
                        return Poll::Ready(Ok(Moved::Wrote));
                    }
                    Poll::Ready(Err(e)) => {
                        self.outbox.clear();
                        self.written = 0;
                        self.unflushed = false;
                        self.refused = true;
                        // What the other side said before it reset may still be readable; only reading ends the link.
                        return if self.ended.is_some() { Poll::Ready(Err(ending(&e))) } else { Poll::Ready(Ok(Moved::Wrote)) };
                    }
                    Poll::Pending => {}
                }
            } else if self.unflushed {
                match Pin::new(&mut self.stream).poll_flush(cx) {
                    Poll::Ready(_) => {
                        self.unflushed = false;
                        return Poll::Ready(Ok(Moved::Wrote));
                    }
                    Poll::Pending => {}
                }
            } else if self.ended.is_some() {
                return Poll::Ready(Err(String::new()));
            }
            Poll::Pending
        })
        .await;
        match outcome {
            Ok(moved) => moved,
            Err(how) => {
                if self.ended.is_none() {
                    self.record.note(how.clone());
                    self.ended = Some(how);
                }
                self.outbox.clear();
                Moved::Ended(self.ended.clone().unwrap_or_default())
            }
        }
    }

    /// Writes everything queued, whatever arrives meanwhile; false when the time or the connection ended first.
    pub async fn flush(&mut self, until: Instant) -> bool {
        while !self.flushed() {
            match self.step(Some(until)).await {
                Moved::Time | Moved::Ended(_) => return self.flushed() && self.ended.is_none(),
                Moved::Read | Moved::Wrote => {}
            }
        }
        self.ended.is_none()
    }

    /// The next thing already received, recorded.
    pub fn pop(&mut self) -> Option<Incoming> {
        loop {
            if let Some(said) = self.said.pop_front() {
                return Some(said);
            }
            match (self.pop_frame()?, &mut self.manner) {
                (Incoming::Message { binary, payload, compressed, frames }, Some(manner)) => {
                    let taken = manner.take(payload);
                    self.answers.extend(taken.answers);
                    self.answer();
                    let whole = |payload| Incoming::Message { binary, payload, compressed, frames };
                    self.said.extend(taken.said.into_iter().map(whole));
                }
                (incoming, _) => return Some(incoming),
            }
        }
    }

    fn pop_frame(&mut self) -> Option<Incoming> {
        while !self.lost {
            match self.reader.next(&mut self.inbox) {
                Ok(None) => return None,
                Ok(Some(frame)) => {
                    if !self.record.full() {
                        let mut wire = Vec::with_capacity(48);
                        super::frame::write_header(
                            frame.first,
                            frame.payload.len() as u64,
                            super::frame::LengthForm::Minimal,
                            None,
                            &mut wire,
                        );
                        wire.extend_from_slice(&frame.payload[..frame.payload.len().min(40)]);
                        self.record.frame(Speaker::Them, frame.first, &frame.payload, &wire);
                    }
                    if let Some(incoming) = self.assembler.take(frame) {
                        return Some(incoming);
                    }
                }
                Err(lost) => {
                    self.lost = true;
                    self.inbox.clear();
                    return Some(Incoming::Broken(Fault::protocol(lost.to_string())));
                }
            }
        }
        self.inbox.clear();
        None
    }

    /// Waits for the other side to say something; pings are answered and passed over.
    pub async fn hear(&mut self, until: Instant) -> Heard {
        loop {
            match self.pop() {
                Some(Incoming::Ping(payload)) => self.say(0x8a, &payload),
                Some(said) => return Heard::Said(said),
                None => match self.step(Some(until)).await {
                    Moved::Ended(how) => return Heard::Ended(how),
                    Moved::Time => return Heard::Silence,
                    Moved::Read | Moved::Wrote => {}
                },
            }
        }
    }

    /// Reads the response to a request already queued.
    ///
    /// # Errors
    /// A sentence: no answer in time, connection ended, or not HTTP.
    pub async fn response(&mut self, until: Instant) -> Result<Response, String> {
        loop {
            if !self.inbox.is_empty()
                && let Some((response, used)) = Response::parse(&self.inbox)?
            {
                let head = self.inbox.split_to(used);
                self.record.octets(Speaker::Them, &response.line, &head);
                return Ok(response);
            }
            match self.step(Some(until)).await {
                Moved::Ended(how) => return Err(format!("no HTTP response: {how}")),
                Moved::Time => return Err("no HTTP response in time".to_owned()),
                Moved::Read | Moved::Wrote => {}
            }
        }
    }

    /// Sends a request and demands a correct 101; permessage-deflate is agreed to when the answer carries it.
    ///
    /// # Errors
    /// A sentence saying which rule of RFC 6455 4.1 or RFC 7692 7.1 the answer breaks.
    pub async fn shake(&mut self, request: &Request, within: Duration) -> Result<Response, String> {
        self.raw(&format!("{} {}", request.method, request.target), &request.octets(), Delivery::Alone);
        let response = self.response(Instant::now() + within).await?;
        response.check_upgrade(request)?;
        if let Some(agreement) = Agreement::from_response(response.field("Sec-WebSocket-Extensions")).map_err(|e| e.to_string())? {
            self.agree(agreement);
        }
        Ok(response)
    }

    /// Ends our writing side (FIN).
    pub async fn shut(&mut self) {
        self.record.note("we end our writing side (FIN)");
        let _ = poll_fn(|cx| Pin::new(&mut self.stream).poll_shutdown(cx)).await;
    }

    /// Closes with RST.
    pub fn reset(self) {
        let _ = self.stream.reset_on_close();
    }
}

fn ending(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionReset => "the other side reset TCP".to_owned(),
        io::ErrorKind::UnexpectedEof => "the other side closed TCP (no TLS close_notify)".to_owned(),
        _ => format!("the connection broke: {error}"),
    }
}

impl Link {
    /// Queues a message as frames of `by` octets; when the length is a multiple of it, an empty FIN=1 frame ends it (as
    /// Autobahn's writer does). `rsv` stands on the first frame only.
    pub fn fragments(&mut self, binary: bool, rsv: u8, payload: &[u8], by: Option<usize>) {
        let opcode = (rsv << 4) | if binary { 2 } else { 1 };
        let Some(by) = by.filter(|by| payload.len() > *by) else {
            self.frame(&Frame::new(0x80 | opcode, payload), Delivery::Burst);
            return;
        };
        let whole = payload.len() / by * by;
        for (i, piece) in payload[..whole].chunks(by).enumerate() {
            self.frame(&Frame::new(if i == 0 { opcode } else { 0 }, piece), Delivery::Burst);
        }
        self.frame(&Frame::new(0x80, &payload[whole..]), Delivery::Burst);
    }
}
