//! Users in numbers that are ordered during the run: each class has a group of users, which starts and stops
//! them one by one. Each user runs tasks with think time, as in the closed model.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use goose::goose::GooseUser;
use tokio::{
    task::{JoinSet, yield_now},
    time::sleep,
};

use super::{
    ClientConfig, EngineError,
    past_client::PastClient,
    pool::goose_user,
    stop::{Stop, StopSender},
    tasks::Tasks,
};
use crate::{
    client::{Client, InFlight},
    recorder::Recorder,
    scenario::{Session, UserClass},
};

/// The users of all classes.
pub struct UserGroups {
    groups: Vec<Group>,
    config: ClientConfig,
    past_client: PastClient,
    saturate: bool,
    running: JoinSet<()>,
    /// Number of users started so far.
    started: usize,
}

/// The users of one class.
struct Group {
    class: &'static UserClass,
    tasks: Arc<Tasks>,
    /// The users that are not stopped, the newest last.
    users: Vec<UserHandle>,
}

struct UserHandle {
    task: tokio::task::AbortHandle,
    stop: StopSender,
    deadline: tokio::sync::watch::Sender<Option<Instant>>,
}

impl UserGroups {
    /// Returns groups without users for these `classes`. With `saturate` users have no think time.
    ///
    /// # Errors
    /// When the HTTP client cannot be initialized, or a class cannot be run.
    pub fn new(
        classes: impl IntoIterator<Item = &'static UserClass>,
        config: &ClientConfig,
        saturate: bool,
    ) -> Result<Self, EngineError> {
        goose::reset_killswitch();
        let past_client =
            PastClient::new().map_err(|error| EngineError::UserSetup(error.to_string()))?;
        let groups = classes.into_iter().map(|class| {
            Ok(Group { class, tasks: Arc::new(Tasks::new(class)?), users: Vec::new() })
        });
        Ok(Self {
            groups: groups.collect::<Result<_, EngineError>>()?,
            config: config.clone(),
            past_client,
            saturate,
            running: JoinSet::new(),
            started: 0,
        })
    }

    /// Returns the number of users of each class that are not stopped, in the order of the classes.
    pub fn counts(&self) -> impl Iterator<Item = u32> {
        self.groups.iter().map(|group| u32::try_from(group.users.len()).unwrap_or(u32::MAX))
    }

    /// Returns whether no user is left, stopped ones included.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Starts a user of the class with this index. It runs the on-start tasks of the class first.
    ///
    /// # Errors
    /// When the HTTP client cannot be initialized, or the host is not a URL.
    pub fn start_user(&mut self, class: usize) -> Result<(), EngineError> {
        let Self { groups, config, past_client, saturate, running, started } = self;
        let Group { class, tasks, users } = &mut groups[class];
        let client =
            Client::new(config).map_err(|error| EngineError::UserSetup(error.to_string()))?;
        let in_flight = client.in_flight();
        let goose_user = goose_user(class, config, client, past_client, *started, *saturate)?;
        *started += 1;
        let (stop_sender, stop) = Stop::ordered();
        let (deadline_sender, mut deadline) = tokio::sync::watch::channel(None);
        config.recorder.user_started(class.name);
        let active = ActiveUser(Arc::clone(&config.recorder));
        let user =
            User { goose_user, tasks: Arc::clone(tasks), in_flight, stop, saturate: *saturate };
        let task = running.spawn(async move {
            let _active = active;
            tokio::select! {
                biased;
                () = user.run() => {}
                () = async {
                    let deadline = deadline.wait_for(Option::is_some).await.ok().and_then(|at| *at);
                    tokio::time::sleep_until(deadline.unwrap_or_else(Instant::now).into()).await;
                } => {}
            }
        });
        users.push(UserHandle { task, stop: stop_sender, deadline: deadline_sender });
        Ok(())
    }

