//! One octet stream under a client: a TCP socket that can be written at once, or anything else that can be polled.
//!
//! Must never know WebSocket.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Anything that can carry a connection: TLS, an in-memory pipe.
pub trait Stream: AsyncRead + AsyncWrite {}

impl<T: AsyncRead + AsyncWrite> Stream for T {}

/// Bytes the kernel keeps where it is to keep little (Linux doubles it).
const LITTLE: usize = 64 << 10;

/// The stream of one client.
pub(crate) enum Transport {
    /// A plain socket.
    Tcp(TcpStream),
    /// Anything else.
    Other(Pin<Box<dyn Stream>>),
}

impl Transport {
    /// Reads into `buffer`; 0 is the end of the stream.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(self.as_stream().poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Writes what it can of `slices`, and has the task woken when it cannot.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match slices {
            [one] => self.as_stream().poll_write(cx, one),
            _ => self.as_stream().poll_write_vectored(cx, slices),
        }
    }

    /// Flushes what a TLS session holds back.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.as_stream().poll_flush(cx)
    }

    /// Says that nothing more will be written.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.as_stream().poll_shutdown(cx)
    }

    /// Writes at once what the socket takes now, without a task to wake: [`io::ErrorKind::WouldBlock`] where it takes
    /// nothing or cannot be written this way.
    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.try_write(bytes),
            Self::Other(_) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Has the connection reset, rather than closed, when it is dropped.
    pub(crate) fn forget_unsent(&self) {
        if let Self::Tcp(socket) = self {
            // A socket that is gone already needs no reset.
            let _ = socket2::SockRef::from(socket).set_linger(Some(std::time::Duration::ZERO));
        }
    }

    /// Has the kernel keep little of what is written, so that a slow reader is felt soon.
    pub(crate) fn keep_little(&self) {
        if let Self::Tcp(socket) = self {
            // Where it cannot be set, it is felt later.
            let _ = socket2::SockRef::from(socket).set_send_buffer_size(LITTLE);
        }
    }

    fn as_stream(&mut self) -> Pin<&mut dyn Stream> {
        match self {
            Self::Tcp(socket) => Pin::<&mut TcpStream>::new(socket),
            Self::Other(stream) => stream.as_mut(),
        }
    }
}
