//! Skills: what agents can do. A new skill is pending until Genesis certifies it.
//!
//! Creating a skill with the content of an existing one returns the existing skill, so that a load
//! test with random names does not fail when it repeats one.

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
    /// A skill's id.
    SkillId,
    "01943e0f-a400-7ece-860d-4a850a5e08b1"
);

/// Category of a skill.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Category {
    /// Tool or language.
    Technical,
    /// Interpersonal skill.
    SoftSkill,
    /// Knowledge of a field of business.
    DomainExpertise,
    /// A certificate issued by a third party; not Genesis's certification.
    Certification,
}

/// A skill.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Skill {
    /// Id of the skill.
    pub id: SkillId,
    /// Name, unique among skills.
    #[schema(example = "Python 3.11")]
    pub name: String,
    /// Key of the skill: a slug, unique among skills.
    #[schema(example = "python-3-11")]
    pub skill_key: String,
    /// Category of the skill.
    pub category: Category,
    /// Description of the skill.
    pub description: Option<String>,
    /// `pending_certification` or `certified`.
    pub status: Status,
    /// Time of creation.
    pub created_at: DateTime<Utc>,
    /// Time of certification; null while pending.
    pub certified_at: Option<DateTime<Utc>>,
    /// Last link of the hash chain; also the ETag.
    #[schema(value_type = String)]
    pub version_hash: Digest32,
}

/// A skill to create.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
pub struct NewSkill {
    /// Name, unique among skills.
    #[schema(example = "Soil Analysis", min_length = 1, max_length = 200)]
    pub name: String,
    /// Category of the skill.
    pub category: Category,
    /// Description of the skill.
    #[schema(max_length = 10_000)]
    pub description: Option<String>,
    /// Key of the skill, unique among skills. Default: the slug of the name.
    #[schema(
        example = "soil-analysis",
        min_length = 1,
        max_length = 200,
        pattern = "^[a-z0-9]+(-[a-z0-9]+)*$"
    )]
    pub skill_key: Option<String>,
}

/// The fields of a skill beyond those of every entity, all recorded in its chain.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SkillContent {
    pub name: String,
    pub skill_key: String,
    pub category: Category,
    pub description: Option<String>,
}

impl SkillContent {
    /// Returns the results of the L1 checks. Without a description, or with a blank one, the
    /// description's check has the result of the name's.
    pub fn check_l1(&self) -> Vec<Check> {
        let named = !self.name.trim().is_empty();
        let described = self.description.as_ref().is_some_and(|text| !text.trim().is_empty());
        vec![
            Check::new("L1-skill-name", named, "a name"),
            Check::new("L1-skill-description", named || described, "a description"),
            Check::new("L1-skill-category", true, "a category"),
        ]
    }

    /// Returns the new entity with this content: its base row and first amendment.
    ///
    /// # Errors
    /// As [`NewEntity::new`].
    pub fn new_entity(&self, id: Uuid, at: DateTime<Utc>, actor: &str) -> Result<NewEntity> {
        let entity = Identity { id, kind: Kind::Skill };
        NewEntity::new(entity, Status::PendingCertification, at, actor, self)
    }
}

impl Skill {
    /// Returns whether the skill has this content.
    fn has(&self, content: &SkillContent) -> bool {
        self.name == content.name
            && self.skill_key == content.skill_key
            && self.category == content.category
            && self.description == content.description
    }
}

impl NewSkill {
    /// Returns the content of the skill to create.
    ///
    /// # Errors
    /// [`Error::Validation`].
    fn check(self) -> Result<SkillContent> {
        let mut checks = Checks::default();
        checks.name("name", &self.name);
        checks.optional_text("description", self.description.as_deref());
        if let Some(key) = &self.skill_key {
            checks.name("skill_key", key);
            let message = "must be lower-case letters a to z and digits in words joined by hyphens";
            let valid = key.is_ascii() && slug(key) == *key && key.contains(char::is_alphanumeric);
            checks.require(valid, "skill_key", "slug", message);
        }
        checks.into_result()?;
        Ok(SkillContent {
            skill_key: self.skill_key.unwrap_or_else(|| slug(&self.name)),
            name: self.name,
            category: self.category,
            description: self.description,
        })
    }
}

/// Result of [`create`].
#[derive(Debug, Clone)]
pub enum Created {
    New(Skill),
    /// A skill with the same content existed already.
    Existing(Skill),
}

/// Creates a skill, or returns the existing one if its content is the same.
///
/// # Errors
/// [`Error::Duplicate`] when another skill has the name or key.
pub async fn create(
    connection: &mut PgConnection,
    clock: &Clock,
    caller: &Caller,
    content: SkillContent,
) -> Result<Created> {
    // Concurrent requests with the same name wait here; the next statement sees their skill.
    sql::lock_name(&mut *connection, &content.name).await?;
    if let Some(existing) = sql::find_by_name(&mut *connection, &content.name).await? {
        return match existing.has(&content) {
            true => Ok(Created::Existing(existing)),
            false => Err(name_taken(&content)),
        };
    }
    let entity = content.new_entity(clock.new_id(), clock.now(), caller.actor())?;
    sql::insert(connection, &entity, &content)
        .await
        .on_constraint("skill_skill_key_key", || key_taken(&content))
        .on_constraint("skill_name_key", || name_taken(&content))?;
    Ok(Created::New(Skill {
        id: SkillId(entity.id),
        name: content.name,
        skill_key: content.skill_key,
        category: content.category,
        description: content.description,
        status: entity.status,
        created_at: entity.created_at,
        certified_at: None,
        version_hash: entity.first_amendment.link,
    }))
}

fn name_taken(content: &SkillContent) -> Error {
    Error::Duplicate(format!(
        "there is already a skill named `{}` with another key, category or description",
        content.name
    ))
}

fn key_taken(content: &SkillContent) -> Error {
    Error::Duplicate(format!("there is already a skill with the key `{}`", content.skill_key))
}

/// Returns the slug of a name:
/// `Python 3.11` → `python-3-11`; `C++` → `c-plus-plus`; `C#` → `c-sharp`.
pub fn slug(name: &str) -> String {
    let spelled_out = name.replace('+', "-plus").replace('#', "-sharp").to_lowercase();
    let words = spelled_out.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let slug = words.collect::<Vec<_>>().join("-");
    // A name without letters and digits is its own slug.
    if slug.is_empty() { name.to_owned() } else { slug }
}

#[cfg(test)]
mod tests {
    use super::slug;

    #[test]
    fn a_slug_spells_out_plus_and_sharp() {
        assert_eq!(slug("Python 3.11"), "python-3-11");
        assert_eq!(slug("C++"), "c-plus-plus");
        assert_eq!(slug("C#"), "c-sharp");
        assert_eq!(slug("  Straße & Co. "), "straße-co");
        assert_eq!(slug("???"), "???");
    }
}
