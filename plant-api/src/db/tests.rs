use std::pin::pin;

use futures::poll;
use sqlx::PgPool;

use super::*;
use crate::metrics::Metrics;
use crate::testing::proxy::{Mode, Proxy};
use crate::testing::{TestApp, wait_until};

const LIMITS: DatabaseLimits = DatabaseLimits {
    max_connections: 2,
    acquire_timeout: Duration::from_secs(30),
    congestion_target: Duration::from_millis(50),
    statement_timeout: Duration::from_millis(1500),
};

/// Creates a pool of the service's role.
async fn connect(owner: &PgPool, limits: DatabaseLimits) -> Db {
    grant_privileges(&mut owner.acquire().await.unwrap()).await.unwrap();
    let options = (*owner.connect_options()).clone();
    Db::new(options, limits, Metrics::new().unwrap().db_pool_wait)
}

async fn backend_pid(db: &Db) -> i32 {
    let mut connection = db.acquire().await.unwrap();
    sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut *connection).await.unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn every_table_has_grants_for_the_services_role(pool: PgPool) {
    let mut owner = pool.acquire().await.unwrap();
    grant_privileges(&mut owner).await.unwrap();
    let without: Vec<String> = sqlx::query_scalar(
        "select relname::text from pg_class
        where relkind = 'r' and relnamespace = 'public'::regnamespace
            and not has_table_privilege('plant_app', oid, 'select')",
    )
    .fetch_all(&mut *owner)
    .await
    .unwrap();
    assert!(without.is_empty(), "missing in migrations/grants.sql: {without:?}");
}

#[test]
fn migrations_are_numbered_without_gaps() {
    // 15 to 19 were skipped before this rule.
    let expected = (1..=14).chain(20..);
    let versions = migrate::MIGRATOR.iter().map(|migration| migration.version);
    for (expected, version) in expected.zip(versions) {
        assert_eq!(expected, version);
    }
}

#[sqlx::test(migrations = false)]
async fn a_schema_without_migrations_is_not_ready(pool: PgPool) {
    let mut owner = pool.acquire().await.unwrap();
    sqlx::raw_sql("grant usage on schema public to plant_app").execute(&mut *owner).await.unwrap();
    let options = (*pool.connect_options()).clone();
    let db = Db::new(options.clone(), LIMITS, Metrics::new().unwrap().db_pool_wait);
    let error = check_schema(&db).await.unwrap_err().to_string();
    assert!(error.contains("run `plant-api migrate` first"), "{error}");
    migrate(&options).await.unwrap();
    check_schema(&db).await.unwrap();
    sqlx::query("delete from _sqlx_migrations where version = 1")
        .execute(&mut *owner)
        .await
        .unwrap();
    let error = check_schema(&db).await.unwrap_err().to_string();
    assert!(error.contains("older than this version"), "{error}");
}

/// Executes the migrations `versions` without recording them.
async fn execute_migrations(owner: &PgPool, versions: std::ops::RangeInclusive<i64>) {
    for migration in migrate::MIGRATOR.iter().filter(|m| versions.contains(&m.version)) {
        sqlx::raw_sql(migration.sql.clone()).execute(owner).await.unwrap();
    }
}

