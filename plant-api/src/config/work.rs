//! Settings of background work.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;

use super::addresses;

/// Background work.
#[derive(Debug, Clone, Args)]
pub struct WorkOptions {
    /// Whether `serve` also does the background jobs; if not, `plant-api work` must.
    #[arg(long, env = "PLANT_WORK", default_value = "true")]
    pub work: String,

    /// Address where `plant-api work` answers /health and /metrics; empty: nowhere.
    #[arg(long, env = "PLANT_WORK_LISTEN", default_value = "")]
    pub work_listen: String,

    /// Milliseconds that half of the simulated model's answers take less than.
    #[arg(long, env = "PLANT_MODEL_LATENCY_MS", default_value = "600")]
    pub model_latency_ms: String,

    /// Standard deviation of the logarithm of those milliseconds; 0: all answers take as long.
    #[arg(long, env = "PLANT_MODEL_SPREAD", default_value = "0.4")]
    pub model_spread: String,

    /// Share of attempts at which the simulated model fails, 0 to 1.
    #[arg(long, env = "PLANT_MODEL_FAILURE_RATE", default_value = "0.01")]
    pub model_failure_rate: String,

    /// What latencies, failures and texts are drawn from, with the request.
    #[arg(long, env = "PLANT_MODEL_SEED", default_value = "42")]
    pub model_seed: String,
}

/// Background work, checked.
#[derive(Debug, Clone)]
pub struct WorkConfig {
    /// Whether `serve` works too.
    pub in_serve: bool,
    /// Where a process that only works answers.
    pub listen: Vec<SocketAddr>,
    /// How the simulated model behaves.
    pub model: ModelConfig,
}

/// How the simulated model behaves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ModelConfig {
    /// Other seeds, other draws.
    pub seed: u64,
    /// Half of all answers take less.
    pub median: Duration,
    /// Standard deviation of the logarithm of the latency.
    pub spread: f64,
    /// Share of attempts that fail.
    pub failure_rate: f64,
}

pub(super) fn check(options: &WorkOptions, found: &mut Vec<String>) -> WorkConfig {
    let milliseconds =
        decimal("PLANT_MODEL_LATENCY_MS", &options.model_latency_ms, 30_000.0, found);
    WorkConfig {
        in_serve: options.work.parse().unwrap_or_else(|_| {
            found.push(format!("PLANT_WORK: `{}` must be true or false", options.work));
            true
        }),
        listen: if options.work_listen.is_empty() {
            Vec::new()
        } else {
            addresses("PLANT_WORK_LISTEN", &options.work_listen, found)
        },
        model: ModelConfig {
            seed: options.model_seed.trim().parse().unwrap_or_else(|_| {
                let text = &options.model_seed;
                found.push(format!("PLANT_MODEL_SEED: `{text}` is not a whole number"));
                0
            }),
            median: Duration::from_secs_f64(milliseconds / 1000.0),
            spread: decimal("PLANT_MODEL_SPREAD", &options.model_spread, 3.0, found),
            failure_rate: decimal(
                "PLANT_MODEL_FAILURE_RATE",
                &options.model_failure_rate,
                1.0,
                found,
            ),
        },
    }
}

/// A number from 0 to `most`. After a problem the value does not matter.
fn decimal(name: &str, text: &str, most: f64, found: &mut Vec<String>) -> f64 {
    match text.trim().parse::<f64>() {
        Ok(value) if (0.0..=most).contains(&value) => value,
        _ => {
            found.push(format!("{name}: `{text}` is not a number from 0 to {most}"));
            0.0
        }
    }
}
