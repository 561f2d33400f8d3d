//! A shard: one thread's share of the clients, and the fan-out to them.
//!
//! Publications of all shards arrive in every shard's mailbox in one order, so all clients see the same total order.
//! What arrived since the last turn is glued and written straight to the sockets from here; a client's own task is
//! called only for what its socket did not take. Must never know how octets become messages.

use std::cell::{Cell, Ref, RefCell};
use std::collections::{HashMap, HashSet};
use std::net::TcpStream;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use bytes::Bytes;
use futures::task::AtomicWaker;
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::config::{Fanout, HEARTBEAT_TEXT, PONG_TEXT, ServerConfig, SlowConsumer, WRONG_PONG_TEXT};
use crate::counters::{self, Counters};
use crate::deflate::Deflater;
use crate::fanout::{self, Piece, Publication};
use crate::fault::{self, ActSink, Broadcast, FaultBook, Faults};
use crate::frame::{self, Kind, Message};
use crate::peer::{Offered, Order, Peer};

/// Bytes that may be published ahead of their delivery.
const AHEAD: usize = 64 << 20;

/// Takes a line of the log.
pub type LogSink = Arc<dyn Fn(&str) + Send + Sync>;

/// Where a server's lines go.
#[derive(Clone, Default)]
pub struct Sinks {
    /// `received: …`, per message.
    pub log: Option<LogSink>,
    /// The fault log: one JSON object per act.
    pub faults: Option<ActSink>,
}

/// Something for a shard to do.
pub(crate) enum Mail {
    /// Deliver to this shard's clients.
    Publish(Publication),
    /// Take over a freshly accepted socket.
    Accept(TcpStream),
    /// Close everyone.
    Stop,
}

/// What waits for a shard.
#[derive(Default)]
pub(crate) struct Mailbox {
    mail: Mutex<Vec<Mail>>,
    waker: AtomicWaker,
}

impl Mailbox {
    /// Puts mail in and has the shard look.
    pub(crate) fn post(&self, mail: Mail) {
        let first = {
            let mut waiting = lock(&self.mail);
            waiting.push(mail);
            waiting.len() == 1
        };
        if first {
            self.waker.wake();
        }
    }

    /// Takes all mail, or has `waker` woken once there is some.
    pub(crate) fn poll_take(&self, waker: &Waker) -> Poll<Vec<Mail>> {
        self.waker.register(waker);
        let mail = std::mem::take(&mut *lock(&self.mail));
        if mail.is_empty() { Poll::Pending } else { Poll::Ready(mail) }
    }
}

impl Mailbox {
    /// Takes the publications alone, before their turn.
    fn take_publications(&self) -> Vec<Publication> {
        let mut mail = lock(&self.mail);
        let mut publications = Vec::new();
        for letter in std::mem::take(&mut *mail) {
            match letter {
                Mail::Publish(publication) => publications.push(publication),
                other => mail.push(other),
            }
        }
        publications
    }
}

/// A lock whose poisoning means nothing: what it guards is whole between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What all shards of a server share.
pub(crate) struct Shared {
    pub(crate) config: ServerConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) counters: Counters,
    pub(crate) log: Option<LogSink>,
    pub(crate) stopping: AtomicBool,
    pub(crate) tls: Option<tokio_rustls::TlsAcceptor>,
    pub(crate) faults: Faults,
    pub(crate) book: FaultBook,
    pub(crate) requests: AtomicU64,
    /// Bytes published and not yet delivered, once per shard.
    undelivered: AtomicUsize,
    next_number: AtomicU64,
    next_index: AtomicU64,
    mailboxes: Vec<Arc<Mailbox>>,
    order: Mutex<()>,
}

impl Shared {
    /// Shared state of a server with `shards` shards.
    pub(crate) fn new(
        config: ServerConfig,
        clock: Arc<dyn Clock>,
        sinks: Sinks,
        tls: Option<tokio_rustls::TlsAcceptor>,
        shards: usize,
    ) -> Self {
        Self {
            faults: Faults::new(config.seed, config.faults.clone()),
            book: FaultBook::new(sinks.faults),
            log: sinks.log,
            requests: AtomicU64::new(0),
            undelivered: AtomicUsize::new(0),
            next_number: AtomicU64::new(0),
            config,
            clock,
            tls,
            counters: Counters::default(),
            stopping: AtomicBool::new(false),
            next_index: AtomicU64::new(0),
            mailboxes: (0..shards.max(1)).map(|_| Arc::default()).collect(),
            order: Mutex::new(()),
        }
    }

