//! Identities. Indices, not names: small, dense, and meaningless outside their run.

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub u32);

        impl $name {
            /// The id as a vector index.
            #[must_use]
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// One connection of the plan, counted from 0 over all client groups.
    ConnId
);
id!(
    /// One publisher of the plan, counted from 0. Which connection it speaks on is the plan's to say.
    PublisherId
);
id!(
    /// The place of a publication in its publisher's sequence, counted from 0 **over publications actually sent**:
    /// a publication that was dropped by the instrument takes no number, so a gap is always a copy that went missing.
    Seq
);
id!(
    /// Tells copies of this run from leftovers of another. Random unless a seed is given.
    RunId
);
