//! How a shard's clients get in, on their planned instants and again after a disruption, and how they are let go.

use std::cell::RefCell;
use std::path::Path;
use std::rc::{Rc, Weak};

use tokio::task::spawn_local;

use crate::base::{ConnId, Instant, Seq, Span};
use crate::event::{ConnectFailure, Event};
use crate::scenario::model::{self, Connection, Greeting};
use crate::scenario::template::Vars;
use crate::wire::handshake::Request;

use super::alarm::Alarm;
use super::deflating::Deflating;
use super::dial;
use super::link::{self, Link, Reading};
use super::session::State;
use super::shard::Shard;
use super::talk::{self, Talk};
use super::target::{Parts, Target};

/// Largest frame or message taken from a server.
const MESSAGE_LIMIT: u32 = 64 << 20;

impl Shard {
    /// Connects every client of this share on its planned instant.
    pub(super) async fn ramp(self: Rc<Self>, alarm: Alarm, start: Instant) {
        let mut order: Vec<(Span, ConnId)> = self.connections().map(|c| (self.plan.connect_after(c), c)).collect();
        order.sort_unstable();
        for (after, conn) in order {
            if alarm.until(start + after).await.is_err() || self.stopped.get() {
                return;
            }
            let Ok(permit) = self.dialling.clone().acquire_owned().await else { return };
            let shard = self.clone();
            spawn_local(async move {
                // Boxed, so that the memory of dialling is given back before the connection's long life begins.
                Box::pin(shard.open(conn)).await;
                drop(permit);
            });
        }
    }

    /// Connects a client; whether a WebSocket is open.
    pub(super) async fn open(self: Rc<Self>, conn: ConnId) -> bool {
        let group = self.plan.group_index(conn);
        let settings = &self.plan.scenario.groups[group];
        let mut rng = self.plan.seed.derive("connection").nth(u64::from(conn.0)).rng();
        let mut talk = Talk::new(&self.plan.scenario, group);
        let at = self.clock.now();
        self.gauge.attempt();
        self.observe(Event::Connecting { conn, at });
        if let Some(talk) = &mut talk
            && let Err(reason) = talk::prelude(&self, conn, talk).await
        {
            return self.fail(conn, ConnectFailure::Io, &reason);
        }
        let (target, request) = match self.destination(conn, group, talk.as_deref()).await {
            Ok(found) => found,
            Err(reason) => return self.fail(conn, ConnectFailure::Dns, &reason),
        };
        let Some((address, source)) = dial::route(&target.addresses, &self.sources, conn.index()) else {
            return self.fail(conn, ConnectFailure::LocalLimit, "no source address is of the family of the target's addresses");
        };
        let began = self.clock.now();
        let limit = settings.connect_timeout.to_std();
        let dialled = match dial::dial(&target, address, source, &request, &mut rng, limit).await {
            Ok(dialled) => dialled,
            Err(failed) => return self.fail(conn, failed.cause, &failed.detail),
        };
        let at = self.clock.now();
        self.gauge.opened();
        self.observe(Event::Opened { conn, at, handshake: at - began });
        if dialled.subprotocol.is_none() && !request.subprotocols.is_empty() {
            self.observe(Event::NoSubprotocol { conn, at });
        }
        let deflating = dialled.deflate.map(|agreed| Deflating::new(self.codecs.clone(), agreed, MESSAGE_LIMIT));
        if deflating.is_some() {
            self.observe(Event::Compressed { conn, at });
        }
        #[expect(clippy::cast_possible_truncation, reason = "there are never 65,536 groups")]
        let mut link = Link::new(conn, group as u16, dialled.stream, MESSAGE_LIMIT, rng, talk, deflating);
        // Publications are numbered over all of a client's connections.
        link.go_on_from(self.let_go(conn).or_else(|| self.numbers.borrow_mut().remove(&conn)));
        let link = Rc::new(RefCell::new(link));
        self.links.borrow_mut()[self.local(conn)] = Some(link.clone());
        link.borrow_mut().on_open(&self, at);
        if let Greeting::Expected { within, .. } = settings.greeting {
            spawn_local(give_up(self.clone(), Rc::downgrade(&link), conn, within));
        }
        link::early(&link, &self, at, &dialled.early);
        spawn_local(Reading { shard: self, link });
        true
    }

