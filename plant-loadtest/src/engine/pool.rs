//! The virtual user pool: users that are set up before the run and can run the tasks of every class.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use goose::{config::GooseConfiguration, goose::GooseUser};
use tokio::{sync::Semaphore, task::JoinSet, time};

use super::{
    ClientConfig, EngineError,
    past_client::PastClient,
    stop::Stop,
    tasks::{Tasks, pick_by_weight},
};
use crate::{
    client::Client,
    load::Share,
    profile::{Plan, WeightedClass},
    recorder::Shard,
    scenario::{Saturate, Session, ThinkTime, UserClass},
    turns::Turns,
};

/// Number of users that run their on-start tasks concurrently: enough to finish soon, too few to
/// load the service.
const MAX_CONCURRENT_SETUPS: usize = 16;

/// Interval at which those that sleep check Goose's killswitch.
pub(super) const KILLSWITCH_POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Delay from the end of the set-up to the start of the run.
const START_DELAY: Duration = Duration::from_millis(20);

/// A virtual user. It can run the tasks of every class.
pub(super) struct VirtualUser {
    /// One Goose user per class, in the order of [`UserPool::classes`].
    goose_users: Vec<GooseUser>,
    pub(super) client: Client,
    pub(super) shard: Shard,
}

/// State shared by all virtual users.
pub(super) struct UserPool {
    classes: Vec<(WeightedClass, Tasks)>,
    /// How the classes are picked in each stage of the plan.
    stages: Vec<StageClasses>,
    share: Share,
    pub(super) config: ClientConfig,
    saturate: bool,
    stop: Stop,
    past_client: PastClient,
    /// Limits the number of users that run on-start or on-stop tasks concurrently.
    setup_semaphore: Semaphore,
}

/// The classes of a stage.
struct StageClasses {
    /// Weight of each class; 0 of those that the stage does not run.
    weights: Vec<usize>,
    total_weight: usize,
    turns: Turns,
}

impl UserPool {
    /// Returns the pool for `plan`.
    ///
    /// # Errors
    /// When the HTTP client cannot be initialized, or a class cannot be run.
    pub(super) fn new(plan: &Plan, config: &ClientConfig, stop: Stop) -> Result<Self, EngineError> {
        let past_client =
            PastClient::new().map_err(|error| EngineError::UserSetup(error.to_string()))?;
        let classes =
            plan.classes.iter().map(|weighted| Ok((*weighted, Tasks::new(weighted.class)?)));
        let stages = plan.stages.iter().map(|stage| {
            let weights = plan.classes.iter().map(|weighted| {
                if stage.runs_class(weighted.class.name) { weighted.weight as usize } else { 0 }
            });
            StageClasses::new(weights.collect())
        });
        Ok(Self {
            classes: classes.collect::<Result<_, EngineError>>()?,
            stages: stages.collect(),
            share: plan.share.unwrap_or_default(),
            config: config.clone(),
            saturate: plan.saturate,
            stop,
            past_client,
            setup_semaphore: Semaphore::new(MAX_CONCURRENT_SETUPS),
        })
    }

    /// Runs a random task of a random class, both by weight, of those of the stage with this index.
    pub(super) async fn run_random_task(&self, user: &mut VirtualUser, stage: usize) {
        let StageClasses { weights, total_weight, .. } = &self.stages[stage];
        let class = pick_by_weight(weights.iter().copied(), *total_weight);
        let goose_user = &mut user.goose_users[class];
        let Ok(session) = Session::get(goose_user) else { return };
        let task = self.classes[class].1.pick(session);
        // A task fails only because of its requests, which the client has recorded.
        let _ = self.stop.run(&user.client.in_flight(), task(goose_user)).await;
    }

    /// Runs the task whose turn it is in the iteration with this number (from 0) of the share of the stage with
    /// this index. Returns the think time that the task has set.
    pub(super) async fn run_iteration(
        &self,
        user: &mut VirtualUser,
        stage: usize,
        iteration: usize,
    ) -> Option<Duration> {
        let (class, number) = self.stages[stage].turns.at(self.share.number_of_all(iteration));
        let goose_user = &mut user.goose_users[class];
        let Ok(session) = Session::get(goose_user) else { return None };
        let task = self.classes[class].1.take_turn(session, number);
        let _ = self.stop.run(&user.client.in_flight(), task(goose_user)).await;
        let session = Session::get(goose_user).ok()?;
        session.extensions.remove::<ThinkTime>().map(|ThinkTime(wait)| wait)
    }

