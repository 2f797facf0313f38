//! The error type of the service and its HTTP representation.
//!
//! Handlers return [`Error`]; its response carries a [`Problem`] that the outermost layer
//! (`http`) writes as RFC 9457 `application/problem+json`, because only that layer has the
//! request's id and path. Causes of internal errors are logged and never sent to a client.
//!
//! `database.rs` classifies database errors as outages or bugs. Code that can repeat its work
//! checks [`Error::is_outage`].

mod database;
#[cfg(test)]
mod tests;

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

pub use database::OnConstraint;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Source of an internal error; logged, never sent to a client.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// `Retry-After` of a request that was rejected because there are too many.
const OVERLOAD_RETRY_AFTER: Duration = Duration::from_secs(1);

/// `Retry-After` while the database is unavailable.
const DATABASE_RETRY_AFTER: Duration = Duration::from_secs(1);

/// One violated rule of one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Violation {
    /// Path of the field, such as `schedule` or `settings.tone`; empty for the whole body.
    #[schema(example = "industry_id")]
    pub field: String,
    /// The violated rule, in kebab case.
    #[schema(example = "unknown-reference")]
    pub rule: String,
    /// Human-readable explanation.
    #[schema(example = "there is no such industry")]
    pub message: String,
}

impl Violation {
    /// Creates a violation of `rule` by `field`. Field and message are shortened to
    /// their maximum lengths.
    pub fn new(field: impl Into<String>, rule: &str, message: impl Into<String>) -> Self {
        Self {
            field: shortened(field.into(), MAX_FIELD_CHARS),
            rule: rule.into(),
            message: shortened(message.into(), MAX_MESSAGE_CHARS),
        }
    }
}

/// Errors of the service, grouped by what the client can do about them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 400: the request cannot be parsed.
    #[error("{0}")]
    Malformed(String),
    /// 422: one or more fields are invalid.
    #[error("validation failed: {}", field_names(.0))]
    Validation(Vec<Violation>),
    /// 422: an entity fails its L0 or L1 checks.
    #[error("the entity fails {} of its checks", .0.len())]
    ConstitutionalAlignment(Vec<Violation>),
    /// 409: a hash chain does not verify, or the stored entity does not match it or cannot be read.
    #[error("the hash chain is broken at index {at_index}: {reason}")]
    HashChainBroken {
        /// Index of the first altered or missing amendment, or of the one that last set an altered
        /// field.
        at_index: u64,
        /// The reason, in `snake_case`.
        reason: &'static str,
    },
    /// 409: a unique value (name, key, email or id) is already taken.
    #[error("{0}")]
    Duplicate(String),
    /// 409: the state of the resource does not allow the operation.
    #[error("{0}")]
    Conflict(String),
    /// 404: the resource does not exist or belongs to another customer.
    #[error("{0}")]
    NotFound(String),
    /// 401: the credentials are missing, invalid or expired.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// 403: the caller does not have the permission.
    #[error("{0}")]
    Forbidden(&'static str),
    /// 429: a limit on requests per minute, on connections from an address or on bulk reads was
    /// exceeded.
    #[error("{what}; retry after the time in the Retry-After header")]
    RateLimited {
        /// What was exceeded, as text for `detail`: `too many requests from this IP address`.
        what: &'static str,
        /// Time until the client may retry.
        retry_after: Duration,
    },
    /// 412: `If-Match` does not match the current version.
    #[error("the resource has changed since the version given in If-Match; read it again")]
    PreconditionFailed,
    /// 405: the route does not support the method.
    #[error("this route does not support this method; see the Allow header")]
    MethodNotAllowed,
    /// 415: the content type is not JSON.
    #[error("unsupported content type; send the body as application/json")]
    UnsupportedMediaType,
    /// 415: the body is compressed.
    #[error("compressed request bodies are not supported; send the body without Content-Encoding")]
    UnsupportedContentEncoding,
    /// 406: the client accepts no content coding that the service has.
    #[error(
        "the service has no content coding that Accept-Encoding allows; it has gzip, zstd, identity"
    )]
    NotAcceptable,
    /// 501: a part of HTTP that the service does not implement.
    #[error("the service does not implement {0}")]
    NotImplemented(&'static str),
    /// 413: the body exceeds the size limit.
    #[error("the request body is larger than {limit} bytes")]
    PayloadTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// 414: the URI exceeds the length limit.
    #[error("the URI is longer than {limit} bytes")]
    UriTooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// 431: the headers exceed the limits.
    #[error("more than {max_headers} headers, or {max_bytes} bytes of request line and headers")]
    HeadersTooLarge {
        /// Maximum size of the request line and all headers.
        max_bytes: usize,
        /// Maximum number of headers.
        max_headers: usize,
    },
    /// 408: the body did not arrive in time.
    #[error("the request body did not arrive in time")]
    BodyTimeout,
    /// 503: a dependency, or a limited resource of this process, is unavailable.
    #[error("{what} is unavailable; try again shortly")]
    Unavailable {
        /// What is unavailable, such as `the database`.
        what: &'static str,
        /// Time until the client may retry.
        retry_after: Duration,
    },
    /// 503: a statement failed temporarily: the connection was lost, the database is overloaded, or
    /// it has rolled the transaction back because of a concurrent one.
    #[error("the database is unavailable: {0}")]
    TransientDatabase(sqlx::Error),
    /// 500: a bug or an unexpected failure of the system.
    #[error("{0}")]
    Internal(Cause),
}

