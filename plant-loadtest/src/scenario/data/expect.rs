//! What is expected of a response.

use std::ops::Range;

use reqwest::Method;
use serde_json::Value;
use toml::{Spanned, de::DeValue};

use super::names::Names;
use crate::{
    client::{ExpectedValue, Shape},
    json_pointer::Pointer,
    placeholder,
    toml_source::{self, Source, Table},
};

/// The statuses that are expected unless a step names others.
static SUCCESS: [u16; 100] = {
    let mut statuses = [0; 100];
    let mut index = 0;
    while index < statuses.len() {
        statuses[index] = 200 + index as u16;
        index += 1;
    }
    statuses
};

/// Expected status codes and body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expectation {
    /// Expected status codes.
    pub(super) statuses: &'static [u16],
    /// Expected body.
    pub(super) shape: Shape,
}

/// Reads the table `expect` of a step. What it contains lives as long as the program.
pub(super) fn read<'a>(
    source: &mut Source<'a>,
    table: Option<Table<'a>>,
    method: Option<&Method>,
    names: &mut Names,
) -> Expectation {
    let mut expectation = Expectation { statuses: &SUCCESS, shape: Shape::Any };
    let Some(mut table) = table else { return expectation };
    let at = table.span.clone();
    if let Some(value) = table.take("status")
        && let Some(statuses) = statuses(source, &value)
    {
        expectation.statuses = statuses.leak();
    }
    let mut shapes = shape_of_keys(source, &mut table);
    if let Some(json) = table.table(source, "json") {
        shapes.extend(values(source, json, names));
    }
    if let Some((text, at)) = table.optional_string(source, "contains") {
        note_literals(&text, &at, names);
        shapes.push(Shape::Contains(text.leak()));
    }
    table.report_unknown_keys(source);
    if method == Some(&Method::HEAD) && !shapes.is_empty() {
        source.add_error(at, "a response to HEAD has no body to expect something of");
    }
    expectation.shape = match shapes[..] {
        [] => Shape::Any,
        [shape] => shape,
        _ => Shape::All(shapes.leak()),
    };
    expectation
}

fn statuses(source: &mut Source<'_>, value: &Spanned<DeValue<'_>>) -> Option<Vec<u16>> {
    let statuses: Option<Vec<u16>> = match value.get_ref() {
        DeValue::Array(items) => {
            items.iter().map(|item| toml_source::status_code(item.get_ref())).collect()
        }
        value => toml_source::status_code(value).map(|status| vec![status]),
    };
    let statuses = statuses.filter(|statuses| !statuses.is_empty());
    if statuses.is_none() {
        let message = "`status` must be a status code (100 to 599) or a list of them";
        source.add_error(value.span(), message);
    }
    statuses
}

/// Reads the keys that an object or the items of an array must have.
fn shape_of_keys<'a>(source: &mut Source<'a>, table: &mut Table<'a>) -> Vec<Shape> {
    let mut found = Vec::new();
    for key in ["object", "array", "non_empty_array"] {
        if !table.contains_key(key) {
            continue;
        }
        let at = table.span_of(key);
        if let Some(keys) = table.string_list(source, key) {
            let keys: Vec<&'static str> = keys.into_iter().map(|(key, _)| &*key.leak()).collect();
            let keys = keys.leak();
            found.push(match key {
                "object" => Shape::Object(keys),
                "array" => Shape::Array(keys),
                _ => Shape::NonEmptyArray(keys),
            });
        }
        if found.len() > 1 {
            source.add_error(at, "at most one of `object`, `array` and `non_empty_array`");
        }
    }
    found
}

/// Reads the expected values at JSON pointers.
fn values<'a>(source: &mut Source<'a>, table: Table<'a>, names: &mut Names) -> Vec<Shape> {
    let mut shapes = Vec::new();
    for entry in table.into_entries() {
        let pointer = match Pointer::parse(&entry.key) {
            Ok(pointer) if pointer.is_random() => {
                source.add_error(entry.key_at, "`*` is for `extract`: which element is expected?");
                continue;
            }
            Ok(pointer) => pointer,
            Err(message) => {
                source.add_error(entry.key_at, message);
                continue;
            }
        };
        match toml_source::to_json(entry.value.get_ref()) {
            Ok(value) => {
                if let Value::String(text) = &value {
                    note_literals(text, &entry.value.span(), names);
                }
                let expected = Box::leak(Box::new(ExpectedValue { pointer, value }));
                shapes.push(Shape::Value(expected));
            }
            Err(message) => source.add_error(entry.value.span(), message),
        }
    }
    shapes
}

/// Notes what looks like a placeholder in a text where none is replaced.
fn note_literals(text: &str, at: &Range<usize>, names: &mut Names) {
    for name in placeholder::names(text) {
        names.note_literal(name, at.clone());
    }
}
