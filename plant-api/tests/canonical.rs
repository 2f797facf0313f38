//! Tests canonical JSON against the published vectors of RFC 8785. Their source:
//! `data/rfc8785/README.md`.

use std::fs;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use plant_api::plant::chain::canonical::write;
use plant_api::plant::chain::{Change, ChangeType};
use proptest::prelude::*;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/rfc8785").join(name)
}

fn text(value: &Value) -> String {
    let mut out = Vec::new();
    write(&mut out, value);
    String::from_utf8(out).unwrap()
}

#[test]
fn every_published_input_has_the_published_output() {
    let mut files = 0;
    for entry in fs::read_dir(data("input")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let input: Value =
            serde_json::from_slice(&fs::read(data("input").join(&name)).unwrap()).unwrap();
        let output = fs::read_to_string(data("output").join(&name)).unwrap();
        assert_eq!(text(&input), output, "{name}");
        files += 1;
    }
    assert_eq!(files, 8);
}

#[test]
fn every_number_of_appendix_b_has_the_published_text() {
    let table = fs::read_to_string(data("appendix_b.txt")).unwrap();
    for line in table.lines() {
        let (bits, published) = line.split_once(',').unwrap();
        assert_eq!(text(&number(bits).into()), published, "{bits}");
    }
    assert_eq!(table.lines().count(), 24);
}

/// Checksums of the reference implementation for the first lines of its stream of numbers: number
/// of lines, SHA-256.
const CHECKSUMS: [(usize, &str); 3] = [
    (1_000, "be18b62b6f69cdab33a7e0dae0d9cfa869fda80ddc712221570f9f40a5878687"),
    (10_000, "b9f7a8e75ef22a835685a52ccba7f7d6bdc99e34b010992cbc5864cd12be6892"),
    (100_000, "22776e6d4b49fa294a0d0f349268e5c28808fe7e0cb2bcbe28f63894e494d4c7"),
];

#[test]
fn the_published_stream_of_numbers_has_the_published_checksums() {
    let mut hash = Sha256::new();
    let mut lines = 0;
    for number in stream().take(100_000) {
        hash.update(format!("{:x},{}\n", number.to_bits(), text(&number.into())));
        lines += 1;
        if let Some((_, checksum)) = CHECKSUMS.iter().find(|(count, _)| *count == lines) {
            assert_eq!(hex::encode(hash.clone().finalize()), *checksum, "{lines} lines");
        }
    }
}

fn number(bits: &str) -> f64 {
    f64::from_bits(u64::from_str_radix(bits, 16).unwrap())
}

fn stream() -> impl Iterator<Item = f64> {
    let table = fs::read_to_string(data("stream_begins.txt")).unwrap();
    let first: Vec<_> = table.lines().map(number).collect();
    let consecutive = (0..2_000).map(|n| f64::from_bits(0x0010_0000_0000_0000 + n));
    first.into_iter().chain(consecutive).chain(hashed())
}

/// Pseudo-random doubles: four little-endian doubles from each SHA-256 of the previous SHA-256.
fn hashed() -> impl Iterator<Item = f64> {
    let blocks =
        std::iter::successors(Some([0; 32]), |block: &[u8; 32]| Some(Sha256::digest(block).into()));
    blocks.skip(1).flat_map(numbers).filter(|number| number.is_finite() && *number != 0.0)
}

fn numbers(block: [u8; 32]) -> Vec<f64> {
    block.chunks_exact(8).map(|bytes| f64::from_le_bytes(bytes.try_into().unwrap())).collect()
}

/// Any JSON, including names whose order differs between UTF-8 and UTF-16.
fn json() -> impl Strategy<Value = Value> {
    let text = prop_oneof!["[ -~]{0,8}", "[\\x00-\\x20\"\\\\é€\u{e000}\u{fb33}\u{1f600}]{0,4}"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::vec((text.clone(), inner), 0..8)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_second_implementation_produces_the_same_text(value in json()) {
        prop_assert_eq!(text(&value), serde_json_canonicalizer::to_string(&value).unwrap());
    }

    #[test]
    fn a_change_serializes_like_its_serde_value(
        data in json(), actor in any::<String>(), micros in 0_i64..4_000_000_000_000_000,
    ) {
        let data = match data {
            Value::Object(map) => map,
            other => Map::from_iter([("value".to_owned(), other)]),
        };
        let timestamp = DateTime::<Utc>::from_timestamp_micros(micros).unwrap();
        for change_type in [ChangeType::Creation, ChangeType::Evolution, ChangeType::Certification] {
            let change = Change { change_type, data: data.clone(), timestamp, actor: actor.clone() };
            prop_assert_eq!(
                String::from_utf8(change.to_canonical_json()).unwrap(),
                serde_json_canonicalizer::to_string(&change).unwrap()
            );
        }
    }
}
