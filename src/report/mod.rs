//! Report → bytes. Renderers map a value to bytes; must never know a file, a terminal or a clock.
//!
//! The one value is [`Report`]; every format shows the same facts from it, so `wsbench report` renders a stored
//! `report.json` exactly as the run itself would have.

pub mod compare;
pub mod csv;
mod escape;
pub mod github;
pub mod hdr;
mod headline;
pub mod html;
pub mod json;
pub mod junit;
pub mod markdown;
pub mod metric;
mod model;
mod number;
pub mod prometheus;
mod repeats;
mod schema;
pub mod several;
pub mod tap;
pub mod text;
pub mod threshold;

pub use escape::escape;
pub use headline::headline;
pub use model::{Facts, PlanFacts, Report, SCHEMA, ScenarioFacts, TargetFacts, scenario_digest, utc_text};
pub use schema::{comparison_schema, json_schema};
pub use threshold::Threshold;
