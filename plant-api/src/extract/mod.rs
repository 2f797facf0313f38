//! Extractors whose rejections are problem+json, and the strict JSON reader.
//!
//! [`Json`] limits the depth and the number of values. It rejects duplicate keys and integers beyond
//! ±2^53, which canonical JSON (RFC 8785) cannot represent, and NUL characters, which PostgreSQL's
//! `text` type cannot store.

mod body;
mod strict;

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRef, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use crate::check::field_limits::MAX_PATH_SEGMENT_BYTES;
use crate::error::{Error, Result, Violation};
use crate::state::RequestLimits;

pub use body::read_body;

/// A request body that is read as a whole and then parsed, or ([`FromBody::IS_READ`]) not read.
pub trait FromBody: Sized {
    /// Whether the body is read at all.
    const IS_READ: bool = true;

    /// Checks the request headers before the body is read.
    ///
    /// # Errors
    /// [`Error::UnsupportedMediaType`].
    fn check_headers(headers: &HeaderMap) -> Result<()>;

    /// Parses the body.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Validation`], [`Error::UnsupportedMediaType`].
    fn from_body(headers: &HeaderMap, body: &[u8]) -> Result<Self>;
}

/// A JSON body, read strictly; also a JSON response.
#[derive(Debug, Clone)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromBody for Json<T> {
    fn check_headers(headers: &HeaderMap) -> Result<()> {
        require_json(headers)
    }

    fn from_body(_: &HeaderMap, body: &[u8]) -> Result<Self> {
        read_json(body).map(Self)
    }
}

impl<S, T> FromRequest<S> for Json<T>
where
    S: Send + Sync,
    T: DeserializeOwned + Send + 'static,
    RequestLimits: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        require_json(request.headers())?;
        let limits = RequestLimits::from_ref(state);
        let body = read_body(request, &limits).await?;
        limits.body_budget.process(body, read_json).await.map(Self)
    }
}

/// A JSON body that may be absent or `null`; then it is `T::default()`.
#[derive(Debug, Clone)]
pub struct OptionalJson<T>(pub T);

impl<T: DeserializeOwned + Default> FromBody for OptionalJson<T> {
    fn check_headers(_: &HeaderMap) -> Result<()> {
        Ok(())
    }

    fn from_body(headers: &HeaderMap, body: &[u8]) -> Result<Self> {
        match (body.is_empty(), is_json(headers)) {
            (true, _) => Ok(Self(T::default())),
            (false, true) => Ok(Self(read_json::<Option<T>>(body)?.unwrap_or_default())),
            (false, false) => Err(Error::UnsupportedMediaType),
        }
    }
}

/// No body; one that is sent is ignored.
#[derive(Debug, Clone, Copy)]
pub struct NoBody;

impl FromBody for NoBody {
    const IS_READ: bool = false;

    fn check_headers(_: &HeaderMap) -> Result<()> {
        Ok(())
    }

    fn from_body(_: &HeaderMap, _: &[u8]) -> Result<Self> {
        Ok(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
            Err(source) => Error::Internal(Box::new(source)).into_response(),
        }
    }
}

/// Checks that the Content-Type is JSON.
///
/// # Errors
/// [`Error::UnsupportedMediaType`].
pub fn require_json(headers: &HeaderMap) -> Result<()> {
    if is_json(headers) { Ok(()) } else { Err(Error::UnsupportedMediaType) }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(value)) = headers.get(header::CONTENT_TYPE).map(|v| v.to_str()) else {
        return false;
    };
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// Deserializes an optional field of a PATCH body that has `#[serde(default)]`: an absent field is
/// `None`, a value is `Some`. `null` is an error, unless `T` is an `Option`: then it is `Some(None)`.
///
/// # Errors
/// As `T`'s.
pub fn some_if_present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Parses `body` as strict JSON and deserializes it as `T`.
///
/// # Errors
/// [`Error::Malformed`] when it is not JSON, [`Error::Validation`] with the field when it does not
/// match `T`.
pub fn read_json<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    let value = strict::parse(body)?;
    // serde would read an array as the fields of a struct in order. No endpoint takes an array.
    if value.is_array() {
        return Err(Error::invalid("", "shape", "must be a JSON object, not a list"));
    }
    serde_path_to_error::deserialize(value).map_err(|e| {
        let path = e.path().to_string();
        let field = if path == "." { String::new() } else { path };
        Error::Validation(vec![Violation::new(field, "shape", e.inner().to_string())])
    })
}

/// Extractor of path parameters.
#[derive(Debug, Clone)]
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let too_long = |segment: &str| segment.len() > MAX_PATH_SEGMENT_BYTES;
        if parts.uri.path().split('/').any(too_long) {
            return Err(Error::invalid("path", "max-length", "has a part of more than 200 bytes"));
        }
        if parts.uri.path().contains("%00") {
            return Err(Error::invalid("path", "no-nul", "must not contain a NUL character"));
        }
        #[expect(clippy::disallowed_types, reason = "this is the wrapper")]
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        path.map(|path| Self(path.0)).map_err(|rejection| match rejection {
            PathRejection::FailedToDeserializePathParams(e) => {
                Error::invalid("path", "shape", e.body_text())
            }
            other => Error::Internal(Box::new(other)),
        })
    }
}

/// Extractor of query parameters. Unknown parameters are ignored.
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        read_query(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

/// Deserializes a query string as `T`.
///
/// # Errors
/// [`Error::Validation`] with the parameter.
pub fn read_query<T: DeserializeOwned>(query: &str) -> Result<T> {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query)
        .map_err(|e| Error::invalid("query", "shape", e.to_string()))?;
    if let Some((name, _)) = pairs.iter().find(|(n, v)| n.contains('\0') || v.contains('\0')) {
        return Err(Error::invalid(
            &name.replace('\0', ""),
            "no-nul",
            "must not contain a NUL character",
        ));
    }
    let reader = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
    serde_path_to_error::deserialize(reader).map_err(|e| {
        let path = e.path().to_string();
        let field = if path == "." { "query".to_owned() } else { path };
        Error::invalid(&field, "shape", e.inner().to_string())
    })
}
