use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::plant::audit::line;
use crate::plant::chain::{Change, ChangeType};
use crate::plant::entity::mutate::mutated;
use crate::plant::entity::{GOVERNANCE_AGENT, Shared, Status};

/// The lines of an entity with chains of one, two and three amendments; their end is gone.
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
            let content = change.canonical();
            chain.push(match chain.last() {
                Some(last) => Amendment::after(id, last.head(), content),
                None => Amendment::first(id, content),
            });
            written(&chain, &shared(id, chain.last().unwrap().head(), &fields), &fields)
        })
        .collect()
}

fn shared(id: Uuid, head: Head, fields: &Map<String, Value>) -> Shared {
    let at = "2026-01-14T09:30:00Z".parse().unwrap();
    Shared {
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
    }
}

fn written(chain: &[Amendment], shared: &Shared, fields: &Map<String, Value>) -> Vec<u8> {
    let mut out = Vec::new();
    line::begin(&mut out);
    for amendment in chain {
        line::amendment(&mut out, amendment);
    }
    line::end(&mut out, shared, &serde_json_canonicalizer::to_vec(fields).unwrap());
    out.pop();
    out
}

#[test]
fn what_is_written_is_read_as_usual() {
    for text in lines() {
        let mut space = vec![b'x'; text.len()];
        let usual = Line::usual(&text, &mut space);
        assert_eq!(usual, Some(Line::unusual(&text).unwrap()));
    }
}

#[test]
fn a_line_spelled_in_another_way_is_read_too() {
    let text = String::from_utf8(lines().remove(0)).unwrap();
    for other in [
        text.replacen('{', "{ ", 1),
        text.replace(":1,", ":1 ,"),
        text.replace("genesis", "\\u0067enesis"),
        text.replace("\\\"actor", "\\u0022actor"),
        text.replace("0198c0de", "0198C0DE"),
    ] {
        assert_ne!(other, text);
        let expected = Line::unusual(text.as_bytes()).unwrap();
        assert_eq!(Line::read(other.as_bytes(), &mut Vec::new()).unwrap(), expected, "{other}");
    }
}

/// At every place of the blocks in which escapes are looked for.
#[test]
fn escapes_are_read_wherever_they_are() {
    let line = String::from_utf8(lines().remove(0)).unwrap();
    let (before, rest) = line.split_once("genesis").unwrap();
    for length in 0..200 {
        for escape in ["", "\\\\", "\\\"", "\\\\\\\"", "\\\"\\\"", "\\\\\\\\"] {
            let actor = "a".repeat(length) + escape;
            let text = format!("{before}{actor}{rest}");
            let mut space = vec![0; text.len()];
            let usual = Line::usual(text.as_bytes(), &mut space);
            assert_eq!(usual, Some(Line::unusual(text.as_bytes()).unwrap()), "{text}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn two_readers_agree_on_lines(text in mutated(lines())) {
        let mut space = vec![0; text.len()];
        if let Some(line) = Line::usual(&text, &mut space) {
            prop_assert_eq!(Ok(line), Line::unusual(&text));
        }
    }
}
