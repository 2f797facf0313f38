//! One test: from the first order of users until all have stopped.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use chrono::{DateTime, SubsecRound as _, Utc};

use super::{
    Settings,
    message::{OutcomeLine, StatsReport, UserCounts, UserReport},
    statistics,
    timeline::Timeline,
};
use crate::{
    access::{self, Account},
    client::{self, ClientConfig},
    engine::user_groups::UserGroups,
    journal::JournalLines,
    outcome::{Ended, RunStart, Target},
    probe::{self, Exposition, Probe},
    recorder::Recorder,
    run,
    scenario::CheckContext,
    service::Service,
    target,
};

/// Timeout for one request of the checks before a test.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);

/// Time in which the users of one order start, one after the other. Less than the second after which a master
/// reports that users are missing.
const START_TIME: Duration = Duration::from_millis(500);

/// Number of workers of a group that sample the service. All sample themselves. Two, so that one may be lost.
const SAMPLING_WORKERS: u32 = 2;

/// Number of workers of a group. A master never gives the number of a worker to another one, so that those of
/// the workers that are left may be high.
const SAMPLING_GROUP: u32 = 16;

/// Number of users that one worker runs at most.
const MAX_USERS: u64 = 50_000;

/// Open files that are not sockets of users.
const RESERVED_OPEN_FILES: u64 = 256;

/// A service that has passed the checks.
pub(super) struct ReadyTarget {
    host: String,
    http: reqwest::Client,
    service: Service,
    accounts: Arc<[Arc<Account>]>,
    metrics: Exposition,
}

impl ReadyTarget {
    /// Checks the service at `host`, which the worker with this `index` shall load.
    ///
    /// # Errors
    /// Returns a message if it may not be loaded, or is not ready.
    pub(super) async fn check(
        settings: Arc<Settings>,
        host: String,
        index: Option<u32>,
    ) -> Result<Self, String> {
        let host = target::parse_address(&host, settings.allow_remote)
            .await
            .map_err(|error| error.to_string())?;
        let timeout = settings.plan.timeout.min(CHECK_TIMEOUT);
        let http = client::checks_client(&host, timeout, &settings.plan.http)
            .map_err(|error| error.to_string())?;
        let context = CheckContext {
            http: http.clone(),
            host: host.clone(),
            password: settings.password.clone(),
            options: settings.options.clone(),
            accounts: Vec::new(),
        };
        let accounts = run::check_target(&settings.plan, &settings.service, context)
            .await
            .map_err(|error| error.to_string())?;
        let mut service = settings.service.clone();
        if index.is_some_and(|index| index % SAMPLING_GROUP >= SAMPLING_WORKERS) {
            service.metrics = None;
        }
        let metrics = probe::first_scrape(&http, &host, service.metrics.as_ref()).await;
        Ok(Self { host, http, service, accounts, metrics })
    }
}

/// A test.
pub(super) struct TestRun {
    test: f64,
    /// Node id of the worker at the start of the test.
    node_id: String,
    class_names: Vec<&'static str>,
    recorder: Arc<Recorder>,
    groups: UserGroups,
    probe: Probe,
    journal: JournalLines,
    timeline: Timeline,
    /// Users ordered of each class.
    targets: Vec<u32>,
    /// When to start users, and of which class.
    starts: VecDeque<(Instant, usize)>,
    reported_at: SystemTime,
    lines: u64,
    /// How the test ends; `None` until it is stopped.
    ending: Option<Ended>,
    /// Whether it had fewer users than ordered, or requests that were not measured.
    is_incomplete: bool,
}

