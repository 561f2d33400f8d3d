//! `wsbench report`: renders stored reports again, one as any format, several side by side. Reports of runs and reports of
//! conformance are told apart by their `schema`.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::exit::{Exit, Stopped};
use super::output::Target;
use super::terminal::write_out;
use crate::check::Outcome;
use crate::conformance::report as conformance;
use crate::report::text::Style;
use crate::report::{self, Report, Threshold, metric};

/// Render report.json or a conformance report again, in any format; several files are shown side by side.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wsbench report results/                                        for the terminal
  wsbench report results/ --format html -o report.html
  wsbench report results/ --format junit -o junit.xml
  wsbench report A.json B.json --format html -o both.html        side by side
  wsbench report conformance-a.json conformance-b.json --format html -o servers.html
  wsbench report results/ --threshold 'delivery.p99 < 250ms' --threshold 'delivery.ratio == 1'

Exits 0 when it could render; with --threshold, as the thresholds say (0, 1 or 3)")]
pub struct Args {
    /// Report files, directories with report.json or with one directory a repeat, or - for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What to write.
    #[arg(long, value_enum, default_value_t = Format::Text, help_heading = "Output")]
    format: Format,
    /// Where to write it; standard output if not given.
    #[arg(long, short, value_name = "FILE", help_heading = "Output")]
    output: Option<PathBuf>,
    /// The distribution for --format hgrm: delivery, transit, pong, connect, send_lag, …
    #[arg(long, value_name = "NAME", default_value = "delivery", help_heading = "Output")]
    metric: String,
    /// Ask something more of the numbers, such as `delivery.p99 < 250ms`; may be repeated.
    #[arg(long = "threshold", value_name = "EXPR", help_heading = "Gate")]
    thresholds: Vec<Threshold>,
}

/// The formats of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a terminal.
    Text,
    /// The report itself.
    Json,
    /// One self-contained page.
    Html,
    /// JUnit XML.
    Junit,
    /// For a step summary or a pull-request comment.
    Markdown,
    /// A row per second.
    Csv,
    /// A row per distribution and percentile.
    CsvPercentiles,
    /// HdrHistogram percentile table of --metric.
    Hgrm,
    /// HdrHistogram interval log.
    Hlog,
    /// Test Anything Protocol 14.
    Tap,
    /// GitHub workflow annotations.
    Github,
}

/// Runs the subcommand.
#[must_use]
pub fn run(args: &Args, style: &Style) -> Exit {
    let done = render(args, style).and_then(|(text, exit)| write(args.output.as_deref(), &text).map(|()| exit));
    done.unwrap_or_else(|stopped| stopped.tell())
}

/// The text and the exit it deserves.
fn render(args: &Args, style: &Style) -> Result<(String, Exit), Stopped> {
    let mut texts = Vec::new();
    for path in &args.files {
        for file in files_of(path)? {
            let text = stored(&file)?;
            texts.push((file, text));
        }
    }
    let (wire, runs): (Vec<_>, Vec<_>) = texts.iter().partition(|(_, text)| is_conformance(text));
    match (wire.first(), runs.first()) {
        (Some(wire), Some(run)) => Err(Stopped::usage(format!(
            "{} is a conformance report and {} is not: show the two kinds on pages of their own",
            wire.0.display(),
            run.0.display()
        ))),
        (Some(_), None) => conformance_reports(&wire, args, style).map(|text| (text, Exit::Pass)),
        _ => run_reports(&runs, args, style),
    }
}

fn run_reports(texts: &[&(PathBuf, String)], args: &Args, style: &Style) -> Result<(String, Exit), Stopped> {
    let mut reports = Vec::new();
    for (path, text) in texts {
        reports.append(&mut parse(path, text)?);
    }
    let mut exit = Exit::Pass;
    for report in &mut reports {
        let asked: Vec<_> = args.thresholds.iter().map(|threshold| threshold.judge(report)).collect();
        let worst = asked.iter().map(|finding| finding.outcome).max().unwrap_or(Outcome::Pass);
        exit = worse(exit, exit_of(worst));
        if !asked.is_empty() {
            report.add_findings(asked);
        }
    }
    let text = match reports.as_slice() {
        [report] => one(report, args, style)?,
        reports => several(reports, args.format, style)?,
    };
    Ok((text, exit))
}

