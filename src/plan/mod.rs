//! Scenario + seed → Plan: what will happen and when, and what it needs. Pure: must never know a socket or a clock.

mod audience;
mod budget;
mod disruptions;
mod pace;
mod timetable;

use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::base::{ConnId, PublisherId, RunId, Seed, Span};
use crate::scenario::Scenario;
use crate::scenario::model::{Audience, ClientGroup, Pace, Target, Template, Verb, Via};

pub use audience::Division;
pub use budget::{Budget, PROCESS_BYTES, PROCESS_DESCRIPTORS, PhaseLoad};
pub use disruptions::{Strike, Strikes};
pub use pace::Instants;
pub use timetable::{Planned, Timetable};

/// A run decided: everything that follows from scenario and seed.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// What was meant.
    pub scenario: Arc<Scenario>,
    /// All random choices follow from it.
    pub seed: Seed,
    /// Tells our copies from another run's.
    pub run: RunId,
    /// Connections over all groups.
    pub connections: u32,
    /// Publishers; 0 when nothing is published.
    pub publishers: u32,
    /// The connection of publisher 0; the others follow it.
    pub first_publisher: ConnId,
    /// Which client is in which room.
    #[serde(skip)]
    pub division: Arc<Division>,
    /// Who is disrupted when.
    #[serde(skip)]
    pub strikes: Arc<Strikes>,
}

/// Who decides when a publication leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaceKind {
    /// Nothing is published.
    Silent,
    /// The timetable (open loop).
    Open,
    /// The publisher's own copies coming back (closed loop): there is no timetable.
    Closed,
}

impl Plan {
    /// Decides a run.
    #[must_use]
    pub fn new(scenario: Arc<Scenario>, seed: Seed) -> Self {
        let connections = scenario.groups.iter().map(|g| g.count).sum();
        let publishers = scenario.publish.as_ref().map_or(0, |p| p.publishers);
        #[expect(clippy::cast_possible_truncation, reason = "half of a mixed 64-bit value is as good as all of it")]
        let run = RunId(seed.derive("run").0 as u32);
        let group = scenario.publish.as_ref().and_then(|p| p.group).unwrap_or(0);
        let first_publisher = ConnId(scenario.groups.iter().take(group as usize).map(|g| g.count).sum());
        let division = Arc::new(Division::new(&scenario, seed));
        let strikes = Arc::new(Strikes::new(&scenario, seed));
        Self { scenario, seed, run, connections, publishers, first_publisher, division, strikes }
    }

    /// The connection publisher `p` speaks on.
    #[must_use]
    pub fn connection_of(&self, p: PublisherId) -> ConnId {
        ConnId(self.first_publisher.0 + p.0)
    }

    /// The publisher that speaks on connection `c`, if any.
    #[must_use]
    pub fn publisher_of(&self, c: ConnId) -> Option<PublisherId> {
        c.0.checked_sub(self.first_publisher.0).filter(|p| *p < self.publishers).map(PublisherId)
    }

    /// The group connection `c` belongs to, and its place in that group; `None` for a connection that is not of this plan.
    #[must_use]
    pub fn group_of(&self, c: ConnId) -> Option<(&ClientGroup, u32)> {
        let mut within = c.0;
        for group in &self.scenario.groups {
            if within < group.count {
                return Some((group, within));
            }
            within -= group.count;
        }
        None
    }

    /// The place of connection `c`'s group among the scenario's groups; the last one for a connection that is not of this plan.
    #[must_use]
    pub fn group_index(&self, c: ConnId) -> usize {
        let mut within = c.0;
        let last = self.scenario.groups.len().saturating_sub(1);
        self.scenario
            .groups
            .iter()
            .take(last)
            .take_while(|group| {
                within.checked_sub(group.count).is_some_and(|rest| {
                    within = rest;
                    true
                })
            })
            .count()
    }

    /// When connection `c` is opened, after the start of the ramp. Groups connect side by side, each at its own rate.
    #[must_use]
    pub fn connect_after(&self, c: ConnId) -> Span {
        self.group_of(c).map_or(Span::ZERO, |(group, n)| group.connect_rate.nth(u64::from(n)))
    }

