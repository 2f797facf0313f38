//! Statements on `job_role` and `job_role_skill`.

use futures::stream::BoxStream;
use sqlx::PgExecutor;
use uuid::Uuid;

use super::{JobRole, JobRoleContent, JobRoleId, Seniority, UncertifiedSkill};
use crate::page::Page;
use crate::plant::chain::Digest32;
use crate::plant::entity::{GOVERNANCE_AGENT, NewEntity, Status};
use crate::plant::skills::SkillId;

/// Returns those of `required` that are not certified or do not exist.
pub async fn uncertified_skills(
    db: impl PgExecutor<'_>,
    required: &[SkillId],
) -> sqlx::Result<Vec<UncertifiedSkill>> {
    if required.is_empty() {
        return Ok(Vec::new());
    }
    let required: Vec<Uuid> = required.iter().map(|id| id.0).collect();
    sqlx::query_as!(
        UncertifiedSkill,
        r#"select wanted as "id!: SkillId", s.id is not null as "exists!"
        from unnest($1::uuid[]) wanted
        left join skill s on s.id = wanted
        left join base_entity e on e.id = s.id
        where e.certified_at is null
        order by wanted"#,
        &required,
    )
    .fetch_all(db)
    .await
}

pub async fn insert(
    db: impl PgExecutor<'_>,
    entity: &NewEntity,
    content: &JobRoleContent,
) -> sqlx::Result<()> {
    let skills: Vec<Uuid> = content.required_skills.iter().map(|id| id.0).collect();
    sqlx::query!(
        "with role as (
            insert into job_role (id, name, description, seniority_level)
            select begin_entity($1, 'job_role', $2, $3, $4, $5, $6, $7), $8, $9, $10
            returning id
        )
        insert into job_role_skill (job_role_id, skill_id)
        select role.id, unnest($11::uuid[])
        from role",
        entity.id,
        entity.status as Status,
        entity.created_at,
        entity.first_amendment.content,
        &entity.first_amendment.content_hash.0,
        &entity.first_amendment.link.0,
        GOVERNANCE_AGENT,
        content.name,
        content.description,
        content.seniority_level as Seniority,
        &skills,
    )
    .execute(db)
    .await
    .map(drop)
}

pub async fn find(db: impl PgExecutor<'_>, id: JobRoleId) -> sqlx::Result<Option<JobRole>> {
    sqlx::query_as!(
        JobRole,
        r#"select
            j.id as "id: JobRoleId", j.name, j.description,
            array(
                select skill_id from job_role_skill where job_role_id = j.id order by skill_id
            ) as "required_skills!: Vec<SkillId>",
            j.seniority_level as "seniority_level: Seniority", e.status as "status: Status",
            e.created_at, e.certified_at, e.version_hash as "version_hash: Digest32"
        from job_role j
        join base_entity e on e.id = j.id
        where j.id = $1"#,
        id.0,
    )
    .fetch_optional(db)
    .await
}

pub fn list<'a>(db: impl PgExecutor<'a> + 'a, page: &Page) -> BoxStream<'a, sqlx::Result<JobRole>> {
    sqlx::query_as!(
        JobRole,
        r#"select
            j.id as "id: JobRoleId", j.name, j.description,
            array(
                select skill_id from job_role_skill where job_role_id = j.id order by skill_id
            ) as "required_skills!: Vec<SkillId>",
            j.seniority_level as "seniority_level: Seniority", e.status as "status: Status",
            e.created_at, e.certified_at, e.version_hash as "version_hash: Digest32"
        from job_role j
        join base_entity e on e.id = j.id
        where j.id < $1 and e.id < $1
        order by j.id desc
        limit $2
        offset $3"#,
        page.before(),
        page.fetch_limit(),
        page.offset,
    )
    .fetch(db)
}

/// Returns the content of those of `ids` that are job roles.
pub async fn find_contents(
    db: impl PgExecutor<'_>,
    ids: &[Uuid],
) -> sqlx::Result<Vec<(Uuid, JobRoleContent)>> {
    sqlx::query!(
        r#"select
            id, name, description,
            array(
                select skill_id from job_role_skill where job_role_id = j.id order by skill_id
            ) as "required_skills!: Vec<SkillId>",
            seniority_level as "seniority_level: Seniority"
        from job_role j
        where id = any($1)"#,
        ids,
    )
    .map(|row| {
        let content = JobRoleContent {
            name: row.name,
            description: row.description,
            required_skills: row.required_skills,
            seniority_level: row.seniority_level,
        };
        (row.id, content)
    })
    .fetch_all(db)
    .await
}
