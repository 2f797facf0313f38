use futures::future::join_all;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::plant::chain::Verdict;
use crate::plant::entity;
use crate::plant::genesis::examination::examine;
use crate::testing::{Catalogue, NOBODY, TestApp};

const CERTIFY: &str = "/api/v1/genesis/certify";

fn application(kind: &str, id: &str) -> Value {
    json!({"entity_type": kind, "entity_id": id})
}

fn kinds(of: &Catalogue) -> [(&'static str, &str); 5] {
    [
        ("industry", &of.industry),
        ("skill", &of.skill),
        ("job_role", &of.job_role),
        ("team", &of.team),
        ("agent", &of.agent),
    ]
}

async fn chain_of(app: &TestApp, id: &str) -> Vec<Value> {
    let path = format!("/api/v1/entities/{id}/amendments");
    app.get(&path).await.expect(200).as_array().unwrap().clone()
}

/// Runs `sql` as somebody who can switch off what guards the chain.
async fn tamper(app: &TestApp, sql: &'static str) {
    let guards_off = "alter table amendment disable trigger user;
        alter table base_entity disable trigger user;
        alter table amendment drop constraint if exists amendment_content_hash_true;";
    sqlx::raw_sql(guards_off).execute(&app.owner).await.unwrap();
    sqlx::raw_sql(sql).execute(&app.owner).await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn every_kind_is_certified_once(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let of = app.an_agent("Asha").await;
    for (kind, id) in kinds(&of) {
        let first = app.post(CERTIFY, application(kind, id)).await.expect(200);
        assert_eq!(first["status"], "certified");
        assert_eq!((&first["entity_type"], &first["entity_id"]), (&json!(kind), &json!(id)));
        assert_eq!(first["chain_length"], 2);
        assert_eq!(first["checks"]["L0-05"], true);
        assert_eq!(app.post(CERTIFY, application(kind, id)).await.expect(200), first);
        let chain = chain_of(&app, id).await;
        assert_eq!(chain.len(), 2);
        assert_eq!(chain[1]["change_type"], "certification");
        assert_eq!(chain[1]["link"], first["version_hash"]);
        let mut connection = app.owner.acquire().await.unwrap();
        let found = entity::sql::find(&mut *connection, id.parse().unwrap()).await.unwrap();
        let found = examine(&mut connection, &found.unwrap()).await.unwrap();
        assert_eq!(found.verdict, Verdict::Intact);
    }
    let skill = app.get(&format!("/api/v1/skills/{}", of.skill)).await.expect(200);
    assert_eq!(skill["status"], "certified");
    let agent = app.get(&format!("/api/v1/agents/{}", of.agent)).await.expect(200);
    assert_eq!(agent["status"], "active");
}

#[sqlx::test(migrations = "../migrations")]
async fn many_simultaneous_requests_leave_one_certification(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let of = app.an_agent("Asha").await;
    for (kind, id) in kinds(&of) {
        let requests = (0..20).map(|_| app.post(CERTIFY, application(kind, id)));
        let answers = join_all(requests).await;
        let first = answers[0].json();
        for answer in answers {
            assert_eq!(answer.expect(200), first);
        }
        assert_eq!(chain_of(&app, id).await.len(), 2, "{kind}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn changes_and_certifications_at_once_keep_one_chain(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let of = app.an_agent("Asha").await;
    let path = format!("/api/v1/agents/{}", of.agent);
    let changes =
        join_all((0..10).map(|n| app.patch(&path, json!({"governance_notes": n.to_string()}))));
    let certified = join_all((0..10).map(|_| app.post(CERTIFY, application("agent", &of.agent))));
    let (changes, certified) = futures::join!(changes, certified);
    for answer in changes.into_iter().chain(certified) {
        answer.expect(200);
    }
    assert_eq!(chain_of(&app, &of.agent).await.len(), 12);
    let found = app.get(&format!("/api/v1/audit/tampering/{}", of.agent)).await.expect(200);
    assert_eq!(found["tampered"], false, "{found}");
}

#[sqlx::test(migrations = "../migrations")]
async fn notes_and_evidence_go_into_the_amendment_and_nowhere_else(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let of = app.an_agent("Asha").await;
    let path = format!("/api/v1/genesis/skills/{}/certify", of.skill);
    // A statement about a name is not a name.
    let body = json!({"notes": "Reviewed", "evidence": {"name": "another", "score": 9.5}});
    app.post(&path, body.clone()).await.expect(200);
    let data = &chain_of(&app, &of.skill).await[1]["data"];
    assert_eq!((&data["notes"], &data["evidence"]), (&body["notes"], &body["evidence"]));
    let found = app.get(&format!("/api/v1/audit/tampering/{}", of.skill)).await.expect(200);
    assert_eq!(found["tampered"], false, "{found}");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_statement_out_of_bounds_is_invalid(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let of = app.an_agent("Asha").await;
    let mut body = application("skill", &of.skill);
    body["notes"] = json!("x".repeat(10_001));
    body["evidence"] = json!("x".repeat(65 * 1024));
    assert_eq!(app.post(CERTIFY, body).await.fields_at_fault(), ["notes", "evidence"]);
    let unheard_of = app.post(CERTIFY, application("planet", &of.skill)).await;
    assert_eq!(unheard_of.fields_at_fault(), ["entity_type"]);
    let malformed = app.post(CERTIFY, application("skill", "7")).await;
    assert_eq!(malformed.fields_at_fault(), ["entity_id"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_fails_its_checks_is_not_certified(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let team = app.create("/api/v1/teams", json!({"name": "Nobody"})).await;
    let problem = app.post(CERTIFY, application("team", &team)).await.expect(422);
    assert_eq!(problem["code"], "constitutional-alignment");
    let violations = problem["violations"].as_array().unwrap();
    let rules: Vec<_> = violations.iter().map(|v| v["rule"].as_str().unwrap()).collect();
    assert_eq!(rules, ["L1-team-agents", "L1-team-job-role"]);
    let role = app.create("/api/v1/job-roles", json!({"name": "Nothing"})).await;
    let path = format!("/api/v1/genesis/job-roles/{role}/certify");
    let problem = app.post(&path, json!({})).await.expect(422);
    assert_eq!(problem["violations"][0]["rule"], "L1-job-role-skills");
    assert_eq!(chain_of(&app, &team).await.len(), 1);
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
    let problem = app.post(CERTIFY, application("skill", &skill)).await.expect(409);
    assert_eq!(problem["code"], "hash-chain-broken");
    assert_eq!(problem["broken_at_index"], 0);
    assert!(problem["detail"].as_str().unwrap().contains("content_altered"));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_row_that_no_amendment_explains_is_not_certified(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let of = app.an_agent("Asha").await;
    app.patch(&format!("/api/v1/agents/{}", of.agent), json!({"name": "Asha Rao"}))
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
    for (kind, id) in kinds(&of) {
        let problem = app.post(CERTIFY, application(kind, id)).await.expect(409);
        assert_eq!(problem["code"], "hash-chain-broken", "{kind}");
        // The index is that of the amendment which set the field last.
        assert_eq!(problem["broken_at_index"], if kind == "agent" { 1 } else { 0 });
        assert!(problem["detail"].as_str().unwrap().contains("state_differs"));
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn what_is_not_there_or_of_another_kind_is_not_found(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let team = app.create("/api/v1/teams", json!({"name": "Nobody"})).await;
    app.post(CERTIFY, application("skill", &team)).await.expect(404);
    app.post(CERTIFY, application("skill", NOBODY)).await.expect(404);
    for kind in ["skills", "job-roles"] {
        for id in [NOBODY, &team] {
            let path = format!("/api/v1/genesis/{kind}/{id}");
            assert_eq!(app.get(&path).await.expect(404)["code"], "not-found");
            app.post(&format!("{path}/certify"), json!({})).await.expect(404);
        }
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_skill_has_a_key_of_its_own_or_one_of_its_name(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let skills = "/api/v1/genesis/skills";
    let python = json!({"name": "Python 3.11", "category": "technical"});
    let answer = app.post(skills, python.clone()).await;
    let location = answer.header("location").unwrap().to_owned();
    let created = answer.expect(201);
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
    let mut spelled = python;
    spelled["skill_key"] = json!("Py 3");
    assert_eq!(app.post(skills, spelled).await.fields_at_fault(), ["skill_key"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_blank_description_does_not_keep_a_skill_from_being_certified(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let skill = json!({"name": "Python", "category": "technical", "description": " "});
    let id = app.create("/api/v1/genesis/skills", skill).await;
    app.post(&format!("/api/v1/genesis/skills/{id}/certify"), json!({})).await.expect(200);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_list_is_no_statement(pool: PgPool) {
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

    let problem = app.post(roles, role(json!([skills[0], skills[1], NOBODY]))).await.expect(422);
    assert_eq!(problem["code"], "validation-error");
    let offences = problem["violations"].as_array().unwrap();
    let mut rules: Vec<_> = offences.iter().map(|v| v["rule"].as_str().unwrap()).collect();
    rules.sort_unstable();
    assert_eq!(rules, ["certified", "unknown-reference"]);
    assert!(offences.iter().any(|v| v["message"].as_str().unwrap().contains(&skills[1])));
    assert_eq!(app.post(roles, role(json!([]))).await.fields_at_fault(), ["required_skills"]);

    app.post(&certify(&skills[1]), json!({})).await.expect(200);
    let answer = app.post(roles, role(json!(skills))).await;
    let location = answer.header("location").unwrap().to_owned();
    let created = answer.expect(201);
    assert_eq!(created["seniority_level"], "senior");
    assert_eq!(app.get(&location).await.expect(200), created);
    assert_eq!(app.get(roles).await.expect(200), json!([created]));
    assert_eq!(app.post(roles, role(json!(skills))).await.expect(409)["code"], "duplicate-entity");
    app.post(&format!("{location}/certify"), json!({"notes": "ready"})).await.expect(200);
}
