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
