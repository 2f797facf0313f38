//! Types that describe a load. Profiles, engines and outcomes use them.

use std::ops::Range;

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
