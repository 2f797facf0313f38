//! Amounts of money in minor units, such as cents; in JSON, numbers with two decimals, such as 9.99.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Minor units of one unit: the currencies that are accepted have two decimals.
const MINOR_UNITS: i64 = 100;

/// Maximum amount of a request, in minor units. An `f64` represents it with two decimals exactly.
const MAX_MINOR: i64 = 99_999_999_999;

/// An amount of money in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(transparent)]
pub struct Amount(i64);

impl Amount {
    /// Creates an amount of minor units.
    pub const fn from_minor(minor: i64) -> Self {
        Self(minor)
    }

    /// Returns the minor units.
    pub fn minor(self) -> i64 {
        self.0
    }

    /// Reads a decimal number: positive, at most 999,999,999.99, with at most two decimals.
    fn from_number(number: f64) -> Result<Self, &'static str> {
        const INVALID: &str = "must be 0.01 to 999999999.99, with at most two decimals";
        // The shortest decimal representation of the number, which is what was sent: up to 15 digits,
        // more than any valid amount has, are exact in an `f64`.
        let text = number.to_string();
        let (units, decimals) = text.split_once('.').unwrap_or((&text, ""));
        if decimals.len() > 2 {
            return Err(INVALID);
        }
        let units: i64 = units.parse().map_err(|_| INVALID)?;
        let decimals: i64 = format!("{decimals:0<2}").parse().map_err(|_| INVALID)?;
        let minor = units.checked_mul(MINOR_UNITS).and_then(|minor| minor.checked_add(decimals));
        // A negative number has a `-` in front of the units or is not positive.
        let valid = |minor: &i64| number > 0.0 && (1..=MAX_MINOR).contains(minor);
        minor.filter(valid).map(Self).ok_or(INVALID)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The quotient is the number nearest to the decimal amount, so it is written as that.
        serializer.serialize_f64(self.0 as f64 / MINOR_UNITS as f64)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_number(f64::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_amount_survives_json() {
        let mut rng = fastrand::Rng::with_seed(7);
        let random = (0..100_000).map(|_| rng.i64(1..=MAX_MINOR));
        for minor in (1..=10_000).chain(MAX_MINOR - 1_000..=MAX_MINOR).chain(random) {
            let json = serde_json::to_string(&Amount(minor)).unwrap();
            assert_eq!(serde_json::from_str::<Amount>(&json).unwrap().minor(), minor, "{json}");
        }
        assert_eq!(serde_json::to_string(&Amount(999)).unwrap(), "9.99");
        assert_eq!(serde_json::to_string(&Amount(1_000)).unwrap(), "10.0");
    }

    #[test]
    fn amounts_with_more_decimals_or_out_of_range_are_refused() {
        for valid in ["0.01", "10", "9.9", "9.990", "999999999.99", "1e2"] {
            serde_json::from_str::<Amount>(valid).unwrap();
        }
        for invalid in ["0", "-0.5", "-9.99", "0.001", "9.999", "1000000000", "1e300", "\"9.99\""] {
            assert!(serde_json::from_str::<Amount>(invalid).is_err(), "{invalid}");
        }
    }
}