impl TestRun {
    /// Starts a test without users, the last order of which had this time stamp.
    ///
    /// # Errors
    /// Returns a message if a class cannot be run.
    pub(super) fn start(
        settings: &Settings,
        target: ReadyTarget,
        node_id: &str,
        test: f64,
    ) -> Result<Self, String> {
        let plan = &settings.plan;
        let ReadyTarget { host, http, service, accounts, metrics } = target;
        let recorder = Arc::new(Recorder::new(probe::available_cpus()).with_intervals());
        let mut config = ClientConfig::new(&host, plan.timeout, Arc::clone(&recorder));
        config.accounts = Arc::clone(&accounts);
        config.http = plan.http.clone();
        config.options = settings.options.clone();
        let classes = plan.classes.iter().map(|weighted| weighted.class);
        let groups =
            UserGroups::new(classes, &config, plan.saturate).map_err(|error| error.to_string())?;

        // The seconds of all workers are those of the clock, so that their cells can be merged.
        let now = DateTime::<Utc>::from(SystemTime::now());
        let started_at = now.trunc_subsecs(0);
        let part = (now - started_at).to_std().unwrap_or_default();
        recorder.start(Instant::now().checked_sub(part).unwrap_or_else(Instant::now));
        let probe = Probe::start(http, &host, &service, &metrics, Arc::clone(&recorder));
        let start = RunStart {
            load: run::describe_load(plan, &[], &recorder),
            target: Target {
                host,
                build: metrics.labels("build_info").unwrap_or_default(),
                access: access::summary(&accounts),
                healthy_after_s: None,
                // A worker may have to end at once, so nobody waits for it.
                health_cut_short: true,
                queue_after: None,
            },
            generator: probe::describe_generator(run::raise_open_files(0)),
            started_at,
            endpoints: recorder.merge(&run::endpoint_names(plan)).0,
            counters: recorder.counters(&run::counter_names(plan)),
            sla: settings.sla.clone(),
        };
        let journal = JournalLines::new(start, Arc::clone(&recorder), probe.samples());
        Ok(Self {
            test,
            node_id: node_id.to_owned(),
            class_names: plan.classes.iter().map(|weighted| weighted.class.name).collect(),
            targets: vec![0; plan.classes.len()],
            recorder,
            groups,
            probe,
            journal,
            timeline: Timeline::default(),
            starts: VecDeque::new(),
            reported_at: SystemTime::now(),
            lines: 0,
            ending: None,
            is_incomplete: false,
        })
    }

    fn elapsed(&self) -> Duration {
        self.recorder.started_at().map_or(Duration::ZERO, |start| start.elapsed())
    }

    /// Starts and stops users until there are as many of each class as ordered. A user that is stopped has
    /// `timeout` to finish. Returns what of the order cannot be run.
    pub(super) fn order(&mut self, counts: &UserCounts, timeout: Duration) -> Vec<String> {
        let mut problems = Vec::new();
        for name in counts.keys().filter(|name| !self.class_names.contains(&name.as_str())) {
            problems.push(format!(
                "there is no user class {name}; this worker runs {}",
                self.class_names.join(", ")
            ));
        }
        let ordered = |name: &&str| counts.get(*name).copied().unwrap_or_default();
        let mut targets: Vec<u32> = self.class_names.iter().map(ordered).collect();
        let users: u64 = targets.iter().map(|count| u64::from(*count)).sum();
        let limit = max_users(users);
        if users > limit {
            problems.push(format!(
                "{users} users are ordered, and this worker runs {limit} at most: so many files may it \
                 open, and no process more than {MAX_USERS}; start more workers"
            ));
            for target in &mut targets {
                *target = u32::try_from(u64::from(*target) * limit / users).unwrap_or(u32::MAX);
            }
        }
        self.is_incomplete |= !problems.is_empty();
        if targets != self.targets {
            let users = targets.iter().fold(0, |users: u32, count| users.saturating_add(*count));
            self.timeline.change(self.elapsed(), users);
        }
        self.targets = targets;
        let counts: Vec<u32> = self.groups.counts().collect();
        for (class, (count, target)) in counts.iter().zip(&self.targets).enumerate() {
            self.groups.stop_users(class, count.saturating_sub(*target) as usize, timeout);
        }
        self.plan_starts();
        problems
    }

    /// Spreads the starts of the missing users over a time, the classes in turns.
    fn plan_starts(&mut self) {
        let counts = self.groups.counts().zip(&self.targets);
        let mut missing: Vec<u32> =
            counts.map(|(count, target)| target.saturating_sub(count)).collect();
        let total: u32 = missing.iter().sum();
        let now = Instant::now();
        self.starts.clear();
        while missing.iter().any(|missing| *missing > 0) {
            for (class, missing) in missing.iter_mut().enumerate().filter(|(_, left)| **left > 0) {
                *missing -= 1;
                let number = u32::try_from(self.starts.len()).unwrap_or(u32::MAX);
                self.starts.push_back((now + START_TIME * number / total, class));
            }
        }
    }

    /// Returns when the next user starts; `None` if all have.
    pub(super) fn next_start(&self) -> Option<Instant> {
        self.starts.front().map(|(at, _)| *at)
    }

