//! Names to be seeded that other rows already use. All of them are found before the first insert;
//! the database alone would report only the first conflict.

use std::ops::Range;

use sqlx::PgConnection;
use uuid::Uuid;

use super::{Catalogue, Row, SKILLS_PER_BATCH};
use crate::plant::entity::Kind;
use crate::seed::batches;

/// Returns the names of industries, skills, job roles and teams that other rows already use.
pub async fn find_taken_prerequisite_names(
    db: &mut PgConnection,
    catalogue: &Catalogue<'_>,
) -> sqlx::Result<Vec<String>> {
    let (ids, names) = ids_and_names(catalogue.industries(), |content| content.name);
    let mut taken: Vec<_> =
        describe(Kind::Industry, find_industries(db, &ids, &names).await?).collect();
    for range in batches(catalogue.spec.skills, SKILLS_PER_BATCH) {
        let (ids, names) = ids_and_names(catalogue.skills(range.clone()), |content| content.name);
        let (_, keys) = ids_and_names(catalogue.skills(range), |content| content.skill_key);
        taken.extend(describe(Kind::Skill, find_skills(db, &ids, &names, &keys).await?));
    }
    let (ids, names) = ids_and_names(catalogue.job_roles(), |content| content.name);
    taken.extend(describe(Kind::JobRole, find_job_roles(db, &ids, &names).await?));
    let (ids, names) = ids_and_names(catalogue.teams(), |content| content.name);
    taken.extend(describe(Kind::Team, find_teams(db, &ids, &names).await?));
    Ok(taken)
}

/// Returns the agent names of `range` that other rows already use.
pub async fn find_taken_agent_names(
    db: &mut PgConnection,
    catalogue: &Catalogue<'_>,
    range: Range<usize>,
) -> sqlx::Result<Vec<String>> {
    let (ids, names) = ids_and_names(catalogue.agents(range), |content| content.name);
    Ok(describe(Kind::Agent, find_agents(db, &ids, &names).await?).collect())
}

fn ids_and_names<T>(rows: Vec<Row<T>>, name: impl Fn(T) -> String) -> (Vec<Uuid>, Vec<String>) {
    rows.into_iter().map(|row| (row.id, name(row.content))).unzip()
}

/// Returns each name with its kind: ``skill `SEO` ``.
fn describe(kind: Kind, names: Vec<String>) -> impl Iterator<Item = String> {
    names.into_iter().map(move |name| format!("{} `{name}`", kind.noun()))
}

async fn find_industries(
    db: &mut PgConnection,
    ids: &[Uuid],
    names: &[String],
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"select new.name as "name!"
        from unnest($1::uuid[], $2::text[]) with ordinality as new (id, name, ordinal)
        where not exists (select from industry i where i.id = new.id)
            and exists (select from industry i where lower(i.name) = lower(new.name))
        order by ordinal"#,
        ids,
        names,
    )
    .fetch_all(db)
    .await
}

async fn find_skills(
    db: &mut PgConnection,
    ids: &[Uuid],
    names: &[String],
    keys: &[String],
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"select new.name as "name!"
        from unnest($1::uuid[], $2::text[], $3::text[])
            with ordinality as new (id, name, skill_key, ordinal)
        where not exists (select from skill s where s.id = new.id)
            and (
                exists (select from skill s where s.name = new.name)
                or exists (select from skill s where s.skill_key = new.skill_key)
            )
        order by ordinal"#,
        ids,
        names,
        keys,
    )
    .fetch_all(db)
    .await
}

async fn find_job_roles(
    db: &mut PgConnection,
    ids: &[Uuid],
    names: &[String],
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"select new.name as "name!"
        from unnest($1::uuid[], $2::text[]) with ordinality as new (id, name, ordinal)
        where not exists (select from job_role j where j.id = new.id)
            and exists (select from job_role j where j.name = new.name)
        order by ordinal"#,
        ids,
        names,
    )
    .fetch_all(db)
    .await
}

async fn find_teams(
    db: &mut PgConnection,
    ids: &[Uuid],
    names: &[String],
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"select new.name as "name!"
        from unnest($1::uuid[], $2::text[]) with ordinality as new (id, name, ordinal)
        where not exists (select from team t where t.id = new.id)
            and exists (select from team t where t.name = new.name)
        order by ordinal"#,
        ids,
        names,
    )
    .fetch_all(db)
    .await
}

async fn find_agents(
    db: &mut PgConnection,
    ids: &[Uuid],
    names: &[String],
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"select new.name as "name!"
        from unnest($1::uuid[], $2::text[]) with ordinality as new (id, name, ordinal)
        where not exists (select from agent a where a.id = new.id)
            and exists (select from agent a where a.name = new.name)
        order by ordinal"#,
        ids,
        names,
    )
    .fetch_all(db)
    .await
}
