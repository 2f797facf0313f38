//! Tests of audits, and of the connections of audits and exports.

use uuid::Uuid;

use super::super::pages::EntityPages;
use super::super::run::{Scope, audit, run};
use super::export::export_lines;
use super::*;
use crate::db::BulkRead;

#[sqlx::test(migrations = "../migrations")]
async fn an_audit_counts_the_entities_that_pass_each_group_of_checks(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (catalogue, id) = agent_with_three_amendments(&app).await;
    let report = app.post("/api/v1/audit/run", json!({})).await.expect(200);
    assert_eq!((&report["total_entities"], &report["compliant"]), (&json!(5), &json!(5)));
    let all = json!({"l0_pass": 5, "l1_pass": 5, "hash_chain_intact": 5});
    assert_eq!(report["statistics"], all);
    assert_eq!((&report["violations"], &report["warnings"]), (&json!([]), &json!([])));
    assert_eq!(report["complete"], true);

    app.create("/api/v1/teams", json!({"name": "Empty"})).await;
    tamper(&app, "update agent set name = 'Ravi'; update base_entity set status = 'inactive' where entity_type = 'skill'").await;
    let report = app.post("/api/v1/audit/run", json!({})).await.expect(200);
    assert_eq!((&report["total_entities"], &report["compliant"]), (&json!(6), &json!(3)));
    let some = json!({"l0_pass": 6, "l1_pass": 5, "hash_chain_intact": 4});
    assert_eq!(report["statistics"], some);
    let violations = report["violations"].as_array().unwrap();
    let rules: Vec<_> = violations.iter().map(|v| v["rule"].as_str().unwrap()).collect();
    assert_eq!(rules, ["hash-chain", "hash-chain", "L1-team-agents", "L1-team-job-role"]);
    assert_eq!(violations[0]["entity_id"], catalogue.skill);

    let agents = app.post("/api/v1/audit/run?entity_type=agent", json!({})).await.expect(200);
    assert_eq!((&agents["total_entities"], &agents["compliant"]), (&json!(1), &json!(0)));
    let one = app.post(&format!("/api/v1/audit/run?entity_id={id}"), json!({})).await.expect(200);
    assert_eq!(one["violations"][0]["broken_at_index"], 1);
    let path = format!("/api/v1/audit/run?entity_id={id}&entity_type=skill");
    app.post(&path, json!({})).await.expect(404);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_audit_says_where_its_time_was_up_and_goes_on_from_there(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (catalogue, agent) = agent_with_three_amendments(&app).await;
    let mut connection = app.state.db.acquire().await.unwrap();
    let after = |id: &str| Some(id.parse().unwrap());
    // Each entity is checked once, and each of its amendments.
    for (checks, examined, next_after) in [
        (0, 0, None),
        (1, 0, None),
        (2, 1, after(&catalogue.industry)),
        (3, 1, after(&catalogue.industry)),
        (4, 2, after(&catalogue.skill)),
        (11, 4, after(&catalogue.team)),
        (12, 5, None),
    ] {
        let report = audit(&mut connection, Scope::default(), time_for(checks)).await.unwrap();
        assert_eq!((report.total_entities, report.next_after), (examined, next_after), "{checks}");
        assert_eq!(report.complete, examined == 5);
        let warned = report.warnings.iter().any(|warning| warning.contains("time limit"));
        assert_eq!(warned, !report.complete);
    }
    let scope = Scope { after: after(&catalogue.team), ..Scope::default() };
    let report = audit(&mut connection, scope, time_for(0)).await.unwrap();
    assert_eq!(report.next_after, scope.after);

    let path = format!("/api/v1/audit/run?after={}", catalogue.job_role);
    let rest = app.post(&path, json!({})).await.expect(200);
    assert_eq!((&rest["total_entities"], &rest["complete"]), (&json!(2), &json!(true)));
    assert_eq!(rest["next_after"], Value::Null);
    let one = Scope { id: after(&agent), ..Scope::default() };
    let report = audit(&mut connection, one, time_for(2)).await.unwrap();
    assert!(!report.complete);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_audit_has_a_time_limit(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.create_agent("Asha").await;
    let report = run(&app.state.db, Scope::default(), Duration::ZERO).await.unwrap();
    assert!(!report.complete);
}

/// A page of entities ends where their attributes are large, so that it fits into memory.
#[sqlx::test(migrations = "../migrations")]
async fn all_entities_are_read_whatever_the_size_of_their_attributes(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for n in 0..6 {
        app.create("/api/v1/industries", json!({"name": format!("Industry {n}")})).await;
    }
    tamper(
        &app,
        "update base_entity
        set custom_attributes = jsonb_build_object('x', repeat('x', 400000))
        where id in (select id from base_entity order by id offset 1)",
    )
    .await;
    let mut connection = app.state.db.acquire().await.unwrap();
    let mut pages = EntityPages::new(None, Uuid::nil());
    let mut sizes = Vec::new();
    while let Some(page) = pages.next(&mut connection).await.unwrap() {
        sizes.push(page.entities.len());
    }
    assert_eq!(sizes, [4, 2]);
    let report = app.post("/api/v1/audit/run", json!({})).await.expect(200);
    assert_eq!(report["total_entities"], 6);
}

#[sqlx::test(migrations = "../migrations")]
async fn one_audit_and_one_export_run_at_a_time_in_this_process(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.create("/api/v1/industries", json!({"name": "Sales"})).await;
    for (kind, method, path) in [
        (BulkRead::Audit, Method::POST, "/api/v1/audit/run"),
        (BulkRead::Export, Method::GET, "/api/v1/audit/export"),
    ] {
        let running = app.state.db.begin_bulk_read(kind, Duration::from_secs(30)).await.unwrap();
        let request = Request::builder().method(&method).uri(path).body(Body::empty()).unwrap();
        let rejected = app.send(request).await;
        assert!(rejected.header("retry-after").is_some());
        assert_eq!(rejected.expect(429)["code"], "rate-limited");
        running.0.end().await;
        drop(running.1);
        assert_eq!(until_started(&app, method, path).await.status(), 200);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn one_audit_and_one_export_run_at_a_time_in_all_replicas(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.create("/api/v1/industries", json!({"name": "Sales"})).await;
    for (kind, method, path) in [
        (BulkRead::Audit, Method::POST, "/api/v1/audit/run"),
        (BulkRead::Export, Method::GET, "/api/v1/audit/export"),
    ] {
        let mut replica = app.owner.begin().await.unwrap();
        sqlx::query("select pg_advisory_xact_lock($1)")
            .bind(kind.lock_key())
            .execute(&mut *replica)
            .await
            .unwrap();
        for _ in 0..2 {
            let request = Request::builder().method(&method).uri(path).body(Body::empty()).unwrap();
            assert_eq!(app.send(request).await.expect(429)["code"], "rate-limited");
        }
        replica.rollback().await.unwrap();
        assert_eq!(until_started(&app, method, path).await.status(), 200);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn audits_and_exports_use_no_connection_of_the_requests(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.create("/api/v1/industries", json!({"name": "Sales"})).await;
    let (_, _, max) = app.state.db.pool_usage();
    let mut taken = Vec::new();
    for _ in 0..max {
        taken.push(app.state.db.acquire().await.unwrap());
    }
    assert_eq!(app.post("/api/v1/audit/run", json!({})).await.expect(200)["total_entities"], 1);
    assert_eq!(export_lines(&app, "").await.len(), 2);

    let limit = Duration::from_millis(1234);
    let (mut snapshot, _unsent) =
        app.state.db.begin_bulk_read(BulkRead::Audit, limit).await.unwrap();
    let settings = "select current_user::text, current_setting('statement_timeout')";
    let settings: (String, String) =
        sqlx::query_as(settings).fetch_one(&mut *snapshot).await.unwrap();
    assert_eq!(settings, ("plant_app".into(), "1234ms".into()));
}
