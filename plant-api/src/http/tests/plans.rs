//! Statements are planned once, not for each request.

use sqlx::PgPool;

use super::matrix::rows::Fixture;
use crate::testing::TestApp;

/// Statements whose best plan depends on their values.
const PLANNED_EACH_TIME: &str = "search_text like";

#[sqlx::test(migrations = "../migrations")]
async fn no_read_plans_its_statements_anew(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let fixture = Fixture::new(&app).await;
    let app = app.with_token(&super::matrix::tokens::valid(&app, &fixture.owner));
    let templates: Vec<_> =
        app.api.paths.paths.iter().filter(|(_, item)| item.get.is_some()).map(|(p, _)| p).collect();
    let mut paths = vec!["/api/v1/agents?search=a&limit=2".to_owned()];
    for template in templates {
        paths.push(fixture.row(&format!("GET {template}")).await.unwrap().path);
    }
    for path in &paths {
        for _ in 0..20 {
            app.get(path).await;
        }
    }
    let (mut generic, mut anew) = (0, Vec::new());
    let (_, _, max_connections) = app.state.db.pool_usage();
    let connections = (0..max_connections).map(|_| app.state.db.acquire());
    for connection in futures::future::join_all(connections).await {
        let statements: Vec<(String, i64, i64)> = sqlx::query_as(
            "select statement, generic_plans, custom_plans from pg_prepared_statements",
        )
        .fetch_all(&mut *connection.unwrap())
        .await
        .unwrap();
        generic += statements.iter().map(|(_, generic, _)| generic).sum::<i64>();
        let statements = statements.into_iter().filter(|(_, _, custom)| *custom > 0);
        anew.extend(statements.map(|(statement, ..)| statement));
    }
    assert!(generic >= 20 * 20, "{generic}");
    assert!(!anew.is_empty());
    for statement in anew {
        assert!(statement.contains(PLANNED_EACH_TIME), "{statement}");
    }
}
