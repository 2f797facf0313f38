//! Entities with their amendment chains, built by the same functions as in the routes and inserted
//! in bulk.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Result;
use crate::plant::chain::{Amendment, Change, ChangeType, Format, Identity};
use crate::plant::entity::{GOVERNANCE_AGENT, Kind, NewEntity, Status};
use crate::plant::genesis::{self, CertificationDetails};

/// Actor of all seeded amendments.
pub const ACTOR: &str = GOVERNANCE_AGENT;

/// An entity to insert, with its complete chain.
#[derive(Debug)]
pub struct SeededEntity {
    id: Uuid,
    status: Status,
    created_at: DateTime<Utc>,
    certified_at: Option<DateTime<Utc>>,
    chain: Vec<Amendment>,
}

impl From<NewEntity> for SeededEntity {
    fn from(new: NewEntity) -> Self {
        Self {
            id: new.id,
            status: new.status,
            created_at: new.created_at,
            certified_at: None,
            chain: vec![new.first_amendment],
        }
    }
}

impl SeededEntity {
    /// Returns a skill that Genesis certified at `at`.
    pub fn certified_skill(new: NewEntity, at: DateTime<Utc>) -> Result<Self> {
        let change = Change {
            change_type: ChangeType::Certification,
            data: genesis::certification_data(Kind::Skill, at, CertificationDetails::default()),
            timestamp: at,
            actor: ACTOR.to_owned(),
        };
        let identity = Identity { id: new.id, kind: Kind::Skill };
        let head = new.first_amendment.head();
        let second = Amendment::after(Format::NEWEST, identity, head, change.to_canonical_json());
        Ok(Self {
            id: new.id,
            status: Status::Certified,
            created_at: new.created_at,
            certified_at: Some(at),
            chain: vec![new.first_amendment, second],
        })
    }
}

/// Returns those of `ids` that exist. The lateral join looks each id up by index: a plain join is
/// planned while the table is small, and then scans the whole table for every batch.
pub async fn find_existing(db: &mut PgConnection, ids: &[Uuid]) -> sqlx::Result<HashSet<Uuid>> {
    sqlx::query_scalar!(
        r#"select wanted.id as "id!"
        from unnest($1::uuid[]) as wanted (id)
        cross join lateral (select from base_entity e where e.id = wanted.id limit 1) as found"#,
        ids,
    )
    .fetch_all(db)
    .await
    .map(HashSet::from_iter)
}

/// Inserts entities of one kind and their chains in one statement, because the triggers check both.
/// Amendments get their positions in the order of `entities`.
pub async fn insert(
    db: &mut PgConnection,
    kind: Kind,
    entities: &[SeededEntity],
) -> sqlx::Result<()> {
    let ids: Vec<_> = entities.iter().map(|entity| entity.id).collect();
    let statuses: Vec<_> = entities.iter().map(|entity| entity.status).collect();
    let created: Vec<_> = entities.iter().map(|entity| entity.created_at).collect();
    let certified: Vec<_> = entities.iter().map(|entity| entity.certified_at).collect();
    let amendments: Vec<_> =
        entities.iter().flat_map(|entity| entity.chain.iter().map(|a| (entity.id, a))).collect();
    let entity_ids: Vec<_> = amendments.iter().map(|(id, _)| *id).collect();
    let sequences: Vec<_> = amendments.iter().map(|(_, a)| a.sequence.cast_signed()).collect();
    let contents: Vec<_> = amendments.iter().map(|(_, a)| a.content.as_slice()).collect();
    let hashes: Vec<_> = amendments.iter().map(|(_, a)| a.content_hash.0.as_slice()).collect();
    let links: Vec<_> = amendments.iter().map(|(_, a)| a.link.0.as_slice()).collect();
    sqlx::query!(
        "with new_amendment as (
            insert into amendment (entity_id, sequence, content, content_hash, link)
            select entity_id, sequence, content, content_hash, link
            from unnest($1::uuid[], $2::bigint[], $3::bytea[], $4::bytea[], $5::bytea[])
                with ordinality
                as new (entity_id, sequence, content, content_hash, link, ordinal)
            order by ordinal
            returning entity_id, sequence, link
        ),
        head as (
            select distinct on (entity_id) entity_id, sequence, link
            from new_amendment
            order by entity_id, sequence desc
        )
        insert into base_entity (
            id, entity_type, status, created_at, updated_at, certified_at, chain_length,
            version_hash, governance_agent_id
        )
        select
            id, $6, status, created_at, coalesce(certified_at, created_at), certified_at,
            head.sequence + 1, head.link, $7
        from unnest($8::uuid[], $9::text[], $10::timestamptz[], $11::timestamptz[])
            with ordinality
            as new (id, status, created_at, certified_at, ordinal)
        join head on head.entity_id = id
        order by ordinal",
        &entity_ids,
        &sequences,
        &contents as &[&[u8]],
        &hashes as &[&[u8]],
        &links as &[&[u8]],
        kind as Kind,
        GOVERNANCE_AGENT,
        &ids,
        &statuses as &[Status],
        &created,
        &certified as &[Option<DateTime<Utc>>],
    )
    .execute(db)
    .await
    .map(drop)
}
