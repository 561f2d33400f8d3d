//! When each publication was sent, in bounded room. A shard writes what its own publishers sent; merged over all shards the
//! log says which publications a client that joined late or left early was owed. A client that was there from the first
//! publication to the last needs no look-up at all.

use serde::{Deserialize, Serialize};

use super::feed::FeedLog;
use super::ranges::Ranges;
use super::room;
use super::share::Share;
use crate::base::{Instant, PublisherId, Seq, Span};
use crate::plan::Plan;

/// Entries kept over all publishers before older ones are thinned: 16 MiB at 16 bytes each.
const ENTRIES: usize = 1 << 20;

/// Entries every publisher may keep however many there are.
const LEAST_ENTRIES: usize = 64;

/// The sent (and planned) instants of every publication.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendLog {
    publishers: Vec<Sent>,
    /// Entries a publisher may keep.
    room: usize,
    /// What the server broadcast by itself, as the shards saw it; empty in a run without a feed.
    pub(super) feed: FeedLog,
}

/// One publisher's part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Sent {
    /// False until the shard that drives this publisher has spoken: nothing is known of it.
    known: bool,
    count: u32,
    /// Every `stride`-th publication, from 0, up to where `latest` begins.
    older: Vec<(Instant, Instant)>,
    stride: u32,
    /// The latest publications without gap; the last is number `count` − 1. (planned, sent)
    latest: Vec<(Instant, Instant)>,
    /// Publications that the server rejected: owed to nobody. Where there is no room for them one by one, accepted ones that lie
    /// between them are taken in and judged as little.
    rejected: Ranges,
    /// How many were rejected.
    rejections: u32,
}

/// Where a boundary lies in a sequence: between `from` and `to`; equal unless the log was thinned there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Boundary {
    pub(super) from: u32,
    pub(super) to: u32,
}

impl Boundary {
    pub(super) const fn exact(at: u32) -> Self {
        Self { from: at, to: at }
    }

    pub(super) fn max(self, floor: Self) -> Self {
        Self { from: self.from.max(floor.from), to: self.to.max(floor.to) }
    }
}

impl SendLog {
    /// An empty log in which the publishers of `share` are known to have sent nothing. The room that the plan needs for them is
    /// taken now, so that a long run does not grow with what it sends.
    #[must_use]
    pub fn new(plan: &Plan, share: Share) -> Self {
        let mut log = Self::blank(plan, share);
        // One more than is planned or kept: an entry is added before others leave.
        let (entries, most) = (plan.publications_each().saturating_add(1), log.room + 1);
        let own = log.publishers.iter_mut().filter(|sent| sent.known);
        own.for_each(|sent| room::take(&mut sent.latest, entries, most, (Instant::FAR, Instant::FAR)));
        log
    }

    fn blank(plan: &Plan, share: Share) -> Self {
        let room = (ENTRIES / (plan.publishers.max(1) as usize)).max(LEAST_ENTRIES);
        let publishers = (0..plan.publishers)
            .map(|p| Sent { known: share.owns(plan.connection_of(PublisherId(p))), stride: 1, ..Sent::default() })
            .collect();
        let rooms = plan.scenario.feed.as_ref().map(|_| plan.division.rooms());
        let feed = rooms.map_or_else(FeedLog::default, |rooms| FeedLog::new(share.index, rooms));
        Self { publishers, room, feed }
    }

    /// The same with room for so many entries a publisher.
    #[cfg(test)]
    pub(super) fn with_room(mut self, room: usize) -> Self {
        self.room = room;
        self
    }

    /// A log that knows nothing yet, to merge others into.
    #[must_use]
    pub fn empty(plan: &Plan) -> Self {
        let mut log = Self::blank(plan, Share::WHOLE);
        log.publishers.iter_mut().for_each(|sent| sent.known = false);
        log.feed = FeedLog::default();
        log
    }

    /// Notes one publication.
    pub(super) fn push(&mut self, publisher: PublisherId, planned: Instant, sent: Instant) {
        if let Some(log) = self.publishers.get_mut(publisher.index()) {
            log.push(planned, sent, self.room);
        }
    }

    /// Takes over what `other` knows. Every publisher is written by one shard, so the order of merging does not matter.
    pub fn merge(&mut self, other: &Self) {
        self.feed.merge(&other.feed);
        for (mine, theirs) in self.publishers.iter_mut().zip(&other.publishers) {
            if (theirs.known, theirs.count, theirs.rejections) > (mine.known, mine.count, mine.rejections) {
                mine.clone_from(theirs);
            }
        }
    }

