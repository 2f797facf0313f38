//! The settings that may be shown: neither secrets nor URLs, which can contain credentials.

use serde_json::{Map, Value};

use super::Options;

impl Options {
    /// Returns the settings that are no secrets, by their environment variables. A new setting is
    /// listed here, or in the test as one that is not shown.
    pub(super) fn public(&self) -> Map<String, Value> {
        let Self { connections, worker, provider, writer, desk, agent, log, traces, .. } = self;
        let settings = [
            ("PLANT_LISTEN", &self.listen),
            ("DATABASE_POOL_SIZE", &self.database.database_pool_size),
            ("REDIS_CACHE_TTL", &self.redis_cache_ttl),
            ("PLANT_ACCESS", &self.access),
            ("PLANT_REQUIRE_VERIFICATION", &self.require_verification),
            ("PLANT_HASH_THREADS", &self.hash_threads),
            ("PLANT_RATE_LIMIT", &self.rate_limit),
            ("ENVIRONMENT", &self.environment),
            ("PLANT_CORS_ORIGINS", &self.cors_origins),
            ("PLANT_REQUEST_TIMEOUT", &self.request_timeout),
            ("PLANT_BODY_LIMIT", &self.body_limit),
            ("PLANT_MAX_CONNECTIONS", &connections.max_connections),
            ("PLANT_CONNECTIONS_PER_ADDRESS", &connections.connections_per_address),
            ("PLANT_CLIENT_TIMEOUT", &connections.client_timeout),
            ("PLANT_SHUTDOWN_GRACE", &connections.shutdown_grace),
            ("PLANT_DRAIN_TIMEOUT", &connections.drain_timeout),
            ("PLANT_WORK", &worker.work),
            ("PLANT_WORK_LISTEN", &worker.work_listen),
            ("PLANT_ENHANCEMENT_WORKERS", &worker.enhancement_workers),
            ("PLANT_MODEL_LATENCY_MS", &worker.model_latency_ms),
            ("PLANT_MODEL_SPREAD", &worker.model_spread),
            ("PLANT_MODEL_FAILURE_RATE", &worker.model_failure_rate),
            ("PLANT_MODEL_SEED", &worker.model_seed),
            ("PLANT_PAYMENT_DELAY_MS", &provider.payment_delay_ms),
            ("PLANT_PAYMENT_DECLINE_RATE", &provider.payment_decline_rate),
            ("PLANT_PAYMENT_REFUND_RATE", &provider.payment_refund_rate),
            ("PLANT_PAYMENT_REPEAT_RATE", &provider.payment_repeat_rate),
            ("PLANT_PAYMENT_REORDER_RATE", &provider.payment_reorder_rate),
            ("PLANT_PAYMENT_LATE_RATE", &provider.payment_late_rate),
            ("PLANT_PAYMENT_SEED", &provider.payment_seed),
            ("PLANT_WRITER_MODEL", &writer.writer_model),
            ("PLANT_WRITER_MIN_LATENCY_MS", &writer.writer_min_latency_ms),
            ("PLANT_WRITER_MAX_LATENCY_MS", &writer.writer_max_latency_ms),
            ("PLANT_WRITER_FAILURE_RATE", &writer.writer_failure_rate),
            ("PLANT_WRITER_SEED", &writer.writer_seed),
            ("PLANT_DESK_HOSTS", &desk.desk_hosts),
            ("PLANT_AGENT_ID", &agent.agent_id),
            ("PLANT_AGENT_TARGETS", &agent.agent_targets),
            ("PLANT_AGENT_INTERVAL_MS", &agent.agent_interval_ms),
            ("PLANT_AGENT_RULES", &agent.agent_rules),
            ("PLANT_AGENT_RETENTION_DAYS", &agent.agent_retention_days),
            ("LOG_LEVEL", &log.log_level),
            ("LOG_FORMAT", &log.log_format),
            ("LOG_FILE", &log.log_file),
            ("OTEL_SERVICE_NAME", &traces.service_name),
            ("OTEL_TRACES_SAMPLER", &traces.traces_sampler),
            ("OTEL_TRACES_SAMPLER_ARG", &traces.traces_sampler_arg),
        ];
        settings.map(|(name, text)| (name.to_owned(), value(text))).into_iter().collect()
    }
}

/// Returns a number or a truth value as such, everything else as text.
fn value(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Number(_) | Value::Bool(_))) => value,
        _ => text.into(),
    }
}
