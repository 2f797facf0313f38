//! Reads TOML files and reports all their errors at once, each with its line.

mod plain_words;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::Range,
};

use serde_json::{Map, Number, Value};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{console, suggest};

/// Longest part of a line that an error shows, in characters.
const MAX_EXCERPT: usize = 72;

/// An error in a TOML file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    /// Name of the file in error messages.
    pub file: String,
    /// The place in the file.
    pub place: Place,
    /// What is wrong, and what is valid.
    pub message: String,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Line number, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// The text of the line; empty if the place is longer than it, such as a whole file, or if the line
    /// may have a password.
    pub text: String,
}

/// Parts of keys and values whose lines are not printed: they may be in the logs of a CI job.
const SECRET_WORDS: [&str; 7] =
    ["authorization", "cookie", "key", "passw", "secret", "token", "credential"];

/// Returns whether a line of a file may have a password or a token.
fn may_be_secret(line: &str) -> bool {
    let line = line.to_lowercase();
    // Of a base URL.
    let has_user = line.split_once("://").is_some_and(|(_, rest)| rest.contains('@'));
    has_user || SECRET_WORDS.iter().any(|word| line.contains(word))
}

impl FileError {
    /// Renders the error with its column and the offending line.
    #[must_use]
    pub fn render(&self) -> String {
        let Self { file, place: Place { line, column, text }, message } = self;
        let head = format!("{file}:{line}:{column}: {message}");
        if text.trim().is_empty() {
            return head;
        }
        // Of a long line the part around the column.
        let skipped = (column - 1).saturating_sub(MAX_EXCERPT / 2);
        let shown: String = text.chars().skip(skipped).take(MAX_EXCERPT).collect();
        let shown = console::printable(shown.trim_end()).replace('\t', " ");
        let indent = column - 1 - skipped;
        format!("{head}\n    {shown}\n    {:indent$}^", "")
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.place.line, self.message)
    }
}

/// The text of a TOML file and the errors found in it so far.
#[derive(Debug)]
pub struct Source<'a> {
    file: &'a str,
    text: &'a str,
    errors: Vec<FileError>,
    has_syntax_errors: bool,
}

impl<'a> Source<'a> {
    /// Creates a source from `text`; `file` is the name shown in error messages.
    #[must_use]
    pub fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, text, errors: Vec::new(), has_syntax_errors: false }
    }

    /// Parses the text and returns its top-level table. Adds syntax errors; the table then contains
    /// what could be parsed.
    pub fn root(&mut self) -> Table<'a> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in errors {
            let at = error.span().unwrap_or(0..0);
            let message = plain_words::explain(error.message(), self.text.get(at.clone()));
            self.add_error(at, message);
        }
        self.has_syntax_errors = !self.errors.is_empty();
        Table::new(table)
    }

    /// Adds an error at the byte range `at` of the text. After a syntax error the values are not
    /// those that were meant, so that nothing else is an error.
    pub fn add_error(&mut self, at: Range<usize>, message: impl Into<String>) {
        if self.has_syntax_errors {
            return;
        }
        let place = self.place(&at);
        self.errors.push(FileError { file: self.file.into(), place, message: message.into() });
    }

    /// Returns the place where the byte range `at` begins.
    #[must_use]
    pub fn place(&self, at: &Range<usize>) -> Place {
        let before = self.text.get(..at.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        let spanned = self.text.get(at.clone()).unwrap_or_default();
        let is_in_line = !spanned.trim_end().contains('\n');
        let line = self.text.get(line_start..).and_then(|rest| rest.lines().next());
        Place {
            line: before.matches('\n').count() + 1,
            // Editors do not count the byte order mark.
            column: before[line_start..].trim_start_matches('\u{feff}').chars().count() + 1,
            text: line
                .filter(|line| is_in_line && !may_be_secret(line))
                .map(|line| line.trim_start_matches('\u{feff}').to_owned())
                .unwrap_or_default(),
        }
    }

    /// Returns the name of the file in error messages.
    #[must_use]
    pub fn file(&self) -> &'a str {
        self.file
    }

    /// Returns all errors, ordered by line, each once. Of the syntax errors of a line the first: the
    /// others follow from it.
    #[must_use]
    pub fn into_errors(mut self) -> Vec<FileError> {
        self.errors.sort_by_key(|error| error.place.line);
        match self.has_syntax_errors {
            true => self.errors.dedup_by_key(|error| error.place.line),
            false => self.errors.dedup(),
        }
        self.errors
    }
}