    /// Forgets a client's connection, if it has one, so that its socket is closed; gives the number of its next publication.
    fn let_go(&self, conn: ConnId) -> Option<Seq> {
        let link = self.links.borrow_mut()[self.local(conn)].take()?;
        let seq = link.borrow_mut().next_seq();
        Some(seq)
    }

    /// Ends a client's connection with a TCP reset. The socket is closed when its reading task, woken, has let go of it too.
    pub(super) fn reset(&self, conn: ConnId, at: Instant) {
        let Some(link) = self.link(conn) else { return };
        link.borrow_mut().reset(self, at);
        if let Some(seq) = self.let_go(conn) {
            self.numbers.borrow_mut().insert(conn, seq);
        }
    }

    /// A connection ended unasked: where the server is being restarted as planned, it is put down to that, and the client comes back.
    pub(super) fn put_down_to_restart(&self, conn: ConnId, at: Instant) {
        if let Some((strike, _)) = self.restart.get().filter(|(_, until)| at <= *until) {
            self.disrupted.borrow_mut().insert(conn);
            self.observe(Event::Disrupted { conn, at, strike });
            self.observe(Event::Leaving { conn, at });
            self.cut_off.borrow_mut().push_back(conn);
            self.cut_off_waiting.notify_one();
        }
    }

    fn fail(&self, conn: ConnId, cause: ConnectFailure, detail: &str) -> bool {
        self.gauge.connect_failed();
        self.observe(Event::ConnectFailed { conn, at: self.clock.now(), cause, detail });
        false
    }

    /// Where this connection goes and what it asks: the same for all of a group, unless the scenario says more.
    async fn destination(&self, conn: ConnId, group: usize, talk: Option<&Talk>) -> Result<(Target, Request), String> {
        let connection = &self.plan.scenario.groups[group].connection;
        let mut target = self.targets[group].clone();
        let mut request = self.requests[group].clone();
        let own = match &self.plan.scenario.target {
            model::Target::Url(url) if url.varies() => Some(url),
            _ => None,
        };
        if own.is_none() && *connection == Connection::default() {
            return Ok((target, request));
        }
        let vars = self.vars(conn);
        let vars = talk.map_or(vars, |talk| Vars { captured: talk.captured(), ..vars });
        let url = own.map_or_else(|| Ok(target.full_url.clone()), |url| url.text(&vars)).map_err(|e| e.to_string())?;
        let handshake = connection.handshake(&url, &vars).map_err(|e| e.to_string())?;
        let parts = Parts::parse(&handshake.url).map_err(|e| e.to_string())?;
        if parts.host_field != target.host || parts.secure != target.is_secure() || parts.socket.as_deref() != target.socket() {
            target = self.other(&parts, &handshake.url, group).await?;
        }
        request.path = parts.path;
        request.host = parts.host_field;
        for (name, value) in handshake.headers {
            if name.eq_ignore_ascii_case("host") { request.host = value } else { request.headers.push((name, value)) }
        }
        Ok((target, request))
    }

    /// The target of a URL that is not the group's own; resolved once.
    async fn other(&self, parts: &Parts, url: &str, group: usize) -> Result<Target, String> {
        // By group, since each may trust others and go another way.
        let socket = parts.socket.as_deref().unwrap_or(Path::new("")).display();
        let key = format!("{group} {} {} {socket}", parts.secure, parts.host_field);
        if let Some(known) = self.others.borrow().get(&key) {
            return Ok(known.clone());
        }
        let trust = self.trust.get(group).cloned().unwrap_or_default();
        let proxy = &self.plan.scenario.groups[group].connection.proxy;
        let target = Target::resolve_through(url, &trust, proxy).await.map_err(|e| e.to_string())?;
        self.others.borrow_mut().insert(key, target.clone());
        Ok(target)
    }
}

/// Gives a client up whose greeting does not come.
async fn give_up(shard: Rc<Shard>, link: Weak<RefCell<Link>>, conn: ConnId, within: Span) {
    tokio::time::sleep(within.to_std()).await;
    let Some(link) = link.upgrade() else { return };
    if link.borrow().state() == State::Waiting {
        let at = shard.clock.now();
        shard.observe(Event::NotReady { conn, at, detail: &format!("the greeting did not come within {within}") });
        shard.gauge.not_ready();
        link.borrow_mut().close(crate::wire::close::NORMAL, crate::event::ClosedBy::Script);
    }
}
