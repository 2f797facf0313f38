use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request};
use axum::response::Response;
use futures::StreamExt;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::export;
use super::line::{self, LineError, Manifest};
use super::pages::EntityPages;
use super::run::{Scope, audit, run};
use crate::db::BulkRead;
use crate::plant::chain::{Digest32, Reason};
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

#[sqlx::test(migrations = "../migrations")]
async fn tampering_is_reported_with_index_and_reason(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (_, id) = agent_with_three_amendments(&app).await;
    assert_eq!(tampering(&app, &id).await, (json!(false), Value::Null, Value::Null));
    let backup = "create table amendment_backup as select * from amendment;
        create table entity_backup as select * from base_entity;
        create table agent_backup as select * from agent";
    sqlx::raw_sql(backup).execute(&app.owner).await.unwrap();
    for (sql, index, reason) in [
        (
            "update amendment set content = set_byte(content, 10, 65) where sequence = 1",
            1,
            "content_altered",
        ),
        (
            "update amendment
            set content = convert_to('{}', 'utf8'), content_hash = sha256(convert_to('{}', 'utf8'))
            where sequence = 1",
            1,
            "link_altered",
        ),
        ("update amendment set link = sha256('x') where sequence = 2", 2, "link_altered"),
        ("delete from amendment where sequence = 1", 1, "wrong_sequence"),
        ("delete from amendment where sequence = 2", 2, "wrong_length"),
        ("delete from amendment", 0, "empty"),
        ("update base_entity set version_hash = sha256('x')", 2, "wrong_version_hash"),
        ("update base_entity set chain_length = 2", 2, "wrong_length"),
        ("update agent set name = 'Ravi'", 1, "state_differs"),
        ("update base_entity set status = 'inactive'", 0, "state_differs"),
        ("update base_entity set tags = '{a}'", 1, "state_differs"),
        ("update base_entity set custom_attributes = '{}'", 1, "state_differs"),
        ("update base_entity set certified_at = null", 2, "state_differs"),
        ("update base_entity set created_at = '2020-01-01'", 0, "state_differs"),
        ("update base_entity set updated_at = '2020-01-01'", 2, "state_differs"),
        ("update base_entity set deleted_at = '2020-01-01'", 2, "state_differs"),
        ("update base_entity set external_id = 'x'", 2, "state_differs"),
        ("update base_entity set governance_agent_id = 'x'", 2, "state_differs"),
        ("delete from agent", 0, "state_differs"),
    ] {
        tamper(&app, sql).await;
        let found = tampering(&app, &id).await;
        assert_eq!(found, (json!(true), json!(index), json!(reason)), "{sql}");
        tamper(
            &app,
            "update base_entity e
            set version_hash = k.version_hash, chain_length = k.chain_length, status = k.status,
                tags = k.tags, custom_attributes = k.custom_attributes,
                certified_at = k.certified_at, created_at = k.created_at,
                updated_at = k.updated_at, deleted_at = k.deleted_at,
                external_id = k.external_id, governance_agent_id = k.governance_agent_id
            from entity_backup k
            where k.id = e.id;
            delete from amendment;
            insert into amendment overriding system value select * from amendment_backup;
            delete from agent;
            insert into agent select * from agent_backup",
        )
        .await;
        assert_eq!(tampering(&app, &id).await.0, json!(false), "restored after {sql}");
    }
}

