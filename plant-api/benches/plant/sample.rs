//! Deterministic sample entities, equal to those that the service writes, for benchmarks, tests and
//! examples without a database.

use chrono::{DateTime, TimeDelta, Utc};
use plant_api::plant::agents::AgentContent;
use plant_api::plant::audit::line::{self, Manifest};
use plant_api::plant::chain::{Amendment, Change, ChangeType, Digest32, Format, Head};
use plant_api::plant::entity::{self, BaseEntity, Kind, Status};
use plant_api::plant::industries::IndustryId;
use plant_api::plant::job_roles::JobRoleId;
use plant_api::plant::skills::SkillId;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// An entity with its whole chain, and its fields as canonical JSON.
pub struct Sample {
    pub base: BaseEntity,
    pub chain: Vec<Amendment>,
    pub fields: Vec<u8>,
}

/// Returns id number `n` of a kind; `kind` is any small number.
pub fn id(kind: u128, n: u64) -> Uuid {
    Uuid::from_u128(0x0198_c0de_0000_7000_8000_0000_0000_0000 | kind << 40 | u128::from(n))
}

pub fn creation_time() -> DateTime<Utc> {
    DateTime::from_timestamp(1_768_383_000, 0).unwrap()
}

pub fn content(n: u64) -> AgentContent {
    AgentContent {
        name: format!("Asha Rao, Senior Content Writer {n}"),
        skill_id: SkillId(id(1, n % 50)),
        job_role_id: JobRoleId(id(2, n % 20)),
        team_id: None,
        industry_id: IndustryId(id(3, n % 3)),
    }
}

/// Returns a change of about 300 bytes.
pub fn change(n: u64, at: DateTime<Utc>) -> Change {
    let data = json!({
        "governance_notes": format!("Reviewed for the {n}th time; tone and facts are \"as agreed\"."),
        "tags": ["blog", "seo", "long-form"],
        "custom_attributes": {"tone": "warm", "words": 1200 + n % 100, "temperature": 0.7},
    });
    let Value::Object(data) = data else { unreachable!() };
    Change { change_type: ChangeType::Evolution, data, timestamp: at, actor: "anonymous".into() }
}

/// Returns agent number `n` with `changes` changes after its creation.
pub fn agent(n: u64, changes: u64) -> Sample {
    let content = content(n);
    let entity = content.new_entity(id(4, n), creation_time(), "anonymous").unwrap();
    let mut base = BaseEntity {
        id: entity.id,
        kind: Kind::Agent,
        external_id: None,
        status: Status::Active,
        created_at: entity.created_at,
        updated_at: entity.created_at,
        deleted_at: None,
        certified_at: None,
        chain_length: 1,
        version_hash: entity.first_amendment.link,
        tags: Vec::new(),
        custom_attributes: Value::Object(Map::new()),
        governance_notes: None,
        parent_id: None,
        governance_agent_id: entity::GOVERNANCE_AGENT.to_owned(),
        unreadable: Vec::new(),
    };
    let mut chain = vec![entity.first_amendment];
    for i in 0..changes {
        let at = creation_time() + TimeDelta::microseconds(1 + i.cast_signed());
        let change = change(n + i, at);
        base.updated_at = at;
        base.tags = serde_json::from_value(change.data["tags"].clone()).unwrap();
        base.custom_attributes = change.data["custom_attributes"].clone();
        base.governance_notes = change.data["governance_notes"].as_str().map(str::to_owned);
        let amendment = Amendment::after(
            Format::NEWEST,
            base.identity(),
            base.head(),
            change.to_canonical_json(),
        );
        let Head { length, version_hash } = amendment.head();
        base.chain_length = length.cast_signed();
        base.version_hash = version_hash;
        chain.push(amendment);
    }
    let fields = base.canonical_fields(&entity::to_fields(&content).unwrap()).unwrap();
    Sample { base, chain, fields }
}

/// Returns the entity's line of an export, including the line feed.
pub fn export_line(sample: &Sample) -> Vec<u8> {
    let mut out = Vec::new();
    line::write_start(&mut out);
    for amendment in &sample.chain {
        line::write_amendment(&mut out, amendment);
    }
    line::write_end(&mut out, &sample.base, &sample.fields);
    out
}

/// Returns `lines` followed by their manifest.
pub fn with_manifest(mut lines: Vec<u8>) -> Vec<u8> {
    let entities = lines.split_inclusive(|byte| *byte == b'\n').count() as u64;
    let manifest = Manifest { entities, sha256: Digest32::sha256(&lines) };
    lines.extend(format!("{manifest}\n").bytes());
    lines
}

/// Returns an export of `entities` agents, with chains of one to three amendments.
pub fn export(entities: u64) -> Vec<u8> {
    with_manifest((0..entities).flat_map(|n| export_line(&agent(n, n % 3))).collect())
}
