//! The command line: reads files, prints, draws bars, exits. The only floor that knows a terminal or an exit code.
//!
//! One file a subcommand; each has its arguments (clap) and a `run` that returns an [`exit::Exit`].

pub mod compare;
pub mod completions;
pub mod conformance;
pub mod conformance_known;
pub mod conformance_serve;
pub mod connect;
pub mod exit;
pub mod explain;
mod gate;
pub mod init;
mod interrupt;
mod journal;
pub mod judge;
mod metrics;
mod output;
pub mod plan;
pub mod presets;
mod progress;
pub mod prove;
mod repeat;
pub mod report;
pub mod run;
pub mod schema;
mod secrets;
pub mod serve;
mod telling;
mod terminal;
mod worker;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use exit::Exit;

/// Load testing and conformance for WebSocket broadcast servers.
#[derive(Debug, Parser)]
#[command(name = "wsbench", version, disable_help_subcommand = true, max_term_width = 100)]
#[command(about = "Did every broadcast reach every open client: once, in order, intact and in time?")]
#[command(after_help = "\
Examples:
  wsbench run scenarios/broadcast.toml                           against the built-in server
  wsbench run scenarios/smoke.toml --url ws://127.0.0.1:3000     against yours
  wsbench run chat.toml --html report.html --threshold 'delivery.p99 < 250ms'
  wsbench connect ws://127.0.0.1:3000                            talk with it by hand
  wsbench serve                                                  the reference server, on port 3000

Exit codes: 0 every check passed, 1 a check failed, 2 bad usage or scenario, 3 inconclusive,
4 environment (target unreachable, limits too low, output not writable)")]
pub struct Cli {
    /// When to use colour.
    #[arg(long, global = true, value_enum, default_value_t = terminal::Colour::Auto, help_heading = "Output")]
    color: terminal::Colour,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a scenario and judge the server
    Run(Box<run::RunArgs>),
    /// Judge a run again from its journal, by the same checks or by others
    Judge(judge::JudgeArgs),
    /// Run the reference server: broadcast, heartbeat, greeting, limits, metrics, faults on request
    Serve(Box<serve::ServeArgs>),
    /// Print what a scenario will do and what it needs, without touching the network
    Plan(plan::PlanArgs),
    /// Tell what a check claims, needs and proves
    Explain(explain::ExplainArgs),
    /// List and print the presets for known servers
    Presets(presets::PresetsArgs),
    /// Render reports again: HTML, JUnit, Markdown, text, CSV, HdrHistogram; several side by side
    Report(report::Args),
    /// Prove the instrument: commit every fault the built-in server knows, and see each found, named and counted
    Prove(prove::ProveArgs),
    /// Compare runs with a baseline
    Compare(compare::Args),
    /// Ask a server every question of the wire: Autobahn's 517 cases and what it never asked
    Conformance(Box<conformance::ConformanceArgs>),
    /// Talk with a server by hand: a line typed is sent, what comes is shown
    Connect(Box<connect::ConnectArgs>),
    /// Look at a server, guess how it broadcasts, and write a scenario that runs
    Init(Box<init::InitArgs>),
    /// Print the JSON Schema of reports, scenarios or comparisons
    Schema(schema::SchemaArgs),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
    /// Write man pages
    Man(completions::ManArgs),
    /// Hold a share of another process's clients
    #[command(name = crate::drive::worker::COMMAND, hide = true)]
    Worker,
}

/// What a command is for, how it is written, examples, and then its arguments group by group: most people look for an example.
const HELP: &str = "{about-with-newline}\n{usage-heading} {usage}{after-help}\n\n{all-args}\n";

/// The command line as it is parsed.
fn definition() -> clap::Command {
    let command = Cli::command().help_template(HELP);
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    names.into_iter().fold(command, |command, name| command.mut_subcommand(name, |sub| sub.help_template(HELP)))
}

/// Parses the command line and runs what it asks for.
#[must_use]
pub fn main() -> ExitCode {
    let mut matches = definition().get_matches();
    let cli = Cli::from_arg_matches_mut(&mut matches).unwrap_or_else(|error| error.exit());
    let terminal = terminal::Terminal::detect(cli.color);
    let exit: Exit = match cli.command {
        Command::Run(args) => run::run(&args, terminal),
        Command::Judge(args) => judge::run(&args, terminal),
        Command::Serve(args) => serve::run(*args),
        Command::Plan(args) => plan::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Presets(args) => presets::run(&args),
        Command::Report(args) => report::run(&args, &terminal.style),
        Command::Prove(args) => prove::run(&args, terminal),
        Command::Compare(args) => compare::run(&args, &terminal.style),
        Command::Conformance(args) => conformance::run(*args, terminal),
        Command::Connect(args) => connect::run(&args, terminal),
        Command::Init(args) => init::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Completions(args) => completions::completions(&args),
        Command::Man(args) => completions::man(&args),
        Command::Worker => worker::run(),
    };
    if exit == Exit::Pass && terminal::output_was_lost() { Exit::Environment.into() } else { exit.into() }
}
