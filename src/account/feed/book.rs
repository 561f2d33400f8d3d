//! One shard's running books of a feed: its clients' copies as they come.

use super::super::books::Bounds;
use super::super::bottom::Sightings;
use super::super::copies::Copies;
use super::super::rows::Rows;
use super::cadence::Cadence;
use super::delays::Delays;
use super::log::{FeedRow, Part};
use super::matching::Rules;
use super::stream::{Place, Seen, Stream};
use super::{EDGE, Feed, MOST_ROWS};
use crate::base::{ConnId, Instant, Span};
use crate::plan::Plan;
use crate::scenario::model::key_name;

/// A broadcast is waited for at least so long before its books may retire.
const LEAST_HORIZON: Span = Span::from_secs(10);
/// … and at most so long, whatever the limits.
const MOST_HORIZON: Span = Span::from_secs(600);
/// Gaps kept over all clients of a shard: 8 bytes each.
const MOST_GAPS: usize = 1 << 20;
/// Late copies of a newcomer kept until it is known which shard saw them first.
const MOST_LATE: usize = 64;
/// Copies out of order kept until it is known in which order the majority saw them.
const MOST_DISORDERS: usize = 1 << 10;

/// One client's books.
#[derive(Debug, Clone)]
pub(super) struct Seat {
    pub(super) conn: ConnId,
    pub(super) room: usize,
    pub(super) ready: Instant,
    pub(super) left: Instant,
    pub(super) seen: Seen,
    /// Late copies of what came just after it joined: another shard may have had it before.
    pub(super) late: Vec<u32>,
    /// Gaps that found no room: missing for certain.
    pub(super) forgotten: u32,
    /// What retired broadcasts came to.
    pub(super) sums: SeatSums,
}

/// What was owed to a client, and came.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SeatSums {
    pub(super) owed: u64,
    pub(super) missing: u64,
    /// Contested, and came.
    pub(super) contested: u64,
    /// Contested, and did not.
    pub(super) absent: u64,
    /// Contested, and taken for late by what this shard alone had seen.
    pub(super) not_late: u64,
}

impl Seat {
    fn empty(conn: ConnId, room: usize) -> Self {
        let (ready, left) = (Instant::FAR, Instant::FAR);
        Self { conn, room, ready, left, seen: Seen::default(), late: Vec::new(), forgotten: 0, sums: SeatSums::default() }
    }

    /// From here on its copies count.
    pub(super) fn heard_from(&self) -> Instant {
        if self.ready == Instant::FAR { Instant::FAR } else { self.ready + EDGE }
    }

    /// What is first seen from here on is owed to it.
    pub(super) fn owed_from(&self) -> Instant {
        if self.ready == Instant::FAR { Instant::FAR } else { self.ready + EDGE + EDGE }
    }
}

/// What a shard remembers of a broadcast besides its row.
#[derive(Debug, Clone)]
pub(super) struct Extra {
    /// Who had it first.
    pub(super) first: ConnId,
    pub(super) delays: Delays,
    /// Copies beyond the limit, after this shard's first.
    pub(super) late: u32,
    /// Copies to members that had only just come: the row does not count them as receivers.
    pub(super) early: u32,
}

/// A copy that came behind a later one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Disorder {
    pub(super) room: usize,
    pub(super) number: u32,
    pub(super) at: Instant,
    pub(super) conn: ConnId,
}

/// One room's running books.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) stream: Stream,
    pub(super) extras: Vec<Extra>,
    pub(super) cadence: Option<Cadence>,
}

/// The books of one shard.
#[derive(Debug)]
pub(in crate::account) struct FeedBook {
    pub(super) shard: u32,
    pub(super) rules: Rules,
    pub(super) rooms: Vec<Room>,
    pub(super) seats: Vec<Seat>,
    /// Memberships that ended, of connections that opened again.
    pub(super) past: Vec<Seat>,
    pub(super) gaps: usize,
    /// Rows a room may keep.
    pub(super) room_for: usize,
    pub(super) disorders: Vec<Disorder>,
    /// Copies that came before or after their client's membership.
    pub(super) at_the_edge: u64,
    /// Copies of a key that comes but once.
    pub(super) again: u64,
    pub(super) again_sightings: Sightings,
    pub(super) late_sightings: Sightings,
    /// Where the drain began: what is first seen from here on is nobody's business.
    pub(super) cut: Instant,
    pub(super) sums: Feed,
    pub(super) retired: Retired,
}

