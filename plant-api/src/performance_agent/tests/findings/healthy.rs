//! A healthy service under load has no severe findings.

use serde_json::json;
use sqlx::PgPool;

use super::super::{analyze_during, snapshot_during};
use crate::performance_agent::rules::Severity;
use crate::testing::TestApp;
use crate::token::Role;

/// Reads and writes as clients do, and generates texts.
async fn load(app: &TestApp, account: &TestApp) {
    let prompt = json!({
        "prompt": "Describe a fig tree", "model": "gpt-4", "temperature": 0.5, "max_tokens": 50,
    });
    for round in 0..10 {
        for _ in 0..12 {
            app.get("/api/v1/agents").await.expect(200);
            app.get("/api/v1/skills?limit=10").await.expect(200);
            app.get("/api/v1/nowhere").await.expect(404);
        }
        let skill = json!({"name": format!("Skill {round}"), "category": "technical"});
        let created = app.post("/api/v1/skills", skill).await;
        assert!(created.status.is_success(), "{}", created.text);
        account.post("/api/v1/generation/create", prompt.clone()).await.expect(202);
        app.drain_jobs().await;
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_healthy_service_under_load_has_no_severe_findings(pool: PgPool) {
    let app = TestApp::with_redis(pool).await;
    let account = app.with_account_of("lotus", Role::User).await;
    app.create_agent("writer").await;
    // Opens the connections and fills the cache.
    load(&app, &account).await;
    let analysis = analyze_during(&app, load(&app, &account)).await;
    let severe = analysis.findings.iter().filter(|finding| finding.severity >= Severity::High);
    assert_eq!(severe.count(), 0, "{analysis:#?}");
    assert!(analysis.slos.iter().any(|slo| slo.value.is_some()), "{analysis:#?}");
    assert!(analysis.health_score >= 60.0, "{analysis:#?}");
}

#[sqlx::test(migrations = "../migrations")]
async fn an_idle_service_has_no_findings(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let snapshot = snapshot_during(&app, async {}).await;
    assert_eq!(snapshot.routes, []);
    assert_eq!((snapshot.error_rate, snapshot.cache.hit_ratio), (None, None));
    assert_eq!(snapshot.pool.wait, Default::default());
    let idle = async { tokio::time::sleep(std::time::Duration::from_millis(100)).await };
    let analysis = analyze_during(&app, idle).await;
    let other: Vec<_> =
        analysis.findings.iter().filter(|finding| finding.kind != "cpu_pressure").collect();
    assert!(other.is_empty(), "{other:#?}");
}
