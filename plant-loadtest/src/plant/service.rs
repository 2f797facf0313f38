//! The health check and the metrics of Plant.

use serde_json::json;

use crate::{
    metric_names::{MetricNames, Series},
    service::{HealthCheck, Service, ServiceProcess},
};

/// Returns the description of the service.
pub(super) fn service() -> Service {
    Service {
        host: "http://127.0.0.1:8001".into(),
        health: Some(HealthCheck {
            path: "/health".into(),
            status: Some(200),
            json: vec![("/status".into(), vec![json!("healthy"), json!("degraded")])],
        }),
        metrics: Some(metric_names()),
        process: ServiceProcess::Listening,
        start_hint: "Start the service (plant-api serve) or set its address (--host)".into(),
    }
}

fn metric_names() -> MetricNames {
    let series = |name: &str, labels: &[(&str, &str)]| Some(Series::new(name, labels));
    MetricNames {
        cpus: series("process_available_cpus", &[]),
        pool_in_use: series("db_pool_connections", &[("state", "in_use")]),
        pool_idle: series("db_pool_connections", &[("state", "idle")]),
        pool_max: series("db_pool_max", &[]),
        pool_wait_seconds: series("db_pool_wait_seconds_sum", &[]),
        database_connections: series("pg_stat_database_numbackends", &[]),
        redis_connections: series("redis_pool_connections", &[]),
        requests_in_progress: series("http_requests_in_progress", &[]),
        cache_hits: series("cache_requests_total", &[("result", "hit")]),
        cache_misses: series("cache_requests_total", &[("result", "miss")]),
        queue_depth: series("queue_depth", &[]),
        logged_errors: series("log_events_total", &[("level", "error")]),
        ..MetricNames::default()
    }
}
