//! A profile made ready to run: overridden by the command line, scaled, cut into stages.

use std::{ops::Range, path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Profile, Schedule, schedule};
use crate::{
    outcome::{Model, Spacing},
    scenarios::UserClass,
    timespan,
};

/// A user class and how often it is chosen, against the other classes' weights.
#[derive(Clone, Copy, Debug)]
pub struct ClassShare {
    /// The class.
    pub class: &'static UserClass,
    /// At least 1.
    pub weight: u32,
}

/// Where reports are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportPaths {
    /// The HTML page.
    pub html: Option<PathBuf>,
    /// The prefix of the CSV files: `_stats.csv` and so on are appended.
    pub csv: Option<PathBuf>,
    /// The outcome itself.
    pub json: Option<PathBuf>,
    /// JUnit XML.
    pub junit: Option<PathBuf>,
    /// The summary in Markdown.
    pub markdown: Option<PathBuf>,
    /// `load_test_metrics.json`.
    pub metrics: Option<PathBuf>,
}

/// What the command line changes in a profile.
#[derive(Clone, Debug)]
pub struct Overrides {
    /// Instead of the profile's users.
    pub users: Option<u32>,
    /// Instead of the profile's spawn rate, users a second.
    pub spawn_rate: Option<f64>,
    /// Instead of the profile's highest rate, arrivals a second.
    pub rate: Option<f64>,
    /// Instead of the profile's run time.
    pub run_time: Option<Duration>,
    /// Every stage lasts this many times as long; 1 leaves them alone.
    pub time_scale: f64,
}

impl Default for Overrides {
    fn default() -> Self {
        Self { users: None, spawn_rate: None, rate: None, run_time: None, time_scale: 1.0 }
    }
}

/// A part of a run with one kind of load, in whole seconds from the run's start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stage {
    /// What rules and reports call it.
    pub name: String,
    /// Users when it starts.
    pub from_users: u32,
    /// Users when it ends; reached evenly.
    pub to_users: u32,
    /// Arrivals a second when it starts; 0 in the closed model.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub from_rate: f64,
    /// Arrivals a second when it ends; reached evenly.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub to_rate: f64,
    /// Arrivals all at once at its start, beside those of the rate.
    #[serde(default, skip_serializing_if = "is_none")]
    pub at_once: u32,
    /// Its first second.
    pub from_s: u32,
    /// The second after its last.
    pub to_s: u32,
    /// Whether rules that name no stage hold here.
    pub judged: bool,
}

impl Stage {
    /// Its seconds, counted from the run's start.
    #[must_use]
    pub fn seconds(&self) -> Range<u32> {
        self.from_s..self.to_s
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(rate: &f64) -> bool {
    *rate == 0.0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_none(count: &u32) -> bool {
    *count == 0
}

/// What a run does.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The profile's name.
    pub profile: String,
    /// The profile's sentence.
    pub description: String,
    /// Whether answers set the pace, or the clock.
    pub model: Model,
    /// How arrivals follow each other in the open model.
    pub spacing: Spacing,
    /// Users at the height of the load; in the open model the most that can be busy at once.
    pub users: u32,
    /// Whether users ask again at once, without a thought.
    pub saturate: bool,
    /// Who makes up the load.
    pub classes: Vec<ClassShare>,
    /// One after the other, without gaps.
    pub stages: Vec<Stage>,
    /// What every duration was multiplied by; 1 is the profile as written.
    pub time_scale: f64,
    /// What was changed on the command line, for the report; empty when nothing was.
    pub changes: Vec<String>,
}

impl Plan {
    /// Cuts `profile`, changed by `overrides`, into stages.
    ///
    /// The run time includes the ramp, as in Locust. Stages are whole seconds, rounded up.
    ///
    /// # Errors
    /// A sentence when nothing would be left to judge, or a number makes no sense.
    pub fn new(profile: &Profile, overrides: &Overrides) -> Result<Self, String> {
        check(profile, overrides)?;
        let users = overrides.users.unwrap_or(profile.users);
        let (parts, level_scale, time_scale) = match &profile.schedule {
            Schedule::Ramped { spawn_rate, warm_up_s, run_time_s } => {
                let spawn_rate = overrides.spawn_rate.unwrap_or(*spawn_rate);
                let run_time_s = overrides.run_time.map_or(*run_time_s, |time| time.as_secs());
                let parts = schedule::ramped(users, spawn_rate, *warm_up_s, run_time_s)?;
                (parts, 1.0, overrides.time_scale)
            }
            Schedule::Parts(parts) => {
                let time = overrides.run_time.map_or(1.0, |time| {
                    time.as_secs_f64() / as_f64(profile.schedule.seconds().max(1))
                });
                (parts.clone(), level_scale(profile, overrides), overrides.time_scale * time)
            }
        };
        Ok(Self {
            profile: profile.name.clone(),
            description: profile.description.clone(),
            model: profile.model,
            spacing: profile.spacing,
            users,
            saturate: profile.saturate,
            classes: profile.classes.clone(),
            stages: schedule::stages(&parts, profile.model, level_scale, time_scale)?,
            time_scale: overrides.time_scale,
            changes: changes(overrides),
        })
    }

    /// The user classes, without their weights.
    #[must_use]
    pub fn user_classes(&self) -> Vec<&'static UserClass> {
        self.classes.iter().map(|share| share.class).collect()
    }

    /// The highest rate of its stages, in arrivals a second; 0 in the closed model.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.stages.iter().map(|stage| stage.from_rate.max(stage.to_rate)).fold(0.0, f64::max)
    }

