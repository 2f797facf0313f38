//! The open load model: arrivals at a given rate, independent of the responses.
//!
//! A separate thread sleeps until each arrival's intended start and dispatches it to a bounded
//! pool of virtual users. If all users are busy, the arrival waits for one. Its latency counts from
//! the intended start, so it includes the time that arrivals wait while the service is stalled.
//! An arrival that has waited for as long as the request timeout is dropped and counted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use goose::{config::GooseConfiguration, goose::GooseUser};
use tokio::{sync::Semaphore, task::JoinSet};

use super::{
    ClientConfig, EngineError,
    arrival_times::ArrivalTimes,
    past_client::PastClient,
    stop::Stop,
    tasks::{Tasks, pick_by_weight},
};
use crate::{
    client::Client,
    precise_timer::set_timer_slack,
    profile::{Plan, WeightedClass},
    recorder::Shard,
    scenario::{Saturate, Session},
};

/// Number of users that run their on-start tasks concurrently: enough to finish soon, too few to
/// load the service.
const MAX_CONCURRENT_SETUPS: usize = 16;

/// Interval at which the dispatching thread checks Goose's killswitch.
const KILLSWITCH_POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Delay from the end of the set-up to the start of the run.
const START_DELAY: Duration = Duration::from_millis(20);

/// A scheduled execution of one task.
struct Arrival {
    intended_start: Instant,
    /// Whether a user was idle when it was dispatched.
    user_idle: bool,
}

/// A virtual user. It can run the tasks of every class.
struct VirtualUser {
    /// One Goose user per class, in the order of [`UserPool::classes`].
    goose_users: Vec<GooseUser>,
    client: Client,
    shard: Shard,
}

/// State shared by all virtual users.
struct UserPool {
    classes: Vec<(WeightedClass, Tasks)>,
    total_weight: usize,
    config: ClientConfig,
    saturate: bool,
    stop: Stop,
    past_client: PastClient,
    /// Limits the number of users that run on-start or on-stop tasks concurrently.
    setup_semaphore: Semaphore,
    /// Number of idle users minus the number of arrivals that wait for a user.
    idle_users: AtomicI64,
}

/// Runs `plan` until the last response. Returns early when Goose's killswitch, its global stop flag,
/// is set.
///
/// # Errors
/// When virtual users cannot be started.
pub async fn run(plan: &Plan, config: &ClientConfig) -> Result<(), EngineError> {
    goose::reset_killswitch();
    let length = Duration::from_secs(plan.seconds().into());
    let (stop, _watch) = Stop::watch(Arc::clone(&config.recorder), Some(length));
    let pool = Arc::new(UserPool::new(plan, config, stop)?);
    let users = set_up_users(&pool, plan.users).await?;
    let (sender, arrivals) = flume::unbounded::<Arrival>();
    let mut running = JoinSet::new();
    for user in users {
        running.spawn(run_user(Arc::clone(&pool), user, arrivals.clone()));
    }
    drop(arrivals);

    let start = Instant::now() + START_DELAY;
    config.recorder.start(start);
    let dispatcher = {
        let (plan, pool) = (plan.clone(), Arc::clone(&pool));
        thread::Builder::new()
            .name("dispatcher".into())
            .spawn(move || dispatch_arrivals(&plan, start, &pool, &sender))?
    };
    while running.join_next().await.is_some() {}
    // The users end when the dispatcher drops its sender, so this does not block.
    let _ = dispatcher.join();
    pool.past_client.check()
}

impl UserPool {
    fn new(plan: &Plan, config: &ClientConfig, stop: Stop) -> Result<Self, EngineError> {
        let past_client =
            PastClient::new().map_err(|error| EngineError::UserSetup(error.to_string()))?;
        let classes =
            plan.classes.iter().map(|weighted| Ok((*weighted, Tasks::new(weighted.class)?)));
        Ok(Self {
            classes: classes.collect::<Result<_, EngineError>>()?,
            total_weight: plan.classes.iter().map(|weighted| weighted.weight as usize).sum(),
            config: config.clone(),
            saturate: plan.saturate,
            stop,
            past_client,
            setup_semaphore: Semaphore::new(MAX_CONCURRENT_SETUPS),
            idle_users: AtomicI64::new(i64::from(plan.users)),
        })
    }

    /// Picks a random class by weight and returns its index.
    fn pick_class(&self) -> usize {
        let weights = self.classes.iter().map(|(weighted, _)| weighted.weight as usize);
        pick_by_weight(weights, self.total_weight)
    }
}

