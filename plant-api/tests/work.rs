//! Tests of `plant-api work`, with a worker that is killed and one that is stopped, and of
//! `plant-api jobs`.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;

fn plant_api(pool: &PgPool) -> Command {
    use sqlx::ConnectOptions;
    let options: &PgConnectOptions = &pool.connect_options();
    let mut command = Command::new(env!("CARGO_BIN_EXE_plant-api"));
    for name in ["REDIS_URL", "PLANT_WORK_LISTEN", "ENVIRONMENT", "LOG_FILE"] {
        command.env_remove(name);
    }
    command.env("DATABASE_URL", options.to_url_lossy().to_string()).env("LOG_LEVEL", "info");
    command
}

/// A running worker; killed when dropped.
struct Worker(Child);

impl Worker {
    fn start(pool: &PgPool, latency_ms: &str) -> Self {
        let child = plant_api(pool)
            .args(["work", "--model-latency-ms", latency_ms, "--model-spread=0"])
            .args(["--model-failure-rate=0", "--drain-timeout=20"])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    fn terminate(&mut self) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Migrates the database and inserts `count` generations with ready jobs.
async fn insert_generations(pool: &PgPool, count: i32) {
    assert!(plant_api(pool).arg("migrate").output().unwrap().status.success());
    sqlx::raw_sql(
        "insert into customer (id, name, created_at) values ('lotus', 'Lotus', now());
        insert into account (id, customer_id, email, password_hash, created_at)
        values (gen_random_uuid(), 'lotus', 'a@test.local', '', now())",
    )
    .execute(pool)
    .await
    .unwrap();
    sqlx::query(
        "with made as (
            insert into generation (
                id, account_id, prompt, model, temperature, max_tokens, created_at
            )
            select gen_random_uuid(), id, 'Haiku', 'gpt-4', 1, 8, now()
            from account, generate_series(1, $1)
            returning id
        )
        insert into job (id, kind, owner, payload, state, priority, turn, run_at, created_at)
        select id, 'generation', 'lotus', 'null', 'ready', 2, 0, now(), now()
        from made",
    )
    .bind(count)
    .execute(pool)
    .await
    .unwrap();
}

async fn count(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}

/// Timeout of [`wait_for_count`]. Leases of killed workers expire within it.
const WAIT_TIMEOUT: Duration = Duration::from_secs(60);

async fn wait_for_count(pool: &PgPool, sql: &'static str, expected: i64) {
    let poll = async {
        while count(pool, sql).await != expected {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(WAIT_TIMEOUT, poll).await.unwrap_or_else(|_| {
        panic!("`{sql}` is still not {expected} after {WAIT_TIMEOUT:?}");
    });
}

const RUNNING: &str = "select count(*) from job where state = 'running'";
const COMPLETED: &str = "select count(*) from generation where result is not null";

fn jobs(pool: &PgPool, args: &[&str]) -> String {
    let output = plant_api(pool).arg("jobs").args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[sqlx::test(migrations = false)]
async fn jobs_of_a_killed_worker_are_completed_by_another(pool: PgPool) {
    insert_generations(&pool, 20).await;
    let killed = Worker::start(&pool, "30000");
    wait_for_count(&pool, RUNNING, 20).await;
    let listed = jobs(&pool, &["active"]);
    assert!(listed.contains("generation           running        20"), "{listed}");
    drop(killed);
    let _other = Worker::start(&pool, "0");
    sqlx::query("update job set lease_until = now() where state = 'running'")
        .execute(&pool)
        .await
        .unwrap();
    wait_for_count(&pool, COMPLETED, 20).await;
    let done = "select count(*) from job where state = 'done' and attempts = 2";
    wait_for_count(&pool, done, 20).await;
}

#[sqlx::test(migrations = false)]
async fn a_worker_completes_running_jobs_after_sigterm(pool: PgPool) {
    insert_generations(&pool, 20).await;
    let mut worker = Worker::start(&pool, "300");
    wait_for_count(&pool, RUNNING, 20).await;
    worker.terminate();
    assert_eq!((count(&pool, RUNNING).await, count(&pool, COMPLETED).await), (0, 20));
}

#[sqlx::test(migrations = false)]
async fn dead_jobs_are_listed_and_requeued(pool: PgPool) {
    insert_generations(&pool, 3).await;
    sqlx::query(
        "update job set state = 'dead', finished_at = now(), attempts = 5, last_error = 'timed out'",
    )
    .execute(&pool)
    .await
    .unwrap();
    let listed = jobs(&pool, &["dead"]);
    assert_eq!(listed.matches("timed out").count(), 3, "{listed}");
    assert_eq!(jobs(&pool, &["dead", "--kind=other"]).lines().count(), 1);
    let id: String =
        sqlx::query_scalar("select id::text from job limit 1").fetch_one(&pool).await.unwrap();
    assert_eq!(jobs(&pool, &["requeue", &id]), "1 requeued\n");
    assert_eq!(jobs(&pool, &["requeue", "--kind=other"]), "0 requeued\n");
    assert_eq!(jobs(&pool, &["requeue", "--all"]), "2 requeued\n");
    assert!(!plant_api(&pool).args(["jobs", "requeue"]).output().unwrap().status.success());
}
