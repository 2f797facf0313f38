//! Limits of metrics: a comparison and a value.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::VariantArray;

/// How a measured value is compared with a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, VariantArray)]
pub enum Comparison {
    /// The value must be less than the limit.
    #[serde(rename = "<")]
    Less,
    /// The value must not be greater than the limit.
    #[serde(rename = "<=")]
    LessOrEqual,
    /// The value must be greater than the limit.
    #[serde(rename = ">")]
    Greater,
    /// The value must not be less than the limit.
    #[serde(rename = ">=")]
    GreaterOrEqual,
}

/// A limit of a metric, in the unit of the metric.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Limit {
    /// How a value is compared with it.
    pub comparison: Comparison,
    /// The limit.
    pub value: f64,
}

impl Comparison {
    /// All variants.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns the operator, such as `<=`.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }

    fn includes_equal(self) -> bool {
        matches!(self, Self::LessOrEqual | Self::GreaterOrEqual)
    }
}

impl Limit {
    /// Returns the limit `< value`.
    #[must_use]
    pub const fn below(value: f64) -> Self {
        Self { comparison: Comparison::Less, value }
    }

    /// Returns the limit `<= value`.
    #[must_use]
    pub const fn at_most(value: f64) -> Self {
        Self { comparison: Comparison::LessOrEqual, value }
    }

    /// Returns the limit `>= value`.
    #[must_use]
    pub const fn at_least(value: f64) -> Self {
        Self { comparison: Comparison::GreaterOrEqual, value }
    }

    /// Returns whether a measured `value` meets the limit.
    #[must_use]
    pub fn is_met_by(self, value: f64) -> bool {
        match self.comparison {
            Comparison::Less => value < self.value,
            Comparison::LessOrEqual => value <= self.value,
            Comparison::Greater => value > self.value,
            Comparison::GreaterOrEqual => value >= self.value,
        }
    }

    /// Returns whether the limit is an upper one: lower values are better.
    #[must_use]
    pub fn is_upper(self) -> bool {
        matches!(self.comparison, Comparison::Less | Comparison::LessOrEqual)
    }

    /// Returns whether every value that meets `other`, a limit of the same direction, meets this
    /// one, too.
    #[must_use]
    pub fn allows_all_of(self, other: Self) -> bool {
        let allows_equal = self.comparison.includes_equal() || !other.comparison.includes_equal();
        self.is_looser_than(other) || (!other.is_looser_than(self) && allows_equal)
    }

    fn is_looser_than(self, other: Self) -> bool {
        if self.is_upper() { self.value > other.value } else { self.value < other.value }
    }

    /// Returns the same limit for the rest of a share in percent: `>= 99` of all is `<= 1` of the
    /// others.
    #[must_use]
    pub fn of_the_others(self) -> Self {
        let comparison = match self.comparison {
            Comparison::Less => Comparison::Greater,
            Comparison::LessOrEqual => Comparison::GreaterOrEqual,
            Comparison::Greater => Comparison::Less,
            Comparison::GreaterOrEqual => Comparison::LessOrEqual,
        };
        Self { comparison, value: 100.0 - self.value }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.comparison.symbol(), self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABOVE_FIVE: Limit = Limit { comparison: Comparison::Greater, value: 5.0 };

    #[test]
    fn a_value_at_the_limit_meets_it_only_if_the_operator_says_so() {
        let limits = [Limit::below(5.0), Limit::at_most(5.0), ABOVE_FIVE, Limit::at_least(5.0)];
        assert_eq!(limits.map(|limit| limit.is_met_by(5.0)), [false, true, false, true]);
        assert_eq!(limits.map(|limit| limit.is_met_by(4.9)), [true, true, false, false]);
        assert_eq!(limits.map(|limit| limit.is_met_by(5.1)), [false, false, true, true]);
    }

    #[test]
    fn a_looser_limit_allows_all_of_a_stricter_one() {
        let pairs = [
            (Limit::below(6.0), Limit::below(5.0), true),
            (Limit::below(5.0), Limit::below(6.0), false),
            (Limit::below(5.0), Limit::below(5.0), true),
            (Limit::at_most(5.0), Limit::below(5.0), true),
            (Limit::below(5.0), Limit::at_most(5.0), false),
            (Limit::at_least(4.0), Limit::at_least(5.0), true),
            (Limit::at_least(6.0), Limit::at_least(5.0), false),
            (Limit::at_least(5.0), ABOVE_FIVE, true),
            (ABOVE_FIVE, Limit::at_least(5.0), false),
        ];
        for (one, other, expected) in pairs {
            assert_eq!(one.allows_all_of(other), expected, "{one} of {other}");
        }
    }

    #[test]
    fn a_lower_limit_of_a_share_is_an_upper_one_of_the_others() {
        assert_eq!(Limit::at_least(99.0).of_the_others(), Limit::at_most(1.0));
        assert_eq!(ABOVE_FIVE.of_the_others(), Limit::below(95.0));
    }
}