/// Maximum length of the path of a field in a violation, in characters.
pub const MAX_FIELD_CHARS: usize = 200;
/// Maximum length of the message of a violation, in characters.
pub const MAX_MESSAGE_CHARS: usize = 400;
/// Maximum number of violations in a response.
pub const MAX_VIOLATIONS: usize = 50;

/// Replaces the middle of a text by an ellipsis if it has more than `max` characters.
fn shortened(text: String, max: usize) -> String {
    let length = text.chars().count();
    if length <= max {
        return text;
    }
    let start: String = text.chars().take(max / 2).collect();
    let end: String = text.chars().skip(length - (max / 2 - 1)).collect();
    format!("{start}…{end}")
}

fn field_names(violations: &[Violation]) -> String {
    const MAX_NAMES: usize = 10;
    let name = |v: &Violation| {
        if v.field.is_empty() { "the body".to_owned() } else { v.field.clone() }
    };
    let mut names: Vec<_> = violations.iter().take(MAX_NAMES).map(name).collect();
    if violations.len() > MAX_NAMES {
        names.push("…".to_owned());
    }
    names.join(", ")
}

impl Error {
    /// Creates a validation error for one field.
    pub fn invalid(field: &str, rule: &str, message: impl Into<String>) -> Self {
        Self::Validation(vec![Violation::new(field, rule, message)])
    }

    /// Creates a validation error for a field that references a `noun` that does not exist.
    pub fn unknown_reference(field: &str, noun: &str) -> Self {
        Self::invalid(field, "unknown-reference", format!("there is no such {noun}"))
    }

    /// Creates an [`Error::NotFound`] with the detail `there is no such {noun}`.
    pub fn no_such(noun: &str) -> Self {
        Self::NotFound(format!("there is no such {noun}"))
    }

    /// Creates the [`Error::Unavailable`] of a database that does not respond.
    pub fn database_unavailable() -> Self {
        Self::Unavailable { what: "the database", retry_after: DATABASE_RETRY_AFTER }
    }

    /// Creates the [`Error::Unavailable`] of something that gets more requests than it can serve.
    pub fn overloaded(what: &'static str) -> Self {
        Self::Unavailable { what, retry_after: OVERLOAD_RETRY_AFTER }
    }

    /// Copies the error for another reader of the same shared result. Sources, which cannot be
    /// cloned, are replaced by their text.
    pub fn clone_lossy(&self) -> Self {
        match self {
            Self::NotFound(detail) => Self::NotFound(detail.clone()),
            Self::Validation(list) => Self::Validation(list.clone()),
            Self::Unavailable { what, retry_after } => {
                Self::Unavailable { what, retry_after: *retry_after }
            }
            other if other.is_outage() => Self::database_unavailable(),
            other => Self::Internal(other.to_string().into()),
        }
    }

