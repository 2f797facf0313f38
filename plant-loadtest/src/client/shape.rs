//! What the JSON of an answer must look like.

use std::fmt;

use serde::{
    Deserializer as _,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// The expected form of a JSON body, checked without building a tree of it.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// An object that has these keys.
    Object(&'static [&'static str]),
    /// An array, possibly empty, of objects that have these keys.
    Array(&'static [&'static str]),
    /// An array of at least one such object.
    FilledArray(&'static [&'static str]),
}

impl Shape {
    /// Compares `body` with the shape.
    ///
    /// # Errors
    /// What is wrong, the same words for the same fault, so that faults can be counted.
    pub fn check(self, body: &[u8]) -> Result<(), String> {
        let mut json = serde_json::Deserializer::from_slice(body);
        let checked = match self {
            Self::Object(keys) => HasKeys(keys).deserialize(&mut json).map(|()| 1),
            Self::Array(keys) | Self::FilledArray(keys) => {
                json.deserialize_seq(ItemsHaveKeys(keys))
            }
        };
        let items =
            checked.and_then(|items| json.end().map(|()| items)).map_err(|error| plain(&error))?;
        match self {
            Self::FilledArray(_) if items == 0 => Err("an empty list".into()),
            _ => Ok(()),
        }
    }
}

/// The message without its line and column, which differ from answer to answer.
fn plain(error: &serde_json::Error) -> String {
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
            if let Some(place) = self.0.iter().position(|wanted| *wanted == key) {
                found[place] = true;
            }
        }
        match found.iter().position(|found| !found) {
            Some(missing) => Err(A::Error::custom(format!("no `{}`", self.0[missing]))),
            None => Ok(()),
        }
    }
}

struct ItemsHaveKeys(&'static [&'static str]);

impl<'de> Visitor<'de> for ItemsHaveKeys {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<usize, A::Error> {
        let mut items = 0;
        while list.next_element_seed(HasKeys(self.0))?.is_some() {
            items += 1;
        }
        Ok(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_need_their_keys() {
        let shape = Shape::Object(&["status", "timestamp"]);
        assert_eq!(shape.check(br#"{"status":"healthy","timestamp":"x","more":[1]}"#), Ok(()));
        assert_eq!(shape.check(br#"{"status":"healthy"}"#), Err("no `timestamp`".into()));
        assert!(shape.check(b"[]").is_err());
        assert!(shape.check(b"<html>").is_err());
        assert!(shape.check(b"").is_err());
    }

    #[test]
    fn every_item_of_a_list_needs_its_keys() {
        let shape = Shape::Array(&["id"]);
        assert_eq!(shape.check(b"[]"), Ok(()));
        assert_eq!(shape.check(br#"[{"id":1},{"id":2}]"#), Ok(()));
        assert_eq!(shape.check(br#"[{"id":1},{}]"#), Err("no `id`".into()));
        assert!(shape.check(br#"{"id":1}"#).is_err());
        assert!(shape.check(br#"[{"id":1}] trailing"#).is_err());
    }

    #[test]
    fn a_filled_list_must_not_be_empty() {
        assert_eq!(Shape::FilledArray(&["id"]).check(b"[]"), Err("an empty list".into()));
    }
}
