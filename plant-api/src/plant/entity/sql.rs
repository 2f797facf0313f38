//! Statements on `base_entity` and `amendment`. The first rows of an entity are inserted by the SQL
//! function `begin_entity`, which the statement that inserts the kind's own row calls.

use chrono::{DateTime, Utc};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use sqlx::PgExecutor;
use uuid::Uuid;

use super::column::{Column, StoredJson, Timestamp};
use super::{BaseEntity, Kind, LockedEntity, Status};
use crate::plant::chain::{Amendment, Digest32, Format};

/// A row of `base_entity` as stored.
struct BaseRow {
    id: Uuid,
    kind: Column<Kind>,
    external_id: Option<String>,
    status: Column<Status>,
    created_at: Column<Timestamp>,
    updated_at: Column<Timestamp>,
    deleted_at: Option<Column<Timestamp>>,
    certified_at: Option<Column<Timestamp>>,
    chain_length: Column<i64>,
    version_hash: Column<Digest32>,
    tags: Column<Vec<String>>,
    custom_attributes: Column<StoredJson>,
    governance_notes: Option<String>,
    parent_id: Option<Uuid>,
    governance_agent_id: Column<String>,
}

impl From<BaseRow> for BaseEntity {
    fn from(row: BaseRow) -> Self {
        let mut unreadable = Vec::new();
        let mut time = |name, column: Column<Timestamp>| {
            column.read(name, &mut unreadable).map(|Timestamp(time)| time)
        };
        let created_at = time("created_at", row.created_at).unwrap_or_default();
        let updated_at = time("updated_at", row.updated_at).unwrap_or_default();
        let deleted_at = row.deleted_at.and_then(|column| time("deleted_at", column));
        let certified_at = row.certified_at.and_then(|column| time("certified_at", column));
        let chain_length = Column(row.chain_length.0.filter(|length| *length > 0));
        let attributes = row.custom_attributes.read("custom_attributes", &mut unreadable);
        Self {
            id: row.id,
            kind: row.kind.read("entity_type", &mut unreadable).unwrap_or(Kind::Skill),
            external_id: row.external_id,
            status: row.status.read("status", &mut unreadable).unwrap_or(Status::Inactive),
            created_at,
            updated_at,
            deleted_at,
            certified_at,
            chain_length: chain_length.read("chain_length", &mut unreadable).unwrap_or_default(),
            version_hash: row
                .version_hash
                .read("version_hash", &mut unreadable)
                .unwrap_or_default(),
            tags: row.tags.read("tags", &mut unreadable).unwrap_or_default(),
            custom_attributes: attributes.map(|StoredJson(value)| value).unwrap_or_default(),
            governance_notes: row.governance_notes,
            parent_id: row.parent_id,
            governance_agent_id: row
                .governance_agent_id
                .read("governance_agent_id", &mut unreadable)
                .unwrap_or_default(),
            unreadable,
        }
    }
}

/// Reads an entity that is not deleted, and locks its row until the end of the transaction. The
/// first amendment, which never changes, determines the version of the chain's format.
pub async fn lock(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<LockedEntity>> {
    sqlx::query!(
        r#"select
            e.id, e.entity_type as "kind: Column<Kind>", e.external_id,
            e.status as "status: Column<Status>",
            e.created_at as "created_at: Column<Timestamp>",
            e.updated_at as "updated_at: Column<Timestamp>",
            e.deleted_at as "deleted_at: Column<Timestamp>",
            e.certified_at as "certified_at: Column<Timestamp>",
            e.chain_length as "chain_length: Column<i64>",
            e.version_hash as "version_hash: Column<Digest32>",
            e.tags as "tags: Column<Vec<String>>",
            e.custom_attributes as "custom_attributes: Column<StoredJson>",
            e.governance_notes, e.parent_id,
            e.governance_agent_id as "governance_agent_id: Column<String>",
            first.content_hash as "first_hash?: Column<Digest32>",
            first.link as "first_link?: Column<Digest32>"
        from base_entity e
        left join amendment first on first.entity_id = e.id and first.sequence = 0
        where e.id = $1 and e.deleted_at is null
        for no key update of e"#,
        id,
    )
    .map(|row| {
        let base = BaseEntity::from(BaseRow {
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
        });
        let digest =
            |column: Option<Column<Digest32>>| column.and_then(|c| c.0).unwrap_or_default();
        let (hash, link) = (digest(row.first_hash), digest(row.first_link));
        LockedEntity { format: Format::of_chain(base.identity(), hash, link), base }
    })
    .fetch_optional(db)
    .await
}

/// Reads an entity, deleted or not.
pub async fn find(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<BaseEntity>> {
    sqlx::query_as!(
        BaseRow,
        r#"select
            id, entity_type as "kind: Column<Kind>", external_id,
            status as "status: Column<Status>",
            created_at as "created_at: Column<Timestamp>",
            updated_at as "updated_at: Column<Timestamp>",
            deleted_at as "deleted_at: Column<Timestamp>",
            certified_at as "certified_at: Column<Timestamp>",
            chain_length as "chain_length: Column<i64>",
            version_hash as "version_hash: Column<Digest32>",
            tags as "tags: Column<Vec<String>>",
            custom_attributes as "custom_attributes: Column<StoredJson>",
            governance_notes, parent_id,
            governance_agent_id as "governance_agent_id: Column<String>"
        from base_entity
        where id = $1"#,
        id,
    )
    .map(BaseEntity::from)
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
        BaseRow,
        r#"select
            id, entity_type as "kind: Column<Kind>", external_id,
            status as "status: Column<Status>",
            created_at as "created_at: Column<Timestamp>",
            updated_at as "updated_at: Column<Timestamp>",
            deleted_at as "deleted_at: Column<Timestamp>",
            certified_at as "certified_at: Column<Timestamp>",
            chain_length as "chain_length: Column<i64>",
            version_hash as "version_hash: Column<Digest32>",
            tags as "tags: Column<Vec<String>>",
            custom_attributes as "custom_attributes: Column<StoredJson>",
            governance_notes, parent_id,
            governance_agent_id as "governance_agent_id: Column<String>"
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
    .map(BaseEntity::from)
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
    entity_id: Uuid,
    sequence: i64,
    content: Column<Vec<u8>>,
    content_hash: Column<Digest32>,
    link: Column<Digest32>,
}

impl From<AmendmentRow> for Amendment {
    /// What cannot be read becomes a value that is not the right one at any position of a chain.
    fn from(row: AmendmentRow) -> Self {
        Self {
            sequence: u64::try_from(row.sequence).unwrap_or(u64::MAX),
            content: row.content.0.unwrap_or_default(),
            content_hash: row.content_hash.0.unwrap_or_default(),
            link: row.link.0.unwrap_or_default(),
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
            entity_id, sequence, content as "content: Column<Vec<u8>>",
            content_hash as "content_hash: Column<Digest32>", link as "link: Column<Digest32>"
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
    sqlx::query_as!(
        AmendmentRow,
        r#"select
            entity_id, sequence, content as "content: Column<Vec<u8>>",
            content_hash as "content_hash: Column<Digest32>", link as "link: Column<Digest32>"
        from amendment
        where entity_id = any($1)
        order by entity_id, sequence"#,
        ids,
    )
    .map(|row| (row.entity_id, Amendment::from(row)))
    .fetch(db)
    .boxed()
}
