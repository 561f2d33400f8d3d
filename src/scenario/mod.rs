//! What the user meant: TOML → [`Scenario`], or an error that helps (file, line, column, key, remedy).
//!
//! `schema.rs` mirrors what is typed, `model.rs` is what is meant, and only the second travels.
//! Must never know a plan, a socket or a clock.

pub mod model;

pub use model::Scenario;
