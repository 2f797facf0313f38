//! Rows with values that the service cannot have stored: each is reported as altered, and hides no
//! other entity.

use super::super::line::{self, LineError};
use super::export::export_lines;
use super::*;

/// Drops the constraints that reject such values, and copies all tables.
const PREPARE: &str = "
    alter table base_entity
        drop constraint base_entity_status_known,
        drop constraint base_entity_entity_type_known,
        drop constraint base_entity_chain_length_positive,
        drop constraint base_entity_version_hash_size,
        drop constraint base_entity_governance_agent_id_named,
        alter column created_at drop not null,
        alter column governance_agent_id drop not null,
        alter column chain_length drop not null;
    alter table amendment
        drop constraint amendment_link_size,
        drop constraint amendment_sequence_natural,
        alter column content drop not null;
    alter table agent drop constraint agent_id_fkey, alter column name drop not null;
    alter table skill drop constraint skill_category_known;
    create table amendment_backup as select * from amendment;
    create table entity_backup as select * from base_entity;
    create table agent_backup as select id, name from agent;
    create table skill_backup as select id, category from skill";

const RESTORE: &str = "
    update base_entity e
    set entity_type = b.entity_type, version_hash = b.version_hash, chain_length = b.chain_length,
        status = b.status, tags = b.tags, custom_attributes = b.custom_attributes,
        created_at = b.created_at, updated_at = b.updated_at, deleted_at = b.deleted_at,
        certified_at = b.certified_at, governance_agent_id = b.governance_agent_id
    from entity_backup b
    where b.id = e.id;
    delete from amendment;
    insert into amendment overriding system value select * from amendment_backup;
    update agent a set name = b.name from agent_backup b where b.id = a.id;
    update skill s set category = b.category from skill_backup b where b.id = s.id";

