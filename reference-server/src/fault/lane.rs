//! One client's way out of a faulty server: where its copies are lost, changed, held and let go.
//!
//! Copies leave in the order in which they were let in unless a fault says otherwise: a copy held back holds those
//! behind it, as a slow link would. Must never know a socket.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::act::{Act, FaultBook};
use super::occasion::Faults;
use super::spec::{Argument, Kind};
use super::tamper::{Body, fragmented_ping};
use crate::fanout::Publication;

/// How long a copy waits for the one it is to be swapped, batched or overtaken by.
const PATIENCE: Duration = Duration::from_millis(500);

/// What a lane works with.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub(crate) faults: &'a Faults,
    pub(crate) book: &'a FaultBook,
    pub(crate) now: Duration,
}

/// A copy waiting for others.
struct Held {
    /// The how-manieth copy it is for this client: what its faults are decided by.
    n: u64,
    publication: Publication,
    body: Body,
    /// Copies that have yet to pass it.
    overtakers: u64,
}

/// What became of a copy.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Passed {
    /// It is on its way, or waits, or was lost.
    On,
    /// The connection is to be reset after these bytes.
    Reset(Bytes),
}

/// One client's lane.
pub(crate) struct Lane {
    index: u64,
    copies: u64,
    lost: bool,
    silent: bool,
    overtaken: Vec<Held>,
    to_swap: Option<Held>,
    to_batch: Vec<Held>,
    held_since: Option<Duration>,
    line: VecDeque<(Duration, Bytes, u32)>,
    apart: Vec<(Duration, Bytes)>,
    last_stall: Option<u64>,
    /// Copies let out since the last heartbeat.
    pub(crate) since_beat: u64,
}

impl Lane {
    /// The lane of a client; a silent one lets nothing out.
    pub(crate) fn new(index: u64, silent: bool) -> Self {
        Self {
            index,
            silent,
            copies: 0,
            lost: false,
            overtaken: Vec::new(),
            to_swap: None,
            to_batch: Vec::new(),
            held_since: None,
            line: VecDeque::new(),
            apart: Vec::new(),
            last_stall: None,
            since_beat: 0,
        }
    }

    /// Lets out something that is no copy (a greeting, a beat, a pong, a Close), behind what is in line.
    pub(crate) fn say(&mut self, with: Surroundings<'_>, bytes: Bytes) {
        self.let_out(with, with.now, bytes, 0);
    }

    /// Lets something out at a time of its own, apart from the line.
    pub(crate) fn say_at(&mut self, at: Duration, bytes: Bytes) {
        if !self.silent {
            self.apart.push((at, bytes));
        }
    }

    /// Takes in a copy.
    pub(crate) fn pass(&mut self, with: Surroundings<'_>, publication: &Publication) -> Passed {
        let n = self.copies;
        self.copies += 1;
        let note = |kind| with.book.write(kind, &Act::new(kind, self.index, with.now).of(publication));
        let strike = |kind| with.faults.strike(kind, self.index, n, with.now);
        if self.silent {
            return Passed::On;
        }
        self.lost |= strike(Kind::DropForever).is_some();
        if self.lost {
            note(Kind::DropForever);
            return Passed::On;
        }
        if strike(Kind::Drop).is_some() {
            note(Kind::Drop);
            return Passed::On;
        }
        let body = self.tampered(with, n, publication);
        if strike(Kind::Reset).is_some() {
            note(Kind::Reset);
            let frame = body.framed();
            return Passed::Reset(frame.slice(..frame.len().div_ceil(2)));
        }
        self.arrange(with, Held { n, publication: publication.clone(), body, overtakers: 0 });
        Passed::On
    }

