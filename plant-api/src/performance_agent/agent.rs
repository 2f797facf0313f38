//! The handle of the performance agent: what it needs besides the state of the service.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::rules::RuleSets;
use crate::config::{Config, HostRule};
use crate::error::{Error, Result};
use crate::http_client::{AllowedHosts, HttpClient, Reach};

/// Largest exposition that is read, in bytes.
const MAX_EXPOSITION_BYTES: usize = 4 * 1024 * 1024;

/// Maximum number of collections that run at once in this process.
const MAX_COLLECTIONS: usize = 4;

/// `Retry-After` while too many collections run.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The performance agent of a process. Clones share the state.
#[derive(Clone)]
pub struct Agent(Arc<Inner>);

struct Inner {
    settings: AgentSettings,
    started: Instant,
    targets: AllowedHosts,
    public: HttpClient,
    any: HttpClient,
    collections: Arc<Semaphore>,
}

/// Permit for one collection, while it exists.
#[derive(Debug)]
pub struct CollectionPermit(
    #[expect(dead_code, reason = "released when dropped")] OwnedSemaphorePermit,
);

/// Settings of the performance agent, and the rules that were read at the start.
#[derive(Debug, Clone)]
pub struct AgentSettings {
    pub id: String,
    /// Port of the service.
    pub port: u16,
    pub environment: String,
    pub log_level: String,
    /// The settings of the service that may be shown, by their environment variables.
    pub public: Map<String, Value>,
    /// Time between the two readings of a snapshot.
    pub interval: Duration,
    /// Hosts whose endpoints may be read.
    pub targets: Vec<HostRule>,
    pub rules: RuleSets,
}

impl AgentSettings {
    /// Returns the settings of a service that listens on `port`.
    pub fn new(config: &Config, port: u16, rules: RuleSets) -> Self {
        let text = |name: &str| {
            config.public.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let id = config.agent.id.clone();
        Self {
            id: id.unwrap_or_else(|| format!("performance-agent-{port}")),
            port,
            environment: text("ENVIRONMENT"),
            log_level: config.log.level.clone(),
            public: config.public.clone(),
            interval: config.agent.interval,
            targets: config.agent.targets.clone(),
            rules,
        }
    }
}

impl Agent {
    pub fn new(settings: AgentSettings) -> Self {
        let targets =
            AllowedHosts::new(settings.targets.clone(), "the target", "PLANT_AGENT_TARGETS");
        let client = |reach| HttpClient::new(reach).with_max_response_bytes(MAX_EXPOSITION_BYTES);
        Self(Arc::new(Inner {
            settings,
            started: Instant::now(),
            targets,
            public: client(Reach::Public),
            any: client(Reach::Any),
            collections: Arc::new(Semaphore::new(MAX_COLLECTIONS)),
        }))
    }

    pub fn settings(&self) -> &AgentSettings {
        &self.0.settings
    }

    pub fn uptime(&self) -> Duration {
        self.0.started.elapsed()
    }

    pub(super) fn targets(&self) -> &AllowedHosts {
        &self.0.targets
    }

    /// Returns the client for targets of this reach.
    pub(super) fn client(&self, reach: Reach) -> &HttpClient {
        match reach {
            Reach::Public => &self.0.public,
            Reach::Any => &self.0.any,
        }
    }

    /// Returns a permit for one collection.
    ///
    /// # Errors
    /// [`Error::RateLimited`] if too many run.
    pub(super) fn permit_collection(&self) -> Result<CollectionPermit> {
        let permit = self.0.collections.clone().try_acquire_owned();
        permit.map(CollectionPermit).map_err(|_| Error::RateLimited {
            what: "too many collections of metrics run",
            retry_after: RETRY_AFTER,
        })
    }

    /// Returns a permit for one collection; waits while too many run.
    ///
    /// # Errors
    /// [`Error::Internal`] if the process is about to exit.
    pub(super) async fn wait_for_collection(&self) -> Result<CollectionPermit> {
        let permit = self.0.collections.clone().acquire_owned().await;
        permit.map(CollectionPermit).map_err(|error| Error::Internal(Box::new(error)))
    }
}
