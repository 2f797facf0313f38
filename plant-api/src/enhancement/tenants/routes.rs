//! `/admin/tenants`: the tenants, for administrators.

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use sqlx::PgConnection;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{NewTenant, Reset, Tenant, TenantChanges, sql};
use crate::access::Administrator;
use crate::cache::CachedResponse;
use crate::check::Checks;
use crate::clock::Clock;
use crate::db::{self, Db, TenantId, TenantScope};
use crate::error::{Error, Problem, Result};
use crate::etag::Preconditions;
use crate::extract::{Json, NoBody, Path, Query};
use crate::page::{self, check_limit, content_etag, read_page};
use crate::state::{AccessPolicy, AppState};
use crate::tunables::RequestTunables;
use crate::write::{Rejection, StoredResponse, Write, WriteRequest, WriteTransaction};

/// Returns the routes of tenants.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(find, change, delete))
        .routes(routes!(reset))
}

/// Returns the id of a path; a malformed one is no tenant's.
fn parse(id: &str) -> Result<TenantId> {
    TenantId::parse(id).ok_or_else(|| Error::no_such("tenant"))
}

#[utoipa::path(
    post,
    path = "/admin/tenants",
    tag = "tenants",
    security((), ("bearer" = []), ("admin_key" = [])),
    summary = "Create a tenant",
    description = "The secrets are sealed, and never returned.",
    request_body = NewTenant,
    responses(
        (status = 201, description = "Created", body = Tenant),
        (status = 403, description = "Administrator rights are required, unless access is open", body = Problem),
        (status = 409, description = "A tenant with this id exists", body = Problem)
    )
)]
async fn create(
    State(state): State<AppState>,
    administrator: Administrator,
    request: WriteRequest<Json<NewTenant>>,
) -> Result<StoredResponse, Rejection> {
    let WriteRequest { body: Json(new), key } = request;
    let policy = &state.access_policy;
    // The body contains secrets.
    let key = key.map(|key| key.map_request_hash(|hash| policy.tokens.hmac(hash)));
    let mut tx = WriteTransaction::begin(&state, administrator.actor(), key).await?;
    enter_all(&mut tx).await?;
    let tenant = super::create(&mut tx, &state.clock, &policy.sealer, &new).await?;
    let location = format!("/admin/tenants/{}", tenant.tenant_id);
    Ok(tx.finish(StoredResponse::created(location, tenant.version, &tenant)?).await?)
}

async fn enter_all(connection: &mut PgConnection) -> Result<()> {
    Ok(db::enter(connection, TenantScope::All).await?)
}

/// Pagination of tenants.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct TenantPage {
    /// Maximum number of tenants, 1 to 500; default 100.
    #[param(minimum = 1, maximum = 500, example = 20)]
    limit: Option<i64>,
    /// Id of the last tenant of the previous page.
    #[param(value_type = Option<String>, pattern = "^[a-z0-9][a-z0-9_-]{0,62}$")]
    after: Option<TenantId>,
}

#[utoipa::path(
    get,
    path = "/admin/tenants",
    tag = "tenants",
    security((), ("bearer" = []), ("admin_key" = [])),
    summary = "List the tenants by their ids, with masked secrets",
    params(TenantPage),
    responses(
        (status = 200, description = "A page of tenants; the `Link` header points to the next page", body = Vec<Tenant>),
        (status = 403, description = "Administrator rights are required, unless access is open", body = Problem)
    )
)]
async fn list(
    State(db): State<Db>,
    _: Administrator,
    Query(page): Query<TenantPage>,
    tunables: RequestTunables,
    conditions: Preconditions,
) -> Result<Response> {
    let mut checks = Checks::default();
    let limit = check_limit(&mut checks, page.limit, &tunables);
    checks.into_result()?;
    let mut tx = db.begin_in(TenantScope::All).await?;
    let rows = sql::list(&mut *tx, None, page.after.as_ref(), limit + 1).await?;
    let (body, next) = read_page(page::rows(rows), limit, |row| row.tenant_id.clone()).await?;
    let link =
        next.map(|last| format!("</admin/tenants?limit={limit}&after={last}>; rel=\"next\""));
    let etag = content_etag(&body);
    Ok(conditions.respond_cached(&CachedResponse::new(etag, link, body)))
}

