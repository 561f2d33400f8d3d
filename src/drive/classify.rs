//! What a received message is. One look at its first bytes decides for a copy; only what is no copy takes the slow road
//! of matchers and JSON.

use std::cell::RefCell;

use crate::base::{ConnId, Flaws, PublisherId, RunId, STAMP_LEN, Seq};
use crate::event::StrayKind;
use crate::plan::Plan;
use crate::scenario::model::{Beat, Carrier, Dialect, Encoding, Greeting, OwnMatchers, Place, Role, Wanted};
use crate::wire::memo::Memo;
use crate::wire::payload::{self, Found, Recognised};
use crate::wire::stamp::Stamp;

use super::envelopes::Envelopes;
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
    pong: Option<Wanted>,
    beat: Wanted,
    /// What the clients of this shard received lately: each of a broadcast's copies but the first is known by it.
    memo: RefCell<Memo>,
    /// The same of whole messages, where the server wraps what it relays.
    envelopes: RefCell<Envelopes>,
    /// Which messages carry copies does not depend on who receives them.
    alike: bool,
}

impl Expectations {
    /// What a run of `plan` expects.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let scenario = &plan.scenario;
        let looks = scenario.looks_of_a_beat();
        let beat = match looks {
            Some(Beat::Message(matcher)) => matcher.clone(),
            // Where no heartbeat is described, this project's own shape is still told apart from strays.
            _ => super::feed::own_beat(),
        };
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
            envelopes: RefCell::default(),
            alike: [&scenario.dialect.matches, &scenario.dialect.ack].into_iter().flatten().all(|wanted| !wanted.varies()),
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

    /// Hands over the stamp of the one copy, owed here perhaps, of a message that [`Expectations::copies`] found it in before: the
    /// road of nearly every message of a server that wraps what it relays. False, and nothing handed over, for any other.
    #[inline(always)]
    pub fn known_copy(&self, plan: &Plan, conn: ConnId, message: &[u8], text: bool, on: impl FnOnce(&Stamp)) -> bool {
        let envelopes = self.envelopes.borrow();
        let Some(stamp) = envelopes.get(message, text) else { return false };
        let owed = self.may_be_owed(plan, conn, stamp);
        if owed {
            on(stamp);
        }
        owed
    }

