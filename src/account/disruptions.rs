//! Disruptions: whom a planned strike hit, and what became of them. What the strike overlaps is counted apart from what the server's
//! own doing overlaps.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::bottom::{Sightings, shown};
use super::isolation::Isolation;
use super::ledger::Ledger;
use super::tally::Tally;
use crate::base::{ConnId, Instant, PublisherId, Seq, Span};
use crate::event::{Closure, Copy, Phase};
use crate::plan::Strike;
use crate::scenario::model::Verb;

/// What the disruptions of a shard, or of the whole run, came to; by place in the scenario.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disruptions {
    each: BTreeMap<u16, Disrupted>,
    /// The others.
    pub isolation: Isolation,
    /// What was published while clients were away.
    pub resume: Gap,
}

/// Publications sent while clients were away that were owed to them but for that: copies, counted by client.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Clients that came back.
    pub returns: u64,
    /// Copies sent between the end of the old connection and the new membership.
    pub sent: u64,
    /// Of those, the ones that came on the new connection.
    pub replayed: u64,
    /// Of those sent, the ones sent while the new connection was being made: to the server it may have been a member already.
    pub returning: u64,
    /// Of these, the ones that came.
    pub returning_came: u64,
    /// The ones that did not.
    pub lost_sightings: Sightings,
    /// The ones that did, but for those sent on the return.
    pub replayed_sightings: Sightings,
}

impl Gap {
    fn merge(&mut self, other: Self) {
        self.returns += other.returns;
        self.sent += other.sent;
        self.replayed += other.replayed;
        self.returning += other.returning;
        self.returning_came += other.returning_came;
        self.lost_sightings.merge(other.lost_sightings);
        self.replayed_sightings.merge(other.replayed_sightings);
    }
}

/// What one of the scenario's disruptions came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disrupted {
    /// Clients struck; each time counts.
    pub struck: u64,
    /// Planned return → member again, of those who came back.
    pub back: Tally,
    /// Of those, the ones that took longer than allowed.
    pub late_back: u64,
    /// Did not come back within the limit, nor later.
    pub never_back: u64,
    /// Were not back, or not noticed, when the run was cut short, and still had time.
    pub undecided: u64,
    /// How the server ended the connections of clients that fell silent or broke the protocol, by close code; `none` without one.
    pub ended: BTreeMap<String, u64>,
    /// Silence → end of the connection.
    pub noticed: Tally,
    /// Of those, the ones that took longer than allowed.
    pub late_noticed: u64,
    /// Of those in time, the ones with another code than asked for.
    pub wrong_code: u64,
    /// Connections that the server had not ended when their time was over.
    pub unnoticed: u64,
    /// Of which that cannot be told: more came than a silent client takes, so what stood behind was not seen.
    pub blind: u64,
    /// Copies for clients that had left.
    pub strays: u64,
    /// Commands that ended, and how long the longest took.
    pub hooks: u64,
    /// See above.
    pub hook_longest: Span,
    /// Why a command failed, if one did; of several reasons the least.
    pub hook_failed: Option<String>,
    /// What went wrong: late or never back, late or never noticed.
    pub sightings: Sightings,
    /// Copies for clients that had left.
    pub stray_sightings: Sightings,
}

impl Disrupted {
    fn merge(&mut self, other: Self) {
        for (code, n) in other.ended {
            *self.ended.entry(code).or_default() += n;
        }
        self.noticed.merge(&other.noticed);
        self.late_noticed += other.late_noticed;
        self.wrong_code += other.wrong_code;
        self.unnoticed += other.unnoticed;
        self.blind += other.blind;
        self.strays += other.strays;
        self.hooks += other.hooks;
        self.hook_longest = self.hook_longest.max(other.hook_longest);
        self.hook_failed = [self.hook_failed.take(), other.hook_failed].into_iter().flatten().min();
        self.stray_sightings.merge(other.stray_sightings);
        self.struck += other.struck;
        self.back.merge(&other.back);
        self.late_back += other.late_back;
        self.never_back += other.never_back;
        self.undecided += other.undecided;
        self.sightings.merge(other.sightings);
    }
}

