//! The database itself protects the chain, whatever statements a program executes.

use serde_json::json;
use sqlx::PgPool;

use crate::testing::TestApp;

/// Executes `sql`, which must fail, as the service's role; returns the error message.
async fn rejection(app: &TestApp, sql: &'static str) -> String {
    let mut connection = app.state.db.acquire().await.unwrap();
    sqlx::raw_sql(sql).execute(&mut *connection).await.unwrap_err().to_string()
}

#[sqlx::test(migrations = "../migrations")]
async fn the_service_role_cannot_change_an_amendment(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.post("/api/v1/industries", json!({"name": "Sales"})).await.expect(201);
    for sql in [
        "update amendment set content = '{}'",
        "delete from amendment",
        "truncate amendment",
        "alter table amendment disable trigger user",
        "drop trigger amendment_append_only on amendment",
        "set session_replication_role = replica",
    ] {
        let error = rejection(&app, sql).await;
        let denied = error.contains("permission denied") || error.contains("must be owner");
        assert!(denied, "{sql}: {error}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn the_owner_cannot_change_an_amendment_while_the_trigger_is_enabled(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.post("/api/v1/industries", json!({"name": "Sales"})).await.expect(201);
    for sql in ["update amendment set content = content", "delete from amendment"] {
        let error = sqlx::raw_sql(sql).execute(&app.owner).await.unwrap_err().to_string();
        assert!(error.contains("append-only"), "{sql}: {error}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn an_entity_changes_only_by_extending_its_chain(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.post("/api/v1/industries", json!({"name": "Sales"})).await.expect(201);
    for (sql, reason) in [
        ("update base_entity set status = 'inactive'", "must extend the chain"),
        ("update base_entity set chain_length = 2", "not the head of its chain"),
        ("update base_entity set chain_length = 2, version_hash = sha256('x')", "not the head"),
        ("delete from base_entity", "permission denied"),
        (
            "insert into base_entity (
                id, entity_type, status, created_at, updated_at, chain_length, version_hash,
                governance_agent_id
            )
            select gen_random_uuid(), 'team', 'active', now(), now(), 1, version_hash, 'genesis'
            from base_entity",
            "not the head of its chain",
        ),
        (
            "insert into amendment (entity_id, sequence, content, content_hash, link)
            select entity_id, 1, content, sha256('another'), link from amendment",
            "amendment_content_hash_true",
        ),
    ] {
        let error = rejection(&app, sql).await;
        assert!(error.contains(reason), "{sql}: {error}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_forged_link_is_rejected_with_its_change(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.post("/api/v1/industries", json!({"name": "Sales"})).await.expect(201);
    let sql = "insert into amendment (entity_id, sequence, content, content_hash, link)
        select entity_id, 1, content, content_hash, sha256('forged') from amendment;
        update base_entity set chain_length = 2, version_hash = sha256('forged')";
    let error = rejection(&app, sql).await;
    assert!(error.contains("not the head of its chain"), "{error}");
}
