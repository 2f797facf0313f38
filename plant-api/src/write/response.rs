//! The response to a write, as it is sent and as it is stored for replays.

use std::fmt::Display;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::etag;

/// Response to a write.
#[derive(Debug, Clone)]
pub struct StoredResponse {
    pub(super) status: StatusCode,
    pub(super) location: Option<String>,
    /// Value of the `ETag` header, without quotes.
    pub(super) etag: Option<String>,
    /// JSON; empty for 204.
    pub(super) body: Bytes,
}

impl StoredResponse {
    /// Returns a 201 response: `value` was created at `location`.
    ///
    /// # Errors
    /// When the value cannot be serialized to JSON.
    pub fn created(
        location: String,
        version: impl Display,
        value: &impl Serialize,
    ) -> Result<Self> {
        let ok = Self::ok(version, value)?;
        Ok(Self { status: StatusCode::CREATED, location: Some(location), ..ok })
    }

    /// Returns a 202 response: `value` was queued; its progress can be read at `location`.
    ///
    /// # Errors
    /// When the value cannot be serialized to JSON.
    pub fn accepted(
        location: String,
        version: impl Display,
        value: &impl Serialize,
    ) -> Result<Self> {
        let created = Self::created(location, version, value)?;
        Ok(Self { status: StatusCode::ACCEPTED, ..created })
    }

    /// Returns a 200 response: `value` was changed, or existed before the request.
    ///
    /// # Errors
    /// When the value cannot be serialized to JSON.
    pub fn ok(version: impl Display, value: &impl Serialize) -> Result<Self> {
        Ok(Self { etag: Some(version.to_string()), ..Self::json(value)? })
    }

    /// Returns a 200 response without an `ETag`.
    ///
    /// # Errors
    /// When the value cannot be serialized to JSON.
    pub fn json(value: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec(value).map_err(|e| Error::Internal(Box::new(e)))?;
        Ok(Self { status: StatusCode::OK, location: None, etag: None, body: body.into() })
    }

    /// Returns a 204 response.
    pub fn no_content() -> Self {
        Self { status: StatusCode::NO_CONTENT, location: None, etag: None, body: Bytes::new() }
    }
}

impl IntoResponse for StoredResponse {
    fn into_response(self) -> Response {
        let mut response = if self.body.is_empty() {
            self.status.into_response()
        } else {
            let content_type = [(header::CONTENT_TYPE, "application/json")];
            (self.status, content_type, self.body).into_response()
        };
        if let Some(location) = self.location.and_then(|l| HeaderValue::try_from(l).ok()) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        match self.etag {
            Some(etag) => etag::with_etag(etag, response),
            None => response,
        }
    }
}