    /// The payload after what faults did to it.
    fn tampered(&self, with: Surroundings<'_>, n: u64, publication: &Publication) -> Body {
        let mut body = Body { data: publication.message.kind(), payload: publication.message.payload() };
        for kind in [Kind::Truncate, Kind::Flip, Kind::Opcode, Kind::Reserialise, Kind::BadUtf8] {
            let Some(argument) = with.faults.strike(kind, self.index, n, with.now) else { continue };
            let changed = match (kind, argument) {
                (Kind::Truncate, Argument::Count(cut)) => body.truncated(cut),
                (Kind::Flip, Argument::Count(at)) => body.flipped(at),
                (Kind::Opcode, _) => body.retyped(),
                (Kind::Reserialise, _) => body.reserialised(),
                _ => body.malformed(),
            };
            // An empty copy cannot be cut: what was not done is not written down.
            if changed != body {
                with.book.write(kind, &Act::new(kind, self.index, with.now).of(publication));
                body = changed;
            }
        }
        body
    }

    /// Swaps, batches and reorders.
    fn arrange(&mut self, with: Surroundings<'_>, mut held: Held) {
        let n = held.n;
        let index = self.index;
        let act = |held: &Held, kind| Act::new(kind, index, with.now).of(&held.publication);
        if let Some(mut first) = self.to_swap.take() {
            let (a, b) = first.body.crossed(&held.body);
            for (copy, body) in [(&mut first, a), (&mut held, b)] {
                copy.body = body;
                with.book.write(Kind::Swap, &act(copy, Kind::Swap));
            }
            self.frame(with, &first);
        } else if with.faults.strike(Kind::Swap, self.index, n, with.now).is_some() {
            self.hold(with.now);
            self.to_swap = Some(held);
            return;
        }
        if let Some(Argument::Count(size)) = with.faults.strike(Kind::Batch, self.index, n, with.now) {
            self.to_batch.push(held);
            if self.to_batch.len() as u64 >= size {
                self.let_batch_out(with);
            } else {
                self.hold(with.now);
            }
            return;
        }
        self.let_batch_out(with);
        if let Some(Argument::Count(overtakers)) = with.faults.strike(Kind::Reorder, self.index, n, with.now)
            && self.overtaken.is_empty()
        {
            self.hold(with.now);
            held.overtakers = overtakers;
            self.overtaken.push(held);
            return;
        }
        self.frame(with, &held);
        for mut waiting in std::mem::take(&mut self.overtaken) {
            waiting.overtakers -= 1;
            if waiting.overtakers == 0 {
                with.book.write(Kind::Reorder, &act(&waiting, Kind::Reorder));
                self.frame(with, &waiting);
            } else {
                self.overtaken.push(waiting);
            }
        }
    }

    /// Lets out what has been collected for a batch.
    fn let_batch_out(&mut self, with: Surroundings<'_>) {
        let batch = std::mem::take(&mut self.to_batch);
        let bodies: Vec<Body> = batch.iter().map(|held| held.body.clone()).collect();
        match &batch[..] {
            [] => {}
            [one] => self.frame(with, one),
            [first, ..] => {
                for held in &batch {
                    let act = Act::new(Kind::Batch, self.index, with.now).of(&held.publication);
                    with.book.write(Kind::Batch, &act.with(format!("one of {}", batch.len())));
                }
                let copies = u32::try_from(batch.len()).unwrap_or(u32::MAX);
                self.queue_copy(with, first.n, Body::batched(&bodies).framed(), copies, &first.publication);
            }
        }
    }

    /// Makes a frame of a copy, as badly as asked, and queues it, as often as asked.
    fn frame(&mut self, with: Surroundings<'_>, held: &Held) {
        let n = held.n;
        let body = &held.body;
        let mut bytes = body.framed();
        for kind in [Kind::Fragment, Kind::Masked, Kind::Rsv, Kind::Oversize] {
            let Some(argument) = with.faults.strike(kind, self.index, n, with.now) else { continue };
            with.book.write(kind, &Act::new(kind, self.index, with.now).of(&held.publication));
            bytes = match (kind, argument) {
                (Kind::Fragment, Argument::Count(size)) => body.fragmented(size),
                (Kind::Rsv, Argument::Count(bits)) => body.framed_with_rsv(bits),
                (Kind::Oversize, Argument::Count(len)) => body.framed_as_if(len),
                _ => body.framed_masked(),
            };
        }
        if with.faults.strike(Kind::FragmentedControl, self.index, n, with.now).is_some() {
            let act = Act::new(Kind::FragmentedControl, self.index, with.now).of(&held.publication);
            with.book.write(Kind::FragmentedControl, &act);
            self.let_out(with, with.now, fragmented_ping(), 0);
        }
        self.queue_copy(with, n, bytes.clone(), 1, &held.publication);
        if with.faults.strike(Kind::Duplicate, self.index, n, with.now).is_some() {
            with.book.write(Kind::Duplicate, &Act::new(Kind::Duplicate, self.index, with.now).of(&held.publication));
            self.queue_copy(with, n, bytes, 1, &held.publication);
        }
    }

