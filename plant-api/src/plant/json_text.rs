//! JSON of a `jsonb` column that responses contain as stored.

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};
use sqlx::types::Json;

/// The text of a `jsonb` column. It is never parsed, which would take many times its memory.
pub type JsonText = Json<Box<RawValue>>;

/// Serializes a JSON object.
pub fn json_text(object: &Map<String, Value>) -> JsonText {
    // Serializing an object into memory cannot fail.
    Json(to_raw_value(object).unwrap_or_else(|_| RawValue::NULL.to_owned()))
}
