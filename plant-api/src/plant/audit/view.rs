//! The full view of an entity, in seven sections.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::history::AmendmentView;
use super::no_such_entity;
use crate::db::Db;
use crate::error::Result;
use crate::plant::chain::{Digest32, Verdict};
use crate::plant::entity::{self, BaseEntity, Kind, Status};
use crate::plant::genesis::examination::{Examination, examine};

/// Maximum number of amendments (the newest) and children (the oldest) in a view. `/amendments`
/// returns the whole chain.
const MAX_LISTED: u32 = 100;

/// An entity of any kind, with the result of its checks, in seven sections: identity, lifecycle,
/// versioning, constitutional alignment (checks and drift), audit trail, metadata, relationships.
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
    /// The newest 100 amendments, oldest first.
    amendment_history: Vec<AmendmentSummary>,
    /// Those of them with the change type `evolution`.
    evolution_markers: Vec<EvolutionMarker>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct AmendmentSummary {
    sequence: u64,
    #[schema(value_type = String)]
    change_type: Value,
    #[schema(value_type = DateTime<Utc>)]
    timestamp: Value,
    #[schema(value_type = String)]
    actor: Value,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct EvolutionMarker {
    sequence: u64,
    #[schema(value_type = DateTime<Utc>)]
    timestamp: Value,
    /// Names of the changed fields.
    fields: Vec<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ConstitutionalAlignment {
    /// Results of the checks common to all kinds (L0), by name.
    l0_compliance_status: BTreeMap<&'static str, bool>,
    /// `aligned` if the entity's fields are the result of its amendments, otherwise `diverged`.
    amendment_alignment: &'static str,
    drift_detector: Drift,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Drift {
    drifted: bool,
    /// First field that differs from the result of the amendments.
    field: Option<String>,
    /// Index of the amendment that last set the field.
    at_index: Option<u64>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct AuditTrail {
    append_only: bool,
    /// The newest 100 links, oldest first; the last is the version hash.
    #[schema(value_type = Vec<String>)]
    hash_chain_sha256: Vec<Digest32>,
    /// Whether the chain and all fields are unaltered.
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
    /// The first 100 children, in the order of their ids.
    child_ids: Vec<Uuid>,
    governance_agent_id: String,
}

/// Reads and examines an entity, from one snapshot.
///
/// # Errors
/// [`crate::error::Error::NotFound`] if there is no such entity.
pub async fn find_view(db: &Db, id: Uuid) -> Result<EntityView> {
    let mut tx = db.begin_snapshot().await?;
    let base = entity::sql::find(&mut *tx, id).await?.ok_or_else(no_such_entity)?;
    let examination = examine(&mut tx, &base).await?;
    let from = examination.computed_head.length.saturating_sub(MAX_LISTED.into()).cast_signed();
    let newest = entity::sql::list_amendments(&mut *tx, id, from, MAX_LISTED.into()).await?;
    let child_ids = entity::sql::list_children(&mut *tx, id, MAX_LISTED.into()).await?;
    let newest: Vec<_> = newest.into_iter().map(AmendmentView::from).collect();
    Ok(entity_view(base, examination, &newest, child_ids))
}

fn entity_view(
    base: BaseEntity,
    examination: Examination,
    newest: &[AmendmentView],
    child_ids: Vec<Uuid>,
) -> EntityView {
    let passes = |name| examination.l0.iter().any(|check| check.name == name && check.passed);
    EntityView {
        audit_trail: AuditTrail {
            append_only: passes("L0-03"),
            hash_chain_sha256: newest.iter().map(|amendment| amendment.link).collect(),
            tamper_proof: examination.verdict == Verdict::Intact,
        },
        constitutional_alignment: ConstitutionalAlignment {
            l0_compliance_status: examination
                .l0
                .iter()
                .map(|check| (check.name, check.passed))
                .collect(),
            amendment_alignment: if examination.mismatch.is_none() {
                "aligned"
            } else {
                "diverged"
            },
            drift_detector: Drift {
                drifted: examination.mismatch.is_some(),
                at_index: examination.mismatch.as_ref().map(|mismatch| mismatch.at_index),
                field: examination.mismatch.map(|mismatch| mismatch.field),
            },
        },
        identity: Identity { id: base.id, entity_type: base.kind, external_id: base.external_id },
        lifecycle: Lifecycle {
            created_at: base.created_at,
            updated_at: base.updated_at,
            deleted_at: base.deleted_at,
            status: base.status,
            certified_at: base.certified_at,
        },
        versioning: Versioning {
            version_hash: base.version_hash,
            amendment_history: newest.iter().map(amendment_summary).collect(),
            evolution_markers: newest.iter().filter_map(evolution_marker).collect(),
        },
        metadata: Metadata {
            tags: base.tags,
            custom_attributes: base.custom_attributes,
            governance_notes: base.governance_notes,
        },
        relationships: Relationships {
            parent_id: base.parent_id,
            child_ids,
            governance_agent_id: base.governance_agent_id,
        },
    }
}

fn amendment_summary(amendment: &AmendmentView) -> AmendmentSummary {
    let content = &amendment.content;
    AmendmentSummary {
        sequence: amendment.sequence,
        change_type: content.change_type.clone(),
        timestamp: content.timestamp.clone(),
        actor: content.actor.clone(),
    }
}

fn evolution_marker(amendment: &AmendmentView) -> Option<EvolutionMarker> {
    let content = &amendment.content;
    let is_evolution = content.change_type == "evolution";
    let fields = content.data.as_object()?.keys().cloned().collect();
    let timestamp = content.timestamp.clone();
    let sequence = amendment.sequence;
    is_evolution.then_some(EvolutionMarker { sequence, timestamp, fields })
}
