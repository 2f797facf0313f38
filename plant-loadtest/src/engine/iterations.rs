//! A fixed number of iterations that users share: each runs the next one as soon as its last has ended,
//! without think time. One iteration is one run of a task.
//!
//! All users exist before the run. In a stage each of its users runs at least one iteration, so that
//! exactly that many take part; the others are run by users that are free. No iteration starts after the end
//! of its stage. After the last one the stage is a pause.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use super::{
    ClientConfig, EngineError,
    pool::{UserPool, VirtualUser, set_up_users, sleep_until, start_of},
    stop::Stop,
};
use crate::{load::Stage, profile::Plan};

/// The iterations of a stage.
struct SharedIterations {
    /// Index of the stage in the plan.
    stage: usize,
    start: Instant,
    end: Instant,
    users: u32,
    count: u32,
    /// Number of the next iteration. Those below the number of users belong to one user each.
    next: AtomicU32,
}

/// Runs `plan`, whose stages have a fixed number of iterations or no users. Returns early when Goose's
/// killswitch, its global stop flag, is set.
///
/// # Errors
/// When virtual users cannot be started, or a task sent requests that were not measured.
pub async fn run(plan: &Plan, config: &ClientConfig) -> Result<(), EngineError> {
    goose::reset_killswitch();
    let length = Duration::from_secs(plan.seconds().into());
    let (stop, _watch) = Stop::watch(Arc::clone(&config.recorder), Some(length));
    let pool = Arc::new(UserPool::new(plan, config, stop)?);
    let users = set_up_users(&pool, plan.users).await?;
    let start = start_of(config);
    config.recorder.start(start);
    let stages = plan.stages.iter().enumerate();
    let stages = stages.filter(|(_, stage)| stage.iterations > 0);
    let stages: Arc<[SharedIterations]> =
        stages.map(|(index, stage)| SharedIterations::new(index, stage, start)).collect();
    let mut running = JoinSet::new();
    for (user, number) in users.into_iter().zip(0..) {
        running.spawn(run_user(
            Arc::clone(&pool),
            Arc::clone(&stages),
            user,
            number,
            start + length,
        ));
    }
    while running.join_next().await.is_some() {}
    pool.check_requests()
}

impl SharedIterations {
    fn new(index: usize, stage: &Stage, start: Instant) -> Self {
        let at = |second: u32| start + Duration::from_secs(second.into());
        Self {
            stage: index,
            start: at(stage.from_s),
            end: at(stage.to_s),
            users: stage.to_users,
            count: stage.iterations,
            next: AtomicU32::new(stage.to_users),
        }
    }

    /// Returns whether no iteration may start any more.
    fn has_ended(&self) -> bool {
        goose::is_killswitch_triggered() || Instant::now() >= self.end
    }

    /// Takes the next iteration; `None` if all are taken.
    fn take(&self) -> Option<u32> {
        let next = self.next.fetch_add(1, SeqCst);
        (next < self.count).then_some(next)
    }
}

/// Runs the share of the user with this `number` (from 0) in all stages.
async fn run_user(
    pool: Arc<UserPool>,
    stages: Arc<[SharedIterations]>,
    mut user: VirtualUser,
    number: u32,
    end: Instant,
) {
    let recorder = &pool.config.recorder;
    for stage in stages.iter().filter(|stage| number < stage.users) {
        sleep_until(stage.start).await;
        if stage.has_ended() {
            continue;
        }
        recorder.user_active();
        run_stage(&pool, stage, &mut user, number).await;
        recorder.user_inactive();
    }
    sleep_until(end).await;
    pool.stop_user(&mut user).await;
}

/// Runs iterations of `stage` until none is left, the first with the number of the user.
async fn run_stage(pool: &UserPool, stage: &SharedIterations, user: &mut VirtualUser, number: u32) {
    let recorder = &pool.config.recorder;
    recorder.iterating_user(stage.stage);
    let mut next = Some(number);
    while let Some(iteration) = next.filter(|_| !stage.has_ended()) {
        recorder.iteration_started(stage.stage);
        let pause = pool.run_iteration(user, stage.stage, iteration as usize).await;
        recorder.iteration_ended(stage.stage, Instant::now());
        if let Some(pause) = pause {
            sleep_until(stage.end.min(Instant::now() + pause)).await;
        }
        next = stage.take();
    }
}