/// Replaces the content of the second of three amendments by `content`, with valid hashes, as
/// someone with the rights of the database owner could.
async fn replace_second_amendment(app: &TestApp, id: &str, content: &[u8]) {
    tamper(app, "").await;
    let sql = "
        with recursive contents as (
            select sequence, sha256(case sequence when 1 then $2 else content end) as hash
            from amendment where entity_id = $1
        ),
        chain as (
            select sequence, hash, link from contents join amendment using (sequence)
            where sequence = 0 and entity_id = $1
            union all
            select c.sequence, c.hash, chain_link(2, $1, 'agent', c.sequence, chain.link, c.hash)
            from chain join contents c on c.sequence = chain.sequence + 1
        ),
        amended as (
            update amendment a
            set content = case a.sequence when 1 then $2 else a.content end,
                content_hash = chain.hash, link = chain.link
            from chain where a.entity_id = $1 and a.sequence = chain.sequence
        )
        update base_entity set version_hash = (select link from chain where sequence = 2)
        where id = $1";
    let id: Uuid = id.parse().unwrap();
    sqlx::query(sql).bind(id).bind(content).execute(&app.owner).await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn an_amendment_that_cannot_be_read_breaks_the_chain(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (_, id) = agent_with_three_amendments(&app).await;
    let nested = format!(
        r#"{{"actor":"a","change_type":"evolution","data":{{"x":{}{}}},"timestamp":"t"}}"#,
        "[".repeat(127),
        "]".repeat(127)
    );
    for content in ["{}", "not JSON", &nested] {
        replace_second_amendment(&app, &id, content.as_bytes()).await;
        let found = tampering(&app, &id).await;
        assert_eq!(found, (json!(true), json!(1), json!("unreadable")), "{content}");
        let lines = export_lines(&app, "?entity_type=agent").await;
        match line::verify_line(lines[0].as_bytes()) {
            Err(LineError::Broken { at_index: 1, reason: Reason::Unreadable, .. }) => {}
            other => panic!("{content}: {other:?}"),
        }
        let report = app.post("/api/v1/audit/run?entity_type=agent", json!({})).await.expect(200);
        assert_eq!(report["violations"][0]["broken_at_index"], 1);
        let message = report["violations"][0]["message"].as_str().unwrap();
        assert!(message.contains("unreadable"), "{message}");
        assert_eq!(report["statistics"]["hash_chain_intact"], 0);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn an_audit_counts_the_entities_that_pass_each_group_of_checks(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (catalogue, id) = agent_with_three_amendments(&app).await;
    let report = app.post("/api/v1/audit/run", json!({})).await.expect(200);
    assert_eq!((&report["total_entities"], &report["compliant"]), (&json!(5), &json!(5)));
    let all = json!({"l0_pass": 5, "l1_pass": 5, "hash_chain_intact": 5});
    assert_eq!(report["statistics"], all);
    assert_eq!((&report["violations"], &report["warnings"]), (&json!([]), &json!([])));
    assert_eq!(report["complete"], true);

    app.create("/api/v1/teams", json!({"name": "Empty"})).await;
    tamper(&app, "update agent set name = 'Ravi'; update base_entity set status = 'inactive' where entity_type = 'skill'").await;
    let report = app.post("/api/v1/audit/run", json!({})).await.expect(200);
    assert_eq!((&report["total_entities"], &report["compliant"]), (&json!(6), &json!(3)));
    let some = json!({"l0_pass": 6, "l1_pass": 5, "hash_chain_intact": 4});
    assert_eq!(report["statistics"], some);
    let violations = report["violations"].as_array().unwrap();
    let rules: Vec<_> = violations.iter().map(|v| v["rule"].as_str().unwrap()).collect();
    assert_eq!(rules, ["hash-chain", "hash-chain", "L1-team-agents", "L1-team-job-role"]);
    assert_eq!(violations[0]["entity_id"], catalogue.skill);

    let agents = app.post("/api/v1/audit/run?entity_type=agent", json!({})).await.expect(200);
    assert_eq!((&agents["total_entities"], &agents["compliant"]), (&json!(1), &json!(0)));
    let one = app.post(&format!("/api/v1/audit/run?entity_id={id}"), json!({})).await.expect(200);
    assert_eq!(one["violations"][0]["broken_at_index"], 1);
    let path = format!("/api/v1/audit/run?entity_id={id}&entity_type=skill");
    app.post(&path, json!({})).await.expect(404);
}

/// Returns a clock that lets `checks` checks of the time pass.
fn time_for(checks: usize) -> impl FnMut() -> bool + Send + 'static {
    let mut done = 0;
    move || {
        done += 1;
        done > checks
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn an_audit_says_where_its_time_was_up_and_goes_on_from_there(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (catalogue, agent) = agent_with_three_amendments(&app).await;
    let mut connection = app.state.db.acquire().await.unwrap();
    let after = |id: &str| Some(id.parse().unwrap());
    // Each entity is checked once, and each of its amendments.
    for (checks, examined, next_after) in [
        (0, 0, None),
        (1, 0, None),
        (2, 1, after(&catalogue.industry)),
        (3, 1, after(&catalogue.industry)),
        (4, 2, after(&catalogue.skill)),
        (11, 4, after(&catalogue.team)),
        (12, 5, None),
    ] {
        let report = audit(&mut connection, Scope::default(), time_for(checks)).await.unwrap();
        assert_eq!((report.total_entities, report.next_after), (examined, next_after), "{checks}");
        assert_eq!(report.complete, examined == 5);
        let warned = report.warnings.iter().any(|warning| warning.contains("time limit"));
        assert_eq!(warned, !report.complete);
    }
    let scope = Scope { after: after(&catalogue.team), ..Scope::default() };
    let report = audit(&mut connection, scope, time_for(0)).await.unwrap();
    assert_eq!(report.next_after, scope.after);

    let path = format!("/api/v1/audit/run?after={}", catalogue.job_role);
    let rest = app.post(&path, json!({})).await.expect(200);
    assert_eq!((&rest["total_entities"], &rest["complete"]), (&json!(2), &json!(true)));
    assert_eq!(rest["next_after"], Value::Null);
    let one = Scope { id: after(&agent), ..Scope::default() };
    let report = audit(&mut connection, one, time_for(2)).await.unwrap();
    assert!(!report.complete);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_audit_has_a_time_limit(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.create_agent("Asha").await;
    let report = run(&app.state.db, Scope::default(), Duration::ZERO).await.unwrap();
    assert!(!report.complete);
}

/// A page of entities ends where their attributes are large, so that it fits into memory.
#[sqlx::test(migrations = "../migrations")]
async fn all_entities_are_read_whatever_the_size_of_their_attributes(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for n in 0..6 {
        app.create("/api/v1/industries", json!({"name": format!("Industry {n}")})).await;
    }
    tamper(
        &app,
        "update base_entity
        set custom_attributes = jsonb_build_object('x', repeat('x', 400000))
        where id in (select id from base_entity order by id offset 1)",
    )
    .await;
    let mut connection = app.state.db.acquire().await.unwrap();
    let mut pages = EntityPages::new(None, Uuid::nil());
    let mut sizes = Vec::new();
    while let Some(page) = pages.next(&mut connection).await.unwrap() {
        sizes.push(page.entities.len());
    }
    assert_eq!(sizes, [4, 2]);
    let report = app.post("/api/v1/audit/run", json!({})).await.expect(200);
    assert_eq!(report["total_entities"], 6);
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

#[sqlx::test(migrations = "../migrations")]
async fn one_audit_and_one_export_run_at_a_time_in_this_process(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.create("/api/v1/industries", json!({"name": "Sales"})).await;
    for (kind, method, path) in [
        (BulkRead::Audit, Method::POST, "/api/v1/audit/run"),
        (BulkRead::Export, Method::GET, "/api/v1/audit/export"),
    ] {
        let running = app.state.db.begin_bulk_read(kind, Duration::from_secs(30)).await.unwrap();
        let request = Request::builder().method(&method).uri(path).body(Body::empty()).unwrap();
        let rejected = app.send(request).await;
        assert!(rejected.header("retry-after").is_some());
        assert_eq!(rejected.expect(429)["code"], "rate-limited");
        running.0.end().await;
        drop(running.1);
        assert_eq!(until_started(&app, method, path).await.status(), 200);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn one_audit_and_one_export_run_at_a_time_in_all_replicas(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.create("/api/v1/industries", json!({"name": "Sales"})).await;
    for (kind, method, path) in [
        (BulkRead::Audit, Method::POST, "/api/v1/audit/run"),
        (BulkRead::Export, Method::GET, "/api/v1/audit/export"),
    ] {
        let mut replica = app.owner.begin().await.unwrap();
        sqlx::query("select pg_advisory_xact_lock($1)")
            .bind(kind.lock_key())
            .execute(&mut *replica)
            .await
            .unwrap();
        for _ in 0..2 {
            let request = Request::builder().method(&method).uri(path).body(Body::empty()).unwrap();
            assert_eq!(app.send(request).await.expect(429)["code"], "rate-limited");
        }
        replica.rollback().await.unwrap();
        assert_eq!(until_started(&app, method, path).await.status(), 200);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn audits_and_exports_use_no_connection_of_the_requests(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.create("/api/v1/industries", json!({"name": "Sales"})).await;
    let (_, _, max) = app.state.db.pool_usage();
    let mut taken = Vec::new();
    for _ in 0..max {
        taken.push(app.state.db.acquire().await.unwrap());
    }
    assert_eq!(app.post("/api/v1/audit/run", json!({})).await.expect(200)["total_entities"], 1);
    assert_eq!(export_lines(&app, "").await.len(), 2);

    let limit = Duration::from_millis(1234);
    let (mut snapshot, _unsent) =
        app.state.db.begin_bulk_read(BulkRead::Audit, limit).await.unwrap();
    let settings = "select current_user::text, current_setting('statement_timeout')";
    let settings: (String, String) =
        sqlx::query_as(settings).fetch_one(&mut *snapshot).await.unwrap();
    assert_eq!(settings, ("plant_app".into(), "1234ms".into()));
}

/// Returns the lines of an export.
async fn export_lines(app: &TestApp, query: &str) -> Vec<String> {
    let response = app.get(&format!("/api/v1/audit/export{query}")).await;
    assert_eq!(response.status, 200, "{}", response.text);
    assert_eq!(response.header("content-type"), Some("application/x-ndjson"));
    assert!(response.text.ends_with('\n'));
    response.text.lines().map(str::to_owned).collect()
}

#[sqlx::test(migrations = "../migrations")]
async fn an_export_has_every_entity_and_a_manifest(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let empty = export_lines(&app, "").await;
    let expected = Manifest { entities: 0, sha256: Digest32::sha256(b"") };
    assert_eq!(Manifest::parse(empty[0].as_bytes()), Some(expected));

    let (catalogue, id) = agent_with_three_amendments(&app).await;
    let lines = export_lines(&app, "").await;
    let (manifest, entities) = lines.split_last().unwrap();
    let before: String = entities.iter().map(|line| format!("{line}\n")).collect();
    let expected = Manifest { entities: 5, sha256: Digest32::sha256(before.as_bytes()) };
    assert_eq!(Manifest::parse(manifest.as_bytes()), Some(expected));
    let mut ids = Vec::new();
    for line in entities {
        ids.push(line::verify_line(line.as_bytes()).unwrap().id.to_string());
        let value: Value = serde_json::from_str(line).unwrap();
        assert_eq!(&serde_json_canonicalizer::to_string(&value).unwrap(), line);
    }
    let CatalogueIds { industry, skill, job_role, team, agent } = catalogue;
    assert_eq!(ids, [industry, skill, job_role, team, agent]);
    assert_eq!(line::verify_line(entities[4].as_bytes()).unwrap().links, 3);

    let skills = export_lines(&app, "?entity_type=skill").await;
    assert_eq!(skills.len(), 2);
    assert_eq!(skills[0], entities[1]);

    tamper(&app, "update agent set name = 'Ravi'").await;
    tamper(&app, "update amendment set content = '\\xff' where sequence = 0 and content like '%Studio%'::bytea").await;
    let lines = export_lines(&app, "?entity_type=agent").await;
    match line::verify_line(lines[0].as_bytes()) {
        Err(LineError::Broken {
            id: at, at_index: 1, reason: Reason::StateDiffers, field, ..
        }) => {
            assert_eq!((at.to_string(), field.as_deref()), (id, Some("name")));
        }
        other => panic!("{other:?}"),
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn content_that_is_not_utf8_is_exported_and_detected(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.create("/api/v1/industries", json!({"name": "Sales"})).await;
    tamper(&app, "update amendment set content = set_byte(content, 5, 255)").await;
    let lines = export_lines(&app, "").await;
    let found = line::verify_line(lines[0].as_bytes());
    let altered =
        matches!(found, Err(LineError::Broken { at_index: 0, reason: Reason::ContentAltered, .. }));
    assert!(altered, "{found:?}");
}

/// Creates entities with more data than fits into the chunks that are buffered for a client.
async fn create_large_entities(app: &TestApp) {
    let long = "x".repeat(10_000);
    for n in 0..60 {
        let body = json!({"name": format!("Industry {n}"), "description": long});
        app.create("/api/v1/industries", body).await;
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn an_export_that_nobody_receives_holds_no_snapshot_and_no_lock(pool: PgPool) {
    let app = TestApp::new(pool).await;
    create_large_entities(&app).await;
    let first = Request::get("/api/v1/audit/export").body(Body::empty()).unwrap();
    let first = app.start_request(first).await;
    assert_eq!(first.status(), 200);
    // An entity created after the start of the export is not part of it.
    app.create("/api/v1/industries", json!({"name": "Too late"})).await;
    let second = until_started(&app, Method::GET, "/api/v1/audit/export").await;
    let transactions = "select count(*) from pg_stat_activity
        where datname = current_database() and backend_type = 'client backend'
            and backend_xmin is not null and pid <> pg_backend_pid()";
    let second = axum::body::to_bytes(second.into_body(), usize::MAX).await.unwrap();
    let open: i64 = sqlx::query_scalar(transactions).fetch_one(&app.owner).await.unwrap();
    assert_eq!(open, 0);
    let first = axum::body::to_bytes(first.into_body(), usize::MAX).await.unwrap();
    let lines = |body: &[u8]| body.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!((lines(&first), lines(&second)), (61, 62));
}

#[sqlx::test(migrations = "../migrations")]
async fn the_number_of_exports_that_nobody_receives_is_limited(pool: PgPool) {
    let app = TestApp::new(pool).await;
    create_large_entities(&app).await;
    let mut bodies = Vec::new();
    for _ in 0..4 {
        bodies.push(until_started(&app, Method::GET, "/api/v1/audit/export").await);
    }
    // The last of them reads the database until its lock is free.
    let mut owner = app.owner.begin().await.unwrap();
    let lock = sqlx::query("select pg_advisory_xact_lock($1)").bind(BulkRead::Export.lock_key());
    lock.execute(&mut *owner).await.unwrap();
    owner.rollback().await.unwrap();
    app.get("/api/v1/audit/export").await.expect(429);
    // Dropping the bodies stands in for clients that disconnect.
    bodies.clear();
    assert_eq!(until_started(&app, Method::GET, "/api/v1/audit/export").await.status(), 200);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_export_whose_time_is_up_has_no_manifest_and_is_continued_after_its_last_id(
    pool: PgPool,
) {
    let app = TestApp::new(pool).await;
    let (catalogue, _) = agent_with_three_amendments(&app).await;
    let shutdown = CancellationToken::new();
    // Two checks for each of three entities.
    let scope = export::Scope::default();
    let body = export::export_until(&app.state.db, shutdown, scope, time_for(6)).await.unwrap();
    let parts: Vec<_> = body.collect().await;
    let (error, parts) = parts.split_last().unwrap();
    assert!(error.is_err());
    let text: Vec<u8> = parts.iter().flat_map(|part| part.as_ref().unwrap().to_vec()).collect();
    let text = String::from_utf8(text).unwrap();
    assert!(text.ends_with('\n') && text.lines().count() == 3, "{text}");
    assert!(text.lines().all(|line| Manifest::parse(line.as_bytes()).is_none()));
    let last = line::verify_line(text.lines().last().unwrap().as_bytes()).unwrap();
    assert_eq!(last.id.to_string(), catalogue.job_role);

    let rest = export_lines(&app, &format!("?after={}", last.id)).await;
    let whole = export_lines(&app, "").await;
    assert_eq!(rest[..2], whole[3..5]);
    assert_eq!(Manifest::parse(rest[2].as_bytes()).unwrap().entities, 2);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_aborted_export_ends_with_an_error(pool: PgPool) {
    let app = TestApp::new(pool).await;
    create_large_entities(&app).await;
    let export = Request::get("/api/v1/audit/export").body(Body::empty()).unwrap();
    let export = app.start_request(export).await;
    app.state.shutdown.cancel();
    assert!(axum::body::to_bytes(export.into_body(), usize::MAX).await.is_err());
}
