//! The full view of an entity, in seven sections.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use super::history::{AmendmentContent, AmendmentView, Content, UnreadableContent};
use super::no_such_entity;
use crate::db::Db;
use crate::error::Result;
use crate::plant::chain::{ChangeType, Digest32, Reason, Verdict};
use crate::plant::entity::{self, BaseEntity, Fields, Kind, Status};
use crate::plant::genesis::examination::{Examination, examine};

/// Maximum number of amendments (the newest) and children (the oldest) in a view. `/amendments`
/// returns the whole chain.
const MAX_LISTED: u32 = 100;

/// An entity of any kind, with the result of its checks, in seven sections: identity, lifecycle,
/// versioning, constitutional alignment (its checks, and fields that differ from the chain), audit trail, metadata, relationships.
/// A value that was altered so that it cannot be read is the text `unreadable`.
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
    #[schema(value_type = Kind)]
    entity_type: Value,
    external_id: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Lifecycle {
    #[schema(value_type = DateTime<Utc>)]
    created_at: Value,
    #[schema(value_type = DateTime<Utc>)]
    updated_at: Value,
    #[schema(value_type = Option<DateTime<Utc>>)]
    deleted_at: Value,
    #[schema(value_type = Status)]
    status: Value,
    #[schema(value_type = Option<DateTime<Utc>>)]
    certified_at: Value,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Versioning {
    #[schema(value_type = String)]
    version_hash: Value,
    /// The newest 100 amendments, oldest first.
    amendment_history: Vec<AmendmentSummary>,
    /// Those of them with the change type `evolution`.
    evolution_markers: Vec<EvolutionMarker>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct AmendmentSummary {
    sequence: u64,
    #[serde(flatten)]
    #[schema(value_type = DescribedSummary)]
    content: ContentSummary,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum ContentSummary {
    Readable {
        change_type: ChangeType,
        timestamp: Box<RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        actor: Option<Box<RawValue>>,
    },
    /// The content is not the JSON of an amendment, so that the chain is broken here.
    Unreadable {
        /// Always true.
        broken: bool,
        /// Always [`Reason::Unreadable`].
        reason: Reason,
    },
}

/// The content of an amendment without its values, or why it cannot be read.
#[derive(utoipa::ToSchema)]
#[schema(as = ContentSummary)]
#[expect(
    dead_code,
    reason = "OpenAPI schema of `ContentSummary`; generators of clients merge no alternatives"
)]
struct DescribedSummary {
    #[schema(value_type = ChangeType, required = false)]
    change_type: Option<ChangeType>,
    #[schema(value_type = DateTime<Utc>, required = false)]
    timestamp: Option<Box<RawValue>>,
    #[schema(value_type = String, required = false)]
    actor: Option<Box<RawValue>>,
    /// True if the content is not the JSON of an amendment, so that the chain is broken here; then only
    /// `reason` is present.
    #[schema(value_type = bool, required = false)]
    broken: Option<bool>,
    /// Only with `broken`: always `unreadable`.
    #[schema(value_type = String, required = false, example = "unreadable")]
    reason: Option<Reason>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct EvolutionMarker {
    sequence: u64,
    #[schema(value_type = DateTime<Utc>)]
    timestamp: Box<RawValue>,
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
    #[schema(value_type = Vec<String>)]
    tags: Value,
    #[schema(value_type = Object)]
    custom_attributes: Value,
    governance_notes: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Relationships {
    parent_id: Option<Uuid>,
    /// The first 100 children, in the order of their ids.
    child_ids: Vec<Uuid>,
    #[schema(value_type = String)]
    governance_agent_id: Value,
}

/// Reads and examines an entity, from one snapshot.
///
/// # Errors
/// [`crate::error::Error::NotFound`] if there is no such entity.
pub async fn find_view(db: &Db, id: Uuid) -> Result<EntityView> {
    let mut tx = db.begin_snapshot().await?;
    let base = entity::sql::find(&mut *tx, id).await?.ok_or_else(no_such_entity)?;
    let examination = examine(&mut tx, &base).await?;
    let newest = read_newest(&mut tx, id, examination.computed_head.length).await?;
    let child_ids = entity::sql::list_children(&mut *tx, id, MAX_LISTED.into()).await?;
    entity_view(base, examination, newest, child_ids)
}

/// The newest amendments, without the values that they set.
#[derive(Default)]
struct Newest {
    links: Vec<Digest32>,
    history: Vec<AmendmentSummary>,
    evolutions: Vec<EvolutionMarker>,
}

/// Reads the last [`MAX_LISTED`] of `length` amendments, one at a time.
async fn read_newest(connection: &mut PgConnection, id: Uuid, length: u64) -> Result<Newest> {
    let from = length.saturating_sub(MAX_LISTED.into()).cast_signed();
    let mut amendments =
        entity::sql::stream_amendments(connection, id, from, MAX_LISTED.into(), i64::MAX);
    let mut newest = Newest::default();
    while let Some(amendment) = amendments.try_next().await? {
        newest.push(amendment.into());
    }
    Ok(newest)
}

impl Newest {
    fn push(&mut self, amendment: AmendmentView) {
        let sequence = amendment.sequence;
        self.links.push(amendment.link);
        let content = match amendment.content {
            Content::Readable(AmendmentContent { change_type, data, timestamp, actor }) => {
                if change_type == ChangeType::Evolution {
                    let fields = Fields::parse(data.get().as_bytes());
                    self.evolutions.push(EvolutionMarker {
                        sequence,
                        timestamp: timestamp.clone(),
                        fields: fields.iter().flat_map(Fields::names).map(str::to_owned).collect(),
                    });
                }
                ContentSummary::Readable { change_type, timestamp, actor }
            }
            Content::Unreadable(UnreadableContent { broken, reason, .. }) => {
                ContentSummary::Unreadable { broken, reason }
            }
        };
        self.history.push(AmendmentSummary { sequence, content });
    }
}

fn entity_view(
    base: BaseEntity,
    examination: Examination,
    newest: Newest,
    child_ids: Vec<Uuid>,
) -> Result<EntityView> {
    let mut fields = base.fields(&Map::new())?;
    let mut field = |name: &str| fields.remove(name);
    let passes = |name| examination.l0.iter().any(|check| check.name == name && check.passed);
    Ok(EntityView {
        audit_trail: AuditTrail {
            append_only: passes("L0-03"),
            hash_chain_sha256: newest.links,
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
        identity: Identity {
            id: base.id,
            entity_type: field("entity_type").unwrap_or_else(|| json!(base.kind)),
            external_id: base.external_id,
        },
        lifecycle: Lifecycle {
            created_at: field("created_at").into(),
            updated_at: field("updated_at").into(),
            deleted_at: field("deleted_at").into(),
            status: field("status").into(),
            certified_at: field("certified_at").into(),
        },
        versioning: Versioning {
            version_hash: field("version_hash").unwrap_or_else(|| json!(base.version_hash)),
            amendment_history: newest.history,
            evolution_markers: newest.evolutions,
        },
        metadata: Metadata {
            tags: field("tags").into(),
            custom_attributes: field("custom_attributes").into(),
            governance_notes: base.governance_notes,
        },
        relationships: Relationships {
            parent_id: base.parent_id,
            child_ids,
            governance_agent_id: field("governance_agent_id").into(),
        },
    })
}
