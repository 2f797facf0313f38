//! Cached reads after each kind of catalogue write, in the replica that was written to and in another one.

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::cache::Topic;
use crate::testing::TestApp;

/// A write of what is cached.
struct WriteRequest {
    method: &'static str,
    path: String,
    body: Value,
}

fn post(path: &str, body: Value) -> WriteRequest {
    WriteRequest { method: "POST", path: path.to_owned(), body }
}

/// Returns the paths of all cached reads: every list, and every entity.
fn read_paths(entities: &[(&str, String)]) -> Vec<String> {
    let lists = ["industries", "skills", "job-roles", "teams", "agents"];
    let lists = lists.map(|kind| format!("/api/v1/{kind}"));
    let genesis = ["skills", "job-roles"].map(|kind| format!("/api/v1/genesis/{kind}"));
    let mut paths: Vec<_> = lists.into_iter().chain(genesis).collect();
    for (kind, id) in entities {
        paths.push(format!("/api/v1/{kind}/{id}"));
        if ["skills", "job-roles"].contains(kind) {
            paths.push(format!("/api/v1/genesis/{kind}/{id}"));
        }
        paths.push(format!("/api/v1/entities/{id}"));
        paths.push(format!("/api/v1/audit/tampering/{id}"));
    }
    paths
}

async fn read_all(app: &TestApp, paths: &[String]) -> Vec<(String, String)> {
    let mut bodies = Vec::new();
    for path in paths {
        let response = app.get(path).await;
        assert_eq!(response.status, 200, "{path}: {}", response.text);
        let body = match response.json() {
            // The time of the verification, which is not part of the entity.
            Value::Object(mut fields) => {
                fields.remove("checked_at");
                Value::Object(fields).to_string()
            }
            other => other.to_string(),
        };
        bodies.push((path.clone(), body));
    }
    bodies
}

#[sqlx::test(migrations = "../migrations")]
async fn every_write_is_visible_in_the_next_read_of_every_cached_list_and_entity(pool: PgPool) {
    let uncached = TestApp::new(pool.clone()).await;
    let [app, replica] = TestApp::replicas(pool).await;
    let ids = app.create_agent("Asha").await;
    let hire = app.create_hire("lotus").await;
    let hires = "/api/v1/customers/lotus/agents";
    let configuration = format!("/api/v1/agents/{}/configuration", hire.id);
    let entities = [
        ("industries", ids.industry.clone()),
        ("skills", ids.skill.clone()),
        ("job-roles", ids.job_role.clone()),
        ("teams", ids.team.clone()),
        ("agents", ids.agent.clone()),
    ];
    let certification = |kind: &str, id: &str| {
        post("/api/v1/genesis/certify", json!({"entity_type": kind, "entity_id": id}))
    };
    let patch = |body| WriteRequest {
        method: "PATCH",
        path: format!("/api/v1/agents/{}", ids.agent),
        body,
    };
    let other_skill = app
        .create("/api/v1/skills", json!({"name": "Proofreading", "category": "technical"}))
        .await;
    let certified_skill = json!({"entity_type": "skill", "entity_id": other_skill});
    app.post("/api/v1/genesis/certify", certified_skill).await.expect(200);
    let other_role = json!({
        "name": "Editor", "required_skills": [other_skill], "seniority_level": "senior",
    });
    let other_role = app.create("/api/v1/genesis/job-roles", other_role).await;
    let genesis_role = json!({
        "name": "Reviewer", "required_skills": [other_skill], "seniority_level": "senior",
    });
    let third_skill = app
        .create("/api/v1/genesis/skills", json!({"name": "Layout", "category": "technical"}))
        .await;
    let agent = json!({
        "name": "Bela", "skill_id": ids.skill, "job_role_id": ids.job_role,
        "industry_id": ids.industry,
    });
    let writes = [
        post("/api/v1/industries", json!({"name": "Sales"})),
        post("/api/v1/skills", json!({"name": "Writing", "category": "technical"})),
        post("/api/v1/job-roles", json!({"name": "Writer"})),
        post("/api/v1/teams", json!({"name": "Studio"})),
        post("/api/v1/agents", agent),
        post("/api/v1/genesis/skills", json!({"name": "Typing", "category": "technical"})),
        post("/api/v1/genesis/job-roles", genesis_role),
        post(&format!("/api/v1/genesis/skills/{third_skill}/certify"), json!({})),
        post(&format!("/api/v1/genesis/job-roles/{other_role}/certify"), json!({})),
        certification("industry", &ids.industry),
        certification("skill", &ids.skill),
        certification("job_role", &ids.job_role),
        certification("team", &ids.team),
        certification("agent", &ids.agent),
        patch(json!({"name": "Asha Rao"})),
        patch(json!({"skill_id": other_skill})),
        patch(json!({"tags": ["new"]})),
        post(hires, json!({"agent_id": ids.agent, "duration": "monthly"})),
        WriteRequest {
            method: "PUT",
            path: configuration.clone(),
            body: json!({"nickname": "Inky", "theme": "dark"}),
        },
        WriteRequest {
            method: "PATCH",
            path: format!("/api/v1/agents/{}", hire.catalogue.agent),
            body: json!({"name": "Lotus Writer"}),
        },
    ];
    let mut paths = read_paths(&entities);
    paths.extend([hires.to_owned(), configuration]);
    let mut bodies = read_all(&app, &paths).await;
    for WriteRequest { method, path, body } in writes {
        let response = match method {
            "PATCH" => app.patch(&path, body.clone()).await,
            "PUT" => app.put(&path, body.clone()).await,
            _ => app.post(&path, body.clone()).await,
        };
        let name = format!("{method} {path} {body}");
        assert!(response.status.is_success(), "{name}: {}", response.text);
        let after = read_all(&replica, &paths).await;
        assert_eq!(after, read_all(&uncached, &paths).await, "{name}");
        assert_eq!(after, read_all(&app, &paths).await, "{name}, same replica");
        assert_ne!(after, bodies, "{name} has changed nothing");
        bodies = after;
    }
    for topic in Topic::ALL {
        let is_cached = hits(&app, *topic) > 0;
        let is_of_hire = [Topic::Goals, Topic::Deliverables].contains(topic);
        assert_eq!(is_cached, !is_of_hire, "{}", topic.name());
    }
}

