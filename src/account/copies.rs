//! Copies as they arrive: the hot path. Which pair, which place in its window, in time or not, intact or not.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::bottom::Sightings;
use super::window::{Arrival, Gaps, Window};
use crate::base::{ConnId, Instant, PublisherId, Seq};
use crate::event::{Copy, Flaws, StrayKind};

/// Ranges kept beside the windows, over all pairs of a shard: 8 bytes each.
const MOST_RANGES: usize = 1 << 20;

/// Sequence numbers from here on cannot be: at a million publications a second a publisher needs half an hour to get there.
const ABSURD: u32 = 1 << 31;

/// What the copies of a shard, or of the whole run, came to.
///
/// `owed = on_time + late + missing` and `received = on_time + late + contested_received + duplicate + stray_copies`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copies {
    /// Owed: membership was confirmed before the publication was sent and outlived its deadline.
    pub owed: u64,
    /// Owed and arrived within the limit.
    pub on_time: u64,
    /// Owed and arrived beyond the limit.
    pub late: u64,
    /// Of the late, those that would have been on time had they been sent on time.
    pub late_by_us: u64,
    /// Owed and never arrived.
    pub missing: u64,
    /// Of the missing, those for which the same client received a frame whose stamp was beyond reading.
    pub missing_unreadable: u64,
    /// Neither owed nor wrong.
    pub contested: u64,
    /// Of those, the ones that arrived.
    pub contested_received: u64,
    /// Of the contested, copies of publications that the server rejected.
    pub contested_rejected: u64,
    /// Of the contested, copies that overlap a disruption the plan made itself.
    pub contested_planned: u64,
    /// Of the missing, those whose publication's planned instant is no longer kept: in no row of the timeline.
    pub missing_unplaced: u64,
    /// Second and further arrivals.
    pub duplicate: u64,
    /// First arrivals behind a later publication of the same publisher.
    pub out_of_order: u64,
    /// First arrivals behind one that another client of the same shard saw later.
    pub out_of_total_order: u64,
    /// Copies that came with any flaw.
    pub damaged: u64,
    /// By flaw: `opcode`, `length`, `bytes`; a copy may have several.
    pub flaws: BTreeMap<String, u64>,
    /// Of the copies whose opcode changed, those sent as text.
    pub text_became_binary: u64,
    /// Frames by why they are stray.
    pub stray: BTreeMap<StrayKind, u64>,
    /// All copies with a readable stamp of this run.
    pub received: u64,
    /// Stray ones among them.
    pub stray_copies: u64,
    /// Clients with something missing.
    pub missing_clients: u64,
    /// Of those, the ones that received no copy at all.
    pub deaf_clients: u64,
    /// Clients that were owed anything.
    pub owed_clients: u64,
    /// The clients that missed most, up to eight: (missing, client), most first.
    pub most_missing: Vec<(u64, ConnId)>,
    /// Witnesses.
    pub late_sightings: Sightings,
    /// See above.
    pub missing_sightings: Sightings,
    /// See above.
    pub duplicate_sightings: Sightings,
    /// See above.
    pub order_sightings: Sightings,
    /// See above.
    pub total_order_sightings: Sightings,
    /// See above.
    pub damage_sightings: Sightings,
    /// See above.
    pub stray_sightings: Sightings,
}

impl Copies {
    /// Clients that missed most, kept at eight.
    pub(super) fn note_missing(&mut self, missing: u64, conn: ConnId) {
        let place = self.most_missing.partition_point(|&(n, c)| n > missing || (n == missing && c < conn));
        if place < super::bottom::WITNESSES {
            self.most_missing.insert(place, (missing, conn));
            self.most_missing.truncate(super::bottom::WITNESSES);
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.owed += other.owed;
        self.on_time += other.on_time;
        self.late += other.late;
        self.late_by_us += other.late_by_us;
        self.missing += other.missing;
        self.missing_unreadable += other.missing_unreadable;
        self.contested += other.contested;
        self.contested_received += other.contested_received;
        self.contested_rejected += other.contested_rejected;
        self.contested_planned += other.contested_planned;
        self.missing_unplaced += other.missing_unplaced;
        self.duplicate += other.duplicate;
        self.out_of_order += other.out_of_order;
        self.out_of_total_order += other.out_of_total_order;
        self.damaged += other.damaged;
        for (flaw, n) in other.flaws {
            *self.flaws.entry(flaw).or_default() += n;
        }
        self.text_became_binary += other.text_became_binary;
        for (kind, n) in other.stray {
            *self.stray.entry(kind).or_default() += n;
        }
        self.received += other.received;
        self.stray_copies += other.stray_copies;
        self.missing_clients += other.missing_clients;
        self.deaf_clients += other.deaf_clients;
        self.owed_clients += other.owed_clients;
        for (missing, conn) in other.most_missing {
            self.note_missing(missing, conn);
        }
        self.late_sightings.merge(other.late_sightings);
        self.missing_sightings.merge(other.missing_sightings);
        self.duplicate_sightings.merge(other.duplicate_sightings);
        self.order_sightings.merge(other.order_sightings);
        self.total_order_sightings.merge(other.total_order_sightings);
        self.damage_sightings.merge(other.damage_sightings);
        self.stray_sightings.merge(other.stray_sightings);
    }

    /// Whether the sums in the type's description hold. They always do; when they do not, the books have a bug.
    #[must_use]
    pub const fn balance(&self) -> bool {
        self.owed == self.on_time + self.late + self.missing
            && self.received == self.on_time + self.late + self.contested_received + self.duplicate + self.stray_copies
            && self.late_by_us <= self.late
            && self.contested_received <= self.contested
            && self.contested_rejected <= self.contested
            && self.contested_planned <= self.contested
            && self.missing_unplaced <= self.missing
            && self.missing_unreadable <= self.missing
    }

    /// Frames of one stray kind.
    #[must_use]
    pub fn stray_of(&self, kind: StrayKind) -> u64 {
        self.stray.get(&kind).copied().unwrap_or(0)
    }
}

/// One connection's books of copies.
#[derive(Debug)]
pub(super) struct Seat {
    /// Copies sent from here on are owed; [`Instant::FAR`] before membership.
    pub(super) owed_from: Instant,
    /// First arrivals of copies sent since then.
    pub(super) taken: u64,
    /// One per publisher, while the client is there; empty until it is a member or a copy comes, and after it left.
    pub(super) windows: Vec<Window>,
    /// The publisher whose copies must not come back here, or `u32::MAX`.
    pub(super) own: u32,
    /// Frames whose stamp was beyond reading.
    pub(super) unreadable: u32,
    /// The highest rank seen, for total order.
    top_rank: u64,
    /// The windows after leave was taken: what still comes changes nothing.
    pub(super) closed: Option<Vec<Window>>,
    /// What the windows could not hold.
    pub(super) gaps: BTreeMap<u32, Gaps>,
}

impl Seat {
    pub(super) const fn new(own: u32) -> Self {
        Self {
            owed_from: Instant::FAR,
            taken: 0,
            windows: Vec::new(),
            own,
            unreadable: 0,
            top_rank: 0,
            closed: None,
            gaps: BTreeMap::new(),
        }
    }