#[sqlx::test(migrations = false)]
async fn existing_entities_get_their_kind(pool: PgPool) {
    execute_migrations(&pool, 1..=32).await;
    let insert_industry = "insert into industry (id, name)
        select
            begin_entity(
                id, 'industry', 'active', now(), '{}', sha256('{}'),
                chain_link(2, id, 'industry', 0, decode(repeat('00', 32), 'hex'), sha256('{}')),
                'genesis'
            ),
            'Sales'
        from gen_random_uuid() id";
    sqlx::raw_sql(insert_industry).execute(&pool).await.unwrap();
    execute_migrations(&pool, 33..=33).await;
    let kinds: Vec<String> =
        sqlx::query_scalar("select entity_type from industry").fetch_all(&pool).await.unwrap();
    assert_eq!(kinds, ["industry"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_schema_is_not_checked_during_an_outage(pool: PgPool) {
    let (app, proxy) = TestApp::with_proxy(pool).await;
    proxy.set(Mode::Cut);
    check_schema(&app.state.db).await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn a_migration_during_an_outage_says_what_to_do(pool: PgPool) {
    let proxy = Proxy::start("127.0.0.1:1".into()).await;
    let options = (*pool.connect_options()).clone();
    let unreachable = options.clone().host("127.0.0.1").port(proxy.address.port());
    // Another process is migrating, and the login waits for locks at most for 1 ms.
    let mut other = pool.acquire().await.unwrap();
    sqlx::query("select pg_advisory_lock(8100956956759387497)").execute(&mut *other).await.unwrap();
    let locked = options.options([("lock_timeout", "1")]);
    for options in [unreachable, locked] {
        let error = migrate(&options).await.unwrap_err();
        assert!(matches!(error, SetupError::Unavailable(_)), "{error}");
        assert!(error.to_string().contains("run `plant-api migrate` again"), "{error}");
    }
    other.close().await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn connections_have_the_services_role_and_a_statement_timeout(pool: PgPool) {
    let db = connect(&pool, LIMITS).await;
    let mut connection = db.acquire().await.unwrap();
    let settings: (String, String) =
        sqlx::query_as("select current_user::text, current_setting('statement_timeout')")
            .fetch_one(&mut *connection)
            .await
            .unwrap();
    assert_eq!(settings, ("plant_app".into(), "1500ms".into()));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_changed_statement_timeout_applies_to_all_connections(pool: PgPool) {
    let db = connect(&pool, DatabaseLimits { max_connections: 1, ..LIMITS }).await;
    let pid = backend_pid(&db).await;
    db.set_statement_timeout(LIMITS.statement_timeout);
    assert_eq!(backend_pid(&db).await, pid, "nothing has changed");
    let mut in_use = db.acquire().await.unwrap();
    db.set_statement_timeout(Duration::from_millis(50));
    let timeout = "select current_setting('statement_timeout')";
    let before: String = sqlx::query_scalar(timeout).fetch_one(&mut *in_use).await.unwrap();
    assert_eq!(before, "1500ms", "a connection in use keeps its timeout");
    drop(in_use);
    let changed = backend_pid(&db).await;
    assert_ne!(changed, pid);
    let mut connection = db.acquire().await.unwrap();
    let sleep = sqlx::query("select pg_sleep(60)").execute(&mut *connection);
    let result = tokio::time::timeout(Duration::from_secs(30), sleep).await;
    assert!(Error::from(result.expect("no statement timeout").unwrap_err()).is_outage());
    drop(connection);
    assert_eq!(backend_pid(&db).await, changed, "replaced once only");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_statement_that_takes_too_long_is_an_outage(pool: PgPool) {
    let limits = DatabaseLimits { statement_timeout: Duration::from_millis(50), ..LIMITS };
    let db = connect(&pool, limits).await;
    let mut connection = db.acquire().await.unwrap();
    let sleep = sqlx::query("select pg_sleep(60)").execute(&mut *connection);
    let result = tokio::time::timeout(Duration::from_secs(30), sleep).await;
    let error = Error::from(result.expect("no statement timeout").unwrap_err());
    assert!(error.is_outage(), "{error}");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_connection_beyond_the_maximum_is_waited_for_until_a_timeout(pool: PgPool) {
    // Enough for opening two connections on a slow machine.
    let acquire_timeout = Duration::from_secs(3);
    let db = connect(&pool, DatabaseLimits { acquire_timeout, ..LIMITS }).await;
    assert_eq!(db.pool_usage(), (0, 0, 2));
    let first = db.acquire().await.unwrap();
    let _second = db.acquire().await.unwrap();
    assert_eq!(db.pool_usage(), (2, 0, 2));
    let result = tokio::time::timeout(Duration::from_secs(30), db.acquire()).await;
    let error = result.expect("no acquire timeout").unwrap_err();
    assert!(error.is_outage(), "{error}");
    assert_eq!(db.shared.acquire_wait.get_sample_count(), 3);
    assert!(db.shared.acquire_wait.get_sample_sum() > 2.9);
    drop(first);
    wait_until(async || db.pool_usage() == (1, 1, 2)).await;
    db.acquire().await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn during_congestion_requests_are_rejected_and_jobs_wait(pool: PgPool) {
    let db = connect(&pool, DatabaseLimits { max_connections: 1, ..LIMITS }).await;
    let requests = db.for_requests();
    let held = requests.acquire().await.unwrap();
    let job = db.acquire();
    tokio::pin!(job);
    // Two requests and a job wait for one connection: a request is rejected long before the timeout of the acquire.
    let (first, second) = (requests.acquire(), requests.acquire());
    let error = tokio::select! {
        _ = &mut job => unreachable!("the connection is held"),
        first = first => first.unwrap_err(),
        second = second => second.unwrap_err(),
    };
    assert!(error.is_outage(), "{error}");
    drop(held);
    drop(job.await.unwrap());
    requests.acquire().await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn a_few_requests_wait_for_a_slow_statement(pool: PgPool) {
    let acquire_timeout = Duration::from_secs(2);
    let limits = DatabaseLimits { max_connections: 1, acquire_timeout, ..LIMITS };
    let requests = connect(&pool, limits).await.for_requests();
    let _held = requests.acquire().await.unwrap();
    let waited = Instant::now();
    requests.acquire().await.unwrap_err();
    assert!(waited.elapsed() >= acquire_timeout);
}

#[sqlx::test(migrations = "../migrations")]
async fn all_connections_are_opened_before_the_first_request(pool: PgPool) {
    let db = connect(&pool, LIMITS).await;
    db.open_connections().await.unwrap();
    assert_eq!(db.pool_usage(), (0, 2, 2));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_connection_is_returned_at_once_after_its_last_response(pool: PgPool) {
    let db = connect(&pool, LIMITS).await;
    for _ in 0..3 {
        backend_pid(&db).await;
        assert_eq!(db.pool_usage(), (0, 1, 2));
        let tx = db.begin().await.unwrap();
        assert_eq!(db.pool_usage(), (1, 0, 2));
        tx.commit().await.unwrap();
        assert_eq!(db.pool_usage(), (0, 1, 2));
    }
    // After an error of the server, too.
    let mut connection = db.acquire().await.unwrap();
    sqlx::query("select 1 / 0").execute(&mut *connection).await.unwrap_err();
    drop(connection);
    wait_until(async || db.pool_usage() == (0, 1, 2)).await;
}

/// A statement that waits until the transaction of [`lock`] ends.
const WAIT: &str = "select pg_advisory_xact_lock_shared(1)";

async fn lock(owner: &PgPool) -> sqlx::Transaction<'static, sqlx::Postgres> {
    let mut lock = owner.begin().await.unwrap();
    sqlx::query("select pg_advisory_xact_lock(1)").execute(&mut *lock).await.unwrap();
    lock
}

#[sqlx::test(migrations = "../migrations")]
async fn a_connection_of_a_cancelled_statement_is_in_use_until_its_end(pool: PgPool) {
    let db = connect(&pool, DatabaseLimits { max_connections: 1, ..LIMITS }).await;
    let pid = backend_pid(&db).await;
    let lock = lock(&pool).await;
    let mut connection = db.acquire().await.unwrap();
    let wait = sqlx::query(WAIT).execute(&mut *connection);
    assert!(poll!(Box::pin(wait)).is_pending());
    drop(connection);
    let mut next = pin!(db.acquire());
    assert!(poll!(&mut next).is_pending(), "it has no result yet");
    assert_eq!(db.pool_usage().0, 1);
    lock.rollback().await.unwrap();
    let mut connection = next.await.unwrap();
    let same: i32 =
        sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut *connection).await.unwrap();
    assert_eq!(same, pid);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_cancelled_transaction_is_rolled_back(pool: PgPool) {
    let db = connect(&pool, DatabaseLimits { max_connections: 1, ..LIMITS }).await;
    let pid = backend_pid(&db).await;
    let idle = async || {
        let connection = db.acquire().await.unwrap();
        let state: String = sqlx::query_scalar("select state from pg_stat_activity where pid = $1")
            .bind(pid)
            .fetch_one(&pool)
            .await
            .unwrap();
        drop(connection);
        state == "idle"
    };
    // While it begins, and later.
    let held = lock(&pool).await;
    assert!(poll!(Box::pin(db.begin_with(WAIT.into()))).is_pending());
    held.rollback().await.unwrap();
    assert!(idle().await);
    let mut tx = db.begin().await.unwrap();
    let held = lock(&pool).await;
    let wait = sqlx::query(WAIT).execute(&mut *tx);
    assert!(poll!(Box::pin(wait)).is_pending());
    drop(tx);
    held.rollback().await.unwrap();
    assert!(idle().await);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_connection_that_breaks_is_replaced(pool: PgPool) {
    let db = connect(&pool, DatabaseLimits { max_connections: 1, ..LIMITS }).await;
    let mut connection = db.acquire().await.unwrap();
    let broken = sqlx::query("select pg_terminate_backend(pg_backend_pid())");
    broken.execute(&mut *connection).await.unwrap_err();
    drop(connection);
    wait_until(async || db.pool_usage().0 == 0).await;
    backend_pid(&db).await;
    assert_eq!(db.pool_usage(), (0, 1, 1));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_dropped_transaction_is_rolled_back(pool: PgPool) {
    let db = connect(&pool, LIMITS).await;
    let insert = "insert into customer (id, name, created_at) values ('lotus', 'Lotus', now())";
    let mut tx = db.begin().await.unwrap();
    sqlx::query(insert).execute(&mut *tx).await.unwrap();
    drop(tx);
    let mut tx = db.begin().await.unwrap();
    sqlx::query(insert).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn a_snapshot_is_read_only_and_repeatable(pool: PgPool) {
    let db = connect(&pool, LIMITS).await;
    let mut tx = db.begin_snapshot().await.unwrap();
    let settings: (String, String) = sqlx::query_as(
        "select current_setting('transaction_isolation'), current_setting('transaction_read_only')",
    )
    .fetch_one(&mut *tx)
    .await
    .unwrap();
    assert_eq!(settings, ("repeatable read".into(), "on".into()));
}

#[test]
fn audits_and_exports_have_locks_of_their_own() {
    assert_ne!(BulkRead::Audit.lock_key(), BulkRead::Export.lock_key());
}

#[sqlx::test(migrations = "../migrations")]
async fn snapshots_use_at_most_a_third_of_the_pool(pool: PgPool) {
    let db = connect(&pool, DatabaseLimits { max_connections: 6, ..LIMITS }).await;
    let first = db.begin_snapshot().await.unwrap();
    let _second = db.begin_snapshot().await.unwrap();
    let mut third = Box::pin(db.begin_snapshot());
    assert!(futures::poll!(&mut third).is_pending());
    // It waits without a connection.
    db.acquire().await.unwrap();
    drop(first);
    third.await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn a_closed_connection_is_detected_and_those_of_the_pool_are_replaced(pool: PgPool) {
    let db = connect(&pool, DatabaseLimits { max_connections: 1, ..LIMITS }).await;
    let shutdown = CancellationToken::new();
    let heartbeat = tokio::spawn(db.clone().run_heartbeat(shutdown.clone()));
    wait_until(async || db.server_usage().0 > 0).await;
    let max_connections: i64 =
        sqlx::query_scalar("select current_setting('max_connections')::bigint")
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!(db.server_usage().1, max_connections);
    let pid = backend_pid(&db).await;
    assert_eq!(backend_pid(&db).await, pid);
    let mut disconnect = pin!(db.wait_for_disconnect());
    assert!(poll!(&mut disconnect).is_pending());
    // The heartbeat's connection; all other connections stay open.
    let closed: i64 = sqlx::query_scalar(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity
        where datname = current_database() and query like '%numbackends%' and pid <> pg_backend_pid()",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(closed, 1);
    tokio::time::timeout(Duration::from_secs(30), disconnect).await.expect("not detected");
    wait_until(async || db.is_up()).await;
    assert_ne!(backend_pid(&db).await, pid);
    shutdown.cancel();
    heartbeat.await.unwrap();
    assert!(db.acquire().await.unwrap_err().is_outage());
}

#[sqlx::test(migrations = "../migrations")]
async fn the_service_is_unhealthy_while_the_database_does_not_respond(pool: PgPool) {
    let (app, proxy) = TestApp::with_proxy(pool).await;
    let db = &app.state.db;
    tokio::spawn(db.clone().run_heartbeat(CancellationToken::new()));
    wait_until(async || db.server_usage().0 > 0).await;
    app.get("/health").await.expect(200);
    for mode in [Mode::Cut, Mode::Stall] {
        proxy.set(mode);
        wait_until(async || !db.is_up()).await;
        // Without an attempt to connect, which would wait for the proxy.
        let waits = db.shared.acquire_wait.get_sample_count();
        assert!(db.acquire().await.unwrap_err().is_outage());
        assert_eq!(db.shared.acquire_wait.get_sample_count(), waits);
        let health = app.get("/health").await;
        assert_eq!(health.header("retry-after"), Some("1"));
        assert_eq!(health.expect(503)["database"], "disconnected");
        app.get("/readyz").await.expect(503);
        assert_eq!(app.get("/api/v1/agents").await.expect(503)["code"], "unavailable");
        proxy.set(Mode::Forward);
        wait_until(async || db.is_up()).await;
        app.get("/health").await.expect(200);
        app.get("/api/v1/agents").await.expect(200);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_disconnect_is_reported_to_all_who_wait_for_it(pool: PgPool) {
    let db = connect(&pool, LIMITS).await;
    db.record(Err("scripted".into()));
    let (mut one, mut other) = (pin!(db.wait_for_disconnect()), pin!(db.wait_for_disconnect()));
    assert!(poll!(&mut one).is_pending() && poll!(&mut other).is_pending());
    db.record(Ok(()));
    assert!(poll!(&mut one).is_pending());
    db.record(Err("scripted".into()));
    assert!(poll!(&mut one).is_ready() && poll!(&mut other).is_ready());
}

#[test]
fn connections_opened_before_the_last_failure_are_not_used() {
    let heartbeat = Heartbeat {
        up: watch::Sender::new(true),
        is_schema_unchecked: AtomicBool::new(false),
        started: Instant::now() - Duration::from_secs(100),
        disconnected_at: AtomicU64::new(0),
        backends: AtomicI64::new(0),
        max_connections: AtomicI64::new(0),
        cache_notifications: watch::Sender::new(0),
        tunable_notifications: watch::Sender::new(0),
    };
    assert!(heartbeat.opened_after_disconnect(Duration::from_secs(99)));
    heartbeat.record_disconnect();
    assert!(!heartbeat.opened_after_disconnect(Duration::from_secs(1)));
    heartbeat.disconnected_at.store(50_000_000, Ordering::Relaxed);
    assert!(!heartbeat.opened_after_disconnect(Duration::from_secs(51)));
    assert!(heartbeat.opened_after_disconnect(Duration::from_secs(40)));
}
