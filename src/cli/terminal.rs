//! What the terminal can do, found out once: width, colour, Unicode. `NO_COLOR` and `--color` are honoured.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::report::escape;
use crate::report::text::Style;

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Colour {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Where output goes and how it may look.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    /// How text on standard output is set.
    pub style: Style,
    /// Standard error is a terminal: progress may be drawn there.
    pub progress: bool,
}

impl Terminal {
    /// Looks at the environment.
    #[must_use]
    pub fn detect(colour: Colour) -> Self {
        let stdout = io::stdout().is_terminal();
        let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty()) || std::env::var_os("TERM").is_some_and(|t| t == "dumb");
        let colour = match colour {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => stdout && !plain,
        };
        Self { style: Style { width: width(stdout), colour, unicode: unicode() }, progress: io::stderr().is_terminal() }
    }
    /// The same terminal, which may have been resized since.
    #[must_use]
    pub fn as_it_is_now(self) -> Self {
        Self { style: Style { width: width(io::stdout().is_terminal()), ..self.style }, ..self }
    }
}

fn width(stdout: bool) -> usize {
    let asked = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
    asked.or_else(|| stdout.then(|| usize::from(console::Term::stdout().size().1))).unwrap_or(80)
}

/// A locale that says UTF-8, or says nothing at all (containers), is taken at its word.
fn unicode() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()));
    locale.is_none_or(|l| {
        let l = l.to_ascii_lowercase();
        l.contains("utf-8") || l.contains("utf8") || l == "c" || l == "posix"
    })
}

/// Whether something that was to be printed is lost.
static LOST: AtomicBool = AtomicBool::new(false);

/// Writes data to standard output. A reader that has gone away has read enough.
///
/// # Errors
/// Anything else that goes wrong, such as a full disk.
pub(super) fn write_out(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// The same; what goes wrong is said, and [`output_was_lost`].
pub(super) fn print(text: &str) {
    if let Err(error) = write_out(text)
        && !LOST.swap(true, Ordering::Relaxed)
    {
        say(&format!("error: cannot write to standard output: {error}"));
    }
}

/// Whether [`print`] failed: then a pass is none, since nobody can read it.
pub(super) fn output_was_lost() -> bool {
    LOST.load(Ordering::Relaxed)
}

/// Writes lines for people to standard error. Names of files and scenarios, and the words of servers, are in them: what would
/// move the cursor or colour the terminal is shown instead.
pub(super) fn say(lines: &str) {
    say_styled(&harmless(lines));
}

/// Writes lines that have colours of ours, and nothing of others that is not escaped, to standard error.
pub(super) fn say_styled(lines: &str) {
    let _ = writeln!(io::stderr().lock(), "{lines}");
}

/// Text whose every control character is shown, but for the ends of its lines.
pub(super) fn harmless(lines: &str) -> String {
    lines.split('\n').map(escape).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_name_cannot_colour_the_terminal() {
        assert_eq!(harmless("a\u{1b}[31mRED\u{7}\n  b"), "a\\u{1b}[31mRED\\u{7}\n  b");
    }
}
