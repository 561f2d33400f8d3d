//! Report → bytes. Renderers map a value to bytes; must never know a file, a terminal or a clock.
//!
//! The one value is [`Report`]; every format shows the same facts from it, so `wsbench report` renders a stored
//! `report.json` exactly as the run itself would have.

pub mod csv;
mod escape;
mod headline;
pub mod json;
mod model;
mod number;
pub mod text;

pub use escape::escape;
pub use headline::headline;
pub use model::{Facts, PlanFacts, Report, SCHEMA, ScenarioFacts, TargetFacts, redact_url, scenario_digest, utc_text};
