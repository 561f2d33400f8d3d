//! `--expect FILE`: the deviations known of a server or a client, pinned; any change fails, better or worse.

use std::collections::HashSet;
use std::path::PathBuf;

use clap::Args;

use super::exit::{Exit, Stopped};
use super::output::Target as OutputFile;
use super::terminal::{print, say};
use crate::conformance::catalogue::all_cases;
use crate::conformance::expect::Expectations;
use crate::conformance::report::Report;

/// The file of known deviations, and whether it is to be rewritten.
#[derive(Debug, Args)]
pub struct Known {
    /// Known deviations, a case a line: a new failure and an unexpected pass both fail
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,
    /// Rewrite the --expect file to what was found
    #[arg(long, requires = "expect")]
    bless: bool,
}

impl Known {
    /// What the file says; `None` without `--expect`.
    ///
    /// # Errors
    /// When it cannot be read, or says what cannot be meant.
    pub fn read(&self) -> Result<Option<Expectations>, Stopped> {
        let Some(place) = &self.expect else { return Ok(None) };
        let text = match std::fs::read_to_string(place) {
            Ok(text) => text,
            Err(e) if self.bless && e.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(Stopped::usage(format!("cannot read {}: {e}", place.display()))),
        };
        let known: HashSet<String> = all_cases().unwrap_or_default().into_iter().map(|c| c.id).collect();
        let parsed = Expectations::parse(&text, &|id| known.contains(id));
        parsed.map(Some).map_err(|e| Stopped::usage(format!("{}: {e}", place.display())))
    }

    /// Tells what differs from the file, or rewrites it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn settle(&self, expectations: &Expectations, report: &Report) -> Result<Exit, Stopped> {
        let Some(place) = &self.expect else { return Ok(Exit::Pass) };
        if self.bless {
            OutputFile::open(place, true)?.write(expectations.bless(report).as_bytes())?;
            say(&format!("{} rewritten", place.display()));
            return Ok(Exit::Pass);
        }
        let changes = expectations.compare(report);
        for change in &changes {
            print(&format!("{}\n", change.describe()));
        }
        print(&format!("{} changes against {}\n", changes.len(), place.display()));
        Ok(if changes.is_empty() { Exit::Pass } else { Exit::Fail })
    }
}
