//! The load over time: as a profile defines it, and the stages derived from it.

use crate::{
    duration,
    load::{Model, Stage},
};

/// The load of a profile over time.
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    /// Users start at a constant rate, then all continue until the end.
    Ramp {
        /// Users started per second; may be fractional.
        spawn_rate: f64,
        /// Time after the ramp that is not judged, in seconds.
        warm_up_s: u64,
        /// Total duration in seconds, ramp and warm-up included.
        run_time_s: u64,
    },
    /// The stages of the profile, in order.
    Stages(Vec<StageSpec>),
}

/// A stage as defined in a profile, before scaling.
#[derive(Clone, Debug, PartialEq)]
pub struct StageSpec {
    /// Name in SLA files and reports.
    pub name: String,
    /// Duration in seconds.
    pub duration_s: u64,
    /// Users in the closed model, arrivals per second in the open model.
    pub level: Level,
    /// Number of arrivals that all start with the stage, in addition to the rate; open model only.
    pub burst: u32,
    /// Number of iterations that the users share; 0: no fixed number. Closed model only.
    pub iterations: u32,
    /// The user classes whose tasks are run; empty: all of the profile.
    pub classes: Vec<String>,
    /// Whether this is a judged stage: thresholds that name no stage apply to it.
    pub judged: bool,
}

/// The load of a stage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Level {
    /// Constant.
    Hold(f64),
    /// Linear from the end of the previous stage to this level.
    RampTo(f64),
}

impl StageSpec {
    /// Returns a stage of all user classes, without a burst and without a fixed number of iterations.
    #[must_use]
    pub fn new(name: &str, duration_s: u64, level: Level, judged: bool) -> Self {
        let name = name.into();
        Self { name, duration_s, level, burst: 0, iterations: 0, classes: Vec::new(), judged }
    }
}

impl Level {
    /// Returns the level at the end of the stage.
    #[must_use]
    pub fn end_level(self) -> f64 {
        match self {
            Self::Hold(level) | Self::RampTo(level) => level,
        }
    }
}

impl Schedule {
    /// Returns the duration of the profile as written, in seconds.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        match self {
            Self::Ramp { run_time_s, .. } => *run_time_s,
            Self::Stages(specs) => specs.iter().map(|spec| spec.duration_s).sum(),
        }
    }

    /// Returns the peak level of the stages; `None` for a ramp.
    #[must_use]
    pub fn peak(&self) -> Option<f64> {
        match self {
            Self::Ramp { .. } => None,
            Self::Stages(specs) => specs.iter().map(|spec| spec.level.end_level()).reduce(f64::max),
        }
    }
}

/// Divides a profile without stages into ramp, warm-up and steady stage.
///
/// # Errors
/// Returns a message if no time is left for the steady stage.
pub(super) fn ramp_stages(
    users: u32,
    spawn_rate: f64,
    warm_up_s: u64,
    run_time_s: u64,
) -> Result<Vec<StageSpec>, String> {
    let ramp_s = ceil_s(f64::from(users) / spawn_rate);
    let before_s = ramp_s + warm_up_s;
    let Some(steady_s) = run_time_s.checked_sub(before_s).filter(|left| *left > 0) else {
        let warm_up = if warm_up_s > 0 { " and the warm-up is over" } else { "" };
        return Err(format!(
            "a run of {} ends before all {users} users have started{warm_up}: at {spawn_rate} \
             users per second that takes {}, and only the time after that is judged; set a longer run \
             time or a higher spawn rate",
            duration::format(run_time_s),
            duration::format(before_s),
        ));
    };
    let level = f64::from(users);
    let mut specs = vec![
        StageSpec::new("ramp", ramp_s, Level::RampTo(level), false),
        StageSpec::new("warm-up", warm_up_s, Level::Hold(level), false),
        StageSpec::new("steady", steady_s, Level::Hold(level), true),
    ];
    specs.retain(|stage| stage.duration_s > 0);
    Ok(specs)
}

