//! What the user meant: TOML → [`Scenario`], or an error that helps (file, line, column, key, remedy).
//!
//! `schema.rs` mirrors what is typed, `model.rs` is what is meant, and only the second travels.
//! Must never know a plan, a socket or a clock.

mod address;
pub mod behaviour;
pub mod body;
mod capture;
mod connection;
pub mod dialect;
pub mod disrupt;
mod error;
pub mod feed;
pub mod feeder;
mod matcher;
pub mod model;
mod node;
mod own;
mod preset;
#[cfg(test)]
mod presets_test;
mod quoted;
mod resolve;
mod schema;
pub mod session;
#[cfg(test)]
mod session_test;
mod shape;
pub mod template;
#[cfg(test)]
mod tests;
mod typed;
mod wanted;
mod write;

pub use error::{Problem, ScenarioError, Warning};
pub use matcher::Pattern;
pub use model::Scenario;
pub use preset::{PRESETS, Preset};
pub use resolve::{Reading, Surroundings, parse, read, read_with};
pub use schema::{json_schema, metric_name};
pub use template::Vars;
