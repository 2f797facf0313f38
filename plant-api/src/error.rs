//! One error type, by what the caller can do about it, and how it reads on the wire.
//!
//! Handlers return [`Error`]; its response carries a [`Problem`] that the outermost layer
//! (`http.rs`) writes as RFC 9457 `application/problem+json`, since only there the request's
//! id and path are known. Internal sources go to the log, never to a client.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// What every fallible operation of the service answers with.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Where an error came from; logged, never shown.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// One field at fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Violation {
    /// Path of the field, such as `schedule` or `settings.tone`; empty for the body as a whole.
    #[schema(example = "industry_id")]
    pub field: String,
    /// The rule that was broken, kebab-case.
    #[schema(example = "unknown-reference")]
    pub rule: String,
    /// What to do about it, in words.
    #[schema(example = "there is no such industry")]
    pub message: String,
}

impl Violation {
    /// A violation of `rule` by `field`, explained by `message`.
    pub fn new(field: impl Into<String>, rule: &str, message: impl Into<String>) -> Self {
        Self { field: field.into(), rule: rule.into(), message: message.into() }
    }
}

/// Everything that can go wrong, by what the caller can do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request cannot be read at all: send well-formed JSON.
    #[error("{0}")]
    Malformed(String),
    /// Fields are at fault: mend them.
    #[error("{} at fault", fields(.0))]
    Validation(Vec<Violation>),
    /// An entity fails its L0 or L1 checks.
    #[error("the entity fails {} of its checks", .0.len())]
    ConstitutionalAlignment(Vec<Violation>),
    /// A chain does not verify.
    #[error("the hash chain is broken at index {at_index}: {reason}")]
    HashChainBroken {
        /// Index of the first broken amendment.
        at_index: u64,
        /// Why, kebab-case.
        reason: &'static str,
    },
    /// The name is taken by other content: choose another.
    #[error("{0}")]
    Duplicate(String),
    /// The thing's state forbids it.
    #[error("{0}")]
    Conflict(String),
    /// No such thing, or not the caller's.
    #[error("{0}")]
    NotFound(String),
    /// Nobody known asks: log in.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// The one who asks may not do this, whatever is sent.
    #[error("{0}")]
    Forbidden(&'static str),
    /// Too much was asked for: wait.
    #[error("{what}; wait as long as Retry-After says")]
    RateLimited {
        /// What there was too much of, as a sentence.
        what: &'static str,
        /// When to try again.
        retry_after: Duration,
    },
    /// `If-Match` names another version: read again.
    #[error("the resource has changed since the version that If-Match names; read it again")]
    PreconditionFailed,
    /// The route exists, its method does not.
    #[error("this route does not answer to this method; see the Allow header")]
    MethodNotAllowed,
    /// The body is not JSON by its content type.
    #[error("send the body as application/json")]
    UnsupportedMediaType,
    /// The body is larger than the route takes.
    #[error("the body is larger than {limit} bytes")]
    PayloadTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The body did not arrive in time.
    #[error("the request's body did not arrive in time")]
    RequestTimeout,
    /// Something the request needs is away: try again.
    #[error("{what} is unavailable; try again shortly")]
    Unavailable {
        /// Which part, in a word or two.
        what: &'static str,
        /// When to try again.
        retry_after: Duration,
    },
    /// The database refused or vanished; [`Error::status`] tells which.
    #[error("database: {0}")]
    Database(sqlx::Error),
    /// A bug or a broken promise of the machine.
    #[error("internal: {0}")]
    Internal(Source),
}

fn fields(violations: &[Violation]) -> String {
    let names: Vec<_> =
        violations.iter().map(|v| if v.field.is_empty() { "the body" } else { &v.field }).collect();
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", names.join(", "))
}

impl Error {
    /// A validation error about one field.
    pub fn invalid(field: &str, rule: &str, message: impl Into<String>) -> Self {
        Self::Validation(vec![Violation::new(field, rule, message)])
    }

    /// A validation error about a field that refers to nothing.
    pub fn unknown(field: &str, noun: &str) -> Self {
        Self::invalid(field, "unknown-reference", format!("there is no such {noun}"))
    }

    /// "There is no such …".
    pub fn no_such(noun: &str) -> Self {
        Self::NotFound(format!("there is no such {noun}"))
    }

    /// The same error for another one who waited for the same thing.
    pub fn again(&self) -> Self {
        match self {
            Self::NotFound(detail) => Self::NotFound(detail.clone()),
            Self::Validation(list) => Self::Validation(list.clone()),
            other if other.status() == StatusCode::SERVICE_UNAVAILABLE => {
                Self::Unavailable { what: "the database", retry_after: Duration::from_secs(1) }
            }
            other => Self::Internal(other.to_string().into()),
        }
    }

