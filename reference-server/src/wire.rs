//! The stream the protocol engine sees: it reads the client's octets and writes into the client's outbox, so that the
//! engine's own frames (pongs, closes) and shared broadcast frames leave through one queue, in order.
//!
//! Must never know a message.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::peer::Peer;
use crate::shard::Shard;

/// A client's stream, as the engine uses it.
pub(crate) struct Wire {
    shard: Rc<Shard>,
    peer: Rc<Peer>,
}

impl Wire {
    /// The stream of `peer`.
    pub(crate) fn new(shard: Rc<Shard>, peer: Rc<Peer>) -> Self {
        Self { shard, peer }
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = ready!(self.peer.poll_read(cx, buffer.initialize_unfilled()))?;
        buffer.advance(read);
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
