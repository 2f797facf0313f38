//! Industries: the fields of business that agents work in. Names are case-insensitive.

pub(crate) mod routes;
pub(crate) mod sql;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::access::Caller;
use crate::check::Checks;
use crate::clock::Clock;
use crate::error::{Error, OnConstraint, Result};
use crate::plant::chain::{Digest32, Identity};
use crate::plant::entity::{Check, Kind, NewEntity, Status};
use crate::plant::id::id;

id!(
    /// An industry's id.
    IndustryId,
    "019438e9-4800-71cc-8e1f-dc1bb5ff2ee9"
);

/// An industry.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Industry {
    /// Id of the industry.
    pub id: IndustryId,
    /// Name, unique among industries (case-insensitive).
    #[schema(example = "marketing")]
    pub name: String,
    /// Description of the industry.
    pub description: Option<String>,
    /// Lifecycle status.
    pub status: Status,
    /// Time of creation.
    pub created_at: DateTime<Utc>,
    /// Time of certification; null if not certified.
    pub certified_at: Option<DateTime<Utc>>,
    /// Last link of the hash chain; also the ETag.
    #[schema(value_type = String)]
    pub version_hash: Digest32,
}

/// The fields of an industry beyond those of every entity, all recorded in its chain; also the body
/// of `POST /api/v1/industries`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = NewIndustry)]
pub struct IndustryContent {
    /// Name, unique among industries (case-insensitive).
    #[schema(example = "gardening", min_length = 1, max_length = 200)]
    pub name: String,
    /// Description of the industry.
    #[schema(max_length = 10_000)]
    pub description: Option<String>,
}

impl IndustryContent {
    fn check(&self) -> Result<()> {
        let mut checks = Checks::default();
        checks.name("name", &self.name);
        checks.optional_text("description", self.description.as_deref());
        checks.into_result()
    }

    /// Returns the results of the L1 checks.
    pub fn check_l1(&self) -> Vec<Check> {
        vec![Check::new("L1-industry-name", !self.name.trim().is_empty(), "a name")]
    }

    /// Returns the new entity with this content: its base row and first amendment.
    ///
    /// # Errors
    /// As [`NewEntity::new`].
    pub fn new_entity(&self, id: Uuid, at: DateTime<Utc>, actor: &str) -> Result<NewEntity> {
        let entity = Identity { id, kind: Kind::Industry };
        NewEntity::new(entity, Status::Active, at, actor, self)
    }
}

/// Creates an industry.
///
/// # Errors
/// [`Error::Validation`], or [`Error::Duplicate`] when the name is taken.
pub async fn create(
    connection: &mut PgConnection,
    clock: &Clock,
    caller: &Caller,
    content: IndustryContent,
) -> Result<Industry> {
    content.check()?;
    let entity = content.new_entity(clock.new_id(), clock.now(), caller.actor())?;
    sql::insert(connection, &entity, &content).await.on_constraint("industry_name_key", || {
        Error::Duplicate(format!("there is already an industry named `{}`", content.name))
    })?;
    Ok(Industry {
        id: IndustryId(entity.id),
        name: content.name,
        description: content.description,
        status: entity.status,
        created_at: entity.created_at,
        certified_at: None,
        version_hash: entity.first_amendment.link,
    })
}
