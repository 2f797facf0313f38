//! Bulk inserts of customers, hired agents, goals, deliverables and reviews. Existing rows stay
//! unchanged.

use sqlx::PgConnection;

use super::rows::{Customer, Deliverable, Hire, Review};
use crate::plant::agents::HireDuration;
use crate::plant::deliverables::{ExecutionStatus, ReviewStatus};
use crate::plant::goals::{Goal, Schedule};
use crate::plant::hires::Theme;
use crate::plant::json_text::JsonText;

pub async fn insert_customers(db: &mut PgConnection, rows: &[Customer]) -> sqlx::Result<u64> {
    let ids: Vec<_> = rows.iter().map(|row| row.id.as_str()).collect();
    let names: Vec<_> = rows.iter().map(|row| row.name.as_str()).collect();
    let emails: Vec<_> = rows.iter().map(|row| row.email.as_str()).collect();
    let created: Vec<_> = rows.iter().map(|row| row.created_at).collect();
    sqlx::query!(
        "insert into customer (id, name, email, created_at)
        select * from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[])
        on conflict (id) do nothing",
        &ids as &[&str],
        &names as &[&str],
        &emails as &[&str],
        &created,
    )
    .execute(db)
    .await
    .map(|result| result.rows_affected())
}

/// Returns the ids of customers that have one of these ids but another creation time, so that the
/// seeder did not create them.
pub async fn find_taken_customers(
    db: &mut PgConnection,
    rows: &[Customer],
) -> sqlx::Result<Vec<String>> {
    let ids: Vec<_> = rows.iter().map(|row| row.id.as_str()).collect();
    let created: Vec<_> = rows.iter().map(|row| row.created_at).collect();
    sqlx::query_scalar!(
        "select c.id
        from unnest($1::text[], $2::timestamptz[]) as new (id, created_at)
        join customer c on c.id = new.id and c.created_at <> new.created_at
        order by c.id",
        &ids as &[&str],
        &created,
    )
    .fetch_all(db)
    .await
}

pub async fn insert_hires(db: &mut PgConnection, rows: &[Hire]) -> sqlx::Result<u64> {
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let customers: Vec<_> = rows.iter().map(|row| row.customer_id.as_str()).collect();
    let agents: Vec<_> = rows.iter().map(|row| row.agent_id).collect();
    let durations: Vec<_> = rows.iter().map(|row| row.duration).collect();
    let nicknames: Vec<_> = rows.iter().map(|row| row.nickname.as_deref()).collect();
    let themes: Vec<_> = rows.iter().map(|row| row.theme).collect();
    let settings: Vec<_> = rows.iter().map(|row| row.settings.clone()).collect();
    let trial_ends: Vec<_> = rows.iter().map(|row| row.trial_end_at).collect();
    let hired: Vec<_> = rows.iter().map(|row| row.hired_at).collect();
    let updated: Vec<_> = rows.iter().map(|row| row.updated_at).collect();
    let versions: Vec<_> = rows.iter().map(|row| row.version).collect();
    sqlx::query!(
        "insert into hired_agent (
            id, customer_id, agent_id, duration, nickname, theme, settings, trial_end_at,
            hired_at, updated_at, version
        )
        select * from unnest(
            $1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::jsonb[],
            $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::bigint[]
        )
        on conflict (id) do nothing",
        &ids,
        &customers as &[&str],
        &agents,
        &durations as &[HireDuration],
        &nicknames as &[Option<&str>],
        &themes as &[Theme],
        &settings,
        &trial_ends,
        &hired,
        &updated,
        &versions,
    )
    .execute(db)
    .await
    .map(|result| result.rows_affected())
}

pub async fn insert_goals(db: &mut PgConnection, rows: &[Goal]) -> sqlx::Result<u64> {
    let ids: Vec<_> = rows.iter().map(|row| row.id.0).collect();
    let hires: Vec<_> = rows.iter().map(|row| row.hired_agent_id.0).collect();
    let templates: Vec<_> = rows.iter().map(|row| row.goal_template_id.as_deref()).collect();
    let titles: Vec<_> = rows.iter().map(|row| row.title.as_str()).collect();
    let descriptions: Vec<_> = rows.iter().map(|row| row.description.as_str()).collect();
    let schedules: Vec<_> = rows.iter().map(|row| row.schedule).collect();
    let enabled: Vec<_> = rows.iter().map(|row| row.enabled).collect();
    let settings: Vec<_> = rows.iter().map(|row| row.settings.clone()).collect();
    let created: Vec<_> = rows.iter().map(|row| row.created_at).collect();
    let updated: Vec<_> = rows.iter().map(|row| row.updated_at).collect();
    let versions: Vec<_> = rows.iter().map(|row| row.version).collect();
    sqlx::query!(
        "insert into goal (
            id, hired_agent_id, goal_template_id, title, description, schedule, enabled, settings,
            created_at, updated_at, version
        )
        select * from unnest(
            $1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bool[],
            $8::jsonb[], $9::timestamptz[], $10::timestamptz[], $11::bigint[]
        )
        on conflict (id) do nothing",
        &ids,
        &hires,
        &templates as &[Option<&str>],
        &titles as &[&str],
        &descriptions as &[&str],
        &schedules as &[Schedule],
        &enabled,
        &settings as &[JsonText],
        &created,
        &updated,
        &versions,
    )
    .execute(db)
    .await
    .map(|result| result.rows_affected())
}

pub async fn insert_deliverables(db: &mut PgConnection, rows: &[Deliverable]) -> sqlx::Result<u64> {
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let hires: Vec<_> = rows.iter().map(|row| row.hired_agent_id).collect();
    let goals: Vec<_> = rows.iter().map(|row| row.goal_id).collect();
    let titles: Vec<_> = rows.iter().map(|row| row.title.as_str()).collect();
    let payloads: Vec<_> = rows.iter().map(|row| row.payload.clone()).collect();
    let statuses: Vec<_> = rows.iter().map(|row| row.execution_status).collect();
    let created: Vec<_> = rows.iter().map(|row| row.created_at).collect();
    sqlx::query!(
        "insert into deliverable (
            id, hired_agent_id, goal_id, title, payload, execution_status, created_at
        )
        select * from unnest(
            $1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::jsonb[], $6::text[],
            $7::timestamptz[]
        )
        on conflict (id) do nothing",
        &ids,
        &hires,
        &goals,
        &titles as &[&str],
        &payloads,
        &statuses as &[ExecutionStatus],
        &created,
    )
    .execute(db)
    .await
    .map(|result| result.rows_affected())
}

pub async fn insert_reviews(db: &mut PgConnection, rows: &[Review]) -> sqlx::Result<()> {
    let deliverables: Vec<_> = rows.iter().map(|row| row.deliverable_id).collect();
    let decisions: Vec<_> = rows.iter().map(|row| row.decision).collect();
    let notes: Vec<_> = rows.iter().map(|row| row.notes.as_str()).collect();
    let deciders: Vec<_> = rows.iter().map(|row| row.decided_by.as_str()).collect();
    let decided: Vec<_> = rows.iter().map(|row| row.decided_at).collect();
    sqlx::query!(
        "insert into deliverable_review (deliverable_id, decision, notes, decided_by, decided_at)
        select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])
        on conflict (deliverable_id) do nothing",
        &deliverables,
        &decisions as &[ReviewStatus],
        &notes as &[&str],
        &deciders as &[&str],
        &decided,
    )
    .execute(db)
    .await
    .map(drop)
}