impl Disruptions {
    /// What a disruption came to; `None` when it struck nobody.
    #[must_use]
    pub fn of(&self, disruption: usize) -> Option<&Disrupted> {
        self.each.get(&u16::try_from(disruption).ok()?)
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.isolation.merge(other.isolation);
        self.resume.merge(other.resume);
        for (disruption, sums) in other.each {
            self.each.entry(disruption).or_default().merge(sums);
        }
    }
}

/// The fold of one shard.
#[derive(Debug, Default)]
pub(super) struct DisruptionBook {
    /// Who is away and to come back, by place: the strike that sent it away.
    away: BTreeMap<usize, u32>,
    /// Who answers nothing and waits to be noticed, by place: the strike, and since when.
    silent: BTreeMap<usize, (u32, Instant)>,
    /// Who took its leave, by place: the strike, and since when.
    gone: BTreeMap<usize, (u32, Instant)>,
    sums: Disruptions,
}

impl DisruptionBook {
    /// The client is there again: what comes from here on comes to it as a member.
    pub(super) fn reopened(&mut self, slot: usize) {
        self.gone.remove(&slot);
        self.silent.remove(&slot);
    }
}

impl Ledger {
    /// A strike hits a client. One the plan does not know (a forged journal) is nothing.
    pub(super) fn struck(&mut self, slot: usize, at: Instant, strike: u32) {
        let plan = self.plan.clone();
        let Some((known, verb)) = plan.strike(strike) else { return };
        self.lives.lives[slot].planned = true;
        self.disrupted.sums.each.entry(known.disruption).or_default().struck += 1;
        if verb.back_off().is_some() {
            self.disrupted.away.insert(slot, strike);
        }
        if matches!(verb, Verb::HalfOpen { .. } | Verb::Malformed { .. }) {
            self.disrupted.silent.insert(slot, (strike, at));
        }
        if verb.says_goodbye() {
            self.disrupted.gone.insert(slot, (strike, at));
        }
    }

    /// The server, or the network, ends the connection of a client that fell silent.
    pub(super) fn noticed(&mut self, slot: usize, conn: ConnId, at: Instant, closure: Closure) {
        let Some((strike, since)) = self.disrupted.silent.remove(&slot) else { return };
        let plan = self.plan.clone();
        let Some((known, verb)) = plan.strike(strike) else { return };
        let sums = self.disrupted.sums.each.entry(known.disruption).or_default();
        let code = closure.code.map_or_else(|| "none".to_owned(), |code| code.to_string());
        *sums.ended.entry(code.clone()).or_default() += 1;
        if !matches!(verb, Verb::HalfOpen { .. }) {
            return;
        }
        let took = at.since(since);
        sums.noticed.record(took.as_nanos());
        let Some(asked) = plan.scenario.checks.disruption.dead_peer else { return };
        if took > asked.within {
            sums.late_noticed += 1;
            sums.sightings.note(at, Some(conn), None, || format!("noticed only {took} after it fell silent, code {code}"));
        } else if asked.code.is_some() && asked.code != closure.code {
            sums.wrong_code += 1;
            sums.sightings.note(at, Some(conn), None, || format!("closed {took} after it fell silent, but with code {code}"));
        }
    }

    /// What a strike did is over; who is still silent was not noticed.
    pub(super) fn restored(&mut self, slot: usize, conn: ConnId, at: Instant, blind: bool) {
        let Some((strike, since)) = self.disrupted.silent.remove(&slot) else { return };
        let plan = self.plan.clone();
        let Some((known, _)) = plan.strike(strike) else { return };
        let sums = self.disrupted.sums.each.entry(known.disruption).or_default();
        sums.unnoticed += 1;
        sums.blind += u64::from(blind);
        if !blind {
            let after = at.since(since);
            sums.sightings.note(at, Some(conn), None, || format!("still connected {after} after it fell silent"));
        }
    }

