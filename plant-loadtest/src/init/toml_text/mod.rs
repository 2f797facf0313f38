//! The TOML text of a draft, as a person would write it: at most 100 columns, short tables in one
//! line, long ones below the keys of their parent.

mod layout;

use self::layout::{COLUMNS, comment, commented, wrap, write_entries, write_table};
use super::{
    draft::{Body, Class, Draft, Expect, Feed, Part, RemarkKind, Shape, Step, Task, Variable},
    value::Value,
};
use crate::placeholder;

/// Options of the text that the draft does not contain.
#[derive(Clone, Copy, Debug)]
pub struct Heading<'a> {
    /// Name of the profile.
    pub name: &'a str,
    /// The command that wrote the profile.
    pub command: &'a str,
}

/// Returns the text of a profile.
#[must_use]
pub fn render(draft: &Draft, heading: Heading<'_>) -> String {
    let mut text = String::new();
    comment(&mut text, &format!("Written by `{}`.", heading.command));
    let mut entries = vec![("name", Value::from(heading.name))];
    if let Some(description) = &draft.description {
        entries.push(("description", description.as_str().into()));
    }
    entries.push(("users", Value::Integer(20)));
    entries.push(("spawn_rate", Value::Integer(5)));
    entries.push(("run_time", "1m".into()));
    write_entries(&mut text, "", &entries);
    text.push('\n');
    comment(
        &mut text,
        "A starting point: replace the limits by those that your service has to meet.",
    );
    let thresholds = Value::List(vec!["p95 < 500ms".into(), "errors < 1%".into()]);
    write_entries(&mut text, "", &[("thresholds", thresholds)]);
    if let Some(host) = &draft.host {
        text.push('\n');
        write_table(&mut text, "[target]", "target", &[("host", host.as_str().into())]);
    }
    for class in &draft.classes {
        text.push('\n');
        write_class(&mut text, class, heading.name);
    }
    write_remarks(&mut text, draft);
    text
}

/// Returns the text of a step of `on_start`.
#[must_use]
pub fn on_start(step: &Step) -> String {
    let mut text = String::new();
    write_table(&mut text, "[[class.on_start]]", "class.on_start", &step_entries(step, &[]));
    text
}

/// Returns the name and the text of each CSV file of a draft; `name` is that of the profile.
///
/// # Errors
/// Not expected: the rows are written to memory.
pub fn csv_files(draft: &Draft, name: &str) -> csv::Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for feed in draft.feeds() {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(&feed.columns)?;
        for row in &feed.rows {
            writer.write_record(row)?;
        }
        let bytes = writer.into_inner().map_err(csv::IntoInnerError::into_error)?;
        files.push((csv_name(feed, name), String::from_utf8_lossy(&bytes).into_owned()));
    }
    Ok(files)
}

fn csv_name(feed: &Feed, profile: &str) -> String {
    format!("{profile}-{}.csv", feed.name)
}

