//! Conditional requests (RFC 9110, section 13): `ETag`, `If-Match`, `If-None-Match`.

use std::convert::Infallible;
use std::fmt::Display;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::cache::CachedResponse;
use crate::content_coding::version_of;
use crate::error::{Error, Result};

/// Extractor of the ETags in `If-Match` and `If-None-Match`. The ETag of a compressed response, which
/// ends with the name of the coding, matches like that of the plain one.
#[derive(Debug, Clone, Default)]
pub struct Preconditions {
    /// Whether the response may be compressed.
    accepts_codings: bool,
    if_match: Option<Vec<String>>,
    if_none_match: Option<Vec<String>>,
}

impl<S: Send + Sync> FromRequestParts<S> for Preconditions {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self {
            accepts_codings: parts.headers.contains_key(header::ACCEPT_ENCODING),
            if_match: parse_tags(&parts.headers, &header::IF_MATCH),
            if_none_match: parse_tags(&parts.headers, &header::IF_NONE_MATCH),
        })
    }
}

impl Preconditions {
    /// Checks `If-Match` against the current version of the resource.
    ///
    /// # Errors
    /// [`Error::PreconditionFailed`] when the version does not match.
    pub fn check_if_match(&self, version: impl Display) -> Result<()> {
        match &self.if_match {
            Some(tags) if find_match(tags, &version.to_string(), false).is_none() => {
                Err(Error::PreconditionFailed)
            }
            _ => Ok(()),
        }
    }

    /// Returns `value` with the ETag `version`, or 304 when `If-None-Match` matches it.
    ///
    /// # Errors
    /// When the value cannot be serialized to JSON.
    pub fn respond(&self, version: impl Display, value: &impl Serialize) -> Result<Response> {
        to_cached_response(version, value).map(|cached| self.respond_cached(&cached))
    }

    /// Returns `value` with a hash of its content as ETag, or 304 when `If-None-Match` matches it.
    ///
    /// # Errors
    /// When the value cannot be serialized to JSON.
    pub fn respond_with_content_etag(&self, value: &impl Serialize) -> Result<Response> {
        let mut cached = to_cached_response("", value)?;
        cached.etag = hex::encode(&Sha256::digest(&cached.body)[..16]);
        Ok(self.respond_cached(&cached))
    }

    /// Returns a cached response, or 304 when `If-None-Match` matches its ETag.
    pub fn respond_cached(&self, cached: &CachedResponse) -> Response {
        let tags = self.if_none_match.as_deref().unwrap_or_default();
        if let Some(tag) = find_match(tags, &cached.etag, true) {
            // The tag of the response that the client has, which may be compressed.
            let vary = [(header::VARY, "accept-encoding")];
            return with_etag(tag, (StatusCode::NOT_MODIFIED, vary).into_response());
        }
        self.respond_in_full(cached)
    }

    /// Returns a cached response to a request whose `If-None-Match` has no meaning, such as a POST.
    pub fn respond_in_full(&self, cached: &CachedResponse) -> Response {
        let mut response = cached_into_response(cached);
        if self.accepts_codings
            && let Some(compressed) = &cached.compressed
        {
            response.extensions_mut().insert(compressed.clone());
        }
        response
    }
}

/// Serializes `value` with the ETag `version` for the cache.
///
/// # Errors
/// When the value cannot be serialized to JSON.
pub fn to_cached_response(version: impl Display, value: &impl Serialize) -> Result<CachedResponse> {
    let body = serde_json::to_vec(value).map_err(|e| Error::Internal(Box::new(e)))?;
    Ok(CachedResponse::new(version.to_string(), None, body))
}

/// Converts a cached response to a 200 response.
pub fn cached_into_response(cached: &CachedResponse) -> Response {
    let content_type = [(header::CONTENT_TYPE, "application/json")];
    let mut response = (content_type, cached.body.clone()).into_response();
    if let Some(link) = cached.link.as_deref().and_then(|link| HeaderValue::try_from(link).ok()) {
        response.headers_mut().insert(header::LINK, link);
    }
    with_etag(&cached.etag, response)
}

/// Adds the header `ETag: "version"` to a response.
pub fn with_etag(version: impl Display, mut response: Response) -> Response {
    if let Ok(tag) = HeaderValue::try_from(format!("\"{version}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

fn parse_tags(headers: &HeaderMap, name: &HeaderName) -> Option<Vec<String>> {
    let mut values = headers.get_all(name).iter().peekable();
    values.peek()?;
    let texts = values.filter_map(|value| value.to_str().ok());
    Some(texts.flat_map(|text| text.split(',')).map(|tag| tag.trim().to_owned()).collect())
}

/// Returns the first of `tags`, without quotes, that matches `version`; for `*` the version itself. Weak
/// tags match only in the weak comparison, which `If-None-Match` uses (RFC 9110, section 13.1).
fn find_match<'a>(tags: &'a [String], version: &'a str, weak_comparison: bool) -> Option<&'a str> {
    tags.iter().find_map(|tag| {
        if tag == "*" {
            return Some(version);
        }
        let opaque_tag = match tag.strip_prefix("W/") {
            Some(rest) if weak_comparison => rest,
            Some(_) => return None,
            None => tag,
        };
        let opaque_tag = opaque_tag.strip_prefix('"')?.strip_suffix('"')?;
        (opaque_tag == version || version_of(opaque_tag) == version).then_some(opaque_tag)
    })
}