    /// Runs the on-stop tasks of all classes. As the on-start tasks, they are not part of the load.
    pub(super) async fn stop_user(&self, user: &mut VirtualUser) {
        if !self.classes.iter().any(|(_, tasks)| tasks.has_on_stop()) {
            return;
        }
        let _permit = self.setup_semaphore.acquire().await;
        user.client.set_recording(false);
        for ((_, tasks), goose_user) in self.classes.iter().zip(&mut user.goose_users) {
            let in_flight = user.client.in_flight();
            self.stop.run_on_stop(&in_flight, tasks.run_on_stop(goose_user)).await;
        }
    }

    /// Checks that no task sent a request that was not measured.
    ///
    /// # Errors
    /// When one did.
    pub(super) fn check_requests(&self) -> Result<(), EngineError> {
        self.past_client.check()
    }
}

impl StageClasses {
    fn new(weights: Vec<usize>) -> Self {
        Self { total_weight: weights.iter().sum(), turns: Turns::new(&weights), weights }
    }
}

/// Creates `users` virtual users and runs the on-start tasks of all classes. This is not part of
/// the load: its requests are not recorded. If one fails, the tasks that need its result repeat it
/// under load, where it is recorded.
///
/// # Errors
/// When a user cannot be started.
pub(super) async fn set_up_users(
    pool: &Arc<UserPool>,
    users: u32,
) -> Result<Vec<VirtualUser>, EngineError> {
    let mut setups = JoinSet::new();
    for index in 0..users {
        let pool = Arc::clone(pool);
        setups.spawn(async move {
            let _permit = pool.setup_semaphore.acquire().await;
            set_up_user(&pool, index as usize).await
        });
    }
    let mut users = Vec::new();
    while let Some(user) = setups.join_next().await {
        users.push(user.map_err(|error| EngineError::UserSetup(error.to_string()))??);
    }
    Ok(users)
}

async fn set_up_user(pool: &UserPool, index: usize) -> Result<VirtualUser, EngineError> {
    let config = &pool.config;
    let client = Client::new(config).map_err(|error| EngineError::UserSetup(error.to_string()))?;
    client.set_recording(false);
    let mut goose_users = Vec::new();
    for (weighted, tasks) in &pool.classes {
        // The connections are those of the user, the cookies those of the user as one of this class.
        let client_of_class = client.clone().without_cookies();
        let mut user = goose_user(
            weighted.class,
            config,
            client_of_class,
            &pool.past_client,
            index,
            pool.saturate,
        )?;
        pool.stop.run(&client.in_flight(), tasks.run_on_start(&mut user)).await;
        config.recorder.count_started(weighted.class.name);
        goose_users.push(user);
    }
    client.set_recording(true);
    Ok(VirtualUser { goose_users, client, shard: config.recorder.assign_shard() })
}

/// Returns a Goose user of `class` with this index, whose tasks send requests with `client`.
///
/// # Errors
/// When the host is not a URL.
pub(super) fn goose_user(
    class: &'static UserClass,
    config: &ClientConfig,
    client: Client,
    past_client: &PastClient,
    index: usize,
    saturate: bool,
) -> Result<GooseUser, EngineError> {
    let base_url = reqwest::Url::parse(&config.host)
        .map_err(|error| EngineError::UserSetup(error.to_string()))?;
    let configuration = GooseConfiguration::default();
    let http = Some(past_client.http_client());
    let mut user = GooseUser::new(0, class.name.into(), base_url, &configuration, 0, http)?;
    user.weighted_users_index = index;
    let mut session = Session::new(class, client, &config.accounts, config.options.clone());
    if saturate {
        session.extensions.insert(Saturate);
    }
    user.set_session_data(session);
    Ok(user)
}

/// Returns the start of a run whose users are set up: that which was set before, or as soon as possible.
pub(super) fn start_of(config: &ClientConfig) -> Instant {
    config.recorder.started_at().unwrap_or_else(|| Instant::now() + START_DELAY)
}

/// Sleeps until `deadline`, or until the killswitch is triggered.
pub(super) async fn sleep_until(deadline: Instant) {
    while !goose::is_killswitch_triggered() && Instant::now() < deadline {
        let next_check = Instant::now() + KILLSWITCH_POLL_INTERVAL;
        time::sleep_until(deadline.min(next_check).into()).await;
    }
}
