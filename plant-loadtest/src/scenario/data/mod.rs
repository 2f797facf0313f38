//! User classes that are defined in a profile: tables of tasks with their requests.
//!
//! [`define`] reads and checks a class, and compiles its texts, so that a request costs about as much
//! as one of a class written in Rust. `run.rs` turns it into a Goose scenario. Each variable has a
//! slot in the `Values` of a user, which are in the session of that user.

mod body;
mod class;
mod expect;
mod extract;
mod extractors;
mod feed;
mod names;
mod read;
mod request;
mod run;
mod template;
mod values;
mod variable;

#[cfg(test)]
mod tests;

use std::path::Path;

pub(crate) use read::read_headers;

use super::UserClass;
use crate::{
    client::Endpoint,
    toml_source::{Source, Table},
};

/// Returns whether `table` of a class has a key that only a class defined there has.
#[must_use]
pub fn is_definition(table: &Table<'_>) -> bool {
    read::KEYS.iter().any(|key| table.contains_key(key))
}

/// Reads the user class `name` from the rest of its `table`, and adds the errors found to `source`. A
/// class with errors has the endpoints that could be read, so that thresholds can be checked, too.
/// Files are relative to `folder`.
///
/// Classes are few and are used until the program ends: they are never freed.
pub fn define<'a>(
    source: &mut Source<'a>,
    table: &mut Table<'a>,
    name: &str,
    folder: &Path,
) -> &'static UserClass {
    let class: &'static class::Class = Box::leak(Box::new(read::read(source, table, name, folder)));
    let endpoints = endpoints(class);
    let tasks = class.tasks.len();
    let description =
        format!("{tasks} task{}, defined in the profile", if tasks == 1 { "" } else { "s" });
    Box::leak(Box::new(UserClass {
        name: &class.name,
        description: description.leak(),
        wait: class.mean_wait,
        endpoints: endpoints.leak(),
        outside_tasks: outside_tasks(class).leak(),
        checks: &[],
        start_user: None,
        work_kinds: &[],
        counters: &[],
        scenario: Box::leak(Box::new(move || run::scenario(class))),
    }))
}

/// Returns the names of the endpoints that no task requests.
fn outside_tasks(class: &'static class::Class) -> Vec<&'static str> {
    let is_in_task = |step: &&class::Step| {
        class.task_steps().any(|in_task| in_task.endpoint.name == step.endpoint.name)
    };
    let outside = class.on_start.iter().chain(&class.on_stop).filter(|step| !is_in_task(step));
    outside.map(|step| step.endpoint.name).collect()
}

/// Returns the endpoints of a class. Steps of the same name are one endpoint, with the tags of all of
/// them.
fn endpoints(class: &'static class::Class) -> Vec<&'static Endpoint> {
    let mut endpoints: Vec<&'static Endpoint> = Vec::new();
    for endpoint in class.steps().map(|step| step.endpoint) {
        let Some(first) = endpoints.iter_mut().find(|first| first.name == endpoint.name) else {
            endpoints.push(endpoint);
            continue;
        };
        let mut tags = first.tags.to_vec();
        tags.extend(endpoint.tags.iter().filter(|tag| !first.tags.contains(tag)));
        if tags.len() > first.tags.len() {
            *first = Box::leak(Box::new(Endpoint {
                name: first.name,
                expected_statuses: first.expected_statuses,
                shape: first.shape,
                tags: tags.leak(),
            }));
        }
    }
    endpoints
}
