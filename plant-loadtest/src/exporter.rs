//! The harness's own `/metrics` while it runs, for a Prometheus that watches both sides.

use std::{convert::Infallible, fmt::Write as _, io, net::SocketAddr, sync::Arc};

use http_body_util::Full;
use hyper::{
    Response, body::Bytes, header::CONTENT_TYPE, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::recorder::{Live, Recorder};

/// An exporter at work.
#[derive(Debug)]
pub struct Exporter {
    task: JoinHandle<()>,
}

impl Exporter {
    /// Answers every request to `address` with how `recorder` stands.
    ///
    /// # Errors
    /// When nothing can listen there.
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
                    let answer = service_fn(|_| {
                        let text = exposition(&profile, &recorder.live());
                        async move { Ok::<_, Infallible>(respond(text)) }
                    });
                    // Whoever hangs up early has seen enough.
                    let _ = http1::Builder::new()
                        .keep_alive(false)
                        .serve_connection(TokioIo::new(connection), answer)
                        .await;
                });
            }
        });
        Ok(Self { task })
    }

    /// Stops answering.
    pub fn stop(self) {
        self.task.abort();
    }
}

fn respond(text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    let kind = hyper::header::HeaderValue::from_static("text/plain; version=0.0.4");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn exposition(profile: &str, live: &Live) -> String {
    let elapsed = live.elapsed.map_or(0.0, |elapsed| elapsed.as_secs_f64());
    let p95 = live.p95_ms.map_or(f64::NAN, |ms| ms / 1000.0);
    let mut text = String::new();
    for (name, kind, help, value) in [
        ("load_test_requests_total", "counter", "Requests sent so far.", live.sent.to_string()),
        ("load_test_errors_total", "counter", "Requests failed so far.", live.errors.to_string()),
        ("load_test_users", "gauge", "Users running.", live.users.to_string()),
        ("load_test_requests_per_second", "gauge", "Over the last 5 s.", live.rate.to_string()),
        (
            "load_test_response_time_p95_seconds",
            "gauge",
            "95th percentile over the last 5 s.",
            p95.to_string(),
        ),
        ("load_test_elapsed_seconds", "gauge", "Since the first user.", elapsed.to_string()),
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
    fn the_text_is_an_exposition() {
        let live = Live { sent: 12, rate: 3.5, ..Live::default() };
        let text = exposition("smoke", &live);
        let read = crate::probe::Exposition::parse(&text);
        assert_eq!(read.sum("load_test_requests_total", &[("profile", "smoke")]), Some(12.0));
        assert_eq!(read.sum("load_test_requests_per_second", &[]), Some(3.5));
        assert!(text.contains("p95_seconds{profile=\"smoke\"} NaN"), "nothing measured yet");
    }
}
