//! The closed load model: a number of virtual users, each of which sends a request, waits for the
//! response, then for its think time, and repeats.
//!
//! Goose starts, runs and stops the users. Its own metrics, reports and console are disabled: the
//! recorder measures every request, and reports are generated from the outcome.

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use goose::{
    GooseAttack,
    client::GooseClientBuilder,
    config::{GooseConfiguration, GooseDefault, GooseDefaultType},
    goose::{GooseUser, Scenario, TransactionError},
};
use tokio::{task::JoinHandle, time::sleep};

use super::{
    ClientConfig, EngineError, control::UserControl, past_client::PastClient, pool::sleep_until,
    stop::Stop, tasks::Tasks,
};
use crate::{
    client::Client,
    load::{Model, Stage},
    profile::Plan,
    scenario::{Saturate, Session, TaskFuture, UserClass, transaction},
};

/// How long after its planned end Goose may still stop the users by itself.
const MAX_OVERRUN: Duration = Duration::from_millis(800);

/// Longest part of a think time after which Goose can stop a user.
const MAX_PAUSE: Duration = Duration::from_millis(500);

/// Runs `plan` to its end. Returns early when Goose's killswitch, its global stop flag, is set.
///
/// Goose prints one line, the number of users that it has started, on standard output when the plan is
/// more than one ramp with a constant number of users after it. Nothing else is printed.
///
/// # Errors
/// When Goose rejects the plan, which is not expected: profiles are validated before. When a task sent
/// requests that were not measured.
pub async fn run(
    plan: &Plan,
    config: &ClientConfig,
    control: Option<&UserControl>,
) -> Result<(), EngineError> {
    // Goose does this too, but only later.
    goose::reset_killswitch();
    if let Some(start) = config.recorder.started_at() {
        // The users start as soon as Goose is started.
        sleep_until(start).await;
        if goose::is_killswitch_triggered() {
            return Ok(());
        }
    } else if plan.stages.first().is_some_and(|stage| stage.to_users == 0) {
        // A share of a load may begin without a user, whose start is that of the run otherwise.
        config.recorder.start(Instant::now());
    }
    let mut configuration = quiet_configuration(&config.host);
    if let Some(control) = control {
        control.configure(&mut configuration);
    }
    let attack = GooseAttack::initialize_with_config(configuration)?;
    let mut attack = with_schedule(attack, &plan.stages)?
        // Users have clients of their own. With a shared one Goose does not create one per user.
        .set_client_builder_without_cookies(GooseClientBuilder::new().without_cookies())?;
    let length = Duration::from_secs(plan.seconds().into());
    let (stop, _watch) = Stop::watch(Arc::clone(&config.recorder), Some(length));
    let past_client =
        PastClient::new().map_err(|error| EngineError::UserSetup(error.to_string()))?;
    for weighted in plan.classes.iter().filter(|weighted| weighted.weight > 0) {
        let users = Users {
            class: weighted.class,
            tasks: Tasks::new(weighted.class)?,
            saturate: plan.saturate,
            config: config.clone(),
            stop: stop.clone(),
            past_client: past_client.clone(),
        };
        let scenario = scenario(&Arc::new(users)).set_weight(weighted.weight as usize)?;
        attack = attack.register_scenario(scenario);
    }
    let overrun = control.map(|_| Overrun::watch(stop));
    attack.execute().await?;
    if let Some(overrun) = overrun {
        overrun.end();
    }
    past_client.check()
}

/// Returns whether the number of users of `plan` can be changed while it runs.
#[must_use]
pub fn has_adjustable_users(plan: &Plan) -> bool {
    plan.model == Model::Closed && !plan.has_iterations() && single_ramp(&plan.stages).is_some()
}

/// Ends a run whose users were changed at its planned end: Goose adds the time that the change takes.
struct Overrun {
    task: JoinHandle<()>,
    has_ended_run: Arc<AtomicBool>,
}

impl Overrun {
    fn watch(stop: Stop) -> Self {
        let has_ended_run = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&has_ended_run);
        let task = tokio::spawn(async move {
            stop.ended().await;
            sleep(MAX_OVERRUN).await;
            if !goose::is_killswitch_triggered() {
                flag.store(true, SeqCst);
                goose::trigger_killswitch("the planned time is over");
            }
        });
        Self { task, has_ended_run }
    }

    /// Resets the killswitch if only this has set it: the run has ended as planned.
    fn end(self) {
        self.task.abort();
        if self.has_ended_run.load(SeqCst) {
            goose::reset_killswitch();
        }
    }
}

