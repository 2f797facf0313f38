//! Requests of scenarios, and what a scenario sees of their responses.

use std::sync::Arc;

use bytes::Bytes;
use reqwest::{
    Method, StatusCode,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};
use serde_json::Value;

use super::Endpoint;
use crate::{
    trace::{RequestTrace, TRACEPARENT, TraceHeader},
    work::ExchangeTimes,
};

/// Content type of JSON bodies.
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A request to send.
#[derive(Debug)]
pub struct Request {
    pub(super) endpoint: &'static Endpoint,
    method: Method,
    path: String,
    headers: HeaderMap,
    pub(super) bearer: Option<Arc<str>>,
    pub(super) trace: Option<RequestTrace>,
    body: Option<Bytes>,
}

/// A complete response.
#[derive(Clone, Debug)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
    /// When the request was sent and the response was complete.
    pub times: ExchangeTimes,
}

impl Request {
    /// Returns a request for `path`, which may include a query. The base path of the service is
    /// prepended.
    pub fn new(endpoint: &'static Endpoint, method: Method, path: impl Into<String>) -> Self {
        Self {
            endpoint,
            method,
            path: path.into(),
            headers: HeaderMap::new(),
            bearer: None,
            trace: None,
            body: None,
        }
    }

    /// Returns a `GET` request for `path`, which may include a query.
    pub fn get(endpoint: &'static Endpoint, path: impl Into<String>) -> Self {
        Self::new(endpoint, Method::GET, path)
    }

    /// Returns a `POST` request of `body` to `path`.
    pub fn post(endpoint: &'static Endpoint, path: impl Into<String>, body: &Value) -> Self {
        Self::post_text(endpoint, path, body.to_string())
    }

    /// Returns a `POST` request of the JSON text `body` to `path`.
    pub fn post_text(endpoint: &'static Endpoint, path: impl Into<String>, body: String) -> Self {
        Self::new(endpoint, Method::POST, path).body(JSON, body.into())
    }

    /// Sets the body and its content type.
    #[must_use]
    pub fn body(mut self, content_type: HeaderValue, body: Bytes) -> Self {
        self.body = Some(body);
        self.header(header::CONTENT_TYPE, content_type)
    }

    /// Sets the header `name`.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sets the access token (`Authorization: Bearer`).
    #[must_use]
    pub fn bearer(mut self, token: &Arc<str>) -> Self {
        self.bearer = Some(Arc::clone(token));
        self
    }

    /// Starts the trace of the request, unless it has a `traceparent` of its own.
    pub(super) fn start_trace(&mut self, header: TraceHeader) {
        if let TraceHeader::Sampled(share) = header
            && !self.headers.contains_key(&TRACEPARENT)
        {
            self.trace = Some(RequestTrace::random(share));
        }
    }

    /// Returns the request for `http`, to the service at `base_url`.
    pub(super) fn prepare(
        &self,
        http: &reqwest::Client,
        base_url: &str,
    ) -> reqwest::Result<reqwest::Request> {
        let mut url = String::with_capacity(base_url.len() + self.path.len());
        url.push_str(base_url);
        url.push_str(&self.path);
        let mut builder = http.request(self.method.clone(), url);
        if !self.headers.is_empty() {
            builder = builder.headers(self.headers.clone());
        }
        if let Some(token) = &self.bearer {
            builder = builder.bearer_auth(token);
        }
        if let Some(trace) = self.trace {
            builder = builder.header(TRACEPARENT.clone(), trace.to_header());
        }
        if let Some(body) = &self.body {
            builder = builder.body(body.clone());
        }
        builder.build()
    }
}

impl Response {
    /// Returns a response with status 200 and no headers, for tests.
    #[cfg(test)]
    pub(crate) fn of_body(body: impl Into<Bytes>) -> Self {
        let (sent_at, answered_at) = Default::default();
        let times = ExchangeTimes { sent_at, answered_at, date: None };
        Self { status: 200, headers: HeaderMap::new(), body: body.into(), times }
    }

    /// Returns whether a response with this status has no body, whatever is expected of it.
    #[must_use]
    pub fn has_no_body(&self) -> bool {
        self.status == StatusCode::NOT_MODIFIED.as_u16()
    }
}
