//! Statements on `deliverable` and `deliverable_review`. A `customer_filter` restricts a statement
//! to that customer's deliverables.

use chrono::{DateTime, Utc};
use futures::stream::BoxStream;
use sqlx::PgExecutor;

use super::{Deliverable, DeliverableId, ExecutionStatus, ReviewStatus};
use crate::page::{MAX_BYTES, Page};
use crate::plant::goals::GoalId;
use crate::plant::hires::HireId;
use crate::plant::json_text::JsonText;

/// Streams the deliverables of a page. Ends early when all but the last two together exceed the size
/// of a page.
pub fn list<'a>(
    db: impl PgExecutor<'a> + 'a,
    hire: HireId,
    customer_filter: Option<&str>,
    status: Option<ReviewStatus>,
    page: &Page,
) -> BoxStream<'a, sqlx::Result<Deliverable>> {
    sqlx::query_as!(
        Deliverable,
        r#"select
            id as "id: DeliverableId", goal_id as "goal_id: GoalId", period, title,
            payload as "payload: JsonText", review_status as "review_status!: ReviewStatus",
            reviewed_at as "reviewed_at?",
            execution_status as "execution_status: ExecutionStatus", created_at
        from (
            select
                *,
                sum(payload_bytes) over (
                    order by id desc rows between unbounded preceding and 2 preceding
                ) as bytes
            from (
                select
                    d.*, coalesce(r.decision, 'pending_review') as review_status,
                    r.decided_at as reviewed_at
                from deliverable d
                join hired_agent h on h.id = d.hired_agent_id
                left join deliverable_review r on r.deliverable_id = d.id
                where d.hired_agent_id = $1
                    and ($2::text is null or h.customer_id = $2)
                    and ($3::text is null or coalesce(r.decision, 'pending_review') = $3)
                    and d.id < $4
                order by d.id desc
                limit $5
                offset $6
            ) page
        ) sized
        where coalesce(bytes, 0) <= $7::bigint
        order by id desc"#,
        hire.0,
        customer_filter,
        status as Option<ReviewStatus>,
        page.before(),
        page.fetch_limit(),
        page.offset,
        MAX_BYTES as i64,
    )
    .fetch(db)
}

pub async fn find(
    db: impl PgExecutor<'_>,
    (hire, id): (HireId, DeliverableId),
    customer_filter: Option<&str>,
) -> sqlx::Result<Option<Deliverable>> {
    sqlx::query_as!(
        Deliverable,
        r#"select
            d.id as "id: DeliverableId", d.goal_id as "goal_id: GoalId", d.period, d.title,
            d.payload as "payload: JsonText",
            coalesce(r.decision, 'pending_review') as "review_status!: ReviewStatus",
            r.decided_at as "reviewed_at?",
            d.execution_status as "execution_status: ExecutionStatus", d.created_at
        from deliverable d
        join hired_agent h on h.id = d.hired_agent_id
        left join deliverable_review r on r.deliverable_id = d.id
        where d.id = $1
            and d.hired_agent_id = $2
            and ($3::text is null or h.customer_id = $3)"#,
        id.0,
        hire.0,
        customer_filter,
    )
    .fetch_optional(db)
    .await
}

/// A row of `deliverable_review`.
pub struct ReviewRecord<'a> {
    pub decision: ReviewStatus,
    pub notes: Option<&'a str>,
    pub decided_by: &'a str,
    pub decided_at: DateTime<Utc>,
}

/// Inserts a review; returns `false` if the deliverable does not exist or has been reviewed.
pub async fn insert_review(
    db: impl PgExecutor<'_>,
    (hire, id): (HireId, DeliverableId),
    customer_filter: Option<&str>,
    record: &ReviewRecord<'_>,
) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "insert into deliverable_review (deliverable_id, decision, notes, decided_by, decided_at)
        select d.id, $4, $5, $6, $7
        from deliverable d
        join hired_agent h on h.id = d.hired_agent_id
        where d.id = $1
            and d.hired_agent_id = $2
            and ($3::text is null or h.customer_id = $3)
        on conflict (deliverable_id) do nothing",
        id.0,
        hire.0,
        customer_filter,
        record.decision as ReviewStatus,
        record.notes,
        record.decided_by,
        record.decided_at,
    )
    .execute(db)
    .await?;
    Ok(result.rows_affected() == 1)
}

/// Inserts a draft for a goal and period, unless one exists, the goal was deleted or disabled, or
/// the hire has ended. Returns the hired agent if it was inserted.
pub async fn insert_draft(
    db: impl PgExecutor<'_>,
    id: DeliverableId,
    goal: GoalId,
    period: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<HireId>> {
    sqlx::query_scalar!(
        r#"insert into deliverable (
            id, hired_agent_id, goal_id, period, title, payload, execution_status, created_at
        )
        select
            $1, g.hired_agent_id, g.id, $3, g.title || ' (' || $3 || ')',
            jsonb_build_object(
                'draft', true, 'period', $3, 'description', g.description, 'settings', g.settings
            ),
            'not_executed', $4
        -- Locked also while disabled: a change of the goal waits for the end of the job, which allows
        -- another one.
        from (select * from goal where id = $2 for share) g
        join hired_agent h on h.id = g.hired_agent_id
        where g.enabled and h.status = 'active'
        on conflict (goal_id, period) do nothing
        returning hired_agent_id as "hired_agent_id: HireId""#,
        id.0,
        goal.0,
        period,
        now,
    )
    .fetch_optional(db)
    .await
}
