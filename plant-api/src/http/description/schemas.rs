//! Constraints on values that the strict JSON reader checks and utoipa does not describe.
//!
//! Free-form JSON has no schema, because generators of clients fail on recursive ones: the text of the
//! description says what it must not contain.

use serde_json::{Map, Value, json};

/// Any text without NUL, which PostgreSQL's `text` type cannot store.
const TEXT_PATTERN: &str = r"^[^\x00]*$";
/// A name: at least one visible character, no control characters.
const NAME_PATTERN: &str = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$";

/// Adds the constraints to every schema in `value`. Texts of 1 to 200 characters are names; those that may be empty are
/// searched for.
pub fn add_constraints(value: &mut Value) {
    match value {
        Value::Object(map) => {
            add_constraints_of(map);
            describe_free_form(map);
            map.values_mut().for_each(add_constraints);
        }
        Value::Array(items) => items.iter_mut().for_each(add_constraints),
        _ => {}
    }
}

fn add_constraints_of(schema: &mut Map<String, Value>) {
    let has_any_key = |names: &[&str]| names.iter().any(|name| schema.contains_key(*name));
    if has_type(schema, "string") && !has_any_key(&["format", "enum", "pattern"]) {
        let is_present = schema.get("minLength").is_some_and(|min| min == 1);
        let is_short =
            schema.get("maxLength").and_then(Value::as_u64).is_some_and(|max| max <= 200);
        let pattern = if is_present && is_short { NAME_PATTERN } else { TEXT_PATTERN };
        schema.insert("pattern".into(), pattern.into());
    }
}

/// Describes an object of anything in the same way everywhere: generators of clients warn of an object without
/// `additionalProperties`, and know nothing of names of properties.
fn describe_free_form(schema: &mut Map<String, Value>) {
    let has_any_key = |names: &[&str]| names.iter().any(|name| schema.contains_key(*name));
    if has_type(schema, "object") && !has_any_key(&["properties", "$ref", "oneOf", "allOf"]) {
        let values = schema.entry("additionalProperties").or_insert_with(|| json!({}));
        if *values == json!({}) {
            schema.remove("propertyNames");
        }
    }
}

fn has_type(schema: &Map<String, Value>, name: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(kind)) => kind == name,
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == name),
        _ => false,
    }
}