    /// When the last connection is due to be opened: how long the ramp takes by its timetable.
    #[must_use]
    pub fn ramp(&self) -> Span {
        self.scenario.groups.iter().map(|g| g.connect_rate.nth(u64::from(g.count.saturating_sub(1)))).max().unwrap_or(Span::ZERO)
    }

    /// How long publishing lasts: warm-up and steady state.
    #[must_use]
    pub fn publishing(&self) -> Span {
        self.scenario.phases.warm_up + self.scenario.phases.steady
    }

    /// Who decides when a publication leaves.
    #[must_use]
    pub fn pace_kind(&self) -> PaceKind {
        match self.scenario.publish.as_ref().map(|p| &p.pace) {
            None => PaceKind::Silent,
            Some(Pace::Closed { .. }) => PaceKind::Closed,
            Some(_) => PaceKind::Open,
        }
    }

    /// The most publications any one publisher is planned to send.
    #[must_use]
    pub fn publications_each(&self) -> u64 {
        self.timetable().len().div_ceil(u64::from(self.publishers.max(1)))
    }

    /// Every publication of an open-loop run and when it is due; empty when nothing is published or the loop is closed.
    #[must_use]
    pub fn timetable(&self) -> Timetable {
        Timetable::new(self)
    }

    /// The size of publisher `p`'s payload number `n` in bytes (`n` is its [`Seq`](crate::base::Seq)), stamp included: fixed, or
    /// uniform by seed, publisher and number. 0 when nothing is published.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "a payload is limited to 64 MiB when it is parsed")]
    pub fn payload_len(&self, p: PublisherId, n: u64) -> usize {
        let Some(size) = self.scenario.publish.as_ref().map(|publish| publish.size) else { return 0 };
        if size.min == size.max {
            return size.min.0 as usize;
        }
        let mut rng = self.seed.derive("size").nth(u64::from(p.0)).nth(n).rng();
        (size.min.0 + rng.below(size.max.0 - size.min.0 + 1)) as usize
    }

    /// Where in the ping period connection `c` pings: evenly spread, so that pings load the server evenly. Zero without pings.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "less than the period, which fits")]
    pub fn ping_offset(&self, c: ConnId) -> Span {
        let Some(pong) = &self.scenario.checks.pong else { return Span::ZERO };
        let all = u128::from(self.connections.max(1));
        Span::from_nanos((u128::from(pong.every.as_nanos()) * (u128::from(c.0) % all) / all) as u64)
    }

    /// The room of connection `c`, as an index; 0 for all when there are no rooms.
    #[must_use]
    pub fn room_of(&self, c: ConnId) -> u32 {
        self.division.room_of(c)
    }

    /// The name of connection `c`'s room: the value of `{room}`.
    #[must_use]
    pub fn room_name(&self, c: ConnId) -> &str {
        self.division.name(self.room_of(c))
    }

    /// Whether connection `c` is owed what publisher `p` publishes, when it is a member: it receives, is in the publisher's room,
    /// and is not the sender where senders are left out.
    #[must_use]
    pub fn is_owed(&self, p: PublisherId, c: ConnId) -> bool {
        let publisher = self.connection_of(p);
        let others = self.scenario.publish.as_ref().is_some_and(|p| p.audience == Audience::Others);
        self.room_of(publisher) == self.room_of(c) && !(others && publisher == c) && self.group_of(c).is_some_and(|(g, _)| g.receives)
    }

    /// How many connections publisher `p`'s publications are owed to when all are members.
    #[must_use]
    pub fn audience_of(&self, p: PublisherId) -> u64 {
        let publisher = self.connection_of(p);
        let others = self.scenario.publish.as_ref().is_some_and(|p| p.audience == Audience::Others);
        let itself = others && self.group_of(publisher).is_some_and(|(g, _)| g.receives);
        u64::from(self.division.receivers(self.room_of(publisher))) - u64::from(itself)
    }

