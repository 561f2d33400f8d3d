//! One client as its shard sees it: a stream, an outbox, and a way to call its task.
//!
//! Must never know what a message means or who else there is.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;

use crate::fault::Lane;
use crate::outbox::{GATHER, Outbox};
use crate::shard::Shard;
use crate::transport::Transport;

/// What a shard asks a client's task to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Close with 1013: its outbox is full.
    CloseSlow,
    /// Close with 1001: the server is going away.
    CloseStopping,
    /// Drop the socket: writing to it failed.
    Drop,
}

/// What became of bytes offered to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offered {
    /// Written or queued.
    Taken,
    /// There was no room.
    Full,
}

/// One client.
pub(crate) struct Peer {
    /// The order in which its handshake was completed, from 0.
    pub(crate) index: u64,
    /// Where it stands among its shard's open clients, while it is one.
    pub(crate) place: Cell<Option<usize>>,
    /// What it was last asked to do.
    pub(crate) order: Cell<Option<Order>>,
    /// The window its compressed copies are made with, in bits, if it takes such.
    pub(crate) deflate: Option<u8>,
    /// The room it is in, where there are rooms.
    pub(crate) room: Option<Arc<str>>,
    /// Its way out, where the server has faults.
    pub(crate) lane: Option<RefCell<Lane>>,
    /// Pings of either level answered, where the server has faults.
    pub(crate) pings_answered: Cell<u64>,
    transport: RefCell<Transport>,
    outbox: RefCell<Outbox>,
    dribbles: bool,
    limit: usize,
    unflushed: Cell<bool>,
    written: Cell<u64>,
    waker: RefCell<Option<Waker>>,
}

impl Peer {
    /// A client whose outbox is bounded by `limit` bytes.
    pub(crate) fn new(index: u64, transport: Transport, limit: usize, room: Option<Arc<str>>, deflate: Option<u8>) -> Self {
        Self {
            index,
            room,
            deflate,
            lane: None,
            pings_answered: Cell::new(0),
            dribbles: false,
            place: Cell::new(None),
            order: Cell::new(None),
            transport: RefCell::new(transport),
            outbox: RefCell::default(),
            limit,
            unflushed: Cell::new(false),
            written: Cell::new(0),
            waker: RefCell::new(None),
        }
    }

    /// Gives the client a lane: from here on it belongs to a faulty server.
    pub(crate) fn with_lane(mut self, lane: Lane, dribbles: bool) -> Self {
        self.lane = Some(RefCell::new(lane));
        self.dribbles = dribbles;
        self
    }

    /// From here on its socket is full soon.
    pub(crate) fn keep_little(&self) {
        self.transport.borrow().keep_little();
    }

    /// Sends something that is no copy: queued, or let into the lane where there is one.
    pub(crate) fn say(&self, shard: &Shard, bytes: Bytes) {
        match &self.lane {
            None => self.queue(bytes),
            Some(lane) => lane.borrow_mut().say(shard.surroundings(), bytes),
        }
    }

    /// Sends something that is no copy later, where there is a lane.
    pub(crate) fn say_at(&self, at: Duration, bytes: Bytes) {
        if let Some(lane) = &self.lane {
            lane.borrow_mut().say_at(at, bytes);
        }
    }

    /// Writes `bytes` if nothing waits before them, and resets the connection.
    pub(crate) fn reset(&self, bytes: &Bytes) {
        if self.outbox.borrow().is_empty() {
            // The connection is lost in any case.
            let _ = self.transport.borrow().try_write(bytes);
        }
        self.transport.borrow().forget_unsent();
        self.call(Order::Drop);
    }

    /// Writes `bytes` at once if nothing waits before them and the socket takes them; queues them otherwise.
    pub(crate) fn offer(&self, bytes: &Bytes, copies: u32) -> Offered {
        let mut outbox = self.outbox.borrow_mut();
        if outbox.is_empty() {
            let written = match self.transport.borrow().try_write(bytes) {
                Ok(written) if written == bytes.len() => return Offered::Taken,
                Ok(written) => written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                Err(_) => {
                    self.call(Order::Drop);
                    return Offered::Taken;
                }
            };
            if written > 0 {
                outbox.push_rest(bytes.slice(written..), copies);
            } else {
                outbox.push(bytes.clone(), copies);
            }
            self.wake();
            return Offered::Taken;
        }
        if !outbox.has_room(bytes.len(), self.limit) {
            return Offered::Full;
        }
        outbox.push(bytes.clone(), copies);
        Offered::Taken
    }

    /// Queues bytes that carry no copy (the handshake's answer, control frames) whatever the limit says.
    pub(crate) fn queue(&self, bytes: Bytes) {
        self.outbox.borrow_mut().push(bytes, 0);
    }

    /// Queues bytes where there is room, for the client's own task to write in this turn.
    pub(crate) fn queue_within(&self, bytes: Bytes, copies: u32) -> Offered {
        let mut outbox = self.outbox.borrow_mut();
        if !outbox.has_room(bytes.len(), self.limit) {
            return Offered::Full;
        }
        outbox.push(bytes, copies);
        Offered::Taken
    }

    /// Bytes waiting to be written.
    pub(crate) fn queued(&self) -> usize {
        self.outbox.borrow().queued()
    }

    /// Bytes its task has written so far: whether it changes tells a slow client from a dead one.
    pub(crate) fn written(&self) -> u64 {
        self.written.get()
    }

    /// Forgets what has not begun to leave; returns how many copies that was.
    pub(crate) fn drop_unsent(&self) -> u64 {
        self.outbox.borrow_mut().drop_unsent()
    }

    /// Asks the client's task for something; the first order stands.
    pub(crate) fn call(&self, order: Order) {
        if self.order.get().is_none() {
            self.order.set(Some(order));
        }
        self.wake();
    }

    /// Has the client's task polled.
    pub(crate) fn wake(&self) {
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }

    /// Remembers whom to wake.
    pub(crate) fn remember(&self, waker: &Waker) {
        let mut slot = self.waker.borrow_mut();
        match slot.as_mut() {
            Some(known) => known.clone_from(waker),
            None => *slot = Some(waker.clone()),
        }
    }

    /// Reads from the stream; 0 is its end.
    pub(crate) fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.transport.borrow_mut().poll_read(cx, buffer)
    }

    /// Writes until nothing waits, gathering what is queued into few writes.
    pub(crate) fn poll_drain(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut transport = self.transport.borrow_mut();
        let mut outbox = self.outbox.borrow_mut();
        while !outbox.is_empty() {
            let written = {
                let mut slices = [IoSlice::new(&[]); GATHER];
                let mut filled = outbox.gather(&mut slices);
                if self.dribbles {
                    slices[0] = IoSlice::new(outbox.first_octet());
                    filled = 1;
                }
                ready!(transport.poll_write(cx, &slices[..filled]))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            outbox.advance(written);
            self.written.set(self.written.get() + written as u64);
            self.unflushed.set(true);
        }
        if self.unflushed.get() {
            ready!(transport.poll_flush(cx))?;
            self.unflushed.set(false);
        }
        Poll::Ready(Ok(()))
    }

    /// Says that nothing more will be written.
    pub(crate) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.transport.borrow_mut().poll_shutdown(cx)
    }
}