/// Scales `specs` and places them one after the other. Each stage lasts a whole number of seconds, at
/// least one.
///
/// The number of iterations of a stage is not scaled: scaled, it would be another test.
///
/// # Errors
/// Returns a message if the duration exceeds `u32::MAX` seconds, or if a stage has fewer iterations than
/// users.
pub(super) fn stages(
    specs: &[StageSpec],
    model: Model,
    level_scale: f64,
    time_scale: f64,
) -> Result<Vec<Stage>, String> {
    let mut stages = Vec::new();
    let (mut from_s, mut level) = (0_u32, 0.0);
    for spec in specs {
        #[expect(clippy::cast_precision_loss, reason = "seconds of a run stay far below 2^53")]
        let duration_s = ceil_s(spec.duration_s as f64 * time_scale);
        let to_s = u32::try_from(u64::from(from_s) + duration_s)
            .map_err(|_| "the run is too long: the maximum is 136 years".to_owned())?;
        let to = spec.level.end_level() * level_scale;
        let from = if matches!(spec.level, Level::Hold(_)) { to } else { level };
        let (name, judged) = (spec.name.clone(), spec.judged);
        let (iterations, classes) = (spec.iterations, spec.classes.clone());
        check_iterations(&name, iterations, users(to))?;
        let base = Stage { name, iterations, classes, from_s, to_s, judged, ..Stage::default() };
        stages.push(match model {
            Model::Closed => Stage { from_users: users(from), to_users: users(to), ..base },
            Model::Open => Stage { from_rate: from, to_rate: to, burst: spec.burst, ..base },
        });
        (from_s, level) = (to_s, to);
    }
    Ok(stages)
}

