//! A profile that is ready to run: with the options of the command line applied, scaled, and
//! divided into stages.

use std::{path::PathBuf, time::Duration};

use super::{Profile, Schedule, actions, schedule};
use crate::{
    client::HttpOptions,
    duration,
    load::{Action, Model, Share, Spacing, Stage},
    scenario::{self, UserClass},
    sla::AllowedNames,
    turns::Turns,
};

/// A user class with its weight.
#[derive(Clone, Copy, Debug)]
pub struct WeightedClass {
    /// The user class.
    pub class: &'static UserClass,
    /// Weight relative to those of the other classes; 0 only if no user of a share is of this class.
    pub weight: u32,
}

/// Paths of the reports to write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportPaths {
    /// The HTML report.
    pub html: Option<PathBuf>,
    /// Prefix of the CSV files, to which `_stats.csv` and so on are appended.
    pub csv: Option<PathBuf>,
    /// The outcome.
    pub json: Option<PathBuf>,
    /// The JUnit XML report.
    pub junit: Option<PathBuf>,
    /// The Markdown summary.
    pub markdown: Option<PathBuf>,
    /// The metrics in the JSON format of the platform load tests, `load_test_metrics.json`.
    pub metrics_json: Option<PathBuf>,
}

/// Options of the command line that override values of a profile.
#[derive(Clone, Debug)]
pub struct Overrides {
    /// Peak number of users; in the open model the size of the virtual user pool.
    pub users: Option<u32>,
    /// Spawn rate, in users per second; only for profiles without stages.
    pub spawn_rate: Option<f64>,
    /// Peak arrival rate, in arrivals per second; all stages are scaled accordingly. Open model
    /// only.
    pub rate: Option<f64>,
    /// Run time; stages are scaled accordingly.
    pub run_time: Option<Duration>,
    /// Factor for the duration of every stage; 1 is the profile as written.
    pub time_scale: f64,
}

impl Default for Overrides {
    fn default() -> Self {
        Self { users: None, spawn_rate: None, rate: None, run_time: None, time_scale: 1.0 }
    }
}

/// A profile that is ready to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Name of the profile.
    pub profile: String,
    /// Description of the profile.
    pub description: String,
    /// Load model: closed or open.
    pub model: Model,
    /// Spacing of arrivals; unused in the closed model.
    pub spacing: Spacing,
    /// Peak number of users; in the open model the size of the virtual user pool.
    pub users: u32,
    /// Whether users have no think time.
    pub saturate: bool,
    /// The share of this load generator, to which all numbers here apply; `None` for the whole load.
    pub share: Option<Share>,
    /// The user classes and their weights.
    pub classes: Vec<WeightedClass>,
    /// The stages, in order and without gaps.
    pub stages: Vec<Stage>,
    /// Programs that are run during the load, in the order of their starts.
    pub actions: Vec<Action>,
    /// Timeout for one request.
    pub timeout: Duration,
    /// How requests are sent.
    pub http: HttpOptions,
    /// Factor applied to every duration; 1 is the profile as written.
    pub time_scale: f64,
    /// Values that the command line overrode, as text such as `4 users`.
    pub overrides: Vec<String>,
}

impl Plan {
    /// Applies `overrides` to `profile` and divides it into stages.
    ///
    /// The run time includes the ramp, as in Locust. Durations of stages are rounded up to seconds.
    ///
    /// # Errors
    /// Returns a message if no time is left to judge, or if an override is invalid.
    pub fn new(profile: &Profile, overrides: &Overrides) -> Result<Self, String> {
        check_overrides(profile, overrides)?;
        let users = overrides.users.unwrap_or(profile.users);
        let (specs, level_scale, time_scale) = match &profile.schedule {
            Schedule::Ramp { spawn_rate, warm_up_s, run_time_s } => {
                let spawn_rate = overrides.spawn_rate.unwrap_or(*spawn_rate);
                let run_time_s = overrides.run_time.map_or(*run_time_s, |time| time.as_secs());
                let specs = schedule::ramp_stages(users, spawn_rate, *warm_up_s, run_time_s)?;
                (specs, 1.0, overrides.time_scale)
            }
            Schedule::Stages(specs) => {
                let run_time_scale = overrides.run_time.map_or(1.0, |run_time| {
                    run_time.as_secs_f64() / as_f64(profile.schedule.seconds().max(1))
                });
                let time_scale = overrides.time_scale * run_time_scale;
                (specs.clone(), level_scale(profile, overrides), time_scale)
            }
        };
        let stages = schedule::stages(&specs, profile.model, level_scale, time_scale)?;
        Ok(Self {
            profile: profile.name.clone(),
            description: profile.description.clone(),
            model: profile.model,
            spacing: profile.spacing,
            users,
            saturate: profile.saturate,
            share: None,
            classes: profile.classes.clone(),
            timeout: profile.timeout,
            http: profile.target.http.clone(),
            actions: actions::place(&profile.actions, &specs, &stages),
            stages,
            time_scale: overrides.time_scale,
            overrides: describe_overrides(overrides),
        })
    }

