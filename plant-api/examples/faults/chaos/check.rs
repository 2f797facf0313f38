//! What is there in the end, compared with what was acknowledged.

use std::time::{Duration, Instant};

use sqlx::PgConnection;
use tokio::time::sleep;
use uuid::Uuid;

use super::ledger::Ledger;

/// What was found.
pub struct Found {
    /// Acknowledged writes that are not there.
    pub lost: i64,
    /// Writes and effects that are there twice.
    pub twice: i64,
    /// Jobs that have not ended, tasks without an end, goals without their draft.
    pub open: i64,
    /// Jobs that took more than one attempt.
    pub attempts_again: i64,
    /// The longest time from the end of a lease until the job was ready again.
    pub latest_pick_up: String,
    /// What is wrong, in words.
    pub examples: Vec<String>,
}

impl Found {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        (self.lost, self.twice, self.open) == (0, 0, 0)
    }
}

/// Has the database note each time a result is written, and each time a job is picked up from a
/// worker that left it lying.
pub async fn watch_effects(owner: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql(
        "create table chaos_effect (id uuid);
        create table chaos_pick_up (late interval);
        create function chaos_note_effect() returns trigger
        language plpgsql security definer as $$
        begin
            insert into chaos_effect values (new.id);
            return null;
        end $$;
        create trigger chaos_effect after update of result on generation
            for each row when (new.result is not null) execute function chaos_note_effect();
        create function chaos_note_pick_up() returns trigger
        language plpgsql security definer as $$
        begin
            insert into chaos_pick_up values (clock_timestamp() - old.lease_until);
            return null;
        end $$;
        create trigger chaos_pick_up after update of state on job
            for each row
            when (old.state = 'running' and new.state = 'ready' and new.attempts = old.attempts)
            execute function chaos_note_pick_up();",
    )
    .execute(owner)
    .await
    .map(drop)
}

/// How long it took until nothing was left to do.
pub async fn settled_within(
    owner: &mut PgConnection,
    limit: Duration,
) -> sqlx::Result<Option<Duration>> {
    let began = Instant::now();
    while began.elapsed() < limit {
        let left = count(
            owner,
            "select (select count(*) from job where state not in ('done', 'dead'))
                + (
                    select count(*) from goal
                    where enabled and schedule <> 'on_demand' and due_at <= now()
                )",
        );
        if left.await? == 0 {
            return Ok(Some(began.elapsed()));
        }
        sleep(Duration::from_millis(100)).await;
    }
    Ok(None)
}

async fn count(owner: &mut PgConnection, sql: &'static str) -> sqlx::Result<i64> {
    sqlx::query_scalar(sql).fetch_one(owner).await
}

/// Compares.
pub async fn compare(owner: &mut PgConnection, ledger: &Ledger) -> sqlx::Result<Found> {
    let mut found = Found {
        lost: 0,
        twice: 0,
        open: 0,
        attempts_again: count(owner, "select count(*) from job where attempts > 1").await?,
        latest_pick_up: sqlx::query_scalar(
            "select count(*) || ', the latest after '
                || coalesce(round(extract(epoch from max(late)), 1), 0) || ' s'
            from chaos_pick_up",
        )
        .fetch_one(&mut *owner)
        .await?,
        examples: Vec::new(),
    };
    for (what, writes, sql) in [
        (
            "a generation task",
            &ledger.generations,
            "select id from unnest($1::uuid[], $2::text[]) as told (id, mark)
            where not exists (
                select from generation g where g.id = told.id and g.prompt = told.mark
            )",
        ),
        (
            "a goal",
            &ledger.goals,
            "select id from unnest($1::uuid[], $2::text[]) as told (id, mark)
            where not exists (select from goal g where g.id = told.id and g.title = told.mark)",
        ),
    ] {
        let (ids, marks): (Vec<_>, Vec<_>) = writes.iter().cloned().unzip();
        let lost: Vec<Uuid> =
            sqlx::query_scalar(sql).bind(ids).bind(marks).fetch_all(&mut *owner).await?;
        found.lost += note(&mut found.examples, &format!("lost: {what}"), &lost);
    }
    let lost: Vec<Uuid> = sqlx::query_scalar(
        "select id from unnest($1::uuid[]) as told (id)
        where not exists (
            select from deliverable_review r
            where r.deliverable_id = told.id and r.decision = 'approved'
        )",
    )
    .bind(&ledger.approvals)
    .fetch_all(&mut *owner)
    .await?;
    found.lost += note(&mut found.examples, "lost: an approval", &lost);

    for (what, sql) in [
        (
            "one request made two tasks",
            "select min(id::text)::uuid from generation group by prompt having count(*) > 1",
        ),
        (
            "one request made two goals",
            "select min(id::text)::uuid from goal where schedule = 'monthly' and title ~ '^[0-9a-f]{8}-' group by title having count(*) > 1",
        ),
        (
            "a result was written twice",
            "select id from chaos_effect group by id having count(*) > 1",
        ),
        (
            "two drafts of one goal",
            "select goal_id from deliverable where period is not null group by goal_id, period having count(*) > 1",
        ),
    ] {
        let twice: Vec<Uuid> = sqlx::query_scalar(sql).fetch_all(&mut *owner).await?;
        found.twice += note(&mut found.examples, what, &twice);
    }
    for (what, sql) in [
        ("a job has not ended", "select id from job where state not in ('done', 'dead')"),
        ("a task has no end", "select id from generation where completed_at is null"),
        (
            "a task's job has another end",
            "select g.id from generation g join job j on j.id = g.id where (j.state = 'done') <> (g.result is not null)",
        ),
        (
            "a goal has no draft",
            "select id from goal where enabled and schedule <> 'on_demand' and not exists (select from deliverable d where d.goal_id = goal.id and d.period is not null)",
        ),
    ] {
        let open: Vec<Uuid> = sqlx::query_scalar(sql).fetch_all(&mut *owner).await?;
        found.open += note(&mut found.examples, what, &open);
    }
    Ok(found)
}

/// Keeps a few examples of what is wrong; answers how often it is.
fn note(examples: &mut Vec<String>, what: &str, ids: &[Uuid]) -> i64 {
    examples.extend(ids.iter().take(3).map(|id| format!("{what}: {id}")));
    ids.len() as i64
}