    /// The client left: its books are closed.
    pub(super) fn leave(&mut self) {
        if self.closed.is_none() {
            self.closed = Some(std::mem::take(&mut self.windows));
        }
    }

    /// Gives the windows their room, if the client is still there.
    pub(super) fn sit(&mut self, publishers: u32) {
        if self.closed.is_none() && self.windows.is_empty() {
            self.windows = vec![Window::default(); publishers as usize];
        }
    }

    /// The rank of a first arrival; gives whether it is behind a higher one.
    pub(super) const fn behind_rank(&mut self, rank: u64) -> bool {
        if rank < self.top_rank {
            return true;
        }
        self.top_rank = rank;
        false
    }
}

/// Room for ranges beside the windows, shared by all pairs of a shard.
#[derive(Debug)]
pub(super) struct RangeRoom {
    used: usize,
    pub(super) limit: usize,
    /// Holes that found no room.
    pub(super) holes_forgotten: u64,
    /// Early arrivals that found no room.
    pub(super) early_forgotten: u64,
}

impl Default for RangeRoom {
    fn default() -> Self {
        Self { used: 0, limit: MOST_RANGES, holes_forgotten: 0, early_forgotten: 0 }
    }
}

/// What a copy's sequence number means to its pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// First arrival in its place.
    First,
    /// First arrival, behind a later one; the highest seen is given.
    Behind(u32),
    /// Seen before.
    Again,
    /// A first arrival that could not be kept for lack of room.
    Unkept,
    /// A number no publisher ever comes to: forged.
    Absurd,
}

impl Seat {
    /// Everything but the straight road: enters `seq` in the window and the gaps.
    #[cold]
    pub(super) fn enter(&mut self, publisher: u32, seq: u32, room: &mut RangeRoom) -> Place {
        if seq >= ABSURD {
            return Place::Absurd;
        }
        let window = &mut self.windows[publisher as usize];
        let highest = window.next.wrapping_sub(1);
        let gaps = &mut self.gaps;
        let arrival = window.arrive(seq, |from, to| {
            let gaps = gaps.entry(publisher).or_default();
            let before = gaps.len();
            if room.used < room.limit {
                gaps.holes.insert(from, to);
                room.used = room.used + gaps.len() - before;
            } else {
                gaps.forgotten += to - from;
                room.holes_forgotten += u64::from(to - from);
            }
        });
        match arrival {
            Arrival::Ahead => Place::First,
            Arrival::Behind => Place::Behind(highest),
            Arrival::Again => Place::Again,
            Arrival::Below => self.below(publisher, seq, highest, room),
        }
    }

    fn below(&mut self, publisher: u32, seq: u32, highest: u32, room: &mut RangeRoom) -> Place {
        let first = self.windows[publisher as usize].first;
        let gaps = self.gaps.entry(publisher).or_default();
        let before = gaps.len();
        let place = if seq >= first {
            if gaps.holes.remove(seq) { Place::Behind(highest) } else { Place::Again }
        } else if gaps.early.contains(seq) {
            Place::Again
        } else if room.used < room.limit {
            gaps.early.insert(seq, seq + 1);
            Place::Behind(highest)
        } else {
            room.early_forgotten += 1;
            Place::Unkept
        };
        room.used = room.used + gaps.len() - before;
        place
    }
}

/// The parts of a flaw set by name.
pub(super) fn flaw_names(flaws: Flaws) -> impl Iterator<Item = &'static str> {
    [(Flaws::OPCODE, "opcode"), (Flaws::LENGTH, "length"), (Flaws::BYTES, "bytes")]
        .into_iter()
        .filter(move |(flaw, _)| flaws.has(*flaw))
        .map(|(_, name)| name)
}

/// Publication of a copy, as witnesses name it.
pub(super) const fn publication(copy: &Copy) -> Option<(PublisherId, Seq)> {
    Some((copy.publisher, copy.seq))
}