    /// Every payload in a message (and whether that is text) of a server that speaks a dialect. Returns whether there was any.
    pub fn copies(
        &self,
        dialect: &Dialect,
        plan: &Plan,
        conn: ConnId,
        matchers: Option<&OwnMatchers>,
        (message, text): (&[u8], bool),
        mut on: impl FnMut(Part<'_>),
    ) -> bool {
        let mut role = None;
        let opcode = match dialect.receive {
            Some(receive) if (receive == Encoding::Text) != text => Flaws::OPCODE,
            _ => Flaws::NONE,
        };
        let memo = &mut *self.memo.borrow_mut();
        let (mut parts, mut intact) = (0, None);
        let mut look = |bytes: &[u8]| {
            payload::find(memo, bytes, self.sent_text, self.run, |found| {
                parts += 1;
                match *role.get_or_insert_with(|| dialect.role(message, matchers)) {
                    Role::Copy => {
                        let part = self.part(plan, conn, found, opcode);
                        if let Part::Copy(stamp, Flaws::NONE) = part {
                            intact = Some(*stamp);
                        }
                        on(part);
                    }
                    Role::Ack => on(Part::Other(Kind::Nothing)),
                    Role::Other => {}
                }
            });
        };
        match dialect.carrier {
            Carrier::Plain => look(message),
            carrier => carrier.decode(message, STAMP_LEN, &mut look),
        }
        if let Some(stamp) = intact.filter(|_| parts == 1 && self.alike)
            && let Some(at) = payload::magic(message)
        {
            self.envelopes.borrow_mut().learn(message, text, at, &stamp);
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

    /// Whether a message answers an application ping.
    pub(super) fn is_pong(&self, message: &[u8], matchers: Option<&OwnMatchers>) -> bool {
        self.pong.as_ref().is_some_and(|pong| pong.matches(message, Place::Pong.own(matchers)))
    }

    /// Whether a message is a beat of the server's heartbeat.
    pub(super) fn is_beat(&self, message: &[u8], matchers: Option<&OwnMatchers>) -> bool {
        self.beat.matches(message, Place::Beat.own(matchers))
    }

    /// What a message is that is no copy. `waiting`: the greeting this connection still waits for, if it does, and whether nothing
    /// came before; `matchers` are its own.
    #[cold]
    #[must_use]
    pub fn other(
        &self,
        plan: &Plan,
        conn: ConnId,
        message: &[u8],
        waiting: (Option<&Greeting>, bool),
        matchers: Option<&OwnMatchers>,
    ) -> Kind {
        let (greeting, first) = waiting;
        if let Some(Greeting::Expected { matches, .. }) = greeting
            && matches.matches(message, Place::Greeting.own(matchers))
        {
            return Kind::Greeting;
        }
        if let Some(kind) = self.feed.as_ref().and_then(|feed| feed.stated(message, matchers)) {
            return kind;
        }
        if self.is_pong(message, matchers) {
            return Kind::Pong;
        }
        if self.feed.as_ref().is_none_or(|feed| feed.may_be_beat(message)) && self.is_beat(message, matchers) {
            return Kind::Beat;
        }
        if let Some(kind) = self.feed.as_ref().and_then(|feed| feed.unstated(message, matchers)) {
            return kind;
        }
        if first && greeting == Some(&Greeting::Any) {
            return Kind::Greeting;
        }
        Kind::Stray(if self.is_leak(plan, conn, message) { StrayKind::OtherRoom } else { StrayKind::Unexpected })
    }

    /// Whether a message holds a publication of another room. Where `match` names the client's own room, it is no copy, and would
    /// else only be unexpected.
    fn is_leak(&self, plan: &Plan, conn: ConnId, message: &[u8]) -> bool {
        let Some(dialect) = self.dialect.as_ref().filter(|d| d.matches.is_some()) else { return false };
        let mut leak = false;
        dialect.carrier.decode(message, STAMP_LEN, |bytes| {
            payload::find(&mut self.memo.borrow_mut(), bytes, self.sent_text, self.run, |found| {
                let Found::Copy(stamp, flaws) = found else { return };
                leak |= self.judge(plan, conn, Recognised::Copy(*stamp, flaws)) == Kind::Stray(StrayKind::OtherRoom);
            });
        });
        leak
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Instant;
    use crate::plan::tests as plans;

    fn plan(more: &str) -> Plan {
        plans::plan(&format!("{more}\n[clients]\ncount = 4\n[publish]\npublishers = 2\npace = \"1/s\"\nsize = \"64B\"\n"))
    }

    /// What one client makes of a message, by the short road if it is known, by the long one else; and whether it was known.
    fn received(expect: &Expectations, plan: &Plan, conn: u32, message: &[u8]) -> (bool, Vec<Kind>) {
        let conn = ConnId(conn);
        let mut kinds = Vec::new();
        if expect.known_copy(plan, conn, message, true, |stamp| kinds.push(Kind::Copy(*stamp, Flaws::NONE))) {
            return (true, kinds);
        }
        let dialect = expect.dialect().expect("a dialect");
        expect.copies(dialect, plan, conn, None, (message, true), |part| {
            kinds.push(match part {
                Part::Copy(stamp, flaws) => Kind::Copy(*stamp, flaws),
                Part::Other(kind) => kind,
            });
        });
        (false, kinds)
    }

    fn publication(plan: &Plan, publisher: u32) -> (Stamp, Vec<u8>) {
        let (publisher, at) = (PublisherId(publisher), Instant::EPOCH);
        let stamp = Stamp { run: plan.run, publisher, seq: Seq(0), planned: at, sent: at, padding: 0 };
        (stamp, [&b"{\"say\":\""[..], &stamp.encode(), b"\"}"].concat())
    }

    #[test]
    fn a_message_another_client_received_is_known_and_means_the_same() {
        let plan = plan("rooms = 2\ndialect = { publish = '{\"say\":\"{stamp}\"}' }");
        let expect = Expectations::new(&plan);
        let (stamp, message) = publication(&plan, 0);
        let copy = vec![Kind::Copy(stamp, Flaws::NONE)];
        assert_eq!(received(&expect, &plan, 0, &message), (false, copy.clone()));
        assert_eq!(received(&expect, &plan, 2, &message), (true, copy));
        // Of another room: the bytes are known, but it was not for this client.
        assert_eq!(received(&expect, &plan, 1, &message), (false, vec![Kind::Stray(StrayKind::OtherRoom)]));
    }

    #[test]
    fn two_copies_an_acknowledgement_and_a_damaged_one_are_read_each_time() {
        let plan = plan("dialect = { publish = '{\"say\":\"{stamp}\"}', ack = { prefix = \"ok\" } }");
        let expect = Expectations::new(&plan);
        let (_, message) = publication(&plan, 0);
        let mut damaged = publication(&plan, 1).1;
        damaged[40] ^= 1;
        for message in [[&message[..], &message].concat(), [b"ok", &message[..]].concat(), damaged] {
            let first = received(&expect, &plan, 0, &message);
            assert!(!first.0 && !first.1.is_empty());
            assert_eq!(received(&expect, &plan, 1, &message), first);
        }
    }

    #[test]
    fn where_each_client_has_rules_of_its_own_nothing_is_known() {
        let plan = plan("dialect = { publish = '{\"say\":\"{stamp}\"}', ack = { contains = \"for {client.id}!\" } }");
        let expect = Expectations::new(&plan);
        let (_, message) = publication(&plan, 0);
        for conn in 0..2 {
            assert!(!received(&expect, &plan, conn, &message).0);
        }
    }
}
