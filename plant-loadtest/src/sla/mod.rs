//! Promises: which figure of what must stay below which limit.
//!
//! An SLA file is data, read and checked before the first request. It becomes a flat list of
//! [`Promise`]s, which the verdict compares with an outcome.

mod read;

use std::{fmt, fs, path::Path};

use serde::{Deserialize, Serialize};

use crate::{
    outcome::FailureKind,
    profile::{ProfileError, Stage, built_in},
    scenarios::UserClass,
};

/// All promises of one SLA file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sla {
    /// What the file calls itself.
    pub name: String,
    /// In the file's order.
    pub promises: Vec<Promise>,
}

/// One promise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Promise {
    /// What is measured.
    pub subject: Subject,
    /// The group that the SLA puts it in, for reports.
    pub class: String,
    /// Which figure of it.
    pub figure: Figure,
    /// The figure must stay below this; where it is zero, at it.
    pub below: f64,
    /// Beyond this a miss is a failure, up to it a warning. `None`: every miss is a warning.
    pub fail_over: Option<f64>,
    /// The loads, in users, for which this was promised.
    pub users: UserRange,
    /// When it must hold.
    pub during: During,
}

/// What a promise is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// One endpoint, by its name.
    Endpoint(String),
    /// All requests together.
    AllRequests,
    /// The service as such.
    Service,
}

/// A figure, with its unit. Of all of them less is better.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Figure {
    /// The median latency.
    P50,
    /// The 95th percentile of latency.
    P95,
    /// The 99th percentile of latency.
    P99,
    /// The share of requests that failed in one of these ways.
    ErrorRate(Vec<FailureKind>),
    /// How long the service takes to answer `/health` once the load is gone.
    SecondsToHealthy,
    /// How often the service was started anew during the run.
    Restarts,
}

/// The kinds of promises. A verdict needs at least one judged promise of every kind made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// How fast answers are.
    Latency,
    /// How many requests fail.
    Errors,
    /// Whether the service is still there.
    Survival,
}

/// An inclusive range of users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRange {
    /// The lightest load that the promise was made for.
    pub from: u32,
    /// The heaviest.
    pub to: u32,
}

/// The part of a run in which a promise must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum During {
    /// The stages that count for the verdict: all but ramps.
    Judged,
    /// From the first request to the last.
    Run,
    /// The stage of this name.
    Stage(String),
}

impl Sla {
    /// Reads the SLA called `wanted`: a built-in name, or the path of a TOML file. Its endpoints
    /// must be ones that `classes` request, its stages ones of `stages`.
    ///
    /// # Errors
    /// When there is none, or when it has mistakes.
    pub fn find(
        wanted: &str,
        classes: &[&'static UserClass],
        stages: &[Stage],
    ) -> Result<Self, ProfileError> {
        if let Some(file) = built_in::SLAS.iter().find(|file| file.name == wanted) {
            return read::parse(&format!("sla/{wanted}.toml"), file.text, classes, stages);
        }
        let text =
            fs::read_to_string(Path::new(wanted)).map_err(|error| ProfileError::UnknownSla {
                wanted: wanted.into(),
                reason: error.to_string(),
                known: built_in::SLAS.map(|file| file.name).join(", "),
            })?;
        read::parse(wanted, &text, classes, stages)
    }
}

impl Promise {
    /// What kind of promise this is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.figure {
            Figure::P50 | Figure::P95 | Figure::P99 => Kind::Latency,
            Figure::ErrorRate(_) => Kind::Errors,
            Figure::SecondsToHealthy | Figure::Restarts => Kind::Survival,
        }
    }

    /// The limit in words.
    #[must_use]
    pub fn limit(&self) -> String {
        let (below, unit) = (self.below, self.figure.unit());
        let limit = if below == 0.0 { format!("0 {unit}") } else { format!("< {below} {unit}") };
        limit.trim_end().to_owned()
    }

    /// Whether `measured` keeps the promise.
    #[must_use]
    pub fn kept_by(&self, measured: f64) -> bool {
        measured < self.below || (self.below == 0.0 && measured <= 0.0)
    }
}

impl Figure {
    /// The share of samples that may not exceed a percentile's value.
    #[must_use]
    pub fn quantile(&self) -> Option<f64> {
        match self {
            Self::P50 => Some(0.50),
            Self::P95 => Some(0.95),
            Self::P99 => Some(0.99),
            Self::ErrorRate(_) | Self::SecondsToHealthy | Self::Restarts => None,
        }
    }

    /// What it is measured in.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        match self {
            Self::P50 | Self::P95 | Self::P99 => "ms",
            Self::ErrorRate(_) => "%",
            Self::SecondsToHealthy => "s",
            Self::Restarts => "",
        }
    }

    /// A measured `value`, with as many digits as it deserves and its unit.
    #[must_use]
    pub fn display(&self, value: f64) -> String {
        match self {
            Self::P50 | Self::P95 | Self::P99 => milliseconds(value),
            Self::ErrorRate(_) => percent(value),
            Self::SecondsToHealthy if value < 1.0 => milliseconds(value * 1000.0),
            Self::SecondsToHealthy => format!("{value:.1} s"),
            Self::Restarts => format!("{value:.0}"),
        }
    }
}

/// A latency with as many digits as anyone needs.
#[must_use]
pub fn milliseconds(value: f64) -> String {
    let digits = usize::from(value < 99.95) + usize::from(value < 9.995);
    format!("{value:.digits$} ms")
}

/// A share in percent; a share above zero never reads as zero.
#[must_use]
pub fn percent(value: f64) -> String {
    if value == 0.0 || value >= 0.995 {
        let digits = if value.fract() == 0.0 { 0 } else { 2 };
        return format!("{value:.digits$} %");
    }
    format!("{:.2} %", value.max(0.01))
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::P50 => f.write_str("P50"),
            Self::P95 => f.write_str("P95"),
            Self::P99 => f.write_str("P99"),
            Self::ErrorRate(kinds) if kinds.len() == FailureKind::ALL.len() => {
                f.write_str("errors")
            }
            Self::ErrorRate(kinds) => {
                let kinds: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
                write!(f, "errors ({})", kinds.join(", "))
            }
            Self::SecondsToHealthy => f.write_str("time to healthy"),
            Self::Restarts => f.write_str("restarts"),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endpoint(name) => f.write_str(name),
            Self::AllRequests => f.write_str("all requests"),
            Self::Service => f.write_str("the service"),
        }
    }
}

impl UserRange {
    /// Every load.
    pub const ANY: Self = Self { from: 0, to: u32::MAX };

    /// Whether `users` is within.
    #[must_use]
    pub fn contains(self, users: u32) -> bool {
        (self.from..=self.to).contains(&users)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_above_zero_never_reads_as_zero() {
        assert_eq!(percent(0.0), "0 %");
        assert_eq!(percent(0.0004), "0.01 %");
        assert_eq!(percent(0.5), "0.50 %");
        assert_eq!(percent(5.0), "5 %");
        assert_eq!(percent(1.25), "1.25 %");
    }

    #[test]
    fn latencies_lose_digits_as_they_grow() {
        assert_eq!(milliseconds(1.234), "1.23 ms");
        assert_eq!(milliseconds(12.34), "12.3 ms");
        assert_eq!(milliseconds(300.0), "300 ms");
    }
}
