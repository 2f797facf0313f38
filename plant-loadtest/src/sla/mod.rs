//! Promises: which figure of what must stay below which limit.
//!
//! An SLA file is data, read and checked before the first request. It becomes a flat list of
//! [`Promise`]s, which the verdict compares with an outcome.

mod figure;
mod over_time;
mod read;
mod usage;

use std::{fmt, fs, path::Path};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use figure::{Figure, Resource};
pub use over_time::{DriftLimit, MemoryGrowth, OverTime, RecoveryLimit};

use crate::{
    profile::{ProfileError, Stage, built_in},
    scenarios::UserClass,
};

/// All promises of one SLA file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sla {
    /// What the file calls itself.
    pub name: String,
    /// In the file's order.
    pub promises: Vec<Promise>,
    /// About the course of a run.
    #[serde(default, skip_serializing_if = "OverTime::is_empty")]
    pub over_time: OverTime,
}

/// One promise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Promise {
    /// What is measured.
    pub subject: Subject,
    /// The group that the SLA puts it in, for reports.
    pub class: String,
    /// Which figure of it.
    pub figure: Figure,
    /// The figure must stay below this; where it is zero, at it. Figures of which more is better
    /// must not fall below it.
    pub below: f64,
    /// Beyond this a miss is a failure, up to it a warning. `None`: every miss is a warning.
    pub fail_over: Option<f64>,
    /// The loads, in users, for which this was promised.
    pub users: UserRange,
    /// When it must hold.
    pub during: During,
    /// If it must hold in every window of so many seconds, and not just over all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_s: Option<u32>,
}

/// What a promise is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// One endpoint, by its name.
    Endpoint(String),
    /// All requests together.
    AllRequests,
    /// The service as such.
    Service,
    /// Work that it accepts and does later, by its name.
    Work(String),
}

/// The kinds of promises. A verdict needs at least one judged promise of every kind made.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// How fast answers are.
    Latency,
    /// How many requests fail.
    Errors,
    /// Whether accepted work is done.
    Completion,
    /// Whether the service is still there.
    Survival,
    /// How much is answered.
    Throughput,
    /// How much of the machine it takes.
    Resources,
}

/// An inclusive range of users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UserRange {
    /// The lightest load that the promise was made for.
    pub from: u32,
    /// The heaviest.
    pub to: u32,
}

/// The part of a run in which a promise must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// No promises: the run shows what the service does, and gets no verdict.
    #[must_use]
    pub fn none() -> Self {
        Self {
            name: "nothing: no promises were made for this load".into(),
            promises: Vec::new(),
            over_time: OverTime::default(),
        }
    }

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
                known: built_in::names(built_in::SLAS),
            })?;
        read::parse(wanted, &text, classes, stages)
    }
}

impl Promise {
    /// What kind of promise this is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.figure.kind()
    }

    /// The limit in words.
    #[must_use]
    pub fn limit(&self) -> String {
        let (below, unit) = (self.below, self.figure.unit());
        let limit = if self.figure.more_is_better() {
            format!("at least {below} {unit}")
        } else if below == 0.0 {
            format!("0 {unit}")
        } else {
            format!("< {below} {unit}")
        };
        limit.trim_end().to_owned()
    }

    /// Whether `measured` keeps the promise.
    #[must_use]
    pub fn kept_by(&self, measured: f64) -> bool {
        if self.figure.more_is_better() {
            return measured >= self.below;
        }
        measured < self.below || (self.below == 0.0 && measured <= 0.0)
    }

    /// Whether a miss of `measured` is a failure; otherwise it is a warning.
    #[must_use]
    pub fn failed_by(&self, measured: f64) -> bool {
        let Some(limit) = self.fail_over else { return false };
        if self.figure.more_is_better() {
            return measured < limit;
        }
        // Where the limit is the target itself there is no band for a warning.
        measured > limit || limit <= self.below
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

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endpoint(name) => f.write_str(name),
            Self::AllRequests => f.write_str("all requests"),
            Self::Service => f.write_str("the service"),
            Self::Work(name) => write!(f, "accepted work: {name}"),
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