fn quiet_configuration(host: &str) -> GooseConfiguration {
    let mut configuration = GooseConfiguration::default();
    configuration.host = Some(host.to_owned());
    configuration.quiet = 2;
    configuration.no_metrics = true;
    configuration.no_print_metrics = true;
    configuration.no_telnet = true;
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

/// Sets the number of users over time: a single ramp as users, start rate and run time, because Goose
/// cannot change the number of users during a test plan; everything else as a test plan.
fn with_schedule(attack: GooseAttack, stages: &[Stage]) -> Result<GooseAttack, EngineError> {
    let Some(SingleRamp { users, ramp_s, hold_s }) = single_ramp(stages) else {
        return Ok(*attack.set_default(GooseDefault::TestPlan, test_plan(stages).as_str())?);
    };
    // A rate instead of a start-up time, because it also applies to users that are added later.
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

/// All users of one class.
struct Users {
    class: &'static UserClass,
    tasks: Tasks,
    saturate: bool,
    config: ClientConfig,
    stop: Stop,
    past_client: PastClient,
}

/// Time until which a user waits, in its session.
#[derive(Clone, Copy)]
struct Pause(Instant);

/// Returns a Goose scenario whose only transaction picks a task each time, or waits for a part of the
/// think time. Goose itself waits the same time after every task.
fn scenario(users: &Arc<Users>) -> Scenario {
    let [start, run, stop] = [users; 3].map(Arc::clone);
    Scenario::new(users.class.name)
        .register_transaction(transaction(move |user| start_user(&start, user)).set_on_start())
        .register_transaction(transaction(move |user| run_user(&run, user)))
        .register_transaction(transaction(move |user| stop_user(&stop, user)).set_on_stop())
}

/// Sets the session data of a new user and runs the on-start tasks of its class.
fn start_user<'u>(users: &Arc<Users>, user: &'u mut GooseUser) -> TaskFuture<'u> {
    let users = Arc::clone(users);
    Box::pin(async move {
        let Users { class, config, .. } = &*users;
        let client =
            Client::new(config).map_err(|error| Box::new(TransactionError::Reqwest(error)))?;
        user.client = users.past_client.http_client();
        config.recorder.user_started(class.name);
        let in_flight = client.in_flight();
        let mut session = Session::new(class, client, &config.accounts, config.options.clone());
        if users.saturate {
            session.extensions.insert(Saturate);
        }
        user.set_session_data(session);
        users.stop.run(&in_flight, users.tasks.run_on_start(user)).await;
        Ok(())
    })
}

/// Runs a task, or waits for a part of the think time.
fn run_user<'u>(users: &Arc<Users>, user: &'u mut GooseUser) -> TaskFuture<'u> {
    let users = Arc::clone(users);
    Box::pin(async move {
        if users.stop.has_ended() {
            // No task starts after the end of the plan, until Goose stops the user.
            sleep(MAX_PAUSE / 10).await;
            return Ok(());
        }
        let session = Session::get(user)?;
        let pause = session.extensions.get().map(|Pause(end)| *end);
        let left = pause.map(|end| end.saturating_duration_since(Instant::now()));
        if let Some(left) = left.filter(|left| !left.is_zero()) {
            // A wait in parts, as Goose's own, so that it can stop the user in between.
            sleep(left.min(MAX_PAUSE)).await;
            return Ok(());
        }
        let in_flight = session.client.in_flight();
        let task = users.tasks.pick(session);
        let result = users.stop.run(&in_flight, task(user)).await;
        set_pause(&users, Session::get(user)?);
        result.unwrap_or(Ok(()))
    })
}

/// Sets the think time after a task.
fn set_pause(users: &Users, session: &mut Session) {
    let wait = users.tasks.take_think_time(session);
    if !users.saturate {
        session.extensions.insert(Pause(Instant::now() + wait));
    }
}

/// Runs the on-stop tasks of the class and records the end of a user.
fn stop_user<'u>(users: &Arc<Users>, user: &'u mut GooseUser) -> TaskFuture<'u> {
    let users = Arc::clone(users);
    Box::pin(async move {
        if users.tasks.has_on_stop()
            && let Ok(session) = Session::get(user)
        {
            let in_flight = session.client.in_flight();
            users.stop.run_on_stop(&in_flight, users.tasks.run_on_stop(user)).await;
        }
        users.config.recorder.user_inactive();
        Ok(())
    })
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
