//! Settings of the writer of enhancements.

use std::fmt;
use std::time::Duration;

use axum::http::Uri;
use clap::Args;

use super::{Secret, parse_number, parse_seed};

/// Settings of the writer, not yet validated.
#[derive(Clone, Args)]
pub struct WriterOptions {
    /// Base URL of an OpenAI-compatible API that writes enhancements, such as
    /// `https://api.openai.com/v1`; empty: a simulated model.
    #[arg(long, env = "PLANT_WRITER_URL", default_value = "")]
    pub writer_url: String,

    /// Model of that API.
    #[arg(long, env = "PLANT_WRITER_MODEL", default_value = "")]
    pub writer_model: String,

    /// Key for that API; empty: none is sent.
    #[arg(long, env = "PLANT_WRITER_API_KEY", default_value = "", hide_env_values = true)]
    pub writer_api_key: String,

    /// Minimum latency of the simulated writer in milliseconds.
    #[arg(long, env = "PLANT_WRITER_MIN_LATENCY_MS", default_value = "100")]
    pub writer_min_latency_ms: String,

    /// Maximum latency of the simulated writer in milliseconds.
    #[arg(long, env = "PLANT_WRITER_MAX_LATENCY_MS", default_value = "150")]
    pub writer_max_latency_ms: String,

    /// Failure rate of the simulated writer, 0 to 1; its failures are replaced by a template.
    #[arg(long, env = "PLANT_WRITER_FAILURE_RATE", default_value = "0")]
    pub writer_failure_rate: String,

    /// Random seed of the simulated writer.
    #[arg(long, env = "PLANT_WRITER_SEED", default_value = "42")]
    pub writer_seed: String,
}

impl fmt::Debug for WriterOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Validated settings of the writer.
#[derive(Debug, Clone)]
pub enum WriterConfig {
    Simulated(SimulatedWriterConfig),
    Endpoint {
        /// Base URL; `/chat/completions` is appended.
        url: Uri,
        model: String,
        /// `None`: none is sent.
        api_key: Option<Secret<String>>,
    },
}

/// Behaviour of the simulated writer. Its latency is uniformly distributed.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SimulatedWriterConfig {
    /// Random seed of latencies and failures.
    pub seed: u64,
    pub min_latency: Duration,
    pub max_latency: Duration,
    /// Failure rate per ticket, 0 to 1.
    pub failure_rate: f64,
}

pub(super) fn check(options: &WriterOptions, problems: &mut Vec<String>) -> WriterConfig {
    let mut latency = |name: &str, text: &str| {
        Duration::from_secs_f64(parse_number(name, text, 30_000.0, problems) / 1000.0)
    };
    let min_latency = latency("PLANT_WRITER_MIN_LATENCY_MS", &options.writer_min_latency_ms);
    let max_latency = latency("PLANT_WRITER_MAX_LATENCY_MS", &options.writer_max_latency_ms);
    if min_latency > max_latency {
        problems.push("PLANT_WRITER_MIN_LATENCY_MS: more than PLANT_WRITER_MAX_LATENCY_MS".into());
    }
    let simulated = SimulatedWriterConfig {
        seed: parse_seed("PLANT_WRITER_SEED", &options.writer_seed, problems),
        min_latency,
        max_latency,
        failure_rate: parse_number(
            "PLANT_WRITER_FAILURE_RATE",
            &options.writer_failure_rate,
            1.0,
            problems,
        ),
    };
    if options.writer_url.is_empty() {
        return WriterConfig::Simulated(simulated);
    }
    let Some(url) = parse_base_url(&options.writer_url) else {
        // The text is not printed: it may contain credentials.
        problems.push(
            "PLANT_WRITER_URL: not an http:// or https:// URL with a host and without credentials \
             and query"
                .into(),
        );
        return WriterConfig::Simulated(simulated);
    };
    if options.writer_model.is_empty() {
        problems.push("PLANT_WRITER_MODEL: missing; PLANT_WRITER_URL needs a model".into());
    }
    if !options.writer_api_key.bytes().all(|b| b.is_ascii_graphic()) {
        problems.push("PLANT_WRITER_API_KEY: contains a character that no header can".into());
    }
    WriterConfig::Endpoint {
        url,
        model: options.writer_model.clone(),
        api_key: (!options.writer_api_key.is_empty())
            .then(|| Secret(options.writer_api_key.clone())),
    }
}

fn parse_base_url(text: &str) -> Option<Uri> {
    let url: Uri = text.parse().ok()?;
    let authority = url.authority()?;
    let valid = matches!(url.scheme_str(), Some("http" | "https"))
        && !authority.host().is_empty()
        && !authority.as_str().contains('@')
        && url.query().is_none();
    valid.then_some(url)
}