    /// Returns the `share` of one of several load generators in this plan, which is that of all. The shares of all
    /// generators add up to it, at every moment and for every user class. The first generator runs the actions.
    ///
    /// # Errors
    /// Returns a message if a generator would have no user.
    pub fn share(mut self, share: Share) -> Result<Self, String> {
        if self.users < share.count() {
            return Err(format!(
                "{} users cannot be divided among {} load generators",
                self.users,
                share.count()
            ));
        }
        if self.model == Model::Closed && !self.has_iterations() {
            self.classes = self.classes_of_users(share);
        }
        self.users = share.of(self.users);
        for stage in &mut self.stages {
            for number in [
                &mut stage.from_users,
                &mut stage.to_users,
                &mut stage.burst,
                &mut stage.iterations,
            ] {
                *number = share.of(*number);
            }
            stage.from_rate /= f64::from(share.count());
            stage.to_rate /= f64::from(share.count());
        }
        if share.index() > 0 {
            self.actions.clear();
        }
        Ok(Self { share: Some(share), ..self })
    }

    /// Returns the user classes of the users in `share`, with the number of these users as weight. Users are of
    /// all classes in turns, as in a run of one generator.
    fn classes_of_users(&self, share: Share) -> Vec<WeightedClass> {
        let weights: Vec<usize> =
            self.classes.iter().map(|weighted| weighted.weight as usize).collect();
        let turns = Turns::new(&weights);
        let mut classes: Vec<WeightedClass> =
            self.classes.iter().map(|weighted| WeightedClass { weight: 0, ..*weighted }).collect();
        for user in 0..share.of(self.users) as usize {
            classes[turns.at(share.number_of_all(user)).0].weight += 1;
        }
        classes
    }

    /// Returns the names that an SLA of this run may contain.
    #[must_use]
    pub fn allowed_names(&self) -> AllowedNames<'_> {
        let classes: Vec<_> = self.classes.iter().map(|weighted| weighted.class).collect();
        scenario::allowed_names(&classes, &self.stages)
    }

    /// Returns the peak rate of all stages, in arrivals per second; 0 in the closed model.
    #[must_use]
    pub fn peak_rate(&self) -> f64 {
        self.stages.iter().map(|stage| stage.from_rate.max(stage.to_rate)).fold(0.0, f64::max)
    }

    /// Returns whether stages have a fixed number of iterations. The others are pauses then.
    #[must_use]
    pub fn has_iterations(&self) -> bool {
        self.stages.iter().any(|stage| stage.iterations > 0)
    }

    /// Returns the index of the stage at `offset` from the start of the run; of the last one after its end.
    #[must_use]
    pub fn stage_at(&self, offset: Duration) -> usize {
        let ended = self.stages.partition_point(|stage| u64::from(stage.to_s) <= offset.as_secs());
        ended.min(self.stages.len().saturating_sub(1))
    }

    /// Returns the planned duration of the run in seconds.
    #[must_use]
    pub fn seconds(&self) -> u32 {
        self.stages.last().map_or(0, |stage| stage.to_s)
    }
}

/// Checks that the overrides are valid and fit the profile.
fn check_overrides(profile: &Profile, overrides: &Overrides) -> Result<(), String> {
    let positive = |number: f64| number.is_finite() && number > 0.0;
    if overrides.users == Some(0) {
        return Err("a run needs at least one user".into());
    }
    if !overrides.spawn_rate.is_none_or(positive) {
        return Err("the spawn rate must be above zero".into());
    }
    if !overrides.rate.is_none_or(positive) {
        return Err("the rate must be above zero".into());
    }
    if !positive(overrides.time_scale) {
        return Err("the time scale must be above zero".into());
    }
    let name = &profile.name;
    if overrides.spawn_rate.is_some() && !matches!(profile.schedule, Schedule::Ramp { .. }) {
        return Err(format!("profile {name} has stages and no spawn rate: omit --spawn-rate"));
    }
    if overrides.rate.is_some() && profile.model == Model::Closed {
        return Err(format!(
            "profile {name} (closed model) has users and no rate: omit --rate or set --users"
        ));
    }
    Ok(())
}

