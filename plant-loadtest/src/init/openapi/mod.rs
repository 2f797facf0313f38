//! Profiles from OpenAPI 3.0 and 3.1 documents: one task an operation.

mod chain;
mod document;
mod operation;
mod sample;
mod security;

use std::collections::{BTreeMap, BTreeSet};

use self::{chain::PathVariables, document::Document, operation::Operation};
use super::{
    ConvertError,
    draft::{Class, Draft, RemarkKind, Task, Wait},
    names::{class_name, variable_name},
    value::Value,
};
use crate::methods::METHODS;

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
    if draft.active_tasks() == 0 {
        let reason = "no operation can be sent as it is documented";
        return Err(ConvertError::new(file, with_remarks(reason, &draft)));
    }
    Ok(draft)
}

fn with_remarks(reason: &str, draft: &Draft) -> String {
    let remarks: Vec<String> = draft.remarks.iter().map(|remark| format!("\n  {remark}")).collect();
    format!("{reason}{}", remarks.concat())
}

/// The operations in the order of the document, without deprecated ones.
fn operations<'a>(document: &'a Document, draft: &mut Draft) -> Vec<Operation<'a>> {
    let mut operations = Vec::new();
    for (path, item) in document.get("paths").map_or(&[][..], Value::entries) {
        let item = match document.resolve(item) {
            Ok(item) if path.starts_with('/') => item,
            Ok(_) => continue,
            Err(reason) => {
                draft.remark(RemarkKind::LeftOut, path, reason);
                continue;
            }
        };
        for method in METHODS {
            let Some(value) = item.get(&method.to_ascii_lowercase()) else { continue };
            let method = method.to_owned();
            let place = format!("{method} {path}");
            if value.is_true("deprecated") {
                draft.remark(RemarkKind::LeftOut, place, "deprecated");
                continue;
            }
            match parameters(document, item, value) {
                Ok(parameters) => operations.push(Operation { method, path, value, parameters }),
                Err(reason) => draft.remark(RemarkKind::LeftOut, place, reason),
            }
        }
    }
    operations
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
        let usable = given.for_operation(operation);
        match operation.convert(document, &variables, &|name| usable.contains(name)) {
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
    /// By all operations together.
    all: BTreeSet<String>,
    /// What a POST that gives a variable itself may use, so that no two operations need each other.
    before: BTreeMap<String, BTreeSet<String>>,
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
                let all = &given.all;
                let Ok(converted) =
                    operation.convert(document, variables, &|name| all.contains(name))
                else {
                    continue;
                };
                let steps = converted.task.steps.into_iter();
                let gives: Vec<String> =
                    steps.flat_map(|step| step.extract).map(|(name, _)| name).collect();
                if converted.task.disabled.is_some() || gives.is_empty() {
                    continue;
                }
                if method == "POST" {
                    given.before.insert(operation.endpoint(), given.all.clone());
                }
                given.all.extend(gives);
            }
        }
        given
    }

    /// The variables that an operation may use.
    fn for_operation(&self, operation: &Operation<'_>) -> &BTreeSet<String> {
        self.before.get(&operation.endpoint()).unwrap_or(&self.all)
    }
}

/// The base URL of the first server.
fn host(document: &Document, origin: Option<&str>, draft: &mut Draft) -> Option<String> {
    let server = document.get("servers").and_then(|servers| servers.items().first());
    let mut url = server.and_then(|server| server.text_of("url")).unwrap_or("/").to_owned();
    let variables = server.and_then(|server| server.get("variables"));
    for (name, variable) in variables.map_or(&[][..], Value::entries) {
        let default = variable.text_of("default").unwrap_or_default();
        url = url.replace(&format!("{{{name}}}"), default);
    }
    let url = url.trim_end_matches('/');
    if url.starts_with("http://") || url.starts_with("https://") {
        return Some(url.to_owned());
    }
    let path =
        if url.is_empty() || url.starts_with('/') { url.to_owned() } else { format!("/{url}") };
    if origin.is_none() {
        let text = "the document names no server: set `host` in [target], or give --host";
        draft.remark(RemarkKind::ToDo, "", text);
    }
    Some(format!("{}{path}", origin.unwrap_or("http://127.0.0.1:8080")))
}

/// `Pet Store API` becomes `PetStoreUser`.
fn user_class_name(title: &str) -> String {
    let words = variable_name(title);
    let words = words.split('_').filter(|word| !["api", "value", "the"].contains(word));
    let words: Vec<&str> = words.take(4).collect();
    let name = class_name(&words.join("_"));
    if words.is_empty() { "ApiUser".into() } else { format!("{name}User") }
}
