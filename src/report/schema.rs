//! The JSON Schema (2020-12) of what we write, generated from the types; their docstrings are its descriptions.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::compare::{COMPARISON_SCHEMA, Comparison};
use super::{Report, SCHEMA};
use crate::measure::Distribution;

/// The schema of `report.json`.
#[must_use]
pub fn json_schema() -> serde_json::Value {
    schema_of::<Report>(SCHEMA)
}

/// The schema of a comparison as JSON.
#[must_use]
pub fn comparison_schema() -> serde_json::Value {
    schema_of::<Comparison>(COMPARISON_SCHEMA)
}

fn schema_of<T: JsonSchema>(id: &str) -> serde_json::Value {
    let mut schema = SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>();
    schema.insert("$id".into(), format!("urn:{}", id.replace(['.', '/'], ":")).into());
    // The one place where the value is fixed: a reader can tell the version by validating.
    if let Some(of_schema) = schema.pointer_mut("/properties/schema").and_then(serde_json::Value::as_object_mut) {
        of_schema.insert("const".into(), id.into());
    }
    schema.to_value()
}

impl JsonSchema for Distribution {
    fn schema_name() -> Cow<'static, str> {
        "Distribution".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A distribution in nanoseconds: counts, a percentile list and the whole histogram.",
            "type": "object",
            "required": ["count", "min_ns", "mean_ns", "stdev_ns", "max_ns", "clamped", "percentiles", "hdr_base64"],
            "properties": {
                "count": { "type": "integer", "minimum": 0, "description": "Samples." },
                "min_ns": { "type": "integer", "minimum": 0, "description": "The least; 0 when there is no sample." },
                "mean_ns": { "type": "number", "minimum": 0 },
                "stdev_ns": { "type": "number", "minimum": 0 },
                "max_ns": { "type": "integer", "minimum": 0, "description": "The greatest; 0 when there is no sample." },
                "clamped": { "type": "integer", "minimum": 0, "description": "Samples beyond an hour, recorded as an hour." },
                "percentiles": {
                    "type": "array",
                    "description": "Empty when there is no sample.",
                    "items": {
                        "type": "object",
                        "required": ["percentile", "value_ns"],
                        "properties": {
                            "percentile": { "type": "number", "minimum": 0, "maximum": 100 },
                            "value_ns": { "type": "integer", "minimum": 0 }
                        }
                    }
                },
                "hdr_base64": {
                    "type": "string",
                    "contentEncoding": "base64",
                    "description": "HdrHistogram V2, compressed (deflate), base64: three significant digits, 1 ns to an hour."
                }
            }
        })
    }
}
