//! `run --repeat N`: the same plan several times, one run after the other. What each run leaves is what a single run leaves, in
//! a place of its own; what is told at the end is told of all of them, and the worst decides.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::base::RunId;
use crate::check::Outcome;
use crate::drive::Stop;
use crate::plan::Plan;
use crate::report::compare::Comparison;
use crate::report::text::Style;
use crate::report::{self, Report};

use super::exit::{Exit, Stopped};
use super::gate::Gate;
use super::run::exit_of;
use super::terminal::{print, say};

/// Which run of how many; from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Nth {
    n: u32,
    of: u32,
}

impl Nth {
    /// The plan of this run: the same but for the run's name, by which a frame that comes too late from the run before is known.
    pub(super) fn plan(self, plan: &Arc<Plan>) -> Arc<Plan> {
        if self.n == 1 {
            return plan.clone();
        }
        let run = RunId(plan.run.0.wrapping_add(self.n - 1));
        Arc::new(Plan { run, ..Plan::clone(plan) })
    }
}

/// Where the runs leave what they leave.
#[derive(Debug)]
pub(super) struct Places {
    out: Option<PathBuf>,
    journal: Option<PathBuf>,
    several: bool,
}

impl Places {
    /// Looks whether all runs can write, before the first begins.
    ///
    /// # Errors
    /// When something is there already and may not be replaced, or runs of an earlier series would be taken for runs of this one.
    pub(super) fn new(runs: u32, out: Option<&Path>, journal: Option<&Path>, replace: bool) -> Result<Self, Stopped> {
        let places = Self { out: out.map(Path::to_owned), journal: journal.map(Path::to_owned), several: runs > 1 };
        if !places.several {
            return Ok(places);
        }
        for n in 1..=runs {
            let nth = Nth { n, of: runs };
            let report = places.out(nth).map(|dir| dir.join("report.json"));
            if let Some(place) = report.into_iter().chain(places.journal(nth)).find(|place| place.exists() && !replace) {
                return Err(Stopped::environment(format!(
                    "{} is already there: choose another place, or replace it with --force",
                    place.display()
                )));
            }
        }
        let Some(dir) = out else { return Ok(places) };
        let alone = dir.join("report.json");
        let beyond = dir.join(format!("run-{}", runs + 1)).join("report.json");
        if let Some(place) = [alone, beyond].into_iter().find(|place| place.exists()) {
            return Err(Stopped::environment(format!(
                "{} is of an earlier run and would be taken for one of these {runs}: choose another directory, or remove it",
                place.display()
            )));
        }
        Ok(places)
    }

    /// The directory of a run.
    pub(super) fn out(&self, nth: Nth) -> Option<PathBuf> {
        let dir = self.out.as_ref()?;
        Some(if self.several { dir.join(format!("run-{}", nth.n)) } else { dir.clone() })
    }

    /// The journal of a run: `run.wsj`, or `run-1.wsj` and so on.
    pub(super) fn journal(&self, nth: Nth) -> Option<PathBuf> {
        let place = self.journal.as_ref()?;
        if !self.several {
            return Some(place.clone());
        }
        let mut name = place.file_stem().unwrap_or_default().to_owned();
        name.push(format!("-{}", nth.n));
        if let Some(extension) = place.extension() {
            name.push(".");
            name.push(extension);
        }
        Some(place.with_file_name(name))
    }
}

/// The runs so far, and what came of them.
#[derive(Debug)]
pub(super) struct Series {
    of: u32,
    quiet: bool,
    /// Standard output holds JSON.
    data: bool,
    reports: Vec<Report>,
    /// With the baseline, if one was given.
    pub(super) comparison: Option<Comparison>,
    /// What went wrong besides the verdict: told at the end, and it decides.
    stopped: Option<Stopped>,
    unreachable: bool,
}

impl Series {
    pub(super) const fn new(of: u32, quiet: bool, data: bool) -> Self {
        Self { of, quiet, data, reports: Vec::new(), comparison: None, stopped: None, unreachable: false }
    }

