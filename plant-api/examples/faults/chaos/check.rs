//! Compares the final state of the database with the acknowledged writes.

use std::time::{Duration, Instant};

use sqlx::{Acquire, PgConnection};
use tokio::time::sleep;
use uuid::Uuid;

use super::ledger::Ledger;
use super::{payments, tickets};

/// Result of the comparison.
pub struct Findings {
    /// Acknowledged writes that are missing.
    pub lost: i64,
    /// Writes and effects that exist twice.
    pub duplicated: i64,
    /// Unfinished jobs, generations and tickets, and goals without a draft.
    pub unfinished: i64,
    /// Payments whose ledger entries do not agree with their status or do not sum to zero.
    pub ledger: i64,
    /// Jobs with more than one attempt.
    pub retried_jobs: i64,
    /// Number of jobs reclaimed after their lease expired, and the longest delay, as text.
    pub reclaimed: String,
    /// Examples of violations, as text.
    pub examples: Vec<String>,
}

/// Returns the count that a kind of violation adds to.
pub type Counter = fn(&mut Findings) -> &mut i64;

impl Findings {
    /// Returns whether there are no violations.
    pub fn is_clean(&self) -> bool {
        (self.lost, self.duplicated, self.unfinished, self.ledger) == (0, 0, 0, 0)
    }
}

/// Creates triggers that record each written result and each job that becomes ready again after its
/// lease expired.
pub async fn create_triggers(owner: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql(
        "create table chaos_effect (id uuid);
        create table chaos_reclaim (delay interval);
        create function chaos_record_effect() returns trigger
        language plpgsql security definer as $$
        begin
            insert into chaos_effect values (new.id);
            return null;
        end $$;
        create trigger chaos_effect after update of result on generation
            for each row when (new.result is not null) execute function chaos_record_effect();
        create function chaos_record_reclaim() returns trigger
        language plpgsql security definer as $$
        begin
            insert into chaos_reclaim values (clock_timestamp() - old.lease_until);
            return null;
        end $$;
        create trigger chaos_reclaim after update of state on job
            for each row
            when (old.state = 'running' and new.state = 'ready' and new.attempts = old.attempts)
            execute function chaos_record_reclaim();",
    )
    .execute(&mut *owner)
    .await?;
    payments::create_trigger(owner).await?;
    tickets::create_trigger(owner).await
}

/// Waits until all jobs are finished. Returns the time that it took, or `None` after `timeout`.
pub async fn wait_until_finished(
    owner: &mut PgConnection,
    timeout: Duration,
) -> sqlx::Result<Option<Duration>> {
    let started_at = Instant::now();
    while started_at.elapsed() < timeout {
        let unfinished = count(
            owner,
            "select (select count(*) from job where state not in ('done', 'dead'))
                + (
                    select count(*) from goal
                    where enabled and schedule <> 'on_demand' and due_at <= now()
                )",
        );
        if unfinished.await? == 0 {
            return Ok(Some(started_at.elapsed()));
        }
        sleep(Duration::from_millis(100)).await;
    }
    Ok(None)
}

async fn count(owner: &mut PgConnection, sql: &'static str) -> sqlx::Result<i64> {
    sqlx::query_scalar(sql).fetch_one(owner).await
}

