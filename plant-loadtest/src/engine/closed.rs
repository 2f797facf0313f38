//! The closed load model: a number of virtual users, each of which sends a request, waits for the
//! response, then for its think time, and repeats.
//!
//! Goose starts, runs and stops the users. Its own metrics, reports and console are disabled: the
//! recorder measures every request, and reports are generated from the outcome.

use std::{fmt::Write as _, sync::Arc};

use goose::{
    GooseAttack, GooseError,
    client::GooseClientBuilder,
    config::{GooseConfiguration, GooseDefault, GooseDefaultType},
    goose::{GooseUser, Scenario, Transaction, TransactionError},
};

use super::{
    ClientConfig,
    dashboard::{self, Dashboard},
    tasks::Tasks,
};
use crate::{
    client::Client,
    load::Stage,
    profile::Plan,
    recorder::Recorder,
    scenario::{Session, UserClass},
};

/// Runs `plan` to its end. Returns early when Goose's killswitch, its global stop flag, is set.
///
/// # Errors
/// When Goose rejects the plan. Not expected: profiles are validated before.
pub async fn run(
    plan: &Plan,
    config: &ClientConfig,
    dashboard: Option<&Dashboard>,
) -> Result<(), GooseError> {
    let mut configuration = quiet_configuration(&config.host);
    if let Some(dashboard) = dashboard {
        dashboard.configure(&mut configuration);
    }
    let attack = GooseAttack::initialize_with_config(configuration)?;
    let adjustable = dashboard.and(single_ramp(&plan.stages));
    let mut attack = with_schedule(attack, &plan.stages, adjustable)?
        // Users have clients of their own. With a shared one Goose does not create one per user.
        .set_client_builder_without_cookies(GooseClientBuilder::new().without_cookies())?;
    for weighted in &plan.classes {
        let scenario = weighted_scenario(weighted.class, plan.saturate, config.clone())?;
        attack = attack.register_scenario(scenario.set_weight(weighted.weight as usize)?);
    }
    // Goose prints the number of launched users even with `quiet`.
    let _silenced = SilencedStdout::new();
    attack.execute().await?;
    Ok(())
}

fn quiet_configuration(host: &str) -> GooseConfiguration {
    let mut configuration = GooseConfiguration::default();
    configuration.host = Some(host.to_owned());
    configuration.quiet = 2;
    configuration.no_metrics = true;
    configuration.no_print_metrics = true;
    configuration.no_telnet = true;
    configuration.no_websocket = true;
    configuration
}

/// A ramp of `ramp_s` seconds from 0 to `users`, which then stay for `hold_s` seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct SingleRamp {
    users: u32,
    ramp_s: u32,
    hold_s: u32,
}

/// Returns the stages as a single ramp with a constant number of users after it; `None` if they have
/// another form.
fn single_ramp(stages: &[Stage]) -> Option<SingleRamp> {
    let users = stages.first()?.to_users;
    let ramp = stages.first().filter(|stage| stage.from_users == 0);
    let ramp_s = ramp.map_or(0, |stage| stage.to_s);
    let later = stages.iter().skip(usize::from(ramp.is_some()));
    let mut later = later.map(|stage| (stage.from_users, stage.to_users));
    let hold_s = stages.last()?.to_s - ramp_s;
    let is_single = hold_s > 0 && later.all(|level| level == (users, users));
    is_single.then_some(SingleRamp { users, ramp_s, hold_s })
}

/// Sets the number of users over time. Goose's dashboard cannot change the number of users during a
/// test plan, so an `adjustable` ramp is set as users, start rate and run time instead.
fn with_schedule(
    attack: GooseAttack,
    stages: &[Stage],
    adjustable: Option<SingleRamp>,
) -> Result<GooseAttack, GooseError> {
    let Some(SingleRamp { users, ramp_s, hold_s }) = adjustable else {
        return Ok(*attack.set_default(GooseDefault::TestPlan, test_plan(stages).as_str())?);
    };
    // A rate instead of a start-up time, because it also applies to users added in the dashboard.
    // Without a ramp all users start within about a millisecond.
    let rate = f64::from(users) / f64::from(ramp_s).max(0.001);
    let attack = attack
        .set_default(GooseDefault::Users, users as usize)?
        .set_default(GooseDefault::IncreaseRate, rate.to_string().as_str())?
        .set_default(GooseDefault::RunTime, hold_s as usize)?;
    Ok(*attack)
}

/// Returns the stages as a Goose test plan. Its last step stops all users at once.
fn test_plan(stages: &[Stage]) -> String {
    let mut steps = String::new();
    let mut users = 0;
    for stage in stages {
        // Writing to a `String` cannot fail.
        if stage.from_users != users {
            let _ = write!(steps, "{},0;", stage.from_users);
        }
        users = stage.to_users;
        let _ = write!(steps, "{},{};", stage.to_users, stage.to_s - stage.from_s);
    }
    steps + "0,0"
}

