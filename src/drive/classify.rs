//! What a received message is. One look at its first bytes decides for a copy; only what is no copy takes the slow road
//! of matchers and JSON.

use std::cell::RefCell;

use crate::base::{ConnId, Flaws, PublisherId, RunId, STAMP_LEN, Seq};
use crate::event::StrayKind;
use crate::plan::Plan;
use crate::scenario::model::{Beat, Carrier, Dialect, Encoding, Greeting, Matcher, Role};
use crate::wire::memo::Memo;
use crate::wire::payload::{self, Found, Recognised};
use crate::wire::stamp::Stamp;

use super::feed::Broadcasts;

/// What a message turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A copy of a publication of this run that may be owed here.
    Copy(Stamp, Flaws),
    /// The server's greeting.
    Greeting,
    /// A beat of the heartbeat.
    Beat,
    /// The answer to an application ping.
    Pong,
    /// A broadcast of the server's own, by its key.
    Item(u64),
    /// Nothing that should have come.
    Stray(StrayKind),
    /// The sender's acknowledgement, or a copy nobody asked this client to count: neither owed nor wrong.
    Nothing,
}

/// A payload inside a message of a server that speaks a dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// A copy that may be owed here.
    Copy(&'a Stamp, Flaws),
    /// Anything else.
    Other(Kind),
}

/// What is expected, compiled once for all connections of a shard.
#[derive(Debug)]
pub struct Expectations {
    run: RunId,
    publishers: u32,
    sent_text: bool,
    /// Everyone is owed everything: no look at rooms, groups or senders is needed.
    everyone: bool,
    /// How the server speaks, where it does more than relay.
    dialect: Option<Dialect>,
    /// What the server broadcasts by itself, where it does.
    pub(super) feed: Option<Broadcasts>,
    pong: Option<Matcher>,
    beat: Matcher,
    /// What the clients of this shard received lately: each of a broadcast's copies but the first is known by it.
    memo: RefCell<Memo>,
}