    /// Queues a copy's bytes, late if asked.
    fn queue_copy(&mut self, with: Surroundings<'_>, n: u64, bytes: Bytes, copies: u32, publication: &Publication) {
        let mut at = with.now;
        if let Some(Argument::Span(span, _)) = with.faults.strike(Kind::Delay, self.index, n, with.now) {
            let act = Act::new(Kind::Delay, self.index, with.now).of(publication).with(crate::units::format_duration(span));
            with.book.write(Kind::Delay, &act);
            at += span;
        }
        self.since_beat += u64::from(copies);
        self.let_out(with, at, bytes, copies);
    }

    /// Puts bytes at the end of the line, to leave at `at` or when those before them have.
    fn let_out(&mut self, with: Surroundings<'_>, at: Duration, bytes: Bytes, copies: u32) {
        if self.silent {
            return;
        }
        let mut at = at.max(self.line.back().map_or(Duration::ZERO, |(at, ..)| *at));
        if let Some((end, turn)) = with.faults.stall_end(self.index, at) {
            if self.last_stall != Some(turn) {
                self.last_stall = Some(turn);
                let span = crate::units::format_duration(end.saturating_sub(at));
                with.book.write(Kind::Stall, &Act::new(Kind::Stall, self.index, with.now).with(span));
            }
            at = end;
        }
        self.line.push_back((at, bytes, copies));
    }

    fn hold(&mut self, now: Duration) {
        self.held_since.get_or_insert(now);
    }

    /// Lets go, untouched, what has waited too long for a companion.
    fn give_up_waiting(&mut self, with: Surroundings<'_>) {
        if self.held_since.is_some_and(|since| with.now >= since + PATIENCE) {
            self.held_since = None;
            self.let_batch_out(with);
            let waiting = self.to_swap.take().into_iter().chain(std::mem::take(&mut self.overtaken));
            for held in waiting.collect::<Vec<_>>() {
                self.let_out(with, with.now, held.body.framed(), 1);
            }
        }
    }

    /// The bytes whose time has come, in order, and the copies they carry.
    pub(crate) fn due(&mut self, with: Surroundings<'_>) -> Vec<(Bytes, u32)> {
        self.give_up_waiting(with);
        if self.to_swap.is_none() && self.to_batch.is_empty() && self.overtaken.is_empty() {
            self.held_since = None;
        }
        let mut due = Vec::new();
        while self.line.front().is_some_and(|(at, ..)| *at <= with.now) {
            due.extend(self.line.pop_front().map(|(_, bytes, copies)| (bytes, copies)));
        }
        let (now, later) = std::mem::take(&mut self.apart).into_iter().partition(|(at, _)| *at <= with.now);
        self.apart = later;
        let mut now: Vec<(Duration, Bytes)> = now;
        now.sort_by_key(|(at, _)| *at);
        due.extend(now.into_iter().map(|(_, bytes)| (bytes, 0)));
        due
    }

    /// Whether anything has yet to leave it.
    pub(crate) fn is_busy(&self) -> bool {
        !self.line.is_empty()
    }

    /// When to ask again.
    pub(crate) fn next(&self) -> Option<Duration> {
        let line = self.line.front().map(|(at, ..)| *at);
        let apart = self.apart.iter().map(|(at, _)| *at).min();
        let held = self.held_since.map(|since| since + PATIENCE);
        [line, apart, held].into_iter().flatten().min()
    }
}
