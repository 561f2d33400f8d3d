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
use super::terminal::{print, say};

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
    /// When a file cannot be written, or the baseline cannot be read or did other work than `facts`, with the difference named.
    pub(super) fn open(&self, replace: bool, facts: &Facts) -> Result<Gate, Stopped> {
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
    let base = super::compare::runs(place)?;
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
    /// Adds the findings of thresholds and baseline to the report; gives the comparison, if one was asked for.
    ///
    /// # Errors
    /// When the runs turn out not to be comparable after all.
    pub(super) fn judge(&self, report: &mut Report) -> Result<Option<Comparison>, Stopped> {
        let asked: Vec<_> = self.thresholds.iter().map(|threshold| threshold.judge(report)).collect();
        if !asked.is_empty() {
            report.add_findings(asked);
        }
        let Some((base, limit)) = &self.baseline else { return Ok(None) };
        let comparison = compare(base, std::slice::from_ref(report), *limit).map_err(Stopped::usage)?;
        if !comparison.findings.is_empty() {
            report.add_findings(comparison.findings.iter().cloned());
        }
        Ok(Some(comparison))
    }

    /// Prints the comparison and the annotations and writes the files. `data` says that standard output holds JSON: what people
    /// and runners read then goes to standard error (a workflow runner listens to both).
    ///
    /// # Errors
    /// When the disk does not take a file.
    pub(super) fn tell(self, report: &Report, comparison: Option<&Comparison>, style: &Style, data: bool) -> Result<(), Stopped> {
        let out = |text: &str| if data { say(text.trim_end()) } else { print(text) };
        if let Some(comparison) = comparison {
            out(&format!("\n{}", compare::text(comparison, style)));
        }
        if self.github {
            out(&report::github::render(report));
        }
        for (kind, target) in self.files {
            let text = match kind {
                Kind::Html => report::html::render(report),
                Kind::Junit => report::junit::render(report),
                Kind::Markdown => markdown(report, comparison),
                Kind::Hlog => report::hdr::hlog(report),
            };
            target.write(text.as_bytes())?;
        }
        if let Some((place, mut file)) = self.summary {
            file.write_all(markdown(report, comparison).as_bytes())
                .map_err(|e| Stopped::environment(format!("cannot write the step summary {}: {e}", place.display())))?;
        }
        Ok(())
    }
}

/// The report, and behind it the comparison.
fn markdown(report: &Report, comparison: Option<&Comparison>) -> String {
    let mut text = report::markdown::render(report);
    if let Some(comparison) = comparison {
        text += "\n";
        text += &compare::markdown(comparison);
    }
    text
}
