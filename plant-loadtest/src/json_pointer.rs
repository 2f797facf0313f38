//! JSON pointers (RFC 6901), evaluated while streaming through a document: only the value that is
//! found is built.

use std::fmt;

use serde::{
    Deserialize as _, Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

/// A JSON pointer. As an extension, the segment `*` stands for a random element of an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    text: Box<str>,
    segments: Box<[Segment]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Segment {
    key: Box<str>,
    /// The key as an index, for arrays.
    index: Option<usize>,
}

/// What a pointer found.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// A value.
    Value(Value),
    /// No value, because `*` met an empty array.
    EmptyArray,
    /// No value.
    Nothing,
}

impl Pointer {
    /// Parses a pointer such as `/items/0/id` or `/*/id`; the empty one is the whole document.
    ///
    /// # Errors
    /// Returns a message if `text` is not a pointer.
    pub fn parse(text: &str) -> Result<Self, String> {
        if !text.is_empty() && !text.starts_with('/') {
            return Err(format!("`{text}` is not a JSON pointer: it must start with `/`"));
        }
        let segments = text.split('/').skip(1).map(|segment| {
            let key = segment.replace("~1", "/").replace("~0", "~");
            let index = key.parse().ok().filter(|_| is_index(&key));
            Segment { key: key.into(), index }
        });
        Ok(Self { text: text.into(), segments: segments.collect() })
    }

    /// Returns whether a segment is `*`.
    #[must_use]
    pub fn is_random(&self) -> bool {
        self.segments.iter().any(Segment::is_random)
    }

    /// Finds the value in the document `json`. Pointers with the same `seed` take the same random
    /// elements of the same arrays.
    ///
    /// # Errors
    /// When `json` is not JSON.
    pub fn find(&self, json: &[u8], seed: u64) -> Result<Found, serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let found = Descent { segments: &self.segments, seed }.deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(found)
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Segment {
    fn is_random(&self) -> bool {
        &*self.key == "*"
    }
}

/// Returns whether `key` is an array index: digits without a leading zero.
fn is_index(key: &str) -> bool {
    key.bytes().all(|byte| byte.is_ascii_digit()) && (key == "0" || !key.starts_with('0'))
}

/// Finds the value at `segments` in the value that is deserialized.
#[derive(Clone, Copy)]
struct Descent<'p> {
    segments: &'p [Segment],
    seed: u64,
}

impl<'de> DeserializeSeed<'de> for Descent<'_> {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Found, D::Error> {
        if self.segments.is_empty() {
            return Value::deserialize(json).map(Found::Value);
        }
        json.deserialize_any(self)
    }
}

impl<'p> Descent<'p> {
    /// Returns the first segment and the descent into what it points to.
    fn step(self) -> Option<(&'p Segment, Self)> {
        let (segment, segments) = self.segments.split_first()?;
        Some((segment, Self { segments, ..self }))
    }
}

