//! Account → Summary: the numbers of a run. Pure: must never know what anybody thinks of them.

mod distribution;
mod spread;
mod summarize;
mod summary;

#[cfg(test)]
mod tests;

pub use distribution::{HIGHEST_NS, PERCENTILES};
pub(crate) use summarize::drop_name;
pub use summarize::summarize;
pub use summary::*;
