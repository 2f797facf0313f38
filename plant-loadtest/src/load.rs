//! Types that describe a load. Profiles, engines and outcomes use them.

use std::{fmt, ops::Range, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What determines when requests start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Model {
    /// A number of users. Each sends a request, waits for the response, then for its think time,
    /// and repeats.
    #[default]
    Closed,
    /// A rate of arrivals that does not depend on the responses. Latency counts from the intended
    /// start of a request.
    Open,
}

/// Spacing of the arrivals of the open model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Spacing {
    /// Constant intervals.
    #[default]
    Steady,
    /// A Poisson process: independent arrivals with the given mean rate.
    Poisson,
}

/// The share of one of several load generators in a load: every `count`-th user, arrival and iteration, from the
/// one with the number `index` on. All shares add up to the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Share {
    /// Number of the generator, from 0.
    index: u32,
    /// Number of generators.
    count: u32,
}

impl Share {
    /// Returns the share of the generator `index`, from 0, of `count` generators; `None` if there is none.
    #[must_use]
    pub fn new(index: u32, count: u32) -> Option<Self> {
        (index < count).then_some(Self { index, count })
    }

    /// Returns the number of the generator, from 0.
    #[must_use]
    pub fn index(self) -> u32 {
        self.index
    }

    /// Returns the number of generators.
    #[must_use]
    pub fn count(self) -> u32 {
        self.count
    }

    /// Returns how many of `number` are in the share. Shares differ by 1 at most.
    #[must_use]
    pub fn of(self, number: u32) -> u32 {
        number / self.count + u32::from(self.index < number % self.count)
    }

    /// Returns the number, among all, of that with this `number` in the share. Both count from 0.
    #[must_use]
    pub fn number_of_all(self, number: usize) -> usize {
        number * self.count as usize + self.index as usize
    }
}

/// The whole load.
impl Default for Share {
    fn default() -> Self {
        Self { index: 0, count: 1 }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split_once('/')
            .and_then(|(index, count)| Self::new(index.parse().ok()?, count.parse().ok()?))
            .ok_or_else(|| "write INDEX/COUNT, such as 0/4 to 3/4".to_owned())
    }
}

impl TryFrom<String> for Share {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Share> for String {
    fn from(share: Share) -> Self {
        share.to_string()
    }
}

/// A part of a run with one kind of load. Seconds are whole and count from the start of the run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stage {
    /// Name in SLA files and reports.
    pub name: String,
    /// Users at its start; 0 in the open model.
    pub from_users: u32,
    /// Users at its end; the number changes linearly. 0 in the open model.
    pub to_users: u32,
    /// Arrivals per second at its start; 0 in the closed model.
    #[serde(default, skip_serializing_if = "is_zero_rate")]
    pub from_rate: f64,
    /// Arrivals per second at its end; the rate changes linearly. 0 in the closed model.
    #[serde(default, skip_serializing_if = "is_zero_rate")]
    pub to_rate: f64,
    /// Number of arrivals that all start with the stage, in addition to the rate; 0 in the closed
    /// model.
    #[serde(rename = "at_once", default, skip_serializing_if = "is_zero_count")]
    pub burst: u32,
    /// Number of iterations, runs of a task, that the users share and run without think time; 0: they
    /// run tasks until the stage ends.
    #[serde(default, skip_serializing_if = "is_zero_count")]
    pub iterations: u32,
    /// The user classes whose tasks are run; empty: all of the load.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// First second.
    pub from_s: u32,
    /// Second after the last one.
    pub to_s: u32,
    /// Whether this is a judged stage: thresholds that name no stage apply here.
    pub judged: bool,
}

/// A program that is run at a time of the run, such as a backup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Action {
    /// Name in reports.
    pub name: String,
    /// Seconds from the start of the run.
    pub at_s: f64,
    /// Path of the program, relative to the working directory.
    pub script: String,
    /// Its arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
}

impl Stage {
    /// Returns the range of seconds that the stage covers, counted from the start of the run.
    #[must_use]
    pub fn seconds(&self) -> Range<u32> {
        self.from_s..self.to_s
    }

    /// Returns whether the tasks of the user class `name` are run in this stage.
    #[must_use]
    pub fn runs_class(&self, name: &str) -> bool {
        self.classes.is_empty() || self.classes.iter().any(|class| class == name)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero_rate(rate: &f64) -> bool {
    *rate == 0.0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero_count(count: &u32) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_and_have_each_number_once() {
        for (number, count) in [(0, 1), (7, 1), (7, 3), (3, 4), (100, 7), (8, 4)] {
            let shares: Vec<Share> =
                (0..count).map(|index| Share::new(index, count).unwrap()).collect();
            let sizes: Vec<u32> = shares.iter().map(|share| share.of(number)).collect();
            assert_eq!(sizes.iter().sum::<u32>(), number);
            assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1, "{sizes:?}");
            let numbers = shares.iter().flat_map(|share| {
                (0..share.of(number) as usize).map(|own| share.number_of_all(own))
            });
            let mut numbers: Vec<usize> = numbers.collect();
            numbers.sort_unstable();
            assert_eq!(numbers, (0..number as usize).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_share_is_written_as_index_and_count() {
        let share: Share = "2/4".parse().unwrap();
        assert_eq!((share.index(), share.count(), share.to_string().as_str()), (2, 4, "2/4"));
        for wrong in ["", "1", "4/4", "0/0", "-1/4", "1/4/2", "a/b", "1/", "1 /4"] {
            assert!(wrong.parse::<Share>().is_err(), "{wrong}");
        }
    }
}
