//! HTTP client for outgoing requests: HTTP/1.1, with or without TLS (rustls). It follows no
//! redirects, uses no proxy, and bounds the time of an exchange and the size of a response.
//!
//! A client with [`Reach::Public`] connects to public addresses only, whatever a name resolves to.
//! IP addresses in a URL are not resolved, so the caller checks them.

mod addresses;
mod allow_list;
mod collector;
#[cfg(test)]
mod tests;

use std::error::Error as StdError;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::http::uri::Scheme;
use axum::http::{HeaderMap, Request, StatusCode, header};
use bytes::Bytes;
use chrono::DateTime;
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::client::legacy::{Client, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::{Instant, timeout_at};

use addresses::CheckedResolver;
pub use addresses::{InsideAddress, Reach, is_public};
pub use allow_list::{AllowedHosts, AllowedUrl, RefusedUrl};
pub use collector::CollectorClient;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Idle connections are closed after this time, before most servers close them.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// Largest response body that is read unless another limit is set, in bytes.
pub const MAX_RESPONSE_BYTES: usize = 64 * 1024;

/// Longest delay that a `Retry-After` can ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(5 * 60);

type Connector = HttpConnector<CheckedResolver>;

/// A client with its pool of connections. Clones share the pool.
#[derive(Clone)]
pub struct HttpClient {
    reach: Reach,
    /// Largest response body that is read, in bytes.
    max_response_bytes: usize,
    http: Client<Connector, Full<Bytes>>,
    /// Created at the first request with TLS, because it reads the system's certificates.
    https: Arc<OnceLock<Client<HttpsConnector<Connector>, Full<Bytes>>>>,
}

/// A response. Its status counts, even if the body is too large, ends early or does not end in time.
#[derive(Debug)]
pub struct Response {
    pub status: StatusCode,
    /// `Retry-After`, at most five minutes.
    pub retry_after: Option<Duration>,
    /// `None`: larger than the limit of the client, or incomplete, also after the timeout.
    pub body: Option<Bytes>,
}

/// Reason why there is no response.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The host's name resolves to an address that is not public.
    #[error(transparent)]
    Inside(InsideAddress),
    /// The connection failed or broke.
    #[error("{0}")]
    Connection(String),
    /// The exchange did not end in time.
    #[error("no response in {0:?}")]
    Timeout(Duration),
}

impl HttpClient {
    pub fn new(reach: Reach) -> Self {
        let mut connector = connector(reach);
        connector.enforce_http(true);
        let max_response_bytes = MAX_RESPONSE_BYTES;
        Self { reach, max_response_bytes, http: client(connector), https: Arc::default() }
    }

    /// Returns a client of the same pool that reads bodies of up to this number of bytes.
    #[must_use]
    pub fn with_max_response_bytes(self, max_response_bytes: usize) -> Self {
        Self { max_response_bytes, ..self }
    }

    /// Sends a request and reads the response within `timeout`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn send(
        &self,
        request: Request<Full<Bytes>>,
        timeout: Duration,
    ) -> Result<Response, ClientError> {
        let deadline = Instant::now() + timeout;
        let response = timeout_at(deadline, self.start(request))
            .await
            .map_err(|_| ClientError::Timeout(timeout))?
            .map_err(|error| client_error(&error))?;
        let (status, retry_after) = (response.status(), retry_after(response.headers()));
        let body = Limited::new(response.into_body(), self.max_response_bytes).collect();
        // The status counts although the rest does not arrive.
        let body = timeout_at(deadline, body).await.ok().and_then(Result::ok);
        Ok(Response { status, retry_after, body: body.map(http_body_util::Collected::to_bytes) })
    }

    fn start(&self, request: Request<Full<Bytes>>) -> ResponseFuture {
        if request.uri().scheme() == Some(&Scheme::HTTPS) {
            self.https.get_or_init(|| client(tls(connector(self.reach)))).request(request)
        } else {
            self.http.request(request)
        }
    }
}

/// Returns the delay that a response asks for: seconds, or a date, which is compared with the response's
/// own `Date`.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let delay = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let now = headers.get(header::DATE)?.to_str().ok()?;
            let [until, now] = [text, now].map(DateTime::parse_from_rfc2822);
            (until.ok()? - now.ok()?).to_std().unwrap_or_default()
        }
    };
    Some(delay.min(MAX_RETRY_AFTER))
}

fn connector(reach: Reach) -> Connector {
    let mut connector = HttpConnector::new_with_resolver(CheckedResolver::new(reach));
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    connector.set_nodelay(true);
    connector.enforce_http(false);
    connector
}

/// Adds TLS. Without any certificate in the system's store every server is untrusted.
fn tls(connector: Connector) -> HttpsConnector<Connector> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    let (trusted, _) = roots.add_parsable_certificates(system.certs);
    if trusted == 0 {
        tracing::warn!(
            errors = ?system.errors,
            "no trusted certificates found; requests with TLS fail (Debian: install ca-certificates)"
        );
    }
    // The versions that rustls supports are those that its own provider supports.
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap_or_else(|e| unreachable!("ring supports TLS 1.2 and 1.3: {e}"))
        .with_root_certificates(roots)
        .with_no_client_auth();
    HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_only()
        .enable_http1()
        .wrap_connector(connector)
}

fn client<C: Connect + Clone>(connector: C) -> Client<C, Full<Bytes>> {
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .build(connector)
}

/// Joins the messages of an error and its sources: that of hyper alone says little.
fn client_error(error: &hyper_util::client::legacy::Error) -> ClientError {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(inside) = cause.downcast_ref::<InsideAddress>() {
            return ClientError::Inside(inside.clone());
        }
        message = format!("{message}: {cause}");
        source = cause.source();
    }
    ClientError::Connection(message)
}
