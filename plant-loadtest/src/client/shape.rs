//! Expected shapes of JSON bodies.

use std::fmt;

use serde::{
    Deserializer as _,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// Expected shape of a JSON body. Objects may have further keys. The check streams through the body
/// without building a tree of values.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// An object with these keys.
    Object(&'static [&'static str]),
    /// An array of objects with these keys; may be empty.
    Array(&'static [&'static str]),
    /// An array of at least one object with these keys.
    NonEmptyArray(&'static [&'static str]),
}

impl Shape {
    /// Checks that `body` has this shape.
    ///
    /// # Errors
    /// When it does not. The message has no position, so that equal failures can be counted.
    pub fn check(self, body: &[u8]) -> Result<(), String> {
        let mut json = serde_json::Deserializer::from_slice(body);
        let checked = match self {
            Self::Object(keys) => HasKeys(keys).deserialize(&mut json).map(|()| 1),
            Self::Array(keys) | Self::NonEmptyArray(keys) => {
                json.deserialize_seq(ItemsHaveKeys(keys))
            }
        };
        let items = checked
            .and_then(|items| json.end().map(|()| items))
            .map_err(|error| message_without_position(&error))?;
        match self {
            Self::NonEmptyArray(_) if items == 0 => Err("an empty array".into()),
            _ => Ok(()),
        }
    }
}

/// Returns the message without line and column, which differ from response to response.
fn message_without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
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
}
