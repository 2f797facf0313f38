//! Statements on `base_entity` and `amendment`. The first rows of an entity are inserted by the SQL
//! function `begin_entity`, which the statement that inserts the kind's own row calls.

use chrono::{DateTime, Utc};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use sqlx::PgExecutor;
use uuid::Uuid;

use super::{BaseEntity, Kind, LockedEntity, Status};
use crate::plant::chain::{Amendment, Digest32, Format};

/// Reads an entity that is not deleted, and locks its row until the end of the transaction. The
/// first amendment, which never changes, determines the version of the chain's format.
pub async fn lock(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<LockedEntity>> {
    sqlx::query!(
        r#"select
            e.id, e.entity_type as "kind: Kind", e.external_id, e.status as "status: Status",
            e.created_at, e.updated_at, e.deleted_at, e.certified_at,
            e.chain_length, e.version_hash as "version_hash: Digest32",
            e.tags, e.custom_attributes, e.governance_notes, e.parent_id, e.governance_agent_id,
            first.content_hash as "first_hash?: Digest32", first.link as "first_link?: Digest32"
        from base_entity e
        left join amendment first on first.entity_id = e.id and first.sequence = 0
        where e.id = $1 and e.deleted_at is null
        for no key update of e"#,
        id,
    )
    .map(|row| {
        let base = BaseEntity {
            id: row.id,
            kind: row.kind,
            external_id: row.external_id,
            status: row.status,
            created_at: row.created_at,
            updated_at: row.updated_at,
            deleted_at: row.deleted_at,
            certified_at: row.certified_at,
            chain_length: row.chain_length,
            version_hash: row.version_hash,
            tags: row.tags,
            custom_attributes: row.custom_attributes,
            governance_notes: row.governance_notes,
            parent_id: row.parent_id,
            governance_agent_id: row.governance_agent_id,
        };
        let (hash, link) = (row.first_hash.unwrap_or_default(), row.first_link.unwrap_or_default());
        LockedEntity { format: Format::of_chain(base.identity(), hash, link), base }
    })
    .fetch_optional(db)
    .await
}

/// Reads an entity, deleted or not.
pub async fn find(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<BaseEntity>> {
    sqlx::query_as!(
        BaseEntity,
        r#"select
            id, entity_type as "kind: Kind", external_id, status as "status: Status",
            created_at, updated_at, deleted_at, certified_at,
            chain_length, version_hash as "version_hash: Digest32",
            tags, custom_attributes, governance_notes, parent_id, governance_agent_id
        from base_entity
        where id = $1"#,
        id,
    )
    .fetch_optional(db)
    .await
}

/// Reads the first `limit` entities of one kind, or of all, with ids greater than `after`, in the
/// order of their ids. The list ends early, but not before the first entity, where the entities
/// before have `max_bytes` of custom attributes.
pub async fn list(
    db: impl PgExecutor<'_>,
    kind: Option<Kind>,
    after: Uuid,
    limit: i64,
    max_bytes: i64,
) -> sqlx::Result<Vec<BaseEntity>> {
    sqlx::query_as!(
        BaseEntity,
        r#"select
            id, entity_type as "kind: Kind", external_id, status as "status: Status",
            created_at, updated_at, deleted_at, certified_at,
            chain_length, version_hash as "version_hash: Digest32",
            tags, custom_attributes, governance_notes, parent_id, governance_agent_id
        from (
            select
                *,
                sum(octet_length(custom_attributes::text))
                    over (order by id rows unbounded preceding exclude current row) as bytes_before
            from (
                select *
                from base_entity
                where id > $1 and ($2::text is null or entity_type = $2)
                order by id
                limit $3
            ) as page
        ) as page
        where coalesce(bytes_before, 0) < $4
        order by id"#,
        after,
        kind as Option<Kind>,
        limit,
        max_bytes,
    )
    .fetch_all(db)
    .await
}

/// Reads the ids of the first `limit` entities whose parent is `id`.
pub async fn list_children(
    db: impl PgExecutor<'_>,
    id: Uuid,
    limit: i64,
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "select id from base_entity where parent_id = $1 order by id limit $2",
        id,
        limit,
    )
    .fetch_all(db)
    .await
}

/// Inserts `amendment` and updates the entity's row.
pub async fn amend(
    db: impl PgExecutor<'_>,
    entity: &LockedEntity,
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

struct AmendmentRow {
    sequence: i64,
    content: Vec<u8>,
    content_hash: Digest32,
    link: Digest32,
}

impl From<AmendmentRow> for Amendment {
    fn from(row: AmendmentRow) -> Self {
        Self {
            sequence: row.sequence.unsigned_abs(),
            content: row.content,
            content_hash: row.content_hash,
            link: row.link,
        }
    }
}

/// Streams at most `limit` amendments of an entity, from sequence number `from` on. Ends early when
/// the contents of all but the last two together exceed `max_bytes`.
pub fn stream_amendments<'a>(
    db: impl PgExecutor<'a> + 'a,
    id: Uuid,
    from: i64,
    limit: i64,
    max_bytes: i64,
) -> BoxStream<'a, sqlx::Result<Amendment>> {
    // PostgreSQL knows the size of a content without reading it.
    sqlx::query_as!(
        AmendmentRow,
        r#"select
            sequence, content,
            content_hash as "content_hash: Digest32", link as "link: Digest32"
        from (
            select
                *,
                sum(octet_length(content)) over (
                    order by sequence rows between unbounded preceding and 2 preceding
                ) as bytes
            from amendment
            where entity_id = $1 and sequence >= $2
            order by sequence
            limit $3
        ) page
        where coalesce(bytes, 0) <= $4::bigint
        order by sequence"#,
        id,
        from,
        limit,
        max_bytes,
    )
    .fetch(db)
    .map_ok(Amendment::from)
    .boxed()
}

/// Streams the whole chains of the given entities, ordered by entity id and sequence number.
pub fn stream_chains<'a>(
    db: impl PgExecutor<'a> + 'a,
    ids: &'a [Uuid],
) -> BoxStream<'a, sqlx::Result<(Uuid, Amendment)>> {
    sqlx::query!(
        r#"select
            entity_id, sequence, content,
            content_hash as "content_hash: Digest32", link as "link: Digest32"
        from amendment
        where entity_id = any($1)
        order by entity_id, sequence"#,
        ids,
    )
    .map(|row| {
        let amendment = Amendment {
            sequence: row.sequence.unsigned_abs(),
            content: row.content,
            content_hash: row.content_hash,
            link: row.link,
        };
        (row.entity_id, amendment)
    })
    .fetch(db)
    .boxed()
}
