//! What `wsbench run` is asked besides running: thresholds, a baseline, files for people and for CI. Everything that can be
//! wrong with the asking is found before the first connection.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::report::compare::{self, Comparison, compare, could_compare};
use crate::report::text::Style;
use crate::report::{self, Facts, Report, Threshold};

use super::exit::Stopped;
use super::output::Target;
use super::terminal::{print, say_styled};

/// The gate's part of the command line.
#[derive(Debug, Args)]
pub(super) struct GateArgs {
    /// Ask something more of the numbers, such as `delivery.p99 < 250ms` or `delivery.ratio == 1`; may be repeated
    #[arg(long = "threshold", value_name = "EXPR", help_heading = "Gate")]
    thresholds: Vec<Threshold>,

    /// Compare with this report, or with the repeats in this directory
    #[arg(long, value_name = "BASE.json", help_heading = "Gate")]
    baseline: Option<PathBuf>,

    /// Fail when a metric is worse than the baseline by more than this share (10% or 0.1), beyond what noise explains
    #[arg(long, value_name = "SHARE", value_parser = super::compare::share, requires = "baseline", help_heading = "Gate")]
    fail_on_regression: Option<f64>,

    /// Annotate a CI run: `github` prints workflow annotations and appends to the step summary; `auto` does so inside GitHub Actions
    #[arg(long, value_enum, default_value_t = Ci::Auto, help_heading = "Gate")]
    ci: Ci,

    /// Write the report as one self-contained page
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    html: Option<PathBuf>,

    /// Write the report as JUnit XML
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    junit: Option<PathBuf>,

    /// Write the report as Markdown
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    markdown: Option<PathBuf>,

    /// Write the latencies as an HdrHistogram interval log
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    hlog: Option<PathBuf>,
}

/// Whom to annotate for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Ci {
    /// GitHub when `GITHUB_ACTIONS` is `true`, else nobody.
    Auto,
    /// GitHub Actions.
    Github,
    /// Nobody.
    None,
}

/// What a file shows.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Html,
    Junit,
    Markdown,
    Hlog,
}

/// The gate, ready: every file open, the baseline read and found comparable.
#[derive(Debug)]
pub(super) struct Gate {
    thresholds: Vec<Threshold>,
    baseline: Option<(Vec<Report>, Option<f64>)>,
    files: Vec<(Kind, Target)>,
    github: bool,
    summary: Option<(PathBuf, File)>,
}

impl GateArgs {
    /// Opens what will be written and reads what will be compared with.
    ///
    /// # Errors
    /// When a file cannot be written or cannot show that many runs, or the baseline cannot be read or did other work than `facts`,
    /// with the difference named.
    pub(super) fn open(&self, replace: bool, runs: u32, facts: &Facts) -> Result<Gate, Stopped> {
        if runs > 1 && self.hlog.is_some() {
            return Err(Stopped::usage(
                "--hlog is a file of one run: with --repeat, write it from each run's report, as `wsbench report OUT/run-1 --format hlog`",
            ));
        }
        let baseline = self.baseline.as_deref().map(|place| baseline(place, facts)).transpose()?;
        let mut files: Vec<(Kind, Target)> = Vec::new();
        let mut places: Vec<&Path> = Vec::new();
        for (kind, place) in
            [(Kind::Html, &self.html), (Kind::Junit, &self.junit), (Kind::Markdown, &self.markdown), (Kind::Hlog, &self.hlog)]
        {
            let Some(place) = place.as_deref() else { continue };
            if places.contains(&place) {
                return Err(Stopped::usage(format!("{} is asked for twice: give each output its own file", place.display())));
            }
            places.push(place);
            files.push((kind, Target::open(place, replace)?));
        }
        let github = match self.ci {
            Ci::Github => true,
            Ci::None => false,
            Ci::Auto => std::env::var_os("GITHUB_ACTIONS").is_some_and(|v| v == "true"),
        };
        Ok(Gate {
            thresholds: self.thresholds.clone(),
            baseline: baseline.map(|base| (base, self.fail_on_regression)),
            files,
            github,
            summary: if github { step_summary()? } else { None },
        })
    }
}

