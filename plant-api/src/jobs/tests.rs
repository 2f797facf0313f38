use std::time::Duration;

use serde_json::Value;
use sqlx::{Connection, PgConnection, PgPool};
use uuid::Uuid;

use super::command::{self, requeue};
use super::sql::Attempts;
use super::{
    Failure, Job, LEASE_DURATION, MAX_ATTEMPTS, NewJob, Priority, backoff, counts, delete_expired,
    enqueue, enqueue_all, maintenance, sql,
};
use crate::cleanup::BATCH_SIZE;
use crate::error::Error;
use crate::testing::TestApp;

fn job(owner: &str) -> NewJob {
    NewJob {
        id: Uuid::now_v7(),
        kind: "test",
        owner: owner.to_owned(),
        payload: Value::Null,
        priority: Priority::Normal,
        delay: Duration::ZERO,
        dedupe_key: None,
    }
}

async fn add(db: &mut PgConnection, job: NewJob) -> Uuid {
    assert!(enqueue(db, &job).await.unwrap());
    job.id
}

async fn claim(db: &mut PgConnection, worker: &str, count: usize) -> Vec<Job> {
    sql::claim(db, &[("test", count)], worker, LEASE_DURATION).await.unwrap()
}

async fn finish(db: &mut PgConnection, worker: &str, job: &Job) -> bool {
    let mut attempts = Attempts::default();
    attempts.push(job);
    sql::finish(db, &attempts, worker).await.unwrap() == [job.id]
}

async fn run_sql(db: &mut PgConnection, sql: &'static str) {
    sqlx::query(sql).execute(db).await.unwrap();
}

async fn state(db: &mut PgConnection, id: Uuid) -> String {
    sqlx::query_scalar("select state from job where id = $1").bind(id).fetch_one(db).await.unwrap()
}

const EXPIRE_LEASES: &str =
    "update job set lease_until = now() - interval '1 second' where state = 'running'";

#[sqlx::test(migrations = "../migrations")]
async fn a_job_exists_only_if_its_transaction_commits(pool: PgPool) {
    let mut tx = pool.begin().await.unwrap();
    add(&mut tx, job("lotus")).await;
    tx.rollback().await.unwrap();
    let mut db = pool.acquire().await.unwrap();
    assert!(claim(&mut db, "one", 10).await.is_empty());
}

#[sqlx::test(migrations = "../migrations")]
async fn a_job_is_claimed_by_one_worker(pool: PgPool) {
    let mut db = pool.acquire().await.unwrap();
    for _ in 0..100 {
        add(&mut db, job("lotus")).await;
    }
    let claims = (0..10).map(|worker| {
        let pool = pool.clone();
        async move {
            let mut db = pool.acquire().await.unwrap();
            let mut claimed = Vec::new();
            loop {
                let batch = claim(&mut db, &worker.to_string(), 7).await;
                if batch.is_empty() {
                    return claimed;
                }
                claimed.extend(batch.into_iter().map(|job| job.id));
            }
        }
    });
    let all = futures::future::join_all(claims).await.concat();
    let distinct: std::collections::HashSet<_> = all.iter().collect();
    // A worker that found every ready row locked may have stopped early, so some jobs may remain.
    assert_eq!(distinct.len(), all.len());
    let remaining = claim(&mut db, "last", 100).await.len();
    assert_eq!(all.len() + remaining, 100);
}

