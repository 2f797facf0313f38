//! The agent itself: health, settings, capabilities.

pub(super) mod routes;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Agent, sql};
use crate::metrics::VERSION;
use crate::redis::RedisStatus;
use crate::state::AppState;

/// Value of `agent_type`.
const AGENT_TYPE: &str = "performance";

/// Timeout of the check of a component.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);

/// Jobs that no worker has claimed for this time have none.
const MAX_CLAIM_DELAY: Duration = Duration::from_secs(5);

/// State of the service or of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ComponentStatus {
    Healthy,
    /// It works, but slowly or without something that it can do without.
    Degraded,
    Unhealthy,
    NotConfigured,
}

/// Health of the agent, by the last heartbeats.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct AgentHealth {
    /// `unhealthy` without the database, `degraded` without Redis.
    pub status: ComponentStatus,
    /// Current time.
    pub timestamp: DateTime<Utc>,
    /// Version of the service.
    #[schema(example = "0.1.0")]
    pub version: &'static str,
    #[schema(example = "performance-agent-8001")]
    pub agent_id: String,
    /// Always `performance`.
    #[schema(example = "performance")]
    pub agent_type: &'static str,
    /// Time since the start of the process.
    #[schema(example = 3600.5)]
    pub uptime_seconds: f64,
}

/// Health of the agent and of what it depends on.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct DetailedAgentHealth {
    #[serde(flatten)]
    pub health: AgentHealth,
    pub components: AgentComponents,
}

/// Components, measured for this response.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct AgentComponents {
    /// A statement on a connection of the request pool.
    pub database: AgentComponent,
    /// A `PING`.
    pub redis: AgentComponent,
    /// Workers of all processes; the latency is the time that the oldest ready job has waited.
    pub worker: AgentComponent,
}

/// A component.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, utoipa::ToSchema)]
pub struct AgentComponent {
    pub status: ComponentStatus,
    /// Null if the component does not respond.
    #[schema(example = 0.8)]
    pub latency_ms: Option<f64>,
}

/// Settings of the agent and of the service.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct AgentConfiguration {
    #[schema(example = "performance-agent-8001")]
    pub agent_id: String,
    /// Always `performance`.
    #[schema(example = "performance")]
    pub agent_type: &'static str,
    /// Port of the service.
    #[schema(example = 8001)]
    pub port: u16,
    #[schema(example = "info")]
    pub log_level: String,
    #[schema(example = "development")]
    pub environment: String,
    /// Version of the service.
    #[schema(example = "0.1.0")]
    pub version: &'static str,
    /// The settings in effect that are no secrets, by their environment variables.
    pub effective: Map<String, Value>,
}

/// What the agent can do.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Capabilities {
    #[schema(example = json!(["metrics_collection"]))]
    pub capabilities: &'static [&'static str],
    /// Kinds of targets: `self` and one for each list entry of `PLANT_AGENT_TARGETS`.
    #[schema(example = json!(["self"]))]
    pub supported_targets: Vec<String>,
    /// Names of the changes that a plan can have.
    #[schema(example = json!(["cache"]))]
    pub optimization_types: Vec<String>,
    /// What a workflow can do.
    #[schema(example = json!(["approval"]))]
    pub workflow_features: &'static [&'static str],
}

/// Returns the health by the last heartbeats, without any query.
pub fn health(state: &AppState, agent: &Agent) -> AgentHealth {
    let status = match (state.db.is_up(), state.queue.redis().status()) {
        (false, _) => ComponentStatus::Unhealthy,
        (true, RedisStatus::Unavailable) => ComponentStatus::Degraded,
        (true, _) => ComponentStatus::Healthy,
    };
    AgentHealth {
        status,
        timestamp: state.clock.now(),
        version: VERSION,
        agent_id: agent.settings().id.clone(),
        agent_type: AGENT_TYPE,
        uptime_seconds: agent.uptime().as_secs_f64(),
    }
}

