//! The table of bars: what wsbench costs, holds and measures, beside a floor client that only counts frames, in one session.
//!
//! ```text
//! cargo bench --bench bars                                    the quick rows, about ten minutes
//! cargo bench --bench bars -- --all --json bars.json          every row, the soak and 50,000 connections included
//! cargo bench --bench bars -- --row paced --row burst --repeat 5
//! ```
//!
//! Every figure of a client is that of its process alone, read from the system while it runs. `WSBENCH_FLOOR` and
//! `WSBENCH_BSERVER` name a floor client and a broadcast server to use in place of the ones here (`floor.rs`, and this
//! project's reference server); the output says which were used.
//!
//! ```text
//! main.rs      flags, rows in turn, table and JSON
//! row.rs       what a row is: a bar, samples, a median
//! rows.rs      the rows
//! process.rs   child processes, and what the system knows of them
//! ours.rs      one run of wsbench, watched from outside
//! floor.rs     the floor client: epoll, one buffer, counts frame headers
//! ```
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its table")]

mod floor;
mod ours;
mod process;
mod row;
mod rows;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use row::Table;

#[derive(Parser)]
#[command(about = "Measures the table of bars")]
struct Args {
    /// Only these rows (see --list)
    #[arg(long = "row", value_name = "NAME")]
    rows: Vec<String>,
    /// All rows, those of many minutes included
    #[arg(long)]
    all: bool,
    /// Samples per row; the median is shown
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    repeat: u32,
    /// Shorter runs: for a look, not for a record
    #[arg(long)]
    brief: bool,
    /// Write the table as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Name the rows and end
    #[arg(long)]
    list: bool,
    /// Be a floor client (what the benchmark starts itself as)
    #[arg(long, hide = true, num_args = 0.., allow_hyphen_values = true)]
    floor: Option<Vec<String>>,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let result = match &args.floor {
        Some(numbers) => floor::run(numbers),
        None => measure(&args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("bars: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(args: &Args) -> Result<ExitCode, process::Failed> {
    if args.list {
        for row in rows::ALL {
            println!("{:<14} {}{}", row.name, row.what, if row.long { "  (only with --all or --row)" } else { "" });
        }
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(unknown) = args.rows.iter().find(|name| !rows::ALL.iter().any(|row| row.name == **name)) {
        return Err(process::Failed(format!("no row `{unknown}`: see --list")));
    }
    let bench = rows::Bench::new(args.repeat, args.brief);
    let mut table = Table::new(bench.tools());
    for row in rows::ALL {
        let wanted = if args.rows.is_empty() { args.all || !row.long } else { args.rows.iter().any(|name| name == row.name) };
        if !wanted {
            continue;
        }
        eprintln!("{}: {} …", row.name, row.what);
        match (row.measure)(&bench) {
            Ok(lines) => lines.into_iter().for_each(|line| table.add(row.name, line)),
            Err(error) => table.fail(row.name, &error.to_string()),
        }
        table.print_last(row.name);
    }
    println!("{table}");
    if let Some(path) = &args.json {
        std::fs::write(path, table.json()).map_err(|e| process::Failed(format!("{}: {e}", path.display())))?;
    }
    Ok(if table.all_met() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
