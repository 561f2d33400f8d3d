//! `wsbench schema`: the JSON Schema of what wsbench reads and writes, generated from its types.

use clap::Args;

use super::exit::Exit;
use super::terminal::print;
use crate::{report, scenario};

/// `wsbench schema`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wsbench schema scenario > wsbench.schema.json     then, first line of a scenario: #:schema ./wsbench.schema.json
  wsbench schema report                             what report.json holds, every field described")]
pub struct SchemaArgs {
    /// Whose schema
    #[arg(value_enum)]
    subject: Subject,
}

/// What has a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Subject {
    /// `report.json`, as written by `run --out` and `--format json`
    Report,
    /// A scenario, as TOML or JSON
    Scenario,
    /// What `compare --format json` writes
    Comparison,
}

/// Prints the schema (JSON Schema 2020-12).
#[must_use]
pub fn run(args: &SchemaArgs) -> Exit {
    let schema = match args.subject {
        Subject::Report => report::json_schema(),
        Subject::Scenario => scenario::json_schema(),
        Subject::Comparison => report::comparison_schema(),
    };
    print(&format!("{schema:#}\n"));
    Exit::Pass
}
