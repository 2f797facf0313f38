//! The worker's side of the conversation with a master.

mod master;
mod reports;
mod users;

use std::{
    future::pending,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval, sleep, sleep_until, timeout},
};

use super::{
    Settings, WorkerError,
    interrupts::Interrupts,
    link::{Link, LinkEvent, Phase},
    message::{Exception, FromMaster, SpawnOrder, State, ToMaster},
    outbox::Outbox,
    test_run::{ReadyTarget, TestRun},
};
use crate::{
    console::print_error,
    outcome::Ended,
    probe::{OwnUsage, read_own_usage},
};

/// Interval of heartbeats, as in Locust.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);

/// Heartbeats from one report of statistics to the next, as in Locust.
const HEARTBEATS_PER_REPORT: u64 = 3;

/// Heartbeats from one line of the outcome to the next.
const HEARTBEATS_PER_LINE: u64 = 2;

/// How long to wait for the reply to `client_ready`.
const REPLY_TIMEOUT: Duration = Duration::from_secs(5);

/// Number of attempts to join a master in one connection.
const ATTEMPTS_PER_CONNECTION: u32 = 3;

/// How long a user that is stopped may take at least, so that requests usually get their response. A master
/// that ends waits for the last reports for half a second.
const MIN_STOP_TIMEOUT: Duration = Duration::from_millis(300);

/// Maximum time that a user that is stopped may take.
const MAX_STOP_TIMEOUT: Duration = Duration::from_hours(24);

/// How long to wait at the end until the master has received everything.
const LAST_REPLY_TIMEOUT: Duration = Duration::from_secs(1);

/// Time to send the last message.
const LINGER: Duration = Duration::from_millis(100);

/// Number of log lines that are kept for the master.
const MAX_LOG_LINES: usize = 200;

/// The conversation.
pub(super) struct Session {
    settings: Arc<Settings>,
    node_id: String,
    link: Link,
    /// Number of node ids used so far.
    node_ids: u32,
    /// Number of times that a master did not reply to `client_ready`.
    join_attempts: u32,
    /// Last message from the master, or start of the search for one.
    heard_at: Instant,
    was_joined: bool,
    collects_outcomes: bool,
    index: Option<u32>,
    last_order: f64,
    stop_timeout: Duration,
    state: State,
    run: Option<TestRun>,
    preparing: Option<Preparing>,
    /// The latest order that is not carried out yet.
    pending: Option<SpawnOrder>,
    /// Whether the latest order is the last one of a change of the users.
    all_ordered: bool,
    outbox: Outbox,
    logs: Vec<String>,
    logs_changed: bool,
    usage: OwnUsage,
    cpu: f64,
    heartbeats: u64,
    leaving: Option<Leaving>,
}

/// The checks before a test.
struct Preparing {
    task: JoinHandle<Result<ReadyTarget, String>>,
    /// Time stamp of the last order.
    test: f64,
}

/// Why the worker ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaving {
    /// The master has ended it.
    Ordered,
    /// The process was interrupted.
    Interrupted,
}

impl Session {
    pub(super) async fn new(settings: Arc<Settings>) -> Self {
        let node_id = settings.node_id.clone();
        Self {
            link: Link::connect(&settings, &node_id),
            node_id,
            settings,
            node_ids: 1,
            join_attempts: 0,
            heard_at: Instant::now(),
            was_joined: false,
            collects_outcomes: false,
            index: None,
            last_order: 0.0,
            stop_timeout: Duration::ZERO,
            state: State::Ready,
            run: None,
            preparing: None,
            pending: None,
            all_ordered: false,
            outbox: Outbox::default(),
            logs: Vec::new(),
            logs_changed: false,
            usage: read_own_usage().await,
            cpu: 0.0,
            heartbeats: 0,
            leaving: None,
        }
    }

