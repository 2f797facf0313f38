//! Profiles from OpenAPI 3.0 to 3.2 documents: one task an operation.

mod chain;
mod document;
mod operation;
mod sample;
mod security;
mod style;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use self::{chain::PathVariables, document::Document, operation::Operation};
use super::{
    ConvertError,
    draft::{Class, Draft, RemarkKind, Task, Wait},
    names::{class_name, variable_name},
    value::Value,
};
use crate::methods::METHODS;

/// Keys of a path that are neither operations nor extensions.
const NO_OPERATIONS: [&str; 5] = ["$ref", "summary", "description", "parameters", "servers"];

/// Base URL of a document that names none.
const UNKNOWN_HOST: &str = "http://127.0.0.1:8080";

/// Converts the OpenAPI document `text`, which was read from `file`. `origin` is where it was
/// fetched from, such as `http://127.0.0.1:8080`; relative server URLs refer to it.
///
/// # Errors
/// Returns an error if the text is not an OpenAPI 3 document or has no operation that can be sent.
pub fn convert(file: &str, text: &str, origin: Option<&str>) -> Result<Draft, ConvertError> {
    let document = Document::parse(file, text)?;
    let mut draft = Draft::default();
    let title = document.get("info").and_then(|info| info.text_of("title")).unwrap_or_default();
    if !title.trim().is_empty() {
        draft.description = Some(format!("Every operation of {}.", title.trim()));
    }
    draft.host = host(&document, origin, &mut draft);
    let operations = operations(&document, &mut draft);
    let mut class = Class {
        name: user_class_name(title),
        weight: 1,
        wait: Some(Wait::seconds(1, 3)),
        ..Class::default()
    };
    class.tasks = tasks(&document, &operations, &mut draft);
    security::add(&document, &operations, &mut class, &mut draft);
    draft.classes.push(class);
    draft.finish();
    draft.or_error(file, "no operation can be sent as it is documented")
}

/// The operations in the order of the document, without deprecated ones.
fn operations<'a>(document: &'a Document, draft: &mut Draft) -> Vec<Operation<'a>> {
    let mut operations = Vec::new();
    for (path, item) in document.get("paths").map_or(&[][..], Value::entries) {
        // An extension.
        if path.starts_with("x-") {
            continue;
        }
        match path_item(document, path, item) {
            Ok(item) => add_operations(document, path, item, &mut operations, draft),
            Err(reason) => draft.remark(RemarkKind::LeftOut, path, reason),
        }
    }
    operations
}

fn path_item<'a>(document: &'a Document, path: &str, item: &'a Value) -> Result<&'a Value, String> {
    let item = document.resolve(item)?;
    if !path.starts_with('/') {
        return Err("a path must start with `/`".into());
    }
    match item {
        Value::Table(_) => Ok(item),
        _ => Err("the path is no object".into()),
    }
}

fn add_operations<'a>(
    document: &'a Document,
    path: &'a str,
    item: &'a Value,
    operations: &mut Vec<Operation<'a>>,
    draft: &mut Draft,
) {
    for (key, _) in item.entries() {
        let is_method = METHODS.iter().any(|method| method.to_ascii_lowercase() == *key);
        if !is_method && !NO_OPERATIONS.contains(&&**key) && !key.starts_with("x-") {
            draft.remark(RemarkKind::LeftOut, path, format!("`{key}` is not supported"));
        }
    }
    for method in METHODS {
        let Some(value) = item.get(&method.to_ascii_lowercase()) else { continue };
        let place = format!("{method} {path}");
        if value.is_true("deprecated") {
            draft.remark(RemarkKind::LeftOut, place, "deprecated");
            continue;
        }
        if item.get("servers").or_else(|| value.get("servers")).is_some() {
            let text = "it has servers of its own; the profile has one host for all";
            draft.remark(RemarkKind::Changed, &place, text);
        }
        match parameters(document, item, value) {
            Ok(parameters) => {
                let method = method.to_owned();
                operations.push(Operation { method, path, value, parameters });
            }
            Err(reason) => draft.remark(RemarkKind::LeftOut, place, reason),
        }
    }
}

/// Parameters of an operation; they replace those of its path.
fn parameters<'a>(
    document: &'a Document,
    item: &'a Value,
    operation: &'a Value,
) -> Result<Vec<&'a Value>, String> {
    let mut parameters: Vec<&Value> = Vec::new();
    for owner in [item, operation] {
        for parameter in owner.get("parameters").map_or(&[][..], Value::items) {
            let parameter = document.resolve(parameter)?;
            let key = |parameter: &Value| {
                (
                    parameter.text_of("in").map(str::to_owned),
                    parameter.text_of("name").map(str::to_owned),
                )
            };
            parameters.retain(|other| key(other) != key(parameter));
            parameters.push(parameter);
        }
    }
    Ok(parameters)
}

