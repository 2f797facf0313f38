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

use goose::{GooseError, config::GooseConfiguration, goose::GooseUser};
use tokio::{sync::Semaphore, task::JoinSet};

use super::{ClientConfig, arrival_times::ArrivalTimes, tasks::Tasks};
use crate::{
    client::Client,
    precise_timer::set_timer_slack,
    profile::{Plan, WeightedClass},
    recorder::Shard,
    scenario::Session,
};

/// Number of users that run their on-start tasks concurrently: enough to finish soon, too few to
/// load the service.
const MAX_CONCURRENT_SETUPS: usize = 16;

/// Interval at which the dispatching thread checks Goose's killswitch.
const KILLSWITCH_POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Delay from the end of the set-up to the start of the run.
const START_DELAY: Duration = Duration::from_millis(20);

/// Error of the open engine.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Goose rejects a scenario. Not expected: a test builds the scenarios of all classes.
    #[error(transparent)]
    Goose(#[from] GooseError),
    /// The HTTP client cannot be initialized, or the host is not a valid URL.
    #[error("a virtual user could not be started: {0}")]
    UserSetup(String),
    /// The operating system cannot create a thread.
    #[error("the thread that dispatches arrivals could not be started: {0}")]
    Thread(#[from] std::io::Error),
}

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
    total_weight: u32,
    config: ClientConfig,
    /// Number of idle users minus the number of arrivals that wait for a user.
    idle_users: AtomicI64,
}

/// Runs `plan` until the last response. Returns early when Goose's killswitch, its global stop flag,
/// is set.
///
/// # Errors
/// When virtual users cannot be started.
pub async fn run(plan: &Plan, config: &ClientConfig) -> Result<(), OpenError> {
    goose::reset_killswitch();
    let pool = Arc::new(UserPool::new(plan, config)?);
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
    Ok(())
}

impl UserPool {
    fn new(plan: &Plan, config: &ClientConfig) -> Result<Self, GooseError> {
        let classes =
            plan.classes.iter().map(|weighted| Ok((*weighted, Tasks::new(weighted.class)?)));
        Ok(Self {
            classes: classes.collect::<Result<_, GooseError>>()?,
            total_weight: plan.classes.iter().map(|weighted| weighted.weight).sum(),
            config: config.clone(),
            idle_users: AtomicI64::new(i64::from(plan.users)),
        })
    }

    /// Picks a random class by weight and returns its index.
    fn pick_class(&self) -> usize {
        let mut point = fastrand::u32(..self.total_weight);
        for (index, (weighted, _)) in self.classes.iter().enumerate() {
            if point < weighted.weight {
                return index;
            }
            point -= weighted.weight;
        }
        unreachable!("the point is below the sum of all weights")
    }
}

/// Creates `users` virtual users and runs the on-start tasks of all classes. This is not part of
/// the load: its requests are not recorded. If one fails, the tasks that need its result repeat it
/// under load, where it is recorded.
async fn set_up_users(pool: &Arc<UserPool>, users: u32) -> Result<Vec<VirtualUser>, OpenError> {
    let setup_semaphore = Arc::new(Semaphore::new(MAX_CONCURRENT_SETUPS));
    let mut setups = JoinSet::new();
    for _ in 0..users {
        let (pool, semaphore) = (Arc::clone(pool), Arc::clone(&setup_semaphore));
        setups.spawn(async move {
            let _permit = semaphore.acquire_owned().await;
            set_up_user(&pool).await
        });
    }
    let mut users = Vec::new();
    while let Some(user) = setups.join_next().await {
        users.push(user.map_err(|error| OpenError::UserSetup(error.to_string()))??);
    }
    Ok(users)
}

async fn set_up_user(pool: &UserPool) -> Result<VirtualUser, OpenError> {
    let failed = |error: &dyn ToString| OpenError::UserSetup(error.to_string());
    let config = &pool.config;
    let client = Client::new(config).map_err(|error| failed(&error))?;
    client.set_recording(false);
    let base_url = config.host.parse().map_err(|error| failed(&error))?;
    // Goose's own client is never used, but without one Goose would create another.
    let http = client.http_client();
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
            Some(http.clone()),
        )?;
        user.set_session_data(Session::new(weighted.class, client.clone(), &config.accounts));
        let _ = tasks.run_on_start(&mut user).await;
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
            let class = pool.pick_class();
            // A task fails only because of its requests, which the client has recorded.
            let _ = pool.classes[class].1.pick()(&mut user.goose_users[class]).await;
            recorder.user_inactive();
        }
        pool.idle_users.fetch_add(1, SeqCst);
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