    /// Notes that the server rejected a publication.
    pub(super) fn reject(&mut self, publisher: PublisherId, seq: Seq) {
        let Some(sent) = self.publishers.get_mut(publisher.index()).filter(|sent| seq.0 < sent.count) else { return };
        sent.rejections += 1;
        if sent.rejected.len() < self.room {
            sent.rejected.insert(seq.0, seq.0 + 1);
        } else {
            sent.rejected.widen(seq.0);
        }
    }

    /// Publications rejected by the server, over all publishers.
    #[must_use]
    pub fn rejections(&self) -> u64 {
        self.publishers.iter().map(|sent| u64::from(sent.rejections)).sum()
    }

    /// Whether a publication was rejected.
    pub(super) fn is_rejected(&self, publisher: PublisherId, seq: Seq) -> bool {
        self.publishers.get(publisher.index()).is_some_and(|sent| sent.rejected.contains(seq.0))
    }

    /// The rejected parts of `[from, to)`, ascending.
    pub(super) fn rejected(&self, publisher: usize, from: u32, to: u32) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.publishers.get(publisher).into_iter().flat_map(move |sent| sent.rejected.overlaps(from, to))
    }

    /// How many publications `publisher` sent.
    #[must_use]
    pub fn count(&self, publisher: PublisherId) -> u32 {
        self.publishers.get(publisher.index()).map_or(0, |sent| sent.count)
    }

    /// The same; `None` where nobody who knows has spoken.
    #[must_use]
    pub fn told(&self, publisher: PublisherId) -> Option<u32> {
        self.publishers.get(publisher.index()).filter(|sent| sent.known).map(|sent| sent.count)
    }

    /// Publications sent by all publishers.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.publishers.iter().map(|sent| u64::from(sent.count)).sum()
    }

    /// When the first publication was sent; [`Instant::FAR`] when none was.
    #[must_use]
    pub fn first_sent(&self) -> Instant {
        self.publishers.iter().filter_map(|sent| sent.older.first().or(sent.latest.first())).map(|e| e.1).min().unwrap_or(Instant::FAR)
    }

    /// The planned and sent instants of a publication, if they are still kept.
    #[must_use]
    pub fn instants(&self, publisher: PublisherId, seq: Seq) -> Option<(Instant, Instant)> {
        let sent = self.publishers.get(publisher.index())?;
        match seq.0.checked_sub(sent.latest_from()) {
            Some(i) => sent.latest.get(i as usize).copied(),
            None if seq.0.is_multiple_of(sent.stride) => sent.older.get((seq.0 / sent.stride) as usize).copied(),
            None => None,
        }
    }

    /// Publishers in order, with whether anything is known of them and how much they sent.
    pub(super) fn counts(&self) -> impl Iterator<Item = (bool, u32)> + '_ {
        self.publishers.iter().map(|sent| (sent.known, sent.count))
    }

    /// The first publication sent at or after `at`.
    pub(super) fn sent_from(&self, publisher: usize, at: Instant) -> Boundary {
        self.publishers[publisher].boundary(|&(_, sent)| sent < at)
    }

    /// How many publications were due, with the limit `within`, no later than `end`.
    pub(super) fn outlived(&self, publisher: usize, within: Span, end: Instant) -> Boundary {
        self.publishers[publisher].boundary(|&(planned, _)| planned + within <= end)
    }

    /// Whether older entries were thinned, or rejected publications lumped together.
    #[must_use]
    pub fn is_thinned(&self) -> bool {
        self.publishers.iter().any(|sent| sent.stride > 1 || sent.rejected.count() > u64::from(sent.rejections))
    }
}

impl Sent {
    fn push(&mut self, planned: Instant, sent: Instant, room: usize) {
        self.known = true;
        self.latest.push((planned, sent));
        self.count += 1;
        if self.latest.len() <= room {
            return;
        }
        let (from, stride) = (self.latest_from(), self.stride);
        let leaving = self.latest.drain(..room / 2).zip(from..);
        self.older.extend(leaving.filter(|(_, seq)| seq.is_multiple_of(stride)).map(|(entry, _)| entry));
        while self.older.len() > room / 2 {
            let mut keep = [false, true].into_iter().cycle();
            self.older.retain(|_| keep.next() == Some(false));
            self.stride *= 2;
        }
    }