/// Whether the file says of itself that it is a conformance report, of whatever version.
fn is_conformance(text: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct Named {
        schema: String,
    }
    serde_json::from_str::<Named>(text).is_ok_and(|named| named.schema.starts_with("wsbench.conformance/"))
}

fn conformance_reports(texts: &[&(PathBuf, String)], args: &Args, style: &Style) -> Result<String, Stopped> {
    if let Some(threshold) = args.thresholds.first() {
        return Err(Stopped::usage(format!("`{threshold}` asks for the number of a run, and a conformance report has none")));
    }
    let read = |(path, text): &&(PathBuf, String)| {
        conformance::Report::from_json(text).map_err(|why| Stopped::usage(format!("cannot read {}: {why}", path.display())))
    };
    let reports = texts.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let look = conformance::text::Look { colour: style.colour, unicode: style.unicode, width: style.width };
    match (args.format, reports.as_slice()) {
        (Format::Text, reports) => {
            let texts: Vec<_> = reports.iter().map(|report| conformance::text::render(report, look, false)).collect();
            Ok(texts.join("\n"))
        }
        (Format::Html, reports) => Ok(conformance::html::render(reports)),
        (Format::Markdown, reports) => Ok(conformance::markdown::render(reports)),
        (Format::Json, [report]) => Ok(report.to_json()),
        (Format::Junit, [report]) => Ok(conformance::junit::render(report)),
        (Format::Json | Format::Junit, _) => {
            Err(Stopped::usage("several conformance reports are written as text, html or markdown; give one file for json and junit"))
        }
        _ => Err(Stopped::usage("a conformance report is written as text, json, html, junit or markdown")),
    }
}

fn one(report: &Report, args: &Args, style: &Style) -> Result<String, Stopped> {
    Ok(match args.format {
        Format::Text => report::text::render(report, style),
        Format::Json => report::json::render(report),
        Format::Html => report::html::render(report),
        Format::Junit => report::junit::render(report),
        Format::Markdown => report::markdown::render(report),
        Format::Csv => report::csv::timeline(report),
        Format::CsvPercentiles => report::csv::percentiles(report),
        Format::Hlog => report::hdr::hlog(report),
        Format::Tap => report::tap::render(report),
        Format::Github => report::github::render(report),
        Format::Hgrm => {
            let distribution = metric::distribution(report, &args.metric).map_err(Stopped::usage)?;
            distribution
                .map(report::hdr::hgrm)
                .ok_or_else(|| Stopped { exit: Exit::Inconclusive, message: format!("this run has no sample of `{}`", args.metric) })?
        }
    })
}

fn several(reports: &[Report], format: Format, style: &Style) -> Result<String, Stopped> {
    match format {
        Format::Text => Ok(report::several::text(reports, style)),
        Format::Html => Ok(report::html::several(reports, None)),
        Format::Markdown => Ok(report::several::markdown(reports)),
        Format::Json => Ok(report::json::several(reports)),
        Format::Junit => Ok(report::junit::several(reports, None)),
        Format::Github => Ok(reports.iter().map(report::github::render).collect()),
        Format::Csv | Format::CsvPercentiles | Format::Hgrm | Format::Hlog | Format::Tap => Err(Stopped::usage(
            "several reports side by side are written as text, json, html, junit, markdown or github; give one file for the rest",
        )),
    }
}

