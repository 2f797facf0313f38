//! An entity in its seven sections.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::history::Entry;
use super::no_such_entity;
use crate::db::Db;
use crate::error::Result;
use crate::plant::chain::{Digest32, Verdict};
use crate::plant::entity::{self, Kind, Shared, Status};
use crate::plant::genesis::examination::{Examination, examine};

/// Amendments and children that are shown, the newest amendments and the oldest children;
/// `/amendments` has the whole chain.
const SHOWN: u32 = 100;

/// Everything that every kind of entity has in common.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct EntityView {
    identity: Identity,
    lifecycle: Lifecycle,
    versioning: Versioning,
    constitutional_alignment: ConstitutionalAlignment,
    audit_trail: AuditTrail,
    metadata: Metadata,
    relationships: Relationships,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Identity {
    id: Uuid,
    entity_type: Kind,
    external_id: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Lifecycle {
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    deleted_at: Option<DateTime<Utc>>,
    status: Status,
    certified_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Versioning {
    #[schema(value_type = String)]
    version_hash: Digest32,
    /// The newest 100, oldest first.
    amendment_history: Vec<Summary>,
    /// Those of them that changed fields.
    evolution_markers: Vec<Marker>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Summary {
    sequence: u64,
    #[schema(value_type = String)]
    change_type: Value,
    #[schema(value_type = DateTime<Utc>)]
    timestamp: Value,
    #[schema(value_type = String)]
    actor: Value,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Marker {
    sequence: u64,
    #[schema(value_type = DateTime<Utc>)]
    timestamp: Value,
    /// The fields that changed.
    fields: Vec<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ConstitutionalAlignment {
    /// Each check that every entity must pass.
    l0_compliance_status: BTreeMap<&'static str, bool>,
    /// `aligned` where the rows say what the amendments add up to, otherwise `diverged`.
    amendment_alignment: &'static str,
    drift_detector: Drift,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Drift {
    drifted: bool,
    /// The first field that differs.
    field: Option<String>,
    /// The amendment that last set it.
    at_index: Option<u64>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct AuditTrail {
    append_only: bool,
    /// The newest 100 links, oldest first; the last is the version hash.
    #[schema(value_type = Vec<String>)]
    hash_chain_sha256: Vec<Digest32>,
    /// Whether nothing differs from what was written.
    tamper_proof: bool,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Metadata {
    tags: Vec<String>,
    #[schema(value_type = Object)]
    custom_attributes: Value,
    governance_notes: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Relationships {
    parent_id: Option<Uuid>,
    /// The first 100.
    child_ids: Vec<Uuid>,
    governance_agent_id: String,
}

/// Reads an entity with all that can be said of it, as of one moment.
///
/// # Errors
/// [`crate::error::Error::NotFound`].
pub async fn view(db: &Db, id: Uuid) -> Result<EntityView> {
    let mut tx = db.snapshot().await?;
    let shared = entity::sql::find(&mut *tx, id).await?.ok_or_else(no_such_entity)?;
    let found = examine(&mut tx, &shared).await?;
    let from = found.end.length.saturating_sub(SHOWN.into()).cast_signed();
    let newest = entity::sql::amendments(&mut *tx, id, from, SHOWN.into()).await?;
    let child_ids = entity::sql::children(&mut *tx, id, SHOWN.into()).await?;
    let newest: Vec<_> = newest.into_iter().map(Entry::from).collect();
    Ok(grouped(shared, found, &newest, child_ids))
}

fn grouped(
    shared: Shared,
    found: Examination,
    newest: &[Entry],
    child_ids: Vec<Uuid>,
) -> EntityView {
    let holds = |name| found.l0.iter().any(|check| check.name == name && check.holds);
    EntityView {
        audit_trail: AuditTrail {
            append_only: holds("L0-03"),
            hash_chain_sha256: newest.iter().map(|entry| entry.link).collect(),
            tamper_proof: found.verdict == Verdict::Intact,
        },
        constitutional_alignment: ConstitutionalAlignment {
            l0_compliance_status: found.l0.iter().map(|check| (check.name, check.holds)).collect(),
            amendment_alignment: if found.departure.is_none() { "aligned" } else { "diverged" },
            drift_detector: Drift {
                drifted: found.departure.is_some(),
                at_index: found.departure.as_ref().map(|departure| departure.at_index),
                field: found.departure.map(|departure| departure.field),
            },
        },
        identity: Identity {
            id: shared.id,
            entity_type: shared.kind,
            external_id: shared.external_id,
        },
        lifecycle: Lifecycle {
            created_at: shared.created_at,
            updated_at: shared.updated_at,
            deleted_at: shared.deleted_at,
            status: shared.status,
            certified_at: shared.certified_at,
        },
        versioning: Versioning {
            version_hash: shared.version_hash,
            amendment_history: newest.iter().map(summary).collect(),
            evolution_markers: newest.iter().filter_map(marker).collect(),
        },
        metadata: Metadata {
            tags: shared.tags,
            custom_attributes: shared.custom_attributes,
            governance_notes: shared.governance_notes,
        },
        relationships: Relationships {
            parent_id: shared.parent_id,
            child_ids,
            governance_agent_id: shared.governance_agent_id,
        },
    }
}

fn summary(entry: &Entry) -> Summary {
    Summary {
        sequence: entry.sequence,
        change_type: entry.says.change_type.clone(),
        timestamp: entry.says.timestamp.clone(),
        actor: entry.says.actor.clone(),
    }
}

fn marker(entry: &Entry) -> Option<Marker> {
    let evolved = entry.says.change_type == "evolution";
    let fields = entry.says.data.as_object()?.keys().cloned().collect();
    let timestamp = entry.says.timestamp.clone();
    evolved.then_some(Marker { sequence: entry.sequence, timestamp, fields })
}
