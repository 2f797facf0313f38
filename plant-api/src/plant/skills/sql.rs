//! Statements on `skill`.

use futures::stream::BoxStream;
use sqlx::PgExecutor;
use uuid::Uuid;

use super::{Category, Skill, SkillContent, SkillId};
use crate::page::Page;
use crate::plant::chain::Digest32;
use crate::plant::entity::{GOVERNANCE_AGENT, NewEntity, Status};

pub async fn insert(
    db: impl PgExecutor<'_>,
    entity: &NewEntity,
    content: &SkillContent,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into skill (id, name, skill_key, category, description)
        select begin_entity($1, 'skill', $2, $3, $4, $5, $6, $7), $8, $9, $10, $11",
        entity.id,
        entity.status as Status,
        entity.created_at,
        entity.first_amendment.content,
        &entity.first_amendment.content_hash.0,
        &entity.first_amendment.link.0,
        GOVERNANCE_AGENT,
        content.name,
        content.skill_key,
        content.category as Category,
        content.description,
    )
    .execute(db)
    .await
    .map(drop)
}

pub async fn find(db: impl PgExecutor<'_>, id: SkillId) -> sqlx::Result<Option<Skill>> {
    sqlx::query_as!(
        Skill,
        r#"select
            s.id as "id: SkillId", s.name, s.skill_key, s.category as "category: Category",
            s.description, e.status as "status: Status", e.created_at, e.certified_at,
            e.version_hash as "version_hash: Digest32"
        from skill s
        join base_entity e on e.id = s.id
        where s.id = $1"#,
        id.0,
    )
    .fetch_optional(db)
    .await
}

pub async fn find_by_name(db: impl PgExecutor<'_>, name: &str) -> sqlx::Result<Option<Skill>> {
    sqlx::query_as!(
        Skill,
        r#"select
            s.id as "id: SkillId", s.name, s.skill_key, s.category as "category: Category",
            s.description, e.status as "status: Status", e.created_at, e.certified_at,
            e.version_hash as "version_hash: Digest32"
        from skill s
        join base_entity e on e.id = s.id
        where s.name = $1"#,
        name,
    )
    .fetch_optional(db)
    .await
}

/// Locks a name until the end of the transaction, whether or not a skill has it.
pub async fn lock_name(db: impl PgExecutor<'_>, name: &str) -> sqlx::Result<()> {
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended('skill ' || $1, 0))", name)
        .fetch_all(db)
        .await
        .map(drop)
}

pub fn list<'a>(
    db: impl PgExecutor<'a> + 'a,
    category: Option<Category>,
    status: Option<Status>,
    page: &Page,
) -> BoxStream<'a, sqlx::Result<Skill>> {
    sqlx::query_as!(
        Skill,
        r#"select
            s.id as "id: SkillId", s.name, s.skill_key, s.category as "category: Category",
            s.description, e.status as "status: Status", e.created_at, e.certified_at,
            e.version_hash as "version_hash: Digest32"
        from skill s
        join base_entity e on e.id = s.id
        where ($1::text is null or s.category = $1)
            and ($2::text is null or e.status = $2)
            and s.id < $3
            and e.id < $3
        order by s.id desc
        limit $4
        offset $5"#,
        category as Option<Category>,
        status as Option<Status>,
        page.before(),
        page.fetch_limit(),
        page.offset,
    )
    .fetch(db)
}

/// Returns the content of those of `ids` that are skills.
pub async fn find_contents(
    db: impl PgExecutor<'_>,
    ids: &[Uuid],
) -> sqlx::Result<Vec<(Uuid, SkillContent)>> {
    sqlx::query!(
        r#"select id, name, skill_key, category as "category: Category", description
        from skill
        where id = any($1)"#,
        ids,
    )
    .map(|row| {
        let content = SkillContent {
            name: row.name,
            skill_key: row.skill_key,
            category: row.category,
            description: row.description,
        };
        (row.id, content)
    })
    .fetch_all(db)
    .await
}
