//! The database itself protects the chain, whatever statements a program executes.

use futures::{StreamExt, TryStreamExt};
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use super::sql;
use crate::plant::chain::{Amendment, Format, Head, LinkVerifier, Verdict};
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
async fn a_row_of_another_kind_is_rejected(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.create_agent("Asha").await;
    for (sql, reason) in [
        (
            "insert into agent (id, name, skill_id, job_role_id, industry_id)
            select industry_id, 'Ghost', skill_id, job_role_id, industry_id from agent",
            "agent_id_fkey",
        ),
        (
            "insert into agent (id, name, skill_id, job_role_id, industry_id, entity_type)
            select industry_id, 'Ghost', skill_id, job_role_id, industry_id, 'industry' from agent",
            "cannot insert a non-DEFAULT value",
        ),
        (
            "insert into skill (id, name, skill_key, category)
            select id, 'Ghost', 'ghost', 'technical' from agent",
            "skill_id_fkey",
        ),
        (
            "insert into job_role (id, name, seniority_level) select id, 'Ghost', 'mid' from agent",
            "job_role_id_fkey",
        ),
        ("insert into team (id, name) select id, 'Ghost' from agent", "team_id_fkey"),
        ("insert into industry (id, name) select id, 'Ghost' from agent", "industry_id_fkey"),
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

#[sqlx::test(migrations = "../migrations")]
async fn a_new_chain_of_version_1_is_rejected(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let error = rejection(
        &app,
        "select begin_entity(
            id, 'team', 'active', now(), '{}', sha256('{}'),
            chain_link(1, id, 'team', 0, decode(repeat('00', 32), 'hex'), sha256('{}')), 'genesis'
        )
        from gen_random_uuid() id",
    )
    .await;
    assert!(error.contains("not the head of its chain"), "{error}");
}

/// Replaces the only amendment of an entity by the same one in version 1 of the chain's format, as
/// the database owner, with the triggers disabled.
async fn rewrite_in_version_1(app: &TestApp, id: Uuid) {
    let base = sql::find(&app.owner, id).await.unwrap().unwrap();
    let ids = [id];
    let rows: Vec<_> = sql::stream_chains(&app.owner, &ids).collect().await;
    let [Ok((_, amendment))] = &rows[..] else { panic!("not one amendment: {rows:?}") };
    let content = amendment.content.clone();
    let old = Amendment::after(Format::V1, base.identity(), Head::default(), content);
    assert_ne!(old.link, amendment.link);
    let (before, after) = (
        "alter table amendment disable trigger user; alter table base_entity disable trigger user",
        "alter table amendment enable trigger user; alter table base_entity enable trigger user",
    );
    sqlx::raw_sql(before).execute(&app.owner).await.unwrap();
    for statement in [
        "update amendment set link = $2 where entity_id = $1",
        "update base_entity set version_hash = $2 where id = $1",
    ] {
        let query = sqlx::query(statement).bind(id).bind(&old.link.0[..]);
        query.execute(&app.owner).await.unwrap();
    }
    sqlx::raw_sql(after).execute(&app.owner).await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn an_old_chain_is_extended_in_version_1(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = app.create_agent("Asha").await.agent;
    let uuid: Uuid = id.parse().unwrap();
    rewrite_in_version_1(&app, uuid).await;
    let path = format!("/api/v1/agents/{id}");
    app.patch(&path, json!({"tags": ["seo"]})).await.expect(200);
    let certify = json!({"entity_type": "agent", "entity_id": id});
    app.post("/api/v1/genesis/certify", certify).await.expect(200);
    app.patch(&path, json!({"tags": []})).await.expect(200);

    let base = sql::find(&app.owner, uuid).await.unwrap().unwrap();
    let mut links = LinkVerifier::new(base.identity());
    let amendments = sql::stream_amendments(&app.owner, uuid, 0, 10, 1 << 20);
    for amendment in amendments.try_collect::<Vec<_>>().await.unwrap() {
        links.update(&amendment);
    }
    assert_eq!((links.format(), links.head().length), (Format::V1, 4));
    assert_eq!(links.verdict(base.head()), Verdict::Intact);
    let report = app.get(&format!("/api/v1/audit/tampering/{id}")).await.expect(200);
    assert_eq!(report["tampered"], false);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_amendment_of_the_other_version_is_rejected(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let old = app.create_agent("Asha").await.agent.parse().unwrap();
    rewrite_in_version_1(&app, old).await;
    let new = app.create_agent("Ravi").await.agent.parse().unwrap();
    for (id, format, expected) in
        [(old, 2, "not the head"), (new, 1, "not the head"), (old, 1, ""), (new, 2, "")]
    {
        let amended = sqlx::query(
            "select amend_entity(
                id, now(), '{}', sha256('{}'),
                chain_link($2, id, entity_type, chain_length, version_hash, sha256('{}')),
                status, certified_at, tags, custom_attributes, governance_notes
            )
            from base_entity where id = $1",
        )
        .bind::<Uuid>(id)
        .bind(format)
        .execute(&app.owner)
        .await;
        let error = amended.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(expected) && error.is_empty() == expected.is_empty(), "{error}");
    }
}
