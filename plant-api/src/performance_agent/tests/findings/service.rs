//! Faults of requests, the pool, the cache and queues.

use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use sqlx::{Connection, PgPool};

use super::super::{analyze_during, find, of_kind};
use crate::performance_agent::rules::Severity;
use crate::testing::TestApp;
use crate::token::Role;

const PROMPT: &str = "/api/v1/generation/create";

/// Sends this number of reads one after the other.
async fn read_skills(app: &TestApp, count: usize, status: u16) {
    for _ in 0..count {
        app.get("/api/v1/skills").await.expect(status);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_locked_table_makes_its_route_slow_and_starves_the_pool(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut owner = app.owner.acquire().await.unwrap();
    // Five connections wait for the lock, all other requests for a connection.
    let load = async {
        let mut tx = owner.begin().await.unwrap();
        sqlx::query("lock table skill in access exclusive mode").execute(&mut *tx).await.unwrap();
        let requests = join_all((0..30).map(|_| app.get("/api/v1/skills")));
        let unlock = async {
            tokio::time::sleep(Duration::from_millis(1100)).await;
            tx.rollback().await.unwrap();
        };
        let (responses, ()) = tokio::join!(requests, unlock);
        responses.into_iter().for_each(|response| drop(response.expect(200)));
    };
    let analysis = analyze_during(&app, load).await;
    let p95 = of_kind(&analysis, "latency_over_slo");
    assert_eq!(p95.len(), 1, "{p95:#?}");
    assert_eq!(p95[0].subject.as_deref(), Some("GET /api/v1/skills"));
    assert_eq!((p95[0].metric.as_str(), p95[0].samples), ("latency_p95_ms", 30));
    assert!(p95[0].value >= 1000.0 && p95[0].severity == Severity::Critical, "{p95:#?}");
    assert_eq!(p95[0].evidence["requests"], 30);
    let waits = of_kind(&analysis, "pool_saturation");
    let waits = waits.iter().find(|finding| finding.metric == "pool_wait_p95_ms").unwrap();
    assert!(waits.value >= 1000.0 && waits.severity == Severity::Critical, "{waits:#?}");
    assert_eq!((&waits.evidence["acquired"], &waits.evidence["max"]), (&json!(30), &json!(5.0)));
    assert!(analysis.health_score <= 50.0);

    let without = analyze_during(&app, read_skills(&app, 30, 200)).await;
    assert!(of_kind(&without, "latency_over_slo").is_empty(), "{without:#?}");
    assert!(of_kind(&without, "pool_saturation").is_empty(), "{without:#?}");
}

#[sqlx::test(migrations = "../migrations")]
async fn failing_requests_are_an_error_rate_over_its_objective(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let revoke = sqlx::query("revoke select on skill from plant_app");
    revoke.execute(&app.owner).await.unwrap();
    let load = async {
        read_skills(&app, 50, 500).await;
        for _ in 0..150 {
            app.get("/api/v1/teams").await.expect(200);
        }
    };
    let analysis = analyze_during(&app, load).await;
    let finding = find(&analysis, "error_rate_over_slo", None);
    assert_eq!((finding.value, finding.samples), (0.25, 200));
    assert_eq!(finding.severity, Severity::Critical);
    assert_eq!(finding.evidence["errors_by_route"], json!({"GET /api/v1/skills": 50}));

    let grant = sqlx::query("grant select on skill to plant_app");
    grant.execute(&app.owner).await.unwrap();
    let without = analyze_during(&app, read_skills(&app, 200, 200)).await;
    assert!(of_kind(&without, "error_rate_over_slo").is_empty());
    let slo = without.slos.iter().find(|slo| slo.name == "errors").unwrap();
    assert_eq!((slo.value, format!("{:?}", slo.status)), (Some(0.0), "Met".into()));
}

#[sqlx::test(migrations = "../migrations")]
async fn without_the_cache_its_hit_ratio_is_low(pool: PgPool) {
    let off = TestApp::new(pool.clone()).await;
    let analysis = analyze_during(&off, read_skills(&off, 100, 200)).await;
    let finding = find(&analysis, "low_cache_hit_ratio", None);
    assert_eq!((finding.value, finding.severity), (0.0, Severity::Critical));
    assert_eq!((&finding.evidence["reads"], &finding.evidence["hits"]), (&json!(100), &json!(0)));
    let idle = analyze_during(&off, read_skills(&off, 99, 200)).await;
    assert!(of_kind(&idle, "low_cache_hit_ratio").is_empty(), "too few reads");

    let on = TestApp::with_redis(pool).await;
    let without = analyze_during(&on, read_skills(&on, 100, 200)).await;
    assert!(of_kind(&without, "low_cache_hit_ratio").is_empty(), "{without:#?}");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_queue_without_workers_builds_up(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let account = app.with_account_of("lotus", Role::User).await;
    let prompt = json!({
        "prompt": "Describe a fig tree", "model": "gpt-4", "temperature": 0.5, "max_tokens": 50,
    });
    for _ in 0..3 {
        account.post(PROMPT, prompt.clone()).await.expect(202);
    }
    let recent = analyze_during(&app, async {}).await;
    assert!(of_kind(&recent, "queue_build_up").is_empty(), "{recent:#?}");
    let age = sqlx::query("update job set run_at = now() - interval '1 minute'");
    age.execute(&app.owner).await.unwrap();
    let analysis = analyze_during(&app, async {}).await;
    let finding = find(&analysis, "queue_build_up", Some("generation"));
    assert!(finding.value >= 60.0 && finding.severity == Severity::Critical, "{finding:#?}");
    assert_eq!((&finding.evidence["ready"], &finding.evidence["workers"]), (&json!(3), &json!(0)));

    sqlx::query("insert into paused_queue (kind, paused_at) values ('generation', now())")
        .execute(&app.owner)
        .await
        .unwrap();
    let paused = analyze_during(&app, async {}).await;
    assert!(of_kind(&paused, "queue_build_up").is_empty(), "it is paused deliberately");
    sqlx::query("delete from paused_queue").execute(&app.owner).await.unwrap();
    app.drain_jobs().await;
    let without = analyze_during(&app, async {}).await;
    assert!(of_kind(&without, "queue_build_up").is_empty());
}

#[sqlx::test(migrations = "../migrations")]
async fn a_queue_is_without_workers_while_jobs_of_other_kinds_run(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let run = async |statement: &'static str| {
        sqlx::query(statement).execute(&app.owner).await.unwrap();
    };
    let found = async || {
        let analysis = analyze_during(&app, async {}).await;
        let mut findings = analysis.findings.into_iter();
        findings.find(|finding| finding.metric == "queue_without_workers")
    };
    run("insert into job (id, kind, owner, payload, state, priority, turn, run_at, created_at)
        select gen_random_uuid(), 'enhancement', 'a', 'null', 'ready', 2, n,
            now() - interval '3 s', now()
        from generate_series(1, 15) n")
    .await;
    run("insert into job (id, kind, owner, payload, state, priority, turn, run_at, created_at,
            worker, lease_until)
        select gen_random_uuid(), kind, 'a', 'null', 'running', 2, 0, now(), now(), 'w', now()
        from unnest(array['workflow', 'generation']) kind")
    .await;
    let finding = found().await.expect("the finding");
    assert_eq!((finding.subject.as_deref(), finding.value), (Some("enhancement"), 15.0));
    assert_eq!(finding.severity, Severity::High);
    assert_eq!(finding.evidence["running"], 0);

    run("insert into paused_queue (kind, paused_at) values ('enhancement', now())").await;
    assert_eq!(found().await, None, "it is paused deliberately");
    run("delete from paused_queue").await;
    run("update job set run_at = now() + interval '1 minute' where state = 'ready'").await;
    assert_eq!(found().await, None, "a worker may claim them in the next moment");
    run("update job set run_at = now() - interval '3 s' where state = 'ready'").await;
    assert!(found().await.is_some());
    run("update job set kind = 'enhancement' where kind = 'generation'").await;
    assert_eq!(found().await, None, "one runs");
}