    /// A copy arrives at a client that has left; it is stray when its publication was sent longer after the Close than allowed.
    pub(super) fn after_leave(&mut self, copy: &Copy) {
        let Some(&(strike, since)) = self.disrupted.gone.get(&self.slots.of(copy.conn)) else { return };
        let plan = self.plan.clone();
        let Some(asked) = plan.scenario.checks.disruption.stray_after_leave else { return };
        if copy.sent > since + asked.within {
            let after = copy.sent.since(since);
            self.stray_after_leave(strike, copy.conn, copy.received, (copy.publisher, copy.seq), || {
                format!("sent {after} after its Close")
            });
        }
    }

    /// A copy behind the server's Close frame.
    pub(super) fn after_close(&mut self, slot: usize, conn: ConnId, at: Instant, publication: (PublisherId, Seq)) {
        if let Some(&(strike, _)) = self.disrupted.gone.get(&slot) {
            self.stray_after_leave(strike, conn, at, publication, || "behind the server's own Close frame".into());
        }
    }

    fn stray_after_leave(
        &mut self,
        strike: u32,
        conn: ConnId,
        at: Instant,
        publication: (PublisherId, Seq),
        what: impl FnOnce() -> String,
    ) {
        let plan = self.plan.clone();
        let Some((known, _)) = plan.strike(strike) else { return };
        let sums = self.disrupted.sums.each.entry(known.disruption).or_default();
        sums.strays += 1;
        sums.stray_sightings.note(at, Some(conn), Some(publication), what);
    }

    /// A client is a member again.
    pub(super) fn back(&mut self, slot: usize, conn: ConnId, at: Instant) {
        let Some(strike) = self.disrupted.away.remove(&slot) else { return };
        let plan = self.plan.clone();
        let Some((known, _)) = plan.strike(strike) else { return };
        let took = at.since(self.due_back(known));
        let sums = self.disrupted.sums.each.entry(known.disruption).or_default();
        sums.back.record(took.as_nanos());
        if plan.scenario.checks.disruption.recovery.is_some_and(|check| took > check.within) {
            sums.late_back += 1;
            sums.sightings.note(at, Some(conn), None, || format!("back {took} after it was to come back"));
        }
    }

    /// When the clients of a strike are to come back.
    fn due_back(&self, strike: &Strike) -> Instant {
        let began = self.phases.get(&Phase::WarmUp).copied().unwrap_or(Instant::EPOCH);
        let verb = self.plan.scenario.disrupt.get(usize::from(strike.disruption)).map(|d| &d.verb);
        began + strike.at + verb.map_or(Span::ZERO, Verb::away)
    }

    /// The command of a strike ended.
    pub(super) fn hook(&mut self, strike: u32, took: Span, failed: Option<&str>) {
        let plan = self.plan.clone();
        let Some((known, _)) = plan.strike(strike) else { return };
        let sums = self.disrupted.sums.each.entry(known.disruption).or_default();
        sums.hooks += 1;
        sums.hook_longest = sums.hook_longest.max(took);
        sums.hook_failed = [sums.hook_failed.take(), failed.map(|why| shown(why.as_bytes()))].into_iter().flatten().min();
    }

    /// Closes the books of disruptions: who is still away at `end`.
    pub(super) fn settle_disruptions(&mut self, end: Instant) -> Disruptions {
        let plan = self.plan.clone();
        let within = plan.scenario.checks.disruption.recovery.map_or(Span::ZERO, |check| check.within);
        for (slot, strike) in std::mem::take(&mut self.disrupted.away) {
            let Some((known, _)) = plan.strike(strike) else { continue };
            let due = self.due_back(known);
            let conn = self.slots.conn(slot);
            let sums = self.disrupted.sums.each.entry(known.disruption).or_default();
            if self.interrupted.is_some() && end < due + within {
                sums.undecided += 1;
                continue;
            }
            sums.never_back += 1;
            sums.sightings.note(due, Some(conn), None, || "was to come back from here on, and never did".into());
        }
        // Who was still silent when a run was cut short had time left.
        for (strike, _) in std::mem::take(&mut self.disrupted.silent).into_values() {
            if let Some((known, _)) = plan.strike(strike) {
                self.disrupted.sums.each.entry(known.disruption).or_default().undecided += 1;
            }
        }
        std::mem::take(&mut self.disrupted.sums)
    }
}
