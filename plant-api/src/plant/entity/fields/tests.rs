use proptest::prelude::*;

use super::{Fields, ParsedAmendment};
use crate::plant::entity::mutate::mutated;

const CONTENTS: [&str; 3] = [
    r#"{"actor":"genesis","change_type":"creation","data":{"name":"Asha Rao, Senior Content Writer","skill_id":"0198c0de-0000-7000-8000-000000000001","status":"active","team_id":null},"timestamp":"2026-01-14T09:30:00Z"}"#,
    r#"{"actor":"a \"b\" \\ c/é€🙂","change_type":"evolution","data":{"custom_attributes":{"n":[0.1,1e-7,0,-1,12.5e+3,[],{}],"ü":"€\n\u001f"},"governance_notes":"as \"agreed\"\\","tags":["a","",true,false,null]},"timestamp":"2026-01-14T09:30:00.000001Z"}"#,
    r#"{"actor":"","change_type":"certification","data":{},"timestamp":"2026-01-14T09:30:00Z"}"#,
];

fn contents() -> Vec<Vec<u8>> {
    CONTENTS.map(|content| content.as_bytes().to_vec()).to_vec()
}

/// The contents, and the objects in them.
fn objects() -> Vec<Vec<u8>> {
    let data = CONTENTS.map(|content| {
        let (from, to) =
            (content.find("{\"n").or(content.find("{}")), content.find(",\"timestamp"));
        from.map_or(content, |from| &content[from..to.unwrap()]).as_bytes().to_vec()
    });
    [contents(), data.to_vec()].concat()
}

#[test]
fn canonical_amendments_take_the_fast_path() {
    for content in CONTENTS {
        let amendment = ParsedAmendment::parse_fast(content.as_bytes());
        assert!(amendment.is_some(), "{content}");
        assert_eq!(amendment, ParsedAmendment::parse_slow(content.as_bytes()));
    }
}

#[test]
fn other_json_takes_the_slow_path() {
    for content in [
        r#"{ "actor":"a","change_type":"creation","data":{},"timestamp":"t"}"#,
        r#"{"change_type":"creation","data":{"\u006eame":1},"timestamp":"t","more":[],"actor":"a"}"#,
        &with_value(&nested(100)),
        &with_value("1e100"),
        &with_value(&"1".repeat(33)),
        &with_value(r#""\ud83d\ude42""#),
    ] {
        assert_eq!(ParsedAmendment::parse_fast(content.as_bytes()), None, "{content}");
        assert!(ParsedAmendment::parse(content.as_bytes()).is_some(), "{content}");
    }
}

/// Returns the content of an amendment that sets a field to `value`.
fn with_value(value: &str) -> String {
    format!(r#"{{"actor":"a","change_type":"creation","data":{{"a":{value}}},"timestamp":"t"}}"#)
}

#[test]
fn an_amendment_with_a_value_or_member_that_cannot_be_read_is_not_parsed() {
    let whole = with_value("1");
    assert!(ParsedAmendment::parse(whole.as_bytes()).is_some());
    for content in [
        with_value(&nested(126)),
        with_value("1e400"),
        with_value(&"1".repeat(400)),
        with_value(r#""\ud83d""#),
        whole.replace(r#""actor":"a","#, ""),
        whole.replace(r#""actor":"a""#, r#""actor":1"#),
        whole.replace(r#""timestamp":"t""#, r#""timestamp":null"#),
        whole.replace(r#"{"a":1}"#, "[]"),
        whole.replace("creation", "deletion"),
        "null".to_owned(),
        String::new(),
    ] {
        assert_eq!(ParsedAmendment::parse(content.as_bytes()), None, "{content}");
    }
}

fn nested(depth: usize) -> String {
    "[".repeat(depth) + &"]".repeat(depth)
}

#[test]
fn both_parsers_reject_invalid_json() {
    for value in [
        "01",
        "-",
        "-01",
        "1.",
        ".1",
        "1e",
        "1e+",
        "+1",
        "0x1",
        "nul",
        "nulll",
        "tru",
        "[1,]",
        "[,]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{a:1}",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"\\u123",
        "\"a",
        "\"\n\"",
        "\"\u{1f}\"",
        "",
        "]",
        "}",
        "1}",
        "[}",
        "{]",
        "'a'",
    ] {
        let object = format!("{{\"a\":{value}}}");
        assert_eq!(Fields::parse_fast(object.as_bytes()), None, "{object}");
        assert_eq!(Fields::parse(object.as_bytes()), None, "{object}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn both_parsers_agree_on_amendments(content in mutated(contents())) {
        if let Some(amendment) = ParsedAmendment::parse_fast(&content) {
            prop_assert_eq!(Some(amendment), ParsedAmendment::parse_slow(&content));
        }
    }

    #[test]
    fn both_parsers_agree_on_fields(object in mutated(objects())) {
        if let Some(fields) = Fields::parse_fast(&object) {
            prop_assert_eq!(Some(fields), Fields::parse_slow(&object));
        }
    }
}
