//! `/api/v1/genesis/certify`; what is created there has routes of its own.

use axum::extract::State as Extract;
use serde::Deserialize;
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::{Certification, Statement};
use crate::access::Caller;
use crate::cache::{Cache, Topic};
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Problem, Result};
use crate::extract::Json;
use crate::plant::entity::Kind;
use crate::state::State;

/// Genesis's routes.
pub fn router() -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(routes!(certify))
        .merge(super::skills::routes::router())
        .merge(super::job_roles::routes::router())
}

/// Which entity is to be certified.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
struct Application {
    /// What it is.
    entity_type: Kind,
    /// Its id.
    entity_id: Uuid,
    /// In words; becomes part of the amendment.
    #[schema(max_length = 10_000)]
    notes: Option<String>,
    /// Whatever supports it, at most 64 KiB as JSON.
    #[schema(value_type = Value, required = false)]
    evidence: Option<Value>,
}

#[utoipa::path(
    post,
    path = "/api/v1/genesis/certify",
    tag = "genesis",
    security((), ("bearer" = [])),
    summary = "Certify an entity of any kind; again changes nothing",
    request_body = Application,
    responses(
        (status = 200, description = "It is certified", body = Certification),
        (status = 404, description = "There is no such entity of this kind", body = Problem),
        (status = 409, description = "Its hash chain is broken", body = Problem),
        (status = 422, description = "It fails its checks", body = Problem)
    )
)]
async fn certify(
    Extract(db): Extract<Db>,
    Extract(clock): Extract<Clock>,
    Extract(cache): Extract<Cache>,
    caller: Caller,
    Json(application): Json<Application>,
) -> Result<Json<Certification>> {
    let Application { entity_type, entity_id, notes, evidence } = application;
    let statement = Statement { notes, evidence };
    let certified = super::certify(&db, &clock, &caller, entity_type, entity_id, statement).await?;
    forget(&cache, &certified).await;
    Ok(Json(certified))
}

/// Lists and items show what certification changed.
pub async fn forget(cache: &Cache, certified: &Certification) {
    if certified.new {
        let topic = match certified.entity_type {
            Kind::Skill => Topic::Skills,
            Kind::JobRole => Topic::JobRoles,
            Kind::Team => Topic::Teams,
            Kind::Agent => Topic::Agents,
            Kind::Industry => Topic::Industries,
        };
        cache.forget(topic).await;
    }
}
