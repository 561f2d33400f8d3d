//! Which part of the plan's connections one shard looks after.

use serde::{Deserialize, Serialize};

use crate::base::ConnId;

/// One shard's share: the connections whose id leaves the remainder `index` when divided by `of`. A shard is a thread of this
/// process or of another; over a whole run every index below `of` is given to exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Share {
    /// Which share, from 0.
    pub index: u32,
    /// Of how many; at least 1.
    pub of: u32,
}

impl Share {
    /// Everything in one shard.
    pub const WHOLE: Self = Self { index: 0, of: 1 };

    /// Whether `conn` belongs to this share.
    #[must_use]
    pub const fn owns(self, conn: ConnId) -> bool {
        conn.0 % self.of == self.index
    }

    /// How many of `connections` belong to this share.
    #[must_use]
    pub const fn size(self, connections: u32) -> u32 {
        if connections <= self.index { 0 } else { (connections - self.index).div_ceil(self.of) }
    }

    /// The connection in place `slot` of this share.
    #[must_use]
    pub const fn conn(self, slot: u32) -> ConnId {
        ConnId(slot * self.of + self.index)
    }
}

/// `conn / of` without a division instruction (a division costs as much as the rest of finding the books of a connection).
#[derive(Debug, Clone, Copy)]
pub(super) struct Slots {
    share: Share,
    /// ⌊2⁶⁴ ÷ of⌋ + 1, exact for all 32-bit numerators (Lemire, Kaser, Kurz: Faster remainder by direct computation, 2019);
    /// unused for `of` = 1.
    reciprocal: u64,
}

impl Slots {
    pub(super) const fn new(share: Share) -> Self {
        Self { share, reciprocal: (u64::MAX / share.of as u64).wrapping_add(1) }
    }

    pub(super) const fn share(self) -> Share {
        self.share
    }

    /// The connection in place `slot`.
    #[expect(clippy::cast_possible_truncation, reason = "a share has fewer than 2³² connections")]
    pub(super) const fn conn(self, slot: usize) -> ConnId {
        self.share.conn(slot as u32)
    }

    /// The place of `conn` in the share's vectors; meaningless for a connection of another share.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the high word of a 64 × 32 bit product is below 2³²")]
    pub(super) const fn of(self, conn: ConnId) -> usize {
        if self.share.of == 1 { conn.0 as usize } else { ((self.reciprocal as u128 * conn.0 as u128) >> 64) as usize }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_divide_the_connections_without_rest() {
        for of in 1..=17 {
            for connections in [0, 1, 5, 16, 17, 1000] {
                let total: u32 = (0..of).map(|index| Share { index, of }.size(connections)).sum();
                assert_eq!(total, connections);
                for conn in (0..connections).map(ConnId) {
                    let share = Share { index: conn.0 % of, of };
                    let slot = Slots::new(share).of(conn);
                    assert!(share.owns(conn) && slot < share.size(connections) as usize);
                    assert_eq!(share.conn(u32::try_from(slot).expect("small")), conn);
                }
            }
        }
    }

    #[test]
    fn the_reciprocal_divides_exactly_at_the_far_end() {
        for of in [2, 3, 7, 64, 1000, u32::MAX] {
            let slots = Slots::new(Share { index: 0, of });
            for n in [0, 1, of - 1, of, u32::MAX - 1, u32::MAX] {
                assert_eq!(slots.of(ConnId(n)), (n / of) as usize, "{n} / {of}");
            }
        }
    }
}
