//! Statements on `team`.

use futures::stream::BoxStream;
use sqlx::PgExecutor;
use uuid::Uuid;

use super::{Team, TeamContent, TeamId};
use crate::page::Page;
use crate::plant::chain::Digest32;
use crate::plant::entity::{GOVERNANCE_AGENT, NewEntity, Status};
use crate::plant::job_roles::JobRoleId;

pub async fn insert(
    db: impl PgExecutor<'_>,
    entity: &NewEntity,
    content: &TeamContent,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into team (id, name, description, job_role_id)
        select begin_entity($1, 'team', $2, $3, $4, $5, $6, $7), $8, $9, $10",
        entity.id,
        entity.status as Status,
        entity.created_at,
        entity.first_amendment.content,
        &entity.first_amendment.content_hash.0,
        &entity.first_amendment.link.0,
        GOVERNANCE_AGENT,
        content.name,
        content.description,
        content.job_role_id as Option<JobRoleId>,
    )
    .execute(db)
    .await
    .map(drop)
}

pub async fn find(db: impl PgExecutor<'_>, id: TeamId) -> sqlx::Result<Option<Team>> {
    sqlx::query_as!(
        Team,
        r#"select
            t.id as "id: TeamId", t.name, t.description, t.job_role_id as "job_role_id: JobRoleId",
            e.status as "status: Status", e.created_at, e.certified_at,
            e.version_hash as "version_hash: Digest32"
        from team t
        join base_entity e on e.id = t.id
        where t.id = $1"#,
        id.0,
    )
    .fetch_optional(db)
    .await
}

pub fn list<'a>(db: impl PgExecutor<'a> + 'a, page: &Page) -> BoxStream<'a, sqlx::Result<Team>> {
    sqlx::query_as!(
        Team,
        r#"select
            t.id as "id: TeamId", t.name, t.description, t.job_role_id as "job_role_id: JobRoleId",
            e.status as "status: Status", e.created_at, e.certified_at,
            e.version_hash as "version_hash: Digest32"
        from team t
        join base_entity e on e.id = t.id
        where t.id < $1 and e.id < $1
        order by t.id desc
        limit $2
        offset $3"#,
        page.before(),
        page.fetch_limit(),
        page.offset,
    )
    .fetch(db)
}

/// Returns the content of those of `ids` that are teams, and whether any agent belongs to the team.
pub async fn find_contents(
    db: impl PgExecutor<'_>,
    ids: &[Uuid],
) -> sqlx::Result<Vec<(Uuid, TeamContent, bool)>> {
    sqlx::query!(
        r#"select
            id, name, description, job_role_id as "job_role_id: JobRoleId",
            exists (select from agent where team_id = t.id) as "staffed!"
        from team t
        where id = any($1)"#,
        ids,
    )
    .map(|row| {
        let content = TeamContent {
            name: row.name,
            description: row.description,
            job_role_id: row.job_role_id,
        };
        (row.id, content, row.staffed)
    })
    .fetch_all(db)
    .await
}