fn hits(app: &TestApp, topic: Topic) -> u64 {
    app.state.metrics.cache_requests.with_label_values(&[topic.name(), "hit"]).get()
}

/// What clients and jobs change of a hired agent.
#[sqlx::test(migrations = "../migrations")]
async fn every_change_of_goals_and_deliverables_is_visible_in_the_next_read(pool: PgPool) {
    let uncached = TestApp::new(pool.clone()).await;
    let [app, replica] = TestApp::replicas(pool).await;
    let [hire, other] = [app.create_hire("lotus").await.id, app.create_hire("jasmine").await.id];
    let goals = format!("/api/v1/agents/{hire}/goals");
    let deliverables = format!("/api/v1/agents/{hire}/deliverables");
    let paths = [
        goals.clone(),
        format!("{goals}?limit=1"),
        deliverables.clone(),
        format!("{deliverables}?status=pending_review"),
        format!("{deliverables}?status=approved"),
    ];
    let others = [format!("/api/v1/agents/{other}/goals")];
    read_all(&app, &others).await;
    let mut bodies = read_all(&app, &paths).await;
    let mut check = async |change: &str| {
        let after = read_all(&replica, &paths).await;
        assert_eq!(after, read_all(&uncached, &paths).await, "{change}");
        assert_eq!(after, read_all(&app, &paths).await, "{change}, same replica");
        assert_ne!(after, bodies, "{change} has changed nothing");
        bodies = after;
    };
    let new = json!({"title": "Publish", "schedule": "weekly"});
    let goal = app.create(&goals, new.clone()).await;
    check("a goal was created").await;
    app.patch(&format!("{goals}/{goal}"), json!({"title": "Write"})).await.expect(200);
    check("the goal was changed").await;
    app.create(&goals, new).await;
    check("another goal was created").await;
    app.drain_jobs().await;
    check("jobs have drafted deliverables").await;
    let drafts = app.get(&deliverables).await.expect(200);
    for (index, decision) in ["approve", "reject"].into_iter().enumerate() {
        let id = drafts[index]["id"].as_str().unwrap();
        app.post(&format!("{deliverables}/{id}/{decision}"), json!({})).await.expect(200);
        check(decision).await;
    }
    app.delete(&format!("{goals}/{goal}")).await.expect(204);
    check("a goal was deleted, whose id a deliverable contained").await;
    let before = hits(&app, Topic::Goals);
    read_all(&app, &others).await;
    assert_eq!(hits(&app, Topic::Goals), before + 1, "no change concerned the other hired agent");
    read_all(&app, &paths).await;
    assert_eq!(hits(&app, Topic::Goals), before + 3);
    assert!(hits(&app, Topic::Deliverables) > 0);
}
