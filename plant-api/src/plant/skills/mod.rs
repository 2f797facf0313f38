//! Skills: what agents can do. A new skill is pending until Genesis certifies it.
//!
//! Sending the very same content again answers the existing skill, so that a journey which draws
//! names at random does not fail when it draws one twice.

pub(crate) mod routes;
pub(crate) mod sql;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{Acquire, PgConnection};
use uuid::Uuid;

use crate::access::Caller;
use crate::check::Checks;
use crate::clock::Clock;
use crate::error::{Error, OnConstraint, Result};
use crate::plant::chain::Digest32;
use crate::plant::entity::{Check, NewEntity, Status};
use crate::plant::id::id;

id!(
    /// A skill's id.
    SkillId
);

/// What sort of skill it is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Category {
    /// A tool or language.
    Technical,
    /// A way with people.
    SoftSkill,
    /// Knowledge of a field.
    DomainExpertise,
    /// A certificate held.
    Certification,
}

/// A skill.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Skill {
    /// Its id.
    pub id: SkillId,
    /// Its name.
    #[schema(example = "Python 3.11")]
    pub name: String,
    /// Its name as a slug.
    #[schema(example = "python-3-11")]
    pub skill_key: String,
    /// What sort of skill it is.
    pub category: Category,
    /// What it means to have it.
    pub description: Option<String>,
    /// `pending_certification` or `certified`.
    pub status: Status,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When Genesis certified it.
    pub certified_at: Option<DateTime<Utc>>,
    /// The head of its hash chain.
    #[schema(value_type = String)]
    pub version_hash: Digest32,
}

/// A skill to be created.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
pub struct NewSkill {
    /// A name that no other skill has.
    #[schema(example = "Python 3.11", min_length = 1, max_length = 200)]
    pub name: String,
    /// What sort of skill it is.
    pub category: Category,
    /// What it means to have it.
    #[schema(max_length = 10_000)]
    pub description: Option<String>,
    /// A slug that no other skill has; made from the name if absent.
    #[schema(
        example = "python-3-11",
        min_length = 1,
        max_length = 200,
        pattern = "^[a-z0-9]+(-[a-z0-9]+)*$"
    )]
    pub skill_key: Option<String>,
}

/// What a skill is made of; its amendments carry this.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Content {
    /// Its name.
    pub name: String,
    /// Its name as a slug.
    pub skill_key: String,
    /// What sort of skill it is.
    pub category: Category,
    /// What it means to have it.
    pub description: Option<String>,
}

impl Content {
    /// What certification asks of a skill. A missing or blank description is generated from name
    /// and category, so that the check on it holds whenever the two others do.
    pub fn check_l1(&self) -> Vec<Check> {
        let named = !self.name.trim().is_empty();
        let described = self.description.as_ref().is_some_and(|text| !text.trim().is_empty());
        vec![
            Check::new("L1-skill-name", named, "a name"),
            Check::new("L1-skill-description", named || described, "a description"),
            Check::new("L1-skill-category", true, "a category"),
        ]
    }

    /// The entity that this content makes.
    ///
    /// # Errors
    /// As [`NewEntity::new`].
    pub fn entity(&self, id: Uuid, at: DateTime<Utc>, actor: &str) -> Result<NewEntity> {
        NewEntity::new(id, Status::PendingCertification, at, actor, self)
    }
}

impl NewSkill {
    fn check(self) -> Result<Content> {
        let mut checks = Checks::default();
        checks.name("name", &self.name);
        checks.text("description", self.description.as_deref());
        if let Some(key) = &self.skill_key {
            checks.name("skill_key", key);
            let words = "must be words of lower-case a to z and digits, with - between them";
            let plain = key.is_ascii() && slug(key) == *key && key.contains(char::is_alphanumeric);
            checks.that(plain, "skill_key", "slug", words);
        }
        checks.done()?;
        Ok(Content {
            skill_key: self.skill_key.unwrap_or_else(|| slug(&self.name)),
            name: self.name,
            category: self.category,
            description: self.description,
        })
    }
}

/// A skill that was asked for: made now, or there already with the very same content.
#[derive(Debug, Clone)]
pub enum Created {
    /// It is new.
    New(Skill),
    /// It was there.
    Existing(Skill),
}

/// Creates a skill, unless the very same is there.
///
/// # Errors
/// [`Error::Validation`], or [`Error::Duplicate`] when the name or its slug is taken by another.
pub async fn create(
    connection: &mut PgConnection,
    clock: &Clock,
    caller: &Caller,
    new: NewSkill,
) -> Result<Created> {
    let content = new.check()?;
    if let Some(existing) = sql::find_by_name(&mut *connection, &content.name).await? {
        return same_or_taken(existing, &content);
    }
    let entity = content.entity(clock.new_id(), clock.now(), caller.actor())?;
    // A savepoint where there is a transaction already, so that it survives a lost race.
    let mut attempt = connection.begin().await?;
    let inserted = sql::insert(&mut *attempt, &entity, &content)
        .await
        .on_constraint("skill_skill_key_key", || key_taken(&content))
        .on_constraint("skill_name_key", || name_taken(&content));
    if let Err(error @ Error::Duplicate(_)) = inserted {
        attempt.rollback().await?;
        // Somebody may have created the very same skill in between.
        let existing = sql::find_by_name(&mut *connection, &content.name).await?;
        return existing.map_or(Err(error), |skill| same_or_taken(skill, &content));
    }
    inserted?;
    attempt.commit().await?;
    Ok(Created::New(Skill {
        id: SkillId(entity.id),
        name: content.name,
        skill_key: content.skill_key,
        category: content.category,
        description: content.description,
        status: entity.status,
        created_at: entity.at,
        certified_at: None,
        version_hash: entity.first.link,
    }))
}

fn same_or_taken(existing: Skill, content: &Content) -> Result<Created> {
    let same = existing.skill_key == content.skill_key
        && existing.category == content.category
        && existing.description == content.description;
    if same { Ok(Created::Existing(existing)) } else { Err(name_taken(content)) }
}

fn name_taken(content: &Content) -> Error {
    Error::Duplicate(format!(
        "there is already a skill named `{}` with another key, category or description",
        content.name
    ))
}

fn key_taken(content: &Content) -> Error {
    Error::Duplicate(format!("there is already a skill with the key `{}`", content.skill_key))
}

/// `Python 3.11` → `python-3-11`; `C++` → `c-plus-plus`; `C#` → `c-sharp`.
pub fn slug(name: &str) -> String {
    let spelled = name.replace('+', "-plus").replace('#', "-sharp").to_lowercase();
    let words = spelled.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let slug = words.collect::<Vec<_>>().join("-");
    // A name of nothing but signs is its own key.
    if slug.is_empty() { name.to_owned() } else { slug }
}

#[cfg(test)]
mod tests {
    use super::slug;

    #[test]
    fn a_slug_keeps_what_tells_names_apart() {
        assert_eq!(slug("Python 3.11"), "python-3-11");
        assert_eq!(slug("C++"), "c-plus-plus");
        assert_eq!(slug("C#"), "c-sharp");
        assert_eq!(slug("  Straße & Co. "), "straße-co");
        assert_eq!(slug("???"), "???");
    }
}
