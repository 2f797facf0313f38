//! `/api/v1/entities` and `/api/v1/audit`.

use axum::body::Body;
use axum::extract::State as Extract;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::history::{self, Entry};
use super::run::{self, Report, Scope};
use super::view::{self, EntityView};
use super::{Tampering, export};
use crate::access::Caller;
use crate::cache::Stored;
use crate::check::Checks;
use crate::db::Db;
use crate::error::{Problem, Result};
use crate::etag::{self, Conditions};
use crate::extract::{Json, Path, Query};
use crate::page::{DEFAULT_LIMIT, MAX_LIMIT};
use crate::plant::chain::Digest32;
use crate::plant::entity::Kind;
use crate::state::{Limits, State};

/// The audit's routes.
pub fn router() -> OpenApiRouter<State> {
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
    summary = "One entity of any kind in its seven sections",
    params(("id" = Uuid, Path, description = "Its id")),
    responses(
        (status = 200, description = "The entity", body = EntityView),
        (status = 404, description = "There is no such entity", body = Problem)
    )
)]
async fn find(
    Extract(db): Extract<Db>,
    _: Caller,
    Path(id): Path<Uuid>,
    conditions: Conditions,
) -> Result<Response> {
    let view = view::view(&db, id).await?;
    Ok(conditions.answer_stored(&stored(&view)?))
}

/// At the version that its bytes are: the version hash would not do, since these answers also
/// tell what changed behind the chain's back.
fn stored(value: &impl Serialize) -> Result<Stored> {
    let stored = etag::stored("", value)?;
    Ok(Stored { etag: Digest32::of(&stored.body).to_string(), ..stored })
}

/// Which part of a chain is wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Part {
    /// Most amendments to answer, 1 to 500; 100 if absent.
    #[param(minimum = 1, maximum = 500, example = 20)]
    limit: Option<i64>,
    /// Sequence of the last amendment of the page before.
    #[param(minimum = 0)]
    after: Option<i64>,
}

#[utoipa::path(
    get,
    path = "/api/v1/entities/{id}/amendments",
    tag = "audit",
    security((), ("bearer" = [])),
    summary = "The hash chain of an entity, oldest amendment first",
    params(("id" = Uuid, Path, description = "The entity's id"), Part),
    responses(
        (status = 200, description = "A page of the chain", body = Vec<Entry>),
        (status = 404, description = "There is no such entity", body = Problem)
    )
)]
async fn amendments(
    Extract(db): Extract<Db>,
    _: Caller,
    Path(id): Path<Uuid>,
    Query(part): Query<Part>,
    conditions: Conditions,
) -> Result<Response> {
    let limit = part.limit.unwrap_or(DEFAULT_LIMIT);
    let mut checks = Checks::default();
    checks.that((1..=MAX_LIMIT).contains(&limit), "limit", "range", "must be 1 to 500");
    checks.that(part.after.is_none_or(|after| after >= 0), "after", "range", "must be 0 or more");
    checks.done()?;
    let from = part.after.map_or(0, |after| after.saturating_add(1));
    // One more than wanted tells whether there is more.
    let mut entries = history::history(&db, id, from, limit + 1).await?;
    let more = entries.len() > usize::try_from(limit).unwrap_or_default();
    if more {
        entries.pop();
    }
    let last = entries.last().filter(|_| more).map(|entry| entry.sequence);
    let mut stored = stored(&entries)?;
    stored.link = last.map(|last| {
        format!("</api/v1/entities/{id}/amendments?limit={limit}&after={last}>; rel=\"next\"")
    });
    Ok(conditions.answer_stored(&stored))
}

#[utoipa::path(
    get,
    path = "/api/v1/audit/tampering/{entity_id}",
    tag = "audit",
    security((), ("bearer" = [])),
    summary = "Whether anything of an entity differs from what was written",
    params(("entity_id" = Uuid, Path, description = "The entity's id")),
    responses(
        (status = 200, description = "What was found", body = Tampering),
        (status = 404, description = "There is no such entity", body = Problem)
    )
)]
async fn tampering(
    Extract(db): Extract<Db>,
    _: Caller,
    Path(id): Path<Uuid>,
    conditions: Conditions,
) -> Result<Response> {
    let found = super::tampering(&db, id).await?;
    Ok(conditions.answer_stored(&stored(&found)?))
}

/// Which entities are to be audited.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct AuditScope {
    /// Only entities of this kind.
    entity_type: Option<Kind>,
    /// Only this entity.
    entity_id: Option<Uuid>,
    /// Only entities after this one: go on where the time limit ended an audit.
    after: Option<Uuid>,
}

#[utoipa::path(
    post,
    path = "/api/v1/audit/run",
    tag = "audit",
    security((), ("bearer" = [])),
    summary = "Audit all entities, those of a kind, or one",
    description = "Examines as many as it can within four fifths of the request time-out and says \
                   whether these were all.",
    params(AuditScope),
    responses(
        (status = 200, description = "What was found", body = Report),
        (status = 404, description = "There is no such entity", body = Problem)
    )
)]
async fn audit(
    Extract(db): Extract<Db>,
    _: Caller,
    Extract(limits): Extract<Limits>,
    Query(asked): Query<AuditScope>,
) -> Result<Json<Report>> {
    let scope = Scope { kind: asked.entity_type, id: asked.entity_id, after: asked.after };
    run::run(&db, scope, limits.request_timeout * 4 / 5).await.map(Json)
}

/// Which entities are to be exported.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ExportScope {
    /// Only entities of this kind.
    entity_type: Option<Kind>,
}

#[utoipa::path(
    get,
    path = "/api/v1/audit/export",
    tag = "audit",
    security((), ("bearer" = [])),
    summary = "All entities with their chains, to be checked by `plant-api verify`",
    description = "A line of JSON for each entity, as of one moment; the last line is a manifest. \
                   One export at a time.",
    params(ExportScope),
    responses(
        (status = 200, description = "The file", body = String, content_type = "application/x-ndjson"),
        (status = 409, description = "Another export is running", body = Problem)
    )
)]
async fn export_all(
    Extract(db): Extract<Db>,
    _: Caller,
    Extract(stop): Extract<CancellationToken>,
    Query(scope): Query<ExportScope>,
) -> Result<Response> {
    let pieces = export::export(&db, stop, scope.entity_type).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"plant-export.ndjson\""),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}
