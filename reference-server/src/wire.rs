//! The stream the protocol engine sees: it reads the client's octets once they have passed the inlet, and writes into
//! the client's outbox, so that the engine's own frames (pongs, closes) and shared broadcast frames leave through one
//! queue, in order.
//!
//! Must never know a message.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::inlet::{Inlet, Violation};
use crate::peer::Peer;
use crate::shard::Shard;

/// A client's stream, as the engine uses it. An idle client holds no buffer here.
pub(crate) struct Wire {
    shard: Rc<Shard>,
    peer: Rc<Peer>,
    inlet: Inlet,
    /// Octets read that the inlet has not taken yet.
    raw: Bytes,
    /// Octets for the engine.
    out: BytesMut,
    /// What the client did wrong behind those.
    broken: Option<Violation>,
}

impl Wire {
    /// The stream of `peer`, of which `read_ahead` has been read already.
    pub(crate) fn new(shard: Rc<Shard>, peer: Rc<Peer>, inlet: Inlet, read_ahead: Bytes) -> Self {
        Self { shard, peer, inlet, raw: read_ahead, out: BytesMut::new(), broken: None }
    }

    /// Reads and feeds the inlet; false at the end of the stream.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if !self.raw.is_empty() {
            let fed = self.inlet.feed(&self.raw, &mut self.out);
            self.raw.advance(fed.unwrap_or(0));
            self.broken = fed.err();
            return Poll::Ready(Ok(true));
        }
        let mut scratch = self.shard.scratch.borrow_mut();
        let read = ready!(self.peer.poll_read(cx, &mut scratch))?;
        let fed = self.inlet.feed(&scratch[..read], &mut self.out);
        if let Ok(taken) = fed
            && taken < read
        {
            self.raw = Bytes::copy_from_slice(&scratch[taken..read]);
        }
        self.broken = fed.err();
        Poll::Ready(Ok(read > 0))
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.out.is_empty() {
            if let Some(violation) = self.broken {
                return Poll::Ready(Err(io::Error::other(violation)));
            }
            if !ready!(self.poll_fill(cx))? {
                return Poll::Ready(Ok(()));
            }
        }
        let n = buffer.remaining().min(self.out.len());
        buffer.put_slice(&self.out[..n]);
        self.out.advance(n);
        if self.out.is_empty() {
            self.out = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.peer.lane.is_some() {
            // The engine writes whole frames: its write buffer is 0.
            self.shard.engine_says(&self.peer, bytes);
        } else {
            self.peer.queue(Bytes::copy_from_slice(bytes));
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