/// The reports at a place: of a file one, or an array of them; of a directory its own `report.json`, or those of its
/// directories, in the order of their numbers; `-` is standard input.
pub(super) fn read(path: &Path) -> Result<Vec<Report>, Stopped> {
    let mut reports = Vec::new();
    for file in files_of(path)? {
        reports.append(&mut parse(&file, &stored(&file)?)?);
    }
    Ok(reports)
}

/// The files at a place, as [`read`] has them.
fn files_of(path: &Path) -> Result<Vec<PathBuf>, Stopped> {
    let own = path.join("report.json");
    if !path.is_dir() || own.exists() {
        return Ok(vec![if path.is_dir() { own } else { path.to_owned() }]);
    }
    let entries = fs::read_dir(path).map_err(|error| Stopped::usage(format!("cannot read {}: {error}", path.display())))?;
    let mut repeats: Vec<_> =
        entries.filter_map(|entry| Some(entry.ok()?.path().join("report.json"))).filter(|file| file.exists()).collect();
    // run-2 before run-10.
    repeats.sort_by_key(|file| (file.as_os_str().len(), file.clone()));
    if repeats.is_empty() {
        return Err(Stopped::usage(format!("there is no report.json in {} or in its directories", path.display())));
    }
    Ok(repeats)
}

fn stored(file: &Path) -> Result<String, Stopped> {
    let text = if file.as_os_str() == "-" {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(file)
    };
    text.map_err(|error| Stopped::usage(format!("cannot read {}: {error}", file.display())))
}

fn parse(file: &Path, text: &str) -> Result<Vec<Report>, Stopped> {
    report::json::read_all(text).map_err(|error| Stopped::usage(format!("cannot read {}: {error}", file.display())))
}

/// Writes to a file or to standard output; a reader that went away is no error.
pub(super) fn write(output: Option<&Path>, text: &str) -> Result<(), Stopped> {
    let unwritable =
        |name: String, error: &io::Error| Stopped { exit: Exit::Environment, message: format!("cannot write {name}: {error}") };
    if let Some(path) = output {
        return Target::open(path, true)?.write(text.as_bytes());
    }
    write_out(text).map_err(|error| unwritable("standard output".into(), &error))
}

/// The exit of an outcome.
pub(super) const fn exit_of(outcome: Outcome) -> Exit {
    match outcome {
        Outcome::Pass => Exit::Pass,
        Outcome::Inconclusive => Exit::Inconclusive,
        Outcome::Fail => Exit::Fail,
    }
}

const fn worse(a: Exit, b: Exit) -> Exit {
    match (a, b) {
        (Exit::Fail, _) | (_, Exit::Fail) => Exit::Fail,
        (Exit::Inconclusive, _) | (_, Exit::Inconclusive) => Exit::Inconclusive,
        _ => a,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_a_usage_error_that_names_the_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let broken = directory.path().join("report.json");
        for (content, says) in
            [(None, "there is no report.json"), (Some("{"), "no wsbench report"), (Some(r#"{"schema":"other/1"}"#), "other/1")]
        {
            if let Some(content) = content {
                fs::write(&broken, content).expect("it is writable");
            }
            let failure = read(directory.path()).expect_err(says);
            assert_eq!(failure.exit, Exit::Usage);
            assert!(failure.message.contains(says) && failure.message.contains("report.json"), "{}", failure.message);
        }
    }

    #[test]
    fn an_output_that_cannot_be_written_is_the_environments() {
        let directory = tempfile::tempdir().expect("a directory");
        let failure = write(Some(&directory.path().join("no/such/place")), "text").expect_err("no directory");
        assert_eq!(failure.exit, Exit::Environment);
    }

    #[test]
    fn the_worse_exit_wins() {
        assert_eq!(worse(Exit::Pass, Exit::Inconclusive), Exit::Inconclusive);
        assert_eq!(worse(Exit::Inconclusive, Exit::Fail), Exit::Fail);
        assert_eq!(worse(Exit::Pass, Exit::Pass), Exit::Pass);
    }
}
