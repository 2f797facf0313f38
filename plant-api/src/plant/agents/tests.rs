use std::collections::HashSet;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::{Method, Request};
use futures::TryStreamExt;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::page::Page;
use crate::plant::chain::{self, Amendment, Verdict};
use crate::plant::entity;
use crate::testing::{TestApp, UNKNOWN_ID, json_request};

fn body(catalogue: &crate::testing::CatalogueIds, name: &str) -> Value {
    json!({
        "name": name, "skill_id": catalogue.skill, "job_role_id": catalogue.job_role,
        "industry_id": catalogue.industry, "team_id": catalogue.team,
    })
}

#[sqlx::test(migrations = "../migrations")]
async fn an_agent_includes_the_names_of_its_references(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let catalogue = app.create_agent("Asha").await;
    let agent = app.get(&format!("/api/v1/agents/{}", catalogue.agent)).await.expect(200);
    assert_eq!(agent["skill"], "Asha's skill");
    assert_eq!(agent["job_role"], "Asha's role");
    assert_eq!(agent["team_name"], "Asha's team");
    assert_eq!(agent["industry"], "Asha's industry");
    assert_eq!(agent["status"], "active");
    assert_eq!(agent["trial_days"], 7);
    assert_eq!(agent["allowed_durations"], json!(["monthly", "quarterly"]));
    assert_eq!(agent["price"], 12_000);
    assert_eq!(app.get("/api/v1/agents").await.expect(200), json!([agent]));
}

