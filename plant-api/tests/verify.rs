//! `plant-api verify` detects every alteration of an exported file, and where it is.

#[path = "../benches/plant/sample.rs"]
mod sample;

use std::process::{Command, Output};

use plant_api::plant::audit::line::{LineError, verify_line, verify_long_line};
use plant_api::verify::{Outcome, verify_reader};
use proptest::prelude::*;
use sample::{agent, export, export_line, with_manifest};
use serde_json::{Value, json};

fn verify(file: &[u8]) -> Outcome {
    verify_reader(file, |_| {})
}

/// Returns line number and message of the defect; the file must be broken.
fn broken(file: &[u8]) -> (u64, String) {
    match verify(file) {
        Outcome::Broken(defect) => (defect.line, defect.message),
        other => panic!("{other}"),
    }
}

fn unreadable(file: &[u8]) -> (u64, String) {
    match verify(file) {
        Outcome::Unreadable(defect) => (defect.line, defect.message),
        other => panic!("{other}"),
    }
}

fn is_intact(file: &[u8]) -> bool {
    matches!(verify(file), Outcome::Intact(_))
}

#[test]
fn an_unaltered_file_is_intact() {
    for entities in [0, 1, 3, 3_000] {
        let file = export(entities);
        let Outcome::Intact(totals) = verify(&file) else { panic!("{}", verify(&file)) };
        let links = (0..entities).map(|n| 1 + n % 3).sum();
        assert_eq!((totals.entities, totals.links), (entities, links));
        assert_eq!(totals.bytes, file.len() as u64);
    }
}

/// An export of the service from before version 2 of the chain's format: an entity of each kind,
/// with changes and certifications.
const EXPORT_V1: &[u8] = include_bytes!("data/exports/v1.ndjson");

/// The same entities, exported and created by the service with version 2.
const EXPORT_V2: &[u8] = include_bytes!("data/exports/v2.ndjson");

#[test]
fn exports_of_both_versions_are_intact() {
    for file in [EXPORT_V1, EXPORT_V2] {
        let Outcome::Intact(totals) = verify(file) else { panic!("{}", verify(file)) };
        assert_eq!((totals.entities, totals.links), (5, 9));
    }
}

