//! The client of the exporter of traces.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::http::{Request, Response};
use bytes::Bytes;
use futures::future::BoxFuture;
use http_body_util::Full;
use opentelemetry_http::HttpError;
use tokio::runtime::Handle;

use super::{HttpClient, Reach};

/// Timeout for one attempt to send a batch.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// Sends batches of spans, and logs when the collector becomes unavailable and available. The thread of
/// the exporter is none of the runtime, so the exchange runs in a task.
pub struct CollectorClient {
    http: HttpClient,
    runtime: Handle,
    failing: AtomicBool,
}

impl CollectorClient {
    /// Creates a client that uses the current runtime.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    #[expect(clippy::new_without_default, reason = "it depends on the current runtime")]
    pub fn new() -> Self {
        let http = HttpClient::new(Reach::Any);
        Self { http, runtime: Handle::current(), failing: AtomicBool::new(false) }
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let http = self.http.clone();
        let exchange = async move { http.send(request.map(Full::new), ATTEMPT_TIMEOUT).await };
        let result = match self.runtime.spawn(exchange).await {
            Ok(Ok(response)) => {
                let mut sent = Response::new(response.body.unwrap_or_default());
                *sent.status_mut() = response.status;
                Ok(sent)
            }
            Ok(Err(error)) => Err(HttpError::from(error)),
            Err(error) => Err(HttpError::from(error)),
        };
        self.log_change(&result);
        result
    }

    fn log_change(&self, result: &Result<Response<Bytes>, HttpError>) {
        let reason = match result {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(format!("status {}", response.status())),
            Err(error) => Some(error.to_string()),
        };
        let was_failing = self.failing.swap(reason.is_some(), Ordering::Relaxed);
        match reason {
            Some(reason) if !was_failing => {
                tracing::warn!("cannot export traces: {reason}; dropping spans until it succeeds");
            }
            None if was_failing => tracing::info!("export of traces restored"),
            _ => {}
        }
    }
}

impl fmt::Debug for CollectorClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CollectorClient").field("failing", &self.failing).finish_non_exhaustive()
    }
}

impl opentelemetry_http::HttpClient for CollectorClient {
    fn send_bytes<'a, 'f>(
        &'a self,
        request: Request<Bytes>,
    ) -> BoxFuture<'f, Result<Response<Bytes>, HttpError>>
    where
        'a: 'f,
        Self: 'f,
    {
        Box::pin(self.send(request))
    }
}
