//! `/api/v1/admin/tunables`: the tunables, for administrators.

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Deserializer};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::Administrator;
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Problem, Result};
use crate::etag::Preconditions;
use crate::extract::{Json, Path};
use crate::state::AppState;
use crate::tunables::{Change, TunableState, Tunables};
use crate::write::{StoredResponse, Write};

/// Returns the routes of tunables.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(find, set))
}

#[utoipa::path(
    get,
    path = "/api/v1/admin/tunables",
    tag = "tunables",
    security((), ("bearer" = []), ("admin_key" = [])),
    summary = "List what can be changed while the service runs",
    description = "With the bounds, the current value, and the rollout of a new value.",
    responses(
        (status = 200, description = "The tunables", body = Vec<TunableState>),
        (status = 403, description = "Administrator rights are required, unless access is open", body = Problem)
    )
)]
async fn list(
    State(db): State<Db>,
    State(tunables): State<Tunables>,
    _: Administrator,
    conditions: Preconditions,
) -> Result<Response> {
    let mut connection = db.acquire().await?;
    conditions.respond_with_content_etag(&tunables.list(&mut connection).await?)
}

#[utoipa::path(
    get,
    path = "/api/v1/admin/tunables/{name}",
    tag = "tunables",
    security((), ("bearer" = []), ("admin_key" = [])),
    summary = "Get a tunable",
    params(("name" = String, Path, description = "Name of the tunable", example = "cache_ttl_seconds")),
    responses(
        (status = 200, description = "The tunable", body = TunableState),
        (status = 403, description = "Administrator rights are required, unless access is open", body = Problem),
        (status = 404, description = "There is no such tunable", body = Problem)
    )
)]
async fn find(
    State(db): State<Db>,
    State(tunables): State<Tunables>,
    _: Administrator,
    Path(name): Path<String>,
    conditions: Preconditions,
) -> Result<Response> {
    let mut connection = db.acquire().await?;
    let state = tunables.find(&mut connection, &name).await?;
    conditions.respond(state.version, &state)
}

/// A new value.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TunableValue)]
struct NewValue {
    /// The value; null: the configured one of each process.
    #[serde(deserialize_with = "required")]
    #[schema(required = true, example = 30)]
    value: Option<i64>,
}

/// Deserializes a field that may be null but not absent.
fn required<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Option::deserialize(deserializer)
}

#[utoipa::path(
    put,
    path = "/api/v1/admin/tunables/{name}",
    tag = "tunables",
    security((), ("bearer" = []), ("admin_key" = [])),
    summary = "Set a tunable, at once for all requests and processes",
    params(("name" = String, Path, description = "Name of the tunable", example = "cache_ttl_seconds")),
    request_body = NewValue,
    responses(
        (status = 200, description = "The changed tunable", body = TunableState),
        (status = 403, description = "Administrator rights are required, unless access is open", body = Problem),
        (status = 404, description = "There is no such tunable", body = Problem),
        (status = 409, description = "A rollout of the tunable is in progress", body = Problem),
        (status = 412, description = "The current version does not match If-Match", body = Problem)
    )
)]
async fn set(
    State(clock): State<Clock>,
    State(tunables): State<Tunables>,
    Path(name): Path<String>,
    conditions: Preconditions,
    Write { caller, body: Json(new), mut tx }: Write<Json<NewValue>, Administrator>,
) -> Result<StoredResponse> {
    conditions.check_if_match(tunables.lock(&mut tx, &name).await?.version)?;
    let change = Change { name: &name, actor: caller.actor(), at: clock.now() };
    let state = tunables.set(&mut tx, change, new.value).await?;
    tx.finish(StoredResponse::ok(state.version, &state)?).await
}
