//! Completes the OpenAPI description of the routes: what all operations share, examples, links, and
//! constraints on values. So no handler repeats them.

mod common;
mod examples;
mod links;
mod overview;
mod schemas;
#[cfg(test)]
mod tests;

use serde_json::Value;
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::{Operation, PathItem};

/// Returns the operations of a path with their methods.
pub fn operations(item: &PathItem) -> impl Iterator<Item = (&'static str, &Operation)> {
    [
        ("GET", &item.get),
        ("PUT", &item.put),
        ("POST", &item.post),
        ("DELETE", &item.delete),
        ("PATCH", &item.patch),
    ]
    .into_iter()
    .filter_map(|(method, operation)| operation.as_ref().map(|operation| (method, operation)))
}

fn operations_mut(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    [
        ("GET", &mut item.get),
        ("PUT", &mut item.put),
        ("POST", &mut item.post),
        ("DELETE", &mut item.delete),
        ("PATCH", &mut item.patch),
    ]
    .into_iter()
    .filter_map(|(method, operation)| operation.as_mut().map(|operation| (method, operation)))
}

/// Completes the description.
pub fn complete(api: &mut OpenApi) {
    overview::add(api);
    common::add(api);
    links::add(api);
}

/// Returns the description as JSON, with examples and with what the strict JSON reader requires of
/// strings.
///
/// # Errors
/// When it cannot be serialized, which is a bug.
pub fn to_json(api: &OpenApi) -> serde_json::Result<Value> {
    let mut json = serde_json::to_value(api)?;
    schemas::add_constraints(&mut json);
    common::mark_public_operations(&mut json);
    examples::add(&mut json);
    Ok(json)
}

/// Returns the unique id of an operation.
fn operation_id(method: &str, path: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.fold(method.to_ascii_lowercase(), |id, word| id + "_" + word)
}
