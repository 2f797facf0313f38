//! `/api/v1/agents`, the catalogue.

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::change::{self, AgentChanges};
use super::{Agent, AgentContent, AgentId, sql};
use crate::access::CatalogueEditor;
use crate::cache::{RequestCache, Topic};
use crate::check::Checks;
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Error, Problem, Result};
use crate::etag::{self, Preconditions};
use crate::extract::{Json, Path};
use crate::page::{self, Filtered, PageParams};
use crate::plant::entity::Status;
use crate::plant::industries::IndustryId;
use crate::plant::job_roles::JobRoleId;
use crate::plant::skills::SkillId;
use crate::state::AppState;
use crate::write::{StoredResponse, Write};

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(find, change))
}

#[derive(Debug, Deserialize, Serialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Return only agents of the industry with this name (case-insensitive).
    #[param(example = "marketing", max_length = 200)]
    industry: Option<String>,
    /// Return only agents of this industry.
    industry_id: Option<IndustryId>,
    /// Return only agents with this job role.
    job_role_id: Option<JobRoleId>,
    /// Return only agents with this skill.
    skill_id: Option<SkillId>,
    /// Return only agents of this status. Default: `active`.
    status: Option<Status>,
    /// Substring of the agent, job role, team or skill name (case-insensitive).
    #[param(example = "writer", max_length = 200)]
    search: Option<String>,
    /// Alias of `search`.
    #[param(max_length = 200)]
    q: Option<String>,
}

impl Filter {
    fn check(&self) -> Result<()> {
        let mut checks = Checks::default();
        checks.search("industry", self.industry.as_deref());
        checks.search("search", self.search.as_deref());
        checks.search("q", self.q.as_deref());
        checks.into_result()
    }
}

impl From<Filter> for sql::Filter {
    fn from(filter: Filter) -> Self {
        // HTML forms send unset fields as empty strings.
        let non_empty = |text: &String| !text.is_empty();
        Self {
            industry: filter.industry.filter(non_empty),
            industry_id: filter.industry_id,
            job_role_id: filter.job_role_id,
            skill_id: filter.skill_id,
            status: filter.status,
            search: filter.search.filter(non_empty).or(filter.q.filter(non_empty)),
        }
    }
}

#[utoipa::path(
    get,
    path = "/api/v1/agents",
    tag = "catalogue",
    summary = "List agents, newest first",
    params(Filter, PageParams),
    responses((status = 200, description = "A page of agents", body = Vec<Agent>))
)]
async fn list(
    State(db): State<Db>,
    cache: RequestCache,
    Filtered { filter, page }: Filtered<Filter>,
    conditions: Preconditions,
) -> Result<Response> {
    filter.check()?;
    let filter = sql::Filter::from(filter);
    let fill = || async {
        let rows = if filter.search.is_some() {
            // From the newest agents if most match, by the index of the texts if few do.
            let mut tx = db.begin_planned().await?;
            let rows = sql::list(&mut *tx, &filter, &page).await?;
            tx.commit().await?;
            rows
        } else {
            sql::list(&mut *db.acquire().await?, &filter, &page).await?
        };
        page.to_cached_response(page::rows(rows), |agent| agent.id.0).await
    };
    let cached = cache.get_with(Topic::Agents, &page.key(), fill).await?;
    Ok(conditions.respond_cached(&cached))
}

#[utoipa::path(
    post,
    path = "/api/v1/agents",
    tag = "catalogue",
    security((), ("bearer" = [])),
    summary = "Create an agent",
    request_body = AgentContent,
    responses(
        (status = 201, description = "Created", body = Agent),
        (status = 409, description = "The name is taken", body = Problem)
    )
)]
async fn create(
    State(clock): State<Clock>,
    Write { caller, body: Json(new), mut tx }: Write<Json<AgentContent>, CatalogueEditor>,
) -> Result<StoredResponse> {
    let agent = super::create(&mut tx, &clock, &caller, new).await?;
    let location = format!("/api/v1/agents/{}", agent.id);
    tx.invalidate(Topic::Agents);
    tx.finish(StoredResponse::created(location, agent.version_hash, &agent)?).await
}

#[utoipa::path(
    get,
    path = "/api/v1/agents/{id}",
    tag = "catalogue",
    summary = "Get an agent",
    params(("id" = AgentId, Path, description = "Id of the agent")),
    responses(
        (status = 200, description = "The agent", body = Agent),
        (status = 404, description = "There is no such agent", body = Problem)
    )
)]
async fn find(
    State(db): State<Db>,
    cache: RequestCache,
    Path(id): Path<AgentId>,
    conditions: Preconditions,
) -> Result<Response> {
    let fill = || async {
        let mut connection = db.acquire().await?;
        let found = sql::find(&mut *connection, id).await?;
        let agent = found.ok_or_else(|| Error::no_such("agent"))?;
        etag::to_cached_response(agent.version_hash, &agent)
    };
    let cached = cache.get_with(Topic::Agents, &id.to_string(), fill).await?;
    Ok(conditions.respond_cached(&cached))
}

#[utoipa::path(
    patch,
    path = "/api/v1/agents/{id}",
    tag = "catalogue",
    security((), ("bearer" = [])),
    summary = "Change an agent and append the change as an amendment",
    params(("id" = AgentId, Path, description = "Id of the agent")),
    request_body = AgentChanges,
    responses(
        (status = 200, description = "The changed agent", body = Agent),
        (status = 404, description = "There is no such agent", body = Problem),
        (status = 409, description = "The name is taken", body = Problem),
        (status = 412, description = "The current version does not match If-Match", body = Problem)
    )
)]
async fn change(
    State(clock): State<Clock>,
    Path(id): Path<AgentId>,
    conditions: Preconditions,
    Write { caller, body: Json(changes), mut tx }: Write<Json<AgentChanges>, CatalogueEditor>,
) -> Result<StoredResponse> {
    let agent = change::change(&mut tx, &clock, &caller, id, &conditions, &changes).await?;
    tx.invalidate(Topic::Agents);
    // The lists of hired agents contain names of agents.
    tx.invalidate(Topic::Hires);
    tx.finish(StoredResponse::ok(agent.version_hash, &agent)?).await
}