/// Returns the factor by which the command line scales the load of every stage.
fn level_scale(profile: &Profile, overrides: &Overrides) -> f64 {
    let peak = match profile.model {
        Model::Closed => overrides.users.map(f64::from),
        Model::Open => overrides.rate,
    };
    let profile_peak = profile.schedule.peak().filter(|level| *level > 0.0);
    peak.zip(profile_peak).map_or(1.0, |(peak, profile_peak)| peak / profile_peak)
}

#[expect(clippy::cast_precision_loss, reason = "seconds of a run stay far below 2^53")]
fn as_f64(seconds: u64) -> f64 {
    seconds as f64
}

fn describe_overrides(overrides: &Overrides) -> Vec<String> {
    let users = overrides.users.map(|users| format!("{users} users"));
    let spawn_rate = overrides.spawn_rate.map(|rate| format!("{rate} users started per second"));
    let rate = overrides.rate.map(|rate| format!("{rate} arrivals per second"));
    let run_time =
        overrides.run_time.map(|time| format!("run time {}", duration::format(time.as_secs())));
    [users, spawn_rate, rate, run_time].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plant;

    fn plan(name: &str, overrides: &Overrides) -> Result<Plan, String> {
        Plan::new(&Profile::find(&plant::harness(), name).unwrap(), overrides)
    }

    fn stage_bounds(plan: &Plan) -> Vec<(u32, u32)> {
        plan.stages.iter().map(|stage| (stage.from_s, stage.to_s)).collect()
    }

    #[test]
    fn the_run_time_includes_the_ramp() {
        let plan = plan("peak-100", &Overrides::default()).unwrap();
        assert_eq!(stage_bounds(&plan), [(0, 10), (10, 900)]);
    }

    #[test]
    fn a_fractional_spawn_rate_rounds_the_ramp_up() {
        let plan = plan("spike-200", &Overrides::default()).unwrap();
        assert_eq!(stage_bounds(&plan), [(0, 30), (30, 300)]);
    }

    #[test]
    fn a_scaled_stage_lasts_at_least_one_second() {
        let tenth =
            plan("peak-100", &Overrides { time_scale: 0.1, ..Overrides::default() }).unwrap();
        assert_eq!(stage_bounds(&tenth), [(0, 1), (1, 90)]);
        let tiny =
            plan("smoke", &Overrides { time_scale: 0.0001, ..Overrides::default() }).unwrap();
        assert_eq!(stage_bounds(&tiny), [(0, 1), (1, 2)]);
    }

    #[test]
    fn shares_of_a_plan_add_up_to_it() {
        for name in ["platform", "throughput", "agent-load", "tickets-burst", "upgrade"] {
            let whole = plan(name, &Overrides::default()).unwrap();
            let count = 7;
            let shares: Vec<Plan> = (0..count)
                .map(|index| whole.clone().share(Share::new(index, count).unwrap()).unwrap())
                .collect();
            let sum = |number: &dyn Fn(&Plan) -> u32| shares.iter().map(number).sum::<u32>();
            assert_eq!(sum(&|plan| plan.users), whole.users);
            assert_eq!(
                sum(&|plan| u32::try_from(plan.actions.len()).unwrap()) as usize,
                whole.actions.len()
            );
            for (index, stage) in whole.stages.iter().enumerate() {
                assert_eq!(sum(&|plan| plan.stages[index].from_users), stage.from_users);
                assert_eq!(sum(&|plan| plan.stages[index].to_users), stage.to_users);
                assert_eq!(sum(&|plan| plan.stages[index].burst), stage.burst);
                assert_eq!(sum(&|plan| plan.stages[index].iterations), stage.iterations);
                let rate = shares.iter().map(|plan| plan.stages[index].to_rate).sum::<f64>();
                assert!((rate - stage.to_rate).abs() < 1e-9);
                assert!(shares.iter().all(|plan| plan.stages[index].seconds() == stage.seconds()));
                let each_has_one = |plan: &Plan| {
                    let stage = &plan.stages[index];
                    stage.iterations == 0 || stage.iterations >= stage.to_users
                };
                assert!(shares.iter().all(each_has_one), "each user runs at least one iteration");
            }
            if whole.model == Model::Closed && !whole.has_iterations() {
                let weights: u32 = whole.classes.iter().map(|class| class.weight).sum();
                for (index, class) in whole.classes.iter().enumerate() {
                    let users = sum(&|plan| plan.classes[index].weight);
                    let expected = f64::from(whole.users * class.weight) / f64::from(weights);
                    assert!(
                        (f64::from(users) - expected).abs() < 1.0,
                        "{name}: {users} of {}",
                        class.class.name
                    );
                }
            }
        }
    }

    #[test]
    fn a_load_is_not_divided_into_more_shares_than_users() {
        let smoke = plan("smoke", &Overrides::default()).unwrap();
        assert!(smoke.clone().share(Share::new(0, 1).unwrap()).is_ok());
        let error = smoke.share(Share::new(0, 2).unwrap()).unwrap_err();
        assert_eq!(error, "1 users cannot be divided among 2 load generators");
    }

    #[test]
    fn the_run_time_scales_the_stages_of_a_profile() {
        let half = Overrides { run_time: Some(Duration::from_secs(330)), ..Overrides::default() };
        let bounds = |overrides: &Overrides| stage_bounds(&plan("throughput", overrides).unwrap());
        let whole = bounds(&Overrides::default());
        let halved: Vec<(u32, u32)> = whole.iter().map(|(from, to)| (from / 2, to / 2)).collect();
        assert_eq!(bounds(&half), halved);
    }

    #[test]
    fn a_run_time_shorter_than_the_ramp_is_an_error() {
        let short = Overrides { run_time: Some(Duration::from_secs(10)), ..Overrides::default() };
        let error = plan("peak-100", &short).unwrap_err();
        assert!(error.contains("ends before"), "{error}");
    }

    #[test]
    fn duration_and_peak_rate_are_those_of_the_stages() {
        let open = plan("throughput", &Overrides::default()).unwrap();
        assert!((open.peak_rate() - 5000.0).abs() < 1e-9);
        assert_eq!(open.seconds(), 660);
        let half = plan("throughput", &Overrides { rate: Some(2500.0), ..Overrides::default() });
        let half = half.unwrap();
        assert!((half.stages[1].to_rate - 500.0).abs() < 1e-9, "all stages are scaled");
        assert!(plan("peak-100", &Overrides::default()).unwrap().peak_rate().abs() < 1e-9);
    }

    #[test]
    fn overrides_that_do_not_fit_the_profile_are_errors() {
        let none = Overrides::default();
        for (profile, overrides) in [
            ("smoke", Overrides { users: Some(0), ..none }),
            ("smoke", Overrides { spawn_rate: Some(0.0), ..none }),
            ("smoke", Overrides { spawn_rate: Some(f64::NAN), ..none }),
            ("smoke", Overrides { rate: Some(10.0), ..none }),
            ("smoke", Overrides { time_scale: 0.0, ..none }),
            ("throughput", Overrides { rate: Some(-1.0), ..none }),
            ("throughput", Overrides { spawn_rate: Some(1.0), ..none }),
        ] {
            assert!(plan(profile, &overrides).is_err(), "{profile} {overrides:?}");
        }
        assert!(plan("throughput", &Overrides { users: Some(1), ..none }).is_ok());
    }

    #[test]
    fn overrides_are_applied_and_listed() {
        let overrides = Overrides { users: Some(4), spawn_rate: Some(0.5), ..Overrides::default() };
        let plan = plan("smoke", &overrides).unwrap();
        assert_eq!(stage_bounds(&plan), [(0, 8), (8, 30)]);
        assert_eq!(plan.overrides, ["4 users", "0.5 users started per second"]);
    }

    #[test]
    fn a_stage_is_found_by_the_time_since_the_start() {
        let plan = plan("agent-resources", &Overrides::default()).unwrap();
        let at = |millis| plan.stage_at(Duration::from_millis(millis));
        assert_eq!([at(0), at(9_999), at(10_000), at(39_999), at(99_000)], [0, 0, 1, 3, 3]);
        assert!(plan.has_iterations());
        assert!(!self::plan("smoke", &Overrides::default()).unwrap().has_iterations());
    }

    #[test]
    fn more_users_than_iterations_are_an_error() {
        let with = |users| plan("agent-load", &Overrides { users, ..Overrides::default() });
        assert_eq!(with(Some(60)).unwrap().stages[3].to_users, 30, "three times the users");
        let error = with(Some(61)).unwrap_err();
        assert!(error.contains("30 iterations for 31 users"), "{error}");
    }
}
