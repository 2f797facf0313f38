//! Planting the catalogue: what is missing of each kind, its chains first, then its own rows.

use std::ops::Range;

use sqlx::PgConnection;

use super::{CERTIFICATION, Catalogue, Row, SKILLS_AT_ONCE, sql};
use crate::plant::entity::{Kind, NewEntity};
use crate::seed::chains::{self, ACTOR, Grown};
use crate::seed::planted::Planted;
use crate::seed::{SeedError, batches};

/// Plants everything that agents are made of.
pub async fn plant_foundations(
    db: &mut PgConnection,
    catalogue: &Catalogue<'_>,
    planted: &mut Planted,
) -> Result<(), SeedError> {
    let industries = missing(db, catalogue.industries()).await?;
    let grown = created(&industries, |row| row.content.entity(row.id, row.at, ACTOR))?;
    chains::insert(db, Kind::Industry, &grown).await?;
    planted.industries += sql::insert_industries(db, &industries).await?;

    for range in batches(catalogue.plan.skills, SKILLS_AT_ONCE) {
        let skills = missing(db, catalogue.skills(range)).await?;
        let certified = |row: &Row<crate::plant::skills::Content>| {
            let new = row.content.entity(row.id, row.at, ACTOR)?;
            Grown::certified_skill(new, row.at + CERTIFICATION)
        };
        let grown = skills.iter().map(certified).collect::<Result<Vec<_>, _>>()?;
        chains::insert(db, Kind::Skill, &grown).await?;
        planted.skills += sql::insert_skills(db, &skills).await?;
    }

    let job_roles = missing(db, catalogue.job_roles()).await?;
    let grown = created(&job_roles, |row| row.content.entity(row.id, row.at, ACTOR))?;
    chains::insert(db, Kind::JobRole, &grown).await?;
    planted.job_roles += sql::insert_job_roles(db, &job_roles).await?;

    let teams = missing(db, catalogue.teams()).await?;
    let grown = created(&teams, |row| row.content.entity(row.id, row.at, ACTOR))?;
    chains::insert(db, Kind::Team, &grown).await?;
    planted.teams += sql::insert_teams(db, &teams).await?;
    Ok(())
}

/// Plants the agents of `range`.
pub async fn plant_agents(
    db: &mut PgConnection,
    catalogue: &Catalogue<'_>,
    range: Range<usize>,
    planted: &mut Planted,
) -> Result<(), SeedError> {
    let agents = missing(db, catalogue.agents(range)).await?;
    let grown = created(&agents, |row| row.content.entity(row.id, row.at, ACTOR))?;
    chains::insert(db, Kind::Agent, &grown).await?;
    planted.agents += sql::insert_agents(db, &agents).await?;
    Ok(())
}

async fn missing<T>(db: &mut PgConnection, mut rows: Vec<Row<T>>) -> sqlx::Result<Vec<Row<T>>> {
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let present = chains::present(db, &ids).await?;
    rows.retain(|row| !present.contains(&row.id));
    Ok(rows)
}

fn created<T>(
    rows: &[Row<T>],
    entity: impl Fn(&Row<T>) -> crate::error::Result<NewEntity>,
) -> crate::error::Result<Vec<Grown>> {
    rows.iter().map(|row| entity(row).map(Grown::from)).collect()
}