    /// The next run; none after the last, after one that was interrupted, or once nobody could be reached.
    pub(super) fn next(&self, stop: &Stop) -> Option<Nth> {
        let n = u32::try_from(self.reports.len()).ok()? + 1;
        if n > self.of || *stop.borrow() || self.unreachable {
            return None;
        }
        if self.of > 1 && !self.quiet {
            say(&format!("wsbench: run {n} of {}", self.of));
        }
        Some(Nth { n, of: self.of })
    }

    /// Adds a run that has ended; `kept` is why its journal could not be kept, `unreachable` why nobody could connect.
    pub(super) fn add(&mut self, report: Report, kept: Option<Stopped>, unreachable: Option<Stopped>) {
        if self.of > 1 && !self.quiet {
            say(&format!("wsbench: run {} of {}: {}", self.reports.len() + 1, self.of, report::headline(&report)));
        }
        self.reports.push(report);
        self.unreachable |= unreachable.is_some();
        self.stopped = self.stopped.take().or(unreachable).or(kept);
    }

    /// Prints all of it and writes what CI reads.
    ///
    /// # Errors
    /// When something cannot be written, nobody could be reached, or the runs are no match for the baseline.
    pub(super) fn tell(mut self, gate: Gate, style: &Style) -> Result<Exit, Stopped> {
        let several = self.of > 1;
        if several && !self.unreachable {
            self.comparison = gate.compare(&mut self.reports)?;
        }
        match self.reports.as_slice() {
            [report] if self.data && !several => print(&report::json::render(report)),
            reports if self.data => print(&report::json::several(reports)),
            // Nobody was reached: there is nothing to tell but why.
            _ if self.unreachable => {}
            [report] if !several => print(&report::text::render(report, style)),
            reports => print(&report::several::text(reports, style)),
        }
        gate.tell(&self.reports, self.comparison.as_ref(), style, self.data)?;
        if let Some(stopped) = self.stopped {
            return Err(stopped);
        }
        let missing = self.reports.len() < self.of as usize;
        let verdicts = self.reports.iter().map(|report| report.verdict).chain(self.comparison.map(|comparison| comparison.verdict));
        // A run that was to come and did not is evidence that is not there.
        Ok(exit_of(verdicts.chain(missing.then_some(Outcome::Inconclusive)).max().unwrap_or(Outcome::Inconclusive)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_run_has_places_of_its_own() {
        let places = |runs, journal: &str| Places { out: Some("o".into()), journal: Some(journal.into()), several: runs > 1 };
        let third = Nth { n: 3, of: 5 };
        assert_eq!(places(5, "a/run.wsj").journal(third), Some("a/run-3.wsj".into()));
        assert_eq!(places(5, "run").journal(third), Some("run-3".into()));
        assert_eq!(places(5, "run").out(third), Some("o/run-3".into()));
        let only = Nth { n: 1, of: 1 };
        assert_eq!((places(1, "run.wsj").journal(only), places(1, "").out(only)), (Some("run.wsj".into()), Some("o".into())));
    }

    #[test]
    fn what_is_there_is_neither_replaced_unasked_nor_mixed_with_these_runs() {
        let directory = tempfile::tempdir().expect("a directory");
        let dir = directory.path();
        let look = |runs, replace| Places::new(runs, Some(dir), Some(&dir.join("j")), replace).map(drop).map_err(|s| s.message);
        assert_eq!(look(2, false), Ok(()));
        std::fs::write(dir.join("j-2"), "").expect("writable");
        assert!(look(2, false).expect_err("there").contains("j-2"));
        std::fs::create_dir_all(dir.join("run-2")).expect("writable");
        std::fs::write(dir.join("run-2/report.json"), "").expect("writable");
        assert!(look(2, false).expect_err("there").contains("run-2"));
        assert_eq!(look(2, true), Ok(()));
        std::fs::create_dir_all(dir.join("run-3")).expect("writable");
        std::fs::write(dir.join("run-3/report.json"), "").expect("writable");
        assert!(look(2, true).expect_err("a third").contains("earlier run"));
        assert_eq!(look(3, true), Ok(()));
    }
}
