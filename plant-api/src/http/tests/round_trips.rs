//! Round trips to PostgreSQL of each operation whose statements are prepared, without the cache.

use std::fmt::Write;

use sqlx::PgPool;

use super::matrix::rows::{Fixture, Required};
use super::matrix::{send, tokens};
use crate::http::description;
use crate::testing::{ADMIN_KEY, TestApp, wait_until};

/// The golden file: a line for each operation.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/http/tests/round_trips.txt");

/// Operations whose number depends on the data, or on what was collected before.
const UNCOUNTED: [&str; 6] = [
    "/api/v1/analysis",
    "/api/v1/audit/",
    "/api/v1/health",
    "/api/v1/metrics/",
    "/api/v1/optimization",
    "/api/v1/workflows",
];

#[sqlx::test(migrations = "../migrations")]
async fn operations_make_the_documented_number_of_round_trips(pool: PgPool) {
    let (app, proxy) = TestApp::with_proxy(pool).await;
    let fixture = Fixture::new(&app).await;
    let owner = format!("Bearer {}", tokens::valid(&app, &fixture.owner));
    let admin = format!("Bearer {ADMIN_KEY}");
    let mut operations = Vec::new();
    for (path, item) in &app.api.paths.paths {
        operations.extend(description::operations(item).map(|(method, _)| (method, path)));
    }
    // The others need the session that it ends.
    operations.retain(|(_, path)| !path.ends_with("/logout"));
    operations.retain(|(_, path)| !UNCOUNTED.iter().any(|prefix| path.starts_with(prefix)));
    let mut table = String::new();
    for (method, path) in operations {
        let name = format!("{method} {path}");
        let mut counts = Vec::new();
        // The first two prepare statements on a connection; the pool uses that one again.
        for _ in 0..3 {
            let row = fixture.row(&name).await.unwrap();
            let credential = if row.required == Required::Admin { &admin } else { &owner };
            // A transaction that was dropped is rolled back after the response.
            let is_idle = async || app.state.db.pool_usage().0 == 0;
            wait_until(is_idle).await;
            let before = proxy.round_trips();
            let response = send(&app, method, &row, Some(credential)).await;
            wait_until(is_idle).await;
            counts.push(proxy.round_trips() - before);
            assert_eq!(response.status, row.success_status, "{name}: {}", response.text);
        }
        writeln!(table, "{:<2} {name}", counts[2]).unwrap();
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(GOLDEN, &table).unwrap();
    }
    assert_eq!(table, std::fs::read_to_string(GOLDEN).unwrap_or_default());
}
