//! Names that are wanted but belong to rows of others. The database would refuse them one at a
//! time and in the middle; this finds them all before anything is planted.

use std::ops::Range;

use sqlx::PgConnection;
use uuid::Uuid;

use super::{Catalogue, Row, SKILLS_AT_ONCE};
use crate::plant::entity::Kind;
use crate::seed::batches;

/// What of the foundations would meet another row of its name.
pub async fn taken_foundations(
    db: &mut PgConnection,
    catalogue: &Catalogue<'_>,
) -> sqlx::Result<Vec<String>> {
    let (ids, names) = named(catalogue.industries(), |content| content.name);
    let mut taken: Vec<_> = told(Kind::Industry, industries(db, &ids, &names).await?).collect();
    for range in batches(catalogue.plan.skills, SKILLS_AT_ONCE) {
        let (ids, names) = named(catalogue.skills(range.clone()), |content| content.name);
        let (_, keys) = named(catalogue.skills(range), |content| content.skill_key);
        taken.extend(told(Kind::Skill, skills(db, &ids, &names, &keys).await?));
    }
    let (ids, names) = named(catalogue.job_roles(), |content| content.name);
    taken.extend(told(Kind::JobRole, job_roles(db, &ids, &names).await?));
    let (ids, names) = named(catalogue.teams(), |content| content.name);
    taken.extend(told(Kind::Team, teams(db, &ids, &names).await?));
    Ok(taken)
}

/// What of the agents of `range` would meet another row of its name.
pub async fn taken_agents(
    db: &mut PgConnection,
    catalogue: &Catalogue<'_>,
    range: Range<usize>,
) -> sqlx::Result<Vec<String>> {
    let (ids, names) = named(catalogue.agents(range), |content| content.name);
    Ok(told(Kind::Agent, agents(db, &ids, &names).await?).collect())
}

fn named<T>(rows: Vec<Row<T>>, name: impl Fn(T) -> String) -> (Vec<Uuid>, Vec<String>) {
    rows.into_iter().map(|row| (row.id, name(row.content))).unzip()
}

fn told(kind: Kind, names: Vec<String>) -> impl Iterator<Item = String> {
    names.into_iter().map(move |name| format!("{} `{name}`", kind.noun()))
}

async fn industries(
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

async fn skills(
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

async fn job_roles(
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

async fn teams(db: &mut PgConnection, ids: &[Uuid], names: &[String]) -> sqlx::Result<Vec<String>> {
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

async fn agents(
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