    /// How long the run takes, in seconds.
    #[must_use]
    pub fn seconds(&self) -> u32 {
        self.stages.last().map_or(0, |stage| stage.to_s)
    }
}

fn check(profile: &Profile, overrides: &Overrides) -> Result<(), String> {
    let positive = |number: f64| number.is_finite() && number > 0.0;
    if overrides.users == Some(0) {
        return Err("a run needs at least one user".into());
    }
    if !overrides.spawn_rate.is_none_or(positive) {
        return Err("the spawn rate must be a number above zero".into());
    }
    if !overrides.rate.is_none_or(positive) {
        return Err("the rate must be a number above zero".into());
    }
    if !positive(overrides.time_scale) {
        return Err("the time scale must be a number above zero".into());
    }
    let name = &profile.name;
    if overrides.spawn_rate.is_some() && !matches!(profile.schedule, Schedule::Ramped { .. }) {
        return Err(format!(
            "{name} has stages and no spawn rate: its load follows them. Leave the spawn rate out"
        ));
    }
    if overrides.rate.is_some() && profile.model == Model::Closed {
        return Err(format!(
            "{name} has users and no rate: answers set the pace. Leave --rate out, or change --users"
        ));
    }
    Ok(())
}

/// By how much the command line raises or lowers every stage.
fn level_scale(profile: &Profile, overrides: &Overrides) -> f64 {
    let wanted = match profile.model {
        Model::Closed => overrides.users.map(f64::from),
        Model::Open => overrides.rate,
    };
    let height = profile.schedule.height().filter(|height| *height > 0.0);
    wanted.zip(height).map_or(1.0, |(wanted, height)| wanted / height)
}

#[expect(clippy::cast_precision_loss, reason = "seconds of a run stay far below 2^53")]
fn as_f64(seconds: u64) -> f64 {
    seconds as f64
}

fn changes(overrides: &Overrides) -> Vec<String> {
    let users = overrides.users.map(|users| format!("{users} users"));
    let rate = overrides.spawn_rate.map(|rate| format!("{rate} users started a second"));
    let arrivals = overrides.rate.map(|rate| format!("{rate} arrivals a second"));
    let time =
        overrides.run_time.map(|time| format!("run time {}", timespan::display(time.as_secs())));
    [users, rate, arrivals, time].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(name: &str, overrides: &Overrides) -> Result<Plan, String> {
        Plan::new(&Profile::find(name).unwrap(), overrides)
    }

    fn borders(plan: &Plan) -> Vec<(u32, u32)> {
        plan.stages.iter().map(|stage| (stage.from_s, stage.to_s)).collect()
    }

    #[test]
    fn the_run_time_includes_the_ramp() {
        let plan = plan("peak-100", &Overrides::default()).unwrap();
        assert_eq!(borders(&plan), [(0, 10), (10, 900)]);
    }

    #[test]
    fn a_fractional_spawn_rate_rounds_the_ramp_up() {
        let plan = plan("spike-200", &Overrides::default()).unwrap();
        assert_eq!(borders(&plan), [(0, 30), (30, 300)]);
    }

    #[test]
    fn scaling_shrinks_every_stage_to_no_less_than_a_second() {
        let tenth =
            plan("peak-100", &Overrides { time_scale: 0.1, ..Overrides::default() }).unwrap();
        assert_eq!(borders(&tenth), [(0, 1), (1, 90)]);
        let tiny =
            plan("smoke", &Overrides { time_scale: 0.0001, ..Overrides::default() }).unwrap();
        assert_eq!(borders(&tiny), [(0, 1), (1, 2)]);
    }

    #[test]
    fn a_run_that_ends_within_its_ramp_is_refused() {
        let short = Overrides { run_time: Some(Duration::from_secs(10)), ..Overrides::default() };
        let error = plan("peak-100", &short).unwrap_err();
        assert!(error.contains("ends before"), "{error}");
    }

    #[test]
    fn the_command_line_wins_and_is_told() {
        let overrides = Overrides { users: Some(4), spawn_rate: Some(0.5), ..Overrides::default() };
        let plan = plan("smoke", &overrides).unwrap();
        assert_eq!(borders(&plan), [(0, 8), (8, 30)]);
        assert_eq!(plan.changes, ["4 users", "0.5 users started a second"]);
    }
}