impl<'de> Visitor<'de> for Descent<'_> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
        let mut found = Found::Nothing;
        let Some((segment, inner)) = self.step() else { return Ok(found) };
        while let Some(is_key) = map.next_key_seed(KeyIs(&segment.key))? {
            if is_key {
                found = map.next_value_seed(inner)?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Found, A::Error> {
        let Some((segment, inner)) = self.step() else { return Ok(Found::Nothing) };
        if segment.is_random() {
            return random_element(inner, &mut array);
        }
        let mut found = Found::Nothing;
        for index in 0.. {
            if segment.index == Some(index) {
                let Some(element) = array.next_element_seed(inner)? else { break };
                found = element;
            } else if array.next_element::<IgnoredAny>()?.is_none() {
                break;
            }
        }
        Ok(found)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Found, E> {
        Ok(Found::Nothing)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Found, E> {
        Ok(Found::Nothing)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Found, E> {
        Ok(Found::Nothing)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Found, E> {
        Ok(Found::Nothing)
    }

    fn visit_str<E>(self, _: &str) -> Result<Found, E> {
        Ok(Found::Nothing)
    }

    fn visit_unit<E>(self) -> Result<Found, E> {
        Ok(Found::Nothing)
    }
}

/// Descends into a random element of `array`: the n-th element replaces the earlier one with the
/// probability 1/n (reservoir sampling), because the length is not known before the end.
fn random_element<'de, A: SeqAccess<'de>>(
    inner: Descent<'_>,
    array: &mut A,
) -> Result<Found, A::Error> {
    // Depends on the depth only, so that pointers into the same array take the same element.
    let mut random = fastrand::Rng::with_seed(inner.seed ^ inner.segments.len() as u64);
    let mut found = Found::EmptyArray;
    for count in 1.. {
        if random.usize(..count) == 0 {
            let Some(element) = array.next_element_seed(inner)? else { break };
            found = element;
        } else if array.next_element::<IgnoredAny>()?.is_none() {
            break;
        }
    }
    Ok(found)
}

/// Compares a key without copying it.
struct KeyIs<'k>(&'k str);

impl<'de> DeserializeSeed<'de> for KeyIs<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, key: D) -> Result<bool, D::Error> {
        key.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyIs<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const DOCUMENT: &str =
        r#"{"items":[{"id":7,"a/b":"x"},{"id":8}],"m~n":null,"none":[],"t":true}"#;

    fn find(pointer: &str) -> Found {
        Pointer::parse(pointer).unwrap().find(DOCUMENT.as_bytes(), 1).unwrap()
    }

    #[test]
    fn the_value_at_a_pointer_is_found_as_serde_json_finds_it() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        for pointer in ["", "/items", "/items/0", "/items/1/id", "/items/0/a~1b", "/m~0n", "/t"] {
            let expected = document.pointer(pointer).unwrap().clone();
            assert_eq!(find(pointer), Found::Value(expected), "{pointer}");
        }
        for pointer in ["/x", "/items/2", "/items/00", "/items/-", "/t/x", "/items/0/id/x"] {
            assert_eq!(document.pointer(pointer), None, "{pointer}");
            assert_eq!(find(pointer), Found::Nothing, "{pointer}");
        }
    }

    #[test]
    fn a_star_takes_every_element_equally_often() {
        let pointer = Pointer::parse("/items/*/id").unwrap();
        let mut counts = [0; 2];
        for seed in 0..1000 {
            match pointer.find(DOCUMENT.as_bytes(), seed).unwrap() {
                Found::Value(id) if id == json!(7) => counts[0] += 1,
                Found::Value(id) if id == json!(8) => counts[1] += 1,
                other => panic!("{other:?}"),
            }
        }
        assert!(counts.iter().all(|count| (400..=600).contains(count)), "{counts:?}");
    }

    #[test]
    fn pointers_with_one_seed_take_the_same_element() {
        let pairs = br#"[{"a":1,"b":1},{"a":2,"b":2},{"a":3,"b":3}]"#;
        let (a, b) = (Pointer::parse("/*/a").unwrap(), Pointer::parse("/*/b").unwrap());
        for seed in 0..50 {
            assert_eq!(a.find(pairs, seed).unwrap(), b.find(pairs, seed).unwrap());
        }
    }

    #[test]
    fn an_empty_array_has_no_random_element() {
        assert_eq!(find("/none/*/id"), Found::EmptyArray);
        assert_eq!(find("/none/0"), Found::Nothing);
        // A key may be a star, too.
        let star = Pointer::parse("/*").unwrap().find(br#"{"*":1}"#, 1).unwrap();
        assert_eq!(star, Found::Value(json!(1)));
    }

    #[test]
    fn what_is_not_a_pointer_or_not_json_is_an_error() {
        assert!(Pointer::parse("id").is_err());
        let pointer = Pointer::parse("/id").unwrap();
        for text in ["", "<html>", r#"{"id":1} x"#, r#"{"id":1"#] {
            assert!(pointer.find(text.as_bytes(), 1).is_err(), "{text}");
        }
    }
}
