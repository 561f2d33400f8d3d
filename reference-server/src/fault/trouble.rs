//! The faults of one client's own task: its heartbeat's, and those that happen to its connection once.
//!
//! Must never know a copy.

use std::time::Duration;

use bytes::Bytes;

use super::act::Act;
use super::spec::{Argument, Kind};
use crate::counters;
use crate::frame::{self, Message};
use crate::peer::Peer;
use crate::shard::Shard;

/// What becomes of a client when its next ping is due.
pub(crate) enum Dead {
    /// It did not answer the last one, and is closed with this code.
    Close(u16),
    /// It is looked at again then.
    Wait(Duration),
    /// It is pinged (again).
    Keep,
}

/// What is ahead for one client of a faulty server.
pub(crate) struct Trouble {
    /// What happens once, and when.
    once: Vec<(Duration, Kind, Argument)>,
    unsolicited: Option<(Duration, Duration)>,
    unsolicited_sent: u64,
    drift: f64,
    beats: u64,
    /// The next beat is early by so much.
    early: Option<Argument>,
    /// Since it no longer answers pings: that it is kept was written down, or when it is given up late.
    kept: bool,
    late: Option<Duration>,
}

impl Trouble {
    /// The troubles of a client that opened at `opened`; `None` on an honest server.
    pub(crate) fn ahead(shard: &Shard, index: u64, opened: Duration) -> Option<Box<Self>> {
        let faults = &shard.shared.faults;
        if faults.is_empty() {
            return None;
        }
        let once = [Kind::Close, Kind::CloseSilent, Kind::HalfOpen];
        let ahead = |kind: &Kind| faults.once(*kind, index, opened).map(|(at, argument)| (at, *kind, argument));
        let unsolicited = match faults.once(Kind::PongUnsolicited, index, opened) {
            Some((at, Argument::Span(period, _))) => Some((at + period, period)),
            _ => None,
        };
        let drift = match faults.once(Kind::BeatDrift, index, opened) {
            Some((_, Argument::Share(share))) => share,
            _ => 0.0,
        };
        Some(Box::new(Self {
            once: once.iter().filter_map(ahead).collect(),
            unsolicited,
            unsolicited_sent: 0,
            drift,
            beats: 0,
            early: None,
            kept: false,
            late: None,
        }))
    }

    /// When something is next to happen.
    pub(crate) fn next(&self) -> Option<Duration> {
        self.once.iter().map(|(at, ..)| *at).chain(self.unsolicited.map(|(at, _)| at)).min()
    }

    /// What happens now, written down: at most one of the things that happen once.
    pub(crate) fn happen(&mut self, shard: &Shard, peer: &Peer) -> Option<(Kind, Argument)> {
        let now = shard.shared.clock.now();
        if let Some((at, period)) = self.unsolicited.filter(|(at, _)| *at <= now) {
            self.unsolicited = Some((at + period, period));
            let n = self.unsolicited_sent;
            self.unsolicited_sent += 1;
            if shard.commit(Kind::PongUnsolicited, peer.index, n).is_some() {
                peer.say(shard, shard.pong.frame().clone());
            }
        }
        let due = self.once.iter().position(|(at, ..)| *at <= now)?;
        let (_, kind, argument) = self.once.swap_remove(due);
        shard.shared.book.write(kind, &Act::new(kind, peer.index, now));
        Some((kind, argument))
    }

    /// What becomes of a client whose last ping is `unanswered`, or is not.
    pub(crate) fn dead(&mut self, shard: &Shard, peer: &Peer, unanswered: bool, now: Duration) -> Dead {
        if !unanswered {
            (self.kept, self.late) = (false, None);
            return Dead::Keep;
        }
        if self.kept || shard.commit(Kind::DeadKept, peer.index, 0).is_some() {
            self.kept = true;
            return Dead::Keep;
        }
        if self.late.is_none()
            && let Some(Argument::Span(span, _)) = shard.commit(Kind::DeadLate, peer.index, 0)
        {
            self.late = Some(now + span);
            return Dead::Wait(now + span);
        }
        match shard.commit(Kind::DeadCode, peer.index, 0) {
            Some(Argument::Count(code)) => Dead::Close(u16::try_from(code).unwrap_or(u16::MAX)),
            _ => Dead::Close(1011),
        }
    }

    /// When the next beat is due.
    #[expect(clippy::cast_precision_loss, reason = "a client does not live for 2^53 beats")]
    pub(crate) fn next_beat(&mut self, shard: &Shard, index: u64, opened: Duration, period: Duration) -> Duration {
        let n = self.beats + 1;
        let drifted = n as f64 * (n + 1) as f64 / 2.0 * self.drift;
        let due = opened + period.mul_f64(n as f64 + drifted);
        let now = shard.shared.clock.now();
        self.early = shard.shared.faults.strike(Kind::BeatEarly, index, self.beats, now);
        match self.early {
            Some(Argument::Span(span, _)) => due.saturating_sub(span).max(opened),
            _ => due,
        }
    }

    /// Sends a beat, or does not.
    pub(crate) fn beat(&mut self, shard: &Shard, peer: &Peer) {
        let n = self.beats;
        self.beats += 1;
        let with = shard.surroundings();
        // Written down when it is truly done: the run may end before the beat is due.
        let write = |kind| with.book.write(kind, &Act::new(kind, peer.index, with.now));
        if self.early.take().is_some() {
            write(Kind::BeatEarly);
        }
        if self.drift > 0.0 {
            write(Kind::BeatDrift);
        }
        let copies = peer.lane.as_ref().map_or(0, |lane| std::mem::take(&mut lane.borrow_mut().since_beat));
        if shard.commit(Kind::BeatNever, peer.index, n).is_some() {
            return;
        }
        if copies > 0 && shard.commit(Kind::BeatStarved, peer.index, n).is_some() {
            return;
        }
        if let Some(Argument::Count(last)) = with.faults.strike(Kind::BeatStop, peer.index, n, with.now)
            && n >= last
        {
            return write(Kind::BeatStop);
        }
        let frame = match shard.commit(Kind::BeatText, peer.index, n) {
            Some(Argument::Text(text)) => Message::new(frame::Kind::Text, text.as_bytes()).frame().clone(),
            _ => shard.beat.frame().clone(),
        };
        counters::count(&shard.shared.counters.heartbeats);
        self.send_beat(shard, peer, n, frame);
    }

    fn send_beat(&self, shard: &Shard, peer: &Peer, n: u64, frame: Bytes) {
        let now = shard.shared.clock.now();
        match shard.commit(Kind::BeatLate, peer.index, n) {
            Some(Argument::Span(span, _)) => peer.say_at(now + span, frame.clone()),
            _ => peer.say(shard, frame.clone()),
        }
        if let Some(Argument::Span(span, _)) = shard.commit(Kind::BeatDouble, peer.index, n) {
            counters::count(&shard.shared.counters.heartbeats);
            peer.say_at(now + span, frame);
        }
    }
}