/// A table whose keys are read one by one. Keys that are never read are unknown.
///
/// Each method that reads a key removes it. It adds an error if the value has the wrong type, or if
/// the key is required and missing. Missing optional keys are no error.
#[derive(Debug)]
pub struct Table<'a> {
    /// Byte range of the table in the text.
    pub span: Range<usize>,
    entries: BTreeMap<String, (Range<usize>, Spanned<DeValue<'a>>)>,
    /// The keys that were to be read, whether the table has them or not.
    known_keys: BTreeSet<String>,
}

/// An entry of a table whose keys are not known beforehand.
#[derive(Debug)]
pub struct Entry<'a> {
    /// The key.
    pub key: String,
    /// Byte range of the key in the text.
    pub key_at: Range<usize>,
    /// The value.
    pub value: Spanned<DeValue<'a>>,
}

impl<'a> Table<'a> {
    /// Returns `value` as a table; `None` if it is none.
    #[must_use]
    pub fn from_value(value: Spanned<DeValue<'a>>) -> Option<Self> {
        let span = value.span();
        match value.into_inner() {
            DeValue::Table(table) => Some(Self::new(Spanned::new(span, table))),
            _ => None,
        }
    }

    fn new(table: Spanned<DeTable<'a>>) -> Self {
        let span = table.span();
        let entries = table
            .into_inner()
            .into_iter()
            .map(|(key, value)| (key.get_ref().to_string(), (key.span(), value)))
            .collect();
        Self { span, entries, known_keys: BTreeSet::new() }
    }

    /// Removes and returns the entry of `key`.
    fn remove(&mut self, key: &str) -> Option<(Range<usize>, Spanned<DeValue<'a>>)> {
        self.known_keys.insert(key.to_owned());
        self.entries.remove(key)
    }