/// Asserts that everything that verifies entities reports the one with this id, and only this one,
/// as broken at this index for this reason.
async fn expect_broken(app: &TestApp, id: &str, index: u64, reason: &str, sql: &str) {
    let entities = "select count(*) from base_entity";
    let entities: i64 = sqlx::query_scalar(entities).fetch_one(&app.owner).await.unwrap();
    let found = tampering(app, id).await;
    assert_eq!(found, (json!(true), json!(index), json!(reason)), "{sql}");

    let view = app.get(&format!("/api/v1/entities/{id}")).await.expect(200);
    assert_eq!(view["audit_trail"]["tamper_proof"], false, "{sql}");
    app.get(&format!("/api/v1/entities/{id}/amendments")).await.expect(200);

    for query in ["".to_owned(), format!("?entity_id={id}")] {
        let report = app.post(&format!("/api/v1/audit/run{query}"), json!({})).await.expect(200);
        let total = if query.is_empty() { entities } else { 1 };
        assert_eq!(report["total_entities"], total, "{sql}");
        assert_eq!(report["statistics"]["hash_chain_intact"], total - 1, "{sql}");
        let first = &report["violations"][0];
        assert_eq!((&first["entity_id"], &first["rule"]), (&json!(id), &json!("hash-chain")));
        assert_eq!(first["broken_at_index"], index, "{sql}");
    }

    let lines = export_lines(app, "").await;
    let (_manifest, lines) = lines.split_last().unwrap();
    assert_eq!(lines.len() as i64, entities, "{sql}");
    for line in lines {
        match line::verify_line(line.as_bytes()) {
            Ok(verified) => assert_ne!(verified.id.to_string(), id, "{sql}: {line}"),
            Err(LineError::Broken { id: at, at_index, reason: found, .. }) => {
                let expected = (id.to_owned(), index, reason);
                assert_eq!((at.to_string(), at_index, found.as_str()), expected, "{sql}");
            }
            Err(error) => panic!("{sql}: {error:?} in {line}"),
        }
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_base_row_that_cannot_be_read_is_reported_and_hides_no_other(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (_, id) = agent_with_three_amendments(&app).await;
    tamper(&app, PREPARE).await;
    for (change, index, reason) in [
        ("tags = '{NULL}'", 1, "state_differs"),
        ("tags = '{{a,b},{c,d}}'", 1, "state_differs"),
        ("tags = '[2:2]={seo}'", 1, "state_differs"),
        ("deleted_at = 'infinity'", 2, "state_differs"),
        ("deleted_at = '-infinity'", 2, "state_differs"),
        ("deleted_at = '294000-01-01'", 2, "state_differs"),
        ("created_at = 'infinity'", 0, "state_differs"),
        ("created_at = null", 0, "state_differs"),
        ("updated_at = '294000-01-01'", 2, "state_differs"),
        ("certified_at = 'infinity'", 2, "state_differs"),
        ("custom_attributes = '{\"a\": 1e400}'", 1, "state_differs"),
        ("custom_attributes = '{\"$serde_json::private::RawValue\": \"x\"}'", 1, "state_differs"),
        (
            "custom_attributes = jsonb_build_object(
                '$serde_json::private::RawValue', custom_attributes::text
            )",
            1,
            "state_differs",
        ),
        ("custom_attributes = (repeat('[', 200) || repeat(']', 200))::jsonb", 1, "state_differs"),
        (
            "custom_attributes = jsonb_build_object('a', (repeat('[', 120) || repeat(']', 120))::jsonb)",
            1,
            "state_differs",
        ),
        ("status = 'gone'", 0, "state_differs"),
        ("governance_agent_id = null", 2, "state_differs"),
        ("version_hash = version_hash || '\\x00'", 2, "wrong_version_hash"),
        ("version_hash = ''", 2, "wrong_version_hash"),
        ("chain_length = -chain_length", 0, "wrong_length"),
        ("chain_length = 0", 0, "wrong_length"),
        ("chain_length = null", 0, "wrong_length"),
    ] {
        let sql = format!("update base_entity set {change} where id = '{id}'");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.clone())).execute(&app.owner).await.unwrap();
        expect_broken(&app, &id, index, reason, &sql).await;
        if !change.starts_with("deleted_at") && !change.contains("120") {
            let path = format!("/api/v1/agents/{id}");
            let refused = app.patch(&path, json!({"name": "Ravi"})).await.expect(409);
            assert_eq!(refused["code"], "hash-chain-broken", "{sql}");
        }
        tamper(&app, RESTORE).await;
        assert_eq!(tampering(&app, &id).await.0, json!(false), "restored after {sql}");
    }
    let report = app.post("/api/v1/audit/run", json!({})).await.expect(200);
    assert_eq!(report["statistics"]["hash_chain_intact"], 5);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_amendment_that_cannot_be_decoded_is_reported_and_hides_no_other(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (_, id) = agent_with_three_amendments(&app).await;
    tamper(&app, PREPARE).await;
    for (change, index, reason) in [
        ("set link = link || '\\x00' where sequence = 1", 1, "link_altered"),
        ("set link = '' where sequence = 2", 2, "link_altered"),
        ("set content_hash = content_hash || '\\x00' where sequence = 1", 1, "content_altered"),
        ("set content = null where sequence = 0", 0, "content_altered"),
        ("set sequence = -1 where sequence = 1", 0, "wrong_sequence"),
        ("set sequence = -2 where sequence = 2", 0, "wrong_sequence"),
        ("set sequence = 7 where sequence = 0", 0, "wrong_sequence"),
    ] {
        let sql = format!("update amendment {change} and entity_id = '{id}'");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.clone())).execute(&app.owner).await.unwrap();
        expect_broken(&app, &id, index, reason, &sql).await;
        tamper(&app, RESTORE).await;
        assert_eq!(tampering(&app, &id).await.0, json!(false), "restored after {sql}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_row_of_a_kind_that_cannot_be_read_is_reported_and_hides_no_other(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (catalogue, agent) = agent_with_three_amendments(&app).await;
    app.create_agent("Ravi").await;
    tamper(&app, PREPARE).await;
    for (id, change) in [
        (&agent, "update agent set name = null"),
        (&catalogue.skill, "update skill set category = 'gone'"),
    ] {
        let sql = &format!("{change} where id = '{id}'");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.clone())).execute(&app.owner).await.unwrap();
        expect_broken(&app, id, 0, "state_differs", sql).await;
        tamper(&app, RESTORE).await;
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn an_entity_of_an_unknown_kind_is_reported_and_hides_no_other(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (_, agent) = agent_with_three_amendments(&app).await;
    tamper(&app, PREPARE).await;
    let sql = "update base_entity set entity_type = 'gone' where entity_type = 'agent'";
    tamper(&app, sql).await;
    expect_broken(&app, &agent, 0, "link_altered", sql).await;
    let report = app.get(&format!("/api/v1/audit/tampering/{agent}")).await.expect(200);
    assert_eq!(report["entity_type"], Value::Null);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_value_that_cannot_be_read_is_shown_as_such(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (_, id) = agent_with_three_amendments(&app).await;
    tamper(&app, PREPARE).await;
    let sql = "update base_entity
        set status = 'gone', tags = '{NULL}', deleted_at = 'infinity', version_hash = ''";
    tamper(&app, sql).await;
    let view = app.get(&format!("/api/v1/entities/{id}")).await.expect(200);
    for (section, field) in [
        ("lifecycle", "status"),
        ("lifecycle", "deleted_at"),
        ("metadata", "tags"),
        ("versioning", "version_hash"),
    ] {
        assert_eq!(view[section][field], "unreadable", "{field}");
    }
    assert_eq!(view["identity"]["entity_type"], "agent");
    assert_eq!(view["lifecycle"]["updated_at"], view["lifecycle"]["certified_at"]);
}
