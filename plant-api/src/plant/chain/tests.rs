use chrono::TimeZone;
use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

use super::*;

fn entity() -> Identity {
    let id = Uuid::from_u128(0x0198_c0de_0000_7000_8000_0000_0000_0001);
    Identity { id, kind: Kind::Skill }
}

fn other_entity() -> Identity {
    Identity { id: Uuid::from_u128(7), ..entity() }
}

fn change(change_type: ChangeType, data: Value) -> Vec<u8> {
    let Value::Object(data) = data else { panic!("not an object") };
    let timestamp = Utc.with_ymd_and_hms(2026, 1, 14, 9, 30, 0).unwrap();
    Change { change_type, data, timestamp, actor: "genesis".into() }.to_canonical_json()
}

fn chain(length: u64) -> Vec<Amendment> {
    chain_of_format(Format::V2, entity(), length)
}

fn chain_of_format(format: Format, entity: Identity, length: u64) -> Vec<Amendment> {
    let first = change(ChangeType::Creation, json!({"name": "Python", "category": "technical"}));
    let mut chain = vec![Amendment::after(format, entity, Head::default(), first)];
    for n in 1..length {
        let content = change(ChangeType::Evolution, json!({"governance_notes": n}));
        let head = chain.last().unwrap().head();
        chain.push(Amendment::after(format, entity, head, content));
    }
    chain
}

fn head(chain: &[Amendment]) -> Head {
    chain.last().unwrap().head()
}

/// Changing these values requires a new version of the format.
#[test]
fn chains_of_both_versions_match_the_golden_vectors() {
    let contents = chain(2).into_iter().map(|a| String::from_utf8(a.content).unwrap());
    assert_eq!(contents.collect::<Vec<_>>(), GOLDEN_CONTENTS);
    for (format, kind, links) in [
        (Format::V1, Kind::Skill, GOLDEN_LINKS_V1),
        (Format::V1, Kind::JobRole, GOLDEN_LINKS_V1),
        (Format::V2, Kind::Skill, GOLDEN_LINKS_V2),
        (Format::V2, Kind::JobRole, GOLDEN_JOB_ROLE_LINKS_V2),
    ] {
        let chain = chain_of_format(format, Identity { kind, ..entity() }, 2);
        for ((amendment, hash), link) in chain.iter().zip(GOLDEN_HASHES).zip(links) {
            assert_eq!(amendment.content_hash.to_string(), hash);
            assert_eq!(amendment.link.to_string(), link, "{format:?} of a {kind:?}");
        }
    }
}

const GOLDEN_CONTENTS: [&str; 2] = [
    r#"{"actor":"genesis","change_type":"creation","data":{"category":"technical","name":"Python"},"timestamp":"2026-01-14T09:30:00Z"}"#,
    r#"{"actor":"genesis","change_type":"evolution","data":{"governance_notes":1},"timestamp":"2026-01-14T09:30:00Z"}"#,
];

const GOLDEN_HASHES: [&str; 2] = [
    "203b8c87d4f8f25bcb5725f02c032986189a388c43ad93fb3fc277d6f9b002c6",
    "0a416e0e49a7c8227df7f3576e5e4324cfa668380b5a4aaa07efdce1f5edb87b",
];

const GOLDEN_LINKS_V1: [&str; 2] = [
    "1da1a0de7783ccd7ccfec4a30cdf2d04ede02bd5d81d8da0ee3c28d223063c7d",
    "7e2a829163a7fd983b6a2d3245364d324b956e0472421bf503d0b080155493cc",
];

const GOLDEN_LINKS_V2: [&str; 2] = [
    "4a0d654226c4cc51b1d8c332ba81f5e5e3864e5ef5c6a5c7272fb65e21bbc294",
    "78c285656726bee7d41d2ab45afecf6c563b47e22f17fedf190e4ad64ed3c288",
];

const GOLDEN_JOB_ROLE_LINKS_V2: [&str; 2] = [
    "3fccad00259449cf310f0fd85e6bc5f466eb86ed36c70253670768d5bd663027",
    "b1a51116fddfdcf128b9caaa57445b9cc41bde727f388cd3168b14ee8b9f9a6b",
];

#[test]
fn a_new_chain_has_the_newest_version() {
    let content = change(ChangeType::Creation, json!({}));
    let first = Amendment::first(entity(), content);
    assert_eq!(Format::of_chain(entity(), first.content_hash, first.link), Format::V2);
}

#[test]
fn a_chain_of_version_1_verifies_and_tells_its_version() {
    let chain = chain_of_format(Format::V1, entity(), 5);
    assert_eq!(verify(entity(), &chain, head(&chain)), Verdict::Intact);
    let mut links = LinkVerifier::new(entity());
    chain.iter().for_each(|amendment| links.update(amendment));
    assert_eq!(links.format(), Format::V1);
    let first = &chain[0];
    assert_eq!(Format::of_chain(entity(), first.content_hash, first.link), Format::V1);
    let hashes: Vec<_> = chain.iter().map(|a| (a.content_hash, a.link)).collect();
    assert!(validate_chain(entity(), &hashes));
}

