//! The exporter: spans wait in a queue of bounded size for a thread that sends them in batches. When the
//! queue is full, because the collector is slow or unavailable, further spans are dropped.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::HttpClient;
use opentelemetry_otlp::{
    ExporterBuildError, Protocol, SpanExporter, WithExportConfig, WithHttpConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};

use super::Export;
use crate::config::{TraceSampler, TracesConfig};

/// Path of traces below the base URL of a collector.
const TRACES_PATH: &str = "/v1/traces";

/// Timeout for one batch, with all its attempts.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Starts the export, if a collector is configured.
pub fn start(
    config: &TracesConfig,
    client: impl HttpClient + 'static,
) -> Result<Option<Export>, ExporterBuildError> {
    let Some(endpoint) = &config.endpoint else { return Ok(None) };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{}{TRACES_PATH}", endpoint.trim_end_matches('/')))
        .with_timeout(EXPORT_TIMEOUT)
        .build()?;
    let resource = Resource::builder()
        .with_service_name(config.service_name.clone())
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(sampler(config))
        .with_resource(resource)
        .build();
    let tracer = provider.tracer("plant-api");
    Ok(Some(Export { provider, tracer }))
}

fn sampler(config: &TracesConfig) -> Sampler {
    let share = Sampler::TraceIdRatioBased(config.sampled_share);
    let of_parent = |root| Sampler::ParentBased(Box::new(root));
    match config.sampler {
        TraceSampler::AlwaysOn => Sampler::AlwaysOn,
        TraceSampler::AlwaysOff => Sampler::AlwaysOff,
        TraceSampler::TraceIdRatio => share,
        TraceSampler::ParentBasedAlwaysOn => of_parent(Sampler::AlwaysOn),
        TraceSampler::ParentBasedAlwaysOff => of_parent(Sampler::AlwaysOff),
        TraceSampler::ParentBasedTraceIdRatio => of_parent(share),
    }
}
