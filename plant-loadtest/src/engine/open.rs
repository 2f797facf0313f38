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

use tokio::task::JoinSet;

use super::{
    ClientConfig, EngineError,
    arrival_times::ArrivalTimes,
    pool::{KILLSWITCH_POLL_INTERVAL, UserPool, VirtualUser, set_up_users, start_of},
    stop::Stop,
};
use crate::{precise_timer::set_timer_slack, profile::Plan};

/// A scheduled execution of one task.
struct Arrival {
    intended_start: Instant,
    /// Index of its stage in the plan.
    stage: usize,
    /// Whether a user was idle when it was dispatched.
    user_idle: bool,
}

/// Number of idle users minus the number of arrivals that wait for a user.
struct IdleUsers(AtomicI64);

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
    let idle_users = Arc::new(IdleUsers(AtomicI64::new(plan.users.into())));
    let users = set_up_users(&pool, plan.users).await?;
    let (sender, arrivals) = flume::unbounded::<Arrival>();
    let mut running = JoinSet::new();
    for user in users {
        running.spawn(run_user(Arc::clone(&pool), Arc::clone(&idle_users), user, arrivals.clone()));
    }
    drop(arrivals);

    let start = start_of(config);
    config.recorder.start(start);
    let dispatcher = {
        let (plan, config) = (plan.clone(), config.clone());
        thread::Builder::new()
            .name("dispatcher".into())
            .spawn(move || dispatch_arrivals(&plan, start, &config, &idle_users, &sender))?
    };
    while running.join_next().await.is_some() {}
    // The users end when the dispatcher drops its sender, so this does not block.
    let _ = dispatcher.join();
    pool.check_requests()
}

/// Runs a task for each arrival until the channel is closed.
async fn run_user(
    pool: Arc<UserPool>,
    idle_users: Arc<IdleUsers>,
    mut user: VirtualUser,
    arrivals: flume::Receiver<Arrival>,
) {
    let ClientConfig { recorder, timeout, .. } = &pool.config;
    while let Ok(Arrival { intended_start, stage, user_idle }) = arrivals.recv_async().await {
        let now = Instant::now();
        if goose::is_killswitch_triggered() {
            // Arrivals that still wait are discarded and not counted as dropped.
        } else if !user_idle && now.saturating_duration_since(intended_start) >= *timeout {
            recorder.arrival_dropped(user.shard, intended_start);
        } else {
            recorder.arrival_started(user.shard, intended_start, now, user_idle);
            recorder.user_active();
            user.client.set_intended_start(intended_start);
            pool.run_random_task(&mut user, stage).await;
            recorder.user_inactive();
        }
        idle_users.0.fetch_add(1, SeqCst);
    }
    pool.stop_user(&mut user).await;
}

/// Sends every arrival at its intended start. Returns at the end of the last stage.
fn dispatch_arrivals(
    plan: &Plan,
    start: Instant,
    config: &ClientConfig,
    idle_users: &IdleUsers,
    sender: &flume::Sender<Arrival>,
) {
    set_timer_slack();
    let recorder = &config.recorder;
    let shard = recorder.assign_shard();
    for offset in ArrivalTimes::new(
        &plan.stages,
        plan.spacing,
        plan.share.unwrap_or_default(),
        fastrand::Rng::new(),
    ) {
        let intended_start = start + offset;
        if !sleep_until(intended_start) {
            return;
        }
        recorder.arrival_scheduled(shard, intended_start);
        let user_idle = idle_users.0.fetch_sub(1, SeqCst) > 0;
        let stage = plan.stage_at(offset);
        if sender.send(Arrival { intended_start, stage, user_idle }).is_err() {
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
