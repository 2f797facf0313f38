//! User classes: what a virtual user does, and what must be checked before.
//!
//! A class is a Goose scenario. Its tasks (Goose: transactions) take everything they need from the
//! [`Session`] of the user that runs them, so that the same scenario runs in both engines.

mod check;
pub mod data;
pub mod ping_user;
pub mod selftest_user;
mod user_login;
pub mod working_user;

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use goose::{
    GooseError,
    goose::{GooseUser, Scenario, Transaction, TransactionError, TransactionResult},
};
use hyper::http::Extensions;

use crate::{
    access::Account,
    class_options::ClassOptions,
    client::{Client, Endpoint},
    load::Stage,
    sla::AllowedNames,
    work::WorkKind,
};

pub use check::{Check, CheckContext, CheckFuture};
pub use user_login::UserLogin;

/// Prepares the session of a new user; gets the accounts that the checks logged in.
pub type StartUser = fn(&mut Session, &[Arc<Account>]);

/// A kind of virtual user: its tasks, its think time and what it requires.
pub struct UserClass {
    /// Name in profiles and reports.
    pub name: &'static str,
    /// One-line description, printed by `list`.
    pub description: &'static str,
    /// Names of the custom counters that its tasks increment ([`Client::count`]).
    pub counters: &'static [&'static str],
    /// Minimum and maximum think time between two tasks; closed model only.
    pub wait: (Duration, Duration),
    /// Every endpoint that the tasks request. SLA files can only name these.
    pub endpoints: &'static [&'static Endpoint],
    /// Names of the endpoints that only users who start or stop request. Thresholds of all endpoints (`*`)
    /// do not apply to them.
    pub outside_tasks: &'static [&'static str],
    /// Checks of the service before a run, in this order. A check that several classes name runs
    /// once.
    pub checks: &'static [&'static Check],
    /// Prepares the session of a new user. The accounts are those that the checks logged in; without
    /// any the service requires no authentication.
    pub start_user: Option<StartUser>,
    /// Kinds of work that the service accepts from the tasks and completes later. The run waits until
    /// it has ended.
    pub work_kinds: &'static [&'static WorkKind],
    /// Builds the Goose scenario: tasks and weights.
    pub scenario: &'static (dyn Fn() -> Result<Scenario, GooseError> + Sync),
}

impl UserClass {
    /// Returns a class without think time, checks, counters and accepted work. Its scenario may request
    /// these `endpoints`.
    #[must_use]
    pub const fn new(
        name: &'static str,
        endpoints: &'static [&'static Endpoint],
        scenario: &'static (dyn Fn() -> Result<Scenario, GooseError> + Sync),
    ) -> Self {
        Self {
            name,
            description: "",
            counters: &[],
            wait: (Duration::ZERO, Duration::ZERO),
            endpoints,
            outside_tasks: &[],
            checks: &[],
            start_user: None,
            work_kinds: &[],
            scenario,
        }
    }
}

impl fmt::Debug for UserClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserClass").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Returns the names that an SLA of a run with these `classes` and `stages` may contain.
#[must_use]
pub fn allowed_names<'s>(classes: &[&'static UserClass], stages: &'s [Stage]) -> AllowedNames<'s> {
    let endpoints = || classes.iter().flat_map(|class| class.endpoints);
    let requests = |class: &&&UserClass, name: &str| {
        class.endpoints.iter().any(|endpoint| endpoint.name == name)
    };
    let is_outside = |name: &&str| {
        let mut requesting = classes.iter().filter(|class| requests(class, name));
        requesting.all(|class| class.outside_tasks.contains(name))
    };
    AllowedNames {
        endpoints: endpoints().map(|endpoint| endpoint.name).collect(),
        outside_tasks: endpoints().map(|endpoint| endpoint.name).filter(is_outside).collect(),
        classes: classes.iter().map(|class| class.name).collect(),
        tags: endpoints().flat_map(|endpoint| endpoint.tags).copied().collect(),
        counters: classes.iter().flat_map(|class| class.counters).copied().collect(),
        work: classes.iter().flat_map(|class| class.work_kinds).map(|work| work.name).collect(),
        stages: stages.iter().map(|stage| stage.name.as_str()).collect(),
        ..AllowedNames::default()
    }
}

/// Result of a task, later.
pub(crate) type TaskFuture<'u> = Pin<Box<dyn Future<Output = TransactionResult> + Send + 'u>>;

/// Returns a Goose transaction that calls `run`.
pub(crate) fn transaction(
    run: impl for<'u> Fn(&'u mut GooseUser) -> TaskFuture<'u> + Send + Sync + 'static,
) -> Transaction {
    Transaction::new(Arc::new(run))
}

/// Picks a random duration between minimum and maximum.
pub(crate) fn pick_wait((from, to): (Duration, Duration)) -> Duration {
    from + (to - from).mul_f64(fastrand::f64())
}

/// Session data (Goose's term) of one virtual user, shared by its tasks.
#[derive(Clone, Debug)]
pub struct Session {
    /// HTTP client of this user.
    pub client: Client,
    /// Values of the program's options.
    pub options: ClassOptions,
    /// What the tasks of a class keep between them, one value of each type.
    pub extensions: Extensions,
}

impl Session {
    /// Returns the session data of a new user of `class`. `accounts` are those that the checks logged
    /// in, `options` the values of the program's options.
    #[must_use]
    pub fn new(
        class: &UserClass,
        client: Client,
        accounts: &[Arc<Account>],
        options: ClassOptions,
    ) -> Self {
        let mut session = Self { client, options, extensions: Extensions::new() };
        if let Some(start_user) = class.start_user {
            start_user(&mut session, accounts);
        }
        session
    }

    /// Returns the session data of `user`.
    ///
    /// # Errors
    /// When the engine has not set any.
    pub fn get(user: &mut GooseUser) -> Result<&mut Self, Box<TransactionError>> {
        user.get_session_data_mut()
            .ok_or_else(|| "the engine has set no session for this user".into())
    }
}

/// Think time that a task sets in the session for the time after it, instead of that of the class.
#[derive(Clone, Copy, Debug)]
pub struct ThinkTime(pub Duration);

/// Think time that a class draws itself for the time after a task that sets none. Unlike [`ThinkTime`] it
/// is left out where users have no think time of their class.
#[derive(Clone, Copy, Debug)]
pub struct ClassThinkTime(pub Duration);

/// Is in the session of users that have no think time at all.
#[derive(Clone, Copy, Debug)]
pub struct Saturate;