    /// Stops the `count` newest users of the class with this index: each finishes its request and runs the
    /// on-stop tasks. After `timeout` it is ended, and its request is lost.
    pub fn stop_users(&mut self, class: usize, count: usize, timeout: Duration) {
        let users = &mut self.groups[class].users;
        let deadline = Instant::now() + timeout;
        for user in users.drain(users.len().saturating_sub(count)..) {
            user.deadline.send_replace(Some(deadline));
            user.stop.stop();
        }
    }

    /// Stops all users, see [`Self::stop_users`].
    pub fn stop_all(&mut self, timeout: Duration) {
        for class in 0..self.groups.len() {
            self.stop_users(class, usize::MAX, timeout);
        }
    }

    /// Waits until a user has ended; for ever without users. Returns the message of a user that panicked,
    /// and no longer counts it.
    pub async fn ended(&mut self) -> Option<String> {
        let Some(ended) = self.running.join_next().await else {
            return std::future::pending().await;
        };
        let error = ended.err()?;
        for group in &mut self.groups {
            group.users.retain(|user| !user.task.is_finished());
        }
        let payload = error.try_into_panic().ok()?;
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| payload.downcast_ref::<String>().cloned())
            .or_else(|| Some("a user panicked".to_owned()))
    }

    /// Checks that no task sent a request that was not measured.
    ///
    /// # Errors
    /// When one did.
    pub fn check_requests(&self) -> Result<(), EngineError> {
        self.past_client.check()
    }
}

/// Counts a user as active until it is dropped.
struct ActiveUser(Arc<Recorder>);

impl Drop for ActiveUser {
    fn drop(&mut self) {
        self.0.user_inactive();
    }
}

struct User {
    goose_user: GooseUser,
    tasks: Arc<Tasks>,
    in_flight: InFlight,
    stop: Stop,
    saturate: bool,
}

impl User {
    async fn run(mut self) {
        let Self { goose_user, tasks, in_flight, stop, saturate } = &mut self;
        stop.run(in_flight, tasks.run_on_start(goose_user)).await;
        while !stop.has_ended() {
            let Ok(session) = Session::get(goose_user) else { return };
            let task = tasks.pick(session);
            // A task fails only because of its requests, which the client has recorded.
            let _ = stop.run(in_flight, task(goose_user)).await;
            let Ok(session) = Session::get(goose_user) else { return };
            let wait = tasks.take_think_time(session);
            if *saturate || wait.is_zero() {
                // A task that sends no request would keep the other users from running.
                yield_now().await;
                continue;
            }
            tokio::select! {
                () = sleep(wait) => {}
                () = stop.ended() => {}
            }
        }
        if tasks.has_on_stop() {
            stop.run_on_stop(in_flight, tasks.run_on_stop(goose_user)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use goose::{
        GooseError,
        goose::{Scenario, Transaction, TransactionResult},
        transaction,
    };

    use super::*;

    static CLASS: UserClass = UserClass::new("Panicking", &[], &scenario);

    fn scenario() -> Result<Scenario, GooseError> {
        Ok(Scenario::new(CLASS.name).register_transaction(transaction!(fail)))
    }

    async fn fail(_: &mut GooseUser) -> TransactionResult {
        panic!("boom")
    }

    #[tokio::test]
    async fn the_panic_of_a_user_is_returned_and_it_no_longer_counts() {
        let recorder = Arc::new(Recorder::new(1));
        let config =
            ClientConfig::new("http://127.0.0.1:9", Duration::from_secs(1), Arc::clone(&recorder));
        let mut groups = UserGroups::new([&CLASS], &config, true).unwrap();
        groups.start_user(0).unwrap();
        assert_eq!(groups.counts().collect::<Vec<u32>>(), [1]);
        assert_eq!(groups.ended().await.as_deref(), Some("boom"));
        assert_eq!(groups.counts().collect::<Vec<u32>>(), [0]);
        assert_eq!((groups.is_empty(), recorder.users()), (true, 0));
    }
}
