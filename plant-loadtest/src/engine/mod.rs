//! The load engines, one for each load model and one for fixed numbers of iterations, which start the tasks of the user classes. They do not
//! handle results: the clients pass those to the recorder.

pub mod arrival_times;
pub mod closed;
pub mod control;
pub mod iterations;
pub mod open;
mod past_client;
mod pool;
mod stop;
mod tasks;
pub mod user_groups;

use goose::GooseError;

use crate::profile::Plan;

pub use crate::client::ClientConfig;
pub use stop::interrupted;

/// Error of a load engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Goose rejects the plan or a scenario.
    #[error(transparent)]
    Goose(#[from] GooseError),
    /// A user class has a setting that has no effect, or no task.
    #[error("user class {class} cannot be run: {reason}")]
    Class {
        /// Name of the class.
        class: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The HTTP client cannot be initialized, or the host is not a valid URL.
    #[error("a virtual user could not be started: {0}")]
    UserSetup(String),
    /// The operating system cannot create a thread.
    #[error("the thread that dispatches arrivals could not be started: {0}")]
    Thread(#[from] std::io::Error),
    /// The control of the users cannot be set up.
    #[error("the control of the users could not be set up: {0}")]
    Control(std::io::Error),
    /// A task sent a request that was not measured.
    #[error(
        "a task sent a request to {url} with Goose's own client, where it is not measured; send requests \
         with the client of the session"
    )]
    SentPastClient {
        /// Base URL of the first such request.
        url: String,
    },
}

/// Checks that the user classes of `plan` can be run.
///
/// # Errors
/// When Goose rejects a scenario, or one has a setting that has no effect.
pub fn check(plan: &Plan) -> Result<(), EngineError> {
    plan.classes.iter().try_for_each(|weighted| tasks::Tasks::new(weighted.class).map(|_| ()))
}
