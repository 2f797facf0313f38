//! `plant-api jobs`: lists running and dead jobs, and requeues dead ones.

use std::fmt::Write;

use clap::{Args, Subcommand};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

/// Subcommands of `plant-api jobs`.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// List job counts by kind and state, and running jobs with worker, age and remaining lease.
    Active,
    /// List dead jobs with the reason, newest first.
    Dead(DeadFilter),
    /// Requeue dead jobs and reset their attempt count.
    Requeue(Selection),
}

/// Filter for dead jobs.
#[derive(Debug, Args)]
pub struct DeadFilter {
    /// Kind of job to list; default: all.
    #[arg(long)]
    kind: Option<String>,
}

/// Jobs to requeue.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(false))]
pub struct Selection {
    /// Ids of the jobs to requeue.
    #[arg(group = "which")]
    ids: Vec<Uuid>,
    /// Requeue all dead jobs of this kind.
    #[arg(long, group = "which")]
    kind: Option<String>,
    /// Requeue all dead jobs.
    #[arg(long, group = "which")]
    all: bool,
}

/// Maximum number of jobs listed.
const MAX_ROWS: i64 = 200;

/// Runs a subcommand and returns the text to print.
///
/// # Errors
/// Database errors.
pub async fn run(action: &Action, connection: &mut PgConnection) -> sqlx::Result<String> {
    match action {
        Action::Active => active(connection).await,
        Action::Dead(filter) => dead(connection, filter.kind.as_deref()).await,
        Action::Requeue(selection) => {
            let ids = (!selection.ids.is_empty()).then_some(&selection.ids[..]);
            let count = requeue(connection, ids, selection.kind.as_deref()).await?;
            Ok(format!("{count} requeued\n"))
        }
    }
}

async fn active(connection: &mut PgConnection) -> sqlx::Result<String> {
    let mut text = format!("{:<20} {:<8} {:>8} {:>14}\n", "kind", "state", "jobs", "oldest");
    let states = sqlx::query!(
        r#"select kind, state, count(*) as "jobs!",
            extract(epoch from now() - min(coalesce(finished_at, created_at)))::float8 as "age!"
        from job
        group by kind, state
        order by kind, state"#,
    )
    .fetch_all(&mut *connection)
    .await?;
    for row in states {
        push_line(
            &mut text,
            format_args!("{:<20} {:<8} {:>8} {:>12.1} s", row.kind, row.state, row.jobs, row.age),
        );
    }
    let running = sqlx::query!(
        r#"select id, kind, owner, attempts, worker as "worker!",
            extract(epoch from now() - claimed_at)::float8 as "age!",
            extract(epoch from lease_until - now())::float8 as "lease!"
        from job
        where state = 'running'
        order by worker, claimed_at, id
        limit $1"#,
        MAX_ROWS,
    )
    .fetch_all(connection)
    .await?;
    let (job, lease) = ("running job", "lease left");
    push_line(
        &mut text,
        format_args!(
            "\n{job:<36} {:<12} {:>7} {:>10} {lease:>10}  {:<28} owner",
            "kind", "attempt", "run time", "worker"
        ),
    );
    for row in running {
        push_line(
            &mut text,
            format_args!(
                "{:<36} {:<12} {:>7} {:>8.1} s {:>8.1} s  {:<28} {}",
                row.id, row.kind, row.attempts, row.age, row.lease, row.worker, row.owner,
            ),
        );
    }
    Ok(text)
}

async fn dead(db: impl PgExecutor<'_>, kind: Option<&str>) -> sqlx::Result<String> {
    let rows = sqlx::query!(
        r#"select id, kind, owner, attempts, finished_at as "finished_at!", last_error
        from job
        where state = 'dead' and ($1::text is null or kind = $1)
        order by finished_at desc, id desc
        limit $2"#,
        kind,
        MAX_ROWS,
    )
    .fetch_all(db)
    .await?;
    let mut text = format!(
        "{:<36} {:<12} {:>8} {:<20} {:<24} reason\n",
        "dead job", "kind", "attempts", "dead since", "owner"
    );
    for row in rows {
        let at = row.finished_at.format("%Y-%m-%dT%H:%M:%SZ");
        let reason = row.last_error.unwrap_or_default();
        push_line(
            &mut text,
            format_args!(
                "{:<36} {:<12} {:>8} {at:<20} {:<24} {reason}",
                row.id, row.kind, row.attempts, row.owner,
            ),
        );
    }
    Ok(text)
}

/// Requeues dead jobs; workers find them at the next poll. Returns how many.
pub(crate) async fn requeue(
    db: impl PgExecutor<'_>,
    ids: Option<&[Uuid]>,
    kind: Option<&str>,
) -> sqlx::Result<u64> {
    let result = sqlx::query!(
        "update job
        set state = 'ready', attempts = 0, finished_at = null, run_at = now(), postponed_since = null
        where state = 'dead'
            and ($1::uuid[] is null or id = any($1))
            and ($2::text is null or kind = $2)",
        ids,
        kind,
    )
    .execute(db)
    .await?;
    Ok(result.rows_affected())
}

fn push_line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{arguments}");
}
