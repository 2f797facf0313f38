//! Bulk inserts into the catalogue's own tables.

use sqlx::PgConnection;
use uuid::Uuid;

use super::Row;
use crate::plant::skills::Category;
use crate::plant::{agents, industries, job_roles, skills, teams};

pub async fn insert_industries(
    db: &mut PgConnection,
    rows: &[Row<industries::IndustryContent>],
) -> sqlx::Result<u64> {
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let names: Vec<_> = rows.iter().map(|row| row.content.name.as_str()).collect();
    let descriptions: Vec<_> = rows.iter().map(|row| row.content.description.as_deref()).collect();
    sqlx::query!(
        "insert into industry (id, name, description)
        select * from unnest($1::uuid[], $2::text[], $3::text[])",
        &ids,
        &names as &[&str],
        &descriptions as &[Option<&str>],
    )
    .execute(db)
    .await
    .map(|result| result.rows_affected())
}

pub async fn insert_skills(
    db: &mut PgConnection,
    rows: &[Row<skills::SkillContent>],
) -> sqlx::Result<u64> {
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let names: Vec<_> = rows.iter().map(|row| row.content.name.as_str()).collect();
    let keys: Vec<_> = rows.iter().map(|row| row.content.skill_key.as_str()).collect();
    let categories: Vec<_> = rows.iter().map(|row| row.content.category).collect();
    let descriptions: Vec<_> = rows.iter().map(|row| row.content.description.as_deref()).collect();
    sqlx::query!(
        "insert into skill (id, name, skill_key, category, description)
        select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[])",
        &ids,
        &names as &[&str],
        &keys as &[&str],
        &categories as &[Category],
        &descriptions as &[Option<&str>],
    )
    .execute(db)
    .await
    .map(|result| result.rows_affected())
}

pub async fn insert_job_roles(
    db: &mut PgConnection,
    rows: &[Row<job_roles::JobRoleContent>],
) -> sqlx::Result<u64> {
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let names: Vec<_> = rows.iter().map(|row| row.content.name.as_str()).collect();
    let descriptions: Vec<_> = rows.iter().map(|row| row.content.description.as_deref()).collect();
    let levels: Vec<_> = rows.iter().map(|row| row.content.seniority_level).collect();
    let (role_ids, skill_ids): (Vec<_>, Vec<_>) = rows
        .iter()
        .flat_map(|row| row.content.required_skills.iter().map(|skill| (row.id, skill.0)))
        .unzip();
    let result = sqlx::query!(
        "insert into job_role (id, name, description, seniority_level)
        select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[])",
        &ids,
        &names as &[&str],
        &descriptions as &[Option<&str>],
        &levels as &[job_roles::Seniority],
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!(
        "insert into job_role_skill (job_role_id, skill_id)
        select * from unnest($1::uuid[], $2::uuid[])",
        &role_ids,
        &skill_ids,
    )
    .execute(db)
    .await?;
    Ok(result.rows_affected())
}

pub async fn insert_teams(
    db: &mut PgConnection,
    rows: &[Row<teams::TeamContent>],
) -> sqlx::Result<u64> {
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let names: Vec<_> = rows.iter().map(|row| row.content.name.as_str()).collect();
    let descriptions: Vec<_> = rows.iter().map(|row| row.content.description.as_deref()).collect();
    let roles: Vec<_> = rows.iter().map(|row| row.content.job_role_id.map(|id| id.0)).collect();
    sqlx::query!(
        "insert into team (id, name, description, job_role_id)
        select * from unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[])",
        &ids,
        &names as &[&str],
        &descriptions as &[Option<&str>],
        &roles as &[Option<Uuid>],
    )
    .execute(db)
    .await
    .map(|result| result.rows_affected())
}

pub async fn insert_agents(
    db: &mut PgConnection,
    rows: &[Row<agents::AgentContent>],
) -> sqlx::Result<u64> {
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let names: Vec<_> = rows.iter().map(|row| row.content.name.as_str()).collect();
    let skills: Vec<_> = rows.iter().map(|row| row.content.skill_id.0).collect();
    let roles: Vec<_> = rows.iter().map(|row| row.content.job_role_id.0).collect();
    let teams: Vec<_> = rows.iter().map(|row| row.content.team_id.map(|id| id.0)).collect();
    let industries: Vec<_> = rows.iter().map(|row| row.content.industry_id.0).collect();
    sqlx::query!(
        "insert into agent (id, name, skill_id, job_role_id, team_id, industry_id)
        select *
        from unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[])",
        &ids,
        &names as &[&str],
        &skills,
        &roles,
        &teams as &[Option<Uuid>],
        &industries,
    )
    .execute(db)
    .await
    .map(|result| result.rows_affected())
}
