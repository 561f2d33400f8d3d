//! The command line: reads files, prints, draws bars, exits. The only floor that knows a terminal or an exit code.
//!
//! One file a subcommand; each has an `Args` (clap) and a `run` that returns an [`exit::Exit`].

pub mod exit;
pub mod plan;
pub mod presets;