    /// Returns whether the table contains `key`.
    #[must_use]
    pub fn contains_key(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Returns the byte range of the value of `key`, or of the table if there is no such key.
    #[must_use]
    pub fn span_of(&self, key: &str) -> Range<usize> {
        self.entries.get(key).map_or(self.span.clone(), |(_, value)| value.span())
    }

    /// Reads a required string and its byte range.
    pub fn string(&mut self, source: &mut Source<'a>, key: &str) -> Option<(String, Range<usize>)> {
        self.required(source, key)?;
        self.optional_string(source, key)
    }

    /// Reads an optional string and its byte range.
    pub fn optional_string(
        &mut self,
        source: &mut Source<'a>,
        key: &str,
    ) -> Option<(String, Range<usize>)> {
        let (_, value) = self.remove(key)?;
        let span = value.span();
        if let DeValue::String(text) = value.get_ref() {
            return Some((text.to_string(), span));
        }
        source.add_error(span, format!("`{key}` must be a string"));
        None
    }

    /// Reads a required name and its byte range: a string that is printed in reports, so it has
    /// characters and no control characters.
    pub fn name(&mut self, source: &mut Source<'a>, key: &str) -> Option<(String, Range<usize>)> {
        self.required(source, key)?;
        self.optional_name(source, key)
    }

    /// Reads an optional name, like [`Self::name`].
    pub fn optional_name(
        &mut self,
        source: &mut Source<'a>,
        key: &str,
    ) -> Option<(String, Range<usize>)> {
        let (name, at) = self.optional_string(source, key)?;
        if let Err(message) = check_name(&name) {
            source.add_error(at.clone(), format!("`{key}` {message}"));
        }
        Some((name, at))
    }

    /// Reads a required number, an integer or a float, that is zero or above.
    pub fn number(&mut self, source: &mut Source<'a>, key: &str) -> Option<f64> {
        self.required(source, key)?;
        self.optional_number(source, key)
    }

    /// Reads an optional number, an integer or a float, that is zero or above.
    pub fn optional_number(&mut self, source: &mut Source<'a>, key: &str) -> Option<f64> {
        let (_, value) = self.remove(key)?;
        let span = value.span();
        let number = number(value.get_ref()).filter(|number| *number >= 0.0);
        if number.is_none() {
            source.add_error(span, format!("`{key}` must be a number of at least 0"));
        }
        number
    }

    /// Reads a required integer of at least 1.
    pub fn positive_integer(&mut self, source: &mut Source<'a>, key: &str) -> Option<u32> {
        self.required(source, key)?;
        self.optional_positive_integer(source, key)
    }

    /// Reads an optional integer of at least 1.
    pub fn optional_positive_integer(&mut self, source: &mut Source<'a>, key: &str) -> Option<u32> {
        self.optional_integer(source, key, 1)
    }

    /// Reads an optional integer of at least `least`.
    pub fn optional_integer(
        &mut self,
        source: &mut Source<'a>,
        key: &str,
        least: u32,
    ) -> Option<u32> {
        let (_, value) = self.remove(key)?;
        let span = value.span();
        let count = integer(value.get_ref()).and_then(|count| u32::try_from(count).ok());
        let count = count.filter(|count| *count >= least);
        if count.is_none() {
            source.add_error(span, format!("`{key}` must be an integer of at least {least}"));
        }
        count
    }

    /// Reads an optional boolean.
    pub fn optional_bool(&mut self, source: &mut Source<'a>, key: &str) -> Option<bool> {
        let (_, value) = self.remove(key)?;
        if let DeValue::Boolean(value) = value.get_ref() {
            return Some(*value);
        }
        source.add_error(value.span(), format!("`{key}` must be true or false"));
        None
    }

    /// Reads an optional string or array of strings, not empty, and their byte ranges; returns an
    /// empty list if there is none.
    pub fn string_or_strings(
        &mut self,
        source: &mut Source<'a>,
        key: &str,
    ) -> Vec<(String, Range<usize>)> {
        match self.entries.get(key) {
            Some((_, value)) if matches!(value.get_ref(), DeValue::String(_)) => {
                self.optional_string(source, key).into_iter().collect()
            }
            _ => self.optional_strings(source, key),
        }
    }

    /// Reads an optional array of strings, not empty, and their byte ranges; returns an empty list if
    /// there is none.
    pub fn optional_strings(
        &mut self,
        source: &mut Source<'a>,
        key: &str,
    ) -> Vec<(String, Range<usize>)> {
        let Some((_, value)) = self.remove(key) else { return Vec::new() };
        let span = value.span();
        let mut strings = Vec::new();
        if let DeValue::Array(items) = value.get_ref() {
            for item in items {
                if let DeValue::String(text) = item.get_ref() {
                    strings.push((text.to_string(), item.span()));
                }
            }
            if strings.len() == items.len() && !strings.is_empty() {
                return strings;
            }
        }
        source.add_error(span, format!("`{key}` must be a non-empty array of strings"));
        strings
    }

    /// Reads an optional array of strings, which may be empty, and their byte ranges.
    pub fn string_list(
        &mut self,
        source: &mut Source<'a>,
        key: &str,
    ) -> Option<Vec<(String, Range<usize>)>> {
        let value = self.take(key)?;
        let strings: Option<Vec<_>> = match value.get_ref() {
            DeValue::Array(items) => {
                let string = |item: &Spanned<DeValue<'_>>| match item.get_ref() {
                    DeValue::String(text) => Some((text.to_string(), item.span())),
                    _ => None,
                };
                items.iter().map(string).collect()
            }
            _ => None,
        };
        if strings.is_none() {
            source.add_error(value.span(), format!("`{key}` must be an array of strings"));
        }
        strings
    }