#[test]
fn the_version_cannot_change_within_a_chain() {
    for (before, after) in [(Format::V1, Format::V2), (Format::V2, Format::V1)] {
        let mut chain = chain_of_format(before, entity(), 2);
        let content = change(ChangeType::Evolution, json!({}));
        chain.push(Amendment::after(after, entity(), head(&chain), content));
        let verdict = verify(entity(), &chain, head(&chain));
        assert_eq!(verdict, Verdict::Broken { at_index: 2, reason: Reason::LinkAltered });
    }
}

#[test]
fn a_chain_of_another_kind_is_broken_at_its_first_link() {
    let chain = chain(3);
    for &kind in Kind::ALL.iter().filter(|kind| **kind != Kind::Skill) {
        let verdict = verify(Identity { kind, ..entity() }, &chain, head(&chain));
        assert_eq!(verdict, Verdict::Broken { at_index: 0, reason: Reason::LinkAltered });
    }
}

#[test]
fn an_unaltered_chain_is_intact() {
    let chain = chain(5);
    assert_eq!(verify(entity(), &chain, head(&chain)), Verdict::Intact);
}

#[test]
fn an_empty_chain_is_broken() {
    let verdict = verify(entity(), &[], head(&chain(1)));
    assert_eq!(verdict, Verdict::Broken { at_index: 0, reason: Reason::Empty });
}

#[test]
fn a_truncated_chain_has_the_wrong_length() {
    let chain = chain(5);
    let verdict = verify(entity(), &chain[..4], head(&chain));
    assert_eq!(verdict, Verdict::Broken { at_index: 4, reason: Reason::WrongLength });
}

#[test]
fn a_chain_of_another_entity_is_broken_at_its_first_link() {
    let chain = chain(3);
    let verdict = verify(other_entity(), &chain, head(&chain));
    assert_eq!(verdict, Verdict::Broken { at_index: 0, reason: Reason::LinkAltered });
}

#[test]
fn a_wrong_version_hash_is_detected() {
    let chain = chain(3);
    let wrong = Head { length: 3, version_hash: Digest32::sha256(b"another") };
    let verdict = verify(entity(), &chain, wrong);
    assert_eq!(verdict, Verdict::Broken { at_index: 2, reason: Reason::WrongVersionHash });
}

#[test]
fn hashes_and_links_alone_can_be_validated() {
    let chain = chain(5);
    let mut hashes: Vec<_> = chain.iter().map(|a| (a.content_hash, a.link)).collect();
    assert!(validate_chain(entity(), &hashes));
    assert!(!validate_chain(other_entity(), &hashes));
    assert!(!validate_chain(entity(), &[]));
    hashes.swap(3, 4);
    assert!(!validate_chain(entity(), &hashes));
}

#[test]
fn a_digest_parses_from_its_exact_text_only() {
    let text = GOLDEN_HASHES[0];
    assert_eq!(text.parse::<Digest32>().unwrap().to_string(), text);
    for other in [text.to_uppercase(), text[1..].to_owned(), format!("{text}0"), "x".repeat(64)] {
        assert!(other.parse::<Digest32>().is_err(), "{other}");
    }
}

proptest! {
    #[test]
    fn a_digest_with_a_changed_character_parses_only_if_it_is_lower_case_hex(
        bytes: [u8; 32], position in 0usize..64, character in b' '..=b'~',
    ) {
        let mut text = Digest32(bytes).to_string();
        prop_assert_eq!(text.parse(), Ok(Digest32(bytes)));
        text.replace_range(position..=position, str::from_utf8(&[character]).unwrap());
        let is_digit = matches!(character, b'0'..=b'9' | b'a'..=b'f');
        prop_assert_eq!(text.parse::<Digest32>().map(|digest| digest.to_string()).ok(), is_digit.then_some(text));
    }

    #[test]
    fn a_changed_byte_is_detected_at_the_index_of_its_amendment(
        index in 0usize..6, position in any::<prop::sample::Index>(), flip in 1u8..,
    ) {
        let original = chain(6);
        let mut altered = original.clone();
        let content = &mut altered[index].content;
        let position = position.index(content.len());
        content[position] ^= flip;
        prop_assert_eq!(
            verify(entity(), &altered, head(&original)),
            Verdict::Broken { at_index: index as u64, reason: Reason::ContentAltered }
        );
    }

    #[test]
    fn forged_content_with_a_matching_content_hash_is_detected_by_its_link(index in 0usize..6) {
        let original = chain(6);
        let mut altered = original.clone();
        altered[index].content = change(ChangeType::Evolution, json!({"forged": true}));
        altered[index].content_hash = Digest32::sha256(&altered[index].content);
        prop_assert_eq!(
            verify(entity(), &altered, head(&original)),
            Verdict::Broken { at_index: index as u64, reason: Reason::LinkAltered }
        );
    }

    #[test]
    fn swapped_and_removed_amendments_are_detected(a in 0usize..6, b in 0usize..6) {
        let original = chain(6);
        let mut swapped = original.clone();
        swapped.swap(a, b);
        let mut removed = original.clone();
        removed.remove(a);
        let first = a.min(b) as u64;
        let expected = if a == b {
            Verdict::Intact
        } else {
            Verdict::Broken { at_index: first, reason: Reason::WrongSequence }
        };
        prop_assert_eq!(verify(entity(), &swapped, head(&original)), expected);
        let verdict = verify(entity(), &removed, head(&original));
        let at_removal = matches!(verdict, Verdict::Broken { at_index, .. } if at_index == a as u64);
        prop_assert!(at_removal);
    }
}
