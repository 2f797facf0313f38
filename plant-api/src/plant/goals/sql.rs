//! Statements on `goal`. A `customer_filter` restricts a statement to that customer's goals.

use chrono::{DateTime, Utc};
use futures::stream::BoxStream;
use sqlx::PgExecutor;

use super::{Goal, GoalId, Schedule};
use crate::page::{MAX_BYTES, Page};
use crate::plant::hires::HireId;
use crate::plant::json_text::JsonText;

/// Inserts a goal; returns `false` if the hired agent does not exist.
pub async fn insert(
    db: impl PgExecutor<'_>,
    goal: &Goal,
    customer_filter: Option<&str>,
) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "insert into goal (
            id, hired_agent_id, goal_template_id, title, description, schedule, enabled, settings,
            created_at, updated_at, version
        )
        select $1, h.id, $3, $4, $5, $6, $7, $8, $9, $10, $11
        from hired_agent h
        where h.id = $2
            and ($12::text is null or h.customer_id = $12)",
        goal.id.0,
        goal.hired_agent_id.0,
        goal.goal_template_id,
        goal.title,
        goal.description,
        goal.schedule as Schedule,
        goal.enabled,
        &goal.settings as &JsonText,
        goal.created_at,
        goal.updated_at,
        goal.version,
        customer_filter,
    )
    .execute(db)
    .await?;
    Ok(result.rows_affected() == 1)
}

/// Streams the goals of a page. Ends early when all but the last two together exceed the size of a
/// page.
pub fn list<'a>(
    db: impl PgExecutor<'a> + 'a,
    hire: HireId,
    customer_filter: Option<&str>,
    page: &Page,
) -> BoxStream<'a, sqlx::Result<Goal>> {
    sqlx::query_as!(
        Goal,
        r#"select
            id as "id: GoalId", hired_agent_id as "hired_agent_id: HireId", goal_template_id,
            title, description, schedule as "schedule: Schedule", enabled,
            settings as "settings: JsonText", created_at, updated_at, version
        from (
            select
                *,
                sum(settings_bytes + octet_length(description)) over (
                    order by id desc rows between unbounded preceding and 2 preceding
                ) as bytes
            from (
                select g.*
                from goal g
                join hired_agent h on h.id = g.hired_agent_id
                where g.hired_agent_id = $1
                    and ($2::text is null or h.customer_id = $2)
                    and g.id < $3
                order by g.id desc
                limit $4
                offset $5
            ) page
        ) sized
        where coalesce(bytes, 0) <= $6::bigint
        order by id desc"#,
        hire.0,
        customer_filter,
        page.before(),
        page.fetch_limit(),
        page.offset,
        MAX_BYTES as i64,
    )
    .fetch(db)
}

pub async fn find(
    db: impl PgExecutor<'_>,
    (hire, id): (HireId, GoalId),
    customer_filter: Option<&str>,
) -> sqlx::Result<Option<Goal>> {
    sqlx::query_as!(
        Goal,
        r#"select
            g.id as "id: GoalId", g.hired_agent_id as "hired_agent_id: HireId",
            g.goal_template_id, g.title, g.description, g.schedule as "schedule: Schedule",
            g.enabled, g.settings as "settings: JsonText", g.created_at, g.updated_at, g.version
        from goal g
        join hired_agent h on h.id = g.hired_agent_id
        where g.id = $1
            and g.hired_agent_id = $2
            and ($3::text is null or h.customer_id = $3)"#,
        id.0,
        hire.0,
        customer_filter,
    )
    .fetch_optional(db)
    .await
}

pub async fn lock(
    db: impl PgExecutor<'_>,
    (hire, id): (HireId, GoalId),
    customer_filter: Option<&str>,
) -> sqlx::Result<Option<Goal>> {
    sqlx::query_as!(
        Goal,
        r#"select
            g.id as "id: GoalId", g.hired_agent_id as "hired_agent_id: HireId",
            g.goal_template_id, g.title, g.description, g.schedule as "schedule: Schedule",
            g.enabled, g.settings as "settings: JsonText", g.created_at, g.updated_at, g.version
        from goal g
        join hired_agent h on h.id = g.hired_agent_id
        where g.id = $1
            and g.hired_agent_id = $2
            and ($3::text is null or h.customer_id = $3)
        for no key update of g"#,
        id.0,
        hire.0,
        customer_filter,
    )
    .fetch_optional(db)
    .await
}

/// Updates a goal. If `enabled` or `schedule` changes, the goal is due immediately; no second draft
/// is added if the current period has one.
pub async fn update(db: impl PgExecutor<'_>, goal: &Goal) -> sqlx::Result<()> {
    sqlx::query!(
        "update goal
        set title = $2, description = $3, schedule = $4, enabled = $5, settings = $6,
            updated_at = $7, version = $8,
            due_at = case
                when schedule = $4 and enabled = $5 then due_at
                else '-infinity'
            end
        where id = $1",
        goal.id.0,
        goal.title,
        goal.description,
        goal.schedule as Schedule,
        goal.enabled,
        &goal.settings as &JsonText,
        goal.updated_at,
        goal.version,
    )
    .execute(db)
    .await
    .map(drop)
}

/// Deletes a goal.
pub async fn delete(db: impl PgExecutor<'_>, id: GoalId) -> sqlx::Result<()> {
    sqlx::query!("delete from goal where id = $1", id.0).execute(db).await.map(drop)
}

/// A goal that is due.
pub struct DueGoal {
    pub id: GoalId,
    pub schedule: Schedule,
    pub customer_id: String,
}

/// Locks at most `limit` goals due at `now`; skips those that another transaction has locked.
pub async fn lock_due(
    db: impl PgExecutor<'_>,
    now: DateTime<Utc>,
    limit: i64,
) -> sqlx::Result<Vec<DueGoal>> {
    sqlx::query_as!(
        DueGoal,
        r#"select g.id as "id: GoalId", g.schedule as "schedule: Schedule", h.customer_id
        from goal g
        join hired_agent h on h.id = g.hired_agent_id
        where g.enabled
            and g.schedule <> 'on_demand'
            and g.due_at <= $1
        order by g.due_at, g.id
        limit $2
        for no key update of g skip locked"#,
        now,
        limit,
    )
    .fetch_all(db)
    .await
}

/// Goals and the times at which they are due next.
#[derive(Debug, Default)]
pub struct DueTimes {
    goal_ids: Vec<uuid::Uuid>,
    due_at: Vec<DateTime<Utc>>,
}

impl DueTimes {
    pub fn push(&mut self, id: GoalId, due_at: DateTime<Utc>) {
        self.goal_ids.push(id.0);
        self.due_at.push(due_at);
    }
}

/// Sets the due times of goals.
pub async fn set_due_times(db: impl PgExecutor<'_>, times: &DueTimes) -> sqlx::Result<()> {
    sqlx::query!(
        "update goal
        set due_at = next.due_at
        from unnest($1::uuid[], $2::timestamptz[]) as next (id, due_at)
        where goal.id = next.id",
        &times.goal_ids,
        &times.due_at,
    )
    .execute(db)
    .await
    .map(drop)
}