/// Compares the database with the acknowledged writes.
pub async fn compare(owner: &mut PgConnection, ledger: &Ledger) -> sqlx::Result<Findings> {
    let mut findings = Findings {
        lost: 0,
        duplicated: 0,
        unfinished: 0,
        ledger: 0,
        retried_jobs: count(owner, "select count(*) from job where attempts > 1").await?,
        reclaimed: sqlx::query_scalar(
            "select count(*) || ', the latest after '
                || coalesce(round(extract(epoch from max(delay)), 1), 0) || ' s'
            from chaos_reclaim",
        )
        .fetch_one(&mut *owner)
        .await?,
        examples: Vec::new(),
    };
    for (kind, writes, sql) in [
        (
            "a generation",
            &ledger.generations,
            "select id from unnest($1::uuid[], $2::text[]) as acknowledged (id, mark)
            where not exists (
                select from generation g
                where g.id = acknowledged.id and g.prompt = acknowledged.mark
            )",
        ),
        (
            "a goal",
            &ledger.goals,
            "select id from unnest($1::uuid[], $2::text[]) as acknowledged (id, mark)
            where not exists (
                select from goal g
                where g.id = acknowledged.id and g.title = acknowledged.mark
            )",
        ),
    ] {
        let (ids, marks): (Vec<_>, Vec<_>) = writes.iter().cloned().unzip();
        let lost: Vec<Uuid> =
            sqlx::query_scalar(sql).bind(ids).bind(marks).fetch_all(&mut *owner).await?;
        findings.lost += record(&mut findings.examples, &format!("lost: {kind}"), &lost);
    }
    let lost: Vec<Uuid> = sqlx::query_scalar(
        "select id from unnest($1::uuid[]) as acknowledged (id)
        where not exists (
            select from deliverable_review r
            where r.deliverable_id = acknowledged.id and r.decision = 'approved'
        )",
    )
    .bind(&ledger.approvals)
    .fetch_all(&mut *owner)
    .await?;
    findings.lost += record(&mut findings.examples, "lost: an approval", &lost);

    for (violation, sql) in [
        (
            "one request created two generations",
            "select min(id::text)::uuid from generation group by prompt having count(*) > 1",
        ),
        (
            "one request created two goals",
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
        let duplicated: Vec<Uuid> = sqlx::query_scalar(sql).fetch_all(&mut *owner).await?;
        findings.duplicated += record(&mut findings.examples, violation, &duplicated);
    }
    for (violation, sql) in [
        ("a job is unfinished", "select id from job where state not in ('done', 'dead')"),
        ("a generation is unfinished", "select id from generation where completed_at is null"),
        (
            "a generation and its job have different outcomes",
            "select g.id from generation g join job j on j.id = g.id where (j.state = 'done') <> (g.result is not null)",
        ),
        (
            "a goal has no draft",
            "select id from goal where enabled and schedule <> 'on_demand' and not exists (select from deliverable d where d.goal_id = goal.id and d.period is not null)",
        ),
    ] {
        let unfinished: Vec<Uuid> = sqlx::query_scalar(sql).fetch_all(&mut *owner).await?;
        findings.unfinished += record(&mut findings.examples, violation, &unfinished);
    }
    payments::compare(owner, ledger, &mut findings).await?;
    tickets::compare(owner, ledger, &mut findings).await?;
    Ok(findings)
}

/// Adds up to three examples of a violation. Returns the number of violations.
pub fn record(examples: &mut Vec<String>, violation: &str, ids: &[Uuid]) -> i64 {
    examples.extend(ids.iter().take(3).map(|id| format!("{violation}: {id}")));
    ids.len() as i64
}

/// Puts each fault into the rows, compares them, and rolls the fault back. Returns the faults that the
/// comparison did not detect.
pub async fn undetected_faults(
    owner: &mut PgConnection,
    ledger: &Ledger,
) -> anyhow::Result<Vec<&'static str>> {
    let mut undetected = Vec::new();
    let faults = [&payments::FAULTS[..], &tickets::FAULTS].concat();
    for (fault, statement) in &faults {
        let mut tx = owner.begin().await?;
        // What the database itself would refuse.
        sqlx::query("alter table payment disable trigger payment_status_follows")
            .execute(&mut *tx)
            .await?;
        let changed = sqlx::query(*statement).execute(&mut *tx).await?.rows_affected();
        let findings = compare(&mut tx, ledger).await?;
        tx.rollback().await?;
        if changed == 0 || findings.is_clean() {
            undetected.push(*fault);
        }
    }
    println!(
        "faults made on purpose: {} of {} detected",
        faults.len() - undetected.len(),
        faults.len()
    );
    Ok(undetected)
}
