//! Constraints on values that the strict JSON reader checks and utoipa does not describe.
//!
//! Free-form JSON has no schema, because generators of clients fail on recursive ones: the text of the
//! description says what it must not contain.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// Any text without NUL, which PostgreSQL's `text` type cannot store.
const TEXT_PATTERN: &str = r"^[^\x00]*$";
/// A name: at least one visible character, no control characters.
const NAME_PATTERN: &str = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$";

/// Prefix of the references to schemas.
const SCHEMAS: &str = "#/components/schemas/";

/// Adds the constraints to every schema that clients send, in the whole `description`. Texts of 1 to 200
/// characters are names; those that may be empty are searched for. Those that only responses have get none:
/// pages would show random characters as their examples.
pub fn add_constraints(description: &mut Value) {
    let sent = sent_schemas(description);
    describe_free_form(description);
    constrain(&mut description["paths"]);
    if let Some(schemas) = description["components"]["schemas"].as_object_mut() {
        let sent = schemas.iter_mut().filter(|(name, _)| sent.contains(*name));
        sent.for_each(|(_, schema)| constrain(schema));
    }
}

/// Returns the names of the schemas that requests have.
fn sent_schemas(description: &Value) -> BTreeSet<String> {
    let schemas = &description["components"]["schemas"];
    let mut sent = BTreeSet::new();
    let mut found = referenced(&description["paths"]);
    while let Some(name) = found.pop() {
        found.extend(referenced(&schemas[&name]).into_iter().filter(|name| !sent.contains(name)));
        sent.insert(name);
    }
    sent
}

/// Returns the names of the schemas that `value` refers to, except in responses.
fn referenced(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => text.strip_prefix(SCHEMAS).map(str::to_owned).into_iter().collect(),
        Value::Array(items) => items.iter().flat_map(referenced).collect(),
        Value::Object(map) => map
            .iter()
            .filter(|(key, _)| *key != "responses")
            .flat_map(|(_, v)| referenced(v))
            .collect(),
        _ => Vec::new(),
    }
}

/// Adds the constraints to every schema in `value`, except in responses.
fn constrain(value: &mut Value) {
    match value {
        Value::Object(map) => {
            add_constraints_of(map);
            let parts = map.iter_mut().filter(|(key, _)| *key != "responses");
            parts.for_each(|(_, part)| constrain(part));
        }
        Value::Array(items) => items.iter_mut().for_each(constrain),
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
fn describe_free_form(value: &mut Value) {
    match value {
        Value::Object(schema) => {
            let mut names = ["properties", "$ref", "oneOf", "allOf"].iter();
            if has_type(schema, "object") && !names.any(|name| schema.contains_key(*name)) {
                let values = schema.entry("additionalProperties").or_insert_with(|| json!({}));
                if *values == json!({}) {
                    schema.remove("propertyNames");
                }
            }
            schema.values_mut().for_each(describe_free_form);
        }
        Value::Array(items) => items.iter_mut().for_each(describe_free_form),
        _ => {}
    }
}

fn has_type(schema: &Map<String, Value>, name: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(kind)) => kind == name,
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == name),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_clients_send_is_constrained() {
        let text = || json!({ "type": "string" });
        let reference = |name: &str| json!({ "$ref": format!("{SCHEMAS}{name}") });
        let mut description = json!({
            "paths": { "/x": { "post": {
                "parameters": [{ "schema": text() }],
                "requestBody": reference("Outer"),
                "responses": { "200": reference("Response"), "201": { "schema": text() } },
            } } },
            "components": { "schemas": {
                "Outer": { "properties": { "inner": reference("Inner"), "again": reference("Outer") } },
                "Inner": { "properties": { "name": text() } },
                "Response": { "properties": { "text": text(), "any": { "type": "object" } } },
            } },
        });
        add_constraints(&mut description);
        let operation = &description["paths"]["/x"]["post"];
        assert_eq!(operation["parameters"][0]["schema"]["pattern"], TEXT_PATTERN);
        assert_eq!(operation["responses"]["201"]["schema"], text());
        let schemas = &description["components"]["schemas"];
        assert_eq!(schemas["Inner"]["properties"]["name"]["pattern"], TEXT_PATTERN);
        assert_eq!(schemas["Response"]["properties"]["text"], text());
        assert_eq!(schemas["Response"]["properties"]["any"]["additionalProperties"], json!({}));
    }
}
