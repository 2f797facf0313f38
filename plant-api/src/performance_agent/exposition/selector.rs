//! Selectors of series in rule files: `name` or `name{label="value"}`.

use serde::{Deserialize, Deserializer};

use super::{Exposition, Labels, parse_series};

/// All series of a metric that have certain labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    pub name: String,
    /// Labels that the series must have; it may have more.
    labels: Labels,
}

impl Selector {
    /// Parses a selector; `None` if it is malformed.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, labels, rest) = parse_series(text)?;
        rest.trim().is_empty().then(|| Self { name: name.to_owned(), labels })
    }

    pub fn matches(&self, labels: &Labels) -> bool {
        self.labels.iter().all(|(name, value)| labels.get(name) == Some(value))
    }

    /// Returns the sum of the selected series; `None` if there are none, or if one is no finite number.
    pub fn sum(&self, exposition: &Exposition) -> Option<f64> {
        let selected = exposition.series(&self.name).filter(|(labels, _)| self.matches(labels));
        let sum = selected.map(|(_, value)| value).reduce(|sum, value| sum + value);
        sum.filter(|sum| sum.is_finite())
    }
}

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "`{text}` is not a selector such as `name{{label=\"value\"}}`"
            ))
        })
    }
}
