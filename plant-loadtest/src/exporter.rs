//! Prometheus exporter of the load generator: serves `/metrics` during a run.

use std::{collections::HashMap, io, net::SocketAddr, sync::Arc};

use axum::{Router, routing::get};
use prometheus::{Encoder as _, Gauge, IntCounter, Registry, TextEncoder};
use reqwest::{StatusCode, header::CONTENT_TYPE};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::recorder::{LiveStats, Recorder};

/// A running exporter. It runs until [`Exporter::stop`] is called.
#[derive(Debug)]
pub struct Exporter {
    task: JoinHandle<()>,
}

impl Exporter {
    /// Starts to serve the current values of `recorder` at `address`.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(
        address: SocketAddr,
        profile: &str,
        recorder: Arc<Recorder>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let profile: Arc<str> = profile.into();
        let scrape = move || async move {
            let text = render_metrics(&profile, &recorder.live_stats());
            let text = text.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
            Ok::<_, StatusCode>(([(CONTENT_TYPE, prometheus::TEXT_FORMAT)], text))
        };
        let router = Router::new().route("/metrics", get(scrape));
        let task = tokio::spawn(async move {
            // Ends only with the task.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { task })
    }

    /// Stops serving.
    pub fn stop(self) {
        self.task.abort();
    }
}

/// Returns the metrics in the Prometheus text format.
fn render_metrics(profile: &str, live: &LiveStats) -> Result<String, prometheus::Error> {
    let labels = HashMap::from([("profile".to_owned(), profile.to_owned())]);
    let registry = Registry::new_custom(None, Some(labels))?;
    let counter = |name, help, value: u64| {
        let counter = IntCounter::new(name, help)?;
        counter.inc_by(value);
        registry.register(Box::new(counter))
    };
    let gauge = |name, help, value: f64| {
        let gauge = Gauge::new(name, help)?;
        gauge.set(value);
        registry.register(Box::new(gauge))
    };
    counter("load_test_requests_total", "Requests sent.", live.sent)?;
    counter("load_test_errors_total", "Requests failed.", live.errors)?;
    gauge("load_test_users", "Virtual users running.", live.users.into())?;
    let help = "Requests per second over the last 5 seconds.";
    gauge("load_test_requests_per_second", help, live.rate)?;
    let help = "95th percentile of latency over the last 5 seconds.";
    let p95 = live.p95_ms.map_or(f64::NAN, |ms| ms / 1000.0);
    gauge("load_test_response_time_p95_seconds", help, p95)?;
    let elapsed = live.elapsed.map_or(0.0, |elapsed| elapsed.as_secs_f64());
    gauge("load_test_elapsed_seconds", "Seconds since the first user started.", elapsed)?;

    let mut text = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_have_the_prometheus_text_format() {
        let live = LiveStats { sent: 12, rate: 3.5, ..LiveStats::default() };
        let text = render_metrics("smoke", &live).unwrap();
        let parsed = crate::probe::Exposition::parse(&text);
        let sum = |series: &str| parsed.sum(&series.parse().unwrap());
        assert_eq!(sum("load_test_requests_total{profile=\"smoke\"}"), Some(12.0));
        assert_eq!(sum("load_test_requests_per_second"), Some(3.5));
        assert!(text.contains("p95_seconds{profile=\"smoke\"} NaN"), "no request yet");
    }
}