    /// The mailbox of shard `n`.
    pub(crate) fn mailbox(&self, n: usize) -> &Arc<Mailbox> {
        &self.mailboxes[n % self.mailboxes.len()]
    }

    /// Has every shard deliver a message; all shards see all publications in the same order.
    pub(crate) fn publish(&self, from: u64, room: Option<Arc<str>>, message: Message) {
        let _order = (self.mailboxes.len() > 1).then(|| lock(&self.order));
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        self.undelivered.fetch_add(message.frame().len() * self.mailboxes.len(), Ordering::Relaxed);
        let publication = Publication { number, from, room, message };
        for mailbox in &self.mailboxes {
            mailbox.post(Mail::Publish(publication.clone()));
        }
    }

    /// Whether publishing has run ahead of delivering: then nobody is read for a while, so that memory stays bounded.
    pub(crate) fn is_behind(&self) -> bool {
        self.undelivered.load(Ordering::Relaxed) > AHEAD
    }

    /// Bytes of a publication that are not delivered after all, for now.
    pub(crate) fn keep_back(&self, bytes: usize) {
        self.undelivered.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes kept back are delivered.
    pub(crate) fn let_go(&self, bytes: usize) {
        self.undelivered.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Has every shard close everyone.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        for mailbox in &self.mailboxes {
            mailbox.post(Mail::Stop);
        }
    }

    /// Takes the next client index, unless the server is full or stopping.
    pub(crate) fn admit(&self) -> Option<u64> {
        if self.stopping.load(Ordering::Acquire) {
            return None;
        }
        let limit = self.config.max_connections as u64;
        let open = &self.counters.open;
        open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| (open < limit).then_some(open + 1)).ok()?;
        counters::count(&self.counters.connections);
        Some(self.next_index.fetch_add(1, Ordering::Relaxed))
    }

