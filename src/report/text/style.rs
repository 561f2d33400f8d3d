//! How a page is set: width, colour, alphabet.

use crate::check::Outcome;

/// How text is set. The edge looks at the terminal and the environment and says so here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Columns; below 48 is taken as 48, above 120 as 120 (longer lines are not easier to read).
    pub width: usize,
    /// ANSI colours.
    pub colour: bool,
    /// Beyond ASCII: marks, blocks, dots.
    pub unicode: bool,
}

impl Default for Style {
    /// 80 columns, no colour, Unicode: what a file wants.
    fn default() -> Self {
        Self { width: 80, colour: false, unicode: true }
    }
}

impl Style {
    /// The mark beside an outcome's word.
    pub(super) const fn mark(self, outcome: Outcome) -> &'static str {
        match (outcome, self.unicode) {
            (Outcome::Pass, true) => "✓",
            (Outcome::Fail, true) => "✗",
            (Outcome::Inconclusive, _) => "?",
            (Outcome::Pass, false) => "+",
            (Outcome::Fail, false) => "x",
        }
    }
}

/// What a colour means here. Nothing is said by colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    /// Held.
    Good,
    /// Broken.
    Bad,
    /// Unknown, or look here.
    Doubt,
    /// Headings.
    Bold,
    /// Labels and asides.
    Faint,
}

impl Ink {
    pub(super) const fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Pass => Self::Good,
            Outcome::Fail => Self::Bad,
            Outcome::Inconclusive => Self::Doubt,
        }
    }

    pub(super) const fn ansi(self) -> &'static str {
        match self {
            Self::Good => "\u{1b}[32m",
            Self::Bad => "\u{1b}[1;31m",
            Self::Doubt => "\u{1b}[33m",
            Self::Bold => "\u{1b}[1m",
            Self::Faint => "\u{1b}[2m",
        }
    }
}
