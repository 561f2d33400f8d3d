//! Head-of-line blocking: a fan-out that waits for its slowest reader before it goes on.
//!
//! Publications wait here in their order, and leave one at a time. Must never know what becomes of a copy.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::Duration;

use super::act::Act;
use super::deliver::{fan_out, is_owed};
use super::spec::Kind;
use crate::fanout::Publication;
use crate::peer::Peer;
use crate::shard::Shard;

/// Publications held up in a shard.
#[derive(Default)]
pub(super) struct Jam {
    /// With when they came.
    waiting: RefCell<VecDeque<(Duration, Publication)>>,
    /// Whose socket is waited for.
    blocker: Cell<Option<u64>>,
    /// Whose socket was found full since the jam began: what leaves until it is over was truly held up.
    full: Cell<Option<u64>>,
}

impl Shard {
    /// Fans a publication out, now or behind what is held up.
    pub(super) fn queue_up(&self, publication: &Publication) {
        let jam = &self.broadcast.jam;
        self.shared.keep_back(publication.message.frame().len());
        jam.waiting.borrow_mut().push_back((self.shared.clock.now(), publication.clone()));
        self.clear_jam();
    }

    /// Goes on, if it was this client that was waited for.
    pub(crate) fn go_on_without(&self, peer: &Peer) {
        if self.broadcast.jam.blocker.get() == Some(peer.index) {
            self.clear_jam();
        }
    }

    /// Fans out what waits, until somebody has to be waited for.
    pub(crate) fn clear_jam(&self) {
        let jam = &self.broadcast.jam;
        loop {
            let Some((since, publication)) = jam.waiting.borrow().front().cloned() else {
                jam.blocker.set(None);
                return jam.full.set(None);
            };
            if let Some((index, full)) = self.blocker(&publication) {
                jam.blocker.set(Some(index));
                if full && jam.full.get().is_none() {
                    jam.full.set(Some(index));
                }
                return;
            }
            jam.waiting.borrow_mut().pop_front();
            self.shared.let_go(publication.message.frame().len());
            if let Some(index) = jam.full.get() {
                self.write_down(index, since, &publication);
            }
            fan_out(self, &publication);
        }
    }

    /// The first client that is waited for before this publication goes out, and whether its socket is full (or only its turn has not
    /// come yet).
    fn blocker(&self, publication: &Publication) -> Option<(u64, bool)> {
        let (faults, now) = (&self.shared.faults, self.shared.clock.now());
        let strikes = |peer: &Peer| faults.strike(Kind::HeadOfLine, peer.index, publication.number, now).is_some();
        let open = self.open();
        let mut asked = open.iter().filter(|peer| peer.order.get().is_none());
        asked.find_map(|peer| {
            let full = peer.queued() > 0;
            let busy = full || peer.lane.as_ref().is_some_and(|lane| lane.borrow().is_busy());
            (busy && strikes(peer)).then_some((peer.index, full))
        })
    }

    fn write_down(&self, blocker: u64, since: Duration, publication: &Publication) {
        let now = self.shared.clock.now();
        let mut act = Act::new(Kind::HeadOfLine, blocker, now).of(publication).with(format!("{}ms", now.saturating_sub(since).as_millis()));
        let others = self.open().iter().filter(|peer| peer.index != blocker && is_owed(self, peer, publication)).count();
        act.copies = Some(others as u64);
        self.shared.book.write(Kind::HeadOfLine, &act);
    }
}
