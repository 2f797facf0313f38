//! A profile made ready to run: overridden by the command line, scaled, cut into stages.

use std::{ops::Range, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::Profile;
use crate::{scenarios::UserClass, timespan};

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
}

/// What the command line changes in a profile.
#[derive(Clone, Debug)]
pub struct Overrides {
    /// Instead of the profile's users.
    pub users: Option<u32>,
    /// Instead of the profile's spawn rate, users a second.
    pub spawn_rate: Option<f64>,
    /// Instead of the profile's run time.
    pub run_time: Option<Duration>,
    /// Every stage lasts this many times as long; 1 leaves them alone.
    pub time_scale: f64,
}

/// A part of a run with one kind of load, in whole seconds from the run's start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// Users at the height of the load.
    pub users: u32,
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
        let users = overrides.users.unwrap_or(profile.users);
        let spawn_rate = overrides.spawn_rate.unwrap_or(profile.spawn_rate);
        let run_time_s = overrides.run_time.map_or(profile.run_time_s, |time| time.as_secs());
        check(users, spawn_rate, overrides.time_scale)?;

        let ramp_s = ceil_s(f64::from(users) / spawn_rate);
        let Some(steady_s) = run_time_s.checked_sub(ramp_s).filter(|left| *left > 0) else {
            return Err(format!(
                "a run of {} ends before its {users} users are there: at {spawn_rate} a second that \
                 takes {}, and only what follows is judged. Give a longer run time or a faster \
                 spawn rate",
                timespan::display(run_time_s),
                timespan::display(ramp_s),
            ));
        };
        #[expect(clippy::cast_precision_loss, reason = "seconds of a run stay far below 2^53")]
        let scaled = |seconds: u64| ceil_s(seconds as f64 * overrides.time_scale);
        Ok(Self {
            profile: profile.name.clone(),
            description: profile.description.clone(),
            users,
            classes: profile.classes.clone(),
            stages: stages(users, scaled(ramp_s), scaled(steady_s))?,
            time_scale: overrides.time_scale,
            changes: changes(overrides),
        })
    }

    /// How long the run takes, in seconds.
    #[must_use]
    pub fn seconds(&self) -> u32 {
        self.stages.last().map_or(0, |stage| stage.to_s)
    }
}

fn check(users: u32, spawn_rate: f64, time_scale: f64) -> Result<(), String> {
    if users == 0 {
        return Err("a run needs at least one user".into());
    }
    if !(spawn_rate.is_finite() && spawn_rate > 0.0) {
        return Err("the spawn rate must be a number above zero".into());
    }
    if !(time_scale.is_finite() && time_scale > 0.0) {
        return Err("the time scale must be a number above zero".into());
    }
    Ok(())
}

fn stages(users: u32, ramp_s: u64, steady_s: u64) -> Result<Vec<Stage>, String> {
    let too_long = |_| "a run lasts at most 136 years".to_owned();
    let ramp_s = u32::try_from(ramp_s).map_err(too_long)?;
    let end_s = u32::try_from(steady_s + u64::from(ramp_s)).map_err(too_long)?;
    Ok(vec![
        Stage {
            name: "ramp".into(),
            from_users: 0,
            to_users: users,
            from_s: 0,
            to_s: ramp_s,
            ..Stage::default()
        },
        Stage {
            name: "steady".into(),
            from_users: users,
            to_users: users,
            from_s: ramp_s,
            to_s: end_s,
            judged: true,
            ..Stage::default()
        },
    ])
}

fn changes(overrides: &Overrides) -> Vec<String> {
    let users = overrides.users.map(|users| format!("{users} users"));
    let rate = overrides.spawn_rate.map(|rate| format!("{rate} users started a second"));
    let time =
        overrides.run_time.map(|time| format!("run time {}", timespan::display(time.as_secs())));
    [users, rate, time].into_iter().flatten().collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "never negative here, and a float's cast to an integer saturates"
)]
fn ceil_s(seconds: f64) -> u64 {
    // 200 / 6.67 and the like must not become a second longer by rounding noise.
    ((seconds - 1e-9).ceil() as u64).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AS_WRITTEN: Overrides =
        Overrides { users: None, spawn_rate: None, run_time: None, time_scale: 1.0 };

    fn plan(name: &str, overrides: &Overrides) -> Result<Plan, String> {
        Plan::new(&Profile::find(name).unwrap(), overrides)
    }

    fn borders(plan: &Plan) -> Vec<(u32, u32)> {
        plan.stages.iter().map(|stage| (stage.from_s, stage.to_s)).collect()
    }

    #[test]
    fn the_run_time_includes_the_ramp() {
        let plan = plan("peak-100", &AS_WRITTEN).unwrap();
        assert_eq!(borders(&plan), [(0, 10), (10, 900)]);
    }

    #[test]
    fn a_fractional_spawn_rate_rounds_the_ramp_up() {
        let plan = plan("spike-200", &AS_WRITTEN).unwrap();
        assert_eq!(borders(&plan), [(0, 30), (30, 300)]);
    }

    #[test]
    fn scaling_shrinks_every_stage_to_no_less_than_a_second() {
        let tenth = plan("peak-100", &Overrides { time_scale: 0.1, ..AS_WRITTEN }).unwrap();
        assert_eq!(borders(&tenth), [(0, 1), (1, 90)]);
        let tiny = plan("smoke", &Overrides { time_scale: 0.0001, ..AS_WRITTEN }).unwrap();
        assert_eq!(borders(&tiny), [(0, 1), (1, 2)]);
    }

    #[test]
    fn a_run_that_ends_within_its_ramp_is_refused() {
        let short = Overrides { run_time: Some(Duration::from_secs(10)), ..AS_WRITTEN };
        let error = plan("peak-100", &short).unwrap_err();
        assert!(error.contains("ends before"), "{error}");
    }

    #[test]
    fn the_command_line_wins_and_is_told() {
        let overrides = Overrides { users: Some(4), spawn_rate: Some(0.5), ..AS_WRITTEN };
        let plan = plan("smoke", &overrides).unwrap();
        assert_eq!(borders(&plan), [(0, 8), (8, 30)]);
        assert_eq!(plan.changes, ["4 users", "0.5 users started a second"]);
    }
}