    /// Reads an optional value of any type.
    pub fn take(&mut self, key: &str) -> Option<Spanned<DeValue<'a>>> {
        self.remove(key).map(|(_, value)| value)
    }

    /// Returns all texts among the values that were not read yet, and their byte ranges.
    #[must_use]
    pub fn texts(&self) -> Vec<(&str, Range<usize>)> {
        let mut texts = Vec::new();
        for (_, value) in self.entries.values() {
            add_texts(value, &mut texts);
        }
        texts
    }

    /// Reads all remaining entries, in the order of the file.
    #[must_use]
    pub fn into_entries(self) -> Vec<Entry<'a>> {
        let entries = self.entries.into_iter();
        let mut entries: Vec<Entry<'a>> =
            entries.map(|(key, (key_at, value))| Entry { key, key_at, value }).collect();
        entries.sort_by_key(|entry| entry.key_at.start);
        entries
    }

    /// Reads an optional table.
    pub fn table(&mut self, source: &mut Source<'a>, key: &str) -> Option<Table<'a>> {
        let (_, value) = self.remove(key)?;
        let span = value.span();
        if let DeValue::Table(table) = value.into_inner() {
            return Some(Table::new(Spanned::new(span, table)));
        }
        source.add_error(span, format!("`{key}` must be a table: [{key}]"));
        None
    }

    /// Reads an optional array of tables (`[[key]]`); returns an empty list if there is none.
    pub fn tables(&mut self, source: &mut Source<'a>, key: &str) -> Vec<Table<'a>> {
        let Some((_, value)) = self.remove(key) else { return Vec::new() };
        let span = value.span();
        let DeValue::Array(items) = value.into_inner() else {
            source.add_error(span, format!("`{key}` must be an array of tables: [[{key}]]"));
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in items {
            let span = item.span();
            match item.into_inner() {
                DeValue::Table(table) => tables.push(Table::new(Spanned::new(span, table))),
                _ => source.add_error(span, format!("`{key}` must contain only tables")),
            }
        }
        tables
    }

    /// Adds an error for every key that was not read.
    pub fn report_unknown_keys(self, source: &mut Source<'a>) {
        for (key, (span, _)) in self.entries {
            let known = self.known_keys.iter().map(String::as_str);
            let hint = suggest::did_you_mean(&key, known, String::new);
            source.add_error(span, format!("unknown key `{key}`{hint}"));
        }
    }

    fn required(&mut self, source: &mut Source<'a>, key: &str) -> Option<()> {
        if !self.contains_key(key) {
            self.known_keys.insert(key.to_owned());
            source.add_error(self.span.clone(), format!("`{key}` is missing"));
            return None;
        }
        Some(())
    }
}

fn add_texts<'v>(value: &'v Spanned<DeValue<'_>>, texts: &mut Vec<(&'v str, Range<usize>)>) {
    match value.get_ref() {
        DeValue::String(text) => texts.push((text, value.span())),
        DeValue::Array(items) => items.iter().for_each(|item| add_texts(item, texts)),
        DeValue::Table(table) => table.values().for_each(|value| add_texts(value, texts)),
        _ => {}
    }
}

/// Checks that `name` has characters and no control characters, which would change the output of
/// terminals and break the lines of reports.
///
/// # Errors
/// Returns what it must have, as the end of a message.
pub fn check_name(name: &str) -> Result<(), &'static str> {
    match name.trim().is_empty() {
        true => Err("must not be empty"),
        false if name.contains(char::is_control) => Err("must have no control characters"),
        false => Ok(()),
    }
}

