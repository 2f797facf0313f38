//! The `Idempotency-Key` of a request.

use axum::extract::Request;
use axum::http::{HeaderValue, Method};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::error::{Error, Result};

const HEADER_NAME: &str = "idempotency-key";
const MAX_KEY_BYTES: usize = 255;

/// An idempotency key with the route and the body hash of its request.
#[derive(Debug, Clone)]
pub struct Key {
    pub(super) key: String,
    pub(super) route: String,
    pub(super) request_hash: [u8; 32],
}

impl Key {
    /// Returns the key of a POST; `None` for other methods and without the header.
    ///
    /// # Errors
    /// [`Error::Validation`] when the key is malformed.
    pub(super) fn from_request(request: &Request) -> Result<Option<Self>> {
        if request.method() != Method::POST {
            return Ok(None);
        }
        let mut values = request.headers().get_all(HEADER_NAME).iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(Error::invalid("Idempotency-Key", "shape", "must be sent only once"));
        }
        Ok(Some(Self {
            key: parse(value)?,
            route: format!("{} {}", request.method(), normalize_ids(request.uri().path())),
            request_hash: [0; 32],
        }))
    }

    /// Sets the hash of the request body.
    pub(super) fn with_body(self, body: &[u8]) -> Self {
        Self { request_hash: Sha256::digest(body).into(), ..self }
    }

    /// Replaces the hash of the request body with `map(hash)`, such as its HMAC. For bodies with a
    /// password an HMAC is required, because a plain hash allows guessing the password.
    #[must_use]
    pub fn map_request_hash(self, map: impl FnOnce(&[u8]) -> [u8; 32]) -> Self {
        Self { request_hash: map(&self.request_hash), ..self }
    }
}

/// Returns the path with its UUIDs in their usual form, so that each resource has one path.
fn normalize_ids(path: &str) -> String {
    let normalize = |segment: &str| {
        segment.parse::<Uuid>().map_or_else(|_| segment.to_owned(), |id| id.to_string())
    };
    path.split('/').map(normalize).collect::<Vec<_>>().join("/")
}

fn parse(value: &HeaderValue) -> Result<String> {
    let text = value.to_str().unwrap_or_default();
    let visible = text.bytes().all(|b| b.is_ascii_graphic());
    if text.is_empty() || text.len() > MAX_KEY_BYTES || !visible {
        let message = "must be 1 to 255 visible ASCII characters";
        return Err(Error::invalid("Idempotency-Key", "shape", message));
    }
    Ok(text.to_owned())
}
