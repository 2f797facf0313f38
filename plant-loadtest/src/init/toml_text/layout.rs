//! TOML in lines of at most 100 columns: short tables in one line, long ones with a header below the
//! keys of their parent.

use crate::init::value::Value;

/// Longest line, in characters.
pub const COLUMNS: usize = 100;

/// A value that is written below the other keys of its table.
enum Below<'a> {
    Table(&'a [(String, Value)]),
    Tables(&'a [Value]),
}

/// Writes `[header]` and the entries of its table. `path` is the header without brackets; it names
/// the tables below.
pub fn write_table<K: AsRef<str>>(
    text: &mut String,
    header: &str,
    path: &str,
    entries: &[(K, Value)],
) {
    let mut lines = String::new();
    write_entries(&mut lines, path, entries);
    // The header of a table that has only tables is not needed.
    match lines.strip_prefix("\n[") {
        Some(tables) if !header.starts_with("[[") => text.push_str(&format!("[{tables}")),
        _ => text.push_str(&format!("{header}\n{lines}")),
    }
}

/// Writes the entries of a table: first all that are not tables of their own.
pub fn write_entries<K: AsRef<str>>(text: &mut String, path: &str, entries: &[(K, Value)]) {
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

/// Writes a comment, one line or more for each line of it.
pub fn comment(text: &mut String, comment: &str) {
    for paragraph in comment.lines().map(str::trim).filter(|line| !line.is_empty()) {
        for line in wrap(paragraph, COLUMNS - 2) {
            text.push_str(&format!("# {line}\n"));
        }
    }
}

/// Makes comments of lines, those that are comments already excepted.
pub fn commented(lines: &str) -> String {
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
pub fn wrap(text: &str, width: usize) -> Vec<String> {
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
}