fn push_feed(entries: &mut Vec<(&'static str, Value)>, feed: Option<&Feed>, profile: &str) {
    let Some(feed) = feed else { return };
    let order = if feed.is_random { "random" } else { "in-order" };
    let table =
        vec![("file".into(), Value::Text(csv_name(feed, profile))), ("order".into(), order.into())];
    entries.push(("feed", Value::Table(table)));
}

fn write_class(text: &mut String, class: &Class, profile: &str) {
    let mut lines = String::new();
    comment(&mut lines, &class.comment);
    let mut entries = vec![("name", Value::from(class.name.as_str()))];
    if class.weight != 1 {
        entries.push(("weight", Value::Integer(class.weight.into())));
    }
    if let Some(wait) = class.wait {
        entries.push(("wait", Value::Text(wait.to_string())));
    }
    push_table(&mut entries, "headers", texts(&class.headers));
    push_feed(&mut entries, class.feed.as_ref(), profile);
    push_table(&mut entries, "variables", variables(&class.variables));
    write_table(&mut lines, "[[class]]", "class", &entries);
    if !class.on_start_example.is_empty() {
        lines.push('\n');
        lines.push_str(&commented(&class.on_start_example));
    }
    for step in &class.on_start {
        write_step(&mut lines, "class.on_start", step, &[&class.variables]);
    }
    for task in &class.tasks {
        write_task(&mut lines, task, &class.variables, profile);
    }
    for step in &class.on_stop {
        write_step(&mut lines, "class.on_stop", step, &[&class.variables]);
    }
    if class.active_tasks().next().is_none() {
        lines = commented(&lines);
    }
    text.push_str(&lines);
}

fn write_task(text: &mut String, task: &Task, of_class: &[(String, Variable)], profile: &str) {
    let known = [of_class, &task.variables];
    text.push('\n');
    let mut lines = String::new();
    comment(&mut lines, &task.comment);
    let mut entries = Vec::new();
    if !task.name.is_empty() {
        entries.push(("name", Value::from(task.name.as_str())));
    }
    if task.weight != 1 {
        entries.push(("weight", Value::Integer(task.weight.into())));
    }
    if !task.tags.is_empty() {
        entries.push(("tags", names(&task.tags)));
    }
    push_feed(&mut entries, task.feed.as_ref(), profile);
    push_table(&mut entries, "variables", variables(&task.variables));
    match &task.steps[..] {
        [step] => {
            if step.comment != task.comment {
                comment(&mut lines, &step.comment);
            }
            entries.extend(step_entries(step, &known));
            write_table(&mut lines, "[[class.task]]", "class.task", &entries);
        }
        steps => {
            write_table(&mut lines, "[[class.task]]", "class.task", &entries);
            for step in steps {
                write_step(&mut lines, "class.task.step", step, &known);
            }
        }
    }
    match &task.disabled {
        Some(reason) => text.push_str(&disabled(reason, &lines)),
        None => text.push_str(&lines),
    }
}

fn write_step(text: &mut String, path: &str, step: &Step, known: &[&[(String, Variable)]]) {
    text.push('\n');
    let mut lines = String::new();
    comment(&mut lines, &step.comment);
    write_table(&mut lines, &format!("[[{path}]]"), path, &step_entries(step, known));
    match &step.disabled {
        Some(reason) => text.push_str(&disabled(reason, &lines)),
        None => text.push_str(&lines),
    }
}

/// The keys of a step. `known` are the variables that it may use.
fn step_entries(step: &Step, known: &[&[(String, Variable)]]) -> Vec<(&'static str, Value)> {
    let mut entries = vec![("request", Value::Text(format!("{} {}", step.method, step.path)))];
    if let Some(name) = &step.name {
        entries.push(("name", name.as_str().into()));
    }
    push_table(&mut entries, "query", with_literal_keys(step.query.clone()));
    push_table(&mut entries, "headers", texts(&step.headers));
    match &step.body {
        Body::None => {}
        // TOML has no null.
        Body::Json(json) if json.contains_null() => {
            entries.push(("content_type", "application/json".into()));
            let json = literal_keys(json.clone()).to_json_template(&|text| is_no_text(text, known));
            entries.push(("body", Value::Text(json)));
        }
        Body::Json(json) => entries.push(("json", literal_keys(json.clone()))),
        Body::Form(fields) => {
            entries.push(("form", Value::Table(with_literal_keys(fields.clone()))));
        }
        Body::Text { text, content_type } => {
            entries.push(("content_type", content_type.as_str().into()));
            entries.push(("body", text.as_str().into()));
        }
        Body::Multipart(parts) => {
            let parts =
                parts.iter().map(|(name, part)| (placeholder::escape(name), part_value(part)));
            entries.push(("multipart", Value::Table(parts.collect())));
        }
    }
    push_table(&mut entries, "extract", texts(&step.extract));
    push_table(&mut entries, "expect", expectations(&step.expect));
    if let Some(wait) = step.wait {
        entries.push(("wait", Value::Text(wait.to_string())));
    }
    entries
}

/// Returns a body whose keys are read as they are: no placeholder is replaced in a key.
fn literal_keys(body: Value) -> Value {
    match body {
        Value::Table(entries) => Value::Table(with_literal_keys(entries)),
        Value::List(items) => Value::List(items.into_iter().map(literal_keys).collect()),
        other => other,
    }
}

fn with_literal_keys(entries: Vec<(String, Value)>) -> Vec<(String, Value)> {
    let entries = entries.into_iter();
    entries.map(|(key, value)| (placeholder::escape(&key), literal_keys(value))).collect()
}

/// Whether `text` is a placeholder whose value is no string.
fn is_no_text(text: &str, known: &[&[(String, Variable)]]) -> bool {
    let name = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
    let Some(name) = name.filter(|name| placeholder::names(text) == [*name]) else { return false };
    let mut variables = known.iter().copied().flatten();
    ["unix", "user", "random"].contains(&name)
        || variables.any(|(other, variable)| other == name && variable.is_no_text())
}

fn part_value(part: &Part) -> Value {
    match part {
        Part::Text(text) => text.as_str().into(),
        Part::File { file, content_type } => Value::Table(vec![
            ("file".into(), file.as_str().into()),
            ("type".into(), content_type.as_str().into()),
        ]),
    }
}

fn expectations(expect: &Expect) -> Vec<(String, Value)> {
    let mut entries = Vec::new();
    let status = |status: u16| Value::Integer(status.into());
    match expect.status[..] {
        [] => {}
        [one] => entries.push(("status".into(), status(one))),
        ref several => {
            let several = several.iter().copied().map(status).collect();
            entries.push(("status".into(), Value::List(several)));
        }
    }
    match &expect.shape {
        None => {}
        Some(Shape::Object(keys)) => entries.push(("object".into(), names(keys))),
        Some(Shape::Array(keys)) => entries.push(("array".into(), names(keys))),
        Some(Shape::NonEmptyArray(keys)) => entries.push(("non_empty_array".into(), names(keys))),
    }
    if !expect.json.is_empty() {
        entries.push(("json".into(), Value::Table(expect.json.clone())));
    }
    if let Some(contains) = &expect.contains {
        entries.push(("contains".into(), contains.as_str().into()));
    }
    entries
}

fn variables(variables: &[(String, Variable)]) -> Vec<(String, Value)> {
    let value = |variable: &Variable| {
        let (kind, value) = match variable {
            Variable::Is(value) => return value.clone(),
            Variable::OneOf(values) => ("one_of", values.clone()),
            Variable::Integer(from, to) => {
                ("integer", vec![Value::Integer(*from), Value::Integer(*to)])
            }
            Variable::Number(from, to) => ("number", vec![Value::Float(*from), Value::Float(*to)]),
        };
        Value::Table(vec![(kind.into(), Value::List(value))])
    };
    variables.iter().map(|(name, variable)| (name.clone(), value(variable))).collect()
}

fn push_table(
    entries: &mut Vec<(&'static str, Value)>,
    key: &'static str,
    table: Vec<(String, Value)>,
) {
    if !table.is_empty() {
        entries.push((key, Value::Table(table)));
    }
}

fn texts(entries: &[(String, String)]) -> Vec<(String, Value)> {
    entries.iter().map(|(key, text)| (key.clone(), text.as_str().into())).collect()
}

fn names(names: &[String]) -> Value {
    Value::List(names.iter().map(|name| name.as_str().into()).collect())
}

fn write_remarks(text: &mut String, draft: &Draft) {
    for kind in [RemarkKind::ToDo, RemarkKind::LeftOut, RemarkKind::Changed] {
        let mut of_kind = draft.remarks.iter().filter(|remark| remark.kind == kind).peekable();
        if of_kind.peek().is_none() {
            continue;
        }
        text.push('\n');
        comment(text, &format!("{}:", kind.heading()));
        for remark in of_kind {
            let remark = remark.to_string();
            for (number, line) in wrap(&remark, COLUMNS - 4).into_iter().enumerate() {
                let mark = if number == 0 { "- " } else { "  " };
                text.push_str(&format!("# {mark}{line}\n"));
            }
        }
    }
}

fn disabled(reason: &str, lines: &str) -> String {
    let mut text = String::new();
    comment(&mut text, &format!("Left out: {reason}."));
    text + &commented(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> toml::Table {
        text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    #[test]
    fn a_body_with_null_is_written_as_text() {
        let placeholder = |key: &str| (key.to_owned(), Value::Text(format!("{{{key}}}")));
        let null = ("a".to_owned(), Value::Null);
        let json = Value::Table(vec![null, placeholder("count"), placeholder("name")]);
        let step = Step { body: Body::Json(json), ..Step::default() };
        let mut text = String::new();
        let variables = [("count".to_owned(), Variable::Integer(1, 9))];
        write_step(&mut text, "class.on_start", &step, &[&variables]);
        let table = read(&text);
        assert_eq!(
            table["class"]["on_start"][0]["body"].as_str(),
            Some(r#"{"a":null,"count":{count},"name":"{name}"}"#)
        );
        assert_eq!(
            table["class"]["on_start"][0]["content_type"].as_str(),
            Some("application/json")
        );
    }

    #[test]
    fn keys_in_braces_are_written_as_text() {
        let entry = |key: &str, value| (key.to_owned(), value);
        let inner = Value::Table(vec![entry("{b}", Value::Integer(1))]);
        let json = Value::Table(vec![entry("{a}", Value::List(vec![inner]))]);
        let query = vec![entry("{c}", Value::Text("{d}".into()))];
        let step = Step { body: Body::Json(json), query, ..Step::default() };
        let mut text = String::new();
        write_step(&mut text, "class.on_start", &step, &[]);
        let step = &read(&text)["class"]["on_start"][0];
        assert_eq!(step["json"]["{{a}}"][0]["{{b}}"].as_integer(), Some(1), "{text}");
        assert_eq!(step["query"]["{{c}}"].as_str(), Some("{d}"), "{text}");
    }

    #[test]
    fn a_disabled_task_is_a_comment() {
        let step = Step { method: "GET".into(), path: "/a".into(), ..Step::default() };
        let task =
            Task { weight: 2, steps: vec![step], disabled: Some("why".into()), ..Task::default() };
        let mut text = String::new();
        write_task(&mut text, &task, &[], "my-load");
        assert!(text.contains("# Left out: why.\n#[[class.task]]\n#weight = 2\n"), "{text}");
        assert!(read(&text).is_empty());
    }
}
