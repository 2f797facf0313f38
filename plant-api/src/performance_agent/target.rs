//! What the performance agent collects metrics of.

use std::fmt;
use std::time::Duration;

use axum::http::{Request, StatusCode, header};
use bytes::Bytes;
use http_body_util::Full;

use super::agent::Agent;
use super::blocking::compute;
use super::exposition::{self, Exposition, InvalidExposition};
use super::snapshot::OWN_TARGET;
use crate::error::{Error, Result};
use crate::http_client::{AllowedUrl, RefusedUrl};
use crate::state::AppState;

/// Maximum length of a target in characters.
pub const MAX_TARGET_CHARS: usize = 2_000;

/// Timeout of one reading of an endpoint.
const READ_TIMEOUT: Duration = Duration::from_millis(900);

/// `Retry-After` of the response when a target does not answer.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// A target that may be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The process of this agent, and its database.
    OwnService,
    /// A Prometheus endpoint.
    Endpoint(AllowedUrl),
}

impl Target {
    /// Checks the target of a request.
    ///
    /// # Errors
    /// [`Error::Validation`] if it is neither `self` nor a URL; [`Error::Forbidden`] if its host is not
    /// in the list of allowed targets.
    pub fn check(agent: &Agent, text: &str) -> Result<Self> {
        if text == OWN_TARGET {
            return Ok(Self::OwnService);
        }
        if text.chars().nth(MAX_TARGET_CHARS).is_some() {
            let message = format!("must be at most {MAX_TARGET_CHARS} characters");
            return Err(Error::invalid("target", "max-length", message));
        }
        match agent.targets().check(text) {
            Ok(url) => Ok(Self::Endpoint(url)),
            Err(RefusedUrl::Malformed(reason)) => {
                let message = format!("must be `self` or the URL of an endpoint: {reason}");
                Err(Error::invalid("target", "target", message))
            }
            Err(RefusedUrl::NotAllowed(_)) => Err(Error::Forbidden(
                "the target's host is not in the list of allowed hosts (PLANT_AGENT_TARGETS)",
            )),
        }
    }

    /// Reads all metrics of the target.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if an endpoint does not answer with metrics in time.
    pub async fn read(&self, state: &AppState, agent: &Agent) -> Result<Exposition> {
        let Self::Endpoint(allowed) = self else {
            let text = state.encode_metrics()?;
            let parsed = compute(move || text.parse()).await?;
            return parsed.map_err(|error: InvalidExposition| Error::Internal(Box::new(error)));
        };
        let request = Request::get(&allowed.url)
            .header(header::ACCEPT, "text/plain; version=0.0.4")
            .body(Full::new(Bytes::new()))
            .map_err(|error| Error::Internal(Box::new(error)))?;
        let response = agent.client(allowed.reach).send(request, READ_TIMEOUT).await;
        let response = response.map_err(|error| {
            tracing::info!(target_url = %allowed.url, %error, "the target does not answer");
            unavailable("the target (it does not answer)")
        })?;
        if response.status != StatusCode::OK {
            return Err(unavailable("the target (it does not answer with 200)"));
        }
        let Some(body) = response.body else {
            return Err(unavailable("the target (its answer is too large, or ends early)"));
        };
        compute(move || exposition::parse(&body)).await?.map_err(|error| {
            tracing::info!(target_url = %allowed.url, %error, "the target has no metrics");
            unavailable("the target (its answer is not in the Prometheus text format)")
        })
    }
}

fn unavailable(what: &'static str) -> Error {
    Error::Unavailable { what, retry_after: RETRY_AFTER }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OwnService => f.write_str(OWN_TARGET),
            Self::Endpoint(allowed) => allowed.url.fmt(f),
        }
    }
}