#[sqlx::test(migrations = "../migrations")]
async fn owners_are_served_round_robin_however_many_jobs_one_has(pool: PgPool) {
    let mut db = pool.acquire().await.unwrap();
    for _ in 0..50 {
        add(&mut db, job("busy")).await;
    }
    for _ in 0..3 {
        add(&mut db, job("modest")).await;
    }
    let mut owners = Vec::new();
    for _ in 0..8 {
        owners.push(claim(&mut db, "one", 1).await.remove(0).owner);
    }
    let modest = owners.iter().filter(|owner| *owner == "modest").count();
    assert_eq!((modest, owners[6..].contains(&"modest".to_owned())), (3, false), "{owners:?}");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_new_owner_does_not_overtake_all_waiting_jobs(pool: PgPool) {
    let mut db = pool.acquire().await.unwrap();
    for _ in 0..20 {
        add(&mut db, job("early")).await;
    }
    claim(&mut db, "one", 10).await;
    for _ in 0..20 {
        add(&mut db, job("late")).await;
    }
    let next = claim(&mut db, "one", 10).await;
    assert_eq!(next.iter().filter(|job| job.owner == "early").count(), 5);
}

#[sqlx::test(migrations = "../migrations")]
async fn jobs_are_claimed_by_priority(pool: PgPool) {
    let mut db = pool.acquire().await.unwrap();
    for priority in [Priority::Low, Priority::Normal, Priority::Critical, Priority::High] {
        add(&mut db, NewJob { priority, owner: format!("{priority:?}"), ..job("") }).await;
    }
    let mut owners = Vec::new();
    for _ in 0..4 {
        owners.push(claim(&mut db, "one", 1).await.remove(0).owner);
    }
    assert_eq!(owners, ["Critical", "High", "Normal", "Low"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_dedupe_key_makes_one_job_until_it_has_ended(pool: PgPool) {
    let mut db = pool.acquire().await.unwrap();
    let keyed = || NewJob { dedupe_key: Some("once".into()), ..job("lotus") };
    add(&mut db, keyed()).await;
    assert!(!enqueue(&mut db, &keyed()).await.unwrap());
    let first = claim(&mut db, "one", 10).await.remove(0);
    assert!(!enqueue(&mut db, &keyed()).await.unwrap());
    assert!(finish(&mut db, "one", &first).await);
    assert!(enqueue(&mut db, &keyed()).await.unwrap());
}

#[sqlx::test(migrations = "../migrations")]
async fn a_worker_whose_lease_was_lost_cannot_finish(pool: PgPool) {
    let mut db = pool.acquire().await.unwrap();
    add(&mut db, job("lotus")).await;
    let first = claim(&mut db, "one", 1).await.remove(0);
    run_sql(&mut db, EXPIRE_LEASES).await;
    assert_eq!(maintenance::reclaim_expired(&mut *db).await.unwrap(), 1);
    assert!(!finish(&mut db, "one", &first).await);
    // Nor after the same worker has claimed it again, which is another attempt.
    let second = claim(&mut db, "one", 1).await.remove(0);
    assert_eq!((second.id, second.attempts), (first.id, 2));
    assert!(!finish(&mut db, "one", &first).await);
    assert!(!sql::retry_later(&mut *db, &first, "one", LEASE_DURATION, "late").await.unwrap());
    assert!(!sql::dead_letter(&mut *db, &first, "one", "late").await.unwrap());
    assert!(finish(&mut db, "one", &second).await);
    assert!(!finish(&mut db, "one", &second).await);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_renewed_lease_does_not_expire(pool: PgPool) {
    let mut db = pool.acquire().await.unwrap();
    let id = add(&mut db, job("lotus")).await;
    claim(&mut db, "one", 1).await;
    run_sql(&mut db, EXPIRE_LEASES).await;
    assert!(sql::renew(&mut *db, &[id], "another", LEASE_DURATION).await.unwrap().is_empty());
    assert_eq!(sql::renew(&mut *db, &[id], "one", LEASE_DURATION).await.unwrap(), [id]);
    assert_eq!(maintenance::reclaim_expired(&mut *db).await.unwrap(), 0);
    assert_eq!(state(&mut db, id).await, "running");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_job_whose_workers_crash_is_dead_lettered_after_the_last_attempt(pool: PgPool) {
    let mut db = pool.acquire().await.unwrap();
    let id = add(&mut db, job("lotus")).await;
    for attempt in 1..=MAX_ATTEMPTS {
        assert_eq!(claim(&mut db, "one", 1).await[0].attempts, attempt);
        run_sql(&mut db, EXPIRE_LEASES).await;
        let dead_letter = async |db: &mut PgConnection, kind: &str| {
            let kinds = [kind.to_owned()];
            let dead = maintenance::dead_letter_abandoned(db, &kinds, "lease expired").await;
            dead.unwrap()
        };
        assert!(dead_letter(&mut db, "another").await.is_empty());
        let dead = dead_letter(&mut db, "test").await;
        assert_eq!(dead.len(), usize::from(attempt == MAX_ATTEMPTS));
        maintenance::reclaim_expired(&mut *db).await.unwrap();
    }
    assert_eq!(state(&mut db, id).await, "dead");
    assert_eq!(requeue(&mut *db, Some(&[id]), None).await.unwrap(), 1);
    assert_eq!(claim(&mut db, "one", 1).await[0].attempts, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_delayed_job_is_not_claimed_early(pool: PgPool) {
    let mut db = pool.acquire().await.unwrap();
    let id = add(&mut db, NewJob { delay: Duration::from_secs(60), ..job("lotus") }).await;
    assert_eq!(maintenance::promote_due(&mut *db).await.unwrap(), 0);
    assert!(claim(&mut db, "one", 1).await.is_empty());
    run_sql(&mut db, "update job set run_at = now()").await;
    assert_eq!(maintenance::promote_due(&mut *db).await.unwrap(), 1);
    assert_eq!(claim(&mut db, "one", 1).await[0].id, id);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_retried_job_does_not_overtake_all_ready_jobs(pool: PgPool) {
    let mut db = pool.acquire().await.unwrap();
    for _ in 0..5 {
        add(&mut db, job("lotus")).await;
    }
    let first = claim(&mut db, "one", 1).await.remove(0);
    assert!(sql::retry_later(&mut *db, &first, "one", Duration::ZERO, "not now").await.unwrap());
    claim(&mut db, "one", 2).await;
    maintenance::promote_due(&mut *db).await.unwrap();
    let turns: Vec<i64> =
        sqlx::query_scalar("select turn from job where state = 'ready' order by 1")
            .fetch_all(&mut *db)
            .await
            .unwrap();
    assert_eq!(turns, [3, 3, 4]);
}

#[sqlx::test(migrations = "../migrations")]
async fn jobs_enqueued_together_take_turns_like_those_enqueued_alone(pool: PgPool) {
    let mut db = pool.acquire().await.unwrap();
    add(&mut db, job("lotus")).await;
    let low = NewJob { priority: Priority::Low, ..job("lotus") };
    let later = NewJob { delay: Duration::from_secs(60), ..job("lotus") };
    let once = || NewJob { dedupe_key: Some("once".to_owned()), ..job("fern") };
    let (first, second) = (once(), once());
    let jobs = [job("lotus"), job("rose"), low, job("lotus"), first, job("rose"), second, later];
    let inserted = enqueue_all(&mut db, &jobs).await.unwrap();
    assert_eq!(inserted.len(), 7);
    assert!(inserted.contains(&jobs[4].id) && !inserted.contains(&jobs[6].id));
    let rows: Vec<(i16, i64, String, String)> = sqlx::query_as(
        "select priority, turn, owner, state from job order by priority, turn, owner",
    )
    .fetch_all(&mut *db)
    .await
    .unwrap();
    let ready = |priority, turn, owner: &str| (priority, turn, owner.into(), "ready".into());
    assert_eq!(
        rows,
        [
            ready(2, 0, "fern"),
            ready(2, 0, "lotus"),
            ready(2, 0, "rose"),
            ready(2, 1, "lotus"),
            ready(2, 1, "rose"),
            ready(2, 2, "lotus"),
            (2, 3, "lotus".into(), "waiting".into()),
            ready(3, 0, "lotus"),
        ]
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_released_job_does_not_count_the_attempt(pool: PgPool) {
    let mut db = pool.acquire().await.unwrap();
    add(&mut db, job("lotus")).await;
    let job = claim(&mut db, "one", 1).await.remove(0);
    assert_eq!(sql::release(&mut *db, "one", &[job.id]).await.unwrap(), 0);
    assert_eq!(sql::release(&mut *db, "two", &[]).await.unwrap(), 0);
    assert_eq!(sql::release(&mut *db, "one", &[]).await.unwrap(), 1);
    assert!(!finish(&mut db, "one", &job).await);
    assert_eq!(claim(&mut db, "two", 1).await[0].attempts, 1);
}

/// Inserts finished jobs of this age, all of the same state.
async fn insert_finished(db: &mut PgConnection, state: &str, age: &str, count: i32) {
    sqlx::query(
        "insert into job (
            id, kind, owner, payload, state, priority, turn, run_at, created_at, finished_at
        )
        select gen_random_uuid(), 'test', $2, 'null', $1, 2, 0, now(), now(), now() - $2::interval
        from generate_series(1, $3)",
    )
    .bind(state)
    .bind(age)
    .bind(count)
    .execute(db)
    .await
    .unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn expired_jobs_are_deleted(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut db = app.owner.acquire().await.unwrap();
    for (state, age) in [
        ("done", "59 minutes"),
        ("done", "61 minutes"),
        ("dead", "29 days 23 hours"),
        ("dead", "30 days 1 hour"),
    ] {
        insert_finished(&mut db, state, age, 1).await;
    }
    add(&mut db, job("lotus")).await;
    assert_eq!(delete_expired(&app.state.db, &app.state.clock).await.unwrap(), 1);
    let remaining: Vec<String> =
        sqlx::query_scalar("select owner from job order by 1").fetch_all(&mut *db).await.unwrap();
    assert_eq!(remaining, ["29 days 23 hours", "59 minutes", "lotus"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn expired_jobs_are_deleted_in_batches_oldest_first(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut db = app.owner.acquire().await.unwrap();
    let batch = i32::try_from(BATCH_SIZE).unwrap();
    for (state, age) in [("done", "3 hours"), ("dead", "40 days")] {
        insert_finished(&mut db, state, age, batch / 2).await;
    }
    for (state, age, count) in [("done", "2 hours", batch), ("dead", "35 days", batch + 7)] {
        insert_finished(&mut db, state, age, count).await;
    }
    let delete = async || delete_expired(&app.state.db, &app.state.clock).await.unwrap();
    assert_eq!(delete().await, u64::from(BATCH_SIZE));
    let ages: Vec<String> = sqlx::query_scalar("select distinct owner from job order by 1")
        .fetch_all(&mut *db)
        .await
        .unwrap();
    assert_eq!(ages, ["2 hours", "35 days"]);
    assert_eq!([delete().await, delete().await], [u64::from(BATCH_SIZE / 2) + 7, 0]);
}

#[sqlx::test(migrations = "../migrations")]
async fn open_jobs_are_counted_by_kind_and_listed_in_the_order_of_claims(pool: PgPool) {
    let mut db = pool.acquire().await.unwrap();
    let first = add(&mut db, NewJob { priority: Priority::High, ..job("lotus") }).await;
    claim(&mut db, "one", 1).await;
    let low = add(&mut db, NewJob { priority: Priority::Low, ..job("lotus") }).await;
    let second_turn = {
        add(&mut db, job("tulip")).await;
        add(&mut db, job("tulip")).await
    };
    add(&mut db, NewJob { delay: Duration::from_secs(60), ..job("lotus") }).await;
    add(&mut db, NewJob { kind: "other", ..job("lotus") }).await;
    let mut counts = counts::count_by_kind(&mut *db).await.unwrap();
    counts.sort_by(|a, b| a.kind.cmp(&b.kind));
    let counts: Vec<_> = counts.iter().map(|c| (&*c.kind, c.ready, c.running)).collect();
    assert_eq!(counts, [("other", 1, 0), ("test", 3, 1)]);
    let listed = counts::list_ready(&mut *db, "test", 10).await.unwrap();
    assert_eq!((listed.len(), listed[1], listed[2]), (3, second_turn, low));
    assert!(!listed.contains(&first));
    assert_eq!(counts::list_ready(&mut *db, "test", 1).await.unwrap(), listed[..1]);
}

#[sqlx::test(migrations = "../migrations")]
async fn running_and_dead_jobs_are_shown_with_their_worker_and_reason(pool: PgPool) {
    let mut db = pool.acquire().await.unwrap();
    for _ in 0..2 {
        add(&mut db, job("lotus")).await;
    }
    let jobs = claim(&mut db, "worker-one", 2).await;
    assert!(sql::dead_letter(&mut *db, &jobs[0], "worker-one", "overloaded").await.unwrap());
    let active = command::run(&command::Action::Active, &mut db).await.unwrap();
    let running = active.lines().find(|line| line.contains(&jobs[1].id.to_string())).unwrap();
    assert!(running.contains("worker-one") && running.ends_with("lotus"), "{active}");
    assert!(!active.contains(&jobs[0].id.to_string()));
    let filter: command::DeadFilter = parse(&["dead", "--kind=test"]);
    let dead = command::run(&command::Action::Dead(filter), &mut db).await.unwrap();
    let line = dead.lines().find(|line| line.contains(&jobs[0].id.to_string())).unwrap();
    assert!(line.ends_with("overloaded"), "{dead}");
    let selection: command::Selection = parse(&["requeue", &jobs[0].id.to_string()]);
    let requeued = command::run(&command::Action::Requeue(selection), &mut db).await.unwrap();
    assert_eq!(requeued, "1 requeued\n");
    assert_eq!(state(&mut db, jobs[0].id).await, "ready");
}

fn parse<A: clap::Args>(arguments: &[&str]) -> A {
    let matches = A::augment_args(clap::Command::new("jobs")).get_matches_from(arguments);
    A::from_arg_matches(&matches).unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_claim_takes_each_kind_up_to_its_room(pool: PgPool) {
    let mut db = pool.acquire().await.unwrap();
    for kind in ["test", "test", "other", "other", "other", "unknown"] {
        add(&mut db, NewJob { kind, ..job("lotus") }).await;
    }
    let slots = [("test", 1), ("other", 2)];
    let claimed = sql::claim(&mut *db, &slots, "one", LEASE_DURATION).await.unwrap();
    let mut kinds: Vec<_> = claimed.iter().map(|job| &*job.kind).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["other", "other", "test"]);
    let lease: f64 = sqlx::query_scalar(
        "select min(extract(epoch from lease_until - claimed_at))::float8 from job",
    )
    .fetch_one(&mut *db)
    .await
    .unwrap();
    assert_eq!(lease, 10.0);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_transaction_that_stands_still_is_ended(pool: PgPool) {
    let mut db = pool.acquire().await.unwrap();
    let show = "select current_setting('idle_in_transaction_session_timeout')";
    let mut tx = db.begin().await.unwrap();
    sql::set_idle_timeout(&mut *tx).await.unwrap();
    let timeout: String = sqlx::query_scalar(show).fetch_one(&mut *tx).await.unwrap();
    assert_eq!(timeout, "5s");
    tx.commit().await.unwrap();
    // Only in that transaction.
    let timeout: String = sqlx::query_scalar(show).fetch_one(&mut *db).await.unwrap();
    assert_eq!(timeout, "0");
}

#[test]
fn a_failure_of_the_service_is_temporary() {
    let failure = Failure::from(Error::Conflict("taken".into()));
    assert_eq!(failure, Failure::retry("taken"));
    let permanent = Failure::Permanent("never".into());
    assert_eq!([failure.reason(), permanent.reason()], ["taken", "never"]);
}

#[test]
fn backoff_doubles_up_to_the_maximum_with_jitter() {
    let seconds = |attempts, jitter| backoff(attempts, jitter).as_secs_f64();
    assert_eq!([1, 2, 3, 4].map(|n| seconds(n, 0.0)), [1.0, 2.0, 4.0, 8.0]);
    assert_eq!(seconds(3, 1.0), 2.0);
    assert_eq!(seconds(i32::MAX, 0.0), 60.0);
    assert_eq!(seconds(i32::MIN, 0.0), 1.0);
}