    /// Copies owed for `n` consecutive publications from publication `from` on: they go round the publishers.
    pub(crate) fn copies_owed(&self, from: u64, n: u64) -> u64 {
        let publishers = u64::from(self.publishers);
        let upto = |p: u64, end: u64| (end + publishers - 1 - p) / publishers;
        (0..self.publishers)
            .map(|p| (upto(u64::from(p), from + n) - upto(u64::from(p), from)).saturating_mul(self.audience_of(PublisherId(p))))
            .sum()
    }

    /// The largest audience of any publisher: the fan-out.
    #[must_use]
    pub fn fan_out(&self) -> u64 {
        (0..self.publishers).map(|p| self.audience_of(PublisherId(p))).max().unwrap_or(0)
    }

    /// What makes two runs comparable: SHA-256 in hex of the resolved scenario, without addresses and whether certificates
    /// are believed. The seed is not part of it: runs with other seeds are samples of the same plan.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut scenario = Scenario::clone(&self.scenario);
        scenario.target = Target::BuiltIn;
        for group in &mut scenario.groups {
            group.insecure = false;
            group.connection.url = None;
        }
        if let Some(Via::Http(http)) = scenario.publish.as_mut().map(|p| &mut p.via) {
            http.url = Template::literal("http://target/");
        }
        Sha256::digest(scenario.to_toml()).iter().map(|b| format!("{b:02x}")).collect()
    }

    /// A strike by its place among all, and what it does; `None` when there is no such strike.
    #[must_use]
    pub fn strike(&self, nth: u32) -> Option<(&Strike, &Verb)> {
        let strike = self.strikes.as_slice().get(nth as usize)?;
        self.scenario.disrupt.get(usize::from(strike.disruption)).map(|disruption| (strike, &disruption.verb))
    }

    /// What the run needs: sockets, ports, descriptors, memory; and what it will do in numbers.
    #[must_use]
    pub fn budget(&self) -> Budget {
        Budget::of(self)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::scenario::parse;

    /// The plan of the scenario `text` with seed 1, for floors above that may not read scenarios.
    pub(crate) fn plan(text: &str) -> Plan {
        Plan::new(Arc::new(parse(text, "test.toml").unwrap_or_else(|e| panic!("{e}"))), Seed(1))
    }

    #[test]
    fn groups_connect_side_by_side() {
        let plan = plan("[[clients]]\ncount = 10\nconnect_rate = \"10/s\"\n[[clients]]\ncount = 3\nconnect_rate = \"1/s\"\n");
        assert_eq!(plan.connections, 13);
        assert_eq!(plan.connect_after(ConnId(9)), Span::from_millis(900));
        assert_eq!(plan.connect_after(ConnId(10)), Span::ZERO);
        assert_eq!(plan.connect_after(ConnId(12)), Span::from_secs(2));
        assert_eq!(plan.ramp(), Span::from_secs(2));
        assert_eq!(plan.group_of(ConnId(12)).map(|(g, n)| (g.name.as_str(), n)), Some(("clients-2", 2)));
        assert!(plan.group_of(ConnId(13)).is_none());
    }

    #[test]
    fn pings_are_spread_over_their_period() {
        let plan = plan("[clients]\ncount = 4\n[checks.pong]\nprotocol = true\nevery = \"1s\"\n");
        let offsets: Vec<_> = (0..4).map(|c| plan.ping_offset(ConnId(c)).as_nanos() / 1_000_000).collect();
        assert_eq!(offsets, [0, 250, 500, 750]);
    }

    #[test]
    fn sizes_follow_the_seed_and_stay_in_range() {
        let plan = plan("[clients]\ncount = 2\n[publish]\npace = \"1/s\"\nsize = { min = \"64B\", max = \"66B\" }\n");
        let sizes: Vec<_> = (0..100).map(|n| plan.payload_len(PublisherId(0), n)).collect();
        assert_eq!(sizes, (0..100).map(|n| plan.payload_len(PublisherId(0), n)).collect::<Vec<_>>());
        assert_eq!(sizes.iter().copied().collect::<HashSet<_>>(), HashSet::from([64, 65, 66]));
    }

    #[test]
    fn the_digest_ignores_the_address_and_the_seed_and_nothing_else() {
        let base = "[clients]\ncount = 2\n[publish]\npace = \"1/s\"\n";
        let digest = plan(base).digest();
        assert_eq!(digest.len(), 64);
        assert_eq!(digest, plan(&format!("{base}[target]\nurl = \"ws://a/\"\n")).digest());
        assert_eq!(digest, Plan::new(Arc::clone(&plan(base).scenario), Seed(2)).digest());
        for other in ["[clients]\ncount = 3\n[publish]\npace = \"1/s\"\n", "[clients]\ncount = 2\n[publish]\npace = \"2/s\"\n"] {
            assert_ne!(digest, plan(other).digest());
        }
    }

    #[test]
    fn each_connection_has_the_group_it_is_in() {
        let plan = plan("[[clients]]\ncount = 2\n[[clients]]\ncount = 3\n[[clients]]\ncount = 1\n");
        let groups: Vec<_> = (0..8).map(|c| plan.group_index(ConnId(c))).collect();
        assert_eq!(groups, [0, 0, 1, 1, 1, 2, 2, 2], "the last two are nobody's");
        for c in 0..6 {
            let (group, _) = plan.group_of(ConnId(c)).expect("of this plan");
            assert_eq!(group.name, plan.scenario.groups[plan.group_index(ConnId(c))].name);
        }
    }

    #[test]
    fn publishing_lasts_as_long_as_warm_up_and_steady_state() {
        let text = "[clients]\ncount = 2\n[publish]\npace = \"1/s\"\n[phases]\nwarm_up = \"2s\"\nsteady = \"5s\"\n";
        assert_eq!(plan(text).publishing(), Span::from_secs(7));
        assert!(!plan(text).timetable().is_empty() && plan("[clients]\ncount = 2\n").timetable().is_empty());
    }

    #[test]
    fn a_copy_is_owed_to_each_receiver_of_the_room_and_summed_as_one_would_by_hand() {
        let text = |audience: &str, receives: bool| {
            format!(
                "[[clients]]\ncount = 4\n[[clients]]\ncount = 3\nreceives = {receives}\n\
                 [publish]\npublishers = 3\npace = \"9/s\"\naudience = \"{audience}\"\n"
            )
        };
        for (audience, receives) in [("all", true), ("all", false), ("others", true), ("others", false)] {
            let plan = plan(&text(audience, receives));
            for p in (0..plan.publishers).map(PublisherId) {
                let owed: Vec<_> = (0..plan.connections + 1).filter(|c| plan.is_owed(p, ConnId(*c))).collect();
                let sender = plan.connection_of(p);
                let due: Vec<_> = (0..if receives { 7 } else { 4 }).filter(|c| audience == "all" || *c != sender.0).collect();
                assert_eq!(owed, due, "{audience} {receives} {p:?}");
                assert_eq!(plan.audience_of(p), due.len() as u64);
            }
            for from in 0..7 {
                for n in 0..8 {
                    let by_hand: u64 = (from..from + n).map(|i| plan.audience_of(PublisherId(u32::try_from(i % 3).expect("small")))).sum();
                    assert_eq!(plan.copies_owed(from, n), by_hand, "{n} from {from}");
                }
            }
        }
        assert_eq!(plan("[clients]\ncount = 2\n").copies_owed(0, 5), 0);
    }

    #[test]
    fn publishers_of_rooms_of_different_sizes_are_owed_for_in_their_turn() {
        let plan = plan("rooms = 3\n[clients]\ncount = 10\n[publish]\npublishers = 4\npace = \"1/s\"\n");
        let audiences = [4, 3, 3, 4];
        for from in 0..9 {
            for n in 0..9 {
                let by_hand: u64 = audiences.iter().cycle().skip(from).take(n).sum();
                assert_eq!(plan.copies_owed(from as u64, n as u64), by_hand, "{n} from {from}");
            }
        }
    }
}
