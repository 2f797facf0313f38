//! Tests of the views of one entity, and what the tests of the modules share.

mod export;
mod run;
mod tampering;
mod unreadable;

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request};
use axum::response::Response;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::plant::chain::Digest32;
use crate::testing::{CatalogueIds, TestApp, UNKNOWN_ID};

/// Executes `sql` as the database owner, with the triggers and constraints that protect the chain
/// disabled.
async fn tamper(app: &TestApp, sql: &'static str) {
    let disable_protection = "alter table amendment disable trigger user;
        alter table base_entity disable trigger user;
        alter table amendment drop constraint if exists amendment_content_hash_true;";
    sqlx::raw_sql(disable_protection).execute(&app.owner).await.unwrap();
    sqlx::raw_sql(sql).execute(&app.owner).await.unwrap();
}

/// Creates an agent with three amendments. Returns the ids of its catalogue entities, and its own.
async fn agent_with_three_amendments(app: &TestApp) -> (CatalogueIds, String) {
    let catalogue = app.create_agent("Asha").await;
    let path = format!("/api/v1/agents/{}", catalogue.agent);
    let changes = json!({
        "name": "Asha \"Rao\"", "tags": ["seo"], "governance_notes": "steady",
        "custom_attributes": {"n": [0.1, 1e-7, -0.0, 1.0, 9_007_199_254_740_992_i64, 12.5e3], "ü": "€\n"},
    });
    app.patch(&path, changes).await.expect(200);
    let certify = json!({"entity_type": "agent", "entity_id": catalogue.agent});
    app.post("/api/v1/genesis/certify", certify).await.expect(200);
    let id = catalogue.agent.clone();
    (catalogue, id)
}

async fn tampering(app: &TestApp, id: &str) -> (Value, Value, Value) {
    let found = app.get(&format!("/api/v1/audit/tampering/{id}")).await.expect(200);
    (found["tampered"].clone(), found["broken_at_index"].clone(), found["reason"].clone())
}

#[sqlx::test(migrations = "../migrations")]
async fn an_entity_has_seven_sections(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (catalogue, id) = agent_with_three_amendments(&app).await;
    let response = app.get(&format!("/api/v1/entities/{id}")).await;
    assert!(response.header("etag").is_some());
    let entity = response.expect(200);
    let sections: Vec<_> = entity.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        sections,
        [
            "audit_trail",
            "constitutional_alignment",
            "identity",
            "lifecycle",
            "metadata",
            "relationships",
            "versioning"
        ]
    );
    assert_eq!(entity["identity"], json!({"id": id, "entity_type": "agent", "external_id": null}));
    assert_eq!(entity["lifecycle"]["status"], "active");
    assert_eq!(entity["lifecycle"]["deleted_at"], Value::Null);
    assert_ne!(entity["lifecycle"]["updated_at"], entity["lifecycle"]["created_at"]);
    let history = entity["versioning"]["amendment_history"].as_array().unwrap();
    let changes: Vec<_> = history.iter().map(|a| a["change_type"].as_str().unwrap()).collect();
    assert_eq!(changes, ["creation", "evolution", "certification"]);
    let markers = &entity["versioning"]["evolution_markers"];
    assert_eq!(
        markers[0]["fields"],
        json!(["custom_attributes", "governance_notes", "name", "tags"])
    );
    let alignment = &entity["constitutional_alignment"];
    assert_eq!(alignment["l0_compliance_status"]["L0-04"], true);
    assert_eq!(alignment["amendment_alignment"], "aligned");
    assert_eq!(alignment["drift_detector"]["drifted"], false);
    let links = entity["audit_trail"]["hash_chain_sha256"].as_array().unwrap();
    assert_eq!(links[2], entity["versioning"]["version_hash"]);
    assert_eq!(entity["audit_trail"]["append_only"], true);
    assert_eq!(entity["audit_trail"]["tamper_proof"], true);
    assert_eq!(entity["metadata"]["tags"], json!(["seo"]));
    assert_eq!(entity["relationships"]["governance_agent_id"], "genesis");
    assert_eq!(entity["relationships"]["child_ids"], json!([]));
    for id in [&catalogue.industry, &catalogue.skill, &catalogue.job_role, &catalogue.team] {
        app.get(&format!("/api/v1/entities/{id}")).await.expect(200);
    }

    tamper(&app, "update agent set name = 'Ravi'").await;
    let entity = app.get(&format!("/api/v1/entities/{id}")).await.expect(200);
    let alignment = &entity["constitutional_alignment"];
    assert_eq!(alignment["amendment_alignment"], "diverged");
    let drift = json!({"drifted": true, "field": "name", "at_index": 1});
    assert_eq!(alignment["drift_detector"], drift);
    assert_eq!(entity["audit_trail"]["tamper_proof"], false);
}

#[sqlx::test(migrations = "../migrations")]
async fn unknown_ids_are_not_found(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for path in [
        format!("/api/v1/entities/{UNKNOWN_ID}"),
        format!("/api/v1/entities/{UNKNOWN_ID}/amendments"),
        format!("/api/v1/audit/tampering/{UNKNOWN_ID}"),
    ] {
        assert_eq!(app.get(&path).await.expect(404)["code"], "not-found", "{path}");
        app.get(&path.replace(UNKNOWN_ID, "x")).await.expect(422);
    }
    let path = format!("/api/v1/audit/run?entity_id={UNKNOWN_ID}");
    app.post(&path, json!({})).await.expect(404);
    app.post("/api/v1/audit/run?entity_type=planet", json!({})).await.expect(422);
    app.get("/api/v1/audit/export?entity_type=planet").await.expect(422);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_chain_is_paginated_and_its_hashes_can_be_recomputed(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (_, id) = agent_with_three_amendments(&app).await;
    let path = format!("/api/v1/entities/{id}/amendments");
    let chain = app.get(&path).await.expect(200);
    for (n, amendment) in chain.as_array().unwrap().iter().enumerate() {
        assert_eq!(amendment["sequence"], n);
        let mut content = amendment.clone();
        for field in ["sequence", "content_hash", "link"] {
            content.as_object_mut().unwrap().remove(field);
        }
        let content = serde_json_canonicalizer::to_vec(&content).unwrap();
        assert_eq!(amendment["content_hash"], Digest32::sha256(&content).to_string());
    }
    let first = app.get(&format!("{path}?limit=2")).await;
    let next = format!("<{path}?limit=2&after=1>; rel=\"next\"");
    assert_eq!(first.header("link"), Some(next.as_str()));
    assert_eq!(first.expect(200), json!([chain[0], chain[1]]));
    let second = app.get(&format!("{path}?limit=2&after=1")).await;
    assert_eq!(second.header("link"), None);
    assert_eq!(second.expect(200), json!([chain[2]]));
    for (query, field) in [("limit=0", "limit"), ("limit=501", "limit"), ("after=-1", "after")] {
        let response = app.get(&format!("{path}?{query}")).await;
        assert_eq!(response.invalid_fields(), [field]);
    }
}

/// Returns a clock that lets `checks` checks of the time pass.
fn time_for(checks: usize) -> impl FnMut() -> bool + Send + 'static {
    let mut done = 0;
    move || {
        done += 1;
        done > checks
    }
}

/// Waits for a response other than 429, which is sent while another read of the kind runs.
async fn until_started(app: &TestApp, method: Method, path: &str) -> Response {
    let responded = async {
        loop {
            let request = Request::builder().method(&method).uri(path).body(Body::empty()).unwrap();
            let response = app.start_request(request).await;
            if response.status() != 429 {
                return response;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), responded).await.unwrap()
}