    /// Gives an admitted client's place back.
    fn release(&self) {
        self.counters.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One thread's clients.
pub(crate) struct Shard {
    pub(crate) shared: Arc<Shared>,
    pub(crate) beat: Message,
    pub(crate) pong: Message,
    /// What a faulty server answers instead.
    pub(crate) wrong_pong: Message,
    pub(crate) greeting: Option<Message>,
    /// Octets read on behalf of whichever client is being read.
    pub(crate) scratch: RefCell<Box<[u8]>>,
    pub(crate) broadcast: Broadcast,
    number: usize,
    deflaters: RefCell<HashMap<u8, Deflater>>,
    open: RefCell<Vec<Rc<Peer>>>,
    live: Cell<usize>,
    idle: Notify,
}

impl Shard {
    /// Shard `number` of a server, without clients.
    pub(crate) fn new(shared: Arc<Shared>, number: usize) -> Rc<Self> {
        let text = |text: &str| Message::new(Kind::Text, text.as_bytes());
        Rc::new(Self {
            beat: text(HEARTBEAT_TEXT),
            pong: text(PONG_TEXT),
            wrong_pong: text(WRONG_PONG_TEXT),
            greeting: shared.config.greeting.as_deref().map(text),
            scratch: RefCell::new(vec![0; 64 * 1024].into_boxed_slice()),
            broadcast: Broadcast::default(),
            number,
            deflaters: RefCell::default(),
            open: RefCell::default(),
            live: Cell::new(0),
            idle: Notify::new(),
            shared,
        })
    }

    /// Makes a client one that broadcasts go to.
    pub(crate) fn join(&self, peer: &Rc<Peer>) {
        let mut open = self.open.borrow_mut();
        peer.place.set(Some(open.len()));
        open.push(Rc::clone(peer));
    }

    /// Makes a client one that broadcasts no longer go to; leaving twice is leaving once.
    pub(crate) fn leave(&self, peer: &Peer) {
        if let Some(place) = peer.place.take() {
            let mut open = self.open.borrow_mut();
            open.swap_remove(place);
            if let Some(moved) = open.get(place) {
                moved.place.set(Some(place));
            }
        }
    }

    /// The open clients.
    pub(crate) fn open(&self) -> Ref<'_, Vec<Rc<Peer>>> {
        self.open.borrow()
    }

    /// An admitted client's task began; when the value is dropped it has ended, and its place is free.
    pub(crate) fn enter(self: &Rc<Self>) -> Presence {
        self.live.set(self.live.get() + 1);
        Presence(Rc::clone(self))
    }

    /// Waits until no client's task runs.
    pub(crate) async fn emptied(&self) {
        while self.live.get() > 0 {
            self.idle.notified().await;
        }
    }

    /// Tells every open client that the server is going away.
    pub(crate) fn dismiss(&self) {
        for peer in self.open.borrow().iter() {
            peer.call(Order::CloseStopping);
        }
    }

    /// Delivers a turn's publications.
    pub(crate) fn deliver(&self, publications: &[Publication]) {
        let bytes = publications.iter().map(|publication| publication.message.frame().len()).sum();
        self.shared.undelivered.fetch_sub(bytes, Ordering::Relaxed);
        if !self.shared.faults.is_empty() {
            return fault::deliver(self, publications);
        }
        if !self.shared.config.rooms {
            return self.deliver_to(None, &publications.iter().collect::<Vec<_>>());
        }
        let rooms: HashSet<&Option<Arc<str>>> = publications.iter().map(|publication| &publication.room).collect();
        for room in rooms {
            let inside: Vec<&Publication> = publications.iter().filter(|publication| publication.room == *room).collect();
            self.deliver_to(room.as_ref(), &inside);
        }
    }

    /// Delivers what has been published but not yet delivered, before its turn: a client is about to leave that was open
    /// when it was published.
    pub(crate) fn settle(&self) {
        let publications = self.shared.mailbox(self.number).take_publications();
        if !publications.is_empty() {
            self.deliver(&publications);
        }
    }

    /// A message's frame as a client takes it.
    pub(crate) fn frame_for(&self, message: &Message, deflate: Option<u8>) -> Bytes {
        let Some(bits) = deflate else { return message.frame().clone() };
        let mut deflaters = self.deflaters.borrow_mut();
        let deflater = deflaters.entry(bits).or_insert_with(|| Deflater::new(bits));
        match deflater.compress(&message.payload()) {
            Some(compressed) => frame::encode(frame::FIN | frame::RSV1 | message.kind().opcode(), &compressed),
            None => message.frame().clone(),
        }
    }

    /// Publications glued as clients with this window, or without compression, take them.
    fn pieces(&self, publications: &[&Publication], deflate: Option<u8>) -> Vec<Piece> {
        let frame = |publication: &&Publication| (publication.from, self.frame_for(&publication.message, deflate));
        fanout::glue(&publications.iter().map(frame).collect::<Vec<_>>())
    }

    /// Delivers publications to everybody (the server's own, and all where there are no rooms), or to those in a room.
    fn deliver_to(&self, room: Option<&Arc<str>>, publications: &[&Publication]) {
        let apart = self.shared.config.fanout == Fanout::Others;
        let plain = self.pieces(publications, None);
        let mut compressed: HashMap<u8, Vec<Piece>> = HashMap::new();
        let mut out = 0;
        for peer in self.open.borrow().iter().filter(|peer| room.is_none() || peer.room.as_ref() == room) {
            let pieces = match peer.deflate {
                None => &plain,
                Some(bits) => compressed.entry(bits).or_insert_with(|| self.pieces(publications, Some(bits))),
            };
            for piece in pieces {
                if apart && piece.has_sender(peer.index) {
                    for (bytes, copies) in piece.without(peer.index) {
                        out += self.hand(peer, &bytes, copies);
                    }
                } else {
                    out += self.hand(peer, &piece.bytes, piece.copies());
                }
            }
        }
        counters::add(&self.shared.counters.copies_out, out);
    }

    /// Offers bytes to one client and settles what a full outbox means; returns the copies taken.
    fn hand(&self, peer: &Peer, bytes: &Bytes, copies: u32) -> u64 {
        if peer.order.get().is_some() {
            return 0;
        }
        match peer.offer(bytes, copies) {
            Offered::Taken => copies.into(),
            Offered::Full => {
                self.overflow(peer, copies.into());
                0
            }
        }
    }

    /// What a full outbox means.
    pub(crate) fn overflow(&self, peer: &Peer, copies: u64) {
        counters::add(&self.shared.counters.copies_dropped, copies);
        if self.shared.config.slow_consumer == SlowConsumer::Close && peer.order.get().is_none() {
            counters::count(&self.shared.counters.closed_slow);
            peer.call(Order::CloseSlow);
        }
    }
}

/// Proof that a client's task runs.
pub(crate) struct Presence(Rc<Shard>);

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.shared.release();
        self.0.live.set(self.0.live.get().saturating_sub(1));
        if self.0.live.get() == 0 {
            self.0.idle.notify_one();
        }
    }
}
