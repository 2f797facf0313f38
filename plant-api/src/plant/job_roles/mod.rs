//! Job roles: what a set of skills is hired for.

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
use crate::plant::chain::Digest32;
use crate::plant::entity::{Check, NewEntity, Status};
use crate::plant::id::id;
use crate::plant::skills::SkillId;

/// Most skills that one job role may require.
const SKILLS_MAX: usize = 100;

id!(
    /// A job role's id.
    JobRoleId
);

/// How much experience a job role asks for.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Seniority {
    /// Some.
    Junior,
    /// Enough to work alone.
    #[default]
    Mid,
    /// Enough to lead.
    Senior,
}

/// A job role.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct JobRole {
    /// Its id.
    pub id: JobRoleId,
    /// Its name.
    #[schema(example = "Content Writer")]
    pub name: String,
    /// What it is about.
    pub description: Option<String>,
    /// The skills it requires.
    pub required_skills: Vec<SkillId>,
    /// How much experience it asks for.
    pub seniority_level: Seniority,
    /// Where it is in its life.
    pub status: Status,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When Genesis certified it.
    pub certified_at: Option<DateTime<Utc>>,
    /// The head of its hash chain.
    #[schema(value_type = String)]
    pub version_hash: Digest32,
}

/// What a job role is made of; its amendments carry this.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = NewJobRole)]
pub struct Content {
    /// A name that no other job role has.
    #[schema(example = "Content Writer", min_length = 1, max_length = 200)]
    pub name: String,
    /// What it is about.
    #[schema(max_length = 10_000)]
    pub description: Option<String>,
    /// The skills it requires.
    #[serde(default)]
    #[schema(max_items = 100)]
    pub required_skills: Vec<SkillId>,
    /// How much experience it asks for.
    #[serde(default)]
    pub seniority_level: Seniority,
}

impl Content {
    /// Checks the fields, and puts the skills into the one order that amendments know.
    fn check(&mut self) -> Result<()> {
        self.required_skills.sort_unstable();
        self.required_skills.dedup();
        let mut checks = Checks::default();
        checks.name("name", &self.name);
        checks.text("description", self.description.as_deref());
        let few = self.required_skills.len() <= SKILLS_MAX;
        checks.that(few, "required_skills", "max-items", "must be at most 100 skills");
        checks.done()
    }

    /// What certification asks of a job role.
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

    /// The entity that this content makes.
    ///
    /// # Errors
    /// As [`NewEntity::new`].
    pub fn entity(&self, id: Uuid, at: DateTime<Utc>, actor: &str) -> Result<NewEntity> {
        NewEntity::new(id, Status::Active, at, actor, self)
    }
}

/// What is asked of the skills that a job role requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skills {
    /// That there are such skills.
    Known,
    /// That there is at least one, and that Genesis has certified them all.
    Certified,
}

/// A skill that is wanted but not certified.
#[derive(Debug, Clone, Copy)]
pub struct Uncertified {
    /// Its id.
    pub id: SkillId,
    /// Whether there is such a skill.
    pub exists: bool,
}

/// Creates a job role whose required skills are such as `skills` asks.
///
/// # Errors
/// [`Error::Validation`] listing each skill that is not, or [`Error::Duplicate`] when the name is
/// taken.
pub async fn create(
    connection: &mut PgConnection,
    clock: &Clock,
    caller: &Caller,
    mut content: Content,
    skills: Skills,
) -> Result<JobRole> {
    content.check()?;
    if skills == Skills::Certified && content.required_skills.is_empty() {
        let message = "must name at least one skill";
        return Err(Error::invalid("required_skills", "not-empty", message));
    }
    let unfit = sql::uncertified_skills(&mut *connection, &content.required_skills).await?;
    let offenders: Vec<_> = unfit.into_iter().filter_map(|skill| offence(skill, skills)).collect();
    if !offenders.is_empty() {
        return Err(Error::Validation(offenders));
    }
    let entity = content.entity(clock.new_id(), clock.now(), caller.actor())?;
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
        created_at: entity.at,
        certified_at: None,
        version_hash: entity.first.link,
    })
}

fn offence(skill: Uncertified, asked: Skills) -> Option<Violation> {
    let Uncertified { id, exists } = skill;
    let (rule, message) = match (exists, asked) {
        (false, _) => ("unknown-reference", format!("there is no skill {id}")),
        (true, Skills::Certified) => ("certified", format!("the skill {id} is not certified")),
        (true, Skills::Known) => return None,
    };
    Some(Violation::new("required_skills", rule, message))
}
