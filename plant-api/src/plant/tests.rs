//! Behaviour common to all kinds of catalogue entities.

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::testing::{TestApp, UNKNOWN_ID};

/// Returns the route of each kind and a body that creates an entity of it.
fn kinds() -> [(&'static str, Value); 4] {
    [
        ("/api/v1/industries", json!({"name": "Marketing", "description": "Brands and campaigns"})),
        ("/api/v1/skills", json!({"name": "Python 3.11", "category": "technical"})),
        ("/api/v1/job-roles", json!({"name": "Writer", "seniority_level": "senior"})),
        ("/api/v1/teams", json!({"name": "Studio"})),
    ]
}

#[sqlx::test(migrations = "../migrations")]
async fn a_created_entity_can_be_read_and_is_listed(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for (route, body) in kinds() {
        let response = app.post(route, body.clone()).await;
        let location = response.header("location").unwrap().to_owned();
        let tag = response.header("etag").unwrap().to_owned();
        let created = response.expect(201);
        assert_eq!(created["name"], body["name"]);
        let read = app.get(&location).await;
        assert_eq!(read.header("etag"), Some(tag.as_str()));
        assert_eq!(read.expect(200), created);
        assert_eq!(app.get(route).await.expect(200), json!([created]), "{route}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn an_unknown_id_is_not_found_and_a_malformed_one_is_invalid(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for (route, _) in kinds() {
        let problem = app.get(&format!("{route}/{UNKNOWN_ID}")).await.expect(404);
        assert_eq!(problem["code"], "not-found");
        assert_eq!(problem["instance"], format!("{route}/{UNKNOWN_ID}"));
        app.get(&format!("{route}/x")).await.expect(422);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_taken_name_is_a_duplicate(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for (route, body) in kinds() {
        app.post(route, body.clone()).await.expect(201);
        let mut other = body;
        other["description"] = json!("another");
        assert_eq!(app.post(route, other).await.expect(409)["code"], "duplicate-entity");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn invalid_input_is_reported_by_field_and_changes_nothing(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for (route, body) in kinds() {
        let mut blank = body.clone();
        blank["name"] = json!("  ");
        assert_eq!(app.post(route, blank).await.invalid_fields(), ["name"]);
        let mut long = body.clone();
        long["name"] = json!("x".repeat(201));
        long["description"] = json!("x".repeat(10_001));
        assert_eq!(app.post(route, long).await.invalid_fields(), ["name", "description"]);
        let mut wrong = body.clone();
        wrong["name"] = json!(5);
        assert_eq!(app.post(route, wrong).await.invalid_fields(), ["name"]);
        let mut nul = body;
        nul["name"] = json!("a\0b");
        assert_eq!(app.post(route, nul).await.invalid_fields(), ["name"]);
        assert_eq!(app.get(route).await.expect(200), json!([]), "{route}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn lists_are_newest_first_and_link_to_the_next_page(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut ids = Vec::new();
    for n in 0..5 {
        let body = json!({"name": format!("Industry {n}")});
        ids.insert(0, app.create("/api/v1/industries", body).await);
    }
    let mut seen = Vec::new();
    let mut next = Some("/api/v1/industries?limit=2&offset=0".to_owned());
    while let Some(path) = next {
        let response = app.get(&path).await;
        let link = response.header("link").map(str::to_owned);
        next = link.map(|link| {
            assert!(link.ends_with(">; rel=\"next\""), "{link}");
            link.trim_start_matches('<').split('>').next().unwrap().to_owned()
        });
        let page = response.expect(200);
        seen.extend(page.as_array().unwrap().iter().map(|i| i["id"].as_str().unwrap().to_owned()));
    }
    assert_eq!(seen, ids);
    let skipped = app.get("/api/v1/industries?offset=4").await.expect(200);
    assert_eq!(skipped[0]["id"], ids[4]);
}

#[sqlx::test(migrations = "../migrations")]
async fn invalid_query_parameters_are_rejected(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=many", "limit"),
        ("offset=-1", "offset"),
        ("after=x", "after"),
    ] {
        let response = app.get(&format!("/api/v1/agents?{query}")).await;
        assert_eq!(response.invalid_fields(), [field], "{query}");
    }
    let nul = app.get("/api/v1/agents?search=%00").await;
    assert_eq!(nul.invalid_fields(), ["search"]);
    app.get("/api/v1/skills?status=unknown").await.expect(422);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_matching_if_none_match_returns_304(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let created = app.post("/api/v1/industries", json!({"name": "Sales"})).await;
    let (location, tag) = (created.header("location").unwrap(), created.header("etag").unwrap());
    let request = axum::http::Request::get(location)
        .header("if-none-match", format!("\"old\", W/{tag}"))
        .body(axum::body::Body::empty())
        .unwrap();
    let response = app.send(request).await;
    assert_eq!((response.status.as_u16(), response.text.as_str()), (304, ""));
}

#[sqlx::test(migrations = "../migrations")]
async fn posting_an_identical_skill_returns_the_existing_one(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let body = json!({"name": "Skill_17", "category": "technical"});
    let first = app.post("/api/v1/skills", body.clone()).await.expect(201);
    assert_eq!(first["status"], "pending_certification");
    assert_eq!(app.post("/api/v1/skills", body).await.expect(200), first);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_existing_skill_is_returned_from_the_cache_as_it_is_now(pool: PgPool) {
    let [app, replica] = TestApp::replicas(pool).await;
    let body = json!({"name": "Skill_17", "category": "technical"});
    let first = app.post("/api/v1/skills", body.clone()).await;
    let list = replica.get("/api/v1/skills").await.text;
    let cached = |result| {
        let requests = replica.state.metrics.cache_requests.with_label_values(&["skills", result]);
        requests.get()
    };
    for hits in 0..3 {
        let before = cached("hit");
        let again = replica.post("/api/v1/skills", body.clone()).await;
        assert_eq!((again.status.as_u16(), again.header("etag")), (200, first.header("etag")));
        assert_eq!((&again.text, cached("hit") - before), (&first.text, hits.min(1)));
    }
    let stored = replica.post_idempotent("key", "/api/v1/skills", &body).await;
    assert_eq!((stored.status.as_u16(), &stored.text), (200, &first.text));
    let before = cached("hit");
    assert_eq!(replica.get("/api/v1/skills").await.text, list);
    assert_eq!(cached("hit") - before, 1, "nothing has changed");
    let id = first.json()["id"].clone();
    let certification = json!({"entity_type": "skill", "entity_id": id});
    app.post("/api/v1/genesis/certify", certification).await.expect(200);
    let certified = replica.post("/api/v1/skills", body.clone()).await.expect(200);
    assert_eq!((&certified["id"], &certified["status"]), (&id, &json!("certified")));
    let mut other = body;
    other["description"] = json!("of another kind");
    replica.post("/api/v1/skills", other).await.expect(409);
}

#[sqlx::test(migrations = "../migrations")]
async fn concurrent_identical_requests_create_one_skill(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let body = json!({"name": "Skill_17", "category": "technical"});
    let posts = (0..20).map(|_| app.post("/api/v1/skills", body.clone()));
    let responses = futures::future::join_all(posts).await;
    let created = responses.iter().filter(|response| response.status == 201).count();
    let existing = responses.iter().filter(|response| response.status == 200).count();
    assert_eq!((created, existing), (1, 19));
}

#[sqlx::test(migrations = "../migrations")]
async fn unknown_required_skills_are_reported(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let body = json!({"name": "Writer", "required_skills": [UNKNOWN_ID]});
    let fields = app.post("/api/v1/job-roles", body).await.invalid_fields();
    assert_eq!(fields, ["required_skills"]);
}
