//! `/api/v1/agents`, the catalogue.

use axum::extract::State as Extract;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::change::{self, AgentChanges};
use super::{Agent, AgentId, Content, sql};
use crate::access::Caller;
use crate::cache::{Cache, Topic};
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Error, Problem, Result};
use crate::etag::{self, Conditions};
use crate::extract::{Json, Path, Query};
use crate::idempotency::{self, Answer, Begun, Posted};
use crate::page::{Page, PageParams};
use crate::plant::entity::Status;
use crate::plant::industries::IndustryId;
use crate::plant::job_roles::JobRoleId;
use crate::plant::skills::SkillId;
use crate::state::State;

/// The agents' routes.
pub fn router() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(find, amend))
}

/// Which agents are wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only agents of the industry of this name, in any case.
    #[param(example = "marketing")]
    industry: Option<String>,
    /// Only agents of this industry.
    industry_id: Option<IndustryId>,
    /// Only agents of this job role.
    job_role_id: Option<JobRoleId>,
    /// Only agents of this skill.
    skill_id: Option<SkillId>,
    /// Only agents of this status; `active` if absent.
    status: Option<Status>,
    /// Part of the name of agent, job role, team or skill, in any case.
    #[param(example = "writer")]
    search: Option<String>,
    /// The same as `search`.
    q: Option<String>,
}

impl From<Filter> for sql::Filter {
    fn from(filter: Filter) -> Self {
        // What a form leaves empty was not asked for.
        let given = |text: &String| !text.is_empty();
        Self {
            industry: filter.industry.filter(given),
            industry_id: filter.industry_id,
            job_role_id: filter.job_role_id,
            skill_id: filter.skill_id,
            status: filter.status,
            search: filter.search.filter(given).or(filter.q.filter(given)),
        }
    }
}

#[utoipa::path(
    get,
    path = "/api/v1/agents",
    tag = "catalogue",
    summary = "Agents to hire, newest first",
    params(Filter, PageParams),
    responses((status = 200, description = "A page of agents", body = Vec<Agent>))
)]
async fn list(
    Extract(db): Extract<Db>,
    Extract(cache): Extract<Cache>,
    Query(filter): Query<Filter>,
    page: Page,
    conditions: Conditions,
) -> Result<Response> {
    let filter = sql::Filter::from(filter);
    let fill = async {
        let mut connection = db.acquire().await?;
        let rows = sql::list(&mut *connection, &filter, &page).await?;
        page.stored(rows, |agent| agent.id.0)
    };
    let stored = cache.read(Topic::Agents, page.address(), fill).await?;
    Ok(conditions.answer_stored(&stored))
}

#[utoipa::path(
    post,
    path = "/api/v1/agents",
    tag = "catalogue",
    security((), ("bearer" = [])),
    summary = "Create an agent",
    request_body = Content,
    responses(
        (status = 201, description = "Created", body = Agent),
        (status = 409, description = "The name is taken", body = Problem)
    )
)]
async fn create(
    Extract(db): Extract<Db>,
    Extract(clock): Extract<Clock>,
    Extract(cache): Extract<Cache>,
    caller: Caller,
    posted: Posted<Content>,
) -> Result<Answer> {
    let mut work = match idempotency::begin(&db, &clock, &caller, posted.key).await? {
        Begun::Replay(answer) => return Ok(answer),
        Begun::Fresh(work) => work,
    };
    let agent = super::create(work.connection(), &clock, &caller, posted.body).await?;
    let location = format!("/api/v1/agents/{}", agent.id);
    let answer = work.commit(Answer::created(location, agent.version_hash, &agent)?).await?;
    cache.forget(Topic::Agents).await;
    Ok(answer)
}

#[utoipa::path(
    get,
    path = "/api/v1/agents/{id}",
    tag = "catalogue",
    summary = "One agent",
    params(("id" = AgentId, Path, description = "Its id")),
    responses(
        (status = 200, description = "The agent", body = Agent),
        (status = 404, description = "There is no such agent", body = Problem)
    )
)]
async fn find(
    Extract(db): Extract<Db>,
    Extract(cache): Extract<Cache>,
    Path(id): Path<AgentId>,
    conditions: Conditions,
) -> Result<Response> {
    let fill = async {
        let mut connection = db.acquire().await?;
        let found = sql::find(&mut *connection, id).await?;
        let agent = found.ok_or_else(|| Error::no_such("agent"))?;
        etag::stored(agent.version_hash, &agent)
    };
    let stored = cache.read(Topic::Agents, &id.to_string(), fill).await?;
    Ok(conditions.answer_stored(&stored))
}

#[utoipa::path(
    patch,
    path = "/api/v1/agents/{id}",
    tag = "catalogue",
    security((), ("bearer" = [])),
    summary = "Change an agent; the change becomes an amendment",
    params(("id" = AgentId, Path, description = "Its id")),
    request_body = AgentChanges,
    responses(
        (status = 200, description = "The agent as it now is", body = Agent),
        (status = 404, description = "There is no such agent", body = Problem),
        (status = 409, description = "The name is taken", body = Problem),
        (status = 412, description = "It is no longer at the version in If-Match", body = Problem)
    )
)]
async fn amend(
    Extract(db): Extract<Db>,
    Extract(clock): Extract<Clock>,
    Extract(cache): Extract<Cache>,
    caller: Caller,
    Path(id): Path<AgentId>,
    conditions: Conditions,
    Json(changes): Json<AgentChanges>,
) -> Result<Response> {
    let agent = change::change(&db, &clock, &caller, id, &conditions, &changes).await?;
    cache.forget(Topic::Agents).await;
    Ok(etag::with_version(agent.version_hash, Json(agent).into_response()))
}