/// What retired broadcasts came to, besides their clients' sums.
#[derive(Debug, Default)]
pub(super) struct Retired {
    pub(super) copies: Copies,
    pub(super) rows: Rows,
    pub(super) late: u64,
}

impl FeedBook {
    /// Empty books for the connections `conns` of shard `shard`; `None` for a plan without a feed.
    pub(in crate::account) fn new(plan: &Plan, shard: u32, within: Span, conns: impl Iterator<Item = ConnId>) -> Option<Box<Self>> {
        let feed = plan.scenario.feed.as_ref()?;
        let check = plan.scenario.checks.feed;
        let period = check.map_or(Span::ZERO, |check| check.every.times(8));
        let horizon = within.times(4).max(period).max(LEAST_HORIZON).min(MOST_HORIZON).max(within);
        let rooms = plan.division.rooms();
        let room = |_| Room {
            stream: Stream::new(feed.unique, horizon),
            extras: Vec::new(),
            cadence: check.filter(|_| shard == 0).map(Cadence::new),
        };
        // Clients that do not receive sit in no room.
        let hears = |conn| plan.group_of(conn).is_some_and(|(group, _)| group.receives);
        let room_of = |conn| if hears(conn) { plan.room_of(conn) as usize } else { usize::MAX };
        Some(Box::new(Self {
            shard,
            rules: Rules { unique: feed.unique, horizon, within },
            rooms: (0..rooms).map(room).collect(),
            seats: conns.map(|conn| Seat::empty(conn, room_of(conn))).collect(),
            past: Vec::new(),
            gaps: 0,
            room_for: (MOST_ROWS / rooms.max(1) as usize).max(64),
            disorders: Vec::new(),
            at_the_edge: 0,
            again: 0,
            again_sightings: Sightings::default(),
            late_sightings: Sightings::default(),
            cut: Instant::FAR,
            sums: Feed::default(),
            retired: Retired::default(),
        }))
    }

    /// The client in `slot` is a member.
    pub(in crate::account) fn ready(&mut self, part: &mut Part, slot: usize, at: Instant) {
        let Some(seat) = self.seats.get_mut(slot) else { return };
        let (Some(room), Some(rows)) = (self.rooms.get(seat.room), part.rooms.get_mut(seat.room)) else { return };
        seat.ready = at;
        seat.seen = Seen::starting(room.stream.count);
        rows.members += 1;
        rows.since = rows.since.min(seat.owed_from());
    }

    /// The client in `slot` is owed nothing from `at` on.
    pub(in crate::account) fn leave(&mut self, slot: usize, at: Instant) {
        if let Some(seat) = self.seats.get_mut(slot) {
            seat.left = seat.left.min(at);
        }
    }

    /// The connection in `slot` opened again.
    pub(in crate::account) fn reopen(&mut self, slot: usize) {
        let Some(seat) = self.seats.get_mut(slot) else { return };
        let fresh = Seat::empty(seat.conn, seat.room);
        let old = std::mem::replace(seat, fresh);
        if old.ready < Instant::FAR {
            self.past.push(old);
        }
    }

    /// Everything first seen from `at` on is nobody's business.
    pub(in crate::account) fn drains(&mut self, at: Instant) {
        self.cut = self.cut.min(at);
    }

