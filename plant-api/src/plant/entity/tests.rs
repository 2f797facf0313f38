//! The database itself keeps the chain, whatever a program asks of it.

use serde_json::json;
use sqlx::PgPool;

use crate::testing::TestApp;

/// Statements that each break the chain, as the service's role runs them.
async fn refusal(app: &TestApp, sql: &'static str) -> String {
    let mut connection = app.state.db.acquire().await.unwrap();
    sqlx::raw_sql(sql).execute(&mut *connection).await.unwrap_err().to_string()
}

#[sqlx::test(migrations = "../migrations")]
async fn the_services_role_can_not_touch_an_amendment(pool: PgPool) {
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
        let refused = refusal(&app, sql).await;
        let denied = refused.contains("permission denied") || refused.contains("must be owner");
        assert!(denied, "{sql}: {refused}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn even_the_owner_needs_the_trigger_off_to_touch_an_amendment(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.post("/api/v1/industries", json!({"name": "Sales"})).await.expect(201);
    for sql in ["update amendment set content = content", "delete from amendment"] {
        let refused = sqlx::raw_sql(sql).execute(&app.owner).await.unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{sql}: {refused}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn an_entity_only_changes_by_extending_its_chain(pool: PgPool) {
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
        let refused = refusal(&app, sql).await;
        assert!(refused.contains(reason), "{sql}: {refused}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_forged_link_is_refused_with_its_change(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.post("/api/v1/industries", json!({"name": "Sales"})).await.expect(201);
    let sql = "insert into amendment (entity_id, sequence, content, content_hash, link)
        select entity_id, 1, content, content_hash, sha256('forged') from amendment;
        update base_entity set chain_length = 2, version_hash = sha256('forged')";
    let refused = refusal(&app, sql).await;
    assert!(refused.contains("not the head of its chain"), "{refused}");
}
