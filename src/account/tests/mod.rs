//! The books against what is known to be true.

mod cases;
mod oracle;
mod planned_faults;
pub(crate) mod random;