/// Returns an integer; `None` if the value is none, or too large.
#[must_use]
pub fn integer(value: &DeValue<'_>) -> Option<i64> {
    let integer = value.as_integer()?;
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// Returns a status code of HTTP (100 to 599); `None` if the value is none.
#[must_use]
pub fn status_code(value: &DeValue<'_>) -> Option<u16> {
    let status = u16::try_from(integer(value)?).ok()?;
    (100..=599).contains(&status).then_some(status)
}

/// Returns an integer or a float as a number; `None` if the value is none, or not finite.
#[must_use]
pub fn number(value: &DeValue<'_>) -> Option<f64> {
    let text = match value {
        DeValue::Integer(_) => integer(value)?.to_string(),
        DeValue::Float(float) => float.as_str().to_owned(),
        _ => return None,
    };
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// Returns a value as JSON. Dates and times become strings.
///
/// # Errors
/// Returns a message for numbers that JSON does not have.
pub fn to_json(value: &DeValue<'_>) -> Result<Value, String> {
    Ok(match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(_) => match integer(value) {
            Some(integer) => integer.into(),
            None => return Err("the integer does not fit into 64 bits".into()),
        },
        DeValue::Float(_) => {
            let float = number(value).and_then(Number::from_f64);
            Value::Number(float.ok_or("JSON has no such number")?)
        }
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Datetime(time) => Value::String(time.to_string()),
        DeValue::Array(items) => {
            let items = items.iter().map(|item| to_json(item.get_ref()));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        DeValue::Table(table) => {
            let entries = table
                .iter()
                .map(|(key, value)| Ok((key.get_ref().to_string(), to_json(value.get_ref())?)));
            Value::Object(entries.collect::<Result<Map<_, _>, String>>()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_become_json_of_the_same_type() {
        let text = "a = [1, 0xff, -2.5, true, \"x\", 1979-05-27T07:32:00Z]\nb = {c = 1_000}\n";
        let mut source = Source::new("a.toml", text);
        let entries = source.root().into_entries();
        let values: Vec<Value> =
            entries.iter().map(|entry| to_json(entry.value.get_ref()).unwrap()).collect();
        let expected = json!([1, 255, -2.5, true, "x", "1979-05-27T07:32:00Z"]);
        assert_eq!(values, [expected, json!({ "c": 1000 })]);
        for text in ["a = nan", "a = inf", "a = 99999999999999999999"] {
            let entries = Source::new("a.toml", text).root().into_entries();
            assert!(to_json(entries[0].value.get_ref()).is_err(), "{text}");
        }
    }

    #[test]
    fn entries_are_returned_in_the_order_of_the_file() {
        let mut source = Source::new("a.toml", "z = 1\na = 2\nm = 3\n");
        let keys: Vec<String> =
            source.root().into_entries().into_iter().map(|entry| entry.key).collect();
        assert_eq!(keys, ["z", "a", "m"]);
    }

    #[test]
    fn all_errors_are_reported_with_their_lines() {
        let text = "name = 3\nusers = 0\n\n[reports]\nhtml = \"x\"\ncolour = \"red\"\n";
        let mut source = Source::new("a.toml", text);
        let mut root = source.root();
        root.string(&mut source, "name");
        root.positive_integer(&mut source, "users");
        root.string(&mut source, "run_time");
        let mut reports = root.table(&mut source, "reports").unwrap();
        reports.optional_string(&mut source, "html");
        reports.report_unknown_keys(&mut source);
        root.report_unknown_keys(&mut source);
        let found: Vec<String> = source.into_errors().iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "a.toml:1: `name` must be a string",
                "a.toml:1: `run_time` is missing",
                "a.toml:2: `users` must be an integer of at least 1",
                "a.toml:6: unknown key `colour`",
            ]
        );
    }

    /// Returns the errors of a file that has only numbers called `users` and `rate`.
    fn rendered(text: &str) -> Vec<String> {
        let mut source = Source::new("a.toml", text);
        let mut root = source.root();
        root.optional_positive_integer(&mut source, "users");
        root.optional_number(&mut source, "rate");
        root.report_unknown_keys(&mut source);
        source.into_errors().iter().map(FileError::render).collect()
    }

    #[test]
    fn an_error_is_shown_in_its_line() {
        for (text, expected) in [
            (
                "users = 0\n",
                "a.toml:1:9: `users` must be an integer of at least 1\n    users = 0\n            ^",
            ),
            // With a byte order mark, a tab and line breaks of Windows.
            (
                "\u{feff}# x\r\n\trat = 1\r\n",
                "a.toml:2:2: unknown key `rat`; did you mean `rate`?\n     rat = 1\n     ^",
            ),
            (
                "\u{feff}users = 0",
                "a.toml:1:9: `users` must be an integer of at least 1\n    users = 0\n            ^",
            ),
            ("password = \"hunter2\"", "a.toml:1:1: unknown key `password`"),
            ("users = \"http://me:pw@x\"", "a.toml:1:9: `users` must be an integer of at least 1"),
        ] {
            assert_eq!(rendered(text), [expected]);
        }
        let long =
            format!("{}rate = -1", "users = 1\nx = \"".to_owned() + &"é".repeat(200) + "\"\n");
        let errors = rendered(&long);
        assert!(errors[0].lines().all(|line| line.chars().count() <= 80), "{errors:?}");
        assert!(errors[1].contains("\n    rate = -1\n           ^"), "{errors:?}");
        let unprintable = rendered("users = \"\u{1b}\"");
        assert!(unprintable.iter().all(|error| !error.contains('\u{1b}')), "{unprintable:?}");
    }

    #[test]
    fn a_syntax_error_is_the_only_error_and_in_plain_words() {
        for (text, expected) in [
            ("users = = 2\nrat = 1\n", "1:9: there is one `=` too many"),
            ("users = 10\nusers = 20\n", "2:1: this key is set twice; remove one of them"),
            ("run_time = 5m\n", "1:12: a text must be in double quotes: \"5m\""),
            ("run_time = \"5m\n", "1:15: this text has no closing quote"),
            ("[class\nusers = 0\n", "1:7: this table has no closing `]`"),
            ("users\n", "1:6: this key has no `=` and no value"),
            ("users =\n", "1:8: this key has no value after `=`"),
            ("users = 010\n", "1:9: a number must not begin with 0"),
        ] {
            let errors = rendered(text);
            let first = errors[0].lines().next().unwrap();
            assert_eq!(first, format!("a.toml:{expected}"), "{text}");
            assert_eq!(errors.len(), 1, "{text}: {errors:?}");
        }
    }

    #[test]
    fn numbers_are_read_as_toml_writes_them() {
        let mut source = Source::new("a.toml", "a = 0x10\nb = 1_000\nc = 0b11\nd = 1e3\ne = 0\n");
        let mut root = source.root();
        let integers =
            ["a", "b", "c"].map(|key| root.optional_positive_integer(&mut source, key).unwrap());
        assert_eq!(integers, [16, 1000, 3]);
        assert_eq!(root.number(&mut source, "d"), Some(1000.0));
        assert_eq!(root.optional_positive_integer(&mut source, "e"), None);
        assert_eq!(source.into_errors().len(), 1);
        let mut source = Source::new("a.toml", "a = 0x10\nb = -1\nc = nan\n");
        let mut root = source.root();
        let numbers = ["a", "b", "c"].map(|key| root.optional_number(&mut source, key));
        assert_eq!(numbers, [Some(16.0), None, None]);
    }

    #[test]
    fn a_name_can_be_printed() {
        let text = "a = \"\"\nb = \" \"\nc = \"x\\u001b[2J\"\nd = \"x\\u0000\"\ne = \"x\\ny\"\nf = \"ä\"\n";
        let mut source = Source::new("a.toml", text);
        let mut root = source.root();
        for key in ["a", "b", "c", "d", "e", "f"] {
            assert!(root.name(&mut source, key).is_some(), "{key}");
        }
        let errors: Vec<String> = source.into_errors().iter().map(ToString::to_string).collect();
        assert_eq!(errors.len(), 5, "{errors:?}");
        assert_eq!(errors[0], "a.toml:1: `a` must not be empty");
        assert_eq!(errors[2], "a.toml:3: `c` must have no control characters");
    }

    #[test]
    fn a_syntax_error_is_reported_with_its_line() {
        let mut source = Source::new("b.toml", "name = \"x\"\nusers = = 3\n");
        source.root();
        let errors = source.into_errors();
        assert_eq!(errors[0].place.line, 2);
        let mut source = Source::new("b.toml", "a = {\n b = 1 c = 2\n}\n");
        source.root();
        let at_end = source.into_errors().into_iter().filter(|error| error.place.line == 3).count();
        assert_eq!(at_end, 1, "the parser reports it twice");
    }
}
