//! Statements on `base_entity` and `amendment`. An entity's first rows are written by the
//! function `begin_entity`, from the statement that inserts the kind's own row.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

use super::{Kind, Locked, Status};
use crate::plant::chain::{Amendment, Digest32};

/// Locks the entity's row until the transaction ends.
pub async fn lock(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<Locked>> {
    sqlx::query_as!(
        Locked,
        r#"select
            id, entity_type as "kind: Kind", status as "status: Status", certified_at,
            chain_length, version_hash as "version_hash: Digest32",
            tags, custom_attributes, governance_notes, governance_agent_id
        from base_entity
        where id = $1 and deleted_at is null
        for no key update"#,
        id,
    )
    .fetch_optional(db)
    .await
}

/// Appends `amendment` and stores what the entity then is.
pub async fn amend(
    db: impl PgExecutor<'_>,
    entity: &Locked,
    amendment: &Amendment,
    at: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "select amend_entity($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        entity.id,
        at,
        amendment.content,
        &amendment.content_hash.0,
        &amendment.link.0,
        entity.status as Status,
        entity.certified_at,
        &entity.tags,
        entity.custom_attributes,
        entity.governance_notes,
    )
    .fetch_all(db)
    .await
    .map(drop)
}

/// The whole chain of an entity, in order.
pub async fn amendments(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Vec<Amendment>> {
    let rows = sqlx::query!(
        r#"select
            sequence, content,
            content_hash as "content_hash: Digest32", link as "link: Digest32"
        from amendment
        where entity_id = $1
        order by sequence"#,
        id,
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Amendment {
            sequence: row.sequence.unsigned_abs(),
            content: row.content,
            content_hash: row.content_hash,
            link: row.link,
        })
        .collect())
}
