//! Reading in slices. The runtime takes its tasks in the order in which they became ready, so a thousand connections with a full
//! read each would keep the pacer waiting for all of them. When a slice of reading is over, connections step back to the end of the
//! queue unread, until a task behind them all has begun the next slice; whatever timer fired meanwhile has its turn first.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::Notify;

use crate::base::{Instant, Span};

use super::shard::Shard;

/// How long connections may read on end while others wait: well below the lag that makes a publication late.
const SLICE: Span = Span::from_millis(2);

/// The slice of a shard's reading that runs now.
#[derive(Debug, Default)]
pub(super) struct Slice {
    began: Cell<Instant>,
    over: Cell<bool>,
    next: Notify,
}

impl Slice {
    /// Whether a connection must step back.
    #[inline]
    pub(super) fn is_over(&self) -> bool {
        self.over.get()
    }

    /// A connection reads at `at`.
    #[inline]
    pub(super) fn reading(&self, at: Instant) {
        if at - self.began.get() > SLICE {
            self.end();
        }
    }

    #[cold]
    fn end(&self) {
        self.over.set(true);
        self.next.notify_one();
    }
}

/// Begins the next slice whenever one is over, behind all that was ready by then. Ends with its runtime.
pub(super) async fn next(shard: Rc<Shard>) {
    loop {
        shard.slice.next.notified().await;
        shard.slice.began.set(shard.clock.now());
        shard.slice.over.set(false);
    }
}
