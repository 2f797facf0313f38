use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::plant::audit::line;
use crate::plant::chain::{Change, ChangeType, Format, Identity};
use crate::plant::entity::mutate::mutated;
use crate::plant::entity::{BaseEntity, GOVERNANCE_AGENT, Status};

/// Lines of an entity with one, two and three amendments, without line feeds.
fn lines() -> Vec<Vec<u8>> {
    let fields = json!({
        "name": "Asha \"Rao\" \\ é🙂", "tags": ["seo", "a\"b", "\\"], "description": "x".repeat(70),
        "custom_attributes": {"n": [0.1, -1e-7, 12], "": "\u{1}\n", "backslashes": "\\".repeat(9)},
    });
    let Value::Object(fields) = fields else { unreachable!() };
    let id = Uuid::from_u128(0x0198_c0de_0000_7000_8000_0000_0000_0001);
    let at = "2026-01-14T09:30:00Z".parse().unwrap();
    let mut chain: Vec<Amendment> = Vec::new();
    (0..3)
        .map(|_| {
            let change_type = ChangeType::Evolution;
            let actor = GOVERNANCE_AGENT.to_owned();
            let change = Change { change_type, data: fields.clone(), timestamp: at, actor };
            let content = change.to_canonical_json();
            let head = chain.last().map(Amendment::head).unwrap_or_default();
            let entity = Identity { id, kind: Kind::JobRole };
            chain.push(Amendment::after(Format::NEWEST, entity, head, content));
            line_text(&chain, &base(id, chain.last().unwrap().head(), &fields), &fields)
        })
        .collect()
}

fn base(id: Uuid, head: Head, fields: &Map<String, Value>) -> BaseEntity {
    let at = "2026-01-14T09:30:00Z".parse().unwrap();
    BaseEntity {
        id,
        kind: Kind::JobRole,
        external_id: None,
        status: Status::Active,
        created_at: at,
        updated_at: at,
        deleted_at: None,
        certified_at: None,
        chain_length: head.length.cast_signed(),
        version_hash: head.version_hash,
        tags: Vec::new(),
        custom_attributes: fields["custom_attributes"].clone(),
        governance_notes: None,
        parent_id: None,
        governance_agent_id: GOVERNANCE_AGENT.to_owned(),
        unreadable: Vec::new(),
    }
}

fn line_text(chain: &[Amendment], base: &BaseEntity, fields: &Map<String, Value>) -> Vec<u8> {
    let mut out = Vec::new();
    line::write_start(&mut out);
    for amendment in chain {
        line::write_amendment(&mut out, amendment);
    }
    line::write_end(&mut out, base, &serde_json_canonicalizer::to_vec(fields).unwrap());
    out.pop();
    out
}

#[test]
fn exported_lines_take_the_fast_path() {
    for text in lines() {
        let mut buffer = vec![b'x'; text.len()];
        let fast = Line::parse_fast(&text, &mut buffer);
        assert_eq!(fast, Some(Line::parse_slow(&text).unwrap()));
    }
}

#[test]
fn equivalent_json_is_parsed_too() {
    let text = String::from_utf8(lines().remove(0)).unwrap();
    for other in [
        text.replacen('{', "{ ", 1),
        text.replace(":1,", ":1 ,"),
        text.replace("genesis", "\\u0067enesis"),
        text.replace("\\\"actor", "\\u0022actor"),
        text.replace("0198c0de", "0198C0DE"),
    ] {
        assert_ne!(other, text);
        let expected = Line::parse_slow(text.as_bytes()).unwrap();
        assert_eq!(Line::parse(other.as_bytes(), &mut Vec::new()).unwrap(), expected, "{other}");
    }
}

/// Covers every position within the 64-byte blocks in which the parser finds escapes.
#[test]
fn escapes_are_parsed_at_any_position() {
    let line = String::from_utf8(lines().remove(0)).unwrap();
    let (before, rest) = line.split_once("genesis").unwrap();
    for length in 0..200 {
        for escape in ["", "\\\\", "\\\"", "\\\\\\\"", "\\\"\\\"", "\\\\\\\\"] {
            let actor = "a".repeat(length) + escape;
            let text = format!("{before}{actor}{rest}");
            let mut buffer = vec![0; text.len()];
            let fast = Line::parse_fast(text.as_bytes(), &mut buffer);
            assert_eq!(fast, Some(Line::parse_slow(text.as_bytes()).unwrap()), "{text}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn both_parsers_agree_on_lines(text in mutated(lines())) {
        let mut buffer = vec![0; text.len()];
        if let Some(line) = Line::parse_fast(&text, &mut buffer) {
            prop_assert_eq!(Ok(line), Line::parse_slow(&text));
        }
    }
}
