//! The exit codes, each a documented fact; the only file that ends the process.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: every check passed.
    Pass,
    /// 1: at least one check failed.
    Fail,
    /// 2: a bad flag, an invalid scenario.
    Usage,
    /// 3: no evidence, or none that can be believed.
    Inconclusive,
    /// 4: target unreachable, limits too low, output not writable.
    Environment,
}

impl Exit {
    /// The number the shell sees.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Fail => 1,
            Self::Usage => 2,
            Self::Inconclusive => 3,
            Self::Environment => 4,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command stopped before it had anything to judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// The code to end with.
    pub exit: Exit,
    /// What was wrong and what to do instead, for people.
    pub message: String,
}

impl Stopped {
    /// Bad usage or an invalid scenario.
    #[must_use]
    pub fn usage(message: impl ToString) -> Self {
        Self { exit: Exit::Usage, message: message.to_string() }
    }

    /// The environment does not allow it.
    #[must_use]
    pub fn environment(message: impl ToString) -> Self {
        Self { exit: Exit::Environment, message: message.to_string() }
    }

    /// Says why on standard error and gives the code.
    #[must_use]
    pub fn tell(&self) -> Exit {
        let message = self.message.trim_end();
        super::terminal::say(&if message.starts_with("error") { message.to_owned() } else { format!("error: {message}") });
        self.exit
    }
}

/// Ends the process now, whatever it is doing.
#[expect(clippy::disallowed_methods, reason = "the second Ctrl-C: the one place that does not unwind")]
pub(super) fn at_once(exit: Exit) -> ! {
    std::process::exit(exit.code().into())
}
