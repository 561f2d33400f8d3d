//! What the user meant: TOML → [`Scenario`], or an error that helps (file, line, column, key, remedy).
//!
//! `schema.rs` mirrors what is typed, `model.rs` is what is meant, and only the second travels.
//! Must never know a plan, a socket or a clock.

mod error;
mod matcher;
pub mod model;
mod node;
mod resolve;
mod schema;
#[cfg(test)]
mod tests;
mod typed;
mod write;

pub use error::{Problem, ScenarioError, Warning};
pub use matcher::Pattern;
pub use model::Scenario;
pub use resolve::{Reading, parse, read};
pub use schema::{json_schema, metric_name};