#[sqlx::test(migrations = "../migrations")]
async fn the_price_depends_on_the_industry(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let catalogue = app.create_agent("Asha").await;
    for (industry, price) in [("Education", 8_000), ("sales", 15_000), ("marketing", 12_000)] {
        let id = app.create("/api/v1/industries", json!({"name": industry})).await;
        let mut body = body(&catalogue, industry);
        body["industry_id"] = json!(id);
        assert_eq!(app.post("/api/v1/agents", body).await.expect(201)["price"], price);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn an_unknown_reference_is_reported_with_its_field(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let catalogue = app.create_agent("Asha").await;
    for field in ["skill_id", "job_role_id", "industry_id", "team_id"] {
        let mut body = body(&catalogue, "Ravi");
        body[field] = json!(UNKNOWN_ID);
        assert_eq!(app.post("/api/v1/agents", body).await.invalid_fields(), [field]);
        let changes = json!({field: UNKNOWN_ID});
        let path = format!("/api/v1/agents/{}", catalogue.agent);
        assert_eq!(app.patch(&path, changes).await.invalid_fields(), [field]);
    }
    assert_eq!(app.get("/api/v1/agents").await.expect(200).as_array().unwrap().len(), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_taken_name_is_a_conflict(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let catalogue = app.create_agent("Asha").await;
    app.post("/api/v1/agents", body(&catalogue, "Asha")).await.expect(409);
    let other = app.create("/api/v1/agents", body(&catalogue, "Ravi")).await;
    let path = format!("/api/v1/agents/{other}");
    app.patch(&path, json!({"name": "Asha"})).await.expect(409);
    assert_eq!(app.get(&path).await.expect(200)["name"], "Ravi");
}

#[sqlx::test(migrations = "../migrations")]
async fn filters_narrow_the_list(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let asha = app.create_agent("Asha").await;
    let ravi = app.create_agent("Ravi 100%_x").await;
    let found = async |query: String| -> Vec<String> {
        let list = app.get(&format!("/api/v1/agents?{query}")).await.expect(200);
        let ids = list.as_array().unwrap().iter();
        ids.map(|agent| agent["id"].as_str().unwrap().to_owned()).collect()
    };
    for query in [
        format!("industry_id={}", asha.industry),
        format!("job_role_id={}", asha.job_role),
        format!("skill_id={}", asha.skill),
        "industry=ASHA%27S%20industry".to_owned(),
        "search=aSHa%27s%20TEAM".to_owned(),
        "q=asha%27s%20skill".to_owned(),
        "search=asha&status=active".to_owned(),
    ] {
        assert_eq!(found(query.clone()).await, [asha.agent.as_str()], "{query}");
    }
    assert_eq!(found("search=100%25_X".into()).await, [ravi.agent.as_str()]);
    assert_eq!(found("search=100%25%25X".into()).await, Vec::<String>::new());
    assert_eq!(found("industry=unknown".into()).await, Vec::<String>::new());
    assert_eq!(found("status=inactive".into()).await, Vec::<String>::new());
    assert_eq!(found(String::new()).await, [ravi.agent, asha.agent]);
}

async fn chain_of(app: &TestApp, id: Uuid) -> Vec<Amendment> {
    let chain = entity::sql::stream_amendments(&app.owner, id, 0, 1000, i64::MAX);
    chain.try_collect().await.unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_change_is_applied_and_appended_as_an_amendment(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let catalogue = app.create_agent("Asha").await;
    let path = format!("/api/v1/agents/{}", catalogue.agent);
    let before = app.get(&path).await.expect(200);
    let changes = json!({
        "name": "Asha Rao", "team_id": null, "tags": ["seo"],
        "custom_attributes": {"tone": "warm"}, "governance_notes": "steady",
    });
    let after = app.patch(&path, changes.clone()).await.expect(200);
    assert_eq!(after["name"], "Asha Rao");
    assert_eq!(after["team_name"], Value::Null);
    assert_ne!(after["version_hash"], before["version_hash"]);
    assert_eq!(app.get(&path).await.expect(200), after);
    let found = app.get("/api/v1/agents?search=asha%20rao").await.expect(200);
    assert_eq!(found.as_array().unwrap().len(), 1, "the search must find the new name");

    let id: Uuid = catalogue.agent.parse().unwrap();
    let chain = chain_of(&app, id).await;
    let content: Value = serde_json::from_slice(&chain[1].content).unwrap();
    assert_eq!(content["change_type"], "evolution");
    assert_eq!(content["data"], changes);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_empty_change_appends_no_amendment(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let catalogue = app.create_agent("Asha").await;
    let path = format!("/api/v1/agents/{}", catalogue.agent);
    let before = app.get(&path).await.expect(200);
    assert_eq!(app.patch(&path, json!({})).await.expect(200), before);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_invalid_change_is_rejected_and_changes_nothing(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let catalogue = app.create_agent("Asha").await;
    let path = format!("/api/v1/agents/{}", catalogue.agent);
    let before = app.get(&path).await.expect(200);
    for changes in [
        json!({"status": "inactive"}),
        json!({"tags": [""]}),
        json!({"tags": vec!["x"; 51]}),
        json!({"name": null, "skill_id": 3}),
        json!({"custom_attributes": {"n": 9_007_199_254_740_993_u64}}),
        json!({"custom_attributes": {"big": "x".repeat(70_000)}}),
        json!({"name": "fine", "team_id": UNKNOWN_ID}),
    ] {
        app.patch(&path, changes.clone()).await.expect(422);
        assert_eq!(app.get(&path).await.expect(200), before, "{changes}");
    }
    app.patch(&format!("/api/v1/agents/{UNKNOWN_ID}"), json!({"name": "x"})).await.expect(404);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_change_with_an_outdated_if_match_is_rejected(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let catalogue = app.create_agent("Asha").await;
    let path = format!("/api/v1/agents/{}", catalogue.agent);
    let tag = app.get(&path).await.header("etag").unwrap().to_owned();
    let patch = |tag: &str, name: &str| {
        let mut request = json_request(Method::PATCH, &path, &json!({"name": name}));
        request.headers_mut().insert("if-match", tag.parse().unwrap());
        request
    };
    app.send(patch(&tag, "First")).await.expect(200);
    let problem = app.send(patch(&tag, "Second")).await.expect(412);
    assert_eq!(problem["code"], "precondition-failed");
    app.send(patch("*", "Third")).await.expect(200);
}

#[sqlx::test(migrations = "../migrations")]
async fn two_hundred_concurrent_changes_form_one_chain(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let catalogue = app.create_agent("Asha").await;
    let path = format!("/api/v1/agents/{}", catalogue.agent);
    let patches =
        (0..200).map(|n| app.patch(&path, json!({"governance_notes": format!("note {n}")})));
    let responses = futures::future::join_all(patches).await;
    let versions: HashSet<_> =
        responses.into_iter().map(|a| a.expect(200)["version_hash"].to_string()).collect();
    assert_eq!(versions.len(), 200, "each change must have its own version");

    let id: Uuid = catalogue.agent.parse().unwrap();
    let chain = chain_of(&app, id).await;
    assert_eq!(chain.len(), 201);
    let mut tx = app.owner.begin().await.unwrap();
    let base = entity::sql::lock(&mut *tx, id).await.unwrap().unwrap();
    assert_eq!(chain::verify(base.identity(), &chain, base.head()), Verdict::Intact);
}

/// The database rejects such a row while its constraints are intact.
#[sqlx::test(migrations = "../migrations")]
async fn a_row_of_an_entity_of_another_kind_is_not_changed(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = app.create_agent("Asha").await.industry;
    let ghost = "alter table agent drop constraint agent_id_fkey;
        insert into agent (id, name, skill_id, job_role_id, industry_id)
        select industry_id, 'Ghost', skill_id, job_role_id, industry_id from agent";
    sqlx::raw_sql(ghost).execute(&app.owner).await.unwrap();
    app.patch(&format!("/api/v1/agents/{id}"), json!({"name": "Ravi"})).await.expect(404);
    assert_eq!(chain_of(&app, id.parse().unwrap()).await.len(), 1);
}

/// Runs `explain` with 10,000 agents, since with few rows the planner prefers a sequential scan.
#[sqlx::test(migrations = "../migrations")]
async fn a_search_uses_the_index(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.create_agent("Asha").await;
    // Inserted as the owner with the chain's triggers disabled: only the index matters here.
    sqlx::raw_sql(
        "alter table base_entity disable trigger user;
        insert into base_entity (
            id, entity_type, status, created_at, updated_at, chain_length, version_hash,
            governance_agent_id
        )
        select
            gen_random_uuid(), entity_type, status, created_at, updated_at, 1, version_hash,
            governance_agent_id
        from base_entity, generate_series(1, 10000)
        where entity_type = 'agent';
        insert into agent (id, name, skill_id, job_role_id, team_id, industry_id, search_text)
        select
            e.id, 'Agent ' || md5(e.id::text), a.skill_id, a.job_role_id, a.team_id,
            a.industry_id, ''
        from agent a, base_entity e
        where e.entity_type = 'agent' and e.id <> a.id;
        analyze",
    )
    .execute(&app.owner)
    .await
    .unwrap();
    let filter = super::sql::Filter { search: Some("c4ca4238".into()), ..Default::default() };
    let (mut parts, ()) = Request::get("/").body(()).unwrap().into_parts();
    let page = Page::from_request_parts(&mut parts, &()).await.unwrap();
    let sql = super::sql::list_query(&filter, &page).sql().as_str().to_owned();
    let plan = sqlx::query_scalar::<_, String>(sqlx::AssertSqlSafe(format!("explain {sql}")))
        .bind("active")
        .bind(page.before())
        .bind(page.before())
        .bind("%c4ca4238%")
        .bind(101_i64)
        .bind(0_i64)
        .fetch_all(&app.owner)
        .await
        .unwrap()
        .join("\n");
    assert!(plan.contains("Bitmap Index Scan on agent_search_text_idx"), "{plan}");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_malformed_mistyped_or_large_body_is_rejected(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let post = |kind: &str, body: &'static str| {
        Request::post("/api/v1/agents").header("content-type", kind).body(Body::from(body)).unwrap()
    };
    let code = async |request| app.send(request).await.json()["code"].clone();
    assert_eq!(code(post("application/json", "{")).await, "malformed-request");
    assert_eq!(code(post("text/plain", "{}")).await, "unsupported-media-type");
    let big = Request::post("/api/v1/agents")
        .header("content-type", "application/json")
        .body(Body::from(format!("\"{}\"", "x".repeat(100_000))))
        .unwrap();
    assert_eq!(code(big).await, "payload-too-large");
}

#[sqlx::test(migrations = "../migrations")]
async fn null_is_no_value_of_a_required_field(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let path = format!("/api/v1/agents/{}", app.create_agent("Asha").await.agent);
    for field in ["name", "skill_id", "job_role_id", "industry_id", "tags", "custom_attributes"] {
        assert_eq!(app.patch(&path, json!({field: null})).await.invalid_fields(), [field]);
    }
    app.patch(&path, json!({"team_id": null, "governance_notes": null})).await.expect(200);
}

#[sqlx::test(migrations = "../migrations")]
async fn search_texts_and_ids_are_limited(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let long = "x".repeat(201);
    for name in ["search", "q", "industry"] {
        let path = format!("/api/v1/agents?{name}={long}");
        assert_eq!(app.get(&path).await.invalid_fields(), [name]);
    }
    let key = "k1";
    let hire = json!({"agent_id": UNKNOWN_ID, "duration": "monthly"});
    let path = format!("/api/v1/customers/{}/agents", "x".repeat(4_000));
    assert_eq!(app.post_idempotent(key, &path, &hire).await.invalid_fields(), ["path"]);
    let path = format!("/api/v1/customers/{}/agents", "x".repeat(200));
    app.post_idempotent(key, &path, &hire).await.expect(404);
}

#[sqlx::test(migrations = "../migrations")]
async fn unknown_query_parameters_share_a_cache_entry(pool: PgPool) {
    let app = TestApp::with_redis(pool).await;
    app.get("/api/v1/agents?limit=5").await.expect(200);
    let misses = || app.state.metrics.cache_requests.with_label_values(&["agents", "miss"]).get();
    let before = misses();
    for n in 0..10 {
        app.get(&format!("/api/v1/agents?limit=5&x={n}")).await.expect(200);
    }
    assert_eq!(misses(), before);
    app.get("/api/v1/agents?limit=5&status=inactive").await.expect(200);
    assert_eq!(misses(), before + 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn numbers_are_stored_as_they_were_sent(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let agent = app.create_agent("Asha").await.agent;
    let path = format!("/api/v1/agents/{agent}");
    let mut numbers = vec!["37e-23".to_owned(), "5e-324".into(), "-0.0".into(), "0.1".into()];
    let mut random = fastrand::Rng::with_seed(7);
    // As many as the limit on custom attributes allows.
    while numbers.len() < 2_000 {
        let number = f64::from_bits(random.u64(..));
        if number.is_finite() && number.fract() != 0.0 {
            numbers.push(
                number.to_string().get(..24).map_or_else(|| format!("{number:e}"), String::from),
            );
        }
    }
    let body = format!("{{\"custom_attributes\":{{\"x\":[{}]}}}}", numbers.join(","));
    let mut request = json_request(Method::PATCH, &path, &json!({}));
    *request.body_mut() = Body::from(body);
    app.send(request).await.expect(200);
    let entity = app.get(&format!("/api/v1/entities/{agent}")).await.expect(200);
    let stored = entity["metadata"]["custom_attributes"]["x"].as_array().unwrap();
    for (number, sent) in stored.iter().zip(&numbers) {
        assert_eq!(number.as_f64().unwrap(), sent.parse::<f64>().unwrap(), "{sent}");
    }
    let report = app.get(&format!("/api/v1/audit/tampering/{agent}")).await.expect(200);
    assert_eq!(report["tampered"], false, "{report}");
    let certify = json!({"entity_type": "agent", "entity_id": agent});
    app.post("/api/v1/genesis/certify", certify).await.expect(200);
}
