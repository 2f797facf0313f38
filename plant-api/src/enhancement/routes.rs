//! `/webhooks/servicedesk`: tickets of the service desks; `/enhancements`: what became of them.

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::accept::Accepted;
use super::deliveries::{Deliveries, Delivery};
use super::{NewTicket, Summary, Ticket, sql, tenants};
use crate::access::Caller;
use crate::db::{Db, TenantId, TenantScope};
use crate::error::{Error, Problem, Result};
use crate::etag::Preconditions;
use crate::extract::{Path, Query};
use crate::metrics::Metrics;
use crate::page::{self, Filtered, PageParams};
use crate::state::AppState;
use crate::write::{StoredResponse, WriteRequest};

/// Returns the routes of tickets.
pub fn router() -> OpenApiRouter<AppState> {
    let receive = OpenApiRouter::new().routes(routes!(receive));
    OpenApiRouter::new()
        .merge(receive.layer(Extension(Deliveries::default())))
        .routes(routes!(list))
        .routes(routes!(find))
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
    Extension(deliveries): Extension<Deliveries>,
    Path(tenant): Path<String>,
    WriteRequest { body: delivery, .. }: WriteRequest<Delivery>,
) -> Result<StoredResponse> {
    let accepted = match TenantId::parse(&tenant) {
        Some(tenant) => deliveries.accept(&state, tenant, delivery).await,
        None => Err(Error::no_such("tenant")),
    };
    let status = match &accepted {
        Ok(Accepted { is_new: true, .. }) => "accepted",
        Ok(_) => "duplicate",
        Err(Error::Unauthenticated(_)) => "unauthenticated",
        Err(Error::Forbidden(_)) => "inactive",
        Err(Error::NotFound(_)) => "unknown_tenant",
        Err(Error::Malformed(_) | Error::Validation(_)) => "invalid",
        Err(_) => "error",
    };
    metrics.enhancement_requests.with_label_values(&[status]).inc();
    let accepted = accepted?;
    let location = format!("/enhancements/{}?tenant_id={tenant}", accepted.ticket_id);
    StoredResponse::accepted(location, accepted.job_id, &accepted)
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
    params(("ticket_id" = String, Path, description = "Id of the ticket at the service desk; the example is that of `POST /webhooks/servicedesk/{tenant_id}`", example = "TKT-1042"), OfTenant),
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
