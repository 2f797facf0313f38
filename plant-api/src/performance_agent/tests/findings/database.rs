//! Faults of the database.

use serde_json::json;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};

use super::super::{analyze_during, find, of_kind};
use crate::performance_agent::rules::Severity;
use crate::testing::TestApp;

/// The database owner's connection, whose statistics are visible at once.
struct Owner(PgConnection);

impl Owner {
    async fn connect(pool: &PgPool) -> Self {
        let options: PgConnectOptions = (*pool.connect_options()).clone();
        Self(PgConnection::connect_with(&options).await.unwrap())
    }

    async fn run(&mut self, statements: &str) {
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut self.0).await.unwrap();
    }

    /// Creates the table `orders` with this number of rows.
    async fn create_orders(&mut self, rows: u32, options: &str) {
        self.run(&format!(
            "create table orders (id integer, customer text) {options};
            insert into orders select n, md5(n::text) from generate_series(1, {rows}) n;"
        ))
        .await;
        self.publish_statistics().await;
    }

    /// Runs this number of reads of one order.
    async fn read_orders(&mut self, count: u32) {
        for _ in 0..count {
            self.run("select * from orders where id = 5").await;
        }
        self.publish_statistics().await;
    }

    async fn publish_statistics(&mut self) {
        self.run("select pg_stat_force_next_flush()").await;
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_dropped_index_of_a_large_table_is_missing(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    let mut owner = Owner::connect(&pool).await;
    owner.create_orders(20_000, "").await;
    owner.run("create index orders_id_idx on orders (id); analyze orders").await;
    let before = analyze_during(&app, owner.read_orders(30)).await;
    assert!(of_kind(&before, "missing_index").is_empty(), "{before:#?}");
    owner.run("drop index orders_id_idx").await;
    let analysis = analyze_during(&app, owner.read_orders(30)).await;
    let finding = find(&analysis, "missing_index", Some("orders"));
    assert_eq!((finding.value, finding.severity), (20_000.0, Severity::Critical));
    // The scans before the last snapshot are not counted.
    let evidence = &finding.evidence;
    assert_eq!(
        (&evidence["sequential_scans"], &evidence["sequential_rows"]),
        (&json!(30), &json!(600_000))
    );
    assert!(evidence["since"].is_string());

    owner.run("create index orders_id_idx on orders (id); analyze orders").await;
    let after = analyze_during(&app, owner.read_orders(30)).await;
    assert!(of_kind(&after, "missing_index").is_empty(), "{after:#?}");
}

#[sqlx::test(migrations = "../migrations")]
async fn an_index_that_no_statement_uses_is_unused(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    let mut owner = Owner::connect(&pool).await;
    owner.create_orders(40_000, "").await;
    // The second index enforces a constraint, so it is used by every insert.
    owner
        .run(
            "create index orders_customer_idx on orders (customer);
            alter table orders add constraint orders_pkey primary key (customer)",
        )
        .await;
    let analysis = analyze_during(&app, async {}).await;
    let finding = find(&analysis, "unused_index", Some("orders_customer_idx"));
    assert_eq!(of_kind(&analysis, "unused_index").len(), 1);
    assert!(finding.value > 1.0 && finding.severity <= Severity::Medium, "{finding:#?}");
    assert_eq!(finding.evidence["table"], "orders");
    assert!(
        finding.evidence["definition"]
            .as_str()
            .unwrap()
            .contains("CREATE INDEX orders_customer_idx")
    );

    owner
        .run(
            "alter table orders drop constraint orders_pkey;
            set enable_seqscan = off;
            select * from orders where customer = 'x'",
        )
        .await;
    owner.publish_statistics().await;
    let used = analyze_during(&app, async {}).await;
    assert!(of_kind(&used, "unused_index").is_empty(), "{used:#?}");
}

#[sqlx::test(migrations = "../migrations")]
async fn rows_that_are_not_vacuumed_are_dead_tuples(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    let mut owner = Owner::connect(&pool).await;
    owner.create_orders(20_000, "with (autovacuum_enabled = false)").await;
    let before = analyze_during(&app, async {}).await;
    assert!(of_kind(&before, "dead_tuples").is_empty());
    owner.run("update orders set id = id + 1").await;
    owner.publish_statistics().await;
    let analysis = analyze_during(&app, async {}).await;
    let finding = find(&analysis, "dead_tuples", Some("orders"));
    // Autovacuum would start at 50 + 0.2 × 20,000 dead rows.
    assert!((finding.value - 20_000.0 / 4_050.0).abs() < 0.01, "{finding:#?}");
    assert_eq!(finding.severity, Severity::Critical);
    assert_eq!(
        (&finding.evidence["dead_rows"], &finding.evidence["autovacuum"]),
        (&json!(20_000), &json!(false))
    );

    owner.run("vacuum orders").await;
    owner.publish_statistics().await;
    let after = analyze_during(&app, async {}).await;
    assert!(of_kind(&after, "dead_tuples").is_empty(), "{after:#?}");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_statement_that_runs_for_long_is_slow(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    let mut sleeper = Owner::connect(&pool).await;
    let sleep = tokio::spawn(async move {
        let statement = "select pg_sleep(600), 'a secret literal'";
        sqlx::raw_sql(statement).execute(&mut sleeper.0).await
    });
    // It is slow after a second.
    let finding = loop {
        let analysis = analyze_during(&app, async {}).await;
        if let Some(finding) = of_kind(&analysis, "slow_statement").first() {
            break (*finding).clone();
        }
        assert!(!sleep.is_finished());
    };
    assert_eq!(finding.subject.as_deref(), Some("select pg_sleep(?), ?"));
    assert!(finding.value > 1.0 && finding.recommendation.contains("pg_sleep"), "{finding:#?}");
    // The evidence has what is needed to end it.
    let pid = finding.evidence["pid"].as_i64().unwrap();
    let cancelled: bool = sqlx::query_scalar("select pg_cancel_backend($1::integer)")
        .bind(pid)
        .fetch_one(&pool)
        .await
        .unwrap();
    assert!(cancelled);
    sleep.await.unwrap().unwrap_err();
    let without = analyze_during(&app, async {}).await;
    assert!(of_kind(&without, "slow_statement").is_empty(), "{without:#?}");
}