fn baseline(place: &Path, facts: &Facts) -> Result<Vec<Report>, Stopped> {
    let base = super::report::read(place)?;
    could_compare(&base, facts).map_err(|why| Stopped::usage(format!("--baseline {}: {why}", place.display())))?;
    Ok(base)
}

/// The step summary of a GitHub workflow, which other steps of the job may have begun: it is appended to.
fn step_summary() -> Result<Option<(PathBuf, File)>, Stopped> {
    let Some(place) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|p| !p.is_empty()).map(PathBuf::from) else { return Ok(None) };
    let file = OpenOptions::new().append(true).create(true).open(&place);
    file.map(|file| Some((place.clone(), file)))
        .map_err(|e| Stopped::environment(format!("cannot write the step summary {}: {e}", place.display())))
}

impl Gate {
    /// Adds a finding a threshold to the report.
    pub(super) fn ask(&self, report: &mut Report) {
        let asked: Vec<_> = self.thresholds.iter().map(|threshold| threshold.judge(report)).collect();
        if !asked.is_empty() {
            report.add_findings(asked);
        }
    }

    /// Compares with the baseline, if one was given. To a report that stands alone the findings are added; those of several
    /// belong to none of them.
    ///
    /// # Errors
    /// When the runs turn out not to be comparable after all.
    pub(super) fn compare(&self, reports: &mut [Report]) -> Result<Option<Comparison>, Stopped> {
        let Some((base, limit)) = &self.baseline else { return Ok(None) };
        let comparison = compare(base, reports, *limit).map_err(Stopped::usage)?;
        if let [report] = reports
            && !comparison.findings.is_empty()
        {
            report.add_findings(comparison.findings.iter().cloned());
        }
        Ok(Some(comparison))
    }

    /// Prints the comparison and the annotations and writes the files. `data` says that standard output holds JSON: what people
    /// and runners read then goes to standard error (a workflow runner listens to both).
    ///
    /// # Errors
    /// When the disk does not take a file.
    pub(super) fn tell(self, reports: &[Report], comparison: Option<&Comparison>, style: &Style, data: bool) -> Result<(), Stopped> {
        let out = |text: &str| if data { say_styled(text.trim_end()) } else { print(text) };
        if let Some(comparison) = comparison {
            out(&format!("\n{}", compare::text(comparison, style)));
        }
        if self.github {
            reports.iter().for_each(|report| out(&report::github::render(report)));
            if let Some(comparison) = comparison.filter(|_| reports.len() > 1) {
                out(&compare::github(comparison));
            }
        }
        for (kind, target) in self.files {
            target.write(shown(kind, reports, comparison).as_bytes())?;
        }
        if let Some((place, mut file)) = self.summary {
            file.write_all(shown(Kind::Markdown, reports, comparison).as_bytes())
                .map_err(|e| Stopped::environment(format!("cannot write the step summary {}: {e}", place.display())))?;
        }
        Ok(())
    }
}

/// A file for people or CI: of one run, or of all of them with the comparison.
fn shown(kind: Kind, reports: &[Report], comparison: Option<&Comparison>) -> String {
    match (kind, reports) {
        (Kind::Html, [report]) => report::html::render(report),
        (Kind::Html, reports) => report::html::several(reports, comparison),
        (Kind::Junit, [report]) => report::junit::render(report),
        (Kind::Junit, reports) => report::junit::several(reports, comparison),
        (Kind::Hlog, reports) => reports.iter().map(report::hdr::hlog).collect(),
        (Kind::Markdown, reports) => {
            let mut text = match reports {
                [report] => report::markdown::render(report),
                reports => report::several::markdown(reports),
            };
            if let Some(comparison) = comparison {
                text += "\n";
                text += &compare::markdown(comparison);
            }
            text
        }
    }
}
