//! From an octet stream to a client, or to an HTTP answer: TLS, the request head, the response.
//!
//! Must never know what is broadcast.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::{Poll, ready};

use bytes::{Bytes, BytesMut};
use tokio::net::TcpStream;

use crate::counters;
use crate::deflate::Inflater;
use crate::fault::{self, Argument, Kind};
use crate::handshake::{self, Answer, MAX_HEAD, Page, Refusal, Status, Upgrade};
use crate::inlet::{Inlet, Limits};
use crate::peer::Peer;
use crate::session::Session;
use crate::shard::Shard;
use crate::transport::Transport;

/// Octets read and forgotten behind a refused request, so that the answer is not lost to a reset.
const LINGER: usize = 16 << 20;

/// Serves one accepted socket to its end.
pub(crate) async fn serve_socket(shard: Rc<Shard>, socket: TcpStream) {
    // Without it the kernel would hold small frames back; a socket that cannot be told is served all the same.
    let _ = socket.set_nodelay(true);
    let deadline = shard.shared.clock.now() + shard.shared.config.handshake_timeout;
    let transport = match shard.shared.tls.clone() {
        None => Transport::Tcp(socket),
        Some(acceptor) => match within(&shard, deadline, Box::pin(acceptor.accept(socket))).await {
            Some(Ok(stream)) => Transport::Other(Box::pin(stream)),
            _ => return counters::count(&shard.shared.counters.refused),
        },
    };
    serve(&shard, transport, deadline).await;
}

/// Serves one stream of any kind to its end.
pub(crate) async fn serve_stream(shard: Rc<Shard>, transport: Transport) {
    let deadline = shard.shared.clock.now() + shard.shared.config.handshake_timeout;
    serve(&shard, transport, deadline).await;
}

async fn serve(shard: &Rc<Shard>, mut transport: Transport, deadline: std::time::Duration) {
    let head = within(shard, deadline, Box::pin(read_head(shard, &mut transport))).await;
    let (answer, read_ahead) = match head {
        Some(Ok(Some((head, rest)))) => (handshake::answer(&head, &shard.shared.config), rest),
        Some(Ok(None)) => (refusal(Status::HeadTooLarge, "The request head is too large."), Bytes::new()),
        Some(Err(Broken::Malformed)) => (refusal(Status::BadRequest, "The request is malformed."), Bytes::new()),
        Some(Err(Broken::Gone)) => return counters::count(&shard.shared.counters.refused),
        None => (refusal(Status::Timeout, "The request took too long."), Bytes::new()),
    };
    match answer {
        Answer::Upgrade(upgrade) => open(shard, transport, &upgrade, read_ahead).await,
        Answer::Page(page) => {
            counters::count(&shard.shared.counters.http);
            let response = match page {
                Page::Health => handshake::page("text/plain; charset=utf-8", "ok\n"),
                Page::Metrics => handshake::page("text/plain; version=0.0.4; charset=utf-8", &shard.shared.counters.read().prometheus()),
            };
            reply(shard, transport, &response).await;
        }
        Answer::Refuse(refusal) => refuse(shard, transport, &refusal).await,
    }
}

async fn open(shard: &Rc<Shard>, transport: Transport, upgrade: &Upgrade, read_ahead: Bytes) {
    let full = Refusal::new(Status::Full, "The server has as many clients as it may have.");
    let faulty = !shard.shared.faults.is_empty();
    if faulty && let Some(response) = trouble_request(shard).await {
        counters::count(&shard.shared.counters.refused);
        return reply(shard, transport, &response).await;
    }
    let Some(index) = shard.shared.admit() else { return refuse(shard, transport, &full).await };
    let _presence = shard.enter();
    let room = shard.shared.config.rooms.then(|| upgrade.path.as_str().into());
    let mut peer = Peer::new(index, transport, shard.shared.config.outbox, room, upgrade.deflate.as_ref().map(|agreed| agreed.server_bits));
    if faulty {
        peer.queue(fault::tampered_response(shard, index, upgrade).into());
        peer = fault::with_lane(shard, peer);
    } else {
        peer.queue(upgrade.response().into());
    }
    let config = &shard.shared.config;
    let limits = Limits { frame: config.max_frame as u64, message: config.max_message as u64 };
    let inflater = upgrade.deflate.as_ref().map(|agreed| Inflater::new(agreed.client_stands_alone));
    let inlet = Inlet::new(limits, inflater);
    let mut session = Session::open(Rc::clone(shard), Rc::new(peer), inlet, read_ahead).await;
    poll_fn(|cx| session.poll(cx)).await;
}

