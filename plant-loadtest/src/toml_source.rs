//! Reads TOML so that every mistake of a file is found at once, each with its line.

use std::{collections::BTreeMap, fmt, ops::Range};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// One thing that is wrong in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The file's name as the user knows it.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.message)
    }
}

/// A file's text, and the mistakes found in it so far.
#[derive(Debug)]
pub struct Source<'a> {
    file: &'a str,
    text: &'a str,
    mistakes: Vec<Mistake>,
}

impl<'a> Source<'a> {
    /// Opens `text`, which the user knows as `file`.
    #[must_use]
    pub fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, text, mistakes: Vec::new() }
    }

    /// The file's top-level table. Text that is no TOML leaves mistakes and whatever could be read.
    pub fn root(&mut self) -> Table<'a> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in errors {
            self.mistake(error.span().unwrap_or(0..0), error.message());
        }
        Table::new(table)
    }

    /// Notes a mistake at a place in the text.
    pub fn mistake(&mut self, at: Range<usize>, message: impl Into<String>) {
        let before = self.text.get(..at.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        self.mistakes.push(Mistake { file: self.file.into(), line, message: message.into() });
    }

    /// All mistakes, in the order of their lines.
    #[must_use]
    pub fn into_mistakes(mut self) -> Vec<Mistake> {
        self.mistakes.sort_by_key(|mistake| mistake.line);
        self.mistakes
    }
}

/// A table whose keys are taken one by one; what nobody took is unknown.
#[derive(Debug)]
pub struct Table<'a> {
    /// Where it stands in the text.
    pub span: Range<usize>,
    entries: BTreeMap<String, (Range<usize>, Spanned<DeValue<'a>>)>,
}

impl<'a> Table<'a> {
    fn new(table: Spanned<DeTable<'a>>) -> Self {
        let span = table.span();
        let entries = table
            .into_inner()
            .into_iter()
            .map(|(key, value)| (key.get_ref().to_string(), (key.span(), value)))
            .collect();
        Self { span, entries }
    }

    /// Whether there is such a key.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Where the value of `key` stands; the table itself when there is none.
    #[must_use]
    pub fn span_of(&self, key: &str) -> Range<usize> {
        self.entries.get(key).map_or(self.span.clone(), |(_, value)| value.span())
    }

    /// A text that must be there.
    pub fn text(&mut self, source: &mut Source<'a>, key: &str) -> Option<(String, Range<usize>)> {
        self.required(source, key)?;
        self.optional_text(source, key)
    }

    /// A text that may be there.
    pub fn optional_text(
        &mut self,
        source: &mut Source<'a>,
        key: &str,
    ) -> Option<(String, Range<usize>)> {
        let (_, value) = self.entries.remove(key)?;
        let span = value.span();
        if let DeValue::String(text) = value.get_ref() {
            return Some((text.to_string(), span));
        }
        source.mistake(span, format!("`{key}` must be a text in quotes"));
        None
    }

    /// A number, whole or not, zero or above, that must be there.
    pub fn number(&mut self, source: &mut Source<'a>, key: &str) -> Option<f64> {
        self.required(source, key)?;
        self.optional_number(source, key)
    }

    /// A number that may be there, zero or above.
    pub fn optional_number(&mut self, source: &mut Source<'a>, key: &str) -> Option<f64> {
        let (_, value) = self.entries.remove(key)?;
        let span = value.span();
        let number: Option<f64> = match value.get_ref() {
            DeValue::Integer(number) => number.to_string().parse().ok(),
            DeValue::Float(number) => number.to_string().parse().ok(),
            _ => None,
        };
        let number = number.filter(|number| number.is_finite() && *number >= 0.0);
        if number.is_none() {
            source.mistake(span, format!("`{key}` must be a number, zero or above"));
        }
        number
    }

    /// A whole number of one or above that must be there.
    pub fn count(&mut self, source: &mut Source<'a>, key: &str) -> Option<u32> {
        self.required(source, key)?;
        self.optional_count(source, key)
    }

