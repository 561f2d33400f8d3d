//! Samples for live metrics: each shard leaves the latest of its own where the coordinator finds it. A shard never waits for a
//! reader, and a reader of metrics never comes near a shard: what is served is the coordinator's own merge of the samples.

use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::account::{self, Ledger};
use crate::base::Span;

use super::clock::Clock;
use super::gauge::Progress;
use super::host;

/// Readings over which the largest loop lag is shown: a second of them.
const RECENT: usize = 10;

/// A run while it runs, as far as its samples go.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Live {
    /// Where the run is.
    pub progress: Progress,
    /// What was sampled.
    pub sample: Sample,
}

/// What is sampled of a shard, a process or a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// From the books.
    pub books: account::Live,
    /// Largest event-loop lag of any shard in the last second.
    pub loop_lag: Span,
    /// CPU time used so far by the processes of the instrument.
    pub cpu: Span,
    /// Their resident memory, bytes.
    pub resident: u64,
}

impl Sample {
    /// Adds another shard's or process's sample.
    pub(super) fn merge(&mut self, other: &Self) {
        self.books.merge(&other.books);
        self.loop_lag = self.loop_lag.max(other.loop_lag);
        self.cpu = self.cpu + other.cpu;
        self.resident += other.resident;
    }

    /// Adds what this process used so far.
    pub(super) fn add_process(&mut self) {
        self.cpu = self.cpu + Clock::process_cpu();
        self.resident += host::memory_resident().unwrap_or(0);
    }
}

/// The place where a shard, or a worker process, leaves its latest sample.
#[derive(Debug, Default)]
pub(super) struct Board(Mutex<Sample>);

impl Board {
    /// Shows a sample, unless somebody is reading the last one just now: then the next one will do.
    pub(super) fn show(&self, sample: &Sample) {
        if let Ok(mut shown) = self.0.try_lock() {
            shown.clone_from(sample);
        }
    }

    /// Adds the latest sample to `sum`.
    pub(super) fn add_to(&self, sum: &mut Sample) {
        if let Ok(shown) = self.0.lock() {
            sum.merge(&shown);
        }
    }
}

/// A shard's sample in the making.
#[derive(Debug, Default)]
pub(super) struct Sampler {
    sample: Sample,
    lags: [Span; RECENT],
    readings: usize,
}

impl Sampler {
    /// Takes a reading and shows it.
    pub(super) fn take(&mut self, ledger: &Ledger, progress: account::Progress, loop_lag: Span, board: &Board) {
        self.lags[self.readings % RECENT] = loop_lag;
        self.sample.loop_lag = self.lags.into_iter().max().unwrap_or_default();
        self.sample.books.sample(ledger, progress, self.readings);
        self.readings += 1;
        board.show(&self.sample);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_never_holds_a_shard_up() {
        let board = Board::default();
        let sample = |lag| Sample { loop_lag: Span::from_millis(lag), resident: 1, ..Sample::default() };
        board.show(&sample(3));
        let reading = board.0.lock().expect("nobody else");
        board.show(&sample(9));
        drop(reading);
        let mut sum = sample(2);
        board.add_to(&mut sum);
        assert_eq!((sum.loop_lag, sum.resident), (Span::from_millis(3), 2), "the one shown while it was read is left out");
    }
}