    /// Returns whether the failure is temporary (an outage, or a transaction that the database rolled
    /// back for a concurrent one), so that the operation may succeed when it is repeated.
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::TransientDatabase(_))
    }

    /// Returns the HTTP status of the response.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Validation(_) | Self::ConstitutionalAlignment(_) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Self::HashChainBroken { .. } | Self::Duplicate(_) | Self::Conflict(_) => {
                StatusCode::CONFLICT
            }
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::UnsupportedMediaType | Self::UnsupportedContentEncoding => {
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            }
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::NotImplemented(_) => StatusCode::NOT_IMPLEMENTED,
            Self::PayloadTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UriTooLong { .. } => StatusCode::URI_TOO_LONG,
            Self::HeadersTooLarge { .. } => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Unavailable { .. } | Self::TransientDatabase(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Returns the stable machine-readable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed-request",
            Self::Validation(_) => "validation-error",
            Self::ConstitutionalAlignment(_) => "constitutional-alignment",
            Self::HashChainBroken { .. } => "hash-chain-broken",
            Self::Duplicate(_) => "duplicate-entity",
            Self::Conflict(_) => "conflict",
            Self::NotFound(_) => "not-found",
            Self::Unauthenticated(_) => "unauthenticated",
            Self::Forbidden(_) => "forbidden",
            Self::RateLimited { .. } => "rate-limited",
            Self::PreconditionFailed => "precondition-failed",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::UnsupportedMediaType | Self::UnsupportedContentEncoding => {
                "unsupported-media-type"
            }
            Self::NotAcceptable => "not-acceptable",
            Self::NotImplemented(_) => "not-implemented",
            Self::PayloadTooLarge { .. } => "payload-too-large",
            Self::UriTooLong { .. } => "uri-too-long",
            Self::HeadersTooLarge { .. } => "headers-too-large",
            Self::BodyTimeout => "request-timeout",
            Self::Unavailable { .. } | Self::TransientDatabase(_) => "unavailable",
            Self::Internal(_) => "internal",
        }
    }

    /// Returns the text for the client, which contains no internals.
    fn detail(&self) -> String {
        match self {
            Self::Internal(_) => {
                "internal error; the log has the details under this request id".into()
            }
            Self::TransientDatabase(_) => Self::database_unavailable().to_string(),
            _ => self.to_string(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } | Self::RateLimited { retry_after, .. } => {
                Some(*retry_after)
            }
            Self::TransientDatabase(_) => Some(DATABASE_RETRY_AFTER),
            _ => None,
        }
    }
}

/// Problem details (RFC 9457), the body of every error response.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// URI of the problem type: `urn:plant:problem:<code>`.
    #[serde(rename = "type")]
    #[schema(example = "urn:plant:problem:not-found")]
    pub kind: String,
    /// Reason phrase of the HTTP status.
    #[schema(example = "Not Found")]
    pub title: &'static str,
    /// The HTTP status code.
    #[schema(example = 404)]
    pub status: u16,
    /// What went wrong and, where possible, how to fix it.
    #[schema(example = "there is no such agent")]
    pub detail: String,
    /// Path of the request.
    #[schema(example = "/api/v1/agents/0198c0de-0000-7000-8000-000000000000")]
    pub instance: String,
    /// Stable machine-readable code of the problem.
    #[schema(example = "not-found")]
    pub code: &'static str,
    /// Id of the request, as in the `X-Request-ID` header and in the log.
    #[schema(example = "0198c0de-0000-7000-8000-00000000abcd")]
    pub request_id: String,
    /// Id of the trace that the request belongs to, as in the log; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "4bf92f3577b34da6a3ce929d0e0e4736")]
    pub trace_id: Option<String>,
    /// Invalid fields; absent if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub violations: Vec<Violation>,
    /// For `hash-chain-broken`: index of the first altered or missing amendment, or of the one that
    /// last set an altered field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken_at_index: Option<u64>,
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (status, code, detail) = (error.status(), error.code(), error.detail());
        let broken_at_index = match error {
            Error::HashChainBroken { at_index, .. } => Some(at_index),
            _ => None,
        };
        Self {
            kind: format!("urn:plant:problem:{code}"),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail,
            instance: String::new(),
            code,
            request_id: String::new(),
            trace_id: None,
            violations: match error {
                Error::Validation(mut list) | Error::ConstitutionalAlignment(mut list) => {
                    list.truncate(MAX_VIOLATIONS);
                    list
                }
                _ => Vec::new(),
            },
            broken_at_index,
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        match &self {
            Self::TransientDatabase(source) => {
                tracing::warn!(error = %source, "database unavailable; responding with 503");
            }
            Self::Internal(_) => tracing::error!(error = %self, "request failed"),
            _ => {}
        }
        let status = self.status();
        let retry_after = self.retry_after();
        let mut response = status.into_response();
        if matches!(self, Self::UnsupportedContentEncoding) {
            // The coding that would be accepted (RFC 9110, section 15.5.16).
            let identity = HeaderValue::from_static("identity");
            response.headers_mut().insert(header::ACCEPT_ENCODING, identity);
        }
        if status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        if let Some(wait) = retry_after {
            response.headers_mut().insert(
                header::RETRY_AFTER,
                HeaderValue::from(wait.as_millis().div_ceil(1000).max(1) as u64),
            );
        }
        response.extensions_mut().insert(Problem::from(self));
        response
    }
}

impl Problem {
    /// Returns `response` with this problem as its JSON body.
    pub fn write_to(
        mut self,
        mut response: Response,
        instance: &str,
        request_id: &str,
        trace_id: Option<String>,
    ) -> Response {
        instance.clone_into(&mut self.instance);
        request_id.clone_into(&mut self.request_id);
        self.trace_id = trace_id;
        // Serializing strings and numbers cannot fail.
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        *response.body_mut() = body.into();
        response
    }
}