    /// Runs until the worker ends.
    pub(super) async fn run(mut self) -> Result<(), WorkerError> {
        let mut heartbeat = interval(HEARTBEAT_INTERVAL);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut interrupts = Interrupts::new();
        self.log(format!("connecting to Locust's master at {}", self.settings.master));
        loop {
            let next_start = self.run.as_ref().and_then(TestRun::next_start);
            tokio::select! {
                event = self.link.event() => self.link_changed(event).await,
                _ = heartbeat.tick() => self.heartbeat().await?,
                () = until(next_start) => self.start_users().await,
                panic = user_ended(&mut self.run) => self.user_ended(panic).await,
                target = prepared(&mut self.preparing) => self.prepared(target).await,
                () = interrupts.next() => {
                    if self.leaving == Some(Leaving::Interrupted) {
                        std::process::exit(130);
                    }
                    self.log("interrupted; stopping the users".into());
                    self.leave(Leaving::Interrupted).await;
                }
            }
            if self.run.as_ref().is_some_and(TestRun::has_ended) {
                self.finish_run().await?;
            }
            if let Some(leaving) = self.leaving.filter(|_| self.run.is_none()) {
                self.say_goodbye(leaving).await;
                return Ok(());
            }
        }
    }

    fn log(&mut self, line: String) {
        print_error(&line);
        if self.logs.len() == MAX_LOG_LINES {
            self.logs.remove(0);
        }
        self.logs.push(line);
        self.logs_changed = true;
    }

    /// Logs a problem, and reports it to the master as an exception.
    async fn report_problem(&mut self, problem: String) {
        self.log(problem.clone());
        let traceback = format!("worker {}\n", self.node_id);
        self.send(ToMaster::Exception(Exception { msg: problem, traceback })).await;
    }

    /// Sends a message if the master knows this worker.
    async fn send(&mut self, message: ToMaster) {
        if self.link.is_joined() {
            self.link.send(&message).await;
        }
    }

    /// Reports what is due once per second.
    async fn heartbeat(&mut self) -> Result<(), WorkerError> {
        let usage = read_own_usage().await;
        self.cpu = usage.cpu_since(&self.usage).unwrap_or(self.cpu);
        self.usage = usage;
        self.heartbeats += 1;
        self.check_master().await?;
        if self.link.is_joined() {
            self.send_heartbeat().await;
            self.report_progress().await;
        }
        if goose::is_killswitch_triggered()
            && let Some(run) = &mut self.run
        {
            run.stop(self.stop_timeout, Ended::Interrupted);
        }
        Ok(())
    }

    async fn leave(&mut self, leaving: Leaving) {
        self.leaving.get_or_insert(leaving);
        if let Some(Preparing { task, .. }) = self.preparing.take() {
            task.abort();
        }
        self.pending = None;
        // The master listens only for a moment.
        let (timeout, ended) = match leaving {
            Leaving::Ordered => (MIN_STOP_TIMEOUT, Ended::AsPlanned),
            Leaving::Interrupted => (self.stop_timeout.max(MIN_STOP_TIMEOUT), Ended::Interrupted),
        };
        if let Some(run) = &mut self.run {
            run.stop(timeout, ended);
            self.report_stats().await;
        }
    }

    /// Waits until the master has received everything.
    async fn say_goodbye(&mut self, leaving: Leaving) {
        if !self.link.is_joined() {
            return;
        }
        // The reply shows that the master has received what was sent before.
        self.send_heartbeat().await;
        let wait = async {
            while !self.outbox.has_all_replies() {
                match self.link.event().await {
                    LinkEvent::Message(Ok(FromMaster::Heartbeat)) => self.outbox.reply_received(),
                    LinkEvent::Message(_) => {}
                    _ => return,
                }
            }
        };
        let _ = timeout(LAST_REPLY_TIMEOUT, wait).await;
        if leaving == Leaving::Interrupted {
            self.link.send(&ToMaster::Quit).await;
            // No reply shows that it was sent. A master that does not receive it misses the heartbeats.
            sleep(LINGER).await;
        }
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at.into()).await,
        None => pending().await,
    }
}

async fn user_ended(run: &mut Option<TestRun>) -> Option<String> {
    match run {
        Some(run) => run.user_ended().await,
        None => pending().await,
    }
}

async fn prepared(preparing: &mut Option<Preparing>) -> Result<ReadyTarget, String> {
    match preparing {
        Some(Preparing { task, .. }) => {
            task.await.unwrap_or_else(|error| Err(format!("the checks failed: {error}")))
        }
        None => pending().await,
    }
}
