//! One open connection. Reads into its shard's one buffer, so an idle connection holds none; writes from its own outbox,
//! which is empty unless the server does not read.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use crate::base::{ConnId, Instant, Rng, Seq};
use crate::event::{ClosedBy, PingLevel};
use crate::scenario::model::{Body, Encoder, Greeting, Scenario};
use crate::scenario::template::Vars;
use crate::wire::close;
use crate::wire::frame::{self, Opcode};
use crate::wire::reader::Reader;

use super::deflating::Deflating;
use super::session::{PING_TAG, Session, State};
use super::shard::Shard;
use super::stream::Stream;
use super::talk::{Talk, Todo};

/// Bytes a server may leave unread before further publications on this connection are dropped (and counted), of its pings only the
/// newest is answered (RFC 6455 section 5.5.3), and a client that has more to answer gives up (and is reported as lost).
const OUTBOX_LIMIT: usize = 4 << 20;
/// Reads in a row of a connection that has more and more to read; then the others have their turn. (A read that fills the buffer
/// ends the turn; TLS gives a record at a time.)
const TURN: u32 = 4;
/// Bytes of publications that may wait for one another to go out in one write.
const TOGETHER: usize = 16 << 10;

/// One connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) io: Io,
    pub(super) reader: Reader,
    pub(super) session: Session,
    /// How much more it may read, where a disruption bounds it.
    pub(super) allowance: Option<usize>,
}

#[derive(Debug)]
pub(super) struct Io {
    pub(super) stream: Stream,
    pub(super) out: Vec<u8>,
    pub(super) written: usize,
    pub(super) waker: Waker,
    pub(super) failed: bool,
    /// The newest ping that came while the outbox was beyond its limit: to be answered when there is room again.
    pub(super) pong_due: Option<Box<[u8]>>,
}

impl Link {
    pub(super) fn new(
        conn: ConnId,
        group: u16,
        stream: Stream,
        limit: u32,
        mask: Rng,
        talk: Option<Box<Talk>>,
        deflating: Option<Deflating>,
    ) -> Self {
        Self {
            io: Io { stream, out: Vec::new(), written: 0, waker: Waker::noop().clone(), failed: false, pong_due: None },
            reader: if deflating.is_some() { Reader::with_deflate(limit) } else { Reader::new(limit) },
            session: Session {
                conn,
                state: State::Waiting,
                group,
                first: true,
                pings: [0; 2],
                pongs: 0,
                next_seq: Seq(0),
                mask,
                close_received: None,
                closed_by: ClosedBy::Us,
                talk,
                encoder: None,
                deflating: deflating.map(Box::new),
            },
            allowance: None,
        }
    }

    pub(super) fn state(&self) -> State {
        self.session.state
    }

    pub(super) fn stream(&self) -> &Stream {
        &self.io.stream
    }

    /// The number of the next publication on this connection.
    pub(super) fn next_seq(&mut self) -> Seq {
        let seq = self.session.next_seq;
        self.session.next_seq = Seq(seq.0.wrapping_add(1));
        seq
    }

    /// Takes over what outlives a client's connection.
    pub(super) fn go_on_from(&mut self, next: Option<Seq>) {
        self.session.next_seq = next.unwrap_or(Seq(0));
    }

    /// How this connection's publications are written; worked out at the first one.
    pub(super) fn encoder(&mut self, shard: &Shard) -> Option<&Encoder> {
        if self.session.encoder.is_none() {
            let body = shard.plan.scenario.dialect.publish.as_ref()?;
            let conn = self.session.conn;
            let vars = self.vars(shard, conn);
            self.session.encoder = body.bind(&vars).ok().map(Box::new);
        }
        self.session.encoder.as_deref()
    }

    /// Appends the message that carries the payload `content`.
    pub(super) fn encode(&mut self, shard: &Shard, conn: ConnId, content: &[u8], seq: Seq, out: &mut Vec<u8>) {
        let Some(encoder) = self.session.encoder.take() else { return };
        if let Some((before, after)) = encoder.around() {
            out.extend_from_slice(before);
            out.extend_from_slice(content);
            out.extend_from_slice(after);
        } else {
            let vars = Vars { payload: content, seq: u64::from(seq.0), ..self.vars(shard, conn) };
            encoder.encode(&vars, out);
        }
        self.session.encoder = Some(encoder);
    }

    /// The variables of this connection, with what it captured.
    pub(super) fn vars<'a>(&'a self, shard: &'a Shard, conn: ConnId) -> Vars<'a> {
        let vars = shard.vars(conn);
        match &self.session.talk {
            Some(talk) => Vars { captured: talk.captured(), ..vars },
            None => vars,
        }
    }

    /// Sends a whole message.
    pub(super) fn send(&mut self, bytes: &[u8], text: bool) {
        self.session.send(&mut self.io, bytes, text);
    }