impl Expectations {
    /// What a run of `plan` expects.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let scenario = &plan.scenario;
        let beat = match scenario.checks.heartbeat.as_ref().map(|h| &h.beat).or(scenario.beat.as_ref()) {
            Some(Beat::Message(matcher)) => matcher.clone(),
            // Where no heartbeat is described, this project's own shape is still told apart from strays.
            _ => super::feed::own_beat(),
        };
        let looks = scenario.checks.heartbeat.as_ref().map(|h| &h.beat).or(scenario.beat.as_ref());
        let sent = scenario.publish.as_ref().map_or(Encoding::Text, |p| p.encoding);
        let publishers = (0..plan.publishers).map(PublisherId);
        let everyone = scenario.rooms.is_none()
            && scenario.groups.iter().all(|g| g.receives)
            && publishers.clone().all(|p| plan.is_owed(p, plan.connection_of(p)));
        Self {
            run: plan.run,
            publishers: plan.publishers,
            sent_text: sent == Encoding::Text,
            everyone,
            dialect: (!scenario.dialect.is_plain(sent)).then(|| scenario.dialect.clone()),
            feed: scenario.feed.as_ref().map(|feed| Broadcasts::new(feed, &scenario.dialect, looks)),
            pong: scenario.checks.pong.as_ref().and_then(|p| p.application.as_ref()).map(|a| a.expect.clone()),
            beat,
            memo: RefCell::default(),
        }
    }

    /// How the server speaks, where it does more than relay.
    #[must_use]
    pub const fn dialect(&self) -> Option<&Dialect> {
        self.dialect.as_ref()
    }

    /// Hands over the stamp of an intact copy that may be owed here: the road of nearly every message of a server that relays.
    /// False, and nothing handed over, for any other; [`Expectations::copy`] tells what it is.
    #[inline(always)]
    pub fn intact_copy(&self, plan: &Plan, conn: ConnId, message: &[u8], text: bool, on: impl FnOnce(&Stamp)) -> bool {
        if text != self.sent_text {
            return false;
        }
        let memo = &mut *self.memo.borrow_mut();
        let Some(stamp) = payload::intact(memo, message, self.sent_text, self.run) else { return false };
        let owed = self.may_be_owed(plan, conn, stamp);
        if owed {
            on(stamp);
        }
        owed
    }

    /// Whether a message of a server that relays is a copy; `None` leaves it to [`Expectations::other`].
    #[cold]
    #[must_use]
    pub fn copy(&self, plan: &Plan, conn: ConnId, message: &[u8], text: bool) -> Option<Kind> {
        match payload::recognise(message, text, self.sent_text, self.run) {
            Recognised::Nothing => None,
            recognised => Some(self.judge(plan, conn, recognised)),
        }
    }

    /// Every publication of this run whose stamp stands somewhere in `bytes`.
    pub(super) fn stamps(&self, bytes: &[u8], mut on: impl FnMut(PublisherId, Seq)) {
        payload::find(&mut self.memo.borrow_mut(), bytes, self.sent_text, self.run, |found| {
            if let Found::Copy(stamp, _) = found {
                on(stamp.publisher, stamp.seq);
            }
        });
    }

    /// Every payload in a message of a server that speaks a dialect. Returns whether there was any.
    #[inline(always)]
    pub fn copies(&self, dialect: &Dialect, plan: &Plan, conn: ConnId, message: &[u8], text: bool, mut on: impl FnMut(Part<'_>)) -> bool {
        let mut role = None;
        let opcode = match dialect.receive {
            Some(receive) if (receive == Encoding::Text) != text => Flaws::OPCODE,
            _ => Flaws::NONE,
        };
        let memo = &mut *self.memo.borrow_mut();
        let mut look = |bytes: &[u8]| {
            payload::find(memo, bytes, self.sent_text, self.run, |found| match *role.get_or_insert_with(|| dialect.role(message)) {
                Role::Copy => on(self.part(plan, conn, found, opcode)),
                Role::Ack => on(Part::Other(Kind::Nothing)),
                Role::Other => {}
            });
        };
        match dialect.carrier {
            Carrier::Plain => look(message),
            carrier => carrier.decode(message, STAMP_LEN, &mut look),
        }
        matches!(role, Some(Role::Copy | Role::Ack))
    }

    #[inline(always)]
    fn part<'a>(&self, plan: &Plan, conn: ConnId, found: Found<'a>, opcode: Flaws) -> Part<'a> {
        match found {
            Found::Copy(stamp, flaws) if stamp.run == self.run && self.may_be_owed(plan, conn, stamp) => {
                Part::Copy(stamp, flaws.with(opcode))
            }
            Found::Copy(stamp, flaws) => Part::Other(self.judge(plan, conn, Recognised::Copy(*stamp, flaws))),
            Found::Unreadable => Part::Other(Kind::Stray(StrayKind::Unreadable)),
        }
    }

    /// Whether a publication of this run may be owed to `conn`.
    #[inline(always)]
    fn may_be_owed(&self, plan: &Plan, conn: ConnId, stamp: &Stamp) -> bool {
        stamp.publisher.0 < self.publishers && (self.everyone || plan.is_owed(stamp.publisher, conn))
    }

    #[cold]
    fn judge(&self, plan: &Plan, conn: ConnId, recognised: Recognised) -> Kind {
        match recognised {
            Recognised::Copy(stamp, flaws) => {
                if stamp.run != self.run {
                    Kind::Stray(StrayKind::OtherRun)
                } else if stamp.publisher.0 >= self.publishers {
                    Kind::Stray(StrayKind::Unknown)
                } else if self.everyone {
                    Kind::Copy(stamp, flaws)
                } else {
                    Self::of_some(plan, conn, stamp, flaws)
                }
            }
            Recognised::Unreadable => Kind::Stray(StrayKind::Unreadable),
            Recognised::Nothing => Kind::Nothing,
        }
    }

    /// A copy in a run where not everyone is owed everything.
    fn of_some(plan: &Plan, conn: ConnId, stamp: Stamp, flaws: Flaws) -> Kind {
        let publisher = plan.connection_of(stamp.publisher);
        if plan.is_owed(stamp.publisher, conn) {
            Kind::Copy(stamp, flaws)
        } else if plan.room_of(publisher) != plan.room_of(conn) {
            Kind::Stray(StrayKind::OtherRoom)
        } else if publisher == conn && plan.scenario.groups[plan.group_index(conn)].receives {
            Kind::Stray(StrayKind::Echo)
        } else {
            Kind::Nothing
        }
    }

    /// Whether a message is a beat of the server's heartbeat.
    pub(super) fn is_beat(&self, message: &[u8]) -> bool {
        self.beat.matches(message)
    }

    /// What a message without a stamp is. `greeting` is what this connection still waits for, if it does; `first` says
    /// that nothing came before.
    #[cold]
    #[must_use]
    pub fn other(&self, message: &[u8], greeting: Option<&Greeting>, first: bool) -> Kind {
        if let Some(Greeting::Expected { matches, .. }) = greeting
            && matches.matches(message)
        {
            return Kind::Greeting;
        }
        if let Some(kind) = self.feed.as_ref().and_then(|feed| feed.stated(message)) {
            return kind;
        }
        if self.pong.as_ref().is_some_and(|pong| pong.matches(message)) {
            return Kind::Pong;
        }
        if self.feed.as_ref().is_none_or(|feed| feed.may_be_beat(message)) && self.is_beat(message) {
            return Kind::Beat;
        }
        if let Some(kind) = self.feed.as_ref().and_then(|feed| feed.unstated(message)) {
            return kind;
        }
        if first && greeting == Some(&Greeting::Any) {
            return Kind::Greeting;
        }
        Kind::Stray(StrayKind::Unexpected)
    }
}