    /// A broadcast came to the client in `slot`; gives whether it is counted.
    #[inline]
    pub(in crate::account) fn item(&mut self, part: &mut Part, slot: usize, at: Instant, key: u64) -> bool {
        let Some(seat) = self.seats.get_mut(slot) else { return false };
        let (Some(room), Some(rows)) = (self.rooms.get_mut(seat.room), part.rooms.get_mut(seat.room)) else { return false };
        let settled = at >= seat.heard_from() && seat.left == Instant::FAR;
        let before_cut = at < self.cut;
        if seat.ready == Instant::FAR || seat.left < Instant::FAR {
            self.at_the_edge += u64::from(before_cut);
            return before_cut;
        }
        let number = match room.stream.place(&seat.seen, key, at, &rows.rows, rows.retired) {
            Place::At(n) => n,
            Place::New { .. } | Place::Before if !settled => {
                self.at_the_edge += u64::from(before_cut);
                return before_cut;
            }
            Place::New { repeat, doubt } => {
                let n = room.stream.begin(key, at, &rows.rows, rows.retired);
                rows.rows.push(FeedRow::new(key, at, repeat, doubt));
                room.extras.push(Extra { first: seat.conn, delays: Delays::default(), late: 0, early: 0 });
                n
            }
            Place::Before => {
                self.at_the_edge += u64::from(before_cut);
                return before_cut;
            }
            Place::Again(n) => {
                let first = rows.rows[(n - rows.retired) as usize].first;
                if settled && first < self.cut {
                    self.again += 1;
                    self.retired.rows.at(at).faults += 1;
                    let what = || format!("{} arrived again, {} after its first receiver had it", key_name(key), at.since(first));
                    self.again_sightings.note(at, Some(seat.conn), None, what);
                } else {
                    self.at_the_edge += u64::from(before_cut);
                }
                return before_cut;
            }
        };
        let before = seat.seen.missing.len();
        let next = seat.seen.next;
        let behind = seat.seen.enter(number);
        self.gaps = (self.gaps + seat.seen.missing.len()).saturating_sub(before);
        if self.gaps > MOST_GAPS && number > next {
            seat.forgotten += number - next;
            for n in next..number {
                seat.seen.missing.remove(n);
            }
            self.gaps -= 1;
        }
        let index = (number - rows.retired) as usize;
        if settled {
            self.count(slot, index, number, at, behind, part);
        } else {
            room.extras[index].early += 1;
        }
        if part.rooms[self.seats[slot].room].rows.len() > self.room_for {
            self.retire(part, self.seats[slot].room);
        }
        before_cut
    }

    /// A copy that counts.
    #[inline]
    fn count(&mut self, slot: usize, index: usize, number: u32, at: Instant, behind: bool, part: &mut Part) {
        let seat = &mut self.seats[slot];
        let (row, extra) = (&mut part.rooms[seat.room].rows[index], &mut self.rooms[seat.room].extras[index]);
        row.receivers += 1;
        row.behind += u32::from(behind);
        let delay = at.since(row.first);
        // A newcomer may be given old ones: they are nobody's lateness.
        let owed = row.first >= seat.owed_from();
        if owed {
            extra.delays.record(delay);
        }
        if owed && delay > self.rules.within {
            extra.late += 1;
            if row.first < seat.owed_from() + self.rules.within && seat.late.len() < MOST_LATE {
                seat.late.push(number);
            }
            if row.first < self.cut {
                let what = || format!("{} arrived {delay} after its first receiver had it", key_name(row.key));
                self.late_sightings.note(at, Some(seat.conn), None, what);
            }
        }
        if behind && self.disorders.len() < MOST_DISORDERS {
            self.disorders.push(Disorder { room: seat.room, number, at, conn: seat.conn });
        }
    }

    /// Bounds that were reached.
    pub(super) fn bounds(&self, bounds: &mut Bounds) {
        let forgotten = self.seats.iter().chain(&self.past).map(|seat| u64::from(seat.forgotten)).sum::<u64>();
        bounds.holes_forgotten += forgotten;
    }
}

#[cfg(test)]
impl super::super::Ledger {
    /// Gives every room of the feed so many rows before its older half retires.
    pub(in crate::account) fn feed_room(&mut self, rows: usize) {
        if let Some(feed) = &mut self.feed {
            feed.room_for = rows;
        }
    }

    /// Leaves all clients of the feed together room for so many gaps, until something retires.
    pub(in crate::account) fn feed_gaps_left(&mut self, left: usize) {
        if let Some(feed) = &mut self.feed {
            feed.gaps = MOST_GAPS - left;
        }
    }

    /// The gaps that the clients of the feed take room for.
    pub(in crate::account) fn feed_gaps(&self) -> usize {
        self.feed.as_ref().map_or(0, |feed| feed.gaps)
    }
}
