//! Job roles: a position and the skills that it requires.

pub(crate) mod routes;
pub(crate) mod sql;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::access::Caller;
use crate::check::Checks;
use crate::clock::Clock;
use crate::error::{Error, OnConstraint, Result, Violation};
use crate::plant::chain::{Digest32, Identity};
use crate::plant::entity::{Check, Kind, NewEntity, Status};
use crate::plant::id::id;
use crate::plant::skills::SkillId;

/// Maximum number of skills that a job role may require.
const MAX_SKILLS: usize = 100;

id!(
    /// A job role's id.
    JobRoleId,
    "01944336-0000-713d-ae58-9d340c4e985d"
);

/// Level of experience that a job role requires.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Seniority {
    /// Little experience.
    Junior,
    /// Works independently.
    #[default]
    Mid,
    /// Leads others.
    Senior,
}

/// A job role.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct JobRole {
    /// Id of the job role.
    pub id: JobRoleId,
    /// Name, unique among job roles.
    #[schema(example = "Content Writer")]
    pub name: String,
    /// Description of the job role.
    pub description: Option<String>,
    /// Ids of the required skills.
    pub required_skills: Vec<SkillId>,
    /// Required level of experience.
    pub seniority_level: Seniority,
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

/// The fields of a job role beyond those of every entity, all recorded in its chain; also the body
/// of `POST /api/v1/job-roles`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = NewJobRole)]
pub struct JobRoleContent {
    /// Name, unique among job roles.
    #[schema(example = "Garden Writer", min_length = 1, max_length = 200)]
    pub name: String,
    /// Description of the job role.
    #[schema(max_length = 10_000)]
    pub description: Option<String>,
    /// Ids of the required skills.
    #[serde(default)]
    #[schema(max_items = 100)]
    pub required_skills: Vec<SkillId>,
    /// Required level of experience.
    #[serde(default)]
    pub seniority_level: Seniority,
}

impl JobRoleContent {
    /// Validates the fields. Sorts and deduplicates the skills, as amendments record them.
    fn check(&mut self) -> Result<()> {
        self.required_skills.sort_unstable();
        self.required_skills.dedup();
        let mut checks = Checks::default();
        checks.name("name", &self.name);
        checks.optional_text("description", self.description.as_deref());
        let within_limit = self.required_skills.len() <= MAX_SKILLS;
        checks.require(within_limit, "required_skills", "max-items", "must be at most 100 skills");
        checks.into_result()
    }

    /// Returns the results of the L1 checks.
    pub fn check_l1(&self) -> Vec<Check> {
        vec![
            Check::new("L1-job-role-name", !self.name.trim().is_empty(), "a name"),
            Check::new(
                "L1-job-role-skills",
                !self.required_skills.is_empty(),
                "at least one required skill",
            ),
            Check::new("L1-job-role-seniority", true, "a seniority level"),
        ]
    }

    /// Returns the new entity with this content: its base row and first amendment.
    ///
    /// # Errors
    /// As [`NewEntity::new`].
    pub fn new_entity(&self, id: Uuid, at: DateTime<Utc>, actor: &str) -> Result<NewEntity> {
        let entity = Identity { id, kind: Kind::JobRole };
        NewEntity::new(entity, Status::Active, at, actor, self)
    }
}

/// Requirement on the skills of a new job role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkillRequirement {
    /// All must exist.
    Existing,
    /// At least one is required, and all must be certified.
    Certified,
}

/// A required skill that is not certified, or that does not exist.
#[derive(Debug, Clone, Copy)]
pub struct UncertifiedSkill {
    pub id: SkillId,
    pub exists: bool,
}

/// Creates a job role whose required skills satisfy `requirement`.
///
/// # Errors
/// [`Error::Validation`] listing each skill that does not satisfy it, or [`Error::Duplicate`] when
/// the name is taken.
pub async fn create(
    connection: &mut PgConnection,
    clock: &Clock,
    caller: &Caller,
    mut content: JobRoleContent,
    requirement: SkillRequirement,
) -> Result<JobRole> {
    content.check()?;
    if requirement == SkillRequirement::Certified && content.required_skills.is_empty() {
        let message = "must list at least one skill";
        return Err(Error::invalid("required_skills", "not-empty", message));
    }
    let uncertified = sql::uncertified_skills(&mut *connection, &content.required_skills).await?;
    let violations: Vec<_> =
        uncertified.into_iter().filter_map(|skill| violation(skill, requirement)).collect();
    if !violations.is_empty() {
        return Err(Error::Validation(violations));
    }
    let entity = content.new_entity(clock.new_id(), clock.now(), caller.actor())?;
    sql::insert(connection, &entity, &content).await.on_constraint("job_role_name_key", || {
        Error::Duplicate(format!("there is already a job role named `{}`", content.name))
    })?;
    Ok(JobRole {
        id: JobRoleId(entity.id),
        name: content.name,
        description: content.description,
        required_skills: content.required_skills,
        seniority_level: content.seniority_level,
        status: entity.status,
        created_at: entity.created_at,
        certified_at: None,
        version_hash: entity.first_amendment.link,
    })
}

/// Returns the violation for an uncertified skill; `None` if certification is not required.
fn violation(skill: UncertifiedSkill, requirement: SkillRequirement) -> Option<Violation> {
    let UncertifiedSkill { id, exists } = skill;
    let (rule, message) = match (exists, requirement) {
        (false, _) => ("unknown-reference", format!("skill {id} does not exist")),
        (true, SkillRequirement::Certified) => {
            ("certified", format!("skill {id} is not certified"))
        }
        (true, SkillRequirement::Existing) => return None,
    };
    Some(Violation::new("required_skills", rule, message))
}
