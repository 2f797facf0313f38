use clap::Parser;
use serde_json::Value;
use sqlx::PgPool;

use crate::config::{Config, Options};
use crate::performance_agent::AgentSettings;
use crate::performance_agent::rules::RuleSets;
use crate::testing::TestApp;
use crate::testing::proxy::Mode;

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[sqlx::test(migrations = "../migrations")]
async fn health_has_the_fields_of_an_agent(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let health = app.get("/api/v1/health").await.expect(200);
    let mut fields = keys(&health);
    fields.sort_unstable();
    let expected = ["agent_id", "agent_type", "status", "timestamp", "uptime_seconds", "version"];
    assert_eq!(fields, expected);
    assert_eq!(health["status"], "healthy");
    assert_eq!(health["agent_id"], "agent-of-the-tests");
    assert_eq!(health["agent_type"], "performance");
    assert!(health["timestamp"].as_str().unwrap().ends_with('Z'));
    let uptime = health["uptime_seconds"].as_f64().unwrap();
    assert!(app.agent.uptime().as_secs_f64() >= uptime && uptime > 0.0);
}

#[sqlx::test(migrations = "../migrations")]
async fn detailed_health_measures_the_components(pool: PgPool) {
    let app = TestApp::with_redis(pool).await;
    let health = app.get("/api/v1/health/detailed").await.expect(200);
    assert_eq!(health["status"], "healthy");
    assert_eq!(health["agent_type"], "performance");
    for component in ["database", "redis", "worker"] {
        let component = &health["components"][component];
        assert_eq!(component["status"], "healthy", "{health}");
        assert!(component["latency_ms"].as_f64().unwrap() >= 0.0, "{health}");
    }
    assert!(health["components"]["database"]["latency_ms"].as_f64().unwrap() > 0.0);
}

#[sqlx::test(migrations = "../migrations")]
async fn jobs_that_nobody_claims_degrade_the_worker(pool: PgPool) {
    let app = TestApp::new(pool).await;
    sqlx::query(
        "insert into job (id, kind, owner, state, payload, priority, turn, run_at, created_at)
        values (gen_random_uuid(), 'generation', 'x', 'ready', '{}', 2, 0,
            now() - interval '1 minute', now())",
    )
    .execute(&app.owner)
    .await
    .unwrap();
    let health = app.get("/api/v1/health/detailed").await.expect(200);
    let components = &health["components"];
    assert_eq!(components["worker"]["status"], "degraded");
    assert!(components["worker"]["latency_ms"].as_f64().unwrap() >= 60_000.0);
    assert_eq!(components["redis"]["status"], "not_configured");
    assert_eq!(health["status"], "degraded");
}

#[sqlx::test(migrations = "../migrations")]
async fn health_is_503_without_the_database(pool: PgPool) {
    let (app, proxy) = TestApp::with_proxy(pool).await;
    app.get("/api/v1/health/detailed").await.expect(200);
    proxy.set(Mode::Cut);
    let response = app.get("/api/v1/health/detailed").await;
    assert_eq!(response.header("retry-after"), Some("1"));
    let health = response.expect(503);
    assert_eq!(health["status"], "unhealthy");
    assert_eq!(health["components"]["database"]["status"], "unhealthy");
    assert_eq!(health["components"]["database"]["latency_ms"], Value::Null);
}

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    options: Options,
}

/// Returns a configuration with a marked text in each setting that is a secret or a URL.
fn marked_config() -> Config {
    let secret = "hidden-0123456789-abcdefghijklmnopqrstuvwxyz";
    let arguments = [
        "plant-api".to_owned(),
        "--database-url=postgres://hidden:hidden@hidden/hidden".into(),
        "--ai-agents-database-url=postgres://hidden:hidden@hidden/hidden".into(),
        "--redis-url=redis://:hidden@hidden".into(),
        format!("--jwt-secret={secret}1"),
        format!("--payment-webhook-secret={secret}2"),
        format!("--secret-key={secret}3"),
        format!("--secret-keys-old={secret}4"),
        format!("--admin-key={secret}5"),
        format!("--writer-api-key={secret}6"),
        "--writer-url=https://hidden.example/v1".into(),
        "--writer-model=mini".into(),
        "--payment-webhook-url=http://hidden.example/?key=hidden".into(),
        "--fake-desk-url=http://hidden.example".into(),
        "--agent-targets=metrics.example.com,http://10.0.0.5:9100".into(),
        "--database-pool-size=11".into(),
    ];
    Command::parse_from(arguments).options.check().unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn the_configuration_contains_no_secret(pool: PgPool) {
    let config = marked_config();
    let settings = AgentSettings::new(&config, 8001, RuleSets::default());
    let app = TestApp::new(pool).await.with_agent(settings);
    let response = app.get("/api/v1/config").await;
    assert!(!response.text.contains("hidden"), "{}", response.text);
    let shown = response.expect(200);
    assert_eq!(shown["agent_id"], "performance-agent-8001");
    assert_eq!((&shown["agent_type"], &shown["port"]), (&"performance".into(), &8001.into()));
    assert_eq!(
        (&shown["log_level"], &shown["environment"]),
        (&"info".into(), &"development".into())
    );
    assert_eq!(shown["version"], crate::metrics::VERSION);
    assert_eq!(shown["effective"]["DATABASE_POOL_SIZE"], 11);
    assert_eq!(shown["effective"]["PLANT_WRITER_MODEL"], "mini");
    assert!(shown["effective"].as_object().unwrap().len() > 30);
}

#[sqlx::test(migrations = "../migrations")]
async fn capabilities_name_the_targets(pool: PgPool) {
    let settings = AgentSettings::new(&marked_config(), 8001, RuleSets::default());
    let app = TestApp::new(pool).await.with_agent(settings);
    let capabilities = app.get("/api/v1/capabilities").await.expect(200);
    let mut fields = keys(&capabilities);
    fields.sort_unstable();
    let expected = ["capabilities", "optimization_types", "supported_targets", "workflow_features"];
    assert_eq!(fields, expected);
    assert_eq!(
        capabilities["supported_targets"],
        serde_json::json!(["self", "metrics.example.com", "http://10.0.0.5:9100"])
    );
    assert!(capabilities["capabilities"].as_array().unwrap().contains(&"analysis".into()));
}
