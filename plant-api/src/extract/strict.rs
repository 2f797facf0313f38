//! JSON parser that also rejects duplicate keys, NUL characters and integers beyond ±2^53, which
//! serde_json accepts.

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

use crate::check::FieldPath;
use crate::check::field_limits::{MAX_JSON_DEPTH, MAX_JSON_FIELDS, MAX_JSON_VALUES};
use crate::error::{Error, MAX_VIOLATIONS, Result, Violation};

/// 2^53: up to here every integer is exact as a double, as RFC 8785 requires.
const SAFE_INTEGER: u64 = 1 << 53;

/// `serde_json` replaces an object that has this key by the JSON in its value.
const RAW_VALUE_KEY: &str = "$serde_json::private::RawValue";

/// Parses one JSON value. Time and memory are linear in the length of the text.
///
/// # Errors
/// [`Error::Malformed`] if the text is not JSON, [`Error::Validation`] if it violates a limit or has
/// content that cannot be stored.
pub fn parse(text: &[u8]) -> Result<Value> {
    let found = Found::default();
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let result = Strict { path: FieldPath::Root, found: &found }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    let violations = found.violations.into_inner();
    match result {
        Ok(value) if violations.is_empty() => Ok(value),
        Err(error) if !found.stopped.get() => {
            Err(Error::Malformed(format!("the body is not well-formed JSON: {error}")))
        }
        _ => Err(Error::Validation(violations)),
    }
}

/// What was found so far.
#[derive(Default)]
struct Found {
    violations: RefCell<Vec<Violation>>,
    /// Number of values.
    values: Cell<usize>,
    /// Number of fields of objects.
    fields: Cell<usize>,
    /// Whether parsing was stopped because of the violations.
    stopped: Cell<bool>,
}

/// Parses one value and those in it.
#[derive(Clone, Copy)]
struct Strict<'a> {
    path: FieldPath<'a>,
    found: &'a Found,
}

impl<'a> Strict<'a> {
    fn add_violation(&self, rule: &str, message: &str) {
        let mut violations = self.found.violations.borrow_mut();
        if violations.len() < MAX_VIOLATIONS {
            let field = self.path.to_string().replace('\0', "\u{fffd}");
            violations.push(Violation::new(field, rule, message));
        }
    }

    /// Returns the parser of a value in this one.
    fn child<'b>(&'b self, step: impl FnOnce(&'b FieldPath<'a>) -> FieldPath<'b>) -> Strict<'b> {
        Strict { path: step(&self.path), found: self.found }
    }

    /// Counts a value, and stops parsing at the limits.
    fn count<E: serde::de::Error>(&self) -> Result<(), E> {
        let values = self.found.values.get() + 1;
        self.found.values.set(values);
        if values > MAX_JSON_VALUES {
            self.add_violation("max-values", "the body has more than 40,000 JSON values");
            return self.stop();
        }
        if self.found.violations.borrow().len() >= MAX_VIOLATIONS {
            return self.stop();
        }
        Ok(())
    }

    /// Counts a field of an object, and stops parsing at the limit.
    fn count_field<E: serde::de::Error>(&self) -> Result<(), E> {
        let fields = self.found.fields.get() + 1;
        self.found.fields.set(fields);
        if fields > MAX_JSON_FIELDS {
            self.add_violation(
                "max-fields",
                "the objects of the body have more than 14,000 fields",
            );
            return self.stop();
        }
        Ok(())
    }

    /// Stops parsing if this array or object is nested too deeply.
    fn check_depth<E: serde::de::Error>(&self) -> Result<(), E> {
        if self.path.depth() >= MAX_JSON_DEPTH {
            self.add_violation("max-depth", "is nested in more than 64 levels");
            return self.stop();
        }
        Ok(())
    }

    fn stop<E: serde::de::Error>(&self) -> Result<(), E> {
        self.found.stopped.set(true);
        Err(E::custom("stopped"))
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
        self.count()?;
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
        self.check_depth()?;
        let mut list = Vec::new();
        while let Some(item) =
            items.next_element_seed(self.child(|path| FieldPath::Index(path, list.len())))?
        {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        self.check_depth()?;
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let child = self.child(|path| FieldPath::Key(path, &key));
            child.count_field()?;
            child.check_text(&key);
            if key == RAW_VALUE_KEY {
                child.add_violation("reserved-key", "is a reserved name");
            }
            let value = entries.next_value_seed(child)?;
            match map.entry(key) {
                Entry::Vacant(entry) => {
                    entry.insert(value);
                }
                Entry::Occupied(entry) => self
                    .child(|path| FieldPath::Key(path, entry.key()))
                    .add_violation("duplicate-key", "appears twice"),
            }
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
        let key = "$serde_json::private::RawValue";
        let body = format!(r#"{{"a":[{{"{key}":"1"}}]}}"#);
        assert_eq!(violations(&body), [violation(&format!("a[0].{key}"), "reserved-key")]);
    }

    #[test]
    fn every_violation_is_listed() {
        assert_eq!(violations(r#"{"a":1,"a":2,"b":["\u0000"]}"#).len(), 2);
    }

    #[test]
    fn a_body_has_at_most_64_levels() {
        let nested = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse(nested(64).as_bytes()).is_ok());
        for levels in [65, 127, 100_000] {
            let [(field, rule)] = &violations(&nested(levels))[..] else { panic!("{levels}") };
            assert_eq!((&**rule, field.starts_with("[0][0]")), ("max-depth", true));
        }
        // Depth is counted in objects as well.
        let objects = format!("{}0{}", "{\"a\":".repeat(65), "}".repeat(65));
        assert_eq!(violations(&objects)[0].1, "max-depth");
    }

    #[test]
    fn a_body_has_at_most_40_000_values() {
        let list = |items: usize| format!("[{}0]", "[],".repeat(items - 1));
        assert!(parse(list(39_999).as_bytes()).is_ok());
        assert_eq!(violations(&list(40_000)), [violation("[39999]", "max-values")]);
    }

    #[test]
    fn the_objects_of_a_body_have_at_most_14_000_fields() {
        let objects = |fields: usize| format!("[{}{{}}]", r#"{"a":0},"#.repeat(fields));
        assert!(parse(objects(14_000).as_bytes()).is_ok());
        assert_eq!(violations(&objects(14_001)), [violation("[14000].a", "max-fields")]);
    }

    #[test]
    fn parsing_stops_at_50_violations_with_short_paths() {
        let text =
            format!("{{\"{}\":[{}1]}}", "k".repeat(100_000), "9007199254740993,".repeat(9_000));
        let found = violations(&text);
        assert_eq!(found.len(), MAX_VIOLATIONS);
        assert!(found.iter().all(|(field, _)| field.chars().count() <= 200));
        assert!(found[49].0.ends_with("…[49]"), "{}", found[49].0);
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
        for text in [&b"{"[..], b"", b"{}x", b"\xff", b"[1e999]", b"nul"] {
            assert!(matches!(parse(text), Err(Error::Malformed(_))), "{text:?}");
        }
    }
}
