//! `wsbench compare`: a run, or several, against a baseline.

use std::path::PathBuf;

use clap::ValueEnum;

use super::exit::{Exit, Stopped};
use super::report::{exit_of, read, write};
use crate::report::compare::{self, Comparison, compare};
use crate::report::metric::Unit;
use crate::report::text::Style;
use crate::report::{Report, html};

/// Compare a run, or repeats of it, with a baseline.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wsbench compare base/report.json new/report.json
  wsbench compare base/ new/ --fail-on-regression 10%         repeats, of `run --repeat 5 --out new/`
  wsbench compare base/ new/ --format html -o comparison.html
  wsbench compare base/ new/ --format markdown >> \"$GITHUB_STEP_SUMMARY\"

Exit codes: 0 compared; with --fail-on-regression 1 when a metric is worse by more than is allowed,
beyond noise, or a check fails that did not, 3 when one became inconclusive; 2 not comparable")]
pub struct Args {
    /// The baseline: a report, or a directory with report.json or with one directory a repeat
    #[arg(value_name = "BASE")]
    base: PathBuf,
    /// What is compared with it.
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// Fail when a metric became worse by more than this share (10% or 0.1), beyond what noise explains.
    #[arg(long, value_name = "SHARE", value_parser = share, help_heading = "Gate")]
    fail_on_regression: Option<f64>,
    /// What to write.
    #[arg(long, value_enum, default_value_t = Format::Text, help_heading = "Output")]
    format: Format,
    /// Where to write it; standard output if not given.
    #[arg(long, short, value_name = "FILE", help_heading = "Output")]
    output: Option<PathBuf>,
}

/// The formats of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a terminal.
    Text,
    /// Every number and p-value.
    Json,
    /// For a pull-request comment.
    Markdown,
    /// One self-contained page.
    Html,
    /// GitHub workflow annotations.
    Github,
}

/// A share as a person writes it: `10%` or `0.1`, not negative.
///
/// # Errors
/// When it is neither.
pub fn share(text: &str) -> Result<f64, String> {
    let share = Unit::Share.parse(text)?;
    if share < 0.0 { Err(format!("`{text}` is negative: write how much worse is allowed, such as `10%`")) } else { Ok(share) }
}

/// Runs the subcommand.
#[must_use]
pub fn run(args: &Args, style: &Style) -> Exit {
    judge(args, style).unwrap_or_else(|stopped| stopped.tell())
}

fn judge(args: &Args, style: &Style) -> Result<Exit, Stopped> {
    let (base, new) = (read(&args.base)?, read(&args.new)?);
    let comparison = compare(&base, &new, args.fail_on_regression).map_err(Stopped::usage)?;
    write(args.output.as_deref(), &render(args.format, style, &comparison, (&base, &new)))?;
    Ok(exit_of(comparison.verdict))
}

fn render(format: Format, style: &Style, comparison: &Comparison, (base, new): (&[Report], &[Report])) -> String {
    match format {
        Format::Text => compare::text(comparison, style),
        Format::Json => compare::json(comparison),
        Format::Markdown => compare::markdown(comparison),
        Format::Html => html::comparison(comparison, base, new),
        Format::Github => compare::github(comparison),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_read_both_ways() {
        assert_eq!(share("10%"), Ok(0.1));
        assert_eq!(share("0.1"), Ok(0.1));
        assert!(share("-5%").is_err());
        assert!(share("ten").is_err());
    }

    #[test]
    fn an_empty_directory_says_what_was_looked_for() {
        let directory = tempfile::tempdir().expect("a directory");
        let failure = read(directory.path()).expect_err("nothing there");
        assert!(failure.message.contains("report.json"), "{}", failure.message);
    }
}
