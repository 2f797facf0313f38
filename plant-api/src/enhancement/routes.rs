//! `/webhooks/servicedesk`: tickets of the service desks; `/enhancements`: what became of them.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::accept::{self, Accepted};
use super::signature::{
    HeaderValues, SIGNATURE_HEADER, STANDARD_ID_HEADER, STANDARD_SIGNATURE_HEADER,
    STANDARD_TIMESTAMP_HEADER, Signatures,
};
use super::tenants::{self, Sender};
use super::{NewTicket, Summary, Ticket, job, sql};
use crate::access::Caller;
use crate::db::{Db, TenantId, TenantScope};
use crate::error::{Error, Problem, Result};
use crate::etag::Preconditions;
use crate::extract::{FromBody, Path, Query, read_json, require_json};
use crate::metrics::Metrics;
use crate::page::{self, Filtered, PageParams};
use crate::state::AppState;
use crate::write::{StoredResponse, WriteRequest, WriteTransaction};

/// Returns the routes of tickets.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(receive)).routes(routes!(list)).routes(routes!(find))
}

/// A JSON body that is parsed only after its signatures were verified.
struct SignedBody {
    signatures: Signatures,
    body: Vec<u8>,
}

impl FromBody for SignedBody {
    fn check_headers(headers: &HeaderMap) -> Result<()> {
        require_json(headers)
    }

    fn from_body(headers: &HeaderMap, body: &[u8]) -> Result<Self> {
        let values = |name: &str| -> HeaderValues {
            let values = headers.get_all(name).iter().take(2);
            values.map(|value| value.to_str().unwrap_or_default().to_owned()).collect()
        };
        let signatures = Signatures {
            desk: values(SIGNATURE_HEADER),
            standard: values(STANDARD_SIGNATURE_HEADER),
            standard_id: values(STANDARD_ID_HEADER),
            standard_timestamp: values(STANDARD_TIMESTAMP_HEADER),
        };
        Ok(Self { signatures, body: body.to_owned() })
    }
}

#[utoipa::path(
    post,
    path = "/webhooks/servicedesk/{tenant_id}",
    tag = "enhancement",
    summary = "Receive a ticket of a service desk",
    description = "The body must be signed under the tenant's secret: `X-ServiceDesk-Signature: <hex>` or \
        `sha256=<hex>`, the HMAC-SHA256 of the body; or with the headers of Standard Webhooks, whose \
        timestamp may be 300 s old and 30 s ahead. With open access a tenant may allow tickets without a \
        signature; one that is sent must be valid.\n\nA ticket that is delivered again, with the same \
        `webhook-id` or, without one, the same body, gets the same response and is processed once.",
    params(
        ("tenant_id" = TenantId, Path, description = "Id of the tenant"),
        ("X-ServiceDesk-Signature" = Option<String>, Header, description = "Signature of the body"),
        ("webhook-id" = Option<String>, Header, description = "Id of the delivery"),
        ("webhook-timestamp" = Option<String>, Header, description = "Time of the delivery in Unix seconds"),
        ("webhook-signature" = Option<String>, Header, description = "Signatures: `v1,<base64>`")
    ),
    request_body = NewTicket,
    responses(
        (status = 202, description = "The ticket is stored, and will be processed", body = Accepted),
        (status = 401, description = "A signature is missing, invalid or expired", body = Problem),
        (status = 403, description = "The tenant is inactive", body = Problem),
        (status = 404, description = "There is no such tenant", body = Problem)
    )
)]
async fn receive(
    State(state): State<AppState>,
    State(metrics): State<Metrics>,
    Path(tenant): Path<String>,
    WriteRequest { body, .. }: WriteRequest<SignedBody>,
) -> Result<StoredResponse> {
    let received = receive_from(&state, &tenant, &body).await;
    let status = match &received {
        Ok((_, true)) => "accepted",
        Ok((_, false)) => "duplicate",
        Err(Error::Unauthenticated(_)) => "unauthenticated",
        Err(Error::Forbidden(_)) => "inactive",
        Err(Error::NotFound(_)) => "unknown_tenant",
        Err(Error::Malformed(_) | Error::Validation(_)) => "invalid",
        Err(_) => "error",
    };
    metrics.enhancement_requests.with_label_values(&[status]).inc();
    received.map(|(response, _)| response)
}