/// Holds a request up, or answers it with a refusal, as a faulty server is asked to.
async fn trouble_request(shard: &Shard) -> Option<Vec<u8>> {
    let request = shard.shared.requests.fetch_add(1, Ordering::Relaxed);
    if let Some(Argument::Span(span, _)) = shard.commit(Kind::SlowHandshake, request, 0) {
        shard.shared.clock.until(shard.shared.clock.now() + span).await;
    }
    match shard.commit(Kind::Refuse, request, 0) {
        Some(Argument::Count(status)) => {
            Some(format!("HTTP/1.1 {status} Refused\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").into_bytes())
        }
        _ => None,
    }
}

fn refusal(status: Status, why: &'static str) -> Answer {
    Answer::Refuse(Refusal::new(status, why))
}

async fn refuse(shard: &Rc<Shard>, transport: Transport, refusal: &Refusal) {
    counters::count(&shard.shared.counters.refused);
    reply(shard, transport, &refusal.response()).await;
}

/// Writes a final response, then waits for the peer to hang up, for a bounded time and a bounded number of octets.
async fn reply(shard: &Rc<Shard>, mut transport: Transport, response: &[u8]) {
    let deadline = shard.shared.clock.now() + shard.shared.config.close_timeout;
    let parting = async {
        let mut rest = response;
        poll_fn(|cx| {
            while !rest.is_empty() {
                let written = ready!(transport.poll_write(cx, &[IoSlice::new(rest)]))?;
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                rest = &rest[written..];
            }
            ready!(transport.poll_flush(cx))?;
            transport.poll_shutdown(cx)
        })
        .await?;
        let mut left = LINGER;
        while left > 0 {
            let read = poll_fn(|cx| transport.poll_read(cx, &mut shard.scratch.borrow_mut())).await?;
            left = if read == 0 { 0 } else { left.saturating_sub(read) };
        }
        Ok::<(), io::Error>(())
    };
    // The peer may be gone already; then there is nobody to tell.
    let _ = within(shard, deadline, Box::pin(parting)).await;
}

/// Why no head could be read.
enum Broken {
    /// What came is no request line.
    Malformed,
    /// The stream ended or failed.
    Gone,
}

/// Reads up to the end of a request head: the head and what came behind it, or `None` when it is too large.
async fn read_head(shard: &Shard, transport: &mut Transport) -> Result<Option<(Bytes, Bytes)>, Broken> {
    let mut head = BytesMut::new();
    let mut line_checked = false;
    loop {
        let searched = head.len();
        let read = poll_fn(|cx| {
            let mut scratch = shard.scratch.borrow_mut();
            let read = ready!(transport.poll_read(cx, &mut scratch));
            if let Ok(read) = read {
                head.extend_from_slice(&scratch[..read]);
            }
            Poll::Ready(read)
        })
        .await;
        if !matches!(read, Ok(1..)) {
            return Err(Broken::Gone);
        }
        if let Some(end) = handshake::head_end(&head, searched) {
            if end > MAX_HEAD {
                return Ok(None);
            }
            let rest = head.split_off(end);
            return Ok(Some((head.freeze(), rest.freeze())));
        }
        if head.len() > MAX_HEAD {
            return Ok(None);
        }
        if !line_checked && head[searched..].contains(&b'\n') {
            line_checked = true;
            if !handshake::begins_well(&head) {
                return Err(Broken::Malformed);
            }
        }
    }
}

/// The future's result, unless the deadline comes first.
async fn within<F: Future + Unpin>(shard: &Shard, deadline: std::time::Duration, mut future: F) -> Option<F::Output> {
    let mut wait = shard.shared.clock.until(deadline);
    poll_fn(|cx| match std::pin::Pin::new(&mut future).poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => wait.as_mut().poll(cx).map(|()| None),
    })
    .await
}
