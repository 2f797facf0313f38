//! Statements on `generation`. While a task has a job, its status is derived from the job.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

use super::model::{Model, ModelRequest};
use super::{Generation, Status, Summary};
use crate::jobs::Job;
use crate::page::Page;

pub async fn insert(
    db: impl PgExecutor<'_>,
    id: Uuid,
    account: Uuid,
    request: &ModelRequest,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into generation (
            id, account_id, prompt, model, temperature, max_tokens, created_at
        )
        values ($1, $2, $3, $4, $5, $6, $7)",
        id,
        account,
        request.prompt,
        request.model as Model,
        request.temperature,
        request.max_tokens,
        now,
    )
    .execute(db)
    .await
    .map(drop)
}

pub async fn find(
    db: impl PgExecutor<'_>,
    id: Uuid,
    account: Uuid,
) -> sqlx::Result<Option<Generation>> {
    sqlx::query_as!(
        Generation,
        r#"select
            g.id, g.id as task_id,
            case
                when g.result is not null then 'completed'
                when j.state = 'running' then 'processing'
                when j.state in ('ready', 'waiting') or g.error is null then 'queued'
                else 'failed'
            end as "status!: Status",
            g.prompt, g.model as "model: Model", g.temperature, g.max_tokens, g.result,
            case when j.state is null or j.state = 'dead' then g.error end as error,
            coalesce(j.attempts, g.attempts) as "attempts!",
            g.created_at,
            coalesce(j.claimed_at, g.started_at) as started_at,
            case when j.state is null or j.finished_at is not null then g.completed_at end
                as completed_at
        from generation g
        left join job j on j.id = g.id
        where g.id = $1 and g.account_id = $2"#,
        id,
        account,
    )
    .fetch_optional(db)
    .await
}

pub async fn list(
    db: impl PgExecutor<'_>,
    account: Uuid,
    status: Option<Status>,
    page: &Page,
) -> sqlx::Result<Vec<Summary>> {
    sqlx::query_as!(
        Summary,
        r#"select
            id as "id!", id as "task_id!", status as "status!: Status",
            model as "model!: Model", error, attempts as "attempts!",
            created_at as "created_at!", completed_at
        from (
            select
                g.id, g.model, g.created_at,
                case
                    when g.result is not null then 'completed'
                    when j.state = 'running' then 'processing'
                    when j.state in ('ready', 'waiting') or g.error is null then 'queued'
                    else 'failed'
                end as status,
                case when j.state is null or j.state = 'dead' then g.error end as error,
                coalesce(j.attempts, g.attempts) as attempts,
                case when j.state is null or j.finished_at is not null then g.completed_at end
                    as completed_at
            from generation g
            left join job j on j.id = g.id
            where g.account_id = $1 and g.id < $3
        ) task
        where $2::text is null or status = $2
        order by id desc
        limit $4
        offset $5"#,
        account,
        status as Option<Status>,
        page.before(),
        page.fetch_limit(),
        page.offset,
    )
    .fetch_all(db)
    .await
}

/// Returns the model's input for a task.
pub async fn find_request(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<ModelRequest>> {
    sqlx::query_as!(
        ModelRequest,
        r#"select prompt, model as "model: Model", temperature, max_tokens
        from generation
        where id = $1"#,
        id,
    )
    .fetch_optional(db)
    .await
}

pub async fn complete(
    db: impl PgExecutor<'_>,
    job: &Job,
    result: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update generation
        set result = $2, error = null, attempts = $3, completed_at = $4,
            started_at = (select claimed_at from job where id = $1)
        where id = $1",
        job.id,
        result,
        job.attempts,
        now,
    )
    .execute(db)
    .await
    .map(drop)
}

pub async fn fail(
    db: impl PgExecutor<'_>,
    job: &Job,
    error: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update generation
        set error = $2, attempts = $3, completed_at = $4,
            started_at = (select claimed_at from job where id = $1)
        where id = $1",
        job.id,
        error,
        job.attempts,
        now,
    )
    .execute(db)
    .await
    .map(drop)
}