/// Stores a ticket. Returns the response, and whether it was new.
async fn receive_from(
    state: &AppState,
    tenant: &str,
    request: &SignedBody,
) -> Result<(StoredResponse, bool)> {
    let SignedBody { signatures, body } = request;
    let policy = &state.access_policy;
    let tenant = TenantId::parse(tenant).ok_or_else(|| Error::no_such("tenant"))?;
    let mut tx = WriteTransaction::in_tenant(state, TenantScope::One(&tenant)).await?;
    let sender =
        Sender::find(&mut tx, &policy.sealer, policy.access_mode, &tenant, state.clock.now())
            .await?
            .ok_or_else(|| Error::no_such("tenant"))?;
    let delivery = accept::authenticate(&sender, signatures, body, &state.clock)?;
    let new: NewTicket = read_json(body)?;
    let accepted = accept::accept(&mut tx, &state.clock, &tenant, &new, &delivery).await?;
    sender.seal_literals(&mut tx, &policy.sealer).await?;
    if accepted.is_new {
        let (queue, id) = (state.queue.clone(), accepted.job_id);
        tx.after_commit(move || queue.push_later(job::KIND.queue, id));
    }
    let location = format!("/enhancements/{}?tenant_id={tenant}", new.ticket_id);
    let response = StoredResponse::accepted(location, accepted.job_id, &accepted)?;
    Ok((tx.finish(response).await?, accepted.is_new))
}

/// The tenant whose tickets are read.
#[derive(Debug, Deserialize, Serialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct OfTenant {
    /// Id of the tenant.
    #[param(required, example = "load-test-tenant", pattern = "^[a-z0-9][a-z0-9_-]{0,62}$")]
    tenant_id: Option<String>,
}

impl OfTenant {
    fn id(&self) -> Result<TenantId> {
        let text = self.tenant_id.as_deref();
        let text = text.ok_or_else(|| Error::invalid("tenant_id", "required", "is missing"))?;
        TenantId::parse(text).ok_or_else(|| Error::no_such("tenant"))
    }
}

#[utoipa::path(
    get,
    path = "/enhancements/history",
    tag = "enhancement",
    security((), ("bearer" = []), ("admin_key" = [])),
    summary = "List the tickets of a tenant, newest first",
    params(OfTenant, PageParams),
    responses(
        (status = 200, description = "A page of tickets; the `Link` header points to the next page", body = Vec<Summary>),
        (status = 404, description = "There is no such tenant, or it belongs to another customer", body = Problem)
    )
)]
async fn list(
    State(db): State<Db>,
    caller: Caller,
    Filtered { filter, page }: Filtered<OfTenant>,
    conditions: Preconditions,
) -> Result<Response> {
    let tenant = filter.id()?;
    let mut tx = db.begin_in(TenantScope::One(&tenant)).await?;
    tenants::ensure_readable(&mut tx, &caller, &tenant).await?;
    let rows = sql::list(&mut *tx, &tenant, &page).await?;
    let tickets = page.to_cached_response(page::rows(rows), |ticket| ticket.job_id).await?;
    Ok(conditions.respond_cached(&tickets))
}

#[utoipa::path(
    get,
    path = "/enhancements/{ticket_id}",
    tag = "enhancement",
    security((), ("bearer" = []), ("admin_key" = [])),
    summary = "Get the newest entry of a ticket, with its note",
    params(("ticket_id" = String, Path, description = "Id of the ticket at the service desk"), OfTenant),
    responses(
        (status = 200, description = "The ticket", body = Ticket),
        (status = 404, description = "There is no such ticket, or it belongs to another customer", body = Problem)
    )
)]
async fn find(
    State(db): State<Db>,
    caller: Caller,
    Path(ticket_id): Path<String>,
    Query(query): Query<OfTenant>,
    conditions: Preconditions,
) -> Result<Response> {
    let tenant = query.id()?;
    let mut tx = db.begin_in(TenantScope::One(&tenant)).await?;
    tenants::ensure_readable(&mut tx, &caller, &tenant).await?;
    let ticket = sql::find_newest(&mut *tx, &tenant, &ticket_id).await?;
    let ticket = ticket.ok_or_else(|| Error::no_such("ticket"))?;
    conditions.respond_with_content_etag(&ticket)
}
