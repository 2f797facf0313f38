//! Statements on `industry`.

use futures::stream::BoxStream;
use sqlx::PgExecutor;
use uuid::Uuid;

use super::{Industry, IndustryContent, IndustryId};
use crate::page::Page;
use crate::plant::chain::Digest32;
use crate::plant::entity::{GOVERNANCE_AGENT, NewEntity, Status};

pub async fn insert(
    db: impl PgExecutor<'_>,
    entity: &NewEntity,
    content: &IndustryContent,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into industry (id, name, description)
        select begin_entity($1, 'industry', $2, $3, $4, $5, $6, $7), $8, $9",
        entity.id,
        entity.status as Status,
        entity.created_at,
        entity.first_amendment.content,
        &entity.first_amendment.content_hash.0,
        &entity.first_amendment.link.0,
        GOVERNANCE_AGENT,
        content.name,
        content.description,
    )
    .execute(db)
    .await
    .map(drop)
}

pub async fn find(db: impl PgExecutor<'_>, id: IndustryId) -> sqlx::Result<Option<Industry>> {
    sqlx::query_as!(
        Industry,
        r#"select
            i.id as "id: IndustryId", i.name, i.description, e.status as "status: Status",
            e.created_at, e.certified_at, e.version_hash as "version_hash: Digest32"
        from industry i
        join base_entity e on e.id = i.id
        where i.id = $1"#,
        id.0,
    )
    .fetch_optional(db)
    .await
}

pub fn list<'a>(
    db: impl PgExecutor<'a> + 'a,
    page: &Page,
) -> BoxStream<'a, sqlx::Result<Industry>> {
    sqlx::query_as!(
        Industry,
        r#"select
            i.id as "id: IndustryId", i.name, i.description, e.status as "status: Status",
            e.created_at, e.certified_at, e.version_hash as "version_hash: Digest32"
        from industry i
        join base_entity e on e.id = i.id
        where i.id < $1 and e.id < $1
        order by i.id desc
        limit $2
        offset $3"#,
        page.before(),
        page.fetch_limit(),
        page.offset,
    )
    .fetch(db)
}

/// Returns the content of those of `ids` that are industries.
pub async fn find_contents(
    db: impl PgExecutor<'_>,
    ids: &[Uuid],
) -> sqlx::Result<Vec<(Uuid, IndustryContent)>> {
    sqlx::query!("select id, name, description from industry where id = any($1)", ids)
        .map(|row| (row.id, IndustryContent { name: row.name, description: row.description }))
        .fetch_all(db)
        .await
}
