//! Tests of exports.

use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use super::super::export;
use super::super::line::{self, LineError, Manifest};
use super::*;
use crate::db::BulkRead;
use crate::plant::chain::Reason;

/// Returns the lines of an export.
pub(super) async fn export_lines(app: &TestApp, query: &str) -> Vec<String> {
    let response = app.get(&format!("/api/v1/audit/export{query}")).await;
    assert_eq!(response.status, 200, "{}", response.text);
    assert_eq!(response.header("content-type"), Some("application/x-ndjson"));
    assert!(response.text.ends_with('\n'));
    response.text.lines().map(str::to_owned).collect()
}

#[sqlx::test(migrations = "../migrations")]
async fn an_export_has_every_entity_and_a_manifest(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let empty = export_lines(&app, "").await;
    let expected = Manifest { entities: 0, sha256: Digest32::sha256(b"") };
    assert_eq!(Manifest::parse(empty[0].as_bytes()), Some(expected));

    let (catalogue, id) = agent_with_three_amendments(&app).await;
    let lines = export_lines(&app, "").await;
    let (manifest, entities) = lines.split_last().unwrap();
    let before: String = entities.iter().map(|line| format!("{line}\n")).collect();
    let expected = Manifest { entities: 5, sha256: Digest32::sha256(before.as_bytes()) };
    assert_eq!(Manifest::parse(manifest.as_bytes()), Some(expected));
    let mut ids = Vec::new();
    for line in entities {
        ids.push(line::verify_line(line.as_bytes()).unwrap().id.to_string());
        let value: Value = serde_json::from_str(line).unwrap();
        assert_eq!(&serde_json_canonicalizer::to_string(&value).unwrap(), line);
    }
    let CatalogueIds { industry, skill, job_role, team, agent } = catalogue;
    assert_eq!(ids, [industry, skill, job_role, team, agent]);
    assert_eq!(line::verify_line(entities[4].as_bytes()).unwrap().links, 3);

    let skills = export_lines(&app, "?entity_type=skill").await;
    assert_eq!(skills.len(), 2);
    assert_eq!(skills[0], entities[1]);

    tamper(&app, "update agent set name = 'Ravi'").await;
    tamper(&app, "update amendment set content = '\\xff' where sequence = 0 and content like '%Studio%'::bytea").await;
    let lines = export_lines(&app, "?entity_type=agent").await;
    match line::verify_line(lines[0].as_bytes()) {
        Err(LineError::Broken {
            id: at, at_index: 1, reason: Reason::StateDiffers, field, ..
        }) => {
            assert_eq!((at.to_string(), field.as_deref()), (id, Some("name")));
        }
        other => panic!("{other:?}"),
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn content_that_is_not_utf8_is_exported_and_detected(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.create("/api/v1/industries", json!({"name": "Sales"})).await;
    tamper(&app, "update amendment set content = set_byte(content, 5, 255)").await;
    let lines = export_lines(&app, "").await;
    let found = line::verify_line(lines[0].as_bytes());
    let altered =
        matches!(found, Err(LineError::Broken { at_index: 0, reason: Reason::ContentAltered, .. }));
    assert!(altered, "{found:?}");
}

/// Creates entities with more data than fits into the chunks that are buffered for a client.
async fn create_large_entities(app: &TestApp) {
    let long = "x".repeat(10_000);
    for n in 0..60 {
        let body = json!({"name": format!("Industry {n}"), "description": long});
        app.create("/api/v1/industries", body).await;
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn an_export_that_nobody_receives_holds_no_snapshot_and_no_lock(pool: PgPool) {
    let app = TestApp::new(pool).await;
    create_large_entities(&app).await;
    let first = Request::get("/api/v1/audit/export").body(Body::empty()).unwrap();
    let first = app.start_request(first).await;
    assert_eq!(first.status(), 200);
    // An entity created after the start of the export is not part of it.
    app.create("/api/v1/industries", json!({"name": "Too late"})).await;
    let second = until_started(&app, Method::GET, "/api/v1/audit/export").await;
    let transactions = "select count(*) from pg_stat_activity
        where datname = current_database() and backend_type = 'client backend'
            and backend_xmin is not null and pid <> pg_backend_pid()";
    let second = axum::body::to_bytes(second.into_body(), usize::MAX).await.unwrap();
    let open: i64 = sqlx::query_scalar(transactions).fetch_one(&app.owner).await.unwrap();
    assert_eq!(open, 0);
    let first = axum::body::to_bytes(first.into_body(), usize::MAX).await.unwrap();
    let lines = |body: &[u8]| body.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!((lines(&first), lines(&second)), (61, 62));
}

#[sqlx::test(migrations = "../migrations")]
async fn the_number_of_exports_that_nobody_receives_is_limited(pool: PgPool) {
    let app = TestApp::new(pool).await;
    create_large_entities(&app).await;
    let mut bodies = Vec::new();
    for _ in 0..4 {
        bodies.push(until_started(&app, Method::GET, "/api/v1/audit/export").await);
    }
    // The last of them reads the database until its lock is free.
    let mut owner = app.owner.begin().await.unwrap();
    let lock = sqlx::query("select pg_advisory_xact_lock($1)").bind(BulkRead::Export.lock_key());
    lock.execute(&mut *owner).await.unwrap();
    owner.rollback().await.unwrap();
    app.get("/api/v1/audit/export").await.expect(429);
    // Dropping the bodies stands in for clients that disconnect.
    bodies.clear();
    assert_eq!(until_started(&app, Method::GET, "/api/v1/audit/export").await.status(), 200);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_export_whose_time_is_up_has_no_manifest_and_is_continued_after_its_last_id(
    pool: PgPool,
) {
    let app = TestApp::new(pool).await;
    let (catalogue, _) = agent_with_three_amendments(&app).await;
    let shutdown = CancellationToken::new();
    // Two checks for each of three entities.
    let scope = export::Scope::default();
    let body = export::export_until(&app.state.db, shutdown, scope, time_for(6)).await.unwrap();
    let parts: Vec<_> = body.collect().await;
    let (error, parts) = parts.split_last().unwrap();
    assert!(error.is_err());
    let text: Vec<u8> = parts.iter().flat_map(|part| part.as_ref().unwrap().to_vec()).collect();
    let text = String::from_utf8(text).unwrap();
    assert!(text.ends_with('\n') && text.lines().count() == 3, "{text}");
    assert!(text.lines().all(|line| Manifest::parse(line.as_bytes()).is_none()));
    let last = line::verify_line(text.lines().last().unwrap().as_bytes()).unwrap();
    assert_eq!(last.id.to_string(), catalogue.job_role);

    let rest = export_lines(&app, &format!("?after={}", last.id)).await;
    let whole = export_lines(&app, "").await;
    assert_eq!(rest[..2], whole[3..5]);
    assert_eq!(Manifest::parse(rest[2].as_bytes()).unwrap().entities, 2);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_aborted_export_ends_with_an_error(pool: PgPool) {
    let app = TestApp::new(pool).await;
    create_large_entities(&app).await;
    let export = Request::get("/api/v1/audit/export").body(Body::empty()).unwrap();
    let export = app.start_request(export).await;
    app.state.shutdown.cancel();
    assert!(axum::body::to_bytes(export.into_body(), usize::MAX).await.is_err());
}

#[sqlx::test(migrations = "../migrations")]
async fn an_export_has_a_time_limit(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.create_agent("Asha").await;
    let (shutdown, scope) = (CancellationToken::new(), export::Scope::default());
    let body = export::export(&app.state.db, shutdown, scope, Duration::ZERO).await.unwrap();
    let parts: Vec<_> = body.collect().await;
    assert!(parts.last().unwrap().is_err());
}
