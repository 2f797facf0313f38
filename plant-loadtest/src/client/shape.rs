//! Expected shapes of bodies.

use std::fmt;

use serde::{
    Deserializer as _,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Value, error::Category};

use crate::json_pointer::{Found, Pointer};

/// Expected shape of a body. Objects may have further keys. The check streams through the body
/// without building a tree of values.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Any body, also an empty one.
    Any,
    /// An object with these keys.
    Object(&'static [&'static str]),
    /// An array of objects with these keys; may be empty.
    Array(&'static [&'static str]),
    /// An array of at least one object with these keys.
    NonEmptyArray(&'static [&'static str]),
    /// A document with this value.
    Value(&'static ExpectedValue),
    /// A body that contains this text.
    Contains(&'static str),
    /// A body with all of these shapes.
    All(&'static [Self]),
}

/// A value that a JSON document must contain.
#[derive(Clone, Debug)]
pub struct ExpectedValue {
    /// Where it is.
    pub pointer: Pointer,
    /// The value.
    pub value: Value,
}

impl Shape {
    /// Checks that `body` has this shape.
    ///
    /// # Errors
    /// When it does not. The message has no position, so that equal failures can be counted.
    pub fn check(self, body: &[u8]) -> Result<(), String> {
        match self {
            Self::Any => Ok(()),
            Self::Object(keys) => read(body, |json| HasKeys(keys).deserialize(json)),
            Self::Array(keys) => {
                read(body, |json| json.deserialize_seq(ItemsHaveKeys(keys))).map(|_| ())
            }
            Self::NonEmptyArray(keys) => {
                match read(body, |json| json.deserialize_seq(ItemsHaveKeys(keys)))? {
                    0 => Err("an empty array".into()),
                    _ => Ok(()),
                }
            }
            Self::Value(expected) => expected.check(body),
            Self::Contains(text) => match memchr::memmem::find(body, text.as_bytes()) {
                Some(_) => Ok(()),
                None => Err(format!("text `{text}` not found")),
            },
            Self::All(shapes) => shapes.iter().try_for_each(|shape| shape.check(body)),
        }
    }
}

impl ExpectedValue {
    fn check(&self, body: &[u8]) -> Result<(), String> {
        let Self { pointer, value } = self;
        let found = pointer.find(body, 0).map_err(|error| message_without_position(&error))?;
        match found {
            Found::Value(found) if is_same(&found, value) => Ok(()),
            Found::Value(_) => Err(format!("value at `{pointer}` is not {value}")),
            Found::EmptyArray | Found::Nothing => Err(format!("no value at `{pointer}`")),
        }
    }
}

/// Compares numbers by value: 1 is the same as 1.0.
fn is_same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) if left.is_f64() || right.is_f64() => {
            left.as_f64() == right.as_f64()
        }
        _ => left == right,
    }
}

/// Reads a JSON document to its end.
fn read<T>(
    body: &[u8],
    read: impl FnOnce(
        &mut serde_json::Deserializer<serde_json::de::SliceRead<'_>>,
    ) -> serde_json::Result<T>,
) -> Result<T, String> {
    let mut json = serde_json::Deserializer::from_slice(body);
    read(&mut json)
        .and_then(|value| json.end().map(|()| value))
        .map_err(|error| message_without_position(&error))
}

/// Returns the message without line and column, which differ from response to response.
fn message_without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let message = text.split(" at line ").next().unwrap_or(&text);
    match error.classify() {
        Category::Syntax | Category::Eof => format!("the body is not JSON: {message}"),
        Category::Data | Category::Io => message.to_owned(),
    }
}

struct HasKeys(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for HasKeys {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for HasKeys {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut found = vec![false; self.0.len()];
        while let Some(key) = map.next_key::<std::borrow::Cow<'_, str>>()? {
            map.next_value::<IgnoredAny>()?;
            if let Some(index) = self.0.iter().position(|expected| *expected == key) {
                found[index] = true;
            }
        }
        match found.iter().position(|found| !found) {
            Some(missing) => Err(A::Error::custom(format!("missing key `{}`", self.0[missing]))),
            None => Ok(()),
        }
    }
}

struct ItemsHaveKeys(&'static [&'static str]);

impl<'de> Visitor<'de> for ItemsHaveKeys {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<usize, A::Error> {
        let mut items = 0;
        while array.next_element_seed(HasKeys(self.0))?.is_some() {
            items += 1;
        }
        Ok(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_must_have_all_keys() {
        let shape = Shape::Object(&["status", "timestamp"]);
        assert_eq!(shape.check(br#"{"status":"healthy","timestamp":"x","more":[1]}"#), Ok(()));
        assert_eq!(shape.check(br#"{"status":"healthy"}"#), Err("missing key `timestamp`".into()));
        assert!(shape.check(b"[]").is_err());
        assert!(shape.check(b"<html>").is_err());
        assert!(shape.check(b"").is_err());
    }

    #[test]
    fn every_item_of_an_array_must_have_all_keys() {
        let shape = Shape::Array(&["id"]);
        assert_eq!(shape.check(b"[]"), Ok(()));
        assert_eq!(shape.check(br#"[{"id":1},{"id":2}]"#), Ok(()));
        assert_eq!(shape.check(br#"[{"id":1},{}]"#), Err("missing key `id`".into()));
        assert!(shape.check(br#"{"id":1}"#).is_err());
        assert!(shape.check(br#"[{"id":1}] trailing"#).is_err());
    }

    #[test]
    fn a_non_empty_array_must_not_be_empty() {
        assert_eq!(Shape::NonEmptyArray(&["id"]).check(b"[]"), Err("an empty array".into()));
    }

    fn shape_of_value(pointer: &str, value: Value) -> Shape {
        let pointer = Pointer::parse(pointer).unwrap();
        Shape::Value(Box::leak(Box::new(ExpectedValue { pointer, value })))
    }

    #[test]
    fn a_value_must_be_at_its_pointer() {
        let body = br#"{"kind":"item","count":1,"none":null}"#;
        assert_eq!(shape_of_value("/kind", "item".into()).check(body), Ok(()));
        assert_eq!(shape_of_value("/count", 1.0.into()).check(body), Ok(()));
        let wrong = shape_of_value("/kind", "list".into()).check(body);
        assert_eq!(wrong, Err("value at `/kind` is not \"list\"".into()));
        let missing = shape_of_value("/kinds", "item".into()).check(body);
        assert_eq!(missing, Err("no value at `/kinds`".into()));
        assert!(shape_of_value("/kind", "item".into()).check(b"<html>").is_err());
    }

    #[test]
    fn a_text_must_be_in_the_body() {
        assert_eq!(Shape::Contains("wel").check(b"\xffwelcome"), Ok(()));
        assert_eq!(Shape::Contains("x").check(b""), Err("text `x` not found".into()));
    }

    #[test]
    fn all_shapes_must_match() {
        const SHAPE: Shape = Shape::All(&[Shape::Object(&["id"]), Shape::Contains("7")]);
        assert_eq!(SHAPE.check(br#"{"id":7}"#), Ok(()));
        assert!(SHAPE.check(br#"{"id":8}"#).is_err());
        assert!(SHAPE.check(br#"{"ix":7}"#).is_err());
        assert_eq!(Shape::Any.check(b""), Ok(()));
    }
}
