//! Plans of changes.

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

use super::{analyze_during, of_kind};
use crate::performance_agent::plan;
use crate::testing::{TestApp, UNKNOWN_ID};
use crate::tunables::{Change, Rollout, Share};

const OPTIMIZATION: &str = "/api/v1/optimization";
const TUNABLES: &str = "/api/v1/admin/tunables";

fn finding(kind: &str, severity: &str, subject: Option<&str>) -> Value {
    json!({"type": kind, "severity": severity, "subject": subject})
}

/// Returns the plan for these findings.
async fn plan_for(app: &TestApp, findings: &[Value]) -> Value {
    app.post(OPTIMIZATION, json!({"findings": findings})).await.expect(200)
}

fn names(plan: &Value) -> Vec<&str> {
    let changes = plan["changes"].as_array().unwrap();
    changes.iter().map(|change| change["name"].as_str().unwrap()).collect()
}

fn change<'p>(plan: &'p Value, name: &str) -> &'p Value {
    let mut changes = plan["changes"].as_array().unwrap().iter();
    changes.find(|change| change["name"] == name).unwrap_or_else(|| panic!("{name}: {plan:#}"))
}

#[sqlx::test(migrations = "../migrations")]
async fn every_kind_of_finding_has_a_plan_live_changes_first(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for (kind, subject, expected) in [
        (
            "latency_over_slo",
            Some("GET /api/v1/teams"),
            &["longer_cache", "smaller_pages", "admit_fewer"][..],
        ),
        ("error_rate_over_slo", None, &["admit_fewer"]),
        (
            "pool_saturation",
            None,
            &["longer_cache", "admit_fewer", "shorter_statements", "larger_pool"],
        ),
        // All caches are on.
        ("low_cache_hit_ratio", None, &["longer_cache"]),
        ("queue_build_up", Some("generation"), &["more_jobs", "more_workers"]),
        ("cpu_pressure", None, &["longer_cache", "admit_fewer", "more_replicas"]),
        ("memory_pressure", None, &["smaller_pages", "admit_fewer"]),
        ("memory_growth", None, &["restart"]),
        ("unused_index", Some("orders_idx"), &["drop_index"]),
        ("missing_index", Some("orders"), &["create_index"]),
        ("slow_statement", Some("select ?"), &["shorter_statements", "cancel_statement"]),
        ("dead_tuples", Some("orders"), &["vacuum"]),
    ] {
        let plan = plan_for(&app, &[finding(kind, "high", subject)]).await;
        assert_eq!(names(&plan), expected, "{kind}: {plan:#}");
        for change in plan["changes"].as_array().unwrap() {
            for field in ["what", "why", "expected_effect", "risk", "undo"] {
                let text = change[field].as_str().unwrap();
                assert!(
                    !text.is_empty() && !text.contains(['{', '}']) | (field == "undo"),
                    "{text}"
                );
            }
            let is_live = change["kind"] == "live";
            for field in ["tunable", "from", "to"] {
                assert_eq!(change[field].is_null(), !is_live, "{change:#}");
            }
            assert!(!is_live || change["from"] != change["to"]);
        }
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_live_change_starts_from_the_value_in_force(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let findings = [finding("low_cache_hit_ratio", "low", None)];
    let ttl = format!("{TUNABLES}/cache_ttl_seconds");
    let planned = plan_for(&app, &findings).await;
    let planned = change(&planned, "longer_cache");
    assert_eq!((&planned["from"], &planned["to"]), (&json!(60), &json!(120)));
    assert_eq!(planned["undo"], format!("PUT {ttl} {{\"value\": null}}"));
    app.put(&ttl, json!({"value": 500})).await.expect(200);
    let planned = plan_for(&app, &findings).await;
    let planned = change(&planned, "longer_cache");
    assert_eq!((&planned["from"], &planned["to"]), (&json!(500), &json!(600)));
    assert_eq!(planned["undo"], format!("PUT {ttl} {{\"value\": 500}}"));
    app.put(&ttl, json!({"value": 3600})).await.expect(200);
    let at_limit = plan_for(&app, &findings).await;
    assert!(names(&at_limit).is_empty(), "{at_limit:#}");
    assert_eq!(
        at_limit["notes"],
        json!(["cache_ttl_seconds is not planned: at 3600 it is at its limit"])
    );

    // A value that is being rolled out is left alone.
    app.put(&ttl, json!({"value": 60})).await.expect(200);
    let mut tx = app.state.db.begin().await.unwrap();
    let rollout = Rollout { id: Uuid::from_u128(1), value: 90, share: Share::Tenth };
    let at = app.state.clock.now();
    let by = Change { name: "cache_ttl_seconds", actor: "test", at };
    app.state.tunables.begin_rollout(&mut tx, by, rollout).await.unwrap();
    tx.commit().await.unwrap();
    let during = plan_for(&app, &findings).await;
    assert!(names(&during).is_empty());
    assert!(during["notes"][0].as_str().unwrap().contains("rollout"), "{during:#}");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_change_without_a_tunable_is_a_note(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let plan = plan_for(&app, &[finding("queue_build_up", "high", Some("mail"))]).await;
    assert_eq!(names(&plan), ["more_workers"]);
    let note = "more_jobs is not planned: there is no tunable `workers_mail`";
    assert_eq!(plan["notes"], json!([note]));
}

#[sqlx::test(migrations = "../migrations")]
async fn changes_for_severe_findings_come_first_and_are_made_once(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let plan = plan_for(
        &app,
        &[
            finding("dead_tuples", "low", Some("orders")),
            finding("cpu_pressure", "medium", None),
            finding("pool_saturation", "critical", None),
            finding("dead_tuples", "low", Some("odd \"table\"")),
            finding("dead_tuples", "low", Some("orders")),
        ],
    )
    .await;
    let expected = [
        "longer_cache",
        "admit_fewer",
        "shorter_statements",
        "larger_pool",
        "more_replicas",
        "vacuum",
        "vacuum",
    ];
    assert_eq!(names(&plan), expected, "{plan:#}");
    let admission = change(&plan, "admit_fewer");
    assert_eq!((&admission["from"], &admission["to"]), (&json!(1_000_000), &json!(256)));
    let kinds: Vec<_> =
        admission["findings"].as_array().unwrap().iter().map(|finding| &finding["type"]).collect();
    assert_eq!(kinds, ["pool_saturation", "cpu_pressure"]);
    assert_eq!(plan["changes"][5]["sql"], "vacuum (analyze) orders;");
    assert_eq!(plan["changes"][6]["sql"], "vacuum (analyze) \"odd \"\"table\"\"\";");
}

#[sqlx::test(migrations = "../migrations")]
async fn the_cache_of_a_topic_that_is_off_is_found_planned_and_on_again(pool: PgPool) {
    let app = TestApp::with_redis(pool).await;
    let set = async |value: Value| {
        app.put(&format!("{TUNABLES}/cache_skills"), json!({"value": value})).await.expect(200);
        app.state.tunables.refresh(&app.state.db).await.unwrap();
    };
    let load = async || {
        for _ in 0..120 {
            app.get("/api/v1/skills").await.expect(200);
        }
    };
    set(json!(0)).await;
    let analysis = analyze_during(&app, load()).await;
    assert_eq!(of_kind(&analysis, "low_cache_hit_ratio").len(), 1, "{analysis:#?}");
    let body = json!({"analysis_id": analysis.id});
    let planned = app.post(OPTIMIZATION, body).await.expect(200);
    assert_eq!(planned["analysis_id"], json!(analysis.id));
    let on = change(&planned, "cache_on");
    assert_eq!(on["tunable"], "cache_skills");
    assert_eq!((&on["from"], &on["to"]), (&json!(0), &json!(1)));
    set(on["to"].clone()).await;
    let after = analyze_during(&app, load()).await;
    assert!(of_kind(&after, "low_cache_hit_ratio").is_empty(), "{after:#?}");
}

#[sqlx::test(migrations = "../migrations")]
async fn planned_statements_can_be_run_and_undone(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let run = async |statements: &str| {
        let mut connection = app.owner.acquire().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut *connection).await.unwrap();
    };
    run("create table orders (customer text);
        insert into orders select md5(n::text) from generate_series(1, 40000) n;
        create index orders_idx on orders (customer);
        select pg_stat_force_next_flush()")
    .await;
    let analysis = analyze_during(&app, async {}).await;
    let planned = plan(&app.state, &app.agent, &analysis).await.unwrap();
    let drop = planned.changes.iter().find(|change| change.name == "drop_index").unwrap();
    assert_eq!(drop.sql.as_deref(), Some("drop index concurrently orders_idx;"));
    let exists = async || {
        let query = "select exists (select from pg_class where relname = 'orders_idx')";
        sqlx::query_scalar::<_, bool>(query).fetch_one(&app.owner).await.unwrap()
    };
    run(drop.sql.as_deref().unwrap()).await;
    assert!(!exists().await);
    run(&drop.undo).await;
    assert!(exists().await);
    let vacuum = plan_for(&app, &[finding("dead_tuples", "low", Some("orders"))]).await;
    run(change(&vacuum, "vacuum")["sql"].as_str().unwrap()).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_plan_is_for_one_known_analysis_findings_or_target(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let plan = app.post(OPTIMIZATION, json!({"target": "self"})).await.expect(200);
    assert!(plan["analysis_id"].is_string() && plan["changes"].is_array());
    app.post(OPTIMIZATION, json!({"analysis_id": UNKNOWN_ID})).await.expect(404);
    for body in [
        json!({}),
        json!({"analysis_id": UNKNOWN_ID, "target": "self"}),
        json!({"findings": [], "target": "self"}),
    ] {
        assert_eq!(app.post(OPTIMIZATION, body).await.invalid_fields(), ["analysis_id"]);
    }
    let outside = json!({"target": "http://127.0.0.1:1/metrics"});
    app.post(OPTIMIZATION, outside).await.expect(403);
    assert_eq!(plan_for(&app, &[]).await["changes"], json!([]));
    let refused = async |findings: Value| {
        app.post(OPTIMIZATION, json!({"findings": findings})).await.invalid_fields()
    };
    assert_eq!(refused(json!([finding("bad_luck", "low", None)])).await, ["findings[0].type"]);
    let other_metric = json!([{"type": "cpu_pressure", "severity": "low", "metric": "error_rate"}]);
    assert_eq!(refused(other_metric).await, ["findings[0].type"]);
    assert_eq!(
        refused(json!([finding("cpu_pressure", "odd", None)])).await,
        ["findings[0].severity"]
    );
    assert_eq!(refused(json!(vec![finding("cpu_pressure", "low", None); 101])).await, ["findings"]);
    let mut large = finding("cpu_pressure", "low", None);
    large["evidence"] = json!({"x": "y".repeat(65_536)});
    assert_eq!(refused(json!([large])).await, ["findings[0].evidence"]);
    let rules = json!({"findings": [], "rules": "unknown"});
    assert_eq!(app.post(OPTIMIZATION, rules).await.invalid_fields(), ["rules"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn another_target_has_no_tunables_to_change(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut analysis = analyze_during(&app, async {}).await;
    analysis.target = "http://other.example/metrics".into();
    let set = app.agent.settings().rules.find("plant").unwrap();
    let input = serde_json::from_value::<crate::performance_agent::optimization::FindingInput>(
        finding("pool_saturation", "high", None),
    );
    analysis.findings = vec![input.unwrap().into_finding(0, set).unwrap()];
    let planned = plan(&app.state, &app.agent, &analysis).await.unwrap();
    let names: Vec<_> = planned.changes.iter().map(|change| change.name.as_str()).collect();
    assert_eq!(names, ["larger_pool"]);
}
