//! Tests of the check of one entity for tampering.

use uuid::Uuid;

use super::super::line::{self, LineError};
use super::export::export_lines;
use super::*;
use crate::plant::chain::Reason;

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
            insert into agent (id, name, skill_id, job_role_id, team_id, industry_id)
            select id, name, skill_id, job_role_id, team_id, industry_id from agent_backup",
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
