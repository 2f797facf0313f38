use futures::future::join_all;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::plant::chain::Verdict;
use crate::plant::entity;
use crate::plant::genesis::examination::examine;
use crate::testing::{CatalogueIds, TestApp, UNKNOWN_ID};

const CERTIFY: &str = "/api/v1/genesis/certify";

fn certify_body(kind: &str, id: &str) -> Value {
    json!({"entity_type": kind, "entity_id": id})
}

fn entities(catalogue: &CatalogueIds) -> [(&'static str, &str); 5] {
    [
        ("industry", &catalogue.industry),
        ("skill", &catalogue.skill),
        ("job_role", &catalogue.job_role),
        ("team", &catalogue.team),
        ("agent", &catalogue.agent),
    ]
}

async fn amendments_of(app: &TestApp, id: &str) -> Vec<Value> {
    let path = format!("/api/v1/entities/{id}/amendments");
    app.get(&path).await.expect(200).as_array().unwrap().clone()
}

/// Executes `sql` as the database owner, with the triggers and constraints that protect the chain
/// disabled.
async fn tamper(app: &TestApp, sql: &'static str) {
    let disable_protection = "alter table amendment disable trigger user;
        alter table base_entity disable trigger user;
        alter table amendment drop constraint if exists amendment_content_hash_true;";
    sqlx::raw_sql(disable_protection).execute(&app.owner).await.unwrap();
    sqlx::raw_sql(sql).execute(&app.owner).await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn every_kind_is_certified_once(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let catalogue = app.create_agent("Asha").await;
    for (kind, id) in entities(&catalogue) {
        let first = app.post(CERTIFY, certify_body(kind, id)).await.expect(200);
        assert_eq!(first["status"], "certified");
        assert_eq!((&first["entity_type"], &first["entity_id"]), (&json!(kind), &json!(id)));
        assert_eq!(first["chain_length"], 2);
        assert_eq!(first["checks"]["L0-05"], true);
        assert_eq!(app.post(CERTIFY, certify_body(kind, id)).await.expect(200), first);
        let chain = amendments_of(&app, id).await;
        assert_eq!(chain.len(), 2);
        assert_eq!(chain[1]["change_type"], "certification");
        assert_eq!(chain[1]["link"], first["version_hash"]);
        let mut connection = app.owner.acquire().await.unwrap();
        let base = entity::sql::find(&mut *connection, id.parse().unwrap()).await.unwrap();
        let examination = examine(&mut connection, &base.unwrap()).await.unwrap();
        assert_eq!(examination.verdict, Verdict::Intact);
    }
    let skill = app.get(&format!("/api/v1/skills/{}", catalogue.skill)).await.expect(200);
    assert_eq!(skill["status"], "certified");
    let agent = app.get(&format!("/api/v1/agents/{}", catalogue.agent)).await.expect(200);
    assert_eq!(agent["status"], "active");
}

#[sqlx::test(migrations = "../migrations")]
async fn concurrent_requests_certify_once(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let catalogue = app.create_agent("Asha").await;
    for (kind, id) in entities(&catalogue) {
        let requests = (0..20).map(|_| app.post(CERTIFY, certify_body(kind, id)));
        let responses = join_all(requests).await;
        let first = responses[0].json();
        for response in responses {
            assert_eq!(response.expect(200), first);
        }
        assert_eq!(amendments_of(&app, id).await.len(), 2, "{kind}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn concurrent_changes_and_certifications_form_one_chain(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let catalogue = app.create_agent("Asha").await;
    let path = format!("/api/v1/agents/{}", catalogue.agent);
    let changes =
        join_all((0..10).map(|n| app.patch(&path, json!({"governance_notes": n.to_string()}))));
    let certified =
        join_all((0..10).map(|_| app.post(CERTIFY, certify_body("agent", &catalogue.agent))));
    let (changes, certified) = futures::join!(changes, certified);
    for response in changes.into_iter().chain(certified) {
        response.expect(200);
    }
    assert_eq!(amendments_of(&app, &catalogue.agent).await.len(), 12);
    let found = app.get(&format!("/api/v1/audit/tampering/{}", catalogue.agent)).await.expect(200);
    assert_eq!(found["tampered"], false, "{found}");
}

#[sqlx::test(migrations = "../migrations")]
async fn notes_and_evidence_are_stored_only_in_the_amendment(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let catalogue = app.create_agent("Asha").await;
    let path = format!("/api/v1/genesis/skills/{}/certify", catalogue.skill);
    // The `name` in the evidence must not be taken for the skill's name.
    let body = json!({"notes": "Reviewed", "evidence": {"name": "another", "score": 9.5}});
    app.post(&path, body.clone()).await.expect(200);
    let data = &amendments_of(&app, &catalogue.skill).await[1]["data"];
    assert_eq!((&data["notes"], &data["evidence"]), (&body["notes"], &body["evidence"]));
    let found = app.get(&format!("/api/v1/audit/tampering/{}", catalogue.skill)).await.expect(200);
    assert_eq!(found["tampered"], false, "{found}");
}

#[sqlx::test(migrations = "../migrations")]
async fn oversized_and_malformed_fields_are_invalid(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let catalogue = app.create_agent("Asha").await;
    let mut body = certify_body("skill", &catalogue.skill);
    body["notes"] = json!("x".repeat(10_001));
    body["evidence"] = json!("x".repeat(65 * 1024));
    assert_eq!(app.post(CERTIFY, body).await.invalid_fields(), ["notes", "evidence"]);
    let unknown_kind = app.post(CERTIFY, certify_body("planet", &catalogue.skill)).await;
    assert_eq!(unknown_kind.invalid_fields(), ["entity_type"]);
    let malformed = app.post(CERTIFY, certify_body("skill", "7")).await;
    assert_eq!(malformed.invalid_fields(), ["entity_id"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_entity_that_fails_its_checks_is_not_certified(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let team = app.create("/api/v1/teams", json!({"name": "Nobody"})).await;
    let problem = app.post(CERTIFY, certify_body("team", &team)).await.expect(422);
    assert_eq!(problem["code"], "constitutional-alignment");
    let violations = problem["violations"].as_array().unwrap();
    let rules: Vec<_> = violations.iter().map(|v| v["rule"].as_str().unwrap()).collect();
    assert_eq!(rules, ["L1-team-agents", "L1-team-job-role"]);
    let role = app.create("/api/v1/job-roles", json!({"name": "Nothing"})).await;
    let path = format!("/api/v1/genesis/job-roles/{role}/certify");
    let problem = app.post(&path, json!({})).await.expect(422);
    assert_eq!(problem["violations"][0]["rule"], "L1-job-role-skills");
    assert_eq!(amendments_of(&app, &team).await.len(), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_broken_chain_is_not_certified(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let skill = json!({"name": "Python", "category": "technical"});
    let skill = app.create("/api/v1/skills", skill).await;
    tamper(
        &app,
        "update amendment
        set content = convert_to(replace(convert_from(content, 'utf8'), 'Python', 'Perl'), 'utf8')",
    )
    .await;
    let problem = app.post(CERTIFY, certify_body("skill", &skill)).await.expect(409);
    assert_eq!(problem["code"], "hash-chain-broken");
    assert_eq!(problem["broken_at_index"], 0);
    assert!(problem["detail"].as_str().unwrap().contains("content_altered"));
}

#[sqlx::test(migrations = "../migrations")]
async fn an_entity_whose_row_differs_from_its_amendments_is_not_certified(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let catalogue = app.create_agent("Asha").await;
    app.patch(&format!("/api/v1/agents/{}", catalogue.agent), json!({"name": "Asha Rao"}))
        .await
        .expect(200);
    for sql in [
        "update agent set name = 'Ravi'",
        "update skill set description = 'better'",
        "update industry set name = 'Another'",
        "update team set job_role_id = null",
        "delete from job_role_skill",
    ] {
        tamper(&app, sql).await;
    }
    for (kind, id) in entities(&catalogue) {
        let problem = app.post(CERTIFY, certify_body(kind, id)).await.expect(409);
        assert_eq!(problem["code"], "hash-chain-broken", "{kind}");
        // The index is that of the amendment that last set the field.
        assert_eq!(problem["broken_at_index"], if kind == "agent" { 1 } else { 0 });
        assert!(problem["detail"].as_str().unwrap().contains("state_differs"));
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn an_unknown_entity_or_one_of_another_kind_is_not_found(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let team = app.create("/api/v1/teams", json!({"name": "Nobody"})).await;
    app.post(CERTIFY, certify_body("skill", &team)).await.expect(404);
    app.post(CERTIFY, certify_body("skill", UNKNOWN_ID)).await.expect(404);
    for kind in ["skills", "job-roles"] {
        for id in [UNKNOWN_ID, &team] {
            let path = format!("/api/v1/genesis/{kind}/{id}");
            assert_eq!(app.get(&path).await.expect(404)["code"], "not-found");
            app.post(&format!("{path}/certify"), json!({})).await.expect(404);
        }
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_skill_key_defaults_to_the_slug_of_the_name(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let skills = "/api/v1/genesis/skills";
    let python = json!({"name": "Python 3.11", "category": "technical"});
    let response = app.post(skills, python.clone()).await;
    let location = response.header("location").unwrap().to_owned();
    let created = response.expect(201);
    assert_eq!(created["skill_key"], "python-3-11");
    assert_eq!(app.get(&location).await.expect(200), created);
    assert_eq!(app.post(skills, python.clone()).await.expect(200), created);
    let keyed = json!({"name": "Go", "category": "technical", "skill_key": "golang"});
    let keyed = app.post(skills, keyed).await.expect(201);
    assert_eq!(keyed["skill_key"], "golang");
    assert_eq!(app.get(skills).await.expect(200), json!([keyed, created]));
    assert_eq!(app.get(&format!("{skills}?status=certified")).await.expect(200), json!([]));

    let mut other = python.clone();
    other["skill_key"] = json!("py");
    assert_eq!(app.post(skills, other).await.expect(409)["code"], "duplicate-entity");
    let taken = json!({"name": "Golang", "category": "technical"});
    assert_eq!(app.post(skills, taken).await.expect(409)["code"], "duplicate-entity");
    let mut malformed = python;
    malformed["skill_key"] = json!("Py 3");
    assert_eq!(app.post(skills, malformed).await.invalid_fields(), ["skill_key"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_skill_with_a_blank_description_can_be_certified(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let skill = json!({"name": "Python", "category": "technical", "description": " "});
    let id = app.create("/api/v1/genesis/skills", skill).await;
    app.post(&format!("/api/v1/genesis/skills/{id}/certify"), json!({})).await.expect(200);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_array_as_the_body_is_rejected(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let skill = json!({"name": "Python", "category": "technical"});
    let id = app.create("/api/v1/genesis/skills", skill).await;
    let certify = format!("/api/v1/genesis/skills/{id}/certify");
    let problem = app.post(&certify, json!([null, null])).await.expect(422);
    assert_eq!(problem["violations"][0]["rule"], "shape");
    assert_eq!(
        app.get(&format!("/api/v1/skills/{id}")).await.expect(200)["certified_at"],
        Value::Null
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_job_role_requires_certified_skills(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut skills = Vec::new();
    for name in ["Python", "Rust"] {
        let skill = json!({"name": name, "category": "technical"});
        skills.push(app.create("/api/v1/genesis/skills", skill).await);
    }
    let certify = |skill: &str| format!("/api/v1/genesis/skills/{skill}/certify");
    app.post(&certify(&skills[0]), json!({})).await.expect(200);
    let roles = "/api/v1/genesis/job-roles";
    let role = |skills: Value| json!({"name": "Coder", "required_skills": skills, "seniority_level": "senior"});

    let problem =
        app.post(roles, role(json!([skills[0], skills[1], UNKNOWN_ID]))).await.expect(422);
    assert_eq!(problem["code"], "validation-error");
    let violations = problem["violations"].as_array().unwrap();
    let mut rules: Vec<_> = violations.iter().map(|v| v["rule"].as_str().unwrap()).collect();
    rules.sort_unstable();
    assert_eq!(rules, ["certified", "unknown-reference"]);
    assert!(violations.iter().any(|v| v["message"].as_str().unwrap().contains(&skills[1])));
    assert_eq!(app.post(roles, role(json!([]))).await.invalid_fields(), ["required_skills"]);

    app.post(&certify(&skills[1]), json!({})).await.expect(200);
    let response = app.post(roles, role(json!(skills))).await;
    let location = response.header("location").unwrap().to_owned();
    let created = response.expect(201);
    assert_eq!(created["seniority_level"], "senior");
    assert_eq!(app.get(&location).await.expect(200), created);
    assert_eq!(app.get(roles).await.expect(200), json!([created]));
    assert_eq!(app.post(roles, role(json!(skills))).await.expect(409)["code"], "duplicate-entity");
    app.post(&format!("{location}/certify"), json!({"notes": "ready"})).await.expect(200);
}
