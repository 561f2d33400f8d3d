//! The naive books: every copy kept, everything looked up.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::super::history::History;
use crate::base::{Instant, Span};
use crate::event::{Copy, Event, Flaws, Phase, StrayKind};
use crate::scenario::model::Audience;

/// What the oracle counts, in the words of `Copies`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Truth {
    pub(super) owed: u64,
    pub(super) on_time: u64,
    pub(super) late: u64,
    pub(super) late_by_us: u64,
    pub(super) missing: u64,
    pub(super) contested: u64,
    pub(super) contested_received: u64,
    pub(super) duplicate: u64,
    pub(super) out_of_order: u64,
    pub(super) damaged: u64,
    pub(super) received: u64,
    pub(super) stray_copies: u64,
    pub(super) missing_clients: u64,
    /// Copies sent to clients that are still there and have not come.
    pub(super) outstanding: u64,
    pub(super) missing_copies: BTreeSet<(Instant, u32, u32, u32)>,
}

#[derive(Debug, Clone, Copy)]
struct Member {
    opened: Instant,
    ready: Instant,
    left: Instant,
}

struct Run {
    within: Span,
    others: bool,
    members: BTreeMap<u32, Member>,
    sent: BTreeMap<(u32, u32), (Instant, Instant)>,
    rejected: BTreeSet<(u32, u32)>,
    cut: Instant,
}

fn read(history: &History) -> Run {
    let scenario = &history.plan.scenario;
    let mut run = Run {
        within: scenario.checks.delivery.expect("asked").within,
        others: scenario.publish.as_ref().is_some_and(|p| p.audience == Audience::Others),
        members: BTreeMap::new(),
        sent: BTreeMap::new(),
        rejected: BTreeSet::new(),
        cut: Instant::FAR,
    };
    let (mut close, mut interrupted) = (Instant::FAR, false);
    for event in &history.events {
        match *event {
            Event::Phase { phase: Phase::Close, at } => close = at,
            Event::Interrupted { .. } => interrupted = true,
            Event::Opened { conn, at, .. } => {
                run.members.insert(conn.0, Member { opened: at, ready: Instant::FAR, left: Instant::FAR });
            }
            Event::Ready { conn, at } => run.members.get_mut(&conn.0).expect("opened").ready = at,
            Event::Leaving { conn, at } | Event::Closed { conn, at, .. } if at < close => {
                let left = &mut run.members.get_mut(&conn.0).expect("opened").left;
                *left = at.min(*left);
            }
            Event::Answered { publisher, seq, status, .. } if status / 100 != 2 => {
                run.rejected.insert((publisher.0, seq.0));
            }
            Event::Sent { publisher, seq, planned, sent, .. } => {
                run.sent.insert((publisher.0, seq.0), (planned, sent));
            }
            _ => {}
        }
    }
    if interrupted {
        run.cut = close.min(history.end);
    }
    run
}

/// Whether a copy was owed; `None` where it is contested.
fn fate(run: &Run, client: u32, publication: (u32, u32)) -> Option<bool> {
    let Some(member) = run.members.get(&client) else { return Some(false) };
    let (planned, sent) = run.sent[&publication];
    let end = member.left.min(run.cut);
    if member.ready == Instant::FAR || sent < member.opened || sent >= end {
        return Some(false);
    }
    let outlived = end == Instant::FAR || planned + run.within <= end;
    (sent >= member.ready && outlived && !run.rejected.contains(&publication)).then_some(true)
}

/// Keeps every copy and looks everything up.
pub(super) fn judge(history: &History) -> Truth {
    let run = read(history);
    let mut truth = Truth::default();
    let mut seen: HashMap<(u32, u32, u32), ()> = HashMap::new();
    let mut highest: HashMap<(u32, u32), u32> = HashMap::new();
    for event in &history.events {
        match *event {
            Event::Copy(copy) => arrive(&run, &mut truth, &mut seen, &mut highest, &copy),
            Event::Stray { kind: StrayKind::Echo | StrayKind::OtherRoom | StrayKind::Unknown, .. } => {
                truth.received += 1;
                truth.stray_copies += 1;
            }
            _ => {}
        }
    }
    let mut lacking = BTreeSet::new();
    for &client in run.members.keys() {
        for &publication @ (publisher, seq) in run.sent.keys() {
            if run.others && publisher == client {
                continue;
            }
            let came = seen.contains_key(&(client, publisher, seq));
            let still_there = run.members[&client].left == Instant::FAR;
            match fate(&run, client, publication) {
                Some(true) => {
                    truth.owed += 1;
                    if !came {
                        truth.missing += 1;
                        lacking.insert(client);
                        truth.missing_copies.insert((run.sent[&publication].1, client, publisher, seq));
                        truth.outstanding += u64::from(still_there);
                    }
                }
                None if !came => truth.contested += 1,
                _ => {}
            }
        }
    }
    truth.missing_clients = lacking.len() as u64;
    truth.contested += truth.contested_received;
    truth
}

fn arrive(run: &Run, truth: &mut Truth, seen: &mut HashMap<(u32, u32, u32), ()>, highest: &mut HashMap<(u32, u32), u32>, copy: &Copy) {
    let (client, publisher, seq) = (copy.conn.0, copy.publisher.0, copy.seq.0);
    truth.received += 1;
    if run.others && publisher == client {
        truth.stray_copies += 1;
        return;
    }
    let member = run.members.get(&client).copied();
    truth.damaged += u64::from(copy.flaws != Flaws::NONE);
    if member.is_some_and(|m| copy.received >= m.left) || copy.received >= run.cut {
        truth.contested_received += 1;
        return;
    }
    if seen.insert((client, publisher, seq), ()).is_some() {
        truth.duplicate += 1;
        return;
    }
    let top = highest.entry((client, publisher)).or_insert(seq);
    let behind = seq < *top;
    *top = seq.max(*top);
    let was_ready = member.is_some_and(|m| m.ready <= copy.sent);
    truth.out_of_order += u64::from(behind && was_ready);
    if fate(run, client, (publisher, seq)) != Some(true) {
        truth.contested_received += 1;
    } else if copy.received - copy.planned > run.within {
        truth.late += 1;
        truth.late_by_us += u64::from(copy.received - copy.sent <= run.within);
    } else {
        truth.on_time += 1;
    }
}