    /// The handshake is done: the script begins, or the client is ready.
    pub(super) fn on_open(&mut self, shard: &Shard, at: Instant) {
        let conn = self.session.conn;
        if let Some(mut talk) = self.session.talk.take() {
            let todo = talk.on_open(&shard.plan.scenario, &shard.vars(conn));
            self.session.talk = Some(talk);
            self.session.carry_out(shard, &mut self.io, at, todo);
        } else if !matches!(shard.greeting(self.session.group), Greeting::Expected { .. }) {
            self.session.ready(shard, at);
        }
    }

    /// A timer of the script fired.
    pub(super) fn on_timer(&mut self, shard: &Shard, at: Instant, timer: u32) {
        self.converse(shard, at, |talk, scenario, vars| talk.on_timer(scenario, vars, timer));
    }

    /// A request of the script was answered, or not.
    pub(super) fn on_http(&mut self, shard: &Shard, at: Instant, answer: Result<(u16, Vec<u8>), String>) {
        self.converse(shard, at, |talk, scenario, vars| {
            talk.on_http(scenario, vars, answer.as_ref().map(|(status, body)| (*status, body.as_slice())).map_err(String::as_str))
        });
    }

    /// A timed message is due.
    pub(super) fn on_period(&mut self, shard: &Shard, at: Instant, reply: usize) {
        self.converse(shard, at, |talk, scenario, vars| talk.on_period(scenario, vars, reply));
    }

    fn converse(&mut self, shard: &Shard, at: Instant, step: impl FnOnce(&mut Talk, &Scenario, &Vars<'_>) -> Todo) {
        if !matches!(self.session.state, State::Waiting | State::Ready) {
            return;
        }
        let conn = self.session.conn;
        if let Some(talk) = &mut self.session.talk {
            let todo = step(talk, &shard.plan.scenario, &shard.vars(conn));
            self.session.carry_out(shard, &mut self.io, at, todo);
        }
    }

    /// Whether the outbox is beyond its limit.
    pub(super) fn is_blocked(&self) -> bool {
        self.io.is_blocked()
    }

    /// Appends a frame whose payload `write` makes, and sends what the socket takes.
    pub(super) fn send_with(&mut self, opcode: Opcode, len: usize, write: impl FnOnce(&mut Vec<u8>)) {
        self.queue_with(opcode, len, write);
        self.flush();
    }

    /// Sends what the socket takes of what was queued.
    pub(super) fn flush(&mut self) {
        self.io.flush();
    }

    /// Appends a frame whose payload `write` makes; [`Link::flush`] is to follow at once.
    pub(super) fn queue_with(&mut self, opcode: Opcode, len: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let mask = self.session.next_mask();
        if let Some(deflating) = self.session.deflating.as_ref().filter(|_| !opcode.is_control()) {
            let mut message = Vec::with_capacity(len);
            write(&mut message);
            deflating.write(&mut self.io.out, opcode, &message, mask);
        } else {
            let start = frame::begin_client(&mut self.io.out, opcode, len, mask);
            write(&mut self.io.out);
            debug_assert_eq!(self.io.out.len() - start, len, "the header announced another length");
            frame::apply_mask(&mut self.io.out[start..], mask);
        }
        if self.io.out.len() - self.io.written > TOGETHER {
            self.flush();
        }
    }

    /// Sends a ping of `level` and returns its number.
    pub(super) fn ping(&mut self, shard: &Shard, level: PingLevel, body: Option<&Body>) -> u32 {
        let nonce = self.session.pings[level as usize];
        self.session.pings[level as usize] = nonce.wrapping_add(1);
        match body {
            Some(body) => {
                let vars = Vars { count: u64::from(nonce) + 1, ..self.vars(shard, self.session.conn) };
                if let Ok(bytes) = body.render(&vars) {
                    self.send(&bytes, body.is_text());
                }
            }
            None => self.send_with(Opcode::Ping, 8, |out| {
                out.extend_from_slice(&PING_TAG);
                out.extend_from_slice(&nonce.to_be_bytes());
            }),
        }
        nonce
    }

    /// Begins the closing handshake (RFC 6455 section 7.1.2), unless it has begun.
    pub(super) fn close(&mut self, code: u16, by: ClosedBy) {
        self.session.close(&mut self.io, code, by);
    }

    /// The client's last words, then the closing handshake.
    pub(super) fn leave(&mut self, shard: &Shard, at: Instant) {
        self.converse(shard, at, Talk::on_close);
        self.close(close::NORMAL, ClosedBy::Us);
    }

    /// Ends the connection with a TCP reset (SO_LINGER 0), without a Close frame, as soon as nobody holds it any more.
    pub(super) fn reset(&mut self, shard: &Shard, at: Instant) {
        // Where the option cannot be set, the connection ends with a FIN, as abruptly for the server.
        let _ = socket2::SockRef::from(&self.io.stream.socket()).set_linger(Some(std::time::Duration::ZERO));
        self.session.cut_off();
        self.abandon(shard, at, "reset by us, as planned");
    }

    /// Gives the connection up without waiting for the server any longer.
    pub(super) fn abandon(&mut self, shard: &Shard, at: Instant, detail: &str) {
        self.session.end(shard, at, None, detail);
        self.io.waker.wake_by_ref();
    }

    /// Takes bytes that came. Returns false when the connection is of no further use.
    fn on_bytes(&mut self, shard: &Shard, at: Instant, bytes: &[u8]) -> bool {
        let Self { io, reader, session, .. } = self;
        if session.state == State::Deaf {
            return self.on_bytes_unheard(shard, at, bytes);
        }
        let result = reader.feed(bytes, |message| session.on_message(shard, io, at, message));
        match result {
            Ok(()) => {
                if session.close_received.is_some() && reader.behind_close() > 0 {
                    session.after_close(shard, at, &bytes[bytes.len() - reader.behind_close().min(bytes.len())..]);
                }
                true
            }
            Err(violation) => {
                if self.session.state == State::Waiting {
                    shard.gauge.not_ready();
                    self.session.never_ready(shard, at, ClosedBy::Violation, &violation.to_string());
                }
                self.close(violation.code(), ClosedBy::Violation);
                self.session.closed_by = ClosedBy::Violation;
                self.session.end(shard, at, None, &violation.to_string());
                false
            }
        }
    }

    fn on_end(&mut self, shard: &Shard, at: Instant, error: Option<&io::Error>) {
        let detail = error.map_or_else(|| "end of stream without a Close frame".to_owned(), ToString::to_string);
        self.session.end(shard, at, error, &detail);
    }
}

impl Io {
    /// Whether more waits for the server to read it than may.
    pub(super) fn is_blocked(&self) -> bool {
        self.out.len() - self.written > OUTBOX_LIMIT
    }

