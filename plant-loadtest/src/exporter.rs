//! Prometheus exporter of the load generator: serves `/metrics` during a run.

use std::{convert::Infallible, fmt::Write as _, io, net::SocketAddr, sync::Arc};

use http_body_util::Full;
use hyper::{
    Response, body::Bytes, header::CONTENT_TYPE, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::recorder::{LiveStats, Recorder};

/// A running exporter. It runs until [`Exporter::stop`] is called.
#[derive(Debug)]
pub struct Exporter {
    task: JoinHandle<()>,
}

impl Exporter {
    /// Starts to serve the current values of `recorder` at `address`, on every path.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(
        address: SocketAddr,
        profile: &str,
        recorder: Arc<Recorder>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let profile: Arc<str> = profile.replace(['"', '\\', '\n'], "_").into();
        let task = tokio::spawn(async move {
            loop {
                let Ok((connection, _)) = listener.accept().await else { continue };
                let (recorder, profile) = (Arc::clone(&recorder), Arc::clone(&profile));
                tokio::spawn(async move {
                    let service = service_fn(|_| {
                        let text = render_metrics(&profile, &recorder.live_stats());
                        async move { Ok::<_, Infallible>(response(text)) }
                    });
                    // A client that closes its connection early is no error.
                    let _ = http1::Builder::new()
                        .keep_alive(false)
                        .serve_connection(TokioIo::new(connection), service)
                        .await;
                });
            }
        });
        Ok(Self { task })
    }

    /// Stops serving.
    pub fn stop(self) {
        self.task.abort();
    }
}

fn response(text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    let content_type = hyper::header::HeaderValue::from_static("text/plain; version=0.0.4");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// Returns the metrics in the Prometheus text format.
fn render_metrics(profile: &str, live: &LiveStats) -> String {
    let elapsed = live.elapsed.map_or(0.0, |elapsed| elapsed.as_secs_f64());
    let p95 = live.p95_ms.map_or(f64::NAN, |ms| ms / 1000.0);
    let mut text = String::new();
    for (name, kind, help, value) in [
        ("load_test_requests_total", "counter", "Requests sent.", live.sent.to_string()),
        ("load_test_errors_total", "counter", "Requests failed.", live.errors.to_string()),
        ("load_test_users", "gauge", "Virtual users running.", live.users.to_string()),
        (
            "load_test_requests_per_second",
            "gauge",
            "Requests per second over the last 5 seconds.",
            live.rate.to_string(),
        ),
        (
            "load_test_response_time_p95_seconds",
            "gauge",
            "95th percentile of latency over the last 5 seconds.",
            p95.to_string(),
        ),
        (
            "load_test_elapsed_seconds",
            "gauge",
            "Seconds since the first user started.",
            elapsed.to_string(),
        ),
    ] {
        let _ = writeln!(
            text,
            "# HELP {name} {help}\n# TYPE {name} {kind}\n{name}{{profile=\"{profile}\"}} {value}"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_have_the_prometheus_text_format() {
        let live = LiveStats { sent: 12, rate: 3.5, ..LiveStats::default() };
        let text = render_metrics("smoke", &live);
        let parsed = crate::probe::Exposition::parse(&text);
        assert_eq!(parsed.sum("load_test_requests_total", &[("profile", "smoke")]), Some(12.0));
        assert_eq!(parsed.sum("load_test_requests_per_second", &[]), Some(3.5));
        assert!(text.contains("p95_seconds{profile=\"smoke\"} NaN"), "no request yet");
    }
}