#[utoipa::path(
    get,
    path = "/admin/tenants/{id}",
    tag = "tenants",
    security((), ("bearer" = []), ("admin_key" = [])),
    summary = "Get a tenant, with masked secrets",
    params(("id" = TenantId, Path, description = "Id of the tenant")),
    responses(
        (status = 200, description = "The tenant", body = Tenant),
        (status = 403, description = "Administrator rights are required, unless access is open", body = Problem),
        (status = 404, description = "There is no such tenant", body = Problem)
    )
)]
async fn find(
    State(db): State<Db>,
    _: Administrator,
    Path(id): Path<String>,
    conditions: Preconditions,
) -> Result<Response> {
    let id = parse(&id)?;
    let mut tx = db.begin_in(TenantScope::All).await?;
    let tenant = super::find(&mut tx, &id).await?;
    // Secrets that are sealed on first use do not change the version.
    conditions.respond(format_args!("{}", tenant.version), &tenant)
}

#[utoipa::path(
    patch,
    path = "/admin/tenants/{id}",
    tag = "tenants",
    security((), ("bearer" = []), ("admin_key" = [])),
    summary = "Change a tenant",
    description = "With a new `webhook_signing_secret` the former one stays valid for `grace_seconds`.",
    params(("id" = TenantId, Path, description = "Id of the tenant")),
    request_body = TenantChanges,
    responses(
        (status = 200, description = "The changed tenant", body = Tenant),
        (status = 403, description = "Administrator rights are required, unless access is open", body = Problem),
        (status = 404, description = "There is no such tenant", body = Problem),
        (status = 412, description = "The current version does not match If-Match", body = Problem)
    )
)]
async fn change(
    State(clock): State<Clock>,
    State(policy): State<AccessPolicy>,
    Path(id): Path<String>,
    conditions: Preconditions,
    Write { body: Json(changes), mut tx, .. }: Write<Json<TenantChanges>, Administrator>,
) -> Result<StoredResponse> {
    let id = parse(&id)?;
    enter_all(&mut tx).await?;
    let (sealer, mode) = (&policy.sealer, policy.access_mode);
    let tenant = super::change(&mut tx, &clock, sealer, mode, &id, &conditions, changes).await?;
    tx.finish(StoredResponse::ok(tenant.version, &tenant)?).await
}

#[utoipa::path(
    delete,
    path = "/admin/tenants/{id}",
    tag = "tenants",
    security((), ("bearer" = []), ("admin_key" = [])),
    summary = "Delete a tenant with its history and its queued tickets",
    params(("id" = TenantId, Path, description = "Id of the tenant", example = "acme")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 403, description = "Administrator rights are required, unless access is open", body = Problem),
        (status = 404, description = "There is no such tenant", body = Problem)
    )
)]
async fn delete(
    Path(id): Path<String>,
    Write { mut tx, .. }: Write<NoBody, Administrator>,
) -> Result<StoredResponse> {
    let id = parse(&id)?;
    enter_all(&mut tx).await?;
    super::delete(&mut tx, &id).await?;
    tx.finish(StoredResponse::no_content()).await
}

#[utoipa::path(
    post,
    path = "/admin/tenants/{id}/reset",
    tag = "tenants",
    security((), ("bearer" = []), ("admin_key" = [])),
    summary = "Delete the history of a tenant and its queued tickets",
    description = "Tickets that are being processed end without an entry in the history.",
    params(("id" = TenantId, Path, description = "Id of the tenant")),
    responses(
        (status = 200, description = "What was deleted", body = Reset),
        (status = 403, description = "Administrator rights are required, unless access is open", body = Problem),
        (status = 404, description = "There is no such tenant", body = Problem)
    )
)]
async fn reset(
    Path(id): Path<String>,
    Write { mut tx, .. }: Write<NoBody, Administrator>,
) -> Result<StoredResponse> {
    let id = parse(&id)?;
    enter_all(&mut tx).await?;
    let reset = super::reset(&mut tx, &id).await?;
    tx.finish(StoredResponse::json(&reset)?).await
}
