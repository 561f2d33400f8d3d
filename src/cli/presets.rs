//! `wsbench presets [NAME]`: the shipped presets, listed or printed.

use clap::Args;

use super::exit::Exit;
use crate::scenario::{PRESETS, Preset};

/// List the shipped presets, or print one: TOML to read, copy and change.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wsbench presets                 which servers are known
  wsbench presets socketio        the preset as TOML, to read, copy and change")]
pub struct PresetsArgs {
    /// Print this preset's TOML.
    pub name: Option<String>,
}

/// Lists or prints.
#[must_use]
#[expect(clippy::print_stderr, reason = "the command line is where things are printed")]
pub fn run(args: &PresetsArgs) -> Exit {
    let Some(name) = &args.name else {
        super::terminal::print(&list());
        return Exit::Pass;
    };
    match Preset::find(name) {
        Some(preset) => {
            super::terminal::print(preset.text);
            Exit::Pass
        }
        None => {
            eprintln!("error: there is no preset `{name}`: `wsbench presets` lists all");
            Exit::Usage
        }
    }
}

/// A line a preset, and how to use one.
#[must_use]
pub fn list() -> String {
    let width = PRESETS.iter().map(|p| p.name.len()).max().unwrap_or(0);
    let lines: Vec<String> = PRESETS.iter().map(|p| format!("  {:width$}  {}", p.name, p.summary())).collect();
    format!("{}\n\nIn a scenario: use = \"{}\"; `wsbench presets NAME` prints one.\n", lines.join("\n"), PRESETS[0].name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_presets_are_listed_with_what_they_are_for() {
        let text = list();
        for preset in PRESETS {
            assert!(text.contains(preset.name) && !preset.summary().is_empty(), "{}", preset.name);
        }
    }
}