fn tasks(document: &Document, operations: &[Operation<'_>], draft: &mut Draft) -> Vec<Task> {
    let variables = PathVariables::new(operations.iter().map(|operation| operation.path));
    let given = Given::new(document, operations, &variables);
    let login = security::login(document, operations).map(|(operation, _)| operation.endpoint());
    let mut tasks = Vec::new();
    for operation in operations {
        let place = operation.endpoint();
        let limit = given.limit(operation);
        match operation.convert(document, &variables, &|name| given.has(name, limit)) {
            Ok(mut converted) => {
                if login.as_ref() == Some(&place) {
                    converted.task.disabled = Some("fill in credentials that exist".into());
                }
                for to_do in converted.to_do {
                    draft.remark(RemarkKind::ToDo, &place, to_do);
                }
                if let Some(reason) = &converted.task.disabled {
                    draft.remark(RemarkKind::LeftOut, place, reason);
                }
                tasks.push(converted.task);
            }
            Err(reason) => draft.remark(RemarkKind::LeftOut, place, reason),
        }
    }
    tasks
}

/// Variables that responses give.
#[derive(Debug, Default)]
struct Given {
    /// The number of variables that were given before, for each variable.
    numbers: HashMap<String, usize>,
    /// How many of them a POST that gives a variable itself may use, so that no two operations need
    /// each other.
    limits: HashMap<String, usize>,
}

impl Given {
    /// Collects what operations give: an operation gives its values only if its own variables have
    /// some, so shorter paths and lists come first.
    fn new(document: &Document, operations: &[Operation<'_>], variables: &PathVariables) -> Self {
        let mut given = Self::default();
        let mut ordered: Vec<&Operation<'_>> = operations.iter().collect();
        ordered.sort_by_key(|operation| operation.path.len());
        for method in ["GET", "POST", "GET"] {
            for operation in ordered.iter().filter(|operation| operation.method == method) {
                let gives = given.by(operation, document, variables);
                if gives.is_empty() {
                    continue;
                }
                if method == "POST" {
                    given.limits.insert(operation.endpoint(), given.numbers.len());
                }
                for name in gives {
                    let number = given.numbers.len();
                    given.numbers.entry(name).or_insert(number);
                }
            }
        }
        given
    }

    /// What an operation gives, if it can be sent with what is given so far.
    fn by(
        &self,
        operation: &Operation<'_>,
        document: &Document,
        variables: &PathVariables,
    ) -> Vec<String> {
        let has_value = |name: &str| self.has(name, usize::MAX);
        match operation.convert(document, variables, &has_value) {
            Ok(converted) if converted.task.disabled.is_none() => {
                let extracted = converted.task.steps.into_iter().flat_map(|step| step.extract);
                extracted.map(|(name, _)| name).collect()
            }
            _ => Vec::new(),
        }
    }

    /// How many variables an operation may use.
    fn limit(&self, operation: &Operation<'_>) -> usize {
        self.limits.get(&operation.endpoint()).copied().unwrap_or(usize::MAX)
    }

    /// Whether a variable is one of the first `limit`.
    fn has(&self, name: &str, limit: usize) -> bool {
        self.numbers.get(name).is_some_and(|number| *number < limit)
    }
}

/// The base URL of the first server.
fn host(document: &Document, origin: Option<&str>, draft: &mut Draft) -> Option<String> {
    let url = server_url(document);
    let url = url.trim_end_matches('/');
    let is_absolute = url.starts_with("http://") || url.starts_with("https://");
    if url.contains(['{', '?', '#']) {
        let text = format!("the server `{url}` is no base URL: set `host` in [target]");
        draft.remark(RemarkKind::ToDo, "", text);
        return Some(origin.unwrap_or(UNKNOWN_HOST).to_owned());
    }
    if is_absolute {
        return Some(url.to_owned());
    }
    let path =
        if url.is_empty() || url.starts_with('/') { url.to_owned() } else { format!("/{url}") };
    if origin.is_none() {
        let text = "the document names no server: set `host` in [target], or give --host";
        draft.remark(RemarkKind::ToDo, "", text);
    }
    Some(format!("{}{path}", origin.unwrap_or(UNKNOWN_HOST)))
}

/// The URL of the first server, with the defaults of its variables.
fn server_url(document: &Document) -> String {
    let server = document.get("servers").and_then(|servers| servers.items().first());
    let mut url = server.and_then(|server| server.text_of("url")).unwrap_or("/").to_owned();
    let variables = server.and_then(|server| server.get("variables"));
    for (name, variable) in variables.map_or(&[][..], Value::entries) {
        if let Some(default) = variable.get("default") {
            url = url.replace(&format!("{{{name}}}"), &default.plain());
        }
    }
    url
}

/// `Pet Store API` becomes `PetStoreUser`.
fn user_class_name(title: &str) -> String {
    let words = variable_name(title);
    let words = words.split('_').filter(|word| !["api", "value", "the"].contains(word));
    let words: Vec<&str> = words.take(4).collect();
    let name = class_name(&words.join("_"));
    if words.is_empty() { "ApiUser".into() } else { format!("{name}User") }
}