/// Returns the health after measuring each component.
pub async fn detailed_health(state: &AppState, agent: &Agent) -> DetailedAgentHealth {
    let (database, redis, worker) =
        tokio::join!(check_database(state), check_redis(state), check_workers(state));
    let health = health(state, agent);
    let status = if database.status == ComponentStatus::Unhealthy {
        ComponentStatus::Unhealthy
    } else if [redis.status, worker.status]
        .iter()
        .all(|status| matches!(status, ComponentStatus::Healthy | ComponentStatus::NotConfigured))
    {
        ComponentStatus::Healthy
    } else {
        ComponentStatus::Degraded
    };
    DetailedAgentHealth {
        health: AgentHealth { status, ..health },
        components: AgentComponents { database, redis, worker },
    }
}

async fn check_database(state: &AppState) -> AgentComponent {
    let check = async {
        let mut connection = state.db.acquire().await.ok()?;
        sql::ping(&mut *connection).await.ok()
    };
    measured(check).await
}

async fn check_redis(state: &AppState) -> AgentComponent {
    let redis = state.queue.redis();
    if redis.status() == RedisStatus::NotConfigured {
        return AgentComponent { status: ComponentStatus::NotConfigured, latency_ms: None };
    }
    measured(async { redis.ping().await.then_some(()) }).await
}

async fn check_workers(state: &AppState) -> AgentComponent {
    let check = async {
        let mut connection = state.db.acquire_monitor().await.ok()?;
        sql::find_claim_delay(&mut *connection).await.ok()
    };
    match tokio::time::timeout(CHECK_TIMEOUT, check).await {
        Ok(Some(seconds)) => AgentComponent {
            status: if seconds > MAX_CLAIM_DELAY.as_secs_f64() {
                ComponentStatus::Degraded
            } else {
                ComponentStatus::Healthy
            },
            latency_ms: Some(seconds * 1000.0),
        },
        _ => AgentComponent { status: ComponentStatus::Unhealthy, latency_ms: None },
    }
}

async fn measured(check: impl Future<Output = Option<()>>) -> AgentComponent {
    let started = Instant::now();
    match tokio::time::timeout(CHECK_TIMEOUT, check).await {
        Ok(Some(())) => AgentComponent {
            status: ComponentStatus::Healthy,
            latency_ms: Some(started.elapsed().as_secs_f64() * 1000.0),
        },
        _ => AgentComponent { status: ComponentStatus::Unhealthy, latency_ms: None },
    }
}

/// Returns the settings in effect that are no secrets.
pub fn configuration(agent: &Agent) -> AgentConfiguration {
    let settings = agent.settings();
    AgentConfiguration {
        agent_id: settings.id.clone(),
        agent_type: AGENT_TYPE,
        port: settings.port,
        log_level: settings.log_level.clone(),
        environment: settings.environment.clone(),
        version: VERSION,
        effective: settings.public.clone(),
    }
}

/// Returns what the agent can do.
pub fn capabilities(agent: &Agent) -> Capabilities {
    let settings = agent.settings();
    let endpoints = settings.public.get("PLANT_AGENT_TARGETS").and_then(Value::as_str);
    let endpoints = endpoints.unwrap_or_default().split(',').map(str::trim);
    let endpoints = endpoints.filter(|entry| !entry.is_empty()).map(str::to_owned);
    // Sorted, each once.
    let optimization_types: BTreeSet<&str> =
        settings.rules.iter().flat_map(|set| &set.changes).map(|change| &*change.name).collect();
    Capabilities {
        capabilities: &["metrics_collection", "analysis", "optimization", "workflows"],
        supported_targets: std::iter::once("self".to_owned()).chain(endpoints).collect(),
        optimization_types: optimization_types.into_iter().map(str::to_owned).collect(),
        workflow_features: &["approval", "staged_rollout", "monitoring", "rollback", "resumption"],
    }
}
