//! Parser for the Prometheus text exposition format, and what can be computed from two readings of one
//! target: rates and quantiles of the time between them, not since the start of the process.

pub mod histogram;
pub mod interval;
pub mod selector;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;

/// Labels of a series.
pub type Labels = BTreeMap<String, String>;

/// One reading of a target: its series by the name of the metric.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Exposition(HashMap<String, HashMap<Labels, f64>>);

/// A text that is not in the Prometheus text format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidExposition {
    /// A line is malformed.
    #[error("line {0} is not in the Prometheus text format")]
    Line(usize),
    /// The text is not in UTF-8.
    #[error("it is not UTF-8")]
    Encoding,
    /// There is not a single series.
    #[error("there are no metrics")]
    Empty,
}

impl Exposition {
    /// Returns the series of a metric.
    pub fn series(&self, name: &str) -> impl Iterator<Item = (&Labels, f64)> {
        self.0.get(name).into_iter().flatten().map(|(labels, value)| (labels, *value))
    }

    /// Adds the counters and histograms of another process, by the names that these have. Those of the
    /// process itself, such as its CPU time, are left out.
    pub fn add_counters(&mut self, other: &Self) {
        let is_counter = |name: &str| {
            let suffixes = ["_total", "_bucket", "_count", "_sum"];
            suffixes.iter().any(|suffix| name.ends_with(suffix)) && !name.starts_with("process_")
        };
        for (name, series) in other.0.iter().filter(|(name, _)| is_counter(name)) {
            let own = self.0.entry(name.clone()).or_default();
            for (labels, value) in series {
                *own.entry(labels.clone()).or_default() += value;
            }
        }
    }

    /// Returns the value of one series.
    pub fn value(&self, name: &str, labels: &Labels) -> Option<f64> {
        self.0.get(name)?.get(labels).copied()
    }
}

/// Parses what a target has answered.
///
/// # Errors
/// If it is not in the Prometheus text format.
pub fn parse(bytes: &[u8]) -> Result<Exposition, InvalidExposition> {
    std::str::from_utf8(bytes).map_err(|_| InvalidExposition::Encoding)?.parse()
}

impl FromStr for Exposition {
    type Err = InvalidExposition;

    fn from_str(text: &str) -> Result<Self, InvalidExposition> {
        let mut exposition = Self::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, labels, value) =
                parse_line(line).ok_or(InvalidExposition::Line(index + 1))?;
            exposition.0.entry(name.to_owned()).or_default().insert(labels, value);
        }
        if exposition.0.is_empty() { Err(InvalidExposition::Empty) } else { Ok(exposition) }
    }
}

/// Parses `name{label="value",…} value [timestamp]`, and what OpenMetrics adds after `#`.
fn parse_line(line: &str) -> Option<(&str, Labels, f64)> {
    let (name, labels, rest) = parse_series(line)?;
    let mut words = rest.split_whitespace();
    let value = parse_value(words.next()?)?;
    match words.next() {
        None | Some("#") => {}
        Some(timestamp) => {
            timestamp.parse::<f64>().ok()?;
            if words.next().is_some_and(|word| word != "#") {
                return None;
            }
        }
    }
    Some((name, labels, value))
}

fn parse_value(text: &str) -> Option<f64> {
    // Rust reads `inf`, `infinity` and `nan` in any case, as Prometheus does.
    text.parse().ok()
}

/// Parses `name{label="value",…}` at the start of a text; returns the rest, too.
pub(super) fn parse_series(text: &str) -> Option<(&str, Labels, &str)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let end = text.find(|c: char| !is_name(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    match rest.trim_start().strip_prefix('{') {
        None if rest.is_empty() || rest.starts_with(char::is_whitespace) => {
            Some((name, Labels::new(), rest))
        }
        None => None,
        Some(labels) => {
            let (labels, rest) = parse_labels(labels)?;
            Some((name, labels, rest))
        }
    }
}

/// Parses the labels after `{`, up to `}`.
fn parse_labels(mut text: &str) -> Option<(Labels, &str)> {
    let mut labels = Labels::new();
    loop {
        text = text.trim_start();
        if let Some(rest) = text.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, rest) = text.split_once('=')?;
        let (value, rest) = parse_quoted(rest.trim_start().strip_prefix('"')?)?;
        labels.insert(name.trim().to_owned(), value);
        text = rest.trim_start();
        if let Some(rest) = text.strip_prefix(',') {
            text = rest;
        } else if !text.starts_with('}') {
            return None;
        }
    }
}

/// Parses a quoted text after its opening quote.
fn parse_quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}
