//! Settings of background jobs and of the simulated model.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;

use super::{parse_addresses, parse_number, parse_positive, parse_seed};

/// Upper limit of `PLANT_ENHANCEMENT_WORKERS`.
const MAX_ENHANCEMENT_WORKERS: usize = 256;

/// Settings of background jobs, not yet validated.
#[derive(Debug, Clone, Args)]
pub struct WorkerOptions {
    /// Run background jobs in `serve`: `true`, or `false` to leave them to `plant-api work`.
    #[arg(long, env = "PLANT_WORK", default_value = "true")]
    pub work: String,

    /// Addresses of /health, /livez, /readyz and /metrics in `plant-api work`; empty: none.
    #[arg(long, env = "PLANT_WORK_LISTEN", default_value = "")]
    pub work_listen: String,

    /// Number of tickets that one process enhances at once, 1 to 256.
    #[arg(long, env = "PLANT_ENHANCEMENT_WORKERS", default_value = "16")]
    pub enhancement_workers: String,

    /// Median latency of the simulated model in milliseconds.
    #[arg(long, env = "PLANT_MODEL_LATENCY_MS", default_value = "600")]
    pub model_latency_ms: String,

    /// Standard deviation of the logarithm of the model's latency; 0: constant latency.
    #[arg(long, env = "PLANT_MODEL_SPREAD", default_value = "0.4")]
    pub model_spread: String,

    /// Failure rate of the simulated model per attempt, 0 to 1.
    #[arg(long, env = "PLANT_MODEL_FAILURE_RATE", default_value = "0.01")]
    pub model_failure_rate: String,

    /// Random seed of the simulated model's latencies, failures and texts.
    #[arg(long, env = "PLANT_MODEL_SEED", default_value = "42")]
    pub model_seed: String,
}

/// Validated settings of background jobs.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// Whether `plant-api serve` runs background jobs too.
    pub in_serve: bool,
    /// Addresses where `plant-api work` serves the operational endpoints.
    pub listen: Vec<SocketAddr>,
    /// Number of tickets that one process enhances at once.
    pub enhancement_workers: usize,
    pub model: ModelConfig,
}

/// Behaviour of the simulated model. Its latency is log-normally distributed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ModelConfig {
    /// Random seed of latencies, failures and texts.
    pub seed: u64,
    /// Median latency.
    pub median: Duration,
    /// Standard deviation of the logarithm of the latency.
    pub spread: f64,
    /// Failure rate per attempt, 0 to 1.
    pub failure_rate: f64,
}

pub(super) fn check(options: &WorkerOptions, problems: &mut Vec<String>) -> WorkerConfig {
    let median_ms =
        parse_number("PLANT_MODEL_LATENCY_MS", &options.model_latency_ms, 30_000.0, problems);
    WorkerConfig {
        in_serve: options.work.parse().unwrap_or_else(|_| {
            problems.push(format!("PLANT_WORK: `{}` must be one of true, false", options.work));
            true
        }),
        listen: if options.work_listen.is_empty() {
            Vec::new()
        } else {
            parse_addresses("PLANT_WORK_LISTEN", &options.work_listen, problems)
        },
        enhancement_workers: parse_enhancement_workers(&options.enhancement_workers, problems),
        model: ModelConfig {
            seed: parse_seed("PLANT_MODEL_SEED", &options.model_seed, problems),
            median: Duration::from_secs_f64(median_ms / 1000.0),
            spread: parse_number("PLANT_MODEL_SPREAD", &options.model_spread, 3.0, problems),
            failure_rate: parse_number(
                "PLANT_MODEL_FAILURE_RATE",
                &options.model_failure_rate,
                1.0,
                problems,
            ),
        },
    }
}

fn parse_enhancement_workers(text: &str, problems: &mut Vec<String>) -> usize {
    let workers = parse_positive("PLANT_ENHANCEMENT_WORKERS", text, problems);
    if workers > MAX_ENHANCEMENT_WORKERS {
        problems.push(format!(
            "PLANT_ENHANCEMENT_WORKERS: `{text}` is more than {MAX_ENHANCEMENT_WORKERS}"
        ));
    }
    workers
}
