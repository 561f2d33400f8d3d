//! The books against what is known to be true.

mod cases;
mod feed;
mod ledger;
mod merging;
mod oracle;
mod planned_faults;
pub(crate) mod random;
mod rows;
