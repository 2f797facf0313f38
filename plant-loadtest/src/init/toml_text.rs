//! The TOML text of a draft, as a person would write it: at most 100 columns, short tables in one
//! line, long ones below the keys of their parent.

use super::{
    draft::{Body, Class, Draft, Expect, Feed, Part, RemarkKind, Shape, Step, Task, Variable},
    template,
    value::Value,
};

/// Longest line, in characters.
const COLUMNS: usize = 100;

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
    entries.push(("users", Value::Integer(10)));
    entries.push(("spawn_rate", Value::Integer(2)));
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
    push_table(&mut entries, "query", step.query.clone());
    push_table(&mut entries, "headers", texts(&step.headers));
    match &step.body {
        Body::None => {}
        // TOML has no null.
        Body::Json(json) if json.contains_null() => {
            entries.push(("content_type", "application/json".into()));
            let json = json.to_json_template(&|text| is_no_text(text, known));
            entries.push(("body", Value::Text(json)));
        }
        Body::Json(json) => entries.push(("json", json.clone())),
        Body::Form(fields) => entries.push(("form", Value::Table(fields.clone()))),
        Body::Text { text, content_type } => {
            entries.push(("content_type", content_type.as_str().into()));
            entries.push(("body", text.as_str().into()));
        }
        Body::Multipart(parts) => {
            let parts = parts.iter().map(|(name, part)| (name.clone(), part_value(part)));
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

/// Whether `text` is a placeholder whose value is no string.
fn is_no_text(text: &str, known: &[&[(String, Variable)]]) -> bool {
    let name = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
    let Some(name) = name.filter(|name| template::names(text) == [*name]) else { return false };
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

/// Writes `[header]` and the entries of its table. `path` is the header without brackets; it names
/// the tables below.
fn write_table<K: AsRef<str>>(text: &mut String, header: &str, path: &str, entries: &[(K, Value)]) {
    let mut lines = String::new();
    write_entries(&mut lines, path, entries);
    // The header of a table that has only tables is not needed.
    match lines.strip_prefix("\n[") {
        Some(tables) if !header.starts_with("[[") => text.push_str(&format!("[{tables}")),
        _ => text.push_str(&format!("{header}\n{lines}")),
    }
}

/// Writes the entries of a table: first all that are not tables of their own.
fn write_entries<K: AsRef<str>>(text: &mut String, path: &str, entries: &[(K, Value)]) {
    let mut tables = Vec::new();
    for (name, value) in entries {
        let name = key(name.as_ref());
        let line = format!("{name} = {}", inline(value));
        if columns(&line) < COLUMNS {
            text.push_str(&line);
            text.push('\n');
            continue;
        }
        match value {
            Value::Table(entries) => tables.push((name, Below::Table(entries))),
            Value::List(items) if items.iter().all(|item| !item.entries().is_empty()) => {
                tables.push((name, Below::Tables(items)));
            }
            Value::List(items) => write_long_list(text, &name, items),
            Value::Text(long) => write_long_text(text, &name, long),
            _ => text.push_str(&format!("{line}\n")),
        }
    }
    for (name, below) in tables {
        let path = format!("{path}.{name}");
        match below {
            Below::Table(entries) => {
                text.push('\n');
                write_table(text, &format!("[{path}]"), &path, entries);
            }
            Below::Tables(items) => {
                for item in items {
                    text.push('\n');
                    write_table(text, &format!("[[{path}]]"), &path, item.entries());
                }
            }
        }
    }
}

/// A value that is written below the other keys of its table.
enum Below<'a> {
    Table(&'a [(String, Value)]),
    Tables(&'a [Value]),
}

fn write_long_list(text: &mut String, name: &str, items: &[Value]) {
    text.push_str(&format!("{name} = [\n"));
    let mut line = String::new();
    for item in items {
        let item = format!("{},", inline(item));
        if !line.is_empty() && columns(&line) + 1 + columns(&item) >= COLUMNS {
            text.push_str(&format!("{line}\n"));
            line.clear();
        }
        line.push_str(if line.is_empty() { "    " } else { " " });
        line.push_str(&item);
    }
    text.push_str(&format!("{line}\n]\n"));
}

/// Writes a multi-line string; a backslash at the end of a line continues it.
fn write_long_text(text: &mut String, name: &str, long: &str) {
    text.push_str(&format!("{name} = \"\"\"\n"));
    for (number, line) in long.split('\n').enumerate() {
        if number > 0 {
            text.push('\n');
        }
        let mut column = 0;
        let mut characters = line.chars().peekable();
        while let Some(character) = characters.next() {
            let escaped = escape_character(character);
            text.push_str(&escaped);
            column += columns(&escaped);
            let at_word = character == ' ' && column + 20 > COLUMNS;
            // White space at the start of a continued line is not part of the string.
            let continues = characters.peek().is_some_and(|next| *next != ' ' && *next != '\t');
            if continues && (at_word || column + 12 > COLUMNS) {
                text.push_str("\\\n");
                column = 0;
            }
        }
    }
    text.push_str("\"\"\"\n");
}

/// The value in one line.
fn inline(value: &Value) -> String {
    match value {
        Value::Null => "\"\"".into(),
        Value::Bool(value) => value.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => float(*number),
        Value::Text(text) => string(text),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Table(entries) if entries.is_empty() => "{}".into(),
        Value::Table(entries) => {
            let entries: Vec<String> = entries
                .iter()
                .map(|(name, value)| format!("{} = {}", key(name), inline(value)))
                .collect();
            format!("{{ {} }}", entries.join(", "))
        }
    }
}

fn float(number: f64) -> String {
    let text = number.to_string();
    if text.contains('.') || !number.is_finite() { text } else { format!("{text}.0") }
}

fn key(name: &str) -> String {
    let bare = |next: char| next.is_ascii_alphanumeric() || next == '_' || next == '-';
    if !name.is_empty() && name.chars().all(bare) { name.into() } else { string(name) }
}

fn string(text: &str) -> String {
    let awkward = text.contains(['"', '\\']);
    if awkward && !text.contains('\'') && !text.chars().any(char::is_control) {
        return format!("'{text}'");
    }
    let escaped: String = text.chars().map(escape_character).collect();
    format!("\"{escaped}\"")
}

fn escape_character(character: char) -> String {
    match character {
        '"' => "\\\"".into(),
        '\\' => "\\\\".into(),
        '\n' => "\\n".into(),
        '\r' => "\\r".into(),
        '\t' => "\\t".into(),
        control if control.is_control() => format!("\\u{:04X}", u32::from(control)),
        other => other.into(),
    }
}

fn columns(line: &str) -> usize {
    line.chars().count()
}

fn comment(text: &mut String, comment: &str) {
    for paragraph in comment.lines().map(str::trim).filter(|line| !line.is_empty()) {
        for line in wrap(paragraph, COLUMNS - 2) {
            text.push_str(&format!("# {line}\n"));
        }
    }
}

fn disabled(reason: &str, lines: &str) -> String {
    let mut text = String::new();
    comment(&mut text, &format!("Left out: {reason}."));
    text + &commented(lines)
}

fn commented(lines: &str) -> String {
    lines
        .lines()
        .map(|line| {
            if line.is_empty() || line.starts_with('#') {
                format!("{line}\n")
            } else {
                format!("#{line}\n")
            }
        })
        .collect()
}

/// Splits `text` into lines of at most `width` characters, between words where there are any.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let mut rest: Vec<char> = word.chars().filter(|next| !next.is_control()).collect();
        if let Some(line) = lines.last_mut()
            && columns(line) + 1 + rest.len() <= width
        {
            line.push(' ');
            line.extend(rest);
            continue;
        }
        while rest.len() > width {
            let after = rest.split_off(width);
            lines.push(rest.into_iter().collect());
            rest = after;
        }
        lines.push(rest.into_iter().collect());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> toml::Table {
        text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    fn written(json: Value) -> String {
        let mut text = String::new();
        write_table(&mut text, "[[class.task]]", "class.task", &[("json", json)]);
        text
    }

    #[test]
    fn every_string_reads_back_unchanged_in_at_most_100_columns() {
        let long = "a long text with words and \"quotes\" ".repeat(9);
        let solid = "x".repeat(500);
        let indented = format!("{}\n    {}", "line ".repeat(30), " ".repeat(150));
        for text in [
            "plain", "it's", "\"", "'\"'", "\\", "a\nb", "\t\u{1}", "ü{x}", &long, &solid,
            &indented,
        ] {
            let toml = written(Value::Table(vec![("text".into(), text.into())]));
            let table = read(&toml);
            assert_eq!(table["class"]["task"][0]["json"]["text"].as_str(), Some(text), "{toml}");
            assert!(
                toml.lines().all(|line| columns(line) <= COLUMNS || text == indented),
                "{toml}"
            );
        }
    }

    #[test]
    fn long_tables_and_lists_are_written_below_and_read_back_unchanged() {
        let item = |name: &str| {
            Value::Table(vec![("name".into(), name.into()), ("count".into(), Value::Integer(3))])
        };
        let numbers = (0..60).map(Value::Integer).collect();
        let json = Value::Table(vec![
            ("items".into(), Value::List((0..9).map(|n| item(&format!("item {n}"))).collect())),
            ("numbers".into(), Value::List(numbers)),
            ("odd key".into(), item(&"long ".repeat(30))),
            ("last".into(), Value::Float(2.0)),
        ]);
        let toml = written(json.clone());
        assert!(toml.lines().all(|line| columns(line) <= COLUMNS), "{toml}");
        let read = read(&toml)["class"]["task"][0]["json"].clone();
        let same: serde_json::Value = serde_json::from_str(&json.to_json()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), same);
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
