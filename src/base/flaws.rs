//! What can be wrong with a copy.

use serde::{Deserialize, Serialize};

/// What was wrong with a copy; empty for an intact one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Flaws(pub u8);

impl Flaws {
    /// Intact.
    pub const NONE: Self = Self(0);
    /// Text became binary or the other way round.
    pub const OPCODE: Self = Self(1);
    /// Shorter or longer than sent.
    pub const LENGTH: Self = Self(2);
    /// A byte of the padding or the stamp differs.
    pub const BYTES: Self = Self(4);

    /// True for an intact copy.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Both together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is in this.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}
