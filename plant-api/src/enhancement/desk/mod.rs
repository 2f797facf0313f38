//! The service desks of tenants: posts notes to tickets, to allowed hosts only, as version 3 of the
//! API of ServiceDesk Plus expects them.

mod allow_list;
#[cfg(test)]
mod tests;

use std::time::Duration;

use axum::http::{HeaderValue, Request, StatusCode, Uri, header};
use bytes::Bytes;
use http_body_util::Full;
use serde_json::json;
use uuid::Uuid;

pub use allow_list::AllowList;

use super::circuits::Circuits;
use super::tenants::DeskAccess;
use crate::http_client::{ClientError, HttpClient, Reach};
use allow_list::Target;

/// Timeout for one note, with the response.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Delay after a 429 without a `Retry-After`.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(5);

/// Header with the tenant's API key.
const API_KEY_HEADER: &str = "authtoken";

/// A note to post.
pub struct Note<'a> {
    /// Id of the job. A service desk that has got a note with this key does not add another.
    pub key: Uuid,
    pub ticket_id: &'a str,
    pub text: &'a str,
}

/// Reason why a note was not posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeskError {
    /// The host is not allowed, or the service desk has rejected the note: no attempt will succeed.
    Rejected(String),
    /// The service desk did not respond, or with a server error.
    Failed(String),
    /// No request was sent, or it was answered with 429: to be tried again after this delay.
    Deferred { reason: String, after: Duration },
}

/// Posts notes.
pub struct Desk {
    allow_list: AllowList,
    public: HttpClient,
    any: HttpClient,
    circuits: Circuits,
}

impl Desk {
    /// Creates a client that posts to allowed hosts. `any` may connect to all addresses.
    pub fn new(allow_list: AllowList, any: HttpClient, circuits: Circuits) -> Self {
        Self { allow_list, public: HttpClient::new(Reach::Public), any, circuits }
    }

    /// Posts a note.
    ///
    /// # Errors
    /// [`DeskError`].
    pub async fn post(&self, access: &DeskAccess, note: &Note<'_>) -> Result<(), DeskError> {
        let target = self.allow_list.check(&access.url).map_err(DeskError::Rejected)?;
        let request = request(&target, access, note)
            .map_err(|error| DeskError::Rejected(format!("the note cannot be sent: {error}")))?;
        let permit = self.circuits.permit(&target.host).map_err(|after| DeskError::Deferred {
            reason: format!("{} has failed repeatedly; its circuit is open", target.host),
            after,
        })?;
        let client = match target.reach {
            Reach::Public => &self.public,
            Reach::Any => &self.any,
        };
        let host = &target.host;
        match client.send(request, TIMEOUT).await {
            Ok(response) if response.status == StatusCode::TOO_MANY_REQUESTS => {
                let after = response.retry_after.unwrap_or(DEFAULT_RETRY_AFTER);
                permit.deferred(after);
                Err(DeskError::Deferred { reason: format!("{host} responded with 429"), after })
            }
            Ok(response) if response.status.is_server_error() => {
                permit.failed();
                Err(DeskError::Failed(format!("{host} responded with {}", response.status)))
            }
            Ok(response) => {
                permit.succeeded();
                if response.status.is_success() {
                    return Ok(());
                }
                Err(DeskError::Rejected(format!("{host} responded with {}", response.status)))
            }
            // Not a failure of the host, which was not contacted.
            Err(ClientError::Inside(error)) => Err(DeskError::Rejected(error.to_string())),
            Err(error) => {
                permit.failed();
                Err(DeskError::Failed(format!("cannot post to {host}: {error}")))
            }
        }
    }
}

fn request(
    target: &Target,
    access: &DeskAccess,
    note: &Note<'_>,
) -> Result<Request<Full<Bytes>>, axum::http::Error> {
    let path = format!("{}/api/v3/requests/{}/notes", target.path, note.ticket_id);
    let mut parts = target.base.clone().into_parts();
    parts.path_and_query = Some(path.parse()?);
    let mut api_key = HeaderValue::from_str(&access.api_key.0)?;
    api_key.set_sensitive(true);
    let input = json!({"note": {"description": html(note.text), "show_to_requester": false}});
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair("input_data", &input.to_string())
        .finish();
    Request::post(Uri::from_parts(parts)?)
        .header(header::HOST, &target.host)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::ACCEPT, "application/json")
        .header(API_KEY_HEADER, api_key)
        .header("idempotency-key", note.key.to_string())
        .body(Full::new(Bytes::from(body)))
}

/// Returns a text as HTML, which service desks render: a ticket must not bring its own.
fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\n', "<br />")
}
