//! Settings of the export of traces, by the names of OpenTelemetry.

use axum::http::Uri;
use clap::Args;

use super::provider::has_valid_authority;
use super::{TraceSampler, parse_name, parse_number};

/// Settings of the export of traces, not yet validated.
#[derive(Debug, Clone, Args)]
pub struct TracesOptions {
    /// URL of an OpenTelemetry collector for traces (OTLP over HTTP, such as `http://localhost:4318`);
    /// empty: no export.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", default_value = "")]
    pub otlp_endpoint: String,

    /// Name of this service in traces.
    #[arg(long, env = "OTEL_SERVICE_NAME", default_value = "plant-api")]
    pub service_name: String,

    /// Sampler of traces: `always_on`, `always_off` or `traceidratio`; with `parentbased_` before it, only
    /// for requests without `traceparent`, whose sampled flag decides otherwise.
    #[arg(long, env = "OTEL_TRACES_SAMPLER", default_value = "parentbased_always_on")]
    pub traces_sampler: String,

    /// Share of the traces that the sampler `traceidratio` samples, 0 to 1.
    #[arg(long, env = "OTEL_TRACES_SAMPLER_ARG", default_value = "1")]
    pub traces_sampler_arg: String,
}

/// Validated settings of the export of traces.
#[derive(Debug, Clone)]
pub struct TracesConfig {
    /// Base URL of the collector; `None`: no export.
    pub endpoint: Option<String>,
    pub service_name: String,
    pub sampler: TraceSampler,
    /// Share of traces of the samplers by trace id, 0 to 1.
    pub sampled_share: f64,
}

pub(super) fn check(options: &TracesOptions, problems: &mut Vec<String>) -> TracesConfig {
    let endpoint = options.otlp_endpoint.trim();
    let is_valid = |url: &Uri| {
        matches!(url.scheme_str(), Some("http" | "https"))
            && has_valid_authority(url)
            && url.query().is_none()
    };
    if !endpoint.is_empty() && !endpoint.parse().is_ok_and(|url| is_valid(&url)) {
        // The text is not printed: it may contain credentials.
        problems.push(
            "OTEL_EXPORTER_OTLP_ENDPOINT: not an http:// or https:// URL without credentials"
                .into(),
        );
    }
    if options.service_name.is_empty() {
        problems.push("OTEL_SERVICE_NAME: must not be empty".into());
    }
    let share = &options.traces_sampler_arg;
    TracesConfig {
        endpoint: (!endpoint.is_empty()).then(|| endpoint.to_owned()),
        service_name: options.service_name.clone(),
        sampler: parse_name("OTEL_TRACES_SAMPLER", &options.traces_sampler, problems)
            .unwrap_or(TraceSampler::AlwaysOff),
        sampled_share: parse_number("OTEL_TRACES_SAMPLER_ARG", share, 1.0, problems),
    }
}
