//! The books against what is known to be true.

mod audiences;
mod cases;
mod connections;
mod disrupted;
mod drain;
mod feed;
mod feed_edges;
mod feed_order;
mod feed_room;
mod ledger;
mod merging;
mod oracle;
mod planned_faults;
pub(crate) mod random;
mod rows;
mod settling;
mod timeline;
