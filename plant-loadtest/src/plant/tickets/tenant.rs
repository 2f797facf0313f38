//! The tenant whose tickets are posted: the check before a run, and the deletion of its data between runs.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Response, StatusCode, header::CONTENT_TYPE};
use serde_json::Value;

use super::{options::TicketOptions, signature};
use crate::{
    client::root_cause,
    scenario::{Check, CheckContext, CheckFuture},
};

/// The service accepts tickets of the tenant with this signature, and shows its history.
pub(super) static READY: Check = Check { name: "tenant", run: ready };

/// Deletes the history and the queued work of the tenant.
pub(super) static RESET: Check = Check { name: "tenant reset", run: reset };

/// Characters that are percent-encoded: all but the unreserved ones (RFC 3986).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Returns the id of a tenant as it is written in paths and queries.
pub(super) fn encode(tenant: &str) -> String {
    utf8_percent_encode(tenant, ENCODED).to_string()
}

/// Returns the path to which tickets of `tenant` are posted.
pub(super) fn webhook_path(tenant: &str) -> String {
    format!("/webhooks/servicedesk/{}", encode(tenant))
}

/// Returns the path of the history of `tenant`.
pub(super) fn history_path(tenant: &str) -> String {
    format!("/enhancements/history?tenant_id={}", encode(tenant))
}

fn ready(context: &mut CheckContext) -> CheckFuture<'_> {
    Box::pin(async move {
        let options = TicketOptions::new(&context.options);
        check_webhook(context, options).await?;
        check_history(context, options).await
    })
}

/// Posts a signed body that is no ticket. Only a service that has accepted tenant and signature looks at it
/// and finds it invalid (422).
async fn check_webhook(context: &CheckContext, options: TicketOptions<'_>) -> Result<(), String> {
    const NO_TICKET: &str = "{}";
    let TicketOptions { tenant, secret, .. } = options;
    let mut request = context
        .http
        .post(format!("{}{}", context.host, webhook_path(tenant)))
        .header(CONTENT_TYPE, "application/json")
        .body(NO_TICKET);
    if let Some(signature) = signature::sign(secret, NO_TICKET.as_bytes()) {
        request = request.header(signature::SIGNATURE, signature);
    }
    let response = request.send().await.map_err(|error| root_cause(&error))?;
    match response.status() {
        StatusCode::UNPROCESSABLE_ENTITY => Ok(()),
        StatusCode::UNAUTHORIZED => Err(format!(
            "it rejects the signature; set the secret of tenant {tenant} with --webhook-secret"
        )),
        StatusCode::FORBIDDEN => Err(format!("tenant {tenant} is not active")),
        StatusCode::NOT_FOUND => Err(format!(
            "it has no tenant {tenant}; run seed_test_data, or name another one with --tenant"
        )),
        status => Err(format!("it answers a ticket without fields with status {status}, not 422")),
    }
}

async fn check_history(context: &CheckContext, options: TicketOptions<'_>) -> Result<(), String> {
    let path = format!("{}&limit=1", history_path(options.tenant));
    let mut request = context.http.get(format!("{}{path}", context.host));
    if let Some(key) = options.admin_key {
        request = request.bearer_auth(key);
    }
    let response = request.send().await.map_err(|error| root_cause(&error))?;
    match response.status() {
        StatusCode::OK => Ok(()),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => Err(format!(
            "the history of tenant {} cannot be read (status {}); set --admin-key",
            options.tenant,
            response.status().as_u16()
        )),
        status => Err(format!("GET {path}: status {}", status.as_u16())),
    }
}

fn reset(context: &mut CheckContext) -> CheckFuture<'_> {
    Box::pin(async move {
        let TicketOptions { tenant, admin_key, .. } = TicketOptions::new(&context.options);
        let path = format!("/admin/tenants/{}/reset", encode(tenant));
        let mut request = context.http.post(format!("{}{path}", context.host));
        if let Some(key) = admin_key {
            request = request.header("X-Admin-Key", key);
        }
        let response = request.send().await.map_err(|error| root_cause(&error))?;
        match response.status() {
            status if status.is_success() => Ok(()),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(format!("POST {path}: {}; set --admin-key", describe(response).await))
            }
            _ => Err(format!("POST {path}: {}", describe(response).await)),
        }
    })
}

/// Returns the status of a response, and the code of its problem document if it has one.
async fn describe(response: Response) -> String {
    let status = response.status().as_u16();
    let body = response.bytes().await.unwrap_or_default();
    let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
    match problem["code"].as_str() {
        Some(code) => format!("status {status} {code}"),
        None => format!("status {status}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_cannot_leave_its_place_in_a_path() {
        assert_eq!(webhook_path("load-test_tenant"), "/webhooks/servicedesk/load-test_tenant");
        assert_eq!(history_path("a/b&c"), "/enhancements/history?tenant_id=a%2Fb%26c");
    }
}