    /// The HTTP status this error answers with.
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
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::PayloadTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Database(source) if is_outage(source) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Database(_) | Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The stable slug that programs match on.
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
            Self::UnsupportedMediaType => "unsupported-media-type",
            Self::PayloadTooLarge { .. } => "payload-too-large",
            Self::RequestTimeout => "request-timeout",
            Self::Unavailable { .. } => "unavailable",
            Self::Database(source) if is_outage(source) => "unavailable",
            Self::Database(_) | Self::Internal(_) => "internal",
        }
    }

    /// What the client reads; internal text stays in the log.
    fn detail(&self) -> String {
        match self.code() {
            "internal" => "something went wrong here; the log has it under this request id".into(),
            "unavailable" if matches!(self, Self::Database(_)) => {
                "the database is unavailable; try again shortly".into()
            }
            _ => self.to_string(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } | Self::RateLimited { retry_after, .. } => {
                Some(*retry_after)
            }
            Self::Database(source) if is_outage(source) => Some(Duration::from_secs(1)),
            _ => None,
        }
    }
}

/// Whether the database is away or overloaded, rather than the statement at fault.
pub fn is_outage(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        // Connection exceptions (08), too many connections (53), operator intervention
        // such as a shutdown or a statement time-out (57), failed-over to read-only (25006).
        sqlx::Error::Database(e) => e.code().is_some_and(|code| {
            ["08", "53", "57"].iter().any(|class| code.starts_with(class)) || code == "25006"
        }),
        _ => false,
    }
}

impl From<sqlx::Error> for Error {
    fn from(source: sqlx::Error) -> Self {
        Self::Database(source)
    }
}

/// Turns a violated database constraint into the error that it means at the call.
pub trait OnConstraint<T> {
    /// When the named constraint was violated, answers `error()` instead.
    ///
    /// # Errors
    /// `error()` for that constraint, any other error as it came.
    fn on_constraint(self, constraint: &str, error: impl FnOnce() -> Error) -> Result<T>;
}

impl<T, E: Into<Error>> OnConstraint<T> for std::result::Result<T, E> {
    fn on_constraint(self, constraint: &str, error: impl FnOnce() -> Error) -> Result<T> {
        self.map_err(|e| match e.into() {
            Error::Database(sqlx::Error::Database(e)) if e.constraint() == Some(constraint) => {
                error()
            }
            other => other,
        })
    }
}

/// The RFC 9457 body of every error answer.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// A name for this kind of problem: `urn:plant:problem:<code>`.
    #[serde(rename = "type")]
    #[schema(example = "urn:plant:problem:not-found")]
    pub kind: String,
    /// The status in words.
    #[schema(example = "Not Found")]
    pub title: &'static str,
    /// The HTTP status code.
    #[schema(example = 404)]
    pub status: u16,
    /// What happened and what to do.
    #[schema(example = "there is no such agent")]
    pub detail: String,
    /// The path that was asked for.
    #[schema(example = "/api/v1/agents/0198c0de-0000-7000-8000-000000000000")]
    pub instance: String,
    /// The stable slug that programs match on.
    #[schema(example = "not-found")]
    pub code: &'static str,
    /// The same id as in `X-Request-ID` and in the log.
    #[schema(example = "0198c0de-0000-7000-8000-00000000abcd")]
    pub request_id: String,
    /// The fields at fault, where fields are at fault.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub violations: Vec<Violation>,
    /// Index of the first broken amendment, for `hash-chain-broken`.
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
            violations: match error {
                Error::Validation(list) | Error::ConstitutionalAlignment(list) => list,
                _ => Vec::new(),
            },
            broken_at_index,
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        match (&self, self.code()) {
            (Self::Database(source), "unavailable") => {
                tracing::warn!(error = %source, "the database did not serve a request");
            }
            (_, "internal") => tracing::error!(error = %self, "a request failed"),
            _ => {}
        }
        let status = self.status();
        let retry_after = self.retry_after();
        let mut response = status.into_response();
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
    /// The finished answer: `response` with this problem as its body.
    pub fn write(mut self, mut response: Response, instance: &str, request_id: &str) -> Response {
        instance.clone_into(&mut self.instance);
        request_id.clone_into(&mut self.request_id);
        // A struct of strings and numbers always serialises.
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        *response.body_mut() = body.into();
        response
    }
}
