//! Parser for the Prometheus text exposition format, as far as the harness needs it.

use std::collections::BTreeMap;

use crate::metric_names::Series;

/// The samples of one scrape.
#[derive(Clone, Debug, Default)]
pub struct Exposition {
    samples: Vec<Sample>,
}

#[derive(Clone, Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Exposition {
    /// Parses `text` in the Prometheus text format; malformed lines are skipped.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Self { samples: lines.filter_map(parse_sample).collect() }
    }

    /// Returns the sum of all `series`; `None` if there are none, or if one of them is no finite number:
    /// the rest is not the whole.
    #[must_use]
    pub fn sum(&self, series: &Series) -> Option<f64> {
        self.values(series).reduce(|sum, value| sum + value).filter(|sum| sum.is_finite())
    }

    /// Returns the lowest value of all `series`; `None` if there are none, or if one of them is no finite
    /// number.
    #[must_use]
    pub fn min(&self, series: &Series) -> Option<f64> {
        let is_finite = self.values(series).all(f64::is_finite);
        self.values(series).filter(|_| is_finite).reduce(f64::min)
    }

    fn values(&self, series: &Series) -> impl Iterator<Item = f64> {
        let matching = self.samples.iter().filter(|sample| {
            let has = |(label, expected): &(String, String)| {
                sample.labels.get(label).is_some_and(|value| value.eq_ignore_ascii_case(expected))
            };
            sample.name == series.name && series.labels.iter().all(has)
        });
        matching.map(|sample| sample.value)
    }

    /// Returns the labels of the first series of `name`; `None` if there is none.
    #[must_use]
    pub fn labels(&self, name: &str) -> Option<BTreeMap<String, String>> {
        let sample = self.samples.iter().find(|sample| sample.name == name)?;
        Some(sample.labels.clone())
    }
}

fn parse_sample(line: &str) -> Option<Sample> {
    let line = line.trim();
    let name_end = line.find(|c: char| c == '{' || c.is_whitespace())?;
    let (name, rest) = line.split_at(name_end);
    let (labels, rest) = match rest.trim_start().strip_prefix('{') {
        Some(rest) => parse_labels(rest)?,
        None => (BTreeMap::new(), rest),
    };
    // An optional timestamp follows the value.
    let value: f64 = rest.split_whitespace().next()?.parse().ok()?;
    Some(Sample { name: name.into(), labels, value })
}

/// Parses `a="x",b="y"}`; returns the labels and the rest of the line.
fn parse_labels(mut text: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        text = text.trim_start_matches([',', ' ', '\t']);
        if let Some(rest) = text.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (label, rest) = text.split_once('=')?;
        let (value, rest) = parse_quoted(rest.trim_start().strip_prefix('"')?)?;
        labels.insert(label.trim().to_owned(), value);
        text = rest;
    }
}

/// Parses up to the closing quote, resolving the escapes `\\`, `\"` and `\n`; returns the value and
/// the rest of the line.
fn parse_quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                escaped => value.push(escaped),
            },
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(exposition: &Exposition, series: &str) -> Option<f64> {
        exposition.sum(&series.parse().unwrap())
    }

    const TEXT: &str = r#"
# HELP db_pool_connections Pooled connections.
# TYPE db_pool_connections gauge
db_pool_connections{state="idle"} 3
db_pool_connections{state="in_use"} 2
process_cpu_seconds_total 12.5 1700000000
log_events_total{level="ERROR"} 4
build_info{version="0.1.0",note="a \"b\", {c}\\"} 1
nonsense
"#;

    #[test]
    fn series_are_found_by_name_and_labels() {
        let exposition = Exposition::parse(TEXT);
        assert_eq!(sum(&exposition, "db_pool_connections{state=\"in_use\"}"), Some(2.0));
        assert_eq!(sum(&exposition, "db_pool_connections"), Some(5.0));
        assert_eq!(sum(&exposition, "process_cpu_seconds_total"), Some(12.5));
        assert_eq!(sum(&exposition, "log_events_total{level=\"error\"}"), Some(4.0));
    }

    #[test]
    fn the_sum_of_a_missing_series_is_none() {
        let exposition = Exposition::parse(TEXT);
        assert_eq!(sum(&exposition, "queue_depth"), None);
        assert_eq!(sum(&exposition, "db_pool_connections{state=\"lost\"}"), None);
    }

    #[test]
    fn series_that_are_no_finite_numbers_have_no_sum() {
        let text = "a NaN\na{b=\"1\"} 3\na{b=\"2\"} 2\nc +Inf\nc 1\nd -Inf\nd +Inf\n";
        let odd = Exposition::parse(text);
        for series in ["a", "c", "d"] {
            assert_eq!(
                (sum(&odd, series), odd.min(&series.parse().unwrap())),
                (None, None),
                "{series}"
            );
        }
        assert_eq!(sum(&odd, "a{b=\"1\"}"), Some(3.0));
        let two = Exposition::parse("a{b=\"1\"} 3\na{b=\"2\"} 2\n");
        assert_eq!((sum(&two, "a"), two.min(&"a".parse().unwrap())), (Some(5.0), Some(2.0)));
    }

    #[test]
    fn blanks_may_precede_labels() {
        let exposition =
            Exposition::parse("db {a=\"b\"} 3\ndb\t{ a = \"c\" , d=\"e\" } 4 1700000000\n");
        assert_eq!(sum(&exposition, "db{a=\"b\"}"), Some(3.0));
        assert_eq!(sum(&exposition, "db{a=\"c\",d=\"e\"}"), Some(4.0));
    }

    #[test]
    fn label_values_may_contain_escapes_and_braces() {
        let labels = Exposition::parse(TEXT).labels("build_info").unwrap();
        assert_eq!(labels["note"], "a \"b\", {c}\\");
        assert_eq!(labels["version"], "0.1.0");
    }
}
