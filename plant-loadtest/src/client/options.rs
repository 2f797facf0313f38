//! How requests are sent, as a profile sets it.

use reqwest::header::HeaderMap;

use crate::trace::{TRACEPARENT, TraceHeader};

/// How the requests of all virtual users are sent.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpOptions {
    /// Headers of every request. A request may replace them.
    pub headers: HeaderMap,
    /// Whether to use HTTP/2: with `https` if the service agrees, with `http` always.
    pub http2: bool,
    /// Whether each user keeps the cookies that it receives.
    pub cookies: bool,
    /// Which requests have a `traceparent`.
    pub traces: TraceHeader,
}

impl HttpOptions {
    /// Returns which requests have a `traceparent` of their own: none if `headers` contains one.
    #[must_use]
    pub fn trace_header(&self) -> TraceHeader {
        if self.headers.contains_key(&TRACEPARENT) { TraceHeader::Off } else { self.traces }
    }
}

impl Default for HttpOptions {
    /// HTTP/1.1 with cookies and `traceparent`, and without further headers.
    fn default() -> Self {
        Self {
            headers: HeaderMap::new(),
            http2: false,
            cookies: true,
            traces: TraceHeader::default(),
        }
    }
}
