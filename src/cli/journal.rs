//! `--journal FILE`: the file a run's events go to, from its header to its trailer. The shards themselves append what lies between.
//!
//! Unlike other output it is written in its place from the beginning: a run that is killed leaves what it has seen.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::drive::Cost;
use crate::event::journal::{Header, JournalReader, Trailer, write_header, write_trailer};
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

    /// Writes what the run left behind besides events, and looks whether all of it arrived.
    ///
    /// # Errors
    /// When it cannot be written, or the journal is not whole: a full disk shows here, since it does not stop the run.
    pub(super) fn end(self, cost: &Cost) -> Result<(), Stopped> {
        let facts = serde_json::to_value(cost).map_err(Stopped::environment)?;
        self.append().and_then(|mut file| write_trailer(&mut file, &Trailer { facts })).map_err(|e| self.failed(&e))?;
        let file = File::open(&self.place).map_err(|e| self.failed(&e))?;
        let ending = JournalReader::open(file).map_err(Stopped::environment)?.read(|_, _| {});
        if ending.missing.is_empty() {
            return Ok(());
        }
        let missing: Vec<String> = ending.missing.iter().map(ToString::to_string).collect();
        Err(Stopped::environment(format!(
            "the journal {} is not whole (is the disk full?): missing are {}",
            self.place.display(),
            missing.join(", ")
        )))
    }

    fn append(&self) -> std::io::Result<File> {
        File::options().append(true).open(&self.place)
    }

    fn failed(&self, error: &std::io::Error) -> Stopped {
        Stopped::environment(format!("cannot write {}: {error}", self.place.display()))
    }
}