/// Checks that each of `users` gets one of the `iterations` of the stage `name`.
///
/// # Errors
/// Returns a message if they are too few.
pub(super) fn check_iterations(name: &str, iterations: u32, users: u32) -> Result<(), String> {
    if iterations == 0 || users <= iterations {
        return Ok(());
    }
    Err(format!(
        "stage {name} has {iterations} iterations for {users} users; each user runs at least one"
    ))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "never negative, and a float's cast to an integer saturates"
)]
fn users(level: f64) -> u32 {
    if level > 0.0 { (level.round() as u32).max(1) } else { 0 }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "never negative here, and a float's cast to an integer saturates"
)]
fn ceil_s(seconds: f64) -> u64 {
    // Floating-point noise, as in 200 / 6.67, must not add a second.
    ((seconds - 1e-9).ceil() as u64).max(1)
}

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;

    fn spec(duration_s: u64, level: Level) -> StageSpec {
        StageSpec::new("p", duration_s, level, true)
    }

    #[test]
    fn a_ramp_starts_at_the_level_of_the_previous_stage_and_a_hold_jumps() {
        let specs = [
            spec(10, Level::RampTo(100.0)),
            spec(5, Level::RampTo(500.0)),
            spec(5, Level::Hold(100.0)),
        ];
        let stages = stages(&specs, Model::Closed, 1.0, 1.0).unwrap();
        let users: Vec<(u32, u32)> =
            stages.iter().map(|stage| (stage.from_users, stage.to_users)).collect();
        assert_eq!(users, [(0, 100), (100, 500), (100, 100)]);
        assert_eq!(stages[2].seconds(), 15..20);
    }

    #[test]
    fn a_stage_is_judged_if_its_specification_says_so() {
        let warm_up = StageSpec { judged: false, ..spec(5, Level::Hold(1.0)) };
        let stages = stages(&[warm_up, spec(5, Level::Hold(1.0))], Model::Closed, 1.0, 1.0);
        let judged: Vec<bool> = stages.unwrap().iter().map(|stage| stage.judged).collect();
        assert_eq!(judged, [false, true]);
    }

    #[test]
    fn scaled_levels_are_rounded_to_at_least_one_user() {
        let specs = [spec(1, Level::Hold(100.0)), spec(1, Level::Hold(10.0))];
        let stages = stages(&specs, Model::Closed, 0.04, 1.0).unwrap();
        assert_eq!((stages[0].to_users, stages[1].to_users), (4, 1));
    }

    #[test]
    fn a_ramp_lasts_as_long_as_its_users_need_and_a_second_at_least() {
        let seconds = |users, spawn_rate| -> Vec<u64> {
            let stages = ramp_stages(users, spawn_rate, 3, 100).unwrap();
            stages.iter().map(|stage| stage.duration_s).collect()
        };
        assert_eq!(seconds(200, 6.67), [30, 3, 67], "29.985 s");
        assert_eq!(seconds(30, 10.0), [3, 3, 94], "exactly 3 s");
        assert_eq!(seconds(31, 10.0), [4, 3, 93]);
        assert_eq!(seconds(1, 10.0), [1, 3, 96]);
        assert_eq!(ramp_stages(10, 1.0, 0, 20).unwrap().len(), 2, "no warm-up");
        let judged: Vec<bool> =
            ramp_stages(10, 1.0, 3, 20).unwrap().iter().map(|stage| stage.judged).collect();
        assert_eq!(judged, [false, false, true]);
    }

    #[test]
    fn a_run_that_ends_with_its_ramp_is_an_error() {
        assert!(ramp_stages(10, 1.0, 0, 11).is_ok());
        let error = ramp_stages(10, 1.0, 0, 10).unwrap_err();
        assert!(
            error.contains("ends before all 10 users") && !error.contains("warm-up"),
            "{error}"
        );
        let error = ramp_stages(10, 1.0, 5, 15).unwrap_err();
        assert!(
            error.contains("the warm-up is over") && error.contains("that takes 15s"),
            "{error}"
        );
    }

    #[test]
    fn duration_and_peak_are_those_of_the_profile() {
        let stages = Schedule::Stages(vec![
            spec(10, Level::RampTo(100.0)),
            spec(5, Level::Hold(500.0)),
            spec(7, Level::Hold(100.0)),
        ]);
        assert_eq!((stages.seconds(), stages.peak()), (22, Some(500.0)));
        let ramp = Schedule::Ramp { spawn_rate: 1.0, warm_up_s: 2, run_time_s: 30 };
        assert_eq!((ramp.seconds(), ramp.peak()), (30, None));
    }

    #[test]
    fn stages_are_scaled_up_to_whole_seconds_and_follow_each_other() {
        let specs = [spec(10, Level::Hold(1.0)), spec(15, Level::Hold(1.0))];
        let stages = stages(&specs, Model::Closed, 1.0, 0.1).unwrap();
        assert_eq!([stages[0].seconds(), stages[1].seconds()], [0..1, 1..3]);
        let long = [spec(u64::from(u32::MAX), Level::Hold(1.0)), spec(1, Level::Hold(1.0))];
        assert!(super::stages(&long, Model::Closed, 1.0, 1.0).is_err());
    }

    #[test]
    fn the_number_of_iterations_is_not_scaled_and_each_user_runs_one() {
        let shared = StageSpec { iterations: 30, ..spec(10, Level::Hold(10.0)) };
        let stages =
            |level_scale| stages(slice::from_ref(&shared), Model::Closed, level_scale, 0.1);
        let tripled = stages(3.0).unwrap();
        let stage = &tripled[0];
        assert_eq!((stage.iterations, stage.to_users, stage.seconds()), (30, 30, 0..1));
        let error = stages(3.1).unwrap_err();
        assert!(error.contains("stage p has 30 iterations for 31 users"), "{error}");
    }

    #[test]
    fn a_load_of_zero_has_no_users() {
        let specs = [spec(1, Level::Hold(0.0)), spec(1, Level::Hold(0.4))];
        let stages = stages(&specs, Model::Closed, 1.0, 1.0).unwrap();
        assert_eq!((stages[0].to_users, stages[1].to_users), (0, 1));
    }

    #[test]
    fn stages_of_the_open_model_have_rates() {
        let specs = [spec(2, Level::RampTo(50.0)), spec(2, Level::RampTo(10.0))];
        let stages = stages(&specs, Model::Open, 2.0, 1.0).unwrap();
        assert_eq!((stages[1].from_rate, stages[1].to_rate), (100.0, 20.0));
        assert_eq!((stages[0].from_rate, stages[0].to_rate, stages[0].to_users), (0.0, 100.0, 0));
    }
}
