//! `wsbench completions` and `wsbench man`: both generated from the one definition of the command line.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory as _};

use super::exit::{Exit, Stopped};
use super::terminal::{print, say};

/// `wsbench completions`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wsbench completions bash > ~/.local/share/bash-completion/completions/wsbench
  wsbench completions zsh > ~/.zfunc/_wsbench
  wsbench completions fish > ~/.config/fish/completions/wsbench.fish")]
pub struct CompletionsArgs {
    /// Which shell
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

/// `wsbench man`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wsbench man ~/.local/share/man/man1     then: man wsbench, man wsbench-run")]
pub struct ManArgs {
    /// Write wsbench.1 and a page for each subcommand into this directory, which is made if it is not there
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Prints the completion script.
#[must_use]
pub fn completions(args: &CompletionsArgs) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::Cli::command(), "wsbench", &mut script);
    print(&String::from_utf8_lossy(&script));
    Exit::Pass
}

/// Writes the man pages.
#[must_use]
pub fn man(args: &ManArgs) -> Exit {
    match pages(&args.directory) {
        Ok(count) => {
            say(&format!("wsbench: {count} pages in {}", args.directory.display()));
            Exit::Pass
        }
        Err(stopped) => stopped.tell(),
    }
}

fn pages(directory: &Path) -> Result<usize, Stopped> {
    let unwritable = |e: std::io::Error| Stopped::environment(format!("cannot write man pages to {}: {e}", directory.display()));
    fs::create_dir_all(directory).map_err(unwritable)?;
    clap_mangen::generate_to(super::Cli::command(), directory).map_err(unwritable)?;
    let pages = fs::read_dir(directory).map_err(unwritable)?;
    let ours = |name: &str| name.starts_with("wsbench") && name.ends_with(".1");
    Ok(pages.filter_map(Result::ok).filter(|page| page.file_name().to_str().is_some_and(ours)).count())
}