    fn latest_from(&self) -> u32 {
        self.count - u32::try_from(self.latest.len()).unwrap_or(u32::MAX)
    }

    /// The first publication for which `before` no longer holds; it must hold for a beginning of the sequence.
    fn boundary(&self, before: impl Fn(&(Instant, Instant)) -> bool) -> Boundary {
        let from = self.latest_from();
        let in_latest = self.latest.partition_point(&before);
        #[expect(clippy::cast_possible_truncation, reason = "no longer than the count, a u32")]
        if in_latest > 0 || self.older.is_empty() {
            return Boundary::exact(from + in_latest as u32);
        }
        #[expect(clippy::cast_possible_truncation, reason = "no longer than the count, a u32")]
        let kept = self.older.partition_point(&before) as u32;
        match kept {
            0 => Boundary::exact(0),
            kept => Boundary { from: (kept - 1) * self.stride + 1, to: (kept * self.stride).min(from) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::{History, scenario};
    use super::*;

    fn log(sends: u32, room: usize) -> Sent {
        let mut sent = Sent { stride: 1, ..Sent::default() };
        for n in 0..sends {
            sent.push(Instant::from_nanos(u64::from(n) * 10), Instant::from_nanos(u64::from(n) * 10 + 3), room);
        }
        sent
    }

    #[test]
    fn boundaries_are_exact_until_the_log_is_thinned() {
        let sent = log(100, 1000);
        for (at, first) in [(0, 0), (3, 0), (4, 1), (13, 1), (993, 99), (994, 100), (5000, 100)] {
            assert_eq!(sent.boundary(|e| e.1 < Instant::from_nanos(at)), Boundary::exact(first), "{at}");
        }
        assert_eq!(log(0, 10).boundary(|_| true), Boundary::exact(0));
    }

    #[test]
    fn a_thinned_log_tells_the_instants_it_keeps_and_no_others() {
        let plan = crate::plan::tests::plan("[clients]\ncount = 3\n[publish]\npublishers = 2\npace = \"10/s\"\n");
        assert_eq!(SendLog::new(&plan, Share::WHOLE).room, ENTRIES / 2);
        let mut log = SendLog::new(&plan, Share::WHOLE).with_room(64);
        let of = |n: u32| (Instant::from_nanos(u64::from(n) * 10), Instant::from_nanos(u64::from(n) * 10 + 3));
        (0..5_000).map(of).for_each(|(planned, sent)| log.push(PublisherId(1), planned, sent));
        let (stride, latest) = (log.publishers[1].stride, log.publishers[1].latest_from());
        assert!(stride > 1 && latest > 4_900, "{stride}, {latest}");
        for n in 0..5_000 {
            let kept = n >= latest || n.is_multiple_of(stride);
            assert_eq!(log.instants(PublisherId(1), Seq(n)), kept.then(|| of(n)), "{n}");
        }
        assert_eq!((log.instants(PublisherId(1), Seq(5_000)), log.instants(PublisherId(0), Seq(0))), (None, None));
    }

    #[test]
    fn what_the_plan_sends_fits_the_room_taken_at_the_start() {
        let plan = crate::plan::tests::plan(
            "name = \"r\"\n[clients]\ncount = 3\n[publish]\npublishers = 2\npace = \"51/s\"\n[phases]\nsteady = \"1s\"\n",
        );
        let mut log = SendLog::new(&plan, Share::WHOLE);
        let room: Vec<usize> = log.publishers.iter().map(|sent| sent.latest.capacity()).collect();
        for planned in plan.timetable().iter() {
            log.push(planned.publisher, Instant::EPOCH, Instant::EPOCH);
        }
        assert_eq!(log.total(), 51);
        assert_eq!(log.publishers.iter().map(|sent| sent.latest.capacity()).collect::<Vec<_>>(), room);
        assert!(room.iter().all(|room| (26..100).contains(room)), "{room:?}");
        assert_eq!(SendLog::empty(&plan).publishers.iter().map(|sent| sent.latest.capacity()).sum::<usize>(), 0);
    }

    #[test]
    fn a_thinned_log_brackets_the_truth_and_stays_small() {
        for sends in [65, 300, 1001, 20_000] {
            let sent = log(sends, 64);
            assert!(sent.older.len() + sent.latest.len() <= 64 + 32);
            for truth in (0..=sends).step_by(7) {
                let at = Instant::from_nanos((u64::from(truth) * 10 + 3).saturating_sub(1));
                let boundary = sent.boundary(|e| e.1 < at);
                assert!(boundary.from <= truth && truth <= boundary.to, "{truth} of {sends}: {boundary:?}");
                assert!(boundary.to - boundary.from < sent.stride);
                if truth >= sends - 30 {
                    assert_eq!(boundary, Boundary::exact(truth), "the latest stay exact");
                }
            }
        }
    }

    /// A log of two publishers, of which the first sent `sends` publications, every 10 ns from 100 on.
    fn of_two(sends: u64, room: usize) -> SendLog {
        let mut log = SendLog::new(&History::of(scenario(2, 2)).plan, Share::WHOLE).with_room(room);
        (0..sends).for_each(|n| log.push(PublisherId(0), Instant::from_nanos(100 + 10 * n), Instant::from_nanos(103 + 10 * n)));
        log
    }

    #[test]
    fn nothing_is_thinned_while_there_is_room() {
        for (sends, older, stride, thinned) in
            [(0, 0, 1, false), (64, 0, 1, false), (65, 32, 1, false), (96, 32, 1, false), (97, 32, 2, true)]
        {
            let log = of_two(sends, 64);
            assert_eq!((log.publishers[0].older.len(), log.publishers[0].stride, log.is_thinned()), (older, stride, thinned), "{sends}");
            assert_eq!(log.instants(PublisherId(0), Seq(1)).is_some(), sends > 1 && !thinned, "{sends}");
        }
    }

    #[test]
    fn the_first_send_is_that_of_any_publisher_and_stays_when_older_entries_are_thinned() {
        assert_eq!(of_two(0, 64).first_sent(), Instant::FAR);
        for sends in [1, 64, 65, 1_000] {
            assert_eq!(of_two(sends, 64).first_sent(), Instant::from_nanos(103), "{sends}");
        }
        let mut log = of_two(5, 64);
        log.push(PublisherId(1), Instant::from_nanos(40), Instant::from_nanos(50));
        assert_eq!((log.first_sent(), log.total()), (Instant::from_nanos(50), 6));
    }

    #[test]
    fn that_a_publisher_sent_nothing_is_told_only_by_who_drives_it() {
        let plan = History::of(scenario(2, 2)).plan;
        let told = |log: &SendLog| [0, 1, 2].map(|p| log.told(PublisherId(p)));
        assert_eq!(told(&SendLog::empty(&plan)), [None; 3]);
        let mut log = SendLog::new(&plan, Share { index: 1, of: 2 });
        assert_eq!(told(&log), [None, Some(0), None]);
        log.merge(&of_two(3, 64));
        assert_eq!(told(&log), [Some(3), Some(0), None]);
    }

    #[test]
    fn what_was_never_sent_cannot_be_rejected() {
        let mut log = of_two(3, 64);
        assert_eq!(log.rejections(), 0);
        for (publisher, seq) in [(0, 3), (0, u32::MAX), (1, 0), (2, 0)] {
            log.reject(PublisherId(publisher), Seq(seq));
        }
        assert_eq!((log.rejections(), log.is_rejected(PublisherId(0), Seq(3))), (0, false));
        [0, 2].into_iter().for_each(|seq| log.reject(PublisherId(0), Seq(seq)));
        assert_eq!(log.rejections(), 2);
        assert_eq!([0, 1, 2].map(|seq| log.is_rejected(PublisherId(0), Seq(seq))), [true, false, true]);
        assert_eq!(log.rejected(0, 0, 3).collect::<Vec<_>>(), [(0, 1), (2, 3)]);
    }

    #[test]
    fn rejected_publications_are_told_apart_while_there_is_room_for_their_ranges() {
        let mut log = of_two(10, 64).with_room(2);
        for (seq, ranges, lumped) in [(0, vec![(0, 1)], false), (2, vec![(0, 1), (2, 3)], false), (6, vec![(0, 1), (2, 7)], true)] {
            log.reject(PublisherId(0), Seq(seq));
            assert_eq!((log.rejected(0, 0, 10).collect::<Vec<_>>(), log.is_thinned()), (ranges, lumped), "with {seq}");
        }
        assert_eq!(log.rejections(), 3);
    }
}
