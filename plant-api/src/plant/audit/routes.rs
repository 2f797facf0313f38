//! Routes under `/api/v1/entities` and `/api/v1/audit`.

use axum::body::Body;
use axum::extract::State;
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::history::{self, AmendmentView};
use super::run::{self, Report, Scope};
use super::view::{self, EntityView};
use super::{TamperingReport, export};
use crate::access::Caller;
use crate::cache::CachedResponse;
use crate::check::Checks;
use crate::db::Db;
use crate::error::{Problem, Result};
use crate::etag::{self, Preconditions};
use crate::extract::{Json, Path, Query};
use crate::page::check_limit;
use crate::plant::chain::Digest32;
use crate::plant::entity::Kind;
use crate::state::{AppState, RequestLimits};
use crate::tunables::RequestTunables;

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(find))
        .routes(routes!(amendments))
        .routes(routes!(tampering))
        .routes(routes!(audit))
        .routes(routes!(export_all))
}

#[utoipa::path(
    get,
    path = "/api/v1/entities/{id}",
    tag = "audit",
    security((), ("bearer" = [])),
    summary = "Get an entity of any kind",
    params(("id" = Uuid, Path, description = "Id of the entity", example = "01945cf5-cc00-7924-aab3-16ee86e91757")),
    responses(
        (status = 200, description = "The entity", body = EntityView),
        (status = 404, description = "There is no such entity", body = Problem)
    )
)]
async fn find(
    State(db): State<Db>,
    _: Caller,
    Path(id): Path<Uuid>,
    conditions: Preconditions,
) -> Result<Response> {
    let view = view::find_view(&db, id).await?;
    Ok(conditions.respond_cached(&cacheable(&view)?))
}

/// Serializes `value`, with the SHA-256 of the body as its `ETag`. The entity's version hash is not
/// sufficient: these responses also change when a row is altered without an amendment.
fn cacheable(value: &impl Serialize) -> Result<CachedResponse> {
    let response = etag::to_cached_response("", value)?;
    Ok(CachedResponse { etag: Digest32::sha256(&response.body).to_string(), ..response })
}

/// Pagination of a chain.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ChainPage {
    /// Maximum number of amendments, 1 to 500; default 100. A page is shorter if its body would
    /// exceed 1 MiB.
    #[param(minimum = 1, maximum = 500, example = 20)]
    limit: Option<i64>,
    /// Sequence number of the last amendment of the previous page.
    #[param(minimum = 0)]
    after: Option<i64>,
}

#[utoipa::path(
    get,
    path = "/api/v1/entities/{id}/amendments",
    tag = "audit",
    security((), ("bearer" = [])),
    summary = "List the amendments of an entity, oldest first",
    params(("id" = Uuid, Path, description = "Id of the entity", example = "01945cf5-cc00-7924-aab3-16ee86e91757"), ChainPage),
    responses(
        (status = 200, description = "A page of amendments; the `Link` header points to the next page", body = Vec<AmendmentView>),
        (status = 404, description = "There is no such entity", body = Problem)
    )
)]
async fn amendments(
    State(db): State<Db>,
    _: Caller,
    Path(id): Path<Uuid>,
    Query(page): Query<ChainPage>,
    tunables: RequestTunables,
    conditions: Preconditions,
) -> Result<Response> {
    let mut checks = Checks::default();
    let limit = check_limit(&mut checks, page.limit, &tunables);
    checks.require(
        page.after.is_none_or(|after| after >= 0),
        "after",
        "range",
        "must be 0 or more",
    );
    checks.into_result()?;
    let from = page.after.map_or(0, |after| after.saturating_add(1));
    let (body, next) = history::read_amendments(&db, id, from, limit).await?;
    let link = next.map(|last| {
        format!("</api/v1/entities/{id}/amendments?limit={limit}&after={last}>; rel=\"next\"")
    });
    let etag = Digest32::sha256(&body).to_string();
    Ok(conditions.respond_cached(&CachedResponse::new(etag, link, body)))
}

#[utoipa::path(
    get,
    path = "/api/v1/audit/tampering/{entity_id}",
    tag = "audit",
    security((), ("bearer" = [])),
    summary = "Check an entity for tampering",
    params(("entity_id" = Uuid, Path, description = "Id of the entity", example = "01945cf5-cc00-7924-aab3-16ee86e91757")),
    responses(
        (status = 200, description = "Result of the check", body = TamperingReport),
        (status = 404, description = "There is no such entity", body = Problem)
    )
)]
async fn tampering(
    State(db): State<Db>,
    _: Caller,
    Path(id): Path<Uuid>,
    conditions: Preconditions,
) -> Result<Response> {
    let report = super::check_tampering(&db, id).await?;
    Ok(conditions.respond_cached(&cacheable(&report)?))
}

/// The entities to audit.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct AuditScope {
    /// Only entities of this kind.
    entity_type: Option<Kind>,
    /// Only this entity.
    entity_id: Option<Uuid>,
    /// Only entities with a greater id: `next_after` of an audit that reached its time limit.
    after: Option<Uuid>,
}

#[utoipa::path(
    post,
    path = "/api/v1/audit/run",
    tag = "audit",
    security((), ("bearer" = [])),
    summary = "Audit all entities, the entities of one kind, or one entity",
    description = "Stops after four fifths of the request timeout, with `complete` false. To \
                   continue, set `after` to the returned `next_after`. Only one audit runs at a time.",
    params(AuditScope),
    responses(
        (status = 200, description = "Result of the audit", body = Report),
        (status = 404, description = "There is no such entity", body = Problem),
        (status = 429, description = "Another audit is running; see Retry-After", body = Problem)
    )
)]
async fn audit(
    State(db): State<Db>,
    _: Caller,
    State(limits): State<RequestLimits>,
    Query(query): Query<AuditScope>,
) -> Result<Json<Report>> {
    let scope = Scope { kind: query.entity_type, id: query.entity_id, after: query.after };
    run::run(&db, scope, limits.request_timeout * 4 / 5).await.map(Json)
}

/// The entities to export.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ExportScope {
    /// Only entities of this kind.
    entity_type: Option<Kind>,
    /// Only entities with a greater id: the last id of an export that was cut off.
    after: Option<Uuid>,
}

#[utoipa::path(
    get,
    path = "/api/v1/audit/export",
    tag = "audit",
    security((), ("bearer" = [])),
    summary = "Export entities with their chains, for `plant-api verify`",
    description = "Newline-delimited JSON from one snapshot: one line per entity, in the order of \
                   their ids, then a manifest. An export without a manifest was cut off. Only one \
                   export at a time reads the database, for at most five minutes.",
    params(ExportScope),
    responses(
        (status = 200, description = "The export", body = String, content_type = "application/x-ndjson"),
        (status = 429, description = "Another export is running; see Retry-After", body = Problem)
    )
)]
async fn export_all(
    method: Method,
    State(db): State<Db>,
    _: Caller,
    State(shutdown): State<CancellationToken>,
    Query(scope): Query<ExportScope>,
) -> Result<Response> {
    let scope = export::Scope { kind: scope.entity_type, after: scope.after };
    let chunks: export::Body = if method == Method::HEAD {
        // Reads nothing. A stream, as that of an export, has no length.
        Box::pin(stream::empty())
    } else {
        export::export(&db, shutdown, scope, export::READ_TIMEOUT).await?
    };
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"plant-export.ndjson\""),
    ];
    Ok((headers, Body::from_stream(chunks)).into_response())
}