    /// A whole number of one or above that may be there.
    pub fn optional_count(&mut self, source: &mut Source<'a>, key: &str) -> Option<u32> {
        let (_, value) = self.entries.remove(key)?;
        let span = value.span();
        let count = match value.get_ref() {
            DeValue::Integer(number) => number.to_string().parse().ok(),
            _ => None,
        };
        let count = count.filter(|count| *count >= 1);
        if count.is_none() {
            source.mistake(span, format!("`{key}` must be a whole number of 1 or more"));
        }
        count
    }

    /// `true` or `false`, that may be there.
    pub fn optional_truth(&mut self, source: &mut Source<'a>, key: &str) -> Option<bool> {
        let (_, value) = self.entries.remove(key)?;
        if let DeValue::Boolean(truth) = value.get_ref() {
            return Some(*truth);
        }
        source.mistake(value.span(), format!("`{key}` must be true or false"));
        None
    }

    /// A list of texts that must be there and not be empty.
    pub fn texts(&mut self, source: &mut Source<'a>, key: &str) -> Vec<(String, Range<usize>)> {
        if self.required(source, key).is_none() {
            return Vec::new();
        }
        let Some((_, value)) = self.entries.remove(key) else { return Vec::new() };
        let span = value.span();
        let mut texts = Vec::new();
        if let DeValue::Array(items) = value.get_ref() {
            for item in items {
                if let DeValue::String(text) = item.get_ref() {
                    texts.push((text.to_string(), item.span()));
                }
            }
            if texts.len() == items.len() && !texts.is_empty() {
                return texts;
            }
        }
        source.mistake(span, format!("`{key}` must be a list of texts"));
        texts
    }

    /// A table that may be there.
    pub fn table(&mut self, source: &mut Source<'a>, key: &str) -> Option<Table<'a>> {
        let (_, value) = self.entries.remove(key)?;
        let span = value.span();
        if let DeValue::Table(table) = value.into_inner() {
            return Some(Table::new(Spanned::new(span, table)));
        }
        source.mistake(span, format!("`{key}` must be a table: [{key}]"));
        None
    }

    /// A list of tables (`[[key]]`), possibly none.
    pub fn tables(&mut self, source: &mut Source<'a>, key: &str) -> Vec<Table<'a>> {
        let Some((_, value)) = self.entries.remove(key) else { return Vec::new() };
        let span = value.span();
        let DeValue::Array(items) = value.into_inner() else {
            source.mistake(span, format!("`{key}` must be a list of tables: [[{key}]]"));
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in items {
            let span = item.span();
            match item.into_inner() {
                DeValue::Table(table) => tables.push(Table::new(Spanned::new(span, table))),
                _ => source.mistake(span, format!("`{key}` must hold tables only")),
            }
        }
        tables
    }

    /// Reports every key that nobody took.
    pub fn finish(self, source: &mut Source<'a>) {
        for (key, (span, _)) in self.entries {
            source.mistake(span, format!("unknown key `{key}`"));
        }
    }

    fn required(&self, source: &mut Source<'a>, key: &str) -> Option<()> {
        if !self.has(key) {
            source.mistake(self.span.clone(), format!("`{key}` is missing"));
            return None;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_found_at_once_with_its_line() {
        let text = "name = 3\nusers = 0\n\n[reports]\nhtml = \"x\"\ncolour = \"red\"\n";
        let mut source = Source::new("a.toml", text);
        let mut root = source.root();
        root.text(&mut source, "name");
        root.count(&mut source, "users");
        root.text(&mut source, "run_time");
        let mut reports = root.table(&mut source, "reports").unwrap();
        reports.optional_text(&mut source, "html");
        reports.finish(&mut source);
        root.finish(&mut source);
        let found: Vec<String> = source.into_mistakes().iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "a.toml:1: `name` must be a text in quotes",
                "a.toml:1: `run_time` is missing",
                "a.toml:2: `users` must be a whole number of 1 or more",
                "a.toml:6: unknown key `colour`",
            ]
        );
    }

    #[test]
    fn text_that_is_no_toml_is_a_mistake_with_its_line() {
        let mut source = Source::new("b.toml", "name = \"x\"\nusers = = 3\n");
        source.root();
        let mistakes = source.into_mistakes();
        assert_eq!(mistakes[0].line, 2);
    }
}
