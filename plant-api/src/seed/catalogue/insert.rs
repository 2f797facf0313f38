//! Inserts the missing rows of the catalogue: for each kind the entities with their chains first,
//! then the rows of its own table.

use std::ops::Range;

use sqlx::PgConnection;

use super::{CERTIFICATION_DELAY, Catalogue, Row, SKILLS_PER_BATCH, sql};
use crate::plant::entity::{Kind, NewEntity};
use crate::seed::chains::{self, ACTOR, SeededEntity};
use crate::seed::summary::Seeded;
use crate::seed::{SeedError, batches};

/// Inserts the rows that agents reference: industries, skills, job roles and teams.
pub async fn seed_prerequisites(
    db: &mut PgConnection,
    catalogue: &Catalogue<'_>,
    seeded: &mut Seeded,
) -> Result<(), SeedError> {
    let industries = missing(db, catalogue.industries()).await?;
    let entities =
        new_entities(&industries, |row| row.content.new_entity(row.id, row.created_at, ACTOR))?;
    chains::insert(db, Kind::Industry, &entities).await?;
    seeded.industries += sql::insert_industries(db, &industries).await?;

    for range in batches(catalogue.spec.skills, SKILLS_PER_BATCH) {
        let skills = missing(db, catalogue.skills(range)).await?;
        let certified_skill = |row: &Row<crate::plant::skills::SkillContent>| {
            let new = row.content.new_entity(row.id, row.created_at, ACTOR)?;
            SeededEntity::certified_skill(new, row.created_at + CERTIFICATION_DELAY)
        };
        let entities = skills.iter().map(certified_skill).collect::<Result<Vec<_>, _>>()?;
        chains::insert(db, Kind::Skill, &entities).await?;
        seeded.skills += sql::insert_skills(db, &skills).await?;
    }

    let job_roles = missing(db, catalogue.job_roles()).await?;
    let entities =
        new_entities(&job_roles, |row| row.content.new_entity(row.id, row.created_at, ACTOR))?;
    chains::insert(db, Kind::JobRole, &entities).await?;
    seeded.job_roles += sql::insert_job_roles(db, &job_roles).await?;

    let teams = missing(db, catalogue.teams()).await?;
    let entities =
        new_entities(&teams, |row| row.content.new_entity(row.id, row.created_at, ACTOR))?;
    chains::insert(db, Kind::Team, &entities).await?;
    seeded.teams += sql::insert_teams(db, &teams).await?;
    Ok(())
}

/// Inserts the agents of `range`.
pub async fn seed_agents(
    db: &mut PgConnection,
    catalogue: &Catalogue<'_>,
    range: Range<usize>,
    seeded: &mut Seeded,
) -> Result<(), SeedError> {
    let agents = missing(db, catalogue.agents(range)).await?;
    let entities =
        new_entities(&agents, |row| row.content.new_entity(row.id, row.created_at, ACTOR))?;
    chains::insert(db, Kind::Agent, &entities).await?;
    seeded.agents += sql::insert_agents(db, &agents).await?;
    Ok(())
}

/// Returns the rows whose entities do not exist yet.
async fn missing<T>(db: &mut PgConnection, mut rows: Vec<Row<T>>) -> sqlx::Result<Vec<Row<T>>> {
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let existing = chains::find_existing(db, &ids).await?;
    rows.retain(|row| !existing.contains(&row.id));
    Ok(rows)
}

/// Returns the entities of `rows`, each with a chain of one creation amendment.
fn new_entities<T>(
    rows: &[Row<T>],
    entity: impl Fn(&Row<T>) -> crate::error::Result<NewEntity>,
) -> crate::error::Result<Vec<SeededEntity>> {
    rows.iter().map(|row| entity(row).map(SeededEntity::from)).collect()
}
