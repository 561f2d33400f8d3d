//! `--journal FILE`: the file a run's events go to, from its header to its trailer. The shards themselves append what lies between.
//!
//! Unlike other output it is written in its place from the beginning: a run that is killed leaves what it has seen.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::drive::{Cost, Lost};
use crate::event::journal::{Ending, Header, JournalReader, Trailer, write_header, write_trailer};
use crate::report::Facts;

use super::exit::Stopped;

/// A journal being kept.
#[derive(Debug)]
pub(super) struct Keeping {
    place: PathBuf,
}

impl Keeping {
    /// Makes the file; before the first connection, so that a bad path fails at second 0.
    ///
    /// # Errors
    /// When it cannot be written, or is already there and may not be replaced.
    pub(super) fn open(place: &Path, replace: bool) -> Result<Self, Stopped> {
        let made = if replace { File::create(place) } else { File::create_new(place) };
        match made {
            Ok(_) => Ok(Self { place: place.to_owned() }),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(Stopped::environment(format!("{} is already there: choose another place, or replace it with --force", place.display())))
            }
            Err(error) => Err(Stopped::environment(format!("cannot write {}: {error}", place.display()))),
        }
    }

    /// Where it is.
    pub(super) fn place(&self) -> &Path {
        &self.place
    }

    /// Writes what is run, over `shards` shards. Everything in it is as it may be shown: no secret is written.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn begin(&self, facts: &Facts, shards: u32) -> Result<(), Stopped> {
        let header = Header {
            wsbench_version: env!("CARGO_PKG_VERSION").into(),
            scenario: facts.scenario.toml.clone(),
            seed: facts.seed,
            run: facts.run_id,
            shards,
            facts: serde_json::to_value(facts).map_err(Stopped::environment)?,
        };
        self.append().and_then(|mut file| write_header(&mut file, &header)).map_err(|e| self.failed(&e))
    }

    /// Writes what the run left behind besides events, and looks whether all of it arrived; gives what there is to say of it.
    ///
    /// # Errors
    /// When it cannot be written, or the journal is not whole: a full disk shows here, since it does not stop the run. What a
    /// lost worker did not come to write is no such error: the run is inconclusive for it already.
    pub(super) fn end(self, cost: &Cost, lost: &[Lost]) -> Result<Option<String>, Stopped> {
        let facts = serde_json::to_value(cost).map_err(Stopped::environment)?;
        self.append().and_then(|mut file| write_trailer(&mut file, &Trailer { facts })).map_err(|e| self.failed(&e))?;
        let file = File::open(&self.place).map_err(|e| self.failed(&e))?;
        let ending = JournalReader::open(file).map_err(Stopped::environment)?.read(|_, _| {});
        if ending.missing.is_empty() {
            return Ok(None);
        }
        let place = self.place.display();
        if let Some(shards) = only_of_lost(&ending, lost) {
            let which = if let [shard] = shards.as_slice() { format!("shard {shard}") } else { format!("shards {}", listed(&shards)) };
            return Ok(Some(format!("the journal {place} is whole but for {which}, whose part ends where the worker process was lost")));
        }
        let missing: Vec<String> = ending.missing.iter().map(ToString::to_string).collect();
        let missing = missing.join(", ");
        Err(Stopped::environment(format!("the journal {place} is not whole (is the disk full?): missing are {missing}")))
    }

    fn append(&self) -> std::io::Result<File> {
        File::options().append(true).open(&self.place)
    }

    fn failed(&self, error: &std::io::Error) -> Stopped {
        Stopped::environment(format!("cannot write {}: {error}", self.place.display()))
    }
}

/// The lost shards that did not come to their end, if nothing else is missing: a disk that is full stops the shards that are left as
/// well, and takes no end of the run.
fn only_of_lost(ending: &Ending, lost: &[Lost]) -> Option<Vec<usize>> {
    let ended = |shard: usize| ending.settled[shard].is_some() && !ending.broken[shard];
    let short: Vec<usize> = (0..ending.settled.len()).filter(|shard| !ended(*shard)).collect();
    let is_lost = |shard: &usize| lost.iter().flat_map(|lost| &lost.shards).any(|of| usize::try_from(*of) == Ok(*shard));
    (ending.trailer.is_some() && !short.is_empty() && short.iter().all(is_lost)).then_some(short)
}

fn listed(shards: &[usize]) -> String {
    shards.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use crate::base::Instant;
    use crate::event::journal::Missing;

    use super::*;

    #[test]
    fn a_lost_worker_is_not_taken_for_a_full_disk_nor_a_full_disk_for_a_lost_worker() {
        let lost = [Lost { shards: vec![1, 3], reason: "killed".into() }];
        let whole = Some(Instant::EPOCH);
        for (settled, broken, trailer, lost, short) in [
            ([whole, None, whole, None], [false; 4], true, &lost[..], Some(vec![1, 3])),
            // It was lost behind the end of its part, or died within a block.
            ([whole, None, whole, whole], [false; 4], true, &lost, Some(vec![1])),
            ([whole, None, whole, whole], [false, true, false, true], true, &lost, Some(vec![1, 3])),
            // Others did not come to their end either, or not whole; or the run's own end is not there.
            ([None, None, whole, None], [false; 4], true, &lost, None),
            ([whole, None, whole, None], [true, false, false, false], true, &lost, None),
            ([whole, None, whole, None], [false; 4], false, &lost, None),
            // Nobody was lost.
            ([whole, None, whole, None], [false; 4], true, &[], None),
            // What is missing is none of the lost one's.
            ([whole; 4], [false; 4], true, &lost, None),
        ] {
            let trailer = trailer.then(|| Trailer { facts: serde_json::Value::Null });
            let ending = Ending { trailer, settled: settled.into(), broken: broken.into(), missing: vec![Missing::More(1)] };
            assert_eq!(only_of_lost(&ending, lost), short, "{ending:?}");
        }
    }
}
