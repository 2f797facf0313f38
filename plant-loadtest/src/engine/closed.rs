//! The closed load model: N users, each of whom waits for an answer, thinks, and asks again.
//!
//! Goose starts, keeps and stops the users. Its own measurements, reports and console are off:
//! the recorder sees every request, and reports are drawn from the outcome.

use std::{fmt::Write as _, sync::Arc};

use goose::{
    GooseAttack, GooseError,
    client::GooseClientBuilder,
    config::{GooseConfiguration, GooseDefault, GooseDefaultType},
    goose::{GooseUser, Scenario, Transaction, TransactionError},
};

use super::{
    Destination,
    dashboard::{self, Dashboard},
    users::Tasks,
};
use crate::{
    client::Client,
    profile::{Plan, Stage},
    recorder::Recorder,
    scenarios::{Session, UserClass},
};

/// Runs `plan` from its first user to its last; returns early when Goose's killswitch is pulled.
///
/// # Errors
/// When Goose refuses the plan, which its checks should have ruled out.
pub async fn drive(
    plan: &Plan,
    destination: &Destination,
    dashboard: Option<&Dashboard>,
) -> Result<(), GooseError> {
    let mut configuration = quiet_configuration(&destination.host);
    if let Some(dashboard) = dashboard {
        dashboard.configure(&mut configuration);
    }
    let attack = GooseAttack::initialize_with_config(configuration)?;
    let steerable = dashboard.and(one_ramp(&plan.stages));
    let mut attack = scheduled(attack, &plan.stages, steerable)?
        // Users bring clients of their own; one shared one spares Goose from making more.
        .set_client_builder_without_cookies(GooseClientBuilder::new().without_cookies())?;
    for share in &plan.classes {
        let scenario = drawn(share.class, plan.saturate, destination.clone())?;
        attack = attack.register_scenario(scenario.set_weight(share.weight as usize)?);
    }
    // Goose prints how many users it launched even when told to be quiet.
    let _silence = Silence::new();
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

/// So many users, started in so many seconds, who stay for so many more.
#[derive(Clone, Copy, Debug, PartialEq)]
struct OneRamp {
    users: u32,
    ramp_s: u32,
    hold_s: u32,
}

/// The stages, if they are one ramp and what follows keeps its users.
fn one_ramp(stages: &[Stage]) -> Option<OneRamp> {
    let users = stages.first()?.to_users;
    let ramp = stages.first().filter(|stage| stage.from_users == 0);
    let ramp_s = ramp.map_or(0, |stage| stage.to_s);
    let held = stages.iter().skip(usize::from(ramp.is_some()));
    let mut held = held.map(|stage| (stage.from_users, stage.to_users));
    let hold_s = stages.last()?.to_s - ramp_s;
    let one = hold_s > 0 && held.all(|level| level == (users, users));
    one.then_some(OneRamp { users, ramp_s, hold_s })
}

/// Tells Goose who comes when. While it follows a plan nobody can change the users in its
/// dashboard, so what can be said as `steerable` is.
fn scheduled(
    attack: GooseAttack,
    stages: &[Stage],
    steerable: Option<OneRamp>,
) -> Result<GooseAttack, GooseError> {
    let Some(OneRamp { users, ramp_s, hold_s }) = steerable else {
        return Ok(*attack.set_default(GooseDefault::TestPlan, test_plan(stages).as_str())?);
    };
    // A rate and no time: whoever changes the users has them come at this rate too. Without a ramp
    // they come within a millisecond or so.
    let rate = f64::from(users) / f64::from(ramp_s).max(0.001);
    let attack = attack
        .set_default(GooseDefault::Users, users as usize)?
        .set_default(GooseDefault::IncreaseRate, rate.to_string().as_str())?
        .set_default(GooseDefault::RunTime, hold_s as usize)?;
    Ok(*attack)
}

/// The stages in Goose's words, with a last step that sends everybody home at once.
fn test_plan(stages: &[Stage]) -> String {
    let mut steps = String::new();
    let mut users = 0;
    for stage in stages {
        // Writing to a String cannot fail.
        if stage.from_users != users {
            let _ = write!(steps, "{},0;", stage.from_users);
        }
        users = stage.to_users;
        let _ = write!(steps, "{},{};", stage.to_users, stage.to_s - stage.from_s);
    }
    steps + "0,0"
}

/// The class's scenario, with each task drawn by chance at each visit.
///
/// Goose deals the tasks into one list that all users walk through alike: a short run would never
/// reach the rare tasks, and users would march in step. Locust draws, and so does this.
fn drawn(
    class: &'static UserClass,
    saturate: bool,
    destination: Destination,
) -> Result<Scenario, GooseError> {
    let tasks = Arc::new(Tasks::of(class)?);
    let recorder = Arc::clone(&destination.recorder);
    let told = destination.told;
    let mut scenario = Scenario::new(class.name)
        .register_transaction(enter(class, destination, Arc::clone(&tasks)).set_on_start())
        .register_transaction(draw(tasks, told))
        .register_transaction(leave(recorder).set_on_stop());
    scenario.transaction_wait = (!saturate).then_some(class.wait);
    Ok(scenario)
}

/// One of the tasks at each visit; with a dashboard, Goose hears of its requests afterwards.
fn draw(tasks: Arc<Tasks>, told: bool) -> Transaction {
    if !told {
        return Transaction::new(Arc::new(move |user| tasks.draw()(user)));
    }
    Transaction::new(Arc::new(move |user: &mut GooseUser| {
        let tasks = Arc::clone(&tasks);
        Box::pin(async move {
            let done = tasks.draw()(user).await;
            let diary = user.get_session_data::<Session>().and_then(|user| user.client.diary());
            if let Some(diary) = diary {
                dashboard::tell(user, &diary).await;
            }
            done
        })
    }))
}

/// Gives the user its session, then runs what its class does at the start.
fn enter(class: &'static UserClass, destination: Destination, tasks: Arc<Tasks>) -> Transaction {
    Transaction::new(Arc::new(move |user: &mut GooseUser| {
        let (destination, tasks) = (destination.clone(), Arc::clone(&tasks));
        Box::pin(async move {
            let client = Client::new(&destination)
                .map_err(|error| Box::new(TransactionError::Reqwest(error)))?;
            destination.recorder.user_joined(class.name);
            user.set_session_data(Session::new(class.acts_for, client));
            tasks.start(user).await
        })
    }))
}

fn leave(recorder: Arc<Recorder>) -> Transaction {
    Transaction::new(Arc::new(move |_: &mut GooseUser| {
        recorder.user_left();
        Box::pin(async { Ok(()) })
    }))
}

/// Sends standard output to nowhere until it is dropped: what goes there is the verdict's.
struct Silence {
    #[cfg(unix)]
    stdout: Option<std::os::fd::OwnedFd>,
}

impl Silence {
    #[cfg(unix)]
    fn new() -> Self {
        let silenced = || -> std::io::Result<std::os::fd::OwnedFd> {
            let stdout = rustix::io::dup(rustix::stdio::stdout())?;
            rustix::stdio::dup2_stdout(std::fs::File::create("/dev/null")?)?;
            Ok(stdout)
        };
        Self { stdout: silenced().ok() }
    }

    #[cfg(not(unix))]
    fn new() -> Self {
        Self {}
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Some(stdout) = self.stdout.take() {
            // What Goose left in the buffer must not come out later; a failure leaves us silent.
            let _ = std::io::Write::flush(&mut std::io::stdout());
            let _ = rustix::stdio::dup2_stdout(stdout);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{Overrides, Profile};

    #[test]
    fn one_ramp_can_be_steered_and_a_course_of_several_cannot() {
        let ramp = |name| {
            let profile = Profile::find(name).unwrap();
            one_ramp(&Plan::new(&profile, &Overrides::default()).unwrap().stages)
        };
        assert_eq!(ramp("normal-50"), Some(OneRamp { users: 50, ramp_s: 10, hold_s: 590 }));
        assert_eq!(ramp("stress"), None);
    }

    #[test]
    fn stages_become_steps_of_whole_seconds() {
        let plan = Plan::new(&Profile::find("spike-200").unwrap(), &Overrides::default()).unwrap();
        assert_eq!(test_plan(&plan.stages), "200,30;200,270;0,0");
    }
}
