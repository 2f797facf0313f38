//! Versions of resources on the wire: `ETag`, `If-Match`, `If-None-Match`.

use std::convert::Infallible;
use std::fmt::Display;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::cache::Stored;
use crate::error::{Error, Result};

/// The versions that a client named in its conditions.
#[derive(Debug, Clone, Default)]
pub struct Conditions {
    if_match: Option<Vec<String>>,
    if_none_match: Option<Vec<String>>,
}

impl<S: Send + Sync> FromRequestParts<S> for Conditions {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self {
            if_match: tags(&parts.headers, &header::IF_MATCH),
            if_none_match: tags(&parts.headers, &header::IF_NONE_MATCH),
        })
    }
}

impl Conditions {
    /// Refuses a change of a version other than the one the client has seen.
    ///
    /// # Errors
    /// [`Error::PreconditionFailed`].
    pub fn allow_change_of(&self, version: impl Display) -> Result<()> {
        match &self.if_match {
            Some(tags) if !names(tags, &version.to_string(), false) => {
                Err(Error::PreconditionFailed)
            }
            _ => Ok(()),
        }
    }

    /// `value` at `version` as an answer: 304 when the client has it already.
    ///
    /// # Errors
    /// When the value is not JSON.
    pub fn answer(&self, version: impl Display, value: &impl Serialize) -> Result<Response> {
        stored(version, value).map(|stored| self.answer_stored(&stored))
    }

    /// `value` as an answer whose version is its content: 304 when the client has it already.
    ///
    /// # Errors
    /// When the value is not JSON.
    pub fn answer_by_content(&self, value: &impl Serialize) -> Result<Response> {
        let mut stored = stored("", value)?;
        stored.etag = hex::encode(&Sha256::digest(&stored.body)[..16]);
        Ok(self.answer_stored(&stored))
    }

    /// A stored answer: 304 when the client has it already.
    pub fn answer_stored(&self, stored: &Stored) -> Response {
        if self.if_none_match.as_ref().is_some_and(|tags| names(tags, &stored.etag, true)) {
            return with_version(&stored.etag, StatusCode::NOT_MODIFIED.into_response());
        }
        of_stored(stored)
    }
}

/// `value` at `version`, ready to be kept.
///
/// # Errors
/// When the value is not JSON.
pub fn stored(version: impl Display, value: &impl Serialize) -> Result<Stored> {
    let body = serde_json::to_vec(value).map_err(|e| Error::Internal(Box::new(e)))?;
    Ok(Stored { etag: version.to_string(), link: None, body: body.into() })
}

/// A stored answer as a response.
pub fn of_stored(stored: &Stored) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    let mut response = (kind, stored.body.clone()).into_response();
    if let Some(link) = stored.link.as_deref().and_then(|link| HeaderValue::try_from(link).ok()) {
        response.headers_mut().insert(header::LINK, link);
    }
    with_version(&stored.etag, response)
}

/// `response` with the `ETag` of `version`.
pub fn with_version(version: impl Display, mut response: Response) -> Response {
    if let Ok(tag) = HeaderValue::try_from(format!("\"{version}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

fn tags(headers: &HeaderMap, name: &HeaderName) -> Option<Vec<String>> {
    let mut values = headers.get_all(name).iter().peekable();
    values.peek()?;
    let texts = values.filter_map(|value| value.to_str().ok());
    Some(texts.flat_map(|text| text.split(',')).map(|tag| tag.trim().to_owned()).collect())
}

/// Whether `version` is among `tags`; a weak tag counts only for reads (RFC 9110, 13.1).
fn names(tags: &[String], version: &str, weak_counts: bool) -> bool {
    tags.iter().any(|tag| {
        let strong = match tag.strip_prefix("W/") {
            Some(rest) if weak_counts => rest,
            Some(_) => return false,
            None => tag,
        };
        tag == "*" || strong.strip_prefix('"').and_then(|t| t.strip_suffix('"')) == Some(version)
    })
}