/// Returns a file in which all entities of a kind got another kind, with a matching manifest.
fn with_kind(file: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = str::from_utf8(file).unwrap();
    let (before, after) =
        (format!(r#""entity_type":"{from}""#), format!(r#""entity_type":"{to}""#));
    let (lines, manifest) = text.trim_end().rsplit_once('\n').unwrap();
    assert!(lines.contains(&before) && manifest.contains("sha256"));
    with_manifest(format!("{}\n", lines.replace(&before, &after)).into_bytes())
}

#[test]
fn a_changed_entity_type_breaks_the_chain() {
    let kinds = ["industry", "skill", "job_role", "team", "agent"];
    for (index, kind) in kinds.iter().enumerate() {
        for other in kinds.iter().filter(|other| *other != kind) {
            let (line, message) = broken(&with_kind(EXPORT_V2, kind, other));
            assert_eq!(line, 1 + index as u64, "{kind} to {other}");
            assert!(message.contains("amendment 0: link_altered"), "{message}");
        }
    }
    // The links of version 1 do not contain the type.
    assert!(is_intact(&with_kind(EXPORT_V1, "industry", "team")));
}

/// `scripts/flip_every_byte.sh` flips every bit of a file of a thousand entities.
#[test]
fn a_flipped_bit_in_any_byte_of_a_small_file_is_detected() {
    let mut file = export(4);
    for index in 0..file.len() {
        let bit = 1 << (index % 8);
        file[index] ^= bit;
        assert!(!is_intact(&file), "byte {index}");
        file[index] ^= bit;
    }
    assert!(is_intact(&file));
}

#[test]
fn a_truncated_file_is_unreadable() {
    let file = export(3);
    for length in 0..file.len() {
        unreadable(&file[..length]);
    }
    let (line, message) = unreadable(&file[..export_line(&agent(0, 0)).len()]);
    assert_eq!(line, 1);
    assert!(message.contains("no manifest"), "{message}");
}

#[test]
fn removed_duplicated_and_moved_lines_are_detected() {
    let lines: Vec<_> = (0..5).map(|n| export_line(&agent(n, 1))).collect();
    let export_of =
        |order: &[usize]| with_manifest(order.iter().flat_map(|n| lines[*n].clone()).collect());
    assert!(is_intact(&export_of(&[0, 1, 2, 3, 4])));
    let (line, message) = broken(&export_of(&[0, 1, 3, 2, 4]));
    assert_eq!(line, 4);
    assert!(message.contains("out of order"), "{message}");
    let (line, message) = broken(&export_of(&[0, 1, 1, 2]));
    assert_eq!(line, 3);
    assert!(message.contains("duplicate entity"), "{message}");
    // A removed line is detected by the original manifest.
    let complete = export_of(&[0, 1, 2, 3, 4]);
    let manifest = complete.split_inclusive(|byte| *byte == b'\n').next_back().unwrap();
    let shortened = [&lines[0][..], &lines[1], &lines[2], &lines[4], manifest].concat();
    let (line, message) = broken(&shortened);
    assert_eq!(line, 5);
    assert!(message.contains("manifest"), "{message}");
}

#[test]
fn the_first_defect_is_reported_across_blocks() {
    let mut lines: Vec<_> = (0..5_000).map(|n| export_line(&agent(n, 1))).collect();
    lines.swap(3_999, 4_000);
    let text = String::from_utf8(lines[1_234].clone()).unwrap();
    let forged = text.replace("Reviewed", "Reviled");
    let (line, _) = broken(&with_manifest(lines.concat()));
    assert_eq!(line, 4_001);
    lines[1_234] = forged.into_bytes();
    let (line, message) = broken(&with_manifest(lines.concat()));
    assert_eq!(line, 1_235);
    assert!(message.contains("content_altered"), "{message}");
}

#[test]
fn a_line_longer_than_a_block_is_verified() {
    assert!(is_intact(&with_manifest(export_line(&agent(0, 5_000)))));
}

/// A line of more than 4 MiB is not kept in memory.
#[test]
fn a_chain_too_long_for_memory_is_verified() {
    let lines = [agent(0, 2), agent(1, 10_000), agent(2, 1)];
    let file = with_manifest(lines.iter().flat_map(export_line).collect());
    let Outcome::Intact(totals) = verify(&file) else { panic!("{}", verify(&file)) };
    assert_eq!((totals.entities, totals.links), (3, 3 + 10_001 + 2));

    let mut altered = String::from_utf8(file.clone()).unwrap();
    let at = altered.find("the 9998th time").unwrap();
    altered.replace_range(at..at + 3, "our");
    let (line, message) = broken(altered.as_bytes());
    assert_eq!(line, 2);
    assert!(message.contains("amendment 9998: content_altered"), "{message}");
    let (line, message) = unreadable(&file[..export_line(&lines[0]).len() + 4_800_000]);
    assert_eq!(line, 2);
    assert!(message.contains("no manifest"), "{message}");
    let incomplete = String::from_utf8(file).unwrap().replace("\"chain_length\":10001,", "");
    let (line, message) = unreadable(incomplete.as_bytes());
    assert_eq!(line, 2);
    assert!(message.contains("missing field"), "{message}");
}

/// Returns an export of one line that `change` alters, with a matching manifest.
fn altered_export(changes: u64, change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let line = export_line(&agent(7, changes));
    let mut value: Value = serde_json::from_slice(&line).unwrap();
    change(&mut value);
    let mut line = serde_json_canonicalizer::to_vec(&value).unwrap();
    line.push(b'\n');
    with_manifest(line)
}

fn amendments(line: &mut Value) -> &mut Vec<Value> {
    line["amendments"].as_array_mut().unwrap()
}

#[test]
fn changed_fields_are_detected_though_the_manifest_matches() {
    for (field, value, index) in [
        ("name", json!("Ravi"), 0),
        ("status", json!("inactive"), 0),
        ("tags", json!([]), 2),
        ("governance_notes", json!(null), 2),
        ("certified_at", json!("2026-01-14T09:30:00Z"), 2),
        ("deleted_at", json!("2026-01-14T09:30:00Z"), 2),
        ("created_at", json!("2020-01-01T00:00:00Z"), 0),
        ("updated_at", json!("2020-01-01T00:00:00Z"), 2),
        ("unknown_field", json!(1), 2),
    ] {
        let (line, message) = broken(&altered_export(2, |line| line["entity"][field] = value));
        assert_eq!(line, 1);
        let expected = format!("amendment {index}: state_differs (`{field}`)");
        assert!(message.contains(&expected), "{message}");
    }
    let missing =
        altered_export(2, |line| drop(line["entity"].as_object_mut().unwrap().remove("skill_id")));
    assert!(broken(&missing).1.contains("state_differs (`skill_id`)"));
    let (_, message) =
        broken(&altered_export(2, |line| line["version_hash"] = json!("0".repeat(64))));
    assert!(message.contains("amendment 2: wrong_version_hash"), "{message}");
    let (_, message) = broken(&altered_export(2, |line| line["id"] = json!(sample::id(4, 8))));
    assert!(message.contains("amendment 0: link_altered"), "{message}");
}

/// Returns an export whose first line is `line`, with the other lines of `file` and a matching
/// manifest.
fn with_first_line(file: &[u8], line: &str) -> Vec<u8> {
    let lines: Vec<_> = str::from_utf8(file).unwrap().split_inclusive('\n').collect();
    let others = lines[1..lines.len() - 1].concat();
    with_manifest(format!("{line}\n{others}").into_bytes())
}

/// Returns the first line of an export, parsed.
fn first_line(file: &[u8]) -> Value {
    serde_json::from_slice(file.split(|byte| *byte == b'\n').next().unwrap()).unwrap()
}

#[test]
fn an_entity_has_exactly_the_fields_of_its_kind() {
    for file in [&export(2)[..], EXPORT_V1, EXPORT_V2] {
        let original = first_line(file);
        assert!(is_intact(&with_first_line(file, &original.to_string())));
        let fields: Vec<String> = original["entity"].as_object().unwrap().keys().cloned().collect();
        let detected = |line: &str, field: &str| {
            let (number, message) = broken(&with_first_line(file, line));
            assert_eq!(number, 1, "{line}");
            assert!(message.contains(&format!("state_differs (`{field}`)")), "{field}: {message}");
        };
        for field in &fields {
            let mut line = original.clone();
            line["entity"].as_object_mut().unwrap().remove(field);
            detected(&line.to_string(), field);

            let member = format!("{}:{},", json!(field), original["entity"][field]);
            let entity = original["entity"].to_string();
            let repeated = format!("{{{member}{}", &entity[1..]);
            detected(&original.to_string().replace(&entity, &repeated), field);
            let other = format!(r#"{{{}:"other",{}"#, json!(field), &entity[1..]);
            detected(&original.to_string().replace(&entity, &other), field);
        }
        for value in ["null", "[]", "{}", "\"genesis\""] {
            let mut line = original.clone();
            line["entity"]["approved_by"] = serde_json::from_str(value).unwrap();
            detected(&line.to_string(), "approved_by");
        }
        let mut line = original.clone();
        let optional = ["deleted_at", "external_id", "governance_agent_id", "tags", "updated_at"];
        line["entity"].as_object_mut().unwrap().retain(|name, _| !optional.contains(&&**name));
        detected(&line.to_string(), "deleted_at");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_changed_byte_is_detected(index in any::<prop::sample::Index>(), flip in 1u8..) {
        let mut file = export(6);
        let index = index.index(file.len());
        file[index] ^= flip;
        prop_assert!(!is_intact(&file));
    }

    /// The inserted space makes the fast path fail, so that `serde_json` parses the line.
    #[test]
    fn a_line_gets_the_same_result_from_all_parsers(
        changes in 0u64..3, index in any::<prop::sample::Index>(), flip in 0u8..,
    ) {
        let mut line = export_line(&agent(7, changes));
        line.pop();
        let index = 1 + index.index(line.len() - 1);
        line[index] ^= flip;
        let fast = verify_line(&line);
        let in_parts = verify_long_line(|| &line[..]);
        line.insert(1, b' ');
        for slow in [verify_line(&line), in_parts] {
            match (&fast, slow) {
                // The messages contain different columns.
                (Err(LineError::Malformed(_)), Err(LineError::Malformed(_))) => {}
                (fast, slow) => prop_assert_eq!(fast, &slow),
            }
        }
    }

    #[test]
    fn a_removed_amendment_is_detected_at_its_index(index in 0u64..6) {
        let file = altered_export(5, |line| drop(amendments(line).remove(index as usize)));
        let reason = if index == 5 { "wrong_length" } else { "wrong_sequence" };
        let expected = format!("amendment {index}: {reason}");
        prop_assert!(broken(&file).1.contains(&expected), "{}", broken(&file).1);
    }

    #[test]
    fn a_duplicated_amendment_is_detected_at_its_index(index in 0u64..6) {
        let file = altered_export(5, |line| {
            let duplicate = amendments(line)[index as usize].clone();
            amendments(line).insert(index as usize + 1, duplicate);
        });
        let expected = format!("amendment {}: wrong_sequence", index + 1);
        prop_assert!(broken(&file).1.contains(&expected), "{}", broken(&file).1);
    }

    #[test]
    fn swapped_amendments_are_detected_at_the_first_of_them(a in 0u64..6, b in 0u64..6) {
        prop_assume!(a != b);
        let file = altered_export(5, |line| amendments(line).swap(a as usize, b as usize));
        let expected = format!("amendment {}: wrong_sequence", a.min(b));
        prop_assert!(broken(&file).1.contains(&expected), "{}", broken(&file).1);
    }

    #[test]
    fn an_amendment_of_another_entity_is_detected_by_its_link(index in 0u64..6) {
        let other = export_line(&agent(8, 5));
        let mut other: Value = serde_json::from_slice(&other).unwrap();
        let foreign = amendments(&mut other)[index as usize].clone();
        let file = altered_export(5, |line| amendments(line)[index as usize] = foreign);
        let expected = format!("amendment {index}: link_altered");
        prop_assert!(broken(&file).1.contains(&expected), "{}", broken(&file).1);
    }

    #[test]
    fn changed_content_is_detected_at_its_index(index in 0u64..6, rehashed: bool) {
        let file = altered_export(5, |line| {
            let amendment = &mut amendments(line)[index as usize];
            let forged = amendment["content"].as_str().unwrap().replace("anonymous", "nobody");
            if rehashed {
                let hash = plant_api::plant::chain::Digest32::sha256(forged.as_bytes());
                amendment["content_hash"] = json!(hash);
            }
            amendment["content"] = json!(forged);
        });
        let reason = if rehashed { "link_altered" } else { "content_altered" };
        let expected = format!("amendment {index}: {reason}");
        prop_assert!(broken(&file).1.contains(&expected), "{}", broken(&file).1);
    }
}

fn run(file: &std::path::Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_plant-api")).arg("verify").arg(file).output().unwrap()
}

#[test]
fn the_exit_code_reports_the_outcome() {
    let folder = std::env::temp_dir().join(format!("plant-verify-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("export.ndjson");
    let broken = altered_export(1, |line| line["entity"]["name"] = json!("Ravi"));
    for (file, code, expected) in [
        (export(10), 0, "intact: 10 entities with 19 links"),
        (broken, 1, "broken: line 1: agent"),
        (b"{}\n{}\n".to_vec(), 2, "unreadable: line 1: missing field"),
    ] {
        std::fs::write(&path, file).unwrap();
        let output = run(&path);
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.starts_with(expected), "{text}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
    let output = run(&path);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stdout).unwrap().contains("No such file"));
}
