//! JSON parser that also rejects duplicate keys, NUL characters and integers beyond ±2^53, which
//! serde_json accepts.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::error::{Error, Result, Violation};

/// 2^53: up to here every integer is exact as a double, as RFC 8785 requires.
const SAFE_INTEGER: u64 = 1 << 53;

/// Maximum number of violations in one response.
const MAX_VIOLATIONS: usize = 20;

/// Parses one JSON value.
pub fn parse(text: &[u8]) -> Result<Value> {
    let violations = RefCell::new(Vec::new());
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = Strict { path: String::new(), violations: &violations }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|e| Error::Malformed(format!("the body is not well-formed JSON: {e}")))?;
    let violations = violations.into_inner();
    if violations.is_empty() { Ok(value) } else { Err(Error::Validation(violations)) }
}

struct Strict<'a> {
    path: String,
    violations: &'a RefCell<Vec<Violation>>,
}

impl Strict<'_> {
    fn add_violation(&self, rule: &str, message: &str) {
        let mut violations = self.violations.borrow_mut();
        if violations.len() < MAX_VIOLATIONS {
            violations.push(Violation::new(self.path.replace('\0', "\u{fffd}"), rule, message));
        }
    }

    fn child(&self, step: &str) -> Self {
        let dot = if self.path.is_empty() || step.starts_with('[') { "" } else { "." };
        Strict { path: format!("{}{dot}{step}", self.path), violations: self.violations }
    }

    fn check_text(&self, text: &str) {
        if text.contains('\0') {
            self.add_violation("no-nul", "must not contain a NUL character");
        }
    }

    fn check_integer(&self, safe: bool) {
        if !safe {
            self.add_violation(
                "safe-integer",
                "must be within ±2^53; send larger numbers as strings",
            );
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        self.check_integer(value.unsigned_abs() <= SAFE_INTEGER);
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        self.check_integer(value <= SAFE_INTEGER);
        Ok(value.into())
    }

    /// serde_json passes integers beyond 64 bits as rounded floats, so whole floats beyond 2^53 are
    /// rejected as well.
    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        let safe = value.abs() <= SAFE_INTEGER as f64;
        self.check_integer(value.fract() != 0.0 || safe);
        if value.fract() == 0.0 && safe {
            // 433.0 is an integer in JSON Schema and in canonical JSON.
            return Ok((value as i64).into());
        }
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        self.check_text(value);
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        self.check_text(&value);
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self.child(&format!("[{}]", list.len())))? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let child = self.child(&key);
            child.check_text(&key);
            if map.contains_key(&key) {
                child.add_violation("duplicate-key", "appears twice");
            }
            let value = entries.next_value_seed(child)?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(text: &str) -> Vec<(String, String)> {
        match parse(text.as_bytes()) {
            Err(Error::Validation(list)) => list.into_iter().map(|v| (v.field, v.rule)).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn violation(field: &str, rule: &str) -> (String, String) {
        (field.to_owned(), rule.to_owned())
    }

    #[test]
    fn what_canonical_json_cannot_represent_is_rejected() {
        assert_eq!(violations(r#"{"a":{"b":1,"b":2}}"#), [violation("a.b", "duplicate-key")]);
        assert_eq!(violations("[9007199254740993]"), [violation("[0]", "safe-integer")]);
        assert_eq!(violations("[-9007199254740993]"), [violation("[0]", "safe-integer")]);
        assert_eq!(violations("[99999999999999999999]"), [violation("[0]", "safe-integer")]);
        assert_eq!(violations(r#"{"a":"\u0000"}"#), [violation("a", "no-nul")]);
    }

    #[test]
    fn every_violation_is_listed() {
        assert_eq!(violations(r#"{"a":1,"a":2,"b":["\u0000"]}"#).len(), 2);
    }

    #[test]
    fn the_largest_safe_integers_are_accepted() {
        assert!(parse(b"[9007199254740992,-9007199254740992,1.5,1e3]").is_ok());
    }

    #[test]
    fn a_whole_number_is_an_integer_in_any_notation() {
        let value = parse(b"[433.0,1e3,-0.0,1.5]").unwrap();
        assert_eq!(value, serde_json::json!([433, 1000, 0, 1.5]));
    }

    #[test]
    fn invalid_json_is_malformed() {
        for text in [&b"{"[..], b"", b"{}x", b"\xff", b"[1e999]", b"nul", &[b'['; 100_000]] {
            assert!(matches!(parse(text), Err(Error::Malformed(_))), "{text:?}");
        }
    }
}