    /// Writes what the socket takes; the reading task is woken when it takes more.
    pub(super) fn flush(&mut self) {
        let waker = self.waker.clone();
        let mut cx = Context::from_waker(&waker);
        self.poll_flush(&mut cx);
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) {
        while self.written < self.out.len() && !self.failed {
            match Pin::new(&mut self.stream).poll_write(cx, &self.out[self.written..]) {
                Poll::Ready(Ok(0)) | Poll::Ready(Err(_)) => self.failed = true,
                Poll::Ready(Ok(n)) => self.written += n,
                Poll::Pending => {
                    // A server that always leaves something unread must not make us keep what it has read.
                    if self.written > OUTBOX_LIMIT {
                        self.out.drain(..self.written);
                        self.written = 0;
                    }
                    return;
                }
            }
        }
        if let Poll::Ready(Err(_)) = Pin::new(&mut self.stream).poll_flush(cx) {
            self.failed = true;
        }
        self.written = 0;
        if self.pong_due.is_some() {
            // Whoever sent something made room; the reading task answers.
            self.waker.wake_by_ref();
        }
        // Kept while small: a publisher writes again soon; an idle connection holds nothing.
        if self.out.capacity() > 4096 { self.out = Vec::new() } else { self.out.clear() }
    }
}

/// The reading of one link, as a task of its shard.
pub(super) struct Reading {
    pub(super) shard: Rc<Shard>,
    pub(super) link: Rc<RefCell<Link>>,
}

impl Future for Reading {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let shard = &*self.shard;
        if shard.slice.is_over() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let link = &mut *self.link.borrow_mut();
        if !link.io.waker.will_wake(cx.waker()) {
            link.io.waker.clone_from(cx.waker());
        }
        if link.io.written < link.io.out.len() {
            link.io.poll_flush(cx);
        }
        if link.io.pong_due.is_some() {
            link.session.answer_late(&mut link.io);
        }
        let mut buffer = shard.buffer.borrow_mut();
        for _ in 0..TURN {
            if link.session.state == State::Ended {
                return Poll::Ready(());
            }
            let room = link.allowance.map_or(buffer.len(), |allowance| allowance.min(buffer.len()));
            if room == 0 {
                // Whoever bounded it wakes it when it may read more.
                return Poll::Pending;
            }
            let mut read = ReadBuf::new(&mut buffer[..room]);
            match Pin::new(&mut link.io.stream).poll_read(cx, &mut read) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) if !read.filled().is_empty() => {
                    let at = shard.clock.now();
                    shard.slice.reading(at);
                    if let Some(allowance) = &mut link.allowance {
                        *allowance -= read.filled().len();
                    }
                    if !link.on_bytes(shard, at, read.filled()) {
                        return Poll::Ready(());
                    }
                    if read.remaining() == 0 {
                        break;
                    }
                }
                Poll::Ready(result) => {
                    link.on_end(shard, shard.clock.now(), result.as_ref().err());
                    return Poll::Ready(());
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Hands a link the bytes that came behind its handshake.
pub(super) fn early(link: &RefCell<Link>, shard: &Shard, at: Instant, bytes: &[u8]) {
    if !bytes.is_empty() {
        link.borrow_mut().on_bytes(shard, at, bytes);
    }
}