    /// Starts the users whose time has come.
    ///
    /// # Errors
    /// Returns a message if one cannot be started. The others of the order are then left out.
    pub(super) fn start_users(&mut self) -> Result<(), String> {
        let now = Instant::now();
        while let Some((_, class)) = self.starts.pop_front_if(|(at, _)| *at <= now) {
            if let Err(error) = self.groups.start_user(class) {
                self.starts.clear();
                self.is_incomplete = true;
                return Err(error.to_string());
            }
        }
        Ok(())
    }

    /// Starts users instead of those that panicked.
    pub(super) fn replace_users(&mut self) {
        if self.starts.is_empty() && self.ending.is_none() && !self.is_complete() {
            self.plan_starts();
        }
    }

    /// Returns whether exactly the ordered users run.
    pub(super) fn is_complete(&self) -> bool {
        self.groups.counts().eq(self.targets.iter().copied())
    }

    /// Records that all users are ordered and have started.
    pub(super) fn complete(&mut self) {
        self.timeline.complete(self.elapsed());
    }

    /// Stops all users, each within `timeout`. The test is `ended` in this way.
    pub(super) fn stop(&mut self, timeout: Duration, ended: Ended) {
        self.starts.clear();
        self.groups.stop_all(timeout);
        if self.ending.is_none() {
            self.ending = Some(ended);
            self.timeline.finish(self.elapsed());
        }
    }

    /// Records that some requests were not measured.
    pub(super) fn fail(&mut self) {
        self.is_incomplete = true;
    }

    /// Returns whether the test is being stopped.
    pub(super) fn is_stopping(&self) -> bool {
        self.ending.is_some()
    }

    /// Returns whether the test was stopped and the last user has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.is_stopping() && self.groups.is_empty()
    }

    /// Waits until a user has ended. Returns the message of one that panicked.
    pub(super) async fn user_ended(&mut self) -> Option<String> {
        self.groups.ended().await
    }

    /// Checks that the requests of all users were measured.
    ///
    /// # Errors
    /// Returns a message if one was not.
    pub(super) fn check_requests(&self) -> Result<(), String> {
        self.groups.check_requests().map_err(|error| error.to_string())
    }

    /// Returns the users by class.
    pub(super) fn users(&self) -> UserReport {
        let counts = self.class_names.iter().zip(self.groups.counts());
        let counts: UserCounts = counts.map(|(name, count)| ((*name).to_owned(), count)).collect();
        UserReport { user_count: counts.values().sum(), user_classes_count: counts }
    }

    /// Returns the statistics since the last report.
    pub(super) fn report(&mut self) -> StatsReport {
        let since = std::mem::replace(&mut self.reported_at, SystemTime::now());
        statistics::report(&self.recorder.take_interval(), since, self.users())
    }

    /// Returns the first line of the outcome.
    pub(super) fn first_line(&mut self) -> OutcomeLine {
        let line = self.journal.header();
        self.number_line(line)
    }

    /// Returns the next line of the outcome.
    pub(super) fn next_line(&mut self) -> Option<OutcomeLine> {
        let line = self.journal.next_line(&self.timeline.stages(self.elapsed()))?;
        Some(self.number_line(line))
    }

    /// Returns the last line of the outcome of a test that has ended.
    pub(super) fn last_line(&mut self) -> Option<OutcomeLine> {
        let ended = self.ending.filter(|_| !self.is_incomplete).unwrap_or(Ended::Interrupted);
        let line = self.journal.last_line(&self.timeline.stages(self.elapsed()), ended)?;
        Some(self.number_line(line))
    }

    fn number_line(&mut self, line: String) -> OutcomeLine {
        let number = self.lines;
        self.lines += 1;
        OutcomeLine { node_id: self.node_id.clone(), test: self.test, number, line }
    }

    /// Ends sampling.
    pub(super) fn end(self) {
        let _ = self.probe.stop();
    }
}

/// Returns how many of these users one process can run.
fn max_users(users: u64) -> u64 {
    let wanted = u32::try_from(users.min(MAX_USERS)).unwrap_or(u32::MAX);
    let files = run::raise_open_files(wanted);
    let by_files = files.map_or(MAX_USERS, |files| files.saturating_sub(RESERVED_OPEN_FILES));
    by_files.clamp(1, MAX_USERS)
}