/// Returns the scenario of `class` as one transaction that picks a random task by weight each time,
/// as Locust does.
///
/// Goose itself allocates the tasks to one sequence that all users follow: a short run would not
/// reach rare tasks, and all users would run the same task at the same time.
fn weighted_scenario(
    class: &'static UserClass,
    saturate: bool,
    config: ClientConfig,
) -> Result<Scenario, GooseError> {
    let tasks = Arc::new(Tasks::new(class)?);
    let recorder = Arc::clone(&config.recorder);
    let log_requests = config.log_requests;
    let mut scenario = Scenario::new(class.name)
        .register_transaction(start_user(class, config, Arc::clone(&tasks)).set_on_start())
        .register_transaction(run_task(tasks, log_requests))
        .register_transaction(stop_user(recorder).set_on_stop());
    scenario.transaction_wait = (!saturate).then_some(class.wait);
    Ok(scenario)
}

/// Returns a transaction that runs a random task. With `log_requests` it then passes the logged
/// requests to Goose's dashboard.
fn run_task(tasks: Arc<Tasks>, log_requests: bool) -> Transaction {
    if !log_requests {
        return Transaction::new(Arc::new(move |user| tasks.pick()(user)));
    }
    Transaction::new(Arc::new(move |user: &mut GooseUser| {
        let tasks = Arc::clone(&tasks);
        Box::pin(async move {
            let result = tasks.pick()(user).await;
            let session = user.get_session_data::<Session>();
            let log = session.and_then(|session| session.client.request_log());
            if let Some(log) = log {
                dashboard::report_requests(user, &log).await;
            }
            result
        })
    }))
}

/// Returns a transaction that sets the session data of a new user and runs the on-start tasks of its
/// class.
fn start_user(class: &'static UserClass, config: ClientConfig, tasks: Arc<Tasks>) -> Transaction {
    Transaction::new(Arc::new(move |user: &mut GooseUser| {
        let (config, tasks) = (config.clone(), Arc::clone(&tasks));
        Box::pin(async move {
            let client =
                Client::new(&config).map_err(|error| Box::new(TransactionError::Reqwest(error)))?;
            config.recorder.user_started(class.name);
            user.set_session_data(Session::new(class, client, &config.accounts));
            tasks.run_on_start(user).await
        })
    }))
}

/// Returns a transaction that records the end of a user.
fn stop_user(recorder: Arc<Recorder>) -> Transaction {
    Transaction::new(Arc::new(move |_: &mut GooseUser| {
        recorder.user_inactive();
        Box::pin(async { Ok(()) })
    }))
}

/// Redirects standard output to `/dev/null` until it is dropped, because only the verdict is
/// printed there.
struct SilencedStdout {
    #[cfg(unix)]
    stdout: Option<std::os::fd::OwnedFd>,
}

impl SilencedStdout {
    #[cfg(unix)]
    fn new() -> Self {
        let redirect = || -> std::io::Result<std::os::fd::OwnedFd> {
            let stdout = rustix::io::dup(rustix::stdio::stdout())?;
            rustix::stdio::dup2_stdout(std::fs::File::create("/dev/null")?)?;
            Ok(stdout)
        };
        Self { stdout: redirect().ok() }
    }

    #[cfg(not(unix))]
    fn new() -> Self {
        Self {}
    }
}

impl Drop for SilencedStdout {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Some(stdout) = self.stdout.take() {
            // Flushed first, so that buffered output of Goose is discarded too. If restoring fails,
            // standard output stays redirected.
            let _ = std::io::Write::flush(&mut std::io::stdout());
            let _ = rustix::stdio::dup2_stdout(stdout);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plant,
        profile::{Overrides, Profile},
    };

    #[test]
    fn only_a_single_ramp_is_adjustable() {
        let ramp_of = |name| {
            let profile = Profile::find(&plant::harness(), name).unwrap();
            single_ramp(&Plan::new(&profile, &Overrides::default()).unwrap().stages)
        };
        assert_eq!(ramp_of("normal-50"), Some(SingleRamp { users: 50, ramp_s: 10, hold_s: 590 }));
        assert_eq!(ramp_of("stress"), None);
    }

    #[test]
    fn stages_become_steps_of_a_test_plan() {
        let profile = Profile::find(&plant::harness(), "spike-200").unwrap();
        let plan = Plan::new(&profile, &Overrides::default()).unwrap();
        assert_eq!(test_plan(&plan.stages), "200,30;200,270;0,0");
    }
}
