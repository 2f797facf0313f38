//! One pass over a JSON text that refuses what serde_json would let pass.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::error::{Error, Result, Violation};

/// The largest integer that every JSON reader keeps exactly: 2^53.
const SAFE_INTEGER: u64 = 1 << 53;

/// More faults than this are not worth reading.
const MOST_FAULTS: usize = 20;

/// Reads one JSON value.
pub fn parse(text: &[u8]) -> Result<Value> {
    let faults = RefCell::new(Vec::new());
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Strict { path: String::new(), faults: &faults }
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value))
        .map_err(|e| Error::Malformed(format!("the body is not well-formed JSON: {e}")))?;
    let faults = faults.into_inner();
    if faults.is_empty() { Ok(value) } else { Err(Error::Validation(faults)) }
}

struct Strict<'a> {
    path: String,
    faults: &'a RefCell<Vec<Violation>>,
}

impl Strict<'_> {
    fn fault(&self, rule: &str, message: &str) {
        let mut faults = self.faults.borrow_mut();
        if faults.len() < MOST_FAULTS {
            faults.push(Violation::new(self.path.replace('\0', "\u{fffd}"), rule, message));
        }
    }

    fn inner(&self, step: &str) -> Self {
        let dot = if self.path.is_empty() || step.starts_with('[') { "" } else { "." };
        Strict { path: format!("{}{dot}{step}", self.path), faults: self.faults }
    }

    fn text(&self, text: &str) {
        if text.contains('\0') {
            self.fault("no-nul", "must not hold a NUL character");
        }
    }

    fn integer(&self, safe: bool) {
        if !safe {
            self.fault("safe-integer", "must lie within ±2^53, or be sent as a string");
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
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
        self.integer(value.unsigned_abs() <= SAFE_INTEGER);
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        self.integer(value <= SAFE_INTEGER);
        Ok(value.into())
    }

    /// Integers beyond 64 bits arrive here as floats already rounded, so whole floats of that
    /// size are refused with them.
    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        let safe = value.abs() <= SAFE_INTEGER as f64;
        self.integer(value.fract() != 0.0 || safe);
        if value.fract() == 0.0 && safe {
            // 433.0 is an integer, in JSON Schema as in canonical JSON.
            return Ok((value as i64).into());
        }
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        self.text(value);
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        self.text(&value);
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self.inner(&format!("[{}]", list.len())))? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let place = self.inner(&key);
            place.text(&key);
            if map.contains_key(&key) {
                place.fault("duplicate-key", "appears twice");
            }
            let value = entries.next_value_seed(place)?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<(String, String)> {
        match parse(text.as_bytes()) {
            Err(Error::Validation(list)) => list.into_iter().map(|v| (v.field, v.rule)).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn fault(field: &str, rule: &str) -> (String, String) {
        (field.to_owned(), rule.to_owned())
    }

    #[test]
    fn what_canonical_json_cannot_carry_is_refused() {
        assert_eq!(faults(r#"{"a":{"b":1,"b":2}}"#), [fault("a.b", "duplicate-key")]);
        assert_eq!(faults("[9007199254740993]"), [fault("[0]", "safe-integer")]);
        assert_eq!(faults("[-9007199254740993]"), [fault("[0]", "safe-integer")]);
        assert_eq!(faults("[99999999999999999999]"), [fault("[0]", "safe-integer")]);
        assert_eq!(faults(r#"{"a":"\u0000"}"#), [fault("a", "no-nul")]);
    }

    #[test]
    fn every_fault_is_listed() {
        assert_eq!(faults(r#"{"a":1,"a":2,"b":["\u0000"]}"#).len(), 2);
    }

    #[test]
    fn the_largest_safe_integers_pass() {
        assert!(parse(b"[9007199254740992,-9007199254740992,1.5,1e3]").is_ok());
    }

    #[test]
    fn a_whole_number_is_an_integer_however_it_is_written() {
        let value = parse(b"[433.0,1e3,-0.0,1.5]").unwrap();
        assert_eq!(value, serde_json::json!([433, 1000, 0, 1.5]));
    }

    #[test]
    fn what_is_not_json_is_malformed() {
        for text in [&b"{"[..], b"", b"{}x", b"\xff", b"[1e999]", b"nul", &[b'['; 100_000]] {
            assert!(matches!(parse(text), Err(Error::Malformed(_))), "{text:?}");
        }
    }
}
