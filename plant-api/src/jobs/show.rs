//! `plant-api jobs`: what runs and by whom, what was buried, and how to have it tried again.

use std::fmt::Write;

use clap::{Args, Subcommand};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

/// What to do with jobs.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// How many jobs of each kind are in which state, and those that run: where, since when, and
    /// how long their lease still is.
    Active,
    /// The jobs that were given up, newest first, with the reason.
    Dead(Kinds),
    /// Has jobs that were given up tried again, with all their attempts before them.
    Requeue(Chosen),
}

/// Which kind.
#[derive(Debug, Args)]
pub struct Kinds {
    /// Only jobs of this kind.
    #[arg(long)]
    kind: Option<String>,
}

/// Which jobs.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(false))]
pub struct Chosen {
    /// Those with these ids.
    #[arg(group = "which")]
    ids: Vec<Uuid>,
    /// All of this kind.
    #[arg(long, group = "which")]
    kind: Option<String>,
    /// All.
    #[arg(long, group = "which")]
    all: bool,
}

/// Most lines that are shown.
const LINES: i64 = 200;

/// Does it; answers what to print.
///
/// # Errors
/// Database errors.
pub async fn run(action: &Action, connection: &mut PgConnection) -> sqlx::Result<String> {
    match action {
        Action::Active => active(connection).await,
        Action::Dead(kinds) => dead(connection, kinds.kind.as_deref()).await,
        Action::Requeue(chosen) => {
            let ids = (!chosen.ids.is_empty()).then_some(&chosen.ids[..]);
            let count = requeue(connection, ids, chosen.kind.as_deref()).await?;
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
        line(
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
        LINES,
    )
    .fetch_all(connection)
    .await?;
    let (job, lease) = ("running job", "lease for");
    line(
        &mut text,
        format_args!(
            "\n{job:<36} {:<12} {:>3} {:>10} {lease:>10}  {:<28} owner",
            "kind", "try", "since", "worker"
        ),
    );
    for row in running {
        line(
            &mut text,
            format_args!(
                "{:<36} {:<12} {:>3} {:>8.1} s {:>8.1} s  {:<28} {}",
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
        LINES,
    )
    .fetch_all(db)
    .await?;
    let mut text = format!(
        "{:<36} {:<12} {:>8} {:<20} {:<24} reason\n",
        "dead job", "kind", "attempts", "given up", "owner"
    );
    for row in rows {
        let at = row.finished_at.format("%Y-%m-%dT%H:%M:%SZ");
        let reason = row.last_error.unwrap_or_default();
        line(
            &mut text,
            format_args!(
                "{:<36} {:<12} {:>8} {at:<20} {:<24} {reason}",
                row.id, row.kind, row.attempts, row.owner,
            ),
        );
    }
    Ok(text)
}

/// Has dead jobs tried again; a worker notices by itself.
pub(crate) async fn requeue(
    db: impl PgExecutor<'_>,
    ids: Option<&[Uuid]>,
    kind: Option<&str>,
) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "update job
        set state = 'ready', attempts = 0, finished_at = null, run_at = now()
        where state = 'dead'
            and ($1::uuid[] is null or id = any($1))
            and ($2::text is null or kind = $2)",
        ids,
        kind,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{arguments}");
}