/// Creates `users` virtual users and runs the on-start tasks of all classes. This is not part of
/// the load: its requests are not recorded. If one fails, the tasks that need its result repeat it
/// under load, where it is recorded.
async fn set_up_users(pool: &Arc<UserPool>, users: u32) -> Result<Vec<VirtualUser>, EngineError> {
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
    let failed = |error: &dyn ToString| EngineError::UserSetup(error.to_string());
    let config = &pool.config;
    let client = Client::new(config).map_err(|error| failed(&error))?;
    client.set_recording(false);
    let base_url = config.host.parse().map_err(|error| failed(&error))?;
    let mut goose_users = Vec::new();
    for (weighted, tasks) in &pool.classes {
        let configuration = GooseConfiguration::default();
        let base_url = reqwest::Url::clone(&base_url);
        let mut user = GooseUser::new(
            0,
            weighted.class.name.into(),
            base_url,
            &configuration,
            0,
            Some(pool.past_client.http_client()),
        )?;
        user.weighted_users_index = index;
        // The connections are those of the user, the cookies those of the user as one of this class.
        let client_of_class = client.clone().without_cookies();
        let mut session =
            Session::new(weighted.class, client_of_class, &config.accounts, config.options.clone());
        if pool.saturate {
            session.extensions.insert(Saturate);
        }
        user.set_session_data(session);
        pool.stop.run(&client.in_flight(), tasks.run_on_start(&mut user)).await;
        config.recorder.count_started(weighted.class.name);
        goose_users.push(user);
    }
    client.set_recording(true);
    Ok(VirtualUser { goose_users, client, shard: config.recorder.assign_shard() })
}

/// Runs a task for each arrival until the channel is closed.
async fn run_user(pool: Arc<UserPool>, mut user: VirtualUser, arrivals: flume::Receiver<Arrival>) {
    let ClientConfig { recorder, timeout, .. } = &pool.config;
    while let Ok(Arrival { intended_start, user_idle }) = arrivals.recv_async().await {
        let now = Instant::now();
        if goose::is_killswitch_triggered() {
            // Arrivals that still wait are discarded and not counted as dropped.
        } else if !user_idle && now.saturating_duration_since(intended_start) >= *timeout {
            recorder.arrival_dropped(user.shard, intended_start);
        } else {
            recorder.arrival_started(user.shard, intended_start, now, user_idle);
            recorder.user_active();
            user.client.set_intended_start(intended_start);
            run_task(&pool, &mut user).await;
            recorder.user_inactive();
        }
        pool.idle_users.fetch_add(1, SeqCst);
    }
    stop_user(&pool, &mut user).await;
}

/// Runs a task of a random class.
async fn run_task(pool: &UserPool, user: &mut VirtualUser) {
    let class = pool.pick_class();
    let goose_user = &mut user.goose_users[class];
    let Ok(session) = Session::get(goose_user) else { return };
    let task = pool.classes[class].1.pick(session);
    // A task fails only because of its requests, which the client has recorded.
    let _ = pool.stop.run(&user.client.in_flight(), task(goose_user)).await;
}

/// Runs the on-stop tasks of all classes. As the on-start tasks, they are not part of the load.
async fn stop_user(pool: &UserPool, user: &mut VirtualUser) {
    if !pool.classes.iter().any(|(_, tasks)| tasks.has_on_stop()) {
        return;
    }
    let _permit = pool.setup_semaphore.acquire().await;
    user.client.set_recording(false);
    for ((_, tasks), goose_user) in pool.classes.iter().zip(&mut user.goose_users) {
        let in_flight = user.client.in_flight();
        pool.stop.run_on_stop(&in_flight, tasks.run_on_stop(goose_user)).await;
    }
}

/// Sends every arrival at its intended start. Returns at the end of the last stage.
fn dispatch_arrivals(
    plan: &Plan,
    start: Instant,
    pool: &UserPool,
    sender: &flume::Sender<Arrival>,
) {
    set_timer_slack();
    let recorder = &pool.config.recorder;
    let shard = recorder.assign_shard();
    for offset in ArrivalTimes::new(&plan.stages, plan.spacing, fastrand::Rng::new()) {
        let intended_start = start + offset;
        if !sleep_until(intended_start) {
            return;
        }
        recorder.arrival_scheduled(shard, intended_start);
        let user_idle = pool.idle_users.fetch_sub(1, SeqCst) > 0;
        if sender.send(Arrival { intended_start, user_idle }).is_err() {
            return;
        }
    }
    sleep_until(start + Duration::from_secs(plan.seconds().into()));
}

/// Sleeps until `deadline` and returns `true`; returns `false` as soon as the killswitch is
/// triggered.
fn sleep_until(deadline: Instant) -> bool {
    loop {
        if goose::is_killswitch_triggered() {
            return false;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        thread::sleep(left.min(KILLSWITCH_POLL_INTERVAL));
    }
}
