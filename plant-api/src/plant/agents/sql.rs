//! Statements on `agent`.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgExecutor, Postgres, QueryBuilder};
use uuid::Uuid;

use super::{ALLOWED_DURATIONS, Agent, AgentContent, AgentId, TRIAL_DAYS, monthly_price};
use crate::page::Page;
use crate::plant::chain::Digest32;
use crate::plant::entity::{GOVERNANCE_AGENT, NewEntity, Status};
use crate::plant::industries::IndustryId;
use crate::plant::job_roles::JobRoleId;
use crate::plant::skills::SkillId;
use crate::plant::teams::TeamId;

/// Filter of [`list`]. `None` does not filter, except that `status` defaults to `active`.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub industry: Option<String>,
    pub industry_id: Option<IndustryId>,
    pub job_role_id: Option<JobRoleId>,
    pub skill_id: Option<SkillId>,
    pub status: Option<Status>,
    pub search: Option<String>,
}

/// Selects agents with the names of the entities that they refer to; a condition follows.
const SELECT_AGENT: &str = "select
    a.id, a.name, a.skill_id, s.name as skill, a.job_role_id, j.name as job_role,
    a.team_id, t.name as team_name, a.industry_id, i.name as industry,
    e.status, e.created_at, e.version_hash
from agent a
join base_entity e on e.id = a.id
join skill s on s.id = a.skill_id
join job_role j on j.id = a.job_role_id
join industry i on i.id = a.industry_id
left join team t on t.id = a.team_id
where ";

#[derive(FromRow)]
struct Row {
    id: AgentId,
    name: String,
    skill_id: SkillId,
    skill: String,
    job_role_id: JobRoleId,
    job_role: String,
    team_id: Option<TeamId>,
    team_name: Option<String>,
    industry_id: IndustryId,
    industry: String,
    status: Status,
    created_at: DateTime<Utc>,
    version_hash: Digest32,
}

impl From<Row> for Agent {
    fn from(row: Row) -> Self {
        Self {
            price: monthly_price(&row.industry),
            id: row.id,
            name: row.name,
            skill_id: row.skill_id,
            skill: row.skill,
            job_role_id: row.job_role_id,
            job_role: row.job_role,
            team_id: row.team_id,
            team_name: row.team_name,
            industry_id: row.industry_id,
            industry: row.industry,
            status: row.status,
            created_at: row.created_at,
            trial_days: TRIAL_DAYS,
            allowed_durations: ALLOWED_DURATIONS,
            version_hash: row.version_hash,
        }
    }
}

pub async fn find(db: impl PgExecutor<'_>, id: AgentId) -> sqlx::Result<Option<Agent>> {
    let mut query = QueryBuilder::<Postgres>::new(SELECT_AGENT);
    query.push("a.id = ").push_bind(id);
    let row: Option<Row> = query.build_query_as().fetch_optional(db).await?;
    Ok(row.map(Agent::from))
}

pub async fn list(
    db: impl PgExecutor<'_>,
    filter: &Filter,
    page: &Page,
) -> sqlx::Result<Vec<Agent>> {
    let rows: Vec<Row> = list_query(filter, page).build_query_as().fetch_all(db).await?;
    Ok(rows.into_iter().map(Agent::from).collect())
}

/// Builds the query of [`list`]; separate so that a test can run `explain` on it.
pub fn list_query(filter: &Filter, page: &Page) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::<Postgres>::new(SELECT_AGENT);
    query.push("e.status = ").push_bind(filter.status.unwrap_or(Status::Active));
    // Of both tables, so that a merge of their indices begins at this id.
    query.push(" and a.id < ").push_bind(page.before());
    query.push(" and e.id < ").push_bind(page.before());
    if let Some(name) = &filter.industry {
        query.push(" and a.industry_id = (select id from industry where lower(name) = lower(");
        query.push_bind(name.clone()).push("))");
    }
    if let Some(id) = filter.industry_id {
        query.push(" and a.industry_id = ").push_bind(id);
    }
    if let Some(id) = filter.job_role_id {
        query.push(" and a.job_role_id = ").push_bind(id);
    }
    if let Some(id) = filter.skill_id {
        query.push(" and a.skill_id = ").push_bind(id);
    }
    if let Some(text) = &filter.search {
        query.push(" and a.search_text like lower(").push_bind(like_pattern(text)).push(")");
    }
    query.push(" order by a.id desc limit ").push_bind(page.fetch_limit());
    query.push(" offset ").push_bind(page.offset);
    query
}

/// Returns a `like` pattern that matches texts containing `text` literally.
fn like_pattern(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

pub async fn find_content(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<AgentContent>> {
    sqlx::query_as!(
        AgentContent,
        r#"select
            name, skill_id as "skill_id: SkillId", job_role_id as "job_role_id: JobRoleId",
            team_id as "team_id: TeamId", industry_id as "industry_id: IndustryId"
        from agent
        where id = $1"#,
        id,
    )
    .fetch_optional(db)
    .await
}

/// Returns the content of those of `ids` that are agents.
pub async fn find_contents(
    db: impl PgExecutor<'_>,
    ids: &[Uuid],
) -> sqlx::Result<Vec<(Uuid, AgentContent)>> {
    sqlx::query!(
        r#"select
            id, name, skill_id as "skill_id: SkillId", job_role_id as "job_role_id: JobRoleId",
            team_id as "team_id: TeamId", industry_id as "industry_id: IndustryId"
        from agent
        where id = any($1)"#,
        ids,
    )
    .map(|row| {
        let content = AgentContent {
            name: row.name,
            skill_id: row.skill_id,
            job_role_id: row.job_role_id,
            team_id: row.team_id,
            industry_id: row.industry_id,
        };
        (row.id, content)
    })
    .fetch_all(db)
    .await
}

pub async fn insert(
    db: impl PgExecutor<'_>,
    entity: &NewEntity,
    content: &AgentContent,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into agent (id, name, skill_id, job_role_id, team_id, industry_id)
        select begin_entity($1, 'agent', $2, $3, $4, $5, $6, $7), $8, $9, $10, $11, $12",
        entity.id,
        entity.status as Status,
        entity.created_at,
        entity.first_amendment.content,
        &entity.first_amendment.content_hash.0,
        &entity.first_amendment.link.0,
        GOVERNANCE_AGENT,
        content.name,
        content.skill_id.0,
        content.job_role_id.0,
        content.team_id as Option<TeamId>,
        content.industry_id.0,
    )
    .execute(db)
    .await
    .map(drop)
}

pub async fn update(
    db: impl PgExecutor<'_>,
    id: AgentId,
    content: &AgentContent,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update agent
        set name = $2, skill_id = $3, job_role_id = $4, team_id = $5, industry_id = $6
        where id = $1",
        id.0,
        content.name,
        content.skill_id.0,
        content.job_role_id.0,
        content.team_id as Option<TeamId>,
        content.industry_id.0,
    )
    .execute(db)
    .await
    .map(drop)
}

/// Returns whether `id` is the id of a catalogue agent.
pub async fn exists(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"select exists (select from agent where id = $1) as "exists!""#, id)
        .fetch_one(db)
        .await
}
