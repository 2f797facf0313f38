//! A worker of Locust's master: runs as many users of each class as the master orders, and reports what they
//! do. It speaks the protocol of Locust 2, so that an unmodified master with a locustfile of the same class
//! names ([`locustfile`]) drives it.

mod connection;
mod interrupts;
mod link;
pub mod locustfile;
pub mod message;
mod outbox;
mod session;
mod statistics;
mod test_run;
mod timeline;

use std::{sync::Arc, time::Duration};

use crate::{class_options::ClassOptions, profile::Plan, service::Service, sla::Sla};

/// Settings of a worker.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The user classes, and how requests are sent. The load comes from the master.
    pub plan: Plan,
    /// Thresholds to judge the outcome by.
    pub sla: Sla,
    /// The service: its health check and metrics.
    pub service: Service,
    /// Base URL of the service, unless the master orders another one.
    pub host: String,
    /// Whether the service may be on another machine.
    pub allow_remote: bool,
    /// Password of the test accounts, for the checks of the user classes.
    pub password: Option<String>,
    /// Values of the program's options, for the user classes and their checks.
    pub options: ClassOptions,
    /// Address of the master, `host:port`.
    pub master: String,
    /// How long the master may be silent before the users are stopped.
    pub master_timeout: Duration,
    /// How long to look for a master.
    pub search_timeout: Duration,
    /// Node id, which no other worker of the master has.
    pub node_id: String,
}

/// Error that ends a worker.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// No master replied for too long.
    #[error("no master replied at {0} for {1} seconds")]
    NoMaster(String, u64),
    /// A task sent requests that were not measured.
    #[error("{0}")]
    NotMeasured(String),
}

/// Runs a worker until the master ends it, or the process is interrupted.
///
/// # Errors
/// When no master replies, or a task sent requests that were not measured.
pub async fn run(settings: Settings) -> Result<(), WorkerError> {
    session::Session::new(Arc::new(settings)).await.run().await
}
